/* Random commands of all kinds, alone, in transactions and carried by ONCE, on few keys, in two
 * worlds: in the one each is prepared before, in slices, while others' commands come and time
 * passes.  After each both have answered, told and hold the same.
 *
 * PREPARE_SEED and PREPARE_ROUNDS say which and how many, for a longer run: make soak-prepare. */
#include <stdlib.h>

#include "command/observer.h"
#include "two_worlds.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { ROUNDS = 8 };
#else
enum { ROUNDS = 24 }; /* of their own seeds */
#endif
enum {
    STEPS = 60,
    WORDS_MAX = 1024,
    CARRIED_MAX = 10,
    OTHERS_UNTIL = 60, /* calls; a large preparation would never end */
    CHANGES_MAX = 20000,
    MANY = 150, /* more than a small collection has */
    LARGE = 1100000,
    PLAIN = 100000
};

static uint64_t seed; /* of the draws */
static char large[LARGE], plain[PLAIN];
static unsigned used, prepared, committed, restated;

static uint64_t draw(uint64_t below)
{
    return prng_next(&seed) % below;
}

/* ---- commands ----------------------------------------------------------------------------- */

/* One that is said: its words, and their text. */
struct said {
    struct buffer text;
    struct bytes argv[WORDS_MAX];
    uint32_t argc;
};

/* In a template % is for: s z h l t x p g  a key that mostly has a set, sorted set, hash, list,
 * string, stream, HyperLogLog, places; k any key; n a number, r a rank, m a member, d a duration;
 * M S P K  many members, scores with members, pairs, keys; L Q  a word that is put into pages, and
 * one that is only when it is changed; B many bit fields; c a client, i a number that grows. */
/* clang-format off */
static const char *const carried[] = {
    "SET %k %m", "SET %k %n", "GET %k", "SETNX %k %n", "GETSET %k %m", "STRLEN %t", "INCR %t",
    "DECR %t", "INCRBY %t %n", "DECRBY %t %n", "APPEND %t %m", "APPEND %t %Q", "SET %t %L",
    "SET %t %Q", "MSET %K", "MSETNX %K", "MSET %t %m %t %L", "MSETNX %k 1 %k 2", "DEL %k %k",
    "UNLINK %k", "EXISTS %k %k", "TYPE %k", "COPY %k %k", "COPY %k %k REPLACE", "COPY %s %s REPLACE",
    "COPY %h %h REPLACE", "COPY %t %t REPLACE", "COPY %z %z REPLACE", "COPY %l %l REPLACE",
    "SADD %s %M", "SADD %s %m", "SREM %s %M", "SREM %s %m %m", "SISMEMBER %s %m", "SCARD %s",
    "SUNIONSTORE %s %s %s", "SINTERSTORE %s %s %s", "SDIFFSTORE %s %s %s", "SUNIONSTORE %s %k %s",
    "HSET %h %P", "HSET %h %m %n", "HMSET %h %m 1 %m 2", "HGET %h %m", "HDEL %h %m %m", "HDEL %h %M",
    "HLEN %h", "HSETNX %h %m %n", "HINCRBY %h %m %n", "ZADD %z %S", "ZADD %z %n %m",
    "ZADD %z GT CH %n %m %n %m", "ZADD %z NX %S", "ZADD %z XX INCR %n %m", "ZREM %z %m %m",
    "ZREM %z %M", "ZINCRBY %z %n %m", "ZSCORE %z %m", "ZCARD %z", "ZUNIONSTORE %z 2 %z %z",
    "ZINTERSTORE %z 2 %z %s AGGREGATE MAX", "ZDIFFSTORE %z 2 %z %z", "ZUNIONSTORE %z 2 %z %k WEIGHTS 2 3",
    "ZRANGESTORE %z %z %r %r", "ZRANGESTORE %z %z (%n %n BYSCORE", "ZREMRANGEBYRANK %z %r %r",
    "ZREMRANGEBYSCORE %z %n %n", "ZREMRANGEBYLEX %z [m:1 [m:2", "RPUSH %l %M", "LPUSH %l %M",
    "RPUSH %l %m", "LPUSH %l %m %m", "LPUSHX %l %m", "RPUSHX %l %m", "LPOP %l", "RPOP %l %n",
    "LPOP %l %n", "LLEN %l", "LINDEX %l %r", "LREM %l %r %m", "LINSERT %l BEFORE %m %m",
    "LINSERT %l AFTER %m %m", "LTRIM %l %r %r", "BITOP NOT %t %t", "BITOP XOR %t %t %t",
    "BITOP AND %t %t %k", "PFADD %p %M", "PFADD %p %m", "PFADD %t %m", "GEOADD %g 1.5 2.5 %m",
    "GEOADD %g CH %n 1 %m %n 2 %m", "PING", "ECHO %m",
    "SELECT 0"};

static const char *const others[] = {
    "SET %t %m EX 5", "SET %t %n KEEPTTL", "SET %t %n GET", "SETEX %t 3 %m", "GETEX %t PX %d",
    "GETDEL %t", "SETRANGE %t 70000 abc", "SETRANGE %t %n x", "INCRBYFLOAT %t 0.5", "SETBIT %t 7 1",
    "SETBIT %t 3000000 1", "BITFIELD %t INCRBY u8 0 0", "BITFIELD %t SET u8 %n 0", "GETRANGE %t 0 9",
    "PFMERGE %p %p %t", "PFCOUNT %p %p", "HEXPIRE %h 2 FIELDS 2 %m %m",
    "HPEXPIRE %h %d FIELDS 1 %m", "HPERSIST %h FIELDS 1 %m", "HGETEX %h PX %d FIELDS 1 %m",
    "HSETEX %h PX %d FIELDS 1 %m x", "HGETDEL %h FIELDS 1 %m", "HINCRBYFLOAT %h %m 0.5",
    "HGETALL %h", "SPOP %s", "SPOP %s %n", "SMOVE %s %s %m", "SMEMBERS %s", "SRANDMEMBER %s",
    "LSET %l %r %m", "LMOVE %l %l LEFT RIGHT", "RPOPLPUSH %l %l", "LRANGE %l 0 -1", "LMPOP 2 %l %l LEFT",
    "ZPOPMIN %z", "ZPOPMAX %z %n", "ZMPOP 1 %z MIN COUNT 3", "ZRANGE %z 0 -1 WITHSCORES",
    "GEOSEARCHSTORE %g %g FROMLONLAT 1 2 BYRADIUS 9000 km", "SORT %l ALPHA STORE %l",
    "SORT %s BY %t GET # STORE %l", "XADD %x * f %m", "XADD %x MAXLEN 5 * f v", "XTRIM %x MAXLEN 3",
    "XGROUP CREATE %x g 0 MKSTREAM", "XREADGROUP GROUP g c COUNT 2 STREAMS %x >", "XLEN %x",
    "XAUTOCLAIM %x g c2 0 0", "XGROUP DESTROY %x g", "XGROUP CREATECONSUMER %x g c3",
    "XSETID %x 9999999999999-0", "RENAME %k %k", "RENAMENX %k %k", "PEXPIRE %k %d", "PEXPIRE %h %d",
    "PEXPIRE %s %d", "PEXPIRE %z %d", "PEXPIRE %l %d", "PEXPIRE %t %d", "PEXPIRE %k %d",
    "EXPIRE %k 0", "PERSIST %k", "TTL %k", "MOVE %k 1", "SELECT 1", "SWAPDB 0 1", "SWAPDB 1 2", "FLUSHDB",
    "COPY %k %k DB 1", "DBSIZE", "RANDOMKEY", "SCAN 0 COUNT 100", "DUMP %k", "OBJECT ENCODING %k",
    "CAS %t %n %m", "DELEX %t IFEQ %n", "MSETEX 2 %t 1 %t 2 PX %d", "PUBLISH ch %m",
    "EVAL return(redis.call('incr',KEYS[1])) 1 %t", "EVAL redis.call('sadd',KEYS[1],1)return(nofunction()) 1 %s"};

/* What depends on what its entry is stamped with, or on more than the words. */
static const char *const stamped[] = {
    "HEXPIRE %h 2 %F", "HPEXPIRE %h %d %F", "HEXPIRE %h 3 GT %F", "HPEXPIRE %h %d NX %F",
    "HPEXPIRE %h 0 %F", "HGETEX %h EX 2 %F", "HGETEX %h PX %d %F", "HGETEX %h PERSIST %F",
    "HSETEX %h PX %d %V", "HSETEX %h EX 2 %V", "HSETEX %h FNX PX %d %V", "HGETDEL %h %F",
    "SPOP %s %N", "SPOP %s %N", "ZPOPMIN %z %N", "ZPOPMAX %z %N", "ZMPOP 2 %z %z MAX COUNT %N",
    "LPOP %l %N", "RPOP %l %N", "LMPOP 2 %l %l RIGHT COUNT %N", "XAUTOCLAIM %x g c3 %n 0 COUNT %N",
    "XREADGROUP GROUP g c COUNT %N STREAMS %x >", "XREADGROUP GROUP g c NOACK COUNT %N STREAMS %x >",
    "XREADGROUP GROUP g c COUNT %N STREAMS %x 0", "XREADGROUP GROUP g c3 STREAMS %x 0", "BITFIELD %t %B",
    "EVAL return{#KEYS,#ARGV,redis.call('incr',KEYS[1])} 1 %t %F", "XADD %x MAXLEN %r * %P",
    "XGROUP DESTROY %x g", "XGROUP DELCONSUMER %x g c", "XGROUP DELCONSUMER %x g c3"};

/* Where it stands for any of those that are carried; a tab is no space. */
static const char *const scripts[] = {
    "EVAL return\tredis.call(unpack(ARGV)) 0 ",
    "EVAL local\tr={}for\ti=1,7\tdo\tr[i]=redis.pcall(unpack(ARGV))end\treturn\tr 0 ",
    "EVAL redis.pcall('incr','t0')redis.pcall('sadd','s1',1)local\tr=redis.pcall(unpack(ARGV))return{redis.pcall('scard','s1'),r} 0 ",
    "EVAL redis.pcall('del','k')redis.pcall('copy','h0','h1','replace')redis.pcall(unpack(ARGV))redis.pcall('hset','h1','m:1','s')return\tredis.pcall('hlen','h1') 0 ",
    "EVAL redis.setresp(3)local\tr={redis.pcall(unpack(ARGV)),redis.pcall('del','t1','s0','h2'),redis.pcall('set','t1',7)}return\tr 0 ",
    "EVAL redis.pcall('incr','t0')redis.pcall('rpush','l0',1,2)redis.pcall(unpack(ARGV))return\tnofunction() 0 "};
/* clang-format on */

/* ---- what is counted ---------------------------------------------------------------------- */

enum { KINDS_MAX = 512 };

struct counts {
    struct command_observer observer; /* first */
    struct kind {
        const struct command *command;
        uint64_t calls, failed;
    } kinds[KINDS_MAX]; /* by a hash */
};

static struct counts counts[2];

static struct kind *kind_of(struct counts *of, const struct command *command)
{
    size_t i = (uintptr_t)command / sizeof *command % KINDS_MAX;
    while (of->kinds[i].command && of->kinds[i].command != command)
        i = (i + 1) % KINDS_MAX;
    of->kinds[i].command = command;
    return &of->kinds[i];
}

static void count(struct command_observer *observer, const struct command *command, uint64_t calls,
                  uint64_t failed)
{
    struct kind *kind = kind_of((struct counts *)observer, command);
    kind->calls += calls;
    kind->failed += failed;
}

static void begin(struct command_observer *observer)
{
    (void)observer;
}

static void end(struct command_observer *observer, const struct call *call, uint64_t *took,
                bool finished, bool failed)
{
    (void)took;
    count(observer, call->command, finished, finished && failed);
}

static void compare_counts(void)
{
    for (unsigned i = 0; i < KINDS_MAX; i++) {
        const struct kind *kind = &counts[1].kinds[i], *there;
        if (!kind->command)
            continue;
        there = kind_of(&counts[0], kind->command);
        if (kind->calls != there->calls || kind->failed != there->failed)
            fail_msg("%s is not counted alike", kind->command->name);
    }
    assert_int_equal(counts[0].observer.keyspace_hits, counts[1].observer.keyspace_hits);
    assert_int_equal(counts[0].observer.keyspace_misses, counts[1].observer.keyspace_misses);
}

/* ---- what is said ------------------------------------------------------------------------- */

static void add_key(struct buffer *text, char kind)
{
    static const char kinds[] = "szhltxpg";
    if (kind == 'k' || draw(12) == 0)
        kind = kinds[draw(sizeof kinds - 1)];
    buffer_printf(text, "%c%d", kind, (int)draw(3));
}

static void add_many(struct buffer *text, char kind)
{
    unsigned first = (unsigned)draw(200), count = draw(3) ? MANY : 1 + (unsigned)draw(20);
    for (unsigned i = first; i < first + count; i++) {
        if (kind == 'K')
            add_key(text, 'k');
        else
            buffer_printf(text, kind == 'S' ? "%u m:%u" : "m:%u", i, i);
        if (kind == 'P' || kind == 'K')
            buffer_printf(text, " v%u", i);
        buffer_printf(text, " ");
        if (kind == 'K' && i > first + 70)
            break;
    }
    text->size--;
}

/* So many that it is long. */
static void add_fields(struct buffer *text, bool has_values)
{
    unsigned first = (unsigned)draw(200), count = 250 + (unsigned)draw(20);
    buffer_printf(text, "FIELDS %u", count);
    for (unsigned i = first; i < first + count; i++)
        buffer_printf(text, has_values ? " m:%u v" : " m:%u", i);
}

static void expand(struct buffer *text, char what)
{
    static unsigned growing;
    switch (what) {
    case 'N': buffer_printf(text, "%u", 240 + (unsigned)draw(200)); break; /* most are long */
    case 'F':
    case 'V': add_fields(text, what == 'V'); break;
    case 'n': buffer_printf(text, "%u", (unsigned)draw(200)); break;
    case 'r': buffer_printf(text, "%d", (int)draw(300) - 100); break;
    case 'm': buffer_printf(text, "m:%u", (unsigned)draw(300)); break;
    case 'd': buffer_printf(text, "%u", 1 + (unsigned)draw(3000)); break;
    case 'c': buffer_printf(text, "client%u", (unsigned)draw(2)); break;
    case 'i': buffer_printf(text, "%u", ++growing - (unsigned)(draw(10) == 0)); break;
    case 'B':
        for (unsigned i = 0; i < 64; i++)
            buffer_printf(text, i ? " SET u8 %u %u" : "SET u8 %u %u", (unsigned)draw(9000), i);
        break;
    case 'L':
    case 'Q': buffer_printf(text, "\1%c", what); break;
    case 'M':
    case 'S':
    case 'P':
    case 'K': add_many(text, what); break;
    default: add_key(text, what);
    }
}

static void take_apart(struct said *said)
{
    char *at = said->text.data;
    said->argc = 0;
    for (char *word = strtok(at, " "); word; word = strtok(NULL, " ")) {
        assert_true(said->argc < WORDS_MAX);
        said->argv[said->argc++] = *word != 1       ? bytes_from_string(word)
                                   : word[1] == 'L' ? bytes_of(large, sizeof large)
                                                    : bytes_of(plain, sizeof plain);
    }
}

static void say(struct said *said, const char *before, const char *template)
{
    const char *parts[] = {before, template};
    buffer_clear(&said->text);
    for (unsigned i = 0; i < 2; i++)
        for (const char *at = parts[i]; *at; at++)
            if (*at == '%')
                expand(&said->text, *++at);
            else
                buffer_append_byte(&said->text, *at);
    buffer_append_byte(&said->text, '\0');
    take_apart(said);
}

static const char *any(void)
{
    return draw(8) ? carried[draw(sizeof carried / sizeof carried[0])]
                   : others[draw(sizeof others / sizeof others[0])];
}

static void print(const struct said *said)
{
    for (uint32_t i = 0; i < said->argc && i < 12; i++)
        print_error("%.*s ", said->argv[i].size < 40 ? (int)said->argv[i].size : 7,
                    (const char *)said->argv[i].data);
    print_error(said->argc > 12 ? "...\n" : "\n");
}

/* ---- both worlds -------------------------------------------------------------------------- */

static bool is_told; /* print all that is said */

/* The reply is that of both. */
static struct bytes run(const struct said *said)
{
    struct world *both[] = {&one, &other};
    struct bytes replies[2];
    if (is_told)
        print(said);
    for (unsigned i = 0; i < 2; i++) {
        buffer_clear(&both[i]->connection.out.bytes);
        world_run(both[i], said->argv, said->argc);
        replies[i] = buffer_bytes(&both[i]->connection.out.bytes);
    }
    if (!bytes_equal(replies[0], replies[1])) {
        print(said);
        fail_msg("the replies differ: %.*s and %.*s", (int)(replies[0].size % 2000),
                 (const char *)replies[0].data, (int)(replies[1].size % 2000),
                 (const char *)replies[1].data);
    }
    return replies[0];
}

/* As another client: this one's transaction stays open. */
static void run_aside(const struct said *said)
{
    struct connection *mine = &one.connection, *its = &other.connection;
    struct transaction kept = mine->transaction, kept_there = its->transaction;
    uint8_t database = mine->database;
    mine->transaction = its->transaction = (struct transaction){0};
    (void)run(said);
    transaction_end(&mine->transaction);
    transaction_end(&its->transaction);
    mine->transaction = kept;
    its->transaction = kept_there;
    mine->database = its->database = database;
}

static void line(const char *text)
{
    struct said said = {0};
    say(&said, text, "");
    (void)run(&said);
    buffer_deinit(&said.text);
}

static void tick(void)
{
    struct world *both[] = {&one, &other};
    for (unsigned i = 0; i < 2; i++) {
        struct blob *tick = both[i]->machine->ops->tick(both[i]->machine);
        struct buffer reply = {0};
        world_apply(both[i], blob_bytes(tick), &reply);
        buffer_deinit(&reply);
        blob_release(tick);
    }
}

static void checkpoints(void)
{
    if (draw(4) == 0)
        db_checkpoint(one.db);
    if (draw(4) == 0)
        db_checkpoint(other.db);
}

/* What comes while something is prepared. */
static void meanwhile(void)
{
    struct said said = {0};
    if (draw(3) == 0) {
        say(&said, "", any());
        run_aside(&said);
    }
    if (draw(4) == 0)
        one.now_ms = other.now_ms += (int64_t)draw(1500);
    if (draw(12) == 0)
        tick();
    checkpoints();
    buffer_deinit(&said.text);
}

/* ---- one step ----------------------------------------------------------------------------- */

static struct blob *encode(const struct said *said)
{
    const struct bytes *last = &said->argv[said->argc - 1];
    if (bytes_is(*last, "exec"))
        return transaction_encode(&one.connection.transaction, said->argv, said->argc - 1);
    return command_encode(said->argv, said->argc);
}

static void prepare(const struct said *said)
{
    const struct state_machine_ops *ops = one.machine->ops;
    struct apply_context context = context_now();
    struct blob *encoded = encode(said);
    enum preparing step = PREPARING_NOT_NOW;
    unsigned calls = 0, quiet = draw(2) ? 20 : 5; /* calls for each that is followed by others */
    if (ops->prepares(one.machine, &context, blob_bytes(encoded)))
        while ((step == PREPARING_MORE || step == PREPARING_NOT_NOW) && calls < PREPARE_CALLS_MAX) {
            context.now_ms = one.now_ms;
            step = ops->prepare(one.machine, &context, encoded);
            if (calls++ < OTHERS_UNTIL && draw(quiet) == 0)
                meanwhile();
        }
    prepared += calls > 0;
    blob_release(encoded);
}

/* As it is proposed: what reckons with the time of its entry is said with another. */
static void run_proposed(const struct said *said)
{
    struct command_parts parts;
    struct buffer whole = {0};
    struct said other_words = {0};
    uint32_t capacity = 0;
    struct bytes *argv = NULL;
    if (!one.machine->ops->prepared_as(one.machine, 0, one.now_ms, &parts)) {
        (void)run(said);
        return;
    }
    for (uint32_t i = 0; i < parts.count; i++)
        buffer_append_bytes(&whole, parts.list[i]);
    bool is_right = command_decode(buffer_bytes(&whole), &argv, &other_words.argc, &capacity);
    assert_true(is_right && other_words.argc < WORDS_MAX);
    memcpy(other_words.argv, argv, other_words.argc * sizeof *argv);
    (void)run(&other_words);
    restated++;
    memory_free(argv);
    buffer_deinit(&whole);
}

static void execute(const struct said *said)
{
    uint64_t before = command_machine_prepared(one.machine);
    run_proposed(said);
    used += command_machine_prepared(one.machine) > before;
    assert_equal_worlds("what was said last");
    one.machine->ops->prepare_drop(one.machine);
}

/* In both worlds: how much a script may change, from next to nothing to more than most do. */
static void bound_changes(uint64_t most)
{
    one.db->changes_max = other.db->changes_max = most;
}

static void execute_alone(struct said *said)
{
    if (draw(3) == 0) {
        say(said, scripts[draw(sizeof scripts / sizeof scripts[0])], any());
        bound_changes(draw(CHANGES_MAX));
    } else {
        say(said, draw(3) ? "" : "ONCE %c %i ",
            draw(2) ? any() : stamped[draw(sizeof stamped / sizeof stamped[0])]);
    }
    prepare(said);
    meanwhile();
    execute(said);
    bound_changes(SAVEPOINT_BYTES_MAX);
}

/* False: one was refused before, and so will be all. */
static bool queue(struct said *said)
{
    unsigned count = 1 + (unsigned)draw(CARRIED_MAX);
    for (unsigned i = 0; i < count; i++) {
        say(said, "", draw(20) ? carried[draw(sizeof carried / sizeof carried[0])] : any());
        if (!bytes_equal(run(said), bytes_from_string("+QUEUED\r\n")))
            return false;
    }
    return true;
}

static void execute_transaction(struct said *said)
{
    if (draw(4) == 0) {
        say(said, "", draw(2) ? "WATCH %k" : "WATCH %x %t %h");
        (void)run(said);
        if (draw(6) == 0)
            meanwhile();
    }
    line("MULTI");
    if (!queue(said)) {
        line("DISCARD");
        return;
    }
    committed++;
    say(said, draw(3) ? "" : "ONCE %c %i ", "EXEC");
    prepare(said);
    if (draw(2))
        meanwhile();
    if (draw(16) == 0)
        one.connection.protocol = other.connection.protocol ^= 1;
    execute(said);
}

/* Versions, which nothing else tells. */
static void compare_versions(struct said *said)
{
    say(said, "", "WATCH s0 s1 s2 z0 z1 z2 h0 h1 h2 l0 l1 l2 t0 t1 t2 x0 x1 x2 p0 p1 p2 g0 g1 g2");
    (void)run(said);
    struct buffer *mine = &one.connection.transaction.watches;
    struct buffer *its = &other.connection.transaction.watches;
    assert_true(bytes_equal(buffer_bytes(mine), buffer_bytes(its)));
    line("UNWATCH");
    line("DBSIZE");
    compare_counts();
    assert_int_equal(db_due_ms(one.db) <= one.now_ms, db_due_ms(other.db) <= other.now_ms);
}

static void play(uint64_t with)
{
    struct said said = {0};
    seed = with;
    line("FLUSHALL");
    one.connection.protocol = other.connection.protocol = with % 2 ? 3 : 2;
    for (unsigned i = 0; i < STEPS; i++) {
        meanwhile();
        say(&said, "", draw(3) ? "PEXPIRE %k %d" : "HPEXPIRE %h %d FIELDS 1 %m");
        if (draw(3) == 0)
            (void)run(&said);
        if (draw(3) == 0)
            execute_alone(&said);
        else
            execute_transaction(&said);
        if (draw(4) == 0)
            compare_versions(&said);
    }
    assert_equal_worlds("the end");
    buffer_deinit(&said.text);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void what_is_prepared_does_the_same(void **state)
{
    uint64_t first = number_of("PREPARE_SEED", 1), rounds = number_of("PREPARE_ROUNDS", ROUNDS);
    (void)state;
    is_told = number_of("PREPARE_TELL", 0);
    memset(large, 'l', sizeof large);
    memset(plain, 'p', sizeof plain);
    command_machine_prepare_from(one.machine, 1);
    command_machine_long_from(one.machine, 0);
    one.seed = other.seed = SEED; /* that of what was prepared */
    for (uint64_t i = first; i < first + rounds; i++) {
        if (rounds > ROUNDS || is_told)
            print_message("seed %llu\n", (unsigned long long)i);
        play(i);
    }
    print_message("%u transactions; %u prepared, %u used, %u in other words\n", committed, prepared,
                  used, restated);
    assert_true(used * 4 > committed); /* else it compares what is not prepared */
    assert_true(rounds < ROUNDS || restated > 0);
}

static int set_up(void **state)
{
    (void)state;
    worlds_init();
    for (unsigned i = 0; i < 2; i++)
        counts[i] = (struct counts){.observer = {.begin = begin, .end = end, .carried = count}};
    command_machine_observe(one.machine, &counts[0].observer);
    command_machine_observe(other.machine, &counts[1].observer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_prepared_does_the_same, set_up, worlds_tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
