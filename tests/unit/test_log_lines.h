/* What the program wrote into its log, for tests that count lines. */
#ifndef TEST_LOG_LINES_H
#define TEST_LOG_LINES_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char log_lines_path[64];

/* From here on into an empty file. */
static inline void log_lines_begin(void)
{
    snprintf(log_lines_path, sizeof log_lines_path, "/tmp/test-log-%d", (int)getpid());
    (void)unlink(log_lines_path);
    assert_true(log_open(log_lines_path));
}

/* Lines since then that hold `text`. */
static inline int log_lines_with(const char *text)
{
    char line[2048];
    int count = 0;
    FILE *file = fopen(log_lines_path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

static inline void log_lines_end(void)
{
    (void)unlink(log_lines_path);
    assert_true(log_open("/dev/stdout"));
}

#endif
