/* Commands on their way (command_encode) and as payloads of the log (entry_stamp): what is
 * accepted, encoded again, is the same bytes, and no word reaches beyond them. */
#include "fuzz.h"

#include "base/blob.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/command.h"
#include "replica/replica_internal.h"

static void check_command(struct bytes encoded)
{
    static struct bytes *argv; /* kept, as the callers do */
    static uint32_t capacity;
    uint32_t argc = 0;
    if (!command_decode(encoded, &argv, &argc, &capacity))
        return;
    check(argc > 0);
    check(argc <= capacity);
    for (uint32_t i = 0; i < argc; i++) {
        const char *word = argv[i].data, *start = encoded.data;
        check(word >= start + 4);
        check(word + argv[i].size <= start + encoded.size);
    }
    struct blob *again = command_encode(argv, argc);
    check(bytes_equal(blob_bytes(again), encoded));
    blob_release(again);
}

/* But for the version: an older one is written as the present one, with its meaning. */
static void check_stamp(struct bytes payload)
{
    struct apply_context context;
    struct bytes command;
    if (!entry_unstamp(payload, &context, &command))
        return;
    struct blob *copy = blob_copy(command);
    struct blob *again = entry_stamp(&context, copy);
    const unsigned char *start = payload.data;
    check(again->size == payload.size);
    check(start[0] <= again->data[0]);
    check(start[0] == again->data[0] || again->data[1] == 1);
    size_t same = start[0] == again->data[0] ? 1 : 2;
    check(memcmp(again->data + same, start + same, payload.size - same) == 0);
    blob_release(again);
    blob_release(copy);
    check_command(command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_command(bytes_of(data, size));
    check_stamp(bytes_of(data, size));
    return 0;
}
