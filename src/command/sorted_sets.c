/* Sorted sets: members and their scores (Redis 7.2 t_zset.c).  Ranges are in sorted_ranges.c,
 * unions and the like in sorted_unions.c.  Deterministic; loop thread only. */
#include <math.h>

#include "base/fatal.h"
#include "base/prng.h"
#include "command/preparing.h"
#include "command/sorted.h"
#include "command/sorted_sets.h"
#include "command/walk.h"
#include "resp/number.h"

/* ---- ZADD, ZINCRBY ------------------------------------------------------------------ */

static bool take_option(struct sorted_options *options, struct bytes word)
{
    struct {
        const char *name;
        bool *is_set;
    } all[] = {{"nx", &options->nx}, {"xx", &options->xx}, {"gt", &options->gt},
               {"lt", &options->lt}, {"ch", &options->ch}, {"incr", &options->incr}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (bytes_is(word, all[i].name))
            return *all[i].is_set = true;
    return false;
}

static const char *option_error(const struct sorted_options *options, uint32_t pairs)
{
    if (options->nx && options->xx)
        return "ERR XX and NX options at the same time are not compatible";
    if ((options->gt && options->nx) || (options->lt && options->nx) ||
        (options->gt && options->lt))
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    if (options->incr && pairs > 1)
        return "ERR INCR option supports a single increment-element pair";
    return NULL;
}

/* But for the scores; false: answered. */
static bool read_add(struct call *call, struct sorted_options *options)
{
    *options = (struct sorted_options){.first = 2};
    while (options->first < call->argc && take_option(options, call->argv[options->first]))
        options->first++;
    uint32_t words = call->argc - options->first;
    const char *error = words % 2 || !words ? ERROR_SYNTAX : option_error(options, words / 2);
    if (error) {
        reply_error(call->reply, "%s", error);
        return false;
    }
    return true;
}

static bool is_score(struct call *call, uint32_t i)
{
    double score;
    return sorted_word(call, i, &score);
}

bool words_zadd(struct call *call)
{
    struct sorted_options options;
    return read_add(call, &options) && call_admits_words(call, options.first, 2, is_score);
}

enum sorted_outcome sorted_add(struct ordered *set, const struct sorted_options *options,
                               struct bytes member, double *score)
{
    double before = 0;
    bool is_there = sorted_find(set, member, &before);
    if (is_there ? options->nx : options->xx)
        return SORTED_NOTHING;
    if (is_there && options->incr)
        *score += before;
    if (isnan(*score))
        return SORTED_NOT_A_NUMBER;
    if (is_there && ((options->lt && *score >= before) || (options->gt && *score <= before)))
        return SORTED_NOTHING;
    if (is_there && *score == before)
        return SORTED_SAME;
    sorted_put(set, member, *score, is_there, before);
    return is_there ? SORTED_UPDATED : SORTED_ADDED;
}

static void reply_added(struct call *call, enum sorted_outcome outcome, double score)
{
    if (outcome == SORTED_NOT_A_NUMBER)
        reply_error(call->reply, "ERR resulting score is not a number (NaN)");
    else if (outcome == SORTED_NOTHING)
        reply_null(call->reply);
    else
        reply_double(call->reply, score);
}

static void increase(struct call *call, const struct sorted_options *options)
{
    struct ordered set;
    double score;
    bool is_number = sorted_parse(call->argv[options->first], &score);
    check(is_number);
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        enum sorted_outcome outcome =
            sorted_add(&set, options, call->argv[options->first + 1], &score);
        if (outcome == SORTED_ADDED || outcome == SORTED_UPDATED)
            ordered_save(&set, "zincr");
        reply_added(call, outcome, score);
    }
    ordered_close(&set);
}

void cmd_zadd(struct call *call)
{
    struct sorted_options options;
    struct ordered set;
    struct walk_state *walk = call->walk;
    int64_t added = 0, updated = 0;
    if (!call_kept(call, &options, sizeof options) && !read_add(call, &options))
        return;
    if (!call_checks_words(call, options.first, 2, is_score)) {
        if (walk->unfinished)
            call_keep(call, &options, sizeof options);
        return;
    }
    if (options.incr) {
        increase(call, &options);
        return;
    }
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        for (uint32_t i = ordered_slice(&set, call, options.first); call_takes(call, i); i += 2) {
            double score;
            sorted_parse(call->argv[i], &score);
            enum sorted_outcome outcome = sorted_add(&set, &options, call->argv[i + 1], &score);
            added += outcome == SORTED_ADDED;
            updated += outcome == SORTED_UPDATED;
        }
        ordered_end_slice(&set, call, added || updated, "zadd");
        walk->count += (uint64_t)(options.ch ? added + updated : added);
        if (walk->unfinished)
            call_keep(call, &options, sizeof options);
        else
            reply_integer(call->reply, (int64_t)walk->count);
    }
    ordered_close(&set);
}

bool words_zincrby(struct call *call)
{
    double score;
    return sorted_word(call, 2, &score);
}

void cmd_zincrby(struct call *call)
{
    struct sorted_options options = {.incr = true, .first = 2};
    if (words_zincrby(call))
        increase(call, &options);
}

/* ---- looking --------------------------------------------------------------------------- */

void cmd_zcard(struct call *call)
{
    struct ordered set;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET))
        reply_integer(call->reply, (int64_t)set.count);
    ordered_close(&set);
}

static void reply_score(struct reply *reply, const struct ordered *set, struct bytes member)
{
    double score;
    if (sorted_find(set, member, &score))
        reply_double(reply, score);
    else
        reply_null(reply);
}

void cmd_zscore(struct call *call)
{
    struct ordered set;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET))
        reply_score(call->reply, &set, call->argv[2]);
    ordered_close(&set);
}

void cmd_zmscore(struct call *call)
{
    struct ordered set;
    struct reply found = {&call->walk->found, call->reply->protocol};
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        for (uint32_t i = call_slice(call, 2); call_takes(call, i); i++)
            reply_score(&found, &set, call->argv[i]);
        if (call_keeps_parts(call, 0) && !call->walk->unfinished)
            call_reply_parts(call, call->argc - 2);
    }
    ordered_close(&set);
}

static void reply_rank(struct call *call, bool is_backward)
{
    struct ordered set;
    double score;
    bool with_score = call->argc > 3;
    if (call->argc > 4 || (with_score && !bytes_is(call->argv[3], "withscore"))) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        bool is_there = sorted_find(&set, call->argv[2], &score);
        uint64_t rank = is_there ? sorted_rank(&set, call->argv[2], score) : 0;
        if (!is_there && with_score)
            reply_null_array(call->reply);
        else if (!is_there)
            reply_null(call->reply);
        else {
            if (with_score)
                reply_array(call->reply, 2);
            reply_integer(call->reply, (int64_t)(is_backward ? set.count - 1 - rank : rank));
            if (with_score)
                reply_double(call->reply, score);
        }
    }
    ordered_close(&set);
}

void cmd_zrank(struct call *call)
{
    reply_rank(call, false);
}

void cmd_zrevrank(struct call *call)
{
    reply_rank(call, true);
}

/* ---- taking out -------------------------------------------------------------------------- */

void cmd_zrem(struct call *call)
{
    struct ordered set;
    struct walk_state *walk = call->walk;
    int64_t removed = 0;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        for (uint32_t i = ordered_slice(&set, call, 2); set.count > 0 && call_takes(call, i); i++)
            removed += sorted_remove(&set, call->argv[i]);
        ordered_end_slice(&set, call, removed, "zrem");
        walk->count += (uint64_t)removed;
        if (!walk->unfinished)
            reply_integer(call->reply, (int64_t)walk->count);
    }
    ordered_close(&set);
}

/* ---- popping ----------------------------------------------------------------------------- */

struct popping {
    struct reply found; /* into a buffer */
    bool is_pair;       /* each in an array of its own */
};

static bool give_popped(void *context, struct bytes key, struct bytes value)
{
    struct popping *popping = context;
    if (popping->is_pair)
        reply_array(&popping->found, 2);
    reply_bulk(&popping->found, sorted_member(key));
    reply_double(&popping->found, sorted_score(key, value));
    return true;
}

enum { POPS_SLICE = 1000 };

/* A slice of it: up to `count` in all, the parts into walk->found.  False: not finished. */
static bool pop(struct call *call, struct ordered *set, uint64_t count, bool is_max, bool is_pair)
{
    struct walk_state *walk = call->walk;
    struct popping popping = {.found = {&walk->found, call->reply->protocol}, .is_pair = is_pair};
    uint64_t done = 0;
    if (call_is_prepared(call)) {
        ordered_take_popped(set, call);
        ordered_save(set, is_max ? "zpopmax" : "zpopmin");
        return true;
    }
    walk->unfinished = false;
    while (walk->count < count && set->count > 0 && done < POPS_SLICE) {
        uint64_t wanted = count - walk->count;
        if (wanted > set->count)
            wanted = set->count;
        if (wanted > 64) /* as many as are taken out at a time */
            wanted = 64;
        uint64_t given =
            ordered_walk(set, is_max ? set->count - 1 : 0, wanted, is_max, give_popped, &popping);
        for (uint64_t left = given; left > 0;)
            left -= ordered_cut(set, is_max ? set->count - left : 0, left);
        walk->count += given;
        done += given;
    }
    walk->unfinished = walk->count < count && set->count > 0;
    if (!walk->unfinished && !ordered_ends_pop(set, call))
        return false;
    if (done > 0)
        ordered_save(set, is_max ? "zpopmax" : "zpopmin");
    return !walk->unfinished;
}

/* False: answered. */
static bool read_pop_count(struct call *call, int64_t *count)
{
    *count = 1;
    if (call->argc > 3) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    if (call->argc == 2)
        return true;
    if (number_parse_i64(call->argv[2], count) && *count >= 0 && *count <= INT64_MAX)
        return true;
    reply_error(call->reply, "ERR value is out of range, must be positive");
    return false;
}

uint64_t sorted_pop_size(struct call *call)
{
    int64_t count;
    return read_pop_count(call, &count) ? ordered_pop_size(call, call->argv[1], DB_ZSET, count) : 0;
}

bool words_zpop(struct call *call)
{
    int64_t count;
    return read_pop_count(call, &count);
}

static void pop_end(struct call *call, bool is_max)
{
    struct ordered set;
    int64_t count;
    if (!read_pop_count(call, &count))
        return;
    bool is_pair = call->reply->protocol >= 3 && call->argc > 2;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET) &&
        pop(call, &set, (uint64_t)count, is_max, is_pair))
        call_reply_parts(call, is_pair ? call->walk->count : 2 * call->walk->count);
    ordered_close(&set);
}

void cmd_zpopmin(struct call *call)
{
    pop_end(call, false);
}

void cmd_zpopmax(struct call *call)
{
    pop_end(call, true);
}

struct mpop {
    uint32_t keys;
    bool is_max;
    int64_t count;
};

/* The words behind the keys; false: answered. */
static bool read_mpop_options(struct call *call, uint32_t i, struct mpop *mpop)
{
    bool has_count = false;
    if (bytes_is(call->argv[i], "max"))
        mpop->is_max = true;
    else if (!bytes_is(call->argv[i], "min"))
        goto refuse;
    for (i++; i < call->argc; i += 2) {
        if (has_count || i + 1 == call->argc || !bytes_is(call->argv[i], "count"))
            goto refuse;
        if (!number_parse_i64(call->argv[i + 1], &mpop->count) || mpop->count < 1) {
            reply_error(call->reply, "ERR count should be greater than 0");
            return false;
        }
        has_count = true;
    }
    return true;
refuse:
    reply_error(call->reply, ERROR_SYNTAX);
    return false;
}

static bool read_mpop(struct call *call, struct mpop *mpop)
{
    int64_t keys;
    *mpop = (struct mpop){.count = 1};
    if (!number_parse_i64(call->argv[1], &keys) || keys < 1) {
        reply_error(call->reply, "ERR numkeys should be greater than 0");
        return false;
    }
    if (keys >= (int64_t)call->argc - 2) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    mpop->keys = (uint32_t)keys;
    return read_mpop_options(call, mpop->keys + 2, mpop);
}

uint64_t sorted_mpop_size(struct call *call, uint32_t *keys)
{
    struct mpop mpop;
    uint64_t size = 0;
    *keys = 0;
    if (!read_mpop(call, &mpop))
        return 0;
    while (size == 0 && *keys < mpop.keys)
        size = ordered_pop_size(call, call->argv[2 + (*keys)++], DB_ZSET, mpop.count);
    return size;
}

bool words_zmpop(struct call *call)
{
    struct mpop mpop;
    return read_mpop(call, &mpop);
}

/* The key's turn: true, there was something or an error, and the reply is or will be given. */
static bool pop_key(struct call *call, struct bytes key, const struct mpop *mpop)
{
    struct ordered set;
    bool is_answered = true;
    if (ordered_open(&set, call, key, DB_ZSET)) {
        is_answered = set.count > 0;
        if (is_answered && pop(call, &set, (uint64_t)mpop->count, mpop->is_max, true)) {
            reply_array(call->reply, 2);
            reply_bulk(call->reply, key);
            call_reply_parts(call, call->walk->count);
        }
    }
    ordered_close(&set);
    return is_answered;
}

void cmd_zmpop(struct call *call)
{
    struct mpop mpop;
    struct walk_state *walk = call->walk;
    if (!read_mpop(call, &mpop))
        return;
    /* The key of the first slice stays the key. */
    for (uint32_t i = walk->unfinished ? (uint32_t)walk->cursor : 0; i < mpop.keys; i++) {
        walk->cursor = i;
        if (pop_key(call, call->argv[2 + i], &mpop))
            return;
    }
    call_found_nothing(call);
    reply_null_array(call->reply);
}

/* ---- waiting: the timeout is no matter of the data, see waiting.c ---------------------- */

/* False: there is nothing. */
static bool pop_first(struct call *call, struct bytes key, bool is_max)
{
    struct ordered set;
    bool is_set = ordered_open(&set, call, key, DB_ZSET), is_answered = !is_set;
    if (is_set && set.count > 0) {
        bool is_popped = pop(call, &set, 1, is_max, false);
        check(is_popped);
        reply_array(call->reply, 3);
        reply_bulk(call->reply, key);
        reply_raw(call->reply, buffer_bytes(&call->walk->found));
        is_answered = true;
    }
    ordered_close(&set);
    return is_answered;
}

static void wait_for_one(struct call *call, bool is_max)
{
    for (uint32_t i = call_slice(call, 1); i + 1 < call->argc && call_takes(call, i); i++)
        if (pop_first(call, call->argv[i], is_max))
            return;
    if (call->walk->unfinished)
        return;
    call_found_nothing(call);
    reply_null_array(call->reply);
}

void cmd_bzpopmin(struct call *call)
{
    wait_for_one(call, false);
}

void cmd_bzpopmax(struct call *call)
{
    wait_for_one(call, true);
}

/* BZMPOP timeout ...: behind its name it is ZMPOP. */
void cmd_bzmpop(struct call *call)
{
    call->argv++;
    call->argc--;
    cmd_zmpop(call);
    call->argv--;
    call->argc++;
}

/* ---- ZRANDMEMBER, ZSCAN --------------------------------------------------------------------- */

enum { DRAWS_SLICE = 256 };

struct giving {
    struct call *call;
    bool with_scores;
};

static bool give(void *context, struct bytes key, struct bytes value)
{
    const struct giving *giving = context;
    sorted_add_parts(giving->call, sorted_member(key), sorted_score(key, value),
                     giving->with_scores);
    return true;
}

/* Which rank is given at place `i` of a random order of all: a permutation by a Feistel network
 * over the next power of four, walked until it falls within. */
static uint64_t permuted(uint64_t i, uint64_t count, uint64_t seed)
{
    unsigned half = 1;
    while (half < 32 && count > (uint64_t)1 << (2 * half))
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (unsigned round = 0; round < 6; round++) {
            uint64_t dice = seed ^ (right * 6 + round + 1) * 0x9e3779b97f4a7c15u;
            uint64_t next = left ^ (prng_next(&dice) & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= count);
    return i;
}

/* walk->cursor: how many were given. */
static void draw(struct call *call, const struct ordered *set, int64_t count, bool with_scores)
{
    struct walk_state *walk = call->walk;
    struct giving giving = {.call = call, .with_scores = with_scores};
    uint64_t wanted = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (!walk->unfinished)
        walk->seed = call->seed;
    walk->unfinished = false;
    if (count > 0 && wanted > set->count)
        wanted = set->count;
    if (set->count == 0)
        wanted = 0;
    for (unsigned i = 0; walk->cursor < wanted; i++, walk->cursor++) {
        if (!call_keeps_parts(call, 0))
            return;
        walk->unfinished = i == DRAWS_SLICE;
        if (walk->unfinished)
            return;
        uint64_t dice = walk->seed ^ walk->cursor * 0x9e3779b97f4a7c15u;
        uint64_t rank = count < 0 ? prng_below(&dice, set->count)
                                  : permuted(walk->cursor, set->count, walk->seed);
        ordered_walk(set, rank, 1, false, give, &giving);
    }
    if (call_keeps_parts(call, 0))
        call_reply_parts(call, walk->count);
}

static void draw_one(struct call *call, const struct ordered *set)
{
    struct bytes key, value;
    uint64_t seed = call->seed;
    if (set->count == 0) {
        reply_null(call->reply);
        return;
    }
    ordered_get(set, prng_below(&seed, set->count), &key, &value);
    reply_bulk(call->reply, sorted_member(key));
}

void cmd_zrandmember(struct call *call)
{
    struct ordered set;
    int64_t count = 0;
    bool with_scores = call->argc > 3;
    if (call->argc > 2 && !call_integer(call, 2, &count))
        return;
    if (count == INT64_MIN) {
        reply_error(call->reply, "ERR value is out of range, value must between %lld and %lld",
                    (long long)-INT64_MAX, (long long)INT64_MAX);
        return;
    }
    if (call->argc > 4 || (with_scores && !bytes_is(call->argv[3], "withscores"))) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (with_scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        reply_error(call->reply, "ERR value is out of range");
        return;
    }
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        if (call->argc > 2)
            draw(call, &set, count, with_scores);
        else
            draw_one(call, &set);
    }
    ordered_close(&set);
}

/* Members in the order of the cursors, scores as text in both protocols. */
struct scan {
    struct call *call;
    const struct ordered *set;
    const struct walk_words *words;
};

static void give_scanned(const struct scan *scan, struct bytes member, double score)
{
    struct walk_state *walk = scan->call->walk;
    struct reply found = {&walk->found, 2};
    if (!scan->words->match_all && !command_glob_match(scan->words->pattern, member, false))
        return;
    call_add_part(scan->call, member, true);
    reply_double(&found, score);
    walk->count += 2;
}

static bool give_small(void *context, struct bytes key, struct bytes value)
{
    give_scanned(context, sorted_member(key), sorted_score(key, value));
    return true;
}

static void give_row(void *context, struct bytes name, struct bytes row)
{
    give_scanned(context, name, sorted_row_score(row));
}

void cmd_zscan(struct call *call)
{
    struct ordered set;
    struct walk_words words = {0};
    uint64_t cursor;
    if (!walk_cursor(call, 2, &cursor))
        return;
    bool is_open = ordered_open(&set, call, call->argv[1], DB_ZSET);
    if (is_open && (set.count == 0 || walk_read_words(call, 3, &words))) {
        struct scan scan = {.call = call, .set = &set, .words = &words};
        struct walk_scan wanted = {walk_scan_count(&words), 0};
        struct db_scan_limit limit = walk_scan_slice(call, cursor, &wanted);
        if (set.record.space)
            cursor = db_row_scan(call->db, call->view, set.record.space, call->walk->cursor, limit,
                                 give_row, &scan);
        else
            cursor = 0;
        if (!set.record.space && set.count > 0)
            ordered_walk(&set, 0, set.count, false, give_small, &scan);
        walk_scan_end(call, &wanted, &limit, cursor);
    }
    ordered_close(&set);
}
