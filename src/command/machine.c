/* The state machine that the log drives.
 *
 * What arrives here was committed, but it is not trusted to be well formed: another node's client
 * wrote it, perhaps through another version of the table.  A command that this table does not know
 * gets an error, the same on every node, and changes nothing.
 *
 * Same entry, same state, same result on every node: no clock but apply_context.now_ms, no
 * randomness but its seed, no configuration but what the leader stamped into the entry.  Loop thread
 * only. */
#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"
#include "command/commands.h"
#include "replica/replica.h"

enum { ARGV_KEEP = 64 * 1024 }; /* words whose room is kept between commands */

struct machine {
    struct state_machine base; /* first: the port's handle */
    struct db *db;             /* borrowed */
    uint8_t meaning_known;
    struct bytes *argv; /* of the command under way */
    uint32_t argv_capacity;
    const struct command *command; /* while walk.unfinished: that it is, and how many words */
    uint32_t argc;
    struct walk_state walk;
    struct bytes *asked; /* of the command that admit() was asked about last */
    uint32_t asked_capacity;
    struct command_observer *observer; /* borrowed; NULL: nobody counts */
    uint64_t read_seed;                /* reads are not in the log; only they may draw from here */
};

static struct machine *machine_of(struct state_machine *base)
{
    return (struct machine *)base;
}

/* Fills `call` for an encoded command that may run under one of `flags`; false: answered. */
static bool prepare(struct machine *machine, struct bytes encoded, unsigned flags,
                    struct call *call)
{
    if (!command_decode(encoded, &machine->argv, &call->argc, &machine->argv_capacity)) {
        reply_error(call->reply, "ERR malformed command");
        return false;
    }
    call->argv = machine->argv;
    call->command = command_find(call->argv, call->argc);
    if (!call->command || !(call->command->flags & flags) ||
        command_since(call->command) > call->meaning) {
        reply_error(call->reply, "ERR this command cannot be executed through the log");
        return false;
    }
    if (call->database >= DB_DATABASES) {
        reply_error(call->reply, ERROR_DATABASE);
        return false;
    }
    if (!command_takes(call->command, call->argc)) {
        call_wrong_arity(call);
        return false;
    }
    return true;
}

static void trim_words(struct bytes **words, uint32_t *capacity)
{
    if (*capacity <= ARGV_KEEP)
        return;
    memory_free(*words);
    *words = NULL;
    *capacity = 0;
}

/* After the last slice. */
static void forget(struct machine *machine)
{
    struct walk_state *walk = &machine->walk;
    buffer_deinit(&walk->found);
    *walk = (struct walk_state){0};
    trim_words(&machine->argv, &machine->argv_capacity);
}

void command_machine_observe(struct state_machine *base, struct command_observer *observer)
{
    machine_of(base)->observer = observer;
}

/* One slice.  False: not finished; the words of the command stay where they are. */
static bool run(struct machine *machine, struct bytes encoded, unsigned flags, struct call *call)
{
    if (machine->walk.unfinished) {
        call->command = machine->command;
        call->argv = machine->argv;
        call->argc = machine->argc;
    } else if (!prepare(machine, encoded, flags, call)) {
        return true;
    }
    call->db = machine->db;
    call->walk = &machine->walk;
    call->observer = machine->observer;
    command_execute(call);
    machine->command = call->command;
    machine->argc = call->argc;
    if (machine->walk.unfinished)
        return false;
    forget(machine);
    return true;
}

static struct call call_in(const struct apply_context *context, struct reply *reply)
{
    return (struct call){.reply = reply,
                         .now_ms = context->now_ms,
                         .seed = context->seed,
                         .meaning = context->meaning,
                         .database = context->database};
}

static bool apply(struct state_machine *base, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *out)
{
    struct reply reply = {out, protocol};
    struct call call = call_in(context, &reply);
    call.value_max = VALUE_SIZE_MAX;
    if (context->value_max && context->value_max < VALUE_SIZE_MAX)
        call.value_max = context->value_max;
    check(context->meaning <= machine_of(base)->meaning_known);
    if (context->meaning >= 2)
        db_begin(machine_of(base)->db, context->seed);
    return run(machine_of(base), command, CMD_READ | CMD_WRITE, &call);
}

static void applied(struct state_machine *base, struct raft_pos pos, int64_t now_ms,
                    uint8_t meaning)
{
    struct machine *machine = machine_of(base);
    db_note_meaning(machine->db, meaning);
    db_applied(machine->db, pos.index, pos.term, now_ms);
}

/* Another member's client wrote the words: they are not trusted to be well formed.  The words of the
 * command under way keep their place. */
static bool admit(struct state_machine *base, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *out)
{
    struct machine *machine = machine_of(base);
    struct reply reply = {out, protocol};
    struct call call = call_in(context, &reply);
    if (!command_decode(command, &machine->asked, &call.argc, &machine->asked_capacity)) {
        reply_error(&reply, "ERR malformed command");
        return false;
    }
    call.argv = machine->asked;
    bool admitted = command_admit(&call);
    if (admitted && !(call.command->flags & (CMD_READ | CMD_WRITE))) {
        reply_error(&reply, "ERR this command cannot be executed through the log");
        admitted = false;
    }
    trim_words(&machine->asked, &machine->asked_capacity);
    return admitted;
}

static bool read_now(struct state_machine *base, const struct apply_context *context,
                     struct bytes command, int protocol, struct buffer *out)
{
    struct machine *machine = machine_of(base);
    struct reply reply = {out, protocol};
    struct call call = call_in(context, &reply);
    machine->read_seed ^= (uint64_t)context->now_ms;
    call.seed = prng_next(&machine->read_seed);
    return run(machine, command, CMD_READ, &call);
}

static bool is_ready(struct state_machine *base)
{
    return db_ready(machine_of(base)->db);
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
                                             .admit = admit,
                                             .applied = applied,
                                             .read = read_now,
                                             .ready = is_ready,
                                             .applied_index = applied_index,
                                             .persisted_index = persisted_index,
                                             .time_ms = time_ms,
                                             .meaning = meaning,
                                             .meaning_known = meaning_known};

struct state_machine *command_machine_new(struct db *db, uint8_t known)
{
    struct machine *machine = memory_new(sizeof(*machine));
    machine->base.ops = &ops;
    machine->db = db;
    machine->meaning_known = known;
    return &machine->base;
}

void command_machine_free(struct state_machine *base)
{
    if (!base)
        return;
    struct machine *machine = machine_of(base);
    buffer_deinit(&machine->walk.found);
    memory_free(machine->argv);
    memory_free(machine->asked);
    memory_free(machine);
}
