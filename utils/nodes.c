/* See nodes.h.  hiredis 0.14 speaks RESP2 only, in which a map arrives as a flat array. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

bool node_address_parse(struct node_address *address, const char *text, char *error)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    const char *host_end = colon;
    if (colon && text[0] == '[' && colon > text && colon[-1] == ']') {
        host = text + 1;
        host_end = colon - 1;
    }
    if (!colon || host_end == host) {
        snprintf(error, NODE_ERROR_SIZE, "'%s' is not host:port", text);
        return false;
    }
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (colon[1] == '\0' || *end != '\0' || port < 1 || port > 65535) {
        snprintf(error, NODE_ERROR_SIZE, "'%s': the port is a number from 1 to 65535", text);
        return false;
    }
    size_t size = (size_t)(host_end - host);
    if (size >= sizeof address->host) {
        snprintf(error, NODE_ERROR_SIZE, "the host name is longer than %d bytes",
                 NODE_HOST_SIZE - 1);
        return false;
    }
    memcpy(address->host, host, size);
    address->host[size] = '\0';
    address->port = (int)port;
    return true;
}

bool node_addresses_parse(struct node_address *addresses, uint32_t *count, const char *text,
                          char *error)
{
    *count = 0;
    while (true) {
        size_t size = strcspn(text, ",");
        char one[NODE_HOST_SIZE + 16];
        if (size >= sizeof one) {
            snprintf(error, NODE_ERROR_SIZE, "an address is too long");
            return false;
        }
        memcpy(one, text, size);
        one[size] = '\0';
        if (*count == NODES_MAX) {
            snprintf(error, NODE_ERROR_SIZE, "more than %d nodes", NODES_MAX);
            return false;
        }
        if (!node_address_parse(&addresses[*count], one, error))
            return false;
        (*count)++;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

static struct timeval interval(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static bool authenticate(redisContext *connection, const char *password, char *error)
{
    redisReply *reply = redisCommand(connection, "AUTH %s", password);
    bool is_ok = reply && reply->type == REDIS_REPLY_STATUS;
    if (!reply)
        snprintf(error, NODE_ERROR_SIZE, "AUTH: %s", connection->errstr);
    else if (!is_ok)
        snprintf(error, NODE_ERROR_SIZE, "AUTH: %.200s", reply->str ? reply->str : "refused");
    freeReplyObject(reply);
    return is_ok;
}

const char *node_advice(const char *error)
{
    return strstr(error, "NOAUTH") ? " (REDISCLI_AUTH or --password gives the password)" : "";
}

redisContext *node_connect(const struct node_address *address, const char *password, int connect_ms,
                           int reply_ms, char *error)
{
    redisContext *connection =
        redisConnectWithTimeout(address->host, address->port, interval(connect_ms));
    if (!connection) {
        snprintf(error, NODE_ERROR_SIZE, "out of memory");
        return NULL;
    }
    if (connection->err) {
        snprintf(error, NODE_ERROR_SIZE, "%s", connection->errstr);
    } else if (redisSetTimeout(connection, interval(reply_ms)) != REDIS_OK) {
        snprintf(error, NODE_ERROR_SIZE, "cannot set a time limit: %s", connection->errstr);
    } else if (!password || authenticate(connection, password, error)) {
        return connection;
    }
    redisFree(connection);
    return NULL;
}

const redisReply *node_field(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        const redisReply *key = map->element[i];
        if ((key->type == REDIS_REPLY_STRING || key->type == REDIS_REPLY_STATUS) &&
            strcmp(key->str, name) == 0)
            return map->element[i + 1];
    }
    return NULL;
}

int64_t node_integer(const redisReply *reply, int64_t otherwise)
{
    if (!reply)
        return otherwise;
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS)
        return otherwise;
    char *end;
    long long value = strtoll(reply->str, &end, 10);
    return end != reply->str && *end == '\0' ? value : otherwise;
}

bool node_status_read(redisContext *connection, struct node_status *status, char *error)
{
    redisReply *reply = redisCommand(connection, "RAFT.STATUS");
    if (!reply) {
        snprintf(error, NODE_ERROR_SIZE, "%s", connection->errstr);
        return false;
    }
    if (reply->type != REDIS_REPLY_ARRAY) {
        snprintf(error, NODE_ERROR_SIZE, "RAFT.STATUS: %.200s",
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "not a map");
        freeReplyObject(reply);
        return false;
    }
    const redisReply *role = node_field(reply, "role");
    const char *name = role && role->str ? role->str : "?";
    *status = (struct node_status){
        .node = node_integer(node_field(reply, "node"), -1),
        .term = node_integer(node_field(reply, "term"), -1),
        .leader = node_integer(node_field(reply, "leader"), -1),
        .commit = node_integer(node_field(reply, "commit"), -1),
        .applied = node_integer(node_field(reply, "applied"), -1),
        .reply = reply,
    };
    snprintf(status->role, sizeof status->role, "%s", name);
    return true;
}

void node_status_deinit(struct node_status *status)
{
    freeReplyObject(status->reply);
    status->reply = NULL;
}
