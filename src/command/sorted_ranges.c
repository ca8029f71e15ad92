/* Ranges of sorted sets, by rank, score or name (Redis 7.2 t_zset.c).  Whatever they are told by,
 * they are ranks [from, to) in the end, found in O(log n).  Deterministic; loop thread only. */
#include <math.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "command/preparing.h"
#include "command/sorted.h"
#include "command/sorted_sets.h"
#include "resp/number.h"

enum kind { BY_RANK, BY_SCORE, BY_LEX };

struct range {
    enum kind kind;
    bool is_reversed;
    bool with_scores;
    bool has_limit;
    bool takes_once;       /* REV, BYSCORE and BYLEX: what is said again is wrong */
    int64_t offset, limit; /* limit < 0: all */
    uint32_t low, high;    /* of the words: its ends, as they are if it is not reversed */
};

struct ranks {
    uint64_t from, to;
};

/* ---- the ends ------------------------------------------------------------------------- */

struct score_end {
    double score;
    bool is_exclusive;
};

/* As strtod takes it, blanks in front and all (7.2 t_zset.c, zslParseRange). */
static bool parse_score_end(struct bytes word, struct score_end *end)
{
    char text[128], *rest;
    *end = (struct score_end){0};
    if (sorted_parse_plain(word, &end->score))
        return true;
    if (word.size >= sizeof text)
        return false;
    if (word.size > 0)
        memcpy(text, word.data, word.size);
    text[word.size] = '\0';
    end->is_exclusive = text[0] == '(';
    end->score = strtod(text + end->is_exclusive, &rest);
    return *rest == '\0' && !isnan(end->score);
}

/* "-", "+", "[name", "(name". */
static bool is_lex_end(struct bytes word)
{
    const char *text = word.data;
    if (word.size == 0)
        return false;
    return text[0] == '[' || text[0] == '(' ||
           (word.size == 1 && (text[0] == '-' || text[0] == '+'));
}

/* False: answered. */
static bool check_ends(struct call *call, const struct range *range)
{
    struct bytes low = call->argv[range->low], high = call->argv[range->high];
    struct score_end end;
    int64_t rank;
    const char *error = NULL;
    if (range->kind == BY_RANK)
        return call_integer(call, range->low, &rank) && call_integer(call, range->high, &rank);
    if (range->kind == BY_SCORE && (!parse_score_end(low, &end) || !parse_score_end(high, &end)))
        error = "ERR min or max is not a float";
    if (range->kind == BY_LEX && (!is_lex_end(low) || !is_lex_end(high)))
        error = "ERR min or max not valid string range item";
    if (error)
        reply_error(call->reply, "%s", error);
    return !error;
}

static void by_rank(struct call *call, const struct range *range, uint64_t count,
                    struct ranks *ranks)
{
    int64_t start, stop, size = (int64_t)count;
    bool are_numbers = number_parse_i64(call->argv[range->low], &start) &&
                       number_parse_i64(call->argv[range->high], &stop);
    check(are_numbers);
    if (start < 0)
        start = start + size > 0 ? start + size : 0;
    if (stop < 0)
        stop += size;
    if (stop >= size)
        stop = size - 1;
    if (start > stop || start >= size)
        return;
    *ranks = (struct ranks){(uint64_t)start, (uint64_t)stop + 1};
    if (range->is_reversed)
        *ranks = (struct ranks){count - 1 - (uint64_t)stop, count - (uint64_t)start};
}

/* How many have less; nobody has less than the least, nor more than the highest. */
static uint64_t below_score(const struct ordered *set, uint64_t bits)
{
    if (bits <= sorted_bits(-INFINITY))
        return 0;
    if (bits > sorted_bits(INFINITY))
        return set->count;
    return sorted_below(set, bits, bytes_of("", 0));
}

static void by_score(struct call *call, const struct ordered *set, const struct range *range,
                     struct ranks *ranks)
{
    struct score_end low = {0}, high = {0};
    parse_score_end(call->argv[range->low], &low);
    parse_score_end(call->argv[range->high], &high);
    ranks->from = below_score(set, sorted_bits(low.score) + low.is_exclusive);
    ranks->to = below_score(set, sorted_bits(high.score) + !high.is_exclusive);
}

/* How many are below this end, which is behind those equal to it or before them. */
static uint64_t below_name(const struct ordered *set, uint64_t bits, struct bytes word,
                           bool is_behind)
{
    const char *text = word.data;
    struct buffer name = {0};
    if (text[0] == '-')
        return 0;
    if (text[0] == '+')
        return set->count;
    buffer_append(&name, text + 1, word.size - 1);
    if (is_behind)
        buffer_append_byte(&name, 0); /* the next that there can be */
    uint64_t rank = sorted_below(set, bits, buffer_bytes(&name));
    buffer_deinit(&name);
    return rank;
}

/* All have the same score, says Redis: that of the first. */
static void by_lex(struct call *call, const struct ordered *set, const struct range *range,
                   struct ranks *ranks)
{
    struct bytes low = call->argv[range->low], high = call->argv[range->high], key, value;
    ordered_get(set, 0, &key, &value);
    uint64_t bits = sorted_bits(sorted_score(key, value));
    ranks->from = below_name(set, bits, low, *(const char *)low.data == '(');
    ranks->to = below_name(set, bits, high, *(const char *)high.data == '[');
}

static struct ranks limited(struct ranks ranks, const struct range *range)
{
    uint64_t offset = (uint64_t)range->offset, limit = (uint64_t)range->limit;
    if (range->offset < 0 || offset >= ranks.to - ranks.from)
        return (struct ranks){0};
    bool is_cut = range->limit >= 0 && limit < ranks.to - ranks.from - offset;
    if (range->is_reversed) {
        ranks.to -= offset;
        if (is_cut)
            ranks.from = ranks.to - limit;
    } else {
        ranks.from += offset;
        if (is_cut)
            ranks.to = ranks.from + limit;
    }
    return ranks;
}

/* The ends were checked. */
static struct ranks find_range(struct call *call, const struct ordered *set,
                               const struct range *range)
{
    struct ranks ranks = {0};
    if (set->count == 0)
        return ranks;
    if (range->kind == BY_RANK)
        by_rank(call, range, set->count, &ranks);
    else if (range->kind == BY_SCORE)
        by_score(call, set, range, &ranks);
    else
        by_lex(call, set, range, &ranks);
    if (ranks.from >= ranks.to)
        return (struct ranks){0};
    return range->has_limit ? limited(ranks, range) : ranks;
}

/* ---- counting ------------------------------------------------------------------------- */

static void count_range(struct call *call, enum kind kind)
{
    struct range range = {.kind = kind, .low = 2, .high = 3};
    struct ordered set;
    if (!check_ends(call, &range))
        return;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        struct ranks ranks = find_range(call, &set, &range);
        reply_integer(call->reply, (int64_t)(ranks.to - ranks.from));
    }
    ordered_close(&set);
}

void cmd_zcount(struct call *call)
{
    count_range(call, BY_SCORE);
}

void cmd_zlexcount(struct call *call)
{
    count_range(call, BY_LEX);
}

/* ---- the words of a range --------------------------------------------------------------- */

/* One word that says what it is, at *i; LIMIT takes two more.  False: answered. */
static bool take_word(struct call *call, struct range *range, bool is_plain, uint32_t *i)
{
    struct bytes word = call->argv[*i];
    bool has_kind_to_say = is_plain && !(range->takes_once && range->kind != BY_RANK);
    if (bytes_is(word, "withscores")) {
        range->with_scores = true;
    } else if (bytes_is(word, "limit") && *i + 2 < call->argc) {
        range->has_limit = true;
        if (!call_integer(call, *i + 1, &range->offset) ||
            !call_integer(call, *i + 2, &range->limit))
            return false;
        *i += 2;
    } else if (is_plain && !(range->takes_once && range->is_reversed) && bytes_is(word, "rev")) {
        range->is_reversed = true;
    } else if (has_kind_to_say && bytes_is(word, "bylex")) {
        range->kind = BY_LEX;
    } else if (has_kind_to_say && bytes_is(word, "byscore")) {
        range->kind = BY_SCORE;
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* Its ends are the words `first` and the next, options follow; is_plain: ZRANGE, which tells all by
 * options.  False: answered. */
static bool read_range(struct call *call, struct range *range, uint32_t first, bool is_plain,
                       bool is_stored)
{
    for (uint32_t i = first + 2; i < call->argc; i++)
        if (!take_word(call, range, is_plain, &i))
            return false;
    const char *error = NULL;
    if (range->has_limit && range->limit != -1 && range->kind == BY_RANK)
        error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
                "BYLEX";
    else if (range->with_scores && range->kind == BY_LEX)
        error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    else if (range->with_scores && is_stored)
        error = ERROR_SYNTAX;
    if (error) {
        reply_error(call->reply, "%s", error);
        return false;
    }
    range->has_limit &= range->kind != BY_RANK;
    bool is_swapped = range->is_reversed && range->kind != BY_RANK;
    range->low = first + is_swapped;
    range->high = first + !is_swapped;
    return check_ends(call, range);
}

/* ---- giving ------------------------------------------------------------------------------ */

enum { GIVE_SLICE = 2000 };

struct giving {
    struct call *call;
    bool with_scores;
};

static bool give(void *context, struct bytes key, struct bytes value)
{
    const struct giving *giving = context;
    struct walk_state *walk = giving->call->walk;
    sorted_add_parts(giving->call, sorted_member(key), sorted_score(key, value),
                     giving->with_scores);
    walk->budget -= (int64_t)key.size + 16;
    return walk->budget > 0;
}

/* A slice of it; walk->cursor is how many were given. */
static void give_range(struct call *call, const struct ordered *set, const struct range *range)
{
    struct giving giving = {.call = call, .with_scores = range->with_scores};
    struct walk_state *walk = call->walk;
    struct ranks ranks = find_range(call, set, range);
    uint64_t count = ranks.to - ranks.from;
    call_begin_slice(call);
    for (unsigned given = 0; walk->cursor < count && given < GIVE_SLICE && walk->budget > 0;) {
        uint64_t rank =
            range->is_reversed ? ranks.to - 1 - walk->cursor : ranks.from + walk->cursor;
        uint64_t more =
            ordered_walk(set, rank, count - walk->cursor, range->is_reversed, give, &giving);
        walk->cursor += more;
        given += (unsigned)more;
        if (!call_keeps_parts(call, 0))
            return;
    }
    walk->unfinished = walk->cursor < count;
    if (!walk->unfinished && call_keeps_parts(call, 0))
        call_reply_parts(call, walk->count);
}

static void reply_range(struct call *call, struct range range, bool is_plain)
{
    struct ordered set;
    if (!read_range(call, &range, 2, is_plain, false))
        return;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET))
        give_range(call, &set, &range);
    ordered_close(&set);
}

/* Entries up to meaning 6 can say BYSCORE twice; nobody proposes it any more. */
bool words_zrange(struct call *call)
{
    struct range range = {.limit = -1, .takes_once = true};
    return read_range(call, &range, 2, true, false);
}

void cmd_zrange(struct call *call)
{
    reply_range(call, (struct range){.limit = -1}, true);
}

void cmd_zrevrange(struct call *call)
{
    reply_range(call, (struct range){.is_reversed = true, .limit = -1}, false);
}

void cmd_zrangebyscore(struct call *call)
{
    reply_range(call, (struct range){.kind = BY_SCORE, .limit = -1}, false);
}

void cmd_zrevrangebyscore(struct call *call)
{
    reply_range(call, (struct range){.kind = BY_SCORE, .is_reversed = true, .limit = -1}, false);
}

void cmd_zrangebylex(struct call *call)
{
    reply_range(call, (struct range){.kind = BY_LEX, .limit = -1}, false);
}

void cmd_zrevrangebylex(struct call *call)
{
    reply_range(call, (struct range){.kind = BY_LEX, .is_reversed = true, .limit = -1}, false);
}

/* ---- ZRANGESTORE ---------------------------------------------------------------------------- */

/* Entries, each as a key and a value with their sizes in front: what a walk lends does not outlive
 * the next change. */
static bool note_entry(void *context, struct bytes key, struct bytes value)
{
    buffer_append(context, &key.size, sizeof key.size);
    buffer_append_bytes(context, key);
    buffer_append(context, &value.size, sizeof value.size);
    buffer_append_bytes(context, value);
    return true;
}

static struct bytes take_noted(const struct buffer *noted, size_t *at)
{
    struct bytes bytes;
    memcpy(&bytes.size, noted->data + *at, sizeof bytes.size);
    bytes.data = noted->data + *at + sizeof bytes.size;
    *at += sizeof bytes.size + bytes.size;
    return bytes;
}

enum { COPY_SLICE = 500 };

/* Some of them, behind those that `to` has; false: there are more. */
static bool copy_some(const struct ordered *from, struct ranks ranks, struct ordered *to)
{
    struct buffer noted = {0};
    uint64_t end = to->count + COPY_SLICE;
    ranks.from += to->count;
    while (ranks.from < ranks.to && to->count < end) {
        buffer_clear(&noted);
        ranks.from +=
            ordered_walk(from, ranks.from, ranks.to - ranks.from, false, note_entry, &noted);
        for (size_t at = 0; at < noted.size;) {
            struct bytes key = take_noted(&noted, &at);
            struct bytes value = take_noted(&noted, &at);
            ordered_insert(to, key, value);
        }
    }
    buffer_deinit(&noted);
    return ranks.from >= ranks.to;
}

static bool read_store(struct call *call, struct range *range)
{
    *range = (struct range){.limit = -1};
    return read_range(call, range, 3, true, true);
}

bool words_zrangestore(struct call *call)
{
    struct range range = {.limit = -1, .takes_once = true}; /* as words_zrange() */
    return read_range(call, &range, 3, true, true);
}

uint64_t sorted_store_size(struct call *call)
{
    struct range range;
    struct ordered from;
    struct ranks ranks = {0};
    if (!read_store(call, &range))
        return 0;
    if (ordered_open(&from, call, call->argv[2], DB_ZSET))
        ranks = find_range(call, &from, &range);
    ordered_close(&from);
    return ranks.to - ranks.from;
}

static void end_store(struct call *call, struct ordered *to)
{
    if (to->count > 0)
        ordered_save(to, "zrangestore");
    else
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, (int64_t)to->count);
}

void cmd_zrangestore(struct call *call)
{
    struct range range;
    struct ordered from, to;
    if (!read_store(call, &range))
        return;
    if (ordered_open(&from, call, call->argv[2], DB_ZSET)) {
        struct ranks ranks = find_range(call, &from, &range);
        ordered_new(&to, call, call->argv[1], DB_ZSET);
        if (call->walk->unfinished)
            ordered_take_back(&to, call, buffer_bytes(&call->walk->found));
        buffer_clear(&call->walk->found);
        call->walk->unfinished = !call_is_prepared(call) && !copy_some(&from, ranks, &to);
        if (call->walk->unfinished || call_stops(call))
            ordered_put_aside(&to, &call->walk->found);
        else
            end_store(call, &to);
        ordered_close(&to);
    }
    ordered_close(&from);
}

/* ---- ZREMRANGEBY... -------------------------------------------------------------------------- */

static enum kind kind_of(const struct call *call)
{
    switch (call->command->name[strlen("zremrangeby")]) {
    case 'r': return BY_RANK;
    case 's': return BY_SCORE;
    default: return BY_LEX;
    }
}

bool words_zremrange(struct call *call)
{
    struct range range = {.kind = kind_of(call), .low = 2, .high = 3};
    return check_ends(call, &range);
}

uint64_t sorted_remove_size(struct call *call)
{
    struct range range = {.kind = kind_of(call), .low = 2, .high = 3};
    struct ordered set;
    struct ranks ranks = {0};
    if (!words_zremrange(call))
        return 0;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET))
        ranks = find_range(call, &set, &range);
    ordered_close(&set);
    return ranks.to - ranks.from;
}

/* walk->count: how many are gone; walk->cursor: how many were in the range. */
static void remove_range(struct call *call, enum kind kind)
{
    struct range range = {.kind = kind, .low = 2, .high = 3};
    struct walk_state *walk = call->walk;
    struct ordered set;
    if (!words_zremrange(call))
        return;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        if (!walk->unfinished) {
            struct ranks ranks = find_range(call, &set, &range);
            walk->seed = ranks.from;
            walk->cursor = ranks.to - ranks.from;
        }
        walk->unfinished = false;
        uint64_t before = walk->count;
        if (call_is_prepared(call))
            ordered_take_changes(&set, call, buffer_bytes(&walk->found));
        while (walk->count < walk->cursor && walk->count - before < GIVE_SLICE)
            walk->count += ordered_cut(&set, walk->seed, walk->cursor - walk->count);
        walk->unfinished = walk->count < walk->cursor;
        if (!walk->unfinished && call_stops(call))
            ordered_put_aside(&set, &walk->found);
        else if (walk->count > before || call_is_prepared(call))
            ordered_save(&set, call->command->name);
        if (!walk->unfinished)
            reply_integer(call->reply, (int64_t)walk->count);
    }
    ordered_close(&set);
}

void cmd_zremrangebyrank(struct call *call)
{
    remove_range(call, BY_RANK);
}

void cmd_zremrangebyscore(struct call *call)
{
    remove_range(call, BY_SCORE);
}

void cmd_zremrangebylex(struct call *call)
{
    remove_range(call, BY_LEX);
}
