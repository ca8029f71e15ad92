/* The three tables as a stack of layers, and what the files of this directory share of a db.
 *
 *      active      changes since the last freeze; the loop thread alone has it
 *      layers[0]   the newest that nobody changes any more
 *      ...         of these the oldest, `stored` in number, are in the kv too: a cache of what was
 *      layers[n]   written lately
 *      kv          the stored state of some applied index
 *
 * A name is looked for from the top; an entry or a tombstone hides what lies below.  A layer is made
 * by a checkpoint, which stores all layers at once, and by a view that wants what is in active.
 *
 * L1  kv with the layers of a checkpoint, or kv alone once it is done, is the state at the index
 *     that the checkpoint stores.
 * L2  kv + layers + active is the state at db->state.index (plus the entry being applied).
 * L3  an entry has is_below exactly if what is below its layer has its name.
 * L4  keys of a space that is no database's are invisible, in every layer.
 * L5  each receipt has one record in TABLE_DUE, at its due_ms. */
#ifndef DATA_LAYERS_H
#define DATA_LAYERS_H

#include "base/fatal.h"
#include "data/db.h"
#include "data/overlay.h"
#include "data/record.h"

enum { LAYERS_MAX = 8 };

struct layer {
    struct overlay tables[TABLES];
    unsigned references; /* of the db and its views; the loop's */
    struct layer *next;  /* in a list of discarded layers; owned */
};

struct checkpoint;

struct db {
    struct kv *kv; /* borrowed */
    struct db_options options;
    uint64_t (*hash)(struct bytes name, uint64_t seed); /* tests make hashes equal with it */

    struct state state;     /* now */
    struct state persisted; /* of the kv */
    struct layer *active;   /* owned */
    struct layer *layers[LAYERS_MAX];
    unsigned count;          /* of layers */
    unsigned stored;         /* the last so many are in the kv */
    unsigned storing;        /* the last so many are in the checkpoint under way */
    struct layer *discarded; /* waiting to be freed by the next checkpoint; owned */
    uint64_t discarded_bytes;
    struct db_view *view; /* the newest, while it lives; borrowed */
    unsigned views;       /* alive */
    bool is_in_entry;     /* changed since the last db_applied() */

    uint64_t changed_bytes;        /* written since the freeze, overwritten or not */
    bool has_dead;                 /* the kv has keys of dead spaces, or will have */
    bool is_dead_stored;           /* has them now, or with the checkpoint under way */
    int64_t due_from_ms;           /* no receipt is due before this */
    struct checkpoint *checkpoint; /* under way; else NULL; owned */
    struct state checkpointed;     /* what it stores; else cleared */
    uint64_t checkpoints;          /* done */

    /* The last read from the kv, lent to the caller, and kept for the next call: most commands
     * that change a key look at it first. */
    struct buffer key;
    struct buffer value;
    bool is_read;         /* false: key and value say nothing */
    bool is_found;        /* there was such a key */
    struct buffer sought; /* scratch: a key of the kv to look for */
};

struct layer *layer_new(void);
void layer_free(struct layer *layer); /* with all in the list behind it; NULL allowed */
uint64_t layer_bytes(const struct layer *layer);

/* Moves active onto the layers, of which there is room for one more. */
void layers_freeze(struct db *db);
/* Gives one reference back; the last leaves the layer to be freed by the next checkpoint. */
void layers_release(struct db *db, struct layer *layer);
void layers_discard(struct db *db, struct layer *layer);

/* The database's space now. */
static inline uint64_t layers_space(const struct db *db, unsigned database)
{
    check(database < DB_DATABASES);
    return db->state.databases[database].space;
}

/* False: the kv certainly has nothing of the table (and space) that the layers have not.
 * `persisted`: what the kv held, or one of the states that it held since. */
bool layers_kv_counts(const struct state *persisted, enum table table, uint64_t space);

/* False: absent.  The record is borrowed until the next call on the db. */
bool layers_get(struct db *db, const struct place *place, struct bytes *record);
/* Stores `header` and `payload` as one record; the payload may be one that layers_get lent.
 * False: the name is new. */
bool layers_put(struct db *db, const struct place *place, struct bytes header,
                struct bytes payload);
bool layers_delete(struct db *db, const struct place *place);

static inline uint64_t layers_hash(const struct db *db, struct bytes name)
{
    return db->hash(name, db->options.hash_seed);
}

#endif
