/* What the files of this directory share and nobody else needs: one function a command, and the
 * words that many of them answer. */
#ifndef COMMAND_COMMANDS_H
#define COMMAND_COMMANDS_H

#include "command/command.h"
#include "command/fields.h"

struct connection;

enum {
    /* Largest client id of ONCE. */
    ONCE_CLIENT_MAX = 128,
    /* A client that sent no ONCE for this long is forgotten, by the time in the log. */
    ONCE_RECEIPT_MS = 3600 * 1000,
    ONCE_EXPIRE_SLICE = 16,        /* connections looked at for that by each ONCE */
    COMMAND_MEANING_DATABASES = 2, /* the first that has databases beside 0 */
    COMMAND_MEANING_EXPIRY = 3,    /* and that has deadlines, */
    COMMAND_MEANING_FIELDS = 4,    /* also of fields of a hash, */
    COMMAND_MEANING_DIGEST = 4,    /* digests of strings, */
    COMMAND_MEANING_DRAWS = 4,     /* draws that do not begin anew in each slice, */
    COMMAND_MEANING_PAGES = 4,     /* and strings in pages, */
    COMMAND_MEANING_WAITS = 5,     /* commands that wait, */
    COMMAND_MEANING_WEIGHTS = 6,   /* Redis's weights that make no number, */
    COMMAND_MEANING_WHOLE = 6      /* and strings that are put into pages as a whole */
};

#define REDIS_VERSION "7.2.4" /* what clients that look at it are to expect */

#define ERROR_SYNTAX "ERR syntax error"
#define ERROR_REPLY_TOO_LARGE "ERR the reply is too large"
#define ERROR_DATABASE "ERR DB index is out of range"
#define ERROR_NOT_INTEGER "ERR value is not an integer or out of range"
#define ERROR_NOT_FLOAT "ERR value is not a valid float"
#define ERROR_TOO_LARGE "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define ERROR_OUT_OF_RANGE "ERR value is out of range"
#define ERROR_OVERFLOW "ERR increment or decrement would overflow"
#define ERROR_WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define ERROR_CLIENT_NAME "ERR Client names cannot contain spaces, newlines or special characters."
#define ERROR_NO_EXPIRY "ERR expiry options are not supported yet"

/* It is executed, or prepared, as an entry, whose result is the same on all nodes: not a read of
 * this one, though the command may be one. */
static inline bool call_is_of_entry(const struct call *call)
{
    return call->value_max > 0;
}

/* call.c.  Reads argv[i] as an integer; false: answered with the error. */
bool call_integer(struct call *call, uint32_t i, int64_t *value);
/* classify.c.  command_takes(), under the meaning of the call. */
bool call_has_arity(const struct call *call);
/* long.c.  An entry of these words may take long. */
bool command_may_take_long(const struct call *call);
/* exec.c.  The same of a transaction. */
bool command_exec_may_take_long(const struct call *call);
/* How many elements its commands walk over, about: see prepare.h. */
uint64_t command_exec_prepares(struct call *call);
void call_wrong_arity(struct call *call);
/* Answers with an error; returns false, for who was asked whether all is well. */
bool call_refuse(struct call *call, const char *error);
/* How much of a word Redis prints into an error: it takes words for C strings. */
int call_printed_size(struct bytes word);
/* Runs call->command, or a slice of it, before the eyes of the observer, who keeps in *took how
 * long it took so far. */
void command_execute(struct call *call, uint64_t *took);
/* The caller replies nothing and returns; when the command, which call->allows, has ended, the
 * caller is executed again, with its reply in call->carried (borrowed for that call). */
void call_carry(struct call *call, const struct command *command, const struct bytes *argv,
                uint32_t argc, int protocol);
/* db_get(), counted as a hit or a miss if the command is a read. */
enum db_type call_look(struct call *call, struct bytes key, struct bytes *value);
/* The hash or set at `key`, for fields_close(); counted as call_look() does.  False: it is of
 * another type, answered with the error. */
bool call_fields(struct call *call, struct bytes key, enum db_type type, struct fields *fields);
/* The string at `key`, borrowed until the next db_* call, empty if there is none; false: it is of
 * another type, answered with the error. */
bool call_get_string(struct call *call, struct bytes key, struct bytes *value, bool *exists);
/* db_find(), counted likewise; `payload` may be NULL. */
bool call_find(struct call *call, struct bytes key, struct db_record *found, struct bytes *payload);
/* call_find() of any type, but of a string in pages the payload is not collected; counted if this
 * is the first look of several. */
bool call_look_kept(struct call *call, struct bytes key, bool counts, struct db_record *found,
                    struct bytes *payload);
/* As call_get_string(), likewise, with all that is known of it; found->type DB_NONE: there is none.
 * See string_parts.h. */
bool call_find_kept(struct call *call, struct bytes key, struct db_record *found,
                    struct bytes *value);
/* Changes of keys in call->database, and the event that Redis's keyspace notifications have for
 * each. */
void call_put_string(struct call *call, struct bytes key, struct bytes value, const char *event);
/* The same for a string that was found, and keeps its deadline. */
void call_change_string(struct call *call, struct bytes key, const struct db_record *found,
                        struct bytes value, const char *event);
/* SET with a deadline; 0: with none. */
void call_put_until(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms);
/* To be said before its reply, by a command that would wait for what it did not find. */
void call_found_nothing(struct call *call);
bool call_delete(struct call *call, struct bytes key,
                 const char *event); /* false: there was none */
/* A command on any number of words does some at a time, so that the event loop gets its turn:
 *
 *     for (uint32_t i = call_slice(call, first); call_takes(call, i); i += step)
 *         ...
 *     if (call->walk->unfinished)
 *         return;
 *
 * takes: the word at `i` is there and may be done in this slice.  Whoever handles much data for a
 * word subtracts its bytes from walk->budget. */
uint32_t call_slice(struct call *call, uint32_t first);
bool call_takes(struct call *call, uint32_t i);
/* The same for a command that walks over something else than its words: it goes on while
 * walk->budget is above 0, and says itself whether it is unfinished. */
void call_begin_slice(struct call *call);
/* Of such a command, where each step is a look at a key or the like; false: unfinished, no more in
 * this slice. */
bool call_may_step(struct call *call);
/* Of a command that looks at all of its words before it does anything: whether they are right, from
 * `first` on, those at each `step`; walk->second_round says so from then on.  False: one is not,
 * which is_right() answered; or not all were looked at yet. */
bool call_checks_words(struct call *call, uint32_t first, uint32_t step,
                       bool (*is_right)(struct call *call, uint32_t i));
/* The same where the command is admitted, which takes no slices: those behind a slice's are looked
 * at when it is executed. */
bool call_admits_words(struct call *call, uint32_t first, uint32_t step,
                       bool (*is_right)(struct call *call, uint32_t i));
/* What a command read from all of its words, in its first slice, is kept for the others: to read a
 * million words again in each of some thousand slices takes minutes.  False: it is the first. */
bool call_kept(const struct call *call, void *kept, size_t size);
void call_keep(struct call *call, const void *kept, size_t size);
/* Of a read that collects the parts of its reply in walk->found: puts aside what is there.  False:
 * it is larger than wanted, or with `more` bytes too large; answered. */
bool call_keeps_parts(struct call *call, size_t more);
/* A value into walk->found, or behind it. */
void call_add_part(struct call *call, struct bytes value, bool exists);
/* Bytes of a reply that are put together otherwise. */
void call_add_bytes(struct call *call, struct bytes bytes);
/* An array of `count` parts, of which all are there. */
void call_reply_parts(struct call *call, uint64_t count);
/* The same behind a header that the caller wrote. */
void call_end_parts(struct call *call);
void call_reply_value(struct reply *reply, struct bytes value, bool exists); /* bulk or null */
/* A reply that is kept as RESP3, which is well formed, in the caller's protocol. */
void call_reply_resp3(struct reply *reply, struct bytes resp3);
void call_reply_ok(struct reply *reply);
/* HELP of a container: a title line, `lines` (ended by NULL), and a line on HELP itself. */
void call_reply_help(struct call *call, const char *const *lines);

/* connection_command.c.  No blanks and control bytes, as CLIENT LIST demands. */
bool connection_is_word(struct bytes word);
void connection_set_word(char **field, struct bytes word); /* an empty word: NULL */

/* glob.c: Redis's patterns (* ? [a-z] [^a] \x). */
bool command_glob_match(struct bytes pattern, struct bytes text, bool ignore_case);

/* table.c */
extern const struct command command_rows[];
extern const uint32_t command_rows_count;

/* digest.c, msetex.c, lcs.c */
command_fn cmd_digest, cmd_msetex, cmd_lcs;
command_words_fn words_msetex;
/* hyperloglogs.c */
command_fn cmd_pfadd, cmd_pfcount, cmd_pfmerge;
/* strings.c */
command_fn cmd_get, cmd_set, cmd_setnx, cmd_getset, cmd_getdel, cmd_mget, cmd_mset, cmd_msetnx;
command_fn cmd_append, cmd_strlen, cmd_getrange, cmd_setrange;
command_words_fn words_set, words_pairs, words_setrange;
/* counters.c */
command_fn cmd_incr, cmd_incrby, cmd_decr, cmd_decrby, cmd_incrbyfloat;
command_words_fn words_incrby, words_decrby;
/* compare.c */
command_fn cmd_cas, cmd_cad, cmd_delex, cmd_delifeq;
command_words_fn words_cas, words_delex;
/* expiry.c */
enum expiry_form { EXPIRY_NONE, EXPIRY_EX, EXPIRY_PX, EXPIRY_EXAT, EXPIRY_PXAT };
struct expiry {
    enum expiry_form form;
    uint32_t at; /* of its number, in argv */
};
enum expiry_form call_expiry_form(struct bytes word);
enum { EXPIRY_IF_NONE = 1, EXPIRY_IF_SOME = 2, EXPIRY_IF_LATER = 4, EXPIRY_IF_EARLIER = 8 };
/* NX, XX, GT or LT; 0: another word. */
unsigned call_expiry_condition(struct bytes word);
/* Whether the new deadline may take the place of the present one; 0: none, which counts as one that
 * never comes. */
bool call_expiry_holds(unsigned conditions, int64_t present_ms, int64_t deadline_ms);
/* Takes EX, PX, EXAT or PXAT at argv[*i], and its operand; false: there is none, or it does not
 * agree with what was there before. */
bool call_take_expiry(struct call *call, struct expiry *expiry, uint32_t *i);
/* Unix milliseconds, 0 for EXPIRY_NONE; false: answered.  Before the time of the execution is
 * known, call->now_ms is 0. */
bool call_deadline(struct call *call, const struct expiry *expiry, int64_t *deadline_ms);
extern const struct command command_tick;
command_fn cmd_expire, cmd_pexpire, cmd_expireat, cmd_pexpireat, cmd_persist;
command_fn cmd_ttl, cmd_pttl, cmd_expiretime, cmd_pexpiretime, cmd_setex, cmd_psetex, cmd_getex;
command_words_fn words_expire, words_pexpire, words_expireat, words_pexpireat, words_setex,
    words_psetex, words_getex;
/* keys.c */
command_fn cmd_del, cmd_exists, cmd_type, cmd_keys, cmd_scan, cmd_randomkey, cmd_rename;
command_fn cmd_renamenx, cmd_flushdb, cmd_flushall, cmd_dbsize;
command_words_fn words_flush;
/* hashes.c */
command_fn cmd_hset, cmd_hmset, cmd_hsetnx, cmd_hget, cmd_hmget, cmd_hdel, cmd_hlen, cmd_hexists;
command_fn cmd_hkeys, cmd_hvals, cmd_hgetall, cmd_hincrby, cmd_hincrbyfloat, cmd_hstrlen;
command_fn cmd_hscan, cmd_hrandfield;
command_words_fn words_hset, words_hincrby, words_hincrbyfloat;
/* hash_expiry.c */
command_fn cmd_hexpire, cmd_hpexpire, cmd_hexpireat, cmd_hpexpireat, cmd_hpersist;
command_fn cmd_httl, cmd_hpttl, cmd_hexpiretime, cmd_hpexpiretime;
command_fn cmd_hgetex, cmd_hsetex, cmd_hgetdel;
/* Of one that is prepared: its deadline is given, not counted from the entry's time on, and the
 * hash has room for deadlines. */
bool command_fields_may_prepare(struct call *call);
/* sets.c.  Of SPOP: how many members it takes out of a large set; 0: one, or few. */
uint64_t command_pop_size(struct call *call);
command_words_fn words_hexpire, words_hpexpire, words_hexpireat, words_hpexpireat, words_hpersist,
    words_hgetex, words_hsetex;
/* sets.c */
command_fn cmd_sadd, cmd_srem, cmd_smove, cmd_spop, cmd_sismember, cmd_smismember, cmd_scard;
command_fn cmd_smembers, cmd_sscan, cmd_srandmember;
command_words_fn words_spop;
/* set_operations.c */
command_fn cmd_sinter, cmd_sunion, cmd_sdiff, cmd_sinterstore, cmd_sunionstore, cmd_sdiffstore;
command_fn cmd_sintercard;
/* object.c */
command_fn cmd_object_encoding, cmd_object_refcount, cmd_object_idletime, cmd_object_freq;
command_fn cmd_object_help;
/* How Redis would hold what was found at the key argv[2]. */
const char *call_encoding(struct call *call, const struct db_record *found);
/* debug.c */
command_fn cmd_debug;
/* copy.c */
command_fn cmd_copy;
command_words_fn words_copy;
/* dump.c, restore.c */
command_fn cmd_dump, cmd_restore;
command_words_fn words_restore;
/* waiting.c */
command_words_fn words_bpop, words_blmove, words_brpoplpush, words_blmpop, words_bzmpop;
/* sort.c */
command_fn cmd_sort, cmd_sort_ro;
command_words_fn words_sort;
/* Whether a SORT leaves all as it is, so that SORT_RO says the same; wrong words do not. */
bool sort_is_read(const struct call *call);
/* memory_command.c */
command_fn cmd_memory_usage, cmd_memory_doctor, cmd_memory_malloc_stats, cmd_memory_purge;
command_fn cmd_memory_stats, cmd_memory_help;
command_fn cmd_slowlog_get, cmd_slowlog_len, cmd_slowlog_reset, cmd_slowlog_help;
command_fn cmd_latency_doctor, cmd_latency_graph, cmd_latency_help, cmd_latency_histogram;
command_fn cmd_latency_history, cmd_latency_latest, cmd_latency_reset;
/* lolwut.c, wait.c */
command_fn cmd_lolwut, cmd_wait, cmd_waitaof, cmd_acknowledged, cmd_acknowledged_aof;
bool command_wait_timeout(const struct command *command, const struct bytes *argv, uint32_t argc,
                          uint32_t *timeout);
/* databases.c */
command_fn cmd_select, cmd_swapdb, cmd_move;
command_words_fn words_swapdb, words_move;
/* classify.c.  As command_admit(), of a command that was found. */
bool command_admit_found(struct call *call);

/* multi.c.  COMMAND_OTHER: has nothing to do with transactions.  May set call->command. */
enum command_class command_classify_in_transaction(struct call *call,
                                                   struct connection *connection);
command_fn cmd_multi, cmd_discard, cmd_exec_alone, cmd_unwatch;
/* Of an EXEC that a client said with more words: answers, and ends the transaction. */
void command_refuse_exec(struct call *call);
/* receivers.c */
bool command_is_publish(const struct command *command);
/* messages.c */
command_fn cmd_publish, cmd_spublish, cmd_position, cmd_pubsub_channels, cmd_pubsub_numpat;
command_fn cmd_pubsub_numsub, cmd_pubsub_shardchannels, cmd_pubsub_shardnumsub, cmd_pubsub_help;
command_fn cmd_subscribe, cmd_psubscribe, cmd_ssubscribe;
command_fn cmd_unsubscribe, cmd_punsubscribe, cmd_sunsubscribe;
command_words_fn words_subscribe;
bool command_is_subscribe(const struct command *command);
/* RESP2's context of a subscriber.  False: answered. */
bool command_may_be_said(const struct connection *connection, struct call *call);
/* introspect.c: the keys among the words of a command, as COMMAND GETKEYS has them. */
typedef void command_key_fn(void *context, struct bytes key);
void command_each_key(const struct command *command, const struct bytes *argv, uint32_t argc,
                      command_key_fn *each, void *context);
/* multi.c: those of a read, or of the reads that EXEC will carry. */
void command_each_key_read(const struct connection *connection, const struct command *command,
                           const struct bytes *argv, uint32_t argc, command_key_fn *each,
                           void *context);
/* client_tracking.c */
command_fn cmd_client_tracking, cmd_client_caching, cmd_client_getredir, cmd_client_trackinginfo;
/* monitor.c */
command_fn cmd_monitor;
/* What one who monitors may say.  False: answered. */
bool command_monitor_lets(const struct connection *connection, struct call *call);
/* watch_command.c */
command_fn cmd_raft_watch, cmd_raft_unwatch;
command_fn cmd_raft_check, cmd_compare, cmd_compared, cmd_name;
command_words_fn words_raft_check, words_compare, words_compared, words_name;
command_words_fn words_raft_watch, words_raft_change;
/* RESP2's context of a watching connection.  False: answered. */
bool command_watch_lets(const struct connection *connection, struct call *call);
/* exec.c */
command_fn cmd_watch, cmd_exec;
command_words_fn words_exec;
/* once.c */
command_fn cmd_once;
enum { ONCE_WORDS_BEFORE = 3 }; /* what it carries */
/* Whether ONCE, of these words, surely executes what it carries, on the present state. */
bool command_once_carries(struct db *db, const struct bytes *argv);
command_words_fn words_once;
/* connection_command.c */
command_fn cmd_ping, cmd_echo, cmd_quit, cmd_reset, cmd_hello, cmd_auth;
/* client_command.c */
command_fn cmd_client_id, cmd_client_setname, cmd_client_getname, cmd_client_setinfo;
command_fn cmd_client_info, cmd_client_list, cmd_client_kill, cmd_client_no_evict;
command_fn cmd_client_no_touch, cmd_client_reply, cmd_client_help, cmd_client_unblock;
command_fn cmd_client_pause, cmd_client_unpause;
/* config_command.c */
command_fn cmd_config_get, cmd_config_set, cmd_config_resetstat, cmd_config_rewrite;
command_fn cmd_config_help;
/* introspect.c */
command_fn cmd_command, cmd_command_count, cmd_command_info, cmd_command_docs, cmd_command_list;
command_fn cmd_command_getkeys, cmd_command_getkeysandflags, cmd_command_help;
/* info.c */
command_fn cmd_info, cmd_time, cmd_role;
/* raft_command.c */
command_fn cmd_raft_status, cmd_raft_change, cmd_cluster;

/* backup.c */
command_fn cmd_raft_backup, cmd_raft_snapshot_begin, cmd_raft_snapshot_chunk, cmd_raft_snapshot_end;

#endif
