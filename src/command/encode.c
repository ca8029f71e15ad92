/* The form in which a command travels between nodes and stands in the log.
 *
 *     u32 argc   argc times: u32 size, size bytes      little endian
 *
 * What comes in is not trusted: every size is checked against what is there. */
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "command/command.h"

static struct blob *encoded_new(const struct bytes *argv, uint32_t argc)
{
    size_t size = 4;
    check(argc > 0); /* command_decode() takes no other */
    for (uint32_t i = 0; i < argc; i++)
        size += 4 + argv[i].size;
    struct blob *blob = blob_new(size);
    put_u32(blob->data, argc);
    return blob;
}

struct blob *command_encode(const struct bytes *argv, uint32_t argc)
{
    struct blob *blob = encoded_new(argv, argc);
    unsigned char *at = blob->data + 4;
    for (uint32_t i = 0; i < argc; i++) {
        check(argv[i].size <= UINT32_MAX);
        put_u32(at, (uint32_t)argv[i].size);
        at += 4;
        if (argv[i].size)
            memcpy(at, argv[i].data, argv[i].size);
        at += argv[i].size;
    }
    check(at == blob->data + blob->size);
    return blob;
}

/* The size of the next word. */
static void begin_word(struct command_encoding *encoding, struct bytes word)
{
    check(word.size <= UINT32_MAX);
    put_u32(encoding->blob->data + encoding->at, (uint32_t)word.size);
    encoding->at += 4;
    encoding->left = word.size;
    encoding->is_inside = true;
}

/* So many bytes of that word, or what is left of it; how many those are. */
static size_t encode_part(struct command_encoding *encoding, struct bytes word, size_t most)
{
    size_t part = encoding->left < most ? encoding->left : most;
    if (part)
        memcpy(encoding->blob->data + encoding->at,
               (const char *)word.data + word.size - encoding->left, part);
    encoding->at += part;
    encoding->left -= part;
    return part;
}

bool command_encode_some(struct command_encoding *encoding, const struct bytes *argv, uint32_t argc,
                         size_t *left)
{
    if (!encoding->blob)
        *encoding = (struct command_encoding){.blob = encoded_new(argv, argc), .at = 4};
    while (*left > 0 && encoding->words < argc) {
        struct bytes word = argv[encoding->words];
        if (!encoding->is_inside)
            begin_word(encoding, word);
        size_t cost = COMMAND_ENCODED_WORD + encode_part(encoding, word, *left);
        *left -= cost < *left ? cost : *left;
        encoding->is_inside = encoding->left > 0;
        encoding->words += !encoding->is_inside;
    }
    check(encoding->words < argc || encoding->at == encoding->blob->size);
    return encoding->words == argc;
}

void command_encoding_drop(struct command_encoding *encoding)
{
    blob_release(encoding->blob);
    *encoding = (struct command_encoding){0};
}

/* The next word; moves on.  False: it is not whole. */
static bool next_word(struct bytes *left, struct bytes *word)
{
    const unsigned char *at = left->data;
    uint32_t size = left->size < 4 ? 0 : get_u32(at);
    if (left->size < 4 || size > left->size - 4)
        return false;
    *word = bytes_of(at + 4, size);
    *left = bytes_of(at + 4 + size, left->size - 4 - size);
    return true;
}

uint32_t command_first_words(struct bytes encoded, struct bytes *argv, uint32_t max)
{
    uint32_t argc = 0;
    if (encoded.size < 4)
        return 0;
    uint32_t count = get_u32(encoded.data);
    struct bytes left = bytes_of((const unsigned char *)encoded.data + 4, encoded.size - 4);
    while (argc < max && argc < count && next_word(&left, &argv[argc]))
        argc++;
    return argc;
}

uint32_t command_word_count(struct bytes encoded)
{
    return encoded.size < 4 ? 0 : get_u32(encoded.data);
}

static void reserve(struct bytes **argv, uint32_t *capacity, uint32_t count)
{
    if (count <= *capacity)
        return;
    *argv = memory_resize(*argv, count * sizeof(**argv));
    *capacity = count;
}

bool command_decode_some(struct bytes encoded, struct bytes **argv, uint32_t *argc,
                         uint32_t *capacity, struct command_decoding *decoding, uint32_t most)
{
    if (encoded.size < 4)
        return false;
    uint32_t count = get_u32(encoded.data);
    if (count == 0 || count > (encoded.size - 4) / 4)
        return false;
    if (decoding->words == 0)
        *decoding = (struct command_decoding){.at = 4};
    struct bytes left =
        bytes_of((const unsigned char *)encoded.data + decoding->at, encoded.size - decoding->at);
    uint32_t end = count - decoding->words > most ? decoding->words + most : count;
    reserve(argv, capacity, count);
    for (uint32_t i = decoding->words; i < end; i++)
        if (!next_word(&left, &(*argv)[i]))
            return false;
    *decoding = (struct command_decoding){end, encoded.size - left.size};
    *argc = count;
    return end < count || left.size == 0;
}

bool command_decode(struct bytes encoded, struct bytes **argv, uint32_t *argc, uint32_t *capacity)
{
    struct command_decoding decoding = {0};
    return command_decode_some(encoded, argv, argc, capacity, &decoding, UINT32_MAX);
}
