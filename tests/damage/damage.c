/* Changes one bit of one row of a data directory whose node is down, as a machine may between its
 * memory and its disk, where no checksum of the store tells:
 *
 *     damage DIRECTORY KEY     of the string KEY in database 0 the last byte
 *
 * Exit status: 0 done; 1 there is no such key, or no such store. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "data/record.h"
#include "storage/kv.h"

static struct kv *open_store(const char *directory)
{
    const struct kv_options options = {
        .cache_bytes = 1 << 20, .log_memtable_bytes = 1 << 20, .wal_bytes_max = 16 << 20};
    char error[512];
    struct kv *kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    if (!kv)
        fprintf(stderr, "%s: %s\n", directory, error);
    return kv;
}

/* True: `key` and `value` are copies of the row. */
static bool find(struct kv *kv, struct bytes name, struct buffer *key, struct buffer *value)
{
    struct bytes found_key, found_value, nothing = {0};
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, nothing, kv_family_end());
    bool is_found = false;
    while (!is_found && kv->ops->iter_next(iter, &found_key, &found_value)) {
        struct place place;
        is_found = record_key_any(found_key, &place) && place.table == TABLE_KEYS &&
                   bytes_equal(place.name, name) && found_value.size > RECORD_HEADER_MIN;
        if (!is_found)
            continue;
        buffer_append_bytes(key, found_key);
        buffer_append_bytes(value, found_value);
    }
    kv->ops->iter_free(iter);
    return is_found;
}

static void write_back(struct kv *kv, const struct buffer *key, const struct buffer *value)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_DATA, buffer_bytes(key), buffer_bytes(value));
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

int main(int argc, char **argv)
{
    struct buffer key = {0}, value = {0};
    struct kv *kv = argc == 3 ? open_store(argv[1]) : NULL;
    if (!kv)
        return 1;
    bool is_found = find(kv, bytes_from_string(argv[2]), &key, &value);
    if (is_found) {
        value.data[value.size - 1] ^= 1;
        write_back(kv, &key, &value);
    }
    kv->ops->close(kv);
    buffer_deinit(&key);
    buffer_deinit(&value);
    return is_found ? 0 : 1;
}
