/* A thread that reads all that this node has, once, for RAFT.CHECK: at the lowest priority, and no
 * faster than it is told. */
#ifndef SERVER_CHECK_READER_H
#define SERVER_CHECK_READER_H

#include "data/content.h"

struct check_reader;

struct check_reader_options {
    struct db_content *content; /* the reader's from now on */
    uint64_t bandwidth;         /* bytes a second; 0: any number */
    void (*wake)(void *context);
    void *wake_context;
};

struct check_reader *server_check_reader_start(const struct check_reader_options *options);
uint64_t server_check_reader_bytes(const struct check_reader *reader); /* so far */
/* It has read all, or was told to stop: to be freed, without a wait. */
bool server_check_reader_is_done(const struct check_reader *reader);
void server_check_reader_stop(struct check_reader *reader); /* soon; does not wait */
/* Waits for the thread.  True: all was read; `about` and `hash` say what.  Loop thread. */
bool server_check_reader_end(struct check_reader *reader, struct db_snapshot_about *about,
                             uint64_t *hash);

#endif
