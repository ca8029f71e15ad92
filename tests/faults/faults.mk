# Clusters of real processes under faults, their histories judged; the Makefile includes this.

faults: $(BUILD)/redis-raft $(BUILD)/linear ## clusters under faults: SECONDS=600 in all, NODES=3,5, SEED=N
	@tests/faults/run --binary $(BUILD)/redis-raft --linear $(BUILD)/linear \
	    --seconds $(or $(SECONDS),600) --nodes $(or $(NODES),3$(COMMA)5) $(if $(SEED),--seed $(SEED)) \
	    $(CLUSTER_FLAGS)

.PHONY: faults
