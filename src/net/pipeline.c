/* See pipeline.h.  Invariants:
 *   L1  the oldest slot is never done (its reply left with it);
 *   L2  slots outside start .. start + count hold no buffer. */
#include "net/pipeline.h"

#include "base/fatal.h"
#include "base/memory.h"

enum {
    PIPELINE_FIRST = 32,            /* allowed at first */
    PIPELINE_LARGE = 16 * 1024,     /* a reply of this size makes us careful */
    PIPELINE_REPLIES = 4 * 1048576, /* then so many bytes of replies may come at once, about */
    PIPELINE_KEEP = 64              /* capacity kept while empty */
};

static struct pipeline_slot *slot_at(const struct pipeline *pipeline, uint32_t place)
{
    return &pipeline->ring[(pipeline->start + place) & (pipeline->capacity - 1)];
}

void pipeline_deinit(struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->count; i++)
        buffer_deinit(&slot_at(pipeline, i)->reply);
    memory_free(pipeline->ring);
    *pipeline = (struct pipeline){0};
}

bool pipeline_takes(const struct pipeline *pipeline, enum request_kind kind)
{
    if (pipeline->count == 0)
        return true;
    uint32_t allowed = pipeline->allowed ? pipeline->allowed : PIPELINE_FIRST;
    return pipeline->kind == kind && pipeline->count < allowed;
}

static void grow(struct pipeline *pipeline)
{
    uint32_t capacity = pipeline->capacity ? pipeline->capacity * 2 : 16;
    struct pipeline_slot *ring = memory_new(capacity * sizeof *ring);
    for (uint32_t i = 0; i < pipeline->count; i++)
        ring[i] = *slot_at(pipeline, i);
    memory_free(pipeline->ring);
    pipeline->ring = ring;
    pipeline->start = 0;
    pipeline->capacity = capacity;
}

void pipeline_add(struct pipeline *pipeline, struct request *request, enum request_kind kind,
                  bool silent)
{
    check(pipeline_takes(pipeline, kind));
    if (pipeline->count == pipeline->capacity)
        grow(pipeline);
    pipeline->kind = kind;
    *slot_at(pipeline, pipeline->count++) =
        (struct pipeline_slot){.request = request, .silent = silent};
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
    pipeline->start = (pipeline->start + 1) & (pipeline->capacity - 1);
    pipeline->count--;
    if (pipeline->count == 0 && pipeline->capacity > PIPELINE_KEEP) {
        memory_free(pipeline->ring);
        pipeline->ring = NULL;
        pipeline->capacity = 0;
        pipeline->start = 0;
    }
}

static void release_done(struct pipeline *pipeline, struct buffer *out)
{
    while (pipeline->count && slot_at(pipeline, 0)->done) {
        struct pipeline_slot *slot = slot_at(pipeline, 0);
        buffer_append_bytes(out, buffer_bytes(&slot->reply));
        buffer_deinit(&slot->reply);
        drop_first(pipeline);
    }
}

void pipeline_finish(struct pipeline *pipeline, const struct request *request, struct bytes reply,
                     struct buffer *out)
{
    uint32_t place = 0;
    while (place < pipeline->count && slot_at(pipeline, place)->request != request)
        place++;
    check(place < pipeline->count);
    struct pipeline_slot *slot = slot_at(pipeline, place);
    check(!slot->done);
    adapt(pipeline, reply.size);
    if (slot->silent)
        reply.size = 0;
    if (place > 0) {
        slot->done = true;
        slot->request = NULL; /* its address may come back as a new request */
        buffer_append_bytes(&slot->reply, reply);
        return;
    }
    buffer_append_bytes(out, reply);
    drop_first(pipeline);
    release_done(pipeline, out);
}
