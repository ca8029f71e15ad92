/* One node: the parts built from the disk upwards, run, and taken down in reverse. */
#ifndef SERVER_NODE_H
#define SERVER_NODE_H

#include "config.h"

enum server_node_end {
    SERVER_NODE_STOPPED,
    SERVER_NODE_DIFFERS, /* its data are not those of a majority, and check-difference is stop */
    SERVER_NODE_NOT_YET, /* it did not start for a reason that may pass by itself */
    SERVER_NODE_REFUSED  /* it did not start; starting it again would not help */
};

/* Serves until a signal ends it.  `config` is borrowed; CONFIG SET changes it.  The log says why it
 * did not start. */
enum server_node_end server_node_run(struct config *config, const char *executable)
    __attribute__((warn_unused_result));

#endif
