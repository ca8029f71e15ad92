#include "base/fatal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum { EXIT_MACHINE_FAILED = 70 };

void fatal(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_warning("fatal: %s", text);
    /* _exit: destructors of other threads' objects must not run under their feet. */
    _Exit(EXIT_MACHINE_FAILED);
}

void check_failed(const char *expression, const char *file, int line)
{
    log_warning("bug: %s:%d: %s does not hold", file, line, expression);
    abort();
}
