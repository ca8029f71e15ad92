/* The syntax column of docs.c as the `arguments` of COMMAND DOCS.
 *
 *     items    := item { " " item }
 *     item     := [ name "=" ] ( "(" choice ")" | "[" item "]" | TOKEN [ " " item ] | word )
 *                 [ "..." ]
 *     choice   := items { "|" items }          several: one of them; one of several items: a block
 *     word     := name [ ":" type ]            the type is key for key and newkey, else string
 *
 * An upper-case TOKEN stands for itself, or introduces the word or named choice behind it.  The
 * text is ours (docs.c), so a mistake in it is a bug: check().
 *
 * A map says how many pairs it has before them, so each argument is written to a buffer of its own
 * first; this is documentation, not a hot path. */
#include <ctype.h>

#include "base/fatal.h"
#include "command/docs.h"

enum { WORD_SIZE = 48 };

struct reader {
    const char *at;
    int protocol;
    int keys; /* seen so far: the index of the next one's specification */
};

/* One argument under construction: the pairs behind name and type. */
struct argument {
    char name[WORD_SIZE];
    char type[WORD_SIZE];
    char token[WORD_SIZE];
    bool optional, multiple;
    int key_spec;        /* -1: not a key */
    struct buffer parts; /* of a choice or block */
    uint64_t parts_count;
};

static uint64_t read_items(struct reader *reader, struct reply *out);
static void read_item(struct reader *reader, struct argument *argument);

/* ---- writing ------------------------------------------------------------------- */

static void put_pair(struct reply *out, const char *name, const char *value)
{
    reply_bulk_string(out, name);
    reply_bulk_string(out, value);
}

static bool has_parts(const struct argument *argument)
{
    return argument->parts_count > 0;
}

static void put_argument(const struct argument *argument, struct reply *out)
{
    bool flags = argument->optional || argument->multiple;
    bool shown = !has_parts(argument) && strcmp(argument->type, "pure-token") != 0;
    reply_map(out, 2u + shown + (argument->key_spec >= 0) + (argument->token[0] != '\0') + flags +
                       has_parts(argument));
    put_pair(out, "name", argument->name);
    put_pair(out, "type", argument->type);
    if (shown)
        put_pair(out, "display_text", argument->name);
    if (argument->key_spec >= 0) {
        reply_bulk_string(out, "key_spec_index");
        reply_integer(out, argument->key_spec);
    }
    if (argument->token[0])
        put_pair(out, "token", argument->token);
    if (flags) {
        reply_bulk_string(out, "flags");
        reply_set(out, (uint64_t)argument->optional + argument->multiple);
        if (argument->optional)
            reply_simple(out, "optional");
        if (argument->multiple)
            reply_simple(out, "multiple");
    }
    if (has_parts(argument)) {
        reply_bulk_string(out, "arguments");
        reply_array(out, argument->parts_count);
        reply_raw(out, buffer_bytes(&argument->parts));
    }
}

/* ---- reading ------------------------------------------------------------------- */

static void expect(struct reader *reader, char wanted)
{
    check(*reader->at == wanted);
    reader->at++;
}

static void read_word(struct reader *reader, char *word)
{
    size_t size = strcspn(reader->at, " =()[]|.:");
    /* "ip:port" is a name, not a type */
    if (reader->at[size] == ':' && strncmp(reader->at + size, ":port", 5) == 0)
        size += 5;
    if (size == 0 && *reader->at == '=')
        size = 1; /* the token of XADD's MAXLEN */
    check(size > 0 && size < WORD_SIZE);
    memcpy(word, reader->at, size);
    word[size] = '\0';
    reader->at += size;
}

static bool is_token(const char *word)
{
    for (; *word; word++)
        if (islower((unsigned char)*word))
            return false;
    return true;
}

static void lower(char *to, const char *from)
{
    while (*from)
        *to++ = (char)tolower((unsigned char)*from++);
    *to = '\0';
}

/* `(a|b)` behind the bracket: the alternatives, or the items of a block. */
static void read_choice(struct reader *reader, struct argument *argument)
{
    struct reply parts = {&argument->parts, reader->protocol};
    uint64_t alternatives = 0;
    struct buffer first = {0}; /* the items of the first alternative, should it be the only one */
    for (;;) {
        struct argument block = {.key_spec = -1};
        struct reply items = {&block.parts, reader->protocol};
        block.parts_count = read_items(reader, &items);
        check(block.parts_count > 0);
        if (alternatives++ == 0)
            buffer_append_bytes(&first, buffer_bytes(&block.parts));
        if (*reader->at != '|' && alternatives == 1) {
            strcpy(argument->type, "block");
            argument->parts_count = block.parts_count;
            reply_raw(&parts, buffer_bytes(&first));
        } else if (block.parts_count == 1) {
            reply_raw(&parts, buffer_bytes(&block.parts));
        } else {
            strcpy(block.name, "block");
            strcpy(block.type, "block");
            put_argument(&block, &parts);
        }
        buffer_deinit(&block.parts);
        if (*reader->at != '|')
            break;
        reader->at++;
    }
    buffer_deinit(&first);
    expect(reader, ')');
    if (alternatives > 1) {
        strcpy(argument->type, "oneof");
        argument->parts_count = alternatives;
    }
}

static void read_plain(struct reader *reader, struct argument *argument)
{
    bool is_key = strcmp(argument->name, "key") == 0 || strcmp(argument->name, "newkey") == 0;
    if (is_key)
        argument->key_spec = reader->keys++;
    strcpy(argument->type, is_key ? "key" : "string");
    if (*reader->at != ':')
        return;
    reader->at++;
    read_word(reader, argument->type);
}

/* A token stands alone, or before the argument that it introduces. */
static void read_token(struct reader *reader, struct argument *argument)
{
    char token[WORD_SIZE];
    strcpy(token, argument->name);
    if (reader->at[0] == ' ' && (islower((unsigned char)reader->at[1]))) {
        reader->at++;
        read_item(reader, argument);
    } else {
        lower(argument->name, token);
        strcpy(argument->type, "pure-token");
    }
    strcpy(argument->token, token);
}

static void read_item(struct reader *reader, struct argument *argument)
{
    if (*reader->at == '[') {
        reader->at++;
        read_item(reader, argument);
        argument->optional = true;
        expect(reader, ']');
    } else {
        read_word(reader, argument->name);
        if (*reader->at == '=') {
            reader->at++;
            expect(reader, '(');
            read_choice(reader, argument);
        } else if (is_token(argument->name)) {
            read_token(reader, argument);
        } else {
            read_plain(reader, argument);
        }
    }
    if (strncmp(reader->at, "...", 3) == 0) {
        argument->multiple = true;
        reader->at += 3;
    }
}

static uint64_t read_items(struct reader *reader, struct reply *out)
{
    uint64_t count = 0;
    while (*reader->at && !strchr("|)]", *reader->at)) {
        struct argument argument = {.key_spec = -1};
        read_item(reader, &argument);
        put_argument(&argument, out);
        buffer_deinit(&argument.parts);
        count++;
        if (*reader->at == ' ')
            reader->at++;
    }
    return count;
}

uint64_t command_docs_arguments(const char *syntax, struct reply *reply)
{
    struct reader reader = {.at = syntax, .protocol = reply->protocol};
    uint64_t count = read_items(&reader, reply);
    check(*reader.at == '\0');
    return count;
}
