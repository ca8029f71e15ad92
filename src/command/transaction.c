/* See transaction.h, and exec_form.h for the bytes. */
#include "command/transaction.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "command/exec_form.h"
#include "resp/number.h"

void transaction_end(struct transaction *transaction)
{
    buffer_deinit(&transaction->elements);
    buffer_deinit(&transaction->watches);
    buffer_deinit(&transaction->asked);
    *transaction = (struct transaction){0};
}

void transaction_unwatch(struct transaction *transaction)
{
    buffer_deinit(&transaction->watches);
    transaction->watched = 0;
}

static unsigned char *put_word(unsigned char *at, struct bytes word)
{
    check(word.size <= UINT32_MAX);
    put_u32(at, (uint32_t)word.size);
    if (word.size)
        memcpy(at + 4, word.data, word.size);
    return at + 4 + word.size;
}

struct blob *transaction_encode(const struct transaction *transaction, const struct bytes *before,
                                uint32_t before_count)
{
    struct bytes name = bytes_from_string(EXEC_NAME);
    struct bytes watches = buffer_bytes(&transaction->watches);
    struct bytes elements = buffer_bytes(&transaction->elements);
    size_t size = 4 + 4 + name.size + 4 + watches.size + elements.size;
    for (uint32_t i = 0; i < before_count; i++)
        size += 4 + before[i].size;
    struct blob *blob = blob_new(size);
    unsigned char *at = blob->data;
    put_u32(at, before_count + EXEC_WORDS_BEFORE + transaction->count);
    at += 4;
    for (uint32_t i = 0; i < before_count; i++)
        at = put_word(at, before[i]);
    at = put_word(at, name);
    at = put_word(at, watches);
    if (elements.size)
        memcpy(at, elements.data, elements.size);
    check(at + elements.size == blob->data + size);
    return blob;
}

/* ---- WATCH --------------------------------------------------------------------------- */

static void append_watch(struct buffer *out, uint8_t database, uint64_t version, struct bytes key)
{
    unsigned char head[EXEC_WATCH_SIZE];
    head[0] = database;
    put_u64(head + 1, version);
    put_u32(head + 9, (uint32_t)key.size);
    buffer_append(out, head, sizeof head);
    buffer_append_bytes(out, key);
}

bool transaction_may_watch(const struct transaction *transaction, const struct bytes *argv,
                           uint32_t argc)
{
    size_t size = transaction->watches.size;
    for (uint32_t i = 1; i < argc; i++)
        size += EXEC_WATCH_SIZE + argv[i].size;
    return transaction->watched + (uint64_t)argc - 1 <= TRANSACTION_WATCH_MAX &&
           size <= TRANSACTION_WATCH_BYTES_MAX;
}

void transaction_watch_begin(struct transaction *transaction, uint8_t database,
                             const struct bytes *argv, uint32_t argc)
{
    buffer_clear(&transaction->asked);
    for (uint32_t i = 1; i < argc; i++)
        append_watch(&transaction->asked, database, 0, argv[i]);
}

/* The number at *at behind ':' or of an array behind '*', and moves on. */
static bool take_number(const char **at, const char *end, char sign, int64_t *number)
{
    const char *line = *at < end ? memchr(*at, '\r', (size_t)(end - *at)) : NULL;
    if (!line || **at != sign || end - line < 2)
        return false;
    bool is_number = number_parse_i64(bytes_of(*at + 1, (size_t)(line - *at - 1)), number);
    *at = line + 2;
    return is_number;
}

bool transaction_watch_end(struct transaction *transaction, struct bytes reply)
{
    const char *at = reply.data, *end = at + reply.size;
    unsigned char *watch = (unsigned char *)transaction->asked.data;
    size_t left = transaction->asked.size;
    int64_t count, version;
    if (!take_number(&at, end, '*', &count))
        return false;
    for (int64_t i = 0; i < count; i++) {
        if (!take_number(&at, end, ':', &version) || left < EXEC_WATCH_SIZE)
            return false;
        put_u64(watch + 1, (uint64_t)version);
        size_t size = EXEC_WATCH_SIZE + get_u32(watch + 9);
        watch += size;
        left -= size;
    }
    if (left > 0 || at != end)
        return false;
    buffer_append_bytes(&transaction->watches, buffer_bytes(&transaction->asked));
    buffer_clear(&transaction->asked);
    transaction->watched += (uint32_t)count;
    return true;
}
