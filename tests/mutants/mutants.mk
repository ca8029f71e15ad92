# Planted bugs, each of which some test has to notice; the Makefile includes this.

mutants: ## plant every bug of tests/mutants in a copy, show who notices (ONLY="NAME...")
	@tests/mutants/run --jobs $(or $(JOBS),$(shell nproc)) $(ONLY)

.PHONY: mutants
