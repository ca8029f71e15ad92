/* etcd 3.4 over its HTTP/JSON gateway (/v3/kv/put, /v3/kv/range), with libevent's HTTP client on
 * connections that are kept alive.  Keys and values travel in base64.  A range request without
 * "serializable" is linearizable, etcd's default and what our GET is compared with.
 *
 * The gateway is a proxy inside etcd in front of its own gRPC server and costs it CPU that a gRPC
 * client would not; it is what a program without a gRPC library uses. */
#include <event2/buffer.h>
#include <event2/http.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bench/process.h"
#include "bench/service.h"

enum { PROBE_SECONDS = 3, REQUEST_SECONDS = 30, HTTP_STATUS_OK = 200 };

struct link {
    struct evhttp_connection *connection;
    const struct link_events *events;
    void *context;
    void *request; /* of the one request under way */
    bool is_put;
    struct event *lost; /* the HTTP connection cannot be freed within its own callback */
    char host[NODE_HOST_SIZE + 8];
};

static void append_base64(struct evbuffer *buffer, struct bytes bytes)
{
    unsigned char text[512];
    const unsigned char *data = bytes.data;
    /* 3 bytes give 4 characters: whole groups in every piece but the last. */
    for (size_t at = 0; at < bytes.size; at += 3 * 100) {
        size_t size = bytes.size - at < 3 * 100 ? bytes.size - at : 3 * 100;
        int length = EVP_EncodeBlock(text, data + at, (int)size);
        evbuffer_add(buffer, text, (size_t)length);
    }
}

static bool post(struct evhttp_connection *connection, struct evhttp_request *request,
                 const char *host, const char *path)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", host);
    evhttp_add_header(headers, "Content-Type", "application/json");
    return evhttp_make_request(connection, request, EVHTTP_REQ_POST, path) == 0;
}

/* ---- probing --------------------------------------------------------------- */

/* "header.member_id" and "leader" are decimal text; the leader's own are equal. */
static void probe_parse(struct node_facts *facts, const char *text, size_t size)
{
    json_error_t error;
    json_t *root = json_loadb(text, size, 0, &error);
    const char *member =
        json_string_value(json_object_get(json_object_get(root, "header"), "member_id"));
    const char *leader = json_string_value(json_object_get(root, "leader"));
    facts->is_leader = member && leader && strcmp(member, leader) == 0;
    if (!member)
        snprintf(facts->error, sizeof facts->error, "no member id in its status");
    json_decref(root);
}

struct probe {
    struct event_base *base;
    struct node_facts *facts;
};

static void on_probe(struct evhttp_request *request, void *context)
{
    struct probe *probe = context;
    struct node_facts *facts = probe->facts;
    /* The connection is kept alive, and with it the loop. */
    event_base_loopbreak(probe->base);
    if (!request || evhttp_request_get_response_code(request) != HTTP_STATUS_OK) {
        snprintf(facts->error, sizeof facts->error, "/v3/maintenance/status: %s",
                 request && evhttp_request_get_response_code(request) != 0
                     ? evhttp_request_get_response_code_line(request)
                     : "no answer");
        return;
    }
    facts->is_reachable = true;
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t size = evbuffer_get_length(body);
    probe_parse(facts, (const char *)evbuffer_pullup(body, -1), size);
}

static void probe(const struct node_address *node, const char *password, struct node_facts *facts)
{
    (void)password;
    *facts = (struct node_facts){0};
    struct event_base *base = event_base_new();
    struct evhttp_connection *connection =
        evhttp_connection_base_new(base, NULL, node->host, (ev_uint16_t)node->port);
    evhttp_connection_set_timeout(connection, PROBE_SECONDS);
    struct probe under_way = {.base = base, .facts = facts};
    struct evhttp_request *request = evhttp_request_new(on_probe, &under_way);
    evbuffer_add(evhttp_request_get_output_buffer(request), "{}", 2);
    if (post(connection, request, node->host, "/v3/maintenance/status"))
        event_base_dispatch(base);
    evhttp_connection_free(connection);
    event_base_free(base);
    /* etcd does not tell its process id. A loopback address says that it is here to be found. */
    facts->is_local = strncmp(node->host, "127.", 4) == 0 || strcmp(node->host, "::1") == 0 ||
                      strcmp(node->host, "localhost") == 0;
    if (facts->is_local)
        facts->pid = process_listening_on(node->port);
}

/* ---- the link ---------------------------------------------------------------- */

static void close_link(struct link *link)
{
    evhttp_connection_free(link->connection);
    event_free(link->lost);
    memory_free(link);
}

static void on_lost(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    struct link *link = context;
    link->events->on_closed(link->context, "connection lost, refused or timed out");
    close_link(link);
}

static bool contains(struct evbuffer *body, const char *text)
{
    return evbuffer_search(body, text, strlen(text), NULL).pos >= 0;
}

static void on_response(struct evhttp_request *response, void *context)
{
    struct link *link = context;
    int code = response ? evhttp_request_get_response_code(response) : 0;
    if (code == 0) {
        event_active(link->lost, EV_TIMEOUT, 0);
        link->events->on_reply(link->context, link->request, LINK_LOST, "connection lost");
        return;
    }
    struct evbuffer *body = evhttp_request_get_input_buffer(response);
    if (code != HTTP_STATUS_OK) {
        char text[NODE_ERROR_SIZE] = "";
        evbuffer_remove(body, text, sizeof text - 1);
        link->events->on_reply(link->context, link->request, LINK_ERROR, text);
        return;
    }
    bool is_hit = link->is_put || contains(body, "\"kvs\"");
    link->events->on_reply(link->context, link->request, is_hit ? LINK_OK : LINK_MISS, NULL);
}

static struct link *open_link(struct event_base *base, const struct node_address *node,
                              const char *password, const struct link_events *events, void *context)
{
    (void)password;
    struct link *link = memory_new(sizeof *link);
    link->events = events;
    link->context = context;
    link->lost = evtimer_new(base, on_lost, link);
    link->connection = evhttp_connection_base_new(base, NULL, node->host, (ev_uint16_t)node->port);
    evhttp_connection_set_timeout(link->connection, REQUEST_SECONDS);
    snprintf(link->host, sizeof link->host, "%s:%d", node->host, node->port);
    return link;
}

static void send_request(struct link *link, struct bytes key, const struct bytes *value,
                         void *request)
{
    struct evhttp_request *http = evhttp_request_new(on_response, link);
    struct evbuffer *body = evhttp_request_get_output_buffer(http);
    evbuffer_add_printf(body, "{\"key\":\"");
    append_base64(body, key);
    if (value) {
        evbuffer_add_printf(body, "\",\"value\":\"");
        append_base64(body, *value);
    }
    evbuffer_add_printf(body, "\"}");
    link->request = request;
    link->is_put = value != NULL;
    if (!post(link->connection, http, link->host, value ? "/v3/kv/put" : "/v3/kv/range"))
        event_active(link->lost, EV_TIMEOUT, 0);
}

static void put(struct link *link, struct bytes key, struct bytes value, void *request)
{
    send_request(link, key, &value, request);
}

static void get(struct link *link, struct bytes key, void *request)
{
    send_request(link, key, NULL, request);
}

const struct service service_etcd = {.name = "etcd",
                                     .is_pipelined = false,
                                     .probe = probe,
                                     .open = open_link,
                                     .put = put,
                                     .get = get,
                                     .close = close_link};
