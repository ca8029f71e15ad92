/* See patterns.h; what a pattern means stands in the Lua 5.1 manual, 5.4.1.
 *
 * Recursion: once for each item that may match in several ways, so no deeper than DEPTH_MAX. */
#include "script/patterns.h"

#include <ctype.h>
#include <string.h>

enum { DEPTH_MAX = 200, STEPS_PER_INSTRUCTION = 2, STEPS_COUNTED = 1024, ESCAPE = '%' };

void script_pattern_init(struct pattern_match *match, lua_State *lua, const char *subject,
                         size_t subject_size, const char *pattern, size_t pattern_size)
{
    match->lua = lua;
    match->subject = subject;
    match->subject_end = subject + subject_size;
    match->pattern_end = pattern + pattern_size;
    match->steps = 0;
    match->depth = 0;
    match->level = 0;
}

static void count_step(struct pattern_match *match)
{
    if (++match->steps % STEPS_COUNTED == 0)
        script_spend(match->lua, STEPS_COUNTED / STEPS_PER_INSTRUCTION);
}

/* ---- single characters ------------------------------------------------------------------ */

static bool is_of_class(int c, int class)
{
    bool is;
    switch (tolower(class)) {
    case 'a': is = isalpha(c); break;
    case 'c': is = iscntrl(c); break;
    case 'd': is = isdigit(c); break;
    case 'l': is = islower(c); break;
    case 'p': is = ispunct(c); break;
    case 's': is = isspace(c); break;
    case 'u': is = isupper(c); break;
    case 'w': is = isalnum(c); break;
    case 'x': is = isxdigit(c); break;
    case 'z': is = c == 0; break;
    default: return class == c;
    }
    return islower(class) ? is : !is;
}

/* Behind the single-character class at `p`. */
static const char *class_end(struct pattern_match *match, const char *p)
{
    char first = *p++;
    if (first == ESCAPE) {
        if (p == match->pattern_end)
            luaL_error(match->lua, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[')
        return p;
    if (p < match->pattern_end && *p == '^')
        p++;
    do { /* the first is no end, even if it is a bracket */
        if (p == match->pattern_end)
            luaL_error(match->lua, "malformed pattern (missing ']')");
        if (*p++ == ESCAPE && p < match->pattern_end)
            p++;
    } while (p == match->pattern_end || *p != ']');
    return p + 1;
}

/* Of a set from its bracket on; `end` is the closing one. */
static bool is_of_set(int c, const char *p, const char *end)
{
    bool is_wanted = p[1] != '^';
    if (!is_wanted)
        p++;
    while (++p < end) {
        if (*p == ESCAPE) {
            p++;
            if (is_of_class(c, (unsigned char)*p))
                return is_wanted;
        } else if (p[1] == '-' && p + 2 < end) {
            p += 2;
            if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p)
                return is_wanted;
        } else if ((unsigned char)*p == c) {
            return is_wanted;
        }
    }
    return !is_wanted;
}

static bool is_single(struct pattern_match *match, const char *at, const char *p, const char *end)
{
    count_step(match);
    if (at >= match->subject_end)
        return false;
    int c = (unsigned char)*at;
    switch (*p) {
    case '.': return true;
    case ESCAPE: return is_of_class(c, (unsigned char)p[1]);
    case '[':
        match->steps += (unsigned)(end - p) / 8; /* a long set is looked through */
        return is_of_set(c, p, end - 1);
    default: return (unsigned char)*p == c;
    }
}

/* ---- items ---------------------------------------------------------------------------------- */

static const char *deeper(struct pattern_match *match, const char *at, const char *p)
{
    if (match->depth == DEPTH_MAX)
        luaL_error(match->lua, "pattern too complex");
    match->depth++;
    const char *end = script_pattern_match(match, at, p);
    match->depth--;
    return end;
}

static const char *match_most(struct pattern_match *match, const char *at, const char *p,
                              const char *end)
{
    ptrdiff_t count = 0;
    while (is_single(match, at + count, p, end))
        count++;
    for (; count >= 0; count--) {
        const char *found = deeper(match, at + count, end + 1);
        if (found)
            return found;
        count_step(match);
    }
    return NULL;
}

static const char *match_least(struct pattern_match *match, const char *at, const char *p,
                               const char *end)
{
    for (;; at++) {
        const char *found = deeper(match, at, end + 1);
        if (found)
            return found;
        if (!is_single(match, at, p, end))
            return NULL;
    }
}

static const char *match_balanced(struct pattern_match *match, const char *at, const char *p)
{
    if (match->pattern_end - p < 2)
        luaL_error(match->lua, "unbalanced pattern");
    if (at >= match->subject_end || *at != *p)
        return NULL;
    int depth = 1;
    for (at++; at < match->subject_end; at++) {
        count_step(match);
        if (*at == p[1]) {
            if (--depth == 0)
                return at + 1;
        } else if (*at == *p) {
            depth++;
        }
    }
    return NULL;
}

static const char *open_capture(struct pattern_match *match, const char *at, const char *p,
                                ptrdiff_t kind)
{
    if (match->level >= PATTERN_CAPTURES_MAX)
        luaL_error(match->lua, "too many captures");
    match->captures[match->level++] = (struct capture){at, kind};
    const char *found = deeper(match, at, p);
    if (!found)
        match->level--;
    return found;
}

static const char *close_capture(struct pattern_match *match, const char *at, const char *p)
{
    int open = match->level - 1;
    while (open >= 0 && match->captures[open].size != CAPTURE_UNFINISHED)
        open--;
    if (open < 0)
        luaL_error(match->lua, "invalid pattern capture");
    match->captures[open].size = at - match->captures[open].start;
    const char *found = deeper(match, at, p);
    if (!found)
        match->captures[open].size = CAPTURE_UNFINISHED;
    return found;
}

/* What a capture found before, again: where that ends. */
static const char *match_again(struct pattern_match *match, const char *at, char digit)
{
    int which = digit - '1';
    if (which < 0 || which >= match->level || match->captures[which].size == CAPTURE_UNFINISHED)
        luaL_error(match->lua, "invalid capture index");
    size_t size = (size_t)match->captures[which].size;
    match->steps += (unsigned)(size < 4096 ? size / 8 : 512);
    count_step(match);
    bool is_there = (size_t)(match->subject_end - at) >= size &&
                    memcmp(match->captures[which].start, at, size) == 0;
    return is_there ? at + size : NULL;
}

/* %f[set], from the bracket on: a border where the set begins.  *end is behind it. */
static bool is_frontier(struct pattern_match *match, const char *at, const char *p,
                        const char **end)
{
    if (p == match->pattern_end || *p != '[')
        luaL_error(match->lua, "missing '[' after '%%f' in pattern");
    *end = class_end(match, p);
    int before = at == match->subject ? 0 : (unsigned char)at[-1];
    return !is_of_set(before, p, *end - 1) && is_of_set((unsigned char)*at, p, *end - 1);
}

/* A single-character class and what says how often.  True: the match goes on at *at and *p; else
 * *at is where it ended. */
static bool match_class(struct pattern_match *match, const char **at, const char **p)
{
    const char *end = class_end(match, *p);
    char suffix = '\0';
    if (end < match->pattern_end)
        suffix = *end;
    const char *found = NULL;
    switch (suffix) {
    case '?':
        if (is_single(match, *at, *p, end))
            found = deeper(match, *at + 1, end + 1);
        if (!found) {
            *p = end + 1;
            return true;
        }
        break;
    case '*': found = match_most(match, *at, *p, end); break;
    case '+':
        if (is_single(match, *at, *p, end))
            found = match_most(match, *at + 1, *p, end);
        break;
    case '-': found = match_least(match, *at, *p, end); break;
    default:
        if (is_single(match, *at, *p, end)) {
            (*at)++;
            *p = end;
            return true;
        }
        break;
    }
    *at = found;
    return false;
}

/* An item that begins with '%' and is no class.  As match_class(); *is_class: it is one. */
static bool match_escape(struct pattern_match *match, const char **at, const char **p,
                         bool *is_class)
{
    char kind = *p + 1 < match->pattern_end ? (*p)[1] : '\0';
    *is_class = kind != 'b' && kind != 'f' && !(kind >= '0' && kind <= '9');
    if (*is_class)
        return false;
    if (kind == 'b') {
        *at = match_balanced(match, *at, *p + 2);
        *p += 4;
    } else if (kind == 'f') {
        const char *end;
        if (!is_frontier(match, *at, *p + 2, &end))
            *at = NULL;
        *p = end;
    } else {
        *at = match_again(match, *at, kind);
        *p += 2;
    }
    return *at != NULL;
}

const char *script_pattern_match(struct pattern_match *match, const char *at, const char *p)
{
    for (;;) {
        count_step(match);
        if (p == match->pattern_end)
            return at;
        bool is_position = *p == '(' && p + 1 < match->pattern_end && p[1] == ')';
        if (is_position)
            return open_capture(match, at, p + 2, CAPTURE_POSITION);
        if (*p == '(')
            return open_capture(match, at, p + 1, CAPTURE_UNFINISHED);
        if (*p == ')')
            return close_capture(match, at, p + 1);
        if (*p == '$' && p + 1 == match->pattern_end)
            return at == match->subject_end ? at : NULL;
        bool is_class = true, goes_on = false;
        if (*p == ESCAPE)
            goes_on = match_escape(match, &at, &p, &is_class);
        if (is_class)
            goes_on = match_class(match, &at, &p);
        if (!goes_on)
            return at;
    }
}
