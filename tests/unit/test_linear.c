/* The linearizability checker: hand-made classics (tests/linear/classics), histories made by the
 * shipped commands, which are linearizable because somebody executed them one after the other, the
 * same with one thing changed, and a search without any cleverness to compare with.
 *
 * That replies come from the shipped state machine is also a test of the checker's own idea of the
 * commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "command/command.h"
#include "data/db.h"
#include "kv_memory.h"
#include "linear.h"
#include "register.h"
#include "replica/replica.h"
#include "search.h"
#include "storage/kv.h"

enum { OPS_MAX = 600, STEPS = 20000000, SMALL = 7 };

/* ---- classics ------------------------------------------------------------------------------ */

static const struct classic {
    const char *name;
    bool linearizable;
    const char *core; /* what the report must hold */
} classics[] = {
    {"aborted_write_is_read", false, "GET -> b\n"},
    {"append_is_lost", false, "GET -> 1,3,\n"},
    {"compare_and_delete", true, NULL},
    {"done_and_not_there", false, "APPEND 2, -> ANY\n"},
    {"done_says_no_more", true, NULL},
    {"deleted_comes_back", false, "GET -> nil\n"},
    {"flushed_but_there", false, "FLUSHALL -> OK\n"},
    {"lost_update", false, "INCR -> 2\n"},
    {"lost_write", false, "SET b -> OK\n"},
    {"not_an_integer", true, NULL},
    {"once_happens_twice", false, "INCR -> 2\n"},
    {"once_is_repeated", true, NULL},
    {"race_has_one_winner", true, NULL},
    {"reads_agree_on_no_order", false, "GET -> b\n"},
    {"split_brain", false, "SETNX two -> 1\n"},
    {"split_brain_cas", false, "CAS 0 2 -> 1\n"},
    {"stale_read", false, "GET -> old\n"},
    {"unknown_happens_early", false, "GET -> b\n"},
    {"unknown_happens_late", true, NULL},
    {"unknown_happens_twice", false, "GET -> 2\n"},
    {"unknown_never_happens", true, NULL},
    {"unknown_unhappens", false, "GET -> a\n"},
    {"write_takes_effect_at_any_time", true, NULL},
};

static bool holds(const struct buffer *text, const char *part)
{
    return memmem(text->data, text->size, part, strlen(part)) != NULL;
}

static void check_report(const struct linear_key *key, const char *core)
{
    struct linear_window window;
    struct buffer text = {0}, page = {0};
    linear_window_find(&window, key->ops, key->count, STEPS);
    assert_true(window.core_count > 0);
    linear_text(&text, key->ops, &window);
    assert_true(holds(&text, core));
    linear_html(&page, "a <title> & more", key->ops, &window);
    assert_true(holds(&page, "a &lt;title&gt; &amp; more"));
    assert_true(holds(&page, "</svg>"));
    assert_true(holds(&page, "</html>\n"));
    assert_false(holds(&page, "<script"));
    assert_false(holds(&page, "http"));
    buffer_deinit(&text);
    buffer_deinit(&page);
    linear_window_deinit(&window);
}

static void test_classics(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof classics / sizeof classics[0]; i++) {
        struct linear_history history;
        struct buffer error = {0};
        char path[128];
        bool linearizable = true;
        snprintf(path, sizeof path, "tests/linear/classics/%s.txt", classics[i].name);
        if (!linear_history_read(&history, path, &error))
            fail_msg("%.*s", (int)error.size, error.data);
        for (uint32_t key = 0; key < history.count; key++) {
            const struct linear_key *it = &history.keys[key];
            enum linear_verdict verdict = linear_check(it->ops, it->count, STEPS);
            assert_int_not_equal(verdict, LINEAR_GAVE_UP);
            if (verdict == LINEAR_NO)
                check_report(it, classics[i].core);
            linearizable &= verdict == LINEAR_YES;
        }
        if (linearizable != classics[i].linearizable)
            fail_msg("%s: %s", classics[i].name, linearizable ? "yes" : "no");
        linear_history_deinit(&history);
        buffer_deinit(&error);
    }
}

/* ---- histories that somebody executed -------------------------------------------------------- */

struct made {
    struct linear_op ops[OPS_MAX];
    int64_t points[OPS_MAX]; /* when it takes effect; LINEAR_NEVER */
    struct buffer texts[OPS_MAX];
    uint32_t count;
    bool of_types; /* the log's time is that of the points, and `kind` chooses the type */
    unsigned kind;
    uint32_t one_unknown_in;
    uint64_t prng;
};

static void say(struct made *made, struct linear_op *op, const char *words)
{
    struct buffer *text = &made->texts[made->count];
    buffer_reserve(text, strlen(words) + 1);
    buffer_append(text, words, strlen(words));
    for (size_t at = 0; at < text->size;) {
        size_t end = at;
        while (end < text->size && text->data[end] != ' ')
            end++;
        op->argv[op->argc++] = bytes_of(text->data + at, end - at);
        at = end + 1;
    }
}

static void some_words(struct made *made, char *words, size_t size)
{
    static const char *const forms[] = {
        "GET",          "GET",       "GET",        "SET %d",     "SET %d",
        "SET %d NX",    "SET %d XX", "SET %d GET", "DEL",        "SETNX %d",
        "CAS %d %d",    "CAS %d %d", "CAD %d",     "DELIFEQ %d", "INCR",
        "DECR",         "INCRBY %d", "DECRBY %d",  "APPEND %d",  "APPEND x",
        "GETSET %d",    "GETDEL",    "STRLEN",     "EXISTS",     "SET %d IFEQ %d",
        "SET x IFNE %d"};
    int a = (int)prng_below(&made->prng, 3), b = (int)prng_below(&made->prng, 3);
    size_t form = prng_below(&made->prng, sizeof forms / sizeof forms[0]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    snprintf(words, size, forms[form], a, b);
#pragma GCC diagnostic pop
}

/* A write with a value of its own, or a read. */
static void unique_words(struct made *made, char *words, size_t size)
{
    if (prng_below(&made->prng, 2))
        snprintf(words, size, "GET");
    else
        snprintf(words, size, "SET v%u", made->count);
}

enum { KINDS = 5, FORMS = 14 };

static void words_of_types(struct made *made, char *words, size_t size)
{
    static const char *const forms[KINDS][FORMS] = {
        {"GET", "GET", "SET v%d", "SET v%d", "SET v%d PXAT %d", "SET v%d PXAT %d", "SET v%d PX %d",
         "SET v%d KEEPTTL", "GET", "GET", "GET", "DEL", "EXISTS", "GET"},
        {"HSET f%d v%d", "HSET f%d v%d", "HSETNX f%d v%d", "HGET f%d", "HGET f%d", "HGETALL",
         "HGETALL", "HDEL f%d", "HDEL f%d", "HINCRBY n%d 2", "HGET n%d", "HLEN", "DEL", "EXISTS"},
        {"SADD m%d", "SADD m%d", "SADD m%d", "SREM m%d", "SREM m%d", "SISMEMBER m%d",
         "SISMEMBER m%d", "SMEMBERS", "SMEMBERS", "SCARD", "SADD m%d", "SREM m%d", "DEL", "EXISTS"},
        {"RPUSH v%d", "RPUSH v%d", "LPUSH v%d", "LPUSH v%d", "LPOP", "RPOP", "RPOP", "LTRIM 0 3",
         "LTRIM 0 2", "LRANGE 0 -1", "LRANGE 0 -1", "LLEN", "DEL", "EXISTS"},
        {"ZADD %d m%d", "ZADD %d m%d", "ZINCRBY -2 m%d", "ZINCRBY 1 m%d", "ZREM m%d", "ZREM m%d",
         "ZPOPMIN", "ZPOPMIN", "ZRANGE 0 -1 WITHSCORES", "ZRANGE 0 -1 WITHSCORES", "ZSCORE m%d",
         "ZCARD", "DEL", "EXISTS"}};
    static const char *const ends[] = {"PEXPIREAT %d", "PEXPIREAT %d", "PEXPIRE %d",
                                       "PEXPIRETIME",  "PEXPIRETIME",  "PERSIST"};
    int a = (int)prng_below(&made->prng, 3), b = (int)prng_below(&made->prng, 3);
    int time = 1 + (int)prng_below(&made->prng, 40 * made->count + 200);
    bool is_end = prng_below(&made->prng, 4) == 0;
    const char *form = is_end ? ends[prng_below(&made->prng, sizeof ends / sizeof ends[0])]
                              : forms[made->kind][prng_below(&made->prng, FORMS)];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    snprintf(words, size, form, is_end ? time : a, strstr(form, " PX") ? time : b);
#pragma GCC diagnostic pop
}

typedef void words_fn(struct made *made, char *words, size_t size);

/* Each client has one operation under way at a time, except that it goes on after an unknown
 * one. */
static void make_schedule(struct made *made, uint32_t count, uint32_t clients, words_fn *choose)
{
    int64_t now[16] = {0};
    made->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t client = (uint32_t)prng_below(&made->prng, clients);
        int64_t called = now[client] + 10 + (int64_t)prng_below(&made->prng, 100);
        int64_t took = 10 + (int64_t)prng_below(&made->prng, 100);
        char words[64];
        struct linear_op *op = &made->ops[i];
        *op = (struct linear_op){.client = client,
                                 .called = called,
                                 .returned = called + took,
                                 .of_types = made->of_types};
        made->points[i] = called + (int64_t)prng_below(&made->prng, (uint64_t)took + 1);
        if (made->of_types) {
            op->time_from = called;
            op->time_to = called + took;
        }
        if (prng_below(&made->prng, made->one_unknown_in) == 0) {
            op->returned = LINEAR_NEVER;
            made->points[i] = prng_below(&made->prng, 2)
                                  ? LINEAR_NEVER
                                  : called + (int64_t)prng_below(&made->prng, 1000);
        }
        now[client] = called + took;
        made->texts[i] = (struct buffer){0};
        choose(made, words, sizeof words);
        say(made, op, words);
        made->count++;
    }
}

static const struct made *sorted;

static int by_point(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (sorted->points[a] != sorted->points[b])
        return sorted->points[a] < sorted->points[b] ? -1 : 1;
    return a < b ? -1 : 1; /* any order will do: they overlap */
}

/* Runs one operation through the shipped state machine. */
static void execute(struct state_machine *machine, uint64_t index, struct made *made, uint32_t i)
{
    struct bytes argv[LINEAR_ARGS_MAX + 1];
    struct linear_op *op = &made->ops[i];
    argv[0] = op->argv[0];
    argv[1] = bytes_from_string("k");
    for (uint32_t word = 1; word < op->argc; word++)
        argv[word + 1] = op->argv[word];
    struct blob *command = command_encode(argv, op->argc + 1);
    struct apply_context context = {.pos = {1, index},
                                    .meaning = command_meaning_newest,
                                    .now_ms = made->of_types ? made->points[i] : 1,
                                    .seed = 1};
    struct buffer reply = {0};
    machine->ops->apply(machine, &context, blob_bytes(command), 2, &reply);
    machine->ops->applied(machine, context.pos, context.now_ms, context.meaning);
    blob_release(command);
    op->reply = bytes_of(memory_copy(reply.data, reply.size), reply.size);
    buffer_deinit(&reply);
}

static void make(struct made *made, uint64_t seed, uint32_t count, uint32_t clients,
                 words_fn *choose)
{
    uint32_t *order = memory_new(count * sizeof *order), done = 0;
    made->prng = seed;
    made->one_unknown_in = count <= SMALL && seed % 3 == 0 ? 2 : 12;
    make_schedule(made, count, clients, choose);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    sorted = made;
    qsort(order, count, sizeof *order, by_point);
    struct db_options options = {.cluster = 1, .checkpoint_bytes = 1 << 20};
    struct kv *kv = kv_memory_open();
    struct db *db = db_open(kv, &options);
    struct state_machine *machine = command_machine_new(db, command_meaning_newest);
    for (; done < count && made->points[order[done]] != LINEAR_NEVER; done++)
        execute(machine, done + 1, made, order[done]);
    command_machine_free(machine);
    db_close(db);
    kv->ops->close(kv);
    memory_free(order);
}

static void made_free(struct made *made)
{
    for (uint32_t i = 0; i < made->count; i++) {
        buffer_deinit(&made->texts[i]);
        memory_free((void *)(uintptr_t)made->ops[i].reply.data);
        made->ops[i].reply = bytes_of(NULL, 0);
    }
    made->count = 0;
}

static void set_reply(struct linear_op *op, const char *reply)
{
    memory_free((void *)(uintptr_t)op->reply.data);
    op->reply = bytes_of(memory_copy(reply, strlen(reply)), strlen(reply));
}

/* ---- without cleverness ---------------------------------------------------------------------- */

struct plain {
    const struct linear_op *ops;
    struct action actions[OPS_MAX];
    struct values values;
    uint32_t count;
};

/* May the rest be put in order?  Bit i of `done`: operation i is behind us. */
static bool try_all(struct plain *plain, uint32_t done, const struct value *value)
{
    bool all_answered = true;
    int64_t first_return = LINEAR_NEVER;
    for (uint32_t i = 0; i < plain->count; i++) {
        if (done >> i & 1 || plain->ops[i].returned == LINEAR_NEVER)
            continue;
        all_answered = false;
        if (plain->ops[i].returned < first_return)
            first_return = plain->ops[i].returned;
    }
    if (all_answered)
        return true;
    for (uint32_t i = 0; i < plain->count; i++) {
        const struct value *after;
        if (!(done >> i & 1) && plain->ops[i].called <= first_return &&
            action_fits(&plain->values, &plain->actions[i], value, &after) &&
            try_all(plain, done | 1u << i, after))
            return true;
    }
    return false;
}

static bool plain_check(const struct linear_op *ops, uint32_t count)
{
    static struct plain plain;
    plain = (struct plain){.ops = ops, .count = count};
    for (uint32_t i = 0; i < count; i++)
        assert_true(action_of(&plain.values, &ops[i], &plain.actions[i]));
    bool good = try_all(&plain, 0, NULL);
    values_deinit(&plain.values);
    return good;
}

/* ---- small ones, both ways ------------------------------------------------------------------- */

/* One thing is changed.  Whether that does harm, the other search says. */
static void change(struct made *made)
{
    struct linear_op *op = &made->ops[prng_below(&made->prng, made->count)];
    const struct linear_op *other = &made->ops[prng_below(&made->prng, made->count)];
    int64_t shift = (int64_t)prng_below(&made->prng, 400) - 200;
    char reply[64];
    switch (prng_below(&made->prng, 3)) {
    case 0:
        if (other->reply.size > 0 && op->reply.size > 0 && op != other) {
            snprintf(reply, sizeof reply, "%.*s", (int)other->reply.size,
                     (const char *)other->reply.data);
            set_reply(op, reply);
        }
        break;
    case 1: set_reply(op, ":1\r\n"); break;
    default:
        op->called += shift;
        if (op->returned != LINEAR_NEVER)
            op->returned += shift;
        break;
    }
}

static struct made made;

static void test_small(void **state)
{
    uint32_t broken = 0, still_good = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 12000; seed++) {
        uint32_t count = 2 + (uint32_t)(seed % (SMALL - 1));
        make(&made, seed, count, 3, some_words);
        assert_int_equal(linear_check(made.ops, count, STEPS), LINEAR_YES);
        assert_true(plain_check(made.ops, count));
        change(&made);
        bool good = plain_check(made.ops, count);
        *(good ? &still_good : &broken) += 1;
        if (linear_check(made.ops, count, STEPS) != (good ? LINEAR_YES : LINEAR_NO))
            fail_msg("seed %u: the plain search says %s", (unsigned)seed, good ? "yes" : "no");
        if (!good && seed % 4 == 0) {
            struct linear_window window;
            linear_window_find(&window, made.ops, count, STEPS);
            assert_true(window.core_count > 0);
            linear_window_deinit(&window);
        }
        made_free(&made);
    }
    assert_true(broken > 3000);
    assert_true(still_good > 3000);
}

/* ---- keys of any type ------------------------------------------------------------------------ */

struct said {
    int64_t called, returned; /* 0: never */
    const char *words, *reply;
    int64_t time_from, time_to;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct told {
    bool linearizable;
    struct said said[6];
} told[] = {
    {true, {{1, 2, "SET v PXAT 50", "+OK\r\n"}, {3, 4, "GET", "$-1\r\n"}}},
    /* what ended comes back */
    {false,
     {{1, 2, "SET v PXAT 50", "+OK\r\n"}, {3, 4, "GET", "$-1\r\n"}, {5, 6, "GET", "$1\r\nv\r\n"}}},
    /* the log's time goes back, and does not */
    {false,
     {{1, 2, "SET v PXAT 50", "+OK\r\n"},
      {3, 4, "GET", "$-1\r\n"},
      {5, 6, "SET w PXAT 50", "+OK\r\n"},
      {7, 8, "GET", "$1\r\nw\r\n"}}},
    {true,
     {{1, 2, "SET v PXAT 50", "+OK\r\n"},
      {3, 4, "GET", "$-1\r\n"},
      {5, 6, "SET w PXAT 51", "+OK\r\n"},
      {7, 8, "GET", "$1\r\nw\r\n"}}},
    /* what ends, ends at its time, not later and not earlier */
    {false, {{1, 2, "SET v PXAT 50", "+OK\r\n", 40, 45}, {3, 4, "GET", "$1\r\nv\r\n", 50, 60}}},
    {true, {{1, 2, "SET v PXAT 50", "+OK\r\n", 40, 45}, {3, 4, "GET", "$1\r\nv\r\n", 49, 60}}},
    {false, {{1, 2, "SET v PXAT 50", "+OK\r\n", 40, 45}, {3, 4, "GET", "$-1\r\n", 46, 49}}},
    {true, {{1, 2, "SET v PXAT 50", "+OK\r\n", 40, 45}, {3, 4, "GET", "$-1\r\n", 46, 50}}},
    /* without a deadline nothing ends, nor behind PERSIST */
    {false, {{1, 2, "SET v", "+OK\r\n"}, {3, 4, "GET", "$-1\r\n"}}},
    {false,
     {{1, 2, "SET v PX 9", "+OK\r\n"}, {3, 4, "PERSIST", ":1\r\n"}, {5, 6, "GET", "$-1\r\n"}}},
    {true, {{1, 2, "SET v PX 9", "+OK\r\n"}, {3, 4, "GET", "$-1\r\n"}}},
    /* one that was not answered may have been set */
    {true,
     {{1, 2, "HSET f v", ":1\r\n"}, {1, 0, "PEXPIREAT 70", NULL}, {3, 4, "HGETALL", "*0\r\n"}}},
    {false,
     {{1, 2, "HSET f v", ":1\r\n"}, {5, 0, "PEXPIREAT 70", NULL}, {3, 4, "HGETALL", "*0\r\n"}}},
    /* KEEPTTL keeps, SET does not */
    {true,
     {{1, 2, "SET v PXAT 50", "+OK\r\n"},
      {3, 4, "SET w KEEPTTL", "+OK\r\n"},
      {5, 6, "PEXPIRETIME", ":50\r\n"}}},
    {false,
     {{1, 2, "SET v PXAT 50", "+OK\r\n"},
      {3, 4, "SET w", "+OK\r\n"},
      {5, 6, "PEXPIRETIME", ":50\r\n"}}},
    {false, {{1, 2, "SADD m", ":1\r\n"}, {3, 4, "PEXPIRETIME", ":50\r\n"}}},
    /* of a race for one element one wins */
    {false,
     {{1, 2, "RPUSH a", ":1\r\n"}, {3, 6, "LPOP", "$1\r\na\r\n"}, {4, 5, "RPOP", "$1\r\na\r\n"}}},
    {true, {{1, 2, "RPUSH a", ":1\r\n"}, {3, 6, "LPOP", "$1\r\na\r\n"}, {4, 5, "RPOP", "$-1\r\n"}}},
    /* sets have no order, sorted sets have one */
    {true,
     {{1, 2, "SADD a", ":1\r\n"},
      {1, 2, "SADD b", ":1\r\n"},
      {3, 4, "SMEMBERS", "*2\r\n$1\r\nb\r\n$1\r\na\r\n"}}},
    {false,
     {{1, 2, "SADD a", ":1\r\n"},
      {1, 2, "SADD b", ":1\r\n"},
      {3, 4, "SMEMBERS", "*2\r\n$1\r\nb\r\n$1\r\nb\r\n"}}},
    {false,
     {{1, 2, "ZADD 10 a", ":1\r\n"},
      {1, 2, "ZADD 9 b", ":1\r\n"},
      {3, 4, "ZPOPMIN", "*2\r\n$1\r\na\r\n$2\r\n10\r\n"}}},
    /* an update that is lost */
    {false,
     {{1, 2, "HINCRBY n 1", ":1\r\n"},
      {1, 2, "HINCRBY n 1", ":2\r\n"},
      {3, 4, "HGET n", "$1\r\n1\r\n"}}},
    {false, {{1, 2, "LPUSH a", ":1\r\n"}, {3, 4, "HGET a", "$1\r\na\r\n"}}},
    {true, {{1, 2, "LPUSH a", ":1\r\n"}, {3, 4, "HGET a", "-WRONGTYPE so\r\n"}}},
};
#pragma GCC diagnostic pop

static void tell(const struct told *one)
{
    made.count = 0;
    for (size_t i = 0; i < sizeof one->said / sizeof one->said[0] && one->said[i].words; i++) {
        const struct said *said = &one->said[i];
        struct linear_op *op = &made.ops[made.count];
        *op = (struct linear_op){.called = said->called,
                                 .returned = said->returned ? said->returned : LINEAR_NEVER,
                                 .of_types = true,
                                 .time_from = said->time_from,
                                 .time_to = said->time_to};
        made.texts[made.count] = (struct buffer){0};
        say(&made, op, said->words);
        if (said->reply)
            set_reply(op, said->reply);
        made.count++;
    }
}

/* The history, and behind it what nobody asked for. */
static uint32_t with_expiries(struct linear_op *ops)
{
    memcpy(ops, made.ops, made.count * sizeof ops[0]);
    return made.count + linear_expiries(ops, made.count, ops + made.count);
}

static enum linear_verdict verdict_of_types(void)
{
    static struct linear_op ops[2 * OPS_MAX];
    return linear_check(ops, with_expiries(ops), STEPS);
}

static void test_types_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        tell(&told[i]);
        if (verdict_of_types() != (told[i].linearizable ? LINEAR_YES : LINEAR_NO))
            fail_msg("%zu: %s", i, told[i].said[0].words);
        made_free(&made);
    }
}

/* What the shipped commands answered, one after the other, at rising times of the log. */
static void test_types_executed(void **state)
{
    (void)state;
    made.of_types = true;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        made.kind = (unsigned)(seed % KINDS);
        make(&made, seed, 40 + (uint32_t)(seed % 160), 2 + (uint32_t)(seed % 6), words_of_types);
        if (verdict_of_types() != LINEAR_YES)
            fail_msg("seed %llu: no order is found", (unsigned long long)seed);
        made_free(&made);
    }
    made.of_types = false;
}

/* With one thing changed: the search without cleverness says whether that does harm. */
static void test_types_small(void **state)
{
    static struct linear_op ops[2 * OPS_MAX];
    uint32_t broken = 0, still_good = 0;
    (void)state;
    made.of_types = true;
    for (uint64_t seed = 1; seed <= 6000; seed++) {
        made.kind = (unsigned)(seed % KINDS);
        make(&made, seed, 2 + (uint32_t)(seed % 5), 2 + (uint32_t)(seed % 3), words_of_types);
        change(&made);
        uint32_t count = with_expiries(ops);
        bool good = plain_check(ops, count);
        if (linear_check(ops, count, STEPS) != (good ? LINEAR_YES : LINEAR_NO))
            fail_msg("seed %llu: %s", (unsigned long long)seed, good ? "it is" : "it is not");
        *(good ? &still_good : &broken) += 1;
        if (!good && seed % 20 == 0) {
            struct linear_window window;
            linear_window_find(&window, ops, count, STEPS);
            assert_true(window.core_count > 0);
            linear_window_deinit(&window);
        }
        made_free(&made);
    }
    made.of_types = false;
    assert_true(broken > 1000);
    assert_true(still_good > 1000);
}

/* ---- large ones ------------------------------------------------------------------------------ */

static void test_large(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        make(&made, seed, OPS_MAX, 2 + (uint32_t)(seed % 8), some_words);
        assert_int_equal(linear_check(made.ops, made.count, STEPS), LINEAR_YES);
        made_free(&made);
    }
}

static bool is_answered(const struct linear_op *op, const char *name)
{
    return op->returned != LINEAR_NEVER && bytes_is(op->argv[0], name);
}

/* A value that nobody wrote. */
static int invent(void)
{
    for (uint32_t i = made.count / 2; i < made.count; i++)
        if (is_answered(&made.ops[i], "GET")) {
            set_reply(&made.ops[i], "$4\r\nnone\r\n");
            return (int)i;
        }
    return -1;
}

/* A read moves to before the write of what it read. */
static int foresee(void)
{
    for (uint32_t i = made.count / 2; i < made.count; i++) {
        struct linear_op *op = &made.ops[i];
        if (!is_answered(op, "GET") || op->reply.size < 6)
            continue;
        uint32_t writer = (uint32_t)atoi(memchr(op->reply.data, 'v', op->reply.size) + 1);
        op->called = made.ops[writer].called - 2;
        op->returned = made.ops[writer].called - 1;
        return (int)i;
    }
    return -1;
}

/* A read of a value that was overwritten before it began. */
static int go_stale(void)
{
    struct linear_op *read = &made.ops[made.count - 1];
    uint32_t first = 0;
    char reply[32];
    while (!is_answered(&made.ops[first], "SET"))
        first++;
    for (uint32_t i = first + 1; i < made.count - 1; i++) {
        if (!is_answered(&made.ops[i], "SET") || made.ops[i].called <= made.ops[first].returned)
            continue;
        made.texts[made.count - 1].size = 0;
        buffer_append(&made.texts[made.count - 1], "GET", 3);
        *read = (struct linear_op){.client = 99,
                                   .called = made.ops[i].returned + 1,
                                   .returned = made.ops[i].returned + 5,
                                   .argv = {bytes_of(made.texts[made.count - 1].data, 3)},
                                   .argc = 1,
                                   .reply = read->reply};
        struct bytes value = made.ops[first].argv[1];
        snprintf(reply, sizeof reply, "$%zu\r\n%.*s\r\n", value.size, (int)value.size,
                 (const char *)value.data);
        set_reply(read, reply);
        return (int)made.count - 1;
    }
    return -1;
}

static void expect_in_core(uint32_t number)
{
    struct linear_window window;
    bool found = false;
    linear_window_find(&window, made.ops, made.count, STEPS);
    for (uint32_t i = 0; i < window.core_count; i++)
        found |= window.core[i] == number;
    assert_true(found);
    assert_in_range(window.core_count, 1, 12);
    assert_false(window.cut);
    linear_window_deinit(&window);
}

/* As many steps as the verdict takes are too few to look for the smallest part: what is found then
 * says so, and takes no more of them. */
static void expect_cut(const struct linear_op *ops, uint32_t count)
{
    struct linear_window window;
    struct buffer text = {0};
    uint64_t steps = 1;
    while (linear_check(ops, count, steps) == LINEAR_GAVE_UP)
        steps *= 2;
    linear_window_find(&window, ops, count, steps);
    linear_text(&text, ops, &window);
    assert_true(window.core_count > 0);
    assert_true(window.steps <= 2 * steps); /* the trials, and the last one again */
    assert_true(window.cut);
    assert_true(holds(&text, "was cut"));
    buffer_deinit(&text);
    linear_window_deinit(&window);
}

static void test_broken(void **state)
{
    int (*const ways[])(void) = {invent, foresee, go_stale};
    (void)state;
    for (uint64_t seed = 1; seed <= 1200; seed++) {
        uint32_t count = 40 + (uint32_t)(seed % 160);
        make(&made, seed, count, 2 + (uint32_t)(seed % 7), unique_words);
        assert_int_equal(linear_check(made.ops, made.count, STEPS), LINEAR_YES);
        int number = ways[seed % 3]();
        assert_true(number >= 0);
        assert_int_equal(linear_check(made.ops, made.count, STEPS), LINEAR_NO);
        if (seed % 10 == 0)
            expect_in_core((uint32_t)number);
        if (seed % 100 == 0)
            expect_cut(made.ops, made.count);
        made_free(&made);
    }
}

/* Thirty writes at once and then a read of something else: the search would have to try every
 * subset of them, and must end by its bound. */
static void test_gives_up(void **state)
{
    static struct linear_op ops[31];
    static char values[31][8];
    (void)state;
    for (uint32_t i = 0; i < 30; i++) {
        snprintf(values[i], sizeof values[i], "v%u", i);
        ops[i] = (struct linear_op){
            .client = i,
            .called = 0,
            .returned = 10,
            .argv = {bytes_from_string("SET"), bytes_from_string(values[i])},
            .argc = 2,
            .reply = bytes_from_string("+OK\r\n"),
        };
    }
    ops[30] = (struct linear_op){.called = 20,
                                 .returned = 30,
                                 .argv = {bytes_from_string("GET")},
                                 .argc = 1,
                                 .reply = bytes_from_string("$4\r\nnone\r\n")};
    assert_int_equal(linear_check(ops, 31, 100000), LINEAR_GAVE_UP);
    assert_int_equal(linear_check(ops + 20, 11, 1000000), LINEAR_NO);
    ops[30].reply = bytes_from_string("$3\r\nv21\r\n");
    assert_int_equal(linear_check(ops + 20, 11, 1000000), LINEAR_YES);
}

/* A hundred reads of 50 clients after so many writes at once that the verdict takes some hundred
 * thousand steps.  A hundred trials of as many each would be the explanation: it has to end when it
 * has taken as many as the verdict. */
static void test_explanation_is_bounded(void **state)
{
    enum { CLIENTS = 50, WRITES = 13, READS = 100 };
    static struct linear_op ops[WRITES + READS];
    static char values[WRITES][8];
    (void)state;
    for (uint32_t i = 0; i < WRITES + READS; i++) {
        bool is_write = i < WRITES;
        if (is_write)
            snprintf(values[i], sizeof values[i], "v%u", i);
        ops[i] = (struct linear_op){
            .client = i % CLIENTS,
            .called = is_write ? 0 : 20,
            .returned = is_write ? 10 : 30 + i,
            .argv = {bytes_from_string(is_write ? "SET" : "GET"),
                     is_write ? bytes_from_string(values[i]) : bytes_of(NULL, 0)},
            .argc = is_write ? 2 : 1,
            .reply = bytes_from_string(is_write ? "+OK\r\n" : "$4\r\nnone\r\n"),
        };
    }
    assert_int_equal(linear_check(ops, WRITES + READS, 50000), LINEAR_GAVE_UP);
    expect_cut(ops, WRITES + READS);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char path[] = "/tmp/test_linear.XXXXXX";

static bool read_text(const char *text, struct linear_history *history, struct buffer *error)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return linear_history_read(history, path, error);
}

static void test_file(void **state)
{
    struct linear_history history;
    struct buffer error = {0};
    (void)state;
    assert_true(read_text("# words\n\n"
                          "1 -5 7 SET \"a \\\"b\\\"\" \"x\\n\\t\\\\\\x00\\xfF\" -> +OK\n"
                          "2 8 9 GET \"a \\\"b\\\"\" -> \"x\\n\\t\\\\\\x00\\xff\"\n"
                          "3 8 - INCR c -> ?\n"
                          "2 8 9 EXISTS c -> :1\n"
                          "2 10 11 FLUSHALL -> +OK\n",
                          &history, &error));
    assert_int_equal(history.count, 2);
    assert_string_equal(history.keys[0].name, "a \"b\"");
    assert_int_equal(history.keys[0].count, 3);
    assert_int_equal(history.keys[0].ops[0].called, -5);
    assert_int_equal(history.keys[0].ops[0].argv[1].size, 6);
    assert_int_equal(history.keys[0].ops[1].reply.size, 4 + 6 + 2);
    assert_true(history.keys[1].ops[0].returned == LINEAR_NEVER);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(linear_check(history.keys[i].ops, history.keys[i].count, STEPS),
                         LINEAR_YES);
    linear_history_deinit(&history);
}

static void test_malformed(void **state)
{
    static const char *const lines[] = {
        "1 2 3 GET k",
        "1 2 3 GET k ->",
        "1 2 3 GET k -> what",
        "1 2 3 GET k -> \"open",
        "1 2 3 GET k -> \"two\" words",
        "1 2 3 GET k -> \"\\q\"",
        "1 2 3 GET k -> \"\\x1\"",
        "1 2 3 GET k -> ?",
        "1 2 - GET k -> nil",
        "1 2 1 GET k -> nil",
        "-1 2 3 GET k -> nil",
        "1 2 GET k -> nil",
        "1 99999999999999999999 - GET k -> ?",
        "1 2 3 GET -> nil",
        "1 2 3 -> nil",
        "1 2 3 MGET k l -> nil",
        "1 2 3 SET k v WHAT -> +OK",
        "1 2 3 SET k v IFEQ -> +OK",
        "1 2 3 SET k 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 -> +OK",
        "1 2 3 INCRBY k one -> :1",
        "1 2 3 SET k v -> +QUEUED",
        "1 2 3 ONCE c 1 -> :1",
        "1 2 3 ONCE c 1 FLUSHALL -> +OK",
        "1 2 3 FLUSHALL now -> +OK",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct linear_history history;
        struct buffer error = {0};
        char text[256];
        snprintf(text, sizeof text, "1 0 1 GET k -> nil\n%s\n", lines[i]);
        if (read_text(text, &history, &error))
            fail_msg("taken: %s", lines[i]);
        assert_true(holds(&error, ":2: "));
        linear_history_deinit(&history);
        buffer_deinit(&error);
    }
}

static void test_once(void **state)
{
    struct linear_history history;
    struct buffer error = {0};
    (void)state;
    assert_true(read_text("1 5 - ONCE c 1 INCR k -> ?\n"
                          "1 20 30 ONCE c 1 INCR k -> :1\n"
                          "1 3 40 ONCE c 1 INCR k -> :1\n"
                          "1 50 60 ONCE c 2 INCR k -> :2\n",
                          &history, &error));
    assert_int_equal(history.keys[0].count, 2);
    assert_int_equal(history.keys[0].ops[0].called, 3);
    assert_int_equal(history.keys[0].ops[0].returned, 30);
    linear_history_deinit(&history);
    assert_false(read_text("1 5 6 ONCE c 1 INCR k -> :1\n"
                           "1 7 8 ONCE c 1 INCR k -> :2\n",
                           &history, &error));
    assert_true(holds(&error, "another answer"));
    linear_history_deinit(&history);
    assert_false(read_text("1 5 6 ONCE c 1 INCR k -> :1\n"
                           "1 7 8 ONCE c 1 INCR l -> :1\n",
                           &history, &error));
    assert_true(holds(&error, "on another key"));
    linear_history_deinit(&history);
    buffer_deinit(&error);
}

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(path);
    if (file >= 0)
        close(file);
    return file < 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classics),       cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),          cmocka_unit_test(test_broken),
        cmocka_unit_test(test_gives_up),       cmocka_unit_test(test_explanation_is_bounded),
        cmocka_unit_test(test_file),           cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_once),           cmocka_unit_test(test_types_told),
        cmocka_unit_test(test_types_executed), cmocka_unit_test(test_types_small),
    };
    return cmocka_run_group_tests_name("linear", tests, make_file, remove_file);
}
