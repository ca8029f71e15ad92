/* See slowlog.h; what is kept of the words is as in Redis 7.2 (slowlog.c).  Loop thread only. */
#include "command/slowlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "command/redact.h"

enum { WORDS_MAX = 32, WORD_MAX = 128 };

/* ---- what is kept of a command ------------------------------------------------- */

static void keep_word(struct reply *reply, struct bytes word)
{
    if (word.size <= WORD_MAX) {
        reply_bulk(reply, word);
        return;
    }
    struct buffer cut = {0};
    buffer_append(&cut, word.data, WORD_MAX);
    buffer_printf(&cut, "... (%zu more bytes)", word.size - WORD_MAX);
    reply_bulk(reply, buffer_bytes(&cut));
    buffer_deinit(&cut);
}

static void keep_words(struct buffer *out, const struct call *call)
{
    struct reply reply = {out, 2};
    bool is_cut = call->argc > WORDS_MAX;
    uint32_t kept = is_cut ? WORDS_MAX - 1 : call->argc;
    reply_array(&reply, is_cut ? WORDS_MAX : call->argc);
    for (uint32_t i = 0; i < kept; i++)
        keep_word(&reply, command_shown_word(call->command, call->argv, i));
    if (!is_cut)
        return;
    char more[64];
    snprintf(more, sizeof more, "... (%" PRIu32 " more arguments)", call->argc - kept);
    reply_bulk_string(&reply, more);
}

/* ---- the log ------------------------------------------------------------------- */

static void forget(struct slowlog *slowlog, struct slow_command *command)
{
    check(slowlog->count > 0);
    DL_DELETE(slowlog->newest, command);
    slowlog->count--;
    buffer_deinit(&command->words);
    memory_free(command->name);
    memory_free(command);
}

void command_slowlog_add(struct slowlog *slowlog, const struct call *call,
                         const struct slowlog_client *client, int64_t took_us, int64_t at_s,
                         uint64_t max)
{
    struct slow_command *command = memory_new(sizeof *command);
    command->id = slowlog->next_id++;
    command->at_s = at_s;
    command->took_us = took_us;
    keep_words(&command->words, call);
    snprintf(command->address, sizeof command->address, "%s", client->address);
    command->name = client->name ? memory_string(client->name) : NULL;
    DL_PREPEND(slowlog->newest, command);
    slowlog->count++;
    while (slowlog->count > max) {
        check(slowlog->newest);
        forget(slowlog, slowlog->newest->prev); /* utlist: the last one */
    }
}

void command_slowlog_clear(struct slowlog *slowlog)
{
    while (slowlog->newest)
        forget(slowlog, slowlog->newest);
}
