/* The search keeps a list of call and return events in time order.  It takes the first call whose
 * effect fits the reply, removes both its events and begins anew; at a return event of a call that
 * was not taken it has to go back.  A configuration (which operations are done, what the value is)
 * that was seen before is not entered again. */
#include "linear.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/fatal.h"
#include "base/memory.h"

/* ---- the value of one key --------------------------------------------------------- */

struct value { /* interned: equal values are the same pointer; absent is NULL */
    struct bytes bytes;
    UT_hash_handle hh;
};

struct values {
    struct value *table;
};

static const struct value *intern(struct values *values, struct bytes bytes)
{
    struct value *value;
    HASH_FIND(hh, values->table, bytes.data, bytes.size, value);
    if (value)
        return value;
    value = memory_new(sizeof *value);
    value->bytes = bytes_of(memory_copy(bytes.data, bytes.size), bytes.size);
    HASH_ADD_KEYPTR(hh, values->table, value->bytes.data, value->bytes.size, value);
    return value;
}

static void values_free(struct values *values)
{
    struct value *value, *next;
    HASH_ITER(hh, values->table, value, next)
    {
        HASH_DEL(values->table, value);
        memory_free((void *)(uintptr_t)value->bytes.data);
        memory_free(value);
    }
}

static void reply_bulk_or_nil(struct buffer *reply, const struct value *value)
{
    if (!value) {
        buffer_printf(reply, "$-1\r\n");
        return;
    }
    buffer_printf(reply, "$%zu\r\n", value->bytes.size);
    buffer_append_bytes(reply, value->bytes);
    buffer_printf(reply, "\r\n");
}

static const struct value *increment(struct values *values, const struct value *value,
                                     struct buffer *reply)
{
    char text[32] = "0", *end;
    if (value && (value->bytes.size == 0 || value->bytes.size >= sizeof text)) {
        buffer_printf(reply, "-ERR value is not an integer or out of range\r\n");
        return value;
    }
    if (value) {
        memcpy(text, value->bytes.data, value->bytes.size);
        text[value->bytes.size] = '\0';
    }
    long long number = strtoll(text, &end, 10);
    if (*end) {
        buffer_printf(reply, "-ERR value is not an integer or out of range\r\n");
        return value;
    }
    int size = snprintf(text, sizeof text, "%lld", number + 1);
    buffer_printf(reply, ":%lld\r\n", number + 1);
    return intern(values, bytes_of(text, (size_t)size));
}

/* What the operation makes of the value, and the reply that it then has. */
static const struct value *execute(struct values *values, const struct linear_op *op,
                                   const struct value *value, struct buffer *reply)
{
    struct bytes name = op->argv[0];
    buffer_clear(reply);
    if (bytes_is(name, "GET")) {
        reply_bulk_or_nil(reply, value);
        return value;
    }
    if (bytes_is(name, "SET")) {
        buffer_printf(reply, "+OK\r\n");
        return intern(values, op->argv[1]);
    }
    if (bytes_is(name, "SETNX")) {
        buffer_printf(reply, value ? ":0\r\n" : ":1\r\n");
        return value ? value : intern(values, op->argv[1]);
    }
    if (bytes_is(name, "DEL")) {
        buffer_printf(reply, value ? ":1\r\n" : ":0\r\n");
        return NULL;
    }
    if (bytes_is(name, "CAS") || bytes_is(name, "CAD")) {
        bool equal = value && bytes_equal(value->bytes, op->argv[1]);
        buffer_printf(reply, !value ? ":-1\r\n" : equal ? ":1\r\n" : ":0\r\n");
        if (!equal)
            return value;
        return bytes_is(name, "CAD") ? NULL : intern(values, op->argv[2]);
    }
    if (bytes_is(name, "APPEND")) {
        struct buffer joined = {0};
        if (value)
            buffer_append_bytes(&joined, value->bytes);
        buffer_append_bytes(&joined, op->argv[1]);
        buffer_printf(reply, ":%zu\r\n", joined.size);
        const struct value *result = intern(values, buffer_bytes(&joined));
        buffer_deinit(&joined);
        return result;
    }
    check(bytes_is(name, "INCR"));
    return increment(values, value, reply);
}

/* ---- events, in time order, as a doubly linked list ---------------------------------- */

struct event {
    int64_t time;
    uint32_t op;
    bool is_return;
    struct event *prev, *next;
    struct event *match; /* of a call: its return */
};

static int by_time(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    /* At the same instant calls come first: the operations overlap. */
    return (int)a->is_return - (int)b->is_return;
}

static void unlink_event(struct event *event)
{
    event->prev->next = event->next;
    if (event->next)
        event->next->prev = event->prev;
}

static void relink_event(struct event *event)
{
    event->prev->next = event;
    if (event->next)
        event->next->prev = event;
}

/* `events` has 2 * count + 1 places; [0] becomes the head. */
static void link_events(struct event *events, const struct linear_op *ops, uint32_t count)
{
    struct event **returns = memory_new(count * sizeof *returns);
    for (uint32_t i = 0; i < count; i++) {
        events[1 + 2 * i] = (struct event){.time = ops[i].called, .op = i};
        events[2 + 2 * i] = (struct event){.time = ops[i].returned, .op = i, .is_return = true};
    }
    qsort(events + 1, 2 * (size_t)count, sizeof *events, by_time);
    for (uint32_t i = 1; i <= 2 * count; i++) {
        events[i].prev = &events[i - 1];
        events[i].next = i < 2 * count ? &events[i + 1] : NULL;
        if (events[i].is_return)
            returns[events[i].op] = &events[i];
    }
    events[0].next = count > 0 ? &events[1] : NULL;
    for (uint32_t i = 1; i <= 2 * count; i++)
        if (!events[i].is_return)
            events[i].match = returns[events[i].op];
    memory_free(returns);
}

/* ---- the search --------------------------------------------------------------------------- */

struct seen { /* key: done bits followed by the value's address */
    UT_hash_handle hh;
    unsigned char key[];
};

struct taken {
    struct event *call;
    const struct value *before;
};

struct search {
    const struct linear_op *ops;
    uint32_t count;
    struct values values;
    struct seen *seen;
    unsigned char *key; /* the present configuration, as in struct seen */
    size_t key_size;
    struct taken *taken;
    uint32_t taken_count;
    uint32_t *best; /* the longest order found */
    uint32_t best_count;
};

static void mark(struct search *search, uint32_t op, bool done)
{
    unsigned char bit = (unsigned char)(1u << (op % 8));
    search->key[op / 8] =
        (unsigned char)(done ? search->key[op / 8] | bit : search->key[op / 8] & ~bit);
}

static void set_value(struct search *search, const struct value *value)
{
    memcpy(search->key + search->key_size - sizeof value, &value, sizeof value);
}

/* False: this configuration was here before. */
static bool enter(struct search *search)
{
    struct seen *seen;
    HASH_FIND(hh, search->seen, search->key, search->key_size, seen);
    if (seen)
        return false;
    seen = memory_new(sizeof *seen + search->key_size);
    memcpy(seen->key, search->key, search->key_size);
    HASH_ADD_KEYPTR(hh, search->seen, seen->key, search->key_size, seen);
    return true;
}

static void note_best(struct search *search)
{
    if (search->taken_count <= search->best_count)
        return;
    search->best_count = search->taken_count;
    for (uint32_t i = 0; i < search->taken_count; i++)
        search->best[i] = search->taken[i].call->op;
}

static enum linear_verdict run(struct search *search, struct event *head, uint64_t steps_max)
{
    struct buffer reply = {0};
    const struct value *value = NULL;
    struct event *at = head->next;
    enum linear_verdict verdict = LINEAR_YES;
    while (head->next) {
        if (steps_max-- == 0) {
            verdict = LINEAR_GAVE_UP;
            break;
        }
        if (!at->is_return) {
            const struct linear_op *op = &search->ops[at->op];
            const struct value *after = execute(&search->values, op, value, &reply);
            bool fits =
                op->returned == LINEAR_NEVER || bytes_equal(op->reply, buffer_bytes(&reply));
            if (fits) {
                mark(search, at->op, true);
                set_value(search, after);
                if (enter(search)) {
                    search->taken[search->taken_count++] = (struct taken){at, value};
                    note_best(search);
                    value = after;
                    unlink_event(at->match);
                    unlink_event(at);
                    at = head->next;
                    continue;
                }
                mark(search, at->op, false);
                set_value(search, value);
            }
            at = at->next;
        } else {
            if (search->taken_count == 0) {
                verdict = LINEAR_NO;
                break;
            }
            struct taken back = search->taken[--search->taken_count];
            value = back.before;
            mark(search, back.call->op, false);
            set_value(search, value);
            relink_event(back.call);
            relink_event(back.call->match);
            at = back.call->next;
        }
    }
    buffer_deinit(&reply);
    return verdict;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void print_text(struct buffer *out, struct bytes bytes)
{
    size_t shown = bytes.size < 40 ? bytes.size : 40;
    for (size_t i = 0; i < shown; i++) {
        char c = ((const char *)bytes.data)[i];
        if (c >= ' ' && c <= '~')
            buffer_append_byte(out, c);
        else if (c == '\n')
            buffer_append_byte(out, ' ');
    }
    if (shown < bytes.size)
        buffer_printf(out, "... (%zu bytes)", bytes.size);
}

static void print_op(struct buffer *out, const char *label, const struct linear_op *op)
{
    buffer_printf(out, "  %s [%" PRId64 " .. ", label, op->called);
    if (op->returned == LINEAR_NEVER)
        buffer_printf(out, "never] ");
    else
        buffer_printf(out, "%" PRId64 "] ", op->returned);
    buffer_printf(out, "client %u:", op->client);
    for (uint32_t i = 0; i < op->argc; i++) {
        buffer_append_byte(out, ' ');
        print_text(out, op->argv[i]);
    }
    buffer_printf(out, " -> ");
    if (op->returned == LINEAR_NEVER)
        buffer_printf(out, "?");
    else
        print_text(out, op->reply);
    buffer_append_byte(out, '\n');
}

enum { SHOWN_MAX = 12 };

static void report(const struct search *search, struct buffer *why)
{
    bool *done = memory_new(search->count * sizeof *done);
    int64_t first_left = INT64_MAX;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < search->best_count; i++)
        done[search->best[i]] = true;
    buffer_printf(why, "%u of %u operations can be put in order, ending with\n", search->best_count,
                  search->count);
    uint32_t from = search->best_count > SHOWN_MAX ? search->best_count - SHOWN_MAX : 0;
    for (uint32_t i = from; i < search->best_count; i++)
        print_op(why, "ordered", &search->ops[search->best[i]]);
    for (uint32_t i = 0; i < search->count; i++)
        if (!done[i] && search->ops[i].returned < first_left)
            first_left = search->ops[i].returned;
    buffer_printf(why, "but none of these can come next:\n");
    for (uint32_t i = 0; i < search->count && shown < SHOWN_MAX; i++) {
        if (done[i] || search->ops[i].called > first_left)
            continue;
        print_op(why, "stuck", &search->ops[i]);
        shown++;
    }
    memory_free(done);
}

enum linear_verdict linear_check(const struct linear_op *ops, uint32_t count, uint64_t steps_max,
                                 struct buffer *why)
{
    struct search search = {.ops = ops, .count = count};
    struct event *events = memory_new((2 * (size_t)count + 1) * sizeof *events);
    search.key_size = (count + 7) / 8 + sizeof(const struct value *);
    search.key = memory_new(search.key_size);
    search.taken = memory_new(count * sizeof *search.taken);
    search.best = memory_new(count * sizeof *search.best);
    link_events(events, ops, count);
    enum linear_verdict verdict = run(&search, &events[0], steps_max);
    if (verdict == LINEAR_NO && why)
        report(&search, why);
    struct seen *seen, *next;
    HASH_ITER(hh, search.seen, seen, next)
    {
        HASH_DEL(search.seen, seen);
        memory_free(seen);
    }
    values_free(&search.values);
    memory_free(search.key);
    memory_free(search.taken);
    memory_free(search.best);
    memory_free(events);
    return verdict;
}
