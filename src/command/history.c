/* See history.h.  Changes lie one behind the other in chunks, and the oldest chunk goes when there
 * are too many bytes; an entry of which a part has gone counts as gone.  Loop thread only. */
#include "command/history.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "resp/number.h"

enum { CHUNK_BYTES = 64 * 1024 };

/* Before the bytes of the key. */
struct note {
    const char *event; /* static, as in struct db_effect */
    struct position position;
    uint32_t key_size;
    uint8_t type, database, other;
};

struct chunk {
    size_t size, capacity;
    uint64_t last_index; /* of its changes */
    char data[];
};

struct history {
    struct command_listener listener; /* first */
    struct db *db;
    size_t bytes, bytes_max;
    struct chunk **chunks; /* a ring: number n is at n % capacity */
    uint64_t first, end;   /* numbers of the chunks that are there: first .. end - 1 */
    uint32_t capacity;
    uint64_t count;
    uint64_t floor;         /* up to this entry, changes may be missing */
    struct position latest; /* of the newest change; its number, though it be the last */
};

/* ---- positions -------------------------------------------------------------------- */

void command_position_print(struct position position, char text[POSITION_SIZE])
{
    if (position.change == POSITION_WHOLE)
        snprintf(text, POSITION_SIZE, "%" PRIu64, position.index);
    else
        snprintf(text, POSITION_SIZE, "%" PRIu64 "-%" PRIu64, position.index, position.change);
}

bool command_position_parse(struct bytes text, struct position *position)
{
    const char *dash = text.size ? memchr(text.data, '-', text.size) : NULL;
    size_t size = dash ? (size_t)(dash - (const char *)text.data) : text.size;
    position->change = POSITION_WHOLE;
    if (!number_parse_u64(bytes_of(text.data, size), &position->index))
        return false;
    return !dash ||
           (number_parse_u64(bytes_of(dash + 1, text.size - size - 1), &position->change) &&
            position->change > 0 && position->change != POSITION_WHOLE);
}

/* ---- what is noted ----------------------------------------------------------------- */

static struct chunk *chunk_at(const struct history *history, uint64_t number)
{
    check(number >= history->first);
    check(number < history->end);
    return history->chunks[number % history->capacity];
}

static void drop_oldest(struct history *history)
{
    struct chunk *chunk = chunk_at(history, history->first);
    check(chunk->last_index >= history->floor);
    history->floor = chunk->last_index;
    history->bytes -= chunk->capacity;
    history->first++;
    memory_free(chunk);
}

static void grow_ring(struct history *history)
{
    uint32_t capacity = history->capacity ? history->capacity * 2 : 16;
    struct chunk **chunks = memory_new(capacity * sizeof(struct chunk *));
    for (uint64_t i = history->first; i < history->end; i++)
        chunks[i % capacity] = history->chunks[i % history->capacity];
    memory_free(history->chunks);
    history->chunks = chunks;
    history->capacity = capacity;
}

/* The newest always stays. */
static struct chunk *new_chunk(struct history *history, size_t size)
{
    size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;
    while (history->first < history->end && history->bytes + capacity > history->bytes_max)
        drop_oldest(history);
    if (history->end - history->first == history->capacity)
        grow_ring(history);
    struct chunk *chunk = memory_new(sizeof *chunk + capacity);
    chunk->capacity = capacity;
    history->bytes += capacity;
    history->chunks[history->end++ % history->capacity] = chunk;
    return chunk;
}

static size_t room_of(size_t key_size)
{
    return (sizeof(struct note) + key_size + _Alignof(struct note) - 1) &
           ~(_Alignof(struct note) - 1);
}

static struct chunk *chunk_for(struct history *history, size_t size)
{
    struct chunk *newest =
        history->first < history->end ? chunk_at(history, history->end - 1) : NULL;
    bool fits = newest && newest->capacity - newest->size >= size;
    return fits ? newest : new_chunk(history, size);
}

static void on_effect(struct command_listener *listener, uint64_t index,
                      const struct db_effect *effect)
{
    struct history *history = (struct history *)listener;
    if (effect->type == DB_EFFECT_MESSAGE)
        return;
    check(index >= history->latest.index);
    uint64_t change = index == history->latest.index ? history->latest.change + 1 : 1;
    history->latest = (struct position){index, change};
    size_t room = room_of(effect->key.size);
    struct chunk *chunk = chunk_for(history, room);
    struct note *note = (struct note *)(chunk->data + chunk->size);
    *note = (struct note){.event = effect->event,
                          .position = history->latest,
                          .key_size = (uint32_t)effect->key.size,
                          .type = (uint8_t)effect->type,
                          .database = effect->database,
                          .other = effect->other};
    if (effect->key.size)
        memcpy(note + 1, effect->key.data, effect->key.size);
    chunk->size += room;
    chunk->last_index = index;
    history->count++;
}

/* ---- reading ----------------------------------------------------------------------- */

uint64_t command_history_count(const struct history *history)
{
    return history->count;
}

struct position command_history_floor(const struct history *history)
{
    return (struct position){history->floor, POSITION_WHOLE};
}

bool command_history_has(const struct history *history, struct position position)
{
    return !position_before(position, command_history_floor(history));
}

struct history_cursor command_history_find(const struct history *history, struct position position)
{
    uint64_t number = history->first;
    while (number < history->end && chunk_at(history, number)->last_index < position.index)
        number++;
    if (number == history->end && number > history->first) /* it gets more */
        number--;
    return (struct history_cursor){number, 0};
}

/* Where the cursor stands, or at the next chunk, or at the oldest that is left; NULL: at the
 * end. */
static const struct note *note_at(const struct history *history, struct history_cursor *cursor)
{
    if (cursor->chunk < history->first)
        *cursor = (struct history_cursor){history->first, 0};
    if (cursor->chunk == history->end)
        return NULL;
    const struct chunk *chunk = chunk_at(history, cursor->chunk);
    if (cursor->offset == chunk->size && cursor->chunk + 1 < history->end) {
        *cursor = (struct history_cursor){cursor->chunk + 1, 0};
        chunk = chunk_at(history, cursor->chunk);
    }
    check(cursor->offset <= chunk->size);
    if (cursor->offset == chunk->size)
        return NULL;
    return (const struct note *)(chunk->data + cursor->offset);
}

bool command_history_next(const struct history *history, struct history_cursor *cursor,
                          struct history_change *change)
{
    const struct note *note = note_at(history, cursor);
    if (!note)
        return false;
    cursor->offset += room_of(note->key_size);
    struct history_cursor behind = *cursor;
    const struct note *following = note_at(history, &behind);
    bool is_last = !following || following->position.index != note->position.index;
    change->position = note->position;
    if (is_last)
        change->position.change = POSITION_WHOLE;
    change->effect = (struct db_effect){.type = (enum db_effect_type)note->type,
                                        .database = note->database,
                                        .other = note->other,
                                        .event = note->event,
                                        .key = bytes_of(note + 1, note->key_size)};
    return true;
}

/* ---- life -------------------------------------------------------------------------- */

struct history *command_history_new(struct db *db, size_t bytes_max)
{
    struct history *history = memory_new(sizeof *history);
    history->listener.effect = on_effect;
    history->db = db;
    history->bytes_max = bytes_max;
    history->floor = db_applied_index(db);
    return history;
}

void command_history_free(struct history *history)
{
    if (!history)
        return;
    for (uint64_t i = history->first; i < history->end; i++)
        memory_free(chunk_at(history, i));
    memory_free(history->chunks);
    memory_free(history);
}

struct command_listener *command_history_listener(struct history *history)
{
    return &history->listener;
}

struct db *command_history_db(const struct history *history)
{
    return history->db;
}
