/* Intersections, unions and differences of sets (Redis 7.2 t_set.c).
 *
 * First all keys are looked at: are they sets, and which is the smallest?  Then it is a walk over
 * one set, or of a union over all of them, that keeps a member if
 *
 *     SINTER  all others have it (the walk is over the smallest)
 *     SDIFF   none of the others has it (over the first)
 *     SUNION  no earlier one has it
 *
 * so nothing has to be remembered from one slice to the next but a place in a set.  What is kept
 * goes into the reply, or into a set that gets its key at the end, or is counted.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/preparing.h"
#include "command/walk.h"
#include "resp/number.h"

enum kind { INTERSECTION, UNION, DIFFERENCE };

enum {
    OPEN_MAX = 16,     /* sets that are kept open for a slice */
    BATCH = 128,       /* members looked at at a time, fewer if they are looked for in many sets */
    SLICE_LOOKS = 4096 /* members looked for in a set, about, in a slice */
};

/* Members that were copied, since anything else may be asked of the db meanwhile, and how far they
 * are looked for in the others; there may be a million of those, so it may be kept for the next
 * slice. */
struct batch {
    struct buffer members;
    struct packed_walk walk;
    bool is_open;        /* one is being looked for: */
    struct bytes member; /* this, */
    uint32_t other;      /* from this word on */
};

struct operation {
    struct call *call;
    enum kind kind;
    uint32_t first, end; /* words that are keys */
    uint64_t limit;      /* of members kept; 0: none */
    bool is_stored, is_counted;
    struct fields result;         /* if it is stored */
    struct fields open[OPEN_MAX]; /* the first of them */
    uint32_t opened;
    struct batch batch;
    int64_t looks; /* that are left in this slice, */
    uint64_t work; /* and db_work() when it is over */
};

/* ---- the first look ------------------------------------------------------------------- */

static uint64_t size_of(struct call *call, uint32_t i)
{
    struct fields fields;
    bool is_set = fields_open(&fields, call->db, call->view, call->database, call->argv[i], DB_SET);
    check(is_set);
    return fields.count;
}

/* False: not finished, or answered with an error.  walk->seen: the smallest. */
static bool look_at_all(struct operation *operation)
{
    struct call *call = operation->call;
    struct walk_state *walk = call->walk;
    if (walk->second_round)
        return true;
    if (walk->seen == 0)
        walk->seen = operation->first;
    for (uint32_t i = call_slice(call, operation->first); i < operation->end; i++) {
        struct fields fields;
        if (!call_takes(call, i))
            return false;
        if (!call_fields(call, call->argv[i], DB_SET, &fields))
            return false;
        if (fields.count < size_of(call, (uint32_t)walk->seen))
            walk->seen = i;
    }
    walk->second_round = true;
    walk->cursor = 0;
    if (operation->kind != INTERSECTION)
        walk->seen = operation->first;
    return true;
}

/* ---- which are kept ------------------------------------------------------------------- */

static void open_some(struct operation *operation)
{
    struct call *call = operation->call;
    for (uint32_t i = operation->first; i < operation->end && operation->opened < OPEN_MAX; i++) {
        struct fields *fields = &operation->open[operation->opened++];
        fields_open(fields, call->db, call->view, call->database, call->argv[i], DB_SET);
        fields_hold(fields);
    }
}

static void free_batch(void *kept)
{
    struct batch *batch = kept;
    buffer_deinit(&batch->members);
    memory_free(batch);
}

static void take_batch(struct operation *operation)
{
    struct walk_state *walk = operation->call->walk;
    if (!walk->kept)
        return;
    operation->batch = *(struct batch *)walk->kept;
    memory_free(walk->kept);
    walk->kept = NULL;
}

static void keep_batch(struct operation *operation)
{
    struct walk_state *walk = operation->call->walk;
    struct batch *kept = memory_new(sizeof *kept);
    *kept = operation->batch;
    operation->batch = (struct batch){.is_open = false};
    walk->kept = kept;
    walk->kept_free = free_batch;
    walk->unfinished = true;
}

static void close_all(struct operation *operation)
{
    buffer_deinit(&operation->batch.members);
    for (uint32_t i = 0; i < operation->opened; i++)
        fields_close(&operation->open[i]);
    fields_close(&operation->result);
}

static bool has(struct operation *operation, uint32_t i, struct bytes member)
{
    struct call *call = operation->call;
    struct fields fields;
    struct bytes ignored;
    operation->looks--;
    if (i - operation->first < operation->opened)
        return fields_get(&operation->open[i - operation->first], member, &ignored);
    fields_open(&fields, call->db, call->view, call->database, call->argv[i], DB_SET);
    return fields_get(&fields, member, &ignored);
}

static bool is_over(const struct operation *operation)
{
    return operation->looks <= 0 || db_work(operation->call->db) >= operation->work;
}

enum choice { KEPT, LEFT, LATER };

/* The member that is open, of the set that is word `of`. */
static enum choice choose(struct operation *operation, uint32_t of)
{
    struct batch *batch = &operation->batch;
    bool is_union = operation->kind == UNION;
    if (is_union && operation->is_stored) /* the result has it once */
        return KEPT;
    for (uint32_t *i = &batch->other; *i < (is_union ? of : operation->end); ++*i) {
        if (is_over(operation))
            return LATER;
        if (*i != of && has(operation, *i, batch->member) != (operation->kind == INTERSECTION))
            return LEFT;
    }
    return KEPT;
}

/* ---- the walk ------------------------------------------------------------------------- */

static void collect(void *context, struct bytes name, struct bytes value)
{
    (void)value;
    packed_append(context, name);
}

static void keep(struct operation *operation, struct bytes member)
{
    struct walk_state *walk = operation->call->walk;
    if (operation->is_stored) {
        fields_put(&operation->result, member, bytes_of("", 0));
        return;
    }
    walk->count++;
    if (!operation->is_counted)
        call_add_part(operation->call, member, true);
}

static bool is_enough(const struct operation *operation)
{
    return operation->limit > 0 && operation->call->walk->count >= operation->limit;
}

static void read_batch(struct operation *operation, uint32_t of)
{
    struct call *call = operation->call;
    struct batch *batch = &operation->batch;
    uint32_t sets = operation->end - operation->first;
    struct db_scan_limit limit = {
        .keys = 1 + BATCH / sets, .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES / 4};
    struct fields fields;
    fields_open(&fields, call->db, call->view, call->database, call->argv[of], DB_SET);
    buffer_clear(&batch->members);
    packed_init(&batch->members, PACKED_STRINGS);
    call->walk->cursor = fields_scan(&fields, call->walk->cursor, limit, collect, &batch->members);
    packed_walk(&batch->walk, buffer_bytes(&batch->members));
    operation->looks -= (int64_t)(batch->members.size / 256);
}

/* False: it goes on in the next slice. */
static bool walk_batch(struct operation *operation, uint32_t of)
{
    struct batch *batch = &operation->batch;
    if (!batch->is_open)
        read_batch(operation, of);
    while (batch->is_open || (packed_next(&batch->walk, &batch->member) && !is_enough(operation))) {
        operation->looks -= !batch->is_open;
        batch->other = batch->is_open ? batch->other : operation->first;
        batch->is_open = true;
        enum choice choice = choose(operation, of);
        if (choice == LATER)
            return false;
        if (choice == KEPT)
            keep(operation, batch->member);
        batch->is_open = false;
    }
    return true;
}

/* One slice.  False: not finished, or answered. */
static bool walk_some(struct operation *operation)
{
    struct call *call = operation->call;
    struct walk_state *walk = call->walk;
    uint32_t end = operation->kind == UNION ? operation->end : (uint32_t)walk->seen + 1;
    walk->unfinished = false;
    operation->looks = (int64_t)call_slice_share(call, SLICE_LOOKS);
    open_some(operation);
    take_batch(operation);
    operation->work = db_work(call->db) + WALK_SLICE_BYTES;
    for (; walk->seen < end; walk->seen++) {
        do {
            walk->unfinished = is_over(operation);
            if (walk->unfinished)
                return false;
            if (!walk_batch(operation, (uint32_t)walk->seen)) {
                keep_batch(operation);
                return false;
            }
            if (!operation->is_stored && !call_keeps_parts(call, 0))
                return false;
        } while (walk->cursor != 0 && !is_enough(operation));
    }
    return true;
}

/* ---- commands -------------------------------------------------------------------------- */

static void reply_members(struct call *call, enum kind kind)
{
    struct operation operation = {.call = call, .kind = kind, .first = 1, .end = call->argc};
    if (look_at_all(&operation) && walk_some(&operation)) {
        reply_set(call->reply, call->walk->count);
        call_end_parts(call);
    }
    close_all(&operation);
}

void cmd_sinter(struct call *call)
{
    reply_members(call, INTERSECTION);
}

void cmd_sunion(struct call *call)
{
    reply_members(call, UNION);
}

void cmd_sdiff(struct call *call)
{
    reply_members(call, DIFFERENCE);
}

static void save(struct operation *operation, const char *event)
{
    struct call *call = operation->call;
    if (operation->result.count > 0)
        fields_save_as(&operation->result, call->argv[1], event);
    else
        call_delete(call, call->argv[1], "del");
    reply_integer(call->reply, (int64_t)operation->result.count);
}

static void store(struct call *call, enum kind kind, const char *event)
{
    struct operation operation = {
        .call = call, .kind = kind, .first = 2, .end = call->argc, .is_stored = true};
    if (!look_at_all(&operation))
        return;
    fields_new(&operation.result, call->db, call->database, DB_SET);
    walk_take_prepared(call, &operation.result);
    if ((call_is_prepared(call) || walk_some(&operation)) && !call_stops(call))
        save(&operation, event);
    else
        walk_put_aside(call, &operation.result);
    close_all(&operation);
}

void cmd_sinterstore(struct call *call)
{
    store(call, INTERSECTION, "sinterstore");
}

void cmd_sunionstore(struct call *call)
{
    store(call, UNION, "sunionstore");
}

void cmd_sdiffstore(struct call *call)
{
    store(call, DIFFERENCE, "sdiffstore");
}

/* ---- SINTERCARD -------------------------------------------------------------------------- */

/* False: answered with the error. */
static bool read_card(struct call *call, struct operation *operation)
{
    int64_t keys, limit = 0;
    if (!number_parse_i64(call->argv[1], &keys) || keys < 1)
        return call_refuse(call, "ERR numkeys should be greater than 0");
    if (keys > call->argc - 2)
        return call_refuse(call, "ERR Number of keys can't be greater than number of args");
    for (uint32_t i = 2 + (uint32_t)keys; i < call->argc; i += 2) {
        if (!bytes_is(call->argv[i], "limit") || i + 1 == call->argc)
            return call_refuse(call, ERROR_SYNTAX);
        if (!number_parse_i64(call->argv[i + 1], &limit) || limit < 0)
            return call_refuse(call, "ERR LIMIT can't be negative");
    }
    operation->end = 2 + (uint32_t)keys;
    operation->limit = (uint64_t)limit;
    return true;
}

void cmd_sintercard(struct call *call)
{
    struct operation operation = {
        .call = call, .kind = INTERSECTION, .first = 2, .is_counted = true};
    if (!read_card(call, &operation))
        return;
    if (look_at_all(&operation) && walk_some(&operation))
        reply_integer(call->reply, (int64_t)call->walk->count);
    close_all(&operation);
}
