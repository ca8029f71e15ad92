/* Changes kept in memory: for each space an ordered map from (word, name) to a record or a
 * tombstone.
 *
 * A Judy array maps the space to its map, another in there the word to its entry.  Words are
 * hashes, so nearly always there is one entry a word; where there are more they stand in an array
 * in order of their names, so that names of one word, even if somebody finds many, cost a binary
 * search.  All of it is ordered, so that a checkpoint writes it without sorting and a scan can
 * merge it.  Any number of threads may read one that nobody changes. */
#ifndef DATA_OVERLAY_H
#define DATA_OVERLAY_H

#include <stdint.h>

#include "base/bytes.h"

/* Do the layers below this overlay have the name?  If so, to delete it takes a tombstone.  Not
 * known of a name that was written without a look below; it is counted as if they had not. */
enum overlay_below { BELOW_NO, BELOW_YES, BELOW_UNKNOWN };

struct entry {
    uint32_t record_size;
    uint32_t record_capacity;
    uint32_t name_size;
    bool is_tombstone;
    uint8_t below;        /* enum overlay_below */
    bool is_kept;         /* changed since the savepoint, which has what it was; layers_keep() */
    unsigned char data[]; /* name, record */
};

struct overlay {
    void *maps;              /* JudyL, space -> struct overlay_map *; owned */
    struct overlay_map *hot; /* the one that was changed last, or NULL */
    uint64_t entries;
    uint64_t
        unresolved; /* of them BELOW_UNKNOWN; the owner of the overlay keeps it while he resolves */
    uint64_t bytes; /* memory, about */
};

/* Where a name stands in an overlay, or will.  Good until the overlay is changed otherwise. */
struct overlay_spot {
    struct overlay_map *map;
    void **slot;
    uint32_t place;
    struct entry *entry; /* NULL: the overlay says nothing of the name */
};

/* NULL: the overlay says nothing of this name. */
struct entry *overlay_find(const struct overlay *overlay, uint64_t space, uint64_t word,
                           struct bytes name);
/* Some name of this word is going to be looked for, perhaps by overlay_at() in what is returned,
 * which is good until the overlay is changed.  NULL: the overlay says nothing of any. */
void **overlay_foresee(const struct overlay *overlay, uint64_t space, uint64_t word);
struct entry *overlay_at(void **slot, struct bytes name);
/* To be followed by one of the two below. */
struct overlay_spot overlay_locate(struct overlay *overlay, uint64_t space, uint64_t word,
                                   struct bytes name);
/* The record is `header` and `payload` together; the payload may lie in the entry replaced.
 * `below` is for a new entry; one that was there keeps what it had. */
struct entry *overlay_put(struct overlay *overlay, const struct overlay_spot *spot,
                          struct bytes name, struct bytes header, struct bytes payload,
                          enum overlay_below below);
/* The same, with room in the entry for a record of `capacity` bytes. */
struct entry *overlay_put_roomy(struct overlay *overlay, const struct overlay_spot *spot,
                                struct bytes name, struct bytes header, struct bytes payload,
                                size_t capacity, enum overlay_below below);
/* Writes into a record that has room for it, over what is there or behind it, zeros in between.
 * Returns how many bytes it touched. */
size_t overlay_splice(struct entry *entry, size_t offset, struct bytes part);
/* Has the entry room for a record of this size, and not much more? */
bool overlay_fits(const struct entry *entry, size_t record_size);
/* What stands in a record from `from` to `to` gives way to `parts`, which are not of it, and what
 * is behind it moves; the entry has room for that.  Likewise. */
size_t overlay_edit(struct entry *entry, size_t from, size_t to, const struct bytes *parts,
                    unsigned count);
/* Makes it a tombstone. */
struct entry *overlay_bury(struct overlay *overlay, const struct overlay_spot *spot,
                           struct bytes name, enum overlay_below below);
/* Says of an entry what is below. */
void overlay_resolve(struct overlay *overlay, uint64_t space, struct entry *entry,
                     enum overlay_below below);
/* Forgets an entry that is there. */
void overlay_remove(struct overlay *overlay, uint64_t space, uint64_t word, struct bytes name);
/* Takes a whole space out, O(1): what it returns holds that alone, or nothing. */
struct overlay overlay_cut(struct overlay *overlay, uint64_t space);
/* And puts it back, where nothing has come in its place. */
void overlay_paste(struct overlay *overlay, struct overlay *cut, uint64_t space);
/* The whole of a space, if there is any of it, becomes all of another of another overlay, O(1).
 * Returns its bytes. */
uint64_t overlay_move(struct overlay *overlay, uint64_t space, struct overlay *from,
                      uint64_t from_space);
/* Gives the entry of the spot to the caller, and leaves another there, without a record, but with
 * room for one of `capacity` bytes. */
struct entry *overlay_take(struct overlay *overlay, struct overlay_spot *spot, size_t capacity);
/* And takes it back, whatever is there now. */
void overlay_restore(struct overlay *overlay, uint64_t space, uint64_t word, struct entry *entry);
uint64_t overlay_entries(const struct overlay *overlay, uint64_t space);
/* Names from one word to another, deleted ones too, without a look at any entry: their number, or
 * some number from `enough` on. */
uint64_t overlay_names(const struct overlay *overlay, uint64_t space, uint64_t first, uint64_t last,
                       uint64_t enough);
void overlay_deinit(struct overlay *overlay);
/* The first space >= *space that has entries; false: there is none. */
bool overlay_next_space(const struct overlay *overlay, uint64_t *space);

static inline struct bytes entry_name(const struct entry *entry)
{
    return bytes_of(entry->data, entry->name_size);
}

static inline struct bytes entry_record(const struct entry *entry)
{
    return bytes_of(entry->data + entry->name_size, entry->record_size);
}

/* A walk through one space in order; the overlay must not change meanwhile.  It finds some words
 * ahead, so that their entries are on their way from memory when their turn comes: they lie there
 * in no order. */
enum { OVERLAY_AHEAD = 4 };

struct overlay_iter {
    uint64_t word;
    struct entry *const *list; /* those of the word */
    uint32_t count, at;
    struct entry *entry; /* the present one; NULL: at the end */
    const void *words;   /* of the space; borrowed; NULL: there are none behind those ahead */
    uint64_t found;      /* the last word ahead, or the present one */
    struct {
        uint64_t word;
        void **slot;
    } ahead[OVERLAY_AHEAD]; /* a ring */
    uint32_t ahead_first, ahead_count;
};

void overlay_seek(struct overlay_iter *iter, const struct overlay *overlay, uint64_t space,
                  uint64_t word_from);
void overlay_step(struct overlay_iter *iter); /* not at the end */

/* Order of names within a word: that of their bytes, as in the kv. */
int overlay_name_compare(struct bytes a, struct bytes b);

#endif
