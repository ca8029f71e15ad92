/* What redis-raft-ctl's verbs do with files, and how they say what is wrong with them. */
#ifndef UTILS_FILES_H
#define UTILS_FILES_H

#include <stdbool.h>

#include "base/bytes.h"

enum { PATH_MAX_SIZE = 4096 };

/* Both say it on stderr, and return false; the first with what errno says. */
bool file_failed(const char *what, const char *about);
bool file_refused(const char *what, const char *about);

/* False, and said: there is something of that name. */
bool file_is_free(const char *path);
/* The path with `suffix` behind it, into a buffer of PATH_MAX_SIZE.  False: too long, and said. */
bool file_beside(const char *path, const char *suffix, char *beside);
bool file_write(int fd, struct bytes bytes, const char *path);
/* The directory that holds a path. */
bool file_sync_parent(const char *path);
/* What was written under the name `part` gets its own, durably, if nothing has that yet. */
bool file_give_name(int fd, const char *part, const char *path);
/* The same of a directory. */
bool file_give_directory_name(const char *part, const char *path);
void file_remove_tree(const char *path);

/* True once a second, and at the end: to be followed by "\r" and how far it is; a line that stays
 * at the end.  What else is to be said while it is unfinished ends that line first. */
bool file_progress_is_due(bool is_end);
void file_progress_end_line(void);

#endif
