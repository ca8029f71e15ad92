/* See pipeline.h.  Invariants:
 *   L1  the oldest slot is never done (its reply left with it);
 *   L2  slots outside start .. start + count own nothing, and nobody looks at them;
 *   L3  a slot from `asked` on is not done; `stale` of them have a request;
 *   L4  behind a bounded read that is out there is no write. */
#include "net/pipeline.h"

#include "base/fatal.h"
#include "base/memory.h"

static struct pipeline_slot *slot_at(const struct pipeline *pipeline, uint32_t place)
{
    return &pipeline->ring[(pipeline->start + place) & (pipeline->capacity - 1)];
}

static void empty_slot(struct pipeline_slot *slot)
{
    blob_release(slot->reply);
    rope_deinit(&slot->rest);
    blob_release(slot->command);
    slot->reply = slot->command = NULL;
}

void pipeline_deinit(struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->count; i++)
        empty_slot(slot_at(pipeline, i));
    memory_free(pipeline->ring);
    *pipeline = (struct pipeline){0};
}

static uint32_t allowed_now(const struct pipeline *pipeline)
{
    return pipeline->allowed ? pipeline->allowed : PIPELINE_FIRST;
}

static uint32_t fresh_now(const struct pipeline *pipeline, uint64_t turn)
{
    return pipeline->turn == turn ? pipeline->fresh : 0;
}

static uint32_t fresh_bounded(const struct pipeline *pipeline, uint64_t turn)
{
    uint32_t bounded = 0;
    uint32_t fresh = fresh_now(pipeline, turn);
    for (uint32_t i = 1; i <= fresh && bounded < pipeline->bounded; i++) /* newest first */
        bounded += slot_at(pipeline, pipeline->count - i)->bounded;
    return bounded;
}

/* May a write come behind the reads? */
static bool mixes(const struct pipeline *pipeline, uint64_t turn)
{
    uint32_t reads = pipeline->count - pipeline->writes;
    if (pipeline->bounded == 0)
        return true;
    return reads <= PIPELINE_MIXED && pipeline->bounded == fresh_bounded(pipeline, turn);
}

bool pipeline_takes(const struct pipeline *pipeline, enum request_kind kind, uint64_t turn)
{
    if (pipeline->count == 0)
        return true;
    if (pipeline->asked < pipeline->count || pipeline->count >= allowed_now(pipeline))
        return false;
    return kind == REQUEST_READ || mixes(pipeline, turn);
}

static void grow(struct pipeline *pipeline)
{
    uint32_t capacity = pipeline->capacity ? pipeline->capacity * 2 : 16;
    struct pipeline_slot *ring = memory_resize(NULL, capacity * sizeof *ring);
    for (uint32_t i = 0; i < pipeline->count; i++)
        ring[i] = *slot_at(pipeline, i);
    memory_free(pipeline->ring);
    pipeline->ring = ring;
    pipeline->start = 0;
    pipeline->capacity = capacity;
}

/* Of the read at `place`: what is allowed at a time keeps adapt() from making it too little
 * twice. */
static uint32_t share_of(uint32_t place)
{
    uint32_t share = PIPELINE_REPLIES / (place + 1);
    return share > PIPELINE_LARGE ? share : PIPELINE_LARGE;
}

static void ask(struct pipeline *pipeline, struct request *request)
{
    struct pipeline_slot *slot = slot_at(pipeline, pipeline->asked);
    uint32_t reads = pipeline->asked - pipeline->writes;
    slot->request = request;
    slot->bounded = request->kind == REQUEST_READ && pipeline->asked > 0 &&
                    !(pipeline->writes > 0 && reads < PIPELINE_FREE);
    request->reply_max = slot->bounded ? share_of(pipeline->asked) : pipeline->reply_max;
    pipeline->bounded += slot->bounded;
    pipeline->asked++;
}

/* A write comes behind them in the same turn: they cannot be put off any more. */
static void lift_bounds(struct pipeline *pipeline, uint64_t turn)
{
    uint32_t fresh = fresh_now(pipeline, turn);
    for (uint32_t i = 1; i <= fresh && pipeline->bounded > 0; i++) {
        struct pipeline_slot *slot = slot_at(pipeline, pipeline->count - i);
        if (!slot->bounded)
            continue;
        slot->request->reply_max = pipeline->reply_max;
        slot->bounded = false;
        pipeline->bounded--;
    }
    check(pipeline->bounded == 0); /* L4 */
}

void pipeline_add(struct pipeline *pipeline, struct request *request, bool silent, uint64_t turn)
{
    check(pipeline_takes(pipeline, request->kind, turn));
    if (pipeline->count == pipeline->capacity)
        grow(pipeline);
    if (request->kind == REQUEST_WRITE)
        lift_bounds(pipeline, turn);
    pipeline->fresh = fresh_now(pipeline, turn) + 1;
    pipeline->turn = turn;
    struct pipeline_slot *slot = slot_at(pipeline, pipeline->count++);
    *slot = (struct pipeline_slot){.kind = request->kind, .silent = silent};
    if (request->kind == REQUEST_READ)
        slot->command = blob_take(request->command);
    ask(pipeline, request);
    pipeline->writes += request->kind == REQUEST_WRITE;
}

static void adapt(struct pipeline *pipeline, size_t reply_size)
{
    if (pipeline->allowed == 0)
        pipeline->allowed = PIPELINE_FIRST;
    if (reply_size >= PIPELINE_LARGE) {
        uint32_t fits = (uint32_t)(PIPELINE_REPLIES / reply_size);
        pipeline->allowed = fits > 1 ? fits : 1;
    } else if (pipeline->allowed < PIPELINE_MAX) {
        pipeline->allowed++;
    }
}

static void drop_first(struct pipeline *pipeline)
{
    pipeline->writes -= slot_at(pipeline, 0)->kind == REQUEST_WRITE;
    empty_slot(slot_at(pipeline, 0));
    pipeline->asked--;
    pipeline->start = (pipeline->start + 1) & (pipeline->capacity - 1);
    pipeline->count--;
    if (pipeline->count == 0 && pipeline->capacity > PIPELINE_KEEP) {
        memory_free(pipeline->ring);
        pipeline->ring = NULL;
        pipeline->capacity = 0;
        pipeline->start = 0;
    }
}

static size_t held_in(const struct pipeline_slot *slot)
{
    return (slot->reply ? slot->reply->size : 0) + slot->rest.size;
}

static void hold(struct pipeline *pipeline, struct pipeline_slot *slot, struct bytes reply,
                 struct rope *rest)
{
    check(held_in(slot) == 0);
    slot->done = true;
    slot->reply = reply.size ? blob_copy(reply) : NULL;
    rope_join(&slot->rest, rest);
    pipeline->held_bytes += held_in(slot);
}

static void let_go(struct pipeline *pipeline, struct pipeline_slot *slot)
{
    check(pipeline->held_bytes >= held_in(slot));
    pipeline->held_bytes -= held_in(slot);
    blob_release(slot->reply);
    rope_deinit(&slot->rest);
    slot->reply = NULL;
    slot->done = false;
}

static void release_done(struct pipeline *pipeline, struct outbox *out)
{
    while (pipeline->count && slot_at(pipeline, 0)->done) {
        struct pipeline_slot *slot = slot_at(pipeline, 0);
        size_t held = held_in(slot);
        if (slot->reply)
            outbox_append_blob(out, slot->reply);
        outbox_append_rope(out, &slot->rest, slot->rest.size);
        pipeline->held_bytes -= held;
        drop_first(pipeline);
    }
    check(pipeline->count || pipeline->held_bytes == 0);
}

static uint32_t place_of(const struct pipeline *pipeline, const struct request *request)
{
    uint32_t place = 0;
    while (place < pipeline->count && slot_at(pipeline, place)->request != request)
        place++;
    check(place < pipeline->count);
    check(!slot_at(pipeline, place)->done);
    slot_at(pipeline, place)->request = NULL; /* its address may come back as a new request */
    return place;
}

static void unbound(struct pipeline *pipeline, struct pipeline_slot *slot)
{
    pipeline->bounded -= slot->bounded;
    slot->bounded = false;
}

void pipeline_finish(struct pipeline *pipeline, struct request *request, struct bytes reply,
                     struct outbox *out)
{
    uint32_t place = place_of(pipeline, request);
    if (place >= pipeline->asked) { /* one before it was put off: it would overtake */
        pipeline->stale--;
        return;
    }
    struct pipeline_slot *slot = slot_at(pipeline, place);
    unbound(pipeline, slot);
    adapt(pipeline, reply.size + request->rest.size);
    if (slot->silent) {
        reply.size = 0;
        rope_deinit(&request->rest);
    }
    if (place > 0) {
        hold(pipeline, slot, reply, &request->rest);
        return;
    }
    outbox_append_copy(out, reply);
    outbox_append_rope(out, &request->rest, request->rest.size);
    drop_first(pipeline);
    release_done(pipeline, out);
}

void pipeline_replace(struct pipeline *pipeline, const struct request *request,
                      struct request *other)
{
    struct pipeline_slot *slot = slot_at(pipeline, place_of(pipeline, request));
    check(slot->kind == REQUEST_READ && !slot->bounded);
    slot->request = other;
    blob_release(slot->command);
    slot->command = blob_take(other->command);
    other->reply_max = pipeline->reply_max;
}

/* ---- asking again --------------------------------------------------------------- */

bool pipeline_put_off(struct pipeline *pipeline, const struct request *request)
{
    uint32_t place = place_of(pipeline, request);
    if (place >= pipeline->asked) {
        pipeline->stale--;
        return true;
    }
    if (!slot_at(pipeline, place)->bounded)
        return false;
    for (uint32_t i = place; i < pipeline->asked; i++) {
        struct pipeline_slot *slot = slot_at(pipeline, i);
        check(slot->kind == REQUEST_READ); /* L4 */
        unbound(pipeline, slot);
        let_go(pipeline, slot);
        pipeline->stale += slot->request != NULL;
    }
    pipeline->asked = place;
    pipeline->allowed = 1;
    return true;
}

struct blob *pipeline_next(const struct pipeline *pipeline)
{
    /* Requests of before must end first: the new ones would be behind them. */
    if (pipeline->asked == pipeline->count || pipeline->stale ||
        pipeline->asked >= allowed_now(pipeline))
        return NULL;
    return slot_at(pipeline, pipeline->asked)->command;
}

void pipeline_ask_again(struct pipeline *pipeline, struct request *request)
{
    check(pipeline_next(pipeline) == request->command);
    pipeline->fresh = 0; /* what came in this turn is not the newest that is asked */
    ask(pipeline, request);
}
