/* What the sections of INFO share. */
#ifndef COMMAND_INFO_H
#define COMMAND_INFO_H

#include "command/raft_info.h"
#include "command/server.h"

/* All that a section may print from. */
struct info {
    struct buffer *out;
    struct server *server;
    struct server_stats stats;
    struct server_raft raft;
    int64_t now_ms;
};

void command_info_number(struct info *info, const char *name, uint64_t value);
void command_info_text(struct info *info, const char *name, const char *value);
/* Redis's names, blanks between, of what never happens here: each 0. */
void command_info_zeros(struct info *info, const char *names);

typedef void command_info_fn(struct info *info);
/* info_process.c */
command_info_fn command_info_server, command_info_clients, command_info_memory;
command_info_fn command_info_persistence, command_info_stats, command_info_cpu;
/* info_commands.c */
command_info_fn command_info_commandstats, command_info_errorstats, command_info_latencystats;

#endif
