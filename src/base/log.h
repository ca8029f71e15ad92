/* The server's log, in Redis's format and levels.  Thread-safe (one write per line). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Append to `path`; "" means standard output.  False if it cannot be opened (errno says why). */
bool log_open(const char *path);
/* The same path anew (a rotated log); false, and it goes on into the old file, if it cannot be
 * opened. */
bool log_reopen(void);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_at(level, ...)                                                                         \
    do {                                                                                           \
        if ((level) >= log_get_level())                                                            \
            log_write(level, __VA_ARGS__);                                                         \
    } while (0)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_at(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)

#endif
