/* See function_store.h.  Deterministic; loop thread only. */
#include "command/function_store.h"

#include <ctype.h>

#include "base/codec.h"
#include "base/fatal.h"

enum { INDEX_SIZE = 3 * 8, NAME_MAX_SIZE = SCRIPT_FUNCTION_NAME_MAX };

/* Row "F": three u64, little endian, and the names. */
struct index {
    struct function_counts counts;
    struct buffer names; /* owned; sorted, each behind its size */
};

struct row_name {
    char text[1 + NAME_MAX_SIZE];
    struct bytes bytes;
};

static struct bytes name_of(struct row_name *out, char kind, struct bytes name)
{
    check(name.size <= NAME_MAX_SIZE);
    out->text[0] = kind;
    for (size_t i = 0; i < name.size; i++) {
        unsigned char byte = ((const unsigned char *)name.data)[i];
        out->text[1 + i] = (char)(kind == 'g' ? tolower(byte) : byte);
    }
    out->bytes = bytes_of(out->text, 1 + name.size);
    return out->bytes;
}

static bool get_row(struct call *call, char kind, struct bytes name, struct bytes *row)
{
    struct row_name place;
    if (name.size > NAME_MAX_SIZE)
        return false;
    name_of(&place, kind, name);
    return db_row_get(call->db, call->view, DB_SPACE_SERVER, db_row_word(call->db, place.bytes),
                      place.bytes, row);
}

static void put_row(struct call *call, char kind, struct bytes name, struct bytes row)
{
    struct row_name place;
    name_of(&place, kind, name);
    db_row_put(call->db, DB_SPACE_SERVER, db_row_word(call->db, place.bytes), place.bytes, row);
}

static void delete_row(struct call *call, char kind, struct bytes name)
{
    struct row_name place;
    name_of(&place, kind, name);
    bool was_there =
        db_row_delete(call->db, DB_SPACE_SERVER, db_row_word(call->db, place.bytes), place.bytes);
    check(was_there);
}

/* ---- texts behind their sizes ---------------------------------------------------------------- */

static void add_sized(struct buffer *out, struct bytes text)
{
    unsigned char size[4];
    put_u32(size, (uint32_t)text.size);
    buffer_append(out, size, sizeof size);
    buffer_append_bytes(out, text);
}

static struct bytes take_sized(struct bytes from, size_t *at)
{
    check(from.size - *at >= 4);
    size_t size = get_u32((const unsigned char *)from.data + *at);
    *at += 4;
    check(from.size - *at >= size);
    struct bytes text = bytes_of((const char *)from.data + *at, size);
    *at += size;
    return text;
}

bool function_store_next(struct bytes registered, size_t *at, struct script_function *function)
{
    if (*at == registered.size)
        return false;
    function->flags = ((const unsigned char *)registered.data)[(*at)++];
    function->name = take_sized(registered, at);
    function->description = take_sized(registered, at);
    return true;
}

bool function_store_next_name(const struct buffer *names, size_t *at, struct bytes *name)
{
    if (*at == names->size)
        return false;
    *name = take_sized(buffer_bytes(names), at);
    return true;
}

/* ---- the index ------------------------------------------------------------------------------- */

static struct index index_read(struct call *call)
{
    struct index index = {0};
    struct bytes row;
    if (!get_row(call, 'F', bytes_of("", 0), &row))
        return index;
    const unsigned char *at = row.data;
    check(row.size >= INDEX_SIZE);
    index.counts.libraries = get_u64(at);
    index.counts.functions = get_u64(at + 8);
    index.counts.bytes = get_u64(at + 16);
    buffer_append(&index.names, at + INDEX_SIZE, row.size - INDEX_SIZE);
    return index;
}

/* And gives back what it owns. */
static void index_write(struct call *call, struct index *index)
{
    unsigned char numbers[INDEX_SIZE];
    struct buffer row = {0};
    put_u64(numbers, index->counts.libraries);
    put_u64(numbers + 8, index->counts.functions);
    put_u64(numbers + 16, index->counts.bytes);
    buffer_append(&row, numbers, sizeof numbers);
    buffer_append_bytes(&row, buffer_bytes(&index->names));
    put_row(call, 'F', bytes_of("", 0), buffer_bytes(&row));
    buffer_deinit(&row);
    buffer_deinit(&index->names);
}

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* With `name`, or without it. */
static void list(struct index *index, struct bytes name, bool is_there)
{
    struct buffer names = {0};
    struct bytes other;
    size_t at = 0;
    while (function_store_next_name(&index->names, &at, &other)) {
        int order = compare(name, other);
        if (is_there && order < 0) {
            add_sized(&names, name);
            is_there = false;
        }
        if (order != 0)
            add_sized(&names, other);
    }
    if (is_there)
        add_sized(&names, name);
    buffer_deinit(&index->names);
    index->names = names;
}

/* What a library counts; sign -1: no more. */
static void count(struct index *index, const struct function_library *library, int sign)
{
    struct script_function function;
    uint64_t functions = 0;
    size_t at = 0;
    while (function_store_next(library->registered, &at, &function))
        functions++;
    index->counts.libraries += (uint64_t)sign;
    index->counts.functions += (uint64_t)sign * functions;
    index->counts.bytes += (uint64_t)sign * (library->code.size + library->registered.size);
}

/* ---- libraries ------------------------------------------------------------------------------- */

bool function_store_get(struct call *call, struct bytes name, struct function_library *library)
{
    struct bytes row;
    size_t at = 0;
    if (!get_row(call, 'f', name, &row))
        return false;
    library->sha = take_sized(row, &at);
    library->registered = take_sized(row, &at);
    library->code = take_sized(row, &at);
    check(at == row.size);
    return true;
}

bool function_store_find(struct call *call, struct bytes function, unsigned *flags,
                         struct buffer *library)
{
    struct bytes row;
    if (function.size == 0 || !get_row(call, 'g', function, &row))
        return false;
    check(row.size > 1);
    *flags = *(const unsigned char *)row.data;
    buffer_clear(library);
    buffer_append(library, (const char *)row.data + 1, row.size - 1);
    return true;
}

/* False: there is none. */
static bool take_out(struct call *call, struct bytes name, struct index *index)
{
    struct function_library library;
    struct script_function function;
    struct buffer functions = {0};
    size_t at = 0;
    if (!function_store_get(call, name, &library))
        return false;
    count(index, &library, -1);
    buffer_append_bytes(&functions, library.registered);
    while (function_store_next(buffer_bytes(&functions), &at, &function))
        delete_row(call, 'g', function.name);
    delete_row(call, 'f', name);
    list(index, name, false);
    buffer_deinit(&functions);
    return true;
}

static void put_in(struct call *call, struct bytes name, const struct function_library *library)
{
    struct buffer row = {0};
    struct script_function function;
    size_t at = 0;
    add_sized(&row, library->sha);
    add_sized(&row, library->registered);
    add_sized(&row, library->code);
    put_row(call, 'f', name, buffer_bytes(&row));
    while (function_store_next(library->registered, &at, &function)) {
        buffer_clear(&row);
        buffer_append_byte(&row, (char)function.flags);
        buffer_append_bytes(&row, name);
        put_row(call, 'g', function.name, buffer_bytes(&row));
    }
    buffer_deinit(&row);
}

static bool has_room(struct call *call, const struct index *index, struct bytes name,
                     const struct function_library *library)
{
    struct function_library before;
    uint64_t libraries = index->counts.libraries + 1;
    uint64_t bytes = index->counts.bytes + library->code.size + library->registered.size;
    if (function_store_get(call, name, &before)) {
        libraries--;
        bytes -= before.code.size + before.registered.size;
    }
    return libraries <= LIBRARIES_MAX && bytes <= LIBRARIES_BYTES_MAX;
}

bool function_store_put(struct call *call, struct bytes name,
                        const struct function_library *library)
{
    struct index index = index_read(call);
    if (!has_room(call, &index, name, library)) {
        buffer_deinit(&index.names);
        return false;
    }
    take_out(call, name, &index);
    put_in(call, name, library);
    count(&index, library, 1);
    list(&index, name, true);
    index_write(call, &index);
    return true;
}

bool function_store_delete(struct call *call, struct bytes name)
{
    struct index index = index_read(call);
    if (!take_out(call, name, &index)) {
        buffer_deinit(&index.names);
        return false;
    }
    index_write(call, &index);
    return true;
}

void function_store_flush(struct call *call)
{
    struct buffer names = {0};
    struct bytes name;
    size_t at = 0;
    function_store_names(call, &names);
    struct index index = index_read(call);
    while (function_store_next_name(&names, &at, &name))
        take_out(call, name, &index);
    check(index.counts.libraries == 0 && index.counts.functions == 0 && index.counts.bytes == 0);
    if (names.size > 0)
        delete_row(call, 'F', bytes_of("", 0));
    buffer_deinit(&index.names);
    buffer_deinit(&names);
}

void function_store_names(struct call *call, struct buffer *names)
{
    struct index index = index_read(call);
    buffer_append_bytes(names, buffer_bytes(&index.names));
    buffer_deinit(&index.names);
}

struct function_counts function_store_counts(struct call *call)
{
    struct index index = index_read(call);
    buffer_deinit(&index.names);
    return index.counts;
}
