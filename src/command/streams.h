/* The commands of streams. */
#ifndef COMMAND_STREAMS_H
#define COMMAND_STREAMS_H

#include "command/commands.h"

/* streams.c */
command_fn cmd_xadd, cmd_xlen, cmd_xrange, cmd_xrevrange, cmd_xdel, cmd_xtrim, cmd_xsetid;
command_words_fn words_xadd, words_xtrim, words_xsetid;
/* How many entries XTRIM would take away; nothing is answered that counts. */
uint64_t command_stream_trim_size(struct call *call);
/* How many XAUTOCLAIM looks at, and XREADGROUP delivers, if they can be prepared. */
uint64_t command_autoclaim_size(struct call *call);
uint64_t series_delivery_size(struct call *call);
/* How much is pending that XGROUP DESTROY and DELCONSUMER take away, or how many that take as long;
 * nothing is answered that counts. */
uint64_t command_group_size(struct call *call);
uint64_t command_consumer_size(struct call *call);
/* Whether an XADD trims as well, and about how many; likewise. */
bool command_stream_entry_trims(struct call *call, uint64_t *size);
/* How many pages and rows there ever were of the stream at the key: about what it takes to copy. */
uint64_t command_stream_pages(struct call *call, struct bytes key);
/* stream_read.c */
command_fn cmd_xread, cmd_xreadgroup;
command_words_fn words_xreadgroup;
/* stream_groups.c */
command_fn cmd_xgroup_create, cmd_xgroup_setid, cmd_xgroup_destroy, cmd_xgroup_createconsumer;
command_fn cmd_xgroup_delconsumer, cmd_xgroup_help, cmd_xack, cmd_xpending;
command_words_fn words_xgroup_create, words_xgroup_setid;
/* stream_claims.c */
command_fn cmd_xclaim, cmd_xautoclaim;
command_words_fn words_xautoclaim;
/* stream_info.c */
command_fn cmd_xinfo_stream, cmd_xinfo_groups, cmd_xinfo_consumers, cmd_xinfo_help;

#endif
