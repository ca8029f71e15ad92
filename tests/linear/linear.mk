# The linearizability checker: build/linear for histories in files; the simulator and unit tests
# link the rest.  The Makefile includes this.

LINEAR_OBJ = $(patsubst tests/%.c,$(BUILD)/tests/%.o,\
             $(filter-out tests/linear/main.c,$(wildcard tests/linear/*.c)))

$(BUILD)/tests/linear/%.o $(BUILD)/tests/unit/test_linear.o $(BUILD)/tests/unit/test_appends.o: \
    CFLAGS += -Itests/linear

$(BUILD)/tests/linear/%.o: tests/linear/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/linear: $(BUILD)/tests/linear/main.o $(LINEAR_OBJ) $(BUILD)/libbase.a
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/tests/unit/test_linear $(BUILD)/tests/unit/test_appends: $(LINEAR_OBJ)

-include $(LINEAR_OBJ:.o=.d) $(BUILD)/tests/linear/main.d
