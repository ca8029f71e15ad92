/* The payload of a COMMAND entry: the same bytes in the log, on the wire and at apply.
 *
 *   offset size
 *        0    1  version, 3
 *        1    1  meaning: under which version of the commands it is executed, for ever; never 0
 *        2    1  database
 *        3    1  zero
 *        4    4  largest string that the command may make (the leader's proto-max-bulk-len),
 *                0: only the state machine's own bound
 *        8    8  log time (log_time.c), Unix milliseconds, little endian
 *       16    8  seed for random commands
 *       24       the command, command_encode()
 *
 * From meaning 5 on, in front of the command of a request that may wait, whose it is:
 *
 *       24    4  ff ff ff ff: no command has so many words
 *       28    8  node
 *       36    8  its run
 *       44    8  the request's number there
 *       52       the command
 *
 * Versions 1 and 2 have zeros in bytes 1 to 3: meaning 1, database 0.  Of version 1, bytes 4 to 7
 * are zero, too.
 */
#include "base/codec.h"
#include "base/fatal.h"
#include "replica/replica_internal.h"
#include "replica/stamp.h"

enum { OWNER_MARK = 0xff, OWNER_MARK_SIZE = 4, OWNER_SIZE = OWNER_MARK_SIZE + 24 };

static void put_owner(unsigned char *at, const struct request_owner *owner)
{
    check(owner->node != RAFT_NOBODY);
    memset(at, OWNER_MARK, OWNER_MARK_SIZE);
    put_u64(at + OWNER_MARK_SIZE, owner->node);
    put_u64(at + OWNER_MARK_SIZE + 8, owner->run_id);
    put_u64(at + OWNER_MARK_SIZE + 16, owner->waiter_id);
}

static void take_owner(struct bytes *command, struct request_owner *owner)
{
    const unsigned char *at = command->data;
    if (command->size < OWNER_SIZE || get_u32(at) != UINT32_MAX)
        return;
    owner->node = get_u64(at + OWNER_MARK_SIZE);
    owner->run_id = get_u64(at + OWNER_MARK_SIZE + 8);
    owner->waiter_id = get_u64(at + OWNER_MARK_SIZE + 16);
    *command = bytes_of(at + OWNER_SIZE, command->size - OWNER_SIZE);
}

static void put_stamp(unsigned char *at, const struct apply_context *context)
{
    struct stamp stamp = {.meaning = context->meaning,
                          .database = context->database,
                          .value_max = context->value_max,
                          .unix_ms = (uint64_t)context->now_ms,
                          .seed = context->seed};
    check(stamp.meaning > 0); /* or it could not be read back */
    stamp_put(at, &stamp);
}

struct blob *entry_stamp(const struct apply_context *context, const struct blob *command)
{
    struct command_parts whole = {.list = {blob_bytes(command)}, .count = 1};
    return entry_stamp_parts(context, &whole);
}

static size_t size_of(const struct command_parts *command)
{
    size_t size = 0;
    for (uint32_t i = 0; i < command->count; i++)
        size += command->list[i].size;
    return size;
}

struct blob *entry_stamp_parts(const struct apply_context *context,
                               const struct command_parts *command)
{
    size_t owner_size = context->owner.run_id ? OWNER_SIZE : 0;
    check(command->count > 0);
    check(command->count <= COMMAND_PARTS_MAX);
    struct blob *payload = blob_new(STAMP_SIZE + owner_size + size_of(command));
    check(owner_size == 0 || context->meaning >= STAMP_MEANING_WAITS);
    put_stamp(payload->data, context);
    if (owner_size)
        put_owner(payload->data + STAMP_SIZE, &context->owner);
    unsigned char *at = payload->data + STAMP_SIZE + owner_size;
    for (uint32_t i = 0; i < command->count; i++) {
        memcpy(at, command->list[i].data, command->list[i].size);
        at += command->list[i].size;
    }
    check(at == payload->data + payload->size);
    return payload;
}

bool entry_make_some(struct blob **payload, size_t *made, const struct command_parts *command,
                     size_t most)
{
    size_t size = size_of(command), skipped = 0;
    check(*made <= size);
    check(*payload || *made == 0);
    if (!*payload)
        *payload = blob_new(STAMP_SIZE + size);
    check((*payload)->size == STAMP_SIZE + size); /* of the same command as before */
    for (uint32_t i = 0; i < command->count && most > 0; i++) {
        struct bytes whole = command->list[i];
        size_t from = *made - skipped, part = whole.size > from ? whole.size - from : 0;
        part = part < most ? part : most;
        if (part > 0)
            memcpy((*payload)->data + STAMP_SIZE + *made, (const char *)whole.data + from, part);
        *made += part;
        most -= part;
        skipped += whole.size;
        if (*made < skipped)
            break;
    }
    return *made == size;
}

void entry_stamp_made(const struct apply_context *context, struct blob *payload)
{
    check(payload->references == 1);
    check(payload->size >= STAMP_SIZE);
    check(context->owner.run_id == 0);
    put_stamp(payload->data, context);
}

bool entry_unstamp(struct bytes payload, struct apply_context *context, struct bytes *command)
{
    const unsigned char *data = payload.data;
    struct stamp stamp;
    if (!stamp_get(data, payload.size, &stamp))
        return false;
    context->meaning = (uint8_t)stamp.meaning;
    context->database = (uint8_t)stamp.database;
    context->value_max = stamp.value_max;
    context->now_ms = (int64_t)stamp.unix_ms;
    context->seed = stamp.seed;
    *command = bytes_of(data + STAMP_SIZE, payload.size - STAMP_SIZE);
    context->owner = (struct request_owner){.run_id = 0};
    if (context->meaning >= STAMP_MEANING_WAITS)
        take_owner(command, &context->owner);
    check(command->data + command->size == data + payload.size);
    return true;
}
