/* XREAD and XREADGROUP (Redis 7.2 t_stream.c).
 *
 * An XREAD that waits and says `$` means the last id of when it came, wherever it is read again.
 * So where it finds nothing, its reply is what its ids mean, one bulk string with blanks in
 * between, which no client gets: its node asks again with these ids (series_read_again()), and from
 * then on they go with it from leader to leader.  Deterministic; loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/preparing.h"
#include "command/series_groups.h"
#include "command/streams.h"
#include "command/waiting.h"
#include "resp/number.h"

enum {
    GROUP_SHARE = 16, /* of a slice, where what is given is noted as pending too */
    DELIVERY_LONG = PREPARE_WORDS_LEAST, /* of fewer nobody has to look how long it takes */
    HISTORY_COST = 256                   /* of a slice, an entry that is looked up by its id */
};

struct reading {
    bool is_of_group, is_unacknowledged;
    uint32_t group, consumer; /* words; 0: not given */
    uint64_t count;           /* of each stream; 0: all */
    uint32_t block;           /* word: its timeout; 0: none */
    uint32_t first, streams;  /* argv[first] is the first key, behind the last come the ids */
};

/* ---- words ------------------------------------------------------------------------------ */

static bool read_timeout(struct call *call, uint32_t i)
{
    int64_t timeout;
    if (!number_parse_i64(call->argv[i], &timeout))
        return call_refuse(call, "ERR timeout is not an integer or out of range");
    if (timeout < 0)
        return call_refuse(call, "ERR timeout is negative");
    return timeout <= INT64_MAX - call->now_ms || call_refuse(call, "ERR timeout is out of range");
}

static bool read_count(struct call *call, uint32_t i, struct reading *reading)
{
    int64_t count;
    if (!call_integer(call, i, &count))
        return false;
    reading->count = count < 0 ? 0 : (uint64_t)count;
    return true;
}

static bool read_streams(struct call *call, uint32_t first, struct reading *reading)
{
    uint32_t words = call->argc - first;
    reading->first = first;
    reading->streams = words / 2;
    if (words % 2 == 0)
        return true;
    reply_error(call->reply,
                "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must be "
                "specified.",
                call->command->name, reading->is_of_group ? '>' : '$');
    return false;
}

static bool refuse_group(struct call *call, const char *option)
{
    reply_error(call->reply,
                "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
                option);
    return false;
}

/* The option at argv[*i], which becomes its last word.  False: answered. */
static bool read_option(struct call *call, uint32_t *i, struct reading *reading)
{
    struct bytes word = call->argv[*i];
    uint32_t more = call->argc - *i - 1;
    if (bytes_is(word, "block") && more >= 1) {
        reading->block = ++*i;
        return read_timeout(call, *i);
    }
    if (bytes_is(word, "count") && more >= 1)
        return read_count(call, ++*i, reading);
    if (bytes_is(word, "group") && more >= 2) {
        reading->group = *i + 1;
        reading->consumer = *i + 2;
        *i += 2;
        return reading->is_of_group || refuse_group(call, "GROUP");
    }
    if (bytes_is(word, "noack")) {
        reading->is_unacknowledged = true;
        return reading->is_of_group || refuse_group(call, "NOACK");
    }
    return call_refuse(call, ERROR_SYNTAX);
}

/* False: answered. */
static bool read_words(struct call *call, bool is_of_group, struct reading *reading)
{
    *reading = (struct reading){.is_of_group = is_of_group};
    for (uint32_t i = 1; i < call->argc && reading->first == 0; i++) {
        bool is_last = bytes_is(call->argv[i], "streams") && i + 1 < call->argc;
        if (!(is_last ? read_streams(call, i + 1, reading) : read_option(call, &i, reading)))
            return false;
    }
    if (reading->first == 0)
        return call_refuse(call, ERROR_SYNTAX);
    return !is_of_group || reading->group > 0 ||
           call_refuse(call, "ERR Missing GROUP option for XREADGROUP");
}

static bool is_char(struct bytes word, char c)
{
    return word.size == 1 && *(const char *)word.data == c;
}

/* ---- XREAD ------------------------------------------------------------------------------ */

/* `+`, of Redis 7.4: the last entry is read. */
static struct series_id before_the_last(const struct series *stream)
{
    struct series_id id = series_top(stream);
    if (stream->entries.root.count > 0)
        series_id_before(&id);
    return id;
}

/* Of the stream with this number: the id behind which it is read.  False: answered. */
static bool read_id(struct call *call, const struct reading *reading, uint32_t i,
                    struct series *stream, struct series_id *id)
{
    uint32_t at = reading->first + reading->streams + i;
    if (!series_open(stream, call, call->argv[reading->first + i]))
        return false;
    if (is_char(call->argv[at], '$')) {
        *id = stream->last;
        return true;
    }
    if (is_char(call->argv[at], '+') && call->meaning >= COMMAND_MEANING_WAITS) {
        *id = before_the_last(stream);
        return true;
    }
    if (is_char(call->argv[at], '>'))
        return call_refuse(call,
                           "ERR The > ID can be specified only when calling XREADGROUP using the "
                           "GROUP <group> <consumer> option.");
    return series_id_word(call, at, id);
}

static bool check_id(struct call *call, const struct reading *reading, uint32_t i)
{
    struct series stream;
    struct series_id id;
    return read_id(call, reading, i, &stream, &id);
}

/* Each stream before any is given.  walk->space: how many are checked.  False: not finished, or
 * answered. */
static bool check_all(struct call *call, const struct reading *reading,
                      bool check_one(struct call *, const struct reading *, uint32_t))
{
    struct walk_state *walk = call->walk;
    for (; walk->space < reading->streams; walk->space++)
        if (!call_may_step(call) || !check_one(call, reading, (uint32_t)walk->space))
            return false;
    return true;
}

/* In front of a stream's entries. */
static void add_header(struct call *call, struct bytes key, uint64_t count)
{
    struct reply found = {&call->walk->found, call->reply->protocol};
    if (found.protocol == 2)
        reply_array(&found, 2);
    call_add_part(call, key, true);
    reply_array(&found, count);
    call->walk->second_round = true;
}

/* The stream is done: the next one. */
static void turn(struct walk_state *walk)
{
    walk->count += walk->second_round;
    walk->second_round = false;
    walk->cursor = 0;
    walk->seen++;
}

/* False: not finished, or answered. */
static bool give_stream(struct call *call, const struct reading *reading)
{
    struct series stream;
    struct series_id id;
    struct walk_state *walk = call->walk;
    if (!read_id(call, reading, (uint32_t)walk->seen, &stream, &id))
        return false;
    struct series_range range = {0};
    if (series_id_next(&id))
        range = series_range_of(&stream, id, series_id_most, false, reading->count);
    if (range.count > 0 && !walk->second_round)
        add_header(call, stream.key, range.count);
    if (!series_give(call, &stream, &range, &walk->cursor, NULL))
        return false;
    turn(walk);
    return true;
}

static void reply_streams(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (walk->count == 0) {
        reply_null_array(call->reply);
        return;
    }
    if (call->reply->protocol == 2)
        reply_array(call->reply, walk->count);
    else
        reply_map(call->reply, walk->count);
    call_end_parts(call);
}

static bool has_relative_ids(const struct call *call, const struct reading *reading)
{
    for (uint32_t i = reading->first + reading->streams; i < call->argc; i++)
        if (is_char(call->argv[i], '$') || is_char(call->argv[i], '+'))
            return true;
    return false;
}

static void reply_ids(struct call *call, const struct reading *reading)
{
    struct buffer ids = {0};
    for (uint32_t i = 0; i < reading->streams; i++) {
        struct series stream;
        struct series_id id = {0};
        bool is_known = read_id(call, reading, i, &stream, &id);
        check(is_known); /* they were looked at just now */
        char text[SERIES_TEXT_SIZE];
        buffer_append_bytes(&ids, series_id_text(text, id));
        buffer_append(&ids, " ", 1);
    }
    reply_bulk(call->reply, buffer_bytes(&ids));
    buffer_deinit(&ids);
}

/* walk->seen: the stream it is at; second_round: whose header is written; cursor: how many of its
 * entries, too; count: how many streams have entries. */
void cmd_xread(struct call *call)
{
    struct reading reading;
    struct walk_state *walk = call->walk;
    if (!read_words(call, false, &reading))
        return;
    call_begin_slice(call);
    if (!check_all(call, &reading, check_id))
        return;
    while (walk->seen < reading.streams)
        if (!call_may_step(call) || !give_stream(call, &reading))
            return;
    if (walk->count == 0 && call->may_wait && has_relative_ids(call, &reading)) {
        reply_ids(call, &reading);
        return;
    }
    if (walk->count == 0)
        call_found_nothing(call);
    reply_streams(call);
}

/* ---- XREADGROUP ------------------------------------------------------------------------- */

/* One stream of it. */
struct delivery {
    const struct reading *reading;
    struct series stream;
    struct series_group group;
    struct series_consumer consumer;
    struct series_id id;
    bool made_consumer;
};

/* The stream with this number, its group, and the id that was asked for, the largest for ">".
 * False: answered. */
static bool open_delivery(struct call *call, struct delivery *delivery, uint32_t i)
{
    const struct reading *reading = delivery->reading;
    struct bytes key = call->argv[reading->first + i], name = call->argv[reading->group];
    uint32_t at = reading->first + reading->streams + i;
    if (!series_open(&delivery->stream, call, key))
        return false;
    if (call_is_prepared(call))
        series_take_changes(&delivery->stream, call);
    if (!series_group_find(&delivery->stream, name, &delivery->group))
        return series_group_missing(call, key, name, " in XREADGROUP with GROUP option");
    if (is_char(call->argv[at], '$'))
        return call_refuse(call,
                           "ERR The $ ID is meaningless in the context of XREADGROUP: you want to "
                           "read the history of this consumer by specifying a proper ID, or use "
                           "the > ID to get new messages. The $ ID would just return an empty "
                           "result set.");
    delivery->id = series_id_most;
    return is_char(call->argv[at], '>') || series_id_word(call, at, &delivery->id);
}

static bool check_delivery(struct call *call, const struct reading *reading, uint32_t i)
{
    struct delivery delivery = {.reading = reading};
    return open_delivery(call, &delivery, i);
}

static void open_consumer(struct call *call, struct delivery *delivery)
{
    struct bytes name = call->argv[delivery->reading->consumer];
    delivery->made_consumer =
        !series_consumer_find(&delivery->stream, &delivery->group, name, &delivery->consumer);
    if (delivery->made_consumer)
        series_consumer_new(&delivery->stream, &delivery->group, name, call->now_ms,
                            &delivery->consumer);
    delivery->consumer.seen_ms = call->now_ms;
}

/* What is prepared gets its time by the entry. */
static int64_t delivered_ms(const struct call *call)
{
    return call->preparing ? SERIES_NOT_TIMED : call->now_ms;
}

/* What was given is delivered. */
static void deliver(struct call *call, struct delivery *delivery, struct bytes keys)
{
    struct series_pending pending = {.delivered_ms = delivered_ms(call), .deliveries = 1};
    for (size_t at = 0; at < keys.size; at += SERIES_KEY_SIZE) {
        struct series_id id = series_id_of(bytes_of((const char *)keys.data + at, SERIES_KEY_SIZE));
        series_group_deliver(&delivery->stream, &delivery->group, id);
        if (delivery->reading->is_unacknowledged)
            continue;
        series_pending_give(&delivery->stream, &delivery->group, &delivery->consumer, id, &pending);
        delivery->consumer.active_ms = call->now_ms;
    }
}

/* Entries behind the group's last one.  False: not finished, or answered. */
static bool give_new(struct call *call, struct delivery *delivery)
{
    struct walk_state *walk = call->walk;
    struct series_id from = delivery->group.last;
    struct series_range range = {0};
    struct buffer keys = {0};
    uint64_t count = delivery->reading->count, given = 0;
    bool is_enough = count > 0 && walk->cursor >= count;
    if (!is_enough && series_id_next(&from))
        range = series_range_of(&delivery->stream, from, series_id_most, false,
                                count > 0 ? count - walk->cursor : 0);
    if (range.count > 0 && !walk->second_round)
        add_header(call, delivery->stream.key, range.count);
    bool is_done = series_give(call, &delivery->stream, &range, &given, &keys);
    deliver(call, delivery, buffer_bytes(&keys));
    walk->cursor += given;
    buffer_deinit(&keys);
    return is_done;
}

static void give_again(struct call *call, struct delivery *delivery, struct series_id id)
{
    struct series_pending pending;
    struct reply found = {&call->walk->found, call->reply->protocol};
    call->walk->budget -= HISTORY_COST;
    if (!series_add_entry_of(call, &delivery->stream, id)) {
        reply_array(&found, 2); /* it was deleted, and is pending still */
        series_id_reply(&found, id);
        reply_null_array(&found);
        return;
    }
    series_pending_find(&delivery->group, id, &pending);
    pending.delivered_ms = delivered_ms(call);
    pending.deliveries++;
    series_pending_set(&delivery->group, id, &pending);
}

/* How much is pending with the consumer behind the id, and wanted; *first: its first one's rank. */
static uint64_t history_size(const struct delivery *delivery, uint64_t *first)
{
    const struct db_tree *pending = &delivery->consumer.pending;
    uint64_t count = delivery->reading->count;
    struct series_id from = delivery->id;
    series_id_next(&from);
    *first = series_rank(pending, from, NULL);
    uint64_t left = pending->root.count - *first;
    return count > 0 && left > count ? count : left;
}

/* What is pending with the consumer, behind the id.  False: not finished, or answered. */
static bool give_history(struct call *call, struct delivery *delivery)
{
    struct walk_state *walk = call->walk;
    const struct db_tree *pending = &delivery->consumer.pending;
    uint64_t first, left = history_size(delivery, &first);
    if (!walk->second_round)
        add_header(call, delivery->stream.key, left);
    for (; walk->cursor < left && walk->budget > 0; walk->cursor++) {
        give_again(call, delivery, series_id_at(pending, first + walk->cursor));
        if (!call_keeps_parts(call, 0))
            return false;
    }
    walk->unfinished = walk->cursor < left;
    return !walk->unfinished;
}

/* What a slice changed; the record when it turns to another stream. */
static void save_delivery(struct call *call, struct delivery *delivery)
{
    series_consumer_save(&delivery->stream, &delivery->consumer);
    series_group_save(&delivery->stream, &delivery->group);
    if (call->walk->unfinished) {
        series_put_aside(&delivery->stream, call);
        return;
    }
    series_forget_aside(call);
    series_save(&delivery->stream, db_effect_untold);
}

static void tell_consumer(struct call *call, const struct delivery *delivery)
{
    db_effects_also(call->db, call->database, delivery->stream.key, "xgroup-createconsumer");
}

/* ---- what was delivered before its entry ------------------------------------------------- */

/* From one slice of a preparation to the next; the stream first, as series_put_aside() keeps it. */
struct delivered {
    struct series stream;
    struct series_id from; /* behind it all is delivered now */
    struct series_marks marks;
    bool made_consumer;
    bool is_given; /* only the marks are left to find */
};

static void delivered_free(void *kept)
{
    struct delivered *delivered = kept;
    buffer_deinit(&delivered->marks.places);
    memory_free(delivered);
}

static bool is_new(const struct delivery *delivery)
{
    return series_id_compare(delivery->id, series_id_most) == 0;
}

static struct delivered *keep_delivered(struct call *call, const struct delivery *delivery,
                                        struct series_id before)
{
    struct walk_state *walk = call->walk;
    struct delivered *delivered = walk->kept;
    if (delivered)
        return delivered;
    delivered = memory_new(sizeof *delivered);
    delivered->from = is_new(delivery) ? before : delivery->id;
    delivered->made_consumer = delivery->made_consumer;
    walk->kept = delivered;
    return delivered;
}

/* The last that was given. */
static struct series_id end_of(const struct delivery *delivery)
{
    uint64_t first, count;
    if (is_new(delivery))
        return delivery->group.last;
    count = history_size(delivery, &first);
    return count > 0 ? series_id_at(&delivery->consumer.pending, first + count - 1) : delivery->id;
}

/* Of a preparation, behind what is given.  False: there is more to do, or only the end is left. */
static void find_marks(struct call *call, struct delivery *delivery, struct delivered *delivered)
{
    call->walk->unfinished = true;
    if (series_marks_find(&delivered->marks, &delivery->group))
        (void)call_stops(call);
}

/* It is delivered at the time of the entry. */
static void end_prepared(struct call *call, struct delivery *delivery)
{
    struct delivered delivered = *(const struct delivered *)call->walk->kept;
    open_consumer(call, delivery);
    series_marks_time(&delivered.marks, call->now_ms);
    if (is_new(delivery) && !delivery->reading->is_unacknowledged)
        delivery->consumer.active_ms = call->now_ms;
    call->walk->unfinished = false;
    save_delivery(call, delivery);
    if (delivered.made_consumer)
        tell_consumer(call, delivery);
    turn(call->walk);
}

uint64_t series_delivery_size(struct call *call)
{
    struct reading reading;
    struct delivery delivery = {.reading = &reading};
    uint64_t first;
    if (!read_words(call, true, &reading) || reading.streams != 1 || reading.block > 0 ||
        (reading.count > 0 && reading.count < DELIVERY_LONG) || !open_delivery(call, &delivery, 0))
        return 0;
    if (!is_new(&delivery))
        return series_consumer_find(&delivery.stream, &delivery.group, call->argv[reading.consumer],
                                    &delivery.consumer)
                   ? history_size(&delivery, &first)
                   : 0;
    struct series_id from = delivery.group.last;
    return series_id_next(&from)
               ? series_range_of(&delivery.stream, from, series_id_most, false, reading.count).count
               : 0;
}

/* A slice of a preparation that gave something, or the rest. */
static void end_slice_prepared(struct call *call, struct delivery *delivery,
                               struct series_id before, bool is_done)
{
    struct walk_state *walk = call->walk;
    struct delivered *delivered = keep_delivered(call, delivery, before);
    if (is_done) {
        delivered->is_given = true;
        series_marks_begin(&delivered->marks, &delivery->group, delivered->from, end_of(delivery));
    }
    walk->unfinished |= is_done;
    save_delivery(call, delivery);
    walk->kept_free = delivered_free;
}

/* False: not finished, or answered. */
static bool give_delivery(struct call *call, const struct reading *reading)
{
    struct delivery delivery = {.reading = reading};
    struct walk_state *walk = call->walk;
    if (!open_delivery(call, &delivery, (uint32_t)walk->seen))
        return false;
    if (call_is_prepared(call)) {
        end_prepared(call, &delivery);
        return true;
    }
    struct delivered *delivered = call->preparing ? walk->kept : NULL;
    if (delivered && delivered->is_given) {
        find_marks(call, &delivery, delivered);
        return false;
    }
    struct series_id before = delivery.group.last;
    open_consumer(call, &delivery);
    walk->unfinished = false;
    bool is_done = is_new(&delivery) ? give_new(call, &delivery) : give_history(call, &delivery);
    if (call->preparing) {
        end_slice_prepared(call, &delivery, before, is_done);
        return false;
    }
    save_delivery(call, &delivery);
    if (delivery.made_consumer)
        tell_consumer(call, &delivery);
    if (is_done)
        turn(walk);
    return is_done;
}

bool words_xreadgroup(struct call *call)
{
    struct reading reading;
    return read_words(call, true, &reading);
}

/* As cmd_xread(). */
void cmd_xreadgroup(struct call *call)
{
    struct reading reading;
    struct walk_state *walk = call->walk;
    if (!read_words(call, true, &reading))
        return;
    call_begin_slice(call);
    walk->budget = (int64_t)call_slice_share(call, (uint64_t)walk->budget / GROUP_SHARE);
    if (!check_all(call, &reading, check_delivery))
        return;
    while (walk->seen < reading.streams)
        if (!call_may_step(call) || !give_delivery(call, &reading))
            return;
    if (walk->count == 0)
        call_found_nothing(call);
    reply_streams(call);
}

/* ---- waiting: see waiting.h ------------------------------------------------------------ */

/* Of words that were admitted. */
static bool read_waiting(const struct command *command, const struct bytes *argv, uint32_t argc,
                         struct reading *reading)
{
    struct reply nowhere = {NULL, 2};
    struct call call = {.command = command, .argv = argv, .argc = argc, .reply = &nowhere};
    bool is_of_group = command->execute == cmd_xreadgroup;
    return read_words(&call, is_of_group, reading) && reading->block > 0;
}

bool series_waiting_find(const struct command *command, const struct bytes *argv, uint32_t argc,
                         struct waiting *waiting)
{
    struct reading reading;
    if (!read_waiting(command, argv, argc, &reading))
        return false;
    *waiting =
        (struct waiting){.first = reading.first, .keys = reading.streams, .timeout = reading.block};
    return true;
}

struct bytes series_waiting_group(const struct call *call)
{
    struct reading reading;
    bool waits = read_waiting(call->command, call->argv, call->argc, &reading);
    return waits ? call->argv[reading.group] : bytes_of("", 0);
}

/* Whether it would give something, or an answer of another kind, or change something, as where the
 * consumer is new. */
static bool finds(struct call *call, const struct reading *reading, uint32_t i)
{
    struct delivery delivery = {.reading = reading};
    if (!open_delivery(call, &delivery, i) || series_id_compare(delivery.id, series_id_most) != 0)
        return true;
    struct series_id from = delivery.group.last;
    if (series_id_next(&from) &&
        series_range_of(&delivery.stream, from, series_id_most, false, 1).count > 0)
        return true;
    return !series_consumer_find(&delivery.stream, &delivery.group, call->argv[reading->consumer],
                                 &delivery.consumer);
}

bool series_would_wait(struct call *call)
{
    struct reading reading;
    if (!read_waiting(call->command, call->argv, call->argc, &reading))
        return false;
    for (uint32_t i = 0; i < reading.streams; i++)
        if (finds(call, &reading, i))
            return false;
    return true;
}

/* Of XREAD: a stream with entries behind the id.  One of another type wakes nobody. */
static bool has_more(struct call *call, const struct reading *reading, uint32_t i)
{
    struct series stream;
    struct series_id id;
    return read_id(call, reading, i, &stream, &id) && series_id_next(&id) &&
           series_range_of(&stream, id, series_id_most, false, 1).count > 0;
}

bool series_finds_something(struct call *call, struct bytes key)
{
    struct reading reading;
    if (!read_waiting(call->command, call->argv, call->argc, &reading))
        return false;
    for (uint32_t i = 0; i < reading.streams; i++) {
        if (!bytes_equal(call->argv[reading.first + i], key))
            continue;
        if (reading.is_of_group ? finds(call, &reading, i) : has_more(call, &reading, i))
            return true;
    }
    return false;
}

/* "$<size>\r\n<id> <id> ...\r\n": the bytes of the ids.  False: it is a client's reply. */
static bool read_ids(struct bytes reply, struct bytes *ids)
{
    const char *text = reply.data;
    size_t at = 0;
    if (reply.size < 2 || text[0] != '$')
        return false;
    while (at < reply.size && text[at] != '\n')
        at++;
    if (reply.size < at + 3)
        return false;
    *ids = bytes_of(text + at + 1, reply.size - at - 3);
    return true;
}

struct blob *series_read_again(const struct command *command, struct bytes *argv, uint32_t argc,
                               struct bytes reply)
{
    struct reading reading;
    struct bytes ids;
    if (!read_ids(reply, &ids) || !read_waiting(command, argv, argc, &reading))
        return NULL;
    const char *text = ids.data;
    size_t at = 0;
    for (uint32_t i = reading.first + reading.streams; i < argc; i++) {
        size_t begin = at;
        while (at < ids.size && text[at] != ' ')
            at++;
        if (at == ids.size) /* the leader's, of other words */
            return NULL;
        argv[i] = bytes_of(text + begin, at - begin);
        at++;
    }
    return command_encode(argv, argc);
}
