# Fuzz targets, tests/fuzz/*.c; the Makefile includes this.

FUZZ = chunk command config handshake number rdb rdb_file record resp wire
FUZZ_REPLAY = $(FUZZ:%=$(BUILD)/tests/fuzz/%)
FUZZ_LIBS = -lxxhash -llzf -lcrypto -lm

$(BUILD)/tests/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# What is not needed of the libraries is not linked: no RocksDB, no libevent, no Judy.
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(CONFIG) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(FUZZ_LIBS)

fuzz-corpus: $(FUZZ_REPLAY) ## run the fuzz targets on what is in tests/fuzz/corpus
	@tests/fuzz/run --replay $(BUILD)/tests/fuzz $(FUZZ)

# The same sources with clang, instrumented for libFuzzer.
FUZZ_CFLAGS = -std=gnu11 -O1 -g -fno-omit-frame-pointer -Isrc -isystem /usr/include/lua5.1 -D_GNU_SOURCE \
              -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DHEAP_OF_SANITIZER
FUZZ_OBJ = $(patsubst src/%.c,build/fuzz/%.o,$(wildcard src/base/*.c src/resp/*.c src/command/encode.c src/command/rdb*.c \
             src/replica/entry.c src/replica/stamp.c src/storage/chunk.c src/data/record.c src/data/slot.c src/config*.c) \
             $(addprefix src/net/,wire.c wire_fields.c handshake.c))

build/fuzz/%.o: src/%.c
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

build/fuzz/target-%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

build/fuzz/code.a: $(FUZZ_OBJ)
	@rm -f $@; ar rcs $@ $^

build/fuzz/fuzz-%: build/fuzz/target-%.o build/fuzz/code.a
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(FUZZ_LIBS)

fuzz: ## look for inputs that break a fuzz target, for SECONDS each (ONLY="NAME...")
	@deps/install build fuzz
	@$(MAKE) --no-print-directory -s $(FUZZ:%=build/fuzz/fuzz-%)
	@tests/fuzz/run --seconds $(or $(SECONDS),10) build/fuzz $(or $(ONLY),$(FUZZ))

.PHONY: fuzz fuzz-corpus
.SECONDARY: $(FUZZ:%=build/fuzz/target-%.o) $(FUZZ_REPLAY:=.o)
-include $(FUZZ_REPLAY:=.d) $(FUZZ_OBJ:.o=.d) $(FUZZ:%=build/fuzz/target-%.d)
