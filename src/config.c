/* The directives: what they are called, what values they take, and what they are when left out.
 *
 * A row of the table names the kind of value (config_value.c), limits, default (as text, parsed like
 * any other) and one line of explanation.
 *
 * A row of kind VALUE_CONSTANT is a directive of Redis's with only one possible value here: a Redis
 * file may say it, clients may CONFIG GET it, and any other value is refused with the reason. */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "config_value.h"

enum { PEER_PORT_DISTANCE = 10000 }; /* the peer port of a node alone: port + this */
enum { NOT_SAID = -1 };              /* config.me between config_init() and config_finish() */

static const char *const loglevels[] = {"debug", "verbose", "notice", "warning", NULL};
static const char *const follower_modes[] = {"proxy", "redirect", "readonly", NULL};

_Static_assert(LOG_LEVEL_DEBUG == 0 && LOG_LEVEL_WARNING == 3, "the order of loglevels");
_Static_assert(FOLLOWER_PROXY == 0 && FOLLOWER_READONLY == 2, "the order of follower_modes");

#define AT(field) offsetof(struct config, field)

/* clang-format off */
#define BOOL(name, field, flags, fallback, summary) \
    {name, NULL, VALUE_BOOL, flags, AT(field), 0, 0, fallback, NULL, summary}
#define INTEGER(name, field, flags, min, max, fallback, summary) \
    {name, NULL, VALUE_INTEGER, flags, AT(field), min, max, fallback, NULL, summary}
#define SIZE(name, field, flags, min, max, fallback, summary) \
    {name, NULL, VALUE_SIZE, flags, AT(field), min, max, fallback, NULL, summary}
#define ENUM(name, field, flags, fallback, choices, summary) \
    {name, NULL, VALUE_ENUM, flags, AT(field), 0, 0, fallback, choices, summary}
#define STRING(name, alias, field, flags, fallback, summary) \
    {name, alias, VALUE_STRING, flags, AT(field), 0, 0, fallback, NULL, summary}
#define SPECIAL(name, kind, field, flags, fallback, summary) \
    {name, NULL, kind, flags, AT(field), 0, 0, fallback, NULL, summary}
#define CONSTANT(name, value, why) \
    {name, NULL, VALUE_CONSTANT, FIXED, 0, 0, 0, value, NULL, why}

static const struct directive directives[] = {
    /* The cluster. */
    INTEGER("me", me, FIXED, 0, INT32_MAX, "0", "NAME: which node this is; needed if there are several"),
    SPECIAL("node", VALUE_NODE, nodes, FIXED, "",
            "NAME IP:PORT or NAME,IP:PORT: a member and its peer address; once a member"),

    /* Clients. */
    SPECIAL("bind", VALUE_BIND, bind, FIXED, "127.0.0.1 -::1",
            "addresses that clients connect to; *: all; -address: may be missing"),
    INTEGER("port", port, FIXED, 1, 65535, "6379", "client port"),
    INTEGER("tcp-backlog", tcp_backlog, FIXED, 1, INT32_MAX, "511", "connections not yet accepted"),
    SPECIAL("announce-client", VALUE_ADDRESS, announce_client, FIXED, "",
            "host:port that redirects name for this node"),
    STRING("requirepass", NULL, requirepass, SETTABLE, "", "password of the clients; \"\": none"),
    BOOL("protected-mode", protected_mode, SETTABLE, "yes",
         "without a password, serve clients on this machine only"),
    INTEGER("maxclients", maxclients, SETTABLE, 1, 1000000, "10000", "client connections at a time"),
    INTEGER("timeout", timeout, SETTABLE, 0, INT32_MAX, "0", "seconds a client may idle; 0: for ever"),
    INTEGER("tcp-keepalive", tcp_keepalive, SETTABLE, 0, INT32_MAX, "300",
            "seconds of silence before a connection is probed; 0: never"),
    SIZE("proto-max-bulk-len", proto_max_bulk_len, SETTABLE, MB, GB / 2, "64mb", "largest key or value"),
    SIZE("client-query-buffer-limit", client_query_buffer_limit, SETTABLE, MB, INT64_MAX, "1gb",
         "most bytes of unanswered commands a client may have sent"),
    SPECIAL("client-output-buffer-limit", VALUE_OUTPUT_LIMIT, client_output_buffer_limit, SETTABLE,
            "normal 0 0 0", "normal HARD SOFT SECONDS: replies not fetched; 0: no limit"),
    ENUM("follower-mode", follower_mode, SETTABLE, "proxy", follower_modes,
         "what a node that does not lead does with commands"),
    INTEGER("request-timeout", request_timeout, SETTABLE, 10, 3600000, "5000",
            "ms a command may wait for a leader and a majority"),

    /* Peers. */
    SPECIAL("peer-bind", VALUE_BIND, peer_bind, FIXED, "",
            "addresses that peers connect to; \"\": the one in this node's own node line"),
    STRING("peer-secret", NULL, peer_secret, FIXED | HIDDEN, "",
           "what nodes must know to join; the same on all; \"\": nothing"),

    /* Consensus. */
    INTEGER("election-timeout", election_timeout, FIXED, 20, 600000, "400",
            "ms without a leader before an election; drawn from one to two times this"),
    INTEGER("heartbeat-interval", heartbeat_interval, FIXED, 5, 60000, "50",
            "ms between the leader's signs of life"),

    /* Storage. */
    STRING("dir", "dbpath", dir, FIXED, "./data", "data directory"),
    SIZE("rocksdb-cache-size", rocksdb_cache_size, FIXED, MB, INT64_MAX, "128mb", "block cache"),
    SIZE("rocksdb-memtable-size", rocksdb_memtable_size, FIXED, MB, 4 * GB, "128mb",
         "log in memory before it is written as a sorted file"),
    SIZE("rocksdb-wal-size", rocksdb_wal_size, FIXED, 16 * MB, INT64_MAX, "512mb",
         "write-ahead log on disk before memtables are flushed"),
    SIZE("checkpoint-size", checkpoint_size, FIXED, 64 * KB, 16 * GB, "64mb",
         "changed data in memory that starts a checkpoint"),
    SIZE("log-retention-bytes", log_retention_bytes, FIXED, MB, INT64_MAX, "2gb",
         "most log that is kept for a member that is behind"),
    INTEGER("log-retention-entries", log_retention_entries, FIXED, 1000, INT64_MAX, "10000000",
            "the same in entries; what is reached first counts"),
    INTEGER("log-keep-entries", log_keep_entries, FIXED, 0, INT64_MAX, "10000",
            "log entries that are kept whatever log-retention-bytes says"),

    /* Logging. */
    ENUM("loglevel", loglevel, SETTABLE, "notice", loglevels, "least severity that is logged"),
    STRING("logfile", NULL, logfile, FIXED, "", "\"\": standard output"),
    STRING("raft-trace", NULL, raft_trace, FIXED, "", "file for a line a step of the core; \"\": none"),
    SPECIAL("debug", VALUE_FLAG, loglevel, FIXED, "", "same as loglevel debug"),

    /* Redis's, with one value. */
    CONSTANT("daemonize", "no",
             "it stays in the foreground: let systemd run it (utils/redis-raft.service)"),
    CONSTANT("supervised", "no",
             "a systemd unit of Type=simple needs no help (utils/redis-raft.service)"),
    CONSTANT("databases", "1", "there is only database 0"),
    CONSTANT("save", "", "there are no RDB files: the Raft log and its checkpoints are on disk"),
    CONSTANT("appendonly", "yes", "every write is in the Raft log"),
    CONSTANT("appendfsync", "always", "a write is on a majority's disks before it is answered"),
    CONSTANT("maxmemory", "0", "nothing is ever evicted"),
    CONSTANT("maxmemory-policy", "noeviction", "nothing is ever evicted"),
    CONSTANT("replica-read-only", "no", "see follower-mode"),
    CONSTANT("slave-read-only", "no", "see follower-mode"),
    CONSTANT("notify-keyspace-events", "", "there are no keyspace notifications"),
    CONSTANT("cluster-enabled", "no", "every node holds all keys"),
};
/* clang-format on */

enum { DIRECTIVES = sizeof directives / sizeof directives[0] };

/* ---- the table's users ---------------------------------------------------- */

static const struct directive *find(const char *name)
{
    for (uint32_t i = 0; i < DIRECTIVES; i++)
        if (strcasecmp(name, directives[i].name) == 0 ||
            (directives[i].alias && strcasecmp(name, directives[i].alias) == 0))
            return &directives[i];
    return NULL;
}

const char *config_find(const char *name)
{
    const struct directive *directive = find(name);
    return directive ? directive->name : NULL;
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
    for (uint32_t i = 0; i < DIRECTIVES; i++) {
        uint32_t away = distance(name, directives[i].name);
        if (away <= least && (!nearest || away < least)) {
            nearest = directives[i].name;
            least = away;
        }
    }
    return nearest;
}

bool config_apply(struct config *config, char **words, uint32_t count, char *error,
                  size_t error_size)
{
    check(count > 0);
    const struct directive *directive = find(words[0]);
    if (!directive) {
        const char *nearest = config_nearest(words[0]);
        return nearest
                   ? config_refuse(error, error_size, "unknown directive '%s'; did you mean '%s'?",
                                   words[0], nearest)
                   : config_refuse(error, error_size, "unknown directive '%s'", words[0]);
    }
    char reason[CONFIG_ERROR_SIZE];
    if (!directive_parse(directive, config, words + 1, count - 1, reason, sizeof reason))
        return config_refuse(error, error_size, "%s: %s", directive->name, reason);
    return true;
}

void config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->file = memory_string("");
    for (uint32_t i = 0; i < DIRECTIVES; i++) {
        const struct directive *directive = &directives[i];
        char copy[64], error[CONFIG_ERROR_SIZE], *words[8], *rest = copy;
        uint32_t count = 0;
        if (directive->kind == VALUE_NODE || directive->kind == VALUE_FLAG)
            continue;
        check(strlen(directive->fallback) < sizeof copy);
        strcpy(copy, directive->fallback);
        if (directive_takes_one_word(directive) || copy[0] == '\0')
            words[count++] = copy;
        else
            while ((words[count] = strsep(&rest, " ")))
                check(++count < 8);
        check(directive_parse(directive, config, words, count, error, sizeof error));
    }
    config->me = NOT_SAID;
}

void config_deinit(struct config *config)
{
    for (uint32_t i = 0; i < DIRECTIVES; i++)
        if (directive_has_string(&directives[i]))
            memory_free(*directive_string(&directives[i], config));
    memory_free(config->file);
    memset(config, 0, sizeof *config);
}

void config_each(const struct config *config,
                 void (*each)(void *context, const char *name, const char *value), void *context)
{
    struct buffer value = {0};
    for (uint32_t i = 0; i < DIRECTIVES; i++) {
        if (directives[i].flags & HIDDEN || directives[i].kind == VALUE_FLAG)
            continue;
        buffer_clear(&value);
        directive_print(&directives[i], config, &value);
        buffer_append_byte(&value, '\0');
        each(context, directives[i].name, value.data);
    }
    buffer_deinit(&value);
}

/* ---- CONFIG SET ------------------------------------------------------------ */

/* Splits at blanks where the directive takes several words, as Redis does. */
static bool set_value(struct config *config, const struct directive *directive, char *value,
                      char *error, size_t error_size)
{
    enum { WORDS_MAX = 8 };
    char *words[WORDS_MAX], *rest = NULL;
    uint32_t count = 0;
    if (!(directive->flags & SETTABLE))
        return config_refuse(error, error_size, "can't set immutable config");
    if (directive_takes_one_word(directive))
        return directive_parse(directive, config, &value, 1, error, error_size);
    for (char *word = strtok_r(value, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (count == WORDS_MAX)
            return config_refuse(error, error_size, "wrong number of arguments");
        words[count++] = word;
    }
    return directive_parse(directive, config, words, count, error, error_size);
}

enum config_set_result config_set(struct config *config, struct bytes name, struct bytes value,
                                  char *error, size_t error_size)
{
    char name_text[64], reason[CONFIG_ERROR_SIZE];
    int shown = name.size < sizeof name_text ? (int)name.size : (int)sizeof name_text - 1;
    snprintf(name_text, sizeof name_text, "%.*s", shown, (const char *)name.data);
    const struct directive *directive = find(name_text);
    if (!directive || strlen(name_text) != name.size || directive->kind == VALUE_FLAG) {
        config_refuse(error, error_size,
                      "Unknown option or number of arguments for CONFIG SET - '%s'", name_text);
        return CONFIG_SET_UNKNOWN;
    }
    char *text = memory_new(value.size + 1);
    if (value.size)
        memcpy(text, value.data, value.size);
    bool done;
    if (strlen(text) != value.size)
        done = config_refuse(reason, sizeof reason, "argument must not hold a NUL byte");
    else
        done = set_value(config, directive, text, reason, sizeof reason);
    memory_free(text);
    if (!done)
        config_refuse(error, error_size,
                      "CONFIG SET failed (possibly related to argument '%s') - %s", name_text,
                      reason);
    return done ? CONFIG_SET_OK : CONFIG_SET_REFUSED;
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
    char *words[] = {name, address};
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

bool config_finish(struct config *config, const char **culprit, char *error, size_t error_size)
{
    *culprit = "port";
    if (config->nodes.count == 0 && !add_node_alone(config, error, error_size))
        return false;
    *culprit = "me";
    const struct raft_member *own = choose_me(config, error, error_size);
    if (!own)
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
    const char *colon = strrchr(own->address, ':');
    check(colon);
    if (strtol(colon + 1, NULL, 10) == config->port)
        return config_refuse(error, error_size,
                             "port: clients and peers cannot share port %" PRId64, config->port);
    *culprit = "announce-client";
    if (config->announce_client[0] == '\0')
        announce_default(config, own->address);
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
    for (uint32_t i = 0; i < DIRECTIVES; i++) {
        const struct directive *directive = &directives[i];
        if (directive->kind == VALUE_CONSTANT)
            continue;
        printf("  %-27s%s", directive->name, directive->summary);
        for (uint32_t j = 0; directive->kind == VALUE_ENUM && directive->choices[j]; j++)
            printf("%s%s", j ? ", " : ": ", directive->choices[j]);
        printf(directive->fallback[0] ? " [%s]\n" : "\n", directive->fallback);
    }
}
