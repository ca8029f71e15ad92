#include "base/fatal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum { EXIT_MACHINE_FAILED = 70, EXIT_FOR_GOOD = 1 };

static _Noreturn void end(int status, const char *format, va_list arguments)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    log_warning("fatal: %s", text);
    /* _exit: destructors of other threads' objects must not run under their feet. */
    _Exit(status);
}

void fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end(EXIT_MACHINE_FAILED, format, arguments);
}

void fatal_for_good(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end(EXIT_FOR_GOOD, format, arguments);
}

void check_failed(const char *expression, const char *file, int line)
{
    log_warning("bug: %s:%d: %s does not hold", file, line, expression);
    abort();
}
