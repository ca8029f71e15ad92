/* See watch.h.  Between two turns of the loop an entry may be half applied; its changes are not in
 * the history yet.  Where reads go on in the state before it, so does this; else a key that it has
 * changed already is told as "changed".  Loop thread only. */
#include "command/watch.h"

#include "base/fatal.h"
#include "base/memory.h"
#include "resp/writer.h"

void command_watch_free(struct watch *watch)
{
    if (!watch)
        return;
    for (uint32_t i = 0; i < watch->filters_count; i++)
        memory_free(watch->filters[i].data);
    memory_free(watch);
}

static bool is_wanted(const struct watch *watch, const struct db_effect *effect)
{
    bool has_key = effect->type == DB_EFFECT_PUT || effect->type == DB_EFFECT_DELETED;
    if (watch->filters_count == 0 || !has_key)
        return true;
    for (uint32_t i = 0; i < watch->filters_count; i++) {
        const struct watch_filter *filter = &watch->filters[i];
        bool fits =
            filter->is_prefix ? effect->key.size >= filter->size : effect->key.size == filter->size;
        if (fits && memcmp(effect->key.data, filter->data, filter->size) == 0)
            return true;
    }
    return false;
}

/* ---- frames ---------------------------------------------------------------------- */

static void say_position(struct reply *reply, struct position position)
{
    char text[POSITION_SIZE];
    command_position_print(position, text);
    reply_bulk_string(reply, text);
}

/* What OBJECT calls it, or what TYPE does. */
static const char *type_name(enum db_type type)
{
    static const char *const names[] = {"none", "string", "list", "set", "zset", "hash", "stream"};
    check((size_t)type < sizeof names / sizeof names[0]);
    return names[type];
}

/* The value behind the entry at `index`; if it was changed again since, that comes later. */
static void say_value(struct reply *reply, struct db *db, uint64_t index,
                      const struct db_effect *effect)
{
    struct db_record found;
    struct bytes value;
    struct db_view *before = db_is_parted(db) ? db_view_new(db) : NULL;
    db_at(db, db_now_ms(db), false);
    bool is_there = db_find(db, before, effect->database, effect->key, &found, &value);
    bool is_as_then = is_there ? found.version == index : effect->type == DB_EFFECT_DELETED;
    reply_bulk_string(reply, !is_as_then ? "changed" : type_name(is_there ? found.type : DB_NONE));
    if (is_as_then && is_there && found.type == DB_STRING)
        reply_bulk(reply, value);
    else
        reply_null(reply);
    if (before)
        db_view_release(before);
}

static void say_change(struct reply *reply, const struct watch *watch, struct db *db,
                       const struct history_change *change)
{
    const struct db_effect *effect = &change->effect;
    bool has_key = effect->type == DB_EFFECT_PUT || effect->type == DB_EFFECT_DELETED;
    reply_push(reply, watch->has_values ? 7 : 5);
    reply_bulk_string(reply, "raft.change");
    say_position(reply, change->position);
    reply_integer(reply, effect->database);
    if (has_key) {
        reply_bulk_string(reply, effect->event);
        reply_bulk(reply, effect->key);
    } else if (effect->type == DB_EFFECT_FLUSHED) {
        reply_bulk_string(reply, "flushdb");
        reply_null(reply);
    } else {
        reply_bulk_string(reply, "swapdb"); /* the key is the other's number */
        reply_integer(reply, effect->other);
    }
    if (watch->has_values && has_key) {
        say_value(reply, db, change->position.index, effect);
    } else if (watch->has_values) {
        reply_bulk_string(reply, "none");
        reply_null(reply);
    }
}

static void say(struct reply *reply, const char *what, struct position position)
{
    reply_push(reply, 2);
    reply_bulk_string(reply, what);
    say_position(reply, position);
}

/* ---- feeding --------------------------------------------------------------------- */

/* True: to the end of what there is. */
static bool feed_changes(struct watch *watch, const struct history *history, struct reply *reply,
                         const struct outbox *out)
{
    struct history_change change;
    for (unsigned seen = 0; outbox_size(out) < WATCH_UNSENT_MAX; seen++) {
        if (seen == WATCH_CHANGES_MAX)
            return false;
        if (!command_history_next(history, &watch->cursor, &change))
            return true;
        if (!position_before(watch->told, change.position))
            continue;
        watch->told = change.position;
        if (!is_wanted(watch, &change.effect))
            continue;
        say_change(reply, watch, command_history_db(history), &change);
        watch->said = change.position;
    }
    return false;
}

enum watch_fed command_watch_feed(struct watch *watch, const struct history *history,
                                  bool says_position, int protocol, struct outbox *out)
{
    struct reply reply = {&out->bytes, protocol};
    if (!command_history_has(history, watch->told)) {
        say(&reply, "raft.lost", command_history_floor(history));
        return WATCH_LOST;
    }
    if (!feed_changes(watch, history, &reply, out))
        return WATCH_MORE;
    /* Entries without changes are behind it, too. */
    struct position applied = {db_applied_index(command_history_db(history)), POSITION_WHOLE};
    if (position_before(watch->told, applied))
        watch->told = applied;
    if (says_position && position_before(watch->said, watch->told)) {
        say(&reply, "raft.position", watch->told);
        watch->said = watch->told;
    }
    return WATCH_IDLE;
}
