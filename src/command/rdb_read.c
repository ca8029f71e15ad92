/* See rdb.h (Redis 7.2 rdb.c). */
#include <math.h>
#include <stdlib.h>

#include <liblzf/lzf.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "command/rdb.h"

enum { SIZE_32 = 0x80, SIZE_64 = 0x81, COMPRESSED = 3 };
enum { PLAIN_NODE = 1, PACKED_NODE = 2 };                      /* of RDB_LIST_QUICKLIST_2 */
enum { TEXT_NAN = 253, TEXT_INF = 254, TEXT_MINUS_INF = 255 }; /* in the place of a text's size */
/* Three bytes are the least that stands for 264: more cannot come of them. */
enum { COMPRESSED_RATIO = 88, COMPRESSED_SLACK = 32 };

bool rdb_knows_version(struct bytes payload)
{
    const unsigned char *bytes = payload.data;
    if (payload.size < RDB_FOOTER)
        return false;
    bytes += payload.size - RDB_FOOTER;
    return (bytes[0] | bytes[1] << 8) <= RDB_VERSION;
}

uint64_t rdb_footer_crc(struct bytes payload)
{
    check(payload.size >= RDB_FOOTER);
    return get_u64((const unsigned char *)payload.data + payload.size - 8);
}

/* ---- sizes and strings ------------------------------------------------------------------- */

static size_t rest(const struct rdb_reader *reader)
{
    return reader->body.size - reader->at;
}

static const unsigned char *at_of(const struct rdb_reader *reader)
{
    return (const unsigned char *)reader->body.data + reader->at;
}

bool rdb_take(struct rdb_reader *reader, uint64_t count, const unsigned char **bytes)
{
    if (count > rest(reader))
        return false;
    *bytes = at_of(reader);
    reader->at += count;
    return true;
}

/* is_special: *size is the form of a string that is none by itself. */
static bool take_size(struct rdb_reader *reader, uint64_t *size, bool *is_special)
{
    const unsigned char *first, *bytes;
    *is_special = false;
    if (!rdb_take(reader, 1, &first))
        return false;
    *size = *first & 0x3f;
    switch (*first >> 6) {
    case 0: return true;
    case 1:
        if (!rdb_take(reader, 1, &bytes))
            return false;
        *size = *size << 8 | *bytes;
        return true;
    case 2: break;
    default: *is_special = true; return true;
    }
    bool is_wide = *first == SIZE_64;
    if ((!is_wide && *first != SIZE_32) || !rdb_take(reader, is_wide ? 8 : 4, &bytes))
        return false;
    *size = is_wide ? get_u64_ordered(bytes) : get_u32_ordered(bytes);
    return true;
}

bool rdb_take_count(struct rdb_reader *reader, uint64_t *count)
{
    bool is_special;
    return take_size(reader, count, &is_special) && !is_special;
}

static enum rdb_step unpack(struct rdb_reader *reader, struct buffer *out, struct bytes *string)
{
    uint64_t packed, size;
    const unsigned char *bytes;
    if (!rdb_take_count(reader, &packed) || !rdb_take_count(reader, &size) ||
        !rdb_take(reader, packed, &bytes) || packed == 0 || size == 0 ||
        size > packed * COMPRESSED_RATIO + COMPRESSED_SLACK)
        return RDB_DAMAGED;
    if (size > reader->unpacked_left)
        return RDB_TOO_LARGE;
    reader->unpacked_left -= size;
    buffer_clear(out);
    buffer_reserve(out, size);
    if (lzf_decompress(bytes, (unsigned)packed, out->data, (unsigned)size) != size)
        return RDB_DAMAGED;
    out->size = size;
    *string = buffer_bytes(out);
    return RDB_GIVEN;
}

/* form 0, 1, 2: of 8, 16, 32 bits. */
static bool take_integer(struct rdb_reader *reader, unsigned form, struct rdb_item *item)
{
    const unsigned char *bytes;
    check(form < COMPRESSED);
    unsigned count = 1u << form;
    uint64_t value = 0;
    if (!rdb_take(reader, count, &bytes))
        return false;
    for (unsigned i = count; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    int64_t number = form == 0 ? (int8_t)value : form == 1 ? (int16_t)value : (int32_t)value;
    item->text = bytes_of(item->digits, number_format_i64(number, item->digits));
    return true;
}

enum rdb_step rdb_take_string(struct rdb_reader *reader, struct buffer *out, struct rdb_item *item)
{
    uint64_t size;
    bool is_special;
    const unsigned char *bytes;
    if (!take_size(reader, &size, &is_special))
        return RDB_DAMAGED;
    if (is_special && size == COMPRESSED)
        return unpack(reader, out, &item->text);
    if (is_special)
        return size < COMPRESSED && take_integer(reader, (unsigned)size, item) ? RDB_GIVEN
                                                                               : RDB_DAMAGED;
    if (!rdb_take(reader, size, &bytes))
        return RDB_DAMAGED;
    item->text = bytes_of(bytes, size);
    return RDB_GIVEN;
}

static enum rdb_step take_item(struct rdb_reader *reader, int i, struct bytes *text)
{
    enum rdb_step step = rdb_take_string(reader, &reader->strings[i], &reader->items[i]);
    *text = reader->items[i].text;
    return step;
}

/* ---- scores ------------------------------------------------------------------------------ */

/* As strtod() takes it: correctly rounded, so the same everywhere.  False: it is no number. */
static bool parse_score(struct bytes text, double *score)
{
    char copy[256], *end;
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *score = strtod(copy, &end);
    return (size_t)(end - copy) == text.size && !isnan(*score);
}

static bool take_text_score(struct rdb_reader *reader, double *score)
{
    const unsigned char *size, *text;
    if (!rdb_take(reader, 1, &size) || *size == TEXT_NAN)
        return false;
    if (*size >= TEXT_INF) {
        *score = *size == TEXT_MINUS_INF ? -INFINITY : INFINITY;
        return true;
    }
    return rdb_take(reader, *size, &text) && parse_score(bytes_of(text, *size), score);
}

static bool take_score(struct rdb_reader *reader, double *score)
{
    const unsigned char *bytes;
    if (reader->kind == RDB_ZSET_TEXT)
        return take_text_score(reader, score);
    if (!rdb_take(reader, sizeof *score, &bytes))
        return false;
    uint64_t bits = get_u64(bytes);
    memcpy(score, &bits, sizeof *score);
    return !isnan(*score);
}

/* ---- kinds ------------------------------------------------------------------------------- */

/* DB_NONE: a kind that we do not know. */
static enum db_type type_of(enum rdb_kind kind)
{
    switch (kind) {
    case RDB_STRING: return DB_STRING;
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2: return DB_LIST;
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK: return DB_SET;
    case RDB_ZSET_TEXT:
    case RDB_ZSET:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK: return DB_ZSET;
    case RDB_HASH:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK: return DB_HASH;
    case RDB_STREAM_5_0:
    case RDB_STREAM_7_0:
    case RDB_STREAM_7_2: return DB_STREAM;
    }
    return DB_NONE;
}

static enum rdb_form form_of(enum rdb_kind kind)
{
    switch (kind) {
    case RDB_STRING:
    case RDB_LIST:
    case RDB_SET:
    case RDB_ZSET_TEXT:
    case RDB_HASH:
    case RDB_ZSET: break;
    case RDB_HASH_ZIPMAP: return RDB_ZIPMAP;
    case RDB_SET_INTSET: return RDB_INTSET;
    case RDB_LIST_ZIPLIST:
    case RDB_ZSET_ZIPLIST:
    case RDB_HASH_ZIPLIST:
    case RDB_LIST_QUICKLIST: return RDB_ZIPLIST;
    case RDB_HASH_LISTPACK:
    case RDB_ZSET_LISTPACK:
    case RDB_LIST_QUICKLIST_2:
    case RDB_SET_LISTPACK:
    case RDB_STREAM_5_0:
    case RDB_STREAM_7_0:
    case RDB_STREAM_7_2: return RDB_LISTPACK;
    }
    return RDB_UNPACKED;
}

static bool open_kind(struct rdb_reader *reader, unsigned char kind)
{
    reader->left = 1;
    reader->kind = (enum rdb_kind)kind;
    reader->type = type_of(reader->kind);
    bool is_one = reader->kind == RDB_STRING ||
                  (form_of(reader->kind) != RDB_UNPACKED && reader->kind != RDB_LIST_QUICKLIST &&
                   reader->kind != RDB_LIST_QUICKLIST_2 && reader->type != DB_STREAM);
    return reader->type != DB_NONE &&
           (is_one || (rdb_take_count(reader, &reader->left) && reader->left <= rest(reader)));
}

bool rdb_open(struct rdb_reader *reader, struct bytes payload, size_t unpacked_max)
{
    const unsigned char *kind;
    check(payload.size >= RDB_FOOTER);
    *reader = (struct rdb_reader){.body = bytes_of(payload.data, payload.size - RDB_FOOTER),
                                  .unpacked_left = unpacked_max};
    return rdb_take(reader, 1, &kind) && open_kind(reader, *kind);
}

bool rdb_open_within(struct rdb_reader *reader, unsigned char kind, struct bytes bytes,
                     size_t unpacked_max)
{
    *reader = (struct rdb_reader){.body = bytes, .is_within = true, .unpacked_left = unpacked_max};
    return open_kind(reader, kind);
}

enum rdb_step rdb_end(const struct rdb_reader *reader)
{
    return reader->is_within || rest(reader) == 0 ? RDB_END : RDB_DAMAGED;
}

void rdb_close(struct rdb_reader *reader)
{
    buffer_deinit(&reader->node);
    buffer_deinit(&reader->strings[0]);
    buffer_deinit(&reader->strings[1]);
}

/* ---- elements ---------------------------------------------------------------------------- */

static enum rdb_step take_element(struct rdb_reader *reader, struct rdb_element *element)
{
    bool has_name = reader->type != DB_STRING && reader->type != DB_LIST;
    enum rdb_step step = take_item(reader, 0, has_name ? &element->name : &element->value);
    if (step == RDB_GIVEN && reader->type == DB_HASH)
        step = take_item(reader, 1, &element->value);
    if (step == RDB_GIVEN && reader->type == DB_ZSET && !take_score(reader, &element->score))
        step = RDB_DAMAGED;
    return step;
}

static enum rdb_step take_packed(struct rdb_reader *reader, struct rdb_element *element)
{
    enum rdb_step step = rdb_pack_next(&reader->pack, &reader->items[0]);
    if (step != RDB_GIVEN)
        return step;
    element->name = element->value = reader->items[0].text;
    if (reader->type == DB_LIST || reader->type == DB_SET)
        return RDB_GIVEN;
    step = rdb_pack_next(&reader->pack, &reader->items[1]);
    element->value = reader->items[1].text;
    bool is_pair = step == RDB_GIVEN &&
                   (reader->type == DB_HASH || parse_score(element->value, &element->score));
    return is_pair ? RDB_GIVEN : RDB_DAMAGED;
}

/* The next packed node; one that is a single element is given at once. */
static enum rdb_step open_node(struct rdb_reader *reader, struct rdb_element *element)
{
    uint64_t container = PACKED_NODE;
    struct rdb_item *item = &reader->items[0];
    if (reader->kind == RDB_LIST_QUICKLIST_2 &&
        (!rdb_take_count(reader, &container) || container < PLAIN_NODE || container > PACKED_NODE))
        return RDB_DAMAGED;
    enum rdb_step step = rdb_take_string(reader, &reader->node, item);
    if (step != RDB_GIVEN)
        return step;
    element->value = item->text;
    if (container == PLAIN_NODE)
        return RDB_GIVEN;
    bool is_node = item->text.data != item->digits &&
                   rdb_pack_open(&reader->pack, form_of(reader->kind), item->text);
    return is_node ? RDB_NOTHING : RDB_DAMAGED;
}

enum rdb_step rdb_next(struct rdb_reader *reader, struct rdb_element *element)
{
    bool is_packed = form_of(reader->kind) != RDB_UNPACKED;
    *element = (struct rdb_element){.name = {"", 0}, .value = {"", 0}};
    if (reader->type == DB_STREAM)
        return rdb_stream_next(reader, element);
    enum rdb_step step = take_packed(reader, element);
    if (step != RDB_END)
        return step;
    reader->pack.form = RDB_UNPACKED;
    if (reader->left == 0)
        return rdb_end(reader);
    reader->left--;
    return is_packed ? open_node(reader, element) : take_element(reader, element);
}
