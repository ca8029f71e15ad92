/* The reply writer: the bytes of every type in both protocols, and the way from RESP3 to RESP2. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "resp/writer.h"

static void write_simple(struct reply *reply)
{
    reply_simple(reply, "OK");
}

static void write_error(struct reply *reply)
{
    reply_error(reply, "ERR bad '%s' of %d", "a\r\n+OK\nb", 7);
}

static void write_integers(struct reply *reply)
{
    reply_array(reply, 3);
    reply_integer(reply, INT64_MIN);
    reply_integer(reply, 0);
    reply_integer(reply, INT64_MAX);
}

static void write_bulk(struct reply *reply)
{
    reply_bulk(reply, bytes_of("a\r\n\0b", 5));
}

static void write_empty_bulk(struct reply *reply)
{
    reply_bulk(reply, bytes_of(NULL, 0));
}

static void write_verbatim(struct reply *reply)
{
    reply_verbatim(reply, bytes_from_string("# Server\r\n"));
}

static void write_null(struct reply *reply)
{
    reply_null(reply);
}

static void write_doubles(struct reply *reply)
{
    reply_array(reply, 5);
    reply_double(reply, 0.1);
    reply_double(reply, 3);
    reply_double(reply, -INFINITY);
    reply_double(reply, NAN);
    reply_double(reply, 1.7976931348623157e308);
}

static void write_bools(struct reply *reply)
{
    reply_array(reply, 2);
    reply_bool(reply, true);
    reply_bool(reply, false);
}

static void write_map(struct reply *reply)
{
    reply_map(reply, 2);
    reply_bulk_string(reply, "a");
    reply_set(reply, 2);
    reply_integer(reply, 1);
    reply_null(reply);
    reply_bulk_string(reply, "b");
    reply_map(reply, 0);
}

static const struct {
    void (*write)(struct reply *reply);
    const char *resp2, *resp3; /* resp3 NULL: the same */
} goldens[] = {
    {write_simple, "+OK\r\n", NULL},
    {write_error, "-ERR bad 'a  +OK b' of 7\r\n", NULL},
    {write_integers, "*3\r\n:-9223372036854775808\r\n:0\r\n:9223372036854775807\r\n", NULL},
    {write_empty_bulk, "$0\r\n\r\n", NULL},
    {write_verbatim, "$10\r\n# Server\r\n\r\n", "=14\r\ntxt:# Server\r\n\r\n"},
    {write_null, "$-1\r\n", "_\r\n"},
    {write_doubles,
     "*5\r\n$3\r\n0.1\r\n$1\r\n3\r\n$4\r\n-inf\r\n$3\r\nnan\r\n$23\r\n1.7976931348623157e+308\r\n",
     "*5\r\n,0.1\r\n,3\r\n,-inf\r\n,nan\r\n,1.7976931348623157e+308\r\n"},
    {write_bools, "*2\r\n:1\r\n:0\r\n", "*2\r\n#t\r\n#f\r\n"},
    {write_map, "*4\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n$1\r\nb\r\n*0\r\n",
     "%2\r\n$1\r\na\r\n~2\r\n:1\r\n_\r\n$1\r\nb\r\n%0\r\n"},
};

enum { GOLDENS = sizeof(goldens) / sizeof(goldens[0]) };

static void written(void (*write)(struct reply *), int protocol, struct buffer *out)
{
    struct reply reply = {out, protocol};
    buffer_clear(out);
    write(&reply);
}

static void assert_bytes(struct bytes got, struct bytes wanted)
{
    if (!bytes_equal(got, wanted))
        fail_msg("got %.*s\nwanted %.*s", (int)got.size, (const char *)got.data, (int)wanted.size,
                 (const char *)wanted.data);
}

static void test_goldens(void **state)
{
    (void)state;
    struct buffer out = {0};
    for (size_t i = 0; i < GOLDENS; i++) {
        written(goldens[i].write, 2, &out);
        assert_bytes(buffer_bytes(&out), bytes_from_string(goldens[i].resp2));
        written(goldens[i].write, 3, &out);
        assert_bytes(buffer_bytes(&out),
                     bytes_from_string(goldens[i].resp3 ? goldens[i].resp3 : goldens[i].resp2));
    }
    written(write_bulk, 2, &out);
    assert_bytes(buffer_bytes(&out), bytes_of("$5\r\na\r\n\0b\r\n", 11));
    buffer_deinit(&out);
}

static void test_null_array(void **state)
{
    (void)state;
    struct buffer out = {0};
    written(reply_null_array, 2, &out);
    assert_bytes(buffer_bytes(&out), bytes_from_string("*-1\r\n"));
    written(reply_null_array, 3, &out);
    assert_bytes(buffer_bytes(&out), bytes_from_string("_\r\n"));
    buffer_deinit(&out);
}

/* A reply that nobody waits for writes nothing and needs no buffer. */
static void test_discarded(void **state)
{
    (void)state;
    struct reply reply = {NULL, 3};
    for (size_t i = 0; i < GOLDENS; i++)
        goldens[i].write(&reply);
    write_bulk(&reply);
    reply_null_array(&reply);
    reply_raw(&reply, bytes_from_string("+OK\r\n"));
}

static void test_long_error(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct reply reply = {&out, 2};
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    reply_error(&reply, "ERR %s", text);
    assert_in_range(out.size, 500, 2000);
    assert_memory_equal(out.data + out.size - 3, "x\r\n", 3);
    buffer_deinit(&out);
}

static void test_command(void **state)
{
    (void)state;
    struct buffer out = {0};
    resp_command_header(&out, 2);
    resp_command_argument(&out, bytes_from_string("GET"));
    resp_command_argument(&out, bytes_of("\0", 1));
    assert_bytes(buffer_bytes(&out), bytes_of("*2\r\n$3\r\nGET\r\n$1\r\n\0\r\n", 20));
    buffer_deinit(&out);
}

/* ---- RESP3 to RESP2 ------------------------------------------------------------- */

static void test_convert_goldens(void **state)
{
    (void)state;
    struct buffer resp3 = {0}, out = {0};
    for (size_t i = 0; i < GOLDENS; i++) {
        written(goldens[i].write, 3, &resp3);
        buffer_clear(&out);
        buffer_append(&out, "before", 6);
        assert_true(resp_3_to_2(buffer_bytes(&resp3), &out));
        assert_memory_equal(out.data, "before", 6);
        assert_bytes(bytes_of(out.data + 6, out.size - 6), bytes_from_string(goldens[i].resp2));
    }
    buffer_deinit(&resp3);
    buffer_deinit(&out);
}

static void assert_converts(const char *resp3, const char *wanted)
{
    struct buffer out = {0};
    assert_true(resp_3_to_2(bytes_from_string(resp3), &out));
    assert_bytes(buffer_bytes(&out), bytes_from_string(wanted));
    buffer_deinit(&out);
}

/* Types that no command of ours writes yet. */
static void test_convert_others(void **state)
{
    (void)state;
    assert_converts(">2\r\n+a\r\n:1\r\n", "*2\r\n+a\r\n:1\r\n");
    assert_converts("(123456789012345678901234567890\r\n",
                    "$30\r\n123456789012345678901234567890\r\n");
    assert_converts("!8\r\nERR a\r\nb\r\n", "-ERR a  b\r\n");
    assert_converts("*1\r\n*1\r\n%1\r\n~0\r\n#t\r\n", "*1\r\n*1\r\n*2\r\n*0\r\n:1\r\n");
}

/* Every true prefix is incomplete, and what is refused leaves nothing behind. */
static void test_convert_prefixes(void **state)
{
    (void)state;
    struct buffer resp3 = {0}, out = {0};
    for (size_t i = 0; i < GOLDENS; i++) {
        written(goldens[i].write, 3, &resp3);
        for (size_t size = 0; size < resp3.size; size++) {
            char *prefix = memory_copy(resp3.data, size);
            assert_false(resp_3_to_2(bytes_of(prefix, size), &out));
            assert_int_equal(out.size, 0);
            memory_free(prefix);
        }
        buffer_append(&resp3, "+", 1);
        assert_false(resp_3_to_2(buffer_bytes(&resp3), &out));
    }
    buffer_deinit(&resp3);
    buffer_deinit(&out);
}

static void test_convert_malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {"?x\r\n",
                                        "#x\r\n",
                                        "#\r\n",
                                        "_x\r\n",
                                        "$-1\r\n",
                                        "$3\r\nabcd\r",
                                        "$x\r\n",
                                        "*9223372036854775807\r\n",
                                        "*-1\r\n",
                                        "=3\r\ntxt\r\n",
                                        "+a\rb\r\n",
                                        "%18446744073709551615\r\n",
                                        "|1\r\n+a\r\n+b\r\n+c\r\n"};
    struct buffer out = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (resp_3_to_2(bytes_from_string(cases[i]), &out))
            fail_msg("took %s", cases[i]);
        assert_int_equal(out.size, 0);
    }
    buffer_deinit(&out);
}

static void test_convert_garbage(void **state)
{
    (void)state;
    struct buffer resp3 = {0}, out = {0};
    for (uint64_t round = 0; round < 20000; round++) {
        uint64_t seed = round;
        written(goldens[prng_below(&seed, GOLDENS)].write, 3, &resp3);
        for (uint64_t changes = 1 + prng_below(&seed, 3); changes; changes--)
            resp3.data[prng_below(&seed, resp3.size)] =
                "*$%~=_#,:+-\r\n0123456789x"[prng_below(&seed, 24)];
        char *copy = memory_copy(resp3.data, resp3.size);
        buffer_clear(&out);
        (void)resp_3_to_2(bytes_of(copy, resp3.size), &out);
        assert_true(resp_reply_size(bytes_of(copy, resp3.size)) <= resp3.size);
        memory_free(copy);
    }
    buffer_deinit(&resp3);
    buffer_deinit(&out);
}

/* Of what lies behind one another, and of what is not all there. */
static void test_sizes(void **state)
{
    (void)state;
    struct buffer resp = {0};
    for (unsigned i = 0; i < GOLDENS; i++) {
        for (int protocol = 2; protocol <= 3; protocol++) {
            written(goldens[i].write, protocol, &resp);
            size_t size = resp.size;
            for (size_t part = 0; part < size; part++) {
                char *copy = part ? memory_copy(resp.data, part) : NULL;
                assert_int_equal(resp_reply_size(bytes_of(copy, part)), 0);
                memory_free(copy);
            }
            buffer_append(&resp, "+OK\r\n", 5);
            assert_int_equal(resp_reply_size(buffer_bytes(&resp)), size);
        }
    }
    buffer_deinit(&resp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens),
                                       cmocka_unit_test(test_null_array),
                                       cmocka_unit_test(test_discarded),
                                       cmocka_unit_test(test_long_error),
                                       cmocka_unit_test(test_command),
                                       cmocka_unit_test(test_convert_goldens),
                                       cmocka_unit_test(test_convert_others),
                                       cmocka_unit_test(test_convert_prefixes),
                                       cmocka_unit_test(test_convert_malformed),
                                       cmocka_unit_test(test_convert_garbage),
                                       cmocka_unit_test(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
