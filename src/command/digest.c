/* See digest.h.  XXH3's result is the same on every machine, byte order included.  Loop thread. */
#include "command/digest.h"

#include <ctype.h>
#include <stdio.h>
#include <xxhash.h>

#include "command/commands.h"

enum { DIGEST_SIZE = 16 };

static void digest_of(struct bytes value, char text[DIGEST_SIZE + 1])
{
    unsigned long long digest = XXH3_64bits(value.data ? value.data : "", value.size);
    snprintf(text, DIGEST_SIZE + 1, "%016llx", digest);
}

bool string_is_digest(struct bytes word)
{
    const unsigned char *text = word.data;
    for (size_t i = 0; i < word.size; i++)
        if (!isxdigit(text[i]))
            return false;
    return word.size == DIGEST_SIZE;
}

bool string_has_digest(struct bytes value, struct bytes digest)
{
    char text[DIGEST_SIZE + 1];
    digest_of(value, text);
    return bytes_is(digest, text);
}

void cmd_digest(struct call *call)
{
    struct bytes value;
    bool exists;
    char text[DIGEST_SIZE + 1];
    if (!call_get_string(call, call->argv[1], &value, &exists))
        return;
    if (exists)
        digest_of(value, text);
    call_reply_value(call->reply, bytes_of(text, DIGEST_SIZE), exists);
}
