/* See series_groups.h.  Deterministic. */
#include "command/series_groups.h"

#include "base/codec.h"
#include "base/fatal.h"

enum {
    GROUP_SIZE = 24 + 2 * DB_TREE_ROOT_SIZE,
    CONSUMER_SIZE = 16 + DB_TREE_ROOT_SIZE,
    PENDING_SIZE = 24,
    AT_DELIVERED = 8, /* of what is pending */
    NUMBER_SIZE = 8,
    REMOVED_AT_ONCE = 64, /* of a consumer's */
    MARKED_PAGES = 256    /* that are looked at in one slice */
};

static const struct bytes nothing = {0}, name_row = {"n", 1};

_Noreturn static void damaged(const struct series *stream, const char *what)
{
    fatal("data: %s of the stream in space %llu is damaged", what,
          (unsigned long long)stream->record.space);
}

/* ---- rows ---------------------------------------------------------------------------- */

static const unsigned char *get_row(const struct series *stream, uint64_t number, size_t size)
{
    struct bytes row;
    if (!db_row_get(stream->db, stream->view, stream->record.space, number, nothing, &row) ||
        row.size != size)
        damaged(stream, "a row");
    return row.data;
}

static struct db_tree get_tree(const struct series *stream, const unsigned char *root)
{
    struct db_tree tree = {.db = stream->db, .view = stream->view, .space = stream->record.space};
    if (!db_tree_root_decode(bytes_of(root, DB_TREE_ROOT_SIZE), &tree.root))
        damaged(stream, "a tree");
    return tree;
}

static struct db_tree empty_tree(const struct series *stream)
{
    return (struct db_tree){.db = stream->db, .space = stream->record.space};
}

static uint64_t get_number(const struct series *stream, struct bytes value)
{
    if (value.size != NUMBER_SIZE)
        damaged(stream, "a name");
    return get_u64(value.data);
}

static void load_group(const struct series *stream, uint64_t number, struct series_group *group)
{
    const unsigned char *row = get_row(stream, number, GROUP_SIZE);
    *group = (struct series_group){.number = number,
                                   .last = {get_u64(row), get_u64(row + 8)},
                                   .read = (int64_t)get_u64(row + 16),
                                   .pending = get_tree(stream, row + 24),
                                   .consumers = get_tree(stream, row + 24 + DB_TREE_ROOT_SIZE)};
}

static void load_consumer(const struct series *stream, uint64_t number,
                          struct series_consumer *consumer)
{
    const unsigned char *row = get_row(stream, number, CONSUMER_SIZE);
    *consumer = (struct series_consumer){.number = number,
                                         .seen_ms = (int64_t)get_u64(row),
                                         .active_ms = (int64_t)get_u64(row + 8),
                                         .pending = get_tree(stream, row + 16)};
}

/* ---- names --------------------------------------------------------------------------- */

static bool find_name(const struct series *stream, const struct db_tree *names, struct bytes name,
                      uint64_t *number)
{
    bool is_there;
    struct bytes key, value;
    uint64_t rank = db_tree_rank(names, name, &is_there);
    if (!is_there)
        return false;
    db_tree_get(names, rank, &key, &value);
    *number = get_number(stream, value);
    return true;
}

static uint64_t number_at(const struct series *stream, const struct db_tree *names, uint64_t rank)
{
    struct bytes key, value;
    db_tree_get(names, rank, &key, &value);
    return get_number(stream, value);
}

struct bytes series_name_at(const struct db_tree *names, uint64_t rank)
{
    struct bytes key, value;
    db_tree_get(names, rank, &key, &value);
    return key;
}

static uint64_t add_name(struct series *stream, struct db_tree *names, struct bytes name)
{
    unsigned char value[NUMBER_SIZE];
    put_u64(value, ++stream->number);
    series_insert(stream, names, name, bytes_of(value, sizeof value));
    return stream->number;
}

static void remove_name(const struct series *stream, struct db_tree *names, struct bytes name)
{
    bool is_there;
    uint64_t rank = db_tree_rank(names, name, &is_there);
    if (!is_there)
        damaged(stream, "a name");
    db_tree_cut(names, rank, 1, UINT64_MAX);
}

/* ---- groups -------------------------------------------------------------------------- */

bool series_group_find(const struct series *stream, struct bytes name, struct series_group *group)
{
    uint64_t number;
    if (!stream->is_there || !find_name(stream, &stream->groups, name, &number))
        return false;
    load_group(stream, number, group);
    return true;
}

/* Redis takes words for C strings. */
static int printed(struct bytes word)
{
    return (int)strnlen(word.data ? word.data : "", word.size);
}

bool series_group_missing(struct call *call, struct bytes key, struct bytes group,
                          const char *where)
{
    reply_error(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s", printed(key),
                (const char *)key.data, printed(group), (const char *)group.data, where);
    return false;
}

bool series_group_unknown(struct call *call, struct bytes key, struct bytes group)
{
    reply_error(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                printed(group), (const char *)group.data, printed(key), (const char *)key.data);
    return false;
}

void series_group_at(const struct series *stream, uint64_t rank, struct series_group *group)
{
    load_group(stream, number_at(stream, &stream->groups, rank), group);
}

bool series_group_new(struct series *stream, struct bytes name, struct series_id last, int64_t read,
                      struct series_group *group)
{
    uint64_t number;
    if (find_name(stream, &stream->groups, name, &number))
        return false;
    *group = (struct series_group){.number = add_name(stream, &stream->groups, name),
                                   .last = last,
                                   .read = read,
                                   .pending = empty_tree(stream),
                                   .consumers = empty_tree(stream)};
    series_group_save(stream, group);
    return true;
}

void series_group_save(struct series *stream, const struct series_group *group)
{
    unsigned char row[GROUP_SIZE];
    put_u64(row, group->last.ms);
    put_u64(row + 8, group->last.sequence);
    put_u64(row + 16, (uint64_t)group->read);
    db_tree_root_encode(row + 24, &group->pending.root);
    db_tree_root_encode(row + 24 + DB_TREE_ROOT_SIZE, &group->consumers.root);
    db_row_put(stream->db, stream->record.space, group->number, nothing, bytes_of(row, sizeof row));
}

static void delete_consumer_rows(struct series *stream, uint64_t number)
{
    db_row_delete(stream->db, stream->record.space, number, nothing);
    db_row_delete(stream->db, stream->record.space, number, name_row);
}

/* The first consumer, of a group of which nothing is pending any more. */
static void remove_first_consumer(struct series *stream, struct series_group *group)
{
    struct series_consumer consumer;
    series_consumer_at(stream, group, 0, &consumer);
    if (consumer.pending.root.count > 0) {
        db_tree_cut(&consumer.pending, 0, consumer.pending.root.count, SERIES_CUT_PAGES);
        series_consumer_save(stream, &consumer);
        return;
    }
    delete_consumer_rows(stream, consumer.number);
    db_tree_cut(&group->consumers, 0, 1, UINT64_MAX);
}

bool series_group_empty(struct series *stream, struct series_group *group)
{
    if (group->pending.root.count > 0)
        db_tree_cut(&group->pending, 0, group->pending.root.count, SERIES_CUT_PAGES);
    else if (group->consumers.root.count > 0)
        remove_first_consumer(stream, group);
    else
        return true;
    series_group_save(stream, group);
    return false;
}

void series_group_remove(struct series *stream, struct bytes name, const struct series_group *group)
{
    check(group->pending.root.count == 0 && group->consumers.root.count == 0);
    db_row_delete(stream->db, stream->record.space, group->number, nothing);
    remove_name(stream, &stream->groups, name);
}

/* ---- counters ------------------------------------------------------------------------ */

static bool is_zero(struct series_id id)
{
    return id.ms == 0 && id.sequence == 0;
}

/* Whether XDEL may have deleted something from this id on; what was in front of the first entry
 * does not count. */
static bool has_gap_from(const struct series *stream, struct series_id id)
{
    return stream->entries.root.count > 0 && !is_zero(stream->deleted) &&
           series_id_compare(id, stream->deleted) <= 0 &&
           series_id_compare(series_first(stream), stream->deleted) <= 0;
}

int64_t series_added_up_to(const struct series *stream, struct series_id id)
{
    uint64_t count = stream->entries.root.count;
    int to_last = series_id_compare(id, stream->last);
    if (stream->added == 0)
        return 0;
    if (count == 0 && to_last <= 0)
        return (int64_t)stream->added;
    if (to_last >= 0)
        return to_last == 0 ? (int64_t)stream->added : -1;
    struct series_id first = series_first(stream);
    int to_first = series_id_compare(id, first);
    bool is_whole = is_zero(stream->deleted) || series_id_compare(stream->deleted, first) < 0;
    if (!is_whole || to_first > 0)
        return -1;
    return (int64_t)(stream->added - count) + (to_first == 0);
}

void series_group_deliver(const struct series *stream, struct series_group *group,
                          struct series_id id)
{
    check(series_id_compare(id, group->last) > 0);
    if (group->read != -1 && !has_gap_from(stream, id))
        group->read += group->read < INT64_MAX; /* ENTRIESREAD sets any number */
    else if (stream->added > 0)
        group->read = series_added_up_to(stream, id);
    group->last = id;
}

bool series_group_lag(const struct series *stream, const struct series_group *group, int64_t *lag)
{
    int64_t read = group->read;
    if (stream->added > 0 && (read == -1 || has_gap_from(stream, group->last)))
        read = series_added_up_to(stream, group->last);
    *lag = stream->added > 0 ? (int64_t)(stream->added - (uint64_t)read) : 0;
    return stream->added == 0 || read != -1;
}

/* ---- consumers ----------------------------------------------------------------------- */

bool series_consumer_find(const struct series *stream, const struct series_group *group,
                          struct bytes name, struct series_consumer *consumer)
{
    uint64_t number;
    if (!find_name(stream, &group->consumers, name, &number))
        return false;
    load_consumer(stream, number, consumer);
    return true;
}

void series_consumer_at(const struct series *stream, const struct series_group *group,
                        uint64_t rank, struct series_consumer *consumer)
{
    load_consumer(stream, number_at(stream, &group->consumers, rank), consumer);
}

struct bytes series_consumer_name(const struct series *stream, uint64_t number)
{
    struct bytes name;
    if (!db_row_get(stream->db, stream->view, stream->record.space, number, name_row, &name))
        damaged(stream, "a consumer");
    return name;
}

void series_consumer_new(struct series *stream, struct series_group *group, struct bytes name,
                         int64_t now_ms, struct series_consumer *consumer)
{
    *consumer = (struct series_consumer){.number = add_name(stream, &group->consumers, name),
                                         .seen_ms = now_ms,
                                         .active_ms = -1,
                                         .pending = empty_tree(stream)};
    db_row_put(stream->db, stream->record.space, consumer->number, name_row, name);
    series_consumer_save(stream, consumer);
    series_group_save(stream, group);
}

void series_consumer_save(struct series *stream, const struct series_consumer *consumer)
{
    unsigned char row[CONSUMER_SIZE];
    put_u64(row, (uint64_t)consumer->seen_ms);
    put_u64(row + 8, (uint64_t)consumer->active_ms);
    db_tree_root_encode(row + 16, &consumer->pending.root);
    db_row_put(stream->db, stream->record.space, consumer->number, nothing,
               bytes_of(row, sizeof row));
}

static bool note_key(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    buffer_append_bytes(context, key);
    return true;
}

static void remove_pending(const struct series *stream, struct db_tree *pending,
                           struct series_id id)
{
    bool is_there;
    uint64_t rank = series_rank(pending, id, &is_there);
    if (!is_there)
        damaged(stream, "what is pending");
    db_tree_cut(pending, rank, 1, UINT64_MAX);
}

bool series_consumer_empty(struct series *stream, struct series_group *group,
                           struct series_consumer *consumer)
{
    struct buffer keys = {0};
    if (consumer->pending.root.count == 0)
        return true;
    uint64_t count = db_tree_walk(&consumer->pending, 0, REMOVED_AT_ONCE, false, note_key, &keys);
    for (size_t at = 0; at < keys.size; at += SERIES_KEY_SIZE)
        remove_pending(stream, &group->pending,
                       series_id_of(bytes_of(keys.data + at, SERIES_KEY_SIZE)));
    db_tree_cut(&consumer->pending, 0, count, UINT64_MAX);
    series_consumer_save(stream, consumer);
    series_group_save(stream, group);
    buffer_deinit(&keys);
    return false;
}

void series_consumer_remove(struct series *stream, struct series_group *group, struct bytes name,
                            const struct series_consumer *consumer)
{
    check(consumer->pending.root.count == 0);
    delete_consumer_rows(stream, consumer->number);
    remove_name(stream, &group->consumers, name);
    series_group_save(stream, group);
}

/* ---- what is pending ------------------------------------------------------------------- */

static struct series_pending decode_pending(struct bytes value)
{
    const unsigned char *at = value.data;
    if (value.size != PENDING_SIZE)
        fatal("data: what is pending in a group has %zu bytes", value.size);
    return (struct series_pending){get_u64(at), (int64_t)get_u64(at + AT_DELIVERED),
                                   get_u64(at + 16)};
}

static struct bytes encode_pending(unsigned char *out, const struct series_pending *pending)
{
    put_u64(out, pending->consumer);
    put_u64(out + AT_DELIVERED, (uint64_t)pending->delivered_ms);
    put_u64(out + 16, pending->deliveries);
    return bytes_of(out, PENDING_SIZE);
}

void series_pending_at(const struct series_group *group, uint64_t rank, struct series_id *id,
                       struct series_pending *pending)
{
    struct bytes key, value;
    db_tree_get(&group->pending, rank, &key, &value);
    *id = series_id_of(key);
    *pending = decode_pending(value);
}

bool series_pending_find(const struct series_group *group, struct series_id id,
                         struct series_pending *pending)
{
    bool is_there;
    uint64_t rank = series_rank(&group->pending, id, &is_there);
    if (is_there)
        series_pending_at(group, rank, &id, pending);
    return is_there;
}

void series_pending_set(struct series_group *group, struct series_id id,
                        const struct series_pending *pending)
{
    unsigned char value[PENDING_SIZE];
    bool is_there;
    uint64_t rank = series_rank(&group->pending, id, &is_there);
    check(is_there);
    db_tree_set(&group->pending, rank, encode_pending(value, pending));
}

void series_marks_begin(struct series_marks *marks, const struct series_group *group,
                        struct series_id from, struct series_id to)
{
    bool is_there;
    marks->next = series_rank(&group->pending, from, NULL);
    marks->end = series_rank(&group->pending, to, &is_there) + is_there;
}

static void note_mark(void *context, struct bytes key, unsigned char *value, size_t size)
{
    struct series_marks *marks = context;
    unsigned char *place = value + AT_DELIVERED;
    (void)key;
    if (decode_pending(bytes_of(value, size)).delivered_ms == SERIES_NOT_TIMED)
        buffer_append(&marks->places, &place, sizeof place);
}

bool series_marks_find(struct series_marks *marks, const struct series_group *group)
{
    for (unsigned i = 0; i < MARKED_PAGES && marks->next < marks->end; i++)
        marks->next += db_tree_places(&group->pending, marks->next, marks->end - marks->next,
                                      note_mark, marks);
    return marks->next >= marks->end;
}

void series_marks_time(struct series_marks *marks, int64_t delivered_ms)
{
    unsigned char **places = (unsigned char **)(void *)marks->places.data;
    for (size_t i = 0; i < marks->places.size / sizeof *places; i++)
        put_u64(places[i], (uint64_t)delivered_ms);
    buffer_deinit(&marks->places);
}

/* From the tree of the consumer with this number, which is `open` or stored. */
static void take_from(struct series *stream, uint64_t number, struct series_consumer *open,
                      struct series_id id)
{
    struct series_consumer stored;
    if (open && open->number == number) {
        remove_pending(stream, &open->pending, id);
        return;
    }
    load_consumer(stream, number, &stored);
    remove_pending(stream, &stored.pending, id);
    series_consumer_save(stream, &stored);
}

void series_pending_give(struct series *stream, struct series_group *group,
                         struct series_consumer *consumer, struct series_id id,
                         const struct series_pending *pending)
{
    unsigned char key[SERIES_KEY_SIZE], value[PENDING_SIZE];
    struct series_pending before, after = *pending;
    struct bytes key_bytes = series_key(key, id);
    after.consumer = consumer->number;
    if (series_pending_find(group, id, &before)) {
        series_pending_set(group, id, &after);
        if (before.consumer == consumer->number)
            return;
        take_from(stream, before.consumer, NULL, id);
    } else {
        series_insert(stream, &group->pending, key_bytes, encode_pending(value, &after));
    }
    series_insert(stream, &consumer->pending, key_bytes, nothing);
}

bool series_pending_remove(struct series *stream, struct series_group *group,
                           struct series_consumer *consumer, struct series_id id)
{
    struct series_pending pending;
    if (!series_pending_find(group, id, &pending))
        return false;
    take_from(stream, pending.consumer, consumer, id);
    remove_pending(stream, &group->pending, id);
    return true;
}

bool series_pending_add(struct series *stream, struct series_group *group, struct series_id id,
                        const struct series_pending *pending)
{
    unsigned char key[SERIES_KEY_SIZE], value[PENDING_SIZE];
    struct series_pending there, unowned = *pending;
    unowned.consumer = 0;
    if (series_pending_find(group, id, &there))
        return false;
    series_insert(stream, &group->pending, series_key(key, id), encode_pending(value, &unowned));
    return true;
}

bool series_pending_own(struct series *stream, struct series_group *group,
                        struct series_consumer *consumer, struct series_id id)
{
    unsigned char key[SERIES_KEY_SIZE];
    struct series_pending pending;
    if (!series_pending_find(group, id, &pending) || pending.consumer != 0)
        return false;
    pending.consumer = consumer->number;
    series_pending_set(group, id, &pending);
    series_insert(stream, &consumer->pending, series_key(key, id), nothing);
    return true;
}
