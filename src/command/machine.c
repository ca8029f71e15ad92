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
    struct bytes *argv;        /* of the command under way */
    uint32_t argv_capacity;
    const struct command *command; /* while walk.unfinished: that it is, and how many words */
    uint32_t argc;
    struct walk_state walk;
    uint64_t read_seed; /* reads are not in the log; only they may draw from here */
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
    if (!call->command || !(call->command->flags & flags)) {
        reply_error(call->reply, "ERR this command cannot be executed through the log");
        return false;
    }
    if (!command_takes(call->command, call->argc)) {
        call_wrong_arity(call);
        return false;
    }
    return true;
}

/* After the last slice. */
static void forget(struct machine *machine)
{
    struct walk_state *walk = &machine->walk;
    buffer_deinit(&walk->found);
    *walk = (struct walk_state){0};
    if (machine->argv_capacity > ARGV_KEEP) {
        memory_free(machine->argv);
        machine->argv = NULL;
        machine->argv_capacity = 0;
    }
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
    call->command->execute(call);
    machine->command = call->command;
    machine->argc = call->argc;
    if (machine->walk.unfinished)
        return false;
    forget(machine);
    return true;
}

static bool apply(struct state_machine *base, const struct apply_context *context,
                  struct bytes command, int protocol, struct buffer *out)
{
    struct reply reply = {out, protocol};
    struct call call = {.reply = &reply,
                        .now_ms = context->now_ms,
                        .seed = context->seed,
                        .value_max = VALUE_SIZE_MAX};
    if (context->value_max && context->value_max < VALUE_SIZE_MAX)
        call.value_max = context->value_max;
    return run(machine_of(base), command, CMD_READ | CMD_WRITE, &call);
}

static void applied(struct state_machine *base, struct raft_pos pos, int64_t now_ms)
{
    db_applied(machine_of(base)->db, pos.index, pos.term, now_ms);
}

static bool read_now(struct state_machine *base, int64_t now_ms, struct bytes command, int protocol,
                     struct buffer *out)
{
    struct machine *machine = machine_of(base);
    struct reply reply = {out, protocol};
    machine->read_seed ^= (uint64_t)now_ms;
    struct call call = {.reply = &reply, .now_ms = now_ms, .seed = prng_next(&machine->read_seed)};
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

static const struct state_machine_ops ops = {.apply = apply,
                                             .applied = applied,
                                             .read = read_now,
                                             .ready = is_ready,
                                             .applied_index = applied_index,
                                             .persisted_index = persisted_index,
                                             .time_ms = time_ms};

struct state_machine *command_machine_new(struct db *db)
{
    struct machine *machine = memory_new(sizeof(*machine));
    machine->base.ops = &ops;
    machine->db = db;
    return &machine->base;
}

void command_machine_free(struct state_machine *base)
{
    if (!base)
        return;
    struct machine *machine = machine_of(base);
    buffer_deinit(&machine->walk.found);
    memory_free(machine->argv);
    memory_free(machine);
}
