# redis-raft.  `make help` lists the targets.
#
# One flat makefile.  Every directory of src is one static library; a program links only the
# libraries it needs, so that the link line says what it knows.

SAN ?=
# A build that counts which lines are executed: `make coverage`.
COVERAGE ?=
O ?= $(if $(COVERAGE),0,$(if $(SAN),1,2))
COMMA := ,
MEANING ?=
BUILD := build$(if $(SAN),-$(subst $(COMMA),-,$(SAN)))$(if $(COVERAGE),-coverage)
PREFIX ?= /usr/local
DESTDIR ?=
# Where the distribution looks for configuration and units; with another PREFIX, below it.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(if $(filter /usr,$(PREFIX)),/lib/systemd/system,$(SYSCONFDIR)/systemd/system)

CC = gcc
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
       -Wvla -Wcast-qual -Wwrite-strings -Wswitch-enum -Wimplicit-fallthrough -Wundef -Wconversion \
       -Wno-sign-conversion $(if $(WERROR),-Werror)
# The sanitizers' instrumentation makes GCC guess wrongly about formats.
CFLAGS = -std=gnu11 -O$(O) -g $(WARN) -fno-common -fno-strict-aliasing -fno-omit-frame-pointer \
         -fstack-protector-strong \
         $(if $(SAN),-fsanitize=$(SAN) -DHEAP_OF_SANITIZER -Wno-format-truncation,$(if $(filter-out 0,$(O)),-D_FORTIFY_SOURCE=2)) \
         $(if $(COVERAGE),--coverage) -Isrc -isystem /usr/include/lua5.1 -D_GNU_SOURCE
LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) $(if $(COVERAGE),--coverage)

# Bottom to top: what a directory may include stands before it (utils/check-layers).
DIRS = base resp raft storage data script replica command net server
# The linker wants the reverse.
LIBS = $(foreach d,server net command replica script lua data storage raft resp base,$(BUILD)/lib$(d).a)
CONFIG = $(BUILD)/config.o $(BUILD)/config_load.o $(BUILD)/config_rewrite.o $(BUILD)/config_table.o $(BUILD)/config_value.o
MALLOC = $(if $(SAN),,-ljemalloc) # a sanitizer has its own
EXTLIBS = $(MALLOC) -levent -lrocksdb -lJudy -lxxhash -llzf -lcrypto -lpthread -lm

SRC = $(wildcard src/*.c src/*/*.c)
HEADERS = $(wildcard src/*.h src/*/*.h)
OBJ = $(SRC:src/%.c=$(BUILD)/%.o)
# Each tests/unit/test_X.c is a program; the other files there are linked to all of them.
# The thread sanitizer is asked about those that have threads.
UNIT_SRC = $(if $(filter thread,$(SAN)),$(shell grep -lE $(THREADS) tests/unit/test_*.c),\
           $(wildcard tests/unit/test_*.c))
THREADS = 'pthread_|\<wake\>|kv_rocksdb|raft_log_(writer|reader)'
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
UNIT_HELP = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%.o,\
            $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))) $(KV_MEMORY)
# The kv that unit tests and the simulator have instead of RocksDB.
KV_MEMORY = $(BUILD)/tests/memory/kv_memory.o
SCRIPTS = $(wildcard tests/raft/*.txt)
FORMATTED = $(SRC) $(HEADERS) $(wildcard tests/*/*.[ch] utils/*.[ch] utils/*/*.[ch])
TIDY = $(SRC:src/%.c=build/tidy/%.ok)

CREATE_CLUSTER = utils/create-cluster --binary $(BUILD)/redis-raft

all: $(BUILD)/redis-raft $(BUILD)/redis-raft-ctl $(if $(MEANING),$(BUILD)-meaning-$(MEANING)/redis-raft) ## build the server and redis-raft-ctl

# ---- programs ---------------------------------------------------------------

$(BUILD)/redis-raft: $(BUILD)/main.o $(CONFIG) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(EXTLIBS)

# One that knows the commands of that version only (MEANING=1), for tests of members of two versions:
# its own file stands before the library that has another of the name.
$(BUILD)-meaning-%/redis-raft: $(BUILD)/main.o $(CONFIG) $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DMEANING=$* -c -o $(@D)/meaning.o src/command/meaning.c
	$(CC) $(LDFLAGS) -o $@ $(BUILD)/main.o $(CONFIG) $(@D)/meaning.o $(LIBS) $(EXTLIBS)

define library
$(BUILD)/lib$(1).a: $$(patsubst src/%.c,$(BUILD)/%.o,$$(wildcard src/$(1)/*.c))
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call library,$(d))))

# A product and a sum are rounded each: what they give is the same on every machine.
$(BUILD)/base/wide.o $(BUILD)/base/math.o $(BUILD)/command/geo_math.o: CFLAGS += -ffp-contract=off

# Lua is linked in whole: all nodes of a build then have the same.  The functions of the C library
# that differ from one machine to the next are base/math.h's for it.
LUA_MATH = pow exp log log10 sin cos tan asin acos atan atan2 sinh cosh tanh
LUA_ARCHIVE = $(shell $(CC) -print-file-name=liblua5.1.a)
$(BUILD)/liblua.a: Makefile
	@mkdir -p $(@D)
	objcopy $(foreach f,$(LUA_MATH),--redefine-sym $(f)=math_$(f)) $(LUA_ARCHIVE) $@

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

include utils/tools.mk
include tests/linear/linear.mk
include tests/sim/sim.mk
include tests/faults/faults.mk
include tests/upgrade/upgrade.mk
include tests/explorer/explorer.mk
include tests/mutants/mutants.mk
include tests/fuzz/fuzz.mk
include proofs/wp/wp.mk
include proofs/proofs.mk

# That this links is the proof that the core needs nothing of the outside.
$(BUILD)/tests/raft/golden: tests/raft/golden.c $(BUILD)/libraft.a $(BUILD)/libbase.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $^

# What a disk may do to a row, without any checksum that says so.
$(BUILD)/tests/damage: tests/damage/damage.c $(foreach d,data storage raft base,$(BUILD)/lib$(d).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $^ $(EXTLIBS)

$(BUILD)/tests/unit/%.o: CFLAGS += -Itests/memory $(if $(COVERAGE),-DCOVERAGE)
$(BUILD)/tests/memory/%.o: tests/memory/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Itests/memory -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(UNIT_HELP) $(CONFIG) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(EXTLIBS)

# ---- a cluster on this machine ----------------------------------------------

start: ## install what is missing, build, start three nodes on 127.0.0.1:7001-7003, data in run/
	@deps/install build
	@$(MAKE) --no-print-directory -s -j$(shell nproc) all
	@$(CREATE_CLUSTER) start

stop: ## stop them
	@$(CREATE_CLUSTER) stop

status: ## show their state
	@$(CREATE_CLUSTER) status

debug: ## three nodes with debug logging in tmux, a pane each, redis-cli in the fourth
	@deps/install build debug
	@$(MAKE) --no-print-directory -s -j$(shell nproc) all
	@utils/debug-cluster --binary $(BUILD)/redis-raft

# ---- tests: each suite ends with "N passed, N failed" -------------------------

test: ## install what is missing, build, run every suite (SUITES="unit lint": only those)
	@deps/install build test lint coq
	@utils/run-tests $(SUITES)

unit: $(UNIT) ## unit tests
	@utils/run-unit $(UNIT)

# What is executed by them of src, in a build of its own that counts lines.  Left out are two that
# take long and execute what others do.
COVERED = $(filter-out %/test_linear %/test_db_model,$(UNIT))
coverage: ## lines of src/ that unit tests and scripts execute, by directory (DIR=net: and which they do not)
	@$(MAKE) --no-print-directory -s COVERAGE=1 DIR=$(DIR) coverage-count

coverage-count: $(COVERED) $(BUILD)/tests/raft/golden
	@rm -f $(BUILD)/*.gcda $(BUILD)/*/*.gcda
	@utils/run-unit $(COVERED) >$(BUILD)/unit.log || { cat $(BUILD)/unit.log; exit 1; }
	@$(BUILD)/tests/raft/golden $(SCRIPTS) >/dev/null
	@for script in $(SCRIPTS); do $(BUILD)/tests/raft/golden --trace $$script >/dev/null || exit 1; done
	@utils/coverage $(BUILD) $(if $(DIR),--lines $(DIR))

scripts: $(BUILD)/tests/raft/golden ## the scripts of the core, tests/raft/*.txt
	@$(BUILD)/tests/raft/golden $(SCRIPTS)

golden: $(BUILD)/tests/raft/golden ## write what the scripts expect anew: read the difference
	@$(BUILD)/tests/raft/golden --rewrite $(SCRIPTS)

cluster: all $(BUILD)/tests/damage ## tests on real processes (ONLY=suite,suite: only those)
	$(if $(if $(ONLY),$(findstring meaning,$(ONLY)),all),@$(MAKE) --no-print-directory -s MEANING=1 all)
	@tclsh tcl-tests/run.tcl --binary $(abspath $(BUILD)/redis-raft) $(if $(ONLY),--only $(ONLY)) $(CLUSTER_FLAGS)

catch-up: all ## what a member that catches up costs the others (COUNT= values of MB= megabytes)
	@tclsh tcl-tests/catch-up.tcl --binary $(abspath $(BUILD)/redis-raft) $(CLUSTER_FLAGS)

deliver: all ## the state on its way to a member under load, MB=200, either side killed KILLS=10 times
	@tclsh tcl-tests/deliver.tcl --binary $(abspath $(BUILD)/redis-raft) $(CLUSTER_FLAGS)

cluster-sanitized: ## all of them on a build with address and undefined sanitizers
	@$(MAKE) --no-print-directory -s SAN=address,undefined cluster CLUSTER_FLAGS="--slow 3 $(CLUSTER_FLAGS)"

clients: all ## client libraries against a cluster while a node dies
	@tests/clients/run --binary $(abspath $(BUILD)/redis-raft) $(CLUSTER_FLAGS)

test-utils: all ## the scripts in utils/: create-cluster, and that each check can fail
	@tests/utils/run --binary $(abspath $(BUILD)/redis-raft)

soak: soak-sim soak-cluster soak-types soak-prepare ## one after the other, HOURS=1 each

soak-cluster: all ## kill loops on real processes for HOURS=1
	@HOURS=$(or $(HOURS),1) tclsh tcl-tests/run.tcl --binary $(abspath $(BUILD)/redis-raft) --only killloop $(CLUSTER_FLAGS)

soak-types: all ## random commands over all types beside redis-server for HOURS=1, of another SEED= each time
	@HOURS=$(or $(HOURS),1) SEED=$(or $(SEED),$$(date +%s)) tclsh tcl-tests/run.tcl \
	    --binary $(abspath $(BUILD)/redis-raft) --only types $(CLUSTER_FLAGS)

soak-prepare: $(BUILD)/tests/unit/test_prepare_random ## random writes, prepared and not, for HOURS=1 or so, from another SEED= on each time
	@PREPARE_SEED=$(or $(SEED),$$(date +%s)) \
	    PREPARE_ROUNDS=$$(awk "BEGIN { print int($(or $(HOURS),1) * 3600 * 20) }") $< # some 20 a second

# ---- what reads the code -------------------------------------------------------

lint: build/lint-libs ## layout, common mistakes, layers, purity, length of functions
	@utils/lint $(FORMATTED)

# utils/lint wants the libraries as they are shipped.
build/lint-libs: $(LIBS)
	@touch $@

tidy: $(TIDY)

build/tidy/%.ok: src/%.c .clang-tidy utils/tidy $(HEADERS)
	@mkdir -p $(@D)
	@utils/tidy $<
	@touch $@

format: ## lay out the code as .clang-format says
	@clang-format -i $(FORMATTED)

# ---- installation ----------------------------------------------------------------

install: all ## install below PREFIX (/usr/local); DESTDIR is honoured
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSCONFDIR)/redis-raft $(DESTDIR)$(UNITDIR)
	install -m 755 $(BUILD)/redis-raft $(BUILD)/redis-raft-ctl $(DESTDIR)$(PREFIX)/bin
	@# A configuration that was edited stays; the new one lies beside it.
	@conf=$(DESTDIR)$(SYSCONFDIR)/redis-raft/redis-raft.conf; \
	if [ -e $$conf ] && ! cmp -s redis-raft.conf $$conf; then conf=$$conf.new; fi; \
	echo install -m 640 redis-raft.conf $$conf; install -m 640 redis-raft.conf $$conf
	sed -e 's|@BINDIR@|$(PREFIX)/bin|' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|' utils/redis-raft.service \
	    >$(DESTDIR)$(UNITDIR)/redis-raft.service

uninstall: ## remove what install put there, but for the configuration
	rm -f $(DESTDIR)$(PREFIX)/bin/redis-raft $(DESTDIR)$(PREFIX)/bin/redis-raft-ctl \
	    $(DESTDIR)$(UNITDIR)/redis-raft.service

clean: ## remove what was built; data in run/ stays
	rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1@\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | awk -F@ '{ printf "%-17s %s\n", $$1, $$2 }'
	@echo 'variables: O=0..3 SAN=address,undefined|thread WERROR=1 PREFIX= DESTDIR='
	@echo '           CLUSTER_FLAGS="--port-base N --slow FACTOR" for cluster and clients'

.PHONY: all start stop status debug test unit coverage coverage-count scripts golden catch-up deliver cluster cluster-sanitized \
        clients test-utils soak soak-cluster soak-types soak-prepare lint \
        tidy format install uninstall clean help
.SECONDARY:
.DELETE_ON_ERROR:
-include $(OBJ:.o=.d) $(UNIT:=.d) $(UNIT_HELP:.o=.d) $(BUILD)/tests/raft/golden.d
