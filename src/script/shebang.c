/* The line "#!lua flags=no-writes,..." before a script (Redis 7.2 eval.c). */
#include "script/script.h"

struct flag {
    const char *name;
    unsigned flag;
};

static const struct flag flags_known[] = {{"no-writes", SCRIPT_NO_WRITES},
                                          {"allow-oom", SCRIPT_ALLOW_OOM},
                                          {"allow-stale", SCRIPT_ALLOW_STALE},
                                          {"no-cluster", SCRIPT_NO_CLUSTER},
                                          {"allow-cross-slot-keys", SCRIPT_CROSS_SLOT}};

/* The part before the next `mark`, which goes with it. */
static struct bytes take_part(struct bytes *rest, char mark)
{
    const char *end = rest->size ? memchr(rest->data, mark, rest->size) : NULL;
    size_t size = end ? (size_t)(end - (const char *)rest->data) : rest->size;
    struct bytes part = bytes_of(rest->data, size);
    size_t skipped = end ? size + 1 : size;
    *rest = bytes_of((const char *)rest->data + skipped, rest->size - skipped);
    return part;
}

static bool refuse(struct buffer *error, const char *why, struct bytes part)
{
    buffer_printf(error, "ERR %s: %.*s", why, (int)(part.size < 128 ? part.size : 128),
                  (const char *)part.data);
    return false;
}

bool script_flag_of(struct bytes name, unsigned *flag)
{
    for (size_t i = 0; i < sizeof flags_known / sizeof *flags_known; i++)
        if (bytes_equal(name, bytes_from_string(flags_known[i].name))) {
            *flag = flags_known[i].flag;
            return true;
        }
    return false;
}

const char *script_flag_name(unsigned flag)
{
    for (size_t i = 0; i < sizeof flags_known / sizeof *flags_known; i++)
        if (flags_known[i].flag == flag)
            return flags_known[i].name;
    return NULL;
}

static bool read_flag(struct bytes name, unsigned *flags, struct buffer *error)
{
    unsigned flag;
    if (script_flag_of(name, &flag)) {
        *flags |= flag;
        return true;
    }
    return refuse(error, "Unexpected flag in script shebang", name);
}

bool script_flags_of(struct bytes body, unsigned *flags, struct buffer *error)
{
    static const char option[] = "flags=";
    *flags = 0;
    if (body.size < 2 || memcmp(body.data, "#!", 2) != 0)
        return true;
    *flags = SCRIPT_HAS_LINE;
    if (!memchr(body.data, '\n', body.size)) {
        buffer_printf(error, "ERR Invalid script shebang");
        return false;
    }
    struct bytes rest = body;
    struct bytes line = take_part(&rest, '\n');
    if (line.size > 0 && ((const char *)line.data)[line.size - 1] == '\r')
        line.size--;
    struct bytes engine = take_part(&line, ' ');
    if (!bytes_equal(engine, bytes_from_string("#!lua")))
        return refuse(error, "Unexpected engine in script shebang", engine);
    while (line.size > 0) {
        struct bytes word = take_part(&line, ' ');
        if (word.size == 0)
            continue;
        if (word.size < sizeof option - 1 || memcmp(word.data, option, sizeof option - 1) != 0)
            return refuse(error, "Unknown lua shebang option", word);
        struct bytes names =
            bytes_of((const char *)word.data + sizeof option - 1, word.size - sizeof option + 1);
        while (names.size > 0)
            if (!read_flag(take_part(&names, ','), flags, error))
                return false;
    }
    return true;
}
