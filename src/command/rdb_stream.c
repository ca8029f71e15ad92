/* See rdb.h: a stream (Redis 7.2 rdb.c, t_stream.c).
 *
 * Nodes, each a key and a listpack; counters; groups, each with what is pending, and its consumers,
 * each with the ids of those that are pending with it.
 *
 * The key is the id from which those in the node are counted, 16 bytes in big endian.  The listpack
 * begins with how many entries there are, how many deleted ones, and the names of the first one's
 * fields: their number, they, 0.  An entry: flags, its id less the node's (ms, sequence), the
 * number of its fields unless they are the node's, the fields, and how many elements all that is.
 *
 * Redis keeps ids in the order in which they stand in here, so what does not rise is damaged. */
#include "base/codec.h"
#include "base/fatal.h"
#include "command/rdb.h"

enum { ENTRY_DELETED = 1, ENTRY_SAME_NAMES = 2, ENTRY_FLAGS = 3 };
enum { SAME_WORDS = 3, OTHER_WORDS = 4 }; /* elements of an entry besides its fields */

static bool is_above(struct series_id one, struct series_id other)
{
    return one.ms != other.ms ? one.ms > other.ms : one.sequence > other.sequence;
}

static bool is_equal(struct series_id one, struct series_id other)
{
    return one.ms == other.ms && one.sequence == other.sequence;
}

static enum rdb_step given_if(bool is_right)
{
    return is_right ? RDB_GIVEN : RDB_DAMAGED;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static bool node_number(struct rdb_reader *reader, int64_t *number)
{
    struct rdb_item item;
    return rdb_pack_next(&reader->pack, &item) == RDB_GIVEN && number_parse_i64(item.text, number);
}

/* An element takes two bytes at least, so there are no more than that. */
static bool node_count(struct rdb_reader *reader, uint64_t *count)
{
    int64_t number;
    bool is_number = node_number(reader, &number);
    *count = is_number ? (uint64_t)number : 0;
    return is_number && number >= 0 && *count <= reader->pack.bytes.size;
}

/* The names stay in the node; stream->names is in front of them, and goes over them one by one, and
 * over their end. */
static bool open_names(struct rdb_reader *reader)
{
    struct rdb_stream *stream = &reader->stream;
    if (!node_count(reader, &stream->name_count))
        return false;
    stream->names = reader->pack;
    stream->skips = stream->name_count + 1;
    return true;
}

static enum rdb_step skip_name(struct rdb_reader *reader)
{
    struct rdb_stream *stream = &reader->stream;
    struct rdb_item item;
    int64_t end;
    bool is_right = --stream->skips > 0 ? rdb_pack_next(&reader->pack, &item) == RDB_GIVEN
                                        : node_number(reader, &end) && end == 0;
    return is_right ? RDB_NOTHING : RDB_DAMAGED;
}

static enum rdb_step open_node(struct rdb_reader *reader)
{
    struct rdb_stream *stream = &reader->stream;
    struct series_id before = stream->node;
    struct rdb_item *item = &reader->items[0];
    enum rdb_step step = rdb_take_string(reader, &reader->strings[0], item);
    if (step != RDB_GIVEN)
        return step;
    if (item->text.size != SERIES_KEY_SIZE)
        return RDB_DAMAGED;
    const unsigned char *key = item->text.data;
    stream->node = (struct series_id){get_u64_ordered(key), get_u64_ordered(key + 8)};
    step = rdb_take_string(reader, &reader->node, item);
    if (step != RDB_GIVEN)
        return step;
    reader->left--;
    bool is_node = item->text.data != item->digits && is_above(stream->node, before) &&
                   is_above(stream->node, stream->last) &&
                   rdb_pack_open(&reader->pack, RDB_LISTPACK, item->text) &&
                   node_count(reader, &stream->live) && node_count(reader, &stream->dead) &&
                   open_names(reader);
    return is_node ? RDB_NOTHING : RDB_DAMAGED;
}

/* ---- entries ----------------------------------------------------------------------------- */

/* Counts it as one of those that the node said to have.  False: it did not. */
static bool count_entry(struct rdb_stream *stream, int64_t flags)
{
    stream->is_dead = flags & ENTRY_DELETED;
    stream->has_names = !(flags & ENTRY_SAME_NAMES);
    uint64_t *left = stream->is_dead ? &stream->dead : &stream->live;
    return flags >= 0 && flags <= ENTRY_FLAGS && (*left)-- > 0;
}

static bool count_words(struct rdb_reader *reader)
{
    struct rdb_stream *stream = &reader->stream;
    stream->pairs = stream->name_count;
    stream->next_name = stream->names;
    if (stream->has_names && !node_count(reader, &stream->pairs))
        return false;
    stream->words =
        stream->has_names ? OTHER_WORDS + 2 * stream->pairs : SAME_WORDS + stream->pairs;
    return stream->pairs > 0;
}

static enum rdb_step open_entry(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    int64_t flags, ms, sequence;
    if (!node_number(reader, &flags) || !node_number(reader, &ms) ||
        !node_number(reader, &sequence) || !count_entry(stream, flags) || !count_words(reader))
        return RDB_DAMAGED;
    if (stream->is_dead)
        return RDB_NOTHING;
    /* The differences are modulo 2^64: that of the sequences of two milliseconds is negative. */
    element->part = RDB_ENTRY;
    element->id = (struct series_id){stream->node.ms + (uint64_t)ms,
                                     stream->node.sequence + (uint64_t)sequence};
    element->count = stream->pairs;
    if (!is_above(element->id, stream->last) || is_above(stream->node, element->id))
        return RDB_DAMAGED;
    if (stream->given++ == 0)
        stream->first = element->id;
    stream->last = element->id;
    return RDB_GIVEN;
}

static enum rdb_step take_name(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    struct rdb_pack *pack = stream->has_names ? &reader->pack : &stream->next_name;
    struct rdb_item *item = &reader->items[0];
    if (rdb_pack_next(pack, item) != RDB_GIVEN)
        return RDB_DAMAGED;
    element->name = item->text;
    if (stream->has_names)
        return RDB_GIVEN;
    if (item->text.size > reader->unpacked_left)
        return RDB_TOO_LARGE;
    reader->unpacked_left -= item->text.size;
    return RDB_GIVEN;
}

static enum rdb_step take_pair(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    int64_t words;
    element->part = RDB_PAIR;
    enum rdb_step step = take_name(reader, element);
    if (step != RDB_GIVEN)
        return step;
    if (rdb_pack_next(&reader->pack, &reader->items[1]) != RDB_GIVEN)
        return RDB_DAMAGED;
    element->value = reader->items[1].text;
    bool is_last = --stream->pairs == 0;
    if (is_last && (!node_number(reader, &words) || (uint64_t)words != stream->words))
        return RDB_DAMAGED;
    return stream->is_dead ? RDB_NOTHING : RDB_GIVEN;
}

/* ---- counters ---------------------------------------------------------------------------- */

static bool take_counted_id(struct rdb_reader *reader, struct series_id *id)
{
    return rdb_take_count(reader, &id->ms) && rdb_take_count(reader, &id->sequence);
}

static enum rdb_step take_counters(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    uint64_t length;
    struct series_id first = stream->first;
    element->part = RDB_STREAM;
    if (!rdb_take_count(reader, &length) || !take_counted_id(reader, &element->id))
        return RDB_DAMAGED;
    element->count = length;
    if (reader->kind != RDB_STREAM_5_0 &&
        (!take_counted_id(reader, &first) || !take_counted_id(reader, &element->deleted) ||
         !rdb_take_count(reader, &element->count)))
        return RDB_DAMAGED;
    stream->stage = RDB_GROUPS;
    bool is_first = length == 0 || is_equal(first, stream->first);
    return given_if(rdb_take_count(reader, &stream->groups) && length == stream->given &&
                    is_first && element->count >= length && element->count <= INT64_MAX &&
                    !is_above(stream->last, element->id));
}

static enum rdb_step next_of_nodes(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    struct rdb_item item;
    if (stream->pairs > 0)
        return take_pair(reader, element);
    if (stream->skips > 0)
        return skip_name(reader);
    if (stream->live + stream->dead > 0)
        return open_entry(reader, element);
    if (reader->pack.form != RDB_UNPACKED && rdb_pack_next(&reader->pack, &item) != RDB_END)
        return RDB_DAMAGED;
    reader->pack.form = RDB_UNPACKED;
    return reader->left > 0 ? open_node(reader) : take_counters(reader, element);
}

/* ---- groups ------------------------------------------------------------------------------ */

static bool take_time(struct rdb_reader *reader, int64_t least, int64_t *ms)
{
    const unsigned char *bytes;
    if (!rdb_take(reader, sizeof *ms, &bytes))
        return false;
    *ms = (int64_t)get_u64(bytes);
    return *ms >= least && *ms <= INT64_MAX / 2;
}

static bool take_id(struct rdb_reader *reader, struct series_id *id)
{
    const unsigned char *bytes;
    if (!rdb_take(reader, SERIES_KEY_SIZE, &bytes))
        return false;
    *id = (struct series_id){get_u64_ordered(bytes), get_u64_ordered(bytes + 8)};
    return true;
}

static enum rdb_step take_name_of(struct rdb_reader *reader, struct rdb_element *element)
{
    enum rdb_step step = rdb_take_string(reader, &reader->strings[0], &reader->items[0]);
    element->name = reader->items[0].text;
    return step;
}

static enum rdb_step take_group(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    uint64_t read = (uint64_t)RDB_NOT_SAID;
    if (stream->groups == 0)
        return rdb_end(reader);
    stream->groups--;
    stream->stage = RDB_PENDINGS;
    element->part = RDB_GROUP;
    enum rdb_step step = take_name_of(reader, element);
    if (step != RDB_GIVEN)
        return step;
    bool says_read = reader->kind != RDB_STREAM_5_0;
    if (!take_counted_id(reader, &element->id) || (says_read && !rdb_take_count(reader, &read)))
        return RDB_DAMAGED;
    element->read = (int64_t)read;
    return given_if((!says_read || element->read >= -1) &&
                    rdb_take_count(reader, &stream->pendings));
}

static enum rdb_step take_pending(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    element->part = RDB_PENDING;
    if (stream->pendings-- > 0)
        return given_if(take_id(reader, &element->id) && take_time(reader, 0, &element->ms) &&
                        rdb_take_count(reader, &element->count));
    stream->stage = RDB_CONSUMERS;
    return rdb_take_count(reader, &stream->consumers) ? RDB_NOTHING : RDB_DAMAGED;
}

/* Before 7.2 one is not told when it got something: it counts as when it was seen, as in 7.2. */
static enum rdb_step take_consumer(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    if (stream->consumers == 0) {
        stream->stage = RDB_GROUPS;
        return RDB_NOTHING;
    }
    stream->consumers--;
    stream->stage = RDB_OWNEDS;
    element->part = RDB_CONSUMER;
    enum rdb_step step = take_name_of(reader, element);
    if (step != RDB_GIVEN)
        return step;
    if (!take_time(reader, 0, &element->ms))
        return RDB_DAMAGED;
    element->active_ms = element->ms;
    return given_if(
        (reader->kind != RDB_STREAM_7_2 || take_time(reader, -1, &element->active_ms)) &&
        rdb_take_count(reader, &stream->owneds));
}

static enum rdb_step take_owned(struct rdb_reader *reader, struct rdb_element *element)
{
    struct rdb_stream *stream = &reader->stream;
    element->part = RDB_OWNED;
    if (stream->owneds > 0) {
        stream->owneds--;
        return given_if(take_id(reader, &element->id));
    }
    stream->stage = RDB_CONSUMERS;
    return RDB_NOTHING;
}

enum rdb_step rdb_stream_next(struct rdb_reader *reader, struct rdb_element *element)
{
    switch (reader->stream.stage) {
    case RDB_NODES: return next_of_nodes(reader, element);
    case RDB_GROUPS: return take_group(reader, element);
    case RDB_PENDINGS: return take_pending(reader, element);
    case RDB_CONSUMERS: return take_consumer(reader, element);
    case RDB_OWNEDS: break;
    }
    return take_owned(reader, element);
}
