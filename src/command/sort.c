/* SORT and SORT_RO (Redis 7.2 sort.c): the elements of a list, a set or a sorted set in another
 * order, or other keys' values in their order.
 *
 * In slices: they are collected, weighed, sorted (sort_order.h) and given; memory is bounded by
 * what a reply may have.  Without STORE it is a read, whatever it is called: sort_is_read().  Redis
 * compares texts as its locale says, which is C unless somebody changed it, and bytes for STORE;
 * here they are always bytes.
 *
 * Deterministic; loop thread only. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/ordered.h"
#include "command/preparing.h"
#include "command/sort_order.h"
#include "command/sorted.h"
#include "command/walk.h"

enum { LOOKS_SLICE = 256 }; /* enough reads of a busy disk for one turn of the event loop */

struct sort_words {
    bool is_descending, is_alpha, keeps_order;
    int64_t start, count; /* LIMIT; count negative: all */
    struct bytes by;      /* no data: by the elements themselves */
    uint32_t gets;        /* how many GETs there are */
    uint32_t store;       /* the word that is the destination; 0: none */
};

/* ---- words -------------------------------------------------------------------------------- */

static bool has_star(struct bytes pattern)
{
    return pattern.size > 0 && memchr(pattern.data, '*', strnlen(pattern.data, pattern.size));
}

/* The option at *i, whose words it skips but for one; false: answered. */
static bool take_option(struct call *call, struct sort_words *words, uint32_t *i, bool may_store)
{
    struct bytes word = call->argv[*i];
    uint32_t behind = call->argc - *i - 1;
    if (bytes_is(word, "asc") || bytes_is(word, "desc")) {
        words->is_descending = word.size == 4;
    } else if (bytes_is(word, "alpha")) {
        words->is_alpha = true;
    } else if (behind >= 2 && bytes_is(word, "limit")) {
        *i += 2;
        return call_integer(call, *i - 1, &words->start) && call_integer(call, *i, &words->count);
    } else if (behind >= 1 && may_store && bytes_is(word, "store")) {
        words->store = ++*i;
    } else if (behind >= 1 && bytes_is(word, "by")) {
        words->by = call->argv[++*i];
        words->keeps_order = !has_star(words->by);
    } else if (behind >= 1 && bytes_is(word, "get")) {
        words->gets++;
        ++*i;
    } else {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static bool read_words(struct call *call, struct sort_words *words)
{
    *words = (struct sort_words){.count = -1};
    bool may_store = call->command->execute == cmd_sort;
    for (uint32_t i = 2; i < call->argc; i++)
        if (!take_option(call, words, &i, may_store))
            return false;
    return true;
}

bool words_sort(struct call *call)
{
    struct sort_words words;
    return read_words(call, &words);
}

bool sort_is_read(const struct call *call)
{
    struct reply nobody = {NULL, call->reply->protocol};
    struct call silent = *call;
    struct sort_words words;
    silent.reply = &nobody;
    return read_words(&silent, &words) && words.store == 0;
}

/* ---- what is kept from slice to slice ------------------------------------------------------- */

enum phase { COLLECTING, WEIGHING, ORDERING, GIVING };

struct sorting {
    struct sort_words words;
    enum phase phase;
    struct sort_order order;
    uint64_t at;           /* of the elements, in this phase, */
    uint32_t word;         /* and of its GETs; 0: it is at none */
    uint64_t begin, end;   /* what of them is given */
    struct ordered result; /* of STORE, a list without a key yet */
};

static void free_sorting(void *kept)
{
    struct sorting *sorting = kept;
    sort_order_deinit(&sorting->order);
    ordered_close(&sorting->result);
    memory_free(sorting);
}

static struct sorting *sorting_of(struct call *call)
{
    struct walk_state *walk = call->walk;
    if (!walk->kept) {
        walk->kept = memory_new(sizeof(struct sorting));
        walk->kept_free = free_sorting;
    }
    return walk->kept;
}

/* Of `count` elements. */
static void apply_limit(struct sorting *sorting, uint64_t count)
{
    const struct sort_words *words = &sorting->words;
    uint64_t start = words->start > 0 ? (uint64_t)words->start : 0;
    sorting->begin = start < count ? start : count;
    sorting->end = count;
    if (words->count >= 0 && (uint64_t)words->count < count - sorting->begin)
        sorting->end = sorting->begin + (uint64_t)words->count;
}

/* ---- collecting --------------------------------------------------------------------------- */

static void add_field(void *context, struct bytes name, struct bytes value)
{
    (void)value;
    sort_order_add(context, name);
}

static bool collect_set(struct call *call, struct sorting *sorting)
{
    struct fields fields;
    struct db_scan_limit limit = {
        .keys = WALK_SLICE, .rows = WALK_SLICE, .bytes = WALK_SLICE_BYTES};
    bool is_set = call_fields(call, call->argv[1], DB_SET, &fields);
    check(is_set);
    sorting->at = fields_scan(&fields, sorting->at, limit, add_field, &sorting->order);
    fields_close(&fields);
    return sorting->at == 0;
}

static bool add_element(void *context, struct bytes key, struct bytes value)
{
    (void)key;
    sort_order_add(context, value);
    return true;
}

static bool add_member(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    sort_order_add(context, sorted_member(key));
    return true;
}

/* What keeps its order is given from the end by DESC, and what LIMIT leaves out is not even
 * collected. */
static bool collect_ordered(struct call *call, struct sorting *sorting, enum db_type type)
{
    struct ordered ordered;
    bool keeps = sorting->words.keeps_order, is_backward = keeps && sorting->words.is_descending;
    bool is_of_type = ordered_open(&ordered, call, call->argv[1], type);
    check(is_of_type);
    sorting->begin = 0;
    sorting->end = ordered.count;
    if (keeps)
        apply_limit(sorting, ordered.count);
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES, count = 0;
    uint64_t at = sorting->begin + sort_order_count(&sorting->order);
    while (at < sorting->end && count < WALK_SLICE && db_work(call->db) < work_end) {
        uint64_t given =
            ordered_walk(&ordered, is_backward ? ordered.count - 1 - at : at, sorting->end - at,
                         is_backward, type == DB_LIST ? add_element : add_member, &sorting->order);
        at += given;
        count += given;
    }
    ordered_close(&ordered);
    return at == sorting->end;
}

/* Also what it is by way of options that is only known with the type. */
static bool collect(struct call *call, struct sorting *sorting, enum db_type type)
{
    struct sort_words *words = &sorting->words;
    bool is_all = true;
    if (type == DB_SET && words->keeps_order && words->store > 0) {
        words->keeps_order = false; /* a set has no order that could be kept: a fixed one */
        words->is_alpha = true;
        words->by = bytes_of(NULL, 0);
    }
    if (type == DB_SET)
        is_all = collect_set(call, sorting);
    else if (type != DB_NONE)
        is_all = collect_ordered(call, sorting, type);
    if (!is_all)
        return false;
    uint64_t count = sort_order_count(&sorting->order);
    sorting->begin = 0;
    sorting->end = count;
    if (!words->keeps_order || type == DB_SET)
        apply_limit(sorting, count);
    sorting->at = 0;
    sorting->order.is_descending = words->is_descending;
    sorting->order.weight = !words->is_alpha ? SORT_BY_NUMBER
                            : words->by.data ? SORT_BY_TEXT
                                             : SORT_BY_OWN_TEXT;
    return true;
}

/* ---- other keys ----------------------------------------------------------------------------- */

struct look {
    struct buffer key;    /* owned */
    struct fields fields; /* of a hash */
};

static void look_end(struct look *look)
{
    buffer_deinit(&look->key);
    fields_close(&look->fields);
}

/* Where the name of a field begins in a pattern like "user:*->name"; its end: there is none. */
static size_t field_of(struct bytes pattern, size_t star)
{
    const char *text = pattern.data;
    for (size_t i = star + 1; i + 2 < pattern.size; i++)
        if (text[i] == '-' && text[i + 1] == '>')
            return i + 2;
    return pattern.size;
}

/* What stands at the key that the pattern and an element make, borrowed until the next call on the
 * db and look_end().  False: nothing, or nothing that could be given. */
static bool look_up(struct call *call, struct look *look, struct bytes pattern,
                    struct bytes element, struct bytes *value)
{
    struct db_record found;
    *look = (struct look){0};
    if (!has_star(pattern))
        return false;
    const char *text = pattern.data, *begin = memchr(text, '*', pattern.size);
    size_t star = (size_t)(begin - text), field = field_of(pattern, star);
    size_t key_end = field < pattern.size ? field - 2 : pattern.size;
    buffer_append(&look->key, text, star);
    buffer_append_bytes(&look->key, element);
    buffer_append(&look->key, begin + 1, key_end - star - 1);
    struct bytes key = buffer_bytes(&look->key);
    if (field == pattern.size) {
        bool is_there = db_find(call->db, call->view, call->database, key, &found, value);
        call_looks(call, key, is_there ? &found : NULL);
        return is_there && found.type == DB_STRING;
    }
    if (call->preparing) {
        bool is_there = db_find(call->db, call->view, call->database, key, &found, NULL);
        call_looks(call, key, is_there ? &found : NULL);
    }
    bool is_hash = fields_open(&look->fields, call->db, call->view, call->database, key, DB_HASH);
    return is_hash &&
           fields_get(&look->fields, bytes_of(text + field, pattern.size - field), value);
}

/* ---- weighing ------------------------------------------------------------------------------- */

/* As strtod() takes it, which rounds correctly, so it is the same everywhere: blanks in front,
 * nothing at all is 0. */
static bool parse_weight(struct bytes text, double *number)
{
    char copy[512], *end;
    size_t size = text.size ? strnlen(text.data, text.size) : 0;
    if (size >= sizeof copy)
        return false;
    if (size)
        memcpy(copy, text.data, size);
    copy[size] = '\0';
    errno = 0;
    *number = strtod(copy, &end);
    return *end == '\0' && errno != ERANGE && !isnan(*number);
}

/* False: it is no number. */
static bool weigh_one(struct call *call, struct sorting *sorting)
{
    struct look look = {0};
    const struct sort_words *words = &sorting->words;
    struct bytes text = sort_order_text(&sorting->order, sorting->at), value = text;
    bool is_valid = true, has_weight = true;
    double number = 0;
    if (words->by.data)
        has_weight = look_up(call, &look, words->by, text, &value);
    if (words->is_alpha)
        sort_order_set_text(&sorting->order, sorting->at,
                            has_weight ? bytes_of(value.data ? value.data : "", value.size)
                                       : bytes_of(NULL, 0));
    else if (has_weight)
        is_valid = parse_weight(value, &number);
    if (!words->is_alpha)
        sort_order_set_number(&sorting->order, sorting->at, number);
    look_end(&look);
    return is_valid;
}

/* False: not finished, or answered. */
static bool weigh(struct call *call, struct sorting *sorting)
{
    const struct sort_words *words = &sorting->words;
    uint64_t count = sort_order_count(&sorting->order);
    uint64_t most = words->by.data ? LOOKS_SLICE : WALK_SLICE;
    if (words->keeps_order || (words->is_alpha && !words->by.data))
        return true;
    for (uint64_t i = 0; i < most && sorting->at < count; i++, sorting->at++)
        if (!weigh_one(call, sorting)) {
            call->walk->unfinished = false;
            reply_error(call->reply, "ERR One or more scores can't be converted into double");
            return false;
        }
    return sorting->at == count;
}

/* ---- giving --------------------------------------------------------------------------------- */

static void give(struct call *call, struct sorting *sorting, struct bytes value, bool exists)
{
    if (sorting->words.store == 0) {
        call_add_part(call, value, exists);
        return;
    }
    struct buffer copy = {0}; /* what the db lent cannot be given back to it */
    if (exists)
        buffer_append_bytes(&copy, value);
    ordered_insert_at(&sorting->result, sorting->result.count, buffer_bytes(&copy));
    buffer_deinit(&copy);
}

/* False: its other GETs come in the next slice. */
static bool give_one(struct call *call, struct sorting *sorting, uint64_t work_end)
{
    struct bytes text = sort_order_text(&sorting->order, sorting->at);
    if (sorting->words.gets == 0) {
        give(call, sorting, text, true);
        return true;
    }
    uint32_t first = sorting->word ? sorting->word : 2;
    for (uint32_t i = first, gets = 0; i < call->argc; i++) {
        sorting->word = i;
        if (gets == LOOKS_SLICE || (gets > 0 && db_work(call->db) >= work_end))
            return false;
        struct look look = {0};
        struct bytes value = text, pattern = call->argv[i + 1 < call->argc ? i + 1 : i];
        bool is_get = i + 1 < call->argc && bytes_is(call->argv[i], "get");
        gets += is_get;
        if (is_get) {
            bool is_itself = bytes_equal(pattern, bytes_of("#", 1));
            bool exists = is_itself || look_up(call, &look, pattern, text, &value);
            give(call, sorting, value, exists);
            look_end(&look);
        }
        i += bytes_is(call->argv[i], "limit")
                 ? 2
                 : is_get || bytes_is(call->argv[i], "by") || bytes_is(call->argv[i], "store");
    }
    sorting->word = 0;
    return true;
}

static void reply_stored(struct call *call, struct sorting *sorting)
{
    struct bytes key = call->argv[sorting->words.store];
    int64_t count = (int64_t)sorting->result.count;
    sorting->result.key = key;
    if (count > 0)
        ordered_save(&sorting->result, "sortstore");
    else
        call_delete(call, key, "del");
    reply_integer(call->reply, count);
}

static void give_all(struct call *call, struct sorting *sorting)
{
    uint64_t gets = sorting->words.gets, work_end = db_work(call->db) + WALK_SLICE_BYTES;
    uint64_t most = gets ? LOOKS_SLICE / (gets < LOOKS_SLICE ? gets : LOOKS_SLICE) : WALK_SLICE;
    for (uint64_t i = 0; i < most && sorting->at < sorting->end; i++, sorting->at++) {
        if (db_work(call->db) >= work_end)
            break;
        bool is_whole = give_one(call, sorting, work_end);
        if (sorting->words.store == 0 && !call_keeps_parts(call, 0))
            return;
        if (!is_whole)
            break;
    }
    call->walk->unfinished = sorting->at < sorting->end;
    if (call->walk->unfinished)
        return;
    if (sorting->words.store && call_stops(call))
        return;
    if (sorting->words.store)
        reply_stored(call, sorting);
    else
        call_reply_parts(call, (sorting->end - sorting->begin) * (gets ? gets : 1));
}

/* ---- phases --------------------------------------------------------------------------------- */

/* One slice of a phase.  True: on to the next. */
static bool go_on(struct call *call, struct sorting *sorting, enum db_type type)
{
    switch (sorting->phase) {
    case COLLECTING: return collect(call, sorting, type);
    case WEIGHING: return weigh(call, sorting);
    case ORDERING: return sorting->words.keeps_order || sort_order_go_on(&sorting->order);
    case GIVING: break;
    }
    give_all(call, sorting);
    return false;
}

static bool begin(struct call *call, struct sorting *sorting, enum db_type type)
{
    if (type != DB_NONE && type != DB_LIST && type != DB_SET && type != DB_ZSET) {
        reply_error(call->reply, ERROR_WRONG_TYPE);
        return false;
    }
    if (!read_words(call, &sorting->words))
        return false;
    if (type == DB_NONE)
        call_look(call, call->argv[1], NULL); /* counts as a miss */
    ordered_new(&sorting->result, call, bytes_of("", 0), DB_LIST);
    return true;
}

static void sort(struct call *call)
{
    struct db_record found = {.type = DB_NONE};
    struct sorting *sorting = sorting_of(call);
    struct walk_state *walk = call->walk;
    db_find(call->db, call->view, call->database, call->argv[1], &found, NULL);
    if (!walk->unfinished && !begin(call, sorting, found.type))
        return;
    walk->unfinished = true;
    if (call_is_prepared(call))
        ordered_take_made(&sorting->result, call);
    if (sort_order_memory(&sorting->order) > REPLY_SIZE_MAX) {
        walk->unfinished = false;
        reply_error(call->reply, ERROR_REPLY_TOO_LARGE);
        return;
    }
    while (go_on(call, sorting, found.type)) {
        sorting->phase++;
        sorting->at = sorting->phase == GIVING ? sorting->begin : 0;
    }
}

void cmd_sort(struct call *call)
{
    sort(call);
}

void cmd_sort_ro(struct call *call)
{
    sort(call);
}
