/* The configuration: where words come from, what values are taken and refused, and that
 * redis-raft.conf says what the table says. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "config.h"

enum { ARGUMENTS_MAX = 32 };

struct fixture {
    struct config config;
    char error[CONFIG_ERROR_SIZE];
    char path[64];
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof *fixture);
    strcpy(fixture->path, "/tmp/test_config.XXXXXX");
    int fd = mkstemp(fixture->path);
    assert_true(fd >= 0);
    close(fd);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->path);
    memory_free(fixture);
    return 0;
}

/* Loads with the arguments given, NULL at the end. */
static enum config_load_result load(struct fixture *fixture, ...)
{
    char *argv[ARGUMENTS_MAX] = {(char[]){"redis-raft"}};
    int argc = 1;
    va_list arguments;
    va_start(arguments, fixture);
    while ((argv[argc] = va_arg(arguments, char *)))
        argc++;
    va_end(arguments);
    config_init(&fixture->config);
    return config_load(&fixture->config, argc, argv, fixture->error, sizeof fixture->error);
}

static void write_file(struct fixture *fixture, const char *text, size_t size)
{
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static enum config_load_result load_text(struct fixture *fixture, const char *text)
{
    write_file(fixture, text, strlen(text));
    return load(fixture, fixture->path, NULL);
}

/* Loading `text` as the file must fail with FILE:`line`: `message`. */
static void expect_file_error(struct fixture *fixture, const char *text, unsigned line,
                              const char *message)
{
    char expected[CONFIG_ERROR_SIZE];
    assert_int_equal(load_text(fixture, text), CONFIG_FAILED);
    config_deinit(&fixture->config);
    snprintf(expected, sizeof expected, "%s:%u: %s", fixture->path, line, message);
    assert_string_equal(fixture->error, expected);
}

struct lookup {
    const char *name;
    char value[256];
    unsigned found;
};

static void look(void *context, const char *name, struct bytes value)
{
    struct lookup *lookup = context;
    if (strcmp(name, lookup->name) != 0)
        return;
    snprintf(lookup->value, sizeof lookup->value, "%.*s", (int)value.size,
             (const char *)value.data);
    lookup->found++;
}

static void expect_shown(const struct config *config, const char *name, const char *value)
{
    struct lookup lookup = {.name = name};
    config_each(config, look, &lookup);
    assert_int_equal(lookup.found, 1);
    assert_string_equal(lookup.value, value);
}

/* ---- where directives come from --------------------------------------------- */

static void nothing_gives_a_node_alone(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, NULL), CONFIG_LOADED);
    const struct config *config = &fixture->config;
    assert_int_equal(config->me, 0);
    assert_int_equal(config->port, 6379);
    assert_int_equal(config->nodes.count, 1);
    assert_int_equal(config->nodes.list[0].id, 0);
    assert_true(config->nodes.list[0].voter);
    assert_string_equal(config->nodes.list[0].address, "127.0.0.1:16379");
    assert_string_equal(config->announce_client, "127.0.0.1:6379");
    assert_int_equal(config->bind.count, 2);
    assert_string_equal(config->bind.list[1].host, "::1");
    assert_true(config->bind.list[1].optional && !config->bind.list[0].optional);
    assert_int_equal(config->loglevel, LOG_LEVEL_NOTICE);
    assert_int_equal(config->follower_mode, FOLLOWER_PROXY);
    assert_true(config->heartbeat_interval < config->election_timeout);
    assert_int_equal(config->proto_max_bulk_len, 64 << 20);
    assert_string_equal(config->file, "");
    config_deinit(&fixture->config);
}

static void options_of_vard(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "-me", "1", "-port", "8001", "-dbpath", "/tmp/x", "-node",
                          "2,10.0.0.3:9002", "-node", "0,10.0.0.1:9000", "-debug", "-node",
                          "1,10.0.0.2:9001", NULL),
                     CONFIG_LOADED);
    const struct config *config = &fixture->config;
    assert_int_equal(config->me, 1);
    assert_int_equal(config->port, 8001);
    assert_string_equal(config->dir, "/tmp/x");
    assert_int_equal(config->loglevel, LOG_LEVEL_DEBUG);
    assert_int_equal(config->nodes.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(config->nodes.list[i].id, i);
    assert_string_equal(config->nodes.list[2].address, "10.0.0.3:9002");
    expect_shown(config, "node", "0,10.0.0.1:9000 1,10.0.0.2:9001 2,10.0.0.3:9002");
    config_deinit(&fixture->config);
}

static void two_dashes_mean_the_same(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "--me", "4", "--port", "8001", "--dbpath", "d", "--node", "4",
                          "[::1]:9000", "--debug", NULL),
                     CONFIG_LOADED);
    assert_int_equal(fixture->config.me, 4);
    assert_string_equal(fixture->config.nodes.list[0].address, "[::1]:9000");
    assert_int_equal(fixture->config.loglevel, LOG_LEVEL_DEBUG);
    config_deinit(&fixture->config);
}

static void options_override_the_file(void **state)
{
    struct fixture *fixture = *state;
    const char *text = "# comment\n\n  port 7000\nrequirepass first\nPORT 7100\nnode 0 h:1\n";
    write_file(fixture, text, strlen(text));
    assert_int_equal(load(fixture, fixture->path, "--requirepass", "-second", "--node", "1,h:2",
                          "--me", "0", "--bind", "127.0.0.1", "-::1", NULL),
                     CONFIG_LOADED);
    assert_int_equal(fixture->config.port, 7100);
    assert_string_equal(fixture->config.requirepass.data, "-second");
    assert_int_equal(fixture->config.nodes.count, 2);
    assert_int_equal(fixture->config.bind.count, 2);
    assert_string_equal(fixture->config.file, fixture->path);
    config_deinit(&fixture->config);
}

static void quoting_is_that_of_redis(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_text(fixture, "requirepass \"a b\\x21\\n\\\"\\q\"\r\n"
                                        "dir 'it\\'s \\n'\t\nlogfile \"\"\n"
                                        "peer-secret plain\"quoted\""),
                     CONFIG_LOADED);
    assert_string_equal(fixture->config.requirepass.data, "a b!\n\"q");
    assert_string_equal(fixture->config.dir, "it's \\n");
    assert_string_equal(fixture->config.logfile, "");
    assert_string_equal(fixture->config.peer_secret, "plainquoted");
    config_deinit(&fixture->config);
}

static void a_bad_line_is_named(void **state)
{
    struct fixture *fixture = *state;
    expect_file_error(fixture, "port 1\nrequirepass \"a\n", 2, "unbalanced quotes");
    expect_file_error(fixture, "requirepass \"a\"b", 1,
                      "a closing quote must be followed by a blank");
    expect_file_error(fixture, "dir \"a\\x00b\"", 1, "dir: argument must not hold a NUL byte");
    expect_file_error(fixture, "bind 127.0.0.1 # x", 1,
                      "bind: '#' is not an address: a comment has a line of its own");
    expect_file_error(fixture, "\n\nport\n", 3, "port: wrong number of arguments");
    expect_file_error(fixture, "port 1 2\n", 1, "port: wrong number of arguments");
    expect_file_error(fixture, "# x\nelection-timeuot 5", 2,
                      "unknown directive 'election-timeuot'; did you mean 'election-timeout'?");
    expect_file_error(fixture, "xyzzy 5", 1, "unknown directive 'xyzzy'");
    write_file(fixture, "port 7\0001\n", 9);
    assert_int_equal(load(fixture, fixture->path, NULL), CONFIG_FAILED);
    assert_non_null(strstr(fixture->error, ":1: a NUL byte"));
    config_deinit(&fixture->config);
}

static void words_without_end_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct buffer text = {0};
    buffer_printf(&text, "bind");
    for (int i = 0; i < 100; i++)
        buffer_printf(&text, " 127.0.0.1");
    buffer_append_byte(&text, '\0');
    expect_file_error(fixture, text.data, 1, "too many words");
    buffer_deinit(&text);
}

static void a_bad_option_is_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *a, *b, *c, *error;
    } cases[] = {
        {"--port", "x", NULL, "port: argument couldn't be parsed into an integer"},
        {"--port", NULL, NULL, "port: wrong number of arguments"},
        {"--port", "--debug", NULL, "port: wrong number of arguments"},
        {"-debug", "1", NULL, "debug: wrong number of arguments"},
        {"--nodee", "1", "h:1", "unknown directive 'nodee'; did you mean 'node'?"},
        {"--requirepass", "a", "b", "requirepass: wrong number of arguments"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[CONFIG_ERROR_SIZE];
        assert_int_equal(load(fixture, cases[i].a, cases[i].b, cases[i].c, NULL), CONFIG_FAILED);
        config_deinit(&fixture->config);
        snprintf(expected, sizeof expected, "command line: %s", cases[i].error);
        assert_string_equal(fixture->error, expected);
    }
    write_file(fixture, "", 0);
    assert_int_equal(load(fixture, fixture->path, "stray", NULL), CONFIG_FAILED);
    config_deinit(&fixture->config);
    assert_string_equal(fixture->error,
                        "command line: 'stray' is not an option: options start with -- or -");
}

static void a_file_that_cannot_be_read(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "/nonexistent/x.conf", NULL), CONFIG_FAILED);
    config_deinit(&fixture->config);
    assert_string_equal(fixture->error,
                        "/nonexistent/x.conf: cannot be opened: No such file or directory");
    assert_int_equal(load(fixture, "/tmp", NULL), CONFIG_FAILED);
    config_deinit(&fixture->config);
    assert_string_equal(fixture->error, "/tmp: cannot be read: Is a directory");
}

/* ---- values ------------------------------------------------------------------ */

static void sizes_have_the_units_of_redis(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"1048576", 1048576},
        {"1048576b", 1048576},
        {"2000k", 2000000},
        {"2000kB", 2048000},
        {"2m", 2000000},
        {"2MB", 2097152},
        {"1g", 1000000000},
        {"1GB", 1073741824},
        {"1tb", 0},
        {"1 gb", 0},
        {"", 0},
        {"mb", 0},
        {"-1mb", 0},
        {"1.5mb", 0},
        {"18446744073709551616", 0},
        {"0x100000", 0},
        {"18446744073709551gb", 0},
        {"99999999999999999999999mb", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        char error[CONFIG_ERROR_SIZE];
        config_init(&config);
        enum config_set_result result =
            config_set(&config, bytes_from_string("client-query-buffer-limit"),
                       bytes_from_string(cases[i].text), error, sizeof error);
        if (cases[i].bytes) {
            assert_int_equal(result, CONFIG_SET_OK);
            assert_int_equal(config.client_query_buffer_limit, cases[i].bytes);
        } else {
            assert_int_equal(result, CONFIG_SET_REFUSED);
            assert_string_equal(error,
                                "CONFIG SET failed (possibly related to argument "
                                "'client-query-buffer-limit') - argument must be a memory value");
            assert_int_equal(config.client_query_buffer_limit, 1 << 30);
        }
        config_deinit(&config);
    }
}

static void values_out_of_bounds(void **state)
{
    struct fixture *fixture = *state;
    expect_file_error(fixture, "port 0", 1, "port: argument must be between 1 and 65535 inclusive");
    expect_file_error(fixture, "port 65536", 1,
                      "port: argument must be between 1 and 65535 inclusive");
    expect_file_error(fixture, "timeout -1", 1,
                      "timeout: argument must be between 0 and 2147483647 inclusive");
    expect_file_error(fixture, "port 99999999999999999999", 1,
                      "port: argument couldn't be parsed into an integer");
    expect_file_error(fixture, "proto-max-bulk-len 2gb", 1,
                      "proto-max-bulk-len: argument must be between 1048576 and 536870912 "
                      "inclusive");
    expect_file_error(fixture, "protected-mode maybe", 1,
                      "protected-mode: argument must be 'yes' or 'no'");
    expect_file_error(fixture, "loglevel loud", 1,
                      "loglevel: argument(s) must be one of the following: debug, verbose, "
                      "notice, warning");
    expect_file_error(fixture, "follower-mode none", 1,
                      "follower-mode: argument(s) must be one of the following: proxy, redirect, "
                      "readonly");
    expect_file_error(fixture, "announce-client host", 1,
                      "announce-client: 'host' is not an address of the form HOST:PORT");
    expect_file_error(fixture, "bind \"\"", 1, "bind: there must be an address for clients");
    expect_file_error(fixture, "bind a \"\"", 1, "bind: an address is empty");
    expect_file_error(fixture, "bind \"a b\"", 1, "bind: 'a b' is not an address");
}

static void output_limits(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_text(fixture, "client-output-buffer-limit normal 256mb 64mb 60\n"
                                        "client-output-buffer-limit replica 1 2 3 pubsub 4 5 6"),
                     CONFIG_LOADED);
    const struct config_output_limit *limit =
        &fixture->config.client_output_buffer_limits[CONFIG_CLASS_NORMAL];
    assert_int_equal(limit->hard_bytes, 256 << 20);
    assert_int_equal(limit->soft_bytes, 64 << 20);
    assert_int_equal(limit->soft_seconds, 60);
    expect_shown(&fixture->config, "client-output-buffer-limit",
                 "normal 268435456 67108864 60 slave 1 2 3 pubsub 4 5 6");
    config_deinit(&fixture->config);
    expect_file_error(fixture, "client-output-buffer-limit master 1 1 1", 1,
                      "client-output-buffer-limit: Invalid client class specified in buffer limit "
                      "configuration.");
    expect_file_error(fixture, "client-output-buffer-limit normal 1 1", 1,
                      "client-output-buffer-limit: Wrong number of arguments in buffer limit "
                      "configuration.");
    expect_file_error(fixture, "client-output-buffer-limit normal 1 1 x", 1,
                      "client-output-buffer-limit: Error in hard, soft or soft_seconds setting in "
                      "buffer limit configuration.");
}

/* ---- Redis's directives -------------------------------------------------------- */

static void directives_without_effect_are_taken_and_named(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_text(fixture, "daemonize yes\nsupervised systemd\nsave 900 1 300 10\n"
                                        "maxmemory 100mb\nslave-priority 7\nport 7000\n"),
                     CONFIG_LOADED);
    expect_shown(&fixture->config, "save", "900 1 300 10");
    expect_shown(&fixture->config, "maxmemory", "104857600");
    expect_shown(&fixture->config, "replica-priority", "7");
    expect_shown(&fixture->config, "slave-priority", "7");
    assert_string_equal(fixture->config.ignored,
                        "daemonize supervised save maxmemory replica-priority");
    config_deinit(&fixture->config);
}

static void what_would_weaken_is_refused_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *line, *reason;
    } cases[] = {
        {"aclfile /etc/users.acl", "aclfile: not here: there are no users but `default`: use "
                                   "requirepass"},
        {"user alice on >secret ~* +@all", "user: not here: there are no users but `default`: use "
                                           "requirepass"},
        {"rename-command CONFIG \"\"", "rename-command: not here: commands keep their names: a "
                                       "password (requirepass) keeps strangers from them"},
        {"loadmodule /x.so a", "loadmodule: not here: there are no modules"},
        {"replicaof 10.0.0.1 6379", "replicaof: not here: the members are given by `node`, the "
                                    "leader is elected"},
        {"tls-port 6380", "tls-port: can only be '0': there is no encryption"},
        {"tls-replication yes", "tls-replication: can only be 'no': there is no encryption"},
        {"cluster-enabled yes", "cluster-enabled: can only be 'no': every node holds all keys"},
        {"min-slaves-to-write 2", "min-replicas-to-write: can only be '0' or '1': a write is on a "
                                  "majority's disks before it is "
                                  "answered, never on more by order"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_file_error(fixture, cases[i].line, 1, cases[i].reason);
    assert_int_equal(load_text(fixture, "tls-port 0\ncluster-enabled no\naclfile \"\"\n"
                                        "min-replicas-to-write 1\nreplicaof \"\"\n"),
                     CONFIG_LOADED);
    config_deinit(&fixture->config);
}

static void files_include_files(void **state)
{
    struct fixture *fixture = *state;
    char inner[80], text[256], expected[256];
    snprintf(inner, sizeof inner, "%s.inner", fixture->path);
    FILE *file = fopen(inner, "w");
    assert_non_null(file);
    fputs("# x\nport 7007\nport x\n", file);
    fclose(file);
    snprintf(text, sizeof text, "timeout 5\ninclude %s\n", inner);
    assert_int_equal(load_text(fixture, text), CONFIG_FAILED);
    config_deinit(&fixture->config);
    snprintf(expected, sizeof expected, "%s:3: port: argument couldn't be parsed into an integer",
             inner);
    assert_string_equal(fixture->error, expected);

    file = fopen(inner, "w");
    fputs("port 7007\n", file);
    fclose(file);
    snprintf(text, sizeof text, "include %s.in*\ninclude /nonexistent/*.conf\ntimeout 6",
             fixture->path);
    assert_int_equal(load_text(fixture, text), CONFIG_LOADED);
    assert_int_equal(fixture->config.port, 7007);
    assert_int_equal(fixture->config.timeout, 6);
    config_deinit(&fixture->config);
    unlink(inner);

    expect_file_error(fixture, "\ninclude /nonexistent/x.conf", 2,
                      "include: /nonexistent/x.conf cannot be opened: No such file or directory");
    snprintf(text, sizeof text, "include %s\n", fixture->path);
    expect_file_error(fixture, text, 1, "include: too many files, or a file that includes itself");
}

/* ---- the cluster ---------------------------------------------------------------- */

static void nodes_that_will_not_do(void **state)
{
    struct fixture *fixture = *state;
    expect_file_error(fixture, "node 0 h:1\nme 0\nnode 0 h:2\n", 3, "node: node 0 is given twice");
    expect_file_error(fixture, "node 0 h:1\nnode 1 h:1\n", 2,
                      "node: nodes 0 and 1 have one address");
    expect_file_error(fixture, "node a h:1", 1, "node: a node's name must be an integer from 0 on");
    expect_file_error(fixture, "node -1 h:1", 1,
                      "node: a node's name must be an integer from 0 on");
    expect_file_error(fixture, "node 0 h", 1, "node: 'h' is not an address of the form IP:PORT");
    expect_file_error(fixture, "node 0 h:0", 1,
                      "node: 'h:0' is not an address of the form IP:PORT");
    expect_file_error(fixture, "node 0 ::1:5", 1,
                      "node: '::1:5' is not an address of the form IP:PORT");
    expect_file_error(fixture, "node 0", 1, "node: expected NAME IP:PORT or NAME,IP:PORT");
    expect_file_error(fixture, "node 0,h:1,h:2", 1,
                      "node: 'h:1,h:2' is not an address of the form IP:PORT");
    expect_file_error(fixture, "node 0 h:1 h:2", 1, "node: expected NAME IP:PORT or NAME,IP:PORT");
    expect_file_error(fixture,
                      "node 0 h:1\nnode 1 h:2\nnode 2 h:3\nnode 3 h:4\nnode 4 h:5\nnode 5 h:6\n"
                      "node 6 h:7\nnode 7 h:8\nnode 8 h:9\nnode 9 h:10\n",
                      10, "node: more than 9 nodes");
}

static void me_is_one_of_the_nodes(void **state)
{
    struct fixture *fixture = *state;
    expect_file_error(fixture, "node 0 h:1\nnode 1 h:2\nme 2\n", 3,
                      "me: there is no node of the name 2 among the 2 given");
    /* Among several it is never guessed. */
    assert_int_equal(load(fixture, "-node", "0,h:1", "-node", "1,h:2", NULL), CONFIG_FAILED);
    config_deinit(&fixture->config);
    assert_string_equal(fixture->error, "command line: me: say which of the 2 nodes this one is");
    assert_int_equal(load(fixture, "-node", "7,h:1", NULL), CONFIG_LOADED);
    assert_int_equal(fixture->config.me, 7);
    config_deinit(&fixture->config);
    assert_int_equal(load(fixture, "-me", "7", "-port", "100", NULL), CONFIG_LOADED);
    assert_int_equal(fixture->config.nodes.list[0].id, 7);
    config_deinit(&fixture->config);
}

static void one_directive_against_another(void **state)
{
    struct fixture *fixture = *state;
    expect_file_error(fixture, "heartbeat-interval 100\nelection-timeout 100\n", 1,
                      "heartbeat-interval: 100 ms is not less than election-timeout, 100 ms");
    assert_int_equal(load_text(fixture, "election-timeout 50\n"), CONFIG_FAILED);
    config_deinit(&fixture->config);
    assert_non_null(strstr(fixture->error, "heartbeat-interval: 50 ms is not less than"));
    expect_file_error(fixture, "node 0 h:7000\nport 7000\n", 2,
                      "port: clients and peers cannot share port 7000");
    assert_int_equal(load(fixture, "--port", "60000", NULL), CONFIG_FAILED);
    config_deinit(&fixture->config);
    assert_non_null(strstr(fixture->error, "command line: port: 60000 + 10000"));
}

static void the_address_that_redirects_name(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text, *address;
    } cases[] = {
        {"node 0 10.0.0.7:9000\nport 1", "127.0.0.1:1"},
        {"node 0 10.0.0.7:9000\nport 1\nbind *", "10.0.0.7:1"},
        {"node 0 [fe80::1]:9000\nport 1\nbind ::* *", "[fe80::1]:1"},
        {"node 0 h:9000\nport 1\nbind ::1 127.0.0.1", "[::1]:1"},
        {"node 0 h:9000\nport 1\nbind 10.1.1.1\nannounce-client public:77", "public:77"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load_text(fixture, cases[i].text), CONFIG_LOADED);
        assert_string_equal(fixture->config.announce_client, cases[i].address);
        config_deinit(&fixture->config);
    }
}

static void who_joins_says_where_it_is(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text, *listens, *announced;
    } cases[] = {
        {"join 127.0.0.1:9000\nport 7001", "127.0.0.1:17001", "127.0.0.1:17001"},
        {"join localhost:9000,[::1]:9001\nport 1", "127.0.0.1:10001", "127.0.0.1:10001"},
        {"join a:1,b:2\nport 60000\nannounce-peer me:9", "me:9", "me:9"},
        {"node 0 10.0.0.7:9000\nport 1", "10.0.0.7:9000", "10.0.0.7:9000"},
        {"node 0 10.0.0.7:9000\nport 1\nannounce-peer nat:5", "10.0.0.7:9000", "nat:5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load_text(fixture, cases[i].text), CONFIG_LOADED);
        assert_string_equal(fixture->config.peer_address, cases[i].listens);
        assert_string_equal(fixture->config.peer_announced, cases[i].announced);
        config_deinit(&fixture->config);
    }
}

static void who_joins_says_nothing_of_members(void **state)
{
    static const char too_much[] = "join: a node that joins is told who the members are, and which "
                                   "it is itself: leave out `node` and `me`";
    static const char unreachable[] = "announce-peer: say where members reach this node";
    struct fixture *fixture = *state;
    expect_file_error(fixture, "join here", 1, "join: 'here' is not HOST:PORT[,HOST:PORT...]");
    expect_file_error(fixture, "join a:1,,b:2", 1,
                      "join: 'a:1,,b:2' is not HOST:PORT[,HOST:PORT...]");
    expect_file_error(fixture, "join a:1\nme 3", 1, too_much);
    expect_file_error(fixture, "join a:1\nnode 0 b:1", 1, too_much);
    expect_file_error(fixture, "join 127.0.0.1:1\nport 60000", 1, unreachable);
    expect_file_error(fixture, "join 127.0.0.1:1,10.0.0.1:1", 1, unreachable);
}

/* ---- CONFIG GET and SET ----------------------------------------------------------- */

static enum config_set_result set(struct config *config, const char *name, const char *value,
                                  char *error)
{
    return config_set(config, bytes_from_string(name), bytes_from_string(value), error,
                      CONFIG_ERROR_SIZE);
}

static void set_changes_what_may_change(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *shown;
    } cases[] = {
        {"follower-mode", "readonly", "readonly"},
        {"maxclients", "7", "7"},
        {"MaxClients", "8", "8"},
        {"requirepass", "secret word", "secret word"},
        {"requirepass", "", ""},
        {"loglevel", "DEBUG", "debug"},
        {"protected-mode", "no", "no"},
        {"client-query-buffer-limit", "2mb", "2097152"},
        {"client-output-buffer-limit", "normal 1mb 2mb 3",
         "normal 1048576 2097152 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
        {"client-output-buffer-limit", "",
         "normal 1048576 2097152 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
        {"client-output-buffer-limit", "pubsub 1 2 3 replica 4 5 6",
         "normal 1048576 2097152 3 slave 4 5 6 pubsub 1 2 3"},
        {"maxmemory-policy", "allkeys-LRU", "allkeys-lru"},
        {"maxmemory-clients", "5%", "5%"},
        {"notify-keyspace-events", "xKE", "xKE"},
        {"notify-keyspace-events", "EKA", "AKE"},
        {"notify-keyspace-events", "tdezxshlg$", "A"},
        {"list-max-listpack-size", "-5", "-5"},
        {"slowlog-log-slower-than", "-1", "-1"},
        {"hz", "0", "1"},
        {"hz", "1000", "500"},
        {"repl-backlog-size", "1kb", "16384"},
        {"lua-time-limit", "1", "1"},
        {"save", "", ""},
        {"save", "900 1 300 10", "900 1 300 10"},
        {"appendonly", "no", "no"},
        {"replica-read-only", "yes", "yes"}, /* follower-mode is readonly by now */
        {"port", "6379", "6379"},
        {"bind", "127.0.0.1 -::1", "127.0.0.1 -::1"},
        {"request-timeout", "100", "100"},
        {"timeout", "1", "1"},
        {"tcp-keepalive", "0", "0"},
    };
    struct config config;
    char error[CONFIG_ERROR_SIZE];
    config_init(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(set(&config, cases[i].name, cases[i].value, error), CONFIG_SET_OK);
        expect_shown(&config, config_find(cases[i].name), cases[i].shown);
    }
    config_deinit(&config);
}

static void set_refuses_in_the_words_of_redis(void **state)
{
    (void)state;
    struct config config;
    char error[CONFIG_ERROR_SIZE];
    static const char *const fixed[] = {
        "node",      "me",      "election-timeout",   "daemonize", "databases",
        "peer-bind", "logfile", "rocksdb-cache-size", "pidfile",   "replicaof",
    };
    config_init(&config);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        char expected[CONFIG_ERROR_SIZE];
        assert_int_equal(set(&config, fixed[i], "1", error), CONFIG_SET_REFUSED);
        snprintf(expected, sizeof expected,
                 "CONFIG SET failed (possibly related to argument '%s') - can't set immutable "
                 "config",
                 fixed[i]);
        assert_string_equal(error, expected);
    }
    static const struct {
        const char *name, *value, *reason;
    } refused[] = {
        {"dir", "/tmp", "can't set protected config"},
        {"dbfilename", "x", "can't set protected config"},
        {"port", "7000", "it is taken at the start: change the file"},
        {"bind", "*", "it is taken at the start: change the file"},
        {"tls-port", "7000", "can only be '0': there is no encryption"},
        {"save", "900", "Invalid save parameters"},
        {"save", "0 1", "Invalid save parameters"},
        {"maxmemory-clients", "101%", "percentage argument must be less or equal to 100"},
        {"maxmemory-clients", "x", "argument must be a memory or percent value"},
        {"notify-keyspace-events", "q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
        {"oom-score-adj-values", "1 2", "wrong number of arguments"},
        {"oom-score-adj-values", "1 2 3000",
         "Invalid oom-score-adj-values, elements must be between -2000 and 2000."},
        {"latency-tracking-info-percentiles", "101",
         "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"},
        {"latency-tracking-info-percentiles", "x",
         "Invalid latency-tracking-info-percentiles parameters"},
        {"list-max-listpack-size", "99999999999",
         "argument must be between -2147483648 and 2147483647 inclusive"},
        {"client-output-buffer-limit", "normal",
         "Wrong number of arguments in buffer limit configuration."},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char expected[CONFIG_ERROR_SIZE];
        assert_int_equal(set(&config, refused[i].name, refused[i].value, error),
                         CONFIG_SET_REFUSED);
        snprintf(expected, sizeof expected,
                 "CONFIG SET failed (possibly related to argument '%s') - %s", refused[i].name,
                 refused[i].reason);
        assert_string_equal(error, expected);
    }
    assert_int_equal(set(&config, "peer-secret", "1", error), CONFIG_SET_UNKNOWN);
    assert_int_equal(set(&config, "nope", "1", error), CONFIG_SET_UNKNOWN);
    assert_string_equal(error, "Unknown option or number of arguments for CONFIG SET - 'nope'");
    assert_int_equal(set(&config, "debug", "", error), CONFIG_SET_UNKNOWN);
    assert_int_equal(
        config_set(&config, bytes_of("port\0x", 6), bytes_of("1", 1), error, sizeof error),
        CONFIG_SET_UNKNOWN);
    assert_int_equal(config_set(&config, bytes_from_string("masteruser"), bytes_of("a\0b", 3),
                                error, sizeof error),
                     CONFIG_SET_REFUSED);
    assert_int_equal(config_set(&config, bytes_from_string("requirepass"), bytes_of("a\0b", 3),
                                error, sizeof error),
                     CONFIG_SET_OK);
    assert_int_equal(config.requirepass.size, 3);
    assert_memory_equal(config.requirepass.data, "a\0b", 4);
    config_deinit(&config);
}

static void set_again(void *context, const char *name, struct bytes value)
{
    struct config *config = context;
    char error[CONFIG_ERROR_SIZE];
    struct lookup after = {.name = name};
    if (config_may_set(bytes_from_string(name), error, sizeof error) != CONFIG_SET_OK)
        return;
    if (config_set(config, bytes_from_string(name), value, error, sizeof error) != CONFIG_SET_OK)
        fail_msg("%s", error);
    config_each(config, look, &after);
    assert_int_equal(after.found, 1);
    assert_int_equal(strlen(after.value), value.size);
    assert_memory_equal(after.value, value.data, value.size);
}

static void any_value_that_is_shown_can_be_set(void **state)
{
    (void)state;
    struct config config;
    config_init(&config);
    config_each(&config, set_again, &config);
    config_deinit(&config);
}

static void the_secret_of_the_peers_is_not_shown(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "--peer-secret", "hush", NULL), CONFIG_LOADED);
    struct lookup lookup = {.name = "peer-secret"};
    config_each(&fixture->config, look, &lookup);
    assert_int_equal(lookup.found, 0);
    config_deinit(&fixture->config);
}

/* ---- redis-raft.conf ---------------------------------------------------------------- */

struct pairs {
    char text[16384];
    size_t size;
};

static void add_pair(void *context, const char *name, struct bytes value)
{
    struct pairs *pairs = context;
    pairs->size += (size_t)snprintf(pairs->text + pairs->size, sizeof pairs->text - pairs->size,
                                    "%s=%.*s\n", name, (int)value.size, (const char *)value.data);
    assert_true(pairs->size < sizeof pairs->text);
}

static void the_file_holds_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    static struct pairs without, with;
    assert_int_equal(load(fixture, NULL), CONFIG_LOADED);
    config_each(&fixture->config, add_pair, &without);
    config_deinit(&fixture->config);
    if (load(fixture, "redis-raft.conf", NULL) != CONFIG_LOADED)
        fail_msg("%s", fixture->error);
    config_each(&fixture->config, add_pair, &with);
    config_deinit(&fixture->config);
    assert_string_equal(with.text, without.text);
}

/* A line that starts with the name, commented out or not; of those without effect, the name. */
static void expect_documented(void *context, const char *name, struct bytes value)
{
    static const char *const forms[] = {"\n%s ", "\n# %s ", " %s"};
    size_t count = config_is_inert(name) ? 3 : 2;
    char line[128];
    (void)value;
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, forms[i], config_find(name));
        if (strstr(context, line))
            return;
    }
    fail_msg("redis-raft.conf does not mention %s", name);
}

static void the_file_documents_every_directive(void **state)
{
    struct fixture *fixture = *state;
    static char text[65536];
    FILE *file = fopen("redis-raft.conf", "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_true(size > 1000 && size < sizeof text - 1);
    assert_int_equal(load(fixture, NULL), CONFIG_LOADED);
    config_each(&fixture->config, expect_documented, text);
    config_deinit(&fixture->config);
    expect_documented(text, "peer-secret", bytes_of(NULL, 0));
}

/* ---- CONFIG REWRITE ------------------------------------------------------------------- */

static void change(struct fixture *fixture, const char *name, const char *value)
{
    assert_int_equal(set(&fixture->config, name, value, fixture->error), CONFIG_SET_OK);
}

/* Rewritten, the file says this; loaded by itself it gives what held, so that a second time changes
 * nothing. */
static void expect_rewritten(struct fixture *fixture, const char *expected)
{
    for (int i = 0; i < 2; i++) {
        char text[4096];
        if (!config_rewrite(&fixture->config, fixture->error, sizeof fixture->error))
            fail_msg("%s", fixture->error);
        FILE *file = fopen(fixture->path, "r");
        assert_non_null(file);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        assert_string_equal(text, expected);
        config_deinit(&fixture->config);
        assert_int_equal(load(fixture, fixture->path, NULL), CONFIG_LOADED);
    }
    config_deinit(&fixture->config);
}

static void rewriting_keeps_what_did_not_change(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_text(fixture, "# ours\n\n  MaxClients   100 \nport 7001\n"
                                        "# the idle ones\ntimeout 5\nappendonly yes\ntimeout 6"),
                     CONFIG_LOADED);
    expect_rewritten(fixture, "# ours\n\n  MaxClients   100 \nport 7001\n"
                              "# the idle ones\ntimeout 5\nappendonly yes\ntimeout 6\n");
}

static void rewriting_changes_lines_in_their_place(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_text(fixture, "# ours\nmaxclients 100\n# more\ntimeout 5\n"
                                        "timeout 6\nsave 900 1\nsave 300 10\ndebug\n# end\n"),
                     CONFIG_LOADED);
    change(fixture, "timeout", "7");
    change(fixture, "save", "60 1");
    change(fixture, "loglevel", "warning");
    change(fixture, "request-timeout", "900");
    change(fixture, "requirepass", "a \"b\\\x01");
    expect_rewritten(fixture, "# ours\nmaxclients 100\n# more\ntimeout 7\nsave 60 1\n"
                              "loglevel warning\n# end\n# Generated by CONFIG REWRITE\n"
                              "requirepass \"a \\\"b\\\\\\x01\"\nrequest-timeout 900\n");
}

/* What was said on the command line holds too, as in Redis; emptied is not left out. */
static void rewriting_writes_options(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, "node 0 10.0.0.1:9000\nrequirepass x\n", 35);
    assert_int_equal(load(fixture, fixture->path, "--node", "1", "10.0.0.2:9000", "--me", "1",
                          "--peer-secret", "s", NULL),
                     CONFIG_LOADED);
    change(fixture, "requirepass", "");
    expect_rewritten(fixture, "node 0 10.0.0.1:9000\nnode 1 10.0.0.2:9000\nrequirepass \"\"\n"
                              "# Generated by CONFIG REWRITE\nme 1\npeer-secret s\n");
}

/* An included file is not touched, and does not get the last word. */
static void rewriting_goes_behind_an_include(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other;
    char text[256], expected[256];
    strcpy(other.path, "/tmp/test_config.XXXXXX");
    close(mkstemp(other.path));
    write_file(&other, "timeout 5\n", 10);
    snprintf(text, sizeof text, "timeout 4\ninclude %s\n", other.path);
    assert_int_equal(load_text(fixture, text), CONFIG_LOADED);
    change(fixture, "timeout", "7");
    snprintf(expected, sizeof expected, "include %s\n# Generated by CONFIG REWRITE\ntimeout 7\n",
             other.path);
    expect_rewritten(fixture, expected);
    unlink(other.path);
}

/* The file's rights stay, nothing is left beside it, and one that cannot be rewritten is as it
 * was. */
static void rewriting_replaces_the_file(void **state)
{
    struct fixture *fixture = *state;
    struct stat before, after;
    glob_t beside;
    assert_int_equal(load_text(fixture, "timeout 5\n"), CONFIG_LOADED);
    assert_int_equal(chmod(fixture->path, 0640), 0);
    assert_int_equal(stat(fixture->path, &before), 0);
    change(fixture, "timeout", "7");
    assert_true(config_rewrite(&fixture->config, fixture->error, sizeof fixture->error));
    assert_int_equal(stat(fixture->path, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_not_equal(after.st_ino, before.st_ino);
    char pattern[80];
    snprintf(pattern, sizeof pattern, "%s*", fixture->path);
    assert_int_equal(glob(pattern, 0, NULL, &beside), 0);
    assert_int_equal(beside.gl_pathc, 1);
    globfree(&beside);

    write_file(fixture, "timeout x\n", 10);
    assert_false(config_rewrite(&fixture->config, fixture->error, sizeof fixture->error));
    snprintf(pattern, sizeof pattern, "%s:1: timeout: ", fixture->path);
    assert_int_equal(strncmp(fixture->error, pattern, strlen(pattern)), 0);
    unlink(fixture->path);
    assert_false(config_rewrite(&fixture->config, fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "No such file or directory"));
    config_deinit(&fixture->config);
}

static void lines_of_save_add_up(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_text(fixture, "save 900 1\nsave 300 10 60 10000\n"), CONFIG_LOADED);
    expect_shown(&fixture->config, "save", "900 1 300 10 60 10000");
    change(fixture, "save", "60 1");
    expect_shown(&fixture->config, "save", "60 1");
    config_deinit(&fixture->config);
    assert_int_equal(load_text(fixture, "save 900 1\nsave \"\"\n"), CONFIG_LOADED);
    expect_shown(&fixture->config, "save", "");
    config_deinit(&fixture->config);
    assert_int_equal(load_text(fixture, "save \"\"\nsave 300 10\n"), CONFIG_LOADED);
    expect_shown(&fixture->config, "save", "300 10");
    config_deinit(&fixture->config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_gives_a_node_alone),
        TEST(options_of_vard),
        TEST(two_dashes_mean_the_same),
        TEST(options_override_the_file),
        TEST(quoting_is_that_of_redis),
        TEST(a_bad_line_is_named),
        TEST(words_without_end_are_refused),
        TEST(a_bad_option_is_named),
        TEST(a_file_that_cannot_be_read),
        TEST(sizes_have_the_units_of_redis),
        TEST(values_out_of_bounds),
        TEST(output_limits),
        TEST(directives_without_effect_are_taken_and_named),
        TEST(what_would_weaken_is_refused_with_the_reason),
        TEST(files_include_files),
        TEST(any_value_that_is_shown_can_be_set),
        TEST(nodes_that_will_not_do),
        TEST(me_is_one_of_the_nodes),
        TEST(one_directive_against_another),
        TEST(the_address_that_redirects_name),
        TEST(who_joins_says_where_it_is),
        TEST(who_joins_says_nothing_of_members),
        TEST(set_changes_what_may_change),
        TEST(set_refuses_in_the_words_of_redis),
        TEST(the_secret_of_the_peers_is_not_shown),
        TEST(rewriting_keeps_what_did_not_change),
        TEST(rewriting_changes_lines_in_their_place),
        TEST(rewriting_writes_options),
        TEST(rewriting_goes_behind_an_include),
        TEST(rewriting_replaces_the_file),
        TEST(lines_of_save_add_up),
        TEST(the_file_holds_the_defaults),
        TEST(the_file_documents_every_directive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
