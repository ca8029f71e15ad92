# The explorer of all states within small bounds; the Makefile includes this.

EXPLORER_OBJ = $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/explorer/*.c))
EXPLORER_FOUR_OBJ = $(EXPLORER_OBJ:$(BUILD)/tests/explorer/%=$(BUILD)/tests/explorer-four/%)

$(BUILD)/tests/explorer/%.o: CFLAGS += -Itests/explorer
$(BUILD)/tests/explorer-four/%.o: CFLAGS += -Itests/explorer -DEXPLORER_NODES=4

$(BUILD)/tests/explorer/%.o: tests/explorer/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/explorer-four/%.o: tests/explorer/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# The core as it is shipped, and nothing else of ours.
$(BUILD)/explore: $(EXPLORER_OBJ) $(BUILD)/libraft.a $(BUILD)/libbase.a
	$(CC) $(LDFLAGS) -o $@ $^

# The same with four nodes.
$(BUILD)/explore-four: $(EXPLORER_FOUR_OBJ) $(BUILD)/libraft.a $(BUILD)/libbase.a
	$(CC) $(LDFLAGS) -o $@ $^

explore: $(BUILD)/explore $(BUILD)/explore-four build/trace-check ## every state of three cores within small bounds
	@TRACE_CHECK=build/trace-check tests/explorer/run $(BUILD)/explore all

explore-long: $(BUILD)/explore $(BUILD)/explore-four build/trace-check ## the same within larger bounds: hours (STATES=)
	@TRACE_CHECK=build/trace-check tests/explorer/run $(BUILD)/explore long

explore-mutants: ## which planted bugs of the core the explorer finds (ONLY="NAME...")
	@tests/explorer/mutants $(ONLY)

.PHONY: explore explore-long explore-mutants
-include $(EXPLORER_OBJ:.o=.d) $(EXPLORER_FOUR_OBJ:.o=.d)
