/* See fields.h. */
#include "command/fields.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "base/prng.h"
#include "command/fields_internal.h"

static bool is_hash(const struct fields *fields)
{
    return fields->record.type == DB_HASH;
}

static bool is_packed(const struct fields *fields)
{
    return fields->form == PACKED_STRINGS || fields->form == PACKED_TIMED;
}

/* Elements of a field in the packed form: a set has no values. */
static uint32_t width(const struct fields *fields)
{
    if (fields->form == PACKED_TIMED)
        return 3;
    return is_hash(fields) ? 2 : 1;
}

/* ---- opening --------------------------------------------------------------------------- */

static void look(struct fields *fields, struct bytes payload)
{
    uint64_t count = packed_count(payload);
    fields->form = packed_form(payload);
    bool is_large = fields_is_large(fields);
    bool is_odd = is_packed(fields) && count % width(fields) != 0;
    bool is_timed = fields->form == PACKED_TIMED || fields->form == PACKED_LARGE_TIMED;
    bool is_foreign = is_hash(fields) ? fields->form == PACKED_INTEGERS : is_timed;
    if (count == 0 || is_odd || is_foreign || is_large != (fields->record.space != 0))
        fatal("data: the record of a collection is damaged (form %d, %llu elements)", fields->form,
              (unsigned long long)count);
    if (fields->form == PACKED_LARGE_TIMED)
        fields->due = packed_due(payload);
    fields->small = payload;
    fields->count = is_packed(fields) ? count / width(fields) : count;
}

/* A field of a small one. */
struct packed_field {
    struct bytes name, value;
    int64_t deadline_ms;
    size_t from, from_value, to; /* where it stands in the payload, and what is behind the name */
};

/* False: there is no more. */
static bool next_stored(const struct fields *fields, struct packed_walk *walk,
                        struct packed_field *field)
{
    struct bytes deadline = {0};
    *field = (struct packed_field){.value = {"", 0}};
    if (!packed_next(walk, &field->name))
        return false;
    field->from = walk->from;
    field->from_value = walk->to;
    if (width(fields) > 1)
        packed_next(walk, &field->value);
    if (width(fields) > 2)
        packed_next(walk, &deadline);
    if (deadline.size != 0 && deadline.size != sizeof(uint64_t))
        fatal("data: the deadline of a field is damaged (%zu bytes)", deadline.size);
    field->deadline_ms = deadline.size ? (int64_t)get_u64(deadline.data) : 0;
    field->to = walk->to;
    return true;
}

/* The next that is not over. */
static bool next_field(const struct fields *fields, struct packed_walk *walk,
                       struct packed_field *field)
{
    while (next_stored(fields, walk, field))
        if (!fields_is_over(fields, field->deadline_ms))
            return true;
    return false;
}

static void append_field(struct buffer *packed, const struct packed_field *field)
{
    unsigned char out[sizeof(uint64_t)];
    put_u64(out, (uint64_t)field->deadline_ms);
    packed_append(packed, field->name);
    packed_append(packed, field->value);
    packed_append(packed, bytes_of(out, field->deadline_ms ? sizeof out : 0));
}

/* Those that are over count no more; who changes the hash leaves them out: fields_hold(). */
static void count_expired(struct fields *fields)
{
    struct packed_walk walk;
    struct packed_field field;
    uint64_t living = 0;
    packed_walk(&walk, fields->small);
    while (next_field(fields, &walk, &field))
        living++;
    fields->expired = fields->count - living;
    fields->count = living;
    fields->was_emptied = living == 0;
    if (fields->was_emptied)
        fields->form = PACKED_NONE;
}

void fields_new(struct fields *fields, struct db *db, unsigned database, enum db_type type)
{
    *fields = (struct fields){.db = db, .database = database, .now_ms = db_now_ms(db)};
    fields->record.type = type;
}

bool fields_open(struct fields *fields, struct db *db, struct db_view *view, unsigned database,
                 struct bytes key, enum db_type type)
{
    struct bytes payload;
    struct db_record found;
    fields_new(fields, db, database, type);
    fields->view = view;
    fields->key = key;
    if (!db_find(db, view, database, key, &found, &payload))
        return true;
    if (found.type != type)
        return false;
    fields->record = found;
    look(fields, payload);
    if (fields->form == PACKED_TIMED && fields_is_over(fields, found.elements_due_ms))
        count_expired(fields);
    return true;
}

void fields_close(struct fields *fields)
{
    buffer_deinit(&fields->own);
}

static void hold_living(struct fields *fields)
{
    struct packed_walk walk;
    struct packed_field field;
    packed_init(&fields->own, PACKED_TIMED);
    packed_walk(&walk, fields->small);
    while (next_field(fields, &walk, &field))
        append_field(&fields->own, &field);
}

void fields_hold(struct fields *fields)
{
    if (fields->own.size > 0 || fields->form == PACKED_NONE || fields_is_large(fields))
        return;
    if (fields->expired > 0)
        hold_living(fields);
    else
        buffer_append_bytes(&fields->own, fields->small);
    fields->small = buffer_bytes(&fields->own);
}

/* ---- looking --------------------------------------------------------------------------- */

uint64_t fields_living(const struct fields *fields)
{
    return fields->count - (fields_is_large(fields) ? fields_rows_over(fields) : 0);
}

static bool find_packed(const struct fields *fields, struct bytes name, struct packed_field *field)
{
    struct packed_walk walk;
    packed_walk(&walk, fields->small);
    while (next_field(fields, &walk, field))
        if (bytes_equal(field->name, name))
            return true;
    return false;
}

static bool find_integer(const struct fields *fields, struct bytes name, uint32_t *i)
{
    int64_t number;
    return number_parse_i64(name, &number) && packed_integer_find(fields->small, number, i);
}

bool fields_find(struct fields *fields, struct bytes name, struct bytes *value,
                 int64_t *deadline_ms)
{
    struct packed_field field;
    uint32_t i;
    *value = bytes_of("", 0);
    *deadline_ms = 0;
    switch (fields->form) {
    case PACKED_NONE: return false;
    case PACKED_INTEGERS: return find_integer(fields, name, &i);
    case PACKED_STRINGS:
    case PACKED_TIMED:
        if (!find_packed(fields, name, &field))
            return false;
        *value = field.value;
        *deadline_ms = field.deadline_ms;
        return true;
    case PACKED_LARGE:
    case PACKED_LARGE_TIMED:
        if (fields_row_get(fields, name, value, deadline_ms) &&
            !fields_is_over(fields, *deadline_ms))
            return true;
    }
    *value = bytes_of("", 0);
    *deadline_ms = 0;
    return false;
}

bool fields_get(struct fields *fields, struct bytes name, struct bytes *value)
{
    int64_t deadline_ms;
    return fields_find(fields, name, value, &deadline_ms);
}

static void give_integer(struct fields *fields, uint32_t i, fields_fn *each, void *context)
{
    size_t size = number_format_i64(packed_integer(fields->small, i), fields->digits);
    each(context, bytes_of(fields->digits, size), bytes_of("", 0));
}

/* From number `first` on, at most `many`. */
static void give_small(struct fields *fields, uint64_t first, uint64_t many, fields_fn *each,
                       void *context)
{
    struct packed_walk walk;
    struct packed_field field;
    if (fields->form == PACKED_INTEGERS) {
        for (uint64_t i = first; i < fields->count && i - first < many; i++)
            give_integer(fields, (uint32_t)i, each, context);
        return;
    }
    packed_walk(&walk, fields->small);
    for (uint64_t i = 0; next_field(fields, &walk, &field); i++)
        if (i >= first && i - first < many)
            each(context, field.name, field.value);
}

uint64_t fields_scan(struct fields *fields, uint64_t cursor, struct db_scan_limit limit,
                     fields_fn *each, void *context)
{
    uint64_t many = limit.keys < limit.rows ? limit.keys : limit.rows;
    if (fields_is_large(fields))
        return fields_rows_scan(fields, cursor, limit, each, context);
    if (cursor >= fields->count)
        return 0;
    give_small(fields, cursor, many, each, context);
    return fields->count - cursor > many ? cursor + many : 0;
}

bool fields_draw(struct fields *fields, uint64_t *seed, fields_fn *each, void *context)
{
    check(fields->count > 0);
    if (fields_is_large(fields))
        return fields_rows_draw(fields, seed, each, context);
    give_small(fields, prng_below(seed, fields->count), 1, each, context);
    return true;
}

/* ---- growing --------------------------------------------------------------------------- */

/* Of a small one that became large; the deadline is there where there can be one. */
static void put_rows(struct fields *fields, struct bytes small, enum packed_form form)
{
    struct packed_walk walk;
    struct packed_field field;
    struct fields was = {.form = form, .record = {.type = fields->record.type}};
    int64_t before;
    packed_walk(&walk, small);
    while (next_field(&was, &walk, &field))
        fields_row_put(fields, field.name, field.value, field.deadline_ms, &before);
}

static void put_integer_rows(struct fields *fields, struct bytes small)
{
    char digits[NUMBER_I64_SIZE];
    int64_t before;
    for (uint32_t i = 0; i < packed_count(small); i++) {
        size_t size = number_format_i64(packed_integer(small, i), digits);
        fields_row_put(fields, bytes_of(digits, size), bytes_of("", 0), 0, &before);
    }
}

static void become_large(struct fields *fields)
{
    enum packed_form form = fields->form;
    struct bytes small;
    fields_hold(fields);
    small = buffer_bytes(&fields->own);
    fields->record.space = db_space_new(fields->db, fields->database);
    fields->form = is_hash(fields) && !fields->makes_old ? PACKED_LARGE_TIMED : PACKED_LARGE;
    if (form == PACKED_INTEGERS)
        put_integer_rows(fields, small);
    else if (form != PACKED_NONE)
        put_rows(fields, small, form);
    fields->is_changed = true;
    buffer_clear(&fields->own);
}

/* Fields get deadlines, which they may have from now on. */
static void become_timed(struct fields *fields)
{
    struct packed_walk walk;
    struct packed_field field;
    struct buffer packed = {0};
    packed_init(&packed, PACKED_TIMED);
    packed_walk(&walk, fields->small);
    while (next_field(fields, &walk, &field))
        append_field(&packed, &field);
    buffer_deinit(&fields->own);
    fields->own = packed;
    fields->small = buffer_bytes(&fields->own);
    fields->form = PACKED_TIMED;
}

static void add_packed(void *context, struct bytes name, struct bytes value)
{
    (void)value;
    packed_append(context, name);
}

/* A set of integers that gets another member. */
static void become_strings(struct fields *fields)
{
    struct buffer packed = {0};
    packed_init(&packed, PACKED_STRINGS);
    give_small(fields, 0, UINT64_MAX, add_packed, &packed);
    buffer_deinit(&fields->own);
    fields->own = packed;
    fields->small = buffer_bytes(&fields->own);
    fields->form = PACKED_STRINGS;
}

static void begin(struct fields *fields, struct bytes name)
{
    int64_t number;
    bool is_integer = fields->record.type == DB_SET && number_parse_i64(name, &number);
    if (fields->was_emptied)
        fields->record = (struct db_record){.type = fields->record.type};
    buffer_clear(&fields->own);
    fields->form = is_integer ? PACKED_INTEGERS : PACKED_STRINGS;
    if (is_integer)
        packed_integers_init(&fields->own);
    else
        packed_init(&fields->own, PACKED_STRINGS);
    fields->small = buffer_bytes(&fields->own);
}

static uint64_t small_max(const struct fields *fields)
{
    return fields->form == PACKED_INTEGERS ? FIELDS_INTEGERS_MAX : FIELDS_SMALL_MAX;
}

void fields_expect(struct fields *fields, struct bytes name, uint64_t more)
{
    if (fields->form == PACKED_NONE)
        begin(fields, name);
    if (!fields_is_large(fields) && more > small_max(fields))
        become_large(fields);
}

static bool fits(struct bytes element)
{
    return element.size <= FIELDS_SMALL_SIZE;
}

static bool put_large(struct fields *fields, struct bytes name, struct bytes value,
                      int64_t deadline_ms)
{
    int64_t before;
    bool was_there = fields_row_put(fields, name, value, deadline_ms, &before);
    bool was_over = fields_is_over(fields, before);
    fields->count += !was_there;
    fields->expired += was_over;
    fields->is_changed |= !was_there || is_hash(fields);
    return was_there && !was_over;
}

/* False: it needs another form. */
static bool put_integer(struct fields *fields, struct bytes name, bool *was_there)
{
    int64_t number;
    uint32_t i;
    if (!number_parse_i64(name, &number))
        return false;
    *was_there = packed_integer_find(fields->small, number, &i);
    if (*was_there)
        return true;
    if (fields->count == FIELDS_INTEGERS_MAX)
        return false;
    packed_integer_insert(&fields->own, i, number);
    fields->is_changed = true;
    fields->count++;
    return true;
}

/* False: it needs another form. */
static bool put_packed(struct fields *fields, const struct packed_field *field, bool *was_there)
{
    struct packed_field old;
    unsigned char out[sizeof(uint64_t)];
    put_u64(out, (uint64_t)field->deadline_ms);
    struct bytes elements[] = {
        field->name, field->value, {out, field->deadline_ms ? sizeof out : 0}};
    *was_there = find_packed(fields, field->name, &old);
    if (*was_there && width(fields) == 1)
        return true;
    if (!fits(field->name) || !fits(field->value) ||
        (!*was_there && fields->count == FIELDS_SMALL_MAX))
        return false;
    fields->is_changed = true;
    if (*was_there) {
        packed_splice(&fields->own, old.from_value, old.to, width(fields) - 1, elements + 1,
                      width(fields) - 1);
        return true;
    }
    for (uint32_t i = 0; i < width(fields); i++)
        packed_append(&fields->own, elements[i]);
    fields->count++;
    return true;
}

static bool put_small(struct fields *fields, const struct packed_field *field, bool *was_there)
{
    bool is_put = false;
    int64_t number;
    fields_hold(fields);
    if (fields->form == PACKED_INTEGERS) {
        is_put = put_integer(fields, field->name, was_there);
        if (!is_put && fields->count < FIELDS_SMALL_MAX && !number_parse_i64(field->name, &number))
            become_strings(fields);
    }
    if (fields->form == PACKED_STRINGS && field->deadline_ms != 0)
        become_timed(fields);
    if (is_packed(fields))
        is_put = put_packed(fields, field, was_there);
    fields->small = buffer_bytes(&fields->own);
    return is_put;
}

bool fields_put_until(struct fields *fields, struct bytes name, struct bytes value,
                      int64_t deadline_ms)
{
    struct packed_field field = {.name = name, .value = value, .deadline_ms = deadline_ms};
    bool was_there = false;
    if (fields->form == PACKED_NONE)
        begin(fields, name);
    if (!fields_is_large(fields) && put_small(fields, &field, &was_there))
        return was_there;
    if (!fields_is_large(fields))
        become_large(fields);
    return put_large(fields, name, value, deadline_ms);
}

bool fields_put(struct fields *fields, struct bytes name, struct bytes value)
{
    return fields_put_until(fields, name, value, 0);
}

void fields_change_deadline(struct fields *fields, struct bytes name, struct bytes value,
                            int64_t before_ms, int64_t deadline_ms)
{
    struct buffer copy = {0};
    buffer_append_bytes(&copy, value);
    if (fields_is_large(fields)) {
        fields_row_change(fields, name, buffer_bytes(&copy), before_ms, deadline_ms);
        fields->is_changed = true;
    } else {
        fields_put_until(fields, name, buffer_bytes(&copy), deadline_ms);
    }
    buffer_deinit(&copy);
}

/* ---- shrinking ------------------------------------------------------------------------- */

static bool delete_small(struct fields *fields, struct bytes name)
{
    struct packed_field field;
    uint32_t i;
    bool was_there = false;
    fields_hold(fields);
    if (fields->form == PACKED_INTEGERS) {
        was_there = find_integer(fields, name, &i);
        if (was_there)
            packed_integer_remove(&fields->own, i);
    } else if (is_packed(fields)) {
        was_there = find_packed(fields, name, &field);
        if (was_there)
            packed_splice(&fields->own, field.from, field.to, width(fields), NULL, 0);
    }
    fields->small = buffer_bytes(&fields->own);
    return was_there;
}

bool fields_delete(struct fields *fields, struct bytes name)
{
    int64_t before = 0;
    if (fields->form == PACKED_NONE)
        return false;
    bool was_there = fields_is_large(fields) ? fields_row_delete(fields, name, &before)
                                             : delete_small(fields, name);
    bool was_over = fields_is_over(fields, before);
    fields->count -= was_there;
    fields->expired += was_over;
    fields->is_changed |= was_there;
    return was_there && !was_over;
}

void fields_clear(struct fields *fields)
{
    fields_hold(fields);
    fields->count = 0;
    fields->is_changed = true;
}

/* ---- saving ---------------------------------------------------------------------------- */

/* `out` has PACKED_LARGE_TIMED_SIZE bytes; nothing of one that is not held. */
static struct bytes payload_of(const struct fields *fields, unsigned char *out)
{
    if (fields->form == PACKED_LARGE)
        return packed_large(out, fields->count);
    if (fields->form == PACKED_LARGE_TIMED)
        return packed_large_timed(out, fields->count, &fields->due);
    return buffer_bytes(&fields->own);
}

/* The earliest deadline; 0: none. */
static int64_t due_ms(const struct fields *fields)
{
    struct packed_walk walk;
    struct packed_field field;
    int64_t due_ms = 0;
    if (fields_is_large(fields))
        return fields_rows_due(fields);
    if (fields->form != PACKED_TIMED)
        return 0;
    packed_walk(&walk, fields->small);
    while (next_field(fields, &walk, &field))
        if (field.deadline_ms != 0 && (due_ms == 0 || field.deadline_ms < due_ms))
            due_ms = field.deadline_ms;
    return due_ms;
}

/* What was over and is gone; if that was all, another hash takes the place of the one that was. */
static void tell_expired(struct fields *fields)
{
    if (fields->expired == 0)
        return;
    db_effects_also(fields->db, fields->database, fields->key, "hexpired");
    if (fields->was_emptied) {
        db_effects_name(fields->db, "del");
        db_delete(fields->db, fields->database, fields->key);
    }
    fields->expired = 0;
    fields->was_emptied = false;
}

void fields_save(struct fields *fields, const char *event)
{
    unsigned char out[PACKED_LARGE_TIMED_SIZE];
    fields_hold(fields);
    tell_expired(fields);
    fields->record.elements_due_ms = due_ms(fields);
    db_effects_name(fields->db, event);
    db_put_collection(fields->db, fields->database, fields->key, &fields->record,
                      payload_of(fields, out));
    if (fields->count > 0)
        return;
    db_effects_name(fields->db, "del");
    db_delete(fields->db, fields->database, fields->key);
}

void fields_save_as(struct fields *fields, struct bytes key, const char *event)
{
    check(fields->count > 0);
    fields->key = key;
    fields_save(fields, event);
}

/* ---- slices ---------------------------------------------------------------------------- */

/* Before the payload. */
struct aside {
    uint64_t expired;
    bool was_emptied, is_changed;
};

void fields_put_aside(struct fields *fields, struct buffer *aside, uint64_t *space, uint64_t *count)
{
    unsigned char out[PACKED_LARGE_TIMED_SIZE];
    struct aside head = {fields->expired, fields->was_emptied, fields->is_changed};
    buffer_clear(aside);
    buffer_append(aside, &head, sizeof head);
    buffer_append_bytes(aside, payload_of(fields, out));
    *space = fields->record.space;
    *count = fields->count;
}

void fields_take_back(struct fields *fields, struct buffer *aside, uint64_t space, uint64_t count)
{
    struct aside head;
    if (aside->size == 0)
        return; /* the first slice */
    memcpy(&head, aside->data, sizeof head);
    struct bytes payload = bytes_of(aside->data + sizeof head, aside->size - sizeof head);
    if (fields->was_emptied && payload.size > 0)
        fields->record = (struct db_record){.type = fields->record.type};
    fields->expired = head.expired;
    fields->was_emptied = head.was_emptied;
    fields->is_changed = head.is_changed;
    fields->record.space = space;
    fields->count = count;
    if (payload.size > 0) {
        fields->form = packed_form(payload);
        if (fields->form == PACKED_LARGE_TIMED)
            fields->due = packed_due(payload);
        buffer_clear(&fields->own);
        if (space == 0)
            buffer_append_bytes(&fields->own, payload);
        fields->small = buffer_bytes(&fields->own);
    }
    buffer_clear(aside);
}

/* ---- room for deadlines ---------------------------------------------------------------- */

static void note_row(void *context, struct bytes name, struct bytes value)
{
    size_t sizes[2] = {name.size, value.size};
    buffer_append(context, sizes, sizeof sizes);
    buffer_append_bytes(context, name);
    buffer_append_bytes(context, value);
}

bool fields_make_room(struct fields *fields, uint64_t *space, uint64_t *cursor,
                      struct db_scan_limit limit)
{
    struct buffer rows = {0};
    struct fields to = *fields;
    size_t sizes[2];
    int64_t before;
    if (fields->form != PACKED_LARGE || !is_hash(fields))
        return true;
    if (*cursor == 0)
        *space = db_space_new(fields->db, fields->database);
    *cursor = fields_rows_scan(fields, *cursor, limit, note_row, &rows);
    to.form = PACKED_LARGE_TIMED;
    to.record.space = *space;
    for (size_t at = 0; at < rows.size; at += sizeof sizes + sizes[0] + sizes[1]) {
        memcpy(sizes, rows.data + at, sizeof sizes);
        struct bytes name = bytes_of(rows.data + at + sizeof sizes, sizes[0]);
        struct bytes value = bytes_of(rows.data + at + sizeof sizes + sizes[0], sizes[1]);
        fields_row_put(&to, name, value, 0, &before);
    }
    buffer_deinit(&rows);
    if (*cursor != 0)
        return false;
    *fields = to;
    fields->is_changed = true;
    return true;
}

/* ---- ticks ------------------------------------------------------------------------------- */

uint32_t fields_expire(struct db *db, unsigned database, struct bytes key, uint32_t most)
{
    struct fields fields;
    bool is_hash = fields_open(&fields, db, NULL, database, key, DB_HASH);
    check(is_hash);
    uint64_t gone = fields.expired;
    if (fields_is_large(&fields)) {
        gone = fields_rows_expire(&fields, most);
        fields.count -= gone;
    }
    fields_hold(&fields);
    fields.expired = 0; /* the event says it */
    fields.was_emptied = false;
    fields_save(&fields, "hexpired");
    fields_close(&fields);
    return (uint32_t)gone;
}
