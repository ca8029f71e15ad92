/* A sorted set or a list at a key: entries in an order, found by rank, and those of a sorted set by
 * key.  See data/tree.h for what a key, a value and a rank are.
 *
 * A small one is a page (data/page.h) in its key's record.  One that outgrows Redis's defaults
 * becomes large, and stays it: a tree, whose root its record keeps; and of a sorted set, in the
 * same space, a row a member with its score (sorted_entry.h).  These bounds belong to the format:
 * no configuration changes them.
 *
 *      payload    small: a page
 *                 large:  0   1  form, 17
 *                         1  28  root of the tree
 *
 * Loop thread.  One that is opened, changed and saved within an entry; or opened and read. */
#ifndef COMMAND_ORDERED_H
#define COMMAND_ORDERED_H

#include "command/commands.h"
#include "data/tree.h"

enum {
    ORDERED_SMALL_MAX = 128,   /* members of a small sorted set, */
    ORDERED_SMALL_SIZE = 64,   /* bytes of each; */
    ORDERED_SMALL_BYTES = 8192 /* of a small list */
};

struct ordered {
    struct db *db; /* borrowed, as are the next two */
    struct db_view *view;
    struct bytes key;
    unsigned database;
    struct db_record record; /* its type is set also if there is none; space 0: small */
    uint64_t count;          /* of entries; 0: there is none */
    struct buffer page;      /* of a small one */
    struct db_tree tree;     /* of a large one */
};

/* False: what is there has another type; answered.  To be closed in any case. */
bool ordered_open(struct ordered *ordered, struct call *call, struct bytes key, enum db_type type);
/* An empty one, to be saved at this key whatever is there. */
void ordered_new(struct ordered *ordered, struct call *call, struct bytes key, enum db_type type);
void ordered_close(struct ordered *ordered);

uint64_t ordered_rank(const struct ordered *ordered, struct bytes key, bool *is_there);
/* rank < count.  Borrowed until the next call on the db or this. */
void ordered_get(const struct ordered *ordered, uint64_t rank, struct bytes *key,
                 struct bytes *value);
/* As db_tree_walk(). */
uint64_t ordered_walk(const struct ordered *ordered, uint64_t rank, uint64_t count,
                      bool is_backward, db_tree_fn *each, void *context);
/* Key and value are copied, and not what the db or this lent. */
void ordered_insert(struct ordered *ordered, struct bytes key, struct bytes value);
/* The entry of a sorted set that has the key `from` gets another of the same member. */
void ordered_move(struct ordered *ordered, struct bytes from, struct bytes key, struct bytes value);
void ordered_insert_at(struct ordered *ordered, uint64_t rank, struct bytes value);
/* Takes out up to `count` (> 0) from `rank` on, as many as a short time allows.  Returns how
 * many. */
uint64_t ordered_cut(struct ordered *ordered, uint64_t rank, uint64_t count);
/* Of a list: db_tree_take(). */
void ordered_take(struct ordered *ordered, uint64_t rank, db_tree_fn *each, void *context);

/* Between two slices of an entry: appends what is not saved to `aside`; takes that back into one of
 * ordered_new(). */
void ordered_put_aside(const struct ordered *ordered, struct buffer *aside);
void ordered_take_back(struct ordered *ordered, struct call *call, struct bytes aside);
/* In the entry of one that was prepared, which put this aside: a new one belongs to the entry; */
void ordered_take_made(struct ordered *ordered, struct call *call);
/* one that was opened is what it was made there, in a space that is new if it was small. */
void ordered_take_changes(struct ordered *ordered, struct call *call, struct bytes aside);

/* How many elements a pop of so many takes out of what is there; `count` is not negative. */
uint64_t ordered_pop_size(struct call *call, struct bytes key, enum db_type type, int64_t count);

/* Of one that takes elements out, and has them in the parts of the reply: behind all that is to be
 * done.  True: what is left is to save it, and to answer. */
bool ordered_ends_pop(struct ordered *ordered, struct call *call);
/* In its entry: all that is left. */
void ordered_take_popped(struct ordered *ordered, struct call *call);

/* A slice of a write of many words: the first of them, as call_slice() has it.  What was prepared
 * is taken over, and no word is left. */
uint32_t ordered_slice(struct ordered *ordered, struct call *call, uint32_t first);
/* Its end, saved if something was changed, by this slice; walk->seen: by any. */
void ordered_end_slice(struct ordered *ordered, struct call *call, bool is_changed,
                       const char *event);

/* Makes its key say what it is now, under the event's name; one that is empty is deleted, with the
 * event "del" after that. */
void ordered_save(struct ordered *ordered, const char *event);

#endif
