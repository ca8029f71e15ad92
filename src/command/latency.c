/* See latency.h.  Loop thread only. */
#include "command/latency.h"

#include "base/fatal.h"

void command_latency_init(struct latency *latency)
{
    static const char *const names[LATENCY_KINDS] = {"command", "fast-command"};
    *latency = (struct latency){0};
    for (unsigned i = 0; i < LATENCY_KINDS; i++)
        latency->events[i].name = names[i];
}

void command_latency_add(struct latency *latency, enum latency_kind kind, int64_t at_s, int64_t ms)
{
    check(kind < LATENCY_KINDS);
    struct latency_event *event = &latency->events[kind];
    struct latency_sample *last =
        &event->samples[(event->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    uint32_t shown = ms < 1 ? 1 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    if (shown > event->max_ms)
        event->max_ms = shown;
    if (last->at_s == at_s) {
        if (shown > last->ms)
            last->ms = shown;
        return;
    }
    event->samples[event->next] = (struct latency_sample){at_s, shown};
    event->next = (event->next + 1) % LATENCY_SAMPLES;
}

struct latency_event *command_latency_find(struct latency *latency, struct bytes name)
{
    for (unsigned i = 0; i < LATENCY_KINDS; i++) {
        struct latency_event *event = &latency->events[i];
        if (event->max_ms > 0 && bytes_equal(name, bytes_from_string(event->name)))
            return event;
    }
    return NULL;
}

void command_latency_forget(struct latency_event *event)
{
    *event = (struct latency_event){.name = event->name};
}

const struct latency_sample *command_latency_sample(const struct latency_event *event, uint32_t i)
{
    /* The oldest stands where the next comes, or, before the ring was full once, first. */
    bool is_full = event->samples[event->next].at_s != 0;
    uint32_t count = is_full ? LATENCY_SAMPLES : event->next;
    uint32_t first = is_full ? event->next : 0;
    return i < count ? &event->samples[(first + i) % LATENCY_SAMPLES] : NULL;
}
