/* The commands that a node answers itself: connection, CLIENT, CONFIG, COMMAND, INFO,
 * RAFT.STATUS. */
#include "test_command.h"

#include "command/docs.h"

/* ---- connection ---------------------------------------------------------------------- */

static const struct typed connection[] = {
    {"PING", "+PONG\r\n", NULL},
    {"PING \"a b\"", "$3\r\na b\r\n", NULL},
    {"PING a b", "-ERR wrong number of arguments for 'ping' command\r\n", NULL},
    {"ECHO hi", "$2\r\nhi\r\n", NULL},
    {"ECHO", "-ERR wrong number of arguments for 'echo' command\r\n", NULL},
    {"SELECT 0", OK, NULL},
    {"SELECT 15", OK, NULL},
    {"SELECT 16", "-ERR DB index is out of range\r\n", NULL},
    {"SELECT -1", "-ERR DB index is out of range\r\n", NULL},
    {"SELECT 4294967296",
     "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n", NULL},
    {"SELECT x", NOT_INTEGER, NULL},
    {"AUTH x",
     "-ERR AUTH <password> called without any password configured for the default user. "
     "Are you sure your configuration is correct?\r\n",
     NULL},
    {"AUTH default anything", OK, NULL},
    {"AUTH nobody x", "-WRONGPASS invalid username-password pair or user is disabled.\r\n", NULL},
    {"AUTH a b c", SYNTAX, NULL},
    {"TIME", "*2\r\n$10\r\n1700000000\r\n$1\r\n7\r\n", NULL},
    {"CLUSTER NODES", "-ERR This instance has cluster support disabled\r\n", NULL},
    {"SENTINEL MASTERS",
     "-ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' \r\n", NULL},
    {"client|id", "-ERR unknown command 'client|id', with args beginning with: \r\n", NULL},
    {"RAFT.NODE NOSUCH 1",
     "-ERR unknown subcommand 'NOSUCH'. RAFT.NODE has ADD DEMOTE PROMOTE REMOVE REPLACE.\r\n",
     NULL},
    {"CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n", NULL},
    {"CLIENT NOSUCH on", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n", NULL},
    {"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n", NULL},
    {"CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command\r\n", NULL},
};

static void test_connection(void **state)
{
    world_expect_all(*state, connection, sizeof(connection) / sizeof(connection[0]));
}

#define HELLO_REST "$2\r\nid\r\n:5\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n"
#define HELLO_HEAD "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n"

static void test_hello(void **state)
{
    struct world *world = *state;
    world->raft.status.role = RAFT_LEADER;
    EXPECT(world, "HELLO",
           "*14\r\n" HELLO_HEAD ":2\r\n" HELLO_REST "$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
    world->raft.status.role = RAFT_FOLLOWER;
    EXPECT(world, "HELLO 3 SETNAME me",
           "%7\r\n" HELLO_HEAD ":3\r\n" HELLO_REST "$7\r\nreplica\r\n$7\r\nmodules\r\n*0\r\n");
    EXPECT(world, "CLIENT GETNAME", "$2\r\nme\r\n");
    EXPECT(world, "GET no", NIL3);
    EXPECT(world, "HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    EXPECT(world, "HELLO x", "-ERR Protocol version is not an integer or out of range\r\n");
    EXPECT(world, "HELLO 2 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    EXPECT(world, "HELLO 2 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'\r\n");
    EXPECT(world, "HELLO 2 SETNAME 'a b'",
           "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    EXPECT(world, "GET no", NIL3); /* none of these changed anything */
    EXPECT(world, "RESET", "+RESET\r\n");
    EXPECT(world, "GET no", NIL2);
    EXPECT(world, "CLIENT GETNAME", NIL2);
}

static void test_auth(void **state)
{
    struct world *world = *state;
    const char *no_auth = "-NOAUTH Authentication required.\r\n";
    const char *wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    strcpy(world->password, "secret");
    world->connection.authenticated = false;
    EXPECT(world, "PING", no_auth);
    EXPECT(world, "GET k", no_auth);
    EXPECT(world, "ONCE c 1 NOSUCH", no_auth);
    /* Redis looks at name and arity first */
    EXPECT(world, "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    EXPECT(world, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    EXPECT(world, "AUTH wrong", wrong);
    EXPECT(world, "AUTH secre", wrong);
    EXPECT(world, "AUTH secretsecret", wrong);
    EXPECT(world, "AUTH \"\"", wrong);
    EXPECT(world, "AUTH nobody secret", wrong);
    EXPECT(world, "PING", no_auth);
    EXPECT(world, "HELLO 3",
           "-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
           "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
           "select the RESP protocol version at the same time\r\n");
    EXPECT(world, "HELLO 3 AUTH default wrong", wrong);
    EXPECT(world, "AUTH secret", OK);
    EXPECT(world, "PING", "+PONG\r\n");
    EXPECT(world, "RESET", "+RESET\r\n");
    EXPECT(world, "PING", no_auth);
    assert_memory_equal(world_type(world, "HELLO 3 AUTH default secret").data, "%7\r\n", 4);
    EXPECT(world, "GET k", NIL3);
    EXPECT(world, "QUIT", OK);
    assert_true(world->connection.close_after_reply);
}

static void test_unknown_is_cut(void **state)
{
    struct world *world = *state;
    char line[600], wanted[600];
    memset(line, 'x', 200);
    strcpy(line + 200, " a");
    snprintf(wanted, sizeof(wanted),
             "-ERR unknown command '%.128s', with args beginning with: 'a' \r\n", line);
    EXPECT(world, line, wanted);
    EXPECT(world, "NOSUCH \"a\\r\\nb\" \"c\\x00d\"",
           "-ERR unknown command 'NOSUCH', with args beginning with: 'a  b' 'c' \r\n");
    snprintf(line, sizeof(line), "NOSUCH %0100d %0100d e", 1, 2);
    snprintf(wanted, sizeof(wanted),
             "-ERR unknown command 'NOSUCH', with args beginning with: '%0100d' '%025d' \r\n", 1,
             0);
    EXPECT(world, line, wanted);
}

static void test_reply_modes(void **state)
{
    struct world *world = *state;
    EXPECT(world, "CLIENT REPLY maybe", SYNTAX);
    EXPECT(world, "CLIENT REPLY ON", OK);
    EXPECT(world, "CLIENT REPLY SKIP", "");
    EXPECT(world, "PING", "");
    EXPECT(world, "PING", "+PONG\r\n");
    EXPECT(world, "CLIENT REPLY SKIP", "");
    EXPECT(world, "SET k v", "");
    assert_true(connection_is_silent(&world->connection));
    EXPECT(world, "GET k", "$1\r\nv\r\n");
    EXPECT(world, "CLIENT REPLY SKIP", "");
    EXPECT(world, "NOSUCH", "");
    EXPECT(world, "CLIENT REPLY OFF", "");
    EXPECT(world, "PING", "");
    EXPECT(world, "NOSUCH", "");
    EXPECT(world, "CLIENT REPLY SKIP", "");
    EXPECT(world, "PING", "");
    EXPECT(world, "PING", "");
    EXPECT(world, "CLIENT REPLY ON", OK);
    EXPECT(world, "PING", "+PONG\r\n");
    EXPECT(world, "CLIENT REPLY OFF", "");
    EXPECT(world, "RESET", "+RESET\r\n");
    EXPECT(world, "PING", "+PONG\r\n");
}

/* ---- CLIENT -------------------------------------------------------------------------- */

static void test_client_words(void **state)
{
    struct world *world = *state;
    EXPECT(world, "CLIENT ID", ":5\r\n");
    EXPECT(world, "CLIENT GETNAME", NIL2);
    EXPECT(world, "CLIENT SETNAME a", OK);
    EXPECT(world, "CLIENT GETNAME", "$1\r\na\r\n");
    EXPECT(world, "CLIENT SETNAME \"\"", OK);
    EXPECT(world, "CLIENT GETNAME", NIL2);
    EXPECT(world, "CLIENT SETNAME \"a\\n\"",
           "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    EXPECT(world, "CLIENT SETINFO LIB-NAME lib", OK);
    EXPECT(world, "CLIENT SETINFO lib-ver 1.2", OK);
    EXPECT(world, "CLIENT SETINFO lib-x 1", "-ERR Unrecognized option 'lib-x'\r\n");
    EXPECT(world, "CLIENT SETINFO lib-ver '1 2'",
           "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
    EXPECT(world, "CLIENT NO-EVICT on", OK);
    EXPECT(world, "CLIENT NO-TOUCH on", OK);
    EXPECT(world, "CLIENT NO-TOUCH x", SYNTAX);
    EXPECT(world, "CLIENT SETNAME me", OK);
    world->connection.query_bytes = 11;
    world->connection.query_free_bytes = 22;
    const char *start = "id=5 addr=127.0.0.1:4000 laddr=127.0.0.1:7001 fd=8 name=me age=3 idle=0 "
                        "flags=eT db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=11 qbuf-free=22 ";
    const char *end = "events=r cmd=client|info user=default redir=-1 resp=2 lib-name=lib "
                      "lib-ver=1.2\n";
    struct bytes reply = world_type(world, "CLIENT INFO");
    const char *body = memchr(reply.data, '\n', reply.size);
    assert_non_null(body);
    assert_memory_equal(body + 1, start, strlen(start));
    assert_memory_equal((const char *)reply.data + reply.size - 2 - strlen(end), end, strlen(end));
}

/* Two more clients beside the one that types. */
static void add_clients(struct world *world, struct connection *others)
{
    for (int i = 0; i < 2; i++) {
        connection_init(&others[i]);
        others[i].id = 10 + (uint64_t)i;
        snprintf(others[i].address, sizeof(others[i].address), "10.0.0.%d:99", i);
        strcpy(others[i].local_address, i ? "127.0.0.1:7001" : "10.0.0.9:7001");
        world->clients[world->clients_count++] = &others[i];
    }
}

static unsigned lines_in(struct bytes reply)
{
    unsigned lines = 0;
    for (size_t i = 0; i + 3 < reply.size; i++)
        lines += memcmp((const char *)reply.data + i, "id=", 3) == 0 &&
                 (i == 0 || ((const char *)reply.data)[i - 1] == '\n');
    return lines;
}

static void test_client_list(void **state)
{
    struct world *world = *state;
    struct connection others[2];
    add_clients(world, others);
    assert_int_equal(lines_in(world_type(world, "CLIENT LIST")), 3);
    assert_int_equal(lines_in(world_type(world, "CLIENT LIST TYPE normal")), 3);
    assert_int_equal(lines_in(world_type(world, "CLIENT LIST ID 10 77 11")), 2);
    EXPECT(world, "CLIENT LIST TYPE pubsub", "$0\r\n\r\n");
    EXPECT(world, "CLIENT LIST TYPE x", "-ERR Unknown client type 'x'\r\n");
    EXPECT(world, "CLIENT LIST ID 10 x", "-ERR Invalid client ID\r\n");
    EXPECT(world, "CLIENT LIST x", SYNTAX);
    world->connection.protocol = 3;
    EXPECT(world, "CLIENT LIST TYPE pubsub", "=4\r\ntxt:\r\n");
}

static void test_client_kill(void **state)
{
    struct world *world = *state;
    struct connection others[2];
    add_clients(world, others);
    EXPECT(world, "CLIENT KILL 10.0.0.7:99", "-ERR No such client\r\n");
    EXPECT(world, "CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n");
    EXPECT(world, "CLIENT KILL ID", "-ERR No such client\r\n"); /* an address named ID */
    EXPECT(world, "CLIENT KILL ID 10 ADDR", SYNTAX);
    EXPECT(world, "CLIENT KILL SKIPME maybe", SYNTAX);
    EXPECT(world, "CLIENT KILL USER nobody", "-ERR No such user 'nobody'\r\n");
    EXPECT(world, "CLIENT KILL TYPE x", "-ERR Unknown client type 'x'\r\n");
    EXPECT(world, "CLIENT KILL TYPE replica", ":0\r\n");
    EXPECT(world, "CLIENT KILL MAXAGE x", "-ERR maxage is not an integer or out of range\r\n");
    EXPECT(world, "CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0\r\n");
    EXPECT(world, "CLIENT KILL ID 10 ADDR 10.0.0.1:99", ":0\r\n");
    assert_int_equal(world->killed, 0);
    EXPECT(world, "CLIENT KILL 10.0.0.0:99", OK);
    assert_int_equal(world->killed, 2);
    EXPECT(world, "CLIENT KILL ID 11", ":1\r\n");
    assert_int_equal(world->killed, 6);
    world->killed = 0;
    EXPECT(world, "CLIENT KILL LADDR 127.0.0.1:7001", ":1\r\n");
    assert_int_equal(world->killed, 4);
    EXPECT(world, "CLIENT KILL USER default TYPE normal", ":2\r\n");
    assert_false(world->connection.close_after_reply);
    EXPECT(world, "CLIENT KILL MAXAGE 4 SKIPME no", ":2\r\n"); /* this one came 3.5 s ago */
    assert_false(world->connection.close_after_reply);
    EXPECT(world, "CLIENT KILL MAXAGE 3 SKIPME no", ":3\r\n");
    assert_true(world->connection.close_after_reply);
    world->connection.close_after_reply = false;
    EXPECT(world, "CLIENT KILL ID 5 SKIPME no", ":1\r\n");
    assert_true(world->connection.close_after_reply);
}

static void expect_flags(struct world *world, const char *flags)
{
    char wanted[32];
    struct bytes line = world_type(world, "CLIENT LIST");
    int size = snprintf(wanted, sizeof wanted, " flags=%s db=", flags);
    if (!memmem(line.data, line.size, wanted, (size_t)size))
        fail_msg("no%s in %.*s", wanted, (int)line.size, (const char *)line.data);
}

static void test_client_flags(void **state)
{
    struct world *world = *state;
    expect_flags(world, "N");
    EXPECT(world, "CLIENT NO-EVICT on", OK);
    expect_flags(world, "e");
    EXPECT(world, "CLIENT NO-TOUCH on", OK);
    expect_flags(world, "eT");
    EXPECT(world, "RESET", "+RESET\r\n");
    expect_flags(world, "N");
    EXPECT(world, "CLIENT NO-TOUCH on", OK);
    EXPECT(world, "MULTI", OK);
    EXPECT(world, "CLIENT LIST", "+QUEUED\r\n");
    world->connection.close_after_reply = true;
    struct connection other = {.protocol = 2};
    struct connection own = world->connection;
    connection_init(&other);
    world->connection = other; /* somebody else looks */
    world->connection.authenticated = true;
    world->clients[0] = &own;
    expect_flags(world, "xcT");
    connection_deinit(&world->connection);
    world->connection = own;
    world->clients[0] = &world->connection;
}

/* ---- CONFIG ---------------------------------------------------------------------------- */

/* Longer than the world takes. */
#define LONG "8888888888888888888888888888888888888888888888888888888888888888888888888888888888"

static const struct typed config[] = {
    {"CONFIG GET maxclients", "*2\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n",
     "%1\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n"},
    {"CONFIG GET TimeOut t*", "*2\r\n$7\r\nTimeOut\r\n$1\r\n0\r\n",
     "%1\r\n$7\r\nTimeOut\r\n$1\r\n0\r\n"},
    {"CONFIG GET PO[r]T nosuch save", "*4\r\n$4\r\nport\r\n$4\r\n7001\r\n$4\r\nsave\r\n$0\r\n\r\n",
     "%2\r\n$4\r\nport\r\n$4\r\n7001\r\n$4\r\nsave\r\n$0\r\n\r\n"},
    {"CONFIG GET nosuch", "*0\r\n", "%0\r\n"},
    {"CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n", NULL},
    {"CONFIG SET timeout", "-ERR wrong number of arguments for 'config|set' command\r\n", NULL},
    {"CONFIG SET timeout 1 maxclients",
     "-ERR wrong number of arguments for 'config|set' command\r\n", NULL},
    {"CONFIG SET timeout 1 maxclients 2", OK, NULL},
    {"CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n1\r\n",
     "%1\r\n$7\r\ntimeout\r\n$1\r\n1\r\n"},
    /* all or nothing */
    {"CONFIG SET timeout 7 maxclients 8 port 1", "-ERR CONFIG SET failed (port)\r\n", NULL},
    {"CONFIG SET timeout 7 maxclients " LONG, "-ERR CONFIG SET failed (maxclients)\r\n", NULL},
    {"CONFIG SET TIMEOUT 7 nosuch 8", "-ERR Unknown option\r\n", NULL},
    {"CONFIG SET timeout 7 TIMEOUT 8",
     "-ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter\r\n",
     NULL},
    {"CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n1\r\n",
     "%1\r\n$7\r\ntimeout\r\n$1\r\n1\r\n"},
    {"CONFIG SET timeout 0 maxclients 100", OK, NULL},
    {"CONFIG RESETSTAT", OK, NULL},
    {"CONFIG REWRITE", "-ERR The server is running without a config file\r\n", NULL},
    {"CONFIG NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.\r\n", NULL},
};

static void test_config(void **state)
{
    struct world *world = *state;
    world_expect_all(world, config, sizeof(config) / sizeof(config[0]));
    assert_int_equal(world->stats_resets, 2);
    world->server.config_file = "/etc/redis-raft.conf";
    EXPECT(world, "CONFIG REWRITE", OK);
    world->disk_is_full = true;
    EXPECT(world, "CONFIG REWRITE", "-ERR Rewriting config file: No space left on device\r\n");
}

/* ---- COMMAND ------------------------------------------------------------------------------ */

static const struct typed commands[] = {
    {"COMMAND INFO nosuch", "*1\r\n$-1\r\n", "*1\r\n_\r\n"},
    {"COMMAND INFO GET",
     "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
     "*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n"
     "+access\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n"
     "$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
     "*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n",
     "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
     "~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n"
     "+access\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n"
     "$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
     "%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n"},
    {"COMMAND GETKEYS mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", NULL},
    {"COMMAND GETKEYS rename a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", NULL},
    {"COMMAND GETKEYS zunionstore d 2 a b weights 1 2", "*3\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n",
     NULL},
    {"COMMAND GETKEYS zunionstore d 3 a b", "-ERR Invalid arguments specified for command\r\n",
     NULL},
    {"COMMAND GETKEYS georadius g 1 1 1 m store d storedist e",
     "*3\r\n$1\r\ng\r\n$1\r\nd\r\n$1\r\ne\r\n", NULL},
    {"COMMAND GETKEYS georadiusbymember g m 1 m store", "*1\r\n$1\r\ng\r\n", NULL},
    {"COMMAND GETKEYSANDFLAGS zdiffstore d 1 a",
     "*2\r\n*2\r\n$1\r\nd\r\n*2\r\n+OW\r\n+update\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n",
     "*2\r\n*2\r\n$1\r\nd\r\n~2\r\n+OW\r\n+update\r\n*2\r\n$1\r\na\r\n~2\r\n+RO\r\n+access\r\n"},
    {"COMMAND GETKEYS sort a by b limit store 2 get store store c store d",
     "*2\r\n$1\r\na\r\n$1\r\nd\r\n", NULL},
    {"COMMAND GETKEYS sort a by store get c", "*1\r\n$1\r\na\r\n", NULL},
    {"COMMAND GETKEYS sort_ro a by b", "*1\r\n$1\r\na\r\n", NULL},
    {"COMMAND GETKEYSANDFLAGS sort a STORE b",
     "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n",
     "*2\r\n*2\r\n$1\r\na\r\n~2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n~2\r\n+OW\r\n+update\r\n"},
    {"COMMAND GETKEYS eval x 0", "*0\r\n", NULL},
    {"COMMAND GETKEYS fcall x 3 a", "*0\r\n", NULL},
    {"COMMAND GETKEYS once c 1 del a b", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", NULL},
    {"COMMAND GETKEYSANDFLAGS rename a b",
     "*2\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+delete\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n"
     "+update\r\n",
     "*2\r\n*2\r\n$1\r\na\r\n~3\r\n+RW\r\n+access\r\n+delete\r\n*2\r\n$1\r\nb\r\n~2\r\n+OW\r\n"
     "+update\r\n"},
    {"COMMAND GETKEYSANDFLAGS set a b nx get",
     "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n",
     "*1\r\n*2\r\n$1\r\na\r\n~3\r\n+RW\r\n+access\r\n+update\r\n"},
    {"COMMAND GETKEYSANDFLAGS set a b", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n",
     "*1\r\n*2\r\n$1\r\na\r\n~2\r\n+OW\r\n+update\r\n"},
    {"COMMAND GETKEYSANDFLAGS ping x", "-ERR The command has no key arguments\r\n", NULL},
    {"COMMAND GETKEYS ping x", "-ERR The command has no key arguments\r\n", NULL},
    {"COMMAND GETKEYS client id", "-ERR The command has no key arguments\r\n", NULL},
    {"COMMAND GETKEYS nosuch x", "-ERR Invalid command specified\r\n", NULL},
    {"COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command\r\n", NULL},
    {"COMMAND LIST FILTERBY PATTERN GETD*", "*1\r\n$6\r\ngetdel\r\n", NULL},
    {"COMMAND LIST FILTERBY PATTERN client|i?", "*1\r\n$9\r\nclient|id\r\n", NULL},
    {"COMMAND LIST FILTERBY MODULE x", "*0\r\n", NULL},
    {"COMMAND LIST FILTERBY ACLCAT nosuch", "*0\r\n", NULL},
    {"COMMAND LIST FILTERBY ACLCAT strin", "*0\r\n", NULL},
    {"COMMAND LIST FILTERBY x y", SYNTAX, NULL},
    {"COMMAND LIST x", SYNTAX, NULL},
    {"COMMAND DOCS nosuch", "*0\r\n", "%0\r\n"},
    {"COMMAND DOCS getrange",
     "*2\r\n$8\r\ngetrange\r\n*10\r\n$7\r\nsummary\r\n$33\r\nReturns a part of a string value.\r\n"
     "$5\r\nsince\r\n$5\r\n2.4.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n"
     "$4\r\nO(N)\r\n$9\r\narguments\r\n*3\r\n*8\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n"
     "$3\r\nkey\r\n$12\r\ndisplay_text\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n"
     "*6\r\n$4\r\nname\r\n$5\r\nstart\r\n$4\r\ntype\r\n$7\r\ninteger\r\n$12\r\ndisplay_text\r\n"
     "$5\r\nstart\r\n*6\r\n$4\r\nname\r\n$3\r\nend\r\n$4\r\ntype\r\n$7\r\ninteger\r\n"
     "$12\r\ndisplay_text\r\n$3\r\nend\r\n",
     "%1\r\n$8\r\ngetrange\r\n%5\r\n$7\r\nsummary\r\n$33\r\nReturns a part of a string value.\r\n"
     "$5\r\nsince\r\n$5\r\n2.4.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n"
     "$4\r\nO(N)\r\n$9\r\narguments\r\n*3\r\n%4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n"
     "$3\r\nkey\r\n$12\r\ndisplay_text\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n"
     "%3\r\n$4\r\nname\r\n$5\r\nstart\r\n$4\r\ntype\r\n$7\r\ninteger\r\n$12\r\ndisplay_text\r\n"
     "$5\r\nstart\r\n%3\r\n$4\r\nname\r\n$3\r\nend\r\n$4\r\ntype\r\n$7\r\ninteger\r\n"
     "$12\r\ndisplay_text\r\n$3\r\nend\r\n"},
};

static void test_command(void **state)
{
    world_expect_all(*state, commands, sizeof(commands) / sizeof(commands[0]));
}

/* What a syntax line becomes, in the form that the tests can be read in. */
static void test_docs_syntax(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct reply reply = {&out, 3};
    assert_int_equal(command_docs_arguments("[c=(NX|IFEQ v)] [M p:pattern]...", &reply), 2);
    const char *wanted =
        "%4\r\n$4\r\nname\r\n$1\r\nc\r\n$4\r\ntype\r\n$5\r\noneof\r\n$5\r\nflags\r\n~1\r\n"
        "+optional\r\n$9\r\narguments\r\n*2\r\n%3\r\n$4\r\nname\r\n$2\r\nnx\r\n$4\r\ntype\r\n"
        "$10\r\npure-token\r\n$5\r\ntoken\r\n$2\r\nNX\r\n%4\r\n$4\r\nname\r\n$1\r\nv\r\n$4\r\n"
        "type\r\n$6\r\nstring\r\n$12\r\ndisplay_text\r\n$1\r\nv\r\n$5\r\ntoken\r\n$4\r\nIFEQ\r\n"
        "%5\r\n$4\r\nname\r\n$1\r\np\r\n$4\r\ntype\r\n$7\r\npattern\r\n$12\r\ndisplay_text\r\n"
        "$1\r\np\r\n$5\r\ntoken\r\n$1\r\nM\r\n$5\r\nflags\r\n~2\r\n+optional\r\n+multiple\r\n";
    assert_int_equal(out.size, strlen(wanted));
    assert_memory_equal(out.data, wanted, out.size);
    buffer_clear(&out);
    assert_int_equal(command_docs_arguments("data=(key value)...", &reply), 1);
    wanted = "%4\r\n$4\r\nname\r\n$4\r\ndata\r\n$4\r\ntype\r\n$5\r\nblock\r\n$5\r\nflags\r\n~1\r\n"
             "+multiple\r\n$9\r\narguments\r\n*2\r\n%4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n"
             "$3\r\nkey\r\n$12\r\ndisplay_text\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n"
             "%3\r\n$4\r\nname\r\n$5\r\nvalue\r\n$4\r\ntype\r\n$6\r\nstring\r\n$12\r\n"
             "display_text\r\n$5\r\nvalue\r\n";
    assert_int_equal(out.size, strlen(wanted));
    assert_memory_equal(out.data, wanted, out.size);
    buffer_deinit(&out);
}

/* Every row of the table is found by its name, documented, and runs in exactly one place. */
static void test_table(void **state)
{
    (void)state;
    uint32_t count;
    const struct command *table = command_table(&count, NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct command *row = &table[i];
        struct bytes name = bytes_from_string(row->name);
        assert_ptr_equal(command_lookup(name), row);
        const struct command_docs *docs = command_docs_find(name);
        if (!docs)
            fail_msg("%s has no row in docs.c", row->name);
        bool has_keys =
            row->keys.first > 0 || docs->key_flags[0] == '#' || docs->key_flags[0] == '@';
        assert_int_equal(docs->key_flags[0] != '\0', has_keys);
        assert_int_equal(__builtin_popcount(row->flags & (CMD_LOCAL | CMD_READ | CMD_WRITE)), 1);
        assert_true(row->execute || row->flags & CMD_CONTAINER);
        assert_true(row->arity != 0);
        assert_true(row->execute || row->arity == -2);
    }
}

/* A reply as a whole is well formed, in both protocols, and they say the same. */
static void assert_protocols_agree(struct world *world, const char *line)
{
    struct buffer converted = {0}, resp2 = {0};
    world->connection.protocol = 2;
    buffer_append_bytes(&resp2, world_type(world, line));
    world->connection.protocol = 3;
    struct bytes resp3 = world_type(world, line);
    if (!resp_3_to_2(resp3, &converted))
        fail_msg("%s: not well formed: %.*s", line, (int)resp3.size, (const char *)resp3.data);
    if (!bytes_equal(buffer_bytes(&converted), buffer_bytes(&resp2)))
        fail_msg("%s: differs: %.*s", line, (int)resp3.size, (const char *)resp3.data);
    buffer_deinit(&converted);
    buffer_deinit(&resp2);
}

static void fill_raft(struct world *world)
{
    struct server_raft *raft = &world->raft;
    raft->status = (struct raft_status){.role = RAFT_LEADER,
                                        .term = 7,
                                        .leader = 1,
                                        .commit = 95,
                                        .applied = 94,
                                        .durable = 98,
                                        .first = {.term = 2, .index = 10},
                                        .last = {.term = 7, .index = 100}};
    raft->id = 1;
    raft->oldest_write_ms = 70;
    raft->cluster = 0xabc;
    world->keys[0] = 3;
    raft->members_count = 3;
    raft->members[0].clock_known = true;
    raft->members[0].clock_offset_ms = -1234;
    for (uint32_t i = 0; i < 3; i++) {
        struct server_raft_peer *member = &raft->members[i];
        member->id = i;
        member->voter = true;
        member->connected = i != 2;
        member->idle_ms = 2900;
        member->active = i != 2;
        member->match = 90 + i;
        snprintf(member->client_address, sizeof(member->client_address),
                 i ? "10.0.0.%u:7000" : "[::%u]:7000", i + 1);
        snprintf(member->peer_address, sizeof(member->peer_address), "10.0.0.%u:17000", i + 1);
    }
}

static void test_whole_replies(void **state)
{
    static const char *const lines[] = {"COMMAND",
                                        "COMMAND DOCS",
                                        "COMMAND LIST",
                                        "COMMAND COUNT",
                                        "COMMAND INFO",
                                        "COMMAND HELP",
                                        "CLIENT HELP",
                                        "CONFIG HELP",
                                        "INFO",
                                        "INFO all",
                                        "RAFT.STATUS",
                                        "ROLE",
                                        "COMMAND DOCS client get set mset",
                                        "COMMAND LIST FILTERBY ACLCAT string"};
    struct world *world = *state;
    fill_raft(world);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        world->raft.status.role = RAFT_LEADER;
        assert_protocols_agree(world, lines[i]);
        world->raft.status.role = RAFT_FOLLOWER;
        world->raft.status.leader = RAFT_NOBODY;
        assert_protocols_agree(world, lines[i]);
    }
}

/* Whatever is asked of a local command: one well-formed reply. */
static void test_local_garbage(void **state)
{
    static const char *const words[] = {
        "get",     "set",      "3",       "2",          "auth",     "setname", "id",     "addr",
        "type",    "normal",   "yes",     "no",         "*",        "",        "on",     "off",
        "a b",     "filterby", "pattern", "[",          "raft",     "all",     "skipme", "-1",
        "default", "aclcat",   "\r\n",    "maxclients", "client|id"};
    struct world *world = *state;
    struct buffer converted = {0};
    uint32_t rows;
    const struct command *table = command_table(&rows, NULL);
    fill_raft(world);
    for (uint64_t round = 0; round < 8000; round++) {
        uint64_t seed = round;
        const struct command *row = &table[prng_below(&seed, rows)];
        struct bytes argv[8];
        const char *bar = strchr(row->name, '|');
        uint32_t argc = 1;
        argv[0] = bytes_of(row->name, bar ? (size_t)(bar - row->name) : strlen(row->name));
        if (bar)
            argv[argc++] = bytes_from_string(bar + 1);
        for (uint64_t more = prng_below(&seed, 5); more; more--)
            argv[argc++] =
                bytes_from_string(words[prng_below(&seed, sizeof(words) / sizeof(words[0]))]);
        if (!(row->flags & CMD_LOCAL) || strstr(row->name, "subscribe"))
            continue; /* those say what they say apart */
        connection_reset(&world->connection, false);
        world->connection.protocol = 3;
        buffer_clear(&world->connection.out.bytes);
        buffer_clear(&converted);
        world_run(world, argv, argc);
        if (world->connection.out.bytes.size == 0)
            assert_string_equal(row->name, "client|reply");
        else if (!resp_3_to_2(buffer_bytes(&world->connection.out.bytes), &converted))
            fail_msg("round %d, %s: %.*s", (int)round, row->name,
                     (int)world->connection.out.bytes.size, world->connection.out.bytes.data);
    }
    buffer_deinit(&converted);
}

/* ---- INFO, ROLE, RAFT.STATUS ----------------------------------------------------------------- */

static void assert_info(struct world *world, const char *line, const char *wanted, bool is_there)
{
    struct bytes reply = world_type(world, line);
    bool found = memmem(reply.data, reply.size, wanted, strlen(wanted)) != NULL;
    if (found != is_there)
        fail_msg("%s: '%s' in %.*s", line, wanted, (int)reply.size, (const char *)reply.data);
}

static void fill_stats(struct world *world)
{
    world->stats = (struct server_stats){.start_ms = world->now_ms - 90000000,
                                         .clients_connected = 12,
                                         .memory_used = 3 << 20,
                                         .memory_rss = 6 << 20,
                                         .memory_startup = 1 << 20,
                                         .memory_system = (uint64_t)8 << 30,
                                         .keyspace_hits = 5,
                                         .keyspace_misses = 6,
                                         .net_input_bytes = 1000,
                                         .net_output_bytes = 2000,
                                         .peer_input_bytes = 30,
                                         .peer_output_bytes = 40,
                                         .input_kb_per_second = 1.5,
                                         .output_kb_per_second = 0.25,
                                         .peer_input_kb_per_second = 2,
                                         .peer_output_kb_per_second = 3,
                                         .closed_for_input = 21,
                                         .closed_for_output = 22,
                                         .out_shrinks = 23,
                                         .out_expands = 24,
                                         .loop_cycles_per_second = 25,
                                         .loop_cycle_us = 26,
                                         .system = "Linux 6 x86",
                                         .cpu_user_s = 1.5};
}

static void test_info(void **state)
{
    struct world *world = *state;
    fill_raft(world);
    fill_stats(world);
    world->scripts = (struct server_scripts){.scripts = 3,
                                             .scripts_bytes = 1000,
                                             .libraries = 4,
                                             .functions = 5,
                                             .functions_bytes = 2000,
                                             .machines_bytes = 9000};
    assert_info(world, "INFO clients stats commandstats", "connected_clients:12\r\n", true);
    assert_int_equal(world->memory_looks, 0); /* which take long */
    assert_info(world, "INFO memory", "used_memory:3145728\r\n", true);
    assert_int_equal(world->memory_looks, 1);
    static const char *const everywhere[] = {
        "# Server\r\nredis_version:7.2.4\r\n",
        "\r\nredis_raft_version:0.1.0\r\n",
        "\r\nredis_mode:standalone\r\n",
        "\r\ntcp_port:7001\r\n",
        "\r\nuptime_in_seconds:90000\r\nuptime_in_days:1\r\n",
        "\r\n\r\n# Clients\r\nconnected_clients:12\r\n",
        "\r\nblocked_clients:0\r\n",
        "\r\nos:Linux 6 x86\r\n",
        "\r\nkeyspace_hits:5\r\nkeyspace_misses:6\r\n",
        "\r\ntotal_net_input_bytes:1030\r\ntotal_net_output_bytes:2040\r\n"
        "total_net_repl_input_bytes:30\r\ntotal_net_repl_output_bytes:40\r\n"
        "instantaneous_input_kbps:3.50\r\ninstantaneous_output_kbps:3.25\r\n"
        "instantaneous_input_repl_kbps:2.00\r\ninstantaneous_output_repl_kbps:3.00\r\n",
        "\r\nclient_query_buffer_limit_disconnections:21\r\n"
        "client_output_buffer_limit_disconnections:22\r\n"
        "reply_buffer_shrinks:23\r\nreply_buffer_expands:24\r\neventloop_cycles:",
        "\r\ninstantaneous_eventloop_cycles_per_sec:25\r\n"
        "instantaneous_eventloop_duration_usec:26\r\n"
        "acl_access_denied_auth:7\r\nacl_access_denied_cmd:0\r\nacl_access_denied_key:0\r\n"
        "acl_access_denied_channel:0\r\n",
        "\r\nlistener0:name=tcp,bind=127.0.0.1,bind=-::1,port=7001\r\n",
        "\r\nmem_fragmentation_ratio:2.00\r\nmem_fragmentation_bytes:3145728\r\n",
        "\r\nused_memory_startup:1048576\r\nused_memory_dataset:2097152\r\n"
        "used_memory_dataset_perc:100.00%\r\n",
        "\r\ntotal_system_memory:8589934592\r\ntotal_system_memory_human:8.00G\r\n",
        "# Modules\r\n\r\n# "
        "Errorstats\r\nerrorstat_ERR:count=3\r\nerrorstat_WRONGPASS:count=7\r\nerrorstat_WRONGTYPE:"
        "count=1\r\n",
        "\r\nused_memory:3145728\r\nused_memory_human:3.00M\r\n",
        "\r\nmaxmemory_policy:noeviction\r\n",
        "\r\nused_memory_scripts_eval:1000\r\nnumber_of_cached_scripts:3\r\n"
        "number_of_functions:5\r\nnumber_of_libraries:4\r\n",
        "\r\nused_memory_vm_total:9000\r\nused_memory_vm_total_human:8.79K\r\n"
        "used_memory_functions:2000\r\nused_memory_scripts:3000\r\n"
        "used_memory_scripts_human:2.93K\r\n",
        "\r\nloading:0\r\n",
        "\r\nused_cpu_user:1.500000\r\n",
        "\r\ncluster_enabled:0\r\n",
        "# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n",
        "# Raft\r\nraft_node_id:1\r\n",
        "\r\nraft_log_first_index:11\r\nraft_log_last_index:100\r\n",
        "\r\nraft_member2:id=2,client=10.0.0.3:7000,peer=10.0.0.3:17000,voter=1,active=0,"
        "connected=0,fell_off=0,match=92,lag=8,joining=0,life=0000000000000000\r\n",
        "\r\nraft_members_index:0\r\n",
        ",match=90,lag=10,clock_offset_ms=-1234,joining=0,life=0000000000000000\r\n"};
    for (size_t i = 0; i < sizeof(everywhere) / sizeof(everywhere[0]); i++)
        assert_info(world, "INFO", everywhere[i], true);
    assert_info(world, "INFO replication",
                "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"
                "slave0:ip=::1,port=7000,state=online,offset=90,lag=2\r\n",
                true);
}

static void test_info_sections(void **state)
{
    struct world *world = *state;
    fill_raft(world);
    assert_info(world, "INFO replication", "# Server", false);
    assert_info(world, "INFO", "# Commandstats", false);
    assert_info(world, "INFO default", "# Latencystats", false);
    assert_info(world, "INFO all",
                "# Commandstats\r\ncmdstat_get:calls=4,usec=10,usec_per_call=2.50,"
                "rejected_calls=1,failed_calls=2\r\n",
                true);
    assert_info(world, "INFO latencystats",
                "latency_percentiles_usec_get:p50=1.500,p99.9=7.000\r\n", true);
    assert_info(world, "INFO server raft", "# Server", true);
    assert_info(world, "INFO raft SERVER", "\r\n\r\n# Raft", true);
    assert_info(world, "INFO everything", "# Keyspace", true);
    EXPECT(world, "INFO nosuch", "$0\r\n\r\n");
    memset(world->keys, 0, sizeof world->keys);
    world->keys[0] = 7;
    world->keys[15] = 1;
    world->deadlines[0] = (struct server_deadlines){5, 1234};
    assert_info(world, "INFO keyspace",
                "# Keyspace\r\ndb0:keys=7,expires=5,avg_ttl=1234\r\n"
                "db15:keys=1,expires=0,avg_ttl=0\r\n",
                true);
    memset(world->keys, 0, sizeof world->keys);
    EXPECT(world, "INFO keyspace", "$12\r\n# Keyspace\r\n\r\n");
    EXPECT(world, "INFO cluster", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");

    world->raft.status.role = RAFT_FOLLOWER;
    world->raft.status.leader = 2;
    assert_info(world, "INFO replication",
                "role:slave\r\nmaster_host:10.0.0.3\r\nmaster_port:7000\r\n"
                "master_link_status:up\r\n",
                true);
    world->raft.status.leader = RAFT_NOBODY;
    assert_info(world, "INFO replication",
                "master_host:\r\nmaster_port:0\r\n"
                "master_link_status:down\r\n",
                true);
    assert_info(world, "INFO raft", "raft_leader_id:-1\r\n", true);
}

static void test_role(void **state)
{
    struct world *world = *state;
    fill_raft(world);
    EXPECT(world, "ROLE",
           "*3\r\n$6\r\nmaster\r\n:95\r\n*1\r\n*3\r\n$3\r\n::1\r\n$4\r\n7000\r\n$2\r\n90\r\n");
    world->raft.status.role = RAFT_FOLLOWER;
    EXPECT(world, "ROLE",
           "*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.2\r\n:7000\r\n$9\r\nconnected\r\n:94\r\n");
    world->raft.status.leader = RAFT_NOBODY;
    EXPECT(world, "ROLE", "*5\r\n$5\r\nslave\r\n$0\r\n\r\n:0\r\n$7\r\nconnect\r\n:94\r\n");
}

static void test_raft_status(void **state)
{
    struct world *world = *state;
    fill_raft(world);
    world->connection.protocol = 3;
    world->raft.members_count = 1;
    EXPECT(
        world, "RAFT.STATUS",
        "%14\r\n$4\r\nnode\r\n:1\r\n$4\r\nrole\r\n$6\r\nleader\r\n$4\r\nterm\r\n:7\r\n"
        "$6\r\nleader\r\n:1\r\n$6\r\ncommit\r\n:95\r\n$7\r\napplied\r\n:94\r\n$7\r\ndurable\r\n"
        ":98\r\n$9\r\npersisted\r\n:0\r\n$9\r\nlog-first\r\n:11\r\n$8\r\nlog-last\r\n:100\r\n"
        "$15\r\noldest-write-ms\r\n:70\r\n"
        "$13\r\nmembers-index\r\n:0\r\n$7\r\ninstall\r\n_\r\n"
        "$7\r\nmembers\r\n*1\r\n%13\r\n$2\r\nid\r\n:0\r\n$6\r\nclient\r\n$10\r\n[::1]:7000\r\n"
        "$4\r\npeer\r\n$14\r\n10.0.0.1:17000\r\n$5\r\nvoter\r\n#t\r\n$6\r\nactive\r\n#t\r\n"
        "$9\r\nconnected\r\n#t\r\n$8\r\nfell-off\r\n#f\r\n$5\r\nmatch\r\n:90\r\n"
        "$3\r\nlag\r\n:10\r\n$15\r\nclock-offset-ms\r\n:-1234\r\n"
        "$7\r\njoining\r\n#f\r\n$4\r\nlife\r\n$16\r\n0000000000000000\r\n$8\r\nsnapshot\r\n_\r\n");
    world->raft.status.leader = RAFT_NOBODY;
    assert_info(world, "RAFT.STATUS", "$6\r\nleader\r\n_\r\n", true);
}

static void test_snapshots(void **state)
{
    struct world *world = *state;
    fill_raft(world);
    assert_info(world, "INFO raft", "raft_install_in_progress:0\r\n", true);
    world->connection.protocol = 3;
    world->raft.members[0].sending = (struct replica_sending_status){
        .to = 0, .index = 93, .chunks = 4, .bytes = 1000, .bytes_expected = 5000};
    world->raft.install = (struct replica_install_status){.is_under_way = true,
                                                          .from = 2,
                                                          .index = 91,
                                                          .chunks = 3,
                                                          .bytes = 800,
                                                          .bytes_expected = 5001};
    assert_info(world, "INFO raft",
                ",snapshot_index=93,snapshot_chunks=4,snapshot_bytes=1000,"
                "snapshot_bytes_expected=5000,snapshot_delivered=0\r\n",
                true);
    world->raft.members[0].held = 92;
    assert_info(world, "INFO raft", "snapshot_delivered=0,log_kept_from=92\r\n", true);
    world->raft.members[0].held = 0;
    assert_info(world, "INFO raft",
                "raft_install_in_progress:1\r\nraft_install_index:91\r\nraft_install_chunks:3\r\n"
                "raft_install_bytes:800\r\nraft_install_bytes_expected:5001\r\n",
                true);
    assert_info(
        world, "RAFT.STATUS",
        "$8\r\nsnapshot\r\n%5\r\n$5\r\nindex\r\n:93\r\n$6\r\nchunks\r\n:4\r\n$5\r\nbytes\r\n"
        ":1000\r\n$14\r\nbytes-expected\r\n:5000\r\n$9\r\ndelivered\r\n#f\r\n",
        true);
    assert_info(
        world, "RAFT.STATUS",
        "$7\r\ninstall\r\n%5\r\n$4\r\nfrom\r\n:2\r\n$5\r\nindex\r\n:91\r\n$6\r\nchunks\r\n:3"
        "\r\n$5\r\nbytes\r\n:800\r\n$14\r\nbytes-expected\r\n:5001\r\n",
        true);
}

static void test_backups(void **state)
{
    struct world *world = *state;
    EXPECT(world, "RAFT.BACKUP night", "+Background backup started\r\n");
    EXPECT(world, "RAFT.BACKUP other", "-ERR there is a file of this name\r\n");
    EXPECT(world, "RAFT.SNAPSHOT BEGIN", ":5\r\n");
    EXPECT(world, "RAFT.SNAPSHOT CHUNK 5 0", "$5\r\nchunk\r\n");
    EXPECT(world, "RAFT.SNAPSHOT CHUNK 5 1", "$-1\r\n");
    EXPECT(world, "RAFT.SNAPSHOT CHUNK 5 2",
           "-ERR no such snapshot, or chunk of it, is being read\r\n");
    EXPECT(world, "RAFT.SNAPSHOT CHUNK 5 x", "-ERR value is not an integer or out of range\r\n");
    EXPECT(world, "RAFT.SNAPSHOT END 6",
           "-ERR no such snapshot, or chunk of it, is being read\r\n");
    EXPECT(world, "RAFT.SNAPSHOT END 5", "+OK\r\n");
    world->disk_is_full = true;
    EXPECT(world, "RAFT.SNAPSHOT BEGIN", "-TRYAGAIN later\r\n");
    fill_raft(world);
    world->raft.backup = (struct server_backup){
        .name = "night", .is_under_way = true, .error = "none", .bytes = 9, .index = 94};
    assert_info(world, "INFO raft",
                "raft_backup_in_progress:1\r\nraft_backup_name:night\r\nraft_backup_status:none\r\n"
                "raft_backup_index:94\r\nraft_backup_bytes:9\r\nraft_snapshots_read:0\r\n",
                true);
}

static void test_checks(void **state)
{
    struct world *world = *state;
    EXPECT(world, "RAFT.CHECK STATUS", "$-1\r\n");
    assert_info(world, "INFO raft",
                "raft_check_in_progress:0\r\nraft_check_index:0\r\nraft_check_verdict:none\r\n",
                true);
    world->raft.check = (struct server_check){
        .id = 0xab,
        .index = 90,
        .verdict = SERVER_CHECK_DIFFERENT,
        .bytes = 5,
        .bytes_expected = 6,
        .members_count = 2,
        .members = {
            {.id = 1, .state = SERVER_CHECK_MEMBER_DIFFERS, .hash = 1, .rows = 2, .bytes = 3},
            {.id = 4, .state = SERVER_CHECK_MEMBER_WAITING}}};
    EXPECT(world, "RAFT.CHECK",
           "*12\r\n$5\r\ncheck\r\n$16\r\n00000000000000ab\r\n$5\r\nindex\r\n:90\r\n"
           "$7\r\nverdict\r\n$9\r\ndifferent\r\n$5\r\nbytes\r\n:5\r\n"
           "$14\r\nbytes-expected\r\n:6\r\n$7\r\nmembers\r\n*2\r\n"
           "*12\r\n$2\r\nid\r\n:1\r\n$5\r\nindex\r\n:90\r\n"
           "$4\r\nhash\r\n$16\r\n0000000000000001\r\n$5\r\nstate\r\n$7\r\ndiffers\r\n"
           "$4\r\nrows\r\n:2\r\n$5\r\nbytes\r\n:3\r\n"
           "*12\r\n$2\r\nid\r\n:4\r\n$5\r\nindex\r\n:90\r\n$4\r\nhash\r\n$-1\r\n"
           "$5\r\nstate\r\n$7\r\nwaiting\r\n$4\r\nrows\r\n:0\r\n$5\r\nbytes\r\n:0\r\n");
    assert_info(
        world, "INFO raft",
        "raft_check_verdict:different\r\nraft_check_bytes:5\r\nraft_check_bytes_expected:6"
        "\r\nraft_check_member0:id=1,state=differs,hash=0000000000000001,rows=2,bytes=3\r\n",
        true);
    strcpy(world->raft.check.error, "TRYAGAIN later");
    EXPECT(world, "RAFT.CHECK STATUS", "-TRYAGAIN later\r\n");
    assert_info(world, "INFO raft", "raft_check_verdict:TRYAGAIN later\r\n", true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connection),     TEST(test_hello),         TEST(test_auth),
        TEST(test_unknown_is_cut), TEST(test_reply_modes),   TEST(test_client_words),
        TEST(test_client_list),    TEST(test_client_kill),   TEST(test_client_flags),
        TEST(test_config),         TEST(test_command),       TEST(test_docs_syntax),
        TEST(test_table),          TEST(test_whole_replies), TEST(test_local_garbage),
        TEST(test_info),           TEST(test_info_sections), TEST(test_role),
        TEST(test_raft_status),    TEST(test_backups),       TEST(test_snapshots),
        TEST(test_checks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
