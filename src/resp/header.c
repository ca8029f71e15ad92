#include "resp/header.h"

enum header_result resp_header_read(const char *data, size_t size, size_t start, size_t end,
                                    char mark, bool strict, int64_t *value)
{
    if (end + 1 >= size)
        return HEADER_CUT_SHORT;
    if (strict && data[end + 1] != '\n')
        return HEADER_NO_LINE_FEED;
    if (data[start] != mark)
        return HEADER_OTHER_MARK;
    if (!number_read_i64(data + start + 1, end - start - 1, value))
        return HEADER_NO_NUMBER;
    return HEADER_READ;
}

const char *resp_header_count_error(const struct resp_limits *limits, int64_t count)
{
    if (count > limits->argc_max)
        return "invalid multibulk length";
    if (limits->unauthenticated && count > UNAUTHENTICATED_ARGC_MAX)
        return "unauthenticated multibulk length";
    return NULL;
}

const char *resp_header_length_error(const struct resp_limits *limits, size_t position,
                                     int64_t length)
{
    /* Redis's own bound is larger than ours may be: below it, it says what strangers may send. */
    if (limits->unauthenticated && length > UNAUTHENTICATED_BULK_MAX && length <= REDIS_BULK_MAX)
        return "unauthenticated bulk length";
    if (length < 0 || (uint64_t)length > limits->bulk_max)
        return "invalid bulk length";
    if (limits->unauthenticated && length > UNAUTHENTICATED_BULK_MAX)
        return "unauthenticated bulk length";
    size_t bytes = (size_t)length;
    if (bytes + 2 > limits->command_max || position > limits->command_max - bytes - 2)
        return "too big command";
    return NULL;
}
