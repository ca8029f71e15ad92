/* See comparing.h. */
#include "comparing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "nodes.h"

enum { POLL_MS = 200 };

static const char *text_of(const redisReply *map, const char *name)
{
    const redisReply *field = node_field(map, name);
    return field && field->str && field->str[0] ? field->str : "-";
}

/* NULL, and said so. */
static redisReply *ask(redisContext *connection, const char *command)
{
    redisReply *reply = redisCommand(connection, command);
    if (reply && reply->type == REDIS_REPLY_ARRAY)
        return reply;
    file_refused("the node", !reply                             ? connection->errstr
                             : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                                : "it has forgotten the check");
    freeReplyObject(reply);
    return NULL;
}

static bool is_running(const redisReply *check)
{
    return strcmp(text_of(check, "verdict"), "running") == 0;
}

static size_t answers_of(const redisReply *members)
{
    size_t answers = 0;
    for (size_t i = 0; i < members->elements; i++)
        answers += strcmp(text_of(members->element[i], "state"), "waiting") != 0;
    return answers;
}

/* Of the others' reading nothing is heard until they are done. */
static void show_progress(const redisReply *check, bool is_end)
{
    const redisReply *members = node_field(check, "members");
    if (!members || !file_progress_is_due(is_end))
        return;
    double bytes = (double)node_integer(node_field(check, "bytes"), 0);
    double expected = (double)node_integer(node_field(check, "bytes-expected"), 0);
    fprintf(stderr, "\rthis node has read %.1f of about %.1f MB; %zu of %zu members have answered",
            bytes / 1e6, (expected > bytes ? expected : bytes) / 1e6, answers_of(members),
            members->elements);
    if (is_end)
        fprintf(stderr, "\n");
}

static void print_members(const redisReply *members)
{
    printf("%-5s %-9s %-16s %11s %14s\n", "node", "is", "hash", "rows", "bytes");
    for (size_t i = 0; i < members->elements; i++) {
        const redisReply *member = members->element[i];
        printf("%-5" PRId64 " %-9s %-16s %11" PRId64 " %14" PRId64 "\n",
               node_integer(node_field(member, "id"), -1), text_of(member, "state"),
               text_of(member, "hash"), node_integer(node_field(member, "rows"), 0),
               node_integer(node_field(member, "bytes"), 0));
    }
}

static enum comparing conclude(const redisReply *check)
{
    const redisReply *members = node_field(check, "members");
    const char *verdict = text_of(check, "verdict");
    if (members)
        print_members(members);
    printf("\nentry %" PRId64 ": %s\n", node_integer(node_field(check, "index"), 0), verdict);
    if (strcmp(verdict, "equal") == 0)
        return COMPARING_EQUAL;
    bool differs = strcmp(verdict, "different") == 0 || strcmp(verdict, "undecided") == 0;
    return differs ? COMPARING_DIFFERENT : COMPARING_UNKNOWN;
}

enum comparing comparing_run(redisContext *connection)
{
    const struct timespec poll = {.tv_nsec = POLL_MS * 1000000L};
    redisReply *check = ask(connection, "RAFT.CHECK TIMEOUT 0");
    while (check && is_running(check)) {
        show_progress(check, false);
        freeReplyObject(check);
        nanosleep(&poll, NULL);
        check = ask(connection, "RAFT.CHECK STATUS");
    }
    if (!check)
        return COMPARING_UNKNOWN;
    show_progress(check, true);
    enum comparing result = conclude(check);
    freeReplyObject(check);
    return result;
}
