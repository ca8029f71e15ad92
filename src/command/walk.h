/* Walks over one hash or set, for the commands that give many of its elements: in slices, which
 * collect the parts of the reply in call->walk.  And what the SCANs have in common. */
#ifndef COMMAND_WALK_H
#define COMMAND_WALK_H

#include "command/commands.h"

/* A client may ask for any number of elements; what one turn of the event loop walks over is
 * bounded, so that a leader does not miss its heartbeats. */
enum { WALK_SLICE = 2000, WALK_SLICE_BYTES = 1 << 20 };

/* A slice of what walks over all there is. */
static inline struct db_scan_limit walk_slice(void)
{
    return (struct db_scan_limit){
        .keys = WALK_SLICE, .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES};
}

/* What is given of an element; PAIRS: in an array of its own. */
enum { WALK_NAMES = 1, WALK_VALUES = 2, WALK_PAIRS = 4 };

/* Of a write in slices: what it changed and has not saved, from one slice to the next, or to the
 * entry of one that was prepared. */
void walk_put_aside(struct call *call, struct fields *fields);
void walk_take_back(struct call *call, struct fields *fields);
/* The same of a new one, which may have been prepared: preparing.h. */
void walk_take_prepared(struct call *call, struct fields *fields);

/* Adds all elements to the parts; call->walk->count is the number of the parts.  False: not
 * finished, or answered. */
bool walk_all(struct call *call, struct fields *fields, unsigned what);

/* What a SCAN of any kind is told behind its cursor. */
struct walk_words {
    bool takes_type; /* set by who reads them */
    bool match_all;
    struct bytes pattern, type; /* type: no data is any */
    int64_t count;
};

/* False: answered with the error. */
bool walk_cursor(struct call *call, uint32_t i, uint64_t *cursor);
bool walk_read_words(struct call *call, uint32_t first, struct walk_words *words);
/* What a SCAN of any kind is to meet; bytes 0: any number. */
struct walk_scan {
    uint64_t keys, bytes;
};

/* COUNT is a hint, also in Redis: HSCAN and its like give no more than a slice. */
static inline uint64_t walk_scan_count(const struct walk_words *words)
{
    return words->count < WALK_SLICE ? (uint64_t)words->count : WALK_SLICE;
}

/* The limit of the next slice, which is to begin at call->walk->cursor; of the first at `cursor`.
 * In an entry there are as many slices as it takes to meet that much, and to know whether anything
 * follows: so many deleted rows as this node has in between must not be seen there.  For a read a
 * slice of those counts as one that met something. */
struct db_scan_limit walk_scan_slice(struct call *call, uint64_t cursor,
                                     const struct walk_scan *scan);
/* Behind it, with the cursor that it gave.  Replies, if it was the last. */
void walk_scan_end(struct call *call, const struct walk_scan *scan,
                   const struct db_scan_limit *limit, uint64_t cursor);
/* The reply: a cursor, and as many parts as call->walk->count says. */
void walk_reply_scan(struct call *call, uint64_t cursor);
/* HSCAN, SSCAN, all of it. */
void walk_scan(struct call *call, enum db_type type, unsigned what);

/* HRANDFIELD, SRANDMEMBER: one, or null; and with a count, as many different ones, or of a negative
 * count as many as it says, perhaps the same. */
bool walk_draw_count(struct call *call, int64_t *count); /* false: answered with the error */
void walk_draw_one(struct call *call, struct fields *fields);
bool walk_draw(struct call *call, struct fields *fields, int64_t count, unsigned what);

#endif
