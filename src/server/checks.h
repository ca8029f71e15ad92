/* RAFT.CHECK: all members look at what they have behind one entry of the log, and compare.
 *
 * The entry that begins a check, and what each member says of it, go through the log
 * (command/check.h), so every node hears all of it, and can be asked.  A node that hears that one
 * begins takes a view, which a thread reads; what it found it has proposed until it hears itself.
 * A newer check ends the one before it.  The leader begins one by itself every check-interval.
 *
 * Loop thread. */
#ifndef SERVER_CHECKS_H
#define SERVER_CHECKS_H

#include "command/check.h"
#include "command/server.h"
#include "config.h"
#include "data/db.h"

struct server_checks;

struct server_checks_options {
    struct kv *kv; /* borrowed, like db and config */
    struct db *db;
    const struct config *config; /* me, request_timeout, snapshot_bandwidth, check_... */
    uint64_t life;               /* of this node's directory */
    /* The replica's time. */
    int64_t (*now_ms)(void *context);
    /* A number that no other check has; never 0. */
    uint64_t (*draw)(void *context);
    /* Has server_checks_poll() called soon; from any thread. */
    void (*wake)(void *context);
    void *wake_context;
    /* Whoever waits for a check is to look again. */
    void (*told)(void *context);
    /* This node's data differ from the majority's, and check-difference wants it to stop. */
    void (*leave)(void *context);
    void *context;
};

struct server_checks *server_checks_new(const struct server_checks_options *options);
/* Before anything is applied. */
void server_checks_connect(struct server_checks *checks, struct state_machine *machine,
                           struct replica *replica);
/* Ends what is under way; before replica_free() and db_close(). */
void server_checks_free(struct server_checks *checks);
void server_checks_poll(struct server_checks *checks);
void server_checks_tick(struct server_checks *checks); /* now and then */

/* See struct server_ops. */
uint64_t server_checks_begin(struct server_checks *checks);
bool server_checks_is_over(const struct server_checks *checks, uint64_t id);
void server_checks_describe(const struct server_checks *checks, struct server_check *check);

#endif
