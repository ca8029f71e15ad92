# redis-raft.  `make help` lists the targets.
#
# One flat makefile.  Every directory of src is one static library; a program
# links only the libraries it needs, so that the link line says what it knows.

O ?= 2
SAN ?=
BUILD := build$(if $(SAN),-$(subst $() $(),-,$(subst $(COMMA),-,$(SAN))))

CC = gcc
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
       -Wvla -Wcast-qual -Wwrite-strings -Wswitch-enum -Wimplicit-fallthrough -Wundef -Wconversion \
       -Wno-sign-conversion $(if $(WERROR),-Werror)
CFLAGS = -std=gnu11 -O$(O) -g $(WARN) -fno-common -fno-strict-aliasing -fno-omit-frame-pointer \
         -fstack-protector-strong $(if $(SAN),-fsanitize=$(SAN),$(if $(filter-out 0,$(O)),-D_FORTIFY_SOURCE=2)) \
         -Isrc -D_GNU_SOURCE
LDFLAGS = $(if $(SAN),-fsanitize=$(SAN))

# Bottom to top: what a directory may include stands before it (utils/check-layers).
DIRS = base resp raft storage data replica command net
# The linker wants the reverse.
LIBS = $(foreach d,net command replica data storage raft resp base,$(BUILD)/lib$(d).a)
EXTLIBS = -levent -lrocksdb -lJudy -lxxhash -lcrypto -lpthread -lm

SRC = $(wildcard src/*.c src/*/*.c)
OBJ = $(SRC:src/%.c=$(BUILD)/%.o)
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))

all: $(BUILD)/redis-raft

$(BUILD)/redis-raft: $(BUILD)/main.o $(BUILD)/config.o $(BUILD)/config_load.o $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(EXTLIBS)

define library
$(BUILD)/lib$(1).a: $$(patsubst src/%.c,$(BUILD)/%.o,$$(wildcard src/$(1)/*.c))
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call library,$(d))))

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(LIBS) -lcmocka $(EXTLIBS)

unit: $(UNIT)
	@set -e; for t in $(UNIT); do $$t; done

clean:
	rm -rf build build-*

.PHONY: all unit clean
.SECONDARY:
-include $(OBJ:.o=.d) $(UNIT:=.d)
