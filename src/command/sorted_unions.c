/* Unions, intersections and differences of sorted sets (Redis 7.2 t_zset.c).  Their members are
 * collected in memory, in one go.  Deterministic; loop thread only. */
#include <math.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/sorted.h"
#include "command/sorted_sets.h"
#include "resp/number.h"

#define uthash_malloc(size) memory_new(size)
#define uthash_free(at, size) memory_free(at)
#define uthash_fatal(text) fatal("sorted sets: %s", text)
#include <uthash.h>

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

static bool refuse(struct call *call, const char *error)
{
    reply_error(call->reply, "%s", error);
    return false;
}

/* False: answered. */
static bool take_weights(struct call *call, struct combination *words, uint32_t *i)
{
    double weight;
    words->weights = *i + 1;
    for (uint32_t k = 0; k < words->keys; k++)
        if (!sorted_parse(call->argv[words->weights + k], &weight))
            return refuse(call, "ERR weight value is not a float");
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
        return refuse(call, ERROR_SYNTAX);
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
        return refuse(call, ERROR_SYNTAX);
    if (!number_parse_i64(call->argv[++*i], &words->limit) || words->limit < 0)
        return refuse(call, "ERR LIMIT can't be negative");
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
        return refuse(call, ERROR_SYNTAX);
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

/* ---- sources ----------------------------------------------------------------------------- */

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

/* ---- what comes of them --------------------------------------------------------------------- */

struct element {
    double score;
    UT_hash_handle hh;
    size_t size;
    char member[]; /* size bytes */
};

struct result {
    const struct combination *words;
    struct source *sources;
    uint32_t source;          /* the one that is walked */
    struct element *elements; /* owned */
};

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
    struct element *element;
    score = weighed(score, result->sources[result->source].weight);
    HASH_FIND(hh, result->elements, member.data, member.size, element);
    if (element) {
        element->score = aggregated(element->score, score, result->words->aggregate);
        return;
    }
    element = memory_new(sizeof *element + member.size);
    element->score = score;
    element->size = member.size;
    if (member.size)
        memcpy(element->member, member.data, member.size);
    HASH_ADD_KEYPTR(hh, result->elements, element->member, element->size, element);
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

static void add_source(struct result *result, uint32_t source)
{
    static const struct db_scan_limit all = {.keys = UINT64_MAX, .rows = UINT64_MAX};
    const struct ordered *set = &result->sources[source].set;
    result->source = source;
    if (result->sources[source].is_plain) {
        for (uint64_t cursor = 0; (cursor = fields_scan(&result->sources[source].plain, cursor, all,
                                                        add_member, result));)
            ;
        return;
    }
    for (uint64_t rank = 0; rank < set->count;)
        rank += ordered_walk(set, rank, set->count - rank, false, add_entry, result);
}

static bool find_member(struct source *source, struct bytes member, double *score)
{
    struct bytes nothing;
    *score = 1;
    return source->is_plain ? fields_get(&source->plain, member, &nothing)
                            : sorted_find(&source->set, member, score);
}

/* False: it is not to stay. */
static bool is_wanted(const struct result *result, struct element *element)
{
    const struct combination *words = result->words;
    struct bytes member = bytes_of(element->member, element->size);
    double score;
    for (uint32_t i = 1; i < words->keys; i++) {
        bool is_there = find_member(&result->sources[i], member, &score);
        if (is_there != (words->kind == INTER))
            return false;
        if (is_there)
            element->score = aggregated(element->score, weighed(score, result->sources[i].weight),
                                        words->aggregate);
    }
    return true;
}

static int compare_elements(const struct element *a, const struct element *b)
{
    uint64_t one = sorted_bits(a->score), other = sorted_bits(b->score);
    if (one != other)
        return one < other ? -1 : 1;
    int order = memcmp(a->member, b->member, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static void collect(struct result *result)
{
    const struct combination *words = result->words;
    struct element *element, *next;
    uint64_t count = 0;
    add_source(result, 0);
    for (uint32_t i = 1; words->kind == UNION && i < words->keys; i++)
        add_source(result, i);
    HASH_ITER(hh, result->elements, element, next)
    {
        bool is_enough = words->limit > 0 && count == (uint64_t)words->limit;
        if (words->kind == UNION || (!is_enough && is_wanted(result, element))) {
            count++;
            continue;
        }
        HASH_DELETE(hh, result->elements, element);
        memory_free(element);
    }
    HASH_SRT(hh, result->elements, compare_elements);
}

static void forget(struct result *result)
{
    struct element *element, *next;
    HASH_ITER(hh, result->elements, element, next)
    {
        HASH_DELETE(hh, result->elements, element);
        memory_free(element);
    }
}

/* ---- what becomes of it
 * ------------------------------------------------------------------------ */

static void reply_result(struct call *call, const struct result *result)
{
    if (result->words->counts_only) {
        reply_integer(call->reply, HASH_COUNT(result->elements));
        return;
    }
    for (struct element *at = result->elements; at; at = at->hh.next) {
        sorted_add_parts(call, bytes_of(at->member, at->size), at->score,
                         result->words->with_scores);
        if (!call_keeps_parts(call, 0))
            return;
    }
    call_reply_parts(call, call->walk->count);
}

static void store_result(struct call *call, const struct result *result)
{
    static const char *const events[] = {"zunionstore", "zinterstore", "zdiffstore"};
    struct ordered set;
    ordered_new(&set, call, call->argv[1], DB_ZSET);
    for (struct element *at = result->elements; at; at = at->hh.next)
        sorted_put(&set, bytes_of(at->member, at->size), at->score, false, 0);
    if (set.count > 0)
        ordered_save(&set, events[result->words->kind]);
    else
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, (int64_t)set.count);
    ordered_close(&set);
}

/* ZUNION and all its kin: the name says which. */
void cmd_zunion(struct call *call)
{
    struct combination words;
    struct result result = {.words = &words};
    if (!read_words(call, &words))
        return;
    result.sources = open_sources(call, &words);
    if (!result.sources)
        return;
    collect(&result);
    if (words.is_stored)
        store_result(call, &result);
    else
        reply_result(call, &result);
    forget(&result);
    close_sources(result.sources, words.keys);
}
