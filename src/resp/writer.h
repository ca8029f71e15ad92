/* Replies, in RESP2 or RESP3 by `protocol`, appended to a buffer.  A reply whose `out` is NULL is
 * thrown away (a command applied on a node where nobody waits). */
#ifndef RESP_WRITER_H
#define RESP_WRITER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

struct reply {
    struct buffer *out; /* borrowed; NULL: discard */
    int protocol;       /* 2 or 3 */
};

void reply_simple(struct reply *reply, const char *text); /* +OK */
/* "-" text; `text` carries its own code ("ERR syntax error"); CR and LF in it become spaces. */
void reply_error(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct bytes value);
void reply_bulk_string(struct reply *reply, const char *text);
void reply_verbatim(struct reply *reply, struct bytes text); /* =txt: in RESP3, else bulk */
void reply_null(struct reply *reply);                        /* _ or $-1 */
void reply_null_array(struct reply *reply);                  /* _ or *-1 */
void reply_double(struct reply *reply, double value);        /* , or bulk */
void reply_bool(struct reply *reply, bool value);            /* #t or :1 */
void reply_array(struct reply *reply, uint64_t count);       /* count replies follow */
void reply_map(struct reply *reply, uint64_t pairs);         /* % or array of 2*pairs */
void reply_set(struct reply *reply, uint64_t count);         /* ~ or array */
void reply_push(struct reply *reply, uint64_t count);        /* > or array */
void reply_raw(struct reply *reply, struct bytes resp);      /* already encoded */

/* A command in multibulk form: what peers send each other. */
void resp_command_header(struct buffer *out, uint32_t argc);
void resp_command_argument(struct buffer *out, struct bytes argument);

/* The bytes of the reply, of either protocol, that these begin with; 0: it is malformed or not all
 * there. */
size_t resp_reply_size(struct bytes bytes);

/* Append the RESP2 form of one complete RESP3 reply (nested ones too).  False if it is
 * malformed. */
bool resp_3_to_2(struct bytes resp3, struct buffer *out);

#endif
