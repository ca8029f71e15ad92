/* Sets, one at a time (Redis 7.2 t_set.c); for several at a time see set_operations.c.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "base/prng.h"
#include "command/commands.h"
#include "command/preparing.h"
#include "command/walk.h"
#include "resp/number.h"

static const struct bytes nothing = {"", 0};

static bool open_set(struct call *call, struct fields *fields)
{
    return call_fields(call, call->argv[1], DB_SET, fields);
}

/* ---- writing ----------------------------------------------------------------------- */

/* One that was changed is saved at the end of the last slice. */
static void end_slice(struct call *call, struct fields *fields, const char *event)
{
    if (call->walk->unfinished || call_stops(call))
        walk_put_aside(call, fields);
    else if (fields->is_changed)
        fields_save(fields, event);
    fields_close(fields);
}

void cmd_sadd(struct call *call)
{
    struct fields fields;
    if (!open_set(call, &fields))
        return;
    uint64_t before = fields.count;
    walk_take_back(call, &fields);
    fields_expect(&fields, call->argv[2], call->argc - 2);
    for (uint32_t i = call_slice_prepared(call, 2); call_takes(call, i); i++)
        fields_put(&fields, call->argv[i], nothing);
    uint64_t added = fields.count - before;
    end_slice(call, &fields, "sadd");
    if (!call->walk->unfinished)
        reply_integer(call->reply, (int64_t)added);
}

void cmd_srem(struct call *call)
{
    struct fields fields;
    if (!open_set(call, &fields))
        return;
    uint64_t before = fields.count;
    walk_take_back(call, &fields);
    for (uint32_t i = call_slice_prepared(call, 2); fields.count > 0 && call_takes(call, i); i++)
        fields_delete(&fields, call->argv[i]);
    uint64_t removed = before - fields.count;
    end_slice(call, &fields, "srem");
    if (!call->walk->unfinished)
        reply_integer(call->reply, (int64_t)removed);
}

static bool move(struct fields *from, struct fields *to, struct bytes member)
{
    if (!fields_delete(from, member))
        return false;
    fields_save(from, "srem");
    if (!fields_put(to, member, nothing))
        fields_save(to, "sadd");
    return true;
}

void cmd_smove(struct call *call)
{
    struct fields from, to = {0};
    struct bytes ignored;
    bool is_moved = false;
    if (!open_set(call, &from))
        return;
    bool is_itself = bytes_equal(call->argv[1], call->argv[2]);
    if (from.count > 0 && is_itself) {
        is_moved = fields_get(&from, call->argv[3], &ignored);
    } else if (from.count > 0) {
        fields_hold(&from);
        if (!call_fields(call, call->argv[2], DB_SET, &to)) {
            fields_close(&from);
            return;
        }
        fields_hold(&to);
        is_moved = move(&from, &to, call->argv[3]);
    }
    fields_close(&from);
    fields_close(&to);
    reply_integer(call->reply, is_moved);
}

/* ---- SPOP ---------------------------------------------------------------------------- */

/* False: answered with the error. */
static bool read_pop(struct call *call, int64_t *count)
{
    if (call->argc > 3) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    bool is_valid = number_parse_i64(call->argv[2], count) && *count >= 0;
    if (!is_valid)
        reply_error(call->reply, ERROR_OUT_OF_RANGE ", must be positive");
    return is_valid;
}

uint64_t command_pop_size(struct call *call)
{
    struct fields fields;
    int64_t count;
    if (!read_pop(call, &count) ||
        !fields_open(&fields, call->db, NULL, call->database, call->argv[1], DB_SET) ||
        !fields_is_large(&fields))
        return 0;
    return (uint64_t)count < fields.count ? (uint64_t)count : fields.count;
}

bool words_spop(struct call *call)
{
    int64_t count;
    return call->argc == 2 || read_pop(call, &count);
}

static void copy_name(void *context, struct bytes name, struct bytes value)
{
    (void)value;
    buffer_clear(context);
    buffer_append_bytes(context, name);
}

/* The member is in `name`. */
static void pop(struct fields *fields, uint64_t seed, struct buffer *name)
{
    bool is_drawn = fields_draw(fields, &seed, copy_name, name);
    check(is_drawn);
    bool was_there = fields_delete(fields, buffer_bytes(name));
    check(was_there);
}

static void pop_one(struct call *call, struct fields *fields)
{
    struct buffer name = {0};
    bool is_there = fields->count > 0;
    if (is_there) {
        pop(fields, call->seed, &name);
        fields_save(fields, "spop");
    }
    call_reply_value(call->reply, buffer_bytes(&name), is_there);
    buffer_deinit(&name);
}

static void reply_popped(struct call *call)
{
    reply_set(call->reply, call->walk->count);
    call_end_parts(call);
}

enum { POPS_SLICE = 256 }; /* at the most: enough reads of a busy disk for one turn of the loop */

static bool wants_reply(const struct call *call)
{
    return call->reply->out || call->preparing;
}

/* Some of many; each is drawn from a seed of its own, wherever slices end. */
static void pop_some(struct call *call, struct fields *fields, uint64_t wanted)
{
    struct walk_state *walk = call->walk;
    struct buffer name = {0};
    uint64_t before = fields->count, work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (call_is_prepared(call))
        call_take_changes(call, fields->record.space);
    fields->count -= walk->count; /* popped in earlier slices */
    walk->unfinished = false;
    for (unsigned i = 0; walk->count < wanted; i++, walk->count++) {
        bool is_enough = i == POPS_SLICE || (i > 0 && db_work(call->db) >= work_end);
        walk->unfinished = is_enough && fields->form == PACKED_LARGE;
        if (walk->unfinished)
            break;
        uint64_t seed = call->seed + walk->count;
        pop(fields, prng_next(&seed), &name);
        if (wants_reply(call))
            call_add_part(call, buffer_bytes(&name), true);
    }
    buffer_deinit(&name);
    check(fields->count + walk->count == before);
    if (walk->unfinished || call_stops(call))
        return;
    fields_save(fields, "spop");
    reply_popped(call);
}

/* Prepared, all names are in the parts. */
static void pop_all(struct call *call, struct fields *fields)
{
    bool has_all = call_is_prepared(call) || walk_all(call, fields, WALK_NAMES);
    call->walk->unfinished &= !call_is_prepared(call);
    if (!has_all || call_stops(call))
        return;
    if (fields->count > 0) {
        fields_clear(fields);
        fields_save(fields, "spop");
    }
    reply_popped(call);
}

void cmd_spop(struct call *call)
{
    struct fields fields;
    int64_t count = 0;
    bool is_one = call->argc == 2;
    if ((!is_one && !read_pop(call, &count)) || !open_set(call, &fields))
        return;
    if (is_one)
        pop_one(call, &fields);
    else if (count == 0)
        reply_popped(call);
    else if ((uint64_t)count >= fields.count)
        pop_all(call, &fields);
    else
        pop_some(call, &fields, (uint64_t)count);
    fields_close(&fields);
}

/* ---- reading ----------------------------------------------------------------------- */

void cmd_sismember(struct call *call)
{
    struct fields fields;
    struct bytes ignored;
    if (open_set(call, &fields))
        reply_integer(call->reply, fields_get(&fields, call->argv[2], &ignored));
}

void cmd_smismember(struct call *call)
{
    struct fields fields;
    struct bytes ignored;
    if (!open_set(call, &fields))
        return;
    struct reply found = {&call->walk->found, call->reply->protocol};
    for (uint32_t i = call_slice(call, 2); call_takes(call, i); i++)
        reply_integer(&found, fields_get(&fields, call->argv[i], &ignored));
    if (call_keeps_parts(call, 0) && !call->walk->unfinished)
        call_reply_parts(call, call->argc - 2);
}

void cmd_scard(struct call *call)
{
    struct fields fields;
    if (open_set(call, &fields))
        reply_integer(call->reply, (int64_t)fields.count);
}

void cmd_smembers(struct call *call)
{
    struct fields fields;
    if (!open_set(call, &fields) || !walk_all(call, &fields, WALK_NAMES))
        return;
    reply_set(call->reply, call->walk->count);
    call_end_parts(call);
}

void cmd_sscan(struct call *call)
{
    walk_scan(call, DB_SET, WALK_NAMES);
}

void cmd_srandmember(struct call *call)
{
    struct fields fields;
    int64_t count;
    if (call->argc > 3) {
        reply_error(call->reply, ERROR_SYNTAX);
    } else if (call->argc == 2) {
        if (open_set(call, &fields))
            walk_draw_one(call, &fields);
    } else if (walk_draw_count(call, &count) && open_set(call, &fields)) {
        if (walk_draw(call, &fields, count, WALK_NAMES))
            call_reply_parts(call, call->walk->count);
    }
}
