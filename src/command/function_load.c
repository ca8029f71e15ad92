/* A library of functions is made of its code (Redis 7.2 functions.c).  Deterministic; loop thread
 * only. */
#include "base/codec.h"
#include "base/fatal.h"
#include "command/eval.h"
#include "command/function_store.h"
#include "command/functions.h"
#include "script/script.h"

/* ---- the line before the code ---------------------------------------------------------------- */

/* The next word of the line, without its quotes.  False: there is none, or *is_right says that it
 * is none. */
static bool next_word(struct bytes line, size_t *at, struct buffer *word, bool *is_right)
{
    const char *text = line.data;
    char quote = 0;
    buffer_clear(word);
    while (*at < line.size && (text[*at] == ' ' || text[*at] == '\t' || text[*at] == '\r'))
        ++*at;
    if (*at == line.size)
        return false;
    for (; *at < line.size && (quote || text[*at] != ' '); ++*at) {
        char byte = text[*at];
        bool is_mark = byte == '"' || byte == '\'';
        if (quote ? byte == quote : is_mark)
            quote = quote ? 0 : byte;
        else
            buffer_append_byte(word, byte);
    }
    *is_right = !quote;
    return !quote;
}

static bool refuse(struct call *call, const char *format, const struct buffer *word, size_t from)
{
    size_t size = word->size - from < 128 ? word->size - from : 128;
    reply_error(call->reply, format, (int)size, word->size ? word->data + from : "");
    return false;
}

static bool take_word(struct call *call, const struct buffer *word,
                      struct function_metadata *metadata, bool *has_name)
{
    static const char option[] = "name=";
    size_t skipped = sizeof option - 1;
    if (word->size < skipped || strncasecmp(word->data, option, skipped) != 0)
        return refuse(call, "ERR Invalid metadata value given: %.*s", word, 0);
    if (*has_name)
        return call_refuse(call, "ERR Invalid metadata value, name argument was given multiple "
                                 "times");
    struct bytes name = bytes_of(word->data + skipped, word->size - skipped);
    *has_name = true;
    metadata->size = name.size <= sizeof metadata->name ? name.size : 0;
    memcpy(metadata->name, name.data, metadata->size);
    return true;
}

/* Behind "#!"; *engine is the first word. */
static bool take_line(struct call *call, struct bytes line, struct function_metadata *metadata,
                      struct buffer *engine)
{
    struct buffer word = {0};
    bool is_right = true, has_name = false, is_fine = true;
    size_t at = 0;
    if (line.size > 0 && *(const char *)line.data != ' ')
        next_word(line, &at, engine, &is_right);
    while (is_right && is_fine && next_word(line, &at, &word, &is_right))
        is_fine = take_word(call, &word, metadata, &has_name);
    buffer_deinit(&word);
    if (!is_right)
        return call_refuse(call, "ERR Invalid library metadata");
    if (is_fine && !has_name)
        return call_refuse(call, "ERR Library name was not given");
    return is_fine;
}

bool function_metadata_of(struct call *call, struct bytes code, struct function_metadata *metadata)
{
    const char *text = code.data;
    struct buffer engine = {0};
    metadata->size = 0;
    if (code.size < 2 || text[0] != '#' || text[1] != '!')
        return call_refuse(call, "ERR Missing library metadata");
    const char *end = memchr(text, '\n', code.size);
    if (!end)
        return call_refuse(call, "ERR Invalid library metadata");
    bool is_right =
        take_line(call, bytes_of(text + 2, (size_t)(end - text - 2)), metadata, &engine);
    if (is_right && !script_is_word(bytes_of(metadata->name, metadata->size)))
        is_right = call_refuse(call, "ERR Library names can only contain letters, numbers, or "
                                     "underscores(_) and must be at least one character long");
    else if (is_right && !bytes_is(buffer_bytes(&engine), "lua"))
        is_right = refuse(call, "ERR Engine '%.*s' not found", &engine, 0);
    buffer_deinit(&engine);
    return is_right;
}

/* ---- the code -------------------------------------------------------------------------------- */

static void add_sized(struct buffer *out, struct bytes text)
{
    unsigned char size[4];
    put_u32(size, (uint32_t)text.size);
    buffer_append(out, size, sizeof size);
    buffer_append_bytes(out, text);
}

/* Another library has a function of that name. */
static bool is_taken(struct call *call, struct bytes function, struct bytes library)
{
    struct buffer owner = {0};
    unsigned flags;
    bool is_there = function_store_find(call, function, &flags, &owner);
    bool is_others = is_there && !bytes_equal(buffer_bytes(&owner), library);
    buffer_deinit(&owner);
    return is_others;
}

/* What the machine has loaded, into `registered`; false: answered. */
static bool take_registered(struct call *call, const struct script *script, struct bytes library,
                            struct buffer *registered)
{
    struct script_function function;
    size_t at = 0;
    while (script_registered(script, &at, &function)) {
        if (is_taken(call, function.name, library)) {
            reply_error(call->reply, "ERR Function %.*s already exists",
                        (int)(function.name.size < 128 ? function.name.size : 128),
                        (const char *)function.name.data);
            return false;
        }
        buffer_append_byte(registered, (char)function.flags);
        add_sized(registered, function.name);
        add_sized(registered, function.description);
    }
    return true;
}

static bool store(struct call *call, struct script *script, struct bytes name, struct bytes code)
{
    char sha[SCRIPT_SHA_SIZE + 1];
    struct buffer error = {0}, registered = {0};
    script_sha(code, sha);
    sha[0] = 'L'; /* no script's */
    struct bytes key = bytes_of(sha, SCRIPT_SHA_SIZE);
    bool is_right = script_loads(script, key, code, &error);
    if (!is_right)
        reply_raw(call->reply, buffer_bytes(&error));
    is_right = is_right && take_registered(call, script, name, &registered);
    struct function_library library = {key, buffer_bytes(&registered), code};
    if (is_right && !function_store_put(call, name, &library))
        is_right = call_refuse(call, "ERR there are too many libraries of functions");
    buffer_deinit(&error);
    buffer_deinit(&registered);
    return is_right;
}

bool function_load(struct call *call, struct bytes code, const char *quote,
                   struct function_metadata *metadata)
{
    struct function_library before;
    if (!function_metadata_of(call, code, metadata))
        return false;
    struct bytes name = bytes_of(metadata->name, metadata->size);
    if (quote && function_store_get(call, name, &before)) {
        reply_error(call->reply, "ERR Library %s%.*s%s already exists", quote, (int)name.size,
                    (const char *)name.data, quote);
        return false;
    }
    struct script *script = script_pool_take(call);
    if (!script)
        return call_refuse(call, "BUSY too many scripts that read are under way");
    bool is_loaded = store(call, script, name, code);
    script_pool_give_back(script);
    return is_loaded;
}
