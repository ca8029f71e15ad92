/* See fields.h. */
#include "command/fields.h"

#include "base/fatal.h"
#include "base/prng.h"

/* Elements of a field in the packed form: a set has no values. */
static uint32_t width(const struct fields *fields)
{
    return fields->record.type == DB_HASH ? 2 : 1;
}

static void look(struct fields *fields, struct bytes payload)
{
    uint64_t count = packed_count(payload);
    fields->form = packed_form(payload);
    bool is_large = fields->form == PACKED_LARGE;
    bool is_odd = fields->form == PACKED_STRINGS && count % width(fields) != 0;
    bool is_foreign = fields->form == PACKED_INTEGERS && fields->record.type != DB_SET;
    if (count == 0 || is_odd || is_foreign || is_large != (fields->record.space != 0))
        fatal("data: the record of a collection is damaged (form %d, %llu elements)", fields->form,
              (unsigned long long)count);
    fields->small = payload;
    fields->count = fields->form == PACKED_STRINGS ? count / width(fields) : count;
}

bool fields_open(struct fields *fields, struct db *db, struct db_view *view, unsigned database,
                 struct bytes key, enum db_type type)
{
    struct bytes payload;
    struct db_record found;
    *fields = (struct fields){.db = db, .view = view, .database = database, .key = key};
    fields->record.type = type;
    if (!db_find(db, view, database, key, &found, &payload))
        return true;
    if (found.type != type)
        return false;
    fields->record = found;
    look(fields, payload);
    return true;
}

void fields_new(struct fields *fields, struct db *db, unsigned database, enum db_type type)
{
    *fields = (struct fields){.db = db, .database = database};
    fields->record.type = type;
}

void fields_close(struct fields *fields)
{
    buffer_deinit(&fields->own);
}

void fields_hold(struct fields *fields)
{
    if (fields->own.size > 0 || fields->form == PACKED_NONE || fields->form == PACKED_LARGE)
        return;
    buffer_append_bytes(&fields->own, fields->small);
    fields->small = buffer_bytes(&fields->own);
}

/* ---- looking --------------------------------------------------------------------------- */

/* The walk stands behind the name. */
static bool find_packed(const struct fields *fields, struct bytes name, struct packed_walk *walk)
{
    struct bytes element, value;
    packed_walk(walk, fields->small);
    while (packed_next(walk, &element)) {
        if (bytes_equal(element, name))
            return true;
        if (width(fields) == 2)
            packed_next(walk, &value);
    }
    return false;
}

static bool find_integer(const struct fields *fields, struct bytes name, uint32_t *i)
{
    int64_t number;
    return number_parse_i64(name, &number) && packed_integer_find(fields->small, number, i);
}

bool fields_get(struct fields *fields, struct bytes name, struct bytes *value)
{
    struct packed_walk walk;
    uint32_t i;
    *value = bytes_of("", 0);
    switch (fields->form) {
    case PACKED_NONE: return false;
    case PACKED_INTEGERS: return find_integer(fields, name, &i);
    case PACKED_STRINGS:
        return find_packed(fields, name, &walk) &&
               (width(fields) == 1 || packed_next(&walk, value));
    case PACKED_LARGE:
        return db_row_get(fields->db, fields->view, fields->record.space,
                          db_row_word(fields->db, name), name, value);
    }
    return false;
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
    struct bytes name, value = {"", 0};
    if (fields->form == PACKED_INTEGERS) {
        for (uint64_t i = first; i < fields->count && i - first < many; i++)
            give_integer(fields, (uint32_t)i, each, context);
        return;
    }
    packed_walk(&walk, fields->small);
    for (uint64_t i = 0; packed_next(&walk, &name); i++) {
        if (width(fields) == 2)
            packed_next(&walk, &value);
        if (i >= first && i - first < many)
            each(context, name, value);
    }
}

uint64_t fields_scan(struct fields *fields, uint64_t cursor, struct db_scan_limit limit,
                     fields_fn *each, void *context)
{
    uint64_t many = limit.keys < limit.rows ? limit.keys : limit.rows;
    if (fields->form == PACKED_LARGE)
        return db_row_scan(fields->db, fields->view, fields->record.space, cursor, limit, each,
                           context);
    if (cursor >= fields->count)
        return 0;
    give_small(fields, cursor, many, each, context);
    return fields->count - cursor > many ? cursor + many : 0;
}

void fields_draw(struct fields *fields, uint64_t *seed, fields_fn *each, void *context)
{
    check(fields->count > 0);
    if (fields->form == PACKED_LARGE)
        db_row_random(fields->db, fields->view, fields->record.space, fields->count, seed, each,
                      context);
    else
        give_small(fields, prng_below(seed, fields->count), 1, each, context);
}

/* ---- growing --------------------------------------------------------------------------- */

static void put_row(void *context, struct bytes name, struct bytes value)
{
    struct fields *fields = context;
    db_row_put(fields->db, fields->record.space, db_row_word(fields->db, name), name, value);
}

static void become_large(struct fields *fields)
{
    fields_hold(fields);
    fields->record.space = db_space_new(fields->db, fields->database);
    if (fields->form != PACKED_NONE)
        give_small(fields, 0, UINT64_MAX, put_row, fields);
    fields->form = PACKED_LARGE;
    fields->is_changed = true;
    buffer_clear(&fields->own);
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
    packed_init(&packed);
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
    buffer_clear(&fields->own);
    fields->form = is_integer ? PACKED_INTEGERS : PACKED_STRINGS;
    if (is_integer)
        packed_integers_init(&fields->own);
    else
        packed_init(&fields->own);
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
    if (fields->form != PACKED_LARGE && more > small_max(fields))
        become_large(fields);
}

static bool fits(struct bytes element)
{
    return element.size <= FIELDS_SMALL_SIZE;
}

static bool put_large(struct fields *fields, struct bytes name, struct bytes value)
{
    bool was_there =
        db_row_put(fields->db, fields->record.space, db_row_word(fields->db, name), name, value);
    fields->count += !was_there;
    fields->is_changed |= !was_there || width(fields) == 2;
    return was_there;
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
static bool put_packed(struct fields *fields, struct bytes name, struct bytes value,
                       bool *was_there)
{
    struct packed_walk walk;
    *was_there = find_packed(fields, name, &walk);
    if (*was_there && width(fields) == 1)
        return true;
    if (!fits(name) || !fits(value) || (!*was_there && fields->count == FIELDS_SMALL_MAX))
        return false;
    fields->is_changed = true;
    if (*was_there) {
        struct bytes old;
        packed_next(&walk, &old);
        packed_splice(&fields->own, walk.from, walk.to, 1, &value, 1);
        return true;
    }
    packed_append(&fields->own, name);
    if (width(fields) == 2)
        packed_append(&fields->own, value);
    fields->count++;
    return true;
}

bool fields_put(struct fields *fields, struct bytes name, struct bytes value)
{
    bool was_there = false, is_put = false;
    if (fields->form == PACKED_NONE)
        begin(fields, name);
    if (fields->form == PACKED_LARGE)
        return put_large(fields, name, value);
    fields_hold(fields);
    if (fields->form == PACKED_INTEGERS) {
        is_put = put_integer(fields, name, &was_there);
        int64_t number;
        if (!is_put && fields->count < FIELDS_SMALL_MAX && !number_parse_i64(name, &number))
            become_strings(fields);
    }
    if (fields->form == PACKED_STRINGS)
        is_put = put_packed(fields, name, value, &was_there);
    fields->small = buffer_bytes(&fields->own);
    if (is_put)
        return was_there;
    become_large(fields);
    return put_large(fields, name, value);
}

bool fields_delete(struct fields *fields, struct bytes name)
{
    struct packed_walk walk;
    struct bytes value;
    uint32_t i;
    bool was_there = false;
    if (fields->form == PACKED_LARGE) {
        was_there =
            db_row_delete(fields->db, fields->record.space, db_row_word(fields->db, name), name);
    } else if (fields->form == PACKED_INTEGERS) {
        was_there = find_integer(fields, name, &i);
        fields_hold(fields);
        if (was_there)
            packed_integer_remove(&fields->own, i);
    } else if (fields->form == PACKED_STRINGS) {
        fields_hold(fields);
        was_there = find_packed(fields, name, &walk);
        size_t from = walk.from;
        if (was_there && width(fields) == 2)
            packed_next(&walk, &value);
        if (was_there)
            packed_splice(&fields->own, from, walk.to, width(fields), NULL, 0);
    }
    if (fields->form != PACKED_LARGE && was_there)
        fields->small = buffer_bytes(&fields->own);
    fields->count -= was_there;
    fields->is_changed |= was_there;
    return was_there;
}

void fields_clear(struct fields *fields)
{
    fields_hold(fields);
    fields->count = 0;
    fields->is_changed = true;
}

/* ---- saving ---------------------------------------------------------------------------- */

static void put_record(struct fields *fields)
{
    unsigned char out[PACKED_LARGE_SIZE];
    bool is_large = fields->form == PACKED_LARGE;
    db_put_collection(fields->db, fields->database, fields->key, &fields->record,
                      is_large ? packed_large(out, fields->count) : buffer_bytes(&fields->own));
}

void fields_save(struct fields *fields, const char *event)
{
    fields_hold(fields);
    db_effects_name(fields->db, event);
    put_record(fields);
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

void fields_put_aside(struct fields *fields, struct buffer *small, uint64_t *space, uint64_t *count)
{
    buffer_clear(small);
    buffer_append_bytes(small, buffer_bytes(&fields->own));
    *space = fields->record.space;
    *count = fields->count;
}

void fields_take_back(struct fields *fields, struct buffer *small, uint64_t space, uint64_t count)
{
    if (small->size == 0 && space == fields->record.space && space == 0)
        return; /* nothing was changed */
    fields->count = count;
    fields->is_changed = true;
    fields->record.space = space;
    buffer_clear(&fields->own);
    buffer_append_bytes(&fields->own, buffer_bytes(small));
    buffer_clear(small);
    fields->small = buffer_bytes(&fields->own);
    fields->form = space ? PACKED_LARGE : packed_form(fields->small);
}
