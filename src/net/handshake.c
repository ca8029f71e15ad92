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

/* At least; what comes after them is skipped. */
enum { HELLO_WORDS = 8, WELCOME_WORDS = 2 };

static const char meaning_name[] = "meaning=", life_name[] = "life=", starts_name[] = "starts=",
                  list_name[] = "list=", name_name[] = "name=", peer_name[] = "peer=";

/* The optional words of a side, with what is said. */
enum { NODE_WORDS = 4, WORD_SIZE = 8 + RAFT_ADDRESS_SIZE };

static const char *const channel_names[CHANNEL_NAMES] = {"control", "entries", "commands", "join"};

const char *wire_channel_name(enum channel channel)
{
    return channel_names[channel];
}

void handshake_nonce(unsigned char nonce[HANDSHAKE_NONCE_SIZE])
{
    if (RAND_bytes(nonce, HANDSHAKE_NONCE_SIZE) != 1)
        fatal("the system has no random bytes to give");
}

/* `said` becomes the digest of itself and these words. */
static void note_words(struct handshake *handshake, const struct bytes *words, uint32_t count)
{
    unsigned char number[4];
    unsigned int size = sizeof handshake->said;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool done = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(digest, handshake->said, sizeof handshake->said) == 1;
    put_u32(number, count);
    done = done && EVP_DigestUpdate(digest, number, sizeof number) == 1;
    for (uint32_t i = 0; done && i < count; i++) {
        put_u32(number, (uint32_t)words[i].size);
        done = EVP_DigestUpdate(digest, number, sizeof number) == 1 &&
               EVP_DigestUpdate(digest, words[i].data, words[i].size) == 1;
    }
    done = done && EVP_DigestFinal_ex(digest, handshake->said, &size) == 1;
    EVP_MD_CTX_free(digest);
    if (!done)
        fatal("SHA-256 is not available");
    check(size == sizeof handshake->said);
}

void handshake_proof(const struct handshake *handshake, enum handshake_role role,
                     const char *secret, unsigned char proof[HANDSHAKE_PROOF_SIZE])
{
    unsigned char input[1 + sizeof handshake->said];
    input[0] = role == HANDSHAKE_DIALER ? 'D' : 'A';
    memcpy(input + 1, handshake->said, sizeof handshake->said);
    unsigned int size = HANDSHAKE_PROOF_SIZE;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), input, sizeof input, proof, &size))
        fatal("HMAC-SHA256 is not available");
    check(size == HANDSHAKE_PROOF_SIZE);
}

/* ---- writing --------------------------------------------------------------------- */

static void hex_of(const unsigned char *data, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", data[i]);
}

/* Nothing by a side that has no life; returns how many words. */
static uint32_t node_words(const struct handshake_node *node, char texts[NODE_WORDS][WORD_SIZE],
                           struct bytes words[NODE_WORDS])
{
    if (node->life == 0)
        return 0;
    snprintf(texts[0], WORD_SIZE, "%s%016" PRIx64, life_name, node->life);
    snprintf(texts[1], WORD_SIZE, "%s%" PRIu64, starts_name, node->starts);
    snprintf(texts[2], WORD_SIZE, "%s%" PRIu64, list_name, node->list);
    snprintf(texts[3], WORD_SIZE, "%s%016" PRIx64, name_name, node->name);
    uint32_t count = node->name != 0 ? NODE_WORDS : NODE_WORDS - 1;
    for (uint32_t i = 0; i < count; i++)
        words[i] = bytes_from_string(texts[i]);
    return count;
}

void handshake_write_hello(struct buffer *out, struct handshake *handshake)
{
    char version[24], cluster[24], dialer[24], acceptor[24], meaning[24];
    char node[NODE_WORDS][WORD_SIZE], peer[WORD_SIZE];
    char nonce[2 * HANDSHAKE_NONCE_SIZE + 1];
    snprintf(version, sizeof version, "%" PRIu64, handshake->version);
    snprintf(cluster, sizeof cluster, "%016" PRIx64, handshake->cluster);
    snprintf(dialer, sizeof dialer, "%" PRIu64, handshake->dialer);
    snprintf(acceptor, sizeof acceptor, "%" PRIu64, handshake->acceptor);
    snprintf(meaning, sizeof meaning, "%s%u", meaning_name, handshake->meaning);
    hex_of(handshake->dialer_nonce, HANDSHAKE_NONCE_SIZE, nonce);
    struct bytes words[HANDSHAKE_WORDS_MAX] = {
        bytes_from_string("RR.HELLO"), bytes_from_string(version),
        bytes_from_string(cluster),    bytes_from_string(dialer),
        bytes_from_string(acceptor),   bytes_from_string(channel_names[handshake->channel]),
        bytes_from_string(nonce),      bytes_from_string(handshake->client_address),
        bytes_from_string(meaning)};
    uint32_t count = HELLO_WORDS + 1;
    count += node_words(&handshake->dialer_node, node, words + count);
    if (handshake->peer_address[0] != '\0') {
        snprintf(peer, sizeof peer, "%s%s", peer_name, handshake->peer_address);
        words[count++] = bytes_from_string(peer);
    }
    resp_command_header(out, count);
    for (uint32_t i = 0; i < count; i++)
        resp_command_argument(out, words[i]);
    memset(handshake->said, 0, sizeof handshake->said);
    note_words(handshake, words, count);
}

void handshake_write_welcome(struct buffer *out, struct handshake *handshake)
{
    char nonce[2 * HANDSHAKE_NONCE_SIZE + 1];
    hex_of(handshake->acceptor_nonce, HANDSHAKE_NONCE_SIZE, nonce);
    char node[NODE_WORDS][WORD_SIZE];
    struct bytes words[WELCOME_WORDS + NODE_WORDS] = {bytes_from_string("+OK"),
                                                      bytes_from_string(nonce)};
    uint32_t count = WELCOME_WORDS;
    count += node_words(&handshake->acceptor_node, node, words + count);
    for (uint32_t i = 0; i < count; i++)
        buffer_printf(out, "%s%.*s", i ? " " : "", (int)words[i].size, (const char *)words[i].data);
    buffer_append(out, "\r\n", 2);
    note_words(handshake, words, count);
}

static void proof_text(const struct handshake *handshake, enum handshake_role role,
                       const char *secret, char text[2 * HANDSHAKE_PROOF_SIZE + 1])
{
    unsigned char proof[HANDSHAKE_PROOF_SIZE];
    handshake_proof(handshake, role, secret, proof);
    hex_of(proof, HANDSHAKE_PROOF_SIZE, text);
}

void handshake_write_proof(struct buffer *out, const struct handshake *handshake,
                           const char *secret)
{
    char text[2 * HANDSHAKE_PROOF_SIZE + 1];
    proof_text(handshake, HANDSHAKE_DIALER, secret, text);
    resp_command_header(out, 2);
    resp_command_argument(out, bytes_from_string("RR.PROVE"));
    resp_command_argument(out, bytes_from_string(text));
}

void handshake_write_answer(struct buffer *out, const struct handshake *handshake,
                            const char *secret)
{
    char text[2 * HANDSHAKE_PROOF_SIZE + 1];
    proof_text(handshake, HANDSHAKE_ACCEPTOR, secret, text);
    buffer_printf(out, "+OK %s\r\n", text);
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
    for (unsigned i = 0; i < CHANNEL_NAMES; i++) {
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

/* What stands behind `name` in one of the words that may be there or not; data NULL: none does.
 * The last counts. */
static struct bytes find_word(const struct bytes *words, uint32_t count, const char *name)
{
    struct bytes found = {NULL, 0};
    size_t start = strlen(name);
    for (uint32_t i = 0; i < count; i++) {
        const char *at = words[i].data;
        if (words[i].size >= start && memcmp(at, name, start) == 0)
            found = bytes_of(at + start, words[i].size - start);
    }
    return found;
}

static bool read_meaning(struct handshake *handshake, const struct bytes *words, uint32_t count)
{
    struct bytes text = find_word(words, count, meaning_name);
    uint64_t number = 1;
    if (text.data && (!read_number(text, 10, &number) || number == 0 || number > UINT8_MAX))
        return false;
    handshake->meaning = (uint8_t)number;
    return true;
}

/* Those of a later version may say one of them, or all. */
static bool read_node(struct handshake_node *node, const struct bytes *words, uint32_t count)
{
    struct bytes life = find_word(words, count, life_name);
    struct bytes starts = find_word(words, count, starts_name);
    struct bytes list = find_word(words, count, list_name);
    struct bytes name = find_word(words, count, name_name);
    *node = (struct handshake_node){.life = 0};
    return (!life.data || read_number(life, 16, &node->life)) &&
           (!starts.data || read_number(starts, 10, &node->starts)) &&
           (!list.data || read_number(list, 10, &node->list)) &&
           (!name.data || read_number(name, 16, &node->name));
}

static bool read_peer(struct handshake *handshake, const struct bytes *words, uint32_t count)
{
    struct bytes text = find_word(words, count, peer_name);
    return !text.data || read_address(text, handshake->peer_address);
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
    if (argc < HELLO_WORDS || argc > HANDSHAKE_WORDS_MAX)
        return "RR.HELLO with the wrong number of words";
    if (!read_number(argv[2], 16, &handshake->cluster))
        return "RR.HELLO with a malformed cluster id";
    if (!read_number(argv[3], 10, &handshake->dialer) ||
        !read_number(argv[4], 10, &handshake->acceptor))
        return "RR.HELLO with a malformed node id";
    if (!read_channel(argv[5], &handshake->channel))
        return "RR.HELLO with an unknown channel";
    if (handshake->dialer == RAFT_NOBODY && handshake->channel != CHANNEL_JOIN)
        return "RR.HELLO with a malformed node id"; /* who joins has none yet */
    if (!read_hex(argv[6], handshake->dialer_nonce, HANDSHAKE_NONCE_SIZE))
        return "RR.HELLO with a malformed nonce";
    if (!read_address(argv[7], handshake->client_address))
        return "RR.HELLO with a malformed client address";
    if (!read_meaning(handshake, argv + HELLO_WORDS, argc - HELLO_WORDS))
        return "RR.HELLO with a malformed meaning";
    if (!read_node(&handshake->dialer_node, argv + HELLO_WORDS, argc - HELLO_WORDS))
        return "RR.HELLO with a malformed life, starts, list or name";
    if (!read_peer(handshake, argv + HELLO_WORDS, argc - HELLO_WORDS))
        return "RR.HELLO with a malformed peer address";
    note_words(handshake, argv, argc);
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

/* The words of a line, one space between two.  0: none, or too many. */
static uint32_t split(struct bytes line, struct bytes words[HANDSHAKE_WORDS_MAX])
{
    uint32_t count = 0;
    if (line.size == 0)
        return 0;
    const char *at = line.data, *end = at + line.size;
    for (;;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        if (count == HANDSHAKE_WORDS_MAX)
            return 0;
        words[count++] = bytes_of(at, (size_t)((space ? space : end) - at));
        if (!space)
            return count;
        at = space + 1;
    }
}

const char *handshake_read_welcome(struct handshake *handshake, struct bytes line)
{
    struct bytes words[HANDSHAKE_WORDS_MAX];
    uint32_t count = split(line, words);
    if (count < WELCOME_WORDS || !bytes_is(words[0], "+OK"))
        return "the answer is not that of a redis-raft peer port";
    if (!read_hex(words[1], handshake->acceptor_nonce, HANDSHAKE_NONCE_SIZE))
        return "a malformed nonce";
    if (!read_node(&handshake->acceptor_node, words + WELCOME_WORDS, count - WELCOME_WORDS))
        return "a malformed life, starts, list or name";
    note_words(handshake, words, count);
    return NULL;
}

const char *handshake_read_proof(const struct handshake *handshake, const struct bytes *argv,
                                 uint32_t argc, const char *secret)
{
    if (argc != 2 || !bytes_is(argv[0], "RR.PROVE"))
        return "expected RR.PROVE";
    return compare_proof(handshake, HANDSHAKE_DIALER, secret, argv[1]);
}

const char *handshake_read_answer(const struct handshake *handshake, struct bytes line,
                                  const char *secret)
{
    struct bytes words[HANDSHAKE_WORDS_MAX];
    if (split(line, words) != 2 || !bytes_is(words[0], "+OK"))
        return "expected +OK and a proof";
    return compare_proof(handshake, HANDSHAKE_ACCEPTOR, secret, words[1]);
}
