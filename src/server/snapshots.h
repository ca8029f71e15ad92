/* The replica's snapshot port (replica/snapshots.h) with a thread that reads a leader's view, and
 * stages what a member gets: neither the disk's time nor a chunk's is the loop's. */
#ifndef SERVER_SNAPSHOTS_H
#define SERVER_SNAPSHOTS_H

#include "data/db.h"
#include "data/snapshot.h"
#include "replica/replica.h"

struct server_snapshots;

struct server_snapshots_options {
    struct kv *kv; /* borrowed, like db */
    struct db *db;
    /* Has server_snapshots_poll() called soon; from the thread. */
    void (*wake)(void *context);
    void *wake_context;
};

struct server_snapshots *server_snapshots_start(const struct server_snapshots_options *options);
struct snapshot_port *server_snapshots_port(struct server_snapshots *snapshots);
/* Tells the replica what the thread has done.  Loop thread. */
void server_snapshots_poll(struct server_snapshots *snapshots, struct replica *replica);
/* Waits for the thread, which does no more; after replica_free(), before db_close(). */
void server_snapshots_stop(struct server_snapshots *snapshots);
/* Once stopped: what was staged, borrowed; NULL: nothing was begun. */
struct db_install *server_snapshots_staged(struct server_snapshots *snapshots);
void server_snapshots_free(struct server_snapshots *snapshots); /* stopped; before the kv ends */

#endif
