/* See naming.h. */
#include "server/naming.h"

#include "base/memory.h"
#include "command/naming.h"
#include "replica/stamp.h"
#include "storage/raft_log.h"

enum { LOOK_MS = 100, AGAIN_MS = 1000 };

/* As a client's of whom the request comes: no client, nobody who joins, and no check has it. */
static const uint64_t client = (1ull << 62) + 2;

struct server_naming {
    struct server_naming_options options;
    uint64_t name;
    bool is_asking;
    int64_t look_ms, ask_ms; /* not before */
};

static void look(struct server_naming *naming)
{
    const struct server_naming_options *options = &naming->options;
    naming->name = command_cluster_name(options->db, options->cluster);
    if (naming->name == 0)
        return;
    raft_log_set_name(options->log, options->cluster, naming->name);
    options->named(options->context, naming->name);
}

static void on_done(void *context, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    struct server_naming *naming = context;
    (void)request;
    (void)outcome; /* whatever is said, the state counts */
    (void)reply;
    naming->is_asking = false;
    naming->ask_ms = naming->options.now_ms(naming->options.context) + AGAIN_MS;
}

static void ask(struct server_naming *naming, int64_t now_ms)
{
    const struct server_naming_options *options = &naming->options;
    struct replica_status status;
    replica_status(options->replica, &status);
    if (!status.serving || status.meaning < STAMP_MEANING_NAMES)
        return;
    struct blob *words = command_name_cluster(options->cluster, options->draw(options->context));
    struct request *request = request_new(REQUEST_WRITE, 2, client, words, on_done, naming);
    request->deadline_ms = now_ms + options->request_timeout_ms;
    naming->is_asking = true;
    replica_submit(options->replica, request);
}

void server_naming_tick(struct server_naming *naming)
{
    int64_t now_ms = naming->options.now_ms(naming->options.context);
    if (naming->name != 0 || now_ms < naming->look_ms)
        return;
    naming->look_ms = now_ms + LOOK_MS;
    look(naming);
    if (naming->name == 0 && !naming->is_asking && now_ms >= naming->ask_ms)
        ask(naming, now_ms);
}

uint64_t server_naming_name(const struct server_naming *naming)
{
    return naming->name;
}

struct server_naming *server_naming_new(const struct server_naming_options *options)
{
    struct server_naming *naming = memory_new(sizeof *naming);
    naming->options = *options;
    naming->name = raft_log_name(options->kv, options->cluster);
    if (naming->name != 0)
        options->named(options->context, naming->name);
    else
        look(naming);
    return naming;
}

void server_naming_free(struct server_naming *naming)
{
    replica_abandon(naming->options.replica, client);
    memory_free(naming);
}
