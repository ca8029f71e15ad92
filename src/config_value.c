/* Each kind of value has a parser, which takes the words after the directive's name, and a printer,
 * whose text the parser would take again.  What a directive without effect is set to is parsed like
 * any other, and kept as its printer's text. */
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
    } units[] = {{"", 1},           {"b", 1},
                 {"k", 1000},       {"kb", (uint64_t)KB},
                 {"m", 1000000},    {"mb", (uint64_t)MB},
                 {"g", 1000000000}, {"gb", (uint64_t)GB}};
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

static bool parse_bool(bool *field, const char *word, char *error, size_t error_size)
{
    if (strcasecmp(word, "yes") != 0 && strcasecmp(word, "no") != 0)
        return config_refuse(error, error_size, "argument must be 'yes' or 'no'");
    *field = strcasecmp(word, "yes") == 0;
    return true;
}

static bool refuse_range(const struct directive *directive, char *error, size_t error_size)
{
    return config_refuse(error, error_size,
                         "argument must be between %" PRId64 " and %" PRId64 " inclusive",
                         directive->min, directive->max);
}

static bool parse_integer(const struct directive *directive, int64_t *field, const char *word,
                          char *error, size_t error_size)
{
    const char *end;
    uint64_t digits;
    bool negative = word[0] == '-';
    if (!parse_digits(word + negative, &digits, &end) || *end != '\0')
        return config_refuse(error, error_size, "argument couldn't be parsed into an integer");
    if (digits > INT64_MAX)
        return refuse_range(directive, error, error_size);
    int64_t value = negative ? -(int64_t)digits : (int64_t)digits;
    if (value < directive->min || value > directive->max)
        return refuse_range(directive, error, error_size);
    *field = value;
    return true;
}

static bool parse_bytes(const struct directive *directive, uint64_t *field, const char *word,
                        char *error, size_t error_size)
{
    uint64_t value;
    if (!parse_size(word, &value))
        return config_refuse(error, error_size, "argument must be a memory value");
    if (value < (uint64_t)directive->min || value > (uint64_t)directive->max)
        return refuse_range(directive, error, error_size);
    *field = value;
    return true;
}

static bool parse_bytes_or_percent(int64_t *field, const char *word, char *error, size_t error_size)
{
    const char *end;
    uint64_t value;
    if (parse_digits(word, &value, &end) && strcmp(end, "%") == 0) {
        if (value > 100)
            return config_refuse(error, error_size,
                                 "percentage argument must be less or equal to 100");
        *field = -(int64_t)value;
        return true;
    }
    if (!parse_size(word, &value) || value > INT64_MAX)
        return config_refuse(error, error_size, "argument must be a memory or percent value");
    *field = (int64_t)value;
    return true;
}

static bool parse_octal(int64_t *field, const char *word, char *error, size_t error_size)
{
    char *end;
    long value = strtol(word, &end, 8);
    if (end == word || *end != '\0' || value < 0 || value > 0777)
        return config_refuse(error, error_size, "argument couldn't be parsed into an integer");
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

/* What names and addresses are made of, and * for all. */
static bool is_host(const char *text)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("-._:%*", *text))
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
            return config_refuse(error, error_size, "'%s' is not an address%s", host,
                                 host[0] == '#' ? ": a comment has a line of its own" : "");
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

static const char *const client_classes[] = {"normal", "slave", "pubsub"};

static int find_class(const char *word)
{
    if (strcasecmp(word, "replica") == 0)
        return CONFIG_CLASS_REPLICA;
    for (int i = 0; i < CONFIG_CLASSES; i++)
        if (strcasecmp(word, client_classes[i]) == 0)
            return i;
    return -1;
}

/* CLASS HARD SOFT SECONDS, any number of times; classes that are not named stay as they are. */
static bool parse_output_limits(struct config_output_limit *field, char **words, uint32_t count,
                                char *error, size_t error_size)
{
    struct config_output_limit limits[CONFIG_CLASSES];
    memcpy(limits, field, sizeof limits);
    if (count == 1 && words[0][0] == '\0')
        count = 0;
    if (count % 4 != 0)
        return config_refuse(error, error_size,
                             "Wrong number of arguments in buffer limit configuration.");
    for (uint32_t i = 0; i < count; i += 4) {
        const char *end;
        uint64_t seconds;
        int class = find_class(words[i]);
        if (class < 0)
            return config_refuse(error, error_size,
                                 "Invalid client class specified in buffer limit configuration.");
        if (!parse_size(words[i + 1], &limits[class].hard_bytes) ||
            !parse_size(words[i + 2], &limits[class].soft_bytes) ||
            !parse_digits(words[i + 3], &seconds, &end) || *end != '\0' || seconds > INT32_MAX)
            return config_refuse(
                error, error_size,
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        limits[class].soft_seconds = (int64_t)seconds;
    }
    memcpy(field, limits, sizeof limits);
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

static void set_secret(struct config_secret *field, struct bytes word)
{
    memory_free(field->data);
    field->data = memory_new(word.size + 1);
    field->size = word.size;
    if (word.size)
        memcpy(field->data, word.data, word.size);
}

/* ---- Redis's own ------------------------------------------------------------- */

/* A value that is kept as it is written: words with blanks between. */
static void join(struct buffer *text, char **words, uint32_t count)
{
    buffer_clear(text);
    for (uint32_t i = 0; i < count; i++)
        buffer_printf(text, "%s%s", i ? " " : "", words[i]);
}

static bool check_constant(const struct directive *directive, const struct buffer *text,
                           char *error, size_t error_size)
{
    const char *only = directive->choices[0];
    check(only);
    for (const char *const *choice = directive->choices; *choice; choice++)
        if (strlen(*choice) == text->size &&
            (text->size == 0 || strncasecmp(text->data, *choice, text->size) == 0))
            return true;
    if (only[0] == '\0')
        return config_refuse(error, error_size, "not here: %s", directive->summary);
    const char *other = directive->choices[1];
    return config_refuse(error, error_size, "can only be '%s'%s%s%s: %s", only,
                         other ? " or '" : "", other ? other : "", other ? "'" : "",
                         directive->summary);
}

/* "" or SECONDS CHANGES, as often as one likes. */
static bool check_save(char **words, uint32_t count, char *error, size_t error_size)
{
    bool valid = count % 2 == 0 || (count == 1 && words[0][0] == '\0');
    for (uint32_t i = 0; valid && i + 1 < count; i += 2) {
        const char *end;
        uint64_t seconds, changes;
        valid = parse_digits(words[i], &seconds, &end) && *end == '\0' && seconds >= 1 &&
                parse_digits(words[i + 1], &changes, &end) && *end == '\0';
    }
    return valid || config_refuse(error, error_size, "Invalid save parameters");
}

static bool check_scores(char **words, uint32_t count, char *error, size_t error_size)
{
    if (count != 3)
        return config_refuse(error, error_size, "wrong number of arguments");
    for (uint32_t i = 0; i < count; i++) {
        char *end;
        long value = strtol(words[i], &end, 10);
        if (end == words[i] || *end != '\0' || value < -2000 || value > 2000)
            return config_refuse(error, error_size,
                                 "Invalid oom-score-adj-values, elements must be between -2000 and "
                                 "2000.");
    }
    return true;
}

static bool check_percentiles(char **words, uint32_t count, char *error, size_t error_size)
{
    for (uint32_t i = 0; i < count; i++) {
        char *end;
        double value = strtod(words[i], &end);
        if (count == 1 && words[0][0] == '\0')
            return true;
        if (end == words[i] || *end != '\0')
            return config_refuse(error, error_size,
                                 "Invalid latency-tracking-info-percentiles parameters");
        if (!(value >= 0 && value <= 100))
            return config_refuse(error, error_size,
                                 "latency-tracking-info-percentiles parameters should sit between "
                                 "[0.0,100.0]");
    }
    return true;
}

static bool parse_percentiles(char **field, char **words, uint32_t count, char *error,
                              size_t error_size)
{
    struct buffer text = {0};
    if (!check_percentiles(words, count, error, error_size))
        return false;
    join(&text, words, count);
    buffer_append_byte(&text, '\0');
    set_string(field, text.data);
    buffer_deinit(&text);
    return true;
}

/* In the order in which Redis shows them; A stands for all of the first row. */
static bool parse_events(char **field, const char *word, char *error, size_t error_size)
{
    struct buffer text = {0};
    static const char all[] = "g$lshzxetd", others[] = "KEmn";
    bool every = strchr(word, 'A') != NULL;
    for (const char *c = word; *c; c++)
        if (!strchr(all, *c) && !strchr(others, *c) && *c != 'A')
            return config_refuse(error, error_size,
                                 "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    bool has_all = true;
    for (const char *c = all; *c; c++)
        has_all = has_all && strchr(word, *c);
    if (every || has_all)
        buffer_append_byte(&text, 'A');
    for (const char *c = all; *c && !every && !has_all; c++)
        if (strchr(word, *c))
            buffer_append_byte(&text, *c);
    for (const char *c = others; *c; c++)
        if (strchr(word, *c))
            buffer_append_byte(&text, *c);
    buffer_append_byte(&text, '\0');
    set_string(field, text.data);
    buffer_deinit(&text);
    return true;
}

/* ---- any directive ------------------------------------------------------------- */

bool directive_takes_one_word(const struct directive *directive)
{
    switch (directive->kind) {
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_SIZE:
    case VALUE_SIZE_OR_PERCENT:
    case VALUE_OCTAL:
    case VALUE_ENUM:
    case VALUE_STRING:
    case VALUE_SECRET:
    case VALUE_ADDRESS:
    case VALUE_EVENTS:
    case VALUE_READ_ONLY: return true;
    case VALUE_BIND:
    case VALUE_OUTPUT_LIMITS:
    case VALUE_NODE:
    case VALUE_FLAG:
    case VALUE_CONSTANT:
    case VALUE_SAVE:
    case VALUE_SCORES:
    case VALUE_PERCENTILES: return false;
    }
    return false;
}

/* Where a value without a field of its own is put while it is parsed and printed. */
union scratch {
    bool truth;
    int choice;
    int64_t integer;
    uint64_t bytes;
    char *string;
};

/* Fills `text` for the kinds that are kept as they are written. */
static bool parse_text(const struct directive *directive, struct buffer *text, char **words,
                       uint32_t count, char *error, size_t error_size)
{
    join(text, words, count);
    switch ((int)directive->kind) {
    case VALUE_CONSTANT: return check_constant(directive, text, error, error_size);
    case VALUE_SAVE: return check_save(words, count, error, error_size);
    case VALUE_SCORES: return check_scores(words, count, error, error_size);
    default: return true;
    }
}

static bool parse_field(const struct directive *directive, void *field, const struct bytes *given,
                        char **words, uint32_t count, char *error, size_t error_size)
{
    switch ((int)directive->kind) {
    case VALUE_READ_ONLY:
    case VALUE_BOOL: return parse_bool(field, words[0], error, error_size);
    case VALUE_INTEGER: return parse_integer(directive, field, words[0], error, error_size);
    case VALUE_SIZE: return parse_bytes(directive, field, words[0], error, error_size);
    case VALUE_SIZE_OR_PERCENT: return parse_bytes_or_percent(field, words[0], error, error_size);
    case VALUE_OCTAL: return parse_octal(field, words[0], error, error_size);
    case VALUE_ENUM: return parse_enum(directive, field, words[0], error, error_size);
    case VALUE_STRING: set_string(field, words[0]); return true;
    case VALUE_SECRET: set_secret(field, given[0]); return true;
    case VALUE_ADDRESS: return parse_address(field, words[0], error, error_size);
    case VALUE_BIND: return parse_bind(field, words, count, error, error_size);
    case VALUE_OUTPUT_LIMITS: return parse_output_limits(field, words, count, error, error_size);
    case VALUE_NODE: return parse_node(field, words, count, error, error_size);
    case VALUE_PERCENTILES: return parse_percentiles(field, words, count, error, error_size);
    case VALUE_EVENTS: return parse_events(field, words[0], error, error_size);
    case VALUE_FLAG: *(int *)field = LOG_LEVEL_DEBUG; return true;
    default: check(!"a kind that has a field"); return false;
    }
}

static void print_field(const struct directive *directive, const void *field, struct buffer *out);

static bool is_text(const struct directive *directive)
{
    return directive->kind == VALUE_CONSTANT || directive->kind == VALUE_SAVE ||
           directive->kind == VALUE_SCORES || directive->kind == VALUE_STRING;
}

/* Redis takes more than it keeps of some. */
static void bring_nearer(const struct directive *directive, union scratch *value)
{
    enum { HZ_LEAST = 1, HZ_MOST = 500, BACKLOG_LEAST = 16 * 1024 };
    if (strcmp(directive->name, "hz") == 0) {
        value->integer = value->integer < HZ_LEAST ? HZ_LEAST : value->integer;
        value->integer = value->integer > HZ_MOST ? HZ_MOST : value->integer;
    } else if (strcmp(directive->name, "repl-backlog-size") == 0) {
        value->bytes = value->bytes < BACKLOG_LEAST ? BACKLOG_LEAST : value->bytes;
    }
}

/* What an INERT directive would show if it were given these words. */
static bool parse_inert(const struct directive *directive, struct buffer *text,
                        const struct bytes *given, char **words, uint32_t count, char *error,
                        size_t error_size)
{
    union scratch scratch = {0};
    check(directive->flags & INERT);
    if (is_text(directive))
        return parse_text(directive, text, words, count, error, error_size);
    if (!parse_field(directive, &scratch, given, words, count, error, error_size))
        return false;
    bring_nearer(directive, &scratch);
    buffer_clear(text);
    print_field(directive, &scratch, text);
    return true;
}

static char **kept_at(const struct directive *directive, struct config *config)
{
    return &config->kept[directive - directive_rows];
}

static void keep(const struct directive *directive, struct config *config,
                 const struct buffer *text)
{
    char **kept = kept_at(directive, config);
    memory_free(*kept);
    *kept = memory_new(text->size + 1);
    if (text->size)
        memcpy(*kept, text->data, text->size);
}

static bool count_fits(const struct directive *directive, uint32_t count)
{
    if (directive->kind == VALUE_FLAG)
        return count == 0;
    return directive_takes_one_word(directive) ? count == 1 : count > 0;
}

bool directive_parse(const struct directive *directive, struct config *config,
                     const struct bytes *given, uint32_t count, char *error, size_t error_size)
{
    char *words[DIRECTIVE_WORDS_MAX];
    if (!count_fits(directive, count) || count > DIRECTIVE_WORDS_MAX)
        return config_refuse(error, error_size, "wrong number of arguments");
    for (uint32_t i = 0; i < count; i++) {
        words[i] = (char *)(uintptr_t)given[i].data;
        if (directive->kind != VALUE_SECRET && strlen(words[i]) != given[i].size)
            return config_refuse(error, error_size, "argument must not hold a NUL byte");
    }
    if (!(directive->flags & INERT))
        return parse_field(directive, (char *)config + directive->offset, given, words, count,
                           error, error_size);
    struct buffer text = {0};
    bool done = parse_inert(directive, &text, given, words, count, error, error_size);
    if (done)
        keep(directive, config, &text);
    buffer_deinit(&text);
    return done;
}

bool directive_add(const struct directive *directive, struct config *config,
                   const struct bytes *words, uint32_t count, char *error, size_t error_size)
{
    struct buffer sum = {0};
    directive_print(directive, config, &sum);
    bool done = directive_parse(directive, config, words, count, error, error_size);
    const char *added = *kept_at(directive, config);
    if (done && *added && sum.size > 0) {
        buffer_printf(&sum, " %s", added);
        keep(directive, config, &sum);
    }
    buffer_deinit(&sum);
    return done;
}

bool directive_holds(const struct directive *directive, const struct config *config,
                     const struct bytes *words, uint32_t count)
{
    struct buffer given = {0}, present = {0};
    for (uint32_t i = 0; i < count; i++)
        buffer_printf(&given, "%s%s", i ? " " : "", (const char *)words[i].data);
    directive_print(directive, config, &present);
    bool same = bytes_equal(buffer_bytes(&given), buffer_bytes(&present));
    buffer_deinit(&given);
    buffer_deinit(&present);
    return same;
}

static void print_bind(const struct config_bind_list *bind, struct buffer *out)
{
    for (uint32_t i = 0; i < bind->count; i++)
        buffer_printf(out, "%s%s%s", i ? " " : "", bind->list[i].optional ? "-" : "",
                      bind->list[i].host);
}

static void print_output_limits(const struct config_output_limit *limits, struct buffer *out)
{
    for (int i = 0; i < CONFIG_CLASSES; i++)
        buffer_printf(out, "%s%s %" PRIu64 " %" PRIu64 " %" PRId64, i ? " " : "", client_classes[i],
                      limits[i].hard_bytes, limits[i].soft_bytes, limits[i].soft_seconds);
}

static void print_nodes(const struct raft_members *nodes, struct buffer *out)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        buffer_printf(out, "%s%" PRIu64 ",%s", i ? " " : "", nodes->list[i].id,
                      nodes->list[i].address);
}

static void print_field(const struct directive *directive, const void *field, struct buffer *out)
{
    const int64_t *integer = field;
    const struct config_secret *secret = field;
    switch ((int)directive->kind) {
    case VALUE_READ_ONLY:
    case VALUE_BOOL: buffer_printf(out, "%s", *(const bool *)field ? "yes" : "no"); break;
    case VALUE_INTEGER: buffer_printf(out, "%" PRId64, *integer); break;
    case VALUE_SIZE: buffer_printf(out, "%" PRIu64, *(const uint64_t *)field); break;
    case VALUE_SIZE_OR_PERCENT:
        buffer_printf(out, *integer < 0 ? "%" PRId64 "%%" : "%" PRId64,
                      *integer < 0 ? -*integer : *integer);
        break;
    case VALUE_OCTAL: buffer_printf(out, "%" PRIo64, (uint64_t)*integer); break;
    case VALUE_ENUM: buffer_printf(out, "%s", directive->choices[*(const int *)field]); break;
    case VALUE_STRING:
    case VALUE_PERCENTILES:
    case VALUE_EVENTS:
    case VALUE_ADDRESS: buffer_printf(out, "%s", *(char *const *)field); break;
    case VALUE_SECRET: buffer_append(out, secret->data, secret->size); break;
    case VALUE_BIND: print_bind(field, out); break;
    case VALUE_OUTPUT_LIMITS: print_output_limits(field, out); break;
    case VALUE_NODE: print_nodes(field, out); break;
    case VALUE_FLAG: break;
    default: check(!"a kind that has a field");
    }
}

void directive_print(const struct directive *directive, const struct config *config,
                     struct buffer *out)
{
    if (directive->kind == VALUE_READ_ONLY)
        buffer_printf(out, "%s", config->follower_mode == FOLLOWER_PROXY ? "no" : "yes");
    else if (directive->flags & INERT)
        buffer_printf(out, "%s", config->kept[directive - directive_rows]);
    else
        print_field(directive, (const char *)config + directive->offset, out);
}

void directive_release(const struct directive *directive, struct config *config)
{
    char *field = (char *)config + directive->offset;
    if (directive->flags & INERT)
        memory_free(*kept_at(directive, config));
    else if (directive->kind == VALUE_STRING || directive->kind == VALUE_ADDRESS ||
             directive->kind == VALUE_PERCENTILES || directive->kind == VALUE_EVENTS)
        memory_free(*(char **)field);
    else if (directive->kind == VALUE_SECRET)
        memory_free(((struct config_secret *)field)->data);
}
