/* The documentation of every command, for COMMAND DOCS (redis-cli's help and hints come from it)
 * and COMMAND INFO.  Same order as table.c.  Data only. */
#include "command/docs.h"

#define READS "RO access"
#define CHANGES "RW access update"
#define EVERY_NODE "request_policy:all_nodes response_policy:all_succeeded"
#define EVERY_SHARD "request_policy:all_shards response_policy:all_succeeded"
#define SUM_OF_SHARDS "request_policy:multi_shard response_policy:agg_sum"
#define UNORDERED "nondeterministic_output_order"
#define VARYING "nondeterministic_output"
#define HELP_SUMMARY "Lists the subcommands."

/* clang-format off */
static const struct command_docs rows[] = {
    /* Strings. */
    {"get", "string", "1.0.0", "O(1)", "Returns the string value of a key.",
     "key", READS, ""},
    {"set", "string", "1.0.0", "O(1)", "Sets the string value of a key, on a condition if wanted.",
     "key value [condition=(NX|XX|IFEQ comparison-value|IFNE comparison-value)] [GET] [KEEPTTL]",
     "RW access update variable_flags;RW and ACCESS due to the optional `GET` argument", ""},
    {"setnx", "string", "1.0.0", "O(1)", "Sets the string value of a key that does not exist.",
     "key value", "OW insert", ""},
    {"getset", "string", "1.0.0", "O(1)", "Sets the string value of a key and returns the old one.",
     "key value", CHANGES, ""},
    {"getdel", "string", "6.2.0", "O(1)", "Returns the string value of a key and deletes the key.",
     "key", "RW access delete", ""},
    {"mget", "string", "1.0.0", "O(N)", "Returns the string values of keys.",
     "key...", READS, "request_policy:multi_shard"},
    {"mset", "string", "1.0.1", "O(N)", "Sets the string values of keys, all at once.",
     "data=(key value)...", "OW update",
     "request_policy:multi_shard response_policy:all_succeeded"},
    {"msetnx", "string", "1.0.1", "O(N)", "Sets the string values of keys if none of them exists.",
     "data=(key value)...", "OW insert", ""},
    {"append", "string", "2.0.0", "O(N)", "Appends to the string value of a key.",
     "key value", "RW insert", ""},
    {"strlen", "string", "2.2.0", "O(1)", "Returns the length of a string value.",
     "key", "RO", ""},
    {"getrange", "string", "2.4.0", "O(N)", "Returns a part of a string value.",
     "key start:integer end:integer", READS, ""},
    {"substr", "string", "1.0.0", "O(N)", "Returns a part of a string value.",
     "key start:integer end:integer", READS, ""},
    {"setrange", "string", "2.2.0", "O(N)", "Overwrites a part of a string value from an offset on.",
     "key offset:integer value", "RW update", ""},
    {"incr", "string", "1.0.0", "O(1)", "Adds one to an integer value.",
     "key", CHANGES, ""},
    {"incrby", "string", "1.0.0", "O(1)", "Adds a number to an integer value.",
     "key increment:integer", CHANGES, ""},
    {"decr", "string", "1.0.0", "O(1)", "Takes one from an integer value.",
     "key", CHANGES, ""},
    {"decrby", "string", "1.0.0", "O(1)", "Takes a number from an integer value.",
     "key decrement:integer", CHANGES, ""},
    {"incrbyfloat", "string", "2.6.0", "O(1)", "Adds a number to a floating-point value.",
     "key increment:double", CHANGES, ""},

    /* Compare, then set or delete. */
    {"cas", "string", "0.1.0", "O(1)", "Sets a key to a new value if it has the old one.",
     "key old-value new-value", CHANGES, ""},
    {"cad", "string", "0.1.0", "O(1)", "Deletes a key if it has the value.",
     "key value", "RW access delete", ""},
    {"delex", "string", "0.1.0", "O(1)", "Deletes a key, on a condition if wanted.",
     "key [condition=(IFEQ comparison-value|IFNE comparison-value)]", "RW access delete", ""},
    {"delifeq", "string", "0.1.0", "O(1)", "Deletes a key if it has the value.",
     "key value", "RW access delete", ""},

    /* Keys. */
    {"del", "generic", "1.0.0", "O(N)", "Deletes keys.",
     "key...", "RM delete", SUM_OF_SHARDS},
    {"unlink", "generic", "4.0.0", "O(N)", "Deletes keys.",
     "key...", "RM delete", SUM_OF_SHARDS},
    {"exists", "generic", "1.0.0", "O(N)", "Counts the keys that exist.",
     "key...", "RO", SUM_OF_SHARDS},
    {"touch", "generic", "3.2.1", "O(N)", "Counts the keys that exist.",
     "key...", "RO", SUM_OF_SHARDS},
    {"type", "generic", "1.0.0", "O(1)", "Returns the type of the value at a key.",
     "key", "RO", ""},
    {"keys", "generic", "1.0.0", "O(N) with N keys in all", "Returns the keys that match a pattern.",
     "pattern:pattern", "", "request_policy:all_shards " UNORDERED},
    {"scan", "generic", "2.8.0", "O(N) with N keys looked at", "Walks through the keys in steps.",
     "cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type]", "",
     VARYING " request_policy:special response_policy:special"},
    {"randomkey", "generic", "1.0.0", "O(1)", "Returns some key.",
     "", "", "request_policy:all_shards response_policy:special " VARYING},
    {"rename", "generic", "1.0.0", "O(N) with N bytes", "Renames a key over whatever is there.",
     "key newkey", "RW access delete|OW update", ""},
    {"renamenx", "generic", "1.0.0", "O(N) with N bytes", "Renames a key if the new name is free.",
     "key newkey", "RW access delete|OW insert", ""},
    {"move", "generic", "1.0.0", "O(1)", "Moves a key to another database.",
     "key db:integer", "RW access delete", ""},
    {"swapdb", "server", "4.0.0", "O(1)", "Exchanges two databases.",
     "index1:integer index2:integer", "", ""},
    {"flushdb", "server", "1.0.0", "O(1)", "Deletes all keys.",
     "[flush-type=(ASYNC|SYNC)]", "", EVERY_SHARD},
    {"flushall", "server", "1.0.0", "O(1)", "Deletes all keys.",
     "[flush-type=(ASYNC|SYNC)]", "", EVERY_SHARD},
    {"dbsize", "server", "1.0.0", "O(1)", "Returns the number of keys.",
     "", "", "request_policy:all_shards response_policy:agg_sum"},

    {"once", "string", "0.1.0", "that of the command",
     "Executes a command at most once, however often it is sent, and repeats its reply.",
     "client-id request-id:integer command [arg...]", "", ""},

    /* Connection. */
    {"ping", "connection", "1.0.0", "O(1)", "Answers PONG, or the message.",
     "[message]", "", EVERY_SHARD},
    {"echo", "connection", "1.0.0", "O(1)", "Answers the message.",
     "message", "", ""},
    {"quit", "connection", "1.0.0", "O(1)", "Closes the connection.", "", "", ""},
    {"reset", "connection", "6.2.0", "O(1)", "Sets the connection back to its beginning.",
     "", "", ""},
    {"hello", "connection", "6.0.0", "O(1)", "Chooses the protocol and says who answers.",
     "[arguments=(protover:integer [AUTH auth=(username password)] [SETNAME clientname])]", "", ""},
    {"auth", "connection", "1.0.0", "O(1)", "Authenticates the connection.",
     "[username] password", "", ""},
    {"select", "connection", "1.0.0", "O(1)", "Chooses the database, 0 to 15.",
     "index:integer", "", ""},

    {"client", "connection", "2.4.0", "that of the subcommand", "All about connections.",
     "", "", ""},
    {"client|getname", "connection", "2.6.9", "O(1)", "Returns the name of the connection.",
     "", "", ""},
    {"client|help", "connection", "5.0.0", "O(1)", HELP_SUMMARY, "", "", ""},
    {"client|id", "connection", "5.0.0", "O(1)", "Returns the number of the connection.",
     "", "", ""},
    {"client|info", "connection", "6.2.0", "O(1)", "Describes the connection.", "", "", VARYING},
    {"client|kill", "connection", "2.4.0", "O(N) with N connections", "Closes connections.",
     "filter=(ip:port|new-format=([ID client-id:integer]|[TYPE client-type=(NORMAL|MASTER|SLAVE|"
     "REPLICA|PUBSUB)]|[USER username]|[ADDR addr]|[LADDR laddr]|[SKIPME skipme=(YES|NO)])...)",
     "", ""},
    {"client|list", "connection", "2.4.0", "O(N) with N connections", "Describes all connections.",
     "[TYPE client-type=(NORMAL|MASTER|REPLICA|PUBSUB)] [ID client-id:integer...]", "", VARYING},
    {"client|no-evict", "connection", "7.0.0", "O(1)", "Accepted; no client is ever evicted.",
     "enabled=(ON|OFF)", "", ""},
    {"client|no-touch", "connection", "7.2.0", "O(1)", "Accepted; keys have no access time.",
     "enabled=(ON|OFF)", "", ""},
    {"client|reply", "connection", "3.2.0", "O(1)", "Says whether replies are sent.",
     "action=(ON|OFF|SKIP)", "", ""},
    {"client|setinfo", "connection", "7.2.0", "O(1)", "Says which library the client uses.",
     "attr=(LIB-NAME libname|LIB-VER libver)", "", EVERY_NODE},
    {"client|setname", "connection", "2.6.9", "O(1)", "Names the connection.",
     "connection-name", "", EVERY_NODE},

    /* Server. */
    {"command", "server", "2.8.13", "O(N) with N commands", "Describes all commands.",
     "", "", UNORDERED},
    {"command|count", "server", "2.8.13", "O(1)", "Returns the number of commands.", "", "", ""},
    {"command|docs", "server", "7.0.0", "O(N) with N commands", "Documents commands.",
     "[command-name...]", "", UNORDERED},
    {"command|getkeys", "server", "2.8.13", "O(N)", "Picks the keys out of a command.",
     "command [arg...]", "", ""},
    {"command|getkeysandflags", "server", "7.0.0", "O(N)",
     "Picks the keys out of a command, and says what it does with them.", "command [arg...]", "", ""},
    {"command|help", "server", "5.0.0", "O(1)", HELP_SUMMARY, "", "", ""},
    {"command|info", "server", "2.8.13", "O(N) with N commands", "Describes commands.",
     "[command-name...]", "", UNORDERED},
    {"command|list", "server", "7.0.0", "O(N) with N commands", "Lists the names of commands.",
     "[FILTERBY filterby=(MODULE module-name|ACLCAT category|PATTERN pattern:pattern)]", "",
     UNORDERED},

    {"config", "server", "2.0.0", "that of the subcommand", "Reads and changes the configuration.",
     "", "", ""},
    {"config|get", "server", "2.0.0", "O(N) with N directives", "Returns directives.",
     "parameter...", "", ""},
    {"config|help", "server", "5.0.0", "O(1)", HELP_SUMMARY, "", "", ""},
    {"config|resetstat", "server", "2.0.0", "O(1)", "Starts the counters of INFO from zero.",
     "", "", EVERY_NODE},
    {"config|rewrite", "server", "2.8.0", "O(1)", "Not supported.", "", "", EVERY_NODE},
    {"config|set", "server", "2.0.0", "O(N) with N directives", "Changes directives.",
     "data=(parameter value)...", "", EVERY_NODE},

    {"info", "server", "1.0.0", "O(1)", "Returns figures about the server.",
     "[section...]", "", VARYING " request_policy:all_shards response_policy:special"},
    {"time", "server", "2.6.0", "O(1)", "Returns the server's time.", "", "", VARYING},
    {"role", "server", "2.8.12", "O(1)", "Returns the node's place in the replication.", "", "", ""},
    {"raft.status", "server", "0.1.0", "O(N) with N members", "Returns the state of the consensus.",
     "", "", VARYING},
    {"cluster", "cluster", "3.0.0", "O(1)", "Refused: this is no Redis Cluster.",
     "subcommand [arg...]", "", ""},
};
/* clang-format on */

const struct command_docs *command_docs_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (bytes_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}
