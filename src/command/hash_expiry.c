/* Deadlines of the fields of a hash (Redis 7.4 and 8.0 t_hash.c): given, asked for, taken away.
 *
 * Each command has FIELDS, a number and so many fields behind its other words, does its work on one
 * field after the other, in slices, and saves the hash at the end, once.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/commands.h"
#include "command/prepare.h"
#include "command/walk.h"

/* Redis's bound for such a deadline. */
static const int64_t deadline_max_ms = ((int64_t)1 << 46) - 1;

#define ERROR_NO_FIELDS "ERR Mandatory argument FIELDS is missing or not at the right position"
#define ERROR_FIELDS_NUMBER "ERR Number of fields must be a positive integer"

enum { NO_SUCH_FIELD = -2, NO_DEADLINE = -1, UNCHANGED = 0, CHANGED = 1, DELETED = 2 };

/* Beside those of EXPIRE: none of the fields is there, all are. */
enum { IF_NO_FIELD = EXPIRY_IF_EARLIER << 1, IF_ALL_FIELDS = IF_NO_FIELD << 1 }; /* FNX, FXX */

/* What the words say. */
struct wish {
    unsigned condition;    /* 0: none */
    enum expiry_form form; /* EXPIRY_NONE: no deadline is given */
    int64_t deadline_ms;
    bool persists, keeps; /* PERSIST, KEEPTTL */
    uint32_t first;       /* word that is a field */
};

/* ---- words ------------------------------------------------------------------------------ */

/* False: answered. */
static bool read_deadline(struct call *call, enum expiry_form form, uint32_t i,
                          int64_t *deadline_ms)
{
    bool is_seconds = form == EXPIRY_EX || form == EXPIRY_EXAT;
    bool is_relative = form == EXPIRY_EX || form == EXPIRY_PX;
    int64_t unit = is_seconds ? 1000 : 1, begin_ms = is_relative ? call->now_ms : 0, number;
    if (!call_integer(call, i, &number))
        return false;
    if (number < 0)
        return call_refuse(call, "ERR invalid expire time, must be >= 0");
    if (number > deadline_max_ms / unit || number * unit > deadline_max_ms - begin_ms) {
        reply_error(call->reply, "ERR invalid expire time in '%s' command", call->command->name);
        return false;
    }
    *deadline_ms = begin_ms + number * unit;
    return true;
}

/* FIELDS at word `i`, and what is behind it to the end.  False: answered. */
static bool read_fields(struct call *call, uint32_t i, const char *wrong_number, struct wish *wish)
{
    int64_t number;
    if (i + 1 >= call->argc || !bytes_is(call->argv[i], "fields"))
        return call_refuse(call, ERROR_NO_FIELDS);
    if (!number_parse_i64(call->argv[i + 1], &number) || number < 1)
        return call_refuse(call, wrong_number);
    wish->first = i + 2;
    if (number != (int64_t)call->argc - wish->first)
        return call_refuse(call,
                           "ERR The `numfields` parameter must match the number of arguments");
    return true;
}

/* Of HEXPIRE and the like. */
static bool read_expire(struct call *call, enum expiry_form form, struct wish *wish)
{
    *wish = (struct wish){.form = form, .condition = call_expiry_condition(call->argv[3])};
    return read_deadline(call, form, 2, &wish->deadline_ms) &&
           read_fields(call, wish->condition ? 4 : 3,
                       "ERR Parameter `numFields` should be greater than 0", wish);
}

/* Of HPERSIST, HGETDEL, HTTL and the like. */
static bool read_plain(struct call *call, struct wish *wish)
{
    *wish = (struct wish){.form = EXPIRY_NONE};
    return read_fields(call, 2, ERROR_FIELDS_NUMBER, wish);
}

/* Of HGETEX and HSETEX: one more word that is not FIELDS, with its operand; false: answered. */
static bool read_option(struct call *call, uint32_t *i, bool is_set, struct wish *wish)
{
    struct bytes word = call->argv[*i];
    enum expiry_form form = call_expiry_form(word);
    bool is_stay = bytes_is(word, is_set ? "keepttl" : "persist");
    bool is_condition = is_set && (bytes_is(word, "fnx") || bytes_is(word, "fxx"));
    bool has_expiry = wish->form != EXPIRY_NONE || wish->persists || wish->keeps;
    if (form == EXPIRY_NONE && !is_stay && !is_condition) {
        reply_error(call->reply, "ERR unknown argument: %.*s", call_printed_size(word),
                    (const char *)word.data);
        return false;
    }
    if (is_condition && wish->condition)
        return call_refuse(call, "ERR Only one of FXX or FNX arguments can be specified");
    if (is_condition) {
        wish->condition = bytes_is(word, "fnx") ? IF_NO_FIELD : IF_ALL_FIELDS;
        return true;
    }
    if (has_expiry)
        return call_refuse(call,
                           is_set ? "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can "
                                    "be specified"
                                  : "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can "
                                    "be specified");
    wish->form = form;
    wish->keeps = is_stay && is_set;
    wish->persists = is_stay && !is_set;
    if (form == EXPIRY_NONE)
        return true;
    if (*i + 1 >= call->argc)
        return call_refuse(call, "ERR missing expire time");
    return read_deadline(call, form, ++*i, &wish->deadline_ms);
}

/* Words that HGETEX and HSETEX have for each field. */
static uint32_t step_of(bool is_set)
{
    return is_set ? 2 : 1;
}

/* Of HGETEX and HSETEX, all of it; false: answered. */
static bool read_ex(struct call *call, bool is_set, struct wish *wish)
{
    int64_t number;
    uint32_t i = 2, step = step_of(is_set);
    *wish = (struct wish){.form = EXPIRY_NONE};
    for (; i < call->argc && !bytes_is(call->argv[i], "fields"); i++)
        if (!read_option(call, &i, is_set, wish))
            return false;
    wish->first = i + 2;
    bool has_fields = wish->first + step <= call->argc;
    if (has_fields &&
        (!number_parse_i64(call->argv[i + 1], &number) || number < 1 || number > INT32_MAX))
        return call_refuse(call, "ERR invalid number of fields");
    bool is_right = has_fields && number * step == (int64_t)call->argc - wish->first;
    if (!is_right)
        call_wrong_arity(call);
    return is_right;
}

static bool is_relative(enum expiry_form form)
{
    return form == EXPIRY_EX || form == EXPIRY_PX;
}

/* Of HGETEX and HSETEX: EX or PX, with its operand, becomes PXAT. */
static bool restate_option(struct call *call, struct command_restating *restating)
{
    struct wish wish;
    if (!read_ex(call, call->command->execute == cmd_hsetex, &wish) || !is_relative(wish.form))
        return false;
    uint32_t i = 2;
    while (!is_relative(call_expiry_form(call->argv[i])))
        i++;
    *restating = (struct command_restating){
        .from = i, .to = i + 2, .option = "pxat", .number = wish.deadline_ms};
    return true;
}

bool command_fields_restate(struct call *call, struct command_restating *restating)
{
    struct wish wish;
    bool is_seconds = call->command->execute == cmd_hexpire;
    if (!is_seconds && call->command->execute != cmd_hpexpire)
        return restate_option(call, restating);
    if (!read_expire(call, is_seconds ? EXPIRY_EX : EXPIRY_PX, &wish))
        return false;
    *restating = (struct command_restating){
        .name = "hpexpireat", .from = 2, .to = 3, .number = wish.deadline_ms};
    return true;
}

bool command_fields_may_prepare(struct call *call)
{
    struct fields fields;
    bool may_prepare =
        fields_open(&fields, call->db, NULL, call->database, call->argv[1], DB_HASH) &&
        fields.form != PACKED_LARGE; /* to give it room is a walk over all of it */
    if (may_prepare)
        fields_close(&fields);
    return may_prepare;
}

/* ---- a write, field by field ------------------------------------------------------------ */

/* One execution, or slice of one. */
struct work {
    struct call *call;
    const struct wish *wish;
    struct fields fields;
    struct buffer replies; /* of this slice */
};

/* Does what is to be done for the field at word `i`. */
typedef void work_fn(struct work *work, uint32_t i);

static void answer_number(struct work *work, int64_t number)
{
    struct reply reply = {&work->replies, work->call->reply->protocol};
    reply_integer(&reply, number);
}

/* False: there is no such field. */
static bool answer_value(struct work *work, uint32_t i, struct bytes *value, int64_t *deadline_ms)
{
    struct reply reply = {&work->replies, work->call->reply->protocol};
    bool is_there = fields_find(&work->fields, work->call->argv[i], value, deadline_ms);
    call_reply_value(&reply, *value, is_there);
    work->call->walk->budget -= (int64_t)value->size;
    return is_there;
}

enum { ROOM_ROWS = 1000, ROOM_BYTES = 1 << 20 };

/* A large hash of before there were deadlines gets room for them, in slices that come before those
 * of the fields.  False: not finished. */
static bool has_room(struct work *work)
{
    struct walk_state *walk = work->call->walk;
    struct db_scan_limit limit = {.keys = ROOM_ROWS, .rows = ROOM_ROWS, .bytes = ROOM_BYTES};
    if (walk->second_round) {
        walk_take_back(work->call, &work->fields);
        return true;
    }
    walk->second_round = work->wish->form == EXPIRY_NONE || work->fields.count == 0 ||
                         fields_make_room(&work->fields, &walk->space, &walk->cursor, limit);
    walk->unfinished = !walk->second_round;
    return walk->second_round;
}

/* What was done to the fields has these names: of the first a bit is set in walk->seen. */
enum { DID_SET = 1, DID_EXPIRE = 2, DID_PERSIST = 4, DID_DELETE = 8 };

static const struct {
    unsigned did;
    const char *event;
} events[] = {
    {DID_SET, "hset"}, {DID_EXPIRE, "hexpire"}, {DID_PERSIST, "hpersist"}, {DID_DELETE, "hdel"}};

/* All events but the last come before it. */
static void save(struct work *work)
{
    const char *last = NULL;
    struct fields *fields = &work->fields;
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (!(work->call->walk->seen & events[i].did))
            continue;
        if (last)
            db_effects_also(fields->db, fields->database, fields->key, last);
        last = events[i].event;
    }
    if (fields->is_changed)
        fields_save(fields, last ? last : "hexpire"); /* it got room, and no more */
}

/* False: not finished. */
static bool do_each(struct work *work, uint32_t step, work_fn *each)
{
    struct call *call = work->call;
    struct walk_state *walk = call->walk;
    if (!has_room(work))
        return false;
    if (work->wish->form != EXPIRY_NONE)
        call_holds_until(call, work->wish->deadline_ms);
    for (uint32_t i = call_slice_prepared(call, work->wish->first); call_takes(call, i); i += step)
        each(work, i);
    rope_append(&walk->parts, buffer_bytes(&work->replies));
    if (walk->unfinished || call_stops(call))
        walk_put_aside(call, &work->fields);
    else
        save(work);
    return !walk->unfinished;
}

/* False: it is of another type; answered. */
static bool begin(struct work *work, struct call *call, const struct wish *wish)
{
    *work = (struct work){.call = call, .wish = wish};
    return call_fields(call, call->argv[1], DB_HASH, &work->fields);
}

static void end(struct work *work)
{
    fields_close(&work->fields);
    buffer_deinit(&work->replies);
}

/* A command that answers an array with something for each field. */
static void answer_each(struct call *call, const struct wish *wish, work_fn *each)
{
    struct work work;
    if (!begin(&work, call, wish))
        return;
    if (do_each(&work, 1, each))
        call_reply_parts(call, call->argc - wish->first);
    end(&work);
}

/* ---- HEXPIRE and the like --------------------------------------------------------------- */

/* Of a field that was just found.  A time that has passed deletes it. */
static int64_t end_at(struct work *work, struct bytes field, struct bytes value, int64_t present_ms)
{
    struct walk_state *walk = work->call->walk;
    bool is_past = work->wish->deadline_ms <= work->call->now_ms;
    walk->seen |= is_past ? DID_DELETE : DID_EXPIRE;
    if (is_past)
        fields_delete(&work->fields, field);
    else
        fields_change_deadline(&work->fields, field, value, present_ms, work->wish->deadline_ms);
    return is_past ? DELETED : CHANGED;
}

static void expire_field(struct work *work, uint32_t i)
{
    struct bytes value, field = work->call->argv[i];
    int64_t present_ms;
    if (!fields_find(&work->fields, field, &value, &present_ms))
        answer_number(work, NO_SUCH_FIELD);
    else if (!call_expiry_holds(work->wish->condition, present_ms, work->wish->deadline_ms))
        answer_number(work, UNCHANGED);
    else
        answer_number(work, end_at(work, field, value, present_ms));
}

static void expire(struct call *call, enum expiry_form form)
{
    struct wish wish;
    if (read_expire(call, form, &wish))
        answer_each(call, &wish, expire_field);
}

void cmd_hexpire(struct call *call)
{
    expire(call, EXPIRY_EX);
}

void cmd_hpexpire(struct call *call)
{
    expire(call, EXPIRY_PX);
}

void cmd_hexpireat(struct call *call)
{
    expire(call, EXPIRY_EXAT);
}

void cmd_hpexpireat(struct call *call)
{
    expire(call, EXPIRY_PXAT);
}

bool words_hexpire(struct call *call)
{
    struct wish wish;
    return read_expire(call, EXPIRY_EX, &wish);
}

bool words_hpexpire(struct call *call)
{
    struct wish wish;
    return read_expire(call, EXPIRY_PX, &wish);
}

bool words_hexpireat(struct call *call)
{
    struct wish wish;
    return read_expire(call, EXPIRY_EXAT, &wish);
}

bool words_hpexpireat(struct call *call)
{
    struct wish wish;
    return read_expire(call, EXPIRY_PXAT, &wish);
}

/* ---- HPERSIST, HGETDEL ------------------------------------------------------------------ */

bool words_hpersist(struct call *call)
{
    struct wish wish;
    return read_plain(call, &wish);
}

/* Of a field that was just found. */
static int64_t persist(struct work *work, struct bytes field, struct bytes value,
                       int64_t present_ms)
{
    if (present_ms == 0)
        return NO_DEADLINE;
    work->call->walk->seen |= DID_PERSIST;
    fields_change_deadline(&work->fields, field, value, present_ms, 0);
    return CHANGED;
}

static void persist_field(struct work *work, uint32_t i)
{
    struct bytes value, field = work->call->argv[i];
    int64_t present_ms;
    bool is_there = fields_find(&work->fields, field, &value, &present_ms);
    answer_number(work, is_there ? persist(work, field, value, present_ms) : NO_SUCH_FIELD);
}

void cmd_hpersist(struct call *call)
{
    struct wish wish;
    if (read_plain(call, &wish))
        answer_each(call, &wish, persist_field);
}

static void take_field(struct work *work, uint32_t i)
{
    struct bytes value;
    int64_t present_ms;
    if (!answer_value(work, i, &value, &present_ms))
        return;
    work->call->walk->seen |= DID_DELETE;
    fields_delete(&work->fields, work->call->argv[i]);
}

void cmd_hgetdel(struct call *call)
{
    struct wish wish;
    if (read_plain(call, &wish))
        answer_each(call, &wish, take_field);
}

/* ---- HGETEX ----------------------------------------------------------------------------- */

bool words_hgetex(struct call *call)
{
    struct wish wish;
    return read_ex(call, false, &wish);
}

static void get_field(struct work *work, uint32_t i)
{
    struct bytes value, field = work->call->argv[i];
    int64_t present_ms;
    bool is_there = answer_value(work, i, &value, &present_ms);
    if (is_there && work->wish->persists)
        persist(work, field, value, present_ms);
    else if (is_there && work->wish->form != EXPIRY_NONE)
        end_at(work, field, value, present_ms);
}

void cmd_hgetex(struct call *call)
{
    struct wish wish;
    if (read_ex(call, false, &wish))
        answer_each(call, &wish, get_field);
}

/* ---- HSETEX ----------------------------------------------------------------------------- */

bool words_hsetex(struct call *call)
{
    struct wish wish;
    return read_ex(call, true, &wish);
}

static void set_field(struct work *work, uint32_t i)
{
    const struct wish *wish = work->wish;
    struct bytes value, field = work->call->argv[i];
    int64_t deadline_ms = wish->deadline_ms;
    if (wish->keeps)
        fields_find(&work->fields, field, &value, &deadline_ms);
    bool is_past = fields_is_over(&work->fields, deadline_ms) && wish->form != EXPIRY_NONE;
    work->call->walk->seen |= DID_SET;
    fields_put_until(&work->fields, field, work->call->argv[i + 1], is_past ? 0 : deadline_ms);
    if (wish->form != EXPIRY_NONE)
        work->call->walk->seen |= is_past ? DID_DELETE : DID_EXPIRE;
    if (is_past)
        fields_delete(&work->fields, field);
}

/* Whether the fields are there, or not, as is asked for: in slices that come before all others.
 * False: not finished, or answered. */
static bool fields_allow(struct work *work)
{
    struct call *call = work->call;
    struct bytes ignored;
    bool wants_all = work->wish->condition == IF_ALL_FIELDS;
    if (work->wish->condition == 0)
        return true;
    for (uint32_t i = call_slice(call, work->wish->first); call_takes(call, i); i += step_of(true))
        if (fields_get(&work->fields, call->argv[i], &ignored) != wants_all) {
            reply_integer(call->reply, 0);
            return false;
        }
    return !call->walk->unfinished;
}

void cmd_hsetex(struct call *call)
{
    struct wish wish;
    struct work work;
    bool is_allowed = call_kept(call, &wish, sizeof wish);
    if ((!is_allowed && !read_ex(call, true, &wish)) || !begin(&work, call, &wish))
        return;
    if (!is_allowed && fields_allow(&work)) {
        fields_expect(&work.fields, call->argv[wish.first], (call->argc - wish.first) / 2);
        call->walk->cursor = 0;
        is_allowed = true;
    }
    if (is_allowed && do_each(&work, step_of(true), set_field))
        reply_integer(call->reply, 1);
    if (is_allowed && call->walk->unfinished)
        call_keep(call, &wish, sizeof wish);
    end(&work);
}

/* ---- HTTL and the like ------------------------------------------------------------------ */

enum { ABSOLUTE = 1, SECONDS = 2 };

/* To the next second, as Redis does for fields. */
static int64_t told(struct call *call, int64_t deadline_ms, unsigned how)
{
    int64_t ms = how & ABSOLUTE ? deadline_ms : deadline_ms - call->now_ms;
    return how & SECONDS ? (ms + 999) / 1000 : ms;
}

static void tell(struct call *call, unsigned how)
{
    struct wish wish;
    struct fields fields;
    struct reply found = {&call->walk->found, call->reply->protocol};
    if (!call_fields(call, call->argv[1], DB_HASH, &fields) || !read_plain(call, &wish))
        return;
    for (uint32_t i = call_slice(call, wish.first); call_takes(call, i); i++) {
        struct bytes value;
        int64_t deadline_ms;
        bool is_there = fields_find(&fields, call->argv[i], &value, &deadline_ms);
        bool is_timed = is_there && deadline_ms != 0;
        int64_t none = is_there ? NO_DEADLINE : NO_SUCH_FIELD;
        reply_integer(&found, is_timed ? told(call, deadline_ms, how) : none);
    }
    if (call_keeps_parts(call, 0) && !call->walk->unfinished)
        call_reply_parts(call, call->argc - wish.first);
}

void cmd_httl(struct call *call)
{
    tell(call, SECONDS);
}

void cmd_hpttl(struct call *call)
{
    tell(call, 0);
}

void cmd_hexpiretime(struct call *call)
{
    tell(call, ABSOLUTE | SECONDS);
}

void cmd_hpexpiretime(struct call *call)
{
    tell(call, ABSOLUTE);
}
