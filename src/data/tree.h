/* A counted tree: many entries in an order, in pages of a few KB that lie in a space.  Sorted sets,
 * lists and streams are made of it.
 *
 * An entry is a key and a value.  Keys are compared as bytes, the shorter first; no two are equal.
 * Or no entry has a key, and places alone say where one is.  Seeks by key and by rank, the rank of
 * a key, inserting and taking out cost O(log n), which for ten million are four pages or five.
 *
 * The shape follows from the order of the changes alone, so it is the same on every node.  What the
 * tree is besides its pages, `struct db_tree_root`, its owner keeps in the payload of the key.  A
 * page that is damaged ends the process. */
#ifndef DATA_TREE_H
#define DATA_TREE_H

#include <stdint.h>

#include "base/bytes.h"
#include "data/db.h"

struct db_tree_root {
    uint64_t count;  /* entries */
    uint64_t page;   /* the top one's number; 0: empty */
    uint64_t next;   /* number of the next page that is made, but for the first; never again */
    uint32_t height; /* levels; 0: empty */
};

enum { DB_TREE_ROOT_SIZE = 28 };

/* {.root = {0}} is an empty tree. */
struct db_tree {
    struct db *db;        /* borrowed */
    struct db_view *view; /* borrowed; NULL: as it is now.  A tree of a view is not changed. */
    uint64_t space;
    struct db_tree_root root;
};

void db_tree_root_encode(unsigned char *out, const struct db_tree_root *root);
/* Of DB_TREE_ROOT_SIZE bytes.  False: damaged. */
bool db_tree_root_decode(struct bytes bytes, struct db_tree_root *root);

/* How many keys are below this one.  is_there (may be NULL): whether one is equal. */
uint64_t db_tree_rank(const struct db_tree *tree, struct bytes key, bool *is_there);
/* rank < count.  Borrowed until the next call on the db. */
void db_tree_get(const struct db_tree *tree, uint64_t rank, struct bytes *key, struct bytes *value);

/* Borrowed for the call, which must not change the db.  False: enough. */
typedef bool db_tree_fn(void *context, struct bytes key, struct bytes value);

/* Gives what is in one page from `rank` on, in order, or backwards: at most `count` (> 0).
 * rank < root.count.  Returns how many were given, one for which `each` said enough included; a
 * walk goes on with another call. */
uint64_t db_tree_walk(const struct db_tree *tree, uint64_t rank, uint64_t count, bool is_backward,
                      db_tree_fn *each, void *context);

/* The key is not there; key and value are copied, and not what the db lent.  Returns its rank. */
uint64_t db_tree_insert(struct db_tree *tree, struct bytes key, struct bytes value);
/* The same of a key that is above all that are there. */
void db_tree_append(struct db_tree *tree, struct bytes key, struct bytes value);
/* How many entries there are at its end of which an append may change the pages, if it may not
 * change more than counts in the others.  As long as more are left behind it, what is cut off at
 * the front may be cut off before the append or after it: the same tree comes of both.  False: an
 * append of an entry of these sizes may change more. */
bool db_tree_end(const struct db_tree *tree, size_t key_size, size_t value_size, uint64_t *count);
/* In a tree without keys: rank <= count. */
void db_tree_insert_at(struct db_tree *tree, uint64_t rank, struct bytes value);
/* rank < count; a value of the size of the one that is there, and not what the db lent. */
void db_tree_set(const struct db_tree *tree, uint64_t rank, struct bytes value);
/* Where a value lies in memory: it may be written over there until the tree is changed, and stays
 * there if the pages of the tree become another db's meanwhile (db_beside_adopt_changes()). */
typedef void db_tree_place_fn(void *context, struct bytes key, unsigned char *value, size_t size);
/* Passes over what is in one page from `rank` on, at most `count` (> 0), and gives the places if
 * that page was changed in active, else nothing.  rank < root.count.  Returns how many were passed.
 */
uint64_t db_tree_places(const struct db_tree *tree, uint64_t rank, uint64_t count,
                        db_tree_place_fn *each, void *context);
/* Takes out what is at the ranks from `rank` on, `count` of them, or fewer where more than `pages`
 * pages (> 0) would have to be touched.  Returns how many. */
uint64_t db_tree_cut(struct db_tree *tree, uint64_t rank, uint64_t count, uint64_t pages);
/* Gives the entry at this rank, and takes it out.  rank < count; what `each` says is all the
 * same. */
void db_tree_take(struct db_tree *tree, uint64_t rank, db_tree_fn *each, void *context);

/* The entry that has the key `from` gets another, which is not there, and another value: as a cut
 * and an insert do it, for less where the keys are near each other. */
void db_tree_move(struct db_tree *tree, struct bytes from, struct bytes to, struct bytes value);

struct db_tree_shape {
    uint64_t pages, bytes;
};
/* Looks at everything: dies if what has to hold of a tree does not.  For tests. */
void db_tree_check(const struct db_tree *tree, bool has_keys, struct db_tree_shape *shape);

#endif
