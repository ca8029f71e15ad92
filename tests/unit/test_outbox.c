/* Bytes on their way to a socket: whatever the mix of small pieces and large blobs, and however few
 * bytes the socket takes at a time, they arrive once and in order, and no blob is kept. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "net/outbox.h"

static uint64_t prng = 4711;

struct pipe {
    int ends[2];
    struct buffer got;
};

static void pipe_open(struct pipe *pipe)
{
    int small = 4096;
    *pipe = (struct pipe){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pipe->ends), 0);
    assert_int_equal(setsockopt(pipe->ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
}

static void pipe_close(struct pipe *pipe)
{
    close(pipe->ends[0]);
    close(pipe->ends[1]);
    buffer_deinit(&pipe->got);
}

/* The reader takes up to `size` bytes. */
static void pipe_read(struct pipe *pipe, size_t size)
{
    buffer_reserve(&pipe->got, size);
    ssize_t taken = read(pipe->ends[1], pipe->got.data + pipe->got.size, size);
    if (taken > 0)
        pipe->got.size += (size_t)taken;
}

static struct blob *random_blob(size_t size)
{
    struct blob *blob = blob_new(size);
    for (size_t i = 0; i < size; i++)
        blob->data[i] = (unsigned char)prng_next(&prng);
    return blob;
}

static void any_mix_arrives_once_and_in_order(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct pipe pipe;
        struct outbox out = {0};
        struct buffer sent = {0};
        size_t total = 0;
        pipe_open(&pipe);
        for (unsigned step = 0; step < 300; step++) {
            size_t written;
            size_t size = prng_below(&prng, 10) ? prng_below(&prng, 500) : prng_below(&prng, 60000);
            struct blob *blob = random_blob(size);
            size_t offset = prng_below(&prng, size + 1);
            buffer_append_bytes(&sent, blob_bytes(blob));
            switch (prng_below(&prng, 3)) {
            case 0: outbox_append_blob(&out, blob); break;
            case 1: outbox_append(&out, blob->data, blob->size); break;
            default:
                outbox_append_part(&out, blob, 0, offset);
                outbox_append_part(&out, blob, offset, size - offset);
                break;
            }
            blob_release(blob);
            assert_int_equal(out.size, sent.size - total);
            if (prng_below(&prng, 3) == 0) {
                enum outbox_result result = outbox_write(&out, pipe.ends[0], &written);
                total += written;
                assert_int_equal(result, out.size ? OUTBOX_MORE : OUTBOX_EMPTY);
            }
            pipe_read(&pipe, prng_below(&prng, 20000));
        }
        while (out.size) {
            size_t written;
            assert_int_not_equal(outbox_write(&out, pipe.ends[0], &written), OUTBOX_FAILED);
            pipe_read(&pipe, 100000);
        }
        while (pipe.got.size < sent.size)
            pipe_read(&pipe, 100000);
        assert_true(bytes_equal(buffer_bytes(&pipe.got), buffer_bytes(&sent)));
        assert_int_equal(out.count, 0);
        outbox_deinit(&out);
        buffer_deinit(&sent);
        pipe_close(&pipe);
    }
}

static void a_large_blob_is_referenced_and_let_go(void **state)
{
    struct pipe pipe;
    struct outbox out = {0};
    struct blob *blob = random_blob(100000);
    size_t written;
    (void)state;
    pipe_open(&pipe);
    outbox_append_blob(&out, blob);
    assert_int_equal(blob->references, 2);
    while (outbox_write(&out, pipe.ends[0], &written) == OUTBOX_MORE)
        pipe_read(&pipe, 100000);
    assert_int_equal(blob->references, 1);
    outbox_append_blob(&out, blob);
    outbox_append_blob(&out, blob);
    outbox_deinit(&out);
    assert_int_equal(blob->references, 1);
    blob_release(blob);
    pipe_close(&pipe);
}

/* A file takes whatever it is given, so what one call writes is the outbox's own bound. */
static void one_write_is_bounded(void **state)
{
    struct outbox out = {0};
    struct blob *blob = random_blob(1000000);
    FILE *file = tmpfile();
    size_t written, all = 0, calls = 0;
    (void)state;
    assert_non_null(file);
    outbox_append(&out, blob->data, blob->size);
    outbox_append_blob(&out, blob);
    blob_release(blob);
    while (outbox_write(&out, fileno(file), &written) == OUTBOX_MORE) {
        assert_in_range(written, 1, 600000);
        all += written;
        calls++;
    }
    assert_in_range(written, 1, 600000);
    assert_int_equal(all + written, 2000000);
    assert_in_range(calls, 3, 10);
    outbox_deinit(&out);
    fclose(file);
}

static void a_broken_socket_is_reported(void **state)
{
    struct pipe pipe;
    struct outbox out = {0};
    size_t written;
    (void)state;
    pipe_open(&pipe);
    close(pipe.ends[0]);
    outbox_append(&out, "x", 1);
    assert_int_equal(outbox_write(&out, pipe.ends[0], &written), OUTBOX_FAILED);
    assert_int_equal(errno, EBADF);
    assert_int_equal(out.size, 1);
    outbox_deinit(&out);
    pipe.ends[0] = -1;
    pipe_close(&pipe);
}

static void headers_are_resp(void **state)
{
    struct outbox out = {0};
    (void)state;
    outbox_append_array_header(&out, 3);
    outbox_append_bulk_header(&out, 0);
    outbox_append_bulk_header(&out, UINT64_MAX);
    assert_true(bytes_equal(buffer_bytes(&out.bytes),
                            bytes_from_string("*3\r\n$0\r\n$18446744073709551615\r\n")));
    outbox_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_mix_arrives_once_and_in_order),
        cmocka_unit_test(a_large_blob_is_referenced_and_let_go),
        cmocka_unit_test(one_write_is_bounded),
        cmocka_unit_test(a_broken_socket_is_reported),
        cmocka_unit_test(headers_are_resp),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
