/* See rdb_file.h (Redis 7.2 rdb.c). */
#include "command/rdb_file.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/limits.h"

#define MAGIC "REDIS"

enum { MAGIC_SIZE = 5, MODULE_1 = 6, MODULE_2 = 7 }; /* kinds of values that are a module's */

/* In what a module keeps beside the keys. */
enum module_part { PART_END, PART_SIGNED, PART_UNSIGNED, PART_FLOAT, PART_DOUBLE, PART_STRING };

static const char damaged[] = "it is damaged or cut there";
static const char too_large[] = "a value of more than 512 MB";

static bool refuse(struct rdb_file *file, const char *why)
{
    file->refusal = why;
    return false;
}

/* ---- parts of an item ------------------------------------------------------------------- */

static bool take(struct rdb_file *file, uint64_t count, const unsigned char **bytes)
{
    return rdb_take(&file->words, count, bytes) || refuse(file, damaged);
}

static bool take_count(struct rdb_file *file, uint64_t *count)
{
    return rdb_take_count(&file->words, count) || refuse(file, damaged);
}

static bool take_string(struct rdb_file *file, struct bytes *string)
{
    struct rdb_reader *words = &file->words;
    words->unpacked_left = VALUE_SIZE_MAX;
    enum rdb_step step = rdb_take_string(words, &words->strings[0], &words->items[0]);
    *string = words->items[0].text;
    if (step == RDB_GIVEN && string->size <= VALUE_SIZE_MAX)
        return true;
    return refuse(file, step == RDB_DAMAGED ? damaged : too_large);
}

static bool skip_bytes(struct rdb_file *file, uint64_t count)
{
    const unsigned char *bytes;
    return take(file, count, &bytes);
}

static bool skip_counts(struct rdb_file *file, unsigned counts)
{
    uint64_t count;
    while (counts > 0 && take_count(file, &count))
        counts--;
    return counts == 0;
}

static bool skip_strings(struct rdb_file *file, unsigned strings)
{
    struct bytes string;
    while (strings > 0 && take_string(file, &string))
        strings--;
    return strings == 0;
}

/* ---- items that say something of others -------------------------------------------------- */

static bool take_database(struct rdb_file *file)
{
    uint64_t database;
    if (!take_count(file, &database))
        return false;
    if (database >= DB_DATABASES)
        return refuse(file, "a database above 15, of which there is none here");
    file->database = (unsigned)database;
    return true;
}

static bool take_deadline(struct rdb_file *file, bool is_ms)
{
    const unsigned char *bytes;
    if (!take(file, is_ms ? 8 : 4, &bytes))
        return false;
    file->deadline_ms = is_ms ? (int64_t)get_u64(bytes) : (int64_t)(int32_t)get_u32(bytes) * 1000;
    file->has_deadline = file->deadline_ms != -1; /* which Redis takes for none */
    return true;
}

/* Nine letters of six bits each, above ten bits of a version. */
static void read_module_name(uint64_t id, char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int i = RDB_MODULE_NAME - 2; i >= 0; i--) {
        id >>= i == RDB_MODULE_NAME - 2 ? 10 : 6;
        name[i] = letters[id & 63];
    }
    name[RDB_MODULE_NAME - 1] = '\0';
}

static bool skip_module_part(struct rdb_file *file, uint64_t part)
{
    switch (part) {
    case PART_SIGNED:
    case PART_UNSIGNED: return skip_counts(file, 1);
    case PART_FLOAT: return skip_bytes(file, 4);
    case PART_DOUBLE: return skip_bytes(file, 8);
    case PART_STRING: return skip_strings(file, 1);
    default: return refuse(file, damaged);
    }
}

static bool skip_module(struct rdb_file *file)
{
    uint64_t id, part;
    if (!take_count(file, &id))
        return false;
    read_module_name(id, file->module);
    while (take_count(file, &part)) {
        if (part == PART_END)
            return true;
        if (!skip_module_part(file, part))
            return false;
    }
    return false;
}

/* ---- values ------------------------------------------------------------------------------- */

static enum rdb_step read_value(struct rdb_file *file, struct rdb_reader *reader)
{
    enum rdb_step step = RDB_NOTHING;
    struct rdb_element element;
    file->elements = 0;
    while (step == RDB_NOTHING || step == RDB_GIVEN) {
        step = rdb_next(reader, &element);
        file->elements += step == RDB_GIVEN;
        if (step == RDB_GIVEN &&
            (element.name.size > VALUE_SIZE_MAX || element.value.size > VALUE_SIZE_MAX))
            return RDB_TOO_LARGE;
    }
    /* It becomes a command's word, with its footer. */
    return reader->at > VALUE_SIZE_MAX - RDB_FOOTER ? RDB_TOO_LARGE : step;
}

/* Behind its kind and its name. */
static bool take_value(struct rdb_file *file)
{
    struct rdb_reader reader, *words = &file->words;
    struct bytes rest =
        bytes_of((const char *)words->body.data + words->at, words->body.size - words->at);
    if (file->kind == MODULE_1 || file->kind == MODULE_2)
        return refuse(file, "a value of a module, which nobody here understands");
    enum rdb_step step = RDB_DAMAGED;
    if (rdb_open_within(&reader, file->kind, rest, VALUE_SIZE_MAX))
        step = read_value(file, &reader);
    bool is_known = reader.type != DB_NONE;
    file->value = bytes_of(rest.data, reader.at);
    words->at += reader.at;
    rdb_close(&reader);
    if (!is_known)
        return refuse(file, "a value of a kind that Redis 7.2 does not have, or damage");
    return step == RDB_END || refuse(file, step == RDB_TOO_LARGE ? too_large : damaged);
}

static bool take_key(struct rdb_file *file)
{
    return take_string(file, &file->name) && take_value(file);
}

/* ---- items ---------------------------------------------------------------------------------- */

/* What says something of others, or nothing to us. */
static bool take_other(struct rdb_file *file, unsigned char mark)
{
    switch (mark) {
    case RDB_MARK_DATABASE: return take_database(file);
    case RDB_MARK_DEADLINE_MS: return take_deadline(file, true);
    case RDB_MARK_DEADLINE: return take_deadline(file, false);
    case RDB_MARK_IDLE: return skip_counts(file, 1);
    case RDB_MARK_FREQUENCY: return skip_bytes(file, 1);
    case RDB_MARK_SIZES: return skip_counts(file, 2);
    case RDB_MARK_AUX: return skip_strings(file, 2);
    default: return refuse(file, "functions of a release candidate of Redis 7.0");
    }
}

static bool is_other(unsigned char mark)
{
    return mark >= RDB_MARK_EARLY_LIBRARY && mark != RDB_MARK_MODULE_AUX && mark != RDB_MARK_END;
}

/* The sum goes over the mark of the end, too. */
static bool take_end(struct rdb_file *file)
{
    const unsigned char *sum;
    if (!take(file, RDB_FILE_SUM, &sum))
        return false;
    file->has_no_sum = get_u64(sum) == 0;
    if (!file->has_no_sum && get_u64(sum) != file->crc)
        return refuse(file, "the checksum is not that of the file: it is damaged somewhere");
    file->item = file->words.at;
    return file->words.at == file->words.body.size ||
           refuse(file, "something follows behind the end");
}

/* What was read since, into the sum. */
static void sum_up(struct rdb_file *file)
{
    const char *from = (const char *)file->words.body.data + file->summed;
    file->crc = rdb_crc(file->crc, bytes_of(from, file->words.at - file->summed));
    file->summed = file->words.at;
}

static bool take_header(struct rdb_file *file)
{
    const unsigned char *header;
    int version = 0;
    if (!take(file, RDB_FILE_HEADER, &header) || memcmp(header, MAGIC, MAGIC_SIZE) != 0)
        return refuse(file, "it is no RDB file");
    for (int i = MAGIC_SIZE; i < RDB_FILE_HEADER; i++) {
        if (header[i] < '0' || header[i] > '9')
            return refuse(file, "it is no RDB file");
        version = version * 10 + (header[i] - '0');
    }
    return (version >= RDB_FILE_OLDEST && version <= RDB_FILE_NEWEST) ||
           refuse(file, "its version is none of 6 (Redis 2.6) to 11 (Redis 7.2)");
}

static enum rdb_file_step take_item(struct rdb_file *file, unsigned char mark)
{
    enum rdb_file_step step = RDB_FILE_KEY;
    bool is_taken = false;
    switch (mark) {
    case RDB_MARK_END:
        sum_up(file);
        step = RDB_FILE_END;
        is_taken = take_end(file);
        break;
    case RDB_MARK_LIBRARY:
        step = RDB_FILE_LIBRARY;
        is_taken = take_string(file, &file->value);
        break;
    case RDB_MARK_MODULE_AUX:
        step = RDB_FILE_MODULE;
        is_taken = skip_module(file);
        break;
    default: file->kind = mark; is_taken = take_key(file);
    }
    return is_taken ? step : RDB_FILE_REFUSED;
}

enum rdb_file_step rdb_file_next(struct rdb_file *file)
{
    const unsigned char *mark;
    file->has_deadline = false;
    if (file->words.at == 0 && !take_header(file))
        return RDB_FILE_REFUSED;
    for (;;) {
        sum_up(file);
        file->item = file->words.at;
        if (!take(file, 1, &mark))
            return RDB_FILE_REFUSED;
        if (!is_other(*mark))
            return take_item(file, *mark);
        if (!take_other(file, *mark))
            return RDB_FILE_REFUSED;
    }
}

void rdb_file_open(struct rdb_file *file, struct bytes bytes)
{
    *file = (struct rdb_file){.words = {.body = bytes}};
}

void rdb_file_close(struct rdb_file *file)
{
    rdb_close(&file->words);
}

/* ---- writing ---------------------------------------------------------------------------- */

void rdb_file_write_header(struct buffer *out)
{
    buffer_printf(out, MAGIC "%04d", RDB_FILE_WRITTEN);
}

void rdb_file_write_aux(struct buffer *out, const char *name, struct bytes value)
{
    buffer_append_byte(out, (char)RDB_MARK_AUX);
    rdb_write_string(out, bytes_from_string(name));
    rdb_write_string(out, value);
}

void rdb_file_write_database(struct buffer *out, unsigned database, uint64_t keys)
{
    buffer_append_byte(out, (char)RDB_MARK_DATABASE);
    rdb_write_size(out, database);
    buffer_append_byte(out, (char)RDB_MARK_SIZES);
    rdb_write_size(out, keys);
    rdb_write_size(out, 0); /* with deadlines: a hint, for who makes room */
}

void rdb_file_write_key(struct buffer *out, struct bytes name, struct bytes payload,
                        int64_t deadline_ms)
{
    const char *kind = payload.data;
    check(payload.size > RDB_FOOTER);
    if (deadline_ms != 0) {
        buffer_append_byte(out, (char)RDB_MARK_DEADLINE_MS);
        rdb_write_time(out, deadline_ms);
    }
    buffer_append_byte(out, *kind);
    rdb_write_string(out, name);
    buffer_append(out, kind + 1, payload.size - RDB_FOOTER - 1);
}

void rdb_file_write_end(struct buffer *out, uint64_t crc)
{
    unsigned char bytes[1 + RDB_FILE_SUM] = {RDB_MARK_END};
    put_u64(bytes + 1, rdb_crc(crc, bytes_of(bytes, 1)));
    buffer_append(out, bytes, sizeof bytes);
}
