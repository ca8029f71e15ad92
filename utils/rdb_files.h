/* redis-raft-ctl's verbs about RDB files of Redis.  Each tells on stderr how far it is, and what is
 * wrong. */
#ifndef UTILS_RDB_FILES_H
#define UTILS_RDB_FILES_H

#include <stdbool.h>

/* Makes a data directory for a new cluster of an RDB file. */
bool rdb_import(const char *path, const char *directory);
/* Writes what a backup has into a new RDB file, which is there only if it is whole and synced.
 * drops_field_deadlines: fields of hashes lose theirs, for which there is no form; else the first
 * hash that has some ends it. */
bool rdb_export(const char *backup, const char *path, bool drops_field_deadlines);

#endif
