# Contracts in the sources, proved; the Makefile includes this.

wp: ## prove the contracts in the sources with Frama-C, and that planted bugs break a proof
	@deps/install wp
	@proofs/wp/run

.PHONY: wp
