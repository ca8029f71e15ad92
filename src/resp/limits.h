/* What a command of a client or a peer may be at most. */
#ifndef RESP_LIMITS_H
#define RESP_LIMITS_H

#include "base/bytes.h"

struct resp_limits {
    size_t bulk_max;      /* proto-max-bulk-len: largest argument */
    size_t inline_max;    /* longest line: inline command or header (Redis: 64 KiB) */
    uint32_t argc_max;    /* most arguments (Redis: 1024*1024) */
    size_t command_max;   /* total bytes of one command; over it is an error */
    bool allow_inline;    /* clients; without it every byte of the framing is checked: peers */
    bool unauthenticated; /* before AUTH: at most 10 words of 16 KiB, as Redis */
};

#endif
