/* Commands as clients and peers send them: RESP multibulk (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`) or,
 * when allowed, one inline line (`GET k\r\n`, with Redis's quoting).  Incremental and without
 * sockets: the caller keeps one contiguous buffer and offers its unconsumed part again and again;
 * nothing is scanned twice.  Limits and error texts are those of Redis 7.2 networking.c. */
#ifndef RESP_PARSER_H
#define RESP_PARSER_H

#include <stdint.h>

#include "base/bytes.h"
#include "resp/limits.h"

struct resp_parser;

enum resp_result {
    RESP_INCOMPLETE, /* offer the same bytes again, with more behind them */
    RESP_COMMAND,    /* resp_argv() is valid until the offered bytes move or the next parse */
    RESP_INVALID     /* resp_error(); the stream cannot be understood any further: close it */
};

struct resp_parser *resp_parser_new(const struct resp_limits *limits);
void resp_parser_free(struct resp_parser *parser);
void resp_parser_set_limits(struct resp_parser *parser, const struct resp_limits *limits);

/* `data` starts where the previous command ended.  On RESP_COMMAND `*consumed` is the size of the
 * command; the next call starts there.  An empty command (`\r\n`, `*0\r\n`) gives argc 0. */
enum resp_result resp_parse(struct resp_parser *parser, const char *data, size_t size,
                            size_t *consumed);
const struct bytes *resp_argv(const struct resp_parser *parser, uint32_t *argc);
/* "Protocol error: ..." without the "-ERR " in front; Redis's texts. */
const char *resp_error(const struct resp_parser *parser);
/* How many bytes the command under way needs in all, as far as is known (0: not known): lets the
 * caller reserve once for a large value. */
size_t resp_wanted(const struct resp_parser *parser);

#endif
