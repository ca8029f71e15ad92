/* bench-commands: what commands on collections cost in the state machine alone, without network,
 * consensus and disk, beside SET and GET.
 *
 *     build/bench-commands [REQUESTS [ELEMENTS [ONLY]]]
 *
 * A hash, a set, a sorted set, a list and a stream of so many elements, then each command on them,
 * REQUESTS times; a write is one entry, as in the server.  Prints nanoseconds of the processor for
 * each, and behind each the hash of all that there is: two builds that execute alike have equal
 * ones.  ONLY: commands whose line contains it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "base/prng.h"
#include "base/rope.h"
#include "command/command.h"
#include "kv_memory.h"
#include "replica/replica.h"

enum { WORDS_MAX = 10, WORD_MAX = 32, HASH_SEED = 7 };

struct bench {
    struct db *db;
    struct state_machine *machine;
    uint64_t index;
    uint64_t dice;
    uint64_t elements, requests;
    struct buffer reply;
};

/* R: a number below ELEMENTS; N: one below a thousand times as much; M: the middle, M9: nine behind
 * it. */
static const struct {
    bool is_write;
    const char *line;
} commands[] = {
    {true, "SET key:R vvvvvvvvvvvvvvvv"},
    {false, "GET key:R"},
    {false, "HGET h f:R"},
    {true, "HSET h f:R value"},
    {true, "HSET h new:N value"},
    {false, "SISMEMBER s e:R"},
    {false, "SRANDMEMBER s"},
    {true, "SADD s new:N"},
    {false, "SRANDMEMBER s"},
    {true, "SPOP s"},
    {false, "ZSCORE z e:R"},
    {false, "ZRANK z e:R"},
    {true, "ZINCRBY z 1 e:R"},
    {false, "ZRANGE z M M9"},
    {false, "ZRANGEBYSCORE z M +inf LIMIT 0 10"},
    {true, "ZADD z R new:N"},
    {false, "ZRANK z e:R"},
    {true, "ZINCRBY z 1 e:R"},
    {false, "ZRANGEBYSCORE z M +inf LIMIT 0 10"},
    {true, "ZPOPMIN z"},
    {false, "LINDEX l M"},
    {false, "LRANGE l 0 99"},
    {true, "LPUSH l value"},
    {true, "LPOP l"},
    {true, "RPUSH l value"},
    {true, "RPOP l"},
    {false, "XRANGE x - + COUNT 10"},
    {true, "XADD x * field value"},
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One word of a line, as it is said this time. */
static struct bytes word_of(struct bench *bench, const char *from, size_t size, char *room)
{
    char last = from[size - 1];
    uint64_t number = 0, most = bench->elements;
    bool is_name = size > 1 && from[size - 2] == ':';
    if (from[0] == 'M' && size <= 2)
        return bytes_of(room, (size_t)snprintf(room, WORD_MAX, "%llu",
                                               (unsigned long long)(bench->elements / 2) +
                                                   (size == 2 ? 9 : 0)));
    if ((last != 'R' && last != 'N') || (size > 1 && !is_name))
        return bytes_of(from, size);
    number = prng_below(&bench->dice, last == 'N' ? 1000 * most : most);
    return bytes_of(room, (size_t)snprintf(room, WORD_MAX, "%.*s%012llu", (int)(size - 1), from,
                                           (unsigned long long)number));
}

static struct blob *encode(struct bench *bench, const char *line)
{
    struct bytes words[WORDS_MAX];
    char room[WORDS_MAX][WORD_MAX];
    uint32_t count = 0;
    while (*line) {
        size_t size = strcspn(line, " ");
        check(count < WORDS_MAX);
        words[count] = word_of(bench, line, size, room[count]);
        count++;
        line += size + (line[size] == ' ');
    }
    return command_encode(words, count);
}

static void execute(struct bench *bench, struct bytes command, bool is_write)
{
    struct apply_context context = {.pos = {1, bench->index + 1},
                                    .meaning = command_meaning_newest,
                                    .now_ms = (int64_t)(1000000 + bench->index),
                                    .seed = bench->index + 1};
    const struct state_machine_ops *ops = bench->machine->ops;
    void *reading = NULL;
    buffer_clear(&bench->reply);
    if (!is_write) {
        struct rope rest = {0};
        bool is_read =
            ops->read(bench->machine, &reading, &context, command, 2, &bench->reply, &rest);
        check(is_read);
        rope_deinit(&rest);
        return;
    }
    while (!ops->apply(bench->machine, &context, command, 2, &bench->reply))
        ;
    bench->index++;
    ops->applied(bench->machine, context.pos, context.now_ms, context.meaning);
}

/* The commands are made beforehand, some at a time. */
enum { BATCH = 1000 };

static double run(struct bench *bench, const char *line, bool is_write, uint64_t requests)
{
    struct blob *made[BATCH];
    double took = 0;
    for (uint64_t done = 0; done < requests;) {
        uint64_t count = requests - done < BATCH ? requests - done : BATCH;
        for (uint64_t i = 0; i < count; i++)
            made[i] = encode(bench, line);
        double begun = seconds();
        for (uint64_t i = 0; i < count; i++)
            execute(bench, blob_bytes(made[i]), is_write);
        took += seconds() - begun;
        for (uint64_t i = 0; i < count; i++)
            blob_release(made[i]);
        done += count;
    }
    return took;
}

static void load(struct bench *bench)
{
    char line[200];
    for (uint64_t i = 0; i < bench->elements; i++) {
        unsigned long long n = i;
        const char *forms[] = {"SET key:%012llu vvvvvvvvvvvvvvvv",
                               "HSET h f:%012llu value",
                               "SADD s e:%012llu",
                               "ZADD z %llu e:%012llu",
                               "RPUSH l element:%012llu",
                               "XADD x * field value"};
        for (unsigned form = 0; form < sizeof forms / sizeof *forms; form++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(line, sizeof line, forms[form], n, n);
#pragma GCC diagnostic pop
            run(bench, line, true, 1);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {.dice = 1, .requests = 100000, .elements = 1000};
    if (argc > 1)
        bench.requests = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        bench.elements = strtoull(argv[2], NULL, 10);
    struct kv *kv = kv_memory_open();
    struct db_options options = {.cluster = HASH_SEED, .checkpoint_bytes = 1 << 30};
    bench.db = db_open(kv, &options);
    bench.machine = command_machine_new(bench.db, command_meaning_newest);
    load(&bench);
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (argc > 3 && !strstr(commands[i].line, argv[3]))
            continue;
        double took = run(&bench, commands[i].line, commands[i].is_write, bench.requests);
        printf("%-36s %7.0f ns  %016llx\n", commands[i].line, took * 1e9 / (double)bench.requests,
               (unsigned long long)db_hash(bench.db));
        fflush(stdout);
    }
    buffer_deinit(&bench.reply);
    command_machine_free(bench.machine);
    db_close(bench.db);
    kv->ops->close(kv);
    return 0;
}
