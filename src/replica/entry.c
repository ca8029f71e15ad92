/* The payload of a COMMAND entry: the same bytes in the log, on the wire and at apply.
 *
 *   offset size
 *        0    1  version, 1
 *        1    7  zero
 *        8    8  leader's wall clock, milliseconds, little endian
 *       16    8  seed for random commands
 *       24       the command, command_encode()
 */
#include "base/codec.h"
#include "replica/replica_internal.h"

enum { STAMP_VERSION = 1, STAMP_SIZE = 24 };

struct blob *entry_stamp(int64_t unix_ms, uint64_t seed, const struct blob *command)
{
    struct blob *payload = blob_new(STAMP_SIZE + command->size);
    memset(payload->data, 0, STAMP_SIZE);
    payload->data[0] = STAMP_VERSION;
    put_u64(payload->data + 8, (uint64_t)unix_ms);
    put_u64(payload->data + 16, seed);
    memcpy(payload->data + STAMP_SIZE, command->data, command->size);
    return payload;
}

bool entry_unstamp(struct bytes payload, struct apply_context *context, struct bytes *command)
{
    const unsigned char *data = payload.data;
    if (payload.size < STAMP_SIZE || data[0] != STAMP_VERSION)
        return false;
    context->now_ms = (int64_t)get_u64(data + 8);
    context->seed = get_u64(data + 16);
    *command = bytes_of(data + STAMP_SIZE, payload.size - STAMP_SIZE);
    return true;
}
