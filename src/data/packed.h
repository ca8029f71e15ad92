/* The payload of a collection in its key's record; its first byte says which form it has.
 *
 *   strings                     integers                   large: its rows are in a space
 *    0  1  form, 1               0  1  form, 2              0  1  form, 3
 *    1  4  elements              1     8 each, rising       1  8  elements
 *    5     elements: size, bytes
 *
 *   timed: fields of a hash      large and timed: a hash
 *    as strings, with form 4;     0  1  form, 5
 *    of each field a name, a      1  8  fields
 *    value, and its deadline,     9 28  root of the tree of those with deadlines (tree.h)
 *    8 bytes or none
 *
 * Numbers are little endian.  The size of an element is 7 bits a byte, the lowest first, all but
 * the last byte with the upper bit set.
 *
 * Strings stand in the order in which they were added.  What a reader finds damaged ends the
 * process, as in record.h.  Pure functions, any thread. */
#ifndef DATA_PACKED_H
#define DATA_PACKED_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "data/tree.h"

enum packed_form {
    PACKED_NONE,
    PACKED_STRINGS,
    PACKED_INTEGERS,
    PACKED_LARGE,
    PACKED_TIMED,
    PACKED_LARGE_TIMED
};

enum { PACKED_LARGE_SIZE = 9, PACKED_LARGE_TIMED_SIZE = PACKED_LARGE_SIZE + DB_TREE_ROOT_SIZE };

/* Dies on a form that this version does not know. */
enum packed_form packed_form(struct bytes payload);
/* Of any form. */
uint64_t packed_count(struct bytes payload);

/* ---- strings, timed ------------------------------------------------------------------- */

struct packed_walk {
    const unsigned char *begin, *at, *end;
    uint32_t left;   /* elements */
    size_t from, to; /* where the last element given stands in the payload, its size included */
};

/* An empty one, in the cleared `packed`; form: PACKED_STRINGS or PACKED_TIMED. */
void packed_init(struct buffer *packed, enum packed_form form);
/* `payload` is borrowed while the walk goes on. */
void packed_walk(struct packed_walk *walk, struct bytes payload);
/* False: there is no more.  The element points into the payload. */
bool packed_next(struct packed_walk *walk, struct bytes *element);
void packed_append(struct buffer *packed, struct bytes element);
/* Puts `count` elements, which are not of this payload, where `removed` others stand: at the bytes
 * `from` to `to`, as a walk gives them. */
void packed_splice(struct buffer *packed, size_t from, size_t to, uint32_t removed,
                   const struct bytes *elements, uint32_t count);

/* ---- integers ------------------------------------------------------------------------ */

void packed_integers_init(struct buffer *packed);
int64_t packed_integer(struct bytes payload, uint32_t i); /* i < packed_count() */
/* Whether it is there, and its place, or the place it would have. */
bool packed_integer_find(struct bytes payload, int64_t value, uint32_t *i);
void packed_integer_insert(struct buffer *packed, uint32_t i, int64_t value);
void packed_integer_remove(struct buffer *packed, uint32_t i);

/* ---- large --------------------------------------------------------------------------- */

/* `out` has PACKED_LARGE_SIZE bytes. */
struct bytes packed_large(unsigned char *out, uint64_t count);
/* `out` has PACKED_LARGE_TIMED_SIZE bytes. */
struct bytes packed_large_timed(unsigned char *out, uint64_t count, const struct db_tree_root *due);
/* Dies if it is damaged. */
struct db_tree_root packed_due(struct bytes payload);

#endif
