/* The form in which a command travels between nodes and stands in the log.
 *
 *     u32 argc   argc times: u32 size, size bytes      little endian
 *
 * What comes in is not trusted: every size is checked against what is there. */
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/command.h"

struct blob *command_encode(const struct bytes *argv, uint32_t argc)
{
    size_t size = 4;
    check(argc > 0); /* command_decode() takes no other */
    for (uint32_t i = 0; i < argc; i++)
        size += 4 + argv[i].size;
    struct blob *blob = blob_new(size);
    unsigned char *at = blob->data;
    put_u32(at, argc);
    at += 4;
    for (uint32_t i = 0; i < argc; i++) {
        check(argv[i].size <= UINT32_MAX);
        put_u32(at, (uint32_t)argv[i].size);
        at += 4;
        if (argv[i].size)
            memcpy(at, argv[i].data, argv[i].size);
        at += argv[i].size;
    }
    check(at == blob->data + size);
    return blob;
}

static void reserve(struct bytes **argv, uint32_t *capacity, uint32_t count)
{
    if (count <= *capacity)
        return;
    *argv = memory_resize(*argv, count * sizeof(**argv));
    *capacity = count;
}

bool command_decode(struct bytes encoded, struct bytes **argv, uint32_t *argc, uint32_t *capacity)
{
    const unsigned char *at = encoded.data;
    size_t left = encoded.size;
    if (left < 4)
        return false;
    uint32_t count = get_u32(at);
    at += 4;
    left -= 4;
    if (count == 0 || count > left / 4)
        return false;
    reserve(argv, capacity, count);
    for (uint32_t i = 0; i < count; i++) {
        if (left < 4)
            return false;
        uint32_t size = get_u32(at);
        at += 4;
        left -= 4;
        if (size > left)
            return false;
        (*argv)[i] = bytes_of(at, size);
        at += size;
        left -= size;
    }
    *argc = count;
    return left == 0;
}
