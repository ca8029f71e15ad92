/* The groups of a stream, their consumers, and what was delivered and not acknowledged.
 *
 * All is in the stream's space (series.h).  Two trees by name: the stream's groups, a group's
 * consumers; the value is a number, the newest of the stream when it was made.  A number is the
 * word of a row without a name, little endian:
 *
 *      of a group      0  16  last id that it delivered: ms, sequence
 *                     16   8  how many entries up to it were ever added; -1: not known
 *                     24  28  root of the tree of what is pending
 *                     52  28  root of the consumers' tree
 *      of a consumer   0   8  when it was last seen, Unix milliseconds
 *                      8   8  when it last got something, -1: never
 *                     16  28  root of the tree of what is pending with it; and its name is in a row
 *                             of the same word with the name "n"
 *
 * What is pending is twice in a tree, by id: in the group's with the number of its consumer, the
 * time of its last delivery and how many there were, 8 bytes each; in its consumer's without a
 * value.  A consumer or a group that was changed must be saved before it is looked up again. */
#ifndef COMMAND_SERIES_GROUPS_H
#define COMMAND_SERIES_GROUPS_H

#include "command/series.h"

struct series_group {
    uint64_t number;
    struct series_id last;
    int64_t read; /* -1: not known */
    struct db_tree pending, consumers;
};

struct series_consumer {
    uint64_t number;
    int64_t seen_ms, active_ms; /* active_ms -1: never */
    struct db_tree pending;
};

struct series_pending {
    uint64_t consumer; /* number */
    int64_t delivered_ms;
    uint64_t deliveries;
};

/* ---- groups -------------------------------------------------------------------------- */

bool series_group_find(const struct series *stream, struct bytes name, struct series_group *group);
/* Answers that there is no such key or group; `where` ends the text.  Returns false. */
bool series_group_missing(struct call *call, struct bytes key, struct bytes group,
                          const char *where);
/* The same of a group of a key that is there. */
bool series_group_unknown(struct call *call, struct bytes key, struct bytes group);
/* In the order of their names; the name is borrowed until the next call on the db. */
void series_group_at(const struct series *stream, uint64_t rank, struct series_group *group);
struct bytes series_name_at(const struct db_tree *names, uint64_t rank);
/* False: there is one of this name. */
bool series_group_new(struct series *stream, struct bytes name, struct series_id last, int64_t read,
                      struct series_group *group);
void series_group_save(struct series *stream, const struct series_group *group);
/* Takes some of what is pending away, or then a consumer, and saves it.  True: nothing is left. */
bool series_group_empty(struct series *stream, struct series_group *group);
/* Of one that has nothing any more. */
void series_group_remove(struct series *stream, struct bytes name,
                         const struct series_group *group);

/* The counter of the last delivered id, moved on by an id that is delivered now and is above it. */
void series_group_deliver(const struct series *stream, struct series_group *group,
                          struct series_id id);
/* How many entries up to this id were ever added, as far as that can be told; else -1. */
int64_t series_added_up_to(const struct series *stream, struct series_id id);
/* How many entries are behind the last delivered one.  False: nobody knows. */
bool series_group_lag(const struct series *stream, const struct series_group *group, int64_t *lag);

/* ---- consumers ----------------------------------------------------------------------- */

bool series_consumer_find(const struct series *stream, const struct series_group *group,
                          struct bytes name, struct series_consumer *consumer);
void series_consumer_at(const struct series *stream, const struct series_group *group,
                        uint64_t rank, struct series_consumer *consumer);
/* Borrowed until the next call on the db. */
struct bytes series_consumer_name(const struct series *stream, uint64_t number);
/* Of a name that the group does not have. */
void series_consumer_new(struct series *stream, struct series_group *group, struct bytes name,
                         int64_t now_ms, struct series_consumer *consumer);
void series_consumer_save(struct series *stream, const struct series_consumer *consumer);
/* Takes some of what is pending with it away, and saves both.  True: nothing is left. */
bool series_consumer_empty(struct series *stream, struct series_group *group,
                           struct series_consumer *consumer);
/* Of one with which nothing is pending any more; saves the group. */
void series_consumer_remove(struct series *stream, struct series_group *group, struct bytes name,
                            const struct series_consumer *consumer);

/* ---- what is pending ------------------------------------------------------------------- */

/* False: it is not. */
bool series_pending_find(const struct series_group *group, struct series_id id,
                         struct series_pending *pending);
void series_pending_at(const struct series_group *group, uint64_t rank, struct series_id *id,
                       struct series_pending *pending);
/* Of one that is pending: another time, another number of deliveries. */
void series_pending_set(struct series_group *group, struct series_id id,
                        const struct series_pending *pending);
/* Pending with this consumer from now on, whoever had it before. */
void series_pending_give(struct series *stream, struct series_group *group,
                         struct series_consumer *consumer, struct series_id id,
                         const struct series_pending *pending);
/* consumer: one that is not saved, or NULL.  False: it was not pending. */
bool series_pending_remove(struct series *stream, struct series_group *group,
                           struct series_consumer *consumer, struct series_id id);
/* The time at which something is delivered, where that is not known yet: what is prepared gets it
 * by its entry, which has no time to look for it. */
#define SERIES_NOT_TIMED INT64_MIN
/* The places in memory of those times. */
struct series_marks {
    uint64_t next, end;   /* ranks among what is pending that are to be looked at */
    struct buffer places; /* owned: of uint64_t, little endian */
};
/* Of what is pending from `from` on to `to`. */
void series_marks_begin(struct series_marks *marks, const struct series_group *group,
                        struct series_id from, struct series_id to);
/* Finds some of them.  True: that were all; from now on the group's tree must stay as it is. */
bool series_marks_find(struct series_marks *marks, const struct series_group *group);
/* All of them get this time, and are forgotten. */
void series_marks_time(struct series_marks *marks, int64_t delivered_ms);
/* Of a group that is being restored: pending with nobody yet.  False: it is already. */
bool series_pending_add(struct series *stream, struct series_group *group, struct series_id id,
                        const struct series_pending *pending);
/* Whose it is.  False: it is not pending, or somebody's. */
bool series_pending_own(struct series *stream, struct series_group *group,
                        struct series_consumer *consumer, struct series_id id);

#endif
