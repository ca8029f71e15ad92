/* Unions, intersections and differences of sorted sets (Redis 7.2 t_zset.c).
 *
 * Their members are collected in a table in memory, all or those of one source; of an intersection
 * or a difference each is then looked for in the others; what is left is sorted, and given or put
 * into a new set in that order: all of it in slices.  Deterministic; loop thread only. */
#include <math.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/prepare.h"
#include "command/sorted.h"
#include "command/sorted_sets.h"
#include "command/sorted_table.h"
#include "resp/number.h"

enum aggregate { SUM, MIN, MAX };
enum kind { UNION, INTER, DIFF };

struct combination {
    enum kind kind;
    bool is_stored, counts_only, with_scores;
    uint32_t first, keys; /* of the words: the keys */
    uint32_t weights;     /* where they begin; 0: there are none */
    enum aggregate aggregate;
    int64_t limit; /* 0: none */
};

/* ---- words ------------------------------------------------------------------------------ */

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

static void kind_of(const struct call *call, struct combination *words)
{
    const char *name = call->command->name;
    words->kind = name[1] == 'u' ? UNION : name[1] == 'i' ? INTER : DIFF;
    words->is_stored = ends_with(name, "store");
    words->counts_only = ends_with(name, "card");
    words->first = words->is_stored ? 3 : 2;
}

/* False: answered. */
static bool take_weights(struct call *call, struct combination *words, uint32_t *i)
{
    double weight;
    words->weights = *i + 1;
    for (uint32_t k = 0; k < words->keys; k++)
        if (!sorted_parse(call->argv[words->weights + k], &weight))
            return call_refuse(call, "ERR weight value is not a float");
    *i += words->keys;
    return true;
}

static bool take_aggregate(struct call *call, struct combination *words, struct bytes word)
{
    if (bytes_is(word, "sum"))
        words->aggregate = SUM;
    else if (bytes_is(word, "min"))
        words->aggregate = MIN;
    else if (bytes_is(word, "max"))
        words->aggregate = MAX;
    else
        return call_refuse(call, ERROR_SYNTAX);
    return true;
}

/* The option at *i, whose words it skips but for one; false: answered. */
static bool take_option(struct call *call, struct combination *words, uint32_t *i)
{
    struct bytes word = call->argv[*i];
    uint32_t behind = call->argc - *i - 1;
    bool combines = words->kind != DIFF && !words->counts_only;
    if (combines && behind >= words->keys && bytes_is(word, "weights"))
        return take_weights(call, words, i);
    if (combines && behind >= 1 && bytes_is(word, "aggregate"))
        return take_aggregate(call, words, call->argv[++*i]);
    if (!words->is_stored && !words->counts_only && bytes_is(word, "withscores"))
        return words->with_scores = true;
    if (!words->counts_only || behind < 1 || !bytes_is(word, "limit"))
        return call_refuse(call, ERROR_SYNTAX);
    if (!number_parse_i64(call->argv[++*i], &words->limit) || words->limit < 0)
        return call_refuse(call, "ERR LIMIT can't be negative");
    return true;
}

static bool read_words(struct call *call, struct combination *words)
{
    int64_t keys;
    *words = (struct combination){0};
    kind_of(call, words);
    if (!call_integer(call, words->first - 1, &keys))
        return false;
    if (keys < 1) {
        reply_error(call->reply, "ERR at least 1 input key is needed for '%s' command",
                    call->command->name);
        return false;
    }
    if (keys > (int64_t)call->argc - words->first)
        return call_refuse(call, ERROR_SYNTAX);
    words->keys = (uint32_t)keys;
    for (uint32_t i = words->first + words->keys; i < call->argc; i++)
        if (!take_option(call, words, &i))
            return false;
    return true;
}

bool words_zunion(struct call *call)
{
    struct combination words;
    return read_words(call, &words);
}

/* ---- sources ---------------------------------------------------------------------------- */

/* A sorted set, or a set, whose members have the score 1. */
struct source {
    bool is_plain;
    struct ordered set;
    struct fields plain;
    double weight;
};

static uint64_t count_of(const struct source *source)
{
    return source->is_plain ? source->plain.count : source->set.count;
}

static int compare_sources(const void *one, const void *other)
{
    const struct source *a = one, *b = other;
    return (count_of(a) > count_of(b)) - (count_of(a) < count_of(b));
}

static void close_sources(struct source *sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (sources[i].is_plain)
            fields_close(&sources[i].plain);
        else
            ordered_close(&sources[i].set);
    memory_free(sources);
}

/* To be closed in any case; false: answered. */
static bool open_source(struct call *call, struct bytes key, struct source *source)
{
    struct db_record found;
    source->is_plain =
        db_find(call->db, call->view, call->database, key, &found, NULL) && found.type == DB_SET;
    if (!source->is_plain)
        return ordered_open(&source->set, call, key, DB_ZSET);
    bool is_set = call_fields(call, key, DB_SET, &source->plain);
    if (is_set)
        fields_hold(&source->plain);
    return is_set;
}

/* Owned, words->keys of them; NULL: answered. */
static struct source *open_sources(struct call *call, const struct combination *words)
{
    struct source *sources = memory_new(words->keys * sizeof *sources);
    for (uint32_t i = 0; i < words->keys; i++) {
        sources[i].weight = 1;
        if (words->weights)
            sorted_parse(call->argv[words->weights + i], &sources[i].weight);
        if (!open_source(call, call->argv[words->first + i], &sources[i])) {
            close_sources(sources, i + 1);
            return NULL;
        }
    }
    if (words->kind != DIFF) /* as Redis adds them up */
        qsort(sources, words->keys, sizeof *sources, compare_sources);
    return sources;
}

/* ---- what comes of them ----------------------------------------------------------------- */

enum phase { ADDING, CHOOSING, SORTING, GIVING };

/* What is kept between slices. */
struct progress {
    struct sorted_table *table; /* owned */
    enum phase phase;
    uint32_t source;               /* the one that is walked, */
    uint64_t at;                   /* and how far: a rank, or a cursor */
    struct sorted_element *chosen; /* the next that is to be looked for in the others */
    uint64_t given;
    struct buffer stored; /* of what is stored: ordered_put_aside() */
};

/* One slice. */
struct result {
    struct call *call;
    const struct combination *words;
    struct source *sources;
    struct progress *progress;
    uint64_t work_end;  /* db_work() when it is enough */
    struct ordered set; /* that is stored */
};

enum {
    ADD_SLICE = 2000,
    LOOKS_SLICE = 2000,
    SORT_SLICE = 20000,
    GIVE_SLICE = 500,
    WORK_SLICE = 1 << 20
};

static bool is_enough(const struct result *result)
{
    return db_work(result->call->db) >= result->work_end;
}

static double weighed(double score, double weight)
{
    double product = score * weight;
    return isnan(product) ? 0 : product;
}

static double aggregated(double one, double other, enum aggregate aggregate)
{
    if (aggregate == MIN)
        return other < one ? other : one;
    if (aggregate == MAX)
        return other > one ? other : one;
    double sum = one + other;
    return isnan(sum) ? 0 : sum; /* of inf and -inf */
}

static void add_element(struct result *result, struct bytes member, double score)
{
    struct progress *progress = result->progress;
    uint64_t hash = db_row_word(result->call->db, member);
    struct sorted_element *element = sorted_table_find(progress->table, hash, member);
    score = weighed(score, result->sources[progress->source].weight);
    if (element)
        element->score = aggregated(element->score, score, result->words->aggregate);
    else
        sorted_table_add(progress->table, hash, member, score);
}

static bool add_entry(void *context, struct bytes key, struct bytes value)
{
    add_element(context, sorted_member(key), sorted_score(key, value));
    return true;
}

static void add_member(void *context, struct bytes name, struct bytes value)
{
    (void)value;
    add_element(context, name, 1);
}

/* Some of the source that is walked; false: it has more. */
static bool add_some(struct result *result)
{
    static const struct db_scan_limit some = {
        .keys = ADD_SLICE, .rows = ADD_SLICE, .bytes = WORK_SLICE};
    struct progress *progress = result->progress;
    struct source *source = &result->sources[progress->source];
    const struct ordered *set = &source->set;
    if (source->is_plain) {
        progress->at = fields_scan(&source->plain, progress->at, some, add_member, result);
        return progress->at == 0;
    }
    for (uint64_t left = ADD_SLICE; progress->at < set->count && left > 0 && !is_enough(result);) {
        uint64_t wanted = set->count - progress->at < left ? set->count - progress->at : left;
        uint64_t met = ordered_walk(set, progress->at, wanted, false, add_entry, result);
        progress->at += met;
        left -= met;
    }
    return progress->at == set->count;
}

/* Of a union all sources, else the first.  False: not finished. */
static bool add_all(struct result *result)
{
    struct progress *progress = result->progress;
    uint32_t count = result->words->kind == UNION ? result->words->keys : 1;
    for (unsigned i = 0; progress->source < count; i++) {
        if (i == LOOKS_SLICE || is_enough(result) || !add_some(result))
            return false;
        progress->source++;
        progress->at = 0;
    }
    return true;
}

static bool find_member(struct source *source, struct bytes member, double *score)
{
    struct bytes nothing;
    *score = 1;
    return source->is_plain ? fields_get(&source->plain, member, &nothing)
                            : sorted_find(&source->set, member, score);
}

/* What another source adds to an intersection: where it is no number it counts as that, as in
 * Redis, so it leaves the least and the greatest as they are, and any sum 0.  As 0 before meaning
 * 6. */
static double added(const struct result *result, double score, double weight)
{
    bool as_redis = result->call->meaning >= COMMAND_MEANING_WEIGHTS;
    return as_redis ? score * weight : weighed(score, weight);
}

/* False: it is not to stay. */
static bool is_wanted(const struct result *result, struct sorted_element *element)
{
    const struct combination *words = result->words;
    struct bytes member = bytes_of(element->member, element->size);
    double score;
    for (uint32_t i = 1; i < words->keys; i++) {
        bool is_there = find_member(&result->sources[i], member, &score);
        if (is_there != (words->kind == INTER))
            return false;
        if (is_there)
            element->score = aggregated(
                element->score, added(result, score, result->sources[i].weight), words->aggregate);
    }
    return true;
}

/* Which of them stay; false: not finished. */
static bool choose(struct result *result)
{
    const struct combination *words = result->words;
    struct progress *progress = result->progress;
    uint32_t looks = 0, each = words->kind == UNION ? 1 : words->keys;
    for (; progress->chosen; progress->chosen = progress->chosen->next, looks += each) {
        bool is_full =
            words->limit > 0 && sorted_table_taken(progress->table) == (uint64_t)words->limit;
        if (is_full)
            return true;
        if (looks >= LOOKS_SLICE || is_enough(result))
            return false;
        if (words->kind == UNION || is_wanted(result, progress->chosen))
            sorted_table_take(progress->table, progress->chosen);
    }
    return true;
}

/* ---- what becomes of it ----------------------------------------------------------------- */

static void give_one(struct result *result, const struct sorted_element *element)
{
    struct bytes member = bytes_of(element->member, element->size);
    if (result->words->is_stored)
        sorted_put(&result->set, member, element->score, false, 0);
    else
        sorted_add_parts(result->call, member, element->score, result->words->with_scores);
}

static bool give(struct result *result)
{
    struct progress *progress = result->progress;
    uint64_t count = sorted_table_taken(progress->table);
    for (unsigned i = 0; progress->given < count; i++, progress->given++) {
        if (i == GIVE_SLICE || is_enough(result))
            return false;
        give_one(result, sorted_table_at(progress->table, progress->given));
    }
    return true;
}

static void end(struct result *result)
{
    static const char *const events[] = {"zunionstore", "zinterstore", "zdiffstore"};
    struct call *call = result->call;
    uint64_t count = sorted_table_taken(result->progress->table);
    if (!result->words->is_stored && !result->words->counts_only) {
        call_reply_parts(call, call->walk->count);
        return;
    }
    if (result->words->is_stored && count > 0)
        ordered_save(&result->set, events[result->words->kind]);
    else if (result->words->is_stored)
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, (int64_t)count);
}

/* False: not finished. */
static bool work(struct result *result)
{
    struct progress *progress = result->progress;
    if (progress->phase == ADDING) {
        if (!add_all(result))
            return false;
        progress->phase = CHOOSING;
        progress->chosen = sorted_table_first(progress->table);
    }
    if (progress->phase == CHOOSING) {
        if (!choose(result))
            return false;
        progress->phase = result->words->counts_only ? GIVING : SORTING;
    }
    if (progress->phase == SORTING) {
        if (!sorted_table_sort(progress->table, call_slice_share(result->call, SORT_SLICE)))
            return false;
        progress->phase = GIVING;
    }
    return result->words->counts_only || give(result);
}

/* ---- slices ----------------------------------------------------------------------------- */

static void free_progress(void *kept)
{
    struct progress *progress = kept;
    sorted_table_free(progress->table);
    buffer_deinit(&progress->stored);
    memory_free(progress);
}

static struct progress *progress_of(struct walk_state *walk)
{
    if (!walk->kept) {
        struct progress *progress = memory_new(sizeof *progress);
        progress->table = sorted_table_new();
        walk->kept = progress;
        walk->kept_free = free_progress;
    }
    return walk->kept;
}

static void do_slice(struct result *result)
{
    struct call *call = result->call;
    struct progress *progress = result->progress;
    if (progress->stored.size > 0)
        ordered_take_back(&result->set, call, buffer_bytes(&progress->stored));
    buffer_clear(&progress->stored);
    call->walk->unfinished = !call_is_prepared(call) && !work(result);
    if (!call_keeps_parts(call, 0))
        return;
    if (!call->walk->unfinished && !call_stops(call))
        end(result);
    else if (result->words->is_stored)
        ordered_put_aside(&result->set, &progress->stored);
}

/* ZUNION and all its kin: the name says which. */
void cmd_zunion(struct call *call)
{
    struct combination words;
    struct result result = {.call = call, .words = &words};
    if (!read_words(call, &words))
        return;
    result.sources = open_sources(call, &words);
    if (!result.sources)
        return;
    result.work_end = db_work(call->db) + WORK_SLICE;
    result.progress = progress_of(call->walk);
    ordered_new(&result.set, call, call->argv[1], DB_ZSET);
    do_slice(&result);
    ordered_close(&result.set);
    close_sources(result.sources, words.keys);
}
