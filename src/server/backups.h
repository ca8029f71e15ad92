/* Snapshots that leave the node: into files of backup-dir (RAFT.BACKUP), and to a client, a chunk a
 * command (RAFT.SNAPSHOT).  Loop thread. */
#ifndef SERVER_BACKUPS_H
#define SERVER_BACKUPS_H

#include "command/server.h"
#include "config.h"
#include "data/db.h"

struct server_backups;

struct server_backups_options {
    struct db *db;               /* borrowed, like config */
    const struct config *config; /* backup_dir, snapshot_bandwidth */
    /* Has server_backups_poll() called soon; from any thread. */
    void (*wake)(void *context);
    void *wake_context;
};

struct server_backups *server_backups_new(const struct server_backups_options *options);
/* Ends what is under way; before db_close(). */
void server_backups_free(struct server_backups *backups);
void server_backups_poll(struct server_backups *backups);
/* Now and then: a client that asks for no more is forgotten. */
void server_backups_tick(struct server_backups *backups);

/* False: `error` says why not, beginning with an error's word. */
bool server_backups_start(struct server_backups *backups, struct bytes name, char *error,
                          size_t size);
void server_backups_describe(const struct server_backups *backups, struct server_backup *backup);
bool server_backups_begin(struct server_backups *backups, uint64_t *id, char *error, size_t size);
enum server_chunk server_backups_chunk(struct server_backups *backups, uint64_t id, uint64_t number,
                                       struct bytes *chunk);
bool server_backups_end(struct server_backups *backups, uint64_t id);

#endif
