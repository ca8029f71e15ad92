/* One node: the parts built from the disk upwards, run, and taken down in reverse. */
#ifndef SERVER_NODE_H
#define SERVER_NODE_H

#include <stdbool.h>

#include "config.h"

/* Serves until a signal ends it.  `config` is borrowed; CONFIG SET changes it.  False: it did not
 * start, and the log says why. */
bool server_node_run(struct config *config, const char *executable)
    __attribute__((warn_unused_result));

#endif
