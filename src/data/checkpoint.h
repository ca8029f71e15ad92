/* Writing layers to the kv, beside the loop. */
#ifndef DATA_CHECKPOINT_H
#define DATA_CHECKPOINT_H

#include "data/merge.h"

struct checkpoint_job {
    struct kv *kv;           /* borrowed, like layer and wake_context */
    struct sources sources;  /* layers alone; nobody changes them until it is finished */
    struct state persisted;  /* what the kv is */
    struct state state;      /* what kv and layers are together, but for unresolved names */
    struct layer *discarded; /* a list to be freed; taken */
    uint64_t cluster;
    struct stored_sizes stored_sizes;
    bool sweep;           /* delete the keys of spaces that are no database's */
    uint64_t freed_bytes; /* what deletes left behind in the kv, about */
    void (*wake)(void *context);
    void *wake_context;
};

/* With job->wake NULL it is done when this returns. */
struct checkpoint *checkpoint_start(const struct checkpoint_job *job);
bool checkpoint_is_done(const struct checkpoint *checkpoint);
/* What part of `whole` it has done, about; sweeping does not count.  `wake` is called whenever it
 * has become a 64th more. */
uint64_t checkpoint_done_of(const struct checkpoint *checkpoint, uint64_t whole);

/* Of the data family, on disk. */
uint64_t checkpoint_stored_bytes(struct kv *kv);

/* What it stored, and what it found out about unresolved names. */
struct checkpoint_result {
    struct state state;
    struct stored_sizes stored_sizes;
    bool is_reclaiming; /* freed_bytes were much: the kv was asked to give them back */
    /* For each database of the job's state: how many keys too many were counted; NULL: none. */
    struct slots *surplus[RECORD_DATABASES]; /* the caller frees them */
    bool has_dead;                           /* collections were written over: to be swept */
};

/* Waits if it must; frees. */
void checkpoint_finish(struct checkpoint *checkpoint, struct checkpoint_result *result);

#endif
