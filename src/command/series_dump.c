/* See series_dump.h (Redis 7.2 rdb.c, t_stream.c).  What is written is RDB_STREAM_7_0: a server of
 * 7.2 reads it, and so does, but for the version in the footer, one of 7.0.  When consumers last
 * got something has no place in it.
 *
 * How many nodes there are stands before them, and how large they become follows from the entries:
 * a first round counts.  Where the walk is:
 *
 *      second_round   false: counting; `seen` nodes so far
 *      count          0: entries; n: group n - 1
 *      seen           in a group 0: it, and what is pending in it; n: consumer n - 1
 *      cursor         rank of what comes next there */
#include "command/series_dump.h"

#include "command/rdb.h"
#include "command/series_groups.h"
#include "data/packed.h"

enum {
    NODE_ENTRIES = 100, /* in a node, and bytes: Redis's defaults */
    NODE_BYTES = 4096,
    IDS_AT_ONCE = 100 /* that are pending */
};
enum { SAME_NAMES = 2, SAME_WORDS = 3, OTHER_WORDS = 4 }; /* see rdb_stream.c */

/* ---- nodes ------------------------------------------------------------------------------- */

struct node {
    bool is_counted;       /* and not written */
    uint64_t count, bytes; /* entries so far, and what is stored of them */
    struct series_id id;
    struct buffer first; /* owned: fields of the first entry */
    struct buffer pack;  /* owned */
};

static bool has_names_of(struct bytes fields, struct bytes first)
{
    struct packed_walk one, other;
    struct bytes name, other_name, value;
    packed_walk(&one, fields);
    packed_walk(&other, first);
    if (one.left != other.left)
        return false;
    while (packed_next(&one, &name) && packed_next(&other, &other_name)) {
        if (!bytes_equal(name, other_name))
            return false;
        packed_next(&one, &value);
        packed_next(&other, &value);
    }
    return true;
}

/* The number of the entries is put in the place of the first 0 at last. */
static void begin_node(struct node *node, struct bytes fields)
{
    struct packed_walk walk;
    struct bytes name, value;
    packed_walk(&walk, fields);
    buffer_append_bytes(&node->first, fields);
    rdb_listpack_begin(&node->pack);
    rdb_listpack_add_number(&node->pack, 0);
    rdb_listpack_add_number(&node->pack, 0); /* deleted */
    rdb_listpack_add_number(&node->pack, walk.left / 2);
    while (packed_next(&walk, &name) && packed_next(&walk, &value))
        rdb_listpack_add(&node->pack, name);
    rdb_listpack_add_number(&node->pack, 0);
}

static void add_entry(struct node *node, struct series_id id, struct bytes fields)
{
    struct packed_walk walk;
    struct bytes name, value;
    bool has_names = !has_names_of(fields, buffer_bytes(&node->first));
    packed_walk(&walk, fields);
    int64_t pairs = walk.left / 2;
    rdb_listpack_add_number(&node->pack, has_names ? 0 : SAME_NAMES);
    rdb_listpack_add_number(&node->pack, (int64_t)(id.ms - node->id.ms));
    rdb_listpack_add_number(&node->pack, (int64_t)(id.sequence - node->id.sequence));
    if (has_names)
        rdb_listpack_add_number(&node->pack, pairs);
    while (packed_next(&walk, &name) && packed_next(&walk, &value)) {
        if (has_names)
            rdb_listpack_add(&node->pack, name);
        rdb_listpack_add(&node->pack, value);
    }
    rdb_listpack_add_number(&node->pack, has_names ? OTHER_WORDS + 2 * pairs : SAME_WORDS + pairs);
}

/* False: the node is full. */
static bool take_entry(void *context, struct bytes key, struct bytes fields)
{
    struct node *node = context;
    if (node->count == 0 && !node->is_counted) {
        node->id = series_id_of(key);
        begin_node(node, fields);
    }
    if (!node->is_counted)
        add_entry(node, series_id_of(key), fields);
    node->count++;
    node->bytes += fields.size;
    return node->count < NODE_ENTRIES && node->bytes < NODE_BYTES;
}

static void end_node(struct node *node, struct buffer *out)
{
    unsigned char key[SERIES_KEY_SIZE];
    _Static_assert(NODE_ENTRIES <= 127, "stands in one byte of a listpack");
    node->pack.data[RDB_LISTPACK_HEADER] = (char)node->count;
    rdb_listpack_end(&node->pack);
    rdb_write_string(out, series_key(key, node->id));
    rdb_write_size(out, node->pack.size);
    buffer_append_bytes(out, buffer_bytes(&node->pack));
}

/* The node that begins at the cursor. */
static void next_node(const struct series *stream, struct walk_state *walk, struct buffer *out)
{
    struct node node = {.is_counted = !walk->second_round};
    uint64_t count = stream->entries.root.count;
    while (walk->cursor < count && node.count < NODE_ENTRIES && node.bytes < NODE_BYTES)
        walk->cursor += db_tree_walk(&stream->entries, walk->cursor, count - walk->cursor, false,
                                     take_entry, &node);
    if (node.is_counted)
        walk->seen++;
    else
        end_node(&node, out);
    buffer_deinit(&node.first);
    buffer_deinit(&node.pack);
}

/* ---- counters ---------------------------------------------------------------------------- */

static void write_id(struct buffer *out, struct series_id id)
{
    rdb_write_size(out, id.ms);
    rdb_write_size(out, id.sequence);
}

static void write_counters(const struct series *stream, struct buffer *out)
{
    rdb_write_size(out, stream->entries.root.count);
    write_id(out, stream->last);
    write_id(out, series_first(stream));
    write_id(out, stream->deleted);
    rdb_write_size(out, stream->added);
    rdb_write_size(out, stream->groups.root.count);
}

/* ---- groups ------------------------------------------------------------------------------ */

static void write_raw_id(struct buffer *out, struct series_id id)
{
    unsigned char key[SERIES_KEY_SIZE];
    buffer_append_bytes(out, series_key(key, id));
}

/* Of a list: what is to be given at once from the cursor on; the cursor is moved. */
static uint64_t end_of_piece(struct walk_state *walk, uint64_t count)
{
    uint64_t left = count - walk->cursor;
    walk->cursor += left < IDS_AT_ONCE ? left : IDS_AT_ONCE;
    return walk->cursor;
}

static void write_group(const struct series *stream, const struct series_group *group,
                        struct walk_state *walk, struct buffer *out)
{
    uint64_t at = walk->cursor, end = end_of_piece(walk, group->pending.root.count);
    if (at == 0) {
        rdb_write_string(out, series_name_at(&stream->groups, walk->count - 1));
        write_id(out, group->last);
        rdb_write_size(out, (uint64_t)group->read);
        rdb_write_size(out, group->pending.root.count);
    }
    for (; at < end; at++) {
        struct series_id id;
        struct series_pending pending;
        series_pending_at(group, at, &id, &pending);
        write_raw_id(out, id);
        rdb_write_time(out, pending.delivered_ms);
        rdb_write_size(out, pending.deliveries);
    }
    if (end == group->pending.root.count)
        rdb_write_size(out, group->consumers.root.count);
}

static void write_consumer(const struct series *stream, const struct series_group *group,
                           struct walk_state *walk, struct buffer *out, uint64_t *count)
{
    struct series_consumer consumer;
    series_consumer_at(stream, group, walk->seen - 1, &consumer);
    *count = consumer.pending.root.count;
    uint64_t at = walk->cursor, end = end_of_piece(walk, *count);
    if (at == 0) {
        rdb_write_string(out, series_consumer_name(stream, consumer.number));
        rdb_write_time(out, consumer.seen_ms);
        rdb_write_size(out, *count);
    }
    for (; at < end; at++)
        write_raw_id(out, series_id_at(&consumer.pending, at));
}

/* A piece of the group, or of one of its consumers; and on to what comes then. */
static void next_of_group(const struct series *stream, struct walk_state *walk, struct buffer *out)
{
    struct series_group group;
    series_group_at(stream, walk->count - 1, &group);
    uint64_t count = group.pending.root.count;
    if (walk->seen == 0)
        write_group(stream, &group, walk, out);
    else
        write_consumer(stream, &group, walk, out, &count);
    if (walk->cursor < count)
        return;
    walk->cursor = 0;
    walk->seen++;
    if (walk->seen <= group.consumers.root.count)
        return;
    walk->seen = 0;
    walk->count++;
}

/* ---- all --------------------------------------------------------------------------------- */

/* What stands before the nodes, when they are counted. */
static void begin(struct walk_state *walk, struct buffer *out)
{
    rdb_write_kind(out, RDB_STREAM_7_0);
    rdb_write_size(out, walk->seen);
    walk->second_round = true;
    walk->cursor = walk->seen = 0;
}

bool series_dump(const struct series *stream, struct walk_state *walk, struct buffer *out)
{
    if (walk->count > 0) {
        next_of_group(stream, walk, out);
    } else if (walk->cursor < stream->entries.root.count) {
        next_node(stream, walk, out);
    } else if (!walk->second_round) {
        begin(walk, out);
    } else {
        write_counters(stream, out);
        walk->cursor = 0;
        walk->count = 1;
    }
    return walk->count > stream->groups.root.count;
}
