/* The groups of streams: XGROUP, XACK, XPENDING (Redis 7.2 t_stream.c).  Deterministic; loop thread
 * only. */
#include "command/preparing.h"
#include "command/series_groups.h"
#include "command/streams.h"
#include "resp/number.h"

enum {
    PENDING_LOOKED_AT = 64,
    CONSUMER_PENDING = 16, /* that go with their pages take as long as one consumer */
    STEP_COST = 1 << 18    /* of a slice: dropping some hundred pages, or what is pending */
};

/* ---- XGROUP -------------------------------------------------------------------------- */

struct xgroup {
    bool makes_stream;
    int64_t read; /* ENTRIESREAD; -1: not known */
};

static void refuse_options(struct call *call)
{
    struct bytes word = call->argv[1];
    reply_error(call->reply,
                "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XGROUP HELP.",
                call_printed_size(word), (const char *)word.data);
}

/* Options from argv[5] on; false: answered. */
static bool read_options(struct call *call, bool is_create, struct xgroup *xgroup)
{
    *xgroup = (struct xgroup){.read = -1};
    for (uint32_t i = 5; i < call->argc; i++) {
        if (is_create && bytes_is(call->argv[i], "mkstream")) {
            xgroup->makes_stream = true;
        } else if (bytes_is(call->argv[i], "entriesread") && i + 1 < call->argc) {
            if (!call_integer(call, ++i, &xgroup->read))
                return false;
            if (xgroup->read < -1)
                return call_refuse(call, "ERR value for ENTRIESREAD must be positive or -1");
        } else {
            refuse_options(call);
            return false;
        }
    }
    return true;
}

/* No option stands there twice, as Redis counts: at the most `most` words.  Entries up to meaning 6
 * can have more; nobody proposes them any more. */
static bool check_options(struct call *call, bool is_create, uint32_t most)
{
    struct xgroup xgroup;
    if (!read_options(call, is_create, &xgroup))
        return false;
    if (call->argc > most)
        refuse_options(call);
    return call->argc <= most;
}

bool words_xgroup_create(struct call *call)
{
    return check_options(call, true, 8);
}

bool words_xgroup_setid(struct call *call)
{
    return check_options(call, false, 7);
}

/* The stream at argv[2]; false: answered. */
static bool open_stream(struct call *call, struct series *stream)
{
    if (!series_open(stream, call, call->argv[2]))
        return false;
    return stream->is_there ||
           call_refuse(call,
                       "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE "
                       "you may want to use the MKSTREAM option to create an empty stream "
                       "automatically.");
}

/* And its group, argv[3]; likewise. */
static bool find_group(struct call *call, const struct series *stream, struct series_group *group)
{
    return series_group_find(stream, call->argv[3], group) ||
           series_group_unknown(call, call->argv[2], call->argv[3]);
}

static bool open_group(struct call *call, struct series *stream, struct series_group *group)
{
    return open_stream(call, stream) && find_group(call, stream, group);
}

/* argv[4]: an id, or "$"; strict: not "-" or "+".  False: answered. */
static bool read_last(struct call *call, const struct series *stream, bool strict,
                      struct series_id *id)
{
    struct bytes word = call->argv[4];
    *id = stream->last;
    return bytes_is(word, "$") || series_id_read(word, strict, 0, id, NULL) ||
           call_refuse(call, ERROR_STREAM_ID);
}

void cmd_xgroup_create(struct call *call)
{
    struct xgroup xgroup;
    struct series stream;
    struct series_group group;
    struct series_id last;
    if (!read_options(call, true, &xgroup))
        return;
    if (!(xgroup.makes_stream ? series_open(&stream, call, call->argv[2])
                              : open_stream(call, &stream)) ||
        !read_last(call, &stream, true, &last))
        return;
    if (!stream.is_there)
        series_make(&stream);
    if (!series_group_new(&stream, call->argv[3], last, xgroup.read, &group)) {
        reply_error(call->reply, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    series_save(&stream, "xgroup-create");
    call_reply_ok(call->reply);
}

void cmd_xgroup_setid(struct call *call)
{
    struct xgroup xgroup;
    struct series stream;
    struct series_group group;
    struct series_id last;
    if (!read_options(call, false, &xgroup) || !open_group(call, &stream, &group) ||
        !read_last(call, &stream, false, &last))
        return;
    group.last = last;
    group.read = xgroup.read;
    series_group_save(&stream, &group);
    series_save(&stream, "xgroup-setid");
    call_reply_ok(call->reply);
}

/* Whether the slice has room for more; if not, the stream is put aside. */
static bool goes_on(struct call *call, struct series *stream)
{
    struct walk_state *walk = call->walk;
    walk->budget -= STEP_COST;
    walk->unfinished = walk->budget <= 0;
    if (walk->unfinished)
        series_put_aside(stream, call);
    return !walk->unfinished;
}

/* Of a preparation, whose entry has the end left. */
static bool stops(struct call *call, struct series *stream)
{
    if (!call_stops(call))
        return false;
    series_put_aside(stream, call);
    return true;
}

static void take_changes(struct call *call, struct series *stream)
{
    if (call_is_prepared(call))
        series_take_changes(stream, call);
}

uint64_t command_group_size(struct call *call)
{
    struct series stream;
    struct series_group group;
    if (!series_open(&stream, call, call->argv[2]) ||
        !series_group_find(&stream, call->argv[3], &group))
        return 0;
    return group.pending.root.count + group.consumers.root.count * CONSUMER_PENDING;
}

void cmd_xgroup_destroy(struct call *call)
{
    struct series stream;
    struct series_group group;
    if (!open_stream(call, &stream))
        return;
    take_changes(call, &stream);
    bool is_there = series_group_find(&stream, call->argv[3], &group);
    call_begin_slice(call);
    if (is_there) {
        while (!series_group_empty(&stream, &group))
            if (!goes_on(call, &stream))
                return;
        if (stops(call, &stream))
            return;
        series_group_remove(&stream, call->argv[3], &group);
        series_save(&stream, "xgroup-destroy");
    }
    reply_integer(call->reply, is_there);
}

void cmd_xgroup_createconsumer(struct call *call)
{
    struct series stream;
    struct series_group group;
    struct series_consumer consumer;
    if (!open_group(call, &stream, &group))
        return;
    bool is_there = series_consumer_find(&stream, &group, call->argv[4], &consumer);
    if (!is_there) {
        series_consumer_new(&stream, &group, call->argv[4], call->now_ms, &consumer);
        series_save(&stream, "xgroup-createconsumer");
    }
    reply_integer(call->reply, !is_there);
}

uint64_t command_consumer_size(struct call *call)
{
    struct series stream;
    struct series_group group;
    struct series_consumer consumer;
    if (!series_open(&stream, call, call->argv[2]) ||
        !series_group_find(&stream, call->argv[3], &group) ||
        !series_consumer_find(&stream, &group, call->argv[4], &consumer))
        return 0;
    return consumer.pending.root.count;
}

/* walk->count: how many were pending. */
void cmd_xgroup_delconsumer(struct call *call)
{
    struct series stream;
    struct series_group group;
    struct series_consumer consumer;
    struct walk_state *walk = call->walk;
    if (!open_stream(call, &stream))
        return;
    take_changes(call, &stream);
    if (!find_group(call, &stream, &group))
        return;
    if (series_consumer_find(&stream, &group, call->argv[4], &consumer)) {
        if (!walk->unfinished)
            walk->count = consumer.pending.root.count;
        call_begin_slice(call);
        while (!series_consumer_empty(&stream, &group, &consumer))
            if (!goes_on(call, &stream))
                return;
        if (stops(call, &stream))
            return;
        series_consumer_remove(&stream, &group, call->argv[4], &consumer);
        series_save(&stream, "xgroup-delconsumer");
    }
    reply_integer(call->reply, (int64_t)walk->count);
}

void cmd_xgroup_help(struct call *call)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL};
    call_reply_help(call, lines);
}

/* ---- XACK ------------------------------------------------------------------------------ */

/* walk->count: how many were pending. */
void cmd_xack(struct call *call)
{
    struct series stream;
    struct series_group group;
    struct series_id id;
    struct walk_state *walk = call->walk;
    if (!series_open(&stream, call, call->argv[1]))
        return;
    if (call_is_prepared(call))
        series_take_changes(&stream, call);
    if (!series_group_find(&stream, call->argv[2], &group)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!series_are_ids(call, 3))
        return;
    uint64_t before = walk->count;
    for (uint32_t i = call_slice_prepared(call, 3); call_takes(call, i); i++)
        walk->count +=
            series_id_word(call, i, &id) && series_pending_remove(&stream, &group, NULL, id);
    if (walk->count > before)
        series_group_save(&stream, &group);
    if (walk->unfinished || call_stops(call)) {
        series_put_aside(&stream, call);
        return;
    }
    if (walk->count > 0)
        series_save(&stream, db_effect_untold);
    reply_integer(call->reply, (int64_t)walk->count);
}

/* ---- XPENDING -------------------------------------------------------------------------- */

struct xpending {
    int64_t idle_ms, count;
    struct series_id from, to;
    uint32_t consumer; /* word; 0: of all */
};

/* False: answered. */
static bool read_xpending(struct call *call, struct xpending *words)
{
    uint32_t first = 3;
    *words = (struct xpending){0};
    if (call->argc != 3 && (call->argc < 6 || call->argc > 9))
        return call_refuse(call, ERROR_SYNTAX);
    if (call->argc == 3)
        return true;
    if (bytes_is(call->argv[3], "idle")) {
        if (!call_integer(call, 4, &words->idle_ms))
            return false;
        if (call->argc < 8)
            return call_refuse(call, ERROR_SYNTAX);
        first = 5;
    }
    if (!call_integer(call, first + 2, &words->count) ||
        !series_range_words(call, first, first + 1, &words->from, &words->to))
        return false;
    words->consumer = first + 3 < call->argc ? first + 3 : 0;
    return true;
}

/* walk->cursor: at how many it has looked; walk->count: how many have something.  False: not all of
 * them, or answered. */
static bool give_consumers(struct call *call, const struct series *stream,
                           const struct series_group *group)
{
    struct walk_state *walk = call->walk;
    struct series_consumer consumer;
    struct reply found = {&walk->found, call->reply->protocol};
    call_begin_slice(call);
    for (; walk->cursor < group->consumers.root.count; walk->cursor++) {
        char number[NUMBER_I64_SIZE];
        if (!call_may_step(call) || !call_keeps_parts(call, 0))
            return false;
        series_consumer_at(stream, group, walk->cursor, &consumer);
        if (consumer.pending.root.count == 0)
            continue;
        size_t size = number_format_i64((int64_t)consumer.pending.root.count, number);
        reply_array(&found, 2);
        reply_bulk(&found, series_consumer_name(stream, consumer.number));
        reply_bulk(&found, bytes_of(number, size));
        walk->count++;
    }
    return true;
}

static void reply_summary(struct call *call, const struct series *stream,
                          const struct series_group *group)
{
    uint64_t count = group->pending.root.count;
    if (count > 0 && !give_consumers(call, stream, group))
        return;
    reply_array(call->reply, 4);
    reply_integer(call->reply, (int64_t)count);
    if (count == 0) {
        reply_null(call->reply);
        reply_null(call->reply);
        reply_null_array(call->reply);
        return;
    }
    series_id_reply(call->reply, series_id_at(&group->pending, 0));
    series_id_reply(call->reply, series_id_at(&group->pending, count - 1));
    call_reply_parts(call, call->walk->count);
}

/* The entry at a rank of the tree, which is the group's or a consumer's. */
static void add_pending(struct call *call, const struct series *stream,
                        const struct series_group *group, struct series_id id, int64_t idle_ms)
{
    struct series_pending pending;
    struct walk_state *walk = call->walk;
    struct reply found = {&walk->found, call->reply->protocol};
    if (!series_pending_find(group, id, &pending))
        return;
    int64_t idle = call->now_ms - pending.delivered_ms;
    if (idle_ms != 0 && idle < idle_ms)
        return;
    reply_array(&found, 4);
    series_id_reply(&found, id);
    reply_bulk(&found, series_consumer_name(stream, pending.consumer));
    reply_integer(&found, idle < 0 ? 0 : idle);
    reply_integer(&found, (int64_t)pending.deliveries);
    walk->count++;
}

static bool note_id(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    buffer_append_bytes(context, key);
    return true;
}

/* walk->cursor: how many were looked at; count: how many were given.  False: not finished, or
 * answered. */
static bool give_pending(struct call *call, const struct series *stream,
                         const struct series_group *group, const struct db_tree *tree,
                         const struct xpending *words)
{
    bool is_there;
    struct walk_state *walk = call->walk;
    struct buffer keys = {0};
    uint64_t first = series_rank(tree, words->from, NULL);
    uint64_t end = series_rank(tree, words->to, &is_there) + is_there;
    uint64_t most = words->count > 0 ? (uint64_t)words->count : 0;
    bool has_room = true;
    while (has_room && walk->count < most && first + walk->cursor < end && walk->budget > 0) {
        uint64_t left = end - first - walk->cursor;
        buffer_clear(&keys);
        db_tree_walk(tree, first + walk->cursor,
                     left < PENDING_LOOKED_AT ? left : PENDING_LOOKED_AT, false, note_id, &keys);
        for (size_t at = 0; at < keys.size && walk->count < most; at += SERIES_KEY_SIZE) {
            struct series_id id = series_id_of(bytes_of(keys.data + at, SERIES_KEY_SIZE));
            add_pending(call, stream, group, id, words->idle_ms);
            walk->cursor++;
            walk->budget -= 1024;
        }
        has_room = call_keeps_parts(call, 0);
    }
    buffer_deinit(&keys);
    walk->unfinished = has_room && walk->count < most && first + walk->cursor < end;
    return has_room && !walk->unfinished;
}

void cmd_xpending(struct call *call)
{
    struct xpending words;
    struct series stream;
    struct series_group group;
    struct series_consumer consumer;
    if (!read_xpending(call, &words) || !series_open(&stream, call, call->argv[1]))
        return;
    if (!series_group_find(&stream, call->argv[2], &group)) {
        series_group_missing(call, call->argv[1], call->argv[2], "");
        return;
    }
    if (call->argc == 3) {
        reply_summary(call, &stream, &group);
        return;
    }
    const struct db_tree *tree = &group.pending;
    if (words.consumer) {
        if (!series_consumer_find(&stream, &group, call->argv[words.consumer], &consumer)) {
            reply_array(call->reply, 0);
            return;
        }
        tree = &consumer.pending;
    }
    call_begin_slice(call);
    if (give_pending(call, &stream, &group, tree, &words))
        call_reply_parts(call, call->walk->count);
}
