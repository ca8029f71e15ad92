/* See effects.h. */
#include "data/effects.h"

#include "base/fatal.h"
#include "base/limits.h"
#include "data/layers.h"

enum { NOTED_KEEP = 64 * 1024 }; /* bytes whose room is kept between entries */

/* Before the bytes of the key, and of the message. */
struct note {
    const char *event;
    size_t key_size, message_size;
    uint8_t type, database, other;
    bool is_sharded, is_of_script;
};

/* One where it stands, behind names of any size.  It is written and read there field by field: to
 * copy what was just written, the processor first waits for all that was written before, some of it
 * far away in memory. */
struct __attribute__((packed)) noted {
    struct note note;
};

/* What carries names for so many keys was refused before it got into the log; three for each: it
 * may have been there and be over, and what is written then has up to two events (a change here
 * and one there, "set" and "expire").  A message is in it as often as it was published. */
static const size_t noted_max =
    3 * ((size_t)COMMAND_ENCODED_MAX + (size_t)COMMAND_WORDS_MAX * sizeof(struct note));

static bool is_latest(const struct effects *effects, const struct db_effect *effect,
                      const char *event)
{
    if (effects->latest == 0)
        return false;
    const char *at = (const char *)effects->noted.data + effects->latest - 1;
    const struct noted *latest = (const struct noted *)at;
    return latest->note.event == event && latest->note.type == (uint8_t)effect->type &&
           latest->note.database == effect->database && latest->note.other == effect->other &&
           bytes_equal(bytes_of(at + sizeof *latest, latest->note.key_size), effect->key);
}

/* Room for one, and for the bytes behind it. */
static struct noted *append(struct effects *effects, size_t more)
{
    struct buffer *buffer = &effects->noted;
    buffer_reserve(buffer, sizeof(struct noted) + more);
    struct noted *noted = (struct noted *)(buffer->data + buffer->size);
    buffer->size += sizeof *noted;
    return noted;
}

/* A command that goes on in a later slice does the same to its key once more; how many slices it
 * takes depends on what is in memory, so what it repeats is not told again. */
void effects_append(struct effects *effects, const struct db_effect *effect)
{
    bool has_key = effect->type == DB_EFFECT_PUT || effect->type == DB_EFFECT_DELETED;
    check(!has_key || effect->event); /* every change has a name */
    check(has_key || effect->key.size == 0);
    check(effect->database < DB_DATABASES);
    check(effect->other < DB_DATABASES);
    const char *event = has_key ? effect->event : NULL;
    if (effects->is_counted) /* what it repeats too: not every node knows that */
        effects->counted += sizeof(struct note) + effect->key.size;
    if (!effects->is_wanted || is_latest(effects, effect, event))
        return;
    effects->latest = effects->noted.size + 1;
    append(effects, effect->key.size)->note = (struct note){.event = event,
                                                            .key_size = effect->key.size,
                                                            .type = (uint8_t)effect->type,
                                                            .database = effect->database,
                                                            .other = effect->other};
    buffer_append_bytes(&effects->noted, effect->key);
    check(effects->noted.size <= noted_max);
}

void db_effects_message(struct db *db, bool is_sharded, bool is_of_script, struct bytes channel,
                        struct bytes message)
{
    struct effects *effects = &db->effects;
    if (effects->is_counted)
        effects->counted += sizeof(struct note) + channel.size + message.size;
    if (!effects->is_wanted)
        return;
    effects->latest = 0; /* twice the same message is two */
    append(effects, channel.size + message.size)->note =
        (struct note){.key_size = channel.size,
                      .message_size = message.size,
                      .type = DB_EFFECT_MESSAGE,
                      .is_sharded = is_sharded,
                      .is_of_script = is_of_script};
    buffer_append_bytes(&effects->noted, channel);
    buffer_append_bytes(&effects->noted, message);
    check(effects->noted.size <= noted_max);
}

void db_effects_want(struct db *db, bool is_wanted)
{
    check(!db->is_in_entry);
    check(db->effects.noted.size == 0);
    db->effects.is_wanted = is_wanted;
}

const char db_effect_untold[] = "";

void db_effects_command(struct db *db)
{
    db->effects.latest = 0;
}

void db_effects_name(struct db *db, const char *event)
{
    db->effects.event = event;
}

void db_effects_also(struct db *db, unsigned database, struct bytes key, const char *event)
{
    const char *before = db->effects.event;
    db->effects.event = event;
    effects_note(&db->effects, DB_EFFECT_PUT, database, database, key);
    db->effects.event = before;
}

void db_effects_drain(struct db *db, db_effect_fn *each, void *context)
{
    struct effects *effects = &db->effects;
    check(effects->is_wanted);
    const char *at = effects->noted.data, *end = at + effects->noted.size;
    while (at < end) {
        check((size_t)(end - at) >= sizeof(struct noted));
        const struct noted *noted = (const struct noted *)at;
        size_t key_size = noted->note.key_size, message_size = noted->note.message_size;
        at += sizeof *noted;
        check(key_size <= (size_t)(end - at));
        check(message_size <= (size_t)(end - at) - key_size);
        struct db_effect effect = {.type = (enum db_effect_type)noted->note.type,
                                   .database = noted->note.database,
                                   .other = noted->note.other,
                                   .event = noted->note.event,
                                   .key = bytes_of(at, key_size),
                                   .message = bytes_of(at + key_size, message_size),
                                   .is_sharded = noted->note.is_sharded,
                                   .is_of_script = noted->note.is_of_script};
        each(context, &effect);
        at += key_size + message_size;
    }
    effects->latest = 0;
    effects->event = NULL; /* the next entry's changes have names of their own */
    buffer_clear(&effects->noted);
    if (effects->noted.capacity > NOTED_KEEP)
        buffer_deinit(&effects->noted);
}
