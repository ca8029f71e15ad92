/* See sorted_sources.h.  They are put in order as members are, in a table: each has its size for a
 * score, and its place among the words for a name.  Deterministic; loop thread only. */
#include "command/sorted_sources.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/preparing.h"
#include "command/sorted_table.h"

enum { LOOKS_SLICE = 2000, SORT_SLICE = 20000 };

struct sorted_sources {
    uint32_t first, keys; /* words */
    uint32_t looked;      /* at so many keys */
    bool first_is_empty;
    struct sorted_table *table;    /* owned: those that hold something */
    struct sorted_element *chosen; /* of the table the next that is to be taken; NULL: all are */
};

/* ---- one of them ------------------------------------------------------------------------ */

static uint64_t count_of(const struct sorted_source *source)
{
    return source->is_plain ? source->plain.count : source->set.count;
}

/* Counted as a look at the key.  To be closed in any case; false: answered. */
static bool open_source(struct call *call, struct bytes key, struct sorted_source *source)
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

void sorted_source_close(struct sorted_source *source)
{
    if (source->is_plain)
        fields_close(&source->plain);
    else
        ordered_close(&source->set);
}

/* ---- all of them ------------------------------------------------------------------------ */

struct sorted_sources *sorted_sources_new(uint32_t first, uint32_t keys)
{
    struct sorted_sources *sources = memory_new(sizeof *sources);
    sources->first = first;
    sources->keys = keys;
    sources->table = sorted_table_new();
    return sources;
}

void sorted_sources_free(struct sorted_sources *sources)
{
    if (!sources)
        return;
    sorted_table_free(sources->table);
    memory_free(sources);
}

static void note(struct sorted_sources *sources, uint32_t place, uint64_t count, bool by_size)
{
    unsigned char name[sizeof place];
    if (place == 0)
        sources->first_is_empty = count == 0;
    if (count == 0)
        return;
    put_u32_ordered(name, place);
    sorted_table_add(sources->table, place, bytes_of(name, sizeof name),
                     by_size ? (double)count : 0);
}

static bool is_enough(struct call *call, uint32_t looks, uint64_t work_end)
{
    return looks == LOOKS_SLICE || db_work(call->db) >= work_end;
}

static enum sorted_sources_step look_at_keys(struct sorted_sources *sources, struct call *call,
                                             bool by_size, uint64_t work_end)
{
    if (sources->looked == sources->keys)
        return SORTED_SOURCES_KNOWN;
    for (uint32_t looks = 0; sources->looked < sources->keys; sources->looked++, looks++) {
        struct sorted_source source;
        if (is_enough(call, looks, work_end))
            return SORTED_SOURCES_MORE;
        bool is_right = open_source(call, call->argv[sources->first + sources->looked], &source);
        if (is_right)
            note(sources, sources->looked, count_of(&source), by_size);
        sorted_source_close(&source);
        if (!is_right)
            return SORTED_SOURCES_ANSWERED;
    }
    sources->chosen = sorted_table_first(sources->table);
    return SORTED_SOURCES_KNOWN;
}

static bool take_all(struct sorted_sources *sources)
{
    for (uint32_t i = 0; sources->chosen; sources->chosen = sources->chosen->next, i++) {
        if (i == SORT_SLICE)
            return false;
        sorted_table_take(sources->table, sources->chosen);
    }
    return true;
}

enum sorted_sources_step sorted_sources_look(struct sorted_sources *sources, struct call *call,
                                             bool by_size, uint64_t work_end)
{
    enum sorted_sources_step step = look_at_keys(sources, call, by_size, work_end);
    if (step != SORTED_SOURCES_KNOWN)
        return step;
    if (!take_all(sources) ||
        !sorted_table_sort(sources->table, call_slice_share(call, SORT_SLICE)))
        return SORTED_SOURCES_MORE;
    return SORTED_SOURCES_KNOWN;
}

uint32_t sorted_sources_count(const struct sorted_sources *sources)
{
    return (uint32_t)sorted_table_taken(sources->table);
}

bool sorted_sources_first_is_empty(const struct sorted_sources *sources)
{
    return sources->first_is_empty;
}

uint32_t sorted_sources_place(const struct sorted_sources *sources, uint32_t i)
{
    const struct sorted_element *element = sorted_table_at(sources->table, i);
    check(element->size == sizeof(uint32_t));
    return get_u32_ordered((const unsigned char *)element->member);
}

void sorted_sources_open(const struct sorted_sources *sources, struct call *call, uint32_t i,
                         struct sorted_source *source)
{
    uint32_t place = sorted_sources_place(sources, i);
    struct command_observer *observer = call->observer;
    call->observer = NULL;
    bool is_right = open_source(call, call->argv[sources->first + place], source);
    check(is_right);
    call->observer = observer;
}
