/* What fields.c needs of a large hash or set, fields_rows.c: rows in a space, and of a hash a tree
 * of the fields that have a deadline, in that order.
 *
 *   row    of a set: nothing
 *          of a hash of form PACKED_LARGE: its value
 *          of one of form PACKED_LARGE_TIMED: 0, value; or 1, 8 deadline (little endian), value
 *   tree   key: 8 deadline (big endian), name; no value
 *
 * `before`: the deadline that the field had until now; 0: none.  Loop thread only. */
#ifndef COMMAND_FIELDS_INTERNAL_H
#define COMMAND_FIELDS_INTERNAL_H

#include "command/fields.h"

/* The value is borrowed until the next call on the db or view. */
bool fields_row_get(const struct fields *fields, struct bytes name, struct bytes *value,
                    int64_t *deadline_ms);
/* The value must not be lent.  False: it is new. */
bool fields_row_put(struct fields *fields, struct bytes name, struct bytes value,
                    int64_t deadline_ms, int64_t *before);
/* Another deadline, where there is room for one, for a field that has this value and deadline. */
void fields_row_change(struct fields *fields, struct bytes name, struct bytes value,
                       int64_t before_ms, int64_t deadline_ms);
bool fields_row_delete(struct fields *fields, struct bytes name, int64_t *before);

/* Of those that are not over; as db_row_scan(). */
uint64_t fields_rows_scan(struct fields *fields, uint64_t cursor, struct db_scan_limit limit,
                          db_row_fn *each, void *context);
/* Draws one; false: it is over. */
bool fields_rows_draw(struct fields *fields, uint64_t *seed, db_row_fn *each, void *context);

/* How many are over. */
uint64_t fields_rows_over(const struct fields *fields);
/* The earliest deadline; 0: there is none. */
int64_t fields_rows_due(const struct fields *fields);
/* Deletes up to `most` (> 0) that are over; how many. */
uint32_t fields_rows_expire(struct fields *fields, uint32_t most);

#endif
