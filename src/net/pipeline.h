/* One client's requests under way, and their replies in order.
 *
 * The replica may finish requests in another order than they were given; a client must get its
 * replies in the order of its commands.  And commands must take effect in that order: so only requests
 * of one kind are under way at a time (reads commute with reads, and writes are ordered by the
 * log); anything else waits until the pipeline is empty.
 *
 * How many may be under way grows with good use, and shrinks when replies are large: a client that
 * asks for many large values at once gets them a few at a time, instead of all in memory. */
#ifndef NET_PIPELINE_H
#define NET_PIPELINE_H

#include <stdint.h>

#include "base/buffer.h"
#include "replica/replica.h"

enum { PIPELINE_MAX = 1024 };

struct pipeline_slot {
    struct request *request; /* the replica's; only compared */
    bool silent;             /* CLIENT REPLY OFF or SKIP: the reply is thrown away */
    bool done;
    struct buffer reply; /* done, but earlier ones are not */
};

/* {0} is an empty pipeline. */
struct pipeline {
    struct pipeline_slot *ring; /* owned; capacity is a power of two */
    uint32_t start, count, capacity;
    uint32_t allowed;       /* at most this many at a time; 0: not yet known */
    enum request_kind kind; /* of all of them */
};

void pipeline_deinit(struct pipeline *pipeline); /* and ready for use again */
bool pipeline_takes(const struct pipeline *pipeline, enum request_kind kind);
/* pipeline_takes() must hold. */
void pipeline_add(struct pipeline *pipeline, struct request *request, enum request_kind kind,
                  bool silent);
/* Appends the reply to `out` if it is its turn, and those that waited for it. */
void pipeline_finish(struct pipeline *pipeline, const struct request *request, struct bytes reply,
                     struct buffer *out);

#endif
