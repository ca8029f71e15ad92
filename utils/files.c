/* See files.h. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_S = 1 };

static bool is_line_open; /* of progress */

void file_progress_end_line(void)
{
    if (is_line_open)
        fprintf(stderr, "\n");
    is_line_open = false;
}

bool file_failed(const char *what, const char *about)
{
    int number = errno;
    file_progress_end_line();
    errno = number;
    fprintf(stderr, "%s %s: %s\n", what, about, strerror(errno));
    return false;
}

bool file_refused(const char *what, const char *about)
{
    file_progress_end_line();
    fprintf(stderr, "%s: %s\n", what, about);
    return false;
}

bool file_is_free(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || file_failed("cannot use", path);
    return file_refused(path, "exists already");
}

bool file_beside(const char *path, const char *suffix, char *beside)
{
    int length = snprintf(beside, PATH_MAX_SIZE, "%s%s", path, suffix);
    return (length >= 0 && length < PATH_MAX_SIZE) || file_refused(path, "the name is too long");
}

bool file_write(int fd, struct bytes bytes, const char *path)
{
    while (bytes.size > 0) {
        ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno != EINTR)
            return file_failed("cannot write", path);
        if (written > 0)
            bytes = bytes_of((const char *)bytes.data + written, bytes.size - (size_t)written);
    }
    return true;
}

bool file_sync_parent(const char *path)
{
    char parent[PATH_MAX_SIZE];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done = fd >= 0 && fsync(fd) == 0;
    if (!is_done)
        file_failed("cannot sync the directory of", path);
    if (fd >= 0)
        close(fd);
    return is_done;
}

/* Renaming would write over a file that came meanwhile; a link does not. */
bool file_give_name(int fd, const char *part, const char *path)
{
    return (fsync(fd) == 0 || file_failed("cannot sync", part)) &&
           (link(part, path) == 0 || file_failed("cannot name", path)) && file_sync_parent(path);
}

bool file_give_directory_name(const char *part, const char *path)
{
    return (rename(part, path) == 0 || file_failed("cannot name", path)) && file_sync_parent(path);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

void file_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool file_progress_is_due(bool is_end)
{
    static time_t last;
    time_t now = time(NULL);
    if (now - last < PROGRESS_S && !is_end)
        return false;
    last = now;
    is_line_open = !is_end;
    return true;
}
