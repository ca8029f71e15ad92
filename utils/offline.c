/* See offline.h. */
#include "offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/fatal.h"
#include "command/command.h"
#include "replica/replica.h"

enum { CHECKPOINT_BYTES = 64 << 20 };

void offline_open(struct offline *offline, struct kv *kv, raft_term term, int64_t now_ms,
                  uint64_t seed)
{
    const struct db_options options = {.checkpoint_bytes = CHECKPOINT_BYTES}; /* nobody's cluster */
    *offline = (struct offline){.kv = kv, .term = term, .now_ms = now_ms, .seed = seed};
    offline->db = db_open(kv, &options);
    offline->machine = command_machine_new(offline->db, command_meaning_newest);
}

void offline_close(struct offline *offline)
{
    command_machine_free(offline->machine);
    db_close(offline->db);
}

static struct apply_context context_of(const struct offline *offline, unsigned database)
{
    struct raft_pos pos = {.term = offline->term, .index = db_applied_index(offline->db) + 1};
    return (struct apply_context){.pos = pos,
                                  .meaning = command_meaning_newest,
                                  .database = (uint8_t)database,
                                  .now_ms = offline->now_ms,
                                  .seed = offline->seed + pos.index};
}

bool offline_write(struct offline *offline, unsigned database, const struct bytes *words,
                   uint32_t count, struct buffer *reply)
{
    const struct state_machine_ops *ops = offline->machine->ops;
    struct apply_context context = context_of(offline, database);
    struct blob *command = command_encode(words, count);
    buffer_clear(reply);
    while (!ops->apply(offline->machine, &context, blob_bytes(command), 2, reply))
        continue;
    ops->applied(offline->machine, context.pos, context.now_ms, context.meaning);
    blob_release(command);
    return reply->data[0] != '-';
}

bool offline_read(struct offline *offline, unsigned database, const struct bytes *words,
                  uint32_t count, struct buffer *reply)
{
    struct apply_context context = context_of(offline, database);
    struct blob *command = command_encode(words, count);
    void *reading = NULL;
    buffer_clear(reply);
    while (!offline->machine->ops->read(offline->machine, &reading, &context, blob_bytes(command),
                                        2, reply, NULL))
        db_poll(offline->db);
    blob_release(command);
    return reply->data[0] != '-';
}

struct raft_pos offline_store(struct offline *offline)
{
    struct raft_pos pos = {.term = offline->term, .index = db_applied_index(offline->db)};
    db_checkpoint(offline->db);
    check(db_persisted_index(offline->db) == pos.index);
    return pos;
}

struct bytes offline_bulk(const struct buffer *reply)
{
    check(reply->size > 0 && reply->data[0] == '$');
    char *behind;
    size_t size = strtoul(reply->data + 1, &behind, 10);
    size_t at = (size_t)(behind - reply->data) + 2;
    check(at + size + 2 == reply->size);
    return bytes_of(reply->data + at, size);
}

const char *offline_error(const struct buffer *reply)
{
    static char text[512];
    size_t size = reply->size > 3 ? reply->size - 3 : 0;
    snprintf(text, sizeof text, "%.*s", (int)size, reply->data + 1);
    return text;
}
