/* See command_stats.h. */
#include "server/command_stats.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "server/histogram.h"
#include "server/ticks.h"

/* Redis gives up at so many kinds of errors, too: a script can make any. */
enum { ERRORS_MAX = 128, ERROR_NAME_MAX = 32 };

struct row {
    uint64_t calls, rejected, failed;
    uint64_t ticks;            /* of all executions */
    struct histogram *latency; /* owned; NULL: never executed */
};

struct error {
    char name[ERROR_NAME_MAX];
    uint64_t count;
};

/* What took long is told apart by ticks; how many they are is found out now and then. */
enum { THRESHOLDS_FRESH = 4096 };

struct thresholds {
    uint64_t slow, spike;             /* ticks; UINT64_MAX: never */
    int64_t slower_than_us, spike_ms; /* of the configuration, as they were then */
    uint32_t left;                    /* executions until they are found out anew */
};

struct command_stats {
    struct command_observer observer; /* first */
    const struct config *config;
    const struct command *table;
    struct row *rows; /* as the table's */
    uint32_t rows_count;
    struct error errors[ERRORS_MAX];
    uint32_t errors_count;
    struct ticks ticks;
    uint64_t began, total; /* ticks */
    struct thresholds thresholds;
    struct slowlog slowlog;
    struct latency latency;
    server_client_names_fn *names; /* NULL: clients have none */
    void *names_context;
};

static struct command_stats *stats_of(struct command_observer *observer)
{
    return (struct command_stats *)observer;
}

static void begin(struct command_observer *observer)
{
    struct command_stats *stats = stats_of(observer);
    stats->began = server_ticks_now(&stats->ticks);
}

/* ---- what took long -------------------------------------------------------------- */

static uint64_t ticks_of(const struct command_stats *stats, int64_t us)
{
    double ticks = (double)us * 1000 / server_ticks_ns(&stats->ticks);
    return ticks < 9e18 ? (uint64_t)ticks : UINT64_MAX;
}

static void find_thresholds(struct command_stats *stats)
{
    const struct config *config = stats->config;
    struct thresholds *thresholds = &stats->thresholds;
    thresholds->left = THRESHOLDS_FRESH;
    thresholds->slower_than_us = config->slowlog_slower_than;
    thresholds->spike_ms = config->latency_threshold;
    thresholds->slow =
        config->slowlog_slower_than < 0 ? UINT64_MAX : ticks_of(stats, config->slowlog_slower_than);
    bool has_spikes = config->latency_threshold > 0 && config->latency_threshold < INT64_MAX / 1000;
    thresholds->spike = has_spikes ? ticks_of(stats, config->latency_threshold * 1000) : UINT64_MAX;
}

static void note_long(struct command_stats *stats, const struct call *call, uint64_t took)
{
    int64_t took_us = (int64_t)((double)took * server_ticks_ns(&stats->ticks) / 1000);
    int64_t now_s = (int64_t)time(NULL);
    if (took >= stats->thresholds.spike) {
        bool is_fast = call->command->flags & CMD_FAST;
        command_latency_add(&stats->latency, is_fast ? LATENCY_FAST_COMMAND : LATENCY_COMMAND,
                            now_s, took_us / 1000);
    }
    if (took < stats->thresholds.slow || call->command->flags & CMD_SKIP_SLOWLOG)
        return;
    struct slowlog_client client = {.address = "?:0"};
    if (stats->names && call->client)
        stats->names(stats->names_context, call->client, &client);
    command_slowlog_add(&stats->slowlog, call, &client, took_us, now_s,
                        (uint64_t)stats->config->slowlog_max_len);
}

/* ---- what is counted -------------------------------------------------------------- */

static void finish(struct command_stats *stats, struct row *row, uint64_t took, bool failed)
{
    row->calls++;
    row->failed += failed;
    row->ticks += took;
    if (!stats->config->latency_tracking)
        return;
    if (!row->latency)
        row->latency = memory_new(sizeof *row->latency);
    server_histogram_add(row->latency, took);
}

/* What members make for themselves is counted as what the client called; NULL: as nothing. */
static struct row *row_of(struct command_stats *stats, const struct command *command)
{
    if (command->flags & CMD_INTERNAL) {
        const char *behind_prefix = strchr(command->name, '.');
        command = behind_prefix ? command_lookup(bytes_from_string(behind_prefix + 1)) : NULL;
    }
    return command ? &stats->rows[command - stats->table] : NULL;
}

static void end(struct command_observer *observer, const struct call *call, uint64_t *took,
                bool finished, bool failed)
{
    struct command_stats *stats = stats_of(observer);
    uint64_t slice = server_ticks_since(&stats->ticks, stats->began);
    *took += slice;
    stats->total += slice;
    struct row *row = finished ? row_of(stats, call->command) : NULL;
    if (!row)
        return;
    finish(stats, row, *took, failed);
    struct thresholds *thresholds = &stats->thresholds;
    if (--thresholds->left == 0 ||
        thresholds->slower_than_us != stats->config->slowlog_slower_than ||
        thresholds->spike_ms != stats->config->latency_threshold)
        find_thresholds(stats);
    if (*took >= thresholds->slow || *took >= thresholds->spike)
        note_long(stats, call, *took);
}

static void carried(struct command_observer *observer, const struct command *command,
                    uint64_t calls, uint64_t failed)
{
    struct row *row = row_of(stats_of(observer), command);
    if (!row)
        return;
    row->calls += calls;
    row->failed += failed;
}

static void rejected(struct command_observer *observer, const struct command *command)
{
    struct command_stats *stats = stats_of(observer);
    stats->rows[command - stats->table].rejected++;
}

/* "-NAME text": what stands before the first blank is the kind of error. */
static void answered_error(struct command_observer *observer, struct bytes reply)
{
    struct command_stats *stats = stats_of(observer);
    const char *text = (const char *)reply.data + 1;
    size_t size = 0;
    while (size + 1 < reply.size && size < ERROR_NAME_MAX - 1 && text[size] > ' ')
        size++;
    for (uint32_t i = 0; i < stats->errors_count; i++) {
        struct error *error = &stats->errors[i];
        if (strncmp(error->name, text, size) == 0 && error->name[size] == '\0') {
            error->count++;
            return;
        }
    }
    if (stats->errors_count == ERRORS_MAX)
        return;
    struct error *error = &stats->errors[stats->errors_count++];
    memcpy(error->name, text, size);
    error->name[size] = '\0';
    error->count = 1;
}

struct command_stats *server_command_stats_new(const struct config *config)
{
    struct command_stats *stats = memory_new(sizeof *stats);
    stats->observer = (struct command_observer){.begin = begin,
                                                .end = end,
                                                .carried = carried,
                                                .rejected = rejected,
                                                .answered_error = answered_error};
    stats->config = config;
    server_ticks_start(&stats->ticks);
    stats->table = command_table(&stats->rows_count, NULL);
    stats->rows = memory_new(stats->rows_count * sizeof *stats->rows);
    command_latency_init(&stats->latency);
    stats->thresholds.left = 1; /* at the first: so early nobody knows what a tick is */
    return stats;
}

void server_command_stats_free(struct command_stats *stats)
{
    for (uint32_t i = 0; i < stats->rows_count; i++)
        memory_free(stats->rows[i].latency);
    command_slowlog_clear(&stats->slowlog);
    memory_free(stats->rows);
    memory_free(stats);
}

struct command_observer *server_command_stats_observer(struct command_stats *stats)
{
    return &stats->observer;
}

void server_command_stats_names(struct command_stats *stats, server_client_names_fn *names,
                                void *context)
{
    stats->names = names;
    stats->names_context = context;
}

struct slowlog *server_command_stats_slowlog(struct command_stats *stats)
{
    return &stats->slowlog;
}

struct latency *server_command_stats_latency(struct command_stats *stats)
{
    return &stats->latency;
}

void server_command_stats_reset(struct command_stats *stats)
{
    for (uint32_t i = 0; i < stats->rows_count; i++) {
        memory_free(stats->rows[i].latency);
        stats->rows[i] = (struct row){0};
    }
    stats->errors_count = 0;
    stats->observer.keyspace_hits = stats->observer.keyspace_misses = 0;
}

uint64_t server_command_stats_total_us(const struct command_stats *stats)
{
    return (uint64_t)((double)stats->total * server_ticks_ns(&stats->ticks) / 1000);
}

static void fill_percentiles(const struct command_stats *stats, const struct row *row,
                             double tick_us, struct server_command_stats *command)
{
    const char *text = stats->config->latency_percentiles;
    if (!row->latency || !stats->config->latency_tracking)
        return;
    while (*text && command->percentiles_count < SERVER_PERCENTILES_MAX) {
        char *behind;
        double percent = strtod(text, &behind);
        if (behind == text)
            return;
        command->percentiles[command->percentiles_count].percent = percent;
        command->percentiles[command->percentiles_count++].us =
            (double)server_histogram_percentile(row->latency, percent) * tick_us;
        text = behind;
    }
}

/* Redis's buckets: powers of two from 1.024 us on, shown as its histograms round them. */
static void fill_buckets(const struct row *row, double tick_us,
                         struct server_command_stats *command)
{
    uint64_t before = 0;
    if (!row->latency)
        return;
    for (uint32_t i = 0; i < SERVER_BUCKETS_MAX && before < row->latency->total; i++) {
        uint64_t ns = (uint64_t)1024 << i;
        bool is_last = i + 1 == SERVER_BUCKETS_MAX;
        uint64_t calls =
            is_last ? row->latency->total
                    : server_histogram_upto(row->latency, (uint64_t)((double)ns / 1000 / tick_us));
        if (calls == before)
            continue;
        command->buckets[command->buckets_count].us = (ns + (ns >> 7) - 1) / 1000;
        command->buckets[command->buckets_count++].calls = calls;
        before = calls;
    }
}

void server_command_stats_each(const struct command_stats *stats, server_command_fn *each,
                               void *context)
{
    double tick_us = server_ticks_ns(&stats->ticks) / 1000;
    for (uint32_t i = 0; i < stats->rows_count; i++) {
        const struct row *row = &stats->rows[i];
        if (row->calls + row->rejected == 0)
            continue;
        struct server_command_stats command = {.name = stats->table[i].name,
                                               .calls = row->calls,
                                               .us = (uint64_t)((double)row->ticks * tick_us),
                                               .rejected = row->rejected,
                                               .failed = row->failed};
        fill_percentiles(stats, row, tick_us, &command);
        fill_buckets(row, tick_us, &command);
        each(context, &command);
    }
}

void server_command_stats_errors(const struct command_stats *stats, server_error_fn *each,
                                 void *context)
{
    for (uint32_t i = 0; i < stats->errors_count; i++)
        each(context, stats->errors[i].name, stats->errors[i].count);
}
