/* Scripts as commands, and what they have in common with functions. */
#ifndef COMMAND_EVAL_H
#define COMMAND_EVAL_H

#include "command/commands.h"

/* eval.c */
command_fn cmd_eval, cmd_eval_ro, cmd_evalsha, cmd_evalsha_ro;
command_words_fn words_eval;
/* script_command.c */
command_fn cmd_script_load, cmd_script_exists, cmd_script_flush, cmd_script_kill, cmd_script_debug;
command_fn cmd_script_help;
command_words_fn words_script_load, words_script_flush;

/* eval.c, for functions.  A script or function of the call that is under way goes on; false: there
 * is none, or it was prepared and its code is to be looked at first. */
bool call_goes_on(struct call *call);
/* argv[1] of the library that the code is, with the keys and arguments behind it. */
void call_run_function(struct call *call, struct bytes sha, struct bytes code, bool may_write);

/* Of a script or function that is run before its entry, whole, so far: whether its words name the
 * same by now; call->walk is that of its preparation. */
bool command_script_is_same(struct call *call);
/* fcall.c.  Whether the function at argv[1] is of the library with this code. */
bool command_function_is(struct call *call, struct bytes sha);

/* script_pool.c.  A machine for a script; NULL: too many that read are under way (of an entry
 * never). */
struct script *script_pool_take(const struct call *call);
void script_pool_give_back(struct script *script);
/* Bytes of the machines that are kept for the next; the others are a script's under way. */
uint64_t script_pool_memory(void);

#endif
