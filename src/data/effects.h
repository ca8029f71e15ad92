/* What an entry does to keys: noted where it is done, in order, and drained when the entry ends.
 *
 * Loop thread.  Nothing here depends on what is in memory and what in the kv, so the effects of
 * an entry are the same on every node.  That is why they do not say whether a key that was put
 * is new: a put does not look. */
#ifndef DATA_EFFECTS_H
#define DATA_EFFECTS_H

#include "base/buffer.h"
#include "data/db.h"

/* What was noted, one behind the other: struct note, key, message.  In chunks, each of which holds
 * some whole, since those of a million keys would take long to move. */
struct noted {
    struct noted_chunk *first, *last; /* owned */
    size_t size, capacity;            /* of all */
};

struct effects {
    bool is_wanted;
    bool is_counted;    /* a savepoint is set: */
    uint64_t counted;   /* bytes that would be noted, wanted or not */
    const char *event;  /* of the changes that follow; static; NULL: not named yet */
    struct noted noted; /* of this entry */
    size_t latest;      /* 1 more than where the command's last stands there; 0: it has none yet */
};

void effects_noted_deinit(struct noted *noted);
/* Forgets what came behind the first so many bytes. */
void effects_noted_cut(struct noted *noted, size_t size);

void effects_append(struct effects *effects, const struct db_effect *effect);
/* As db_effects_message() and db_effects_drain(). */
void effects_message(struct effects *effects, bool is_sharded, bool is_of_script,
                     struct bytes channel, struct bytes message);
void effects_drain(struct effects *effects, db_effect_fn *each, void *context);

/* `effect` without its event. */
static inline void effects_note(struct effects *effects, enum db_effect_type type,
                                unsigned database, unsigned other, struct bytes key)
{
    bool is_noting = effects->is_wanted | effects->is_counted;
    if (!is_noting || effects->event == db_effect_untold)
        return;
    struct db_effect effect = {.type = type,
                               .database = (uint8_t)database,
                               .other = (uint8_t)other,
                               .event = effects->event,
                               .key = key};
    effects_append(effects, &effect);
}

#endif
