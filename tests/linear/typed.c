/* What commands do to a hash, a list, a set, a sorted set or a string, and to its deadline.
 * Deliberately not the server's code, nor built on it: a mistake there must not be believed
 * here. */
#include "typed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"

enum { ITEMS_MAX = 256, NUMBER_SIZE = 24 };

enum type { NOTHING, STRING, HASH, LIST, SET, ZSET };

enum {
    NO_DEADLINE = 0,
    SOME_DEADLINE = -1, /* one that was set from then on: only the log knows */
    ANY_DEADLINE = -2   /* or none: of a value that was only read */
};

/* items: the string; the elements in their order; the members in that of their bytes; fields, each
 * with its value behind it, in that of the fields; members, each with its score, in that of the
 * scores.  They point into the value, into words, or into `numbers`. */
struct state {
    enum type type;
    int64_t deadline;
    int64_t time; /* the log's is as high at least: that of the last deadline that came */
    uint32_t count;
    struct bytes items[ITEMS_MAX];
    char numbers[2][NUMBER_SIZE];
};

/* ---- values ------------------------------------------------------------------------------- */

static void state_of(const struct value *value, struct state *state)
{
    state->type = NOTHING;
    state->deadline = NO_DEADLINE;
    state->time = 0;
    state->count = 0;
    if (!value)
        return;
    struct bytes bytes = value_bytes(value);
    const char *at = bytes.data, *end = at + bytes.size;
    int64_t head[3];
    memcpy(head, at, sizeof head);
    state->type = (enum type)head[0];
    state->deadline = head[1];
    state->time = head[2];
    for (at += sizeof head; at < end;) {
        uint32_t size;
        memcpy(&size, at, sizeof size);
        check(state->count < ITEMS_MAX);
        state->items[state->count++] = bytes_of(at + sizeof size, size);
        at += sizeof size + size;
    }
}

static const struct value *value_of_state(struct values *values, const struct state *state)
{
    struct buffer out = {0};
    int64_t head[3] = {state->type, state->deadline, state->time};
    if (state->type == NOTHING && state->time == 0)
        return NULL;
    buffer_append(&out, head, sizeof head);
    for (uint32_t i = 0; i < state->count; i++) {
        uint32_t size = (uint32_t)state->items[i].size;
        buffer_append(&out, &size, sizeof size);
        buffer_append_bytes(&out, state->items[i]);
    }
    const struct value *value = value_of(values, buffer_bytes(&out));
    buffer_deinit(&out);
    return value;
}

/* ---- items ---------------------------------------------------------------------------------- */

static int compare_bytes(struct bytes a, struct bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int64_t number_of(struct bytes bytes)
{
    char text[NUMBER_SIZE];
    check(bytes.size < sizeof text);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return strtoll(text, NULL, 10);
}

static struct bytes put_number(struct state *state, unsigned place, int64_t number)
{
    int size = snprintf(state->numbers[place], NUMBER_SIZE, "%" PRId64, number);
    return bytes_of(state->numbers[place], (size_t)size);
}

/* Items of an element: a field and its value, a member and its score, else itself. */
static uint32_t step_of(enum type type)
{
    return type == HASH || type == ZSET ? 2 : 1;
}

/* UINT32_MAX: it is not there. */
static uint32_t find(const struct state *state, struct bytes item)
{
    for (uint32_t i = 0; i < state->count; i += step_of(state->type))
        if (bytes_equal(state->items[i], item))
            return i;
    return UINT32_MAX;
}

static void insert(struct state *state, uint32_t at, struct bytes item)
{
    check(state->count < ITEMS_MAX);
    memmove(&state->items[at + 1], &state->items[at], (state->count - at) * sizeof state->items[0]);
    state->items[at] = item;
    state->count++;
}

static void take_out(struct state *state, uint32_t at, uint32_t count)
{
    state->count -= count;
    memmove(&state->items[at], &state->items[at + count],
            (state->count - at) * sizeof state->items[0]);
}

/* Where an element belongs that is not there. */
static uint32_t place_of(const struct state *state, struct bytes item, struct bytes second)
{
    for (uint32_t i = 0; i < state->count; i += step_of(state->type)) {
        int64_t score = state->type == ZSET ? number_of(second) : 0;
        int64_t other = state->type == ZSET ? number_of(state->items[i + 1]) : 0;
        if (other > score || (other == score && compare_bytes(state->items[i], item) > 0))
            return i;
    }
    return state->count;
}

/* True: it was not there. */
static bool put(struct state *state, struct bytes item, struct bytes second)
{
    uint32_t at = find(state, item);
    bool is_new = at == UINT32_MAX;
    if (!is_new)
        take_out(state, at, step_of(state->type));
    at = place_of(state, item, second);
    insert(state, at, item);
    if (step_of(state->type) == 2)
        insert(state, at + 1, second);
    return is_new;
}

static void end_key(struct state *state)
{
    state->type = NOTHING;
    state->deadline = NO_DEADLINE;
    state->count = 0;
}

/* ---- replies --------------------------------------------------------------------------------- */

static void say_integer(struct buffer *reply, int64_t integer)
{
    buffer_printf(reply, ":%" PRId64 "\r\n", integer);
}

static void say_bulk(struct buffer *reply, struct bytes bytes)
{
    buffer_printf(reply, "$%zu\r\n", bytes.size);
    buffer_append_bytes(reply, bytes);
    buffer_printf(reply, "\r\n");
}

static void say_nil(struct buffer *reply)
{
    buffer_printf(reply, "$-1\r\n");
}

static void say_items(struct buffer *reply, const struct bytes *items, uint32_t count)
{
    buffer_printf(reply, "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++)
        say_bulk(reply, items[i]);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* One operation: argv[1] is the word behind the key. */
struct run {
    struct state *state;
    const struct bytes *argv;
    uint32_t argc;
    struct buffer *reply;
};

static void do_get(struct run *run)
{
    if (run->state->type == NOTHING)
        say_nil(run->reply);
    else
        say_bulk(run->reply, run->state->items[0]);
}

/* A deadline that the log's time has passed ends the key. */
static void set_deadline(struct state *state, int64_t deadline)
{
    state->deadline = deadline;
    if (deadline > NO_DEADLINE && deadline <= state->time)
        end_key(state);
}

static void do_set(struct run *run)
{
    struct state *state = run->state;
    bool keeps = run->argc == 3; /* KEEPTTL */
    if (!keeps || state->type == NOTHING)
        state->deadline = NO_DEADLINE;
    state->type = STRING;
    state->count = 1;
    state->items[0] = run->argv[1];
    if (run->argc == 4)
        set_deadline(state,
                     bytes_is(run->argv[2], "PXAT") ? number_of(run->argv[3]) : SOME_DEADLINE);
    buffer_printf(run->reply, "+OK\r\n");
}

static void do_exists(struct run *run)
{
    say_integer(run->reply, run->state->type != NOTHING);
}

static void do_del(struct run *run)
{
    do_exists(run);
    end_key(run->state);
}

static void do_pexpireat(struct run *run)
{
    bool is_there = run->state->type != NOTHING;
    say_integer(run->reply, is_there);
    if (is_there)
        set_deadline(run->state, number_of(run->argv[1]));
}

static void do_pexpire(struct run *run)
{
    say_integer(run->reply, run->state->type != NOTHING);
    if (run->state->type != NOTHING)
        run->state->deadline = SOME_DEADLINE;
}

static void do_persist(struct run *run)
{
    struct state *state = run->state;
    if (state->deadline == ANY_DEADLINE)
        buffer_printf(run->reply, "?");
    else
        say_integer(run->reply, state->deadline != NO_DEADLINE);
    state->deadline = NO_DEADLINE;
}

static void do_pexpiretime(struct run *run)
{
    const struct state *state = run->state;
    if (state->type == NOTHING)
        say_integer(run->reply, -2);
    else if (state->deadline < NO_DEADLINE)
        buffer_printf(run->reply, "?");
    else
        say_integer(run->reply, state->deadline == NO_DEADLINE ? -1 : state->deadline);
}

/* Nobody asked for it: see typed.h. */
static void do_expired(struct run *run)
{
    struct state *state = run->state;
    bool is_some = bytes_is(run->argv[1], "*");
    int64_t deadline = is_some ? SOME_DEADLINE : number_of(run->argv[1]);
    if (state->deadline != deadline && state->deadline != ANY_DEADLINE)
        return;
    end_key(state);
    if (deadline > state->time)
        state->time = deadline;
}

static void do_hset(struct run *run)
{
    say_integer(run->reply, put(run->state, run->argv[1], run->argv[2]));
}

static void do_hsetnx(struct run *run)
{
    bool is_new = find(run->state, run->argv[1]) == UINT32_MAX;
    say_integer(run->reply, is_new);
    if (is_new)
        put(run->state, run->argv[1], run->argv[2]);
}

/* HGET, ZSCORE */
static void do_second(struct run *run)
{
    uint32_t at = find(run->state, run->argv[1]);
    if (at == UINT32_MAX)
        say_nil(run->reply);
    else
        say_bulk(run->reply, run->state->items[at + 1]);
}

/* HDEL, SREM, ZREM */
static void do_remove(struct run *run)
{
    uint32_t at = find(run->state, run->argv[1]);
    say_integer(run->reply, at != UINT32_MAX);
    if (at != UINT32_MAX)
        take_out(run->state, at, step_of(run->state->type));
}

static void do_hincrby(struct run *run)
{
    uint32_t at = find(run->state, run->argv[1]);
    int64_t before = at == UINT32_MAX ? 0 : number_of(run->state->items[at + 1]);
    int64_t sum = before + number_of(run->argv[2]);
    put(run->state, run->argv[1], put_number(run->state, 0, sum));
    say_integer(run->reply, sum);
}

/* The words are score and member. */
static void do_zadd(struct run *run)
{
    struct bytes score = put_number(run->state, 0, number_of(run->argv[1]));
    say_integer(run->reply, put(run->state, run->argv[2], score));
}

static void do_zincrby(struct run *run)
{
    uint32_t at = find(run->state, run->argv[2]);
    int64_t before = at == UINT32_MAX ? 0 : number_of(run->state->items[at + 1]);
    struct bytes sum = put_number(run->state, 0, before + number_of(run->argv[1]));
    put(run->state, run->argv[2], sum);
    say_bulk(run->reply, sum);
}

static void do_zpopmin(struct run *run)
{
    uint32_t count = run->state->count > 0 ? 2 : 0;
    say_items(run->reply, run->state->items, count);
    take_out(run->state, 0, count);
}

static void do_sadd(struct run *run)
{
    say_integer(run->reply, put(run->state, run->argv[1], run->argv[1]));
}

static void do_sismember(struct run *run)
{
    say_integer(run->reply, find(run->state, run->argv[1]) != UINT32_MAX);
}

/* HLEN, LLEN, SCARD, ZCARD */
static void do_count(struct run *run)
{
    say_integer(run->reply, run->state->count / step_of(run->state->type));
}

/* HGETALL, LRANGE 0 -1, SMEMBERS, ZRANGE 0 -1 WITHSCORES */
static void do_all(struct run *run)
{
    say_items(run->reply, run->state->items, run->state->count);
}

static void do_push(struct run *run)
{
    bool is_left = bytes_is(run->argv[0], "LPUSH");
    insert(run->state, is_left ? 0 : run->state->count, run->argv[1]);
    say_integer(run->reply, run->state->count);
}

static void do_pop(struct run *run)
{
    struct state *state = run->state;
    uint32_t at = bytes_is(run->argv[0], "LPOP") || state->count == 0 ? 0 : state->count - 1;
    if (state->count == 0) {
        say_nil(run->reply);
        return;
    }
    say_bulk(run->reply, state->items[at]);
    take_out(state, at, 1);
}

/* LTRIM 0 N */
static void do_trim(struct run *run)
{
    uint32_t kept = (uint32_t)number_of(run->argv[2]) + 1;
    if (run->state->count > kept)
        run->state->count = kept;
    buffer_printf(run->reply, "+OK\r\n");
}

enum { READ = 1, WHOLE = 2 /* it gives all elements, */, WITHOUT_ORDER = 4 /* in any order */ };

static const struct known {
    const char *name;
    uint32_t argc_min, argc_max;
    enum type type; /* NOTHING: any */
    unsigned flags;
    void (*execute)(struct run *run);
} known_commands[] = {
    {"GET", 1, 1, STRING, READ, do_get},
    {"SET", 2, 4, NOTHING, 0, do_set},
    {"EXISTS", 1, 1, NOTHING, READ, do_exists},
    {"DEL", 1, 1, NOTHING, 0, do_del},
    {"PEXPIREAT", 2, 2, NOTHING, 0, do_pexpireat},
    {"PEXPIRE", 2, 2, NOTHING, 0, do_pexpire},
    {"PERSIST", 1, 1, NOTHING, 0, do_persist},
    {"PEXPIRETIME", 1, 1, NOTHING, READ, do_pexpiretime},
    {"EXPIRED", 2, 2, NOTHING, 0, do_expired},
    {"HSET", 3, 3, HASH, 0, do_hset},
    {"HSETNX", 3, 3, HASH, 0, do_hsetnx},
    {"HGET", 2, 2, HASH, READ, do_second},
    {"HDEL", 2, 2, HASH, 0, do_remove},
    {"HINCRBY", 3, 3, HASH, 0, do_hincrby},
    {"HLEN", 1, 1, HASH, READ, do_count},
    {"HGETALL", 1, 1, HASH, READ | WHOLE | WITHOUT_ORDER, do_all},
    {"SADD", 2, 2, SET, 0, do_sadd},
    {"SREM", 2, 2, SET, 0, do_remove},
    {"SISMEMBER", 2, 2, SET, READ, do_sismember},
    {"SCARD", 1, 1, SET, READ, do_count},
    {"SMEMBERS", 1, 1, SET, READ | WHOLE | WITHOUT_ORDER, do_all},
    {"LPUSH", 2, 2, LIST, 0, do_push},
    {"RPUSH", 2, 2, LIST, 0, do_push},
    {"LPOP", 1, 1, LIST, 0, do_pop},
    {"RPOP", 1, 1, LIST, 0, do_pop},
    {"LLEN", 1, 1, LIST, READ, do_count},
    {"LTRIM", 3, 3, LIST, 0, do_trim},
    {"LRANGE", 3, 3, LIST, READ | WHOLE, do_all},
    {"ZADD", 3, 3, ZSET, 0, do_zadd},
    {"ZINCRBY", 3, 3, ZSET, 0, do_zincrby},
    {"ZREM", 2, 2, ZSET, 0, do_remove},
    {"ZSCORE", 2, 2, ZSET, READ, do_second},
    {"ZCARD", 1, 1, ZSET, READ, do_count},
    {"ZPOPMIN", 1, 1, ZSET, 0, do_zpopmin},
    {"ZRANGE", 4, 4, ZSET, READ | WHOLE, do_all},
};

static const struct known *known_of(const struct linear_op *op)
{
    for (size_t i = 0; i < sizeof known_commands / sizeof known_commands[0]; i++) {
        const struct known *known = &known_commands[i];
        if (op->argc >= known->argc_min && op->argc <= known->argc_max &&
            bytes_is(op->argv[0], known->name))
            return known;
    }
    return NULL;
}

/* What is only known with the words that the table's functions take for granted. */
static bool has_its_words(const struct known *known, const struct linear_op *op)
{
    if (known->execute == do_set && op->argc == 3)
        return bytes_is(op->argv[2], "KEEPTTL");
    if (known->execute == do_set && op->argc == 4)
        return bytes_is(op->argv[2], "PXAT") || bytes_is(op->argv[2], "PX");
    if (known->execute == do_trim)
        return bytes_is(op->argv[1], "0") && number_of(op->argv[2]) >= 0;
    if (known->execute == do_all && op->argc >= 3)
        return bytes_is(op->argv[1], "0") && bytes_is(op->argv[2], "-1") &&
               (op->argc == 3 || bytes_is(op->argv[3], "WITHSCORES"));
    return true;
}

bool typed_knows(const struct linear_op *op)
{
    const struct known *known = known_of(op);
    return known && has_its_words(known, op);
}

bool typed_is_read(const struct linear_op *op)
{
    return known_of(op)->flags & READ;
}

/* ---- replies, read -------------------------------------------------------------------------- */

/* The bulk strings of an array; false: it is none. */
static bool read_items(struct bytes reply, struct state *state)
{
    const char *at = reply.data, *end = at + reply.size;
    state->count = 0;
    if (reply.size < 4 || *at != '*')
        return false;
    uint64_t count = strtoull(at + 1, NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at || end - at < 4 || at[1] != '$' || state->count == ITEMS_MAX)
            return false;
        size_t size = strtoull(at + 2, NULL, 10);
        at = memchr(at + 1, '\n', (size_t)(end - at - 1));
        if (!at || (size_t)(end - at) < size + 3)
            return false;
        state->items[state->count++] = bytes_of(at + 1, size);
        at += size + 1;
    }
    return true;
}

/* The same fields or members, in whatever order they are given. */
static bool is_same_whole(const struct state *state, struct bytes reply)
{
    struct state given = {.type = state->type};
    uint32_t step = step_of(state->type);
    if (!read_items(reply, &given) || given.count != state->count)
        return false;
    for (uint32_t i = 0; i < given.count; i += step) {
        uint32_t at = find(state, given.items[i]);
        if (at == UINT32_MAX || find(&given, given.items[i]) != i ||
            (step == 2 && !bytes_equal(state->items[at + 1], given.items[i + 1])))
            return false;
    }
    return true;
}

/* "?": whatever integer there is, above 0 unless the deadline may be none. */
static bool is_some_integer(const struct state *state, struct bytes reply)
{
    const char *text = reply.data;
    if (reply.size < 4 || text[0] != ':')
        return false;
    int64_t integer = strtoll(text + 1, NULL, 10);
    return state->deadline == SOME_DEADLINE ? integer > state->time : integer >= -1;
}

static bool is_reply(const struct known *known, const struct state *before, struct bytes wanted,
                     struct bytes reply)
{
    const char *text = wanted.data;
    if (text[0] == '?')
        return is_some_integer(before, reply);
    if (text[0] == '-')
        return reply.size > 0 && *(const char *)reply.data == '-';
    if (known->flags & WITHOUT_ORDER)
        return is_same_whole(before, reply);
    return bytes_equal(wanted, reply);
}

/* ---- fits ------------------------------------------------------------------------------------ */

static void execute(const struct known *known, struct run *run)
{
    struct state *state = run->state;
    if (known->type != NOTHING && state->type != NOTHING && state->type != known->type) {
        buffer_printf(run->reply, "-WRONGTYPE");
        return;
    }
    bool was_there = state->type != NOTHING;
    if (known->type != NOTHING && !(known->flags & READ))
        state->type = known->type;
    known->execute(run);
    bool is_empty = state->count == 0 && state->type != NOTHING;
    if (is_empty || (!was_there && state->count == 0))
        end_key(state);
}

/* What a read says of a value that nobody knew, which may have any deadline. */
static const struct value *read_whole(struct values *values, const struct known *known,
                                      struct bytes reply)
{
    struct state state = {.deadline = ANY_DEADLINE, .type = known->type};
    if (!read_items(reply, &state) || state.count == 0)
        return value_unknown;
    if (known->flags & WITHOUT_ORDER) {
        struct state sorted = {.deadline = ANY_DEADLINE, .type = known->type};
        for (uint32_t i = 0; i < state.count; i += step_of(state.type))
            put(&sorted, state.items[i], state.items[i + step_of(state.type) - 1]);
        state = sorted;
    }
    return value_of_state(values, &state);
}

/* A value of which nothing is known: it stands for all at once. */
static bool fits_unknown(struct values *values, const struct known *known,
                         const struct linear_op *op, bool any, const struct value **after)
{
    struct buffer reply = {0};
    struct state state;
    *after = value_unknown;
    if (known->execute == do_set && op->argc != 3) {
        state_of(NULL, &state);
        struct run run = {&state, op->argv, op->argc, &reply};
        do_set(&run);
        *after = value_of_state(values, &state);
    } else if (known->execute == do_del) {
        *after = NULL;
    } else if (!any && known->flags & WHOLE) {
        *after = read_whole(values, known, op->reply);
    }
    buffer_deinit(&reply);
    return true;
}

/* The deadline has not come if the log's time may still be before it, and what has come stays. */
static bool is_in_time(const struct state *state, const struct linear_op *op, bool any)
{
    bool is_over = state->deadline > NO_DEADLINE && op->time_from >= state->deadline;
    bool is_early = !any && op->time_to > 0 && op->time_to < state->time;
    return !is_over && !is_early;
}

bool typed_fits(struct values *values, const struct linear_op *op, bool any,
                const struct value *before, const struct value **after)
{
    const struct known *known = known_of(op);
    struct buffer reply = {0};
    struct state state, old;
    if (before == value_unknown)
        return fits_unknown(values, known, op, any, after);
    state_of(before, &state);
    state_of(before, &old);
    if (!is_in_time(&state, op, any))
        return false;
    struct run run = {&state, op->argv, op->argc, &reply};
    execute(known, &run);
    *after = known->flags & READ ? before : value_of_state(values, &state);
    bool fits = any || is_reply(known, &old, buffer_bytes(&reply), op->reply);
    buffer_deinit(&reply);
    return fits;
}

/* ---- ends that nobody asked for -------------------------------------------------------------- */

static bool sets_deadline(const struct linear_op *op, struct bytes *deadline)
{
    const struct known *known = known_of(op);
    bool is_set = known && known->execute == do_set && op->argc == 4;
    bool is_at = known && (known->execute == do_pexpireat || is_set);
    if (!is_at && !(known && known->execute == do_pexpire))
        return false;
    bool is_relative = is_set ? bytes_is(op->argv[2], "PX") : !is_at;
    *deadline = is_relative ? bytes_from_string("*") : op->argv[op->argc - 1];
    return true;
}

uint32_t linear_expiries(const struct linear_op *ops, uint32_t count, struct linear_op *expiries)
{
    uint32_t found = 0;
    struct bytes deadline;
    for (uint32_t i = 0; i < count; i++)
        if (ops[i].of_types && sets_deadline(&ops[i], &deadline))
            expiries[found++] = (struct linear_op){.client = ops[i].client,
                                                   .called = ops[i].called,
                                                   .returned = LINEAR_NEVER,
                                                   .argv = {bytes_from_string("EXPIRED"), deadline},
                                                   .argc = 2,
                                                   .of_types = true};
    return found;
}
