/* Each kind of value has a parser, which takes the words after the directive's name, and a printer,
 * whose text the parser would take again. */
#include "config_value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"

bool config_refuse(char *error, size_t error_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return false;
}

/* Decimal digits and nothing else; *end is set behind them. */
static bool parse_digits(const char *text, uint64_t *value, const char **end)
{
    uint64_t result = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (result > (UINT64_MAX - digit) / 10)
            return false;
        result = result * 10 + digit;
    }
    *value = result;
    *end = at;
    return at > text;
}

/* Redis's units: k, m, g are powers of 1000, kb, mb, gb of 1024, b is one; any case. */
static bool parse_size(const char *text, uint64_t *value)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {{"", 1},        {"b", 1},   {"k", 1000},       {"kb", KB},
                 {"m", 1000000}, {"mb", MB}, {"g", 1000000000}, {"gb", GB}};
    const char *unit;
    uint64_t count;
    if (!parse_digits(text, &count, &unit))
        return false;
    for (uint32_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(unit, units[i].name) == 0) {
            if (count > UINT64_MAX / units[i].bytes)
                return false;
            *value = count * units[i].bytes;
            return true;
        }
    return false;
}

bool config_is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *end;
    uint64_t port;
    if (!colon || colon == text || strlen(text) >= RAFT_ADDRESS_SIZE)
        return false;
    if (!parse_digits(colon + 1, &port, &end) || *end != '\0' || port < 1 || port > 65535)
        return false;
    size_t host_size = (size_t)(colon - text);
    if (text[0] == '[')
        return host_size > 2 && colon[-1] == ']';
    /* A second colon is an IPv6 address without brackets; a comma, two values run together. */
    return !memchr(text, ':', host_size) && !strpbrk(text, ", \t\"'");
}

static void *field_of(struct config *config, const struct directive *directive)
{
    return (char *)config + directive->offset;
}

static const void *value_of(const struct config *config, const struct directive *directive)
{
    return (const char *)config + directive->offset;
}

static bool parse_bool(bool *field, const char *word, char *error, size_t error_size)
{
    if (strcasecmp(word, "yes") != 0 && strcasecmp(word, "no") != 0)
        return config_refuse(error, error_size, "argument must be 'yes' or 'no'");
    *field = strcasecmp(word, "yes") == 0;
    return true;
}

static bool parse_integer(const struct directive *directive, int64_t *field, const char *word,
                          char *error, size_t error_size)
{
    const char *end;
    uint64_t value;
    bool negative = word[0] == '-';
    if (!parse_digits(word + negative, &value, &end) || *end != '\0')
        return config_refuse(error, error_size, "argument couldn't be parsed into an integer");
    if (negative || value < directive->min || value > directive->max)
        return config_refuse(error, error_size,
                             "argument must be between %" PRIu64 " and %" PRIu64 " inclusive",
                             directive->min, directive->max);
    *field = (int64_t)value;
    return true;
}

static bool parse_bytes(const struct directive *directive, uint64_t *field, const char *word,
                        char *error, size_t error_size)
{
    uint64_t value;
    if (!parse_size(word, &value))
        return config_refuse(error, error_size, "argument must be a memory value");
    if (value < directive->min || value > directive->max)
        return config_refuse(error, error_size,
                             "argument must be between %" PRIu64 " and %" PRIu64 " inclusive",
                             directive->min, directive->max);
    *field = value;
    return true;
}

static bool parse_enum(const struct directive *directive, int *field, const char *word, char *error,
                       size_t error_size)
{
    struct buffer names = {0};
    for (int i = 0; directive->choices[i]; i++) {
        if (strcasecmp(word, directive->choices[i]) == 0) {
            buffer_deinit(&names);
            *field = i;
            return true;
        }
        buffer_printf(&names, "%s%s", i ? ", " : "", directive->choices[i]);
    }
    config_refuse(error, error_size, "argument(s) must be one of the following: %.*s",
                  (int)names.size, names.data);
    buffer_deinit(&names);
    return false;
}

/* No blanks, quotes or control characters: what CONFIG GET says could not be read again. */
static bool is_host(const char *text)
{
    for (; *text; text++)
        if (!isgraph((unsigned char)*text) || *text == '"' || *text == '\'')
            return false;
    return true;
}

static bool parse_bind(struct config_bind_list *field, char **words, uint32_t count, char *error,
                       size_t error_size)
{
    struct config_bind_list bind = {0};
    for (uint32_t i = 0; i < count; i++) {
        bool optional = words[i][0] == '-';
        const char *host = words[i] + optional;
        if (count == 1 && words[i][0] == '\0')
            break; /* "": none */
        if (host[0] == '\0')
            return config_refuse(error, error_size, "an address is empty");
        if (!is_host(host))
            return config_refuse(error, error_size, "'%s' is not an address", host);
        if (strlen(host) >= CONFIG_HOST_SIZE)
            return config_refuse(error, error_size, "an address is longer than %d characters",
                                 CONFIG_HOST_SIZE - 1);
        if (bind.count == CONFIG_BIND_MAX)
            return config_refuse(error, error_size, "more than %d addresses", CONFIG_BIND_MAX);
        bind.list[bind.count].optional = optional;
        strcpy(bind.list[bind.count].host, host);
        bind.count++;
    }
    *field = bind;
    return true;
}

static bool parse_output_limit(struct config_output_limit *field, char **words, uint32_t count,
                               char *error, size_t error_size)
{
    struct config_output_limit limit;
    const char *end;
    uint64_t seconds;
    if (count != 4)
        return config_refuse(error, error_size,
                             "Wrong number of arguments in buffer limit configuration.");
    if (strcasecmp(words[0], "normal") != 0)
        return config_refuse(error, error_size,
                             "Invalid client class specified in buffer limit configuration.");
    if (!parse_size(words[1], &limit.hard_bytes) || !parse_size(words[2], &limit.soft_bytes) ||
        !parse_digits(words[3], &seconds, &end) || *end != '\0' || seconds > INT32_MAX)
        return config_refuse(
            error, error_size,
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    limit.soft_seconds = (int64_t)seconds;
    *field = limit;
    return true;
}

static bool parse_node(struct raft_members *nodes, char **words, uint32_t count, char *error,
                       size_t error_size)
{
    char *comma = count == 1 ? strchr(words[0], ',') : NULL;
    const char *address = comma ? comma + 1 : words[count - 1];
    const char *end;
    uint64_t id;
    if (!comma && count != 2)
        return config_refuse(error, error_size, "expected NAME IP:PORT or NAME,IP:PORT");
    if (!parse_digits(words[0], &id, &end) ||
        end != (comma ? comma : words[0] + strlen(words[0])) || id > INT32_MAX)
        return config_refuse(error, error_size, "a node's name must be an integer from 0 on");
    if (!config_is_address(address))
        return config_refuse(error, error_size, "'%s' is not an address of the form IP:PORT",
                             address);
    if (nodes->count == RAFT_MEMBERS_MAX)
        return config_refuse(error, error_size, "more than %d nodes", RAFT_MEMBERS_MAX);
    uint32_t place = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (nodes->list[i].id == id)
            return config_refuse(error, error_size, "node %" PRIu64 " is given twice", id);
        if (strcmp(nodes->list[i].address, address) == 0)
            return config_refuse(error, error_size,
                                 "nodes %" PRIu64 " and %" PRIu64 " have one address",
                                 nodes->list[i].id, id);
        place += nodes->list[i].id < id;
    }
    memmove(nodes->list + place + 1, nodes->list + place,
            (nodes->count - place) * sizeof nodes->list[0]);
    nodes->list[place] = (struct raft_member){.id = id, .voter = true};
    strcpy(nodes->list[place].address, address);
    nodes->count++;
    return true;
}

static void set_string(char **field, const char *word)
{
    char *copy = memory_string(word);
    memory_free(*field);
    *field = copy;
}

static bool parse_address(char **field, const char *word, char *error, size_t error_size)
{
    if (word[0] != '\0' && !config_is_address(word))
        return config_refuse(error, error_size, "'%s' is not an address of the form HOST:PORT",
                             word);
    set_string(field, word);
    return true;
}

static bool check_constant(const struct directive *directive, const char *word, char *error,
                           size_t error_size)
{
    if (strcasecmp(word, directive->fallback) == 0)
        return true;
    return config_refuse(error, error_size, "can only be '%s': %s", directive->fallback,
                         directive->summary);
}

bool directive_takes_one_word(const struct directive *directive)
{
    enum value_kind kind = directive->kind;
    return kind != VALUE_BIND && kind != VALUE_OUTPUT_LIMIT && kind != VALUE_NODE &&
           kind != VALUE_FLAG;
}

bool directive_parse(const struct directive *directive, struct config *config, char **words,
                     uint32_t count, char *error, size_t error_size)
{
    void *field = field_of(config, directive);
    bool count_fits = directive->kind == VALUE_FLAG         ? count == 0
                      : directive_takes_one_word(directive) ? count == 1
                                                            : count > 0;
    if (!count_fits)
        return config_refuse(error, error_size, "wrong number of arguments");
    switch (directive->kind) {
    case VALUE_BOOL: return parse_bool(field, words[0], error, error_size);
    case VALUE_INTEGER: return parse_integer(directive, field, words[0], error, error_size);
    case VALUE_SIZE: return parse_bytes(directive, field, words[0], error, error_size);
    case VALUE_ENUM: return parse_enum(directive, field, words[0], error, error_size);
    case VALUE_STRING: set_string(field, words[0]); return true;
    case VALUE_ADDRESS: return parse_address(field, words[0], error, error_size);
    case VALUE_BIND: return parse_bind(field, words, count, error, error_size);
    case VALUE_OUTPUT_LIMIT: return parse_output_limit(field, words, count, error, error_size);
    case VALUE_NODE: return parse_node(field, words, count, error, error_size);
    case VALUE_FLAG: *(int *)field = LOG_LEVEL_DEBUG; return true;
    case VALUE_CONSTANT: return check_constant(directive, words[0], error, error_size);
    }
    check(!"a kind of value");
    return false;
}

static void print_bind(const struct config_bind_list *bind, struct buffer *out)
{
    for (uint32_t i = 0; i < bind->count; i++)
        buffer_printf(out, "%s%s%s", i ? " " : "", bind->list[i].optional ? "-" : "",
                      bind->list[i].host);
}

static void print_nodes(const struct raft_members *nodes, struct buffer *out)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        buffer_printf(out, "%s%" PRIu64 ",%s", i ? " " : "", nodes->list[i].id,
                      nodes->list[i].address);
}

void directive_print(const struct directive *directive, const struct config *config,
                     struct buffer *out)
{
    const void *field = value_of(config, directive);
    const struct config_output_limit *limit = field;
    switch (directive->kind) {
    case VALUE_BOOL: buffer_printf(out, "%s", *(const bool *)field ? "yes" : "no"); break;
    case VALUE_INTEGER: buffer_printf(out, "%" PRId64, *(const int64_t *)field); break;
    case VALUE_SIZE: buffer_printf(out, "%" PRIu64, *(const uint64_t *)field); break;
    case VALUE_ENUM: buffer_printf(out, "%s", directive->choices[*(const int *)field]); break;
    case VALUE_STRING:
    case VALUE_ADDRESS: buffer_printf(out, "%s", *(char *const *)field); break;
    case VALUE_BIND: print_bind(field, out); break;
    case VALUE_OUTPUT_LIMIT:
        buffer_printf(out, "normal %" PRIu64 " %" PRIu64 " %" PRId64, limit->hard_bytes,
                      limit->soft_bytes, limit->soft_seconds);
        break;
    case VALUE_NODE: print_nodes(field, out); break;
    case VALUE_FLAG: break;
    case VALUE_CONSTANT: buffer_printf(out, "%s", directive->fallback); break;
    }
}

bool directive_has_string(const struct directive *directive)
{
    return directive->kind == VALUE_STRING || directive->kind == VALUE_ADDRESS;
}

char **directive_string(const struct directive *directive, struct config *config)
{
    check(directive_has_string(directive));
    return field_of(config, directive);
}
