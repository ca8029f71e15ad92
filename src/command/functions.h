/* FUNCTION and FCALL. */
#ifndef COMMAND_FUNCTIONS_H
#define COMMAND_FUNCTIONS_H

#include "command/commands.h"

/* fcall.c */
command_fn cmd_fcall, cmd_fcall_ro;
/* function_command.c */
command_fn cmd_function_load, cmd_function_delete, cmd_function_flush, cmd_function_list;
command_fn cmd_function_stats, cmd_function_kill, cmd_function_help;
command_words_fn words_function_load, words_function_flush, words_function_list;
/* function_dump.c */
command_fn cmd_function_dump, cmd_function_restore;
command_words_fn words_function_restore;

/* function_load.c */
struct function_metadata {
    char name[1024]; /* of the library */
    size_t size;
};
/* Of the line "#!lua name=" before a code; false: answered with what is wrong. */
bool function_metadata_of(struct call *call, struct bytes code, struct function_metadata *metadata);
/* Makes a library of the code; false: answered with what is wrong.  `code` must not be lent by the
 * db.  quote: of the name, in the error that there is one already; NULL: it is replaced. */
bool function_load(struct call *call, struct bytes code, const char *quote,
                   struct function_metadata *metadata);

#endif
