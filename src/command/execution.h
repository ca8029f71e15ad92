/* An execution: the command that the log or a reader asked for, and what that carries in its turn.
 *
 *     ONCE -> command, EXEC -> command, ONCE -> EXEC -> command; later EXEC -> script -> command
 *
 * Each has a frame: its own words, its own progress, its own line in the statistics.  A command
 * that carries another names it with call_carry() and returns; when that has ended, in this slice
 * or in a later one, it is executed again and finds the reply in call->carried.  So a command at
 * any depth is done in slices, and nothing here recurs. */
#ifndef COMMAND_EXECUTION_H
#define COMMAND_EXECUTION_H

#include "command/commands.h"

/* ONCE, EXEC, a script, its command.  What may carry what bounds the depth; more is a bug. */
enum { FRAMES_MAX = 4 };

struct frame {
    const struct command *command;
    const struct bytes *argv; /* borrowed: of the execution, or from who carries it */
    uint32_t argc;
    unsigned allows;        /* CMD_READ, CMD_WRITE: which of them it may carry */
    struct walk_state walk; /* unfinished: its next slice begins there */
    int protocol;           /* of the reply; the outermost's is the call's */
    unsigned database;      /* likewise */
    bool is_begun;
    struct buffer reply; /* of what is carried */
    uint64_t took;       /* so far, what it carried included: the observer's */
};

struct execution {
    struct bytes *argv; /* owned: the words of the outermost, kept until the last slice */
    uint32_t argv_capacity;
    uint32_t depth;     /* frames in use; 0: nothing is under way */
    bool has_reply;     /* frames[depth] has ended, and its carrier has not seen its reply yet */
    struct carry carry; /* what the top asked for in its last step */
    struct walk_state *prepared; /* borrowed, of what is carried next: it begins there; or NULL */
    struct frame frames[FRAMES_MAX];
    struct db_view *view; /* of a read that goes on, owned; else NULL */
    int64_t now_ms;       /* likewise: the time of its first slice */
};

/* With the words in execution->argv; nothing is under way. */
void execution_begin(struct execution *execution, const struct command *command, uint32_t argc,
                     unsigned allows);
/* One slice.  `call` has the context, and the reply of the outermost.  True: finished; false: to be
 * called again, with the same context. */
bool execution_go_on(struct execution *execution, struct call *call);
/* Forgets what is under way, if anything is. */
void execution_forget(struct execution *execution);
void execution_deinit(struct execution *execution);

/* Gives back the room of unusually many words. */
void execution_trim_words(struct bytes **words, uint32_t *capacity);

#endif
