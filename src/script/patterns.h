/* Lua 5.1's patterns, with what a search costs counted: Lua's own has no bound, neither for the
 * time that it goes back and forth nor for the depth of its stack. */
#ifndef SCRIPT_PATTERNS_H
#define SCRIPT_PATTERNS_H

#include <stddef.h>

#include "script/machine.h"

enum { PATTERN_CAPTURES_MAX = 32 };

struct capture {
    const char *start;
    ptrdiff_t size; /* or one of the two below */
};
enum { CAPTURE_UNFINISHED = -1, CAPTURE_POSITION = -2 };

struct pattern_match {
    lua_State *lua;
    const char *subject, *subject_end; /* a NUL stands behind it */
    const char *pattern_end;
    unsigned steps, depth;
    int level; /* of captures */
    struct capture captures[PATTERN_CAPTURES_MAX];
};

void script_pattern_init(struct pattern_match *match, lua_State *lua, const char *subject,
                         size_t subject_size, const char *pattern, size_t pattern_size);
/* Where the match that begins at `at` ends; NULL: there is none.  Raises an error where the pattern
 * is malformed. */
const char *script_pattern_match(struct pattern_match *match, const char *at, const char *pattern);

#endif
