/* What server/ counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "server/build_id.h"
#include "server/command_stats.h"
#include "server/histogram.h"
#include "server/ticks.h"

/* Whatever the value, the bucket's upper end is at it or above, by a 64th at most. */
static void test_histogram_is_close(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        static struct histogram histogram;
        uint64_t value = prng_next(&random) >> (24 + prng_next(&random) % 40);
        memset(&histogram, 0, sizeof histogram);
        server_histogram_add(&histogram, value);
        uint64_t shown = server_histogram_percentile(&histogram, 50);
        assert_in_range(shown, value, value + value / 64);
    }
    static struct histogram largest;
    server_histogram_add(&largest, UINT64_MAX);
    assert_int_equal(server_histogram_percentile(&largest, 100), ((uint64_t)1 << 40) - 1);
}

/* How many are no more than a value; every value has one bucket, and the largest is in the last. */
static void test_histogram_counts_up_to(void **state)
{
    (void)state;
    static struct histogram histogram;
    uint64_t all = 0;
    assert_int_equal(server_histogram_upto(&histogram, UINT64_MAX), 0);
    for (uint64_t value = 1; value <= 1 << 20; value *= 2) {
        server_histogram_add(&histogram, value);
        all++;
        assert_int_equal(server_histogram_upto(&histogram, value), all);
        assert_int_equal(server_histogram_upto(&histogram, value - 1), all - 1);
        assert_int_equal(server_histogram_upto(&histogram, UINT64_MAX), all);
    }
    static struct histogram last;
    server_histogram_add(&last, ((uint64_t)1 << 40) - 1);
    server_histogram_add(&last, (uint64_t)1 << 40);
    server_histogram_add(&last, UINT64_MAX);
    assert_int_equal(last.counts[HISTOGRAM_POWERS * HISTOGRAM_STEPS - 1], 3);
    assert_int_equal(last.total, 3);
}

static void test_histogram_percentiles(void **state)
{
    (void)state;
    static struct histogram histogram;
    assert_int_equal(server_histogram_percentile(&histogram, 50), 0);
    for (uint64_t i = 1; i <= 60; i++)
        server_histogram_add(&histogram, i);
    assert_int_equal(server_histogram_percentile(&histogram, 0), 1);
    assert_int_equal(server_histogram_percentile(&histogram, 50), 30);
    assert_int_equal(server_histogram_percentile(&histogram, 90), 54);
    assert_int_equal(server_histogram_percentile(&histogram, 100), 60);
}

/* What the counter says is what the clock says. */
static void test_ticks(void **state)
{
    (void)state;
    struct ticks ticks;
    server_ticks_start(&ticks);
    uint64_t begun = server_ticks_now(&ticks);
    int64_t begun_ns = server_ticks_clock_ns();
    while (server_ticks_clock_ns() - begun_ns < 20000000)
        ;
    double took_ns = (double)server_ticks_since(&ticks, begun) * server_ticks_ns(&ticks);
    assert_true(took_ns > 19e6);
    assert_true(took_ns < 1.1 * (double)(server_ticks_clock_ns() - begun_ns) + 1e6);
    assert_int_equal(server_ticks_since(&ticks, UINT64_MAX), 0);
}

struct seen {
    uint32_t commands, errors;
    struct server_command_stats last;
    char name[64];
    uint64_t count;
};

static void see_command(void *context, const struct server_command_stats *command)
{
    struct seen *seen = context;
    seen->commands++;
    seen->last = *command;
}

static void see_error(void *context, const char *name, uint64_t count)
{
    struct seen *seen = context;
    seen->errors++;
    strcpy(seen->name, name);
    seen->count = count;
}

static void see_first_error(void *context, const char *name, uint64_t count)
{
    struct seen *seen = context;
    if (seen->errors == 0)
        see_error(context, name, count);
}

static void run(struct command_observer *observer, const struct command *command, bool failed)
{
    uint64_t took = 0;
    struct call call = {.command = command};
    observer->begin(observer);
    observer->end(observer, &call, &took, false, false);
    observer->begin(observer);
    observer->end(observer, &call, &took, true, failed);
}

static void test_command_stats(void **state)
{
    (void)state;
    struct config config = {.latency_tracking = true, .latency_percentiles = (char[]){"50 99.9"}};
    struct command_stats *stats = server_command_stats_new(&config);
    struct command_observer *observer = server_command_stats_observer(stats);
    const struct command *get = command_lookup(bytes_from_string("get"));
    struct seen seen = {0};
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.commands, 0);
    run(observer, get, false);
    run(observer, get, true);
    observer->rejected(observer, get);
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.commands, 1);
    assert_string_equal(seen.last.name, "get");
    assert_int_equal(seen.last.calls, 2); /* not its slices */
    assert_int_equal(seen.last.failed, 1);
    assert_int_equal(seen.last.rejected, 1);
    assert_int_equal(seen.last.percentiles_count, 2);
    assert_true(seen.last.percentiles[1].percent == 99.9);

    config.latency_tracking = false;
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.last.percentiles_count, 0);
    observer->keyspace_hits = 3;
    observer->keyspace_misses = 4;
    server_command_stats_reset(stats);
    assert_int_equal(observer->keyspace_hits, 0);
    assert_int_equal(observer->keyspace_misses, 0);
    seen = (struct seen){0};
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.commands, 0);
    server_command_stats_free(stats);
}

static void name_client(void *context, uint64_t id, struct slowlog_client *client)
{
    assert_int_equal(id, 7);
    client->address = context;
}

/* Takes so many microseconds, in two slices; returns how many it took. */
static int64_t run_long(struct command_observer *observer, const char *line, uint64_t client,
                        int us)
{
    struct bytes argv[2] = {bytes_from_string(line), bytes_from_string("k")};
    struct call call = {
        .command = command_lookup(argv[0]), .argv = argv, .argc = 2, .client = client};
    uint64_t took = 0;
    int64_t all_ns = server_ticks_clock_ns();
    for (int slice = 0; slice < 2; slice++) {
        int64_t begun_ns = server_ticks_clock_ns();
        observer->begin(observer);
        while (server_ticks_clock_ns() - begun_ns < us * 500)
            ;
        observer->end(observer, &call, &took, slice == 1, false);
    }
    return (server_ticks_clock_ns() - all_ns) / 1000;
}

static void test_what_took_long(void **state)
{
    (void)state;
    struct config config = {.latency_tracking = true,
                            .latency_percentiles = (char[]){""},
                            .slowlog_slower_than = 15000,
                            .slowlog_max_len = 8,
                            .latency_threshold = 20};
    struct command_stats *stats = server_command_stats_new(&config);
    struct command_observer *observer = server_command_stats_observer(stats);
    struct slowlog *slowlog = server_command_stats_slowlog(stats);
    struct latency *latency = server_command_stats_latency(stats);
    server_command_stats_names(stats, name_client, (char[]){"1.2.3.4:5"});
    run_long(observer, "get", 7, 10);
    assert_int_equal(slowlog->count, 0);
    int64_t took_us = run_long(observer, "get", 7, 16000);  /* both slices together */
    int64_t exec_us = run_long(observer, "exec", 7, 16000); /* CMD_SKIP_SLOWLOG */
    assert_int_equal(slowlog->count, 1);
    assert_in_range(slowlog->newest->took_us, 15900, took_us + took_us / 50 + 100);
    assert_string_equal(slowlog->newest->address, "1.2.3.4:5");
    took_us = run_long(observer, "keys", 0, 21000); /* of another node's client */
    assert_int_equal(slowlog->count, 2);
    assert_string_equal(slowlog->newest->address, "?:0");
    assert_in_range(slowlog->newest->took_us, 20900, took_us + took_us / 50 + 100);
    int64_t longest_us = exec_us > took_us ? exec_us : took_us;
    assert_in_range(latency->events[LATENCY_COMMAND].max_ms, 20, longest_us / 1000 + 5);
    config.slowlog_slower_than = 0; /* at once */
    run_long(observer, "get", 7, 0);
    assert_int_equal(slowlog->count, 3);
    config.slowlog_slower_than = -1;
    config.latency_threshold = 0;
    run_long(observer, "set", 7, 22000);
    assert_int_equal(slowlog->count, 3);
    command_latency_forget(&latency->events[LATENCY_FAST_COMMAND]);
    config.latency_threshold = 5; /* it alone, at once */
    run_long(observer, "get", 7, 6000);
    assert_true(latency->events[LATENCY_FAST_COMMAND].max_ms >= 5);
    command_latency_forget(&latency->events[LATENCY_FAST_COMMAND]);
    config.latency_threshold = 0;
    run_long(observer, "get", 7, 6000);
    assert_int_equal(latency->events[LATENCY_FAST_COMMAND].max_ms, 0);

    struct seen seen = {0};
    server_command_stats_each(stats, see_command, &seen); /* the last: keys, or exec */
    assert_int_equal(seen.last.buckets_count, 1);
    assert_int_equal(seen.last.buckets[0].calls, 1);
    assert_in_range(seen.last.buckets[0].us, 16511, 2000000);
    server_command_stats_free(stats);
}

/* What is shown of time is the time of all executions, and of each kind of them its own. */
static void test_shown_time_is_what_it_took(void **state)
{
    (void)state;
    struct config config = {.latency_tracking = true,
                            .latency_percentiles = (char[]){"50 100"},
                            .slowlog_slower_than = -1,
                            .latency_threshold = 20};
    struct command_stats *stats = server_command_stats_new(&config);
    struct command_observer *observer = server_command_stats_observer(stats);
    const struct latency *latency = server_command_stats_latency(stats);
    struct seen seen = {0};
    run_long(observer, "get", 0, 1000); /* until then nobody knows what a tick is */
    server_command_stats_reset(stats);
    uint64_t before_us = server_command_stats_total_us(stats);
    int64_t short_us = run_long(observer, "get", 0, 200);
    int64_t long_us = run_long(observer, "get", 0, 21000);
    int64_t least_us = short_us < long_us ? short_us : long_us;
    int64_t all_us = short_us + long_us;
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.commands, 1);
    assert_int_equal(seen.last.calls, 2);
    assert_in_range(seen.last.us, 21000, all_us + all_us / 50 + 10);
    assert_in_range(server_command_stats_total_us(stats) - before_us, 21000,
                    all_us + all_us / 50 + 10);
    assert_in_range(seen.last.percentiles[0].us, 190, least_us + least_us / 20 + 10);
    assert_in_range(seen.last.percentiles[1].us, 20500, all_us + all_us / 20);
    assert_int_equal(seen.last.buckets[seen.last.buckets_count - 1].calls, 2);
    assert_true(seen.last.buckets[seen.last.buckets_count - 1].us > 20000);
    if (short_us < 10000) { /* nothing came between */
        assert_int_equal(seen.last.buckets_count, 2);
        assert_int_equal(seen.last.buckets[0].calls, 1);
        assert_in_range(seen.last.buckets[0].us, 190, 16600);
    }
    assert_int_equal(latency->events[LATENCY_COMMAND].max_ms, 0);
    assert_in_range(latency->events[LATENCY_FAST_COMMAND].max_ms, 20, all_us / 1000);
    server_command_stats_free(stats);
}

/* What a member makes for itself has the name of what the client called, or none. */
static void test_internal_commands_are_those_that_were_called(void **state)
{
    static const char *const names[] = {"raft.exec", "raft.wait", "raft.position", "raft.compare"};
    (void)state;
    struct config config = {.latency_percentiles = (char[]){""}, .slowlog_slower_than = -1};
    struct command_stats *stats = server_command_stats_new(&config);
    struct command_observer *observer = server_command_stats_observer(stats);
    struct seen seen = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct command *command = command_lookup(bytes_from_string(names[i]));
        assert_non_null(command);
        run(observer, command, false);
    }
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.commands, 2);
    assert_true(strcmp(seen.last.name, "exec") == 0 || strcmp(seen.last.name, "wait") == 0);
    assert_int_equal(seen.last.calls, 1);
    assert_int_equal(seen.last.buckets_count, 0); /* without latency-tracking */
    server_command_stats_free(stats);
}

/* Nobody knows how long those took. */
static void test_what_was_executed_before_is_counted(void **state)
{
    (void)state;
    struct config config = {.latency_tracking = true, .latency_percentiles = (char[]){"50"}};
    struct command_stats *stats = server_command_stats_new(&config);
    struct command_observer *observer = server_command_stats_observer(stats);
    struct seen seen = {0};
    observer->carried(observer, command_lookup(bytes_from_string("set")), 5, 2);
    server_command_stats_each(stats, see_command, &seen);
    assert_int_equal(seen.commands, 1);
    assert_string_equal(seen.last.name, "set");
    assert_int_equal(seen.last.calls, 5);
    assert_int_equal(seen.last.failed, 2);
    assert_int_equal(seen.last.us, 0);
    assert_int_equal(seen.last.buckets_count, 0);
    server_command_stats_free(stats);
}

static void test_error_stats(void **state)
{
    (void)state;
    struct config config = {.latency_percentiles = (char[]){""}};
    struct command_stats *stats = server_command_stats_new(&config);
    struct command_observer *observer = server_command_stats_observer(stats);
    struct seen seen = {0};
    observer->answered_error(observer, bytes_from_string("-ERRX\r\n"));
    observer->answered_error(observer, bytes_from_string("-ERR a\r\n"));
    observer->answered_error(observer, bytes_from_string("-ERR b\r\n"));
    server_command_stats_errors(stats, see_error, &seen);
    assert_int_equal(seen.errors, 2);
    assert_string_equal(seen.name, "ERR");
    assert_int_equal(seen.count, 2);
    /* Nobody fills memory with kinds of errors. */
    for (int i = 0; i < 1000; i++) {
        char text[64];
        snprintf(text, sizeof text, "-E%dxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y\r\n", i);
        observer->answered_error(observer, bytes_from_string(text));
    }
    seen = (struct seen){0};
    server_command_stats_errors(stats, see_error, &seen);
    assert_int_equal(seen.errors, 128);
    assert_int_equal(strlen(seen.name), 31); /* as much of it as is kept */
    assert_int_equal(seen.count, 1);
    observer->answered_error(observer, bytes_from_string("-ERR\r\n"));
    observer->answered_error(observer, bytes_from_string("-ERRX\r\n")); /* those that are known */
    observer->answered_error(observer, bytes_from_string("-NEW x\r\n"));
    struct seen first = {0};
    server_command_stats_errors(stats, see_first_error, &first);
    assert_string_equal(first.name, "ERRX");
    assert_int_equal(first.count, 2);
    server_command_stats_reset(stats);
    seen = (struct seen){0};
    server_command_stats_errors(stats, see_error, &seen);
    assert_int_equal(seen.errors, 0);
    server_command_stats_free(stats);
}

/* As others read it from the file. */
static void test_build_id_is_that_of_the_program(void **state)
{
    char command[64], line[256], wanted[17];
    bool is_found = false;
    (void)state;
    snprintf(wanted, sizeof wanted, "%016llx", (unsigned long long)server_build_id());
    snprintf(command, sizeof command, "readelf -n /proc/%d/exe", (int)getpid());
    FILE *notes = popen(command, "r");
    assert_non_null(notes);
    while (fgets(line, sizeof line, notes)) {
        const char *id = strstr(line, "Build ID: ");
        is_found |= id && strncmp(id + strlen("Build ID: "), wanted, strlen(wanted)) == 0;
    }
    assert_int_equal(pclose(notes), 0);
    assert_true(is_found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_is_close),
        cmocka_unit_test(test_histogram_counts_up_to),
        cmocka_unit_test(test_histogram_percentiles),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_command_stats),
        cmocka_unit_test(test_what_took_long),
        cmocka_unit_test(test_shown_time_is_what_it_took),
        cmocka_unit_test(test_internal_commands_are_those_that_were_called),
        cmocka_unit_test(test_what_was_executed_before_is_counted),
        cmocka_unit_test(test_error_stats),
        cmocka_unit_test(test_build_id_is_that_of_the_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
