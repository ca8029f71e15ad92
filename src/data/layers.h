/* The three tables as a stack of layers, and what the files of this directory share of a db.
 *
 *      active   changes since the last freeze; the loop thread alone has it
 *      frozen   changes of the checkpoint under way or last done; nobody changes it
 *      kv       the stored state of some applied index
 *
 * A name is looked for from the top; an entry or a tombstone hides what lies below.  The frozen
 * layer stays after its checkpoint is done, as a cache of what was written lately.
 *
 * L1  kv + frozen, or kv alone once the checkpoint is done, is the state at frozen->state.index.
 * L2  kv + frozen + active is the state at db->state.index (plus the entry being applied).
 * L3  an entry of active has is_below exactly if kv + frozen have its name.
 * L4  keys of a space that is no database's are invisible, in every layer.
 * L5  each receipt has one record in TABLE_DUE, at its due_ms. */
#ifndef DATA_LAYERS_H
#define DATA_LAYERS_H

#include "base/fatal.h"
#include "data/db.h"
#include "data/overlay.h"
#include "data/record.h"

struct layer {
    struct overlay tables[TABLES];
    struct state state; /* frozen: as of the freeze */
    struct layer *next; /* in a list of discarded layers; owned */
};

struct checkpoint;

struct db {
    struct kv *kv; /* borrowed */
    struct db_options options;
    uint64_t (*hash)(struct bytes name, uint64_t seed); /* tests make hashes equal with it */

    struct state state;      /* now */
    struct state persisted;  /* of the kv */
    struct layer *active;    /* owned, like the layers below */
    struct layer *frozen;    /* NULL before the first freeze */
    struct layer *discarded; /* waiting to be freed by the next checkpoint */
    uint64_t discarded_bytes;
    bool is_in_entry; /* changed since the last db_applied() */

    uint64_t changed_bytes; /* written since the freeze, overwritten or not */
    bool has_dead;       /* the kv may have keys of dead spaces, or will with the next checkpoint */
    int64_t due_from_ms; /* no receipt is due before this */
    struct checkpoint *checkpoint; /* under way; else NULL; owned */
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

/* The database's space now. */
static inline uint64_t layers_space(const struct db *db, unsigned database)
{
    check(database < DB_DATABASES);
    return db->state.databases[database].space;
}

/* False: the kv certainly has nothing of the table (and space) that frozen has not. */
bool layers_kv_counts(const struct db *db, enum table table, uint64_t space);

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
