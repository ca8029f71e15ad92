/* The handshake of two nodes, on memory: it works when both know the same, and each thing that may
 * differ is refused for that reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/handshake.h"
#include "net/wire.h"
#include "resp/parser.h"

static struct handshake fresh(void)
{
    struct handshake handshake = {.version = WIRE_VERSION,
                                  .cluster = 0xfeedface12345678,
                                  .dialer = 2,
                                  .acceptor = 0,
                                  .channel = CHANNEL_ENTRIES,
                                  .client_address = "127.0.0.1:7003"};
    handshake_nonce(handshake.dialer_nonce);
    return handshake;
}

/* The words of a command in `text`, valid as long as the parser. */
static const struct bytes *words_of(struct resp_parser **parser, const struct buffer *text,
                                    uint32_t *argc)
{
    struct resp_limits limits = {
        .bulk_max = 512, .inline_max = 64, .argc_max = 16, .command_max = 2048};
    size_t consumed;
    *parser = resp_parser_new(&limits);
    assert_int_equal(resp_parse(*parser, text->data, text->size, &consumed), RESP_COMMAND);
    assert_int_equal(consumed, text->size);
    return resp_argv(*parser, argc);
}

static const char *read_hello(struct handshake *acceptor, const struct buffer *text)
{
    struct resp_parser *parser;
    uint32_t argc;
    const struct bytes *argv = words_of(&parser, text, &argc);
    const char *error = handshake_read_hello(acceptor, argv, argc);
    resp_parser_free(parser);
    return error;
}

static const char *read_proof(const struct handshake *acceptor, const struct buffer *text,
                              const char *secret)
{
    struct resp_parser *parser;
    uint32_t argc;
    const struct bytes *argv = words_of(&parser, text, &argc);
    const char *error = handshake_read_proof(acceptor, argv, argc, secret);
    resp_parser_free(parser);
    return error;
}

/* The whole exchange; *dialer_error and the result: what each side says. */
static const char *meet(const char *dialer_secret, const char *acceptor_secret,
                        const char **dialer_error)
{
    struct handshake dialer = fresh(), acceptor;
    struct buffer hello = {0}, welcome = {0}, proof = {0};
    handshake_write_hello(&hello, &dialer);
    assert_null(read_hello(&acceptor, &hello));
    handshake_nonce(acceptor.acceptor_nonce);
    handshake_write_welcome(&welcome, &acceptor, acceptor_secret);
    *dialer_error =
        handshake_read_welcome(&dialer, bytes_of(welcome.data, welcome.size - 2), dialer_secret);
    handshake_write_proof(&proof, &dialer, dialer_secret);
    const char *error = read_proof(&acceptor, &proof, acceptor_secret);
    buffer_deinit(&hello);
    buffer_deinit(&welcome);
    buffer_deinit(&proof);
    return error;
}

static void equal_secrets_meet(void **state)
{
    const char *dialer_error;
    (void)state;
    assert_null(meet("open sesame", "open sesame", &dialer_error));
    assert_null(dialer_error);
    assert_null(meet("", "", &dialer_error));
    assert_null(dialer_error);
}

static void different_secrets_do_not(void **state)
{
    static const char *const pairs[][2] = {{"a", "b"}, {"", "b"}, {"a", ""}, {"ab", "a"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *dialer_error;
        assert_non_null(meet(pairs[i][0], pairs[i][1], &dialer_error));
        assert_non_null(dialer_error);
    }
}

static void hello_says_who_and_where(void **state)
{
    struct handshake dialer = fresh(), acceptor;
    struct buffer hello = {0};
    (void)state;
    handshake_write_hello(&hello, &dialer);
    assert_null(read_hello(&acceptor, &hello));
    assert_int_equal(acceptor.version, dialer.version);
    assert_int_equal(acceptor.cluster, dialer.cluster);
    assert_int_equal(acceptor.dialer, 2);
    assert_int_equal(acceptor.acceptor, 0);
    assert_int_equal(acceptor.channel, CHANNEL_ENTRIES);
    assert_string_equal(acceptor.client_address, "127.0.0.1:7003");
    assert_memory_equal(acceptor.dialer_nonce, dialer.dialer_nonce, HANDSHAKE_NONCE_SIZE);
    buffer_deinit(&hello);
}

/* A proof is bound to everything that was said: it does not fit anything else. */
static void a_proof_fits_one_handshake_only(void **state)
{
    unsigned char proof[HANDSHAKE_PROOF_SIZE], other[HANDSHAKE_PROOF_SIZE];
    struct handshake base = fresh();
    (void)state;
    handshake_nonce(base.acceptor_nonce);
    handshake_proof(&base, HANDSHAKE_DIALER, "s", proof);
    handshake_proof(&base, HANDSHAKE_ACCEPTOR, "s", other);
    assert_memory_not_equal(proof, other, sizeof proof);
    struct handshake changed[8];
    for (unsigned i = 0; i < 8; i++)
        changed[i] = base;
    changed[0].version++;
    changed[1].cluster++;
    changed[2].dialer++;
    changed[3].acceptor++;
    changed[4].channel = CHANNEL_CONTROL;
    changed[5].dialer_nonce[15] ^= 1;
    changed[6].acceptor_nonce[0] ^= 1;
    changed[7].client_address[0] ^= 1;
    for (unsigned i = 0; i < 8; i++) {
        handshake_proof(&changed[i], HANDSHAKE_DIALER, "s", other);
        assert_memory_not_equal(proof, other, sizeof proof);
    }
}

static void assert_hello_refused(const char *const words[8], uint32_t argc, const char *error)
{
    struct handshake handshake;
    struct bytes argv[9];
    for (uint32_t i = 0; i < argc; i++)
        argv[i] = bytes_from_string(words[i]);
    const char *got = handshake_read_hello(&handshake, argv, argc);
    assert_non_null(got);
    assert_string_equal(got, error);
}

static void a_malformed_hello_is_refused(void **state)
{
    static const char *const good[8] = {"RR.HELLO",
                                        "2",
                                        "00000000000000ff",
                                        "0",
                                        "1",
                                        "control",
                                        "00112233445566778899aabbccddeeff",
                                        "127.0.0.1:1"};
    static const struct {
        unsigned word;
        const char *text, *error;
    } changes[] = {
        {0, "PING",
         "expected RR.HELLO: this is a redis-raft peer port, clients connect to another"},
        {1, "x", "RR.HELLO without a protocol version"},
        {1, "1", "another version of the peer protocol"},
        {1, "99999999999999999999", "RR.HELLO without a protocol version"},
        {2, "", "RR.HELLO with a malformed cluster id"},
        {2, "xyz", "RR.HELLO with a malformed cluster id"},
        {3, "-1", "RR.HELLO with a malformed node id"},
        {4, "0x1", "RR.HELLO with a malformed node id"},
        {5, "controls", "RR.HELLO with an unknown channel"},
        {6, "00", "RR.HELLO with a malformed nonce"},
        {6, "00112233445566778899aabbccddeefg", "RR.HELLO with a malformed nonce"},
        {7, "a b", "RR.HELLO with a malformed client address"},
        {7, "0123456789012345678901234567890123456789012345678901234567890123",
         "RR.HELLO with a malformed client address"},
    };
    struct handshake handshake;
    struct bytes argv[8];
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        argv[i] = bytes_from_string(good[i]);
    assert_null(handshake_read_hello(&handshake, argv, 8));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *words[8];
        memcpy(words, good, sizeof words);
        words[changes[i].word] = changes[i].text;
        assert_hello_refused(words, 8, changes[i].error);
    }
    assert_hello_refused(good, 7, "RR.HELLO with the wrong number of words");
    assert_hello_refused(good, 1, "RR.HELLO without a protocol version");
    assert_non_null(handshake_read_hello(&handshake, argv, 0));
}

static void a_foreign_welcome_is_refused(void **state)
{
    static const char *const lines[] = {"", "+OK", "+PONG", "HTTP/1.1 400 Bad Request", "+OK  "};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct handshake handshake = fresh();
        assert_non_null(handshake_read_welcome(&handshake, bytes_from_string(lines[i]), ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_secrets_meet),
        cmocka_unit_test(different_secrets_do_not),
        cmocka_unit_test(hello_says_who_and_where),
        cmocka_unit_test(a_proof_fits_one_handshake_only),
        cmocka_unit_test(a_malformed_hello_is_refused),
        cmocka_unit_test(a_foreign_welcome_is_refused),
    };
    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
