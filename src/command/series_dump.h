/* A stream written in Redis's serialized form, step by step.  Loop thread, on a view. */
#ifndef COMMAND_SERIES_DUMP_H
#define COMMAND_SERIES_DUMP_H

#include "base/buffer.h"
#include "command/series.h"

/* Appends the next piece to `out`: a node of entries, or some of a group.  How far it has come is
 * in cursor, count, seen and second_round of the walk, which begins cleared.  True: that was
 * all. */
bool series_dump(const struct series *stream, struct walk_state *walk, struct buffer *out);

#endif
