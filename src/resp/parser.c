/* The incremental command parser.
 *
 *     START --'*'--> (header) --> BULK_HEADER <--> BULK_DATA --last--> START
 *       \--else--> INLINE ----------------------------------------------^
 *
 * The caller offers the same bytes again with more behind them, and may have moved them in between:
 * so everything kept here is an offset from the start of the command, and pointers are made only
 * when the command is complete.  `position` is how far the command is understood, `scanned` how far
 * the end of the present line has been looked for; neither ever goes back, so a command costs its
 * length once, however small the pieces it comes in.
 *
 * A header promises, bytes prove: the arrays grow with the arguments that have arrived, not with
 * the count that was announced.
 *
 * Texts and leniency are Redis's (7.2 networking.c processInlineBuffer, processMultibulkBuffer):
 * from clients the byte behind CR and the two behind an argument are skipped unseen.  Without
 * allow_inline (peers) they must be CR LF.  Loop thread only. */
#include "resp/parser.h"

#include <ctype.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "resp/header.h"

enum { ARGV_KEEP = 1024 }; /* capacity that may stay with a connection between commands */

enum state { STATE_START, STATE_INLINE, STATE_COUNT, STATE_BULK_HEADER, STATE_BULK_DATA };

/* Where a word is, and then the word: a second array, of a million words, would take memory for
 * them in the one turn in which the last of them has come. */
union argument {
    struct {
        size_t offset, size;
    } span;
    struct bytes word; /* when the command is complete */
};

_Static_assert(sizeof(union argument) == sizeof(struct bytes), "arguments are an array of words");

struct resp_parser {
    struct resp_limits limits;
    enum state state;
    size_t position;   /* understood up to here */
    size_t scanned;    /* no line end between position and here */
    uint32_t expected; /* words of the command under way */
    size_t bulk_size;  /* STATE_BULK_DATA: size of the word under way */
    union argument *arguments;
    uint32_t count, capacity; /* of arguments */
    struct buffer words;      /* inline words, unquoted */
    char error[64];
};

struct resp_parser *resp_parser_new(const struct resp_limits *limits)
{
    struct resp_parser *parser = memory_new(sizeof(*parser));
    parser->limits = *limits;
    return parser;
}

void resp_parser_free(struct resp_parser *parser)
{
    if (!parser)
        return;
    memory_free(parser->arguments);
    buffer_deinit(&parser->words);
    memory_free(parser);
}

void resp_parser_set_limits(struct resp_parser *parser, const struct resp_limits *limits)
{
    parser->limits = *limits;
}

static enum resp_result invalid(struct resp_parser *parser, const char *text)
{
    snprintf(parser->error, sizeof(parser->error), "Protocol error: %s", text);
    return RESP_INVALID;
}

static enum resp_result expected(struct resp_parser *parser, char wanted, char got)
{
    char text[32];
    if (got == '\r' || got == '\n' || got == '\0') /* would end the reply or the string early */
        got = ' ';
    snprintf(text, sizeof(text), "expected '%c', got '%c'", wanted, got);
    return invalid(parser, text);
}

/* Ready for the next command. The argv of this one stays as it is until then. */
static void restart(struct resp_parser *parser)
{
    parser->state = STATE_START;
    parser->position = 0;
    parser->scanned = 0;
    parser->expected = 0;
}

static void add_span(struct resp_parser *parser, size_t offset, size_t size)
{
    if (parser->count == parser->capacity) {
        parser->capacity = parser->capacity ? parser->capacity * 2 : 8;
        parser->arguments =
            memory_resize(parser->arguments, parser->capacity * sizeof *parser->arguments);
    }
    union argument *argument = &parser->arguments[parser->count++];
    argument->span.offset = offset;
    argument->span.size = size;
}

static enum resp_result complete(struct resp_parser *parser, const char *base, size_t size,
                                 size_t *consumed)
{
    for (uint32_t i = 0; i < parser->count; i++) {
        union argument *argument = &parser->arguments[i];
        argument->word = bytes_of(base + argument->span.offset, argument->span.size);
    }
    *consumed = size;
    restart(parser);
    return RESP_COMMAND;
}

/* Looks for `mark` from where the last look stopped.  RESP_COMMAND: it is `*at`. */
static enum resp_result find_line_end(struct resp_parser *parser, const char *data, size_t size,
                                      char mark, const char *too_big, size_t *at)
{
    const char *found = memchr(data + parser->scanned, mark, size - parser->scanned);
    parser->scanned = found ? (size_t)(found - data) : size;
    if (parser->scanned - parser->position > parser->limits.inline_max)
        return invalid(parser, too_big);
    *at = parser->scanned;
    return found ? RESP_COMMAND : RESP_INCOMPLETE;
}

/* ---- inline --------------------------------------------------------------- */

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)tolower((unsigned char)digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The character that a backslash and `letter` stand for between double quotes. */
static char escaped(char letter)
{
    switch (letter) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return letter;
    }
}

/* From behind the opening quote to behind the closing one, which must end the word. */
static bool unquote(const char **at, const char *end, char quote, struct buffer *word)
{
    const char *p = *at;
    for (; p < end && *p != quote; p++) {
        if (*p != '\\' || p + 1 >= end) {
            buffer_append_byte(word, *p);
        } else if (quote == '\'') {
            if (p[1] == '\'')
                p++;
            buffer_append_byte(word, *p);
        } else if (p[1] == 'x' && end - p >= 4 && hex_value(p[2]) >= 0 && hex_value(p[3]) >= 0) {
            buffer_append_byte(word, (char)(hex_value(p[2]) * 16 + hex_value(p[3])));
            p += 3;
        } else {
            buffer_append_byte(word, escaped(*++p));
        }
    }
    if (p == end || (p + 1 < end && !isspace((unsigned char)p[1])))
        return false;
    *at = p + 1;
    return true;
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* One word of a line, as sdssplitargs() of Redis cuts them.  False: unbalanced quotes. */
static bool inline_word(struct resp_parser *parser, const char **at, const char *end)
{
    struct buffer *words = &parser->words;
    size_t start = words->size;
    const char *p = *at;
    bool closed = false; /* a closing quote ends the word */
    while (!closed && p < end && !ends_word(*p)) {
        if (*p == '"' || *p == '\'') {
            char quote = *p++;
            if (!unquote(&p, end, quote, words))
                return false;
            closed = true;
        } else {
            buffer_append_byte(words, *p++);
        }
    }
    *at = p;
    add_span(parser, start, words->size - start);
    return true;
}

static enum resp_result parse_inline(struct resp_parser *parser, const char *data, size_t size,
                                     size_t *consumed)
{
    size_t newline = 0;
    enum resp_result result =
        find_line_end(parser, data, size, '\n', "too big inline request", &newline);
    if (result != RESP_COMMAND)
        return result;
    const char *p = data;
    const char *end = data + newline;
    if (end > p && end[-1] == '\r')
        end--;
    for (;;) {
        while (p < end && isspace((unsigned char)*p))
            p++;
        if (p == end)
            break;
        if (!inline_word(parser, &p, end))
            return invalid(parser, "unbalanced quotes in request");
    }
    /* Words that are all empty are nowhere: not at NULL, which memcpy() and others may not be
     * given. */
    const char *words = parser->words.data ? parser->words.data : data;
    return complete(parser, words, newline + 1, consumed);
}

/* ---- multibulk -------------------------------------------------------------- */

/* Such a line as nearly all are, whole, of a few digits.  False: it is for parse_header(). */
static bool parse_short_header(struct resp_parser *parser, const char *data, size_t size, char mark,
                               int64_t *value)
{
    enum { DIGITS = 4 };
    const char *at = data + parser->position;
    int64_t sum = 0;
    if (size - parser->position < 1 + DIGITS + 2 || at[0] != mark || at[1] < '1' || at[1] > '9')
        return false;
    unsigned digits = 1;
    for (; digits <= DIGITS && at[digits] >= '0' && at[digits] <= '9'; digits++)
        sum = 10 * sum + (at[digits] - '0');
    if (at[digits] != '\r' || at[digits + 1] != '\n')
        return false;
    *value = sum;
    parser->position += digits + 2;
    parser->scanned = parser->position;
    return true;
}

/* A line `<mark><number>\r\n` at the position.  RESP_COMMAND: `*value` and position are set. */
static enum resp_result parse_header(struct resp_parser *parser, const char *data, size_t size,
                                     char mark, const char *too_big, const char *not_a_number,
                                     int64_t *value)
{
    size_t end = 0;
    if (parse_short_header(parser, data, size, mark, value))
        return RESP_COMMAND;
    enum resp_result result = find_line_end(parser, data, size, '\r', too_big, &end);
    if (result != RESP_COMMAND)
        return result;
    size_t start = parser->position;
    switch (resp_header_read(data, size, start, end, mark, !parser->limits.allow_inline, value)) {
    case HEADER_CUT_SHORT: return RESP_INCOMPLETE;
    case HEADER_NO_LINE_FEED: return invalid(parser, "expected LF after CR");
    case HEADER_OTHER_MARK: return expected(parser, mark, data[start]);
    case HEADER_NO_NUMBER: return invalid(parser, not_a_number);
    case HEADER_READ: break;
    }
    parser->position = end + 2;
    parser->scanned = end + 2;
    return RESP_COMMAND;
}

static enum resp_result parse_count(struct resp_parser *parser, const char *data, size_t size)
{
    int64_t count;
    enum resp_result result = parse_header(parser, data, size, '*', "too big mbulk count string",
                                           "invalid multibulk length", &count);
    if (result != RESP_COMMAND)
        return result;
    const char *error = resp_header_count_error(&parser->limits, count);
    if (error)
        return invalid(parser, error);
    parser->expected = count > 0 ? (uint32_t)count : 0;
    parser->state = STATE_BULK_HEADER;
    return RESP_COMMAND;
}

static enum resp_result parse_bulk_header(struct resp_parser *parser, const char *data, size_t size)
{
    int64_t length;
    enum resp_result result = parse_header(parser, data, size, '$', "too big bulk count string",
                                           "invalid bulk length", &length);
    if (result != RESP_COMMAND)
        return result;
    const char *error = resp_header_length_error(&parser->limits, parser->position, length);
    if (error)
        return invalid(parser, error);
    parser->bulk_size = (size_t)length;
    parser->state = STATE_BULK_DATA;
    return RESP_COMMAND;
}

static enum resp_result parse_bulk_data(struct resp_parser *parser, const char *data, size_t size)
{
    size_t end = parser->position + parser->bulk_size;
    if (size < end + 2)
        return RESP_INCOMPLETE;
    if (!parser->limits.allow_inline && (data[end] != '\r' || data[end + 1] != '\n'))
        return invalid(parser, "expected CRLF after a bulk string");
    add_span(parser, parser->position, parser->bulk_size);
    parser->position = end + 2;
    parser->scanned = end + 2;
    parser->state = STATE_BULK_HEADER;
    return RESP_COMMAND;
}

static enum resp_result parse_first(struct resp_parser *parser, char first)
{
    parser->count = 0;
    buffer_clear(&parser->words);
    if (parser->words.capacity > ARGV_KEEP)
        buffer_deinit(&parser->words);
    if (parser->capacity > ARGV_KEEP) {
        memory_free(parser->arguments);
        parser->arguments = NULL;
        parser->capacity = 0;
    }
    if (first != '*' && !parser->limits.allow_inline)
        return expected(parser, '*', first);
    parser->state = first == '*' ? STATE_COUNT : STATE_INLINE;
    return RESP_COMMAND;
}

/* Takes one part of the command.  RESP_COMMAND: go on. */
static enum resp_result parse_part(struct resp_parser *parser, const char *data, size_t size)
{
    switch (parser->state) {
    case STATE_START: return parse_first(parser, data[0]);
    case STATE_COUNT: return parse_count(parser, data, size);
    case STATE_BULK_HEADER: return parse_bulk_header(parser, data, size);
    case STATE_BULK_DATA: return parse_bulk_data(parser, data, size);
    case STATE_INLINE: break;
    }
    check(false);
    return RESP_INVALID;
}

enum resp_result resp_parse(struct resp_parser *parser, const char *data, size_t size,
                            size_t *consumed)
{
    if (size == 0)
        return RESP_INCOMPLETE;
    check(size >= parser->position);
    for (;;) {
        if (parser->state == STATE_INLINE)
            return parse_inline(parser, data, size, consumed);
        enum resp_result result = parse_part(parser, data, size);
        if (result != RESP_COMMAND)
            return result;
        if (parser->state == STATE_BULK_HEADER && parser->count == parser->expected)
            return complete(parser, data, parser->position, consumed);
    }
}

const struct bytes *resp_argv(const struct resp_parser *parser, uint32_t *argc)
{
    *argc = parser->count;
    return parser->count > 0 ? &parser->arguments->word : NULL;
}

const char *resp_error(const struct resp_parser *parser)
{
    return parser->error;
}

size_t resp_wanted(const struct resp_parser *parser)
{
    if (parser->state != STATE_BULK_DATA)
        return 0;
    return parser->position + parser->bulk_size + 2;
}
