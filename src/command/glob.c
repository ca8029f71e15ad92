/* Redis's glob patterns: * any run, ? any byte, [a-z] [^a] a set, \ takes the next byte as it is.
 *
 * A star that fails later is tried again one byte on, and only the last star ever is: what an
 * earlier star could gain by moving, the last one gains by moving more.  So the time is bounded by
 * pattern times text, where trying every star in turn would let a client stop the server with one
 * long pattern.  Redis tries them in turn, and gives up below a thousand stars: so a pattern that
 * has more of them before its last byte matches nothing here either.  The corner cases (a set
 * without its end, ranges of bytes above 127) are those of Redis 7.2 util.c stringmatchlen.
 *
 * Pure functions, any thread. */
#include "command/commands.h"

enum { STARS_MAX = 1000 };

struct glob {
    const char *at, *end; /* what is left of the pattern */
    bool ignore_case;
};

static int folded(const struct glob *glob, char c)
{
    if (glob->ignore_case && c >= 'A' && c <= 'Z')
        c = (char)(c + ('a' - 'A'));
    return (signed char)c;
}

static bool in_range(const struct glob *glob, char a, char b, char c)
{
    int low = folded(glob, a), high = folded(glob, b), value = folded(glob, c);
    return low <= high ? low <= value && value <= high : high <= value && value <= low;
}

/* `at` stands behind the `[`; on return behind the `]`, or at the end if there is none. */
static bool match_set(struct glob *glob, char c)
{
    bool negated = glob->at < glob->end && *glob->at == '^';
    bool found = false;
    if (negated)
        glob->at++;
    for (; glob->at < glob->end && *glob->at != ']'; glob->at++) {
        size_t left = (size_t)(glob->end - glob->at);
        if (left >= 2 && glob->at[0] == '\\') {
            glob->at++;
            found |= *glob->at == c;
        } else if (left >= 3 && glob->at[1] == '-') {
            found |= in_range(glob, glob->at[0], glob->at[2], c);
            glob->at += 2;
        } else {
            found |= folded(glob, *glob->at) == folded(glob, c);
        }
    }
    if (glob->at < glob->end)
        glob->at++;
    return found != negated;
}

/* Matches one byte against the head of the pattern, which is no star, and takes that head. */
static bool match_one(struct glob *glob, char c)
{
    char head = *glob->at++;
    if (head == '?')
        return true;
    if (head == '[')
        return match_set(glob, c);
    if (head == '\\' && glob->at < glob->end)
        head = *glob->at++;
    return folded(glob, head) == folded(glob, c);
}

bool command_glob_match(struct bytes pattern, struct bytes text, bool ignore_case)
{
    const char *start = pattern.data;
    const char *p = text.data;
    const char *end = p + text.size;
    struct glob glob = {start, start + pattern.size, ignore_case};
    const char *star = NULL;    /* the pattern behind the last star */
    const char *star_at = NULL; /* where the text behind that star begins, as tried now */
    uint32_t stars = 0;         /* runs of them; one at the end of the pattern does not count */
    if (text.size == 0)         /* even for stars: Redis never looks at the pattern then */
        return pattern.size == 0;
    while (p < end) {
        if (glob.at < glob.end && *glob.at == '*') {
            while (glob.at < glob.end && *glob.at == '*')
                glob.at++;
            if (glob.at < glob.end && ++stars > STARS_MAX)
                return false;
            star = glob.at;
            star_at = p;
        } else if (glob.at < glob.end && match_one(&glob, *p)) {
            p++;
        } else if (star) {
            glob.at = star;
            p = ++star_at;
        } else {
            return false;
        }
    }
    while (glob.at < glob.end && *glob.at == '*')
        glob.at++;
    return glob.at == glob.end;
}
