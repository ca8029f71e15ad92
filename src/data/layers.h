/* The three tables as a stack of layers, and what the files of this directory share of a db.
 *
 *      active      changes since the last freeze; the loop thread alone has it
 *      layers[0]   the newest that nobody changes any more
 *      ...         of these the oldest, `stored` in number, are in the kv too: a cache of what was
 *      layers[n]   written lately
 *      kv          the stored state of some applied index
 *
 * A name is looked for from the top; an entry or a tombstone hides what lies below.  A layer is
 * made by a checkpoint, which stores all layers at once, by a view that wants what is in active,
 * and for an entry that may take long (before.c).
 *
 * L1  kv with the layers of a checkpoint, or kv alone once it is done, is the state at the index
 *     that the checkpoint stores.
 * L2  kv + layers + active is the state at db->state.index (plus the entry being applied).
 * L3  an entry says BELOW_YES exactly if what is below its layer has its name, BELOW_NO if not;
 *     BELOW_UNKNOWN: nobody looked yet, and the name is counted as if it were new.
 * L4  keys of a space that is no database's are invisible, in every layer; rows of a space that no
 *     key's record names likewise.
 * L5  each receipt has one record in TABLE_DUE, at its due_ms.
 * L6  keys of a database = those that the counts say - names written over one that is below and not
 *     yet resolved.  Unresolved names of active, and of layers that no checkpoint has, are resolved
 *     by the loop, those in a checkpoint by its thread: each once.
 * L7  a collection's space stands in TABLE_SPACES, with its database's space while a key has it,
 *     with 0 from when it has none: the key deleted, or written over, or (of an unresolved name)
 *     found to have been written over.  That is how the sweep finds the rows.
 * L8  a key with a deadline, or with elements that have one, has a row in TABLE_DEADLINES at the
 *     earliest or before.  There may be rows that no key needs any more: when the time of a row
 *     comes, the key's record says what to do.
 * L9  what is in the cache, the kv has or had before something that a layer says: so the cache is
 *     told of each row of layers that were stored, or forgets all, before they are released.
 *
 * Of TABLE_SPACES and TABLE_DEADLINES entries may say BELOW_YES though nothing is below. */
#ifndef DATA_LAYERS_H
#define DATA_LAYERS_H

#include "base/fatal.h"
#include "base/limits.h"
#include "data/cache.h"
#include "data/db.h"
#include "data/effects.h"
#include "data/overlay.h"
#include "data/record.h"
#include "data/slots.h"

struct layer {
    struct overlay tables[TABLES];
    unsigned references; /* of the db and its views; the loop's */
    /* Of keys, all before this place are resolved (L6); what the loop resolves, it resolves in
     * order. */
    uint64_t resolved_space, resolved_word;
    void *looked, *heard; /* beside.c: Judy1 of hashes of keys; owned */
    struct layer *next;   /* in a list of discarded layers; owned */
};

struct checkpoint;
struct layers_ahead;
struct ranges;

/* What is known of the records of keys, or of rows, in the kv, so that not too many that are large
 * are looked at together: they are in memory at once.  Of those that an earlier process stored
 * nothing is known but what is found. */
struct stored_sizes {
    uint64_t largest; /* that this process stored or found */
    uint64_t found;   /* by looks of several */
};

enum {
    LAYERS_LOOK_BYTES = 1 << 20, /* values that are looked at together */
    LAYERS_LOOKS_FEW = 4,        /* so many, until */
    LAYERS_FOUND_ENOUGH = 1024   /* records tell what those of an earlier process are like */
};

static inline void layers_stored_one(struct stored_sizes *sizes, uint64_t size)
{
    if (sizes->largest < size)
        sizes->largest = size;
}

static inline void layers_found_one(struct stored_sizes *sizes, uint64_t size)
{
    layers_stored_one(sizes, size);
    sizes->found += sizes->found < LAYERS_FOUND_ENOUGH;
}

/* Many, if so many of the largest are not too much.  What an earlier process stored may still
 * surprise: once, since then its size is known. */
static inline unsigned layers_looks_at_once(const struct stored_sizes *sizes)
{
    uint64_t looks = LAYERS_LOOK_BYTES / (sizes->largest + 1);
    uint64_t most = sizes->found < LAYERS_FOUND_ENOUGH ? LAYERS_LOOKS_FEW : KV_HEADS_MAX;
    if (looks > most)
        looks = most;
    return looks > 0 ? (unsigned)looks : 1;
}

/* Of a read that looks at a view, though it does not know: see db_look_at(). */
struct look {
    struct db_view *view; /* borrowed */
    int64_t until_ms;     /* a deadline until then, and not over yet, leaves it in doubt */
    bool begins;          /* it can begin again: where it asks for counts it is in doubt */
    bool is_in_doubt;
};

/* How far the cache was told of the rows of the layers that were stored last: see settle.c. */
struct settling {
    bool is_under_way; /* it begins at: */
    enum table table;
    uint64_t space, word;
    uint64_t bytes; /* told, since so many were changed: */
    uint64_t since;
};

struct db {
    struct kv *kv; /* borrowed */
    struct db_options options;
    uint64_t (*hash)(struct bytes name, uint64_t seed); /* tests make hashes equal with these */
    uint64_t (*word)(struct bytes key, uint64_t hash);

    struct state state;       /* now */
    struct state persisted;   /* of the kv */
    const struct state *seen; /* by who looks: `state`, or that of a view (db_look_at()) */
    struct layer *active;     /* owned */
    struct layer *layers[LAYERS_MAX];
    unsigned count;          /* of layers */
    unsigned stored;         /* the last so many are in the kv */
    unsigned storing;        /* the last so many are in the checkpoint under way */
    struct layer *discarded; /* waiting to be freed by the next checkpoint; owned */
    uint64_t discarded_bytes;
    struct db_view *view;              /* the newest, while it lives; borrowed */
    unsigned views;                    /* alive */
    bool is_in_entry;                  /* changed since the last db_applied() */
    bool is_parted;                    /* what the entry changed is in active, and nothing else */
    struct layer *joins;               /* parted: layers[0], frozen for that alone; else NULL */
    struct state before;               /* parted: before the entry */
    int64_t before_due_ms;             /* likewise */
    struct look *look, looking;        /* NULL: reads see the present state */
    uint64_t version;                  /* of what the present entry writes: see db_begin() */
    struct slots *slots[DB_DATABASES]; /* owned; NULL: no keys */
    struct effects effects;            /* of the entry under way */
    int64_t now_ms;                    /* keys whose deadline is not after it are absent */
    bool may_drop;                     /* and are deleted by who meets them: see db_at() */
    int64_t deadline_from_ms[DB_DATABASES]; /* no row of TABLE_DEADLINES is before this */
    uint64_t expired;                       /* keys, since the start */
    db_elements_due_fn *elements_due;       /* NULL: there are no such elements */

    struct db *beside;             /* what this is made beside; NULL: it is a db (beside.c) */
    struct db *hearing;            /* a place beside this, which hears of its keys; borrowed */
    void *looked, *heard;          /* beside: Judy1 of hashes of keys; owned */
    uint64_t looks;                /* of both */
    unsigned heard_database;       /* beside: whose keys it hears of, */
    bool is_deaf;                  /* but not of those that nobody looked at, any more */
    bool is_changed;               /* beside: one that was looked at is another since the view */
    struct db_view *on;            /* beside: what is below its layer; NULL: nothing; borrowed */
    bool puts, is_taken;           /* beside: keys are put there; they are an entry's */
    struct buffer put;             /* beside: entries of active that keys got, as they came; */
    bool is_put_stale;             /* but one of them is another by now, or gone; then they are */
    bool is_listing;               /* listed anew, in the order of words: */
    uint64_t listed;               /* before this one */
    uint64_t work;                 /* db_work() */
    uint64_t changed_bytes;        /* written since the freeze, overwritten or not */
    uint64_t active_bytes;         /* of active, before the entry under way */
    uint64_t largest_bytes;        /* the most that one made, of what no checkpoint has taken */
    bool has_dead;                 /* the kv has keys of dead spaces, or will have */
    bool is_exact_wanted;          /* somebody waits for exact counts: puts look below */
    bool is_dead_stored;           /* has them now, or with the checkpoint under way */
    uint64_t freed_bytes;          /* of the kv by deletes, since it was asked to give them back */
    uint64_t dead_bytes;           /* the same by flushes, and pages of strings, not swept yet */
    uint64_t dead_due_bytes;       /* when a checkpoint is to begin for their sake */
    uint64_t freeing_bytes;        /* of them seen by the checkpoint under way */
    uint64_t freed_due_bytes;      /* when a checkpoint is to see whether that is much */
    int64_t due_from_ms;           /* no receipt is due before this */
    struct checkpoint *checkpoint; /* under way; else NULL; owned */
    struct state checkpointed;     /* what it stores; else cleared */
    uint64_t checkpoints;          /* done */
    struct stored_sizes stored_sizes; /* of keys */
    struct stored_sizes row_sizes;

    /* The last read from the kv, lent to the caller, and kept for the next call: most commands
     * that change a key look at it first. */
    struct buffer key;
    struct buffer value;
    bool is_read;         /* false: key and value say nothing */
    size_t whole;         /* size of the record, of which value may be but the head */
    bool is_found;        /* there was such a key */
    struct buffer sought; /* scratch: a key of the kv to look for */
    struct layers_ahead
        *ahead; /* rows that were looked for before they are wanted; owned; or NULL */
    struct layers_cache *cache; /* of rows and pages, below the layers (L9); owned; NULL: none */
    struct ranges *ranges;      /* in the cache; owned; NULL: none */
    struct settling settling;

    /* The record of the large collection that was read from the kv last: whoever asks for its rows
     * asks for that before. */
    struct buffer collection_key;
    struct buffer collection;
    bool is_collection_read; /* false: these two say nothing */

    struct buffer collected; /* lent: a part of a string in pages (strings.c) */

    struct savepoint *savepoint; /* set; NULL: none is */
    struct savepoint *spare;     /* the same, kept for the next time; owned */
    uint64_t changes;            /* of the entry, as savepoints count them: see savepoint.c */
    uint64_t changes_max;        /* tests make it smaller */
};

struct layer *layer_new(void);
void layer_free(struct layer *layer); /* with all in the list behind it; NULL allowed */
uint64_t layer_bytes(const struct layer *layer);

/* Moves active onto the layers, of which there is room for one more. */
void layers_freeze(struct db *db);
/* Gives up those that the kv has. */
void layers_forget_stored(struct db *db);
bool layers_is_empty(const struct layer *layer);
/* So much was made, or given up, at once. */
void layers_made_at_once(struct db *db, uint64_t bytes);
/* Gives one reference to each back; the last leaves a layer to be freed by the next checkpoint. */
void layers_release(struct db *db, struct layer *const *layers, unsigned count);
void layers_discard(struct db *db, struct layer *layer);
/* Takes a space out of a table of active, O(1). */
void layers_cut(struct db *db, enum table table, uint64_t space);

/* The database's space now. */
static inline uint64_t layers_space(const struct db *db, unsigned database)
{
    check(database < DB_DATABASES);
    return db->seen->databases[database].space;
}

/* False: the kv certainly has nothing of the table (and space) that the layers have not.
 * `persisted`: what the kv held, or one of the states that it held since. */
bool layers_kv_counts(const struct state *persisted, enum table table, uint64_t space);

/* ahead.c.  Looks for the rows that these are about, if there are several.  `slots`: where active
 * has their keys (overlay_foresee). */
void layers_ahead_look(struct db *db, const struct db_foreseen *keys, void **const *slots,
                       uint32_t count);
/* NULL: that was not looked for, or less of it than these bytes was kept. */
const struct kv_head *layers_ahead_find(const struct layers_ahead *ahead, struct bytes key,
                                        size_t head_max);
void layers_ahead_forget(struct layers_ahead *ahead);
void layers_ahead_free(struct layers_ahead *ahead); /* NULL allowed */

/* settle.c.  Layers have been stored; an entry was applied; they are released. */
void layers_settle_begin(struct db *db);
void layers_settle(struct db *db);
void layers_settle_end(struct db *db);

/* What was read from the kv is not to be believed any more. */
static inline void layers_forget_read(struct db *db)
{
    db->is_read = db->is_collection_read = false;
    if (db->ahead)
        layers_ahead_forget(db->ahead);
}

/* The kv has this record, and no layer has anything of the name: as if it had been read. */
void layers_note_read(struct db *db, const struct place *place, struct bytes record);

/* False: absent.  The record is borrowed until the next call on the db. */
bool layers_get(struct db *db, const struct place *place, struct bytes *record);
/* As layers_get; and the entry, if it is one of active. */
bool layers_find(struct db *db, const struct place *place, struct entry **entry,
                 struct bytes *record);
/* As layers_get, but the record may be cut behind its header; *size is that of the whole. */
bool layers_look(struct db *db, const struct place *place, struct bytes *head, size_t *size);
/* Stores `header` and `payload` as one record; the payload may be one that layers_get lent.
 * False: the name is new. */
bool layers_put(struct db *db, const struct place *place, struct bytes header,
                struct bytes payload);
/* The same without a look at what is below.  False: the name is to be counted. */
bool layers_put_blindly(struct db *db, const struct place *place, struct bytes header,
                        struct bytes payload);
/* Writes `part` into a record that is there, at `offset` of its payload, and `header`, as large as
 * it was, over its header.  The record is copied only where it is not in active yet, or outgrows
 * the room that it has there. */
void layers_splice(struct db *db, const struct place *place, struct bytes header, size_t offset,
                   struct bytes part);
/* In a record that is there, `parts`, which are not what the db lent, take the place of its bytes
 * [from, to).  Leaves what layers_put() of the whole would leave, and counts with a savepoint like
 * it, but the record is copied only where it is not in active yet, or has not the right room.
 * `entry`: what layers_find() said of it, or NULL.  Returns the one that has it now. */
struct entry *layers_edit(struct db *db, const struct place *place, struct entry *entry,
                          size_t from, size_t to, const struct bytes *parts, unsigned count);
bool layers_delete(struct db *db, const struct place *place);
/* As these two, for keys; what was there (a type of 0: nothing was) goes into `before`. */
bool layers_put_key(struct db *db, const struct place *place, struct bytes header,
                    struct bytes payload, struct header *before);
bool layers_delete_key(struct db *db, const struct place *place, struct header *before);
/* Without a look at what is below: of tables whose entries may say BELOW_YES (above). */
void layers_say(struct db *db, const struct place *place);
void layers_unsay(struct db *db, const struct place *place);
/* Deletes the key of a collection, but leaves the collection, for another key to name it. */
bool layers_take(struct db *db, const struct place *place);

/* spaces.c.  Of large collections; `owner` is the space of the database. */
uint64_t layers_space_new(struct db *db, uint64_t owner);
void layers_space_drop(struct db *db, uint64_t owner, uint64_t space);
void layers_space_move(struct db *db, uint64_t owner, uint64_t to, uint64_t space);
/* Takes the rows of the owner's collections out of active. */
void layers_spaces_cut(struct db *db, uint64_t owner);
/* What `layer` says of a space that is new in it, it says of another number. */
void layers_space_rename(struct layer *layer, uint64_t owner, uint64_t space, uint64_t to);
/* Says in `layer` that the space is nobody's. */
void layers_space_bury(struct layer *layer, uint64_t owner, uint64_t space);

/* savepoint.c.  With a savepoint set: before what is said in a spot of active changes, to a record
 * of `size` bytes (0: or none), for which an entry has to have `capacity`.  Who puts an entry marks
 * it as kept. */
void layers_keep(struct db *db, const struct place *place, struct overlay_spot *spot, size_t size,
                 size_t capacity);
/* The same of a place whose record is nothing. */
void layers_keep_mark(struct db *db, const struct place *place);
/* A space was taken out of active: owns `cut` from now on. */
void layers_keep_cut(struct db *db, enum table table, uint64_t space, struct layer *cut);
/* Before the database gets another space: owns its slots from now on. */
void layers_keep_flush(struct db *db, unsigned database);
void layers_keep_swap(struct db *db, unsigned one, unsigned other);
/* db_resolve() found the space to be dead, whatever the savepoint is for. */
void layers_keep_dead(struct db *db, uint64_t owner, uint64_t space);
/* Counts keys of a space that was flushed since. */
void layers_keep_count(struct db *db, uint64_t space, unsigned slot, int64_t keys);
void layers_keep_free(struct db *db); /* for db_close() */
/* Of a place beside a db, where nobody looks at what was changed: neither undone nor released. */
void layers_keep_forget(struct db *db);

/* beside.c.  A key, or all of the database. */
void layers_hear_key(struct db *beside, unsigned database, struct bytes key);
void layers_hear_all(struct db *beside, unsigned database);

/* What is written of a key, whether it is told or not. */
static inline void layers_note_key(struct db *db, enum db_effect_type type, unsigned database,
                                   struct bytes key)
{
    if (db->hearing)
        layers_hear_key(db->hearing, database, key);
    effects_note(&db->effects, type, database, database, key);
}

/* db.c.  With what it has besides its layers. */
void layers_handle_free(struct db *db);
/* As db_put().  If it says a space, that is one that no key had before. */
void layers_put_whole(struct db *db, unsigned database, struct bytes key,
                      const struct header *header, struct bytes payload);

/* view.c.  As layers_get, in a view; a key's record, and any row. */
struct db_view;
bool layers_view_get(struct db_view *view, unsigned database, struct bytes key,
                     struct bytes *record);
bool layers_view_row(struct db_view *view, const struct place *place, struct bytes *record);
const struct sources *layers_view_sources(const struct db_view *view);
const struct state *layers_view_state(const struct db_view *view);

/* Freezes active, unless it is empty.  False: too many layers; a checkpoint was started. */
bool layers_freeze_for_view(struct db *db);

/* before.c.  The entry has ended. */
void layers_part_end(struct db *db);
/* For a while there is no look. */
struct look *layers_look_away(struct db *db);
void layers_look_back(struct db *db, struct look *look);

/* deadlines.c.  What db_open() does for it. */
void layers_deadlines_load(struct db *db);
/* The key gets this deadline (L8). */
void layers_deadline_add(struct db *db, unsigned database, struct bytes key, int64_t deadline_ms);
/* A key that is absent by now is deleted, if may_drop. */
void layers_expired_drop(struct db *db, unsigned database, const struct place *place);

/* When something is to be done for the key: of the two deadlines in its record the earlier. */
static inline int64_t layers_due_ms(int64_t deadline_ms, int64_t elements_due_ms)
{
    bool is_of_elements =
        elements_due_ms != 0 && (deadline_ms == 0 || elements_due_ms < deadline_ms);
    return is_of_elements ? elements_due_ms : deadline_ms;
}

static inline bool layers_is_over(const struct db *db, int64_t deadline_ms)
{
    if (db->look && deadline_ms > db->now_ms && deadline_ms <= db->look->until_ms)
        db->look->is_in_doubt = true;
    return deadline_ms != 0 && deadline_ms <= db->now_ms;
}

/* Counts keys of a database in and out. */
void layers_count(struct db *db, unsigned database, unsigned slot, int64_t keys);
/* The same of the database that has the space; of no database: nothing is counted. */
void layers_count_in(struct db *db, uint64_t space, unsigned slot, int64_t keys);
/* Resolves up to *rows names of what the loop may; true: none is left there. */
bool layers_resolve(struct db *db, uint64_t *rows);
uint64_t layers_unresolved(const struct db *db); /* in all layers */

/* Until the first entry chose one, the seed that all had before there was a choice. */
static inline uint64_t layers_seed(const struct db *db)
{
    return db->state.hash_seed ? db->state.hash_seed : db->options.cluster;
}

static inline uint64_t layers_hash(const struct db *db, struct bytes name)
{
    return db->hash(name, layers_seed(db));
}

/* strings.c.  Of a string in pages, by the payload of its record. */
uint64_t layers_string_size(struct bytes payload);

/* What the record of a key says; `record` may be cut behind its header, if `payload` is NULL. */
static inline struct db_record layers_found(struct bytes record, size_t size, struct bytes *payload)
{
    struct header header;
    size_t header_size = record_header_parse(record, &header);
    struct bytes behind =
        bytes_of((const char *)record.data + header_size, record.size - header_size);
    if (payload)
        *payload = behind;
    bool is_in_pages = header.type == DB_STRING && header.space;
    return (struct db_record){.type = (enum db_type)header.type,
                              .version = header.version,
                              .deadline_ms = header.deadline_ms,
                              .size = is_in_pages ? layers_string_size(behind) : size - header_size,
                              .space = header.space,
                              .elements_due_ms = header.elements_due_ms};
}

static inline struct place layers_key(const struct db *db, uint64_t space, struct bytes key)
{
    return (struct place){TABLE_KEYS, space, db->word(key, layers_hash(db, key)), key};
}

#endif
