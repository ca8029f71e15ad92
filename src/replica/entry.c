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
 * Versions 1 and 2 have zeros in bytes 1 to 3: meaning 1, database 0.  Of version 1, bytes 4 to 7
 * are zero, too.
 */
#include "replica/replica_internal.h"
#include "replica/stamp.h"

struct blob *entry_stamp(const struct apply_context *context, const struct blob *command)
{
    struct blob *payload = blob_new(STAMP_SIZE + command->size);
    struct stamp stamp = {.meaning = context->meaning,
                          .database = context->database,
                          .value_max = context->value_max,
                          .unix_ms = (uint64_t)context->now_ms,
                          .seed = context->seed};
    stamp_put(payload->data, &stamp);
    memcpy(payload->data + STAMP_SIZE, command->data, command->size);
    return payload;
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
    return true;
}
