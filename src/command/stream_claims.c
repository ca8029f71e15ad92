/* XCLAIM and XAUTOCLAIM: what is pending with one consumer becomes another's (Redis 7.2
 * t_stream.c).  Deterministic; loop thread only. */
#include "base/codec.h"
#include "base/memory.h"
#include "command/prepare.h"
#include "command/series_groups.h"
#include "command/streams.h"
#include "resp/number.h"

enum {
    AUTOCLAIM_COUNT = 100,
    AUTOCLAIM_LOOKS = 10,                     /* at so many for each that may be claimed */
    AUTOCLAIM_LONG = PREPARE_WORDS_LEAST / 4, /* of fewer nobody has to look how long it takes */
    AUTOCLAIM_SLICE = 200,                    /* looked at */
    AUTOCLAIM_SHARE = 16,                     /* of INT64_MAX may be asked for: Redis's bound */
    RETRY_NOT_GIVEN = -1,
    FIRST_ID = 5,      /* word of XCLAIM */
    IDS_READ = 1 << 15 /* in one slice; to look at them alone is quick */
};

static const char bad_idle[] = "ERR Invalid min-idle-time argument for ";

struct claim {
    struct series stream;
    struct series_group group;
    struct series_consumer consumer;
    int64_t least_idle_ms, delivered_ms, deliveries; /* deliveries RETRY_NOT_GIVEN: one more */
    bool by_force, only_ids;
    struct series_id last; /* the group's becomes this, if it is below */
    bool made_consumer;
};

static bool read_number(struct call *call, uint32_t i, const char *error, const char *where,
                        int64_t *number)
{
    if (number_parse_i64(call->argv[i], number))
        return true;
    reply_error(call->reply, "%s%s", error, where);
    return false;
}

/* Key, group: argv[1], argv[2].  False: answered. */
static bool open_group(struct call *call, struct claim *claim)
{
    if (!series_open(&claim->stream, call, call->argv[1]))
        return false;
    if (call_is_prepared(call))
        series_take_changes(&claim->stream, call);
    return series_group_find(&claim->stream, call->argv[2], &claim->group) ||
           series_group_missing(call, call->argv[1], call->argv[2], "");
}

/* The consumer, argv[3]. */
static void open_consumer(struct call *call, struct claim *claim)
{
    claim->made_consumer =
        !series_consumer_find(&claim->stream, &claim->group, call->argv[3], &claim->consumer);
    if (claim->made_consumer)
        series_consumer_new(&claim->stream, &claim->group, call->argv[3], call->now_ms,
                            &claim->consumer);
    claim->consumer.seen_ms = call->now_ms;
}

/* What a slice changed; the record at the end alone.  False: that comes later. */
static bool save(struct call *call, struct claim *claim, bool has_room)
{
    struct walk_state *walk = call->walk;
    series_consumer_save(&claim->stream, &claim->consumer);
    series_group_save(&claim->stream, &claim->group);
    walk->second_round |= claim->made_consumer;
    if (walk->unfinished || (has_room && call_stops(call))) {
        series_put_aside(&claim->stream, call);
        return false;
    }
    series_save(&claim->stream, db_effect_untold);
    if (walk->second_round)
        db_effects_also(call->db, call->database, claim->stream.key, "xgroup-createconsumer");
    return true;
}

/* From then on it has been idle for long enough. */
static int64_t idle_from_ms(const struct claim *claim, const struct series_pending *pending)
{
    bool is_far = pending->delivered_ms > INT64_MAX - claim->least_idle_ms;
    return is_far ? INT64_MAX : pending->delivered_ms + claim->least_idle_ms;
}

/* Adds it to the parts.  False: it is not to be had. */
static bool take(struct call *call, struct claim *claim, struct series_id id,
                 const struct series_pending *before)
{
    struct reply found = {&call->walk->found, call->reply->protocol};
    struct series_pending after = {.deliveries = before ? before->deliveries : 1};
    if (before && claim->least_idle_ms > 0 &&
        call->now_ms - before->delivered_ms < claim->least_idle_ms) {
        call_holds_until(call, idle_from_ms(claim, before));
        return false;
    }
    after.delivered_ms = claim->delivered_ms;
    if (claim->deliveries != RETRY_NOT_GIVEN)
        after.deliveries = (uint64_t)claim->deliveries;
    else
        after.deliveries += !claim->only_ids;
    series_pending_give(&claim->stream, &claim->group, &claim->consumer, id, &after);
    claim->consumer.active_ms = call->now_ms;
    if (claim->only_ids)
        series_id_reply(&found, id);
    else
        series_add_entry_of(call, &claim->stream, id);
    call->walk->count++;
    return true;
}

static bool exists(const struct claim *claim, struct series_id id)
{
    bool is_there;
    series_rank(&claim->stream.entries, id, &is_there);
    return is_there;
}

/* ---- XCLAIM ---------------------------------------------------------------------------- */

/* Milliseconds back from now, whatever they are. */
static int64_t before_now(int64_t now_ms, int64_t idle_ms)
{
    return (int64_t)((uint64_t)now_ms - (uint64_t)idle_ms);
}

/* The option at argv[*i], which becomes its last word.  False: answered. */
static bool read_option(struct call *call, uint32_t *i, struct claim *claim)
{
    struct bytes word = call->argv[*i];
    static const char where[] = " option argument for XCLAIM";
    bool has_more = *i + 1 < call->argc;
    if (bytes_is(word, "force")) {
        claim->by_force = true;
    } else if (bytes_is(word, "justid")) {
        claim->only_ids = true;
    } else if (has_more && bytes_is(word, "idle")) {
        if (!read_number(call, ++*i, "ERR Invalid IDLE", where, &claim->delivered_ms))
            return false;
        claim->delivered_ms = before_now(call->now_ms, claim->delivered_ms);
    } else if (has_more && bytes_is(word, "time")) {
        return read_number(call, ++*i, "ERR Invalid TIME", where, &claim->delivered_ms);
    } else if (has_more && bytes_is(word, "retrycount")) {
        if (!read_number(call, ++*i, "ERR Invalid RETRYCOUNT", where, &claim->deliveries))
            return false;
        if (claim->deliveries < 0)
            claim->deliveries = RETRY_NOT_GIVEN;
    } else if (has_more && bytes_is(word, "lastid")) {
        return series_id_word(call, ++*i, &claim->last);
    } else {
        reply_error(call->reply, "ERR Unrecognized XCLAIM option '%.*s'",
                    (int)strnlen(word.data ? word.data : "", word.size), (const char *)word.data);
        return false;
    }
    return true;
}

/* Ids are argv[FIRST_ID] to argv[walk->seen - 1], once that is known: walk->space is how far it has
 * looked.  False: not yet. */
static bool find_end_of_ids(struct call *call)
{
    struct series_id id;
    struct walk_state *walk = call->walk;
    if (walk->seen > 0)
        return true;
    uint64_t i = walk->space > 0 ? walk->space : FIRST_ID, most = i + IDS_READ;
    while (i < call->argc && i < most && series_id_read(call->argv[i], true, 0, &id, NULL))
        i++;
    walk->space = i;
    walk->unfinished = i == most && i < call->argc;
    walk->seen = walk->unfinished ? 0 : i;
    return !walk->unfinished;
}

/* False: answered, or not all is read. */
static bool read_claim(struct call *call, struct claim *claim, uint32_t *end)
{
    claim->deliveries = RETRY_NOT_GIVEN;
    claim->delivered_ms = -1;
    if (!read_number(call, 4, bad_idle, "XCLAIM", &claim->least_idle_ms) || !find_end_of_ids(call))
        return false;
    *end = (uint32_t)call->walk->seen;
    for (uint32_t i = *end; i < call->argc; i++)
        if (!read_option(call, &i, claim))
            return false;
    if (claim->delivered_ms < 0 || claim->delivered_ms > call->now_ms)
        claim->delivered_ms = call->now_ms;
    return true;
}

bool command_claim_restate(struct call *call, struct command_restating *restating)
{
    struct claim claim = {0};
    uint32_t end;
    if (!read_claim(call, &claim, &end))
        return false;
    *restating = (struct command_restating){
        .from = call->argc, .to = call->argc, .option = "time", .number = claim.delivered_ms};
    return true;
}

static void claim_id(struct call *call, struct claim *claim, uint32_t i)
{
    struct series_id id;
    struct series_pending pending;
    series_id_read(call->argv[i], true, 0, &id, NULL);
    bool is_pending = series_pending_find(&claim->group, id, &pending);
    if (!exists(claim, id)) {
        if (is_pending)
            series_pending_remove(&claim->stream, &claim->group, &claim->consumer, id);
    } else if (is_pending || claim->by_force) {
        take(call, claim, id, is_pending ? &pending : NULL);
    }
}

/* walk->count: how many are claimed. */
void cmd_xclaim(struct call *call)
{
    struct claim claim = {0};
    uint32_t end;
    struct walk_state *walk = call->walk;
    if (!open_group(call, &claim) || !read_claim(call, &claim, &end))
        return;
    if (series_id_compare(claim.last, claim.group.last) > 0)
        claim.group.last = claim.last;
    open_consumer(call, &claim);
    bool has_room = true;
    for (uint32_t i = call_slice_prepared(call, FIRST_ID);
         has_room && i < end && call_takes(call, i); i++) {
        claim_id(call, &claim, i);
        has_room = call_keeps_parts(call, 0);
    }
    if (walk->count > 0) /* also where they were claimed before this entry */
        claim.consumer.active_ms = call->now_ms;
    if (save(call, &claim, has_room) && has_room)
        call_reply_parts(call, walk->count);
}

/* ---- XAUTOCLAIM ------------------------------------------------------------------------ */

/* From one slice to the next; the stream first, as series_put_aside() keeps it. */
struct sweep {
    struct series stream;
    struct series_id next;
    uint64_t count, looks; /* that are left */
    bool is_done;
    struct series_marks marks; /* of a preparation that is done but for finding them */
    struct buffer deleted;     /* ids of entries that are no more, as parts of the reply */
    uint64_t deleted_count;
};

static void sweep_free(void *kept)
{
    struct sweep *sweep = kept;
    buffer_deinit(&sweep->deleted);
    buffer_deinit(&sweep->marks.places);
    memory_free(sweep);
}

/* False: answered. */
static bool read_autoclaim(struct call *call, struct claim *claim, struct series_id *from,
                           int64_t *count)
{
    *count = AUTOCLAIM_COUNT;
    claim->deliveries = RETRY_NOT_GIVEN;
    claim->delivered_ms = call->preparing ? SERIES_NOT_TIMED : call->now_ms;
    if (!read_number(call, 4, bad_idle, "XAUTOCLAIM", &claim->least_idle_ms) ||
        !series_start_word(call, 5, from))
        return false;
    for (uint32_t i = 6; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "count") && i + 1 < call->argc) {
            if (!number_parse_i64(call->argv[++i], count) || *count < 1 ||
                *count > INT64_MAX / AUTOCLAIM_SHARE)
                return call_refuse(call, "ERR COUNT must be > 0");
        } else if (bytes_is(call->argv[i], "justid")) {
            claim->only_ids = true;
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    return true;
}

bool words_xautoclaim(struct call *call)
{
    struct claim claim = {0};
    struct series_id from;
    int64_t count;
    return read_autoclaim(call, &claim, &from, &count);
}

static void delete_pending(struct claim *claim, struct sweep *sweep, struct series_id id,
                           int protocol)
{
    struct reply deleted = {&sweep->deleted, protocol};
    series_pending_remove(&claim->stream, &claim->group, &claim->consumer, id);
    series_id_reply(&deleted, id);
    sweep->deleted_count++;
}

/* False: answered. */
static bool sweep_slice(struct call *call, struct claim *claim, struct sweep *sweep)
{
    bool has_room = true;
    uint64_t rank = series_rank(&claim->group.pending, sweep->next, NULL);
    uint64_t most = call_slice_share(call, AUTOCLAIM_SLICE);
    for (uint64_t i = 0; i < most && has_room && call->walk->budget > 0; i++) {
        struct series_id id;
        struct series_pending pending;
        sweep->is_done = rank >= claim->group.pending.root.count;
        sweep->next = series_id_least;
        if (sweep->is_done)
            break;
        series_pending_at(&claim->group, rank, &id, &pending);
        sweep->next = id;
        sweep->is_done = sweep->count == 0 || sweep->looks == 0;
        if (sweep->is_done)
            break;
        sweep->looks--;
        if (!exists(claim, id)) {
            delete_pending(claim, sweep, id, call->reply->protocol);
            sweep->count--;
        } else {
            sweep->count -= take(call, claim, id, &pending);
            rank++;
            sweep->next = id;
            series_id_next(&sweep->next);
        }
        has_room = call_keeps_parts(call, 0);
    }
    return has_room;
}

static void reply_sweep(struct call *call, const struct sweep *sweep)
{
    struct reply found = {&call->walk->found, call->reply->protocol};
    reply_array(&found, sweep->deleted_count);
    call_add_bytes(call, buffer_bytes(&sweep->deleted));
    reply_array(call->reply, 3);
    series_id_reply(call->reply, sweep->next);
    call_reply_parts(call, call->walk->count);
}

static struct sweep *begin_sweep(struct call *call, const struct claim *claim,
                                 struct series_id from, int64_t count)
{
    struct sweep *sweep = memory_new(sizeof *sweep);
    sweep->stream = claim->stream;
    sweep->next = from;
    sweep->count = (uint64_t)count;
    sweep->looks = (uint64_t)count * AUTOCLAIM_LOOKS;
    call->walk->kept = sweep;
    call->walk->kept_free = sweep_free;
    return sweep;
}

/* What was claimed before its entry is claimed at its time. */
static void time_swept(struct call *call, struct claim *claim, struct sweep *sweep)
{
    series_marks_time(&sweep->marks, call->now_ms);
    if (call->walk->count > 0)
        claim->consumer.active_ms = call->now_ms;
}

static void begin_marks(const struct claim *claim, struct sweep *sweep, struct series_id from)
{
    bool is_to_end = series_id_compare(sweep->next, series_id_least) == 0;
    series_marks_begin(&sweep->marks, &claim->group, from,
                       is_to_end ? series_id_most : sweep->next);
}

/* Looks at some more.  False: there is no room for the reply, which is answered. */
static bool go_on_sweeping(struct call *call, struct claim *claim, struct sweep *sweep,
                           struct series_id from)
{
    if (sweep->is_done) { /* of a preparation */
        call->walk->unfinished = !series_marks_find(&sweep->marks, &claim->group);
        return true;
    }
    bool has_room = sweep_slice(call, claim, sweep);
    call->walk->unfinished = has_room && (!sweep->is_done || call->preparing);
    if (sweep->is_done && call->preparing)
        begin_marks(claim, sweep, from);
    return has_room;
}

uint64_t command_autoclaim_size(struct call *call)
{
    struct claim claim = {0};
    struct series_id from;
    int64_t count;
    if (!read_autoclaim(call, &claim, &from, &count) || count < AUTOCLAIM_LONG ||
        !open_group(call, &claim))
        return 0;
    uint64_t left = claim.group.pending.root.count - series_rank(&claim.group.pending, from, NULL);
    return left < (uint64_t)count * AUTOCLAIM_LOOKS ? left : (uint64_t)count * AUTOCLAIM_LOOKS;
}

/* walk->count: how many are claimed. */
void cmd_xautoclaim(struct call *call)
{
    struct claim claim = {0};
    struct series_id from;
    int64_t count;
    struct walk_state *walk = call->walk;
    if (!read_autoclaim(call, &claim, &from, &count) || !open_group(call, &claim))
        return;
    struct sweep *sweep = walk->kept ? walk->kept : begin_sweep(call, &claim, from, count);
    open_consumer(call, &claim);
    call_begin_slice(call);
    bool has_room = true;
    if (call_is_prepared(call))
        time_swept(call, &claim, sweep);
    else
        has_room = go_on_sweeping(call, &claim, sweep, from);
    if (!save(call, &claim, has_room))
        walk->kept_free = sweep_free;
    else if (has_room)
        reply_sweep(call, sweep);
}
