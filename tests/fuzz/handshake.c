/* What a stranger says on a peer port, or one who is dialed: a hello or welcome that is accepted,
 * written again, says the same.  A proof without the secret is not accepted. */
#include "fuzz.h"

#include "base/fatal.h"
#include "net/handshake.h"
#include "net/wire.h"

static bool same(const struct handshake *a, const struct handshake *b)
{
    return a->version == b->version && a->cluster == b->cluster && a->dialer == b->dialer &&
           a->acceptor == b->acceptor && a->channel == b->channel && a->meaning == b->meaning &&
           memcmp(a->dialer_nonce, b->dialer_nonce, sizeof a->dialer_nonce) == 0 &&
           strcmp(a->client_address, b->client_address) == 0 &&
           strcmp(a->peer_address, b->peer_address) == 0 &&
           (a->dialer_node.life == 0 ||
            memcmp(&a->dialer_node, &b->dialer_node, sizeof a->dialer_node) == 0);
}

static void check_again(struct handshake *hello, struct resp_parser *parser)
{
    struct buffer out = {0};
    struct handshake again;
    size_t consumed;
    uint32_t argc;
    handshake_write_hello(&out, hello);
    check(resp_parse(parser, out.data, out.size, &consumed) == RESP_COMMAND);
    const struct bytes *argv = resp_argv(parser, &argc);
    check(!handshake_read_hello(&again, argv, argc));
    check(same(hello, &again));
    buffer_deinit(&out);
}

static void try_welcome(struct bytes line)
{
    struct handshake handshake = {.version = WIRE_VERSION}, again = handshake;
    struct buffer out = {0};
    check(handshake_read_answer(&handshake, line, "secret"));
    if (handshake_read_welcome(&handshake, line))
        return;
    memcpy(again.acceptor_nonce, handshake.acceptor_nonce, sizeof again.acceptor_nonce);
    handshake_write_welcome(&out, &again);
    out.size -= 2;
    bool whole = bytes_equal(line, bytes_of(out.data, out.size));
    check(out.size <= line.size && memcmp(line.data, out.data, out.size) == 0);
    check((memcmp(again.said, handshake.said, sizeof again.said) == 0) == whole);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resp_limits limits = {HANDSHAKE_LINE_MAX, 64, HANDSHAKE_WORDS_MAX,
                                 2 * HANDSHAKE_LINE_MAX, .allow_inline = true};
    struct resp_parser *parser = resp_parser_new(&limits);
    struct handshake handshake = {.version = WIRE_VERSION};
    size_t consumed;
    try_welcome(bytes_of(data, size));
    if (resp_parse(parser, (const char *)data, size, &consumed) == RESP_COMMAND) {
        uint32_t argc;
        const struct bytes *argv = resp_argv(parser, &argc);
        check(handshake_read_proof(&handshake, argv, argc, "secret"));
        if (!handshake_read_hello(&handshake, argv, argc))
            check_again(&handshake, parser);
    }
    resp_parser_free(parser);
    return 0;
}
