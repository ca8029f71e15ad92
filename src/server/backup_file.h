/* Writing a snapshot into a file, in a thread of its own: the loop never waits for the disk that
 * backups are on. */
#ifndef SERVER_BACKUP_FILE_H
#define SERVER_BACKUP_FILE_H

#include "data/snapshot.h"

struct backup_file;

struct backup_file_options {
    struct db_snapshot *snapshot; /* the thread's until the end; then the caller frees it */
    const char *directory, *name; /* copied; the file must not exist */
    uint64_t bandwidth;           /* bytes a second at most; 0: any number */
    void (*wake)(void *context);  /* from the thread, at the end */
    void *wake_context;
};

/* NULL: `error` says why, and the snapshot stays the caller's. */
struct backup_file *server_backup_file_start(const struct backup_file_options *options, char *error,
                                             size_t size);
uint64_t server_backup_file_bytes(const struct backup_file *file); /* written so far */
bool server_backup_file_is_done(const struct backup_file *file);
/* Waits for the thread, which gives up if it is not done, and frees.  "": the file is there, whole
 * and synced; else the reason why it is not. */
void server_backup_file_end(struct backup_file *file, char *error, size_t size);

#endif
