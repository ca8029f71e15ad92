/* hiredis as Debian packages it (0.14, RESP2), its synchronous and its asynchronous interface (with
 * libevent), against a cluster in which a node dies.  See `run` for the words that are exchanged
 * with the runner.
 *
 * Every command comes from commands.json, as for the other clients. */
#include <adapters/libevent.h>
#include <async.h>
#include <event2/event.h>
#include <fcntl.h>
#include <hiredis.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WORDS_MAX = 16, PIPELINE = 500, ASYNC_CLIENTS = 8, ASYNC_EACH = 400, TEXT_SIZE = 4096 };

static int ports[9];
static const char *directory;

static void report(const char *name, const char *problem)
{
    if (problem && problem[0])
        printf("not ok %s: %s\n", name, problem);
    else
        printf("ok %s\n", name);
    fflush(stdout);
}

__attribute__((format(printf, 2, 3))) static void add_problem(char *problems, const char *format,
                                                              ...)
{
    size_t used = strlen(problems);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problems + used, TEXT_SIZE - used, format, arguments);
    va_end(arguments);
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static redisContext *try_connect(int port)
{
    struct timeval timeout = {.tv_sec = 10};
    redisContext *context = redisConnectWithTimeout("127.0.0.1", port, timeout);
    if (context && context->err == 0) {
        redisSetTimeout(context, timeout);
        return context;
    }
    redisFree(context);
    return NULL;
}

static redisContext *must_connect(int port)
{
    redisContext *context = try_connect(port);
    if (!context) {
        printf("not ok connect: port %d\n", port);
        exit(1);
    }
    return context;
}

/* ---- the table ---------------------------------------------------------------------------- */

static bool starts_with(const redisReply *reply, const char *text)
{
    return strncmp(reply->str, text, strlen(text)) == 0;
}

static bool matches(const json_t *expected, const redisReply *reply);

static bool matches_array(const json_t *expected, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != json_array_size(expected))
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (!matches(json_array_get(expected, i), reply->element[i]))
            return false;
    return true;
}

/* A map is a flat array in RESP2. */
static bool matches_map(const json_t *map, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 * json_object_size(map))
        return false;
    for (size_t i = 0; i < reply->elements; i += 2) {
        const char *value = json_string_value(json_object_get(map, reply->element[i]->str));
        if (!value || strcmp(value, reply->element[i + 1]->str) != 0)
            return false;
    }
    return true;
}

static bool matches_shape(const json_t *expected, const redisReply *reply)
{
    const char *text;
    if ((text = json_string_value(json_object_get(expected, "error"))))
        return reply->type == REDIS_REPLY_ERROR && starts_with(reply, text);
    if ((text = json_string_value(json_object_get(expected, "like"))))
        return reply->type == REDIS_REPLY_STRING && strstr(reply->str, text);
    if (json_object_get(expected, "map"))
        return matches_map(json_object_get(expected, "map"), reply);
    text = json_string_value(json_object_get(expected, "type"));
    if (strcmp(text, "string") == 0)
        return reply->type == REDIS_REPLY_STRING;
    if (strcmp(text, "integer") == 0)
        return reply->type == REDIS_REPLY_INTEGER;
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;
}

static bool matches(const json_t *expected, const redisReply *reply)
{
    switch (json_typeof(expected)) {
    case JSON_NULL: return reply->type == REDIS_REPLY_NIL;
    case JSON_INTEGER:
        return reply->type == REDIS_REPLY_INTEGER && reply->integer == json_integer_value(expected);
    case JSON_STRING:
        return (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) &&
               strcmp(reply->str, json_string_value(expected)) == 0;
    case JSON_ARRAY: return matches_array(expected, reply);
    case JSON_OBJECT: return matches_shape(expected, reply);
    case JSON_REAL:
    case JSON_TRUE:
    case JSON_FALSE: break;
    }
    return false;
}

static json_t *load_table(void)
{
    char path[1024];
    json_error_t error;
    snprintf(path, sizeof path, "%s/commands.json", directory);
    json_t *table = json_load_file(path, 0, &error);
    if (!table) {
        printf("not ok commands.json: %s, line %d\n", error.text, error.line);
        exit(1);
    }
    return table;
}

static int words_of(const json_t *row, const char *id, const char *words[WORDS_MAX])
{
    int count = (int)json_array_size(row);
    for (int i = 0; i < count; i++) {
        words[i] = json_string_value(json_array_get(row, (size_t)i));
        if (strcmp(words[i], "$ID") == 0)
            words[i] = id;
    }
    return count;
}

static void table_test(int port, const char *name)
{
    char problems[TEXT_SIZE] = "", title[100], id[100];
    json_t *table = load_table();
    redisContext *context = must_connect(port);
    snprintf(id, sizeof id, "hiredis-%d-%s", (int)getpid(), name);
    size_t at;
    json_t *row;
    json_array_foreach(table, at, row)
    {
        const char *words[WORDS_MAX];
        int count = words_of(json_array_get(row, 0), id, words);
        redisReply *reply = redisCommandArgv(context, count, words, NULL);
        if (!reply) {
            add_problem(problems, "%s: %s; ", words[0], context->errstr);
            break;
        }
        if (!matches(json_array_get(row, 1), reply)) {
            char *expected = json_dumps(json_array_get(row, 1), JSON_ENCODE_ANY);
            add_problem(problems, "%s %s: expected %s, got type %d %.100s (%lld); ", words[0],
                        count > 1 ? words[1] : "", expected, reply->type,
                        reply->str ? reply->str : "", reply->integer);
            free(expected);
        }
        freeReplyObject(reply);
    }
    redisFree(context);
    json_decref(table);
    snprintf(title, sizeof title, "every command, %s", name);
    report(title, problems);
}

/* ---- synchronous --------------------------------------------------------------------------- */

static void binary_test(int port)
{
    char problems[TEXT_SIZE] = "", every[256];
    redisContext *context = must_connect(port);
    for (int i = 0; i < 256; i++)
        every[i] = (char)i;
    redisReply *reply = redisCommand(context, "SET %b %b", every, (size_t)256, every, (size_t)256);
    if (!reply || reply->type != REDIS_REPLY_STATUS)
        add_problem(problems, "SET; ");
    freeReplyObject(reply);
    reply = redisCommand(context, "GET %b", every, (size_t)256);
    if (!reply || reply->len != 256 || memcmp(reply->str, every, 256) != 0)
        add_problem(problems, "GET; ");
    freeReplyObject(reply);
    redisFree(context);
    report("binary keys and values", problems);
}

static void pipeline_test(int port, const char *name)
{
    char problems[TEXT_SIZE] = "", title[100];
    redisContext *context = must_connect(port);
    freeReplyObject(redisCommand(context, "DEL pipelined"));
    for (int i = 0; i < PIPELINE; i++) {
        redisAppendCommand(context, "INCR pipelined");
        redisAppendCommand(context, "ECHO token-%d", i);
        redisAppendCommand(context, "NOSUCH %d", i);
    }
    for (int i = 0; i < 3 * PIPELINE; i++) {
        redisReply *reply;
        char expected[64];
        if (redisGetReply(context, (void **)&reply) != REDIS_OK) {
            add_problem(problems, "reply %d: %s; ", i, context->errstr);
            break;
        }
        snprintf(expected, sizeof expected, "token-%d", i / 3);
        bool good = i % 3 == 0 ? reply->type == REDIS_REPLY_INTEGER && reply->integer == i / 3 + 1
                    : i % 3 == 1
                        ? reply->type == REDIS_REPLY_STRING && !strcmp(reply->str, expected)
                        : reply->type == REDIS_REPLY_ERROR;
        if (!good)
            add_problem(problems, "reply %d is out of place; ", i);
        freeReplyObject(reply);
    }
    redisFree(context);
    snprintf(title, sizeof title, "a pipeline, %s", name);
    report(title, problems);
}

/* ---- asynchronous -------------------------------------------------------------------------- */

struct async_client {
    redisAsyncContext *context;
    int number, replies;
    char *problems;
};

static void on_async_reply(redisAsyncContext *context, void *result, void *argument)
{
    struct async_client *client = argument;
    redisReply *reply = result;
    char expected[64];
    snprintf(expected, sizeof expected, "%d-%d", client->number, client->replies);
    if (!reply || reply->type != REDIS_REPLY_STRING || strcmp(reply->str, expected) != 0)
        add_problem(client->problems, "client %d, reply %d: %.50s instead of %s; ", client->number,
                    client->replies, reply && reply->str ? reply->str : "nothing", expected);
    if (++client->replies == ASYNC_EACH)
        redisAsyncDisconnect(context);
}

/* Many clients on one event loop, each with its own key and tokens, through all nodes. */
static void async_test(void)
{
    char problems[TEXT_SIZE] = "";
    struct async_client clients[ASYNC_CLIENTS];
    struct event_base *base = event_base_new();
    for (int i = 0; i < ASYNC_CLIENTS; i++) {
        clients[i] = (struct async_client){.number = i, .problems = problems};
        clients[i].context = redisAsyncConnect("127.0.0.1", ports[i % 3]);
        redisLibeventAttach(clients[i].context, base);
        for (int j = 0; j < ASYNC_EACH; j++) {
            redisAsyncCommand(clients[i].context, NULL, NULL, "SET async:%d %d-%d", i, i, j);
            redisAsyncCommand(clients[i].context, on_async_reply, &clients[i], "GET async:%d", i);
        }
    }
    struct timeval limit = {.tv_sec = 30};
    event_base_loopexit(base, &limit);
    event_base_dispatch(base);
    for (int i = 0; i < ASYNC_CLIENTS; i++)
        if (clients[i].replies != ASYNC_EACH)
            add_problem(problems, "client %d has %d replies; ", i, clients[i].replies);
    event_base_free(base);
    report("asynchronous, through all nodes", problems);
}

/* ---- while a node dies ----------------------------------------------------------------------- */

static bool told_to_go_on(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

/* One command; reconnects (to `port`) when the connection broke.  NULL: no reply. */
static redisReply *command_on(redisContext **context, int port, const char *format, ...)
{
    va_list arguments;
    if (!*context)
        *context = try_connect(port);
    if (!*context)
        return NULL;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(*context, format, arguments);
    va_end(arguments);
    if (!reply) {
        redisFree(*context);
        *context = NULL;
    }
    return reply;
}

static long long number_at(redisContext **context, int port, const char *key)
{
    redisReply *reply = command_on(context, port, "GET %s", key);
    long long number = reply && reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : -1;
    freeReplyObject(reply);
    return number;
}

struct outcomes {
    int acked, unknown, not_done, once;
    char problems[TEXT_SIZE];
};

static void count_incr(struct outcomes *outcomes, redisReply *reply)
{
    if (!reply || (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "may or may not")))
        outcomes->unknown++;
    else if (reply->type == REDIS_REPLY_INTEGER)
        outcomes->acked++;
    else if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "was not executed"))
        outcomes->not_done++;
    else
        add_problem(outcomes->problems, "%s; ", reply->str);
    freeReplyObject(reply);
}

/* The same words again, through one node and the other, until there is a reply. */
static void once_until_done(redisContext *contexts[2], int number)
{
    for (int i = 0;; i++) {
        redisReply *reply = command_on(&contexts[i % 2], ports[i % 2],
                                       "ONCE hiredis-%d %d INCR once", (int)getpid(), number);
        bool done = reply && reply->type == REDIS_REPLY_INTEGER;
        freeReplyObject(reply);
        if (done)
            return;
        sleep_ms(10);
    }
}

static void survivor_test(redisContext **victim)
{
    char problem[TEXT_SIZE] = "no reply";
    for (int i = 0; i < 300; i++) {
        redisReply *reply = command_on(victim, ports[0], "GET survivor");
        if (reply && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, "before") == 0)
            problem[0] = '\0';
        else if (reply && reply->str)
            snprintf(problem, sizeof problem, "%s", reply->str);
        freeReplyObject(reply);
        if (!problem[0])
            break;
        sleep_ms(50);
    }
    report("the connection to the node that died works again", problem);
}

static void midway(void)
{
    char title[200], problem[TEXT_SIZE] = "";
    redisContext *contexts[2] = {must_connect(ports[0]), must_connect(ports[1])};
    struct outcomes outcomes = {.problems = ""};
    freeReplyObject(command_on(&contexts[0], ports[0], "SET survivor before"));
    printf("midway\n");
    fflush(stdout);
    while (!told_to_go_on()) {
        count_incr(&outcomes, command_on(&contexts[1], ports[1], "INCR loop"));
        once_until_done(contexts, ++outcomes.once);
        sleep_ms(1);
    }
    long long total = number_at(&contexts[1], ports[1], "loop");
    if (total < outcomes.acked || total > outcomes.acked + outcomes.unknown || outcomes.acked < 20)
        add_problem(outcomes.problems, "the counter is %lld", total);
    snprintf(title, sizeof title,
             "INCR while a node dies: %d acknowledged, %d unknown, %d not done", outcomes.acked,
             outcomes.unknown, outcomes.not_done);
    report(title, outcomes.problems);
    total = number_at(&contexts[1], ports[1], "once");
    if (total != outcomes.once)
        add_problem(problem, "the counter is %lld", total);
    snprintf(title, sizeof title, "ONCE while a node dies: %d requests", outcomes.once);
    report(title, problem);
    survivor_test(&contexts[0]);
    redisFree(contexts[0]);
    redisFree(contexts[1]);
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 11) {
        fprintf(stderr, "usage: %s DIRECTORY PORT PORT PORT ...\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    directory = argv[1];
    for (int i = 2; i < argc; i++)
        ports[i - 2] = atoi(argv[i]);
    table_test(ports[0], "leader");
    table_test(ports[1], "follower");
    binary_test(ports[1]);
    pipeline_test(ports[0], "leader");
    pipeline_test(ports[1], "follower");
    async_test();
    midway();
    table_test(ports[0], "restarted node");
    table_test(ports[2], "third node");
    printf("done\n");
    return 0;
}
