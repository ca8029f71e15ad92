/* XINFO (Redis 7.2 t_stream.c).  What it says of radix trees is what the counted tree has instead:
 * keys are blocks of a hundred entries, as many as Redis would have by default.  Loop thread
 * only. */
#include "command/series_groups.h"
#include "command/streams.h"

enum { FULL_COUNT = 10, BLOCK_ENTRIES = 100 };

/* The stream at argv[2]; false: answered. */
static bool open_stream(struct call *call, struct series *stream)
{
    if (!series_open(stream, call, call->argv[2]))
        return false;
    if (!stream->is_there)
        reply_error(call->reply, "ERR no such key");
    return stream->is_there;
}

static void pair_integer(struct reply *reply, const char *name, int64_t value)
{
    reply_bulk_string(reply, name);
    reply_integer(reply, value);
}

static void pair_id(struct reply *reply, const char *name, struct series_id id)
{
    reply_bulk_string(reply, name);
    series_id_reply(reply, id);
}

static void pair_bulk(struct reply *reply, const char *name, struct bytes value)
{
    reply_bulk_string(reply, name);
    reply_bulk(reply, value);
}

/* entries-read and lag. */
static void reply_progress(struct reply *reply, const struct series *stream,
                           const struct series_group *group)
{
    int64_t lag;
    reply_bulk_string(reply, "entries-read");
    if (group->read == -1)
        reply_null(reply);
    else
        reply_integer(reply, group->read);
    reply_bulk_string(reply, "lag");
    if (series_group_lag(stream, group, &lag))
        reply_integer(reply, lag);
    else
        reply_null(reply);
}

/* ---- XINFO STREAM ------------------------------------------------------------------------ */

static void reply_head(struct reply *reply, const struct series *stream)
{
    uint64_t count = stream->entries.root.count;
    int64_t blocks = (int64_t)(count / BLOCK_ENTRIES + (count % BLOCK_ENTRIES > 0));
    pair_integer(reply, "length", (int64_t)count);
    pair_integer(reply, "radix-tree-keys", blocks);
    pair_integer(reply, "radix-tree-nodes", blocks + 1);
    pair_id(reply, "last-generated-id", stream->last);
    pair_id(reply, "max-deleted-entry-id", stream->deleted);
    pair_integer(reply, "entries-added", (int64_t)stream->added);
    pair_id(reply, "recorded-first-entry-id", series_first(stream));
}

/* The entry that is there, or null. */
static void add_entry(struct call *call, const char *name, const struct series *stream,
                      struct series_id id)
{
    struct reply found = {&call->walk->found, call->reply->protocol};
    reply_bulk_string(&found, name);
    if (stream->entries.root.count == 0 || !series_add_entry_of(call, stream, id))
        reply_null(&found);
}

static void reply_short(struct call *call, const struct series *stream)
{
    reply_map(call->reply, 10);
    reply_head(call->reply, stream);
    pair_integer(call->reply, "groups", (int64_t)stream->groups.root.count);
    add_entry(call, "first-entry", stream, series_first(stream));
    add_entry(call, "last-entry", stream, series_top(stream));
    call_end_parts(call);
}

static uint64_t at_most(uint64_t count, uint64_t most)
{
    return most > 0 && count > most ? most : count;
}

enum { GIVEN_AT_ONCE = 64, GIVEN_COST = 1024 /* of a slice: what is looked up by its rank */ };

/* Behind so many of them. */
static bool has_room(struct call *call, uint64_t given)
{
    struct walk_state *walk = call->walk;
    walk->budget -= (int64_t)(given + 1) * GIVEN_COST;
    return walk->budget > (int64_t)(db_work(call->db) - walk->work);
}

/* How far a group is given: walk->space is its head, what is pending in it, or with which of its
 * consumers; walk->seen how many of that. */
enum { AT_HEAD, AT_PENDING, AT_CONSUMERS };

static void add_group_head(struct reply *found, const struct series *stream,
                           const struct series_group *group, uint64_t rank, uint64_t count)
{
    reply_map(found, 7);
    pair_bulk(found, "name", series_name_at(&stream->groups, rank));
    pair_id(found, "last-delivered-id", group->last);
    reply_progress(found, stream, group);
    pair_integer(found, "pel-count", (int64_t)group->pending.root.count);
    reply_bulk_string(found, "pending");
    reply_array(found, count);
}

static void add_group_pending(struct reply *found, const struct series *stream,
                              const struct series_group *group, uint64_t rank)
{
    struct series_id id;
    struct series_pending pending;
    series_pending_at(group, rank, &id, &pending);
    reply_array(found, 4);
    series_id_reply(found, id);
    reply_bulk(found, series_consumer_name(stream, pending.consumer));
    reply_integer(found, pending.delivered_ms);
    reply_integer(found, (int64_t)pending.deliveries);
}

static void add_consumer_head(struct reply *found, const struct series *stream,
                              const struct series_consumer *consumer, uint64_t count)
{
    reply_map(found, 5);
    pair_bulk(found, "name", series_consumer_name(stream, consumer->number));
    pair_integer(found, "seen-time", consumer->seen_ms);
    pair_integer(found, "active-time", consumer->active_ms);
    pair_integer(found, "pel-count", (int64_t)consumer->pending.root.count);
    reply_bulk_string(found, "pending");
    reply_array(found, count);
}

static void add_consumer_pending(struct reply *found, const struct series_group *group,
                                 const struct series_consumer *consumer, uint64_t rank)
{
    struct series_pending pending = {0};
    struct series_id id = series_id_at(&consumer->pending, rank);
    series_pending_find(group, id, &pending);
    reply_array(found, 3);
    series_id_reply(found, id);
    reply_integer(found, pending.delivered_ms);
    reply_integer(found, (int64_t)pending.deliveries);
}

/* As many as are given in one go. */
static uint64_t end_of(const struct walk_state *walk, uint64_t count)
{
    return count - walk->seen > GIVEN_AT_ONCE ? walk->seen + GIVEN_AT_ONCE : count;
}

static void add_some_pending(struct call *call, const struct series *stream,
                             const struct series_group *group, uint64_t most)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    uint64_t count = at_most(group->pending.root.count, most);
    if (walk->space == AT_HEAD)
        add_group_head(&found, stream, group, walk->count, count);
    walk->space = AT_PENDING;
    for (uint64_t end = end_of(walk, count); walk->seen < end; walk->seen++)
        add_group_pending(&found, stream, group, walk->seen);
    if (walk->seen < count)
        return;
    walk->seen = 0;
    walk->space = AT_CONSUMERS;
    reply_bulk_string(&found, "consumers");
    reply_array(&found, group->consumers.root.count);
}

static void add_some_of_consumer(struct call *call, const struct series *stream,
                                 const struct series_group *group, uint64_t most)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    struct series_consumer consumer;
    series_consumer_at(stream, group, walk->space - AT_CONSUMERS, &consumer);
    uint64_t count = at_most(consumer.pending.root.count, most);
    if (walk->seen == 0)
        add_consumer_head(&found, stream, &consumer, count);
    for (uint64_t end = end_of(walk, count); walk->seen < end; walk->seen++)
        add_consumer_pending(&found, group, &consumer, walk->seen);
    if (walk->seen < count)
        return;
    walk->seen = 0;
    walk->space++;
}

/* Of the group with the number walk->count, which is the next one's behind the last of it. */
static void add_some_of_group(struct call *call, const struct series *stream, uint64_t most)
{
    struct walk_state *walk = call->walk;
    struct series_group group;
    series_group_at(stream, walk->count, &group);
    if (walk->space < AT_CONSUMERS)
        add_some_pending(call, stream, &group, most);
    else
        add_some_of_consumer(call, stream, &group, most);
    bool is_all = walk->space >= AT_CONSUMERS + group.consumers.root.count;
    walk->count += is_all;
    if (is_all)
        walk->space = AT_HEAD;
}

/* walk->cursor: how many entries are given; count: how many groups. */
static void reply_full(struct call *call, const struct series *stream, uint64_t most)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    struct series_range range =
        series_range_of(stream, series_id_least, series_id_most, false, most);
    call_begin_slice(call);
    if (!walk->second_round && !series_give(call, stream, &range, &walk->cursor, NULL))
        return;
    if (!walk->second_round) {
        reply_bulk_string(&found, "groups");
        reply_array(&found, stream->groups.root.count);
        walk->second_round = true;
    }
    while (walk->count < stream->groups.root.count) {
        add_some_of_group(call, stream, most);
        if (!call_keeps_parts(call, 0))
            return;
        walk->unfinished = !has_room(call, GIVEN_AT_ONCE);
        if (walk->unfinished)
            return;
    }
    reply_map(call->reply, 9);
    reply_head(call->reply, stream);
    reply_bulk_string(call->reply, "entries");
    reply_array(call->reply, range.count);
    call_end_parts(call);
}

/* FULL [COUNT count]; *most 0: all.  False: answered. */
static bool read_full(struct call *call, uint64_t *most)
{
    int64_t count = FULL_COUNT;
    bool is_right = (call->argc == 4 || call->argc == 6) && bytes_is(call->argv[3], "full") &&
                    (call->argc == 4 || bytes_is(call->argv[4], "count"));
    if (!is_right) {
        struct bytes word = call->argv[1];
        reply_error(call->reply,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO "
                    "HELP.",
                    call_printed_size(word), (const char *)word.data);
        return false;
    }
    if (call->argc == 6 && !call_integer(call, 5, &count))
        return false;
    *most = count < 0 ? FULL_COUNT : (uint64_t)count;
    return true;
}

void cmd_xinfo_stream(struct call *call)
{
    struct series stream;
    uint64_t most;
    if (!open_stream(call, &stream))
        return;
    if (call->argc == 3)
        reply_short(call, &stream);
    else if (read_full(call, &most))
        reply_full(call, &stream, most);
}

/* ---- XINFO GROUPS, XINFO CONSUMERS --------------------------------------------------------- */

/* Answers with all of them, in slices; walk->count: how many are given. */
static void give_all(struct call *call, uint64_t count,
                     void (*add)(struct call *call, struct reply *found, const void *of),
                     const void *of)
{
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    call_begin_slice(call);
    for (bool is_first = true; walk->count < count; walk->count++, is_first = false) {
        walk->unfinished = !has_room(call, 0) && !is_first;
        if (walk->unfinished)
            return;
        add(call, &found, of);
        if (!call_keeps_parts(call, 0))
            return;
    }
    call_reply_parts(call, count);
}

static void add_group(struct call *call, struct reply *found, const void *of)
{
    const struct series *stream = of;
    struct series_group group;
    series_group_at(stream, call->walk->count, &group);
    reply_map(found, 6);
    pair_bulk(found, "name", series_name_at(&stream->groups, call->walk->count));
    pair_integer(found, "consumers", (int64_t)group.consumers.root.count);
    pair_integer(found, "pending", (int64_t)group.pending.root.count);
    pair_id(found, "last-delivered-id", group.last);
    reply_progress(found, stream, &group);
}

void cmd_xinfo_groups(struct call *call)
{
    struct series stream;
    if (open_stream(call, &stream))
        give_all(call, stream.groups.root.count, add_group, &stream);
}

struct consumers {
    const struct series *stream;
    const struct series_group *group;
};

static void add_consumer(struct call *call, struct reply *found, const void *of)
{
    const struct consumers *consumers = of;
    struct series_consumer consumer;
    series_consumer_at(consumers->stream, consumers->group, call->walk->count, &consumer);
    int64_t idle = call->now_ms - consumer.seen_ms;
    bool was_active = consumer.active_ms != -1;
    reply_map(found, 4);
    pair_bulk(found, "name", series_consumer_name(consumers->stream, consumer.number));
    pair_integer(found, "pending", (int64_t)consumer.pending.root.count);
    pair_integer(found, "idle", idle < 0 ? 0 : idle);
    pair_integer(found, "inactive", was_active ? call->now_ms - consumer.active_ms : -1);
}

void cmd_xinfo_consumers(struct call *call)
{
    struct series stream;
    struct series_group group;
    struct bytes name = call->argv[3];
    if (!open_stream(call, &stream))
        return;
    if (!series_group_find(&stream, name, &group)) {
        series_group_unknown(call, call->argv[2], name);
        return;
    }
    struct consumers consumers = {&stream, &group};
    give_all(call, group.consumers.root.count, add_consumer, &consumers);
}

void cmd_xinfo_help(struct call *call)
{
    static const char *const lines[] = {"CONSUMERS <key> <groupname>",
                                        "    Show consumers of <groupname>.",
                                        "GROUPS <key>",
                                        "    Show the stream consumer groups.",
                                        "STREAM <key> [FULL [COUNT <count>]",
                                        "    Show information about the stream.",
                                        NULL};
    call_reply_help(call, lines);
}
