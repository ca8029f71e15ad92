/* DEBUG's harmless part (Redis 7.2 debug.c), for who says so with enable-debug-command.  It goes to
 * the leader as a read, whatever the subcommand; what concerns how Redis holds its data says OK and
 * does nothing.  Loop thread only. */
#include <stdio.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/key_digest.h"
#include "command/walk.h"
#include "resp/number.h"

enum { SECOND_MS = 1000, SLEEP_SECONDS_MAX = 24 * 3600 };

/* ---- digests --------------------------------------------------------------------------------- */

/* What is kept from slice to slice. */
struct digesting {
    struct key_digest key; /* of the one that is under way, */
    struct digest all;     /* and of all, and databases, before it */
    unsigned database;
    uint64_t cursor;     /* of the database's scan */
    bool is_scanned;     /* to its end */
    bool is_named;       /* the database is in `all` */
    struct buffer names; /* owned: of keys that were scanned, each with its size in front */
    size_t at;           /* in them: the key under way */
};

static void free_digesting(void *kept)
{
    struct digesting *digesting = kept;
    buffer_deinit(&digesting->names);
    memory_free(digesting);
}

static struct digesting *digesting_of(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (!walk->kept) {
        walk->kept = memory_new(sizeof(struct digesting));
        walk->kept_free = free_digesting;
    }
    return walk->kept;
}

static void reply_digest(struct reply *reply, const struct digest *digest)
{
    char text[2 * DIGEST_SIZE + 1];
    for (int i = 0; i < DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", digest->bytes[i]);
    reply_simple(reply, text);
}

static void note_name(void *context, struct bytes key, enum db_type type)
{
    (void)type;
    buffer_append(context, &key.size, sizeof key.size);
    buffer_append_bytes(context, key);
}

/* The next keys of the database, or those of the next database. */
static void scan(struct call *call, struct digesting *digesting)
{
    struct db_scan_limit limit = {
        .keys = WALK_SLICE, .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES};
    unsigned database = digesting->database;
    buffer_clear(&digesting->names);
    digesting->at = 0;
    digesting->cursor = call->view ? db_view_scan(call->view, database, digesting->cursor, limit,
                                                  note_name, &digesting->names)
                                   : db_scan(call->db, database, digesting->cursor, limit,
                                             note_name, &digesting->names);
    digesting->is_scanned = digesting->cursor == 0;
    if (digesting->names.size > 0 && !digesting->is_named) {
        digest_mix_number(&digesting->all, database);
        digesting->is_named = true;
    }
}

/* A slice of the key at `at`. */
static void add_key(struct call *call, struct digesting *digesting)
{
    size_t size;
    unsigned database = call->database;
    memcpy(&size, digesting->names.data + digesting->at, sizeof size);
    struct bytes key = bytes_of(digesting->names.data + digesting->at + sizeof size, size);
    if (!digesting->key.has_begun)
        digest_mix(&digesting->key.digest, key);
    call->database = digesting->database;
    bool is_complete = digest_key(call, key, &digesting->key);
    call->database = database;
    if (!is_complete)
        return;
    digest_xor(&digesting->all, bytes_of(digesting->key.digest.bytes, DIGEST_SIZE));
    digesting->key = (struct key_digest){0};
    digesting->at += sizeof size + size;
}

/* One step.  False: there is nothing more. */
static bool go_on(struct call *call, struct digesting *digesting)
{
    if (digesting->at < digesting->names.size) {
        add_key(call, digesting);
    } else if (!digesting->is_scanned) {
        scan(call, digesting);
    } else {
        digesting->is_scanned = digesting->is_named = false;
        return ++digesting->database < DB_DATABASES;
    }
    return true;
}

/* Of small keys; one that is large ends the slice. */
enum { STEPS_SLICE = 50 };

static void debug_digest(struct call *call)
{
    struct digesting *digesting = digesting_of(call);
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES;
    bool is_more = true;
    for (int i = 0; is_more && i < STEPS_SLICE && db_work(call->db) < work_end; i++) {
        is_more = go_on(call, digesting);
        if (digesting->key.has_begun)
            break;
    }
    call->walk->unfinished = is_more;
    if (!is_more)
        reply_digest(call->reply, &digesting->all);
}

static void debug_digest_value(struct call *call)
{
    struct digesting *digesting = digesting_of(call);
    struct reply found = {&call->walk->found, call->reply->protocol};
    uint32_t i = call_slice(call, 2);
    for (; call_takes(call, i); i++) {
        if (!call_keeps_parts(call, 0))
            return;
        if (!digest_key(call, call->argv[i], &digesting->key)) {
            call->walk->cursor = i;
            call->walk->unfinished = true;
            return;
        }
        reply_digest(&found, &digesting->key.digest);
        digesting->key = (struct key_digest){0};
    }
    if (!call->walk->unfinished)
        call_reply_parts(call, call->argc - 2);
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* Of an address in memory and of uses nothing is known; the length is what is stored in one piece
 * with the key. */
static void debug_object(struct call *call)
{
    struct db_record found;
    if (!db_find(call->db, call->view, call->database, call->argv[2], &found, NULL)) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    struct buffer text = {0};
    buffer_printf(&text,
                  "Value at:0x0 refcount:1 encoding:%s serializedlength:%llu lru:0 "
                  "lru_seconds_idle:0",
                  call_encoding(call, &found), (unsigned long long)found.size);
    buffer_append_byte(&text, '\0');
    reply_simple(call->reply, text.data);
    buffer_deinit(&text);
}

static void debug_listpack(struct call *call)
{
    struct db_record found;
    if (!db_find(call->db, call->view, call->database, call->argv[2], &found, NULL))
        reply_error(call->reply, "ERR no such key");
    else if (strcmp(call_encoding(call, &found), "listpack") != 0)
        reply_error(call->reply, "ERR Not a listpack encoded object.");
    else
        reply_simple(call->reply, "Listpack structure printed on stdout");
}

static void reply_numbers(struct reply *reply)
{
    for (int i = 0; i < 3; i++)
        reply_integer(reply, i);
}

static void reply_resp3_only(struct reply *reply, struct bytes type)
{
    bool is_3 = reply->protocol >= 3;
    if (bytes_is(type, "attrib")) {
        if (is_3)
            reply_raw(reply, bytes_from_string("|1\r\n$14\r\nkey-popularity\r\n*2\r\n"
                                               "$7\r\nkey:123\r\n:90\r\n"));
        reply_bulk_string(reply, "Some real reply following the attribute");
    } else if (!is_3) {
        reply_error(reply, "ERR RESP2 is not supported by this command");
    } else {
        reply_raw(reply, bytes_from_string(">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"));
        reply_bulk_string(reply, "Some real reply following the push reply");
    }
}

/* False: it is none of these. */
static bool reply_single(struct reply *reply, struct bytes type)
{
    static const char bignum[] = "1234567999999999999999999999999999999";
    if (bytes_is(type, "string"))
        reply_bulk_string(reply, "Hello World");
    else if (bytes_is(type, "integer"))
        reply_integer(reply, 12345);
    else if (bytes_is(type, "double"))
        reply_double(reply, 3.141);
    else if (bytes_is(type, "null"))
        reply_null(reply);
    else if (bytes_is(type, "verbatim"))
        reply_verbatim(reply, bytes_from_string("This is a verbatim\nstring"));
    else if (bytes_is(type, "true") || bytes_is(type, "false"))
        reply_bool(reply, bytes_is(type, "true"));
    else if (bytes_is(type, "bignum") && reply->protocol < 3)
        reply_bulk_string(reply, bignum);
    else if (bytes_is(type, "bignum"))
        reply_raw(reply, bytes_from_string("(1234567999999999999999999999999999999\r\n"));
    else
        return false;
    return true;
}

static void debug_protocol(struct call *call)
{
    struct reply *reply = call->reply;
    struct bytes type = call->argv[2];
    if (reply_single(reply, type))
        return;
    if (bytes_is(type, "array")) {
        reply_array(reply, 3);
        reply_numbers(reply);
    } else if (bytes_is(type, "set")) {
        reply_set(reply, 3);
        reply_numbers(reply);
    } else if (bytes_is(type, "map")) {
        reply_map(reply, 3);
        for (int i = 0; i < 3; i++) {
            reply_integer(reply, i);
            reply_bool(reply, i == 1);
        }
    } else if (bytes_is(type, "attrib") || bytes_is(type, "push")) {
        reply_resp3_only(reply, type);
    } else {
        reply_error(reply, "ERR Wrong protocol type name. Please use one of the following: "
                           "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|"
                           "true|false");
    }
}

/* What is stored is what there is: nothing has to be read again.  And what is over is deleted by
 * entries, on all nodes or on none. */
static void debug_nothing(struct call *call)
{
    call_reply_ok(call->reply);
}

/* Its connection has slept before: net/client_pause.c. */
int64_t command_sleep_ms(const struct command *command, const struct bytes *argv, uint32_t argc)
{
    long double seconds = 0;
    bool sleeps = command->execute == cmd_debug && argc == 3 && bytes_is(argv[1], "sleep") &&
                  number_parse_long_double(argv[2], &seconds) && seconds > 0;
    if (!sleeps)
        return 0;
    return seconds < SLEEP_SECONDS_MAX ? (int64_t)(seconds * SECOND_MS)
                                       : SLEEP_SECONDS_MAX * SECOND_MS;
}

static void debug_help(struct call *call)
{
    static const char *const lines[] = {
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "LISTPACK <key>",
        "    Show low level info about the listpack encoding of <key>: here nothing.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Sets the threshold for elements to be inserted as plain vs packed nodes: no effect.",
        "RELOAD [option ...]",
        "    Does nothing: what is on disk is what there is.",
        "SET-ACTIVE-EXPIRE (0|1)",
        "    Does nothing: keys that are over are deleted by the log.",
        "SLEEP <seconds>",
        "    Answer after <seconds>. Decimals allowed. Nobody else waits.",
        NULL};
    call_reply_help(call, lines);
}

static const struct {
    const char *name;
    uint32_t words, words_max;
    void (*execute)(struct call *call);
} subcommands[] = {
    {"digest", 2, 2, debug_digest},
    {"digest-value", 2, UINT32_MAX, debug_digest_value},
    {"help", 2, 2, debug_help},
    {"listpack", 3, 3, debug_listpack},
    {"object", 3, 4, debug_object},
    {"protocol", 3, 3, debug_protocol},
    {"quicklist-packed-threshold", 3, 3, debug_nothing},
    {"reload", 2, UINT32_MAX, debug_nothing},
    {"set-active-expire", 3, 3, debug_nothing},
    {"sleep", 3, 3, debug_nothing},
};

void cmd_debug(struct call *call)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (bytes_is(call->argv[1], subcommands[i].name) && call->argc >= subcommands[i].words &&
            call->argc <= subcommands[i].words_max) {
            subcommands[i].execute(call);
            return;
        }
    reply_error(call->reply,
                "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                call_printed_size(call->argv[1]), (const char *)call->argv[1].data);
}
