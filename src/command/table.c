/* The contents page of the server: every command, one row each.
 *
 *     name  arity  flags  keys  function  [check of the words]
 *
 * arity  n: exactly n words, the name included; -n: at least n.
 * flags  one of L, R, W says where it runs:
 *          L  local: at once, on the node the client is connected to
 *          R  read: on the leader, after it confirmed that it is one
 *          W  write: through the log, on every node
 *        what follows is Redis's and only COMMAND repeats it, but for CMD_NO_AUTH (allowed before
 *        AUTH), CMD_CONTAINER (the second word names the command, in a row of its own), CMD_LONG
 *        (how long it takes its words do not tell) and CMD_PUTS (words of it become strings).
 * keys   first, last and step of the words that are keys; last < 0 counts from the end.
 *
 * A new command is a row here, a function in its family's file, a row in docs.c (which a unit test
 * demands) and a declaration in commands.h. */
#include "command/bits.h"
#include "command/change.h"
#include "command/check.h"
#include "command/commands.h"
#include "command/eval.h"
#include "command/exec_form.h"
#include "command/functions.h"
#include "command/geo.h"
#include "command/lists.h"
#include "command/naming.h"
#include "command/sorted_sets.h"
#include "command/streams.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* what most rows leave out */

/* clang-format off */
#define L CMD_LOCAL
#define R CMD_READ
#define W CMD_WRITE
#define FAST CMD_FAST
#define OOM CMD_DENYOOM
#define STR CMD_STRING
#define HASH (CMD_HASH | SINCE_3)
#define HASH_4 (CMD_HASH | SINCE_4)
#define SET (CMD_SET | SINCE_3)
#define ZSET (CMD_SORTED_SET | SINCE_3)
#define LIST (CMD_LIST | SINCE_3)
#define STREAM (CMD_STREAM | SINCE_4)
#define BITMAP (CMD_BITMAP | SINCE_4)
#define HLL (CMD_HYPERLOGLOG | SINCE_4)
#define GEO (CMD_GEO | SINCE_4)
#define KSP CMD_KEYSPACE
#define RISKY CMD_DANGEROUS
#define LONG CMD_LONG
#define PUTS CMD_PUTS
#define CONN CMD_CONNECTION
#define ADMIN CMD_ADMIN
#define BOX CMD_CONTAINER
#define ANY (CMD_LOADING | CMD_STALE)                            /* in any state of the server */
#define META (ANY | CMD_NOSCRIPT)                                /* not about the data */
#define TX CMD_TRANSACTION
#define EVAL (CMD_SCRIPTING | CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_MOVABLE_KEYS | SINCE_5)
#define SCRIPT (CMD_SCRIPTING | CMD_NOSCRIPT)
#define WAITS (CMD_BLOCKING | SINCE_5)
#define BLOCKED_LIST (CMD_LIST | WAITS)
#define BLOCKED_ZSET (CMD_SORTED_SET | WAITS)
#define LAST_WAITS {1, -2, 1} /* keys, and a timeout */
#define DOOR (META | FAST | CONN | CMD_NO_AUTH | CMD_ALLOW_BUSY) /* before AUTH */
#define CHANGE (META | ADMIN | SINCE_5) /* of members */
#define MSG (CMD_PUBSUB | SINCE_5)
#define SINCE_2 (2ull << CMD_SINCE_SHIFT) /* meaning.c */
#define SINCE_3 (3ull << CMD_SINCE_SHIFT)
#define SINCE_4 (4ull << CMD_SINCE_SHIFT)
#define SINCE_5 (5ull << CMD_SINCE_SHIFT)
#define NO_KEYS {0, 0, 0}
#define ONE_KEY {1, 1, 1}
#define TWO_KEYS {1, 2, 1}
#define SUB_KEY {2, 2, 1} /* behind the name of a subcommand */
#define ALL_KEYS {1, -1, 1}
#define PAIRS {1, -1, 2}

const struct command command_rows[] = {
    /* Strings. */
    {"get",                2, R | STR | FAST,                    ONE_KEY,  cmd_get},
    {"set",               -3, W | STR | PUTS | OOM,              ONE_KEY,  cmd_set, words_set},
    {"setnx",              3, W | STR | PUTS | OOM | FAST,       ONE_KEY,  cmd_setnx},
    {"setex",              4, W | STR | PUTS | OOM | SINCE_3,    ONE_KEY,  cmd_setex, words_setex},
    {"psetex",             4, W | STR | PUTS | OOM | SINCE_3,    ONE_KEY,  cmd_psetex, words_psetex},
    {"getex",             -2, W | STR | FAST | SINCE_3,          ONE_KEY,  cmd_getex, words_getex},
    {"getset",             3, W | STR | PUTS | OOM | FAST,       ONE_KEY,  cmd_getset},
    {"getdel",             2, W | STR | FAST,                    ONE_KEY,  cmd_getdel},
    {"mget",              -2, R | STR | FAST,                    ALL_KEYS, cmd_mget},
    {"mset",              -3, W | STR | PUTS | OOM,              PAIRS,    cmd_mset, words_pairs},
    {"msetnx",            -3, W | STR | PUTS | OOM,              PAIRS,    cmd_msetnx, words_pairs},
    {"append",             3, W | STR | OOM | FAST,              ONE_KEY,  cmd_append},
    {"strlen",             2, R | STR | FAST,                    ONE_KEY,  cmd_strlen},
    {"getrange",           4, R | STR,                           ONE_KEY,  cmd_getrange},
    {"substr",             4, R | STR,                           ONE_KEY,  cmd_getrange},
    {"setrange",           4, W | STR | OOM,                     ONE_KEY,  cmd_setrange, words_setrange},
    {"incr",               2, W | STR | OOM | FAST,              ONE_KEY,  cmd_incr},
    {"incrby",             3, W | STR | OOM | FAST,              ONE_KEY,  cmd_incrby, words_incrby},
    {"decr",               2, W | STR | OOM | FAST,              ONE_KEY,  cmd_decr},
    {"decrby",             3, W | STR | OOM | FAST,              ONE_KEY,  cmd_decrby, words_decrby},
    {"incrbyfloat",        3, W | STR | OOM | FAST,              ONE_KEY,  cmd_incrbyfloat},
    {"lcs",               -3, R | STR | SINCE_4,                 TWO_KEYS, cmd_lcs},
    {"digest",             2, R | STR | FAST | SINCE_4,          ONE_KEY,  cmd_digest},
    {"msetex",            -4, W | STR | PUTS | OOM | CMD_MOVABLE_KEYS | SINCE_4, NO_KEYS, cmd_msetex, words_msetex},

    /* Bits of strings. */
    {"setbit",             4, W | BITMAP | OOM,                  ONE_KEY,  cmd_setbit, words_setbit},
    {"getbit",             3, R | BITMAP | FAST,                 ONE_KEY,  cmd_getbit},
    {"bitcount",          -2, R | BITMAP,                        ONE_KEY,  cmd_bitcount},
    {"bitpos",            -3, R | BITMAP,                        ONE_KEY,  cmd_bitpos},
    {"bitop",             -4, W | LONG | BITMAP | OOM,                  {2, -1, 1}, cmd_bitop, words_bitop},
    {"bitfield",          -2, W | BITMAP | OOM,                  ONE_KEY,  cmd_bitfield, words_bitfield},
    {"bitfield_ro",       -2, R | BITMAP | FAST,                 ONE_KEY,  cmd_bitfield_ro},

    /* HyperLogLogs. */
    {"pfadd",             -2, W | HLL | OOM | FAST,              ONE_KEY,  cmd_pfadd},
    {"pfcount",           -2, R | HLL,                           ALL_KEYS, cmd_pfcount},
    {"pfmerge",           -2, W | LONG | HLL | OOM,                     ALL_KEYS, cmd_pfmerge},

    /* Compare, then set or delete. */
    {"cas",               -4, W | STR | PUTS | OOM | FAST,       ONE_KEY,  cmd_cas, words_cas},
    {"cad",                3, W | STR | FAST,                    ONE_KEY,  cmd_cad},
    {"delex",             -2, W | STR | FAST,                    ONE_KEY,  cmd_delex, words_delex},
    {"delifeq",            3, W | STR | FAST,                    ONE_KEY,  cmd_delifeq},

    /* Hashes. */
    {"hset",              -4, W | HASH | OOM | FAST,             ONE_KEY,  cmd_hset, words_hset},
    {"hmset",             -4, W | HASH | OOM | FAST,             ONE_KEY,  cmd_hmset, words_hset},
    {"hsetnx",             4, W | HASH | OOM | FAST,             ONE_KEY,  cmd_hsetnx},
    {"hget",               3, R | HASH | FAST,                   ONE_KEY,  cmd_hget},
    {"hmget",             -3, R | HASH | FAST,                   ONE_KEY,  cmd_hmget},
    {"hdel",              -3, W | HASH | FAST,                   ONE_KEY,  cmd_hdel},
    {"hlen",               2, R | HASH | FAST,                   ONE_KEY,  cmd_hlen},
    {"hexists",            3, R | HASH | FAST,                   ONE_KEY,  cmd_hexists},
    {"hstrlen",            3, R | HASH | FAST,                   ONE_KEY,  cmd_hstrlen},
    {"hkeys",              2, R | HASH,                          ONE_KEY,  cmd_hkeys},
    {"hvals",              2, R | HASH,                          ONE_KEY,  cmd_hvals},
    {"hgetall",            2, R | HASH,                          ONE_KEY,  cmd_hgetall},
    {"hincrby",            4, W | HASH | OOM | FAST,             ONE_KEY,  cmd_hincrby, words_hincrby},
    {"hincrbyfloat",       4, W | HASH | OOM | FAST,             ONE_KEY,  cmd_hincrbyfloat, words_hincrbyfloat},
    {"hscan",             -3, R | HASH,                          ONE_KEY,  cmd_hscan},
    {"hrandfield",        -2, R | HASH,                          ONE_KEY,  cmd_hrandfield},
    {"hexpire",           -6, W | HASH_4 | OOM | FAST,           ONE_KEY,  cmd_hexpire, words_hexpire},
    {"hpexpire",          -6, W | HASH_4 | OOM | FAST,           ONE_KEY,  cmd_hpexpire, words_hpexpire},
    {"hexpireat",         -6, W | HASH_4 | OOM | FAST,           ONE_KEY,  cmd_hexpireat, words_hexpireat},
    {"hpexpireat",        -6, W | HASH_4 | OOM | FAST,           ONE_KEY,  cmd_hpexpireat, words_hpexpireat},
    {"hpersist",          -5, W | HASH_4 | FAST,                 ONE_KEY,  cmd_hpersist, words_hpersist},
    {"httl",              -5, R | HASH_4 | FAST,                 ONE_KEY,  cmd_httl},
    {"hpttl",             -5, R | HASH_4 | FAST,                 ONE_KEY,  cmd_hpttl},
    {"hexpiretime",       -5, R | HASH_4 | FAST,                 ONE_KEY,  cmd_hexpiretime},
    {"hpexpiretime",      -5, R | HASH_4 | FAST,                 ONE_KEY,  cmd_hpexpiretime},
    {"hgetex",            -5, W | HASH_4 | FAST,                 ONE_KEY,  cmd_hgetex, words_hgetex},
    {"hsetex",            -6, W | HASH_4 | OOM | FAST,           ONE_KEY,  cmd_hsetex, words_hsetex},
    {"hgetdel",           -5, W | HASH_4 | FAST,                 ONE_KEY,  cmd_hgetdel, words_hpersist},

    /* Sets. */
    {"sadd",              -3, W | SET | OOM | FAST,              ONE_KEY,  cmd_sadd},
    {"srem",              -3, W | SET | FAST,                    ONE_KEY,  cmd_srem},
    {"smove",              4, W | SET | FAST,                    TWO_KEYS, cmd_smove},
    {"spop",              -2, W | LONG | SET | FAST,                    ONE_KEY,  cmd_spop, words_spop},
    {"sismember",          3, R | SET | FAST,                    ONE_KEY,  cmd_sismember},
    {"smismember",        -3, R | SET | FAST,                    ONE_KEY,  cmd_smismember},
    {"scard",              2, R | SET | FAST,                    ONE_KEY,  cmd_scard},
    {"smembers",           2, R | SET,                           ONE_KEY,  cmd_smembers},
    {"srandmember",       -2, R | SET,                           ONE_KEY,  cmd_srandmember},
    {"sscan",             -3, R | SET,                           ONE_KEY,  cmd_sscan},
    {"sinter",            -2, R | SET,                           ALL_KEYS, cmd_sinter},
    {"sunion",            -2, R | SET,                           ALL_KEYS, cmd_sunion},
    {"sdiff",             -2, R | SET,                           ALL_KEYS, cmd_sdiff},
    {"sintercard",        -3, R | SET | CMD_MOVABLE_KEYS,        NO_KEYS,  cmd_sintercard},
    {"sinterstore",       -3, W | LONG | SET | OOM,                     ALL_KEYS, cmd_sinterstore},
    {"sunionstore",       -3, W | LONG | SET | OOM,                     ALL_KEYS, cmd_sunionstore},
    {"sdiffstore",        -3, W | LONG | SET | OOM,                     ALL_KEYS, cmd_sdiffstore},

    /* Lists. */
    {"lpush",                -3, W | LIST | OOM | FAST,        ONE_KEY,  cmd_lpush},
    {"rpush",                -3, W | LIST | OOM | FAST,        ONE_KEY,  cmd_rpush},
    {"lpushx",               -3, W | LIST | OOM | FAST,        ONE_KEY,  cmd_lpushx},
    {"rpushx",               -3, W | LIST | OOM | FAST,        ONE_KEY,  cmd_rpushx},
    {"lpop",                 -2, W | LONG | LIST | FAST,              ONE_KEY,  cmd_lpop, words_lpop},
    {"rpop",                 -2, W | LONG | LIST | FAST,              ONE_KEY,  cmd_rpop, words_lpop},
    {"lmpop",                -4, W | LONG | LIST | CMD_MOVABLE_KEYS,  NO_KEYS,  cmd_lmpop, words_lmpop},
    {"llen",                  2, R | LIST | FAST,              ONE_KEY,  cmd_llen},
    {"lindex",                3, R | LIST,                     ONE_KEY,  cmd_lindex},
    {"lrange",                4, R | LIST,                     ONE_KEY,  cmd_lrange},
    {"lset",                  4, W | LIST | OOM,               ONE_KEY,  cmd_lset, words_lset},
    {"linsert",               5, W | LONG | LIST | OOM,               ONE_KEY,  cmd_linsert, words_linsert},
    {"lrem",                  4, W | LONG | LIST,                     ONE_KEY,  cmd_lrem, words_lrem},
    {"ltrim",                 4, W | LONG | LIST,                     ONE_KEY,  cmd_ltrim, words_ltrim},
    {"lpos",                 -3, R | LIST,                     ONE_KEY,  cmd_lpos},
    {"lmove",                 5, W | LIST | OOM,               TWO_KEYS, cmd_lmove, words_lmove},
    {"rpoplpush",             3, W | LIST | OOM,               TWO_KEYS, cmd_rpoplpush},
    {"blpop",                -3, W | BLOCKED_LIST | CMD_NOSCRIPT, LAST_WAITS, cmd_blpop, words_bpop},
    {"brpop",                -3, W | BLOCKED_LIST | CMD_NOSCRIPT, LAST_WAITS, cmd_brpop, words_bpop},
    {"blmove",                6, W | BLOCKED_LIST | OOM | CMD_NOSCRIPT, TWO_KEYS, cmd_blmove, words_blmove},
    {"brpoplpush",            4, W | BLOCKED_LIST | OOM | CMD_NOSCRIPT, TWO_KEYS, cmd_brpoplpush, words_brpoplpush},
    {"blmpop",               -5, W | BLOCKED_LIST | CMD_MOVABLE_KEYS, NO_KEYS, cmd_blmpop, words_blmpop},

    /* Sorted sets. */
    {"zadd",                 -4, W | ZSET | OOM | FAST,        ONE_KEY,  cmd_zadd, words_zadd},
    {"zincrby",               4, W | ZSET | OOM | FAST,        ONE_KEY,  cmd_zincrby, words_zincrby},
    {"zcard",                 2, R | ZSET | FAST,              ONE_KEY,  cmd_zcard},
    {"zscore",                3, R | ZSET | FAST,              ONE_KEY,  cmd_zscore},
    {"zmscore",              -3, R | ZSET | FAST,              ONE_KEY,  cmd_zmscore},
    {"zcount",                4, R | ZSET | FAST,              ONE_KEY,  cmd_zcount},
    {"zlexcount",             4, R | ZSET | FAST,              ONE_KEY,  cmd_zlexcount},
    {"zrank",                -3, R | ZSET | FAST,              ONE_KEY,  cmd_zrank},
    {"zrevrank",             -3, R | ZSET | FAST,              ONE_KEY,  cmd_zrevrank},
    {"zrange",               -4, R | ZSET,                     ONE_KEY,  cmd_zrange, words_zrange},
    {"zrevrange",            -4, R | ZSET,                     ONE_KEY,  cmd_zrevrange},
    {"zrangebyscore",        -4, R | ZSET,                     ONE_KEY,  cmd_zrangebyscore},
    {"zrevrangebyscore",     -4, R | ZSET,                     ONE_KEY,  cmd_zrevrangebyscore},
    {"zrangebylex",          -4, R | ZSET,                     ONE_KEY,  cmd_zrangebylex},
    {"zrevrangebylex",       -4, R | ZSET,                     ONE_KEY,  cmd_zrevrangebylex},
    {"zrangestore",          -5, W | LONG | ZSET | OOM,               TWO_KEYS, cmd_zrangestore, words_zrangestore},
    {"zrem",                 -3, W | ZSET | FAST,              ONE_KEY,  cmd_zrem},
    {"zremrangebyrank",       4, W | LONG | ZSET,                     ONE_KEY,  cmd_zremrangebyrank, words_zremrange},
    {"zremrangebyscore",      4, W | LONG | ZSET,                     ONE_KEY,  cmd_zremrangebyscore, words_zremrange},
    {"zremrangebylex",        4, W | LONG | ZSET,                     ONE_KEY,  cmd_zremrangebylex, words_zremrange},
    {"zpopmin",              -2, W | LONG | ZSET | FAST,              ONE_KEY,  cmd_zpopmin, words_zpop},
    {"zpopmax",              -2, W | LONG | ZSET | FAST,              ONE_KEY,  cmd_zpopmax, words_zpop},
    {"zmpop",                -4, W | LONG | ZSET | CMD_MOVABLE_KEYS,  NO_KEYS,  cmd_zmpop, words_zmpop},
    {"bzpopmin",             -3, W | BLOCKED_ZSET | FAST | CMD_NOSCRIPT, LAST_WAITS, cmd_bzpopmin, words_bpop},
    {"bzpopmax",             -3, W | BLOCKED_ZSET | FAST | CMD_NOSCRIPT, LAST_WAITS, cmd_bzpopmax, words_bpop},
    {"bzmpop",               -5, W | BLOCKED_ZSET | CMD_MOVABLE_KEYS, NO_KEYS, cmd_bzmpop, words_bzmpop},
    {"zunion",               -3, R | ZSET | CMD_MOVABLE_KEYS,  NO_KEYS,  cmd_zunion, words_zunion},
    {"zinter",               -3, R | ZSET | CMD_MOVABLE_KEYS,  NO_KEYS,  cmd_zunion, words_zunion},
    {"zdiff",                -3, R | ZSET | CMD_MOVABLE_KEYS,  NO_KEYS,  cmd_zunion, words_zunion},
    {"zunionstore",          -4, W | LONG | ZSET | OOM | CMD_MOVABLE_KEYS,ONE_KEY,  cmd_zunion, words_zunion},
    {"zinterstore",          -4, W | LONG | ZSET | OOM | CMD_MOVABLE_KEYS,ONE_KEY,  cmd_zunion, words_zunion},
    {"zdiffstore",           -4, W | LONG | ZSET | OOM | CMD_MOVABLE_KEYS,ONE_KEY,  cmd_zunion, words_zunion},
    {"zintercard",           -3, R | ZSET | CMD_MOVABLE_KEYS,  NO_KEYS,  cmd_zunion, words_zunion},
    {"zrandmember",          -2, R | ZSET,                     ONE_KEY,  cmd_zrandmember},
    {"zscan",                -3, R | ZSET,                     ONE_KEY,  cmd_zscan},

    /* Places. */
    {"geoadd",               -5, W | GEO | OOM,                ONE_KEY,  cmd_geoadd, words_geoadd},
    {"geopos",               -2, R | GEO,                      ONE_KEY,  cmd_geopos},
    {"geodist",              -4, R | GEO,                      ONE_KEY,  cmd_geodist},
    {"geohash",              -2, R | GEO,                      ONE_KEY,  cmd_geohash},
    {"geosearch",            -7, R | GEO,                      ONE_KEY,  cmd_geosearch},
    {"geosearchstore",       -8, W | LONG | GEO | OOM,                TWO_KEYS, cmd_geosearch, words_geosearch},
    {"georadius",            -6, W | LONG | GEO | OOM | CMD_MOVABLE_KEYS, ONE_KEY, cmd_geosearch, words_geosearch},
    {"georadius_ro",         -6, R | GEO,                      ONE_KEY,  cmd_geosearch},
    {"georadiusbymember",    -5, W | LONG | GEO | OOM | CMD_MOVABLE_KEYS, ONE_KEY, cmd_geosearch, words_geosearch},
    {"georadiusbymember_ro", -5, R | GEO,                      ONE_KEY,  cmd_geosearch},

    /* Streams. */
    {"xadd",                 -5, W | STREAM | OOM | FAST,      ONE_KEY,  cmd_xadd, words_xadd},
    {"xlen",                  2, R | STREAM | FAST,            ONE_KEY,  cmd_xlen},
    {"xrange",               -4, R | STREAM,                   ONE_KEY,  cmd_xrange},
    {"xrevrange",            -4, R | STREAM,                   ONE_KEY,  cmd_xrevrange},
    {"xdel",                 -3, W | STREAM | FAST,            ONE_KEY,  cmd_xdel},
    {"xtrim",                -4, W | LONG | STREAM,                   ONE_KEY,  cmd_xtrim, words_xtrim},
    {"xread",                -4, R | STREAM | CMD_BLOCKING | CMD_MOVABLE_KEYS, NO_KEYS, cmd_xread},
    {"xsetid",               -3, W | STREAM | OOM | FAST,      ONE_KEY,  cmd_xsetid, words_xsetid},
    {"xreadgroup",           -7, W | STREAM | CMD_BLOCKING | CMD_MOVABLE_KEYS, NO_KEYS, cmd_xreadgroup, words_xreadgroup},
    {"xack",                 -4, W | STREAM | FAST,            ONE_KEY,  cmd_xack},
    {"xpending",             -3, R | STREAM,                   ONE_KEY,  cmd_xpending},
    {"xclaim",               -6, W | STREAM | FAST,            ONE_KEY,  cmd_xclaim},
    {"xautoclaim",           -6, W | STREAM | FAST,            ONE_KEY,  cmd_xautoclaim, words_xautoclaim},

    {"xgroup",               -2, L | BOX,                      NO_KEYS,  NULL},
    {"xgroup|create",        -5, W | STREAM | OOM,             SUB_KEY,  cmd_xgroup_create, words_xgroup_create},
    {"xgroup|createconsumer", 5, W | STREAM | OOM,             SUB_KEY,  cmd_xgroup_createconsumer},
    {"xgroup|delconsumer",    5, W | STREAM,                   SUB_KEY,  cmd_xgroup_delconsumer},
    {"xgroup|destroy",        4, W | STREAM,                   SUB_KEY,  cmd_xgroup_destroy},
    {"xgroup|help",           2, L | STREAM | ANY,             NO_KEYS,  cmd_xgroup_help},
    {"xgroup|setid",         -5, W | STREAM,                   SUB_KEY,  cmd_xgroup_setid, words_xgroup_setid},
    {"xinfo",                -2, L | BOX,                      NO_KEYS,  NULL},
    {"xinfo|consumers",       4, R | STREAM,                   SUB_KEY,  cmd_xinfo_consumers},
    {"xinfo|groups",          3, R | STREAM,                   SUB_KEY,  cmd_xinfo_groups},
    {"xinfo|help",            2, L | STREAM | ANY,             NO_KEYS,  cmd_xinfo_help},
    {"xinfo|stream",         -3, R | STREAM,                   SUB_KEY,  cmd_xinfo_stream},

    /* Keys. */
    {"del",               -2, W | KSP,                           ALL_KEYS, cmd_del},
    {"unlink",            -2, W | KSP | FAST,                    ALL_KEYS, cmd_del},
    {"exists",            -2, R | KSP | FAST,                    ALL_KEYS, cmd_exists},
    {"touch",             -2, R | KSP | FAST,                    ALL_KEYS, cmd_exists},
    {"type",               2, R | KSP | FAST,                    ONE_KEY,  cmd_type},
    {"keys",               2, R | KSP | RISKY,                   NO_KEYS,  cmd_keys},
    {"scan",              -2, R | KSP,                           NO_KEYS,  cmd_scan},
    {"randomkey",          1, R | KSP,                           NO_KEYS,  cmd_randomkey},
    {"rename",             3, W | KSP,                           TWO_KEYS, cmd_rename},
    {"renamenx",           3, W | KSP | FAST,                    TWO_KEYS, cmd_renamenx},
    {"copy",              -3, W | LONG | KSP | OOM | SINCE_3,           TWO_KEYS, cmd_copy, words_copy},
    {"sort",              -2, W | LONG | CMD_SET | CMD_SORTED_SET | CMD_LIST | OOM | RISKY | CMD_MOVABLE_KEYS | SINCE_4, ONE_KEY, cmd_sort, words_sort},
    {"sort_ro",           -2, R | CMD_SET | CMD_SORTED_SET | CMD_LIST | RISKY | CMD_MOVABLE_KEYS | SINCE_4, ONE_KEY, cmd_sort_ro, words_sort},
    {"dump",               2, R | KSP | SINCE_4,                 ONE_KEY,  cmd_dump},
    {"restore",           -4, W | LONG | KSP | OOM | RISKY | SINCE_4,   ONE_KEY,  cmd_restore, words_restore},
    {"expire",            -3, W | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_expire, words_expire},
    {"pexpire",           -3, W | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_pexpire, words_pexpire},
    {"expireat",          -3, W | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_expireat, words_expireat},
    {"pexpireat",         -3, W | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_pexpireat, words_pexpireat},
    {"persist",            2, W | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_persist},
    {"ttl",                2, R | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_ttl},
    {"pttl",               2, R | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_pttl},
    {"expiretime",         2, R | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_expiretime},
    {"pexpiretime",        2, R | KSP | FAST | SINCE_3,          ONE_KEY,  cmd_pexpiretime},
    {"move",               3, W | KSP | FAST | SINCE_2,          ONE_KEY,  cmd_move, words_move},
    {"swapdb",             3, W | KSP | FAST | RISKY | SINCE_2,  NO_KEYS,  cmd_swapdb, words_swapdb},
    {"flushdb",           -1, W | KSP | RISKY,                   NO_KEYS,  cmd_flushdb, words_flush},
    {"flushall",          -1, W | KSP | RISKY,                   NO_KEYS,  cmd_flushall, words_flush},
    {"dbsize",             1, R | KSP | FAST,                    NO_KEYS,  cmd_dbsize},

    {"object",            -2, L | BOX,                           NO_KEYS,  NULL},
    {"object|encoding",    3, R | KSP | SINCE_3,                 SUB_KEY,  cmd_object_encoding},
    {"object|freq",        3, R | KSP | SINCE_3,                 SUB_KEY,  cmd_object_freq},
    {"object|help",        2, L | KSP | ANY,                     NO_KEYS,  cmd_object_help},
    {"object|idletime",    3, R | KSP | SINCE_3,                 SUB_KEY,  cmd_object_idletime},
    {"object|refcount",    3, R | KSP | SINCE_3,                 SUB_KEY,  cmd_object_refcount},

    /* Exactly once: carries one of the above. */
    {"once",              -4, W | OOM | CMD_MOVABLE_KEYS,        NO_KEYS,  cmd_once, words_once},

    /* Transactions. */
    {"multi",              1, L | TX | META | FAST | CMD_ALLOW_BUSY | SINCE_3, NO_KEYS, cmd_multi},
    {"exec",               1, L | TX | META | CMD_SKIP_SLOWLOG | SINCE_3, NO_KEYS, cmd_exec_alone},
    {"discard",            1, L | TX | META | FAST | CMD_ALLOW_BUSY | SINCE_3, NO_KEYS, cmd_discard},
    {"watch",             -2, R | TX | META | FAST | CMD_ALLOW_BUSY | SINCE_3, ALL_KEYS, cmd_watch},
    {"unwatch",            1, L | TX | META | FAST | CMD_ALLOW_BUSY | SINCE_3, NO_KEYS, cmd_unwatch},

    /* Messages. */
    {"publish",            3, W | MSG | ANY | FAST,              NO_KEYS,  cmd_publish},
    {"spublish",           3, W | MSG | ANY | FAST,              ONE_KEY,  cmd_spublish},
    {"subscribe",         -2, L | MSG | META,                    NO_KEYS,  cmd_subscribe, words_subscribe},
    {"unsubscribe",       -1, L | MSG | META,                    NO_KEYS,  cmd_unsubscribe},
    {"psubscribe",        -2, L | MSG | META,                    NO_KEYS,  cmd_psubscribe, words_subscribe},
    {"punsubscribe",      -1, L | MSG | META,                    NO_KEYS,  cmd_punsubscribe},
    {"ssubscribe",        -2, L | MSG | META,                    ALL_KEYS, cmd_ssubscribe, words_subscribe},
    {"sunsubscribe",      -1, L | MSG | META,                    ALL_KEYS, cmd_sunsubscribe},
    {"pubsub",            -2, L | BOX,                           NO_KEYS,  NULL},
    {"pubsub|channels",   -2, L | MSG | ANY | CMD_PURE,          NO_KEYS,  cmd_pubsub_channels},
    {"pubsub|help",        2, L | ANY | CMD_PURE,                NO_KEYS,  cmd_pubsub_help},
    {"pubsub|numpat",      2, L | MSG | ANY | CMD_PURE,          NO_KEYS,  cmd_pubsub_numpat},
    {"pubsub|numsub",     -2, L | MSG | ANY | CMD_PURE,          NO_KEYS,  cmd_pubsub_numsub},
    {"pubsub|shardchannels", -2, L | MSG | ANY | CMD_PURE,       NO_KEYS,  cmd_pubsub_shardchannels},
    {"pubsub|shardnumsub", -2, L | MSG | ANY | CMD_PURE,         NO_KEYS,  cmd_pubsub_shardnumsub},

    /* Scripts. */
    {"eval",              -3, W | LONG | EVAL,                          NO_KEYS,  cmd_eval, words_eval},
    {"eval_ro",           -3, R | EVAL,                          NO_KEYS,  cmd_eval_ro, words_eval},
    {"evalsha",           -3, W | LONG | EVAL,                          NO_KEYS,  cmd_evalsha, words_eval},
    {"evalsha_ro",        -3, R | EVAL,                          NO_KEYS,  cmd_evalsha_ro, words_eval},
    {"fcall",             -3, W | LONG | EVAL,                          NO_KEYS,  cmd_fcall},
    {"fcall_ro",          -3, R | EVAL,                          NO_KEYS,  cmd_fcall_ro},
    {"function",          -2, L | BOX,                           NO_KEYS,  NULL},
    {"function|delete",    3, W | SCRIPT | SINCE_5,              NO_KEYS,  cmd_function_delete},
    {"function|dump",      2, R | SCRIPT | SINCE_5,              NO_KEYS,  cmd_function_dump},
    {"function|flush",    -2, W | SCRIPT | SINCE_5,              NO_KEYS,  cmd_function_flush, words_function_flush},
    {"function|help",      2, L | CMD_SCRIPTING | ANY,           NO_KEYS,  cmd_function_help},
    {"function|kill",      2, L | SCRIPT | CMD_ALLOW_BUSY,       NO_KEYS,  cmd_function_kill},
    {"function|list",     -2, R | SCRIPT | SINCE_5,              NO_KEYS,  cmd_function_list, words_function_list},
    {"function|load",     -3, W | SCRIPT | OOM | SINCE_5,        NO_KEYS,  cmd_function_load, words_function_load},
    {"function|restore",  -3, W | SCRIPT | OOM | SINCE_5,        NO_KEYS,  cmd_function_restore, words_function_restore},
    {"function|stats",     2, R | SCRIPT | CMD_ALLOW_BUSY | SINCE_5, NO_KEYS,  cmd_function_stats},
    {"script",            -2, L | BOX,                           NO_KEYS,  NULL},
    {"script|debug",       3, L | SCRIPT,                        NO_KEYS,  cmd_script_debug},
    {"script|exists",     -3, R | SCRIPT | SINCE_5,              NO_KEYS,  cmd_script_exists},
    {"script|flush",      -2, W | SCRIPT | SINCE_5,              NO_KEYS,  cmd_script_flush, words_script_flush},
    {"script|help",        2, L | CMD_SCRIPTING | ANY,           NO_KEYS,  cmd_script_help},
    {"script|kill",        2, L | SCRIPT | CMD_ALLOW_BUSY,       NO_KEYS,  cmd_script_kill},
    {"script|load",        3, W | SCRIPT | CMD_STALE | SINCE_5,  NO_KEYS,  cmd_script_load, words_script_load},

    /* Connection. */
    {"ping",              -1, L | CONN | FAST | CMD_PURE,        NO_KEYS,  cmd_ping},
    {"echo",               2, L | CONN | FAST | ANY | CMD_PURE,  NO_KEYS,  cmd_echo},
    {"quit",              -1, L | DOOR,                          NO_KEYS,  cmd_quit},
    {"reset",              1, L | DOOR,                          NO_KEYS,  cmd_reset},
    {"hello",             -1, L | DOOR,                          NO_KEYS,  cmd_hello},
    {"auth",              -2, L | DOOR,                          NO_KEYS,  cmd_auth},
    {"select",             2, L | CONN | FAST | ANY,             NO_KEYS,  cmd_select},

    {"client",            -2, L | BOX,                           NO_KEYS,  NULL},
    {"client|caching",     3, L | META | CONN | SINCE_5,         NO_KEYS,  cmd_client_caching},
    {"client|getname",     2, L | META | CONN | CMD_PURE,        NO_KEYS,  cmd_client_getname},
    {"client|getredir",    2, L | META | CONN | CMD_PURE | SINCE_5, NO_KEYS, cmd_client_getredir},
    {"client|help",        2, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_client_help},
    {"client|id",          2, L | META | CONN | CMD_PURE,        NO_KEYS,  cmd_client_id},
    {"client|info",        2, L | META | CONN | CMD_PURE,        NO_KEYS,  cmd_client_info},
    {"client|kill",       -3, L | META | CONN | ADMIN,           NO_KEYS,  cmd_client_kill},
    {"client|list",       -2, L | META | CONN | ADMIN | CMD_PURE, NO_KEYS,  cmd_client_list},
    {"client|no-evict",    3, L | META | CONN | ADMIN,           NO_KEYS,  cmd_client_no_evict},
    {"client|no-touch",    3, L | META | CONN,                   NO_KEYS,  cmd_client_no_touch},
    {"client|pause",      -3, L | META | CONN | ADMIN,           NO_KEYS,  cmd_client_pause},
    {"client|reply",       3, L | META | CONN,                   NO_KEYS,  cmd_client_reply},
    {"client|setinfo",     4, L | META | CONN,                   NO_KEYS,  cmd_client_setinfo},
    {"client|setname",     3, L | META | CONN,                   NO_KEYS,  cmd_client_setname},
    {"client|tracking",   -3, L | META | CONN | SINCE_5,         NO_KEYS,  cmd_client_tracking},
    {"client|trackinginfo", 2, L | META | CONN | CMD_PURE | SINCE_5, NO_KEYS, cmd_client_trackinginfo},
    {"client|unblock",    -3, L | META | CONN | ADMIN,           NO_KEYS,  cmd_client_unblock},
    {"client|unpause",     2, L | META | CONN | ADMIN,           NO_KEYS,  cmd_client_unpause},

    /* Server. */
    {"command",           -1, L | BOX | ANY | CONN | CMD_PURE,              NO_KEYS,  cmd_command},
    {"command|count",      2, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_command_count},
    {"command|docs",      -2, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_command_docs},
    {"command|getkeys",   -3, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_command_getkeys},
    {"command|getkeysandflags", -3, L | ANY | CONN | CMD_PURE,              NO_KEYS,  cmd_command_getkeysandflags},
    {"command|help",       2, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_command_help},
    {"command|info",      -2, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_command_info},
    {"command|list",      -2, L | ANY | CONN | CMD_PURE,         NO_KEYS,  cmd_command_list},
    {"config",            -2, L | BOX,                           NO_KEYS,  NULL},
    {"config|get",        -3, L | META | ADMIN | CMD_PURE,                  NO_KEYS,  cmd_config_get},
    {"config|help",        2, L | ANY | CMD_PURE,                           NO_KEYS,  cmd_config_help},
    {"config|resetstat",   2, L | META | ADMIN,                  NO_KEYS,  cmd_config_resetstat},
    {"config|rewrite",     2, L | META | ADMIN,                  NO_KEYS,  cmd_config_rewrite},
    {"config|set",        -4, L | META | ADMIN,                  NO_KEYS,  cmd_config_set},
    {"info",              -1, L | ANY | RISKY | CMD_PURE,        NO_KEYS,  cmd_info},
    {"time",               1, L | ANY | FAST | CMD_PURE,         NO_KEYS,  cmd_time},
    {"role",               1, L | META | FAST | RISKY | CMD_ADMIN_CATEGORY | CMD_PURE, NO_KEYS,  cmd_role},
    {"debug",             -2, R | META | ADMIN | SINCE_4,        NO_KEYS,  cmd_debug},
    {"lolwut",            -1, R | FAST | SINCE_4,                NO_KEYS,  cmd_lolwut},
    {"memory",            -2, L | BOX,                           NO_KEYS,  NULL},
    {"memory|doctor",      2, L | CMD_PURE,                      NO_KEYS,  cmd_memory_doctor},
    {"memory|help",        2, L | ANY | CMD_PURE,                NO_KEYS,  cmd_memory_help},
    {"memory|malloc-stats", 2, L | CMD_PURE,                     NO_KEYS,  cmd_memory_malloc_stats},
    {"memory|purge",       2, L | CMD_PURE,                      NO_KEYS,  cmd_memory_purge},
    {"memory|stats",       2, L | CMD_PURE,                      NO_KEYS,  cmd_memory_stats},
    {"memory|usage",      -3, R | SINCE_4,                       SUB_KEY,  cmd_memory_usage},
    {"monitor",            1, L | META | ADMIN,                  NO_KEYS,  cmd_monitor},
    {"slowlog",           -2, L | BOX,                           NO_KEYS,  NULL},
    {"slowlog|get",       -2, L | ANY | ADMIN | CMD_PURE,        NO_KEYS,  cmd_slowlog_get},
    {"slowlog|help",       2, L | ANY | CMD_PURE,                NO_KEYS,  cmd_slowlog_help},
    {"slowlog|len",        2, L | ANY | ADMIN | CMD_PURE,        NO_KEYS,  cmd_slowlog_len},
    {"slowlog|reset",      2, L | ANY | ADMIN,                   NO_KEYS,  cmd_slowlog_reset},
    {"latency",           -2, L | BOX,                           NO_KEYS,  NULL},
    {"latency|doctor",     2, L | META | ADMIN | CMD_PURE,       NO_KEYS,  cmd_latency_doctor},
    {"latency|graph",      3, L | META | ADMIN | CMD_PURE,       NO_KEYS,  cmd_latency_graph},
    {"latency|help",       2, L | ANY | CMD_PURE,                NO_KEYS,  cmd_latency_help},
    {"latency|histogram", -2, L | META | ADMIN | CMD_PURE,       NO_KEYS,  cmd_latency_histogram},
    {"latency|history",    3, L | META | ADMIN | CMD_PURE,       NO_KEYS,  cmd_latency_history},
    {"latency|latest",     2, L | META | ADMIN | CMD_PURE,       NO_KEYS,  cmd_latency_latest},
    {"latency|reset",     -2, L | META | ADMIN,                  NO_KEYS,  cmd_latency_reset},
    {"wait",               3, L | CONN | CMD_NOSCRIPT | CMD_PURE | CMD_BLOCKING, NO_KEYS,  cmd_wait},
    {"waitaof",            4, L | CONN | CMD_NOSCRIPT | CMD_PURE | CMD_BLOCKING, NO_KEYS,  cmd_waitaof},
    {"raft.backup",        2, L | META | ADMIN,                             NO_KEYS,  cmd_raft_backup},
    {"raft.check",        -1, L | META | ADMIN,                             NO_KEYS,  cmd_raft_check, words_raft_check},
    {"raft.snapshot",     -2, L | BOX,                                      NO_KEYS,  NULL},
    {"raft.snapshot|begin", 2, L | META | ADMIN,                            NO_KEYS,  cmd_raft_snapshot_begin},
    {"raft.snapshot|chunk", 4, L | META | ADMIN,                            NO_KEYS,  cmd_raft_snapshot_chunk},
    {"raft.snapshot|end",  3, L | META | ADMIN,                             NO_KEYS,  cmd_raft_snapshot_end},
    {"raft.node",         -2, L | BOX,                                      NO_KEYS,  NULL},
    {"raft.node|add",     -3, W | CHANGE,                                   NO_KEYS,  cmd_raft_change, words_raft_change},
    {"raft.node|demote",  -3, W | CHANGE,                                   NO_KEYS,  cmd_raft_change, words_raft_change},
    {"raft.node|promote",  3, W | CHANGE,                                   NO_KEYS,  cmd_raft_change, words_raft_change},
    {"raft.node|remove",  -3, W | CHANGE,                                   NO_KEYS,  cmd_raft_change, words_raft_change},
    {"raft.node|replace", -3, W | CHANGE,                                   NO_KEYS,  cmd_raft_change, words_raft_change},
    {"raft.transfer_leader", -1, W | CHANGE,                                NO_KEYS,  cmd_raft_change, words_raft_change},
    {"raft.status",        1, L | META | CMD_PURE,                          NO_KEYS,  cmd_raft_status},
    {"raft.watch",        -3, L | META,                          NO_KEYS,  cmd_raft_watch, words_raft_watch},
    {"raft.unwatch",       1, L | META,                          NO_KEYS,  cmd_raft_unwatch},
    {"cluster",           -2, L | CMD_PURE,                           NO_KEYS,  cmd_cluster},

    /* Made by members: the last rows. */
    {JOIN_NAME,            5, W | CMD_INTERNAL | CMD_SKIP_SLOWLOG | SINCE_5, NO_KEYS, cmd_raft_change, words_raft_change},
    {NAME_NAME,            3, W | CMD_INTERNAL | CMD_SKIP_SLOWLOG | SINCE_5, NO_KEYS, cmd_name, words_name},
    {COMPARE_NAME,         2, W | CMD_INTERNAL | CMD_SKIP_SLOWLOG | SINCE_5, NO_KEYS, cmd_compare, words_compare},
    {COMPARED_NAME,        8, W | CMD_INTERNAL | CMD_SKIP_SLOWLOG | SINCE_5, NO_KEYS, cmd_compared, words_compared},
    {POSITION_NAME,        1, R | CMD_INTERNAL | CMD_SKIP_SLOWLOG | SINCE_5, NO_KEYS, cmd_position},
    {WAIT_NAME,            3, R | CMD_INTERNAL | CMD_SKIP_SLOWLOG | CMD_BLOCKING | SINCE_5, NO_KEYS, cmd_acknowledged},
    {WAITAOF_NAME,         4, R | CMD_INTERNAL | CMD_SKIP_SLOWLOG | CMD_BLOCKING | SINCE_5, NO_KEYS, cmd_acknowledged_aof},
    {EXEC_NAME,           -2, R | W | CMD_INTERNAL | CMD_SKIP_SLOWLOG | SINCE_3, NO_KEYS,  cmd_exec, words_exec},
};
/* clang-format on */

const uint32_t command_rows_count = sizeof(command_rows) / sizeof(command_rows[0]);
