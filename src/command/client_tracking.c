/* CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO (Redis 7.2 networking.c, tracking.c).  Local
 * commands, loop thread only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/commands.h"
#include "command/connection.h"
#include "command/server.h"
#include "command/tracking.h"
#include "resp/number.h"

struct options {
    unsigned flags;
    int64_t redirect;          /* 0: none */
    struct connection *target; /* of it */
    uint32_t *prefixes;        /* places of their words; owned */
    uint32_t prefixes_count;
};

/* ---- CLIENT TRACKING ---------------------------------------------------------------------- */

struct search {
    uint64_t id;
    struct connection *found;
};

static bool find_client(void *context, struct connection *connection)
{
    struct search *search = context;
    if (connection->id == search->id)
        search->found = connection;
    return search->found == NULL;
}

/* False: answered with the error. */
static bool take_redirect(struct call *call, struct options *options, struct bytes word)
{
    if (options->redirect != 0)
        return call_refuse(call, "ERR A client can only redirect to a single other client");
    if (!number_parse_i64(word, &options->redirect))
        return call_refuse(call, ERROR_NOT_INTEGER);
    struct search search = {.id = (uint64_t)options->redirect};
    call->server->ops->each_client(call->server, find_client, &search);
    options->target = search.found;
    if (!search.found)
        return call_refuse(call, "ERR The client ID you want redirect to does not exist");
    return true;
}

static unsigned flag_of(struct bytes word)
{
    if (bytes_is(word, "bcast"))
        return TRACKING_BCAST;
    if (bytes_is(word, "optin"))
        return TRACKING_OPTIN;
    if (bytes_is(word, "optout"))
        return TRACKING_OPTOUT;
    return bytes_is(word, "noloop") ? TRACKING_NOLOOP : 0;
}

/* False: answered with the error. */
static bool take_options(struct call *call, struct options *options)
{
    options->prefixes = memory_new(call->argc * sizeof *options->prefixes);
    for (uint32_t i = 3; i < call->argc; i++) {
        bool has_operand = i + 1 < call->argc;
        unsigned flag = flag_of(call->argv[i]);
        options->flags |= flag;
        if (flag)
            continue;
        if (bytes_is(call->argv[i], "redirect") && has_operand) {
            if (!take_redirect(call, options, call->argv[++i]))
                return false;
        } else if (bytes_is(call->argv[i], "prefix") && has_operand) {
            options->prefixes[options->prefixes_count++] = ++i;
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    return true;
}

/* Each change of a key is compared with all of them, and each new one with the others. */
enum { PREFIXES_MAX = 1024 }; /* of one connection */

/* False: answered with the error. */
static bool agree(struct call *call, const struct options *options)
{
    unsigned now = call->connection->tracking.flags, flags = options->flags;
    bool is_on = now & TRACKING_ON;
    if (!(flags & TRACKING_BCAST) && options->prefixes_count)
        return call_refuse(call, "ERR PREFIX option requires BCAST mode to be enabled");
    if (options->prefixes_count > PREFIXES_MAX - call->connection->subscribed[CHANNEL_PREFIX])
        return call_refuse(call, "ERR too many prefixes");
    if (is_on && (now & TRACKING_BCAST) != (flags & TRACKING_BCAST))
        return call_refuse(call,
                           "ERR You can't switch BCAST mode on/off before disabling tracking for "
                           "this client, and then re-enabling it with a different mode.");
    if (flags & TRACKING_BCAST && flags & (TRACKING_OPTIN | TRACKING_OPTOUT))
        return call_refuse(call, "ERR OPTIN and OPTOUT are not compatible with BCAST");
    if (flags & TRACKING_OPTIN && flags & TRACKING_OPTOUT)
        return call_refuse(call, "ERR You can't specify both OPTIN mode and OPTOUT mode");
    if ((flags & TRACKING_OPTIN && now & TRACKING_OPTOUT) ||
        (flags & TRACKING_OPTOUT && now & TRACKING_OPTIN))
        return call_refuse(call,
                           "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for "
                           "this client, and then re-enabling it with a different mode.");
    return true;
}

static bool overlaps(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    return size == 0 || memcmp(a.data, b.data, size) == 0;
}

struct collision {
    struct call *call;
    struct bytes prefix;
    bool is_refused;
};

static void check_present(void *context, struct bytes present)
{
    struct collision *collision = context;
    if (collision->is_refused || !overlaps(collision->prefix, present))
        return;
    collision->is_refused = true;
    reply_error(collision->call->reply,
                "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes for a single "
                "client must not overlap.",
                call_printed_size(collision->prefix), (const char *)collision->prefix.data,
                call_printed_size(present), (const char *)present.data);
}

/* False: answered with the error. */
static bool prefixes_are_apart(struct call *call, const struct options *options)
{
    for (uint32_t i = 0; i < options->prefixes_count; i++) {
        struct collision collision = {.call = call, .prefix = call->argv[options->prefixes[i]]};
        channels_each_of(call->connection, CHANNEL_PREFIX, check_present, &collision);
        if (collision.is_refused)
            return false;
        for (uint32_t k = i + 1; k < options->prefixes_count; k++) {
            struct bytes other = call->argv[options->prefixes[k]];
            if (!overlaps(collision.prefix, other))
                continue;
            reply_error(call->reply,
                        "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. Prefixes "
                        "for a single client must not overlap.",
                        call_printed_size(collision.prefix), (const char *)collision.prefix.data,
                        call_printed_size(other), (const char *)other.data);
            return false;
        }
    }
    return true;
}

static void turn_on(struct call *call, const struct options *options)
{
    struct connection *connection = call->connection;
    struct channels *channels = call->server->channels;
    struct connection_tracking *tracking = &connection->tracking;
    tracking_begin(channels, connection);
    tracking->flags = TRACKING_ON | options->flags;
    tracking->redirect = (uint64_t)options->redirect;
    if (options->target)
        tracking_add_target(channels, options->target);
    for (uint32_t i = 0; i < options->prefixes_count; i++)
        (void)channels_subscribe(channels, connection, CHANNEL_PREFIX,
                                 call->argv[options->prefixes[i]], 0);
    if (options->flags & TRACKING_BCAST && connection->subscribed[CHANNEL_PREFIX] == 0)
        (void)channels_subscribe(channels, connection, CHANNEL_PREFIX, bytes_of("", 0), 0);
}

void cmd_client_tracking(struct call *call)
{
    struct options options = {0};
    bool is_taken = take_options(call, &options);
    if (is_taken && bytes_is(call->argv[2], "on")) {
        if (agree(call, &options) && prefixes_are_apart(call, &options)) {
            turn_on(call, &options);
            call_reply_ok(call->reply);
        }
    } else if (is_taken && bytes_is(call->argv[2], "off")) {
        tracking_end(call->server->channels, call->connection);
        call_reply_ok(call->reply);
    } else if (is_taken) {
        reply_error(call->reply, ERROR_SYNTAX);
    }
    memory_free(options.prefixes);
}

/* ---- the others ----------------------------------------------------------------------------- */

void cmd_client_caching(struct call *call)
{
    unsigned *flags = &call->connection->tracking.flags;
    bool is_yes = bytes_is(call->argv[2], "yes");
    if (!(*flags & TRACKING_ON))
        reply_error(call->reply,
                    "ERR CLIENT CACHING can be called only when the client is in tracking mode "
                    "with OPTIN or OPTOUT mode enabled");
    else if (!is_yes && !bytes_is(call->argv[2], "no"))
        reply_error(call->reply, ERROR_SYNTAX);
    else if (is_yes && !(*flags & TRACKING_OPTIN))
        reply_error(call->reply,
                    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    else if (!is_yes && !(*flags & TRACKING_OPTOUT))
        reply_error(call->reply,
                    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    else {
        *flags |= TRACKING_CACHING;
        call_reply_ok(call->reply);
    }
}

void cmd_client_getredir(struct call *call)
{
    reply_integer(call->reply, tracking_redirect(call->connection));
}

static void reply_prefix(void *context, struct bytes prefix)
{
    reply_bulk(context, prefix);
}

void cmd_client_trackinginfo(struct call *call)
{
    const struct connection *connection = call->connection;
    unsigned flags = connection->tracking.flags;
    bool is_caching = flags & TRACKING_CACHING;
    const char *words[6];
    uint32_t count = 0;
    words[count++] = flags & TRACKING_ON ? "on" : "off";
    if (flags & TRACKING_BCAST)
        words[count++] = "bcast";
    if (flags & TRACKING_OPTIN)
        words[count++] = "optin";
    if (flags & TRACKING_OPTOUT)
        words[count++] = "optout";
    if (is_caching)
        words[count++] = flags & TRACKING_OPTIN ? "caching-yes" : "caching-no";
    if (flags & TRACKING_NOLOOP)
        words[count++] = "noloop";
    if (flags & TRACKING_BROKEN)
        words[count++] = "broken_redirect";
    reply_map(call->reply, 3);
    reply_bulk_string(call->reply, "flags");
    reply_set(call->reply, count);
    for (uint32_t i = 0; i < count; i++)
        reply_bulk_string(call->reply, words[i]);
    reply_bulk_string(call->reply, "redirect");
    reply_integer(call->reply, tracking_redirect(connection));
    reply_bulk_string(call->reply, "prefixes");
    reply_array(call->reply, connection->subscribed[CHANNEL_PREFIX]);
    channels_each_of(connection, CHANNEL_PREFIX, reply_prefix, call->reply);
}
