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

/* script_pool.c.  A machine for a script; NULL: too many are under way. */
struct script *script_pool_take(void);
void script_pool_give_back(struct script *script);

#endif
