/* Bytes on their way out: whatever the mix of small pieces and large blobs, and however few bytes
 * are taken at a time, they leave once and in order, and no blob is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include "base/memory.h"
#include "base/outbox.h"
#include "base/prng.h"

static uint64_t prng = 4711;

/* Takes up to `size` bytes from the front, as a socket would that has room for so many. */
static void take(struct outbox *out, size_t size, struct buffer *got)
{
    struct iovec pieces[OUTBOX_PIECES_MAX];
    int count = outbox_pieces(out, pieces);
    size_t taken = 0;
    assert_true(count <= OUTBOX_PIECES_MAX);
    assert_int_equal(count == 0, outbox_size(out) == 0);
    for (int i = 0; i < count && taken < size; i++) {
        size_t some = pieces[i].iov_len < size - taken ? pieces[i].iov_len : size - taken;
        assert_true(pieces[i].iov_len > 0);
        buffer_append(got, pieces[i].iov_base, some);
        taken += some;
    }
    outbox_advance(out, taken);
}

static struct blob *random_blob(size_t size)
{
    struct blob *blob = blob_new(size);
    for (size_t i = 0; i < size; i++)
        blob->data[i] = (unsigned char)prng_next(&prng);
    return blob;
}

static void any_mix_leaves_once_and_in_order(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct outbox out = {0};
        struct buffer given = {0}, got = {0};
        for (unsigned step = 0; step < 300; step++) {
            size_t size = prng_below(&prng, 10) ? prng_below(&prng, 500) : prng_below(&prng, 60000);
            struct blob *blob = random_blob(size);
            size_t offset = prng_below(&prng, size + 1);
            buffer_append_bytes(&given, blob_bytes(blob));
            switch (prng_below(&prng, 3)) {
            case 0: outbox_append_blob(&out, blob); break;
            case 1: outbox_append(&out, blob->data, blob->size); break;
            default:
                outbox_append_part(&out, blob, 0, offset);
                outbox_append_part(&out, blob, offset, size - offset);
                break;
            }
            blob_release(blob);
            assert_int_equal(outbox_size(&out), given.size - got.size);
            if (prng_below(&prng, 3) == 0)
                take(&out, prng_below(&prng, 40000), &got);
            assert_int_equal(outbox_size(&out), given.size - got.size);
        }
        while (outbox_size(&out))
            take(&out, 100000, &got);
        assert_true(bytes_equal(buffer_bytes(&got), buffer_bytes(&given)));
        assert_int_equal(out.count, 0);
        assert_int_equal(out.bytes.size, 0);
        outbox_deinit(&out);
        buffer_deinit(&given);
        buffer_deinit(&got);
    }
}

static void a_large_blob_is_referenced_and_let_go(void **state)
{
    struct outbox out = {0}, other = {0};
    struct buffer got = {0};
    struct blob *blob = random_blob(100000);
    (void)state;
    outbox_append_blob(&out, blob);
    outbox_append_blob(&other, blob);
    assert_int_equal(blob->references, 3);
    take(&out, 99999, &got);
    assert_int_equal(blob->references, 3);
    assert_int_equal(outbox_size(&out), 1);
    take(&out, 1, &got);
    assert_int_equal(blob->references, 2);
    assert_true(bytes_equal(buffer_bytes(&got), blob_bytes(blob)));
    outbox_append_blob(&out, blob);
    outbox_deinit(&out);
    outbox_deinit(&other);
    assert_int_equal(blob->references, 1);
    blob_release(blob);
    buffer_deinit(&got);
}

/* A client that reads slowly does not make us keep what it has read. */
static void what_was_taken_is_not_kept(void **state)
{
    struct outbox out = {0};
    struct buffer got = {0};
    struct blob *piece = random_blob(5000);
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        outbox_append(&out, piece->data, piece->size);
        if (outbox_size(&out) > 400000)
            take(&out, piece->size, &got);
        assert_true(out.bytes.size < 2 * 400000 + 2 * 5000);
        buffer_clear(&got);
    }
    while (outbox_size(&out))
        take(&out, 100000, &got);
    assert_int_equal(out.bytes.capacity, 0); /* over what is kept */
    blob_release(piece);
    outbox_deinit(&out);
    buffer_deinit(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_mix_leaves_once_and_in_order),
        cmocka_unit_test(a_large_blob_is_referenced_and_let_go),
        cmocka_unit_test(what_was_taken_is_not_kept),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
