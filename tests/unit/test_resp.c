/* The command parser: the same result however the bytes are cut, Redis's error texts, no crash on
 * garbage.  Every offer is a fresh allocation of exactly the offered size, so that an address
 * sanitizer build sees a byte read too many, and a parser that kept a pointer reads freed
 * memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/heap.h"
#include "base/memory.h"
#include "base/prng.h"
#include "resp/number.h"
#include "resp/parser.h"

static const struct resp_limits client_limits = {.bulk_max = 512 << 20,
                                                 .inline_max = 64 << 10,
                                                 .argc_max = 1 << 20,
                                                 .command_max = 1 << 30,
                                                 .allow_inline = true};

/* ---- a transcript of what a stream of bytes parses to --------------------------- */

static void note_command(struct resp_parser *parser, struct buffer *transcript)
{
    uint32_t argc;
    const struct bytes *argv = resp_argv(parser, &argc);
    buffer_printf(transcript, "(");
    for (uint32_t i = 0; i < argc; i++) {
        assert_non_null(argv[i].data); /* an empty word, too, is somewhere */
        buffer_printf(transcript, "%s%zu:", i ? " " : "", argv[i].size);
        buffer_append_bytes(transcript, argv[i]);
    }
    buffer_printf(transcript, ")");
}

/* Offers `stream` up to each of the given ends in turn.  The transcript ends with the error, if
 * any, or with how many bytes were left over. */
static void transcribe(const struct resp_limits *limits, struct bytes stream, const size_t *ends,
                       size_t ends_count, struct buffer *transcript)
{
    struct resp_parser *parser = resp_parser_new(limits);
    const char *data = stream.data;
    size_t start = 0;
    for (size_t i = 0; i < ends_count; i++) {
        for (;;) {
            size_t consumed = 0;
            char *offer = memory_copy(data + start, ends[i] - start);
            enum resp_result result = resp_parse(parser, offer, ends[i] - start, &consumed);
            if (result == RESP_COMMAND) {
                assert_in_range(consumed, 1, ends[i] - start);
                note_command(parser, transcript);
                start += consumed;
            }
            memory_free(offer);
            if (result == RESP_INVALID) {
                buffer_printf(transcript, "!%s", resp_error(parser));
                resp_parser_free(parser);
                return;
            }
            if (result == RESP_INCOMPLETE)
                break;
        }
    }
    buffer_printf(transcript, "+%zu", stream.size - start);
    resp_parser_free(parser);
}

static void transcribe_whole(const struct resp_limits *limits, struct bytes stream,
                             struct buffer *transcript)
{
    transcribe(limits, stream, &stream.size, 1, transcript);
}

static void assert_transcript(const struct buffer *got, const char *wanted, size_t wanted_size)
{
    if (got->size == wanted_size && memcmp(got->data, wanted, wanted_size) == 0)
        return;
    fail_msg("got %.*s\nwanted %.*s", (int)got->size, got->data, (int)wanted_size, wanted);
}

/* Cut anywhere, and byte by byte. */
static void assert_same_however_cut(const struct resp_limits *limits, struct bytes stream,
                                    const struct buffer *whole)
{
    struct buffer got = {0};
    for (size_t cut = 0; cut <= stream.size; cut++) {
        buffer_clear(&got);
        transcribe(limits, stream, (size_t[]){cut, stream.size}, 2, &got);
        assert_transcript(&got, whole->data, whole->size);
    }
    size_t *ends = memory_new((stream.size + 1) * sizeof(*ends));
    for (size_t i = 0; i <= stream.size; i++)
        ends[i] = i;
    buffer_clear(&got);
    transcribe(limits, stream, ends, stream.size + 1, &got);
    assert_transcript(&got, whole->data, whole->size);
    memory_free(ends);
    buffer_deinit(&got);
}

#define S(literal) literal, sizeof(literal) - 1

static const struct {
    const char *stream;
    size_t stream_size;
    const char *wanted;
    size_t wanted_size;
} corpus[] = {
    {S("*1\r\n$4\r\nPING\r\n"), S("(4:PING)+0")},
    {S("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n"), S("(3:SET 1:k 4:a\r\nb)+0")},
    {S("*2\r\n$3\r\nGET\r\n$0\r\n\r\n"), S("(3:GET 0:)+0")},
    {S("*2\r\n$4\r\nECHO\r\n$3\r\n\0\xff\0\r\n"), S("(4:ECHO 3:\0\xff\0)+0")},
    {S("*0\r\n*-1\r\n*1\r\n$1\r\nx\r\n"), S("()()(1:x)+0")},
    {S("*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1\r"), S("(4:PING)(4:PING)(4:PING)+3")},
    /* From clients, as in Redis, the bytes that end a word are not looked at. */
    {S("*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPONG\r\n"), S("(4:PING)(4:PONG)+0")},
    {S("*1\rx$4\r\nPING\r\n"), S("(4:PING)+0")},

    {S("PING\r\n"), S("(4:PING)+0")},
    {S("PING\n"), S("(4:PING)+0")},
    {S("\r\n\n  \r\nPING\r\n"), S("()()()(4:PING)+0")},
    {S("  SET  k\tv \r\n"), S("(3:SET 1:k 1:v)+0")},
    {S("SET k \"a b\\n\\x41\\\"\\\\\\q\\t\\r\\b\\a\"\r\n"),
     S("(3:SET 1:k 12:a b\nA\"\\q\t\r\b\a)+0")},
    {S("SET k 'a b\\n\\'c'\n"), S("(3:SET 1:k 7:a b\\n'c)+0")},
    {S("SET k \"\" ''\n"), S("(3:SET 1:k 0: 0:)+0")},
    {S("''\n"), S("(0:)+0")},
    {S("SET pre\"fix ed\" v\n"), S("(3:SET 9:prefix ed 1:v)+0")},
    {S("ECHO \"\\x4\" \"\\xzz\" \\x41\n"), S("(4:ECHO 2:x4 3:xzz 4:\\x41)+0")},
    {S("ECHO \"\\x00\\xFf\\x9A\"\n"), S("(4:ECHO 3:\0\xff\x9a)+0")},
    {S("ECHO a\0b\n"), S("(4:ECHO 3:a\0b)+0")},
    {S("ECHO \"a\"b\n"), S("!Protocol error: unbalanced quotes in request")},
    {S("ECHO \"a\n"), S("!Protocol error: unbalanced quotes in request")},
    {S("ECHO 'a\n"), S("!Protocol error: unbalanced quotes in request")},
    {S("ECHO 'a'b\n"), S("!Protocol error: unbalanced quotes in request")},
    {S("ECHO \"a\\\"\n"), S("!Protocol error: unbalanced quotes in request")},
    {S("ECHO \"a\" \n"), S("(4:ECHO 1:a)+0")},

    {S("*x\r\n"), S("!Protocol error: invalid multibulk length")},
    {S("*\r\n"), S("!Protocol error: invalid multibulk length")},
    {S("*1048577\r\n"), S("!Protocol error: invalid multibulk length")},
    {S("*99999999999999999999999\r\n"), S("!Protocol error: invalid multibulk length")},
    {S("*01\r\n"), S("!Protocol error: invalid multibulk length")},
    {S("*01\r\n$4\r\nPING\r\n"), S("!Protocol error: invalid multibulk length")},
    {S("*1\r\n$04\r\nPING\r\n"), S("!Protocol error: invalid bulk length")},
    {S("*1\r\n:4\r\nPING\r\n"), S("!Protocol error: expected '$', got ':'")},
    {S("*1\r\n$4x\r\nPING\r\n"), S("!Protocol error: invalid bulk length")},
    {S("*1\r\n$4\rxPING\r\n"), S("(4:PING)+0")},
    {S("*1\r\nPING\r\n"), S("!Protocol error: expected '$', got 'P'")},
    {S("*1\r\n:4\r\n"), S("!Protocol error: expected '$', got ':'")},
    {S("*1\r\n\r\n"), S("!Protocol error: expected '$', got ' '")},
    {S("*1\r\nPING"), S("+8")},
    {S("*1\r\n$-1\r\n"), S("!Protocol error: invalid bulk length")},
    {S("*1\r\n$x\r\n"), S("!Protocol error: invalid bulk length")},
    {S("*1\r\n$\r\n"), S("!Protocol error: invalid bulk length")},
    {S("*1\r\n$536870913\r\n"), S("!Protocol error: invalid bulk length")},
    {S("*1\r\n$536870912\r\nab"), S("+18")},
    {S("*1\r\n$18446744073709551620\r\n"), S("!Protocol error: invalid bulk length")},
};

static void test_corpus(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
        struct buffer whole = {0};
        struct bytes stream = bytes_of(corpus[i].stream, corpus[i].stream_size);
        transcribe_whole(&client_limits, stream, &whole);
        assert_transcript(&whole, corpus[i].wanted, corpus[i].wanted_size);
        assert_same_however_cut(&client_limits, stream, &whole);
        buffer_deinit(&whole);
    }
}

/* ---- limits ------------------------------------------------------------------------ */

static void assert_parses_to(const struct resp_limits *limits, const char *stream,
                             const char *wanted)
{
    struct buffer whole = {0};
    struct bytes bytes = bytes_from_string(stream);
    transcribe_whole(limits, bytes, &whole);
    assert_transcript(&whole, wanted, strlen(wanted));
    assert_same_however_cut(limits, bytes, &whole);
    buffer_deinit(&whole);
}

/* Headers of few digits are read another way where they come whole. */
static void test_lengths(void **state)
{
    static const size_t lengths[] = {1,   9,    10,   57,   99,    100,  808,
                                     999, 1000, 9876, 9999, 10000, 12345};
    enum { CUT_ANYWHERE_MAX = 1000 };
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t length = lengths[i];
        struct buffer stream = {0}, wanted = {0}, whole = {0};
        char *word = memory_new(length + 1);
        memset(word, '7', length);
        buffer_printf(&stream, "*2\r\n$%zu\r\n%s\r\n$1\r\nx\r\n", length, word);
        buffer_printf(&wanted, "(%zu:%s 1:x)+0", length, word);
        transcribe_whole(&client_limits, buffer_bytes(&stream), &whole);
        assert_transcript(&whole, wanted.data, wanted.size);
        if (length <= CUT_ANYWHERE_MAX)
            assert_same_however_cut(&client_limits, buffer_bytes(&stream), &whole);
        memory_free(word);
        buffer_deinit(&stream);
        buffer_deinit(&wanted);
        buffer_deinit(&whole);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct resp_limits limits = client_limits;
    limits.inline_max = 8;
    limits.bulk_max = 5;
    limits.argc_max = 3;
    limits.command_max = 40;
    assert_parses_to(&limits, "ECHO abc\r\n", "!Protocol error: too big inline request");
    assert_parses_to(&limits, "ECHO ab\r\n", "(4:ECHO 2:ab)+0");
    assert_parses_to(&limits, "ECHO abcd", "!Protocol error: too big inline request");
    assert_parses_to(&limits, "*00000000", "!Protocol error: too big mbulk count string");
    assert_parses_to(&limits, "*1\r\n$00000000", "!Protocol error: too big bulk count string");
    assert_parses_to(&limits, "*4\r\n", "!Protocol error: invalid multibulk length");
    assert_parses_to(&limits, "*1\r\n$6\r\n", "!Protocol error: invalid bulk length");
    assert_parses_to(&limits, "*3\r\n$5\r\naaaaa\r\n$5\r\nbbbbb\r\n$5\r\nccccc\r\n",
                     "(5:aaaaa 5:bbbbb 5:ccccc)+0");
    limits.command_max = 36;
    assert_parses_to(&limits, "*3\r\n$5\r\naaaaa\r\n$5\r\nbbbbb\r\n$5\r\nccccc\r\n",
                     "!Protocol error: too big command");
}

static void test_unauthenticated(void **state)
{
    (void)state;
    struct resp_limits limits = client_limits;
    limits.unauthenticated = true;
    assert_parses_to(&limits, "*10\r\n", "+5");
    assert_parses_to(&limits, "*11\r\n", "!Protocol error: unauthenticated multibulk length");
    assert_parses_to(&limits, "*1\r\n$16384\r\n", "+12");
    assert_parses_to(&limits, "*1\r\n$16385\r\n", "!Protocol error: unauthenticated bulk length");
    /* Whatever our own bound: Redis's is larger. */
    limits.bulk_max = 1024 * 1024;
    assert_parses_to(&limits, "*1\r\n$100000000\r\n",
                     "!Protocol error: unauthenticated bulk length");
    assert_parses_to(&limits, "*1\r\n$536870913\r\n", "!Protocol error: invalid bulk length");

    /* AUTH and what follows may come in one packet: the limits change between commands. */
    struct resp_parser *parser = resp_parser_new(&limits);
    size_t consumed;
    const char *after = "*11\r\n";
    assert_int_equal(resp_parse(parser, "AUTH x\r\n", 8, &consumed), RESP_COMMAND);
    resp_parser_set_limits(parser, &client_limits);
    assert_int_equal(resp_parse(parser, after, 5, &consumed), RESP_INCOMPLETE);
    resp_parser_free(parser);
}

/* Peers must be exact to the byte. */
static void test_strict(void **state)
{
    (void)state;
    struct resp_limits limits = client_limits;
    limits.allow_inline = false;
    assert_parses_to(&limits, "*1\r\n$4\r\nPING\r\n", "(4:PING)+0");
    assert_parses_to(&limits, "PING\r\n", "!Protocol error: expected '*', got 'P'");
    assert_parses_to(&limits, "*1\rx$4\r\nPING\r\n", "!Protocol error: expected LF after CR");
    assert_parses_to(&limits, "*1\r\n$4\r\nPINGxx",
                     "!Protocol error: expected CRLF after a bulk string");
}

/* ---- cost ---------------------------------------------------------------------------- */

/* A header's promise must cost nothing before the bytes come. (A sanitizer's allocator reports
 * nothing, so this can only fail in a plain build.) */
static void test_promises_are_free(void **state)
{
    (void)state;
    struct resp_parser *parser = resp_parser_new(&client_limits);
    size_t consumed, before = heap_status().used;
    const char *promise = "*1048576\r\n$1\r\na\r\n$536870912\r\nabc";
    assert_int_equal(resp_parse(parser, promise, strlen(promise), &consumed), RESP_INCOMPLETE);
    assert_true(heap_status().used - before < 64 << 10);
    assert_int_equal(resp_wanted(parser), 29 + 536870912ul + 2);
    resp_parser_free(parser);
}

/* What was understood, or searched, is not looked at again: change it, and nothing happens. */
static void test_nothing_is_scanned_twice(void **state)
{
    (void)state;
    struct resp_parser *parser = resp_parser_new(&client_limits);
    size_t consumed;
    uint32_t argc;
    assert_int_equal(resp_parse(parser, "*2\r\n$4\r\nECHO\r\n$3\r\na", 19, &consumed),
                     RESP_INCOMPLETE);
    assert_int_equal(resp_wanted(parser), 23);
    const char *changed = "????????echo??????abc\r\n";
    assert_int_equal(resp_parse(parser, changed, 23, &consumed), RESP_COMMAND);
    assert_int_equal(consumed, 23);
    const struct bytes *argv = resp_argv(parser, &argc);
    assert_int_equal(argc, 2);
    assert_true(bytes_equal(argv[0], bytes_from_string("echo")));
    assert_true(bytes_equal(argv[1], bytes_from_string("abc")));

    assert_int_equal(resp_parse(parser, "PING x", 6, &consumed), RESP_INCOMPLETE);
    assert_int_equal(resp_parse(parser, "PING\nx\n", 7, &consumed), RESP_COMMAND);
    assert_int_equal(consumed, 7);
    resp_parser_free(parser);
}

/* ---- garbage ---------------------------------------------------------------------------- */

static void random_stream(uint64_t *seed, struct buffer *stream)
{
    static const char alphabet[] = "*$\r\n0123456789-+ \"'\\xabPING\t";
    size_t size = prng_below(seed, 60);
    buffer_clear(stream);
    if (prng_below(seed, 2)) {
        size_t start = prng_below(seed, sizeof(corpus) / sizeof(corpus[0]));
        buffer_append(stream, corpus[start].stream, corpus[start].stream_size);
        for (uint64_t i = prng_below(seed, 4); i > 0 && stream->size; i--)
            stream->data[prng_below(seed, stream->size)] =
                alphabet[prng_below(seed, sizeof(alphabet))];
        return;
    }
    for (size_t i = 0; i < size; i++)
        buffer_append_byte(stream, prng_below(seed, 20)
                                       ? alphabet[prng_below(seed, sizeof(alphabet) - 1)]
                                       : (char)prng_next(seed));
}

static void test_garbage(void **state)
{
    (void)state;
    struct buffer stream = {0}, whole = {0};
    struct resp_limits strict = client_limits;
    strict.allow_inline = false;
    strict.inline_max = 20;
    for (uint64_t round = 0; round < 3000; round++) {
        uint64_t seed = round;
        const struct resp_limits *limits = round % 3 ? &client_limits : &strict;
        random_stream(&seed, &stream);
        buffer_clear(&whole);
        transcribe_whole(limits, buffer_bytes(&stream), &whole);
        assert_same_however_cut(limits, buffer_bytes(&stream), &whole);
    }
    buffer_deinit(&stream);
    buffer_deinit(&whole);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        int64_t value;
    } cases[] = {{"0", true, 0},
                 {"-1", true, -1},
                 {"9223372036854775807", true, INT64_MAX},
                 {"-9223372036854775808", true, INT64_MIN},
                 {"9223372036854775808", false, 0},
                 {"-9223372036854775809", false, 0},
                 {"18446744073709551616", false, 0},
                 {"99999999999999999999", false, 0},
                 {"", false, 0},
                 {"-", false, 0},
                 {"-0", false, 0},
                 {"+1", false, 0},
                 {"01", false, 0},
                 {"00", false, 0},
                 {" 1", false, 0},
                 {"1 ", false, 0},
                 {"1a", false, 0},
                 {"--1", false, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 0;
        assert_int_equal(number_parse_i64(bytes_from_string(cases[i].text), &value),
                         cases[i].valid);
        if (!cases[i].valid)
            continue;
        assert_int_equal(value, cases[i].value);
        char text[NUMBER_I64_SIZE];
        assert_int_equal(number_format_i64(value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
    uint64_t large;
    assert_true(number_parse_u64(bytes_from_string("18446744073709551615"), &large));
    assert_true(large == UINT64_MAX);
}

static void test_floats(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *formatted; /* NULL: not a number */
    } cases[] = {{"3.0", "3"},   {"-0.0", "0"},    {"10.50", "10.5"}, {"5.0e3", "5000"},
                 {"0.1", "0.1"}, {"1e-18", "0"},   {"-1.5", "-1.5"},  {"0x10", "16"},
                 {"inf", "inf"}, {"-inf", "-inf"}, {"nan", NULL},     {"1e5000", NULL},
                 {"1 ", NULL},   {" 1", NULL},     {"", NULL},        {"abc", NULL}};
    char text[NUMBER_LONG_DOUBLE_SIZE];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        long double value;
        bool valid = number_parse_long_double(bytes_from_string(cases[i].text), &value);
        assert_int_equal(valid, cases[i].formatted != NULL);
        if (!valid)
            continue;
        number_format_long_double(value, text);
        assert_string_equal(text, cases[i].formatted);
    }
    assert_int_equal(number_format_double(0.1, text), 3);
    assert_string_equal(text, "0.1");
    number_format_double(1.0 / 3, text);
    assert_string_equal(text, "0.3333333333333333");
    number_format_double(-INFINITY, text);
    assert_string_equal(text, "-inf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus),
                                       cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_unauthenticated),
                                       cmocka_unit_test(test_strict),
                                       cmocka_unit_test(test_promises_are_free),
                                       cmocka_unit_test(test_nothing_is_scanned_twice),
                                       cmocka_unit_test(test_garbage),
                                       cmocka_unit_test(test_integers),
                                       cmocka_unit_test(test_floats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
