/* See channels.h.
 *
 * A subscription is in two lists, that of its channel and that of its connection, and in a table by
 * both.  A message is formed once, without its first bytes (which say the protocol), and shared by
 * all who get it. */
#include <string.h>
#include <xxhash.h>

#include "command/channels_internal.h"
#include "command/commands.h"
#include "command/events.h"

enum {
    RECEIVERS_MAX = 16384, /* messages whose number of receivers is remembered */
    TELL_WORK = 256        /* of telling one subscriber, beside the bytes: see db_work() */
};

/* ---- subscriptions -------------------------------------------------------------------- */

static uint64_t hash_of_name(const struct channels *channels, struct bytes name)
{
    return XXH3_64bits_withSeed(name.size ? name.data : "", name.size, channels->secret);
}

static uint64_t hash_of_key(const struct channels *channels, const struct subscription_key *key)
{
    return XXH3_64bits_withSeed(key, sizeof *key, channels->secret);
}

static struct channel *channel_of(struct hash_link *link)
{
    return (struct channel *)link;
}

static struct subscription *subscription_of(struct hash_link *link)
{
    return (struct subscription *)link;
}

struct channel *channels_find(const struct channels *channels, enum channel_kind kind,
                              struct bytes name)
{
    const struct hash_table *names = &channels->names[kind];
    if (names->count == 0)
        return NULL;
    struct hash_link *link = hash_table_find(names, hash_of_name(channels, name));
    while (link && !bytes_equal(channels_name(channel_of(link)), name))
        link = hash_table_next(link);
    return link ? channel_of(link) : NULL;
}

static struct channel *find_or_make(struct channels *channels, enum channel_kind kind,
                                    struct bytes name)
{
    struct channel *channel = channels_find(channels, kind, name);
    if (channel)
        return channel;
    channel = memory_new(sizeof *channel + name.size);
    channel->kind = kind;
    channel->flushes = channels->flushes;
    channel->size = name.size;
    if (name.size)
        memcpy(channel->name, name.data, name.size);
    hash_table_add(&channels->names[kind], &channel->link, hash_of_name(channels, name));
    DL_APPEND(channels->all[kind], channel);
    return channel;
}

struct bytes channels_name(const struct channel *channel)
{
    return bytes_of(channel->name, channel->size);
}

static struct subscription *find_subscription(const struct channels *channels,
                                              struct channel *channel,
                                              struct connection *connection)
{
    struct subscription_key key = {channel, connection};
    struct hash_link *link = hash_table_find(&channels->subscriptions, hash_of_key(channels, &key));
    while (link && memcmp(&subscription_of(link)->key, &key, sizeof key) != 0)
        link = hash_table_next(link);
    return link ? subscription_of(link) : NULL;
}

bool channels_subscribe(struct channels *channels, struct connection *connection,
                        enum channel_kind kind, struct bytes name, uint64_t since)
{
    struct channel *channel = find_or_make(channels, kind, name);
    if (find_subscription(channels, channel, connection))
        return false;
    struct subscription *subscription = memory_new(sizeof *subscription);
    subscription->key = (struct subscription_key){channel, connection};
    subscription->since = since;
    hash_table_add(&channels->subscriptions, &subscription->link,
                   hash_of_key(channels, &subscription->key));
    DL_APPEND(channel->subscriptions, subscription);
    DL_APPEND2(connection->subscriptions[kind], subscription, mine_prev, mine_next);
    channel->count++;
    connection->subscribed[kind]++;
    channels->counts[kind]++;
    connection->subscribed_bytes += kind <= CHANNEL_SHARDED ? name.size : 0;
    return true;
}

static bool is_forgotten(const struct channels *channels, const struct channel *channel)
{
    return channel->kind == CHANNEL_TRACKED && channel->flushes != channels->flushes;
}

static void end_channel(struct channels *channels, struct channel *channel)
{
    if (is_forgotten(channels, channel)) {
        DL_DELETE(channels->forgotten, channel);
    } else {
        hash_table_remove(&channels->names[channel->kind], &channel->link);
        DL_DELETE(channels->all[channel->kind], channel);
    }
    memory_free(channel);
}

void channels_end(struct channels *channels, struct subscription *subscription)
{
    struct channel *channel = subscription->key.channel;
    struct connection *connection = subscription->key.connection;
    enum channel_kind kind = channel->kind;
    check(channel->count > 0);
    check(connection->subscribed[kind] > 0);
    hash_table_remove(&channels->subscriptions, &subscription->link);
    DL_DELETE(channel->subscriptions, subscription);
    DL_DELETE2(connection->subscriptions[kind], subscription, mine_prev, mine_next);
    connection->subscribed[kind]--;
    channels->counts[kind] -= !is_forgotten(channels, channel);
    connection->subscribed_bytes -= kind <= CHANNEL_SHARDED ? channel->size : 0;
    memory_free(subscription);
    if (--channel->count == 0)
        end_channel(channels, channel);
}

void channels_forget_tracked(struct channels *channels)
{
    DL_CONCAT(channels->forgotten, channels->all[CHANNEL_TRACKED]);
    channels->all[CHANNEL_TRACKED] = NULL;
    hash_table_clear(&channels->names[CHANNEL_TRACKED]);
    channels->counts[CHANNEL_TRACKED] = 0;
    channels->flushes++;
}

bool channels_forget_some(struct channels *channels, uint32_t *left)
{
    for (; channels->forgotten && *left > 0; --*left)
        channels_end(channels, channels->forgotten->subscriptions);
    return !channels->forgotten;
}

bool channels_unsubscribe(struct channels *channels, struct connection *connection,
                          enum channel_kind kind, struct bytes name)
{
    struct channel *channel = channels_find(channels, kind, name);
    struct subscription *subscription =
        channel ? find_subscription(channels, channel, connection) : NULL;
    if (subscription)
        channels_end(channels, subscription);
    return subscription != NULL;
}

struct bytes channels_first(const struct connection *connection, enum channel_kind kind)
{
    const struct subscription *first = connection->subscriptions[kind];
    return first ? channels_name(first->key.channel) : bytes_of(NULL, 0);
}

bool channels_leave_some(struct channels *channels, struct connection *connection,
                         enum channel_kind from, uint32_t *left)
{
    for (unsigned kind = from; kind < CHANNEL_KINDS; kind++)
        for (; connection->subscriptions[kind]; --*left) {
            if (*left == 0)
                return false;
            channels_end(channels, connection->subscriptions[kind]);
        }
    return true;
}

void channels_leave(struct channels *channels, struct connection *connection)
{
    uint32_t left = UINT32_MAX;
    check(connection->tracking.flags == 0);
    (void)channels_leave_some(channels, connection, 0, &left);
    check(connection->subscribed_bytes == 0);
}

/* ---- telling -------------------------------------------------------------------------- */

/* One message on its way to the subscribers of one channel. */
struct telling {
    uint64_t index;
    char words;        /* '3', or '4' with a pattern */
    struct blob *body; /* what follows the number of words */
};

static struct blob *body_of(const struct channel *pattern, bool is_sharded, struct bytes name,
                            struct bytes message)
{
    struct buffer text = {0};
    struct reply reply = {&text, 2};
    reply_bulk_string(&reply, pattern ? "pmessage" : is_sharded ? "smessage" : "message");
    if (pattern)
        reply_bulk(&reply, channels_name(pattern));
    reply_bulk(&reply, name);
    reply_bulk(&reply, message);
    struct blob *body = blob_copy(buffer_bytes(&text));
    buffer_deinit(&text);
    return body;
}

static void tell(struct channels *channels, struct connection *connection,
                 const struct telling *telling)
{
    char head[4] = {connection->protocol == 2 ? '*' : '>', telling->words, '\r', '\n'};
    outbox_append(&connection->out, head, sizeof head);
    outbox_append_blob(&connection->out, telling->body);
    channels->listener.work += TELL_WORK + telling->body->size;
    if (channels->told)
        channels->told(connection);
}

static uint32_t tell_all(struct channels *channels, const struct channel *channel,
                         const struct telling *telling)
{
    uint32_t count = 0;
    const struct subscription *subscription;
    DL_FOREACH(channel->subscriptions, subscription)
    {
        struct connection *connection = subscription->key.connection;
        if (telling->index <= subscription->since || connection->is_doomed)
            continue;
        tell(channels, connection, telling);
        count++;
    }
    return count;
}

static uint32_t tell_channel(struct channels *channels, const struct channel *channel,
                             uint64_t index, struct bytes name, struct bytes message)
{
    bool is_pattern = channel->kind == CHANNEL_PATTERN;
    struct telling telling = {.index = index,
                              .words = is_pattern ? '4' : '3',
                              .body = body_of(is_pattern ? channel : NULL,
                                              channel->kind == CHANNEL_SHARDED, name, message)};
    uint32_t count = tell_all(channels, channel, &telling);
    blob_release(telling.body);
    return count;
}

static uint32_t tell_patterns(struct channels *channels, uint64_t index, struct bytes name,
                              struct bytes message)
{
    uint32_t count = 0;
    const struct channel *pattern;
    DL_FOREACH(channels->all[CHANNEL_PATTERN], pattern)
    {
        channels->listener.work += pattern->size + name.size;
        if (command_glob_match(channels_name(pattern), name, false))
            count += tell_channel(channels, pattern, index, name, message);
    }
    return count;
}

static uint32_t publish(struct channels *channels, uint64_t index, bool is_sharded,
                        struct bytes name, struct bytes message)
{
    uint32_t count = 0;
    const struct channel *channel =
        channels_find(channels, is_sharded ? CHANNEL_SHARDED : CHANNEL_PLAIN, name);
    if (channel)
        count += tell_channel(channels, channel, index, name, message);
    if (!is_sharded)
        count += tell_patterns(channels, index, name, message);
    return count;
}

/* ---- how many got it ------------------------------------------------------------------ */

static void remember(struct channels *channels, uint32_t count)
{
    if (!channels->receivers)
        channels->receivers = memory_new(RECEIVERS_MAX * sizeof *channels->receivers);
    channels->receivers[channels->receivers_end++ % RECEIVERS_MAX] =
        (struct receivers){channels->index, channels->next, count};
}

static bool is_before(const struct receivers *receivers, uint64_t index, uint32_t nth)
{
    return receivers->index < index || (receivers->index == index && receivers->nth < nth);
}

uint32_t channels_receivers(const struct channels *channels, uint64_t index, uint32_t nth)
{
    uint64_t end = channels->receivers_end;
    uint64_t low = end > RECEIVERS_MAX ? end - RECEIVERS_MAX : 0, high = end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (is_before(&channels->receivers[middle % RECEIVERS_MAX], index, nth))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == end)
        return 0;
    const struct receivers *found = &channels->receivers[low % RECEIVERS_MAX];
    return found->index == index && found->nth == nth ? found->count : 0;
}

/* ---- effects ---------------------------------------------------------------------------- */

/* `__keyspace@0__:key` says the event, `__keyevent@0__:event` the key. */
static void publish_event(struct channels *channels, uint64_t index, const struct db_effect *effect,
                          bool is_of_key)
{
    struct buffer name = {0};
    struct bytes event = bytes_from_string(effect->event);
    buffer_printf(&name, "__%s@%u__:", is_of_key ? "keyspace" : "keyevent", effect->database);
    buffer_append_bytes(&name, is_of_key ? effect->key : event);
    (void)publish(channels, index, false, buffer_bytes(&name), is_of_key ? event : effect->key);
    buffer_deinit(&name);
}

static void on_change(struct channels *channels, uint64_t index, const struct db_effect *effect)
{
    bool is_heard = channels->all[CHANNEL_PLAIN] || channels->all[CHANNEL_PATTERN];
    if (!is_heard || !effect->event || !(channels->events & events_class(effect->event)))
        return;
    if (channels->events & EVENTS_OF_KEYS)
        publish_event(channels, index, effect, true);
    if (channels->events & EVENTS_BY_NAME)
        publish_event(channels, index, effect, false);
}

void channels_set_events(struct channels *channels, const char *letters)
{
    channels->events = events_parse(letters);
}

static void on_effect(struct command_listener *listener, uint64_t index,
                      const struct db_effect *effect)
{
    struct channels *channels = (struct channels *)listener;
    if (effect->type != DB_EFFECT_MESSAGE) {
        if (channels->events)
            on_change(channels, index, effect);
        if (channels->trackers)
            channels->on_change(channels, index, effect);
        return;
    }
    check(index >= channels->index);
    if (index > channels->index)
        channels->next = 0;
    channels->index = index;
    uint32_t count = publish(channels, index, effect->is_sharded, effect->key, effect->message);
    if (effect->is_of_script) /* nobody asks */
        return;
    if (count > 0)
        remember(channels, count);
    channels->next++;
}

/* ---- what is there -------------------------------------------------------------------- */

uint32_t channels_count(const struct channels *channels, enum channel_kind kind)
{
    return (uint32_t)channels->names[kind].count;
}

void channels_each(const struct channels *channels, enum channel_kind kind, channels_fn *each,
                   void *context)
{
    const struct channel *channel;
    DL_FOREACH(channels->all[kind], channel)
    {
        each(context, channels_name(channel));
    }
}

void channels_each_of(const struct connection *connection, enum channel_kind kind,
                      channels_fn *each, void *context)
{
    const struct subscription *subscription;
    DL_FOREACH2(connection->subscriptions[kind], subscription, mine_next)
    {
        each(context, channels_name(subscription->key.channel));
    }
}

uint32_t channels_subscribers(const struct channels *channels, enum channel_kind kind,
                              struct bytes name)
{
    const struct channel *channel = channels_find(channels, kind, name);
    return channel ? channel->count : 0;
}

/* ---- life ------------------------------------------------------------------------------- */

struct channels *channels_new(uint64_t secret)
{
    struct channels *channels = memory_new(sizeof *channels);
    channels->secret = secret;
    channels->listener.effect = on_effect;
    return channels;
}

void channels_free(struct channels *channels)
{
    if (!channels)
        return;
    hash_table_deinit(&channels->subscriptions);
    for (int kind = 0; kind < CHANNEL_KINDS; kind++)
        hash_table_deinit(&channels->names[kind]);
    memory_free(channels->receivers);
    buffer_deinit(&channels->told_key);
    memory_free(channels);
}

void channels_wake(struct channels *channels, void (*told)(struct connection *connection))
{
    channels->told = told;
}

struct command_listener *channels_listener(struct channels *channels)
{
    return &channels->listener;
}
