/* The payload of a COMMAND entry: the same bytes in the log, on the wire and at apply.
 *
 *   offset size
 *        0    1  version, 2; of version 1, bytes 4 to 7 are zero
 *        1    3  zero
 *        4    4  largest string that the command may make (the leader's proto-max-bulk-len),
 *                0: only the state machine's own bound
 *        8    8  leader's wall clock, milliseconds, little endian
 *       16    8  seed for random commands
 *       24       the command, command_encode()
 */
#include "base/codec.h"
#include "replica/replica_internal.h"

enum { STAMP_VERSION = 2, STAMP_VERSION_OLDEST = 1, STAMP_SIZE = 24 };

struct blob *entry_stamp(const struct apply_context *context, const struct blob *command)
{
    struct blob *payload = blob_new(STAMP_SIZE + command->size);
    memset(payload->data, 0, STAMP_SIZE);
    payload->data[0] = STAMP_VERSION;
    put_u32(payload->data + 4, context->value_max);
    put_u64(payload->data + 8, (uint64_t)context->now_ms);
    put_u64(payload->data + 16, context->seed);
    memcpy(payload->data + STAMP_SIZE, command->data, command->size);
    return payload;
}

bool entry_unstamp(struct bytes payload, struct apply_context *context, struct bytes *command)
{
    const unsigned char *data = payload.data;
    if (payload.size < STAMP_SIZE || data[0] < STAMP_VERSION_OLDEST || data[0] > STAMP_VERSION)
        return false;
    context->value_max = get_u32(data + 4);
    context->now_ms = (int64_t)get_u64(data + 8);
    context->seed = get_u64(data + 16);
    *command = bytes_of(data + STAMP_SIZE, payload.size - STAMP_SIZE);
    return true;
}
