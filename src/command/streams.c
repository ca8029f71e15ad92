/* Streams without their groups (Redis 7.2 t_stream.c).  XREAD does not block yet: it answers as
 * inside MULTI.  Deterministic; loop thread only. */
#include "command/streams.h"

#include "base/fatal.h"
#include "command/preparing.h"
#include "command/series.h"
#include "data/packed.h"
#include "resp/number.h"

enum {
    TRIM_BLOCK = 100,       /* "~" trims whole hundreds, as Redis's blocks are by default, */
    TRIM_LIMIT = 100 * 100, /* and no more than so many at once */
    FIRST_OPTION = 2
};

/* ---- trimming ------------------------------------------------------------------------- */

enum trim_form { TRIM_NONE, TRIM_MAXLEN, TRIM_MINID };

struct trim {
    enum trim_form form;
    bool is_rough;
    int64_t length; /* MAXLEN's */
    struct series_id least;
    int64_t limit; /* of what is removed; 0: none */
    bool has_limit;
};

/* MAXLEN or MINID at argv[*i], which becomes the last word of it.  False: answered. */
static bool read_trim(struct call *call, uint32_t *i, struct trim *trim)
{
    bool is_by_length = bytes_is(call->argv[*i], "maxlen");
    if (trim->form != TRIM_NONE)
        return call_refuse(call,
                           "ERR syntax error, MAXLEN and MINID options at the same time are not "
                           "compatible");
    trim->is_rough = false;
    if (*i + 2 < call->argc) {
        trim->is_rough = bytes_is(call->argv[*i + 1], "~");
        *i += trim->is_rough || bytes_is(call->argv[*i + 1], "=");
    }
    ++*i;
    trim->form = is_by_length ? TRIM_MAXLEN : TRIM_MINID;
    if (!is_by_length)
        return series_id_word(call, *i, &trim->least);
    if (!call_integer(call, *i, &trim->length))
        return false;
    return trim->length >= 0 || call_refuse(call, "ERR The MAXLEN argument must be >= 0.");
}

static bool read_limit(struct call *call, uint32_t i, struct trim *trim)
{
    if (!call_integer(call, i, &trim->limit))
        return false;
    trim->has_limit = true;
    return trim->limit >= 0 || call_refuse(call, "ERR The LIMIT argument must be >= 0.");
}

/* What must be so of all of them together; false: answered. */
static bool check_trim(struct call *call, struct trim *trim)
{
    if (trim->limit && trim->form == TRIM_NONE)
        return call_refuse(call,
                           "ERR syntax error, LIMIT cannot be used without specifying a trimming "
                           "strategy");
    if (trim->has_limit && !trim->is_rough)
        return call_refuse(call,
                           "ERR syntax error, LIMIT cannot be used without the special ~ option");
    if (!trim->has_limit)
        trim->limit = trim->is_rough ? TRIM_LIMIT : 0;
    return true;
}

/* How many entries go, together with those that are `gone`. */
static uint64_t trim_count(const struct series *stream, const struct trim *trim, uint64_t gone)
{
    uint64_t count = stream->entries.root.count + gone, length = (uint64_t)trim->length;
    if (trim->form == TRIM_NONE)
        return 0;
    if (trim->form == TRIM_MINID)
        count = series_rank(&stream->entries, trim->least, NULL) + gone;
    else
        count = count > length ? count - length : 0;
    if (!trim->is_rough)
        return count;
    if (trim->limit && count > (uint64_t)trim->limit)
        count = (uint64_t)trim->limit;
    return count / TRIM_BLOCK * TRIM_BLOCK;
}

/* A slice of it: walk->cursor of the oldest are still to go.  False: not finished. */
static bool trim_slice(struct call *call, struct series *stream)
{
    struct walk_state *walk = call->walk;
    if (walk->cursor > 0)
        walk->cursor -= db_tree_cut(&stream->entries, 0, walk->cursor, SERIES_CUT_PAGES);
    walk->unfinished = walk->cursor > 0;
    if (walk->unfinished)
        series_put_aside(stream, call);
    return !walk->unfinished;
}

/* ---- XADD ------------------------------------------------------------------------------- */

struct xadd {
    struct trim trim;
    bool makes_none; /* NOMKSTREAM */
    bool is_timed;   /* "*" */
    bool is_open;    /* "ms-*" */
    struct series_id id;
    uint32_t fields; /* argv[fields] is the first */
};

/* False: answered. */
static bool read_xadd_words(struct call *call, struct xadd *xadd)
{
    uint32_t i = FIRST_OPTION;
    for (; i < call->argc; i++) {
        bool has_more = i + 1 < call->argc;
        struct bytes word = call->argv[i];
        xadd->is_timed = bytes_is(word, "*");
        if (xadd->is_timed)
            break;
        if (has_more && (bytes_is(word, "maxlen") || bytes_is(word, "minid"))) {
            if (!read_trim(call, &i, &xadd->trim))
                return false;
        } else if (has_more && bytes_is(word, "limit")) {
            if (!read_limit(call, ++i, &xadd->trim))
                return false;
        } else if (bytes_is(word, "nomkstream")) {
            xadd->makes_none = true;
        } else if (series_id_read(word, true, 0, &xadd->id, &xadd->is_open)) {
            break;
        } else {
            return call_refuse(call, ERROR_STREAM_ID);
        }
    }
    xadd->fields = i + 1;
    return check_trim(call, &xadd->trim);
}

/* False: answered. */
static bool read_xadd(struct call *call, struct xadd *xadd)
{
    *xadd = (struct xadd){0};
    if (!read_xadd_words(call, xadd))
        return false;
    if (xadd->fields >= call->argc || (call->argc - xadd->fields) % 2 == 1) {
        call_wrong_arity(call);
        return false;
    }
    bool is_zero = !xadd->is_timed && !xadd->is_open && !xadd->id.ms && !xadd->id.sequence;
    return !is_zero || call_refuse(call, "ERR The ID specified in XADD must be greater than 0-0");
}

bool words_xadd(struct call *call)
{
    struct xadd xadd;
    return read_xadd(call, &xadd);
}

bool command_stream_entry_trims(struct call *call, uint64_t *size)
{
    struct xadd xadd;
    struct series stream;
    if (!read_xadd(call, &xadd) || xadd.trim.form == TRIM_NONE)
        return false;
    bool is_stream = series_open(&stream, call, call->argv[1]);
    *size = is_stream && stream.is_there ? trim_count(&stream, &xadd.trim, 0) : 0;
    return true;
}

/* False: there is none; answered. */
static bool choose_id(struct call *call, const struct series *stream, struct xadd *xadd)
{
    struct series_id last = stream->last;
    if (series_id_compare(last, series_id_most) == 0)
        return call_refuse(call,
                           "ERR The stream has exhausted the last possible ID, unable to add more "
                           "items");
    if (xadd->is_timed)
        xadd->id = (struct series_id){(uint64_t)call->now_ms, 0};
    bool goes_on =
        xadd->is_timed ? xadd->id.ms <= last.ms : xadd->is_open && xadd->id.ms == last.ms;
    if (goes_on) {
        xadd->id = last;
        series_id_next(&xadd->id);
    }
    /* "ms-*" stays within its millisecond. */
    bool is_above = series_id_compare(xadd->id, last) > 0 &&
                    (!xadd->is_open || !goes_on || xadd->id.ms == last.ms);
    return is_above ||
           call_refuse(call, "ERR The ID specified in XADD is equal or smaller than the "
                             "target stream top item");
}

/* The fields into walk->found, some at a time.  False: not all yet. */
static bool pack(struct call *call, const struct xadd *xadd)
{
    struct walk_state *walk = call->walk;
    if (walk->found.size == 0)
        packed_init(&walk->found, PACKED_STRINGS);
    for (uint32_t i = call_slice_prepared(call, xadd->fields); call_takes(call, i); i++)
        packed_append(&walk->found, call->argv[i]);
    return !walk->unfinished;
}

/* Whether a slice of the trimming may come before the entry is appended: all of what it takes is to
 * go, and what it leaves is more than the append changes.  How much it takes is a guess by the
 * slice before. */
static bool may_trim_ahead(const struct series *stream, const struct trim *trim,
                           const struct walk_state *walk, uint64_t *end)
{
    enum { FIRST_SLICE = 2 }; /* pages of leaves in a slice, for those in the end's */
    uint64_t left = trim_count(stream, trim, walk->seen) - walk->seen;
    if (!db_tree_end(&stream->entries, SERIES_KEY_SIZE, walk->found.size, end))
        return false;
    uint64_t slice = walk->space ? walk->space : FIRST_SLICE * *end;
    return left > *end + 2 * slice;
}

enum { TRIMMED_BY_ENTRY = 10000 }; /* in one turn, if nothing could go before; some 1 ms */

/* In a preparation: most of the trimming, though the entry's id is not known yet.  walk->seen: how
 * many are gone, walk->space: in the last slice. */
static void trim_ahead(struct call *call, struct series *stream, const struct trim *trim)
{
    struct walk_state *walk = call->walk;
    uint64_t end;
    bool goes_on = stream->is_there && may_trim_ahead(stream, trim, walk, &end);
    uint64_t left = stream->is_there ? trim_count(stream, trim, walk->seen) - walk->seen : 0;
    walk->unfinished = goes_on;
    if (!goes_on) {
        if (walk->seen > 0 || left < TRIMMED_BY_ENTRY)
            (void)call_stops(call);
        return; /* or nothing is prepared: the entry trims in slices, and not in one */
    }
    walk->space = db_tree_cut(&stream->entries, 0, left, SERIES_CUT_PAGES);
    walk->seen += walk->space;
    if (stream->entries.root.count > end && walk->space < left)
        series_put_aside(stream, call);
    else
        walk->unfinished = false; /* it took too much: nothing is prepared */
}

static void append(struct call *call, struct series *stream, const struct xadd *xadd)
{
    if (!stream->is_there)
        series_make(stream);
    series_append(stream, xadd->id, buffer_bytes(&call->walk->found));
    buffer_deinit(&call->walk->found);
}

/* walk->second_round: it is appended; walk->count: how many the trimming removes in all. */
void cmd_xadd(struct call *call)
{
    struct xadd xadd;
    struct series stream;
    struct walk_state *walk = call->walk;
    if (call_is_prepared(call)) /* what else it finds is that of the entry */
        walk->unfinished = false;
    if (!read_xadd(call, &xadd) || !series_open(&stream, call, call->argv[1]))
        return;
    if (call_is_prepared(call) && walk->seen > 0)
        series_take_changes(&stream, call);
    if (!walk->second_round) {
        if (!stream.is_there && xadd.makes_none) {
            reply_null(call->reply);
            return;
        }
        bool is_packed = call->preparing && walk->seen > 0;
        if (!is_packed && (!choose_id(call, &stream, &xadd) || !pack(call, &xadd)))
            return;
        if (call->preparing) {
            trim_ahead(call, &stream, &xadd.trim);
            return;
        }
        append(call, &stream, &xadd);
        walk->second_round = true;
        walk->count = trim_count(&stream, &xadd.trim, walk->seen);
        walk->cursor = walk->count - walk->seen;
    }
    while (!trim_slice(call, &stream))
        if (!call_is_prepared(call))
            return;
    series_save(&stream, "xadd");
    if (walk->count > 0)
        db_effects_also(call->db, call->database, stream.key, "xtrim");
    series_id_reply(call->reply, stream.last);
}

/* ---- XTRIM, XDEL, XSETID ------------------------------------------------------------------ */

/* False: answered. */
static bool read_xtrim(struct call *call, struct trim *trim)
{
    *trim = (struct trim){0};
    for (uint32_t i = FIRST_OPTION; i < call->argc; i++) {
        bool has_more = i + 1 < call->argc;
        struct bytes word = call->argv[i];
        if (has_more && (bytes_is(word, "maxlen") || bytes_is(word, "minid"))) {
            if (!read_trim(call, &i, trim))
                return false;
        } else if (has_more && bytes_is(word, "limit")) {
            if (!read_limit(call, ++i, trim))
                return false;
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    if (trim->form == TRIM_NONE && !trim->limit)
        return call_refuse(call, "ERR syntax error, XTRIM must be called with a trimming strategy");
    return check_trim(call, trim);
}

bool words_xtrim(struct call *call)
{
    struct trim trim;
    return read_xtrim(call, &trim);
}

uint64_t command_stream_pages(struct call *call, struct bytes key)
{
    struct series stream;
    bool is_stream = series_open(&stream, call, key);
    return is_stream && stream.is_there ? stream.entries.root.next + stream.number : 0;
}

uint64_t command_stream_trim_size(struct call *call)
{
    struct trim trim;
    struct series stream;
    if (!read_xtrim(call, &trim) || !series_open(&stream, call, call->argv[1]))
        return 0;
    return trim_count(&stream, &trim, 0);
}

void cmd_xtrim(struct call *call)
{
    struct trim trim;
    struct series stream;
    struct walk_state *walk = call->walk;
    if (!read_xtrim(call, &trim) || !series_open(&stream, call, call->argv[1]))
        return;
    if (!walk->unfinished)
        walk->count = walk->cursor = trim_count(&stream, &trim, 0);
    if (call_is_prepared(call))
        series_take_changes(&stream, call);
    if (!trim_slice(call, &stream))
        return;
    if (call_stops(call)) {
        series_put_aside(&stream, call);
        return;
    }
    if (walk->count > 0)
        series_save(&stream, "xtrim");
    reply_integer(call->reply, (int64_t)walk->count);
}

/* walk->count: how many are gone. */
void cmd_xdel(struct call *call)
{
    struct series stream;
    struct series_id id;
    struct walk_state *walk = call->walk;
    if (!series_open(&stream, call, call->argv[1]))
        return;
    if (!stream.is_there) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!series_are_ids(call, 2))
        return;
    if (call_is_prepared(call))
        series_take_changes(&stream, call);
    for (uint32_t i = call_slice_prepared(call, 2); call_takes(call, i); i++)
        walk->count += series_id_word(call, i, &id) && series_delete(&stream, id);
    if (walk->unfinished || call_stops(call)) {
        series_put_aside(&stream, call);
        return;
    }
    if (walk->count > 0)
        series_save(&stream, "xdel");
    reply_integer(call->reply, (int64_t)walk->count);
}

struct xsetid {
    struct series_id id, deleted;
    int64_t added; /* -1: not given */
};

/* False: answered. */
static bool read_xsetid(struct call *call, struct xsetid *words)
{
    *words = (struct xsetid){.added = -1};
    if (!series_id_word(call, 2, &words->id))
        return false;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        bool has_more = i + 1 < call->argc;
        if (has_more && bytes_is(call->argv[i], "entriesadded")) {
            if (!call_integer(call, i + 1, &words->added))
                return false;
            if (words->added < 0)
                return call_refuse(call, "ERR entries_added must be positive");
        } else if (has_more && bytes_is(call->argv[i], "maxdeletedid")) {
            if (!series_id_word(call, i + 1, &words->deleted))
                return false;
            if (series_id_compare(words->id, words->deleted) < 0)
                return call_refuse(call,
                                   "ERR The ID specified in XSETID is smaller than the provided "
                                   "max_deleted_entry_id");
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    return true;
}

bool words_xsetid(struct call *call)
{
    struct xsetid words;
    return read_xsetid(call, &words);
}

/* False: answered. */
static bool may_be_set(struct call *call, const struct series *stream, const struct xsetid *words)
{
    uint64_t count = stream->entries.root.count;
    if (series_id_compare(words->id, stream->deleted) < 0)
        return call_refuse(call, "ERR The ID specified in XSETID is smaller than current "
                                 "max_deleted_entry_id");
    if (count > 0 && series_id_compare(words->id, series_top(stream)) < 0)
        return call_refuse(call,
                           "ERR The ID specified in XSETID is smaller than the target stream top "
                           "item");
    if (count > 0 && words->added != -1 && count > (uint64_t)words->added)
        return call_refuse(call,
                           "ERR The entries_added specified in XSETID is smaller than the target "
                           "stream length");
    return true;
}

void cmd_xsetid(struct call *call)
{
    struct xsetid words;
    struct series stream;
    if (!read_xsetid(call, &words) || !series_open(&stream, call, call->argv[1]))
        return;
    if (!stream.is_there) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    if (!may_be_set(call, &stream, &words))
        return;
    stream.last = words.id;
    if (words.added != -1)
        stream.added = (uint64_t)words.added;
    if (series_id_compare(words.deleted, series_id_least) != 0)
        stream.deleted = words.deleted;
    series_save(&stream, "xsetid");
    call_reply_ok(call->reply);
}

/* ---- looking ------------------------------------------------------------------------------ */

void cmd_xlen(struct call *call)
{
    struct series stream;
    if (series_open(&stream, call, call->argv[1]))
        reply_integer(call->reply, (int64_t)stream.entries.root.count);
}

/* COUNT, from argv[4] on; *count -1: not given.  False: answered. */
static bool read_count(struct call *call, int64_t *count)
{
    *count = -1;
    for (uint32_t i = 4; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !bytes_is(call->argv[i], "count"))
            return call_refuse(call, ERROR_SYNTAX);
        if (!call_integer(call, i + 1, count))
            return false;
        *count = *count < 0 ? 0 : *count;
    }
    return true;
}

static void range(struct call *call, bool is_backward)
{
    struct series stream;
    struct series_id from, to;
    int64_t count;
    if (!series_range_words(call, is_backward ? 3 : 2, is_backward ? 2 : 3, &from, &to) ||
        !read_count(call, &count) || !series_open(&stream, call, call->argv[1]))
        return;
    if (!stream.is_there) {
        reply_array(call->reply, 0);
        return;
    }
    if (count == 0) {
        reply_null_array(call->reply);
        return;
    }
    uint64_t most = count == -1 ? 0 : (uint64_t)count;
    struct series_range wanted = series_range_of(&stream, from, to, is_backward, most);
    call_begin_slice(call);
    if (series_give(call, &stream, &wanted, &call->walk->count, NULL))
        call_reply_parts(call, wanted.count);
}

void cmd_xrange(struct call *call)
{
    range(call, false);
}

void cmd_xrevrange(struct call *call)
{
    range(call, true);
}
