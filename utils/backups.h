/* redis-raft-ctl's verbs about backups.  Each tells on stderr how far it is, and what is wrong. */
#ifndef UTILS_BACKUPS_H
#define UTILS_BACKUPS_H

#include <stdbool.h>

#include <hiredis/hiredis.h>

struct kv;
struct db_snapshot_about;

/* Reads a snapshot from a node into a new file, which is there only if it is whole, checked and
 * synced. */
bool backup_read(redisContext *connection, const char *path);
/* Reads and checks a file, and prints what it holds. */
bool backup_verify(const char *path);
/* A store in a directory that is made; NULL: said why not.  backup_fill() puts the state of a file
 * into an empty one, and prints what it is, with a log that begins there. */
struct kv *backup_store(const char *directory);
bool backup_fill(const char *path, struct kv *kv, struct db_snapshot_about *about);
/* Makes a new data directory of a file. */
bool backup_restore(const char *path, const char *directory);

#endif
