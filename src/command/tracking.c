/* See tracking.h.  Keys are those of all databases, as in Redis. */
#include "command/tracking.h"

#include "command/channels_internal.h"
#include "command/commands.h"

enum {
    TRACKING_HELD_MAX = 1 << 20, /* bytes held for one connection; beyond, all is to be forgotten */
    EVICTED_AT_ONCE_MAX = 100,   /* keys, beside those that a command brings */
    /* Keys that a command has noted, 1 us each.  Of one that reads more its client is told to
     * forget all it has, as if there were no room for them. */
    TRACKED_AT_ONCE_MAX = 8192
};

struct tracking_held {
    struct tracking_held *prev, *next;
    uint64_t behind; /* the reply to this request */
    bool is_all;     /* of everything; no name */
    size_t size;
    char name[];
};

/* ---- who is told in another's place ------------------------------------------------------- */

struct target {
    UT_hash_handle hh;
    uint64_t id;
    struct connection *connection;
};

static struct target *find_target(const struct channels *channels, uint64_t id)
{
    struct target *target;
    HASH_FIND(hh, channels->targets, &id, sizeof id, target);
    return target;
}

void tracking_add_target(struct channels *channels, struct connection *connection)
{
    struct target *target = find_target(channels, connection->id);
    if (target)
        return;
    target = memory_new(sizeof *target);
    target->id = connection->id;
    target->connection = connection;
    connection->tracking.is_target = true;
    HASH_ADD(hh, channels->targets, id, sizeof target->id, target);
}

static void drop_target(struct channels *channels, struct connection *connection)
{
    struct target *target = find_target(channels, connection->id);
    connection->tracking.is_target = false;
    if (!target)
        return;
    HASH_DEL(channels->targets, target);
    memory_free(target);
}

/* ---- telling ------------------------------------------------------------------------------ */

static void wake(struct channels *channels, struct connection *connection)
{
    if (channels->told)
        channels->told(connection);
}

static void say_broken(struct channels *channels, struct connection *connection)
{
    struct reply push = {&connection->out.bytes, connection->protocol};
    connection->tracking.flags |= TRACKING_BROKEN;
    if (connection->protocol == 2)
        return;
    reply_push(&push, 2);
    reply_bulk_string(&push, "tracking-redir-broken");
    reply_integer(&push, (int64_t)connection->tracking.redirect);
    wake(channels, connection);
}

/* False: in RESP2 only who is subscribed in another's place can be told. */
static bool say_head(const struct connection *to, bool is_redirected, struct reply *push)
{
    if (to->protocol == 3) {
        reply_push(push, 2);
        reply_bulk_string(push, "invalidate");
        return true;
    }
    if (!is_redirected || !connection_is_subscribed(to))
        return false;
    reply_push(push, 3);
    reply_bulk_string(push, "message");
    reply_bulk_string(push, "__redis__:invalidate");
    return true;
}

static void say(struct channels *channels, struct connection *connection, bool is_all,
                struct bytes key)
{
    struct connection *to = connection;
    bool is_redirected = connection->tracking.redirect != 0;
    if (is_redirected) {
        const struct target *target = find_target(channels, connection->tracking.redirect);
        if (!target) {
            say_broken(channels, connection);
            return;
        }
        to = target->connection;
    }
    struct reply push = {&to->out.bytes, to->protocol};
    if (to->is_doomed || !say_head(to, is_redirected, &push))
        return;
    if (is_all) {
        reply_null(&push);
    } else {
        reply_array(&push, 1);
        reply_bulk(&push, key);
    }
    channels->listener.work += key.size + sizeof(struct tracking_held);
    wake(channels, to);
}

static void drop_held(struct connection *connection, struct tracking_held *held)
{
    DL_DELETE(connection->tracking.held, held);
    connection->tracking.held_bytes -= sizeof *held + held->size;
    memory_free(held);
}

static void drop_all_held(struct connection *connection)
{
    while (connection->tracking.held)
        drop_held(connection, connection->tracking.held);
}

/* What is held of everything stays behind its own reply: who always has a request out would never
 * hear it. */
static void drop_held_names(struct connection *connection)
{
    struct tracking_held *held, *following;
    DL_FOREACH_SAFE(connection->tracking.held, held, following)
    {
        if (!held->is_all)
            drop_held(connection, held);
    }
}

static void hold(struct connection *connection, bool is_all, struct bytes key)
{
    struct connection_tracking *tracking = &connection->tracking;
    const struct tracking_held *last = tracking->held ? tracking->held->prev : NULL;
    if (last && last->is_all && last->behind == tracking->asked)
        return; /* it says that, too */
    if (tracking->held_bytes + key.size > TRACKING_HELD_MAX)
        is_all = true;
    if (is_all) {
        drop_held_names(connection);
        key.size = 0;
    }
    struct tracking_held *held = memory_new(sizeof *held + key.size);
    held->behind = tracking->asked;
    held->is_all = is_all;
    held->size = key.size;
    if (key.size)
        memcpy(held->name, key.data, key.size);
    DL_APPEND(tracking->held, held);
    tracking->held_bytes += sizeof *held + key.size;
}

static void tell(struct channels *channels, struct connection *connection, bool is_all,
                 struct bytes key)
{
    if (connection->tracking.answered < connection->tracking.asked)
        hold(connection, is_all, key);
    else
        say(channels, connection, is_all, key);
}

void tracking_release(struct channels *channels, struct connection *connection)
{
    struct connection_tracking *tracking = &connection->tracking;
    while (tracking->held && tracking->held->behind <= tracking->answered) {
        struct tracking_held *held = tracking->held;
        say(channels, connection, held->is_all, bytes_of(held->name, held->size));
        drop_held(connection, held);
    }
}

/* ---- changes ------------------------------------------------------------------------------ */

/* Its own change is no news to one with NOLOOP, and it is told of the next. */
static bool is_news(const struct channels *channels, const struct connection *connection)
{
    return !(connection->tracking.flags & TRACKING_NOLOOP) ||
           connection->id != channels->listener.author;
}

static void tell_readers(struct channels *channels, struct channel *tracked)
{
    struct subscription *subscription, *following;
    uint32_t left = tracked->count;
    struct bytes key = channels_name(tracked);
    DL_FOREACH_SAFE(tracked->subscriptions, subscription, following)
    {
        left--;
        if (is_news(channels, subscription->key.connection)) {
            tell(channels, subscription->key.connection, false, key);
            channels_end(channels, subscription); /* with the last one goes the key */
        }
        if (left == 0)
            return;
    }
}

static bool begins_with(struct bytes key, struct bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* A change that has two events is told once. */
static bool is_told_already(struct channels *channels, uint64_t index, struct bytes key)
{
    bool is_told =
        channels->told_index == index && bytes_equal(buffer_bytes(&channels->told_key), key);
    channels->told_index = index;
    if (!is_told) {
        buffer_clear(&channels->told_key);
        buffer_append_bytes(&channels->told_key, key);
    }
    return is_told;
}

static void tell_prefixes(struct channels *channels, uint64_t index, struct bytes key)
{
    const struct channel *prefix;
    if (!channels->all[CHANNEL_PREFIX] || is_told_already(channels, index, key))
        return;
    DL_FOREACH(channels->all[CHANNEL_PREFIX], prefix)
    {
        const struct subscription *subscription;
        channels->listener.work += prefix->size;
        if (!begins_with(key, channels_name(prefix)))
            continue;
        DL_FOREACH(prefix->subscriptions, subscription)
        {
            if (is_news(channels, subscription->key.connection))
                tell(channels, subscription->key.connection, false, key);
        }
    }
}

/* FLUSHALL of many databases is told once. */
static void tell_everybody(struct channels *channels, uint64_t index)
{
    struct connection *connection, *following;
    if (channels->told_all_index == index)
        return;
    channels->told_all_index = index;
    channels_forget_tracked(channels);
    DL_FOREACH_SAFE2(channels->tracking, connection, following, tracking.next)
    {
        tell(channels, connection, true, bytes_of(NULL, 0));
    }
}

static void on_change(struct channels *channels, uint64_t index, const struct db_effect *effect)
{
    struct channel *tracked;
    switch (effect->type) {
    case DB_EFFECT_PUT:
    case DB_EFFECT_DELETED:
        tracked = channels_find(channels, CHANNEL_TRACKED, effect->key);
        if (tracked)
            tell_readers(channels, tracked);
        tell_prefixes(channels, index, effect->key);
        break;
    case DB_EFFECT_FLUSHED:
    case DB_EFFECT_SWAPPED: tell_everybody(channels, index); break;
    case DB_EFFECT_MESSAGE: break;
    }
}

/* ---- reads -------------------------------------------------------------------------------- */

struct remembering {
    struct channels *channels;
    struct connection *connection;
    unsigned extra; /* keys that this command may yet evict beyond one for each of its own */
    uint32_t left;  /* keys that may yet be noted */
    bool is_all;    /* there were more */
};

static bool are_too_many(const struct channels *channels)
{
    return channels->tracked_max &&
           channels_count(channels, CHANNEL_TRACKED) > channels->tracked_max;
}

/* The oldest go: one for each that comes, and more where the bound was lowered. */
static void evict(struct remembering *remembering)
{
    struct channels *channels = remembering->channels;
    if (are_too_many(channels))
        tell_readers(channels, channels->all[CHANNEL_TRACKED]);
    while (remembering->extra > 0 && are_too_many(channels)) {
        remembering->extra--;
        tell_readers(channels, channels->all[CHANNEL_TRACKED]);
    }
}

static void remember(void *context, struct bytes key)
{
    struct remembering *remembering = context;
    struct channels *channels = remembering->channels;
    remembering->is_all |= remembering->left == 0;
    if (remembering->is_all)
        return;
    remembering->left--;
    uint32_t one = 1; /* of those that a flush left, for each that comes: no more than there were */
    (void)channels_forget_some(channels, &one);
    (void)channels_subscribe(channels, remembering->connection, CHANNEL_TRACKED, key, 0);
    evict(remembering);
}

void tracking_remember(struct channels *channels, struct connection *connection,
                       const struct command *command, const struct bytes *argv, uint32_t argc)
{
    struct remembering remembering = {.channels = channels,
                                      .connection = connection,
                                      .extra = EVICTED_AT_ONCE_MAX,
                                      .left = TRACKED_AT_ONCE_MAX};
    unsigned flags = connection->tracking.flags;
    bool is_caching = flags & TRACKING_CACHING;
    if (!(flags & TRACKING_ON) || flags & TRACKING_BCAST)
        return;
    if ((flags & TRACKING_OPTIN && !is_caching) || (flags & TRACKING_OPTOUT && is_caching))
        return;
    channels->listener.author = 0; /* what is evicted is news to everybody */
    command_each_key_read(connection, command, argv, argc, remember, &remembering);
    if (remembering.is_all) /* behind the reply, which the caller has counted as asked for */
        tell(channels, connection, true, bytes_of(NULL, 0));
}

void command_caching_ends(struct connection *connection, const struct command *command)
{
    bool is_client = command && strncmp(command->name, "client|", 7) == 0;
    if (!connection->transaction.is_open && !is_client)
        connection->tracking.flags &= ~(unsigned)TRACKING_CACHING;
}

/* ---- on and off --------------------------------------------------------------------------- */

void tracking_set_max(struct channels *channels, uint64_t keys)
{
    channels->tracked_max = keys;
}

void tracking_begin(struct channels *channels, struct connection *connection)
{
    if (connection->tracking.flags & TRACKING_ON)
        return;
    connection->tracking.flags |= TRACKING_ON;
    channels->trackers++;
    channels->on_change = on_change;
    DL_APPEND2(channels->tracking, connection, tracking.prev, tracking.next);
}

void tracking_end(struct channels *channels, struct connection *connection)
{
    uint32_t left = UINT32_MAX;
    (void)channels_leave_some(channels, connection, CHANNEL_TRACKED, &left);
    drop_all_held(connection);
    if (connection->tracking.flags & TRACKING_ON) {
        channels->trackers--;
        DL_DELETE2(channels->tracking, connection, tracking.prev, tracking.next);
    }
    connection->tracking.flags = 0;
    connection->tracking.redirect = 0;
}

int64_t tracking_redirect(const struct connection *connection)
{
    return connection->tracking.flags & TRACKING_ON ? (int64_t)connection->tracking.redirect : -1;
}

void tracking_leave(struct channels *channels, struct connection *connection)
{
    tracking_end(channels, connection);
    channels_leave(channels, connection);
    if (connection->tracking.is_target)
        drop_target(channels, connection);
}

struct tracking_counts tracking_count(const struct channels *channels)
{
    return (struct tracking_counts){.clients = channels->trackers,
                                    .keys = channels_count(channels, CHANNEL_TRACKED),
                                    .items = channels->counts[CHANNEL_TRACKED],
                                    .prefixes = channels_count(channels, CHANNEL_PREFIX)};
}
