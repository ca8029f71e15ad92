/* Lists (Redis 7.2 t_list.c).  One is an order of elements without keys: see ordered.h.
 * Deterministic; loop thread only. */
#include "command/lists.h"

#include "base/fatal.h"
#include "command/ordered.h"
#include "command/preparing.h"
#include "resp/number.h"

enum { LIST_SLICE = 2000 };

static bool is_word(struct bytes word, const char *one, const char *other)
{
    return bytes_is(word, one) || bytes_is(word, other);
}

/* ---- pushing ------------------------------------------------------------------------- */

static void push(struct call *call, bool is_left, bool must_exist)
{
    struct ordered list;
    if (!ordered_open(&list, call, call->argv[1], DB_LIST)) {
        ordered_close(&list);
        return;
    }
    uint32_t i = ordered_slice(&list, call, 2), first = i;
    if (list.count == 0 && must_exist) {
        reply_integer(call->reply, 0);
        ordered_close(&list);
        return;
    }
    for (; call_takes(call, i); i++)
        ordered_insert_at(&list, is_left ? 0 : list.count, call->argv[i]);
    ordered_end_slice(&list, call, i > first, is_left ? "lpush" : "rpush");
    if (!call->walk->unfinished)
        reply_integer(call->reply, (int64_t)list.count);
    ordered_close(&list);
}

void cmd_lpush(struct call *call)
{
    push(call, true, false);
}

void cmd_rpush(struct call *call)
{
    push(call, false, false);
}

void cmd_lpushx(struct call *call)
{
    push(call, true, true);
}

void cmd_rpushx(struct call *call)
{
    push(call, false, true);
}

/* ---- popping ------------------------------------------------------------------------- */

static bool give(void *context, struct bytes key, struct bytes value)
{
    struct call *call = context;
    (void)key;
    call_add_part(call, value, true);
    call->walk->budget -= (int64_t)value.size + 16;
    return call->walk->budget > 0;
}

/* A slice of it: up to `count` in all, as parts; walk->count says how many.  False: not
 * finished. */
static bool pop(struct call *call, struct ordered *list, uint64_t count, bool is_left)
{
    struct walk_state *walk = call->walk;
    uint64_t before = walk->count;
    if (call_is_prepared(call)) {
        ordered_take_popped(list, call);
        ordered_save(list, is_left ? "lpop" : "rpop");
        return true;
    }
    call_begin_slice(call);
    while (walk->count < count && list->count > 0 && walk->count - before < LIST_SLICE &&
           walk->budget > 0) {
        uint64_t wanted = count - walk->count < list->count ? count - walk->count : list->count;
        uint64_t given =
            ordered_walk(list, is_left ? 0 : list->count - 1, wanted, !is_left, give, call);
        for (uint64_t left = given; left > 0;)
            left -= ordered_cut(list, is_left ? 0 : list->count - left, left);
        walk->count += given;
    }
    walk->unfinished = walk->count < count && list->count > 0;
    if (!walk->unfinished && !ordered_ends_pop(list, call))
        return false;
    if (walk->count > before)
        ordered_save(list, is_left ? "lpop" : "rpop");
    return !walk->unfinished;
}

static bool reply_with(void *context, struct bytes key, struct bytes value)
{
    (void)key;
    reply_bulk(context, value);
    return true;
}

static void pop_one(struct call *call, struct ordered *list, bool is_left)
{
    ordered_take(list, is_left ? 0 : list->count - 1, reply_with, call->reply);
    ordered_save(list, is_left ? "lpop" : "rpop");
}

/* False: answered. */
static bool read_pop_count(struct call *call, int64_t *count)
{
    *count = 1;
    if (call->argc > 3) {
        call_wrong_arity(call);
        return false;
    }
    if (call->argc == 2 || (number_parse_i64(call->argv[2], count) && *count >= 0))
        return true;
    return call_refuse(call, "ERR value is out of range, must be positive");
}

uint64_t command_list_pop_size(struct call *call)
{
    int64_t count;
    return read_pop_count(call, &count) ? ordered_pop_size(call, call->argv[1], DB_LIST, count) : 0;
}

bool words_lpop(struct call *call)
{
    int64_t count;
    return read_pop_count(call, &count);
}

static void pop_end(struct call *call, bool is_left)
{
    struct ordered list;
    int64_t count;
    if (!read_pop_count(call, &count))
        return;
    bool has_count = call->argc == 3;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        if (list.count == 0 && has_count)
            reply_null_array(call->reply);
        else if (list.count == 0)
            reply_null(call->reply);
        else if (!has_count)
            pop_one(call, &list, is_left);
        else if (pop(call, &list, (uint64_t)count, is_left))
            call_reply_parts(call, call->walk->count);
    }
    ordered_close(&list);
}

void cmd_lpop(struct call *call)
{
    pop_end(call, true);
}

void cmd_rpop(struct call *call)
{
    pop_end(call, false);
}

struct mpop {
    uint32_t keys;
    bool is_left;
    int64_t count;
};

/* False: answered. */
static bool read_mpop(struct call *call, struct mpop *mpop)
{
    int64_t keys;
    bool has_count = false;
    *mpop = (struct mpop){.count = 1};
    if (!number_parse_i64(call->argv[1], &keys) || keys < 1)
        return call_refuse(call, "ERR numkeys should be greater than 0");
    if (keys >= (int64_t)call->argc - 2)
        return call_refuse(call, ERROR_SYNTAX);
    mpop->keys = (uint32_t)keys;
    uint32_t i = mpop->keys + 2;
    mpop->is_left = bytes_is(call->argv[i], "left");
    if (!is_word(call->argv[i], "left", "right"))
        return call_refuse(call, ERROR_SYNTAX);
    for (i++; i < call->argc; i += 2) {
        if (has_count || i + 1 == call->argc || !bytes_is(call->argv[i], "count"))
            return call_refuse(call, ERROR_SYNTAX);
        if (!number_parse_i64(call->argv[i + 1], &mpop->count) || mpop->count < 1)
            return call_refuse(call, "ERR count should be greater than 0");
        has_count = true;
    }
    return true;
}

uint64_t command_list_mpop_size(struct call *call, uint32_t *keys)
{
    struct mpop mpop;
    uint64_t size = 0;
    *keys = 0;
    if (!read_mpop(call, &mpop))
        return 0;
    while (size == 0 && *keys < mpop.keys)
        size = ordered_pop_size(call, call->argv[2 + (*keys)++], DB_LIST, mpop.count);
    return size;
}

bool words_lmpop(struct call *call)
{
    struct mpop mpop;
    return read_mpop(call, &mpop);
}

/* True: the reply is given, or will be. */
static bool pop_key(struct call *call, struct bytes key, const struct mpop *mpop)
{
    struct ordered list;
    bool is_answered = true;
    if (ordered_open(&list, call, key, DB_LIST)) {
        is_answered = list.count > 0;
        if (is_answered && pop(call, &list, (uint64_t)mpop->count, mpop->is_left)) {
            reply_array(call->reply, 2);
            reply_bulk(call->reply, key);
            call_reply_parts(call, call->walk->count);
        }
    }
    ordered_close(&list);
    return is_answered;
}

void cmd_lmpop(struct call *call)
{
    struct mpop mpop;
    struct walk_state *walk = call->walk;
    if (!read_mpop(call, &mpop))
        return;
    /* The key of the first slice stays the key: there is something left at it. */
    for (uint32_t i = walk->unfinished ? (uint32_t)walk->seen : 0; i < mpop.keys; i++) {
        walk->seen = i;
        if (pop_key(call, call->argv[2 + i], &mpop))
            return;
    }
    call_found_nothing(call);
    reply_null_array(call->reply);
}

/* ---- waiting: the timeout is no matter of the data, see waiting.c ---------------------- */

/* False: there is nothing. */
static bool pop_first(struct call *call, struct bytes key, bool is_left)
{
    struct ordered list;
    bool is_list = ordered_open(&list, call, key, DB_LIST), is_answered = !is_list;
    if (is_list && list.count > 0) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, key);
        pop_one(call, &list, is_left);
        is_answered = true;
    }
    ordered_close(&list);
    return is_answered;
}

static void wait_for_one(struct call *call, bool is_left)
{
    for (uint32_t i = call_slice(call, 1); i + 1 < call->argc && call_takes(call, i); i++)
        if (pop_first(call, call->argv[i], is_left))
            return;
    if (call->walk->unfinished)
        return;
    call_found_nothing(call);
    reply_null_array(call->reply);
}

void cmd_blpop(struct call *call)
{
    wait_for_one(call, true);
}

void cmd_brpop(struct call *call)
{
    wait_for_one(call, false);
}

/* BLMPOP timeout ...: behind its name it is LMPOP. */
void cmd_blmpop(struct call *call)
{
    call->argv++;
    call->argc--;
    cmd_lmpop(call);
    call->argv--;
    call->argc++;
}

/* ---- looking -------------------------------------------------------------------------- */

void cmd_llen(struct call *call)
{
    struct ordered list;
    if (ordered_open(&list, call, call->argv[1], DB_LIST))
        reply_integer(call->reply, (int64_t)list.count);
    ordered_close(&list);
}

/* From the end if negative; false: there is none. */
static bool find_rank(const struct ordered *list, int64_t index, uint64_t *rank)
{
    if (index < 0)
        index += (int64_t)list->count;
    *rank = (uint64_t)index;
    return index >= 0 && *rank < list->count;
}

void cmd_lindex(struct call *call)
{
    struct ordered list;
    struct bytes key, value = {"", 0};
    int64_t index;
    uint64_t rank;
    bool is_there = false;
    if (!ordered_open(&list, call, call->argv[1], DB_LIST))
        goto end;
    if (list.count > 0 && !call_integer(call, 2, &index))
        goto end;
    is_there = list.count > 0 && find_rank(&list, index, &rank);
    if (is_there)
        ordered_get(&list, rank, &key, &value);
    call_reply_value(call->reply, value, is_there);
end:
    ordered_close(&list);
}

/* Ranks [*from, *to) of what Redis calls start and stop. */
static void find_range(int64_t start, int64_t stop, uint64_t count, uint64_t *from, uint64_t *to)
{
    int64_t size = (int64_t)count;
    if (start < 0)
        start = start + size > 0 ? start + size : 0;
    if (stop < 0)
        stop += size;
    if (stop >= size)
        stop = size - 1;
    bool is_empty = start > stop || start >= size;
    *from = is_empty ? 0 : (uint64_t)start;
    *to = is_empty ? 0 : (uint64_t)stop + 1;
}

void cmd_lrange(struct call *call)
{
    struct ordered list;
    struct walk_state *walk = call->walk;
    int64_t start, stop;
    uint64_t from, to;
    if (!call_integer(call, 2, &start) || !call_integer(call, 3, &stop))
        return;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        find_range(start, stop, list.count, &from, &to);
        call_begin_slice(call);
        uint64_t before = walk->count;
        while (from + walk->count < to && walk->count - before < LIST_SLICE && walk->budget > 0) {
            walk->count +=
                ordered_walk(&list, from + walk->count, to - from - walk->count, false, give, call);
            if (!call_keeps_parts(call, 0))
                goto end;
        }
        walk->unfinished = from + walk->count < to;
        if (!walk->unfinished && call_keeps_parts(call, 0))
            call_reply_parts(call, walk->count);
    }
end:
    ordered_close(&list);
}

/* ---- changing ------------------------------------------------------------------------- */

bool words_lset(struct call *call)
{
    int64_t index;
    return call_integer(call, 2, &index);
}

void cmd_lset(struct call *call)
{
    struct ordered list;
    int64_t index;
    uint64_t rank;
    if (!call_integer(call, 2, &index))
        return;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        if (list.count == 0) {
            reply_error(call->reply, "ERR no such key");
        } else if (!find_rank(&list, index, &rank)) {
            reply_error(call->reply, "ERR index out of range");
        } else {
            ordered_cut(&list, rank, 1);
            ordered_insert_at(&list, rank, call->argv[3]);
            ordered_save(&list, "lset");
            call_reply_ok(call->reply);
        }
    }
    ordered_close(&list);
}

/* Looks for an element; walk->cursor is how many were looked at. */
struct search {
    struct bytes wanted;
    struct walk_state *walk;
    bool is_found;
};

static bool look_at(void *context, struct bytes key, struct bytes value)
{
    struct search *search = context;
    (void)key;
    search->is_found = bytes_equal(value, search->wanted);
    search->walk->cursor += !search->is_found;
    search->walk->budget -= (int64_t)value.size / 16 + 16;
    return !search->is_found && search->walk->budget > 0;
}

/* Where, from walk->cursor on in this direction, the next equal element is, no more than `last`
 * looked at.  False: none, or (walk->unfinished) not yet. */
static bool find_next(const struct ordered *list, struct search *search, bool is_backward,
                      uint64_t last)
{
    struct walk_state *walk = search->walk;
    search->is_found = false;
    while (walk->cursor < last && !search->is_found && walk->budget > 0) {
        uint64_t rank = is_backward ? list->count - 1 - walk->cursor : walk->cursor;
        ordered_walk(list, rank, last - walk->cursor, is_backward, look_at, search);
    }
    walk->unfinished = !search->is_found && walk->cursor < last;
    return search->is_found;
}

bool words_linsert(struct call *call)
{
    return is_word(call->argv[2], "before", "after") || call_refuse(call, ERROR_SYNTAX);
}

/* walk->seen: of one that was prepared, whether it was found. */
void cmd_linsert(struct call *call)
{
    struct ordered list;
    struct walk_state *walk = call->walk;
    if (!words_linsert(call))
        return;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        struct search search = {.wanted = call->argv[3], .walk = walk};
        call_begin_slice(call);
        bool is_found =
            call_is_prepared(call) ? walk->seen > 0 : find_next(&list, &search, false, list.count);
        if (!walk->unfinished && call_stops(call)) {
            walk->seen = is_found;
        } else if (is_found) {
            uint64_t rank = walk->cursor + bytes_is(call->argv[2], "after");
            ordered_insert_at(&list, rank, call->argv[4]);
            ordered_save(&list, "linsert");
        }
        if (list.count == 0)
            reply_integer(call->reply, 0);
        else if (!walk->unfinished)
            reply_integer(call->reply, is_found ? (int64_t)list.count : -1);
    }
    ordered_close(&list);
}

bool words_lrem(struct call *call)
{
    int64_t count;
    return call_integer(call, 2, &count);
}

/* walk->count: how many are gone. */
void cmd_lrem(struct call *call)
{
    struct ordered list;
    struct walk_state *walk = call->walk;
    int64_t count;
    if (!call_integer(call, 2, &count))
        return;
    bool is_backward = count < 0;
    uint64_t most =
        count ? (uint64_t)(is_backward ? 0 - (uint64_t)count : (uint64_t)count) : UINT64_MAX;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        struct search search = {.wanted = call->argv[3], .walk = walk};
        uint64_t before = walk->count;
        bool is_prepared = call_is_prepared(call);
        call_begin_slice(call);
        if (is_prepared)
            ordered_take_changes(&list, call, buffer_bytes(&walk->found));
        while (!is_prepared && walk->count < most &&
               find_next(&list, &search, is_backward, list.count)) {
            ordered_cut(&list, is_backward ? list.count - 1 - walk->cursor : walk->cursor, 1);
            walk->count++;
            walk->budget -= 4096;
        }
        if (!walk->unfinished && call_stops(call))
            ordered_put_aside(&list, &walk->found);
        else if (walk->count > (is_prepared ? 0 : before))
            ordered_save(&list, "lrem");
        if (!walk->unfinished)
            reply_integer(call->reply, (int64_t)walk->count);
    }
    ordered_close(&list);
}

bool words_ltrim(struct call *call)
{
    int64_t start, stop;
    return call_integer(call, 2, &start) && call_integer(call, 3, &stop);
}

uint64_t command_list_trim_size(struct call *call)
{
    struct ordered list;
    int64_t start, stop;
    uint64_t from, to, size = 0;
    if (!call_integer(call, 2, &start) || !call_integer(call, 3, &stop))
        return 0;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        find_range(start, stop, list.count, &from, &to);
        size = list.count - (to - from);
    }
    ordered_close(&list);
    return size;
}

/* walk->cursor, walk->count: how many are still to be cut at the front, and at the end. */
void cmd_ltrim(struct call *call)
{
    struct ordered list;
    struct walk_state *walk = call->walk;
    int64_t start, stop;
    uint64_t from, to, size;
    if (!words_ltrim(call))
        return;
    call_integer(call, 2, &start);
    call_integer(call, 3, &stop);
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        if (!walk->unfinished) {
            find_range(start, stop, list.count, &from, &to);
            walk->cursor = from;
            walk->count = list.count - to;
        }
        walk->unfinished = false;
        size = list.count;
        if (call_is_prepared(call))
            ordered_take_changes(&list, call, buffer_bytes(&walk->found));
        else if (walk->count > 0)
            walk->count -= ordered_cut(&list, list.count - walk->count, walk->count);
        else if (walk->cursor > 0)
            walk->cursor -= ordered_cut(&list, 0, walk->cursor);
        walk->unfinished = walk->count > 0 || walk->cursor > 0;
        if (!walk->unfinished && call_stops(call))
            ordered_put_aside(&list, &walk->found);
        else if (size > 0)
            ordered_save(&list, "ltrim");
        if (!walk->unfinished)
            call_reply_ok(call->reply);
    }
    ordered_close(&list);
}

/* ---- LPOS ------------------------------------------------------------------------------- */

struct position {
    int64_t rank, count, most; /* count < 0: one, not an array */
};

/* False: answered. */
static bool read_position(struct call *call, struct position *position)
{
    *position = (struct position){.rank = 1, .count = -1};
    for (uint32_t i = 3; i < call->argc; i += 2) {
        struct bytes word = call->argv[i];
        if (i + 1 == call->argc)
            return call_refuse(call, ERROR_SYNTAX);
        if (bytes_is(word, "rank")) {
            if (!call_integer(call, i + 1, &position->rank))
                return false;
            if (position->rank == 0)
                return call_refuse(call,
                                   "ERR RANK can't be zero: use 1 to start from the first match, "
                                   "2 from the second ... or use negative to start from the end "
                                   "of the list");
            if (position->rank == INT64_MIN)
                return call_refuse(call, "ERR value is out of range, value must between "
                                         "-9223372036854775807 and 9223372036854775807");
        } else if (bytes_is(word, "count")) {
            if (!number_parse_i64(call->argv[i + 1], &position->count) || position->count < 0)
                return call_refuse(call, "ERR COUNT can't be negative");
        } else if (bytes_is(word, "maxlen")) {
            if (!number_parse_i64(call->argv[i + 1], &position->most) || position->most < 0)
                return call_refuse(call, "ERR MAXLEN can't be negative");
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    return true;
}

/* walk->seen: equal ones met; walk->count: those given. */
void cmd_lpos(struct call *call)
{
    struct ordered list;
    struct walk_state *walk = call->walk;
    struct position position;
    struct reply found = {&walk->found, call->reply->protocol};
    if (!read_position(call, &position))
        return;
    bool is_backward = position.rank < 0, is_one = position.count < 0;
    uint64_t skipped = (uint64_t)(is_backward ? -position.rank : position.rank) - 1;
    uint64_t wanted = is_one ? 1 : position.count ? (uint64_t)position.count : UINT64_MAX;
    if (ordered_open(&list, call, call->argv[1], DB_LIST)) {
        struct search search = {.wanted = call->argv[2], .walk = walk};
        uint64_t last = list.count;
        if (position.most > 0 && (uint64_t)position.most < last)
            last = (uint64_t)position.most;
        call_begin_slice(call);
        while (walk->count < wanted && find_next(&list, &search, is_backward, last)) {
            uint64_t rank = is_backward ? list.count - 1 - walk->cursor : walk->cursor;
            if (walk->seen++ >= skipped) {
                reply_integer(&found, (int64_t)rank);
                walk->count++;
                if (!is_one && !call_keeps_parts(call, 0))
                    goto end;
            }
            walk->cursor++;
        }
        if (!walk->unfinished && !is_one)
            call_reply_parts(call, walk->count);
        else if (!walk->unfinished && walk->count > 0)
            reply_raw(call->reply, buffer_bytes(&walk->found));
        else if (!walk->unfinished)
            reply_null(call->reply);
    }
end:
    ordered_close(&list);
}

/* ---- moving ----------------------------------------------------------------------------- */

static bool copy_value(void *context, struct bytes key, struct bytes value)
{
    (void)key;
    buffer_append_bytes(context, value);
    return true;
}

/* One element from an end of argv[1] to an end of argv[2], which may be the same list. */
static void move(struct call *call, bool from_left, bool to_left)
{
    struct ordered from, to = {0};
    struct buffer moved = {0};
    bool is_same = bytes_equal(call->argv[1], call->argv[2]);
    if (!ordered_open(&from, call, call->argv[1], DB_LIST))
        goto end;
    if (from.count == 0) {
        call_found_nothing(call);
        reply_null(call->reply);
        goto end;
    }
    if (!is_same && !ordered_open(&to, call, call->argv[2], DB_LIST))
        goto end;
    ordered_take(&from, from_left ? 0 : from.count - 1, copy_value, &moved);
    struct ordered *target = is_same ? &from : &to;
    ordered_insert_at(target, to_left ? 0 : target->count, buffer_bytes(&moved));
    reply_bulk(call->reply, buffer_bytes(&moved));
    ordered_save(target, to_left ? "lpush" : "rpush");
    ordered_save(&from, from_left ? "lpop" : "rpop");
end:
    ordered_close(&from);
    ordered_close(&to);
    buffer_deinit(&moved);
}

bool words_lmove(struct call *call)
{
    return (is_word(call->argv[3], "left", "right") && is_word(call->argv[4], "left", "right")) ||
           call_refuse(call, ERROR_SYNTAX);
}

void cmd_lmove(struct call *call)
{
    if (words_lmove(call))
        move(call, bytes_is(call->argv[3], "left"), bytes_is(call->argv[4], "left"));
}

void cmd_rpoplpush(struct call *call)
{
    move(call, false, true);
}

void cmd_blmove(struct call *call)
{
    cmd_lmove(call);
}

void cmd_brpoplpush(struct call *call)
{
    move(call, false, true);
}
