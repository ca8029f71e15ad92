/* See effects.h. */
#include "data/effects.h"

#include "base/fatal.h"
#include "base/limits.h"
#include "base/memory.h"

enum { NOTED_KEEP = 64 * 1024 }; /* bytes of a chunk; the room of one is kept between entries */

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
struct __attribute__((packed)) noted_head {
    struct note note;
};

/* What carries names for so many keys was refused before it got into the log; three for each: it
 * may have been there and be over, and what is written then has up to two events (a change here
 * and one there, "set" and "expire").  A message is in it as often as it was published. */
static const size_t noted_max =
    3 * ((size_t)COMMAND_ENCODED_MAX + (size_t)COMMAND_WORDS_MAX * sizeof(struct note));

/* ---- chunks ----------------------------------------------------------------------------- */

struct noted_chunk {
    struct noted_chunk *before, *next;
    size_t begin; /* bytes in those before */
    size_t size, capacity;
    char data[];
};

static void chunk_add(struct noted *noted, size_t size)
{
    size_t capacity = size < NOTED_KEEP ? NOTED_KEEP : size;
    struct noted_chunk *chunk = memory_resize(NULL, sizeof *chunk + capacity);
    *chunk =
        (struct noted_chunk){.before = noted->last, .begin = noted->size, .capacity = capacity};
    if (noted->last)
        noted->last->next = chunk;
    else
        noted->first = chunk;
    noted->last = chunk;
    noted->capacity += capacity;
}

static void chunk_drop(struct noted *noted)
{
    struct noted_chunk *chunk = noted->last;
    noted->last = chunk->before;
    noted->size -= chunk->size;
    noted->capacity -= chunk->capacity;
    if (noted->last)
        noted->last->next = NULL;
    else
        noted->first = NULL;
    memory_free(chunk);
}

void effects_noted_deinit(struct noted *noted)
{
    while (noted->last)
        chunk_drop(noted);
}

void effects_noted_cut(struct noted *noted, size_t size)
{
    check(size <= noted->size);
    while (noted->last && noted->last->begin > size)
        chunk_drop(noted);
    if (noted->last)
        noted->last->size = size - noted->last->begin;
    noted->size = size;
}

static char *noted_room(struct noted *noted, size_t size)
{
    if (!noted->last || noted->last->capacity - noted->last->size < size)
        chunk_add(noted, size);
    char *room = noted->last->data + noted->last->size;
    noted->last->size += size;
    noted->size += size;
    return room;
}

static const char *noted_at(const struct noted *noted, size_t offset)
{
    const struct noted_chunk *chunk = noted->last;
    while (chunk->begin > offset)
        chunk = chunk->before;
    return chunk->data + (offset - chunk->begin);
}

/* ---- noting ----------------------------------------------------------------------------- */

static bool is_latest(const struct effects *effects, const struct db_effect *effect,
                      const char *event)
{
    if (effects->latest == 0)
        return false;
    const char *at = noted_at(&effects->noted, effects->latest - 1);
    const struct noted_head *latest = (const struct noted_head *)at;
    return latest->note.event == event && latest->note.type == (uint8_t)effect->type &&
           latest->note.database == effect->database && latest->note.other == effect->other &&
           bytes_equal(bytes_of(at + sizeof *latest, latest->note.key_size), effect->key);
}

static char *put_bytes(char *at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* The note is to be filled in. */
static struct noted_head *append(struct effects *effects, struct bytes key, struct bytes message)
{
    struct noted_head *head;
    char *at = noted_room(&effects->noted, sizeof *head + key.size + message.size);
    head = (struct noted_head *)at;
    put_bytes(put_bytes(at + sizeof *head, key), message);
    check(effects->noted.size <= noted_max);
    return head;
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
    append(effects, effect->key, (struct bytes){0})->note =
        (struct note){.event = event,
                      .key_size = effect->key.size,
                      .type = (uint8_t)effect->type,
                      .database = effect->database,
                      .other = effect->other};
    effects->latest = effects->noted.size - effect->key.size - sizeof(struct noted_head) + 1;
}

void effects_message(struct effects *effects, bool is_sharded, bool is_of_script,
                     struct bytes channel, struct bytes message)
{
    if (effects->is_counted)
        effects->counted += sizeof(struct note) + channel.size + message.size;
    if (!effects->is_wanted)
        return;
    effects->latest = 0; /* twice the same message is two */
    append(effects, channel, message)->note = (struct note){.key_size = channel.size,
                                                            .message_size = message.size,
                                                            .type = DB_EFFECT_MESSAGE,
                                                            .is_sharded = is_sharded,
                                                            .is_of_script = is_of_script};
}

const char db_effect_untold[] = "";

/* ---- telling ---------------------------------------------------------------------------- */

static void tell_chunk(const struct noted_chunk *chunk, db_effect_fn *each, void *context)
{
    const char *at = chunk->data, *end = at + chunk->size;
    while (at < end) {
        check((size_t)(end - at) >= sizeof(struct noted_head));
        const struct noted_head *noted = (const struct noted_head *)at;
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
}

void effects_drain(struct effects *effects, db_effect_fn *each, void *context)
{
    struct noted *noted = &effects->noted;
    check(effects->is_wanted);
    for (const struct noted_chunk *chunk = noted->first; chunk; chunk = chunk->next)
        tell_chunk(chunk, each, context);
    effects->latest = 0;
    effects->event = NULL; /* the next entry's changes have names of their own */
    effects_noted_cut(noted, 0);
    if (noted->capacity > NOTED_KEEP)
        effects_noted_deinit(noted);
}
