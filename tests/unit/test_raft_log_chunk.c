/* The bytes of a chunk: as documented, and refused in every other form, also where a checksum that
 * is right covers nonsense. */
#include "test_raft_log_model.h"

#include <xxhash.h>

#include "base/codec.h"
#include "storage/chunk.h"

static void test_bytes(void **state)
{
    (void)state;
    static const unsigned char expected[] = {
        1,    0, 0,  0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, /* version, count, first index */
        5,    0, 0,  0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, /* term 5, 3 bytes, command */
        0x06, 1, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, /* term 262, nothing, no-op */
        'a',  0, 'c'};
    struct blob *blob = blob_copy(bytes_of("a\0c", 3));
    const struct raft_entry entries[] = {
        {.pos = {5, 7}, .type = RAFT_ENTRY_COMMAND, .size = 3, .payload = blob},
        {.pos = {262, 8}, .type = RAFT_ENTRY_NOOP},
    };
    struct buffer buffer = {0};
    chunk_encode(&buffer, entries, 2);
    assert_int_equal(buffer.size, sizeof expected + 8);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    assert_int_equal(get_u64((unsigned char *)buffer.data + sizeof expected),
                     XXH3_64bits(expected, sizeof expected));
    buffer_deinit(&buffer);
    blob_release(blob);
}

/* A random chunk of `count` entries in `buffer`, as the model has it. */
static void random_chunk(struct model *model, struct buffer *buffer, uint32_t count)
{
    struct raft_entry *entries = memory_new(count * sizeof *entries);
    model->term = 9;
    model->last = prng_below(&model->prng, 1000);
    model->entries[model->last].term = 1 + prng_below(&model->prng, 9);
    for (uint32_t i = 0; i < count; i++)
        model_append(model, &entries[i]);
    chunk_encode(buffer, entries, count);
    for (uint32_t i = 0; i < count; i++)
        blob_release(entries[i].payload);
    memory_free(entries);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct model *model = model_new(3);
    struct buffer buffer = {0};
    for (int round = 0; round < 300; round++) {
        uint32_t count = 1 + (uint32_t)prng_below(&model->prng, 100);
        random_chunk(model, &buffer, count);
        raft_index first = model->last - count + 1;
        struct chunk chunk;
        assert_int_equal(chunk_decode(&chunk, first, buffer_bytes(&buffer)), CHUNK_OK);
        assert_int_equal(chunk.count, count);
        const unsigned char *payload = chunk.payloads;
        for (uint32_t i = 0; i < count; i++) {
            struct raft_entry entry = chunk_entry(&chunk, i);
            unsigned char *expected = memory_new(entry.size);
            assert_true(entry_matches(model, &entry, first + i));
            payload_fill(expected, entry.size, model->entries[first + i].seed);
            assert_memory_equal(payload, expected, entry.size);
            payload += entry.size;
            memory_free(expected);
        }
        assert_int_equal(chunk_decode(&chunk, first + 1, buffer_bytes(&buffer)), CHUNK_BAD_INDEX);
    }
    buffer_deinit(&buffer);
    memory_free(model);
}

/* Bytes in memory of exactly their size, so that AddressSanitizer sees a read behind the end. */
static enum chunk_result decode_exact(const void *data, size_t size, raft_index first)
{
    struct chunk chunk;
    void *copy = memory_copy(data, size);
    enum chunk_result result = chunk_decode(&chunk, first, bytes_of(copy, size));
    if (result == CHUNK_OK) {
        const unsigned char *payload = chunk.payloads;
        for (uint32_t i = 0; i < chunk.count; i++)
            payload += chunk_entry(&chunk, i).size;
        assert_ptr_equal(payload + 8, (unsigned char *)copy + size);
    }
    memory_free(copy);
    return result;
}

static void seal(struct buffer *buffer)
{
    unsigned char *start = (unsigned char *)buffer->data;
    put_u64(start + buffer->size - 8, XXH3_64bits(start, buffer->size - 8));
}

static void test_damage(void **state)
{
    (void)state;
    struct model *model = model_new(4);
    struct buffer buffer = {0};
    uint32_t refused = 0;
    for (int round = 0; round < 60; round++) {
        uint32_t count = 1 + (uint32_t)prng_below(&model->prng, 6);
        random_chunk(model, &buffer, count);
        raft_index first = model->last - count + 1;
        for (size_t size = 0; size < buffer.size && size < 400; size++) {
            assert_int_not_equal(decode_exact(buffer.data, size, first), CHUNK_OK);
            if (size <= 16 + 8)
                continue;
            size_t whole = buffer.size; /* cut short, and sealed again */
            char end[8];
            memcpy(end, buffer.data + size - 8, 8);
            buffer.size = size;
            seal(&buffer);
            refused += decode_exact(buffer.data, size, first) != CHUNK_OK;
            memcpy(buffer.data + size - 8, end, 8);
            buffer.size = whole;
        }
        for (int change = 0; change < 200; change++) { /* nonsense under a right checksum */
            size_t head = 16 + 16 * (size_t)count;
            size_t at = prng_below(&model->prng, head);
            char before = buffer.data[at];
            buffer.data[at] = (char)prng_next(&model->prng);
            seal(&buffer);
            refused += decode_exact(buffer.data, buffer.size, first) != CHUNK_OK;
            buffer.data[at] = before;
        }
        seal(&buffer);
        assert_int_equal(decode_exact(buffer.data, buffer.size, first), CHUNK_OK);
    }
    assert_true(refused > 5000);
    buffer_deinit(&buffer);
    memory_free(model);
}

/* Bytes that are zero in this version may mean something in a later one: not ours to read. */
static void test_head_not_zero(void **state)
{
    (void)state;
    struct model *model = model_new(5);
    struct buffer buffer = {0};
    random_chunk(model, &buffer, 1);
    for (size_t at = 1; at < 4; at++) {
        buffer.data[at] = 1;
        seal(&buffer);
        assert_int_equal(decode_exact(buffer.data, buffer.size, model->last), CHUNK_OTHER_VERSION);
        buffer.data[at] = 0;
    }
    seal(&buffer);
    assert_int_equal(decode_exact(buffer.data, buffer.size, model->last), CHUNK_OK);
    buffer_deinit(&buffer);
    memory_free(model);
}

static void put_header(struct buffer *buffer, size_t at, uint64_t term, uint32_t size,
                       uint32_t type)
{
    unsigned char *header = (unsigned char *)buffer->data + at;
    put_u64(header, term);
    put_u32(header + 8, size);
    put_u32(header + 12, type);
    seal(buffer);
}

static void test_impossible_entries(void **state)
{
    (void)state;
    const struct raft_entry entries[] = {{.pos = {5, 1}}, {.pos = {5, 2}}};
    struct buffer buffer = {0};
    chunk_encode(&buffer, entries, 2);
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_OK);
    put_header(&buffer, 32, 4, 0, 0); /* term goes down */
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_BAD_ENTRY);
    put_header(&buffer, 32, 5, 1, 0); /* a payload that is not there */
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_BAD_ENTRY);
    put_header(&buffer, 32, 5, 0, 3); /* no such type */
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_BAD_ENTRY);
    put_header(&buffer, 32, 5, 0, 256); /* not zero */
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_BAD_ENTRY);
    put_header(&buffer, 32, 6, 0, 2);
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_OK);
    put_header(&buffer, 16, 0, 0, 0); /* before any election */
    assert_int_equal(decode_exact(buffer.data, buffer.size, 1), CHUNK_BAD_ENTRY);
    put_header(&buffer, 16, 5, 0, 0);
    for (uint64_t count = 0; count <= UINT32_MAX; count += 1 + count * 3) {
        put_u32((unsigned char *)buffer.data + 4, (uint32_t)count);
        seal(&buffer);
        assert_int_equal(decode_exact(buffer.data, buffer.size, 1) == CHUNK_OK, count == 2);
    }
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_head_not_zero),
        cmocka_unit_test(test_impossible_entries),
    };
    return cmocka_run_group_tests_name("raft_log_chunk", tests, NULL, NULL);
}
