/* See execution.h.  Where a slice ends differs from node to node (it depends on what is in memory);
 * what comes of all slices together does not.  Loop thread only. */
#include "command/execution.h"

#include "base/fatal.h"
#include "base/memory.h"
#include "command/preparing.h"
#include "command/string_parts.h"

#ifndef EXECUTION_STEPS_MAX /* the simulator builds this with fewer */
#define EXECUTION_STEPS_MAX 512
#endif

enum {
    ARGV_KEEP = 64 * 1024,  /* words whose room is kept between commands */
    REPLY_KEEP = 64 * 1024, /* bytes, likewise */
    /* A slice of a command that carries many; what one of them does in a slice it bounds itself. */
    STEPS_MAX = EXECUTION_STEPS_MAX,
    STEPS_WORK = 1 << 20
};

void execution_trim_words(struct bytes **words, uint32_t *capacity)
{
    if (*capacity <= ARGV_KEEP)
        return;
    memory_free(*words);
    *words = NULL;
    *capacity = 0;
}

static struct frame *top_of(struct execution *execution)
{
    check(execution->depth > 0);
    return &execution->frames[execution->depth - 1];
}

static void push(struct execution *execution, const struct carry *carry)
{
    check(execution->depth < FRAMES_MAX);
    check(carry->command->flags & carry->allows);
    struct frame *frame = &execution->frames[execution->depth++];
    check(!frame->walk.unfinished);
    check(frame->took == 0);
    frame->command = carry->command;
    frame->argv = carry->argv;
    frame->argc = carry->argc;
    frame->allows = carry->allows;
    frame->protocol = carry->protocol;
    frame->database = carry->database;
    frame->is_begun = false;
    buffer_clear(&frame->reply);
    if (execution->prepared && execution->depth > 1) {
        frame->walk = *execution->prepared;
        execution->prepared = NULL;
    }
}

static void pop(struct execution *execution)
{
    struct frame *frame = top_of(execution);
    uint64_t took = frame->took;
    if (frame->walk.found.capacity > 0)
        buffer_deinit(&frame->walk.found);
    if (frame->walk.parts.capacity > 0)
        rope_deinit(&frame->walk.parts);
    memory_free(frame->walk.words.argv);
    string_forget_words(&frame->walk); /* of one that is given up half done, with all of db */
    if (frame->walk.kept)
        frame->walk.kept_free(frame->walk.kept);
    frame->walk = (struct walk_state){0};
    frame->took = 0;
    execution->depth--;
    execution->has_reply = execution->depth > 0;
    if (execution->depth > 0)
        top_of(execution)->took += took;
}

void execution_begin(struct execution *execution, const struct command *command, uint32_t argc,
                     unsigned allows)
{
    check(execution->depth == 0);
    check(!execution->has_reply);
    struct carry outermost = {
        .command = command, .argv = execution->argv, .argc = argc, .allows = allows};
    push(execution, &outermost);
}

/* The top of the stack is executed, or a slice of it. */
static void step(struct execution *execution, struct call *call, struct frame *frame)
{
    const struct frame *ended = execution->has_reply ? frame + 1 : NULL;
    struct bytes carried = ended ? buffer_bytes(&ended->reply) : bytes_of(NULL, 0);
    execution->has_reply = false;
    call->command = frame->command;
    call->argv = frame->argv;
    call->argc = frame->argc;
    call->allows = frame->allows;
    call->walk = &frame->walk;
    call->carried = ended ? &carried : NULL;
    call->carry = &execution->carry;
    call->carry->command = NULL;
    if (!frame->is_begun && execution->frames[0].allows & CMD_WRITE) /* or an entry is half done */
        db_effects_command(call->db);
    frame->is_begun = true;
    command_execute(call, &frame->took);
    call->carried = NULL;
    if (ended && ended->reply.capacity > REPLY_KEEP)
        buffer_deinit(&frame[1].reply);
    check(!call->carry->command || !frame->walk.unfinished);
}

/* What carries the top is a script. */
static bool is_of_script(const struct execution *execution)
{
    return execution->depth > 1 &&
           execution->frames[execution->depth - 2].command->flags & CMD_SCRIPTING;
}

/* False: the top is not finished. */
static bool step_and_move(struct execution *execution, struct call *call)
{
    struct frame *frame = top_of(execution);
    struct reply own = {&frame->reply, frame->protocol};
    struct reply *outermost = call->reply;
    struct rope *rest = call->rest;
    unsigned database = call->database;
    bool may_wait = call->may_wait, is_followed = call->is_followed;
    struct command_check_notice *notice = call->notice;
    call->is_of_script = is_of_script(execution);
    if (execution->depth > 1) {
        call->may_wait = false;
        call->is_followed = true; /* by what is carried next, and it all is of one state */
        call->notice = NULL;
        call->reply = &own;
        call->rest = NULL;
        call->database = frame->database;
    }
    step(execution, call, frame);
    call->reply = outermost;
    call->rest = rest;
    call->may_wait = may_wait;
    call->is_followed = is_followed;
    call->notice = notice;
    call->database = database;
    if (frame->walk.unfinished)
        return false;
    if (execution->carry.command && !call_may_carry(call))
        return false;
    if (execution->carry.command)
        push(execution, &execution->carry);
    else
        pop(execution);
    return true;
}

/* What follows the first step, which is nearly always all there is.  False: not finished. */
static bool go_on_carrying(struct execution *execution, struct call *call)
{
    uint64_t work_end = db_work(call->db) + STEPS_WORK;
    for (unsigned steps = 1; execution->depth > 0; steps++) {
        bool is_enough = steps == STEPS_MAX || db_work(call->db) >= work_end;
        if (is_enough && !call->prepared)
            return false;
        if (!step_and_move(execution, call))
            return false;
    }
    return true;
}

bool execution_go_on(struct execution *execution, struct call *call)
{
    check(execution->depth > 0);
    if (!step_and_move(execution, call))
        return false;
    if (execution->depth > 0 && !go_on_carrying(execution, call))
        return false;
    execution_trim_words(&execution->argv, &execution->argv_capacity);
    return true;
}

void execution_forget(struct execution *execution)
{
    while (execution->depth > 0)
        pop(execution);
    execution->has_reply = false;
    execution_trim_words(&execution->argv, &execution->argv_capacity);
}

void execution_deinit(struct execution *execution)
{
    execution_forget(execution);
    for (unsigned i = 0; i < FRAMES_MAX; i++)
        buffer_deinit(&execution->frames[i].reply);
    if (execution->view)
        db_view_release(execution->view);
    memory_free(execution->argv);
}
