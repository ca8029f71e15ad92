/* The commands of sorted sets, and what their files share. */
#ifndef COMMAND_SORTED_SETS_H
#define COMMAND_SORTED_SETS_H

#include "command/commands.h"

/* sorted_sets.c */
command_fn cmd_zadd, cmd_zincrby, cmd_zcard, cmd_zscore, cmd_zmscore, cmd_zrank, cmd_zrevrank;
command_fn cmd_zrem, cmd_zpopmin, cmd_zpopmax, cmd_zmpop, cmd_zrandmember, cmd_zscan;
command_fn cmd_bzpopmin, cmd_bzpopmax, cmd_bzmpop;
command_words_fn words_zadd, words_zincrby, words_zpop, words_zmpop;
/* sorted_ranges.c */
command_fn cmd_zcount, cmd_zlexcount, cmd_zrange, cmd_zrevrange, cmd_zrangebyscore;
command_fn cmd_zrevrangebyscore, cmd_zrangebylex, cmd_zrevrangebylex, cmd_zrangestore;
command_fn cmd_zremrangebyrank, cmd_zremrangebyscore, cmd_zremrangebylex;
command_words_fn words_zrange, words_zrangestore, words_zremrange;
/* How many elements ZRANGESTORE would store; nothing is answered that counts. */
uint64_t sorted_store_size(struct call *call);
/* The same of what ZREMRANGEBY* would remove. */
uint64_t sorted_remove_size(struct call *call);
/* And of what ZPOPMIN and ZPOPMAX take out, and ZMPOP, which looks at so many keys. */
uint64_t sorted_pop_size(struct call *call);
uint64_t sorted_mpop_size(struct call *call, uint32_t *keys);
/* sorted_unions.c */
command_fn cmd_zunion; /* all of them */
command_words_fn words_zunion;

#endif
