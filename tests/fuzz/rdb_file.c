/* RDB files, between a header and an end with the right checksum.  Whatever stands there, it ends,
 * what is given lies in the file, and a value is what RESTORE reads, of as many elements. */
#include "fuzz.h"

#include <stdlib.h>

#include "base/fatal.h"
#include "command/rdb_file.h"

static void check_value(const struct rdb_file *file)
{
    struct buffer payload = {0};
    struct rdb_reader reader;
    struct rdb_element element;
    uint64_t elements = 0;
    enum rdb_step step;
    buffer_append_byte(&payload, (char)file->kind);
    buffer_append_bytes(&payload, file->value);
    rdb_write_footer(&payload, rdb_crc(0, buffer_bytes(&payload)));
    check(rdb_open(&reader, buffer_bytes(&payload), SIZE_MAX));
    while ((step = rdb_next(&reader, &element)) == RDB_GIVEN || step == RDB_NOTHING)
        elements += step == RDB_GIVEN;
    check(step == RDB_END);
    check(elements == file->elements);
    rdb_close(&reader);
    buffer_deinit(&payload);
}

static void read_all(struct bytes bytes)
{
    struct rdb_file file;
    enum rdb_file_step step = RDB_FILE_KEY;
    size_t at = 0;
    rdb_file_open(&file, bytes);
    while (step != RDB_FILE_END && step != RDB_FILE_REFUSED) {
        step = rdb_file_next(&file);
        check(file.words.at > at || step == RDB_FILE_REFUSED);
        at = file.words.at;
        check(at <= bytes.size && file.item <= at && file.database < DB_DATABASES);
        if (step == RDB_FILE_KEY)
            check_value(&file);
    }
    check((step == RDB_FILE_REFUSED) == (file.refusal != NULL));
    rdb_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = {0};
    rdb_file_write_header(&whole);
    buffer_append_bytes(&whole, bytes_of(data, size));
    rdb_file_write_end(&whole, rdb_crc(0, buffer_bytes(&whole)));
    char *exact = malloc(whole.size); /* for the sanitizer */
    memcpy(exact, whole.data, whole.size);
    read_all(bytes_of(exact, whole.size));
    free(exact);
    buffer_deinit(&whole);
    return 0;
}
