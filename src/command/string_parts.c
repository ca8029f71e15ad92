/* See string_parts.h.  Deterministic; loop thread only. */
#include "command/string_parts.h"

#include "base/fatal.h"
#include "base/memory.h"
#include "command/preparing.h"

#ifndef STRING_PLAIN_MAX /* the simulator builds this with less */
#define STRING_PLAIN_MAX (64 * 1024)
#define STRING_WHOLE_MAX (1 << 20)
#define STRING_SLICE (1 << 20)
#endif

enum {
    SLICE_BYTES = STRING_SLICE,
    REPLY_BYTES = 4 * STRING_SLICE, /* at once: more takes a view, of which there are few */
    LONG_BYTES = 16 << 20           /* of words: some 10 ms */
};

_Static_assert(SLICE_BYTES % DB_STRING_PAGE == 0, "a slice ends with a page");

bool string_is_large(uint64_t size)
{
    return size > STRING_PLAIN_MAX;
}

bool string_is_whole_large(const struct call *call, uint64_t size)
{
    return size > STRING_WHOLE_MAX && call->meaning >= COMMAND_MEANING_WHOLE;
}

bool string_open(struct call *call, struct bytes key, struct string *string)
{
    if (!call_find_kept(call, key, &string->found, &string->value))
        return false;
    if (string->found.space)
        string->value = bytes_of(NULL, 0);
    return true;
}

struct bytes string_part(struct call *call, const struct string *string, uint64_t offset,
                         uint64_t size)
{
    struct bytes value = string->value;
    if (string->found.space)
        return db_string_part(call->db, call->view, &string->found, offset, size);
    if (offset >= value.size)
        return bytes_of(NULL, 0);
    uint64_t left = value.size - offset;
    return bytes_of((const char *)value.data + offset, (size_t)(size < left ? size : left));
}

void string_reply(struct call *call, const struct string *string, uint64_t offset, uint64_t size)
{
    struct walk_state *walk = call->walk;
    if (!call->reply->out) { /* nobody hears it here, perhaps not any more */
        walk->unfinished = false;
        return;
    }
    if (!string->found.space || size <= REPLY_BYTES) {
        reply_bulk(call->reply, string_part(call, string, offset, size));
        return;
    }
    uint64_t done = walk->unfinished ? walk->cursor : 0, left = size - done;
    struct bytes part =
        string_part(call, string, offset + done, left < SLICE_BYTES ? left : SLICE_BYTES);
    check(part.size > 0);
    buffer_append_bytes(&walk->found, part);
    walk->cursor = done + part.size;
    walk->unfinished = walk->cursor < size;
    if (!call_keeps_parts(call, 0) || walk->unfinished)
        return;
    struct buffer head = {0};
    buffer_printf(&head, "$%llu\r\n", (unsigned long long)size);
    reply_raw(call->reply, buffer_bytes(&head));
    buffer_deinit(&head);
    buffer_append(&walk->found, "\r\n", 2);
    call_end_parts(call);
}

void string_reply_whole(struct call *call, const struct string *string)
{
    if (string->found.type == DB_NONE)
        reply_null(call->reply);
    else
        string_reply(call, string, 0, string->found.size);
}

bool string_equals(struct call *call, const struct string *string, struct bytes wanted)
{
    return string->found.size == wanted.size &&
           bytes_equal(string_part(call, string, 0, wanted.size), wanted);
}

/* ---- whole strings ------------------------------------------------------------------- */

bool string_place_some(struct call *call, unsigned database, struct bytes value, uint64_t *space,
                       uint64_t *at)
{
    if (!*space)
        *space = db_space_new(call->db, database);
    check(*at <= value.size);
    size_t left = value.size - (size_t)*at, taken = left < SLICE_BYTES ? left : SLICE_BYTES;
    if (taken > 0) /* of one that was prepared nothing is left */
        db_string_fill(call->db, *space, *at, bytes_of((const char *)value.data + *at, taken));
    *at += taken;
    return *at == value.size;
}

/* Of the words of a command those that were large, as far as they have come. */
struct placed {
    uint32_t next;  /* word to be looked at, or under way */
    uint64_t space; /* of that, */
    uint64_t at;    /* and how much of it is there */
    uint32_t count, capacity;
    struct placed_word {
        const void *data; /* of the word */
        uint64_t space;   /* 0: it was put */
    } * words;            /* owned */
};

/* From `i` on; argc: there is none. */
static uint32_t next_large(const struct call *call, uint32_t i)
{
    while (i < call->argc && call->argv[i].size <= SLICE_BYTES)
        i++;
    return i;
}

static void note_placed(struct placed *placed, const void *data)
{
    if (placed->count == placed->capacity) {
        placed->capacity = placed->capacity ? 2 * placed->capacity : 1;
        placed->words = memory_resize(placed->words, placed->capacity * sizeof *placed->words);
    }
    placed->words[placed->count++] = (struct placed_word){data, placed->space};
    placed->space = placed->at = 0;
}

/* One slice.  False: there are more. */
static bool place_some(struct call *call, struct placed *placed)
{
    struct bytes word = call->argv[placed->next];
    if (!string_place_some(call, call->database, word, &placed->space, &placed->at))
        return false;
    note_placed(placed, word.data);
    placed->next = next_large(call, placed->next + 1);
    return placed->next == call->argc;
}

bool string_place_words(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (!walk->unfinished && call->meaning >= COMMAND_MEANING_WHOLE && !call->carried) {
        uint32_t first = next_large(call, 1);
        if (first == call->argc)
            return true;
        walk->placed = memory_new(sizeof *walk->placed);
        walk->placed->next = first;
    }
    if (!walk->placed || walk->placed->next == call->argc)
        return true;
    walk->unfinished = !place_some(call, walk->placed);
    return !walk->unfinished;
}

void string_forget_words(struct walk_state *walk)
{
    if (!walk->placed)
        return;
    memory_free(walk->placed->words);
    memory_free(walk->placed);
    walk->placed = NULL;
}

void string_drop_words(struct call *call)
{
    struct placed *placed = call->walk->placed;
    if (!placed)
        return;
    for (uint32_t i = 0; i < placed->count; i++)
        if (placed->words[i].space)
            db_space_drop(call->db, call->database, placed->words[i].space);
    string_forget_words(call->walk);
}

bool string_words_take_long(const struct call *call)
{
    uint64_t bytes = 0;
    for (uint32_t i = 1; call->meaning >= COMMAND_MEANING_WHOLE && i < call->argc; i++)
        bytes += call->argv[i].size;
    return bytes >= LONG_BYTES;
}

/* The space of a word that is placed, which belongs to the caller from now on; 0: it is none. */
static uint64_t take_placed(struct call *call, struct bytes value)
{
    struct placed *placed = call->walk->placed;
    for (uint32_t i = 0; placed && i < placed->count; i++) {
        uint64_t space = placed->words[i].space;
        if (placed->words[i].data != value.data || !space)
            continue;
        placed->words[i].space = 0;
        return space;
    }
    return 0;
}

void string_put(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms)
{
    struct db *db = call->db;
    struct db_record record = {.deadline_ms = deadline_ms};
    if (!string_is_whole_large(call, value.size)) {
        db_put(db, call->database, key, DB_STRING, value, deadline_ms);
        return;
    }
    record.space = take_placed(call, value);
    if (!record.space) {
        record.space = db_space_new(db, call->database);
        db_string_fill(db, record.space, 0, value);
    }
    db_string_set(db, call->database, key, &record, value.size);
}

/* ---- changes ------------------------------------------------------------------------- */

bool string_put_slice(struct call *call, struct bytes key, struct bytes value, int64_t deadline_ms,
                      const char *event)
{
    struct walk_state *walk = call->walk;
    walk->cursor = walk->space ? walk->cursor : 0;
    walk->unfinished = !string_place_some(call, call->database, value, &walk->space, &walk->cursor);
    if (walk->unfinished || call_stops(call))
        return false;
    struct db_record record = {.space = call_take_space(call, call->database, walk->space),
                               .deadline_ms = deadline_ms};
    db_effects_name(call->db, event);
    db_string_put(call->db, call->database, key, &record, value.size);
    walk->space = walk->cursor = 0;
    return true;
}

bool string_is_moving(const struct call *call)
{
    return call->walk->space != 0;
}

/* Whether a string that is then so long has to be in pages. */
static bool is_for_pages(const struct call *call, const struct string *string, uint64_t end)
{
    uint64_t size = string->found.size > end ? string->found.size : end;
    return call->meaning >= COMMAND_MEANING_PAGES && string_is_large(size);
}

bool string_would_move(const struct call *call, const struct string *string, uint64_t end)
{
    bool is_plain = string->found.type != DB_NONE && !string->found.space;
    return is_plain && is_for_pages(call, string, end);
}

bool string_make_room(struct call *call, struct bytes key, struct string *string, uint64_t end)
{
    if (!string_would_move(call, string, end))
        return true;
    if (!string_put_slice(call, key, string->value, string->found.deadline_ms, db_effect_untold))
        return false;
    bool is_string = string_open(call, key, string);
    check(is_string);
    check(string->found.space);
    return true;
}

static void put_behind_zeros(struct call *call, struct bytes key, uint64_t zeros, struct bytes part)
{
    struct buffer value = {0};
    buffer_reserve(&value, (size_t)zeros + part.size);
    memset(value.data, 0, (size_t)zeros);
    value.size = (size_t)zeros;
    buffer_append_bytes(&value, part);
    db_put(call->db, call->database, key, DB_STRING, buffer_bytes(&value), 0);
    buffer_deinit(&value);
}

void string_write(struct call *call, struct bytes key, const struct string *string, uint64_t offset,
                  struct bytes part, const char *event)
{
    uint64_t end = offset + part.size;
    check(call->allows & CMD_WRITE);
    check(end <= VALUE_SIZE_MAX);
    db_effects_name(call->db, event ? event : db_effect_untold);
    if (string->found.space || is_for_pages(call, string, end))
        db_string_write(call->db, call->database, key, &string->found, offset, part);
    else if (string->found.type == DB_NONE)
        put_behind_zeros(call, key, offset, part);
    else
        db_splice(call->db, call->database, key, offset, part);
}

bool string_write_some(struct call *call, struct bytes key, const struct string *string,
                       uint64_t offset, struct bytes part, const char *event)
{
    struct walk_state *walk = call->walk;
    struct db_record record = string->found;
    uint64_t end = offset + part.size, size = string->found.size;
    bool is_in_pages = string->found.space || is_for_pages(call, string, end);
    if (!is_in_pages || part.size <= SLICE_BYTES) {
        string_write(call, key, string, offset, part, event);
        return true;
    }
    check(call->allows & CMD_WRITE);
    check(end <= VALUE_SIZE_MAX);
    if (record.type == DB_NONE && !walk->space)
        walk->space = db_space_new(call->db, call->database);
    if (record.type == DB_NONE)
        record.space = walk->space;
    uint64_t left = part.size - walk->cursor;
    struct bytes slice = bytes_of((const char *)part.data + walk->cursor,
                                  (size_t)(left < SLICE_BYTES ? left : SLICE_BYTES));
    db_string_write_pages(call->db, record.space, offset + walk->cursor, slice);
    walk->cursor += slice.size;
    walk->unfinished = walk->cursor < part.size;
    if (walk->unfinished)
        return false;
    db_effects_name(call->db, event);
    db_string_put(call->db, call->database, key, &record, size > end ? size : end);
    return true;
}

bool string_put_some(struct call *call, struct bytes key, struct bytes value, const char *event)
{
    struct walk_state *walk = call->walk;
    struct db_record record = {.type = DB_STRING};
    if (!string_is_whole_large(call, value.size)) {
        call_put_string(call, key, value, event);
        return true;
    }
    walk->unfinished = !string_place_some(call, call->database, value, &walk->space, &walk->cursor);
    if (walk->unfinished)
        return false;
    record.space = walk->space;
    db_effects_name(call->db, event);
    db_string_set(call->db, call->database, key, &record, value.size);
    return true;
}

void string_tell(struct call *call, struct bytes key, const char *event)
{
    struct db_record found;
    if (db_lookup(call->db, call->database, key, &found))
        db_effects_also(call->db, call->database, key, event);
}
