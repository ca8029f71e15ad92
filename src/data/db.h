/* The keyspace, as the commands see it, on the data family.
 *
 * Changes are absorbed in memory (the Raft log already makes them durable) and moved to the kv in
 * sorted runs by checkpoints, each together with the applied index, atomically: after a crash the
 * stored state is exactly the one at that index, and replay starts there.
 *
 * Everything here is deterministic and equal on all nodes at an equal applied index; only the loop
 * thread calls it.  Keys are ordered by their Redis Cluster slot and then by a hash (XXH3, with a
 * seed that the log chose and nobody is told), so that a SCAN cursor is a place in this order:
 * stateless, valid on any node and across failovers. */
#ifndef DATA_DB_H
#define DATA_DB_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "storage/kv.h"

enum { DB_DATABASES = 16 }; /* numbered from 0; any other number is a bug of the caller's */

/* Stored with each value: numbers stay as they are. */
enum db_type { DB_NONE, DB_STRING, DB_LIST, DB_SET, DB_ZSET, DB_HASH, DB_STREAM };

struct db;
struct db_view;

struct db_options {
    uint64_t cluster;          /* its id: a store of another is refused */
    uint64_t checkpoint_bytes; /* start a checkpoint when this much memory holds changes */
    uint64_t cache_bytes;      /* of rows and pages that were read, kept; 0: none are */
    /* From the checkpoint's thread: call db_poll() soon.  NULL: run checkpoints at once in the
     * caller (tests, simulator). */
    void (*wake)(void *context);
    void *wake_context;
};

struct db *db_open(struct kv *kv, const struct db_options *options);
void db_close(struct db *db); /* waits for a checkpoint under way; starts none */

/* ---- one command at a time --------------------------------------------- */

struct db_record {
    enum db_type type;
    uint64_t version;        /* index of the entry that changed the key last; 0: see db_begin() */
    int64_t deadline_ms;     /* 0: none */
    uint64_t size;           /* of the value, bytes */
    uint64_t space;          /* of a large collection: where its rows are; else 0 */
    int64_t elements_due_ms; /* of a collection: the earliest deadline of an element; 0: none */
};

/* Before the changes of each entry that was made for a state machine that knows versions and seeds:
 * what it writes has its index (that after db_applied_index()) as version, and the first such
 * entry's seed, unless there is one, is that of the hash for ever.  Entries of before are applied
 * without it: version 0, and the seed is the cluster id.  So replaying an old log gives what
 * converting an old directory gives.  May be called again within an entry. */
void db_begin(struct db *db, uint64_t seed);

/* Before each command, or slice of one: a key whose deadline is not after `now_ms` is absent for
 * whoever looks, in a view too.  may_drop: the command changes the db, and such a key that it meets
 * is deleted, which counts as "expired"; db_put() meets nothing. */
void db_at(struct db *db, int64_t now_ms, bool may_drop);
int64_t db_now_ms(const struct db *db); /* what was given last */

/* These keys are going to be changed soon: their records may be brought near the processor, and
 * rows that are not in memory looked for together. */
struct db_foreseen {
    unsigned database;
    struct bytes key;
    struct bytes elements[2]; /* should it be a hash or a set, or a sorted set; or nothing */
};
enum { DB_FORESEEN_MAX = 8 };
void db_foresee(struct db *db, const struct db_foreseen *keys, uint32_t count);

/* False: no such key.  Does not copy the value, however large it is. */
bool db_lookup(struct db *db, unsigned database, struct bytes key, struct db_record *found);
/* Whether a key is stored whose deadline has come: it is absent, and who may drop it deletes it. */
bool db_is_over(struct db *db, struct db_view *view, unsigned database, struct bytes key);
/* Type of the key, DB_NONE if absent.  `value` (may be NULL) is borrowed until the next call on the
 * db, another db_get() included. */
enum db_type db_get(struct db *db, unsigned database, struct bytes key, struct bytes *value);
/* Keys and values are copied.  A value that db_get() just lent may be put again, whole or in part.
 * deadline_ms 0: none; else positive. */
void db_put(struct db *db, unsigned database, struct bytes key, enum db_type type,
            struct bytes value, int64_t deadline_ms);
/* Writes `part` into the value of a key that is there, over what it has from `offset` on or behind
 * it, zeros in between; all else of the key stays as it is.  Costs the part, not the value, but for
 * the first time after a checkpoint, and when it outgrows its room. */
void db_splice(struct db *db, unsigned database, struct bytes key, uint64_t offset,
               struct bytes part);
bool db_delete(struct db *db, unsigned database, struct bytes key); /* false: there was none */
/* Gives a key another name, in another database perhaps, with all it has; what had that name is
 * written over.  O(1) but for the copy of a payload.  The event named before is the key's,
 * `to_event` the new name's.  False: there is no such key. */
bool db_rename(struct db *db, unsigned database, struct bytes key, unsigned to_database,
               struct bytes to, const char *to_event);

/* No deadline of a key or an element comes before this; INT64_MAX: there are none. */
int64_t db_due_ms(const struct db *db);

/* How much of what is due may be looked at.  What depends on it is the same however it is divided
 * among calls. */
struct db_expiry {
    uint32_t rows;  /* and elements */
    uint64_t bytes; /* of the rows' keys; one more than fit may be taken */
};

/* Called for a key with elements whose deadline has come: deletes about `most` (> 0) of them, the
 * key too if none is left, and says in its record what is due next.  Returns how many, more than
 * none. */
typedef uint32_t db_elements_due_fn(struct db *db, unsigned database, struct bytes key,
                                    uint32_t most);

/* Whom db_expire() calls; from db_open() on, once. */
void db_elements_due(struct db *db, db_elements_due_fn *expire);
/* Deletes keys whose deadline has come by db_at(), and elements of others, some at a time; `left`
 * becomes less by what was looked at.  True: call it again. */
bool db_expire(struct db *db, struct db_expiry *left);

/* A put does not look whether the key is new (that would be most of what it costs), so the counts
 * may be too high until somebody did.  Checkpoints do; this does it now, for at most `names` names
 * (each may be a read of the disk).  True: db_size(), db_slot_size() and db_random() are exact and
 * may be asked, until the next change.  False: ask again, after db_poll() if a checkpoint is under
 * way. */
bool db_resolve(struct db *db, uint64_t names);
/* For who only shows the counts: puts go on without a look meanwhile. */
bool db_resolve_some(struct db *db, uint64_t names);
uint64_t db_size(const struct db *db, unsigned database); /* keys; O(1) */
/* Keys of a Redis Cluster slot, 0 to 16383; O(1). */
uint64_t db_slot_size(const struct db *db, unsigned database, unsigned slot);
/* Deletes all keys of the database; O(1), space comes back later. */
void db_flush(struct db *db, unsigned database);
void db_flush_all(struct db *db);
/* What was in the one is in the other; O(1). */
void db_swap(struct db *db, unsigned one, unsigned other);
/* Any key, with the same chance for each; false: no keys.  Only after db_resolve(): equal counts on
 * all nodes give an equal key for an equal seed. */
bool db_random(struct db *db, unsigned database, uint64_t seed, struct buffer *key);

/* What a scan has met that is there, in all its slices: what it gave, and keys whose deadline has
 * come, too. */
struct db_scan_met {
    uint64_t keys, bytes; /* bytes of names and records */
    uint64_t end;         /* the cursor behind the last of them */
    bool is_open;         /* it met enough, and may be at the end: the next slice says so */
};

/* When a scan has done enough.  A slice of a long walk bounds the rows: deleted ones, which are
 * looked at and not met, count there too.  How many of those there are differs from node to node:
 * what is to be the same on all goes on until it has met enough, and whether anything follows. */
struct db_scan_limit {
    uint64_t keys;           /* met; 0 is taken for 1 */
    uint64_t rows;           /* looked at */
    uint64_t bytes;          /* met; 0: any number */
    struct db_scan_met *met; /* NULL, or what earlier slices met, to which this one adds */
};

typedef void db_scan_fn(void *context, struct bytes key, enum db_type type);

/* Calls `each` for the keys from `cursor` on, in hash order, until one of the limits is reached
 * (never splitting keys that share a cursor, and these are keys of equal hash, nearly always one)
 * or the end; `each` must not change the db.  Returns the next cursor, 0 at the end.  Every key
 * present during the whole scan is given at least once.  A cursor is below 2^53, because some
 * client libraries keep it in a double; any number is safe to give. */
uint64_t db_scan(struct db *db, unsigned database, uint64_t cursor, struct db_scan_limit limit,
                 db_scan_fn *each, void *context);

/* Of keys that lie one behind the other in hash order, which says nothing of what they are. */
struct db_sample {
    uint64_t keys;
    uint64_t timed; /* of them: those with a deadline */
    double left_ms; /* until these, together */
    bool is_all;    /* the database has no others */
};
/* `keys` of them from `place` on, which is any number, and behind the last one from the first on;
 * or fewer: where there are no more, where their names and records are more than 256 KB, where many
 * are deleted. */
void db_sample(struct db *db, unsigned database, uint64_t place, uint64_t keys, int64_t now_ms,
               struct db_sample *sample);

/* Rises with what was done: a byte copied counts one, a look into the kv as some thousand.  For
 * those who do not want to do too much at a time; it says nothing of the state. */
uint64_t db_work(const struct db *db);
/* What a command does on its own with what it was lent, in the same measure. */
void db_spend(struct db *db, uint64_t work);

/* ---- views --------------------------------------------------------------- */

/* All keys as they are at db_applied_index(), for a long read in slices: what a view shows never
 * changes, whatever is applied, flushed or stored meanwhile.  Readers at the same index share one.
 * NULL: not now (an entry is half done, without db_part(), or too many layers wait for a
 * checkpoint, which was started): ask again after db_poll().  A view holds back memory and disk
 * space, so it is to be released soon, and before db_close(). */
struct db_view *db_view_new(struct db *db);
void db_view_release(struct db_view *view);
uint64_t db_view_index(const struct db_view *view);
/* As db_get() and db_scan(), but `value` is borrowed until the next call on the view. */
enum db_type db_view_get(struct db_view *view, unsigned database, struct bytes key,
                         struct bytes *value);
uint64_t db_view_scan(struct db_view *view, unsigned database, uint64_t cursor,
                      struct db_scan_limit limit, db_scan_fn *each, void *context);

/* ---- before a long entry ---------------------------------------------------- */

/* Before the first change of an entry that may take long: until its db_applied() there are views of
 * the state before it.  What the entry does is the same with and without.  False: too many layers,
 * there are none. */
bool db_part(struct db *db);
bool db_is_parted(const struct db *db);
/* db_due_ms() of the state before; parted. */
int64_t db_before_due_ms(const struct db *db);

/* Reads look at this view (borrowed), given it or not, until db_look_end(); nothing may be changed.
 * `begins`: the read can begin again.  True: what it saw is so, at any time from db_at()'s to
 * `until_ms` (if that is later).  False: it asked what a view cannot tell, counts of keys, or met a
 * deadline in between: what it made of it is worth nothing.  Counts are the present ones where it
 * does not begin, and not known while an entry is half done. */
void db_look_at(struct db *db, struct db_view *view, int64_t until_ms, bool begins);
bool db_look_end(struct db *db);

/* ---- effects --------------------------------------------------------------- */

/* What an entry did to keys, for who tells others of it. */
enum db_effect_type {
    DB_EFFECT_PUT,     /* the key was put, whether there was one before or not */
    DB_EFFECT_DELETED, /* it was there */
    DB_EFFECT_FLUSHED, /* all keys of `database`, if there were any; no event, no key */
    DB_EFFECT_SWAPPED, /* all keys of `database` with those of `other`; likewise */
    DB_EFFECT_MESSAGE  /* PUBLISH: nothing changed; `key` is the channel, no event */
};

struct db_effect {
    enum db_effect_type type;
    uint8_t database, other;
    const char *event; /* as Redis's keyspace notifications name it: "set", "del"; static */
    struct bytes key;  /* borrowed for the call, like the message */
    struct bytes message;
    bool is_sharded;   /* of a message: SPUBLISH; */
    bool is_of_script; /* a script's, not one of its entry's own commands */
};

/* From the next entry on; nothing is noted before somebody wants it. */
void db_effects_want(struct db *db, bool is_wanted);
/* A command begins: what it does to a key several times in a row is told once. */
void db_effects_command(struct db *db);
/* The event of the changes that follow, until another is named or the entry ends. */
void db_effects_name(struct db *db, const char *event);
/* A name: of these changes nobody is told, db_effects_also() does it for all of them. */
extern const char db_effect_untold[];
/* One change that has two events: this one comes behind that of a put. */
void db_effects_also(struct db *db, unsigned database, struct bytes key, const char *event);
/* A message, among the changes in the order of the commands. */
void db_effects_message(struct db *db, bool is_sharded, bool is_of_script, struct bytes channel,
                        struct bytes message);
/* If they are wanted, exactly once for each entry that had changes, between the last of them and
 * db_applied(): calls `each`, which must not change the db, for all effects in order. */
typedef void db_effect_fn(void *context, const struct db_effect *effect);
void db_effects_drain(struct db *db, db_effect_fn *each, void *context);

/* ---- savepoints -------------------------------------------------------------- */

/* For an execution that is all or nothing, a script's: everything that it changes after
 * db_savepoint(), effects included, is undone by db_rollback() as if it had never been, or stays
 * for good by db_release().  One of the two ends it, within the same entry; there is one at a
 * time. These two do some of it at a time: false: call again, in this slice or a later one, before
 * anything else is done with the db but db_poll(). */
void db_savepoint(struct db *db);
bool db_rollback(struct db *db);
bool db_release(struct db *db);
bool db_has_savepoint(const struct db *db);
/* The changes of this entry that savepoints kept (those undone do not count) have reached their
 * bound: what goes on changing is to be undone, else memory has no bound.  Equal on all nodes. */
bool db_savepoint_is_full(const struct db *db);

/* ---- collections ----------------------------------------------------------- */

/* A small collection is one payload, as its type has it.  The elements of a large one are rows of a
 * space, and the payload of its key says what else its type keeps.  To delete the key, or to write
 * over it, is O(1), and ends the space with all its rows.  `view` NULL: as it is now. */

/* What is at a key, and its payload (may be NULL), borrowed until the next call on the db or the
 * view. False: no such key. */
bool db_find(struct db *db, struct db_view *view, unsigned database, struct bytes key,
             struct db_record *found, struct bytes *payload);
/* The same, but of a string in pages the payload is not collected: it is what its record has. */
bool db_find_kept(struct db *db, struct db_view *view, unsigned database, struct bytes key,
                  struct db_record *found, struct bytes *payload);
/* For a large collection that is about to get its key in this database, within the same entry. */
uint64_t db_space_new(struct db *db, unsigned database);
/* Of one that gets no key after all.  O(1). */
void db_space_drop(struct db *db, unsigned database, uint64_t space);
/* As db_put(), but looks at what was there.  space 0: all is in the payload. */
void db_put_collection(struct db *db, unsigned database, struct bytes key,
                       const struct db_record *record, struct bytes payload);

/* A space that is always there and no key's: of what the server keeps beside the databases, as
 * scripts.  Flushing leaves it alone.  Whose a row is its name says: see command/script_store.h. */
enum { DB_SPACE_SERVER = 0 };

/* Where a row stands among the others of its space: what its type says, or the hash of its name. */
uint64_t db_row_word(const struct db *db, struct bytes name);
/* False: no such row.  The value is borrowed as above. */
bool db_row_get(struct db *db, struct db_view *view, uint64_t space, uint64_t word,
                struct bytes name, struct bytes *value);
/* The value may be one that db_row_get() lent.  False: it is new. */
bool db_row_put(struct db *db, uint64_t space, uint64_t word, struct bytes name,
                struct bytes value);
/* Of a value in two parts, of which the second may be lent. */
bool db_row_put_parts(struct db *db, uint64_t space, uint64_t word, struct bytes name,
                      struct bytes head, struct bytes value);
bool db_row_delete(struct db *db, uint64_t space, uint64_t word, struct bytes name);

typedef void db_row_fn(void *context, struct bytes name, struct bytes value);

/* As db_scan(), over rows whose words are hashes. */
uint64_t db_row_scan(struct db *db, struct db_view *view, uint64_t space, uint64_t cursor,
                     struct db_scan_limit limit, db_row_fn *each, void *context);
/* Any row of a space that has `count` of them, with hashes for words: the same chance for each. */
void db_row_random(struct db *db, struct db_view *view, uint64_t space, uint64_t count,
                   uint64_t *seed, db_row_fn *each, void *context);

/* Adds the rows (or the pages) of one space, which may be of a view, to another, from a word on,
 * until they reach a limit, whose keys do not count; rows of one word together.  True: *word is the
 * next; false: there are no more. */
bool db_space_copy(struct db *db, struct db_view *view, uint64_t space, uint64_t to,
                   bool is_of_pages, uint64_t *word, struct db_scan_limit limit);

/* A place for a large collection that is made of a view while the db goes on, and belongs to nobody
 * until an entry takes it: see beside.c.  It is a db with nothing in it, to which whoever makes
 * something gives that and the view.  Not part of the state; ends before the db.
 * `on` (borrowed): for who changes something, it has all that this view shows, but for scans of
 * keys. */
struct db *db_beside_new(struct db *db, struct db_view *on);
void db_beside_free(struct db *beside);
/* What was made in this space becomes the db's, within an entry, as if it had been made there: a
 * space for a key of the database, whose number it returns.  O(1); without a savepoint. */
uint64_t db_beside_adopt(struct db *db, struct db *beside, unsigned database, uint64_t space);
/* What was changed in this space, of which the db has what the view showed, is changed in the db,
 * within an entry that changed nothing of it.  Likewise. */
void db_beside_adopt_changes(struct db *db, struct db *beside, uint64_t space);
/* Whether that may be done: active has nothing of the space. */
bool db_beside_fits(const struct db *db, uint64_t space);

/* All keys of the database that were deleted there, or put, are in the db, where nobody changed any
 * that was looked at since the view, as the first thing that an entry does; with their effects, if
 * those were noted.  O(1) but for the versions of those that were put, and new spaces; without a
 * savepoint.  Once. */
void db_beside_adopt_keys(struct db *db, struct db *beside, unsigned database);
/* Before that, when nothing more is put there: so that it takes as little as can be, some `most` of
 * the keys at a time.  True: it is done. */
bool db_beside_list_puts(struct db *beside, unsigned database, uint64_t most);
bool db_beside_is_taken(const struct db *beside); /* that was done */
/* The place is for that, and effects are noted; `puts`: keys are put there. */
void db_beside_keys(struct db *beside, bool puts);
/* Whether that may be done: there is room for a layer. */
bool db_beside_fits_keys(const struct db *db);
/* For that and the view that it takes. */
bool db_beside_has_layers(const struct db *db);

/* From now on, the beginning of the view, the place hears of each key of the database that an entry
 * writes, whatever the entry tells of it, and remembers it, as it does keys that were looked at, by
 * their hashes. */
void db_beside_listen(struct db *beside, unsigned database);
void db_beside_look(struct db *beside, struct bytes key); /* of the view */
void db_beside_end_looks(struct db *beside);              /* no other is looked at */
/* One of those was written since the view, or all were flushed or swapped. */
bool db_beside_is_changed(const struct db *beside);
uint64_t db_beside_looks(const struct db *beside);  /* how many it remembers */
uint64_t db_beside_spaces(const struct db *beside); /* how many new ones it has */

/* Whether a key is still what it was: it is, between two entries, if all of this is equal. */
struct db_identity {
    uint64_t database_space; /* FLUSHDB and SWAPDB change it */
    enum db_type type;       /* DB_NONE: there is no such key */
    uint64_t version, space;
};
/* False: its version does not tell. */
bool db_identify(struct db *db, unsigned database, struct bytes key, struct db_identity *identity);

/* Pages of a space, by number: as rows, but apart from them, so that a collection can have both,
 * and a scan gives rows alone.  See tree.h. */
bool db_page_get(struct db *db, struct db_view *view, uint64_t space, uint64_t number,
                 struct bytes *page);
void db_page_put(struct db *db, uint64_t space, uint64_t number, struct bytes page);
bool db_page_delete(struct db *db, uint64_t space, uint64_t number);
/* One that was looked at, and stays so, whatever else is changed, until it is changed itself: who
 * does that need not look for it again. */
struct db_page {
    struct bytes bytes;  /* borrowed; where `entry` is NULL until the next call on the db */
    struct entry *entry; /* where it can be changed; NULL: it has to be brought there */
};
bool db_page_look(struct db *db, struct db_view *view, uint64_t space, uint64_t number,
                  struct db_page *page);
/* Of a page that is there and was looked at (or {0}), the bytes [from, to) give way to `parts`,
 * which are not what the db lent; *page is what it is then. */
void db_page_edit(struct db *db, uint64_t space, uint64_t number, struct db_page *page, size_t from,
                  size_t to, const struct bytes *parts, unsigned count);
/* Writes `part` into a page, over what it has from `offset` on or behind it, zeros in between. */
void db_page_splice(struct db *db, uint64_t space, uint64_t number, uint64_t offset,
                    struct bytes part);

/* ---- strings in pages -------------------------------------------------------- */

/* A string can be in pages of a space, so that to look at a part, or to change it, costs the part,
 * and to look at its key, or to put another over it, costs nothing of it.  Who only reads whole
 * values need not know: db_get() and db_find() collect it.  What db_put() puts over it is plain.
 * What was never written, or was zeros when the pages were made, has no pages. */
enum { DB_STRING_PAGE = 4096 };

/* Of a string in pages: `size` bytes from `offset` on, or what there is of them; borrowed until the
 * next call on the db or the view. */
struct bytes db_string_part(struct db *db, struct db_view *view, const struct db_record *found,
                            uint64_t offset, uint64_t size);
/* As db_splice(), of a string in pages, or of a key that is not there (found->type DB_NONE). */
void db_string_write(struct db *db, unsigned database, struct bytes key,
                     const struct db_record *found, uint64_t offset, struct bytes part);
/* Its pages alone, some of them before the others: the record is put behind the last. */
void db_string_write_pages(struct db *db, uint64_t space, uint64_t offset, struct bytes part);
/* Makes the pages of a new string: what it has from `offset` on, a multiple of DB_STRING_PAGE. */
void db_string_fill(struct db *db, uint64_t space, uint64_t offset, struct bytes part);
/* And gives it its key: record->space and deadline_ms say which and until when. */
void db_string_put(struct db *db, unsigned database, struct bytes key,
                   const struct db_record *record, uint64_t size);
/* The same as db_put() does it, without a look at what was there: so only with a space that this
 * entry made, and no key has. */
void db_string_set(struct db *db, unsigned database, struct bytes key,
                   const struct db_record *record, uint64_t size);

/* ---- exactly-once receipts ---------------------------------------------- */

/* The last request of a client and its reply (RESP3 bytes), part of the replicated state; flushing
 * the keys leaves it alone.  get: false if there is none; `reply` is borrowed until the next call
 * on the db.  put: `reply` is copied, and must not be one that the db lent. */
bool db_receipt_get(struct db *db, struct bytes client, uint64_t *request_id, struct bytes *reply);
void db_receipt_put(struct db *db, struct bytes client, uint64_t request_id, struct bytes reply,
                    int64_t now_ms);
/* Ends receipts last used before `before_ms`, longest known first.  Looks at no more than
 * `count_max` in one call (0 ended does not mean that none is left); cheap when none is due.
 * Returns how many it ended. */
uint32_t db_receipt_expire(struct db *db, int64_t before_ms, uint32_t count_max);

/* ---- log position and checkpoints ---------------------------------------- */

/* After each applied entry, of any kind, with rising indices: all changes since the last call
 * belong to it.  May start a checkpoint. */
void db_applied(struct db *db, uint64_t index, uint64_t term, int64_t now_ms);
uint64_t db_applied_index(const struct db *db);
int64_t db_time_ms(const struct db *db); /* highest stamp applied so far */
/* Of an entry, before db_applied().  Kept is the highest: part of the replicated state. */
void db_note_meaning(struct db *db, uint8_t meaning);
uint8_t db_meaning(const struct db *db); /* 0: none was noted */
/* Everything up to here is in the kv for good: the log may be cut up to it. */
uint64_t db_persisted_index(const struct db *db);
/* What the newest checkpoint stores, under way or done. */
uint64_t db_checkpoint_index(const struct db *db);
/* False while the changes in memory, but for what the largest entry made, are at their bound, which
 * grows with what the checkpoint under way has done: stop applying until `wake` was called. */
bool db_ready(const struct db *db);
/* False while, beside a checkpoint, there is half of what begins one: what may be large is not to
 * be made beside the db then, so that it leaves others room. */
bool db_ready_for_large(const struct db *db);
/* Start one now, unless one is under way, nothing was applied since the last, or an entry is half
 * done. */
void db_checkpoint(struct db *db);
void db_wait(struct db *db); /* for the checkpoint under way, if any; tests */
/* One is under way, and all that it does in its thread is done: db_poll() takes notice. */
bool db_checkpoint_has_ended(const struct db *db);
void db_poll(struct db *db); /* take notice of a finished checkpoint; may start the next */
/* Order-independent hash of all keys, types, values, receipts: equal on nodes at equal index.
 * Reads everything: tests and the simulator. */
uint64_t db_hash(struct db *db);

struct db_stats {
    uint64_t keys;       /* of all databases; up to `unresolved` too many */
    uint64_t unresolved; /* see db_resolve() */
    uint64_t dirty_bytes;
    uint64_t dirty_keys;
    uint64_t cached_bytes; /* of rows and pages that were read */
    uint64_t checkpoints;
    uint64_t receipts;
    uint64_t expired; /* keys that were deleted because their deadline had come, since the start */
    uint32_t views;   /* alive */
    bool checkpoint_under_way;
};
void db_stats(const struct db *db, struct db_stats *stats);

#endif
