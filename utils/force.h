/* redis-raft-ctl's verb for a cluster whose majority is lost for good. */
#ifndef UTILS_FORCE_H
#define UTILS_FORCE_H

#include <stdbool.h>
#include <stdint.h>

/* What the data directories know, and which log is the longest; changes nothing.  False: it cannot
 * be said, or they do not belong together; said on stderr. */
bool force_compare(char *const *directories, uint32_t count);
/* Says what may be lost, asks for the word unless it `is_agreed`, and makes of the directory a new
 * cluster of this node alone.  False: nothing was changed; said why on stderr. */
bool force_new_cluster(const char *directory, bool is_agreed);

#endif
