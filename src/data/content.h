/* One number for all that a view shows, to tell whether two nodes have the same.
 *
 * It is of the rows that a snapshot has (snapshot.h), in their order, with their versions,
 * deadlines and forms, and of what the state record says, the exact counts among it; not of the
 * cluster's id, nor of what nobody can see: dead rows, names that nobody looked for yet, how the
 * rows are stored.  So nodes that applied the same entries have the same, whether by executing
 * them, by a snapshot, or after a crash.  Reading it costs as much as a backup does, in slices, and
 * a chunk of memory beside the view. */
#ifndef DATA_CONTENT_H
#define DATA_CONTENT_H

#include "data/snapshot.h"

struct db_content;

/* Of the state as it is.  NULL: not now, as db_snapshot_new(); the threads' rules are its, too. */
struct db_content *db_content_new(struct db *db);
void db_content_free(struct db_content *content);
/* Reads on for as long as `work` lasts, or to the end of a chunk.  True: that was all. */
bool db_content_next(struct db_content *content, uint64_t work);
/* So far. */
void db_content_about(const struct db_content *content, struct db_snapshot_about *about);
uint64_t db_content_hash(const struct db_content *content); /* of all */

#endif
