/* See fields_internal.h.  Deterministic. */
#include "command/fields_internal.h"

#include "base/codec.h"
#include "base/fatal.h"

enum { NOT_TIMED, TIMED, HEAD_MAX = 9 };

static uint64_t space_of(const struct fields *fields)
{
    return fields->record.space;
}

static bool is_timed(const struct fields *fields)
{
    return fields->form == PACKED_LARGE_TIMED;
}

/* ---- one row ------------------------------------------------------------------------------ */

static struct bytes head_of(unsigned char *out, int64_t deadline_ms)
{
    out[0] = deadline_ms ? TIMED : NOT_TIMED;
    put_u64(out + 1, (uint64_t)deadline_ms);
    return bytes_of(out, deadline_ms ? HEAD_MAX : 1);
}

static struct bytes value_of(struct bytes row, int64_t *deadline_ms)
{
    const unsigned char *at = row.data;
    size_t size = row.size > 0 && at[0] == TIMED ? HEAD_MAX : 1;
    if (row.size < size || at[0] > TIMED)
        fatal("data: a field of a hash is damaged (%zu bytes)", row.size);
    *deadline_ms = size == HEAD_MAX ? (int64_t)get_u64(at + 1) : 0;
    return bytes_of(at + size, row.size - size);
}

bool fields_row_get(const struct fields *fields, struct bytes name, struct bytes *value,
                    int64_t *deadline_ms)
{
    *deadline_ms = 0;
    if (!db_row_get(fields->db, fields->view, space_of(fields), db_row_word(fields->db, name), name,
                    value))
        return false;
    if (is_timed(fields))
        *value = value_of(*value, deadline_ms);
    return true;
}

/* ---- the tree ----------------------------------------------------------------------------- */

enum { TREE_DEADLINE = 8 };

/* Fills the cleared `key`. */
static struct bytes tree_key(struct buffer *key, int64_t deadline_ms, struct bytes name)
{
    unsigned char out[TREE_DEADLINE];
    put_u64_ordered(out, (uint64_t)deadline_ms);
    buffer_append(key, out, sizeof out);
    buffer_append_bytes(key, name);
    return buffer_bytes(key);
}

static struct db_tree tree_of(const struct fields *fields)
{
    return (struct db_tree){
        .db = fields->db, .view = fields->view, .space = space_of(fields), .root = fields->due};
}

static void tree_add(struct fields *fields, int64_t deadline_ms, struct bytes name)
{
    struct buffer key = {0};
    struct db_tree tree = tree_of(fields);
    db_tree_insert(&tree, tree_key(&key, deadline_ms, name), (struct bytes){0});
    fields->due = tree.root;
    buffer_deinit(&key);
}

static void tree_remove(struct fields *fields, int64_t deadline_ms, struct bytes name)
{
    bool is_there;
    struct buffer key = {0};
    struct db_tree tree = tree_of(fields);
    uint64_t rank = db_tree_rank(&tree, tree_key(&key, deadline_ms, name), &is_there);
    if (!is_there)
        fatal("data: a field with a deadline is missing among those of its hash");
    db_tree_cut(&tree, rank, 1, UINT64_MAX);
    fields->due = tree.root;
    buffer_deinit(&key);
}

uint64_t fields_rows_over(const struct fields *fields)
{
    if (!fields_is_over(fields, fields->record.elements_due_ms) || fields->due.count == 0)
        return 0;
    struct buffer key = {0};
    struct db_tree tree = tree_of(fields);
    uint64_t rank =
        db_tree_rank(&tree, tree_key(&key, fields->now_ms + 1, (struct bytes){0}), NULL);
    buffer_deinit(&key);
    return rank;
}

int64_t fields_rows_due(const struct fields *fields)
{
    struct bytes key, value;
    struct db_tree tree = tree_of(fields);
    if (fields->due.count == 0)
        return 0;
    db_tree_get(&tree, 0, &key, &value);
    if (key.size < TREE_DEADLINE)
        fatal("data: the deadlines of a hash are damaged (%zu bytes)", key.size);
    return (int64_t)get_u64_ordered(key.data);
}

/* ---- changing ------------------------------------------------------------------------------ */

/* The deadline of a field that is about to be changed. */
static int64_t deadline_of(const struct fields *fields, struct bytes name)
{
    struct bytes value;
    int64_t deadline_ms = 0;
    if (fields->due.count > 0)
        fields_row_get(fields, name, &value, &deadline_ms);
    return deadline_ms;
}

static void tree_change(struct fields *fields, struct bytes name, int64_t before_ms,
                        int64_t deadline_ms)
{
    if (before_ms == deadline_ms)
        return;
    if (before_ms != 0)
        tree_remove(fields, before_ms, name);
    if (deadline_ms != 0)
        tree_add(fields, deadline_ms, name);
}

static bool put_timed(const struct fields *fields, struct bytes name, struct bytes value,
                      int64_t deadline_ms)
{
    unsigned char out[HEAD_MAX];
    return db_row_put_parts(fields->db, space_of(fields), db_row_word(fields->db, name), name,
                            head_of(out, deadline_ms), value);
}

bool fields_row_put(struct fields *fields, struct bytes name, struct bytes value,
                    int64_t deadline_ms, int64_t *before)
{
    *before = deadline_of(fields, name);
    if (!is_timed(fields)) {
        check(deadline_ms == 0);
        return db_row_put(fields->db, space_of(fields), db_row_word(fields->db, name), name, value);
    }
    tree_change(fields, name, *before, deadline_ms);
    return put_timed(fields, name, value, deadline_ms);
}

/* The row first: what is known of the field by the look that found it, the put needs. */
void fields_row_change(struct fields *fields, struct bytes name, struct bytes value,
                       int64_t before_ms, int64_t deadline_ms)
{
    check(is_timed(fields));
    bool was_there = put_timed(fields, name, value, deadline_ms);
    check(was_there);
    tree_change(fields, name, before_ms, deadline_ms);
}

bool fields_row_delete(struct fields *fields, struct bytes name, int64_t *before)
{
    *before = deadline_of(fields, name);
    if (*before != 0)
        tree_remove(fields, *before, name);
    return db_row_delete(fields->db, space_of(fields), db_row_word(fields->db, name), name);
}

/* ---- many ----------------------------------------------------------------------------------- */

struct giving {
    const struct fields *fields;
    db_row_fn *each;
    void *context;
    bool is_given;
};

static void give_living(void *context, struct bytes name, struct bytes row)
{
    struct giving *giving = context;
    int64_t deadline_ms = 0;
    struct bytes value = is_timed(giving->fields) ? value_of(row, &deadline_ms) : row;
    giving->is_given = !fields_is_over(giving->fields, deadline_ms);
    if (giving->is_given)
        giving->each(giving->context, name, value);
}

uint64_t fields_rows_scan(struct fields *fields, uint64_t cursor, struct db_scan_limit limit,
                          db_row_fn *each, void *context)
{
    struct giving giving = {fields, each, context, false};
    return db_row_scan(fields->db, fields->view, space_of(fields), cursor, limit, give_living,
                       &giving);
}

bool fields_rows_draw(struct fields *fields, uint64_t *seed, db_row_fn *each, void *context)
{
    struct giving giving = {fields, each, context, false};
    db_row_random(fields->db, fields->view, space_of(fields), fields->count, seed, give_living,
                  &giving);
    return giving.is_given;
}

/* Names, each with its size in front. */
static bool note_name(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    if (key.size < TREE_DEADLINE)
        fatal("data: the deadlines of a hash are damaged (%zu bytes)", key.size);
    size_t size = key.size - TREE_DEADLINE;
    buffer_append(context, &size, sizeof size);
    buffer_append(context, (const char *)key.data + TREE_DEADLINE, size);
    return true;
}

static void delete_rows(struct fields *fields, struct bytes names)
{
    size_t size;
    for (size_t at = 0; at < names.size; at += size) {
        memcpy(&size, (const char *)names.data + at, sizeof size);
        at += sizeof size;
        struct bytes name = bytes_of((const char *)names.data + at, size);
        if (!db_row_delete(fields->db, space_of(fields), db_row_word(fields->db, name), name))
            fatal("data: a field with a deadline is missing in its hash");
    }
}

uint32_t fields_rows_expire(struct fields *fields, uint32_t most)
{
    struct buffer names = {0};
    struct db_tree tree = tree_of(fields);
    uint64_t over = fields_rows_over(fields), given = 0;
    if (over > most)
        over = most;
    while (given < over)
        given += db_tree_walk(&tree, given, over - given, false, note_name, &names);
    delete_rows(fields, buffer_bytes(&names));
    if (over > 0)
        db_tree_cut(&tree, 0, over, UINT64_MAX);
    fields->due = tree.root;
    buffer_deinit(&names);
    return (uint32_t)over;
}
