/* LATENCY GRAPH and DOCTOR: the samples of an event as a picture, and all events in words.  Local,
 * loop thread only. */
#include <inttypes.h>
#include <stdio.h>

#include "base/fatal.h"
#include "command/commands.h"
#include "command/latency.h"
#include "command/server.h"

/* ---- GRAPH ---------------------------------------------------------------------- */

/* NULL: answered. */
static const struct latency_event *find(struct call *call)
{
    const struct latency_event *event = command_latency_find(call->server->latency, call->argv[2]);
    if (!event)
        reply_error(call->reply, "ERR No samples available for event '%.*s'",
                    call_printed_size(call->argv[2]), (const char *)call->argv[2].data);
    return event;
}

/* A column a sample, four rows, the age below: what is highest is a '#' on top of '|'s. */
enum { ROWS = 4, AGE_ROWS = 4 };

struct column {
    unsigned height; /* 0 .. ROWS - 1, in thirds of a row below: see mark_of() */
    char age[AGE_ROWS + 1];
};

static void print_age(char age[AGE_ROWS + 1], int64_t passed_s)
{
    char text[32];
    if (passed_s < 60)
        snprintf(text, sizeof text, "%" PRId64 "s", passed_s);
    else if (passed_s < 3600)
        snprintf(text, sizeof text, "%" PRId64 "m", passed_s / 60);
    else if (passed_s < 24 * 3600)
        snprintf(text, sizeof text, "%" PRId64 "h", passed_s / 3600);
    else
        snprintf(text, sizeof text, "%" PRId64 "d", passed_s / (24 * 3600));
    snprintf(age, AGE_ROWS + 1, "%.*s", AGE_ROWS, text);
}

/* "_" at the bottom of a row, "o" in its middle, "#" at its top; "|" below those. */
static char mark_of(const struct column *column, unsigned row)
{
    static const char marks[] = "_o#";
    unsigned top = column->height / 3;
    if (row == top)
        return marks[column->height % 3];
    return row < top ? '|' : ' ';
}

static uint32_t collect(const struct latency_event *event, int64_t now_s,
                        struct column columns[LATENCY_SAMPLES], uint32_t *low, uint32_t *high)
{
    const struct latency_sample *sample;
    uint32_t count = 0;
    *low = UINT32_MAX, *high = 0;
    for (; (sample = command_latency_sample(event, count)); count++) {
        *low = sample->ms < *low ? sample->ms : *low;
        *high = sample->ms > *high ? sample->ms : *high;
    }
    for (uint32_t i = 0; i < count; i++) {
        sample = command_latency_sample(event, i);
        uint64_t range = *high > *low ? *high - *low : 1;
        columns[i].height = (unsigned)((sample->ms - *low) * (uint64_t)(ROWS * 3 - 1) / range);
        print_age(columns[i].age, now_s > sample->at_s ? now_s - sample->at_s : 0);
    }
    return count;
}

static void draw(struct buffer *out, const struct column *columns, uint32_t count)
{
    for (unsigned row = ROWS; row-- > 0;) {
        for (uint32_t i = 0; i < count; i++)
            buffer_append_byte(out, mark_of(&columns[i], row));
        buffer_append_byte(out, '\n');
    }
    buffer_append_byte(out, '\n');
    for (unsigned row = 0; row < AGE_ROWS; row++) {
        bool is_empty = true;
        for (uint32_t i = 0; i < count; i++) {
            bool has = row < strlen(columns[i].age);
            buffer_append_byte(out, has ? columns[i].age[row] : ' ');
            is_empty &= !has;
        }
        buffer_append_byte(out, '\n');
        if (is_empty)
            break;
    }
}

void cmd_latency_graph(struct call *call)
{
    struct column columns[LATENCY_SAMPLES] = {0};
    struct buffer text = {0};
    uint32_t low, high;
    const struct latency_event *event = find(call);
    if (!event)
        return;
    uint32_t count = collect(event, call->now_ms / 1000, columns, &low, &high);
    buffer_printf(&text,
                  "%s - high %" PRIu32 " ms, low %" PRIu32 " ms (all time high %" PRIu32 " ms)\n",
                  event->name, high, low, event->max_ms);
    for (unsigned i = 0; i < 80; i++)
        buffer_append_byte(&text, '-');
    buffer_append_byte(&text, '\n');
    draw(&text, columns, count);
    reply_verbatim(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
}

/* ---- DOCTOR --------------------------------------------------------------------- */

static void diagnose(struct buffer *out, const struct latency_event *event)
{
    const struct latency_sample *sample;
    uint64_t sum = 0, distance = 0;
    uint32_t count = 0;
    for (; (sample = command_latency_sample(event, count)); count++)
        sum += sample->ms;
    check(count > 0);
    uint64_t mean = sum / count;
    for (uint32_t i = 0; i < count; i++) {
        sample = command_latency_sample(event, i);
        distance += sample->ms > mean ? sample->ms - mean : mean - sample->ms;
    }
    int64_t first_s = command_latency_sample(event, 0)->at_s;
    int64_t last_s = command_latency_sample(event, count - 1)->at_s;
    buffer_printf(out,
                  "%s: %" PRIu32 " latency spikes (average %" PRIu64 "ms, mean deviation %" PRIu64
                  "ms, period %.2f sec). Worst all time event %" PRIu32 "ms.\n",
                  event->name, count, mean, distance / count,
                  count > 1 ? (double)(last_s - first_s) / (count - 1) : 0.0, event->max_ms);
}

static bool advise(struct call *call, struct buffer *out)
{
    static const char *const advice[LATENCY_KINDS] = {
        "SLOWLOG GET shows which commands took long; a command of O(N) takes its N.",
        "A command that is always short took long: is the processor shared, or memory swapped "
        "out?"};
    struct latency *latency = call->server->latency;
    bool is_any = false;
    for (unsigned i = 0; i < LATENCY_KINDS; i++) {
        if (latency->events[i].max_ms == 0)
            continue;
        buffer_printf(out, "- ");
        diagnose(out, &latency->events[i]);
        buffer_printf(out, "  %s\n", advice[i]);
        is_any = true;
    }
    return is_any;
}

void cmd_latency_doctor(struct call *call)
{
    struct buffer text = {0};
    if (!advise(call, &text))
        buffer_printf(&text,
                      "No spike was seen. Only what takes latency-monitor-threshold milliseconds "
                      "is noted, and nothing while that is 0: CONFIG GET latency-monitor-threshold "
                      "shows it.\n");
    reply_verbatim(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
}
