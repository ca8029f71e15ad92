/* INFO's sections commandstats, errorstats and latencystats: what the observer counted.  Local,
 * loop thread only. */
#include <inttypes.h>

#include "command/info.h"

static void line_command(void *context, const struct server_command_stats *command)
{
    struct info *info = context;
    double per_call = command->calls ? (double)command->us / (double)command->calls : 0;
    buffer_printf(info->out,
                  "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
                  ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
                  command->name, command->calls, command->us, per_call, command->rejected,
                  command->failed);
}

void command_info_commandstats(struct info *info)
{
    info->server->ops->each_command(info->server, line_command, info);
}

static void line_error(void *context, const char *name, uint64_t count)
{
    struct info *info = context;
    buffer_printf(info->out, "errorstat_%s:count=%" PRIu64 "\r\n", name, count);
}

void command_info_errorstats(struct info *info)
{
    info->server->ops->each_error(info->server, line_error, info);
}

static void line_latency(void *context, const struct server_command_stats *command)
{
    struct info *info = context;
    if (command->percentiles_count == 0)
        return;
    buffer_printf(info->out, "latency_percentiles_usec_%s:", command->name);
    for (uint32_t i = 0; i < command->percentiles_count; i++)
        buffer_printf(info->out, "%sp%g=%.3f", i ? "," : "", command->percentiles[i].percent,
                      command->percentiles[i].us);
    buffer_printf(info->out, "\r\n");
}

void command_info_latencystats(struct info *info)
{
    info->server->ops->each_command(info->server, line_latency, info);
}
