/* Records of the data family.  What is damaged ends the process with fatal(): here that only ends
 * the input.  What is accepted, encoded again, is the same bytes. */
#include "fuzz.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "data/record.h"

static jmp_buf refused;

/* In place of base/fatal.c. */
void fatal(const char *format, ...)
{
    (void)format;
    longjmp(refused, 1);
}

void check_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
    abort();
}

static void check_key(struct bytes key)
{
    for (enum table table = TABLE_KEYS; table < TABLES; table++) {
        uint64_t space = 0;
        struct place place;
        if (table == TABLE_KEYS && !record_key_space(key, table, &space))
            continue;
        if (!record_key_parse(key, table, space, &place))
            continue;
        struct buffer again = {0};
        record_key(&again, &place);
        check(bytes_equal(buffer_bytes(&again), key));
        buffer_deinit(&again);
        if (table != TABLE_DUE)
            continue;
        int64_t time = record_due_time(place.word);
        check(time == record_due_clamp(time));
        check(record_due_time(record_due_word(time, place.word << 44)) == time);
        check(record_due_word(time, place.word << 44) == place.word);
    }
}

static void check_state(struct bytes record)
{
    unsigned char again[RECORD_STATE_SIZE];
    const unsigned char *at = record.data;
    bool is_old;
    if (setjmp(refused))
        return;
    uint64_t cluster = record.size >= 12 ? get_u64(at + 4) : 0;
    struct state state = record_state_decode(record, cluster, &is_old);
    record_state_encode(again, &state, cluster);
    if (!is_old)
        check(bytes_equal(bytes_of(again, sizeof again), record));
}

static void check_value(struct bytes record)
{
    unsigned char again[RECORD_HEADER_MAX];
    struct header header;
    if (setjmp(refused))
        return;
    size_t size = record_header_parse(record, &header);
    check(record_header_encode(again, &header) == size);
    check(size <= record.size);
    check(memcmp(again, record.data, size) == 0);
}

static void check_slot(struct bytes key)
{
    check(record_slot(key) < SLOTS);
    check(record_word_slot(record_key_word(key, UINT64_MAX)) == record_slot(key));
}

static void check_receipt(struct bytes record)
{
    unsigned char again[RECORD_RECEIPT_HEADER];
    struct receipt_record receipt;
    if (setjmp(refused))
        return;
    record_receipt_parse(record, &receipt);
    record_receipt_header(again, &receipt);
    check(receipt.reply.size + sizeof again == record.size);
    check(memcmp(again, record.data, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    check_key(bytes);
    check_state(bytes);
    check_value(bytes);
    check_slot(bytes);
    check_receipt(bytes);
    return 0;
}
