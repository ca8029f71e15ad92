#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static enum log_level log_level = LOG_LEVEL_NOTICE;
static int log_fd = STDOUT_FILENO;
static char log_path[4096]; /* "": standard output */

void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
}

enum log_level log_get_level(void)
{
    return __atomic_load_n(&log_level, __ATOMIC_RELAXED);
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

bool log_open(const char *path)
{
    if (path[0] == '\0')
        return true;
    if (strlen(path) >= sizeof log_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open_file(path);
    if (fd < 0)
        return false;
    strcpy(log_path, path);
    log_fd = fd;
    return true;
}

/* The number of the descriptor stays, so no other thread's line goes astray. */
bool log_reopen(void)
{
    if (log_path[0] == '\0')
        return true;
    int fd = open_file(log_path);
    if (fd < 0)
        return false;
    bool done = dup3(fd, log_fd, O_CLOEXEC) == log_fd;
    close(fd);
    return done;
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[2048];
    struct timeval now;
    struct tm calendar;
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &calendar);
    size_t used = (size_t)snprintf(line, sizeof line, "%d:M ", (int)getpid());
    used += strftime(line + used, sizeof line - used, "%d %b %Y %H:%M:%S.", &calendar);
    used += (size_t)snprintf(line + used, sizeof line - used, "%03d %c ", (int)(now.tv_usec / 1000),
                             ".-*#"[level]);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + used, sizeof line - used, format, arguments);
    va_end(arguments);
    if (length > 0)
        used += (size_t)length;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    /* A log that cannot be written must not stop the store. */
    ssize_t ignored = write(log_fd, line, used);
    (void)ignored;
}
