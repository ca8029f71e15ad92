/* A line `<mark><number>\r\n` of a multibulk command, and the bounds that its number must keep. */
#ifndef RESP_HEADER_H
#define RESP_HEADER_H

#include "resp/limits.h"
#include "resp/number.h"

enum {
    UNAUTHENTICATED_ARGC_MAX = 10,
    UNAUTHENTICATED_BULK_MAX = 16384,
    REDIS_BULK_MAX = 512 * 1024 * 1024 /* its proto-max-bulk-len, when nobody sets it */
};

enum header_result {
    HEADER_READ,
    HEADER_CUT_SHORT,    /* the byte behind CR has not come */
    HEADER_NO_LINE_FEED, /* only if `strict` */
    HEADER_OTHER_MARK,   /* it is data[start] */
    HEADER_NO_NUMBER
};

/* The line from `start` to the CR at `end`.  The mark is looked at only when the whole line is
 * there: Redis, too, waits for it. */
/*@ requires \valid_read(data + (0 .. size - 1)) && \valid(value);
    requires \separated(value, data + (0 .. size - 1));
    requires start <= end < size < SIZE_MAX && mark != '\r' && data[end] == '\r';
    assigns *value;
    ensures inside: \result == HEADER_READ ==> start < end && end + 2 <= size;
    ensures inside: \result == HEADER_OTHER_MARK ==> data[start] != mark;
    ensures read: \result == HEADER_READ ==> data[start] == mark &&
      (strict ==> data[end + 1] == '\n') &&
      i64_read(data + start + 1, end - start - 1, *value);
    ensures refused: \result == HEADER_NO_NUMBER ==>
      i64_refused(data + start + 1, end - start - 1);
    ensures refused: \result == HEADER_CUT_SHORT ==> end + 1 == size;
*/
enum header_result resp_header_read(const char *data, size_t size, size_t start, size_t end,
                                    char mark, bool strict, int64_t *value);

/* NULL, or why a command may not have so many words. */
/*@ requires \valid_read(limits);
    assigns \nothing;
    ensures \result == \null <==> count <= limits->argc_max &&
      (limits->unauthenticated ==> count <= UNAUTHENTICATED_ARGC_MAX);
*/
const char *resp_header_count_error(const struct resp_limits *limits, int64_t count);

/* NULL, or why a word at `position` of its command may not have that length. */
/*@ requires \valid_read(limits) && position <= INT64_MAX;
    assigns \nothing;
    ensures \result == \null <==> 0 <= length <= limits->bulk_max &&
      (limits->unauthenticated ==> length <= UNAUTHENTICATED_BULK_MAX) &&
      position + length + 2 <= limits->command_max;
*/
const char *resp_header_length_error(const struct resp_limits *limits, size_t position,
                                     int64_t length);

#endif
