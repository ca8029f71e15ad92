# Planted bugs, each of which some test has to notice; the Makefile includes this.

mutants: ## plant every bug of tests/mutants in a copy, show who notices (ONLY="NAME..." ALL=1 WRITE=1)
	@deps/install build test $(if $(wildcard proofs/trace),coq)
	@tests/mutants/run --jobs $(or $(JOBS),$(shell nproc)) $(if $(ALL),--all) $(if $(WRITE),--write) \
	    $(if $(PORT_BASE),--port-base $(PORT_BASE)) $(ONLY)

sweep: ## change src/DIR=net (or a file) by machine, N=10 times a file, show which changes no test sees (SEED=1)
	@deps/install build test
	@tests/mutants/sweep --number $(or $(N),10) --seed $(or $(SEED),1) $(if $(AGAIN),--again $(AGAIN)) $(DIR)

.PHONY: mutants sweep
