# The command-line client and the benchmark; included from the Makefile.
#
# They share nothing with the server but src/base: what they test should not test itself.  What
# redis-raft-ctl does with backups and data directories is what the server does, by the same code.

TOOLS_CFLAGS = $(CFLAGS) -Iutils
CTL_PARTS = redis-raft-ctl backups comparing files force members nodes offline rdb_export rdb_import
CTL_OBJ = $(CTL_PARTS:%=$(BUILD)/utils/%.o)
CTL_LIBS = $(foreach d,command replica script lua data storage raft resp base,$(BUILD)/lib$(d).a)
BENCH_PARTS = bench histogram load options process report service_etcd service_redis
BENCH_OBJ = $(BENCH_PARTS:%=$(BUILD)/utils/bench/%.o) $(BUILD)/utils/nodes.o
BENCH_EXTLIBS = -lhiredis -levent -ljansson -lcrypto -lpthread -lm

$(BUILD)/utils/%.o: utils/%.c
	@mkdir -p $(@D)
	$(CC) $(TOOLS_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/redis-raft-ctl: $(CTL_OBJ) $(CTL_LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(MALLOC) -lhiredis -lrocksdb -lJudy -lxxhash -llzf -lcrypto -lpthread -lm

$(BUILD)/redis-raft-bench: $(BENCH_OBJ) $(BUILD)/libbase.a
	$(CC) $(LDFLAGS) -o $@ $^ $(BENCH_EXTLIBS)

$(BUILD)/tests/tools/%: tests/tools/%.c $(BUILD)/utils/bench/histogram.o
	@mkdir -p $(@D)
	$(CC) $(TOOLS_CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(BUILD)/utils/bench/histogram.o -lcmocka -lm

TOOLS = $(BUILD)/redis-raft-ctl $(BUILD)/redis-raft-bench

# The tools against live servers, each on a cluster of its own (ports: tests/tools/run).
test-tools: $(BUILD)/redis-raft $(TOOLS) $(BUILD)/tests/tools/test_histogram ## tests of the tools
	@tests/tools/run --build $(BUILD)

bench: ## compare with redis-server and etcd (QUICK=1: three minutes; BEFORE=: an earlier redis-raft too)
	@deps/install build test bench
	@$(MAKE) --no-print-directory -s -j$(shell nproc) $(BUILD)/redis-raft $(TOOLS)
	@utils/bench/run --build $(BUILD) $(if $(QUICK),--quick) $(if $(BEFORE),--before $(BEFORE))

failover: $(BUILD)/redis-raft $(TOOLS) ## how long writes stop when the leader is killed, TRIES=10 times; nothing may be lost
	@utils/bench/failover --build $(BUILD) $(if $(TRIES),--tries $(TRIES))

calm: $(BUILD)/redis-raft ## whether a busy machine makes them elect, for MINUTES=5, beside BUSY= processes (2 a processor), NICE=-10
	@utils/bench/calm --build $(BUILD) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(BUSY),--busy $(BUSY)) \
	    $(if $(NICE),--nice $(NICE))

hold-up: $(BUILD)/redis-raft ## how long others wait while a command has ELEMENTS=1000000 (ONLY=KEYS: those; DISK=1: why)
	@utils/bench/hold-up --build $(BUILD) $(if $(ELEMENTS),--elements $(ELEMENTS)) $(if $(ONLY),--only $(ONLY)) \
	    $(if $(DISK),--disk)

bench-install: $(BUILD)/redis-raft ## what it costs to bring back a member that fell off the log, with MB=1000
	@utils/bench/install --build $(BUILD) $(if $(MB),--mb $(MB)) $(if $(LOAD),--load $(LOAD))

bench-backup: $(BUILD)/redis-raft $(BUILD)/redis-raft-ctl ## what a backup of MB=1000 costs; how long a restore and a start take
	@utils/bench/backup --build $(BUILD) $(if $(MB),--mb $(MB)) $(if $(LOAD),--load $(LOAD))

bench-large: $(BUILD)/redis-raft ## how long small requests wait beside values of 64 MB (BEHIND=100 of them to catch up with; DISK=1: why)
	@utils/bench/large --build $(BUILD) $(if $(BEHIND),--behind $(BEHIND)) $(if $(DISK),--disk)

bench-types: $(BUILD)/redis-raft $(BUILD)/redis-raft-bench ## collections of SIZES=1000,1000000 elements, scripts, queues, messages
	@utils/bench/types --build $(BUILD) $(if $(SIZES),--sizes $(SIZES)) $(if $(ONLY),--only $(ONLY))
	@utils/bench/talk --build $(BUILD) $(if $(ONLY),--only $(ONLY))

bench-crowd: $(BUILD)/redis-raft ## COUNT=10000 blocked clients and as many subscribers on one node
	@utils/bench/crowd --build $(BUILD) $(if $(COUNT),--count $(COUNT))

bench-expiry: $(BUILD)/redis-raft ## when KEYS=1000000 names are gone whose time comes within ten seconds
	@utils/bench/expiry --build $(BUILD) $(if $(KEYS),--keys $(KEYS))

bench-mix: $(BUILD)/redis-raft ## SETs and GETs mixed on one connection, beside redis-server
	@utils/bench/mix --build $(BUILD)

.PHONY: test-tools bench failover calm hold-up bench-install bench-backup bench-large bench-types bench-crowd bench-expiry bench-mix
-include $(CTL_OBJ:.o=.d) $(BENCH_OBJ:.o=.d)

# What a SET costs in src/data alone.
$(BUILD)/bench-data: $(BUILD)/utils/bench/data.o $(foreach d,data storage raft base,$(BUILD)/lib$(d).a)
	$(CC) $(LDFLAGS) -o $@ $^ $(EXTLIBS)

# What commands on collections cost in the state machine alone.
$(BUILD)/utils/bench/commands.o: TOOLS_CFLAGS += -Itests/memory
$(BUILD)/bench-commands: $(BUILD)/utils/bench/commands.o $(KV_MEMORY) $(filter-out $(BUILD)/libserver.a $(BUILD)/libnet.a,$(LIBS))
	$(CC) $(LDFLAGS) -o $@ $^ $(EXTLIBS)
