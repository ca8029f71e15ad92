# The simulator; the Makefile includes this.

SIM_OBJ = $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/sim/*.c))
SIM_SEEDS ?= 1 24

$(BUILD)/tests/sim/%.o: CFLAGS += -Itests/sim -Itests/linear

$(BUILD)/tests/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# Of net/ only the wire format is linked: it needs no event loop.
$(BUILD)/sim: $(SIM_OBJ) $(LINEAR_OBJ) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $(SIM_OBJ) $(LINEAR_OBJ) $(LIBS) $(EXTLIBS)

sim: $(BUILD)/sim ## the simulator, SIM_SEEDS="FROM TO"
	@tests/sim/run $(BUILD)/sim $(SIM_SEEDS)

.PHONY: sim
-include $(SIM_OBJ:.o=.d)
