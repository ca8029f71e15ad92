/* See series.h.  Deterministic. */
#include "command/series.h"

#include <errno.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/observer.h"
#include "command/preparing.h"
#include "data/packed.h"
#include "resp/number.h"

enum {
    FORM = 18,
    AT_ENTRIES = 1,
    AT_GROUPS = AT_ENTRIES + DB_TREE_ROOT_SIZE,
    AT_LAST = AT_GROUPS + DB_TREE_ROOT_SIZE,
    AT_DELETED = AT_LAST + 16,
    AT_ADDED = AT_DELETED + 16,
    AT_NUMBER = AT_ADDED + 8,
    PAYLOAD_SIZE = AT_NUMBER + 8,
    ID_WORD_MAX = 127 /* bytes of a word that may be an id */
};

const struct series_id series_id_least = {0, 0}, series_id_most = {UINT64_MAX, UINT64_MAX};

/* ---- ids ----------------------------------------------------------------------------- */

int series_id_compare(struct series_id one, struct series_id other)
{
    if (one.ms != other.ms)
        return one.ms < other.ms ? -1 : 1;
    return (one.sequence > other.sequence) - (one.sequence < other.sequence);
}

bool series_id_next(struct series_id *id)
{
    id->ms += ++id->sequence == 0;
    return id->sequence > 0 || id->ms > 0;
}

bool series_id_before(struct series_id *id)
{
    bool is_least = id->ms == 0 && id->sequence == 0;
    id->ms -= id->sequence-- == 0;
    return !is_least;
}

struct bytes series_id_text(char *text, struct series_id id)
{
    size_t size = number_format_u64(id.ms, text);
    text[size++] = '-';
    size += number_format_u64(id.sequence, text + size);
    return bytes_of(text, size);
}

void series_id_reply(struct reply *reply, struct series_id id)
{
    char text[SERIES_TEXT_SIZE];
    reply_bulk(reply, series_id_text(text, id));
}

struct bytes series_key(unsigned char *key, struct series_id id)
{
    put_u64_ordered(key, id.ms);
    put_u64_ordered(key + 8, id.sequence);
    return bytes_of(key, SERIES_KEY_SIZE);
}

struct series_id series_id_of(struct bytes key)
{
    const unsigned char *at = key.data;
    if (key.size != SERIES_KEY_SIZE)
        fatal("data: an id of a stream has %zu bytes", key.size);
    return (struct series_id){get_u64_ordered(at), get_u64_ordered(at + 8)};
}

/* As Redis reads it: a number in strict form that is not negative, or what strtoull() takes. */
static bool read_number(const char *text, uint64_t *number)
{
    int64_t strict;
    char *end;
    if (number_read_i64(text, strlen(text), &strict)) {
        *number = (uint64_t)strict;
        return strict >= 0;
    }
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

bool series_id_read(struct bytes word, bool strict, uint64_t missing, struct series_id *id,
                    bool *is_open)
{
    char text[ID_WORD_MAX + 1];
    if (word.size > ID_WORD_MAX)
        return false;
    memcpy(text, word.size ? word.data : "", word.size);
    text[word.size] = '\0';
    bool is_end = strcmp(text, "-") == 0 || strcmp(text, "+") == 0;
    if (is_end) {
        *id = text[0] == '-' ? series_id_least : series_id_most;
        return !strict;
    }
    char *dash = strchr(text, '-');
    if (dash)
        *dash = '\0';
    if (!read_number(text, &id->ms))
        return false;
    id->sequence = missing;
    if (dash && is_open && strcmp(dash + 1, "*") == 0) {
        *is_open = true;
        id->sequence = 0;
        return true;
    }
    return !dash || read_number(dash + 1, &id->sequence);
}

bool series_id_word(struct call *call, uint32_t i, struct series_id *id)
{
    return series_id_read(call->argv[i], true, 0, id, NULL) || call_refuse(call, ERROR_STREAM_ID);
}

static bool is_id(struct call *call, uint32_t i)
{
    struct series_id id;
    return series_id_word(call, i, &id);
}

bool series_are_ids(struct call *call, uint32_t first)
{
    return call_checks_words(call, first, 1, is_id);
}

static bool read_end(struct call *call, uint32_t i, uint64_t missing, struct series_id *id,
                     bool *is_open)
{
    struct bytes word = call->argv[i];
    *is_open = word.size > 1 && *(const char *)word.data == '(';
    if (*is_open)
        word = bytes_of((const char *)word.data + 1, word.size - 1);
    return series_id_read(word, *is_open, missing, id, NULL) || call_refuse(call, ERROR_STREAM_ID);
}

bool series_start_word(struct call *call, uint32_t i, struct series_id *from)
{
    bool is_open;
    if (!read_end(call, i, 0, from, &is_open))
        return false;
    return !is_open || series_id_next(from) ||
           call_refuse(call, "ERR invalid start ID for the interval");
}

bool series_range_words(struct call *call, uint32_t start, uint32_t end, struct series_id *from,
                        struct series_id *to)
{
    bool is_open;
    if (!series_start_word(call, start, from) || !read_end(call, end, UINT64_MAX, to, &is_open))
        return false;
    return !is_open || series_id_before(to) ||
           call_refuse(call, "ERR invalid end ID for the interval");
}

/* ---- a stream ------------------------------------------------------------------------ */

static struct series_id get_id(const unsigned char *at)
{
    return (struct series_id){get_u64(at), get_u64(at + 8)};
}

static void put_id(unsigned char *at, struct series_id id)
{
    put_u64(at, id.ms);
    put_u64(at + 8, id.sequence);
}

static void decode(struct series *stream, struct bytes payload)
{
    const unsigned char *at = payload.data;
    if (payload.size != PAYLOAD_SIZE || at[0] != FORM ||
        !db_tree_root_decode(bytes_of(at + AT_ENTRIES, DB_TREE_ROOT_SIZE), &stream->entries.root) ||
        !db_tree_root_decode(bytes_of(at + AT_GROUPS, DB_TREE_ROOT_SIZE), &stream->groups.root))
        fatal("data: the record of a stream is damaged (%zu bytes)", payload.size);
    stream->last = get_id(at + AT_LAST);
    stream->deleted = get_id(at + AT_DELETED);
    stream->added = get_u64(at + AT_ADDED);
    stream->number = get_u64(at + AT_NUMBER);
}

static void encode(const struct series *stream, unsigned char *out)
{
    out[0] = FORM;
    db_tree_root_encode(out + AT_ENTRIES, &stream->entries.root);
    db_tree_root_encode(out + AT_GROUPS, &stream->groups.root);
    put_id(out + AT_LAST, stream->last);
    put_id(out + AT_DELETED, stream->deleted);
    put_u64(out + AT_ADDED, stream->added);
    put_u64(out + AT_NUMBER, stream->number);
}

static void set_space(struct series *stream, uint64_t space)
{
    stream->is_there = true;
    stream->record.space = stream->entries.space = stream->groups.space = space;
}

static void init(struct series *stream, struct call *call, struct bytes key)
{
    *stream = (struct series){.db = call->db,
                              .view = call->view,
                              .key = key,
                              .database = call->database,
                              .record = {.type = DB_STREAM},
                              .entries = {.db = call->db, .view = call->view},
                              .groups = {.db = call->db, .view = call->view}};
}

bool series_open(struct series *stream, struct call *call, struct bytes key)
{
    struct bytes payload;
    struct db_record found;
    init(stream, call, key);
    if (call->walk->kept) {
        memcpy(stream, call->walk->kept, sizeof *stream);
        stream->key = key;
        return true;
    }
    bool is_there = db_find(call->db, call->view, call->database, key, &found, &payload);
    if (call->observer && call->command->flags & CMD_READ && !call->walk->unfinished) {
        call->observer->keyspace_hits += is_there;
        call->observer->keyspace_misses += !is_there;
    }
    if (!is_there)
        return true;
    if (found.type != DB_STREAM)
        return call_refuse(call, ERROR_WRONG_TYPE);
    stream->record = found;
    set_space(stream, found.space);
    decode(stream, payload);
    return true;
}

void series_make(struct series *stream)
{
    check(!stream->is_there && !stream->view);
    set_space(stream, db_space_new(stream->db, stream->database));
}

void series_new(struct series *stream, struct call *call, struct bytes key)
{
    init(stream, call, key);
    stream->view = stream->entries.view = stream->groups.view = NULL; /* it is in no view */
    series_make(stream);
}

void series_take_made(struct series *stream, struct call *call)
{
    uint64_t space = call_take_space(call, stream->database, stream->record.space);
    stream->db = stream->entries.db = stream->groups.db = call->db;
    set_space(stream, space);
}

void series_take_changes(struct series *stream, struct call *call)
{
    call_take_changes(call, stream->record.space);
    stream->db = stream->entries.db = stream->groups.db = call->db;
}

void series_save(struct series *stream, const char *event)
{
    unsigned char payload[PAYLOAD_SIZE];
    encode(stream, payload);
    db_effects_name(stream->db, event);
    db_put_collection(stream->db, stream->database, stream->key, &stream->record,
                      bytes_of(payload, sizeof payload));
}

void series_put_aside(struct series *stream, struct call *call)
{
    struct walk_state *walk = call->walk;
    if (!walk->kept)
        walk->kept = memory_new(sizeof *stream);
    walk->kept_free = memory_free;
    memcpy(walk->kept, stream, sizeof *stream);
}

void series_forget_aside(struct call *call)
{
    memory_free(call->walk->kept);
    call->walk->kept = NULL;
}

void series_insert(struct series *stream, struct db_tree *tree, struct bytes key,
                   struct bytes value)
{
    tree->root.next = stream->entries.root.next;
    db_tree_insert(tree, key, value);
    stream->entries.root.next = tree->root.next;
}

uint64_t series_rank(const struct db_tree *tree, struct series_id id, bool *is_there)
{
    unsigned char key[SERIES_KEY_SIZE];
    return db_tree_rank(tree, series_key(key, id), is_there);
}

struct series_id series_id_at(const struct db_tree *tree, uint64_t rank)
{
    struct bytes key, value;
    db_tree_get(tree, rank, &key, &value);
    return series_id_of(key);
}

struct series_id series_first(const struct series *stream)
{
    return stream->entries.root.count ? series_id_at(&stream->entries, 0) : series_id_least;
}

struct series_id series_top(const struct series *stream)
{
    uint64_t count = stream->entries.root.count;
    return count ? series_id_at(&stream->entries, count - 1) : series_id_least;
}

void series_append(struct series *stream, struct series_id id, struct bytes fields)
{
    unsigned char key[SERIES_KEY_SIZE];
    check(series_id_compare(id, stream->last) > 0); /* which is not below any that is there */
    db_tree_append(&stream->entries, series_key(key, id), fields);
    stream->last = id;
    stream->added++;
}

bool series_delete(struct series *stream, struct series_id id)
{
    bool is_there;
    uint64_t rank = series_rank(&stream->entries, id, &is_there);
    if (!is_there)
        return false;
    db_tree_cut(&stream->entries, rank, 1, UINT64_MAX);
    if (series_id_compare(id, stream->deleted) > 0)
        stream->deleted = id;
    return true;
}

/* ---- replies ------------------------------------------------------------------------- */

void series_add_entry(struct call *call, struct series_id id, struct bytes fields)
{
    struct reply found = {&call->walk->found, call->reply->protocol};
    struct packed_walk walk;
    struct bytes element;
    packed_walk(&walk, fields);
    reply_array(&found, 2);
    series_id_reply(&found, id);
    reply_array(&found, walk.left);
    while (packed_next(&walk, &element))
        call_add_part(call, element, true);
    call->walk->budget -= (int64_t)fields.size + 64;
}

bool series_add_entry_of(struct call *call, const struct series *stream, struct series_id id)
{
    bool is_there;
    struct bytes key, fields;
    uint64_t rank = series_rank(&stream->entries, id, &is_there);
    if (!is_there)
        return false;
    db_tree_get(&stream->entries, rank, &key, &fields);
    series_add_entry(call, id, fields);
    return true;
}

struct adding {
    struct call *call;
    struct buffer *keys;
};

static bool add_entry(void *context, struct bytes key, struct bytes fields)
{
    struct adding *adding = context;
    series_add_entry(adding->call, series_id_of(key), fields);
    if (adding->keys)
        buffer_append_bytes(adding->keys, key);
    return adding->call->walk->budget > 0;
}

struct series_range series_range_of(const struct series *stream, struct series_id from,
                                    struct series_id to, bool is_backward, uint64_t count)
{
    bool is_there;
    uint64_t first = series_rank(&stream->entries, from, NULL);
    uint64_t end = series_rank(&stream->entries, to, &is_there) + is_there;
    struct series_range range = {.count = end > first ? end - first : 0,
                                 .is_backward = is_backward};
    range.rank = is_backward && range.count > 0 ? end - 1 : first;
    if (count > 0 && range.count > count)
        range.count = count;
    return range;
}

bool series_give(struct call *call, const struct series *stream, const struct series_range *range,
                 uint64_t *done, struct buffer *keys)
{
    struct adding adding = {call, keys};
    struct walk_state *walk = call->walk;
    while (*done < range->count && walk->budget > 0) {
        uint64_t rank = range->is_backward ? range->rank - *done : range->rank + *done;
        *done += db_tree_walk(&stream->entries, rank, range->count - *done, range->is_backward,
                              add_entry, &adding);
        if (!call_keeps_parts(call, 0))
            return false;
    }
    walk->unfinished = *done < range->count;
    return !walk->unfinished;
}
