/* The commands of streams. */
#ifndef COMMAND_STREAMS_H
#define COMMAND_STREAMS_H

#include "command/commands.h"

/* streams.c */
command_fn cmd_xadd, cmd_xlen, cmd_xrange, cmd_xrevrange, cmd_xdel, cmd_xtrim, cmd_xsetid;
command_words_fn words_xadd, words_xtrim, words_xsetid;
/* streams_read.c */
command_fn cmd_xread;

#endif
