/* How many changes of keys this node's applied state is ahead of its last checkpoint, for INFO:
 * what a start would have to execute again.  It listens to the effects of applied entries. */
#ifndef SERVER_CHANGES_H
#define SERVER_CHANGES_H

#include "command/command.h"

struct server_changes;

struct server_changes *server_changes_new(const struct db *db); /* borrowed */
void server_changes_free(struct server_changes *changes);
struct command_listener *server_changes_listener(struct server_changes *changes);
/* Redis's server.dirty: each key that was set or deleted, each database that was flushed. */
uint64_t server_changes_count(struct server_changes *changes);

#endif
