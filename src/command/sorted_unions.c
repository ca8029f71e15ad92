/* Unions, intersections and differences of sorted sets (Redis 7.2 t_zset.c).
 *
 * First all keys are looked at (sorted_sources.h).  Their members are collected in a table in
 * memory, all or those of one source; of an intersection or a difference each is then looked for in
 * the others; what is left is sorted, and given or put into a new set in that order: all of it in
 * slices.  Deterministic; loop thread only. */
#include <math.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/preparing.h"
#include "command/sorted.h"
#include "command/sorted_sets.h"
#include "command/sorted_sources.h"
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

/* ---- what comes of them ----------------------------------------------------------------- */

enum phase { LOOKING, ADDING, CHOOSING, SORTING, GIVING };

/* What is kept between slices. */
struct progress {
    struct combination words;
    struct sorted_sources *sources; /* owned */
    struct sorted_table *table;     /* owned */
    enum phase phase;
    uint32_t source;               /* the one that is walked, */
    uint64_t at;                   /* and how far: a rank, or a cursor */
    struct sorted_element *chosen; /* the next that is to be looked for in the others, */
    uint32_t other;                /* from this one on */
    uint64_t given;
    struct buffer stored; /* of what is stored: ordered_put_aside() */
};

enum { OPEN_MAX = 16 }; /* sources in which members are looked for that stay open for a slice */

/* One slice. */
struct result {
    struct call *call;
    const struct combination *words;
    struct progress *progress;
    struct sorted_source open[OPEN_MAX]; /* the first of them */
    uint32_t opened;
    uint64_t work_end;  /* db_work() when it is enough */
    struct ordered set; /* that is stored */
};

enum {
    ADD_SLICE = 2000,
    LOOKS_SLICE = 2000,
    SORT_SLICE = 20000,
    GIVE_SLICE = 500,
    MEMBER_WORK = 512, /* of finding one in a table of millions, as bytes: see db_work() */
    WORK_SLICE = 1 << 20
};

static bool is_enough(const struct result *result)
{
    return db_work(result->call->db) >= result->work_end;
}

static double weight_of(const struct result *result, uint32_t source)
{
    const struct combination *words = result->words;
    double weight = 1;
    if (words->weights)
        sorted_parse(result->call->argv[words->weights +
                                        sorted_sources_place(result->progress->sources, source)],
                     &weight);
    return weight;
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

/* Of one source. */
struct adding {
    struct result *result;
    double weight;
};

static void add_element(struct adding *adding, struct bytes member, double score)
{
    struct result *result = adding->result;
    struct sorted_table *table = result->progress->table;
    uint64_t hash = db_row_word(result->call->db, member);
    struct sorted_element *element = sorted_table_find(table, hash, member);
    db_spend(result->call->db, MEMBER_WORK);
    score = weighed(score, adding->weight);
    if (element)
        element->score = aggregated(element->score, score, result->words->aggregate);
    else
        sorted_table_add(table, hash, member, score);
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

/* Some of a sorted set; false: it has more. */
static bool add_entries(struct result *result, const struct ordered *set, struct adding *adding)
{
    struct progress *progress = result->progress;
    for (uint64_t left = ADD_SLICE; progress->at < set->count && left > 0 && !is_enough(result);) {
        uint64_t wanted = set->count - progress->at < left ? set->count - progress->at : left;
        uint64_t met = ordered_walk(set, progress->at, wanted, false, add_entry, adding);
        progress->at += met;
        left -= met;
    }
    return progress->at == set->count;
}

/* Some of the source that is walked; false: it has more. */
static bool add_some(struct result *result)
{
    static const struct db_scan_limit some = {
        .keys = ADD_SLICE, .rows = ADD_SLICE, .bytes = WORK_SLICE};
    struct progress *progress = result->progress;
    struct adding adding = {result, weight_of(result, progress->source)};
    struct sorted_source source;
    bool is_all;
    sorted_sources_open(progress->sources, result->call, progress->source, &source);
    if (source.is_plain) {
        progress->at = fields_scan(&source.plain, progress->at, some, add_member, &adding);
        is_all = progress->at == 0;
    } else {
        is_all = add_entries(result, &source.set, &adding);
    }
    sorted_source_close(&source);
    return is_all;
}

/* Of how many sources the members are collected.  An intersection with a key that holds nothing is
 * empty, as is a difference from one. */
static uint32_t walked(const struct result *result)
{
    const struct sorted_sources *sources = result->progress->sources;
    uint32_t count = sorted_sources_count(sources);
    switch (result->words->kind) {
    case UNION: break;
    case INTER: return count == result->words->keys;
    case DIFF: return !sorted_sources_first_is_empty(sources);
    }
    return count;
}

/* False: not finished. */
static bool add_all(struct result *result)
{
    struct progress *progress = result->progress;
    uint32_t count = walked(result);
    for (unsigned i = 0; progress->source < count; i++) {
        if (i == LOOKS_SLICE || is_enough(result) || !add_some(result))
            return false;
        progress->source++;
        progress->at = 0;
    }
    return true;
}

static bool find_in(struct sorted_source *source, struct bytes member, double *score)
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

static bool find_member(struct result *result, uint32_t i, struct bytes member, double *score)
{
    struct sorted_sources *sources = result->progress->sources;
    struct sorted_source source;
    if (i >= 1 + OPEN_MAX) {
        sorted_sources_open(sources, result->call, i, &source);
        bool is_there = find_in(&source, member, score);
        sorted_source_close(&source);
        return is_there;
    }
    for (; result->opened < i; result->opened++)
        sorted_sources_open(sources, result->call, 1 + result->opened,
                            &result->open[result->opened]);
    return find_in(&result->open[i - 1], member, score);
}

static void close_all(struct result *result)
{
    for (uint32_t i = 0; i < result->opened; i++)
        sorted_source_close(&result->open[i]);
    ordered_close(&result->set);
}

enum choice { STAYS, GOES, LATER };

/* Looks for it in the others, of which there may be many: `looks` are left in this slice. */
static enum choice choose_one(struct result *result, struct sorted_element *element,
                              uint32_t *looks)
{
    const struct combination *words = result->words;
    struct progress *progress = result->progress;
    struct bytes member = bytes_of(element->member, element->size);
    uint32_t sources = words->kind == UNION ? 0 : sorted_sources_count(progress->sources);
    double score;
    for (; progress->other < sources; progress->other++) {
        if (*looks == 0 || is_enough(result))
            return LATER;
        --*looks;
        bool is_there = find_member(result, progress->other, member, &score);
        if (is_there != (words->kind == INTER))
            return GOES;
        if (is_there)
            element->score =
                aggregated(element->score, added(result, score, weight_of(result, progress->other)),
                           words->aggregate);
    }
    return STAYS;
}

/* Which of them stay; false: not finished. */
static bool choose(struct result *result)
{
    const struct combination *words = result->words;
    struct progress *progress = result->progress;
    uint32_t looks = LOOKS_SLICE;
    for (; progress->chosen; progress->chosen = progress->chosen->next, progress->other = 1) {
        bool is_full =
            words->limit > 0 && sorted_table_taken(progress->table) == (uint64_t)words->limit;
        if (is_full)
            return true;
        if (looks == 0 || is_enough(result))
            return false;
        looks--;
        enum choice choice = choose_one(result, progress->chosen, &looks);
        if (choice == LATER)
            return false;
        if (choice == STAYS)
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

/* ---- slices ----------------------------------------------------------------------------- */

static void free_progress(void *kept)
{
    struct progress *progress = kept;
    sorted_sources_free(progress->sources);
    sorted_table_free(progress->table);
    buffer_deinit(&progress->stored);
    memory_free(progress);
}

/* NULL: answered. */
static struct progress *progress_of(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct combination words;
    if (walk->kept)
        return walk->kept;
    if (!read_words(call, &words))
        return NULL;
    struct progress *progress = memory_new(sizeof *progress);
    progress->words = words;
    progress->sources = sorted_sources_new(words.first, words.keys);
    progress->table = sorted_table_new();
    walk->kept = progress;
    walk->kept_free = free_progress;
    return progress;
}

/* The sources are in the order in which Redis adds them up. */
static enum sorted_sources_step look(struct result *result)
{
    bool by_size = result->words->kind != DIFF;
    return sorted_sources_look(result->progress->sources, result->call, by_size, result->work_end);
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
        progress->other = 1;
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

/* False: answered. */
static bool look_and_work(struct result *result)
{
    struct walk_state *walk = result->call->walk;
    struct progress *progress = result->progress;
    walk->unfinished = false;
    if (call_is_prepared(result->call))
        return true;
    if (progress->phase == LOOKING) {
        enum sorted_sources_step step = look(result);
        if (step == SORTED_SOURCES_ANSWERED)
            return false;
        walk->unfinished = step == SORTED_SOURCES_MORE;
        progress->phase = walk->unfinished ? LOOKING : ADDING;
    }
    if (!walk->unfinished)
        walk->unfinished = !work(result);
    return true;
}

static void do_slice(struct result *result)
{
    struct call *call = result->call;
    struct progress *progress = result->progress;
    if (progress->stored.size > 0)
        ordered_take_back(&result->set, call, buffer_bytes(&progress->stored));
    buffer_clear(&progress->stored);
    if (!look_and_work(result) || !call_keeps_parts(call, 0))
        return;
    if (!call->walk->unfinished && !call_stops(call))
        end(result);
    else if (result->words->is_stored)
        ordered_put_aside(&result->set, &progress->stored);
}

/* ZUNION and all its kin: the name says which. */
void cmd_zunion(struct call *call)
{
    struct result result = {.call = call, .progress = progress_of(call)};
    if (!result.progress)
        return;
    result.words = &result.progress->words;
    result.work_end = db_work(call->db) + WORK_SLICE;
    ordered_new(&result.set, call, call->argv[1], DB_ZSET);
    do_slice(&result);
    close_all(&result);
}
