/* CONFIG GET, SET, REWRITE, RESETSTAT (Redis 7.2 config.c), on the directives that the server port
 * offers.
 *
 * The server changes one directive at a time; SET of several is all or nothing all the same: names
 * come before values, and what was changed before a failure is set back.  Local commands, loop
 * thread only. */
#include "base/memory.h"
#include "command/commands.h"
#include "command/server.h"

/* ---- GET -------------------------------------------------------------------------- */

struct getting {
    const struct call *call;
    struct buffer text;
    struct reply found; /* into `text` */
    uint64_t count;
};

static bool is_pattern(struct bytes word)
{
    const char *letters = word.data;
    for (size_t i = 0; i < word.size; i++)
        if (strchr("[*?", letters[i]) && letters[i])
            return true;
    return false;
}

/* As Redis: whoever asks for one directive by name gets it back in his own spelling. */
static void get_directive(void *context, const char *name, struct bytes value)
{
    struct getting *getting = context;
    for (uint32_t i = 2; i < getting->call->argc; i++) {
        struct bytes word = getting->call->argv[i];
        if (bytes_is(word, name)) {
            reply_bulk(&getting->found, word);
        } else if (is_pattern(word) && command_glob_match(word, bytes_from_string(name), true)) {
            reply_bulk_string(&getting->found, name);
        } else {
            continue;
        }
        reply_bulk(&getting->found, value);
        getting->count++;
        return;
    }
}

void cmd_config_get(struct call *call)
{
    struct getting getting = {.call = call};
    getting.found = (struct reply){&getting.text, call->reply->protocol};
    call->server->ops->config_each(call->server, get_directive, &getting);
    reply_map(call->reply, getting.count);
    reply_raw(call->reply, buffer_bytes(&getting.text));
    buffer_deinit(&getting.text);
}

/* ---- SET -------------------------------------------------------------------------- */

/* What a directive was before it was set. */
struct former {
    struct bytes name;
    struct buffer value;
    bool found;
};

static void look_up(void *context, const char *name, struct bytes value)
{
    struct former *former = context;
    if (former->found || !bytes_is(former->name, name))
        return;
    former->found = true;
    buffer_append(&former->value, value.data, value.size);
}

static bool same_name(struct bytes a, struct bytes b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

/* False: answered with the error. */
static bool check_names(struct call *call)
{
    for (uint32_t i = 2; i < call->argc; i += 2) {
        char error[512] = "";
        if (!call->server->ops->config_may_set(call->server, call->argv[i], error, sizeof(error))) {
            reply_error(call->reply, "ERR %s", error);
            return false;
        }
        for (uint32_t j = 2; j < i; j += 2)
            if (same_name(call->argv[i], call->argv[j])) {
                reply_error(call->reply,
                            "ERR CONFIG SET failed (possibly related to argument '%.*s') - "
                            "duplicate parameter",
                            (int)(call->argv[i].size < 128 ? call->argv[i].size : 128),
                            (const char *)call->argv[i].data);
                return false;
            }
    }
    return true;
}

/* Sets the directives one by one; on a failure answers with the error.  Returns how many were set,
 * and what they were in `former`. */
static uint32_t set_directives(struct call *call, struct former *former, uint32_t count)
{
    struct server *server = call->server;
    for (uint32_t i = 0; i < count; i++) {
        char error[512] = "";
        former[i].name = call->argv[2 + 2 * i];
        server->ops->config_each(server, look_up, &former[i]);
        if (!server->ops->config_set(server, former[i].name, call->argv[3 + 2 * i], error,
                                     sizeof(error))) {
            reply_error(call->reply, "ERR %s", error);
            return i;
        }
    }
    return count;
}

static void set_back(struct call *call, struct former *former, uint32_t count)
{
    char error[512];
    while (count-- > 0)
        (void)call->server->ops->config_set(call->server, former[count].name,
                                            buffer_bytes(&former[count].value), error,
                                            sizeof(error));
}

void cmd_config_set(struct call *call)
{
    if (call->argc % 2 == 1) {
        call_wrong_arity(call);
        return;
    }
    if (!check_names(call))
        return;
    uint32_t wanted = (call->argc - 2) / 2;
    struct former *former = memory_new(wanted * sizeof(*former));
    uint32_t count = set_directives(call, former, wanted);
    if (count < wanted)
        set_back(call, former, count);
    else
        call_reply_ok(call->reply);
    for (uint32_t i = 0; i < wanted; i++)
        buffer_deinit(&former[i].value);
    memory_free(former);
}

/* ---- the rest ----------------------------------------------------------------------- */

void cmd_config_resetstat(struct call *call)
{
    call->server->ops->stats_reset(call->server);
    call_reply_ok(call->reply);
}

void cmd_config_rewrite(struct call *call)
{
    char error[512] = "";
    if (!*call->server->config_file)
        reply_error(call->reply, "ERR The server is running without a config file");
    else if (!call->server->ops->config_rewrite(call->server, error, sizeof(error)))
        reply_error(call->reply, "ERR Rewriting config file: %s", error);
    else
        call_reply_ok(call->reply);
}

void cmd_config_help(struct call *call)
{
    static const char *const lines[] = {"GET <pattern> [<pattern> [...]]",
                                        "    Directives and their present values.",
                                        "SET <directive> <value> [<directive> <value> [...]]",
                                        "    Change directives, all or none, until the restart.",
                                        "REWRITE",
                                        "    Write what holds into the configuration file.",
                                        "RESETSTAT",
                                        "    Start the counters of INFO again from zero.",
                                        NULL};
    call_reply_help(call, lines);
}
