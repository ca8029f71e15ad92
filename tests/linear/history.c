/* Histories in a text file, one operation a line:
 *
 *     CLIENT CALLED RETURNED COMMAND KEY [WORD...] -> REPLY
 *
 *     3 1000 2040 SET colour red -> +OK
 *     4 1500 1800 GET colour -> nil
 *     5 1700 - CAS colour "light red" blue -> ?
 *     3 2100 2300 ONCE client3 17 INCR visits -> :5
 *
 * CLIENT      a number; one client may have several operations under way
 * CALLED      an integer on a clock that all clients share (any unit, rising)
 * RETURNED    the same, or - if the client never learned the outcome; then the reply is ?
 * WORD        as it is, or in double quotes with \\ \" \n \r \t \xHH
 * REPLY       +OK   :5   nil   -ERR any text   or a value, as a WORD in double quotes; +ANY if it
 *             was answered, but says no more than that it is done (an append without its length)
 *
 * What certainly did not happen (refused, not sent) is left out.  Empty lines and lines that begin
 * with # are skipped.  FLUSHALL (no key) counts for every key of the file.
 *
 * ONCE: all tries of a request (same client id, request id) are one operation, from the first call
 * to the last return; if one was answered, so is the operation.  Two different answers are an error
 * of the store, which is reported here already. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "linear.h"

enum { WORDS_MAX = 16 };

/* Where an operation of ONCE stands, to find its other tries. */
struct request {
    char *id; /* owned */
    uint32_t key, op;
    UT_hash_handle hh;
};

struct name { /* key name -> its number */
    uint32_t key;
    UT_hash_handle hh;
    char text[];
};

struct reader {
    struct linear_history *history;
    struct request *requests;
    struct name *names;
    struct linear_op *flushes;
    uint32_t flushes_count;
    struct bytes words[WORDS_MAX]; /* of this line, in the line's text */
    uint32_t words_count;
    struct linear_op op; /* of this line */
    const char *wrong;
};

/* ---- words ------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character behind a backslash at `at`; moves it to the last one it took.  -1: none. */
static int escaped(const char **at)
{
    const char *text = ++*at;
    switch (*text) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case '\\':
    case '"': return *text;
    case 'x': {
        int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
        *at += 2;
        return low < 0 ? -1 : high * 16 + low;
    }
    default: return -1;
    }
}

/* A word at `at` into `out`; returns what follows it, NULL if it is malformed. */
static const char *read_word(const char *at, struct buffer *out)
{
    if (*at != '"') {
        while (*at && *at != ' ')
            buffer_append_byte(out, *at++);
        return at;
    }
    for (at++; *at != '"'; at++) {
        int c = (unsigned char)*at;
        if (*at == '\0')
            return NULL;
        if (*at == '\\')
            c = escaped(&at);
        if (c < 0)
            return NULL;
        buffer_append_byte(out, (char)c);
    }
    return at[1] == '\0' || at[1] == ' ' ? at + 1 : NULL;
}

static struct buffer *new_text(struct reader *reader, size_t size)
{
    struct linear_history *history = reader->history;
    uint32_t count = history->texts_count;
    if ((count & (count - 1)) == 0) /* a power of two, or none */
        history->texts =
            memory_resize(history->texts, (count ? 2 * count : 1) * sizeof *history->texts);
    struct buffer *text = &history->texts[history->texts_count++];
    *text = (struct buffer){0};
    buffer_reserve(text, size);
    return text;
}

/* Into reader->words, up to "->"; returns where the reply begins. */
static const char *read_words(struct reader *reader, const char *at, struct buffer *text)
{
    reader->words_count = 0;
    for (;;) {
        while (*at == ' ')
            at++;
        if (strncmp(at, "-> ", 3) == 0)
            return at + 3;
        if (*at == '\0' || reader->words_count == WORDS_MAX)
            return NULL;
        size_t begin = text->size;
        at = read_word(at, text);
        if (!at)
            return NULL;
        reader->words[reader->words_count++] = bytes_of(text->data + begin, text->size - begin);
    }
}

/* The reply as RESP2. */
static bool read_reply(struct reader *reader, const char *at, struct buffer *text)
{
    size_t begin = text->size;
    if (strcmp(at, "?") == 0) {
        reader->op.reply = bytes_of(NULL, 0);
        return reader->op.returned == LINEAR_NEVER;
    }
    if (strcmp(at, "nil") == 0) {
        buffer_printf(text, "$-1\r\n");
    } else if (*at == '"') {
        struct buffer value = {0};
        const char *end = read_word(at, &value);
        buffer_printf(text, "$%zu\r\n", value.size);
        buffer_append_bytes(text, buffer_bytes(&value));
        buffer_printf(text, "\r\n");
        buffer_deinit(&value);
        if (!end || *end)
            return false;
    } else if (*at == '+' || *at == ':' || *at == '-') {
        buffer_printf(text, "%s\r\n", at);
    } else {
        return false;
    }
    reader->op.reply = bytes_of(text->data + begin, text->size - begin);
    return reader->op.returned != LINEAR_NEVER;
}

static bool read_time(const char **at, int64_t *time)
{
    char *end;
    errno = 0;
    *time = strtoll(*at, &end, 10);
    bool good = end != *at && *end == ' ' && errno == 0 && *time < LINEAR_NEVER - 1;
    *at = end;
    return good;
}

static bool read_times(struct reader *reader, const char **at)
{
    int64_t client;
    if (!read_time(at, &client) || client < 0 || client > UINT32_MAX ||
        !read_time(at, &reader->op.called))
        return false;
    reader->op.client = (uint32_t)client;
    if (strncmp(*at, " - ", 3) == 0) {
        reader->op.returned = LINEAR_NEVER;
        *at += 2;
        return true;
    }
    return read_time(at, &reader->op.returned) && reader->op.returned >= reader->op.called;
}

/* ---- keys --------------------------------------------------------------------------------- */

static uint32_t key_of(struct reader *reader, struct bytes text)
{
    struct linear_history *history = reader->history;
    struct name *name;
    HASH_FIND(hh, reader->names, text.data, text.size, name);
    if (name)
        return name->key;
    uint32_t count = history->count;
    if ((count & (count - 1)) == 0)
        history->keys =
            memory_resize(history->keys, (count ? 2 * count : 1) * sizeof *history->keys);
    name = memory_new(sizeof *name + text.size);
    memcpy(name->text, text.data, text.size);
    name->key = history->count++;
    struct linear_key *key = &history->keys[name->key];
    *key = (struct linear_key){.name = memory_new(text.size + 1)};
    memcpy(key->name, text.data, text.size);
    HASH_ADD(hh, reader->names, text, text.size, name);
    return name->key;
}

static void add_op(struct linear_key *key, const struct linear_op *op)
{
    if (key->count == key->capacity) {
        key->capacity = key->capacity ? key->capacity * 2 : 16;
        key->ops = memory_resize(key->ops, key->capacity * sizeof *key->ops);
    }
    key->ops[key->count++] = *op;
}

/* A further try of a request that is known: widens it. */
static bool merge(struct reader *reader, struct linear_op *known)
{
    const struct linear_op *op = &reader->op;
    if (op->called < known->called)
        known->called = op->called;
    if (op->returned == LINEAR_NEVER)
        return true; /* an answer to another try says what happened, once and for all */
    if (known->returned == LINEAR_NEVER) {
        known->returned = op->returned;
        known->reply = op->reply;
        return true;
    }
    if (!bytes_equal(known->reply, op->reply)) {
        reader->wrong = "another answer than before to the same request of ONCE";
        return false;
    }
    /* The effect was there when the first answer was: the earlier return says more. */
    if (op->returned < known->returned)
        known->returned = op->returned;
    return true;
}

static bool add_once(struct reader *reader, uint32_t number, struct bytes client,
                     struct bytes request_id)
{
    struct linear_key *key = &reader->history->keys[number];
    struct buffer id = {0};
    struct request *request;
    buffer_append_bytes(&id, client);
    buffer_append_byte(&id, '\0');
    buffer_append_bytes(&id, request_id);
    HASH_FIND(hh, reader->requests, id.data, id.size, request);
    bool good = true;
    if (request && request->key != number) {
        reader->wrong = "the same request of ONCE on another key";
        good = false;
    } else if (request) {
        good = merge(reader, &key->ops[request->op]);
    } else {
        request = memory_new(sizeof *request);
        *request =
            (struct request){.id = memory_copy(id.data, id.size), .key = number, .op = key->count};
        HASH_ADD_KEYPTR(hh, reader->requests, request->id, id.size, request);
        add_op(key, &reader->op);
    }
    buffer_deinit(&id);
    return good;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool add_line(struct reader *reader)
{
    struct linear_op *op = &reader->op;
    uint32_t skip = reader->words_count > 0 && bytes_is(reader->words[0], "ONCE") ? 3 : 0;
    uint32_t count = reader->words_count;
    bool flush = count > skip && bytes_is(reader->words[skip], "FLUSHALL");
    if (count < skip + 1 + !flush || count - skip - !flush > LINEAR_ARGS_MAX || (flush && skip))
        return false;
    op->argv[op->argc++] = reader->words[skip];
    for (uint32_t i = skip + 1 + !flush; i < count; i++)
        op->argv[op->argc++] = reader->words[i];
    if (!linear_knows(op)) {
        reader->wrong = "the checker does not know this command, or not with these words or reply";
        return false;
    }
    if (flush) {
        reader->flushes =
            memory_resize(reader->flushes, (reader->flushes_count + 1) * sizeof *reader->flushes);
        reader->flushes[reader->flushes_count++] = *op;
        return true;
    }
    uint32_t key = key_of(reader, reader->words[skip + 1]);
    if (skip)
        return add_once(reader, key, reader->words[1], reader->words[2]);
    add_op(&reader->history->keys[key], op);
    return true;
}

static bool read_line(struct reader *reader, const char *line)
{
    reader->op = (struct linear_op){0};
    reader->wrong = "expected: CLIENT CALLED RETURNED COMMAND KEY [WORD...] -> REPLY";
    if (*line == '\0' || *line == '#')
        return true;
    /* As RESP a value is longer by its size and two line ends. */
    struct buffer *text = new_text(reader, strlen(line) + 64);
    if (!read_times(reader, &line))
        return false;
    const char *data = text->data;
    const char *reply = read_words(reader, line, text);
    bool good = reply && read_reply(reader, reply, text);
    check(text->data == data); /* what points there stays right */
    return good && add_line(reader);
}

static bool read_lines(struct reader *reader, FILE *file, const char *path, struct buffer *error)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    bool good = true;
    for (unsigned number = 1; good && (size = getline(&line, &capacity, file)) >= 0; number++) {
        if (size > 0 && line[size - 1] == '\n')
            line[--size] = '\0';
        good = strlen(line) == (size_t)size && read_line(reader, line);
        if (!good)
            buffer_printf(error, "%s:%u: %s", path, number,
                          reader->wrong ? reader->wrong : "a NUL byte");
    }
    if (good && ferror(file)) {
        buffer_printf(error, "%s: %s", path, strerror(errno));
        good = false;
    }
    free(line);
    return good;
}

static void reader_deinit(struct reader *reader)
{
    struct request *request, *next_request;
    struct name *name, *next_name;
    HASH_ITER(hh, reader->requests, request, next_request)
    {
        HASH_DEL(reader->requests, request);
        memory_free(request->id);
        memory_free(request);
    }
    HASH_ITER(hh, reader->names, name, next_name)
    {
        HASH_DEL(reader->names, name);
        memory_free(name);
    }
    memory_free(reader->flushes);
}

bool linear_history_read(struct linear_history *history, const char *path, struct buffer *error)
{
    FILE *file = fopen(path, "r");
    struct reader reader = {.history = history};
    *history = (struct linear_history){0};
    if (!file) {
        buffer_printf(error, "%s: %s", path, strerror(errno));
        return false;
    }
    bool good = read_lines(&reader, file, path, error);
    for (uint32_t key = 0; good && key < history->count; key++)
        for (uint32_t i = 0; i < reader.flushes_count; i++)
            add_op(&history->keys[key], &reader.flushes[i]);
    fclose(file);
    reader_deinit(&reader);
    return good;
}

void linear_history_deinit(struct linear_history *history)
{
    for (uint32_t i = 0; i < history->count; i++) {
        memory_free(history->keys[i].name);
        memory_free(history->keys[i].ops);
    }
    for (uint32_t i = 0; i < history->texts_count; i++)
        buffer_deinit(&history->texts[i]);
    memory_free(history->keys);
    memory_free(history->texts);
    *history = (struct linear_history){0};
}
