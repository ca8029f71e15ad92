/* One client's requests under way, and their replies in order.
 *
 * The replica lets reads and writes of one client take effect in the order in which they were
 * given, but may finish them in another; a client gets its replies in the order of its commands.
 *
 * How many may be under way grows with good use, and shrinks when replies are large.  Only the
 * oldest read may bring a reply of any size; one behind it has a share of PIPELINE_REPLIES.  If
 * that is too little, it and all that follow are put off and asked again, in their order, when
 * those before them are done: so what one client can have in memory is bounded before any size is
 * known.
 *
 *     oldest  | asked, replies count        | put off, or asked and the reply will be dropped
 *     start   ...                           asked                                        count
 *
 * A read that is put off must have no write behind it: asked again, it would see that.  So a write
 * joins only when no read is out whose reply is bounded.  From those that came in the same turn of
 * the loop, which the replica has not looked at yet, it takes the bound away; and some reads behind
 * a write have none from the start.  PIPELINE_MIXED is how many reads without a bound there may
 * be. */
#ifndef NET_PIPELINE_H
#define NET_PIPELINE_H

#include <stdint.h>

#include "base/limits.h"
#include "base/outbox.h"
#include "replica/replica.h"

struct pipeline_slot {
    struct request *request; /* the replica's, only compared; NULL: not under way */
    struct blob *command;    /* of a read: to ask again; one reference of ours */
    enum request_kind kind;
    bool bounded; /* a read that may be put off */
    bool silent;  /* CLIENT REPLY OFF or SKIP: the reply is thrown away */
    bool done;
    struct blob *reply; /* done, but earlier ones are not; NULL: nothing is to be said */
    struct rope rest;   /* of a long reply what comes behind it */
};

/* {0} is an empty pipeline. */
struct pipeline {
    struct pipeline_slot *ring; /* owned; capacity is a power of two */
    uint32_t start, count, capacity;
    uint32_t asked;     /* the first `asked` of them count; asked < count: the rest is put off */
    uint32_t stale;     /* requests under way among the rest */
    size_t held_bytes;  /* of replies that wait for earlier ones */
    uint32_t allowed;   /* at most this many at a time; 0: not yet known */
    uint32_t reply_max; /* the largest reply that the client may be sent; 0: any; the owner's */
    uint32_t writes;    /* how many of them are writes */
    uint32_t bounded;   /* bounded reads under way, of the first `asked` */
    uint64_t turn;      /* the number of the turn in which the newest came, and */
    uint32_t fresh;     /* how many came in it */
};

void pipeline_deinit(struct pipeline *pipeline); /* and ready for use again */
/* `turn`: a number that is another after the replica ran. */
bool pipeline_takes(const struct pipeline *pipeline, enum request_kind kind, uint64_t turn);
/* pipeline_takes() must hold.  Sets reply_max of the request, or of those that came in this
 * turn. */
void pipeline_add(struct pipeline *pipeline, struct request *request, bool silent, uint64_t turn);
/* The same read, under way as another request in the place of this one, which ends. */
void pipeline_replace(struct pipeline *pipeline, const struct request *request,
                      struct request *other);
/* Appends the reply to `out` if it is its turn, and those that waited for it; a large one is copied
 * once.  Takes request->rest. */
void pipeline_finish(struct pipeline *pipeline, struct request *request, struct bytes reply,
                     struct outbox *out);
/* The reply was too large (REQUEST_TOO_LARGE).  False: not for now, but over reply_max. */
bool pipeline_put_off(struct pipeline *pipeline, const struct request *request);
/* The next read to ask again, borrowed; NULL: none, or not yet. */
struct blob *pipeline_next(const struct pipeline *pipeline);
/* It is under way as `request`.  Sets its reply_max. */
void pipeline_ask_again(struct pipeline *pipeline, struct request *request);

#endif
