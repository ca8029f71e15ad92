/* One space of a table as layers, and the kv below them, together show it, in order of (word,
 * name). */
#ifndef DATA_MERGE_H
#define DATA_MERGE_H

#include "data/layers.h"
#include "data/ranges.h"

/* What a merge reads. */
struct sources {
    const struct layer *layers[LAYERS_MAX + 1]; /* the newest first; borrowed */
    unsigned count;
    struct kv *kv;                      /* borrowed; NULL: the layers alone */
    const struct kv_snapshot *snapshot; /* NULL: the kv as it is now */
    const struct state *persisted;      /* of the kv, for layers_kv_counts() */
    struct ranges *ranges;              /* of the kv as it is now; borrowed; NULL: none */
};

/* All of a db as it is now. */
struct sources merge_sources(const struct db *db);

struct merge {
    const struct sources *sources; /* borrowed; must not change while the merge is open */
    enum table table;
    uint64_t space;
    struct overlay_iter iters[LAYERS_MAX + 1]; /* one a layer */
    struct kv_iter *kv_iter;                   /* owned; NULL: nothing in the kv counts */
    uint64_t kv_last;                          /* behind this word it is not looked, */
    uint64_t kv_from, kv_to, kv_width;         /* and where it gave up, between these for now */
    bool kv_gives_up;                          /* as a walk in slices does */
    bool kv_was_in_vain;                       /* so was the last try of so many words, */
    unsigned kv_step;                          /* and of the next the number has so many bits more
                                                * or less; */
    unsigned vain;                             /* since merge_rows() */
    bool kv_has_more;                          /* it stands at: */
    bool kv_is_passed;                         /* no row, but that there is none before this word */
    struct place kv_place;                     /* its name, as the record, borrowed from kv_iter */
    struct bytes kv_record;
    bool is_given;        /* what the kv has of a range is in given[], the rest of it in kv_rows */
    struct buffer given;  /* owned */
    struct bytes kv_rows; /* of it */
    unsigned seeks;       /* in the kv */
    unsigned spent;       /* bit i: the present name came from layer i; behind them: from the kv */

    /* The present one; borrowed until the next call. */
    uint64_t word;
    struct bytes name, record;
    const struct entry *entry; /* of the newest layer that has it; NULL: of the kv */
    bool is_passed;            /* no name: see below */
};

/* What was passed over before the kv gave up costs as much as so many rows that are read. */
enum { MERGE_PASSED = 500 };

/* `space`: 0 for tables that have none. */
void merge_open(struct merge *merge, const struct sources *sources, enum table table,
                uint64_t space, uint64_t word_from);
/* For who must come to a row, however much lies before it that is deleted: nothing is_passed. */
void merge_open_whole(struct merge *merge, const struct sources *sources, enum table table,
                      uint64_t space, uint64_t word_from);
/* It stands nowhere yet. */
void merge_begin(struct merge *merge, const struct sources *sources, enum table table,
                 uint64_t space);
/* It goes on with one range, of its table and space, which is small; behind its last word the names
 * of the layers may follow, and of the kv as many as it comes to, or none.  What the kv has of it
 * is kept, and need not be looked for the next time (L9); and of ranges of the same size behind it,
 * up to the word `last`, how many names they have. */
void merge_seek_range(struct merge *merge, const struct merge_range *range, uint64_t last);
/* The next name, deleted ones too; false: at the end.  Where the kv has nothing but rows that are
 * deleted, or that came later, it does not go on to the next that is to be seen: some MERGE_PASSED
 * of them are passed over, and count as one that is deleted, with the word before which there is
 * nothing any more, and no name (is_passed).  That word may be the same several times. */
bool merge_next(struct merge *merge);
/* For who bounds what he looks at: as many rows as the present one is worth, and with it all that
 * was tried in vain before.  One that is passed counts if its word is another than the last. */
uint64_t merge_rows(struct merge *merge);
/* The next that is not deleted. */
bool merge_next_live(struct merge *merge);
void merge_close(struct merge *merge);

/* db_scan() over any sources and space; see there.  `each` gets the record. */
uint64_t merge_scan(const struct sources *sources, enum table table, uint64_t space,
                    uint64_t cursor, struct db_scan_limit limit, db_row_fn *each, void *context);

/* Which keys of a space, and who gets them. */
struct merge_keys {
    uint64_t space;
    const struct db *db; /* borrowed; keys whose deadline has come there are left out */
    db_scan_fn *each;
    void *context;
};
uint64_t merge_scan_keys(const struct sources *sources, const struct merge_keys *keys,
                         uint64_t cursor, struct db_scan_limit limit);

/* Opens the merge, and lets it stand at any live name of the range, which has `count` of them, each
 * with the same chance. */
void merge_random(struct merge *merge, const struct sources *sources,
                  const struct merge_range *range, uint64_t count, uint64_t *seed);

static inline bool merge_is_live(const struct merge *merge)
{
    return !merge->is_passed && (!merge->entry || !merge->entry->is_tombstone);
}

#endif
