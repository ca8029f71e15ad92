/* The directives together: finding one, CONFIG GET and SET, and what one says against another. */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "config_value.h"

enum { PEER_PORT_DISTANCE = 10000 }; /* the peer port of a node alone: port + this */
enum { NOT_SAID = -1 };              /* config.me between config_init() and config_finish() */

/* ---- the table's users ---------------------------------------------------- */

static const struct directive *find(const char *name)
{
    for (uint32_t i = 0; i < directive_rows_count; i++)
        if (strcasecmp(name, directive_rows[i].name) == 0 ||
            (directive_rows[i].alias && strcasecmp(name, directive_rows[i].alias) == 0))
            return &directive_rows[i];
    return NULL;
}

const char *config_find(const char *name)
{
    const struct directive *directive = find(name);
    return directive ? directive->name : NULL;
}

bool config_is_inert(const char *name)
{
    const struct directive *directive = find(name);
    return directive && directive->flags & INERT && directive->kind != VALUE_CONSTANT;
}

/* Levenshtein's distance, a row at a time. */
static uint32_t distance(const char *a, const char *b)
{
    enum { LENGTH_MAX = 40 };
    uint32_t row[LENGTH_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > LENGTH_MAX || b_size > LENGTH_MAX)
        return UINT32_MAX;
    for (uint32_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a_size; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b_size; j++) {
            bool differs = tolower((unsigned char)a[i - 1]) != b[j - 1];
            uint32_t best = diagonal + differs;
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
}

const char *config_nearest(const char *name)
{
    const char *nearest = NULL;
    uint32_t least = (uint32_t)strlen(name) / 3 + 1; /* further away, a guess is noise */
    for (uint32_t i = 0; i < directive_rows_count; i++) {
        uint32_t away = distance(name, directive_rows[i].name);
        if (away <= least && (!nearest || away < least)) {
            nearest = directive_rows[i].name;
            least = away;
        }
    }
    return nearest;
}

static bool refuse_unknown(const char *name, char *error, size_t error_size)
{
    const char *nearest = config_nearest(name);
    if (!nearest)
        return config_refuse(error, error_size, "unknown directive '%s'", name);
    return config_refuse(error, error_size, "unknown directive '%s'; did you mean '%s'?", name,
                         nearest);
}

bool config_apply(struct config *config, const struct bytes *words, uint32_t count, char *error,
                  size_t error_size)
{
    check(count > 0);
    const struct directive *directive = find(words[0].data);
    char reason[CONFIG_ERROR_SIZE];
    if (!directive || strlen(words[0].data) != words[0].size)
        return refuse_unknown(words[0].data, error, error_size);
    bool adds = directive->kind == VALUE_SAVE && config->save_given;
    bool done =
        adds ? directive_add(directive, config, words + 1, count - 1, reason, sizeof reason)
             : directive_parse(directive, config, words + 1, count - 1, reason, sizeof reason);
    if (!done)
        return config_refuse(error, error_size, "%s: %s", directive->name, reason);
    config->save_given = config->save_given || directive->kind == VALUE_SAVE;
    return true;
}

/* The default is text like any other. */
static void set_default(struct config *config, const struct directive *directive)
{
    char copy[64], error[CONFIG_ERROR_SIZE], *rest = copy, *word;
    struct bytes words[16];
    uint32_t count = 0;
    if (directive->kind == VALUE_NODE || directive->kind == VALUE_FLAG)
        return;
    check(strlen(directive->fallback) < sizeof copy);
    strcpy(copy, directive->fallback);
    if (directive_takes_one_word(directive) || copy[0] == '\0')
        words[count++] = bytes_from_string(copy);
    else
        while ((word = strsep(&rest, " "))) {
            check(count < 16);
            words[count++] = bytes_from_string(word);
        }
    if (!directive_parse(directive, config, words, count, error, sizeof error))
        fatal("%s: %s", directive->name, error);
}

void config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->file = memory_string("");
    config->ignored = memory_string("");
    for (uint32_t i = 0; i < directive_rows_count; i++)
        set_default(config, &directive_rows[i]);
    config->me = NOT_SAID;
}

void config_deinit(struct config *config)
{
    for (uint32_t i = 0; i < directive_rows_count; i++)
        directive_release(&directive_rows[i], config);
    memory_free(config->file);
    memory_free(config->ignored);
    memset(config, 0, sizeof *config);
}

void config_each(const struct config *config,
                 void (*each)(void *context, const char *name, struct bytes value), void *context)
{
    struct buffer value = {0};
    for (uint32_t i = 0; i < directive_rows_count; i++) {
        const struct directive *directive = &directive_rows[i];
        if (directive->flags & HIDDEN || directive->kind == VALUE_FLAG)
            continue;
        buffer_clear(&value);
        directive_print(directive, config, &value);
        each(context, directive->name, buffer_bytes(&value));
        if (directive->alias)
            each(context, directive->alias, buffer_bytes(&value));
    }
    buffer_deinit(&value);
}

/* ---- CONFIG SET ------------------------------------------------------------ */

/* The directive of that name, as CONFIG SET knows it; NULL, and the error, if there is none. */
static const struct directive *find_to_set(struct bytes name, char *error, size_t error_size)
{
    char text[64];
    size_t shown = name.size < sizeof text ? name.size : sizeof text - 1;
    if (shown)
        memcpy(text, name.data, shown);
    text[shown] = '\0';
    const struct directive *directive = strlen(text) == name.size ? find(text) : NULL;
    if (directive && directive->kind != VALUE_FLAG && (directive->flags & HIDDEN) == 0)
        return directive;
    config_refuse(error, error_size, "Unknown option or number of arguments for CONFIG SET - '%s'",
                  text);
    return NULL;
}

static enum config_set_result refuse_set(struct bytes name, const char *reason, char *error,
                                         size_t error_size)
{
    config_refuse(error, error_size, "CONFIG SET failed (possibly related to argument '%.*s') - %s",
                  (int)name.size, (const char *)name.data, reason);
    return CONFIG_SET_REFUSED;
}

enum config_set_result config_may_set(struct bytes name, char *error, size_t error_size)
{
    const struct directive *directive = find_to_set(name, error, error_size);
    if (!directive)
        return CONFIG_SET_UNKNOWN;
    if (directive->flags & PROTECTED)
        return refuse_set(name, "can't set protected config", error, error_size);
    if (!(directive->flags & (SETTABLE | AT_START)))
        return refuse_set(name, "can't set immutable config", error, error_size);
    return CONFIG_SET_OK;
}

/* Splits at blanks where the directive takes several words, as Redis does.  `text` has a NUL behind
 * `size` bytes, and is cut. */
static bool set_text(struct config *config, const struct directive *directive, char *text,
                     size_t size, char *error, size_t error_size)
{
    struct bytes words[DIRECTIVE_WORDS_MAX] = {bytes_of(text, size)};
    char *rest = NULL;
    uint32_t count = 1;
    if (!directive_takes_one_word(directive) && strlen(text) == size &&
        strtok_r(text, " ", &rest)) {
        words[0] = bytes_from_string(text + strspn(text, " "));
        for (char *word; (word = strtok_r(NULL, " ", &rest)); count++) {
            if (count == DIRECTIVE_WORDS_MAX)
                return config_refuse(error, error_size, "wrong number of arguments");
            words[count] = bytes_from_string(word);
        }
    }
    if (directive->flags & AT_START && !directive_holds(directive, config, words, count))
        return config_refuse(error, error_size, "it is taken at the start: change the file");
    return directive_parse(directive, config, words, count, error, error_size);
}

enum config_set_result config_set(struct config *config, struct bytes name, struct bytes value,
                                  char *error, size_t error_size)
{
    char reason[CONFIG_ERROR_SIZE];
    enum config_set_result may = config_may_set(name, error, error_size);
    if (may != CONFIG_SET_OK)
        return may;
    char *text = memory_new(value.size + 1);
    if (value.size)
        memcpy(text, value.data, value.size);
    bool done = set_text(config, find_to_set(name, error, error_size), text, value.size, reason,
                         sizeof reason);
    memory_free(text);
    return done ? CONFIG_SET_OK : refuse_set(name, reason, error, error_size);
}

/* ---- one directive against another ------------------------------------------ */

static const struct raft_member *find_node(const struct raft_members *nodes, int64_t id)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        if (nodes->list[i].id == (raft_node_id)id)
            return &nodes->list[i];
    return NULL;
}

/* Redirects name the address that clients can be told: the first that they are bound to, or our
 * own host among the nodes when that is every address. */
static void announce_default(struct config *config, const char *own_address)
{
    struct buffer text = {0};
    const char *host = config->bind.count ? config->bind.list[0].host : "*";
    const char *colon = strrchr(own_address, ':');
    if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::*") == 0 ||
        strcmp(host, "::") == 0)
        buffer_printf(&text, "%.*s", (int)(colon - own_address), own_address);
    else
        buffer_printf(&text, strchr(host, ':') ? "[%s]" : "%s", host);
    buffer_printf(&text, ":%" PRId64, config->port); /* too long: config_finish() says so */
    buffer_append_byte(&text, '\0');
    memory_free(config->announce_client);
    config->announce_client = memory_string(text.data);
    buffer_deinit(&text);
}

/* Nobody else is named: a cluster of one, to try it out. */
static bool add_node_alone(struct config *config, char *error, size_t error_size)
{
    char name[24], address[RAFT_ADDRESS_SIZE];
    if (config->port + PEER_PORT_DISTANCE > 65535)
        return config_refuse(error, error_size,
                             "port: %" PRId64
                             " + %d, the peer port of a node without `node` lines, is "
                             "above 65535: give the node with `node`",
                             config->port, PEER_PORT_DISTANCE);
    if (config->me == NOT_SAID)
        config->me = 0;
    snprintf(name, sizeof name, "%" PRId64, config->me);
    snprintf(address, sizeof address, "127.0.0.1:%" PRId64, config->port + PEER_PORT_DISTANCE);
    struct bytes words[] = {bytes_from_string(name), bytes_from_string(address)};
    return directive_parse(find("node"), config, words, 2, error, error_size);
}

/* Which of the nodes we are.  Never guessed among several: two processes that take themselves for
 * the same node would vote twice. */
static const struct raft_member *choose_me(struct config *config, char *error, size_t error_size)
{
    if (config->me == NOT_SAID && config->nodes.count == 1)
        config->me = (int64_t)config->nodes.list[0].id;
    const struct raft_member *own = find_node(&config->nodes, config->me);
    if (config->me == NOT_SAID)
        config_refuse(error, error_size, "me: say which of the %u nodes this one is",
                      config->nodes.count);
    else if (!own)
        config_refuse(error, error_size,
                      "me: there is no node of the name %" PRId64 " among the %u given", config->me,
                      config->nodes.count);
    return own;
}

/* By its name alone: nothing is resolved. */
static bool is_this_machine(const char *address)
{
    static const char *const names[] = {"127.", "localhost:", "[::1]:"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(address, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* Who joins is told its name.  Where it is dialed it says, or it is a node like one alone: members
 * on other machines would take that for an address of their own. */
static bool finish_joining(struct config *config, char *error, size_t error_size)
{
    char address[RAFT_ADDRESS_SIZE];
    char *list = memory_string(config->join), *rest = list, *word;
    bool are_addresses = true, is_local = true;
    while ((word = strsep(&rest, ","))) {
        are_addresses &= config_is_address(word);
        is_local &= is_this_machine(word);
    }
    memory_free(list);
    if (!are_addresses)
        return config_refuse(error, error_size, "join: '%s' is not HOST:PORT[,HOST:PORT...]",
                             config->join);
    if (config->nodes.count > 0 || config->me != NOT_SAID)
        return config_refuse(error, error_size,
                             "join: a node that joins is told who the members are, and which it is "
                             "itself: leave out `node` and `me`");
    if (config->announce_peer[0] == '\0' &&
        (!is_local || config->port + PEER_PORT_DISTANCE > 65535))
        return config_refuse(error, error_size, "announce-peer: say where members reach this node");
    snprintf(address, sizeof address, "127.0.0.1:%" PRId64, config->port + PEER_PORT_DISTANCE);
    snprintf(config->peer_address, sizeof config->peer_address, "%s",
             config->announce_peer[0] ? config->announce_peer : address);
    return true;
}

static bool finish_members(struct config *config, const char **culprit, char *error,
                           size_t error_size)
{
    *culprit = "join";
    if (config->join[0] != '\0')
        return finish_joining(config, error, error_size);
    *culprit = "port";
    if (config->nodes.count == 0 && !add_node_alone(config, error, error_size))
        return false;
    *culprit = "me";
    const struct raft_member *own = choose_me(config, error, error_size);
    if (own)
        snprintf(config->peer_address, sizeof config->peer_address, "%s", own->address);
    return own != NULL;
}

bool config_finish(struct config *config, const char **culprit, char *error, size_t error_size)
{
    if (!finish_members(config, culprit, error, error_size))
        return false;
    *culprit = "heartbeat-interval";
    if (config->heartbeat_interval >= config->election_timeout)
        return config_refuse(error, error_size,
                             "heartbeat-interval: %" PRId64
                             " ms is not less than election-timeout, "
                             "%" PRId64 " ms",
                             config->heartbeat_interval, config->election_timeout);
    *culprit = "bind";
    if (config->bind.count == 0)
        return config_refuse(error, error_size, "bind: there must be an address for clients");
    *culprit = "port";
    const char *colon = strrchr(config->peer_address, ':');
    check(colon);
    if (strtol(colon + 1, NULL, 10) == config->port)
        return config_refuse(error, error_size,
                             "port: clients and peers cannot share port %" PRId64, config->port);
    snprintf(config->peer_announced, sizeof config->peer_announced, "%s",
             config->announce_peer[0] ? config->announce_peer : config->peer_address);
    *culprit = "announce-client";
    if (config->announce_client[0] == '\0')
        announce_default(config, config->peer_address);
    if (!config_is_address(config->announce_client))
        return config_refuse(error, error_size,
                             "announce-client: '%s' does not do as HOST:PORT: set it",
                             config->announce_client);
    return true;
}

/* ---- help -------------------------------------------------------------------- */

void config_print_help(void)
{
    printf("redis-raft %s: a replicated store that speaks the Redis protocol\n\n"
           "usage: redis-raft [FILE] [--directive value ...]\n"
           "       redis-raft -me NAME -port PORT -dbpath DIRECTORY -node NAME,IP:PORT ... "
           "[-debug]\n"
           "       redis-raft --help | --version\n\n"
           "Directives, for FILE or the command line (redis-raft.conf explains them):\n",
           REDIS_RAFT_VERSION);
    for (uint32_t i = 0; i < directive_rows_count; i++) {
        const struct directive *directive = &directive_rows[i];
        if (directive->flags & INERT)
            continue;
        printf("  %-26s %s", directive->name, directive->summary);
        for (uint32_t j = 0; directive->kind == VALUE_ENUM && directive->choices[j]; j++)
            printf("%s%s", j ? ", " : ": ", directive->choices[j]);
        printf(directive->fallback[0] ? " [%s]\n" : "\n", directive->fallback);
    }
}
