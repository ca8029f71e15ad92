# The proofs, and the checker of traces that is extracted from them; the Makefile includes this.

TRACE_CHECK = build/trace-check
# Handlers.v and what it needs.
COQ_HANDLERS = $(addprefix proofs/coq/,$(addsuffix .v,Quorum Log Model Invariant Members Steps Handlers))
TRACE_SEEDS ?= $(if $(QUICK),1 4,1 8)
TRACE_RUNS ?= $(if $(QUICK),200,400)
TRACE_PORT ?= 7300

$(BUILD)/tests/raft/driver: tests/raft/driver.c $(BUILD)/libraft.a $(BUILD)/libbase.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $^

build/proofs/handlers.ml: proofs/trace/Extract.v $(COQ_HANDLERS)
	@mkdir -p $(@D)
	$(MAKE) -s -C proofs/coq Handlers.vo
	cp proofs/trace/Extract.v $(@D)
	cd $(@D) && coqc -q -R ../../proofs/coq "" Extract.v

# Warnings about the extracted code are not ours to heed.
$(TRACE_CHECK): build/proofs/handlers.ml $(wildcard proofs/trace/*.ml)
	cp proofs/trace/*.ml build/proofs
	cd build/proofs && ocamlopt -w -a -c handlers.mli handlers.ml && \
	  ocamlopt -inline 100 -w +a-4-9-40-41-42-44-45-70 -warn-error +a handlers.cmx line.ml words.ml terms.ml who.ml node.ml \
	  trace_check.ml -o ../trace-check

TRACE_PRODUCERS = $(BUILD)/sim $(BUILD)/tests/raft/golden $(BUILD)/tests/raft/driver $(BUILD)/redis-raft
TRACE_OPTIONS = --seeds $(TRACE_SEEDS) --runs $(TRACE_RUNS) --port $(TRACE_PORT) $(SCRIPTS)

trace: $(TRACE_CHECK) $(TRACE_PRODUCERS) ## replay scripts, random runs, simulator and real processes on the proved model
	@BUILD=$(BUILD) proofs/trace/run $(TRACE_OPTIONS)

proofs: ## install Coq, check all proofs, the traces, and the mutants of the model (QUICK=1: no mutants)
	@deps/install build coq
	@$(MAKE) --no-print-directory -s $(TRACE_CHECK) $(TRACE_PRODUCERS)
	@BUILD=$(BUILD) proofs/run $(if $(QUICK),--quick) -- $(TRACE_OPTIONS)

.PHONY: trace proofs
-include $(BUILD)/tests/raft/driver.d
