/* The state machine that the log drives.
 *
 * What arrives here was committed, but it is not trusted to be well formed: another node's client
 * wrote it, perhaps through another version of the table.  A command that this table does not know
 * gets an error, the same on every node, and changes nothing.
 *
 * Same entry, same state, same result on every node: no clock but apply_context.now_ms, no
 * randomness but its seed, no configuration but what the leader stamped into the entry.  Loop
 * thread only. */
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"
#include "command/change.h"
#include "command/check.h"
#include "command/execution.h"
#include "command/long_scripts.h"
#include "command/prepare.h"
#include "command/waiting.h"
#include "replica/replica.h"

enum {
    PREPARE_ELEMENTS = 10000, /* which take about 10 ms, */
    LONG_SLICES = 6           /* as so many slices of a script do */
};

/* A command of very many words, about which admit() is to be asked. */
struct decoded {
    struct blob *of;    /* a reference; NULL: none */
    struct bytes *argv; /* borrowed from it, as many as are taken apart; owned */
    uint32_t argc, capacity;
    struct command_decoding decoding;
};

struct machine {
    struct state_machine base; /* first: the port's handle */
    struct db *db;             /* borrowed */
    uint8_t meaning_known;
    struct execution writing;         /* of the entry under way, */
    struct command_decoding decoding; /* whose words are taken apart */
    struct execution reading;         /* of a read in its first slice */
    struct bytes *asked;              /* of the command that admit() was asked about last, */
    uint32_t asked_capacity;
    struct decoded decoded;             /* or is asked about next */
    struct command_observer *observer;  /* borrowed; NULL: nobody counts */
    struct command_listener *listeners; /* utlist, borrowed; NULL: nobody is told of effects */
    state_machine_touched *touched;     /* likewise, of the keys alone */
    void *touched_context;
    struct command_checks *checks;      /* borrowed; NULL: nobody */
    struct command_check_notice notice; /* of the entry under way */
    bool found_nothing;                 /* the last command that may wait */
    raft_index draining;                /* the entry whose effects they are */
    bool has_told;                      /* a message was among them */
    uint64_t author;                    /* of the entry: a client of this node, or 0 */
    uint64_t read_seed;                 /* reads are not in the log; only they may draw from here */
    uint64_t prepares_from;             /* elements */
    uint64_t prepared;                  /* entries that were, since the start */
    struct preparation *preparation;    /* owned: of a write that comes later; or NULL */
    struct preparation *used;           /* owned: of the entry under way, which has its words */
    struct long_scripts scripts;        /* that were long on this node */
    unsigned long_from;                 /* slices */
    unsigned slices;                    /* of the entry under way, so far */
    bool parts;             /* the entry that begins is to leave its state before it readable */
    struct db_view *before; /* owned: of that, while it is half done and somebody read; or NULL */
};

static struct machine *machine_of(struct state_machine *base)
{
    return (struct machine *)base;
}

/* A tick has no name that a client could say. */
static const struct command *find(const struct call *call)
{
    bool is_tick = call->argc == 1 && call->meaning >= COMMAND_MEANING_EXPIRY &&
                   bytes_equal(call->argv[0], bytes_from_string(command_tick.name));
    return is_tick ? &command_tick : command_find(call->argv, call->argc);
}

/* Takes an encoded command apart, of an entry some words at a time; what was prepared has its words
 * already.  False: answered, or not all yet. */
static bool read_words(struct machine *machine, struct execution *execution, struct bytes encoded,
                       bool is_prepared, struct call *call)
{
    struct command_decoding of_read = {0}, *decoding = &of_read;
    uint32_t most = UINT32_MAX;
    if (is_prepared) {
        call->argc = preparation_take_words(machine->preparation, &execution->argv,
                                            &execution->argv_capacity);
        call->argv = execution->argv;
        return true;
    }
    if (execution == &machine->writing) {
        decoding = &machine->decoding;
        most = COMMAND_DECODED_WORDS;
    }
    bool is_right = command_decode_some(encoded, &execution->argv, &call->argc,
                                        &execution->argv_capacity, decoding, most);
    call->is_decoding = is_right && decoding->words < call->argc;
    if (!is_right)
        reply_error(call->reply, "ERR malformed command");
    if (!call->is_decoding)
        *decoding = (struct command_decoding){0};
    call->argv = execution->argv;
    return is_right && !call->is_decoding;
}

/* Of a command that may be of the kinds in `allows`; false: answered. */
static bool is_fit(unsigned allows, struct call *call)
{
    call->command = find(call);
    if (!call->command || !(call->command->flags & allows) ||
        command_since(call->command) > call->meaning) {
        reply_error(call->reply, "ERR this command cannot be executed through the log");
        return false;
    }
    if (call->database >= DB_DATABASES) {
        reply_error(call->reply, ERROR_DATABASE);
        return false;
    }
    if (!call_has_arity(call)) {
        call_wrong_arity(call);
        return false;
    }
    return true;
}

void command_machine_observe(struct state_machine *base, struct command_observer *observer)
{
    machine_of(base)->observer = observer;
}

static void want_effects(struct machine *machine)
{
    db_effects_want(machine->db, machine->listeners || machine->touched);
}

void command_machine_listen(struct state_machine *base, struct command_listener *listener)
{
    if (listener)
        LL_APPEND(machine_of(base)->listeners, listener);
    else
        machine_of(base)->listeners = NULL;
    want_effects(machine_of(base));
}

void command_machine_check(struct state_machine *base, struct command_checks *checks)
{
    machine_of(base)->checks = checks;
}

static void listen(struct state_machine *base, state_machine_touched *touched, void *context)
{
    machine_of(base)->touched = touched;
    machine_of(base)->touched_context = context;
    want_effects(machine_of(base));
}

static void drop_preparation(struct machine *machine)
{
    preparation_free(machine->preparation);
    machine->preparation = NULL;
}

/* The first words of a command, or of what ONCE carries: what long_scripts.h tells scripts by. */
struct first_words {
    struct bytes words[ONCE_WORDS_BEFORE + LONG_SCRIPT_WORDS];
    const struct bytes *said; /* of them, from here on */
    uint32_t known;
};

static void read_first(struct bytes command, struct first_words *first)
{
    bool is_once =
        command_first_words(command, first->words, 1) == 1 && bytes_is(first->words[0], "once");
    uint32_t before = is_once ? ONCE_WORDS_BEFORE : 0;
    first->known = command_first_words(command, first->words, before + LONG_SCRIPT_WORDS);
    first->known -= before < first->known ? before : first->known;
    first->said = first->words + before;
}

/* A script was run before its entry. */
static void note_use(struct machine *machine, struct bytes command, bool is_of_use)
{
    struct first_words first;
    if (!preparation_is_whole(machine->preparation))
        return;
    read_first(command, &first);
    if (is_of_use)
        command_scripts_of_use(&machine->scripts, first.said, first.known);
    else
        command_scripts_in_vain(&machine->scripts, first.said, first.known);
}

/* The entry that begins is what was prepared.  Does that hold? */
static bool take_prepared(struct machine *machine, struct bytes encoded, const struct call *call)
{
    if (!machine->preparation || !preparation_is_of(machine->preparation, encoded, call))
        return false;
    db_at(machine->db, call->now_ms, false);
    bool holds = preparation_holds(machine->preparation);
    note_use(machine, encoded, holds);
    if (!holds)
        drop_preparation(machine);
    return holds;
}

/* Until the slice ends `carried` is where what ONCE carries begins. */
static void begin_prepared(struct machine *machine, struct execution *execution, struct call *call,
                           struct walk_state *carried)
{
    struct preparation *preparation = machine->preparation;
    machine->preparation = NULL;
    machine->used = preparation;
    machine->prepared++;
    call->prepared = preparation_place(preparation);
    call->db = machine->db;
    preparation_take_first(preparation, call);
    if (machine->observer)
        preparation_tell(preparation, machine->observer);
    *carried = preparation_take(preparation);
    if (preparation_is_carried(preparation))
        execution->prepared = carried;
    else
        execution->frames[0].walk = *carried;
}

/* One slice: the gate through which every execution goes.  False: not finished; the words of the
 * command stay where they are. */
static bool run(struct machine *machine, struct execution *execution, struct bytes encoded,
                unsigned allows, struct call *call)
{
    struct walk_state carried;
    if (execution->depth == 0) {
        bool is_prepared = allows & CMD_WRITE && take_prepared(machine, encoded, call);
        if (!read_words(machine, execution, encoded, is_prepared, call))
            return !call->is_decoding;
        if (!is_fit(allows, call)) {
            check(!is_prepared);
            return true;
        }
        bool is_at_end = is_prepared && preparation_leaves_the_end(machine->preparation);
        if (allows & CMD_WRITE && machine->parts && !is_at_end && command_may_take_long(call))
            (void)db_part(machine->db);
        execution_begin(execution, call->command, call->argc, allows);
        if (is_prepared)
            begin_prepared(machine, execution, call, &carried);
    }
    bool is_tick = execution->frames[0].command == &command_tick; /* no client's command */
    call->db = machine->db;
    call->view = execution->view;
    call->observer = is_tick ? NULL : machine->observer;
    db_at(machine->db, call->now_ms, allows & CMD_WRITE);
    bool is_finished = execution_go_on(execution, call);
    check(!execution->prepared); /* it was taken */
    return is_finished;
}

static struct call call_in(const struct apply_context *context, struct reply *reply)
{
    return (struct call){.reply = reply,
                         .now_ms = context->now_ms,
                         .seed = context->seed,
                         .meaning = context->meaning,
                         .client = context->client,
                         .database = context->database};
}

static size_t value_max(const struct apply_context *context)
{
    bool is_limited = context->value_max && context->value_max < VALUE_SIZE_MAX;
    return is_limited ? context->value_max : VALUE_SIZE_MAX;
}

/* The entry that ended had many slices. */
static void note_long(struct machine *machine, struct bytes command)
{
    struct first_words first;
    read_first(command, &first);
    command_scripts_long(&machine->scripts, first.said, first.known);
}

static bool apply_slice(struct machine *machine, const struct apply_context *context,
                        struct bytes command, int protocol, struct buffer *out)
{
    struct reply reply = {out, protocol};
    struct call call = call_in(context, &reply);
    call.value_max = value_max(context);
    call.rest = context->rest;
    machine->author = context->client;
    check(context->meaning >= 1);
    check(context->meaning <= machine->meaning_known);
    check(context->pos.index == db_applied_index(machine->db) + 1);
    check(context->now_ms >= db_time_ms(machine->db));
    if (context->meaning >= 2)
        db_begin(machine->db, context->seed);
    machine->parts = context->is_read_before;
    call.may_wait = context->owner.run_id != 0;
    call.notice = &machine->notice;
    bool finished = run(machine, &machine->writing, command, CMD_READ | CMD_WRITE, &call);
    machine->found_nothing = call.found_nothing;
    check(finished || !call.prepared); /* nothing was left but its end */
    if (finished) {
        preparation_free(machine->used);
        machine->used = NULL;
    }
    return finished;
}

static bool apply(struct state_machine *base, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *out)
{
    struct machine *machine = machine_of(base);
    machine->slices = machine->writing.depth > 0 ? machine->slices + 1 : 1;
    bool finished = apply_slice(machine, context, command, protocol, out);
    if (finished && machine->slices >= machine->long_from)
        note_long(machine, command);
    return finished;
}

/* The second word is nearly always a key; one that is large takes longer to hash than it saves.
 * The element that is changed in a large collection is mostly the third word of a command on a hash
 * or a set, and of one on a sorted set the fourth. */
enum { FORESEEN_KEY_MAX = 1024, FORESEEN_WORDS = 4 };

static void foresee(struct state_machine *base, const struct foreseen *entries, uint32_t count)
{
    struct db_foreseen keys[DB_FORESEEN_MAX];
    uint32_t found = 0;
    _Static_assert((int)FORESEEN_MAX <= (int)DB_FORESEEN_MAX, "the keys of all find room");
    for (uint32_t i = 0; i < count; i++) {
        struct bytes words[FORESEEN_WORDS] = {{0}};
        if (entries[i].database < DB_DATABASES &&
            command_first_words(entries[i].command, words, FORESEEN_WORDS) >= 2 &&
            words[1].size <= FORESEEN_KEY_MAX)
            keys[found++] =
                (struct db_foreseen){entries[i].database, words[1], {words[2], words[3]}};
    }
    db_foresee(machine_of(base)->db, keys, found);
}

static void tell(void *context, const struct db_effect *effect)
{
    struct machine *machine = context;
    struct command_listener *listener;
    machine->has_told |= effect->type == DB_EFFECT_MESSAGE;
    LL_FOREACH(machine->listeners, listener)
    {
        listener->author = machine->author;
        listener->effect(listener, machine->draining, effect);
    }
    if (effect->type == DB_EFFECT_MESSAGE || !machine->touched)
        return;
    bool has_key = effect->type == DB_EFFECT_PUT || effect->type == DB_EFFECT_DELETED;
    struct bytes key = has_key ? effect->key : bytes_of(NULL, 0);
    machine->touched(machine->touched_context, effect->database, key);
    if (effect->type == DB_EFFECT_SWAPPED)
        machine->touched(machine->touched_context, effect->other, key);
}

/* The state is that behind the entry. */
static void tell_check(struct machine *machine, struct raft_pos pos)
{
    struct command_check_notice notice = machine->notice;
    machine->notice = (struct command_check_notice){0};
    if (machine->checks)
        machine->checks->heard(machine->checks, pos, &notice);
}

static void applied(struct state_machine *base, struct raft_pos pos, int64_t now_ms,
                    uint8_t meaning)
{
    struct machine *machine = machine_of(base);
    check(machine->writing.depth == 0);
    check(meaning <= machine->meaning_known);
    machine->has_told = false;
    if (machine->before)
        db_view_release(machine->before);
    machine->before = NULL;
    if (machine->listeners || machine->touched) {
        machine->draining = pos.index;
        db_effects_drain(machine->db, tell, machine);
    }
    machine->author = 0;
    db_note_meaning(machine->db, meaning);
    db_applied(machine->db, pos.index, pos.term, now_ms);
    if (machine->notice.kind != CHECK_NOTHING)
        tell_check(machine, pos);
}

static void forget_decoded(struct machine *machine)
{
    blob_release(machine->decoded.of);
    memory_free(machine->decoded.argv);
    machine->decoded = (struct decoded){.of = NULL};
}

/* What is malformed is left to admit(). */
static bool decode(struct state_machine *base, struct blob *command)
{
    struct machine *machine = machine_of(base);
    struct decoded *decoded = &machine->decoded;
    if (!command) {
        forget_decoded(machine);
        return true;
    }
    if (command_word_count(blob_bytes(command)) <= COMMAND_DECODED_WORDS)
        return true;
    if (!decoded->of)
        decoded->of = blob_take(command);
    if (decoded->of != command)
        return false;
    if (decoded->argc > 0 && decoded->decoding.words == decoded->argc)
        return true;
    if (command_decode_some(blob_bytes(command), &decoded->argv, &decoded->argc, &decoded->capacity,
                            &decoded->decoding, COMMAND_DECODED_WORDS))
        return false; /* the last turn has enough to do, too */
    forget_decoded(machine);
    return true;
}

/* False: malformed. */
static bool words_of(struct machine *machine, struct bytes command, struct call *call)
{
    const struct decoded *decoded = &machine->decoded;
    if (decoded->of && decoded->of->data == command.data) {
        check(decoded->decoding.words == decoded->argc);
        call->argv = decoded->argv;
        call->argc = decoded->argc;
        return true;
    }
    if (!command_decode(command, &machine->asked, &call->argc, &machine->asked_capacity))
        return false;
    call->argv = machine->asked;
    return true;
}

/* Another member's client wrote the words: they are not trusted to be well formed.  The words of
 * the command under way keep their place. */
static bool admit(struct state_machine *base, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *out)
{
    struct machine *machine = machine_of(base);
    struct reply reply = {out, protocol};
    struct call call = call_in(context, &reply);
    if (!words_of(machine, command, &call)) {
        reply_error(&reply, "ERR malformed command");
        return false;
    }
    bool admitted = command_admit(&call);
    if (admitted && !(call.command->flags & (CMD_READ | CMD_WRITE))) {
        reply_error(&reply, "ERR this command cannot be executed through the log");
        admitted = false;
    }
    if (call.argv == machine->decoded.argv)
        forget_decoded(machine);
    execution_trim_words(&machine->asked, &machine->asked_capacity);
    return admitted;
}

/* The words are what was admitted. */
static void take_apart(struct machine *machine, struct bytes command, struct call *call)
{
    bool is_command =
        command_decode(command, &machine->asked, &call->argc, &machine->asked_capacity);
    check(is_command);
    call->argv = machine->asked;
    call->command = command_find(call->argv, call->argc);
    check(call->command);
    call->db = machine->db;
}

/* Of a command that is looked at and not executed: nobody hears a reply of it. */
struct look {
    struct reply nowhere;
    struct walk_state walk;
    struct call call;
};

static void look_begin(const struct apply_context *context, struct look *look)
{
    *look = (struct look){.nowhere = {NULL, context->protocol == 3 ? 3 : 2}};
    look->call = call_in(context, &look->nowhere);
    look->call.walk = &look->walk;
}

static struct call *look(struct machine *machine, const struct apply_context *context,
                         struct bytes command, struct look *look)
{
    look_begin(context, look);
    take_apart(machine, command, &look->call);
    return &look->call;
}

/* ---- preparations ---------------------------------------------------------------------- */

void command_machine_prepare_from(struct state_machine *base, uint64_t elements)
{
    check(elements > 0);
    machine_of(base)->prepares_from = elements;
}

void command_machine_long_from(struct state_machine *base, unsigned slices)
{
    machine_of(base)->long_from = slices;
}

uint64_t command_machine_prepared(const struct state_machine *base)
{
    return ((const struct machine *)base)->prepared;
}

static bool is_long_script(const struct machine *machine, struct bytes command)
{
    struct first_words first;
    if (machine->scripts.count == 0 && machine->long_from > 0)
        return false;
    read_first(command, &first);
    return machine->long_from > 0
               ? command_scripts_is_long(&machine->scripts, first.said, first.known)
               : command_scripts_is(first.said, first.known);
}

static bool is_prepared_ever(const struct machine *machine, struct bytes command,
                             struct command_preparing *how)
{
    struct bytes words[ONCE_WORDS_BEFORE + PREPARE_NAME_WORDS];
    uint32_t count = command_word_count(command);
    uint32_t known = command_first_words(command, words, PREPARE_NAME_WORDS);
    if (is_long_script(machine, command)) {
        *how = (struct command_preparing){.is_whole = true, .elements = UINT64_MAX};
        return true;
    }
    if (known == 0 || !bytes_is(words[0], "once"))
        return command_may_prepare(words, known, count, how);
    known = command_first_words(command, words, ONCE_WORDS_BEFORE + PREPARE_NAME_WORDS);
    return known > ONCE_WORDS_BEFORE &&
           command_may_prepare(words + ONCE_WORDS_BEFORE, known - ONCE_WORDS_BEFORE,
                               count - ONCE_WORDS_BEFORE, how) &&
           how->is_of_once;
}

static bool may_prepare(struct state_machine *base, struct bytes command)
{
    struct command_preparing how;
    return is_prepared_ever(machine_of(base), command, &how);
}

static bool prepares(struct state_machine *base, const struct apply_context *context,
                     struct bytes command)
{
    struct machine *machine = machine_of(base);
    struct look own;
    struct command_preparing how;
    if (!is_prepared_ever(machine, command, &how))
        return false;
    if (how.elements > 0)
        return how.elements >= machine->prepares_from;
    if (machine->writing.depth > 0)
        return !how.is_mostly_short; /* nobody can look; that it has to wait then is no loss */
    struct call *call = look(machine, context, command, &own);
    db_at(machine->db, context->now_ms, false);
    return command_prepares(call) >= machine->prepares_from;
}

/* The first slice takes the view, and no more.  It was asked before whether to prepare this: since
 * then a script may have proved not to be long, and none that ONCE carries has another reason. */
static enum preparing prepare_begin(struct machine *machine, const struct apply_context *context,
                                    struct blob *command)
{
    struct look own;
    struct command_preparing how;
    if (!is_prepared_ever(machine, blob_bytes(command), &how))
        return PREPARING_ENDED;
    look_begin(context, &own);
    own.call.value_max = value_max(context);
    machine->preparation = preparation_new(machine->db, command, &own.call, how.is_whole);
    return machine->preparation ? PREPARING_MORE : PREPARING_NOT_NOW;
}

/* A script was run before its entry, to its end. */
static void note_run(struct machine *machine, struct bytes command)
{
    struct first_words first;
    if (!preparation_is_whole(machine->preparation))
        return;
    read_first(command, &first);
    if (preparation_slices(machine->preparation) < machine->long_from)
        command_scripts_short(&machine->scripts, first.said, first.known);
    else
        command_scripts_long(&machine->scripts, first.said, first.known);
}

static enum preparing prepare_some(struct state_machine *base, const struct apply_context *context,
                                   struct blob *command)
{
    struct machine *machine = machine_of(base);
    check(machine->writing.depth == 0);
    if (!machine->preparation)
        return prepare_begin(machine, context, command);
    switch (preparation_go_on(machine->preparation, context->now_ms)) {
    case PREPARATION_MORE: return PREPARING_MORE;
    case PREPARATION_NOT_NOW: return PREPARING_NOT_NOW;
    case PREPARATION_READY: note_run(machine, blob_bytes(command)); break;
    case PREPARATION_CHANGED:
        note_use(machine, blob_bytes(command), false);
        drop_preparation(machine);
        return PREPARING_CHANGED;
    case PREPARATION_FAILED:
        note_use(machine, blob_bytes(command), false);
        drop_preparation(machine);
        break;
    }
    return PREPARING_ENDED;
}

static bool prepared_as(struct state_machine *base, int64_t asked_ms, int64_t now_ms,
                        struct command_parts *parts)
{
    struct preparation *preparation = machine_of(base)->preparation;
    return preparation && preparation_restated(preparation, asked_ms, now_ms, parts);
}

static void prepare_drop(struct state_machine *base)
{
    drop_preparation(machine_of(base));
}

static bool change(struct state_machine *base, struct bytes command, struct replica_change *asked)
{
    (void)base;
    return command_change(command, asked);
}

/* ---- commands that may wait ----------------------------------------------------------- */

static bool found_nothing(struct state_machine *base)
{
    return machine_of(base)->found_nothing;
}

static bool would_wait(struct state_machine *base, const struct apply_context *context,
                       struct bytes command)
{
    struct machine *machine = machine_of(base);
    struct look own;
    struct call *call = look(machine, context, command, &own);
    db_at(machine->db, context->now_ms, false);
    return command_would_wait(call);
}

static void wait_keys(struct state_machine *base, struct bytes command,
                      void (*each)(void *context, struct bytes key), void *context)
{
    struct call call = {.argc = 0};
    struct waiting waiting;
    take_apart(machine_of(base), command, &call);
    if (!command_waiting_find(call.command, call.argv, call.argc, &waiting))
        return;
    for (uint32_t i = 0; i < waiting.keys; i++)
        each(context, call.argv[waiting.first + i]);
}

static uint64_t wait_kind(struct state_machine *base, struct bytes command)
{
    struct call call = {.argc = 0};
    take_apart(machine_of(base), command, &call);
    return command_waiting_kind(&call);
}

static uint64_t feeds(struct state_machine *base, struct bytes command, struct bytes *key)
{
    (void)base;
    return command_feeds(command, key);
}

static uint64_t wait_count(struct state_machine *base, const struct apply_context *context,
                           struct bytes command, struct bytes key)
{
    struct machine *machine = machine_of(base);
    struct look own;
    struct call *call = look(machine, context, command, &own);
    db_at(machine->db, context->now_ms, false);
    return command_waiting_count(call, key);
}

static void read_drop(struct state_machine *base, void *reading)
{
    (void)base;
    execution_deinit(reading);
    memory_free(reading);
}

/* The first slice sees the present state; what goes on after it, a view of just that. */
static void *go_on_later(struct machine *machine, int64_t now_ms)
{
    struct db_view *view = db_view_new(machine->db);
    if (!view) { /* it begins again, later */
        execution_forget(&machine->reading);
        return NULL;
    }
    struct execution *kept = memory_new(sizeof *kept);
    *kept = machine->reading;
    kept->view = view;
    kept->now_ms = now_ms;
    machine->reading = (struct execution){0};
    return kept;
}

/* One slice; as state_machine_ops.read. */
static bool read_some(struct machine *machine, void **reading, const struct apply_context *context,
                      struct bytes command, int protocol, struct buffer *out, struct rope *rest)
{
    struct reply reply = {out, protocol};
    struct call call = call_in(context, &reply);
    call.rest = rest;
    call.reply_max = context->reply_max;
    call.may_wait = context->may_wait;
    call.holders = context->holders;
    call.is_followed = context->is_followed;
    struct execution *execution = *reading ? *reading : &machine->reading;
    if (*reading)
        call.now_ms = execution->now_ms;
    machine->read_seed ^= (uint64_t)context->now_ms;
    call.seed = prng_next(&machine->read_seed);
    struct db_view *view = execution->view;
    if (view)
        db_look_at(machine->db, view, 0, false);
    bool finished = run(machine, execution, command, CMD_READ, &call);
    if (view)
        (void)db_look_end(machine->db);
    machine->found_nothing = call.found_nothing;
    if (!finished && !*reading)
        *reading = go_on_later(machine, call.now_ms);
    if (finished && *reading) {
        read_drop(&machine->base, *reading);
        *reading = NULL;
    }
    return finished;
}

/* An entry is half done: a read that begins now looks at the state before it. */
static bool read_before(struct machine *machine, void **reading,
                        const struct apply_context *context, struct bytes command, int protocol,
                        struct buffer *out, struct rope *rest)
{
    if (!machine->before && db_is_parted(machine->db))
        machine->before = db_view_new(machine->db);
    if (!machine->before)
        return false;
    db_look_at(machine->db, machine->before, context->until_ms, true);
    bool finished = read_some(machine, reading, context, command, protocol, out, rest);
    bool is_sure = db_look_end(machine->db);
    if (is_sure && (finished || context->until_ms <= context->now_ms))
        return finished;
    if (*reading)
        read_drop(&machine->base, *reading);
    *reading = NULL;
    if (rest)
        rope_deinit(rest);
    return false;
}

static bool read_now(struct state_machine *base, void **reading,
                     const struct apply_context *context, struct bytes command, int protocol,
                     struct buffer *out, struct rope *rest)
{
    struct machine *machine = machine_of(base);
    bool is_half_done = machine->writing.depth > 0;
    return is_half_done && !*reading
               ? read_before(machine, reading, context, command, protocol, out, rest)
               : read_some(machine, reading, context, command, protocol, out, rest);
}

static bool is_read_before(struct state_machine *base)
{
    return db_is_parted(machine_of(base)->db);
}

static bool told(struct state_machine *base)
{
    return machine_of(base)->has_told;
}

static uint64_t work(struct state_machine *base)
{
    const struct command_listener *listener;
    uint64_t work = db_work(machine_of(base)->db);
    LL_FOREACH(machine_of(base)->listeners, listener)
    {
        work += listener->work;
    }
    return work;
}

static bool is_ready(struct state_machine *base)
{
    return db_ready(machine_of(base)->db);
}

static bool is_ready_for_large(struct state_machine *base)
{
    return db_ready_for_large(machine_of(base)->db);
}

static raft_index applied_index(struct state_machine *base)
{
    return db_applied_index(machine_of(base)->db);
}

static raft_index persisted_index(struct state_machine *base)
{
    return db_persisted_index(machine_of(base)->db);
}

static int64_t time_ms(struct state_machine *base)
{
    return db_time_ms(machine_of(base)->db);
}

static int64_t due_ms(struct state_machine *base)
{
    const struct db *db = machine_of(base)->db;
    return db_is_parted(db) ? db_before_due_ms(db) : db_due_ms(db);
}

static struct blob *tick(struct state_machine *base)
{
    struct bytes name = bytes_from_string(command_tick.name);
    (void)base;
    return command_encode(&name, 1);
}

static uint8_t meaning(struct state_machine *base)
{
    uint8_t noted = db_meaning(machine_of(base)->db);
    return noted ? noted : 1;
}

static uint8_t meaning_known(struct state_machine *base)
{
    return machine_of(base)->meaning_known;
}

static const struct state_machine_ops ops = {.apply = apply,
                                             .foresee = foresee,
                                             .decode = decode,
                                             .admit = admit,
                                             .change = change,
                                             .may_prepare = may_prepare,
                                             .prepares = prepares,
                                             .prepare = prepare_some,
                                             .prepared_as = prepared_as,
                                             .prepare_drop = prepare_drop,
                                             .applied = applied,
                                             .told = told,
                                             .read = read_now,
                                             .read_drop = read_drop,
                                             .work = work,
                                             .ready = is_ready,
                                             .ready_for_large = is_ready_for_large,
                                             .applied_index = applied_index,
                                             .persisted_index = persisted_index,
                                             .time_ms = time_ms,
                                             .due_ms = due_ms,
                                             .is_read_before = is_read_before,
                                             .tick = tick,
                                             .meaning = meaning,
                                             .meaning_known = meaning_known,
                                             .found_nothing = found_nothing,
                                             .would_wait = would_wait,
                                             .wait_keys = wait_keys,
                                             .wait_kind = wait_kind,
                                             .feeds = feeds,
                                             .wait_count = wait_count,
                                             .listen = listen};

struct state_machine *command_machine_new(struct db *db, uint8_t known)
{
    struct machine *machine = memory_new(sizeof(*machine));
    machine->base.ops = &ops;
    machine->db = db;
    machine->meaning_known = known;
    machine->prepares_from = PREPARE_ELEMENTS;
    machine->long_from = LONG_SLICES;
    db_elements_due(db, fields_expire);
    return &machine->base;
}

void command_machine_free(struct state_machine *base)
{
    if (!base)
        return;
    struct machine *machine = machine_of(base);
    drop_preparation(machine);
    execution_deinit(&machine->writing);
    preparation_free(machine->used);
    execution_deinit(&machine->reading);
    if (machine->before)
        db_view_release(machine->before);
    memory_free(machine->asked);
    forget_decoded(machine);
    memory_free(machine);
}
