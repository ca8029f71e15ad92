/* LATENCY: spikes by event, and how long the executions of each command took (Redis 7.2
 * latency.c).  Local, loop thread only. */
#include "command/commands.h"
#include "command/latency.h"
#include "command/server.h"

static struct latency *latency_of(struct call *call)
{
    return call->server->latency;
}

void cmd_latency_latest(struct call *call)
{
    const struct latency *latency = latency_of(call);
    uint64_t count = 0;
    for (unsigned i = 0; i < LATENCY_KINDS; i++)
        count += latency->events[i].max_ms > 0;
    reply_array(call->reply, count);
    for (unsigned i = 0; i < LATENCY_KINDS; i++) {
        const struct latency_event *event = &latency->events[i];
        if (event->max_ms == 0)
            continue;
        const struct latency_sample *last =
            &event->samples[(event->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
        reply_array(call->reply, 4);
        reply_bulk_string(call->reply, event->name);
        reply_integer(call->reply, last->at_s);
        reply_integer(call->reply, last->ms);
        reply_integer(call->reply, event->max_ms);
    }
}

void cmd_latency_history(struct call *call)
{
    const struct latency_event *event = command_latency_find(latency_of(call), call->argv[2]);
    const struct latency_sample *sample;
    uint32_t count = 0;
    while (event && command_latency_sample(event, count))
        count++;
    reply_array(call->reply, count);
    for (uint32_t i = 0; event && (sample = command_latency_sample(event, i)); i++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, sample->at_s);
        reply_integer(call->reply, sample->ms);
    }
}

void cmd_latency_reset(struct call *call)
{
    int64_t forgotten = 0;
    if (call->argc == 2) {
        for (unsigned i = 0; i < LATENCY_KINDS; i++) {
            struct latency_event *event = &latency_of(call)->events[i];
            forgotten += event->max_ms > 0;
            command_latency_forget(event);
        }
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        struct latency_event *event = command_latency_find(latency_of(call), call->argv[i]);
        forgotten += event != NULL;
        if (event)
            command_latency_forget(event);
    }
    reply_integer(call->reply, forgotten);
}

/* ---- HISTOGRAM ------------------------------------------------------------------ */

struct histograms {
    struct call *call;
    struct reply reply; /* of what stands behind the map's size */
    uint64_t count;
    struct bytes wanted; /* the name of a command or of a container; data NULL: any */
};

static bool is_wanted(struct bytes wanted, const char *name)
{
    size_t size = strcspn(name, "|");
    return !wanted.data || bytes_is(wanted, name) ||
           (name[size] == '|' && wanted.size == size && strncasecmp(wanted.data, name, size) == 0);
}

static void show_histogram(void *context, const struct server_command_stats *command)
{
    struct histograms *histograms = context;
    struct reply *reply = &histograms->reply;
    if (command->buckets_count == 0 || !is_wanted(histograms->wanted, command->name))
        return;
    histograms->count++;
    reply_bulk_string(reply, command->name);
    reply_map(reply, 2);
    reply_bulk_string(reply, "calls");
    reply_integer(reply, (int64_t)command->buckets[command->buckets_count - 1].calls);
    reply_bulk_string(reply, "histogram_usec");
    reply_map(reply, command->buckets_count);
    for (uint32_t i = 0; i < command->buckets_count; i++) {
        reply_integer(reply, (int64_t)command->buckets[i].us);
        reply_integer(reply, (int64_t)command->buckets[i].calls);
    }
}

void cmd_latency_histogram(struct call *call)
{
    struct buffer text = {0};
    struct histograms histograms = {.call = call, .reply = {&text, call->reply->protocol}};
    if (call->argc == 2)
        call->server->ops->each_command(call->server, show_histogram, &histograms);
    for (uint32_t i = 2; i < call->argc; i++) {
        histograms.wanted = call->argv[i];
        call->server->ops->each_command(call->server, show_histogram, &histograms);
    }
    reply_map(call->reply, histograms.count);
    reply_raw(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
}

void cmd_latency_help(struct call *call)
{
    static const char histogram_help[] = "    Return a cumulative distribution of latencies in the "
                                         "format of a histogram for the specified command names.";
    static const char *const lines[] = {
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        histogram_help,
        "    If no commands are specified then all histograms are replied.",
        NULL};
    call_reply_help(call, lines);
}
