# A rolling upgrade from the landed build; the Makefile includes this.

upgrade: all ## node by node under load from the landed commit's build to this one (builds both)
	@tests/upgrade/run --binary $(abspath $(BUILD)/redis-raft) $(CLUSTER_FLAGS)

.PHONY: upgrade
