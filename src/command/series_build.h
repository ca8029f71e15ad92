/* A stream made of the parts that rdb_next() gives of one, in that order.  It has no key before it
 * is saved; loop thread, within one write. */
#ifndef COMMAND_SERIES_BUILD_H
#define COMMAND_SERIES_BUILD_H

#include "command/rdb.h"
#include "command/series_groups.h"

/* series: of series_new(); the rest cleared. */
struct series_build {
    struct series series;
    struct series_id id;  /* of the entry under way, */
    uint64_t pairs;       /* of which so many are to come; */
    struct buffer fields; /* owned: those that came */
    struct series_group group;
    struct series_consumer consumer;
    bool has_group, has_consumer;
    uint64_t owned; /* of what is pending in the group */
};

/* False: it does not belong there. */
bool series_build_put(struct series_build *build, const struct rdb_element *element);
/* That was all; false: something is missing.  The stream may be saved. */
bool series_build_end(struct series_build *build);
void series_build_close(struct series_build *build);

#endif
