/* Replies as bytes, and the way from RESP3 back to RESP2.
 *
 * Both protocols write a reply front to back, the size of an aggregate before its elements, so the
 * conversion needs no tree and no stack: it goes through the elements in order and counts how many
 * are still owed.  Attributes (`|`), which no command of ours writes, count as malformed.
 *
 * Loop thread only; knows nothing but its buffer. */
#include "resp/writer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/fatal.h"
#include "resp/number.h"

enum { ERROR_SIZE_MAX = 1024 }; /* longer error texts are cut */

static void append(struct reply *reply, const void *data, size_t size)
{
    if (reply->out)
        buffer_append(reply->out, data, size);
}

static void append_string(struct reply *reply, const char *text)
{
    append(reply, text, strlen(text));
}

/* `<mark><number>\r\n` */
static void append_header(struct buffer *out, char mark, int64_t number)
{
    char line[NUMBER_I64_SIZE + 3];
    line[0] = mark;
    size_t size = 1 + number_format_i64(number, line + 1);
    line[size++] = '\r';
    line[size++] = '\n';
    buffer_append(out, line, size);
}

static void append_bulk(struct buffer *out, struct bytes value)
{
    buffer_reserve(out, value.size + NUMBER_I64_SIZE + 5);
    append_header(out, '$', (int64_t)value.size);
    buffer_append_bytes(out, value);
    buffer_append(out, "\r\n", 2);
}

static void header(struct reply *reply, char mark, int64_t number)
{
    if (reply->out)
        append_header(reply->out, mark, number);
}

/* The reply of most writes: in one piece. */
void reply_simple(struct reply *reply, const char *text)
{
    struct bytes words = bytes_from_string(text);
    if (!reply->out)
        return;
    buffer_reserve(reply->out, words.size + 3);
    char *at = reply->out->data + reply->out->size;
    *at++ = '+';
    memcpy(at, words.data, words.size);
    at[words.size] = '\r';
    at[words.size + 1] = '\n';
    reply->out->size += words.size + 3;
}

/* A line end inside a line would let one client's words forge another reply. */
static void blank_line_ends(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
}

void reply_error(struct reply *reply, const char *format, ...)
{
    if (!reply->out)
        return;
    buffer_append_byte(reply->out, '-');
    size_t start = reply->out->size;
    va_list arguments;
    va_start(arguments, format);
    char line[ERROR_SIZE_MAX];
    int wanted = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    check(wanted >= 0);
    size_t size = (size_t)wanted < sizeof(line) ? (size_t)wanted : sizeof(line) - 1;
    buffer_append(reply->out, line, size);
    blank_line_ends(reply->out->data + start, reply->out->size - start);
    buffer_append(reply->out, "\r\n", 2);
}

void reply_integer(struct reply *reply, int64_t value)
{
    header(reply, ':', value);
}

void reply_bulk(struct reply *reply, struct bytes value)
{
    if (reply->out)
        append_bulk(reply->out, value);
}

void reply_bulk_string(struct reply *reply, const char *text)
{
    reply_bulk(reply, bytes_from_string(text));
}

void reply_verbatim(struct reply *reply, struct bytes text)
{
    if (reply->protocol < 3) {
        reply_bulk(reply, text);
        return;
    }
    header(reply, '=', (int64_t)text.size + 4);
    append(reply, "txt:", 4);
    append(reply, text.data, text.size);
    append(reply, "\r\n", 2);
}

void reply_null(struct reply *reply)
{
    append_string(reply, reply->protocol >= 3 ? "_\r\n" : "$-1\r\n");
}

void reply_null_array(struct reply *reply)
{
    append_string(reply, reply->protocol >= 3 ? "_\r\n" : "*-1\r\n");
}

void reply_double(struct reply *reply, double value)
{
    char text[NUMBER_DOUBLE_SIZE];
    size_t size = number_format_double(value, text);
    if (reply->protocol < 3) {
        reply_bulk(reply, bytes_of(text, size));
        return;
    }
    append(reply, ",", 1);
    append(reply, text, size);
    append(reply, "\r\n", 2);
}

void reply_bool(struct reply *reply, bool value)
{
    if (reply->protocol >= 3)
        append_string(reply, value ? "#t\r\n" : "#f\r\n");
    else
        header(reply, ':', value);
}

void reply_array(struct reply *reply, uint64_t count)
{
    header(reply, '*', (int64_t)count);
}

void reply_map(struct reply *reply, uint64_t pairs)
{
    if (reply->protocol >= 3)
        header(reply, '%', (int64_t)pairs);
    else
        header(reply, '*', (int64_t)(pairs * 2));
}

void reply_set(struct reply *reply, uint64_t count)
{
    header(reply, reply->protocol >= 3 ? '~' : '*', (int64_t)count);
}

void reply_push(struct reply *reply, uint64_t count)
{
    header(reply, reply->protocol >= 3 ? '>' : '*', (int64_t)count);
}

void reply_raw(struct reply *reply, struct bytes resp)
{
    append(reply, resp.data, resp.size);
}

void resp_command_header(struct buffer *out, uint32_t argc)
{
    append_header(out, '*', argc);
}

void resp_command_argument(struct buffer *out, struct bytes argument)
{
    append_bulk(out, argument);
}

/* ---- RESP3 to RESP2 --------------------------------------------------------- */

struct converter {
    const char *at, *end; /* what is left of the input */
    struct buffer *out;
    uint64_t owed; /* elements still to come before the reply is complete */
};

static bool take_line(struct converter *c, struct bytes *line)
{
    const char *cr = memchr(c->at, '\r', (size_t)(c->end - c->at));
    if (!cr || cr + 1 >= c->end || cr[1] != '\n')
        return false;
    *line = bytes_of(c->at, (size_t)(cr - c->at));
    c->at = cr + 2;
    return true;
}

static bool take_bulk(struct converter *c, uint64_t size, struct bytes *body)
{
    uint64_t left = (uint64_t)(c->end - c->at);
    if (size > left || left - size < 2 || c->at[size] != '\r' || c->at[size + 1] != '\n')
        return false;
    *body = bytes_of(c->at, size);
    c->at += size + 2;
    return true;
}

static void put_line(struct converter *c, char mark, struct bytes text)
{
    buffer_append_byte(c->out, mark);
    size_t start = c->out->size;
    buffer_append_bytes(c->out, text);
    blank_line_ends(c->out->data + start, text.size);
    buffer_append(c->out, "\r\n", 2);
}

static bool convert_bulk(struct converter *c, char mark, struct bytes line)
{
    uint64_t size;
    struct bytes body;
    if (!number_parse_u64(line, &size) || !take_bulk(c, size, &body))
        return false;
    if (mark == '=') {
        if (size < 4)
            return false;
        body = bytes_of((const char *)body.data + 4, size - 4);
    }
    if (mark == '!')
        put_line(c, '-', body);
    else
        append_bulk(c->out, body);
    return true;
}

static bool convert_aggregate(struct converter *c, char mark, struct bytes line)
{
    uint64_t count;
    if (!number_parse_u64(line, &count))
        return false;
    /* Every element takes at least three bytes, so a count beyond what is left is a lie. */
    if (count > (uint64_t)(c->end - c->at))
        return false;
    uint64_t elements = mark == '%' ? count * 2 : count;
    c->owed += elements;
    append_header(c->out, '*', (int64_t)elements);
    return true;
}

static bool convert_scalar(struct converter *c, char mark, struct bytes line)
{
    switch (mark) {
    case '+':
    case '-':
    case ':': put_line(c, mark, line); return true;
    case ',':
    case '(': append_bulk(c->out, line); return true;
    case '_': buffer_append(c->out, "$-1\r\n", 5); return line.size == 0;
    case '#':
        if (line.size != 1 || !strchr("tf", *(const char *)line.data))
            return false;
        append_header(c->out, ':', *(const char *)line.data == 't');
        return true;
    default: return false;
    }
}

static bool convert_element(struct converter *c)
{
    if (c->at == c->end)
        return false;
    char mark = *c->at++;
    struct bytes line;
    if (!take_line(c, &line))
        return false;
    c->owed--;
    switch (mark) {
    case '$':
    case '=':
    case '!': return convert_bulk(c, mark, line);
    case '*':
    case '~':
    case '>':
    case '%': return convert_aggregate(c, mark, line);
    default: return convert_scalar(c, mark, line);
    }
}

bool resp_3_to_2(struct bytes resp3, struct buffer *out)
{
    size_t before = out->size;
    const char *data = resp3.data;
    struct converter c = {.at = data, .end = data + resp3.size, .out = out, .owed = 1};
    bool well_formed = true;
    while (well_formed && c.owed)
        well_formed = convert_element(&c);
    if (c.at != c.end)
        well_formed = false;
    if (!well_formed)
        out->size = before;
    return well_formed;
}

/* ---- measuring ------------------------------------------------------------------------- */

/* Of the line at `at`, with its end; 0: there is none. */
static size_t line_size(const char *at, size_t left)
{
    const char *end = left > 2 ? memchr(at, '\n', left) : NULL;
    return end && end - at >= 2 && end[-1] == '\r' ? (size_t)(end - at) + 1 : 0;
}

static bool is_bulk(char type)
{
    return type == '$' || type == '=' || type == '!';
}

/* Elements behind it for each that it counts. */
static unsigned each_has(char type)
{
    return type == '%' ? 2 : type == '*' || type == '~' || type == '>';
}

/* What stands behind the type of an element: how many elements follow, or the bytes of a bulk. */
static bool element_count(const char *at, size_t line, int64_t *count)
{
    return number_parse_i64(bytes_of(at + 1, line - 3), count) && *count >= -1 &&
           *count <= UINT32_MAX;
}

size_t resp_reply_size(struct bytes bytes)
{
    const char *data = bytes.data;
    size_t at = 0;
    for (uint64_t owed = 1; owed > 0; owed--) {
        size_t line = line_size(data + at, bytes.size - at);
        if (line == 0)
            return 0;
        char type = data[at];
        int64_t count = -1;
        bool is_counted = is_bulk(type) || each_has(type);
        if (is_counted && !element_count(data + at, line, &count))
            return 0;
        at += line;
        if (count < 0) /* null, or all of it */
            continue;
        at += is_bulk(type) ? (uint64_t)count + 2 : 0;
        owed += each_has(type) * (uint64_t)count;
        if (at > bytes.size)
            return 0;
    }
    return at;
}
