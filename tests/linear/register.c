/* What commands do to one key, and how they answer.  Deliberately not the server's code, nor built
 * on it: a mistake there must not be believed here. */
#include "register.h"
#include "typed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/fatal.h"
#include "base/memory.h"

enum { INTEGER_SIZE = 24 };

/* ---- values -------------------------------------------------------------------------- */

struct value {
    struct bytes bytes; /* owned */
    uint32_t number;
    bool is_integer;
    int64_t integer;
    UT_hash_handle hh;
};

static const struct value unknown = {.number = UINT32_MAX};
const struct value *const value_unknown = &unknown;

/* Only the one way in which the server itself would write it. */
static bool read_integer(struct bytes bytes, int64_t *integer)
{
    char text[INTEGER_SIZE], again[INTEGER_SIZE];
    if (bytes.size == 0 || bytes.size >= sizeof text)
        return false;
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    *integer = strtoll(text, NULL, 10);
    snprintf(again, sizeof again, "%" PRId64, *integer);
    return strcmp(text, again) == 0;
}

const struct value *value_of(struct values *values, struct bytes bytes)
{
    struct value *value;
    HASH_FIND(hh, values->table, bytes.data, bytes.size, value);
    if (value)
        return value;
    value = memory_new(sizeof *value);
    value->bytes = bytes_of(memory_copy(bytes.data, bytes.size), bytes.size);
    value->number = ++values->count;
    value->is_integer = read_integer(bytes, &value->integer);
    HASH_ADD_KEYPTR(hh, values->table, value->bytes.data, value->bytes.size, value);
    return value;
}

uint32_t value_number(const struct value *value)
{
    return value ? value->number : 0;
}

struct bytes value_bytes(const struct value *value)
{
    return value->bytes;
}

void values_deinit(struct values *values)
{
    struct value *value, *next;
    HASH_ITER(hh, values->table, value, next)
    {
        HASH_DEL(values->table, value);
        memory_free((void *)(uintptr_t)value->bytes.data);
        memory_free(value);
    }
    *values = (struct values){0};
}

/* ---- words and replies ------------------------------------------------------------------ */

static bool read_reply(struct values *values, struct bytes bytes, struct linear_reply *reply)
{
    const char *text = bytes.data;
    *reply = (struct linear_reply){0};
    if (bytes.size < 3 || memcmp(text + bytes.size - 2, "\r\n", 2) != 0)
        return false;
    struct bytes line = bytes_of(text + 1, bytes.size - 3);
    switch (text[0]) {
    case '+':
        reply->type = bytes_is(line, "ANY") ? REPLY_ANY : REPLY_OK;
        return reply->type == REPLY_ANY || bytes_is(line, "OK");
    case '-': reply->type = REPLY_ERROR; return true;
    case ':': reply->type = REPLY_INTEGER; return read_integer(line, &reply->integer);
    case '_': reply->type = REPLY_NIL; return line.size == 0;
    case '$': break;
    default: return false;
    }
    if (bytes_is(line, "-1")) {
        reply->type = REPLY_NIL;
        return true;
    }
    const char *body = memchr(text, '\n', bytes.size);
    check(body);
    body++;
    long long size = strtoll(text + 1, NULL, 10);
    if (size < 0 || body + size + 2 != text + bytes.size)
        return false;
    reply->type = REPLY_VALUE;
    reply->value = value_of(values, bytes_of(body, (size_t)size));
    return true;
}

static bool read_set_options(struct values *values, const struct linear_op *op,
                             struct action *action)
{
    for (uint32_t i = 2; i < op->argc; i++) {
        struct bytes word = op->argv[i];
        bool equal = bytes_is(word, "IFEQ");
        if (bytes_is(word, "GET")) {
            action->get = true;
        } else if (bytes_is(word, "NX")) {
            action->condition = CONDITION_NX;
        } else if (bytes_is(word, "XX")) {
            action->condition = CONDITION_XX;
        } else if ((equal || bytes_is(word, "IFNE")) && i + 1 < op->argc) {
            action->condition = equal ? CONDITION_IFEQ : CONDITION_IFNE;
            action->second = value_of(values, op->argv[++i]);
        } else {
            return false;
        }
    }
    return true;
}

static const struct known_command {
    const char *name;
    enum register_command command;
    uint32_t argc_min, argc_max;
    int64_t sign; /* ADD: of its operand, or the number itself */
} commands[] = {
    {"GET", COMMAND_GET, 1, 1, 0},           {"STRLEN", COMMAND_STRLEN, 1, 1, 0},
    {"EXISTS", COMMAND_EXISTS, 1, 1, 0},     {"SET", COMMAND_SET, 2, LINEAR_ARGS_MAX, 0},
    {"SETNX", COMMAND_SETNX, 2, 2, 0},       {"GETSET", COMMAND_GETSET, 2, 2, 0},
    {"GETDEL", COMMAND_GETDEL, 1, 1, 0},     {"DEL", COMMAND_DEL, 1, 1, 0},
    {"FLUSHALL", COMMAND_FLUSHALL, 1, 1, 0}, {"CAS", COMMAND_CAS, 3, 3, 0},
    {"CAD", COMMAND_CAD, 2, 2, 0},           {"DELIFEQ", COMMAND_DELIFEQ, 2, 2, 0},
    {"INCR", COMMAND_ADD, 1, 1, 1},          {"DECR", COMMAND_ADD, 1, 1, -1},
    {"INCRBY", COMMAND_ADD, 2, 2, 1},        {"DECRBY", COMMAND_ADD, 2, 2, -1},
    {"APPEND", COMMAND_APPEND, 2, 2, 0},
};

static const struct known_command *find(const struct linear_op *op)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (op->argc >= commands[i].argc_min && op->argc <= commands[i].argc_max &&
            bytes_is(op->argv[0], commands[i].name))
            return &commands[i];
    return NULL;
}

static const struct value *all_words(struct values *values, const struct linear_op *op)
{
    struct buffer words = {0};
    for (uint32_t i = 0; i < op->argc; i++)
        buffer_printf(&words, "%zu %.*s ", op->argv[i].size, (int)op->argv[i].size,
                      (const char *)op->argv[i].data);
    const struct value *value = value_of(values, buffer_bytes(&words));
    buffer_deinit(&words);
    return value;
}

bool action_of(struct values *values, const struct linear_op *op, struct action *action)
{
    const struct known_command *known = find(op);
    *action = (struct action){0};
    if (op->of_types) {
        action->of_types = op;
        action->first = all_words(values, op);
        action->reply.type = op->returned == LINEAR_NEVER ? REPLY_ANY : REPLY_VALUE;
        return typed_knows(op);
    }
    if (!known)
        return false;
    action->command = known->command;
    action->number = known->sign;
    if (known->command == COMMAND_ADD && op->argc > 1) {
        if (!read_integer(op->argv[1], &action->number))
            return false;
        action->number *= known->sign;
    }
    if (op->argc > 1)
        action->first = value_of(values, op->argv[1]);
    if (known->command == COMMAND_SET && !read_set_options(values, op, action))
        return false;
    if (known->command == COMMAND_CAS)
        action->second = value_of(values, op->argv[2]);
    return op->returned == LINEAR_NEVER || read_reply(values, op->reply, &action->reply);
}

bool linear_knows(const struct linear_op *op)
{
    struct values values = {0};
    struct action action;
    bool knows = action_of(&values, op, &action);
    values_deinit(&values);
    return knows;
}

/* ---- on a known value -------------------------------------------------------------------- */

struct outcome {
    struct linear_reply reply;
    const struct value *after;
};

static struct linear_reply integer_reply(int64_t integer)
{
    return (struct linear_reply){.type = REPLY_INTEGER, .integer = integer};
}

static struct linear_reply value_reply(const struct value *value)
{
    return (struct linear_reply){.type = value ? REPLY_VALUE : REPLY_NIL, .value = value};
}

static struct outcome execute_set(const struct action *action, const struct value *before)
{
    bool holds = true;
    switch (action->condition) {
    case CONDITION_NONE: break;
    case CONDITION_NX: holds = !before; break;
    case CONDITION_XX: holds = before; break;
    case CONDITION_IFEQ: holds = before == action->second; break;
    case CONDITION_IFNE: holds = before != action->second; break;
    }
    struct linear_reply reply = {.type = holds ? REPLY_OK : REPLY_NIL};
    return (struct outcome){action->get ? value_reply(before) : reply,
                            holds ? action->first : before};
}

static struct outcome execute_add(struct values *values, const struct action *action,
                                  const struct value *before)
{
    char text[INTEGER_SIZE];
    int64_t sum;
    if ((before && !before->is_integer) ||
        __builtin_add_overflow(before ? before->integer : 0, action->number, &sum))
        return (struct outcome){{.type = REPLY_ERROR}, before};
    int size = snprintf(text, sizeof text, "%" PRId64, sum);
    return (struct outcome){integer_reply(sum), value_of(values, bytes_of(text, (size_t)size))};
}

static struct outcome execute_append(struct values *values, const struct action *action,
                                     const struct value *before)
{
    struct buffer joined = {0};
    if (before)
        buffer_append_bytes(&joined, before->bytes);
    buffer_append_bytes(&joined, action->first->bytes);
    struct outcome outcome = {integer_reply((int64_t)joined.size),
                              value_of(values, buffer_bytes(&joined))};
    buffer_deinit(&joined);
    return outcome;
}

static struct outcome execute(struct values *values, const struct action *action,
                              const struct value *before)
{
    bool equal = before && before == action->first;
    int64_t compared = !before ? -1 : equal;
    switch (action->command) {
    case COMMAND_GET: return (struct outcome){value_reply(before), before};
    case COMMAND_STRLEN:
        return (struct outcome){integer_reply(before ? (int64_t)before->bytes.size : 0), before};
    case COMMAND_EXISTS: return (struct outcome){integer_reply(before != NULL), before};
    case COMMAND_SET: return execute_set(action, before);
    case COMMAND_SETNX:
        return (struct outcome){integer_reply(!before), before ? before : action->first};
    case COMMAND_GETSET: return (struct outcome){value_reply(before), action->first};
    case COMMAND_GETDEL: return (struct outcome){value_reply(before), NULL};
    case COMMAND_DEL: return (struct outcome){integer_reply(before != NULL), NULL};
    case COMMAND_FLUSHALL: return (struct outcome){{.type = REPLY_OK}, NULL};
    case COMMAND_CAS:
        return (struct outcome){integer_reply(compared), equal ? action->second : before};
    case COMMAND_CAD: return (struct outcome){integer_reply(compared), equal ? NULL : before};
    case COMMAND_DELIFEQ: return (struct outcome){integer_reply(equal), equal ? NULL : before};
    case COMMAND_ADD: return execute_add(values, action, before);
    case COMMAND_APPEND: return execute_append(values, action, before);
    }
    return (struct outcome){{REPLY_ANY, 0, NULL}, before};
}

static bool same_reply(const struct linear_reply *a, const struct linear_reply *b)
{
    return a->type == b->type && a->integer == b->integer && a->value == b->value;
}

/* ---- on a value of which nothing is known ---------------------------------------------------- */

/* What the reply says of the value before; value_unknown: too little. */
static const struct value *guess_set(const struct action *action)
{
    const struct linear_reply *reply = &action->reply;
    if (action->get)
        return reply->type == REPLY_NIL ? NULL : reply->value;
    bool done = reply->type == REPLY_OK;
    switch (action->condition) {
    case CONDITION_NONE: break;
    case CONDITION_NX: return done ? NULL : value_unknown;
    case CONDITION_XX: return done ? value_unknown : NULL;
    case CONDITION_IFEQ: return done ? action->second : value_unknown;
    case CONDITION_IFNE: return done ? value_unknown : action->second;
    }
    return value_unknown;
}

static const struct value *guess(struct values *values, const struct action *action)
{
    const struct linear_reply *reply = &action->reply;
    int64_t integer = reply->integer;
    switch (action->command) {
    case COMMAND_GET:
    case COMMAND_GETSET:
    case COMMAND_GETDEL: return reply->type == REPLY_NIL ? NULL : reply->value;
    case COMMAND_SET: return guess_set(action);
    case COMMAND_EXISTS:
    case COMMAND_DEL: return integer == 0 ? NULL : value_unknown;
    case COMMAND_SETNX: return integer == 1 ? NULL : value_unknown;
    case COMMAND_CAS:
    case COMMAND_CAD: return integer == 1 ? action->first : integer < 0 ? NULL : value_unknown;
    case COMMAND_DELIFEQ: return integer == 1 ? action->first : value_unknown;
    case COMMAND_ADD: {
        char text[INTEGER_SIZE];
        if (reply->type != REPLY_INTEGER)
            return value_unknown;
        int size = snprintf(text, sizeof text, "%" PRId64, integer - action->number);
        return value_of(values, bytes_of(text, (size_t)size)); /* or absent, with the same end */
    }
    case COMMAND_APPEND:
    case COMMAND_STRLEN:
    case COMMAND_FLUSHALL: break;
    }
    return value_unknown;
}

/* Where the guess says too little: every value that the reply allows, taken together. */
static bool fits_unknown(const struct action *action, const struct value **after)
{
    const struct linear_reply *reply = &action->reply;
    bool done = reply->type == REPLY_OK || reply->integer == 1;
    *after = value_unknown;
    switch (action->command) {
    case COMMAND_SET:
        if (reply->type == REPLY_OK)
            *after = action->first;
        return true;
    case COMMAND_DEL:
    case COMMAND_FLUSHALL: *after = NULL; return done;
    case COMMAND_APPEND: return reply->integer >= (int64_t)action->first->bytes.size;
    case COMMAND_GET:
    case COMMAND_STRLEN:
    case COMMAND_EXISTS:
    case COMMAND_SETNX:
    case COMMAND_GETSET:
    case COMMAND_GETDEL:
    case COMMAND_CAS:
    case COMMAND_CAD:
    case COMMAND_DELIFEQ:
    case COMMAND_ADD: break;
    }
    return true;
}

/* ---- both ----------------------------------------------------------------------------------- */

/* An action of unknown outcome on an unknown value. */
static const struct value *leaves(const struct action *action)
{
    switch (action->command) {
    case COMMAND_SET: return action->condition == CONDITION_NONE ? action->first : value_unknown;
    case COMMAND_GETSET: return action->first;
    case COMMAND_GETDEL:
    case COMMAND_DEL:
    case COMMAND_FLUSHALL: return NULL;
    case COMMAND_GET:
    case COMMAND_STRLEN:
    case COMMAND_EXISTS:
    case COMMAND_SETNX:
    case COMMAND_CAS:
    case COMMAND_CAD:
    case COMMAND_DELIFEQ:
    case COMMAND_ADD:
    case COMMAND_APPEND: break;
    }
    return value_unknown;
}

bool action_fits(struct values *values, const struct action *action, const struct value *before,
                 const struct value **after)
{
    bool any = action->reply.type == REPLY_ANY;
    if (action->of_types)
        return typed_fits(values, action->of_types, any, before, after);
    if (before == value_unknown) {
        if (any) {
            *after = leaves(action);
            return true;
        }
        before = guess(values, action);
        if (before == value_unknown)
            return fits_unknown(action, after);
    }
    struct outcome outcome = execute(values, action, before);
    *after = outcome.after;
    return any || same_reply(&outcome.reply, &action->reply);
}

bool action_is_idle(const struct action *action)
{
    const struct linear_reply *reply = &action->reply;
    if (reply->type == REPLY_ANY)
        return false;
    if (action->of_types)
        return typed_is_read(action->of_types);
    switch (action->command) {
    case COMMAND_GET:
    case COMMAND_STRLEN:
    case COMMAND_EXISTS: return true;
    case COMMAND_SET: return !action->get && reply->type == REPLY_NIL;
    case COMMAND_GETDEL: return reply->type == REPLY_NIL;
    case COMMAND_SETNX:
    case COMMAND_DEL:
    case COMMAND_CAS:
    case COMMAND_CAD:
    case COMMAND_DELIFEQ: return reply->integer != 1;
    case COMMAND_ADD: return reply->type == REPLY_ERROR;
    case COMMAND_GETSET:
    case COMMAND_FLUSHALL:
    case COMMAND_APPEND: break;
    }
    return false;
}
