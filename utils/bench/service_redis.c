/* redis-raft and redis-server, over hiredis's asynchronous interface and libevent.
 *
 * Requests are written when the loop turns, so those of one batch leave in one write and a
 * pipeline of P is P requests in one packet, as redis-benchmark -P sends them. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The adapter is hiredis's own header and not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <hiredis/adapters/libevent.h>
#pragma GCC diagnostic pop

#include "base/memory.h"
#include "bench/process.h"
#include "bench/service.h"

enum { PROBE_MS = 3000 };

struct link {
    redisAsyncContext *connection; /* NULL when it could not be made */
    struct event *failed;          /* reports that from the loop */
    const struct link_events *events;
    void *context;
    bool is_closing;
    char error[NODE_ERROR_SIZE];
};

static void link_free(struct link *link)
{
    event_free(link->failed);
    memory_free(link);
}

/* ---- probing --------------------------------------------------------------- */

static bool is_same_machine(int fd)
{
    struct sockaddr_storage local, remote;
    socklen_t local_size = sizeof local, remote_size = sizeof remote;
    if (getsockname(fd, (struct sockaddr *)&local, &local_size) != 0 ||
        getpeername(fd, (struct sockaddr *)&remote, &remote_size) != 0)
        return false;
    char host[2][NI_MAXHOST];
    return getnameinfo((struct sockaddr *)&local, local_size, host[0], sizeof host[0], NULL, 0,
                       NI_NUMERICHOST) == 0 &&
           getnameinfo((struct sockaddr *)&remote, remote_size, host[1], sizeof host[1], NULL, 0,
                       NI_NUMERICHOST) == 0 &&
           strcmp(host[0], host[1]) == 0;
}

static pid_t info_process_id(redisContext *connection)
{
    redisReply *reply = redisCommand(connection, "INFO server");
    pid_t pid = 0;
    if (reply && reply->type == REDIS_REPLY_STRING) {
        const char *field = strstr(reply->str, "process_id:");
        if (field)
            pid = (pid_t)atoi(field + strlen("process_id:"));
    }
    freeReplyObject(reply);
    return pid;
}

/* Returns the open connection, or NULL with the reason in facts->error. */
static redisContext *probe_open(const struct node_address *node, const char *password,
                                struct node_facts *facts)
{
    *facts = (struct node_facts){0};
    redisContext *connection = node_connect(node, password, PROBE_MS, PROBE_MS, facts->error);
    if (!connection)
        return NULL;
    facts->is_reachable = true;
    facts->is_local = is_same_machine(connection->fd);
    if (facts->is_local)
        facts->pid = info_process_id(connection);
    return connection;
}

static void probe_redis_raft(const struct node_address *node, const char *password,
                             struct node_facts *facts)
{
    redisContext *connection = probe_open(node, password, facts);
    if (!connection)
        return;
    struct node_status status;
    if (node_status_read(connection, &status, facts->error)) {
        facts->is_leader = strcmp(status.role, "leader") == 0;
        node_status_deinit(&status);
    }
    redisFree(connection);
}

static void probe_redis(const struct node_address *node, const char *password,
                        struct node_facts *facts)
{
    redisContext *connection = probe_open(node, password, facts);
    if (!connection)
        return;
    redisReply *reply = redisCommand(connection, "ROLE");
    facts->is_leader = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                       strcmp(reply->element[0]->str, "master") == 0;
    if (!facts->is_leader)
        snprintf(facts->error, sizeof facts->error, "it is not a master");
    freeReplyObject(reply);
    redisFree(connection);
}

/* ---- the link ---------------------------------------------------------------- */

static void on_reply(redisAsyncContext *connection, void *reply_pointer, void *request)
{
    struct link *link = connection->data;
    const redisReply *reply = reply_pointer;
    if (link->is_closing)
        return;
    if (!reply)
        link->events->on_reply(link->context, request, LINK_LOST, connection->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        link->events->on_reply(link->context, request, LINK_ERROR, reply->str);
    else
        link->events->on_reply(link->context, request,
                               reply->type == REDIS_REPLY_NIL ? LINK_MISS : LINK_OK, NULL);
}

static void on_auth(redisAsyncContext *connection, void *reply_pointer, void *request)
{
    (void)request;
    struct link *link = connection->data;
    const redisReply *reply = reply_pointer;
    if (reply && reply->type == REDIS_REPLY_ERROR && !link->is_closing) {
        snprintf(link->error, sizeof link->error, "AUTH: %.200s", reply->str);
        redisAsyncDisconnect(connection);
    }
}

static void report_closed(struct link *link, const char *text)
{
    if (!link->is_closing)
        link->events->on_closed(link->context, link->error[0] ? link->error : text);
    link_free(link);
}

static void on_disconnect(const redisAsyncContext *connection, int status)
{
    (void)status;
    report_closed(connection->data, connection->errstr);
}

static void on_failed(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    struct link *link = context;
    report_closed(link, link->error);
}

static void fail_later(struct link *link, const char *text)
{
    snprintf(link->error, sizeof link->error, "%.200s", text);
    link->connection = NULL;
    event_active(link->failed, EV_TIMEOUT, 0);
}

/* After a failure to connect hiredis answers the waiting requests, which need the link, and frees
 * the context without calling on_disconnect. */
static void on_connect(const redisAsyncContext *connection, int status)
{
    if (status != REDIS_OK)
        fail_later(connection->data, connection->errstr);
}

static struct link *open_link(struct event_base *base, const struct node_address *node,
                              const char *password, const struct link_events *events, void *context)
{
    struct link *link = memory_new(sizeof *link);
    link->events = events;
    link->context = context;
    link->failed = evtimer_new(base, on_failed, link);
    redisAsyncContext *connection = redisAsyncConnect(node->host, node->port);
    if (!connection || connection->err) {
        fail_later(link, connection ? connection->errstr : "out of memory");
        if (connection)
            redisAsyncFree(connection);
        return link;
    }
    link->connection = connection;
    connection->data = link;
    int one = 1;
    setsockopt(connection->c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    redisLibeventAttach(connection, base);
    redisAsyncSetConnectCallback(connection, on_connect);
    redisAsyncSetDisconnectCallback(connection, on_disconnect);
    if (password)
        redisAsyncCommand(connection, on_auth, NULL, "AUTH %s", password);
    return link;
}

/* Nothing, where the link is not there yet, or any more. */
static void say(struct link *link, void *request, const struct bytes *words, int count)
{
    enum { WORDS_MAX = 4 };
    const char *texts[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    for (int i = 0; i < count; i++) {
        texts[i] = words[i].data;
        sizes[i] = words[i].size;
    }
    if (link->connection)
        redisAsyncCommandArgv(link->connection, on_reply, request, count, texts, sizes);
}

static void put(struct link *link, struct bytes key, struct bytes value, void *request)
{
    const struct bytes words[] = {bytes_from_string("SET"), key, value};
    say(link, request, words, 3);
}

static void get(struct link *link, struct bytes key, void *request)
{
    const struct bytes words[] = {bytes_from_string("GET"), key};
    say(link, request, words, 2);
}

/* ---- bits of one string, as many as there are keys ---------------------------- */

/* Offsets are numbers without zeros in front, which redis-benchmark cannot make at random. */
static struct bytes offset_of(struct bytes key)
{
    const char *digits = key.data;
    size_t at = sizeof "key:" - 1;
    while (at + 1 < key.size && digits[at] == '0')
        at++;
    return bytes_of(digits + at, key.size - at);
}

static void put_bit(struct link *link, struct bytes key, struct bytes value, void *request)
{
    const struct bytes words[] = {bytes_from_string("SETBIT"), bytes_from_string("bits"),
                                  offset_of(key), bytes_from_string("1")};
    (void)value;
    say(link, request, words, 4);
}

static void get_bit(struct link *link, struct bytes key, void *request)
{
    const struct bytes words[] = {bytes_from_string("GETBIT"), bytes_from_string("bits"),
                                  offset_of(key)};
    say(link, request, words, 3);
}

/* redisAsyncFree() answers the waiting requests and calls on_disconnect, which frees the link, but
 * the latter only if the connection had been made. */
static void close_link(struct link *link)
{
    link->is_closing = true;
    bool is_freed_there = link->connection && (link->connection->c.flags & REDIS_CONNECTED);
    if (link->connection)
        redisAsyncFree(link->connection);
    if (!is_freed_there)
        link_free(link);
}

const struct service service_redis_raft = {.name = "redis-raft",
                                           .is_pipelined = true,
                                           .probe = probe_redis_raft,
                                           .open = open_link,
                                           .put = put,
                                           .get = get,
                                           .close = close_link};

const struct service service_redis = {.name = "redis",
                                      .is_pipelined = true,
                                      .probe = probe_redis,
                                      .open = open_link,
                                      .put = put,
                                      .get = get,
                                      .close = close_link};

const struct service service_bits = {.name = "bits",
                                     .is_pipelined = true,
                                     .probe = probe_redis,
                                     .open = open_link,
                                     .put = put_bit,
                                     .get = get_bit,
                                     .close = close_link};
