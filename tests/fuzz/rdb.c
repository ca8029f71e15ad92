/* Payloads of RESTORE, without version and checksum.  Whatever the bytes are, what is given lies in
 * them or in what was unpacked of them, and there is no more of it than they can hold.  A list that
 * is read, written again, holds the same.  Ids of a stream rise. */
#include "fuzz.h"

#include <stdlib.h>

#include "base/fatal.h"
#include "command/rdb.h"

enum { UNPACKED_MAX = 1 << 16 };

static uint64_t touched; /* every byte given is read: the sanitizer looks */

static void touch(struct bytes bytes)
{
    const unsigned char *at = bytes.data;
    for (size_t i = 0; i < bytes.size; i++)
        touched += at[i];
}

static void check_again(const struct buffer *again, const struct buffer *elements, uint64_t count)
{
    struct buffer payload = {0}, found = {0};
    struct rdb_reader reader;
    struct rdb_element element;
    rdb_write_kind(&payload, RDB_LIST);
    rdb_write_size(&payload, count);
    buffer_append_bytes(&payload, buffer_bytes(again));
    rdb_write_footer(&payload, rdb_crc(0, buffer_bytes(&payload)));
    check(rdb_open(&reader, buffer_bytes(&payload), 0));
    check(rdb_footer_crc(buffer_bytes(&payload)) ==
          rdb_crc(0, bytes_of(payload.data, payload.size - 8)));
    for (uint64_t i = 0; i < count; i++) {
        check(rdb_next(&reader, &element) == RDB_GIVEN);
        buffer_append_bytes(&found, element.value);
    }
    check(rdb_next(&reader, &element) == RDB_END);
    check(bytes_equal(buffer_bytes(&found), buffer_bytes(elements)));
    rdb_close(&reader);
    buffer_deinit(&payload);
    buffer_deinit(&found);
}

static void check_rising(struct series_id *last, struct series_id id)
{
    check(id.ms > last->ms || (id.ms == last->ms && id.sequence > last->sequence));
    *last = id;
}

static void read_all(struct bytes payload)
{
    struct rdb_reader reader;
    struct rdb_element element;
    struct buffer again = {0}, elements = {0};
    struct series_id last = {0, 0};
    uint64_t count = 0, steps = 0;
    enum rdb_step step = RDB_DAMAGED;
    if (rdb_open(&reader, payload, UNPACKED_MAX)) {
        while ((step = rdb_next(&reader, &element)) == RDB_GIVEN || step == RDB_NOTHING) {
            check(++steps <= payload.size + UNPACKED_MAX);
            if (step != RDB_GIVEN)
                continue;
            if (reader.type == DB_STREAM && element.part == RDB_ENTRY)
                check_rising(&last, element.id);
            touch(element.name);
            touch(element.value);
            check(element.score - element.score == 0 || element.score * 2 == element.score);
            rdb_write_string(&again, element.value);
            buffer_append_bytes(&elements, element.value);
            count++;
        }
    }
    check(elements.size <= (payload.size + UNPACKED_MAX) * 8);
    if (step == RDB_END)
        check_again(&again, &elements, count);
    rdb_close(&reader);
    buffer_deinit(&again);
    buffer_deinit(&elements);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *payload = malloc(size + RDB_FOOTER); /* of the exact size, for the sanitizer */
    if (size > 0)
        memcpy(payload, data, size);
    memset(payload + size, 0, RDB_FOOTER);
    read_all(bytes_of(payload, size + RDB_FOOTER));
    free(payload);
    return 0;
}
