/* Messages between nodes.  First byte even: the rest is what a connection brings, as RESP; a
 * message that is accepted, encoded again, is the bytes that were read.  Odd: the rest makes up
 * words that are handed to the decoder past the parser, so that the payloads in pieces, each of a
 * megabyte, are reached with short inputs. */
#include "fuzz.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "net/wire.h"

enum { FROM = 1, TO = 2, LARGE = 4 << 20 };

static struct buffer drain(struct outbox *out)
{
    struct buffer bytes = {0};
    size_t at = 0;
    for (uint32_t i = 0; i <= out->count; i++) {
        size_t end = i < out->count ? out->references[i].at : out->bytes.size;
        if (end > at)
            buffer_append(&bytes, out->bytes.data + at, end - at);
        at = end;
        if (i < out->count)
            buffer_append(&bytes, out->references[i].data, out->references[i].size);
    }
    check(bytes.size == outbox_size(out));
    outbox_deinit(out);
    return bytes;
}

static void check_message(const struct raft_message *message)
{
    check(message->from == FROM);
    check(message->to == TO);
    if (message->type != RAFT_APPEND_REQUEST)
        return;
    struct raft_pos at = message->append_request.prev;
    for (uint32_t i = 0; i < message->append_request.count; i++) {
        const struct raft_entry *entry = &message->append_request.entries[i];
        const struct blob *payload = entry->payload;
        check(entry->pos.index == at.index + 1);
        check(entry->pos.term >= at.term);
        check(entry->pos.term <= message->term);
        check(payload ? payload->size == entry->size : entry->size == 0);
        at = entry->pos;
    }
}

static void check_again(const struct wire_input *input, struct bytes taken)
{
    struct outbox out = {0};
    if (input->kind == WIRE_MESSAGE)
        wire_encode_message(&out, &input->message, input->entries, input->clock_ms);
    else if (input->kind == WIRE_FORWARD)
        wire_encode_forward(&out, &input->forward);
    else if (input->kind == WIRE_SNAPSHOT)
        wire_encode_snapshot(&out, &input->snapshot);
    else if (input->kind == WIRE_CANCEL)
        wire_encode_cancel(&out, &input->cancel);
    else
        wire_encode_forward_reply(&out, &input->forward_reply);
    struct buffer again = drain(&out);
    check(bytes_equal(buffer_bytes(&again), taken));
    buffer_deinit(&again);
}

/* False: the connection would be closed. */
static bool decode(struct wire_input *input, const struct bytes *argv, uint32_t argc,
                   struct bytes taken)
{
    enum wire_kind kind = wire_decode(input, argv, argc, FROM, TO);
    if (kind == WIRE_MESSAGE)
        check_message(&input->message);
    if (kind == WIRE_INVALID)
        check(input->error);
    else if (kind != WIRE_PIECE && taken.size)
        check_again(input, taken);
    if (kind == WIRE_PIECE) {
        check(input->assembled <= input->assembly->size);
        check(input->assembled <= input->assembly_total);
    }
    wire_release(input);
    return kind != WIRE_INVALID;
}

static void read_stream(struct bytes stream)
{
    struct resp_limits limits = wire_limits();
    struct resp_parser *parser = resp_parser_new(&limits);
    struct wire_input input = {0};
    const char *at = stream.data;
    size_t left = stream.size, consumed;
    while (resp_parse(parser, at, left, &consumed) == RESP_COMMAND) {
        uint32_t argc;
        const struct bytes *argv = resp_argv(parser, &argc);
        if (!decode(&input, argv, argc, bytes_of(at, consumed)))
            break;
        at += consumed;
        left -= consumed;
    }
    wire_input_deinit(&input);
    resp_parser_free(parser);
}

/* ---- words past the parser ----------------------------------------------------------------- */

struct source {
    const uint8_t *at;
    size_t left;
};

static uint8_t next(struct source *source)
{
    if (source->left == 0)
        return 0;
    source->left--;
    return *source->at++;
}

static struct bytes next_run(struct source *source, size_t size)
{
    size = size < source->left ? size : source->left;
    struct bytes run = bytes_of(source->at, size);
    source->at += size;
    source->left -= size;
    return run;
}

/* Totals stay small, offsets are what comes next or anything. */
static struct bytes piece_fields(struct source *source, const struct wire_input *input,
                                 unsigned char fields[8])
{
    uint8_t how = next(source);
    uint32_t total = (1u << 20) + next(source) * 8192u;
    uint32_t offset = (uint32_t)input->assembled;
    if (how & 1)
        offset += next(source);
    if (input->assembly && !(how & 2))
        total = (uint32_t)input->assembly_total;
    put_u32(fields, total);
    put_u32(fields + 4, offset);
    return bytes_of(fields, how & 4 ? 7 : 8);
}

static struct bytes piece_body(struct source *source, const struct wire_input *input,
                               const unsigned char *fields)
{
    static const unsigned char large[LARGE];
    size_t left = get_u32(fields) - input->assembled;
    size_t size = left < WIRE_PIECE_MAX ? left : WIRE_PIECE_MAX;
    uint8_t how = next(source);
    if (how & 1)
        size += how >> 1;
    return bytes_of(large, size < LARGE ? size : LARGE);
}

/* What completes the pieces: a message of the right fields. */
static struct bytes append_fields(const struct wire_input *input, struct source *source,
                                  unsigned char fields[60])
{
    static const struct raft_message plain = {.from = FROM, .to = TO, .term = 9};
    memset(fields, 0, 60);
    put_u64(fields, plain.from);
    put_u64(fields + 8, plain.to);
    put_u64(fields + 16, plain.term);
    put_u32(fields + 56, 1 + (next(source) & 1));
    return bytes_of(fields, input->assembly ? 60 : 24 + (next(source) % 40));
}

static struct bytes append_entry(const struct wire_input *input, struct source *source,
                                 unsigned char entry[13])
{
    memset(entry, 0, 13);
    put_u64(entry, 1 + next(source) % 16);
    if (input->assembly)
        put_u32(entry + 9, (uint32_t)input->assembly_total + (next(source) == 1));
    return bytes_of(entry, 13);
}

static void read_words(struct source source)
{
    static const char *const names[] = {"VOTE",       "VOTED",   "APPEND",    "APPENDED",
                                        "TIMEOUTNOW", "FORWARD", "FORWARDED", "PIECE"};
    struct wire_input input = {0};
    while (source.left) {
        unsigned char fields[60], entry[13];
        uint8_t kind = next(&source);
        const char *name = names[kind % 8];
        uint32_t argc = 1 + (kind >> 3) % 4;
        struct bytes argv[4] = {bytes_from_string(name)};
        bool made = kind & 0x80;
        if (strcmp(name, "PIECE") == 0) {
            argv[1] = piece_fields(&source, &input, fields);
            argv[2] = piece_body(&source, &input, fields);
        } else if (made && strcmp(name, "APPEND") == 0) {
            argv[1] = append_fields(&input, &source, fields);
            argv[2] = append_entry(&input, &source, entry);
        } else {
            argv[1] = next_run(&source, made ? 38 : next(&source));
            argv[2] = next_run(&source, next(&source));
        }
        argv[3] = argv[1];
        decode(&input, argv, argc, bytes_of("", 0)); /* even after an error it must not crash */
    }
    wire_input_deinit(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] % 2 == 0)
        read_stream(bytes_of(data + 1, size - 1));
    else
        read_words((struct source){data + 1, size - 1});
    return 0;
}
