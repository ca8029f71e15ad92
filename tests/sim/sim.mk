# The simulator; the Makefile includes this.

SIM_OBJ = $(patsubst tests/%.c,$(BUILD)/tests/%.o,$(wildcard tests/sim/*.c)) \
          $(BUILD)/tests/sim/wire.o $(BUILD)/tests/sim/execution.o $(BUILD)/tests/sim/exec.o \
          $(BUILD)/tests/sim/string_parts.o $(BUILD)/tests/sim/prepare.o
# Payloads above the one travel in pieces, appends above the other in several frames: so small that
# ordinary commands do.
SIM_WIRE = -D'WIRE_PIECE_MAX=((size_t)64)' -D'WIRE_FRAME_MAX=((size_t)400)'
# Scripts and transactions take several slices, between which others read.
SIM_SLICES = -DEXECUTION_STEPS_MAX=3 -DEXEC_LONG_COMMANDS=2
# Writes of so many words are prepared.
SIM_WORDS = -DPREPARE_WORDS_LEAST=4
# Strings of more are large, and what is a slice to put there.
SIM_STRINGS = -DSTRING_PLAIN_MAX=150 -DSTRING_WHOLE_MAX=300 -DSTRING_SLICE=4096
SIM_SEEDS ?= 40
SIM_OTHER = build-address-undefined/sim

$(BUILD)/tests/sim/%.o: CFLAGS += -Itests/sim -Itests/linear -Itests/memory
$(BUILD)/tests/sim/%.o: CFLAGS += $(SIM_WIRE) $(SIM_SLICES) $(SIM_STRINGS) $(SIM_WORDS)
$(BUILD)/tests/sim/main.o: CFLAGS += -I$(BUILD)/tests/sim
$(BUILD)/tests/sim/main.o: $(BUILD)/tests/sim/commit.h

$(BUILD)/tests/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/sim/wire.o: src/net/wire.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/sim/execution.o $(BUILD)/tests/sim/exec.o $(BUILD)/tests/sim/string_parts.o $(BUILD)/tests/sim/prepare.o: $(BUILD)/tests/sim/%.o: src/command/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# A failure names the commit that it was seen with.
$(BUILD)/tests/sim/commit.h: sim-commit
	@mkdir -p $(@D)
	@echo "#define SIM_COMMIT \"$$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)\"" >$@.new
	@cmp -s $@.new $@ || cp $@.new $@
	@rm $@.new

# Of net/ the wire format is linked, and who is let in: they need no event loop.  fatal() and check()
# are the simulator's own (death.c), as are connections (links.c).
$(BUILD)/sim: $(SIM_OBJ) $(KV_MEMORY) $(LINEAR_OBJ) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $(SIM_OBJ) $(KV_MEMORY) $(LINEAR_OBJ) $(LIBS) $(EXTLIBS)

sim: $(BUILD)/sim ## SIM_SEEDS=40 runs of the simulator, some of them on two builds
	@$(MAKE) --no-print-directory -s SAN=address,undefined $(SIM_OTHER)
	@tests/sim/run $(BUILD)/sim $(SIM_OTHER) $(SIM_SEEDS)

soak-sim: $(BUILD)/sim ## the simulator for HOURS=1; what it covered: build/soak/coverage.txt
	@mkdir -p build/soak
	@bash -o pipefail -c '$(BUILD)/sim --seed $(or $(SEED),$$(date +%s)) --brief \
	    --for $$(awk "BEGIN { print int($(or $(HOURS),1) * 3600) }") | tee build/soak/coverage.txt'

.PHONY: sim soak-sim sim-commit
-include $(SIM_OBJ:.o=.d)
