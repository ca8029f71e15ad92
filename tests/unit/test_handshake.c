/* The handshake of two nodes, on memory: it works when both know the same, each thing that may
 * differ is refused for that reason, and the dialer proves itself first. */
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
                                  .meaning = 7,
                                  .client_address = "127.0.0.1:7003",
                                  .peer_address = "[::1]:17003",
                                  .dialer_node = {UINT64_MAX, 3, 900, 0xfe}};
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

static void line_of(const struct buffer *text, struct bytes *line)
{
    assert_true(text->size > 2);
    assert_memory_equal(text->data + text->size - 2, "\r\n", 2);
    *line = bytes_of(text->data, text->size - 2);
}

/* A hello and a welcome, as far as both sides are agreed. */
static void greet(struct handshake *dialer, struct handshake *acceptor)
{
    struct buffer hello = {0}, welcome = {0};
    struct bytes line;
    handshake_write_hello(&hello, dialer);
    assert_null(read_hello(acceptor, &hello));
    handshake_nonce(acceptor->acceptor_nonce);
    handshake_write_welcome(&welcome, acceptor);
    line_of(&welcome, &line);
    assert_null(handshake_read_welcome(dialer, line));
    assert_memory_equal(dialer->said, acceptor->said, sizeof dialer->said);
    buffer_deinit(&hello);
    buffer_deinit(&welcome);
}

/* The whole exchange; *dialer_error and the result: what each side says of the other's proof. */
static const char *meet(const char *dialer_secret, const char *acceptor_secret,
                        const char **dialer_error)
{
    struct handshake dialer = fresh(), acceptor;
    struct buffer proof = {0}, answer = {0};
    struct bytes line;
    greet(&dialer, &acceptor);
    handshake_write_proof(&proof, &dialer, dialer_secret);
    const char *error = read_proof(&acceptor, &proof, acceptor_secret);
    handshake_write_answer(&answer, &acceptor, acceptor_secret);
    line_of(&answer, &line);
    *dialer_error = handshake_read_answer(&dialer, line, dialer_secret);
    buffer_deinit(&proof);
    buffer_deinit(&answer);
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
    assert_int_equal(acceptor.meaning, 7);
    assert_string_equal(acceptor.peer_address, "[::1]:17003");
    assert_memory_equal(&acceptor.dialer_node, &dialer.dialer_node, sizeof acceptor.dialer_node);
    assert_memory_equal(acceptor.dialer_nonce, dialer.dialer_nonce, HANDSHAKE_NONCE_SIZE);
    buffer_deinit(&hello);
}

/* Both sides say what they are; an older build says nothing. */
static void a_welcome_says_what_it_is(void **state)
{
    (void)state;
    for (uint64_t life = 0; life < 3; life++) {
        struct handshake dialer = fresh(), acceptor;
        struct buffer hello = {0}, welcome = {0};
        struct bytes line;
        handshake_write_hello(&hello, &dialer);
        assert_null(read_hello(&acceptor, &hello));
        acceptor.acceptor_node = (struct handshake_node){life, life * 12, life * 77, life / 2};
        handshake_write_welcome(&welcome, &acceptor);
        line_of(&welcome, &line);
        assert_null(handshake_read_welcome(&dialer, line));
        assert_memory_equal(&dialer.acceptor_node, &acceptor.acceptor_node,
                            sizeof dialer.acceptor_node);
        assert_memory_equal(dialer.said, acceptor.said, sizeof dialer.said);
        buffer_deinit(&hello);
        buffer_deinit(&welcome);
    }
}

/* What a stranger gets for a perfect hello is the same whatever the secret: nothing to guess it
 * by. */
static void the_acceptor_proves_nothing_first(void **state)
{
    struct handshake dialer = fresh(), acceptor;
    struct buffer hello = {0}, welcome = {0};
    char wanted[5 + 2 * HANDSHAKE_NONCE_SIZE + 3] = "+OK ";
    (void)state;
    handshake_write_hello(&hello, &dialer);
    assert_null(read_hello(&acceptor, &hello));
    memset(acceptor.acceptor_nonce, 0xab, sizeof acceptor.acceptor_nonce);
    handshake_write_welcome(&welcome, &acceptor);
    for (unsigned i = 0; i < HANDSHAKE_NONCE_SIZE; i++)
        strcat(wanted, "ab");
    strcat(wanted, "\r\n");
    assert_int_equal(welcome.size, strlen(wanted));
    assert_memory_equal(welcome.data, wanted, welcome.size);
    buffer_deinit(&hello);
    buffer_deinit(&welcome);
}

/* A proof is bound to everything that was said: it does not fit anything else. */
static void a_proof_fits_one_handshake_only(void **state)
{
    enum { CHANGES = 14 };
    unsigned char proof[HANDSHAKE_PROOF_SIZE], other[HANDSHAKE_PROOF_SIZE];
    struct handshake base = fresh(), changed[CHANGES];
    (void)state;
    handshake_nonce(base.acceptor_nonce);
    base.acceptor_node = (struct handshake_node){5, 6, 7, 8};
    for (unsigned i = 0; i < CHANGES; i++)
        changed[i] = base;
    changed[0].version++;
    changed[1].cluster++;
    changed[2].dialer++;
    changed[3].acceptor++;
    changed[4].channel = CHANNEL_CONTROL;
    changed[5].dialer_nonce[15] ^= 1;
    changed[6].acceptor_nonce[0] ^= 1;
    changed[7].client_address[0] ^= 1;
    changed[8].meaning++;
    changed[9].dialer_node.life--;
    changed[10].dialer_node.starts++;
    changed[11].peer_address[1] = '2';
    changed[12].acceptor_node.list++;
    changed[13].dialer_node.name++;
    struct buffer text = {0};
    handshake_write_hello(&text, &base);
    handshake_write_welcome(&text, &base);
    handshake_proof(&base, HANDSHAKE_DIALER, "s", proof);
    handshake_proof(&base, HANDSHAKE_ACCEPTOR, "s", other);
    assert_memory_not_equal(proof, other, sizeof proof);
    for (unsigned i = 0; i < CHANGES; i++) {
        handshake_write_hello(&text, &changed[i]);
        handshake_write_welcome(&text, &changed[i]);
        handshake_proof(&changed[i], HANDSHAKE_DIALER, "s", other);
        assert_memory_not_equal(proof, other, sizeof proof);
    }
    buffer_deinit(&text);
}

/* A side's own proof is not taken from the other, nor an answer that was overheard. */
static void a_proof_is_of_no_use_to_another(void **state)
{
    struct handshake dialer = fresh(), acceptor;
    struct buffer proof = {0}, answer = {0};
    char reflected[5 + 2 * HANDSHAKE_PROOF_SIZE + 1];
    (void)state;
    greet(&dialer, &acceptor);
    handshake_write_answer(&answer, &acceptor, "s");
    const struct bytes words[2] = {bytes_from_string("RR.PROVE"),
                                   bytes_of(answer.data + 4, 2 * HANDSHAKE_PROOF_SIZE)};
    assert_non_null(handshake_read_proof(&acceptor, words, 2, "s"));
    handshake_write_proof(&proof, &dialer, "s");
    snprintf(reflected, sizeof reflected, "+OK %.*s", 2 * HANDSHAKE_PROOF_SIZE,
             (const char *)proof.data + proof.size - 2 - (size_t)(2 * HANDSHAKE_PROOF_SIZE));
    assert_non_null(handshake_read_answer(&dialer, bytes_from_string(reflected), "s"));
    greet(&dialer, &acceptor); /* the same again, with another nonce of the acceptor's */
    assert_non_null(read_proof(&acceptor, &proof, "s"));
    assert_non_null(handshake_read_answer(&dialer, bytes_of(answer.data, answer.size - 2), "s"));
    buffer_deinit(&proof);
    buffer_deinit(&answer);
}

/* Of a later version, which says more: it is skipped, and the proofs cover it all the same. */
static void more_words_are_skipped_and_proved(void **state)
{
    struct handshake dialer = fresh(), acceptor, plain;
    struct buffer hello = {0};
    struct resp_parser *parser;
    struct bytes more[HANDSHAKE_WORDS_MAX + 1];
    uint32_t argc;
    (void)state;
    handshake_write_hello(&hello, &dialer);
    const struct bytes *argv = words_of(&parser, &hello, &argc);
    for (uint32_t i = 0; i <= HANDSHAKE_WORDS_MAX; i++)
        more[i] = i < argc ? argv[i] : bytes_from_string("colour=blue");
    assert_null(handshake_read_hello(&plain, more, argc));
    assert_null(handshake_read_hello(&acceptor, more, argc + 1));
    assert_int_equal(acceptor.dialer, dialer.dialer);
    assert_memory_not_equal(acceptor.said, plain.said, sizeof plain.said);
    assert_null(handshake_read_hello(&acceptor, more, HANDSHAKE_WORDS_MAX));
    assert_non_null(handshake_read_hello(&acceptor, more, HANDSHAKE_WORDS_MAX + 1));
    struct handshake short_of = dialer;
    assert_null(handshake_read_welcome(&short_of,
                                       bytes_from_string("+OK 00112233445566778899aabbccddeeff")));
    assert_null(handshake_read_welcome(
        &dialer, bytes_from_string("+OK 00112233445566778899aabbccddeeff colour=blue")));
    assert_memory_not_equal(dialer.said, short_of.said, sizeof dialer.said);
    resp_parser_free(parser);
    buffer_deinit(&hello);
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
    static const char *const good[9] = {"RR.HELLO",
                                        "3",
                                        "00000000000000ff",
                                        "0",
                                        "1",
                                        "control",
                                        "00112233445566778899aabbccddeeff",
                                        "127.0.0.1:1",
                                        "meaning=2"};
    static const struct {
        unsigned word;
        const char *text, *error;
    } changes[] = {
        {0, "PING",
         "expected RR.HELLO: this is a redis-raft peer port, clients connect to another"},
        {1, "x", "RR.HELLO without a protocol version"},
        {1, "2", "another version of the peer protocol"},
        {1, "99999999999999999999", "RR.HELLO without a protocol version"},
        {2, "", "RR.HELLO with a malformed cluster id"},
        {2, "xyz", "RR.HELLO with a malformed cluster id"},
        {3, "-1", "RR.HELLO with a malformed node id"},
        {3, "18446744073709551615", "RR.HELLO with a malformed node id"}, /* nobody's */
        {4, "0x1", "RR.HELLO with a malformed node id"},
        {5, "controls", "RR.HELLO with an unknown channel"},
        {6, "00", "RR.HELLO with a malformed nonce"},
        {6, "00112233445566778899aabbccddeefg", "RR.HELLO with a malformed nonce"},
        {7, "a b", "RR.HELLO with a malformed client address"},
        {7, "0123456789012345678901234567890123456789012345678901234567890123",
         "RR.HELLO with a malformed client address"},
        {8, "meaning=0", "RR.HELLO with a malformed meaning"},
        {8, "meaning=256", "RR.HELLO with a malformed meaning"},
        {8, "meaning=", "RR.HELLO with a malformed meaning"},
        {8, "meaning=-1", "RR.HELLO with a malformed meaning"},
        {8, "life=xy", "RR.HELLO with a malformed life, starts, list or name"},
        {8, "starts=", "RR.HELLO with a malformed life, starts, list or name"},
        {8, "list=1f", "RR.HELLO with a malformed life, starts, list or name"},
        {8, "peer=a b", "RR.HELLO with a malformed peer address"},
    };
    struct handshake handshake;
    struct bytes argv[9];
    (void)state;
    for (unsigned i = 0; i < 9; i++)
        argv[i] = bytes_from_string(good[i]);
    assert_null(handshake_read_hello(&handshake, argv, 8));
    assert_int_equal(handshake.meaning, 1);
    assert_null(handshake_read_hello(&handshake, argv, 9));
    assert_int_equal(handshake.meaning, 2);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *words[9];
        memcpy(words, good, sizeof words);
        words[changes[i].word] = changes[i].text;
        assert_hello_refused(words, 9, changes[i].error);
    }
    assert_hello_refused(good, 7, "RR.HELLO with the wrong number of words");
    assert_hello_refused(good, 1, "RR.HELLO without a protocol version");
    assert_non_null(handshake_read_hello(&handshake, argv, 0));
}

static void a_foreign_answer_is_refused(void **state)
{
    static const char *const lines[] = {"",
                                        " ",
                                        "+OK",
                                        "+PONG",
                                        "HTTP/1.1 400 Bad Request",
                                        "+OK  ",
                                        "+OK 1 2 3 4 5 6 7 8 9 a b c d e f g",
                                        "+OK 00112233445566778899aabbccddeefg",
                                        "+OK 00112233445566778899aabbccddeeff00",
                                        "+OK 00112233445566778899aabbccddeeff life=g",
                                        "+OK 00112233445566778899aabbccddeeff list=-1"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct handshake handshake = fresh();
        assert_non_null(handshake_read_welcome(&handshake, bytes_from_string(lines[i])));
        assert_non_null(handshake_read_answer(&handshake, bytes_from_string(lines[i]), ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_secrets_meet),
        cmocka_unit_test(different_secrets_do_not),
        cmocka_unit_test(hello_says_who_and_where),
        cmocka_unit_test(a_welcome_says_what_it_is),
        cmocka_unit_test(the_acceptor_proves_nothing_first),
        cmocka_unit_test(a_proof_fits_one_handshake_only),
        cmocka_unit_test(a_proof_is_of_no_use_to_another),
        cmocka_unit_test(more_words_are_skipped_and_proved),
        cmocka_unit_test(a_malformed_hello_is_refused),
        cmocka_unit_test(a_foreign_answer_is_refused),
    };
    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
