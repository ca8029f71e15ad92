/* See prepare.h. */
#include "command/prepare.h"

#include "base/blob.h"
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/bits.h"
#include "command/eval.h"
#include "command/functions.h"
#include "command/geo.h"
#include "command/lists.h"
#include "command/ordered.h"
#include "command/sorted_sets.h"
#include "command/streams.h"
#include "command/string_parts.h"
#include "command/tally.h"
#include "resp/number.h"

enum {
    LOOKS_MAX = 4000000, /* at keys: some 60 MB */
    SPACES_MAX = 4096,   /* the entry renumbers each, some 2 us, in one turn */
    PUTS_LISTED = 16384, /* keys in a slice, some 50 ns each */
    /* What takes about as long as an element of a set: */
    BITS_BYTES = 1024,  /* of a string, */
    PAYLOAD_BYTES = 16, /* of a serialized value, */
    LIST_ELEMENTS = 16, /* that are looked at, or go with their page */
    STREAM_PAGE = 8,    /* elements that take as long as one page of a stream */
    WORDS_LEAST = PREPARE_WORDS_LEAST,
    WORDS_UNIT = 16,    /* see struct kind */
    POP_WORDS = 3,      /* of SPOP and the like, with a count */
    TRIMMING_WORDS = 7, /* of XADD, with MAXLEN */
    /* Each with its identity; of more, what entries do to them is heard. */
    SOURCES_NOTED = WORDS_LEAST / 4,
    /* Of more sources nobody looks at what they are before: that alone would take long. */
    SOURCES_WEIGHED = 4 * WORDS_LEAST,
    SOURCE_ELEMENTS = 4 /* it takes so long to look at one */
};

/* ---- which are prepared ---------------------------------------------------------------- */

/* The keys that a command looks at, as words; and whether there are others, or these are too many:
 * then none is noted, but the command says at which it looks. */
struct sources {
    uint32_t first, count;
    bool are_looked_at;
};

/* What a string is counted in are its pages. */
static uint64_t elements_of(struct call *call, uint32_t i)
{
    struct bytes key = call->argv[i];
    struct db_record found;
    struct fields fields;
    struct ordered ordered;
    uint64_t count = 0;
    if (!db_lookup(call->db, call->database, key, &found))
        return 0;
    switch (found.type) {
    case DB_NONE: break;
    case DB_STREAM: return command_stream_pages(call, key) * STREAM_PAGE;
    case DB_STRING: return found.space ? found.size / DB_STRING_PAGE : 0;
    case DB_SET:
    case DB_HASH:
        fields_open(&fields, call->db, NULL, call->database, key, found.type);
        return fields.count;
    case DB_LIST:
    case DB_ZSET:
        ordered_open(&ordered, call, key, found.type);
        count = ordered.count;
        ordered_close(&ordered);
        break;
    }
    return count;
}

static uint64_t sum(struct call *call, struct sources sources)
{
    uint64_t elements = 0;
    for (uint32_t i = 0; i < sources.count; i++)
        elements += elements_of(call, sources.first + i);
    return elements;
}

/* Each of one source's elements is looked for in all. */
static uint64_t looks_of_first(struct call *call, struct sources sources)
{
    return elements_of(call, sources.first) * sources.count;
}

static uint64_t looks_of_smallest(struct call *call, struct sources sources)
{
    uint64_t elements = elements_of(call, sources.first);
    for (uint32_t i = 1; i < sources.count; i++) {
        uint64_t others = elements_of(call, sources.first + i);
        elements = others < elements ? others : elements;
    }
    return elements * sources.count;
}

/* `count` of them from sources->first on, with the elements that `elements` says. */
static uint64_t weigh_sources(struct call *call, struct sources *sources, uint32_t count,
                              uint64_t (*elements)(struct call *call, struct sources sources))
{
    uint64_t weight = (uint64_t)count * SOURCE_ELEMENTS;
    sources->count = count;
    if (count <= SOURCES_WEIGHED)
        weight += elements(call, *sources);
    sources->are_looked_at = count > SOURCES_NOTED;
    if (sources->are_looked_at)
        sources->count = 0;
    return weight;
}

static uint64_t weigh_combination(struct call *call, struct sources *sources)
{
    const char *name = call->command->name;
    int64_t keys = (int64_t)call->argc - 2;
    bool is_of_sets = *name == 's';
    sources->first = is_of_sets ? 2 : 3;
    if (!is_of_sets && !number_parse_i64(call->argv[2], &keys))
        return 0;
    if (keys < 1 || keys > (int64_t)call->argc - sources->first)
        return 0;
    return weigh_sources(call, sources, (uint32_t)keys,
                         name[1] == 'u'   ? sum
                         : name[1] == 'i' ? looks_of_smallest
                                          : looks_of_first);
}

static uint64_t weigh_copy(struct call *call, struct sources *sources)
{
    return sum(call, *sources);
}

/* At how many other keys SORT looks for each element: call_looks(). */
static uint64_t looks_of_sort(const struct call *call)
{
    uint64_t looks = 0;
    for (uint32_t i = 2; i < call->argc; i++)
        looks += bytes_is(call->argv[i], "by") || bytes_is(call->argv[i], "get");
    return looks;
}

static uint64_t weigh_sort(struct call *call, struct sources *sources)
{
    bool is_stored = false;
    for (uint32_t i = 2; i < call->argc; i++)
        is_stored |= bytes_is(call->argv[i], "store");
    uint64_t looks = is_stored ? looks_of_sort(call) : 0;
    sources->are_looked_at = looks > 0;
    return is_stored ? (1 + looks) * sum(call, *sources) : 0;
}

static uint64_t weigh_range(struct call *call, struct sources *sources)
{
    sources->first = 2;
    return sorted_store_size(call);
}

static uint64_t weigh_places(struct call *call, struct sources *sources)
{
    return geo_store_size(call, &sources->first);
}

/* Of strings whatever their form is. */
static uint64_t sum_of_bits(struct call *call, struct sources sources)
{
    struct db_record found;
    uint64_t bytes = 0;
    for (uint32_t i = sources.first; i < sources.first + sources.count; i++)
        if (db_lookup(call->db, call->database, call->argv[i], &found) && found.type == DB_STRING)
            bytes += found.size;
    return bytes / BITS_BYTES;
}

static uint64_t weigh_bits(struct call *call, struct sources *sources)
{
    sources->first = 3;
    return weigh_sources(call, sources, call->argc - 3, sum_of_bits);
}

/* It looks at nothing but its words. */
static uint64_t weigh_payload(struct call *call, struct sources *sources)
{
    sources->count = 0;
    return call->argv[3].size / PAYLOAD_BYTES;
}

static uint64_t weigh_trim(struct call *call, struct sources *sources)
{
    (void)sources;
    return command_list_trim_size(call) / LIST_ELEMENTS;
}

static uint64_t weigh_list(struct call *call, struct sources *sources)
{
    return sum(call, *sources) / LIST_ELEMENTS;
}

static uint64_t weigh_stream_trim(struct call *call, struct sources *sources)
{
    (void)sources;
    return command_stream_trim_size(call) / LIST_ELEMENTS;
}

static uint64_t weigh_removal(struct call *call, struct sources *sources)
{
    (void)sources;
    return sorted_remove_size(call);
}

static uint64_t weigh_pop(struct call *call, struct sources *sources)
{
    (void)sources;
    return command_pop_size(call);
}

static uint64_t weigh_sorted_pop(struct call *call, struct sources *sources)
{
    (void)sources;
    return sorted_pop_size(call);
}

static uint64_t weigh_list_pop(struct call *call, struct sources *sources)
{
    (void)sources;
    return command_list_pop_size(call) / LIST_ELEMENTS;
}

static uint64_t weigh_autoclaim(struct call *call, struct sources *sources)
{
    (void)sources;
    return command_autoclaim_size(call);
}

static uint64_t weigh_group(struct call *call, struct sources *sources)
{
    sources->first = 2;
    return command_group_size(call) / LIST_ELEMENTS;
}

static uint64_t weigh_consumer(struct call *call, struct sources *sources)
{
    sources->first = 2;
    return command_consumer_size(call);
}

/* Its stream is the last word but one, its only one. */
static uint64_t weigh_delivery(struct call *call, struct sources *sources)
{
    sources->first = call->argc - 2;
    return series_delivery_size(call);
}

/* Of the keys that it looks at; of too many nobody could say that they are what they were. */
static uint64_t weigh_keys(struct sources *sources, uint64_t size)
{
    sources->first = 2;
    return sources->count <= SOURCES_NOTED ? size : 0;
}

static uint64_t weigh_sorted_mpop(struct call *call, struct sources *sources)
{
    return weigh_keys(sources, sorted_mpop_size(call, &sources->count));
}

static uint64_t weigh_list_mpop(struct call *call, struct sources *sources)
{
    return weigh_keys(sources, command_list_mpop_size(call, &sources->count) / LIST_ELEMENTS);
}

/* It changes the value at its first word, word by word: what that takes, the words say. */
static uint64_t weigh_words(struct call *call, struct sources *sources)
{
    (void)sources;
    return call->argc;
}

/* The same of strings that are put; where a word, a key too, would be placed in pages they are not:
 * its space would be one of the place beside the db. */
static uint64_t weigh_puts(struct call *call, struct sources *sources)
{
    sources->count = 0;
    sources->are_looked_at = true; /* none, but all of them may be swapped or flushed */
    for (uint32_t i = 1; i < call->argc; i++)
        if (string_is_whole_large(call, call->argv[i].size))
            return 0;
    return call->argc;
}

/* The same, but it looks at the keys that it says with call_looks(). */
static uint64_t weigh_all_words(struct call *call, struct sources *sources)
{
    sources->count = 0;
    sources->are_looked_at = true;
    return call->argc;
}

/* Of a script what it gets is prepared, and it is of no account what it does. */
static uint64_t weigh_script(struct call *call, struct sources *sources)
{
    sources->count = 0;
    return call->argc;
}

/* The same, where what becomes of a field does not depend on when. */
static uint64_t weigh_deadlines(struct call *call, struct sources *sources)
{
    (void)sources;
    return command_fields_may_prepare(call) ? call->argc : 0;
}

static uint64_t weigh_transaction(struct call *call, struct sources *sources)
{
    sources->count = 0;
    sources->are_looked_at = true;
    return command_exec_prepares(call);
}

/* An entry of few fields is never long but for what it trims. */
static uint64_t weigh_entry(struct call *call, struct sources *sources)
{
    uint64_t trimmed;
    if (command_stream_entry_trims(call, &trimmed))
        return trimmed / LIST_ELEMENTS + (call->argc < WORDS_LEAST ? 0 : call->argc);
    sources->count = 0;
    return call->argc < WORDS_LEAST ? 0 : call->argc;
}

enum {
    IN_PLACE = 1,     /* it changes a large value, instead of making one */
    MOSTLY_SHORT = 2, /* and comes often */
    OF_KEYS = 4,      /* it deletes or puts keys, any number of them */
    OF_SOURCES = 8,   /* its words say how long it takes only if they are more than are weighed */
    CARRIED = 16,     /* it looks at keys that it names, and at nothing else: no time, no seed */
    BY_SEED = 32,     /* what it does depends on the entry's seed */
    POPS = 64,        /* without a count it takes out one */
    BY_TIME = 128, /* what it does depends on the entry's time: it is restated, or gets it then */
    ALONE = 256,   /* its reply is that of a client alone, not one that is kept */
    NOT_OF_ONCE = BY_SEED | POPS | BY_TIME | ALONE /* ONCE carries it as it is */
};

struct kind {
    command_fn *execute;
    /* How many elements it would walk over, about; 0: it is not prepared.  The sources are its
     * first word before. */
    uint64_t (*weigh)(struct call *call, struct sources *sources);
    unsigned flags;
    uint32_t of_words; /* so many elements take as long as WORDS_UNIT words; 0: who knows */
};

static const struct kind kinds[] = {
    {cmd_copy, weigh_copy, CARRIED, 0},
    {cmd_sort, weigh_sort, 0, 0},
    {cmd_zrangestore, weigh_range, CARRIED, 0},
    {cmd_sinterstore, weigh_combination, OF_SOURCES | CARRIED, 160},
    {cmd_sunionstore, weigh_combination, OF_SOURCES | CARRIED, 160},
    {cmd_sdiffstore, weigh_combination, OF_SOURCES | CARRIED, 160},
    {cmd_zunion, weigh_combination, OF_SOURCES | CARRIED, 160},
    {cmd_geosearch, weigh_places, 0, 0},
    {cmd_bitop, weigh_bits, OF_SOURCES | CARRIED, 160},
    {cmd_pfmerge, weigh_all_words, 0, 320},
    {cmd_restore, weigh_payload, MOSTLY_SHORT, 0},
    {cmd_ltrim, weigh_trim, IN_PLACE | MOSTLY_SHORT | CARRIED, 0},
    {cmd_lrem, weigh_list, IN_PLACE | MOSTLY_SHORT | CARRIED, 0},
    {cmd_linsert, weigh_list, IN_PLACE | MOSTLY_SHORT | CARRIED, 0},
    {cmd_zremrangebyrank, weigh_removal, IN_PLACE | MOSTLY_SHORT | CARRIED, 0},
    {cmd_zremrangebyscore, weigh_removal, IN_PLACE | MOSTLY_SHORT | CARRIED, 0},
    {cmd_zremrangebylex, weigh_removal, IN_PLACE | MOSTLY_SHORT | CARRIED, 0},
    {cmd_xtrim, weigh_stream_trim, IN_PLACE | MOSTLY_SHORT, 0},
    {cmd_spop, weigh_pop, IN_PLACE | MOSTLY_SHORT | BY_SEED | POPS, 0},
    {cmd_zpopmin, weigh_sorted_pop, IN_PLACE | MOSTLY_SHORT | POPS, 0},
    {cmd_zpopmax, weigh_sorted_pop, IN_PLACE | MOSTLY_SHORT | POPS, 0},
    {cmd_zmpop, weigh_sorted_mpop, IN_PLACE | MOSTLY_SHORT | POPS, 0},
    {cmd_lpop, weigh_list_pop, IN_PLACE | MOSTLY_SHORT | POPS, 0},
    {cmd_rpop, weigh_list_pop, IN_PLACE | MOSTLY_SHORT | POPS, 0},
    {cmd_lmpop, weigh_list_mpop, IN_PLACE | MOSTLY_SHORT | POPS, 0},
    {cmd_xautoclaim, weigh_autoclaim, IN_PLACE | MOSTLY_SHORT | BY_TIME, 0},
    {cmd_xreadgroup, weigh_delivery, IN_PLACE | MOSTLY_SHORT | BY_TIME, 0},
    {cmd_xgroup_destroy, weigh_group, IN_PLACE | MOSTLY_SHORT, 0},
    {cmd_xgroup_delconsumer, weigh_consumer, IN_PLACE | MOSTLY_SHORT, 0},
    {cmd_sadd, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_srem, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_hset, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_hmset, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_hdel, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_hexpire, weigh_deadlines, IN_PLACE | BY_TIME, 64},
    {cmd_hpexpire, weigh_deadlines, IN_PLACE | BY_TIME, 64},
    {cmd_hexpireat, weigh_deadlines, IN_PLACE, 64},
    {cmd_hpexpireat, weigh_deadlines, IN_PLACE, 64},
    {cmd_hpersist, weigh_deadlines, IN_PLACE, 64},
    {cmd_hgetdel, weigh_deadlines, IN_PLACE | ALONE, 64},
    {cmd_hgetex, weigh_deadlines, IN_PLACE | BY_TIME, 64},
    {cmd_hsetex, weigh_deadlines, IN_PLACE | BY_TIME, 16},
    {cmd_zadd, weigh_words, IN_PLACE | CARRIED, 40},
    {cmd_zrem, weigh_words, IN_PLACE | CARRIED, 64},
    {cmd_geoadd, weigh_words, IN_PLACE | CARRIED, 40},
    {cmd_lpush, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_rpush, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_lpushx, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_rpushx, weigh_words, IN_PLACE | CARRIED, 16},
    {cmd_pfadd, weigh_words, IN_PLACE | CARRIED, 4},
    {cmd_xdel, weigh_words, IN_PLACE, 64},
    {cmd_xack, weigh_words, IN_PLACE, 64},
    {cmd_xclaim, weigh_words, IN_PLACE | BY_TIME, 64},
    {cmd_del, weigh_all_words, IN_PLACE | OF_KEYS | CARRIED, 64},
    {cmd_mset, weigh_puts, IN_PLACE | OF_KEYS | CARRIED, 16},
    {cmd_msetnx, weigh_puts, IN_PLACE | OF_KEYS | CARRIED, 64},
    {cmd_bitfield, weigh_words, IN_PLACE, 8},
    {cmd_xadd, weigh_entry, IN_PLACE | MOSTLY_SHORT | OF_SOURCES, 1},
    {cmd_eval, weigh_script, ALONE, 16},
    {cmd_evalsha, weigh_script, ALONE, 16},
    {cmd_fcall, weigh_script, ALONE, 16},
    {cmd_exec, weigh_transaction, IN_PLACE | MOSTLY_SHORT | OF_KEYS, 0},
};

/* NULL: it is never prepared. */
static const struct kind *kind_of(const struct command *command)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].execute == command->execute)
            return command->flags & CMD_WRITE ? &kinds[i] : NULL;
    return NULL;
}

/* Those that reckon with the time of their entry. */
static const struct {
    command_fn *execute;
    command_restate_fn *how;
} restated[] = {
    {cmd_hexpire, command_fields_restate}, {cmd_hpexpire, command_fields_restate},
    {cmd_hgetex, command_fields_restate},  {cmd_hsetex, command_fields_restate},
    {cmd_xclaim, command_claim_restate},
};

static bool is_restated(struct call *call, struct command_restating *restating)
{
    if (!(kind_of(call->command)->flags & BY_TIME))
        return false;
    for (size_t i = 0; i < sizeof restated / sizeof restated[0]; i++)
        if (restated[i].execute == call->command->execute)
            return restated[i].how(call, restating);
    return false;
}

/* The last word of those that pop is how many; most are few, and so cost no look. */
static bool pops_few(const struct call *call, const struct kind *kind)
{
    int64_t count;
    return kind->flags & POPS &&
           (!number_parse_i64(call->argv[call->argc - 1], &count) || count < WORDS_LEAST);
}

static uint64_t weigh(struct call *call, struct sources *sources)
{
    const struct kind *kind = kind_of(call->command);
    *sources = (struct sources){.first = 1, .count = 1};
    return kind && !pops_few(call, kind) ? kind->weigh(call, sources) : 0;
}

/* Of one that has a count. */
static bool is_pop(struct bytes name, uint32_t words)
{
    static const char pop[] = "pop";
    enum { POP = sizeof pop - 1, BEFORE_MAX = 2 }; /* SPOP, ZMPOP */
    if (words < POP_WORDS)
        return false;
    for (size_t i = 1; i <= BEFORE_MAX && i + POP <= name.size; i++)
        if (bytes_is(bytes_of((const char *)name.data + i, POP), pop))
            return true;
    return false;
}

/* Most are told apart by their number of words, or their first letters. */
static bool is_likely(struct bytes name, uint32_t words)
{
    static const struct {
        const char *text;
        size_t size;
    } first[] = {{"bitop", 5}, {"copy", 4},        {"geo", 3},       {"linsert", 7},
                 {"lrem", 4},  {"ltrim", 5},       {"raft.exec", 9}, {"restore", 7},
                 {"sort", 4},  {"xautoclaim", 10}, {"xgroup", 6},    {"xreadgroup", 10},
                 {"xtrim", 5}, {"zremrange", 9}};
    enum { SHORTEST = 4 };
    const char *text = name.data;
    if (name.size < SHORTEST)
        return false;
    if (words >= TRIMMING_WORDS && bytes_is(name, "xadd"))
        return true;
    if ((name.size > 4 && bytes_is(bytes_of(text + name.size - 4, 4), "tore")) ||
        is_pop(name, words))
        return true;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        if (name.size >= first[i].size && (text[0] | 0x20) == first[i].text[0] &&
            bytes_is(bytes_of(text, first[i].size), first[i].text))
            return true;
    return false;
}

bool command_may_prepare(const struct bytes *first, uint32_t known, uint32_t words,
                         struct command_preparing *how)
{
    *how = (struct command_preparing){0};
    if (known == 0 || (words < WORDS_LEAST && !is_likely(first[0], words)))
        return false;
    const struct command *command = command_find(first, known);
    const struct kind *kind = command ? kind_of(command) : NULL;
    bool is_of_sources = kind && kind->flags & OF_SOURCES;
    if (!kind || (kind->of_words && !is_of_sources && words < WORDS_LEAST) ||
        (kind->flags & POPS && words < POP_WORDS))
        return false;
    how->is_of_once = !(kind->flags & NOT_OF_ONCE);
    how->is_mostly_short = kind->flags & MOSTLY_SHORT;
    if (kind->of_words && !(is_of_sources && words <= SOURCES_WEIGHED))
        how->elements = 1 + (uint64_t)words * kind->of_words / WORDS_UNIT;
    return true;
}

bool command_may_be_long(struct bytes encoded)
{
    struct command_preparing how;
    struct bytes first[PREPARE_NAME_WORDS];
    uint32_t known = command_first_words(encoded, first, PREPARE_NAME_WORDS);
    return command_may_prepare(first, known, command_word_count(encoded), &how);
}

uint64_t command_prepares(struct call *call)
{
    struct sources sources;
    struct call own = *call;
    if (own.command->execute == cmd_once) {
        own.argv += ONCE_WORDS_BEFORE;
        own.argc -= ONCE_WORDS_BEFORE;
        own.command = command_find(own.argv, own.argc);
    }
    return own.command ? weigh(&own, &sources) : 0;
}

/* ---- one preparation ------------------------------------------------------------------- */

struct source {
    struct bytes key; /* borrowed: a word */
    struct db_identity identity;
};

struct preparation {
    struct db *db;        /* borrowed */
    struct blob *encoded; /* a reference; its words are borrowed from it */
    struct command_decoding decoding;
    struct call context;     /* of the first slice; without a command until its words are read */
    struct walk_state ahead; /* of what looks at its words before */
    struct execution making; /* whose view is that of the beginning, until it is ready */
    struct db *beside;       /* owned */
    struct source *sources;  /* owned */
    uint32_t sources_count;
    struct call_preparing said;
    struct tally tally; /* of what it carries */
    uint64_t looked;    /* up to this entry the sources are what they were */
    unsigned slices;    /* of the command, so far */
    uint32_t before;    /* words of ONCE in front of it */
    const struct kind *kind;
    int protocol;  /* of the reply */
    bool is_whole; /* of a script, which is run as a transaction is */
    bool is_made;  /* all but its end; what it put is being listed */
    bool is_ready;
    struct buffer name, words;  /* encoded, in place of those that were said; or nothing */
    struct command_parts parts; /* with them */
};

static unsigned flags_of(const struct preparation *preparation)
{
    return preparation->is_whole ? IN_PLACE | OF_KEYS : preparation->kind->flags;
}

/* Of what is changed in place: when the first of its elements comes to its deadline.  False: one is
 * over, and nobody knows the next. */
static bool note_due(struct preparation *preparation, struct call *call, struct bytes key)
{
    struct db_record found;
    struct looks *looks = &preparation->said.looks;
    if (!db_lookup(call->db, call->database, key, &found) || found.elements_due_ms == 0)
        return true;
    looks->until_ms = found.elements_due_ms;
    return found.elements_due_ms > call->now_ms;
}

/* False: of one it cannot be said whether it changes. */
static bool note_sources(struct preparation *preparation, struct call *call)
{
    struct sources sources;
    bool is_sure = weigh(call, &sources) > 0;
    preparation->sources_count = is_sure ? sources.count : 0;
    preparation->said.looks.are_possible = sources.are_looked_at || preparation->is_whole;
    preparation->sources = memory_new(sources.count * sizeof *preparation->sources);
    for (uint32_t i = 0; i < preparation->sources_count; i++) {
        struct source *source = &preparation->sources[i];
        source->key = call->argv[sources.first + i];
        is_sure &= db_identify(call->db, call->database, source->key, &source->identity);
        if (flags_of(preparation) & IN_PLACE)
            is_sure &= note_due(preparation, call, source->key);
    }
    return is_sure;
}

/* What it carries is prepared; its reply is kept in that protocol. */
static void leave_once(struct preparation *preparation)
{
    struct call *call = &preparation->context;
    preparation->before = ONCE_WORDS_BEFORE;
    preparation->protocol = 3;
    call->argv += ONCE_WORDS_BEFORE;
    call->argc -= ONCE_WORDS_BEFORE;
    call->command = command_find(call->argv, call->argc);
    check(call->command && kind_of(call->command));
}

/* Some of them.  False: not all yet. */
static bool read_words(struct preparation *preparation)
{
    struct execution *making = &preparation->making;
    struct call *call = &preparation->context;
    struct command_decoding *decoding = &preparation->decoding;
    bool is_right =
        command_decode_some(blob_bytes(preparation->encoded), &making->argv, &call->argc,
                            &making->argv_capacity, decoding, COMMAND_DECODED_WORDS);
    check(is_right);
    if (decoding->words < call->argc)
        return false;
    call->argv = making->argv;
    call->command = command_find(call->argv, call->argc);
    check(call->command);
    if (call->command->execute == cmd_once)
        leave_once(preparation);
    preparation->kind = kind_of(call->command);
    check(preparation->before == 0 || !(flags_of(preparation) & NOT_OF_ONCE));
    return true;
}

/* ---- words that reckon with the time of the entry ---------------------------------------- */

static void append_word(struct buffer *encoded, struct bytes word)
{
    unsigned char size[4];
    put_u32(size, (uint32_t)word.size);
    buffer_append(encoded, size, sizeof size);
    buffer_append_bytes(encoded, word);
}

/* From the place of word `i` on, or behind the last. */
static const unsigned char *place_of(const struct preparation *preparation, uint32_t i)
{
    const struct call *call = &preparation->context;
    const unsigned char *first = preparation->encoded->data;
    return i < call->argc ? (const unsigned char *)call->argv[i].data - 4
                          : first + preparation->encoded->size;
}

static void add_part(struct preparation *preparation, const void *from, const void *to)
{
    struct command_parts *parts = &preparation->parts;
    size_t size = (size_t)((const char *)to - (const char *)from);
    if (size > 0)
        parts->list[parts->count++] = bytes_of(from, size);
}

static void add_buffer(struct preparation *preparation, const struct buffer *buffer)
{
    add_part(preparation, buffer->data, buffer->data + buffer->size);
}

/* How many words take the place of the old ones. */
static uint32_t restated_words(const struct command_restating *restating)
{
    return restating->option ? 2 : 1;
}

/* What is to be proposed: the number of words and the name, what follows it, the new words, the
 * rest. */
static void make_parts(struct preparation *preparation, const struct command_restating *restating)
{
    const struct call *call = &preparation->context;
    char digits[NUMBER_I64_SIZE];
    unsigned char count[4];
    struct bytes name = restating->name ? bytes_from_string(restating->name) : call->argv[0];
    const unsigned char *first = preparation->encoded->data + sizeof count;
    put_u32(count, command_word_count(blob_bytes(preparation->encoded)) -
                       (restating->to - restating->from) + restated_words(restating));
    buffer_append(&preparation->name, count, sizeof count);
    buffer_append(&preparation->name, first, (size_t)(place_of(preparation, 0) - first));
    append_word(&preparation->name, name);
    if (restating->option)
        append_word(&preparation->words, bytes_from_string(restating->option));
    size_t size = number_format_i64(restating->number, digits);
    append_word(&preparation->words, bytes_of(digits, size));
    add_buffer(preparation, &preparation->name);
    add_part(preparation, place_of(preparation, 1), place_of(preparation, restating->from));
    add_buffer(preparation, &preparation->words);
    add_part(preparation, place_of(preparation, restating->to), place_of(preparation, call->argc));
}

/* The words that are executed are those that are proposed. */
static void put_words(struct preparation *preparation, const struct command_restating *restating)
{
    struct execution *making = &preparation->making;
    struct call *call = &preparation->context;
    uint32_t words = restated_words(restating), before = (uint32_t)(call->argv - making->argv);
    if (restating->from + words > call->argc)
        call->argc = restating->from + words;
    if (before + call->argc > making->argv_capacity) {
        making->argv_capacity = before + call->argc;
        making->argv = memory_resize(making->argv, making->argv_capacity * sizeof *making->argv);
    }
    struct bytes *argv = making->argv + before;
    const unsigned char *at = (const unsigned char *)preparation->words.data;
    for (uint32_t i = restating->from; i < restating->from + words; i++) {
        argv[i] = bytes_of(at + 4, get_u32(at));
        at += 4 + argv[i].size;
    }
    if (restating->name)
        argv[0] = bytes_from_string(restating->name);
    call->argv = argv;
    call->command = command_find(call->argv, call->argc);
    check(call->command && kind_of(call->command));
}

/* `own`: the context as it is to be.  Of words that are wrong none becomes another: they are
 * refused. */
static void restate(struct preparation *preparation, struct call *own,
                    const struct command_restating *restating)
{
    uint32_t old = restating->to - restating->from;
    check(restating->from > 0 && restating->to <= own->argc);
    check(old == restated_words(restating) || restating->from == own->argc);
    make_parts(preparation, restating);
    put_words(preparation, restating);
    own->argv = preparation->context.argv;
    own->argc = preparation->context.argc;
    own->command = preparation->context.command;
}

/* ---- its slices -------------------------------------------------------------------------- */

/* The changes of keys need a layer besides the view's. */
static struct db_view *view_new(const struct preparation *preparation)
{
    struct db *db = preparation->db;
    if (!(flags_of(preparation) & OF_KEYS) || db_beside_has_layers(db))
        return db_view_new(db);
    db_checkpoint(db);
    return NULL;
}

static bool may_carry(struct call *call); /* below: transactions */

/* Of the state as it is, at this time, once its words were looked at.  False: there is no room for
 * a view. */
static bool begin(struct preparation *preparation, int64_t now_ms)
{
    struct db *db = preparation->db;
    struct reply nobody = {NULL, preparation->protocol};
    struct walk_state walk = {.unfinished = false};
    struct command_restating restating = {.from = 0};
    struct call own = preparation->context;
    own.now_ms = now_ms;
    own.db = db;
    own.reply = &nobody;
    own.walk = &preparation->ahead;
    bool has_other_words = is_restated(&own, &restating);
    if (own.walk->unfinished)
        return true;
    struct db_view *view = view_new(preparation);
    if (!view)
        return false;
    struct execution *making = &preparation->making;
    preparation->looked = db_applied_index(db);
    preparation->said = (struct call_preparing){.outermost = &making->frames[0].walk,
                                                .database = own.database,
                                                .may_carry = may_carry,
                                                .is_whole = preparation->is_whole,
                                                .looks.until_ms = INT64_MAX};
    making->view = view;
    making->now_ms = now_ms;
    own.walk = &walk;
    if (has_other_words)
        restate(preparation, &own, &restating);
    execution_begin(making, own.command, own.argc, CMD_READ | CMD_WRITE);
    making->frames[0].argv = own.argv;
    db_at(db, now_ms, false);
    unsigned flags = flags_of(preparation);
    bool is_known = command_since(own.command) <= own.meaning && /* else its entry refuses it */
                    command_takes(own.command, own.argc);
    if (note_sources(preparation, &own) && is_known)
        preparation->beside = db_beside_new(db, flags & IN_PLACE ? view : NULL);
    if (preparation->beside && preparation->said.looks.are_possible)
        db_beside_listen(preparation->beside, own.database);
    if (preparation->beside && flags & OF_KEYS)
        db_beside_keys(preparation->beside, own.command->execute != cmd_del);
    own.db = preparation->beside;
    own.view = flags & IN_PLACE ? NULL : view; /* there it sees its own changes, too */
    own.preparing = &preparation->said;
    preparation->context = own;
    return true;
}

/* Of what it made, nothing is kept for an entry. */
static void end_making(struct preparation *preparation)
{
    execution_deinit(&preparation->making);
    preparation->making = (struct execution){0};
}

struct preparation *preparation_new(struct db *db, struct blob *encoded, const struct call *call,
                                    bool is_whole)
{
    struct preparation *preparation = memory_new(sizeof *preparation);
    preparation->is_whole = is_whole;
    command_tally_init(&preparation->tally);
    preparation->protocol = call->reply->protocol;
    preparation->db = db;
    preparation->encoded = blob_take(encoded);
    preparation->context = *call;
    if (command_word_count(blob_bytes(encoded)) > COMMAND_DECODED_WORDS)
        return preparation;
    if (read_words(preparation) && begin(preparation, call->now_ms))
        return preparation;
    preparation_free(preparation);
    return NULL;
}

void preparation_free(struct preparation *preparation)
{
    if (!preparation)
        return;
    end_making(preparation);
    command_tally_deinit(&preparation->tally);
    db_beside_free(preparation->beside);
    blob_release(preparation->encoded);
    buffer_deinit(&preparation->name);
    buffer_deinit(&preparation->words);
    memory_free(preparation->sources);
    memory_free(preparation);
}

/* ---- transactions ---------------------------------------------------------------------- */

static bool is_one_of(const struct command *command, command_fn *const *some, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (some[i] == command->execute)
            return true;
    return false;
}

#define IS_ONE_OF(command, some) is_one_of(command, some, sizeof(some) / sizeof((some)[0]))

/* Of those that are not prepared by themselves, or not in this form. */
static bool is_short_of_its_keys(const struct carry *carry)
{
    static command_fn *const these[] = {
        cmd_get,    cmd_strlen,    cmd_incr,   cmd_decr, cmd_incrby,  cmd_decrby,
        cmd_append, cmd_setnx,     cmd_getset, cmd_hget, cmd_hincrby, cmd_hlen,
        cmd_hsetnx, cmd_sismember, cmd_scard,  cmd_llen, cmd_lindex,  cmd_zcard,
        cmd_zscore, cmd_zincrby,   cmd_exists, cmd_type};
    enum { PLAIN_SET_WORDS = 3, PLAIN_POP_WORDS = 2 };
    if (carry->command->execute == cmd_set)
        return carry->argc == PLAIN_SET_WORDS;
    if (carry->command->execute == cmd_lpop || carry->command->execute == cmd_rpop)
        return carry->argc == PLAIN_POP_WORDS;
    return IS_ONE_OF(carry->command, these);
}

/* What looks at keys that it names, and at nothing else. */
static bool is_of_its_keys(const struct carry *carry)
{
    enum { NAMED_MAX = 64 }; /* they are looked at at once, before it begins */
    const struct kind *kind = kind_of(carry->command);
    if (carry->command->execute == cmd_copy) /* another database may be meant */
        return carry->argc == 3 || (carry->argc == 4 && bytes_is(carry->argv[3], "replace"));
    if (kind && kind->flags & CARRIED && kind->of_words && !(kind->flags & OF_SOURCES))
        return true;
    bool is_known = (kind && kind->flags & CARRIED) || is_short_of_its_keys(carry);
    return is_known && carry->argc <= NAMED_MAX;
}

static void look_first(void *context, struct bytes key)
{
    call_looks_first(context, key);
}

/* Those that put keys blindly look at none, and those of many keys say it themselves. */
static bool says_its_looks(const struct command *command)
{
    static command_fn *const these[] = {cmd_set, cmd_mset, cmd_msetnx, cmd_del};
    return IS_ONE_OF(command, these);
}

/* For call_may_carry(). */
static bool may_carry(struct call *call)
{
    const struct carry *carry = call->carry;
    if (!is_of_its_keys(carry))
        return false;
    if (!says_its_looks(carry->command))
        command_each_key(carry->command, carry->argv, carry->argc, look_first, call);
    return true;
}

/* ---- whether it holds ------------------------------------------------------------------ */

/* By the time of db_at(). */
static bool looks_hold(const struct preparation *preparation)
{
    const struct looks *looks = &preparation->said.looks;
    int64_t now_ms = db_now_ms(preparation->db);
    if (!looks->are_possible && looks->until_ms == INT64_MAX)
        return true;
    return !looks->is_over && !db_beside_is_changed(preparation->beside) &&
           now_ms >= preparation->context.now_ms && now_ms < looks->until_ms;
}

/* Of a script, what its words name: its code. */
static bool is_same_script(const struct preparation *preparation)
{
    struct reply nobody = {NULL, preparation->protocol};
    struct walk_state walk = preparation->making.frames[0].walk; /* only looked at */
    struct call call = preparation->context;
    call.db = preparation->db;
    call.view = NULL;
    call.reply = &nobody;
    call.walk = &walk;
    return command_script_is_same(&call);
}

bool preparation_holds(const struct preparation *preparation)
{
    unsigned database = preparation->context.database;
    for (uint32_t i = 0; i < preparation->sources_count; i++) {
        const struct source *source = &preparation->sources[i];
        const struct db_identity *before = &source->identity;
        struct db_identity now;
        if (!db_identify(preparation->db, database, source->key, &now) ||
            now.database_space != before->database_space || now.type != before->type ||
            now.version != before->version || now.space != before->space)
            return false;
        if (flags_of(preparation) & IN_PLACE && now.space &&
            !db_beside_fits(preparation->db, now.space))
            return false;
    }
    if (flags_of(preparation) & OF_KEYS && !db_beside_fits_keys(preparation->db))
        return false;
    if (preparation->before && !command_once_carries(preparation->db, preparation->making.argv))
        return false;
    if (preparation->is_whole && !is_same_script(preparation))
        return false;
    return looks_hold(preparation);
}

/* The view is not needed any more: what the command looks at in the entry is there. */
static enum preparation_step end_well(struct preparation *preparation)
{
    db_view_release(preparation->making.view);
    preparation->making.view = NULL;
    db_beside_end_looks(preparation->beside);
    preparation->is_ready = true;
    return PREPARATION_READY;
}

/* A slice of the command.  READY: only its end is left. */
static enum preparation_step make_some(struct preparation *preparation)
{
    struct db *db = preparation->db, *beside = preparation->beside;
    struct reply nobody = {NULL, preparation->protocol};
    struct call call = preparation->context;
    uint64_t reading = db_work(db), all = db_work(beside);
    call.reply = &nobody;
    call.observer = &preparation->tally.observer;
    db_at(beside, call.now_ms, false);
    preparation->slices++;
    bool is_finished = execution_go_on(&preparation->making, &call);
    uint64_t read = db_work(db) - reading;
    db_spend(db, db_work(beside) - all - read);
    if (is_finished || preparation->said.is_beyond || db_beside_looks(beside) > LOOKS_MAX ||
        db_beside_spaces(beside) > SPACES_MAX)
        return PREPARATION_FAILED;
    return preparation->making.frames[0].walk.is_prepared ? PREPARATION_READY : PREPARATION_MORE;
}

enum preparation_step preparation_go_on(struct preparation *preparation, int64_t now_ms)
{
    struct db *db = preparation->db, *beside = preparation->beside;
    check(!preparation->is_ready);
    if (!preparation->context.command && !read_words(preparation))
        return PREPARATION_MORE;
    if (!preparation->making.view)
        return begin(preparation, now_ms) ? PREPARATION_MORE : PREPARATION_NOT_NOW;
    if (!beside)
        return PREPARATION_FAILED;
    db_at(db, now_ms, false);
    if (db_applied_index(db) != preparation->looked && !preparation_holds(preparation))
        return PREPARATION_CHANGED;
    preparation->looked = db_applied_index(db);
    enum preparation_step step = preparation->is_made ? PREPARATION_READY : make_some(preparation);
    preparation->is_made = step == PREPARATION_READY;
    if (preparation->is_made &&
        db_beside_list_puts(beside, preparation->context.database, PUTS_LISTED))
        return end_well(preparation);
    return preparation->is_made ? PREPARATION_MORE : step;
}

unsigned preparation_slices(const struct preparation *preparation)
{
    return preparation->slices;
}

bool preparation_is_whole(const struct preparation *preparation)
{
    return preparation->is_whole;
}

bool preparation_leaves_the_end(const struct preparation *preparation)
{
    return preparation->is_whole || !(preparation->context.command->flags & CMD_SCRIPTING);
}

/* By the time of the entry: what the command does with its deadlines then is what it did. */
static bool is_timely(const struct preparation *preparation, int64_t now_ms)
{
    return now_ms >= preparation->context.now_ms && now_ms < preparation->said.looks.until_ms;
}

bool preparation_restated(const struct preparation *preparation, int64_t asked_ms, int64_t now_ms,
                          struct command_parts *parts)
{
    if (!preparation->is_ready || preparation->parts.count == 0 ||
        preparation->context.now_ms < asked_ms || !is_timely(preparation, now_ms))
        return false;
    *parts = preparation->parts;
    return true;
}

static bool are_words(const struct preparation *preparation, struct bytes encoded)
{
    const struct command_parts *parts = &preparation->parts;
    const char *at = encoded.data;
    size_t left = encoded.size;
    if (parts->count == 0)
        return bytes_equal(blob_bytes(preparation->encoded), encoded);
    for (uint32_t i = 0; i < parts->count; i++) {
        struct bytes part = parts->list[i];
        if (left < part.size || !bytes_equal(part, bytes_of(at, part.size)))
            return false;
        at += part.size;
        left -= part.size;
    }
    return left == 0;
}

bool preparation_is_of(const struct preparation *preparation, struct bytes encoded,
                       const struct call *call)
{
    const struct call *own = &preparation->context;
    bool is_of_any_seed = !preparation->is_ready || !(flags_of(preparation) & BY_SEED);
    return preparation->is_ready && own->database == call->database &&
           own->meaning == call->meaning && own->value_max == call->value_max &&
           (preparation->before || preparation->protocol == call->reply->protocol) &&
           (is_of_any_seed || own->seed == call->seed) && are_words(preparation, encoded);
}

void preparation_tell(const struct preparation *preparation, struct command_observer *observer)
{
    command_tally_tell(&preparation->tally, observer);
}

bool preparation_is_carried(const struct preparation *preparation)
{
    return preparation->before > 0;
}

void preparation_take_first(struct preparation *preparation, struct call *call)
{
    if (preparation->before && flags_of(preparation) & OF_KEYS)
        db_beside_adopt_keys(call->db, preparation->beside, call->database);
}

uint32_t preparation_take_words(struct preparation *preparation, struct bytes **argv,
                                uint32_t *capacity)
{
    struct execution *making = &preparation->making;
    struct bytes *others = *argv;
    uint32_t others_capacity = *capacity;
    *argv = making->argv;
    *capacity = making->argv_capacity;
    making->argv = others;
    making->argv_capacity = others_capacity;
    return preparation->before + preparation->context.argc;
}

struct walk_state preparation_take(struct preparation *preparation)
{
    struct frame *frame = &preparation->making.frames[0];
    struct walk_state walk = frame->walk;
    check(preparation->is_ready);
    frame->walk = (struct walk_state){0};
    preparation->is_ready = false;
    return walk;
}

struct db *preparation_place(const struct preparation *preparation)
{
    return preparation->beside;
}
