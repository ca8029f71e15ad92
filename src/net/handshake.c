/* See handshake.h.  Everything read here comes from a connection that has proved nothing yet: sizes
 * first, then digits, then meaning.  Proofs are compared in constant time. */
#include "net/handshake.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "net/wire.h"
#include "resp/writer.h"

static const char *const channel_names[CHANNELS] = {"control", "entries", "commands"};

const char *wire_channel_name(enum channel channel)
{
    return channel_names[channel];
}

void handshake_nonce(unsigned char nonce[HANDSHAKE_NONCE_SIZE])
{
    if (RAND_bytes(nonce, HANDSHAKE_NONCE_SIZE) != 1)
        fatal("the system has no random bytes to give");
}

void handshake_proof(const struct handshake *handshake, enum handshake_role role,
                     const char *secret, unsigned char proof[HANDSHAKE_PROOF_SIZE])
{
    unsigned char said[1 + 8 * 5 + 2 * HANDSHAKE_NONCE_SIZE + RAFT_ADDRESS_SIZE] = {0};
    unsigned char *at = said;
    *at++ = role == HANDSHAKE_DIALER ? 'D' : 'A';
    put_u64(at, handshake->version);
    put_u64(at + 8, handshake->cluster);
    put_u64(at + 16, handshake->dialer);
    put_u64(at + 24, handshake->acceptor);
    put_u64(at + 32, handshake->channel);
    at += 40;
    memcpy(at, handshake->dialer_nonce, HANDSHAKE_NONCE_SIZE);
    memcpy(at + HANDSHAKE_NONCE_SIZE, handshake->acceptor_nonce, HANDSHAKE_NONCE_SIZE);
    at += 2 * HANDSHAKE_NONCE_SIZE;
    memcpy(at, handshake->client_address, strlen(handshake->client_address));
    unsigned int size = HANDSHAKE_PROOF_SIZE;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), said, sizeof said, proof, &size))
        fatal("HMAC-SHA256 is not available");
    check(size == HANDSHAKE_PROOF_SIZE);
}

/* ---- writing --------------------------------------------------------------------- */

static void hex_of(const unsigned char *data, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", data[i]);
}

static void argument_number(struct buffer *out, const char *format, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, format, value);
    resp_command_argument(out, bytes_from_string(text));
}

void handshake_write_hello(struct buffer *out, const struct handshake *handshake)
{
    char nonce[2 * HANDSHAKE_NONCE_SIZE + 1];
    hex_of(handshake->dialer_nonce, HANDSHAKE_NONCE_SIZE, nonce);
    resp_command_header(out, 8);
    resp_command_argument(out, bytes_from_string("RR.HELLO"));
    argument_number(out, "%" PRIu64, handshake->version);
    argument_number(out, "%016" PRIx64, handshake->cluster);
    argument_number(out, "%" PRIu64, handshake->dialer);
    argument_number(out, "%" PRIu64, handshake->acceptor);
    resp_command_argument(out, bytes_from_string(wire_channel_name(handshake->channel)));
    resp_command_argument(out, bytes_from_string(nonce));
    resp_command_argument(out, bytes_from_string(handshake->client_address));
}

void handshake_write_welcome(struct buffer *out, const struct handshake *handshake,
                             const char *secret)
{
    unsigned char proof[HANDSHAKE_PROOF_SIZE];
    char nonce_text[2 * HANDSHAKE_NONCE_SIZE + 1];
    char proof_text[2 * HANDSHAKE_PROOF_SIZE + 1];
    handshake_proof(handshake, HANDSHAKE_ACCEPTOR, secret, proof);
    hex_of(handshake->acceptor_nonce, HANDSHAKE_NONCE_SIZE, nonce_text);
    hex_of(proof, HANDSHAKE_PROOF_SIZE, proof_text);
    buffer_printf(out, "+OK %s %s\r\n", nonce_text, proof_text);
}

void handshake_write_proof(struct buffer *out, const struct handshake *handshake,
                           const char *secret)
{
    unsigned char proof[HANDSHAKE_PROOF_SIZE];
    char text[2 * HANDSHAKE_PROOF_SIZE + 1];
    handshake_proof(handshake, HANDSHAKE_DIALER, secret, proof);
    hex_of(proof, HANDSHAKE_PROOF_SIZE, text);
    resp_command_header(out, 2);
    resp_command_argument(out, bytes_from_string("RR.PROVE"));
    resp_command_argument(out, bytes_from_string(text));
}

/* ---- reading ----------------------------------------------------------------------- */

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    return 16;
}

static bool read_number(struct bytes text, unsigned base, uint64_t *value)
{
    const char *at = text.data;
    if (text.size == 0 || text.size > 20)
        return false;
    *value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)digit_of(at[i]);
        if (digit >= base || *value > (UINT64_MAX - digit) / base)
            return false;
        *value = *value * base + digit;
    }
    return true;
}

static bool read_hex(struct bytes text, unsigned char *data, size_t size)
{
    const char *at = text.data;
    if (text.size != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(at[2 * i]), low = digit_of(at[2 * i + 1]);
        if (high > 15 || low > 15)
            return false;
        data[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool read_channel(struct bytes text, enum channel *channel)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (!bytes_equal(text, bytes_from_string(channel_names[i])))
            continue;
        *channel = (enum channel)i;
        return true;
    }
    return false;
}

/* It will be put into replies and INFO: printable, without spaces. */
static bool read_address(struct bytes text, char address[RAFT_ADDRESS_SIZE])
{
    const char *at = text.data;
    if (text.size >= RAFT_ADDRESS_SIZE)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (at[i] <= ' ' || at[i] > '~')
            return false;
    }
    memset(address, 0, RAFT_ADDRESS_SIZE);
    if (text.size)
        memcpy(address, text.data, text.size);
    return true;
}

const char *handshake_read_hello(struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc)
{
    *handshake = (struct handshake){0};
    if (argc < 1 || !bytes_is(argv[0], "RR.HELLO"))
        return "expected RR.HELLO: this is a redis-raft peer port, clients connect to another";
    if (argc < 2 || !read_number(argv[1], 10, &handshake->version))
        return "RR.HELLO without a protocol version";
    if (handshake->version != WIRE_VERSION)
        return "another version of the peer protocol";
    if (argc != 8)
        return "RR.HELLO with the wrong number of words";
    if (!read_number(argv[2], 16, &handshake->cluster))
        return "RR.HELLO with a malformed cluster id";
    if (!read_number(argv[3], 10, &handshake->dialer) ||
        !read_number(argv[4], 10, &handshake->acceptor))
        return "RR.HELLO with a malformed node id";
    if (!read_channel(argv[5], &handshake->channel))
        return "RR.HELLO with an unknown channel";
    if (!read_hex(argv[6], handshake->dialer_nonce, HANDSHAKE_NONCE_SIZE))
        return "RR.HELLO with a malformed nonce";
    if (!read_address(argv[7], handshake->client_address))
        return "RR.HELLO with a malformed client address";
    return NULL;
}

static const char *compare_proof(const struct handshake *handshake, enum handshake_role role,
                                 const char *secret, struct bytes text)
{
    unsigned char wanted[HANDSHAKE_PROOF_SIZE], got[HANDSHAKE_PROOF_SIZE];
    if (!read_hex(text, got, sizeof got))
        return "a malformed proof";
    handshake_proof(handshake, role, secret, wanted);
    return CRYPTO_memcmp(wanted, got, sizeof wanted) == 0
               ? NULL
               : "the other side's peer-secret is not ours";
}

const char *handshake_read_welcome(struct handshake *handshake, struct bytes line,
                                   const char *secret)
{
    enum { START = 4, NONCE = 2 * HANDSHAKE_NONCE_SIZE, PROOF = 2 * HANDSHAKE_PROOF_SIZE };
    const char *at = line.data;
    if (line.size != START + NONCE + 1 + PROOF || memcmp(at, "+OK ", START) != 0 ||
        at[START + NONCE] != ' ')
        return "the answer is not that of a redis-raft peer port";
    if (!read_hex(bytes_of(at + START, NONCE), handshake->acceptor_nonce, HANDSHAKE_NONCE_SIZE))
        return "a malformed nonce";
    return compare_proof(handshake, HANDSHAKE_ACCEPTOR, secret,
                         bytes_of(at + START + NONCE + 1, PROOF));
}

const char *handshake_read_proof(const struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc, const char *secret)
{
    if (argc != 2 || !bytes_is(argv[0], "RR.PROVE"))
        return "expected RR.PROVE";
    return compare_proof(handshake, HANDSHAKE_DIALER, secret, argv[1]);
}
