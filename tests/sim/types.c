/* Clients of all types, with deadlines and transactions.  What their commands leave is not looked
 * at here: that every node's data, replies and effects are equal at every entry is checked for all
 * (checks_data.c). */
#include <inttypes.h>
#include <stdlib.h>

#include "base/blob.h"
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/exec_form.h"
#include "command/rdb.h"
#include "sim.h"

enum {
    WORKERS = 3,
    THINK_US = 60000,
    TIMEOUT_MS = 1500,
    WORDS_MAX = 300,
    SLICES = 9000,    /* bytes of a string that is put in several slices */
    TEXT_MAX = 20000, /* of the words of a command */
    MANY = 260,       /* words in place of '&': above all thresholds of the small forms */
    DATABASE = 4      /* and the one behind it */
};

/* Words with  # a digit below 4   ? a key of any type   $ a value   ~ a time in ms   & many words
 *             % what DUMP would give */
static const char *const writes[] = {
    "SET t# $ PX ~",
    "SET t# $ KEEPTTL",
    "SET t# $ EX 1",
    "GETEX t# PX ~",
    "GETEX t# PERSIST",
    "APPEND t# $",
    "SETRANGE t# 9# $",
    "SET t# $",
    "PEXPIRE ? ~",
    "PEXPIRE ? ~ NX",
    "PEXPIRE ? ~ GT",
    "EXPIRE ? 1",
    "PERSIST ?",
    "DEL ?",
    "UNLINK ? ?",
    "RENAME ? ?",
    "COPY ? ? REPLACE",
    "HSET h# f# $",
    "HSET h# &",
    "HINCRBY h# n# 3",
    "HDEL h# f#",
    "HSETNX h# f# $",
    "SADD s# $",
    "SADD s# &",
    "SADD s# # 1#",
    "SREM s# #",
    "SPOP s#",
    "SINTERSTORE s# s# s#",
    "SUNIONSTORE s# s# s#",
    "SDIFFSTORE s# s# s#",
    "SMOVE s# s# #",
    "RPUSH l# $",
    "LPUSH l# $ $",
    "RPUSH l# &",
    "LPOP l#",
    "LTRIM l# 0 20",
    "LREM l# 0 #",
    "LINSERT l# BEFORE # $",
    "LMOVE l# l# LEFT RIGHT",
    "ZADD z# # $",
    "ZADD z# &",
    "ZINCRBY z# 1.5 m#",
    "ZPOPMIN z#",
    "ZREMRANGEBYRANK z# 0 1",
    "ZADD z# GT 1# m#",
    "ZUNIONSTORE z# 2 z# s#",
    "ZINTERSTORE z# 2 z# s#",
    "ZRANGESTORE z# z# 1 -1",
    "SORT s# ALPHA DESC STORE l#",
    "XADD x# * f $",
    "XADD x# MAXLEN 20 * f $",
    "XTRIM x# MAXLEN 3",
    "SETBIT b# 1# 1",
    "BITOP OR b# b# b#",
    "PFADD p# $",
    "PFMERGE p# p# p#",
    "GEOADD g# 1# 2# m#",
    "HPEXPIRE h# ~ FIELDS 1 f#",
    "HPERSIST h# FIELDS 1 f#",
    "HGETDEL h# FIELDS 1 f#",
    "MSET t# $ t# $",
    "GETDEL t#",
    "SPOP s# #",
    "LMPOP 2 l# l# RIGHT COUNT 2",
    "ZMPOP 2 z# z# MAX",
    "BITFIELD b# INCRBY u7 1# 9",
    "SORT s# BY t* GET t* STORE l#",
    "SORT l# BY h*->f1 GET h*->n2 ALPHA STORE l#",
    "GEOSEARCHSTORE z# g# FROMLONLAT 15 25 BYRADIUS 900 km ASC",
    "GEORADIUS g# 12 21 500 km STOREDIST z#",
    "RESTORE ? 0 % REPLACE",
    "RESTORE ? ~ % REPLACE",
    "RESTORE ? 0 %",
    "MOVE ? 5",
};
/* Of one stream, whose entries have ids that others can name. */
static const char *const group_writes[] = {
    "XADD y0 7-* f $",
    "XADD y0 7-* f $",
    "XADD y0 7-* f $",
    "XGROUP CREATE y0 g0 0 MKSTREAM",
    "XGROUP SETID y0 g0 #",
    "XGROUP DELCONSUMER y0 g0 c#",
    "XREADGROUP GROUP g0 c# COUNT 3 STREAMS y0 >",
    "XREADGROUP GROUP g0 c# NOACK STREAMS y0 >",
    "XACK y0 g0 7-0 7-1 7-# 7-1#",
    "XCLAIM y0 g0 c# 0 7-# 7-1#",
    "XAUTOCLAIM y0 g0 c# 0 0 COUNT 3",
    "XDEL y0 7-#",
    "XTRIM y0 MINID 7-#",
};
static const char *const reads[] = {
    "TTL ?",
    "PTTL ?",
    "TYPE ?",
    "EXISTS ?",
    "GET t#",
    "HGETALL h#",
    "SMEMBERS s#",
    "LRANGE l# 0 -1",
    "ZRANGE z# 0 -1 WITHSCORES",
    "XRANGE x# - +",
    "BITCOUNT b#",
    "PFCOUNT p#",
    "XINFO STREAM y0 FULL",
    "XPENDING y0 g0 - + 9",
    "DUMP ?",
};

struct filled {
    struct bytes argv[WORDS_MAX];
    uint32_t argc;
    struct buffer text; /* behind them; owned, never moved */
};

struct worker {
    bool busy;
    uint64_t token; /* of what is under way: a late answer to an earlier one is ignored */
    raft_node_id node;
};

struct ticket {
    struct worker *worker;
    uint64_t token;
};

static struct worker workers[WORKERS];
static bool stopped;

/* ---- words ------------------------------------------------------------------------------ */

static const char *some_value(void)
{
    static char value[SLICES + 1];
    unsigned size = sim_chance(100) ? sim_chance(50) ? SLICES : 220 : 1; /* large as a string */
    snprintf(value, sizeof value, "%0*u", size, (unsigned)sim_below(20));
    return value;
}

static void put(struct filled *words, const char *text)
{
    buffer_append(&words->text, text, strlen(text));
}

/* A string, a list, a set or a hash, small: kinds that are texts behind each other. */
static void put_payload(struct filled *words)
{
    static const enum rdb_kind kinds[] = {RDB_STRING, RDB_LIST, RDB_SET, RDB_HASH};
    enum rdb_kind kind = kinds[sim_below(sizeof kinds / sizeof kinds[0])];
    unsigned elements = 1 + (unsigned)sim_below(5);
    unsigned texts = kind == RDB_STRING ? 1 : kind == RDB_HASH ? 2 * elements : elements;
    struct buffer *out = &words->text;
    size_t from = out->size;
    rdb_write_kind(out, kind);
    if (kind != RDB_STRING)
        rdb_write_size(out, elements);
    for (unsigned i = 0; i < texts; i++) {
        char text[16];
        snprintf(text, sizeof text, "f%u", i);
        rdb_write_string(out, bytes_from_string(text));
    }
    rdb_write_footer(out, rdb_crc(0, bytes_of(out->data + from, out->size - from)));
}

static void put_filled(struct filled *words, char letter)
{
    char text[16];
    switch (letter) {
    case '#': snprintf(text, sizeof text, "%u", (unsigned)sim_below(4)); break;
    case '?':
        snprintf(text, sizeof text, "%c%u", "thslzxbpg"[sim_below(9)], (unsigned)sim_below(4));
        break;
    case '~': snprintf(text, sizeof text, "%u", 1 + (unsigned)sim_below(2000)); break;
    case '$': put(words, some_value()); return;
    case '%': put_payload(words); return;
    default: snprintf(text, sizeof text, "%c", letter); break;
    }
    put(words, text);
}

static void end_word(struct filled *words, size_t from)
{
    check(words->argc < WORDS_MAX && words->text.size <= TEXT_MAX);
    words->argv[words->argc++] = bytes_of(words->text.data + from, words->text.size - from);
}

/* Rising numbers, so wide that a list of them is a large one too. */
static void add_many(struct filled *words)
{
    unsigned first = (unsigned)sim_below(50);
    for (unsigned i = 0; i < MANY; i++) {
        char text[48];
        size_t from = words->text.size;
        snprintf(text, sizeof text, "%040u", first + i);
        put(words, text);
        end_word(words, from);
    }
}

static void fill(struct filled *words, const char *form)
{
    buffer_reserve(&words->text, TEXT_MAX);
    for (;;) {
        size_t from = words->text.size;
        if (*form == '&')
            add_many(words);
        else
            for (const char *at = form; *at && *at != ' '; at++)
                put_filled(words, *at);
        if (*form != '&')
            end_word(words, from);
        form += strcspn(form, " ");
        if (!*form)
            return;
        form++;
    }
}

static struct blob *encode(const char *form)
{
    struct filled words = {0};
    fill(&words, form);
    struct blob *command = command_encode(words.argv, words.argc);
    buffer_deinit(&words.text);
    return command;
}

static const char *some_form(const char *const *forms, size_t count)
{
    const char *form = forms[sim_below(count)];
    if (strchr(form, '&') && sim_chance(850)) /* they are long, and all data are compared */
        return "DEL ? ?";
    return form;
}

static const char *some_write(void)
{
    if (sim_chance(150))
        return some_form(group_writes, sizeof group_writes / sizeof group_writes[0]);
    return some_form(writes, sizeof writes / sizeof writes[0]);
}

static const char *some_read(void)
{
    return some_form(reads, sizeof reads / sizeof reads[0]);
}

struct blob *sim_types_write(void)
{
    return encode(some_write());
}

/* ---- transactions ------------------------------------------------------------------------- */

/* Where the caller knows the version: it is absent, or was once. */
static void add_watch(struct buffer *watches, uint8_t database)
{
    unsigned char head[EXEC_WATCH_SIZE] = {database};
    char key[3] = {"thslzxy"[sim_below(7)], (char)('0' + sim_below(4))};
    put_u64(head + 1, exec_version_absent);
    put_u32(head + 9, 2);
    buffer_append(watches, head, sizeof head);
    buffer_append(watches, key, 2);
}

static void add_element(struct buffer *element, uint8_t database, const char *form)
{
    char head[EXEC_HEAD_SIZE] = {EXEC_COMMAND, (char)database};
    struct blob *command = encode(form);
    buffer_append(element, head, sizeof head);
    buffer_append_bytes(element, blob_bytes(command));
    blob_release(command);
}

static struct blob *encode_exec(struct buffer *watches, struct buffer *elements, uint32_t count)
{
    struct bytes argv[8] = {bytes_from_string(EXEC_NAME), buffer_bytes(watches)};
    for (uint32_t i = 0; i < count; i++)
        argv[EXEC_WORDS_BEFORE + i] = buffer_bytes(&elements[i]);
    struct blob *exec = command_encode(argv, EXEC_WORDS_BEFORE + count);
    for (uint32_t i = 0; i < count; i++)
        buffer_deinit(&elements[i]);
    buffer_deinit(watches);
    return exec;
}

static struct blob *some_transaction(void)
{
    struct buffer watches = {0}, elements[4] = {{0}};
    uint32_t count = 1 + (uint32_t)sim_below(4);
    if (sim_chance(300))
        add_watch(&watches, DATABASE);
    for (uint32_t i = 0; i < count; i++)
        add_element(&elements[i], (uint8_t)(DATABASE + sim_below(2)),
                    sim_chance(700) ? some_write() : some_read());
    return encode_exec(&watches, elements, count);
}

/* ---- work --------------------------------------------------------------------------------- */

static void next_work(struct sim_node *node, void *data);

static void think(struct worker *worker)
{
    struct worker **data = memory_new(sizeof *data);
    *data = worker;
    sim_schedule(1 + (int64_t)sim_below(THINK_US), NULL, next_work, data);
}

static void finish(struct worker *worker, enum request_outcome outcome, struct bytes reply)
{
    worker->busy = false;
    worker->token++;
    sim.coverage.types_done += outcome == REQUEST_DONE && !sim_is_refused(outcome, reply);
    think(worker);
}

static void answered(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct ticket *ticket = context;
    /* An error may be a refusal before the log. */
    if (outcome == REQUEST_DONE && request->kind == REQUEST_WRITE &&
        *(const char *)reply.data != '-')
        sim_note_answered(blob_bytes(request->command));
    if (ticket->worker->token == ticket->token && ticket->worker->busy)
        finish(ticket->worker, outcome, reply);
    memory_free(ticket);
    request->context = NULL;
}

static void submit(struct worker *worker, struct sim_node *node, enum request_kind kind,
                   struct blob *command)
{
    struct ticket *ticket = memory_new(sizeof *ticket);
    *ticket = (struct ticket){worker, worker->token};
    uint64_t client = 2000000 + (uint64_t)(worker - workers);
    struct request *request = request_new(kind, 2, client, command, answered, ticket);
    request->database = (uint8_t)(DATABASE + sim_below(2));
    request->deadline_ms = sim_node_now_ms(node) + TIMEOUT_MS;
    if (kind == REQUEST_WRITE)
        sim_note_submitted(blob_bytes(request->command));
    worker->busy = true;
    worker->node = node->id;
    replica_submit(node->replica, request);
    sim_node_run(node);
}

static void next_work(struct sim_node *unused, void *data)
{
    struct worker *worker = *(struct worker **)data;
    struct sim_node *node = &sim.nodes[sim_below(sim.options.nodes)];
    (void)unused;
    memory_free(data);
    if (stopped)
        return;
    /* An older build's server knows none of these commands and lets none in. */
    if (!node->alive || node->paused || node->meaning_known < command_meaning_newest) {
        think(worker);
        return;
    }
    if (sim_chance(200))
        submit(worker, node, REQUEST_READ, encode(some_read()));
    else if (sim_chance(300))
        submit(worker, node, REQUEST_WRITE, some_transaction());
    else
        submit(worker, node, REQUEST_WRITE, encode(some_write()));
}

void sim_types_start(void)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        think(&workers[i]);
}

/* Its connections broke: what was asked there has an unknown outcome. */
void sim_types_node_gone(struct sim_node *node)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        if (workers[i].busy && workers[i].node == node->id)
            finish(&workers[i], REQUEST_UNKNOWN, bytes_of(NULL, 0));
}

void sim_types_stop(void)
{
    stopped = true;
}
