/* The commands of lists. */
#ifndef COMMAND_LISTS_H
#define COMMAND_LISTS_H

#include "command/commands.h"

command_fn cmd_lpush, cmd_rpush, cmd_lpushx, cmd_rpushx, cmd_lpop, cmd_rpop, cmd_lmpop, cmd_llen;
command_fn cmd_lindex, cmd_lrange, cmd_lset, cmd_linsert, cmd_lrem, cmd_ltrim, cmd_lpos, cmd_lmove;
command_fn cmd_rpoplpush, cmd_blpop, cmd_brpop, cmd_blmove, cmd_brpoplpush, cmd_blmpop;
command_words_fn words_lpop, words_lmpop, words_lset, words_linsert, words_lrem, words_ltrim;
command_words_fn words_lmove;
/* How many elements LTRIM would take away; nothing is answered that counts. */
uint64_t command_list_trim_size(struct call *call);
/* The same of LPOP and RPOP, and of LMPOP, which looks at so many keys. */
uint64_t command_list_pop_size(struct call *call);
uint64_t command_list_mpop_size(struct call *call, uint32_t *keys);

#endif
