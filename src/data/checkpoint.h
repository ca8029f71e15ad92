/* Writing layers to the kv, beside the loop. */
#ifndef DATA_CHECKPOINT_H
#define DATA_CHECKPOINT_H

#include "data/merge.h"

struct checkpoint_job {
    struct kv *kv;           /* borrowed, like layer and wake_context */
    struct sources sources;  /* layers alone; nobody changes them until it is finished */
    struct state state;      /* what kv and layers are together */
    struct layer *discarded; /* a list to be freed; taken */
    uint64_t hash_seed;
    bool sweep; /* delete the keys of spaces that are no database's */
    void (*wake)(void *context);
    void *wake_context;
};

/* With job->wake NULL it is done when this returns. */
struct checkpoint *checkpoint_start(const struct checkpoint_job *job);
bool checkpoint_is_done(const struct checkpoint *checkpoint);
void checkpoint_finish(struct checkpoint *checkpoint); /* waits if it must; frees */

#endif
