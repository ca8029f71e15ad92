/* Messages between nodes as bytes: what goes in comes out, whatever the sizes; and what was cut
 * short or changed on the way is refused or is another valid message, never a crash (run it under
 * SAN=address,undefined). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/memory.h"
#include "base/prng.h"
#include "net/wire.h"

enum { FROM = 3, TO = 1, ROUNDS = 2000, ENTRIES_MAX = 40 };

static uint64_t prng = 20260101;

static uint64_t draw(uint64_t bound)
{
    return prng_below(&prng, bound);
}

/* ---- bytes of an outbox, and back ------------------------------------------------------- */

/* As the socket would see them. */
static struct buffer drain(struct outbox *out)
{
    struct buffer bytes = {0};
    for (uint32_t i = 0, at = 0; i <= out->count; i++) {
        size_t end = i < out->count ? out->references[i].at : out->bytes.size;
        if (end > at)
            buffer_append(&bytes, out->bytes.data + at, end - at);
        at = (uint32_t)end;
        if (i < out->count)
            buffer_append(&bytes, out->references[i].data, out->references[i].size);
    }
    assert_int_equal(bytes.size, outbox_size(out));
    outbox_deinit(out);
    return bytes;
}

struct reader {
    struct resp_parser *parser;
    struct wire_input input;
};

static void reader_init(struct reader *reader)
{
    struct resp_limits limits = wire_limits();
    *reader = (struct reader){.parser = resp_parser_new(&limits)};
}

static void reader_deinit(struct reader *reader)
{
    resp_parser_free(reader->parser);
    wire_input_deinit(&reader->input);
}

/* The message at `at`, which moves behind it. */
static enum wire_kind read_one(struct reader *reader, struct bytes *at)
{
    size_t consumed;
    uint32_t argc;
    assert_int_equal(resp_parse(reader->parser, at->data, at->size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(reader->parser, &argc);
    *at = bytes_of((const char *)at->data + consumed, at->size - consumed);
    return wire_decode(&reader->input, argv, argc, FROM, TO);
}

/* The next message that is no piece. */
static enum wire_kind read_whole(struct reader *reader, struct bytes *at, uint32_t *pieces)
{
    enum wire_kind kind = read_one(reader, at);
    for (*pieces = 0; kind == WIRE_PIECE; ++*pieces) {
        wire_release(&reader->input);
        kind = read_one(reader, at);
    }
    return kind;
}

/* ---- random messages ---------------------------------------------------------------------- */

struct sample {
    struct raft_message message;
    struct raft_entry entries[ENTRIES_MAX];
    int64_t clock_ms; /* of an answer */
};

static struct blob *random_payload(size_t size)
{
    struct blob *blob = blob_new(size);
    for (size_t i = 0; i < size; i++)
        blob->data[i] = (unsigned char)prng_next(&prng);
    return blob;
}

static struct raft_pos random_pos(raft_term term_max)
{
    if (term_max == 0 || draw(8) == 0)
        return (struct raft_pos){0};
    return (struct raft_pos){.term = 1 + draw(term_max), .index = 1 + draw(1000000)};
}

static void fill_entries(struct sample *sample)
{
    struct raft_pos pos = sample->message.append_request.prev;
    uint32_t count = (uint32_t)draw(ENTRIES_MAX + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = draw(4) ? (uint32_t)draw(100) : draw(4) ? 0 : (uint32_t)draw(20000);
        pos.index++;
        pos.term = pos.term ? pos.term + draw(sample->message.term - pos.term + 1)
                            : 1 + draw(sample->message.term);
        sample->entries[i] = (struct raft_entry){
            .pos = pos,
            .type = (enum raft_entry_type)draw(3),
            .size = size,
            .payload = size ? random_payload(size) : NULL,
        };
    }
    sample->message.append_request.count = count;
}

static void random_sample(struct sample *sample)
{
    struct raft_message *message = &sample->message;
    *sample = (struct sample){0};
    *message = (struct raft_message){
        .type = (enum raft_message_type)draw(5), .from = FROM, .to = TO, .term = 1 + draw(1000)};
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        message->vote_request.last = random_pos(message->term - 1);
        message->vote_request.pre_vote = draw(2);
        message->vote_request.transfer = draw(2);
        break;
    case RAFT_VOTE_RESPONSE:
        message->vote_response.granted = draw(2);
        message->vote_response.pre_vote = draw(2);
        sample->clock_ms = (int64_t)draw((uint64_t)1 << 62);
        break;
    case RAFT_APPEND_REQUEST:
        message->append_request.prev = random_pos(message->term);
        message->append_request.commit = draw(1000000);
        message->append_request.round = prng_next(&prng);
        message->shown = draw(2) ? 1 + draw(1000000) : 0;
        fill_entries(sample);
        break;
    case RAFT_APPEND_RESPONSE:
        message->append_response.matched = draw(2);
        message->append_response.hint = random_pos(message->term);
        message->append_response.round = prng_next(&prng);
        sample->clock_ms = (int64_t)draw((uint64_t)1 << 62);
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
}

static void release_sample(struct sample *sample)
{
    for (uint32_t i = 0; i < ENTRIES_MAX; i++)
        blob_release(sample->entries[i].payload);
}

static struct buffer encode_sample(const struct sample *sample)
{
    struct outbox out = {0};
    wire_encode_message(&out, &sample->message, sample->entries, sample->clock_ms);
    return drain(&out);
}

static void assert_entries(const struct raft_entry *got, const struct raft_entry *wanted,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(got[i].pos.term, wanted[i].pos.term);
        assert_int_equal(got[i].pos.index, wanted[i].pos.index);
        assert_int_equal(got[i].type, wanted[i].type);
        assert_int_equal(got[i].size, wanted[i].size);
        if (wanted[i].size == 0)
            assert_null(got[i].payload);
        else
            assert_true(bytes_equal(blob_bytes(got[i].payload), blob_bytes(wanted[i].payload)));
    }
}

static void assert_message(const struct raft_message *got, const struct sample *sample)
{
    const struct raft_message *wanted = &sample->message;
    assert_int_equal(got->type, wanted->type);
    assert_int_equal(got->from, FROM);
    assert_int_equal(got->to, TO);
    assert_int_equal(got->term, wanted->term);
    assert_int_equal(got->shown, wanted->shown);
    switch (wanted->type) {
    case RAFT_VOTE_REQUEST:
        assert_int_equal(got->vote_request.last.term, wanted->vote_request.last.term);
        assert_int_equal(got->vote_request.last.index, wanted->vote_request.last.index);
        assert_int_equal(got->vote_request.pre_vote, wanted->vote_request.pre_vote);
        assert_int_equal(got->vote_request.transfer, wanted->vote_request.transfer);
        break;
    case RAFT_VOTE_RESPONSE:
        assert_int_equal(got->vote_response.granted, wanted->vote_response.granted);
        assert_int_equal(got->vote_response.pre_vote, wanted->vote_response.pre_vote);
        break;
    case RAFT_APPEND_REQUEST:
        assert_int_equal(got->append_request.prev.term, wanted->append_request.prev.term);
        assert_int_equal(got->append_request.prev.index, wanted->append_request.prev.index);
        assert_int_equal(got->append_request.commit, wanted->append_request.commit);
        assert_int_equal(got->append_request.round, wanted->append_request.round);
        assert_int_equal(got->append_request.count, wanted->append_request.count);
        assert_entries(got->append_request.entries, sample->entries, wanted->append_request.count);
        break;
    case RAFT_APPEND_RESPONSE:
        assert_int_equal(got->append_response.matched, wanted->append_response.matched);
        assert_int_equal(got->append_response.hint.term, wanted->append_response.hint.term);
        assert_int_equal(got->append_response.hint.index, wanted->append_response.hint.index);
        assert_int_equal(got->append_response.round, wanted->append_response.round);
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
}

/* ---- tests -------------------------------------------------------------------------------- */

static void messages_come_out_as_they_went_in(void **state)
{
    struct reader reader;
    (void)state;
    reader_init(&reader);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct sample sample;
        random_sample(&sample);
        struct buffer bytes = encode_sample(&sample);
        struct bytes at = buffer_bytes(&bytes);
        assert_int_equal(read_one(&reader, &at), WIRE_MESSAGE);
        assert_int_equal(at.size, 0);
        assert_message(&reader.input.message, &sample);
        assert_int_equal(reader.input.clock_ms, sample.clock_ms);
        wire_release(&reader.input);
        buffer_deinit(&bytes);
        release_sample(&sample);
    }
    reader_deinit(&reader);
}

/* Small and large entries in one append: many messages, none large, the same entries. */
static void a_large_append_is_split(void **state)
{
    enum { COUNT = 40 };
    struct raft_entry entries[COUNT];
    struct raft_message message = {.type = RAFT_APPEND_REQUEST, .from = FROM, .to = TO, .term = 9};
    struct reader reader;
    struct outbox out = {0};
    (void)state;
    message.append_request.prev = (struct raft_pos){.term = 2, .index = 100};
    message.append_request.count = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        size_t size = i % 5 == 0 ? WIRE_PIECE_MAX * (1 + i / 10) + draw(3) : draw(300000);
        entries[i] = (struct raft_entry){.pos = {.term = 3 + i / 7, .index = 101 + i},
                                         .size = (uint32_t)size,
                                         .payload = size ? random_payload(size) : NULL};
    }
    wire_encode_message(&out, &message, entries, 0);
    assert_true(out.bytes.size < COUNT * WIRE_FRAME_MAX / 4); /* large ones are not copied */
    struct buffer bytes = drain(&out);
    struct bytes at = buffer_bytes(&bytes);
    uint32_t seen = 0, frames = 0, pieces;
    reader_init(&reader);
    while (at.size) {
        assert_int_equal(read_whole(&reader, &at, &pieces), WIRE_MESSAGE);
        const struct raft_message *got = &reader.input.message;
        struct raft_pos prev = seen ? entries[seen - 1].pos : message.append_request.prev;
        assert_int_equal(got->append_request.prev.term, prev.term);
        assert_int_equal(got->append_request.prev.index, prev.index);
        assert_true(got->append_request.count > 0);
        assert_true(pieces == 0 || got->append_request.count == 1);
        assert_entries(got->append_request.entries, entries + seen, got->append_request.count);
        seen += got->append_request.count;
        frames++;
        wire_release(&reader.input);
    }
    assert_int_equal(seen, COUNT);
    assert_true(frames > 8);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(!entries[i].payload || ((struct blob *)entries[i].payload)->references == 1);
        blob_release(entries[i].payload);
    }
    buffer_deinit(&bytes);
    reader_deinit(&reader);
}

/* A reply as a read gives it: a beginning, and the rest in pieces. */
static void cut(struct bytes text, struct bytes *beginning, struct rope *rest)
{
    size_t size = (size_t)prng_below(&prng, 100);
    *beginning = bytes_of(text.data, size);
    while (size < text.size) {
        size_t piece = 1 + (size_t)prng_below(&prng, 200000);
        piece = piece < text.size - size ? piece : text.size - size;
        rope_append(rest, bytes_of((const char *)text.data + size, piece));
        size += piece;
    }
}

/* Sizes around those at which the form changes, for each kind of payload. */
static void large_payloads_come_in_pieces(void **state)
{
    static const size_t sizes[] = {WIRE_PIECE_MAX - 1, WIRE_PIECE_MAX,         WIRE_PIECE_MAX + 1,
                                   2 * WIRE_PIECE_MAX, 2 * WIRE_PIECE_MAX + 1, 5000000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct blob *text = random_payload(sizes[i]);
        struct raft_entry entry = {
            .pos = {.term = 1, .index = 1}, .size = (uint32_t)sizes[i], .payload = text};
        struct raft_message message = {
            .type = RAFT_APPEND_REQUEST, .from = FROM, .to = TO, .term = 1};
        struct forward forward = {.id = 7, .client = 1, .protocol = 2, .command = text};
        struct rope rest = {0};
        struct forward_reply reply = {.id = 8, .rest = &rest};
        cut(blob_bytes(text), &reply.reply, &rest);
        struct outbox out = {0};
        struct reader reader;
        uint32_t pieces;
        uint32_t wanted = sizes[i] <= WIRE_PIECE_MAX
                              ? 0
                              : (uint32_t)((sizes[i] + WIRE_PIECE_MAX - 1) / WIRE_PIECE_MAX);
        message.append_request.count = 1;
        wire_encode_message(&out, &message, &entry, 0);
        wire_encode_forward(&out, &forward);
        wire_encode_forward_reply(&out, &reply);
        struct buffer bytes = drain(&out);
        struct bytes at = buffer_bytes(&bytes);
        reader_init(&reader);
        assert_int_equal(read_whole(&reader, &at, &pieces), WIRE_MESSAGE);
        assert_int_equal(pieces, wanted);
        assert_entries(reader.input.message.append_request.entries, &entry, 1);
        wire_release(&reader.input);
        assert_int_equal(read_whole(&reader, &at, &pieces), WIRE_FORWARD);
        assert_int_equal(pieces, wanted);
        assert_true(bytes_equal(blob_bytes(reader.input.forward.command), blob_bytes(text)));
        wire_release(&reader.input);
        assert_int_equal(read_whole(&reader, &at, &pieces), WIRE_FORWARD_REPLY);
        assert_int_equal(pieces, wanted);
        assert_true(bytes_equal(reader.input.forward_reply.reply, blob_bytes(text)));
        wire_release(&reader.input);
        assert_int_equal(at.size, 0);
        blob_release(text);
        buffer_deinit(&bytes);
        reader_deinit(&reader);
    }
}

static void forwards_come_out_as_they_went_in(void **state)
{
    struct reader reader;
    (void)state;
    reader_init(&reader);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct forward forward = {.run_id = prng_next(&prng),
                                  .id = 1 + draw(1000),
                                  .term = draw(1000),
                                  .kind = (enum request_kind)draw(2),
                                  .protocol = 2 + (int)draw(2),
                                  .client = 1 + draw(1000),
                                  .database = (uint8_t)draw(256),
                                  .reply_max = (uint32_t)prng_next(&prng),
                                  .command = random_payload(draw(20000))};
        if (forward.kind == REQUEST_WRITE && draw(2)) {
            forward.may_wait = true;
            forward.waiter_id = 1 + draw(1000);
            forward.seen = draw(1000);
            forward.waited_ms = draw(1000000);
        }
        struct outbox out = {0};
        wire_encode_forward(&out, &forward);
        struct buffer bytes = drain(&out);
        struct bytes at = buffer_bytes(&bytes);
        assert_int_equal(read_one(&reader, &at), WIRE_FORWARD);
        const struct forward *got = &reader.input.forward;
        assert_int_equal(got->run_id, forward.run_id);
        assert_int_equal(got->id, forward.id);
        assert_int_equal(got->term, forward.term);
        assert_int_equal(got->kind, forward.kind);
        assert_int_equal(got->protocol, forward.protocol);
        assert_int_equal(got->client, forward.client);
        assert_int_equal(got->reply_max, forward.reply_max);
        assert_int_equal(got->database, forward.database);
        assert_int_equal(got->may_wait, forward.may_wait);
        assert_int_equal(got->waiter_id, forward.waiter_id);
        assert_int_equal(got->seen, forward.seen);
        assert_int_equal(got->waited_ms, forward.waited_ms);
        assert_true(bytes_equal(blob_bytes(got->command), blob_bytes(forward.command)));
        wire_release(&reader.input);
        blob_release(forward.command);
        buffer_deinit(&bytes);
    }
    reader_deinit(&reader);
}

static void cancels_come_out_as_they_went_in(void **state)
{
    struct forward_cancel cancel = {.run_id = UINT64_MAX, .id = 2, .client = 3, .is_gone = true};
    struct reader reader;
    struct outbox out = {0};
    (void)state;
    reader_init(&reader);
    wire_encode_cancel(&out, &cancel);
    struct buffer bytes = drain(&out);
    struct bytes at = buffer_bytes(&bytes);
    assert_int_equal(read_one(&reader, &at), WIRE_CANCEL);
    assert_int_equal(reader.input.cancel.run_id, cancel.run_id);
    assert_int_equal(reader.input.cancel.id, cancel.id);
    assert_int_equal(reader.input.cancel.client, cancel.client);
    assert_true(reader.input.cancel.is_gone);
    unsigned char fields[25] = {[24] = 2};
    struct bytes argv[] = {bytes_from_string("CANCEL"), bytes_of(fields, sizeof fields)};
    assert_int_equal(wire_decode(&reader.input, argv, 2, FROM, TO), WIRE_INVALID);
    assert_string_equal(reader.input.error, "a cancel of an unknown kind");
    wire_release(&reader.input);
    buffer_deinit(&bytes);
    reader_deinit(&reader);
}

static void replies_come_out_as_they_went_in(void **state)
{
    struct reader reader;
    (void)state;
    reader_init(&reader);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct blob *text = random_payload(1 + draw(20000));
        struct forward_reply reply = {.run_id = prng_next(&prng),
                                      .id = draw(1000),
                                      .refused = draw(2),
                                      .outcome = (enum request_outcome)draw(4),
                                      .reply = blob_bytes(text)};
        struct outbox out = {0};
        wire_encode_forward_reply(&out, &reply);
        struct buffer bytes = drain(&out);
        struct bytes at = buffer_bytes(&bytes);
        assert_int_equal(read_one(&reader, &at), WIRE_FORWARD_REPLY);
        const struct forward_reply *got = &reader.input.forward_reply;
        assert_int_equal(got->run_id, reply.run_id);
        assert_int_equal(got->id, reply.id);
        assert_int_equal(got->refused, reply.refused);
        assert_int_equal(got->outcome, reply.outcome);
        assert_true(bytes_equal(got->reply, reply.reply));
        wire_release(&reader.input);
        blob_release(text);
        buffer_deinit(&bytes);
    }
    reader_deinit(&reader);
}

/* What the core relies on of anything that was decoded. */
static void assert_sound(const struct raft_message *message)
{
    assert_int_equal(message->from, FROM);
    assert_int_equal(message->to, TO);
    assert_true(message->type <= RAFT_TIMEOUT_NOW);
    if (message->type != RAFT_APPEND_REQUEST)
        return;
    struct raft_pos pos = message->append_request.prev;
    assert_true((pos.term == 0) == (pos.index == 0));
    for (uint32_t i = 0; i < message->append_request.count; i++) {
        const struct raft_entry *entry = &message->append_request.entries[i];
        assert_int_equal(entry->pos.index, pos.index + 1);
        assert_true(entry->pos.term >= pos.term && entry->pos.term <= message->term);
        assert_true((entry->payload == NULL) == (entry->size == 0));
        assert_true(!entry->payload || ((struct blob *)entry->payload)->size == entry->size);
        pos = entry->pos;
    }
}

/* Damaged bytes: incomplete, refused, or sound; in a buffer of exactly their size, so that the
 * sanitizer sees any step beyond. */
static void try_bytes(struct bytes damaged)
{
    struct reader reader;
    size_t consumed;
    uint32_t argc;
    char *exact = memory_copy(damaged.data, damaged.size);
    reader_init(&reader);
    if (resp_parse(reader.parser, exact, damaged.size, &consumed) == RESP_COMMAND) {
        const struct bytes *argv = resp_argv(reader.parser, &argc);
        if (wire_decode(&reader.input, argv, argc, FROM, TO) == WIRE_MESSAGE)
            assert_sound(&reader.input.message);
        else if (reader.input.kind == WIRE_INVALID)
            assert_non_null(reader.input.error);
        wire_release(&reader.input);
    }
    reader_deinit(&reader);
    memory_free(exact);
}

/* An append of a few small entries: short enough to damage every byte of it. */
static void small_append(struct sample *sample)
{
    struct raft_pos pos = {.term = 2, .index = 7};
    *sample = (struct sample){0};
    sample->message =
        (struct raft_message){.type = RAFT_APPEND_REQUEST, .from = FROM, .to = TO, .term = 5};
    sample->message.append_request.prev = pos;
    sample->message.append_request.count = 1 + (uint32_t)draw(4);
    for (uint32_t i = 0; i < sample->message.append_request.count; i++) {
        uint32_t size = (uint32_t)draw(30);
        pos.index++;
        pos.term += draw(2) && pos.term < 5;
        sample->entries[i] = (struct raft_entry){
            .pos = pos, .size = size, .payload = size ? random_payload(size) : NULL};
    }
}

static struct buffer random_message(void)
{
    struct outbox out = {0};
    struct sample sample;
    struct blob *text = random_payload(draw(60));
    unsigned kind = (unsigned)draw(8);
    struct forward forward = {
        .id = 1, .term = 1, .client = 1, .protocol = 3, .kind = REQUEST_WRITE, .command = text};
    struct forward_reply reply = {.outcome = REQUEST_UNKNOWN, .reply = blob_bytes(text)};
    if (kind == 0)
        wire_encode_forward(&out, &forward);
    else if (kind == 1)
        wire_encode_forward_reply(&out, &reply);
    blob_release(text);
    if (kind <= 1)
        return drain(&out);
    if (kind < 5)
        small_append(&sample);
    else
        do {
            random_sample(&sample);
            release_sample(&sample);
        } while (sample.message.type == RAFT_APPEND_REQUEST);
    struct buffer bytes = encode_sample(&sample);
    if (kind < 5)
        release_sample(&sample);
    return bytes;
}

static void cut_short_it_is_never_a_message(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        struct buffer bytes = random_message();
        for (size_t size = 0; size < bytes.size; size++) {
            struct resp_limits limits = wire_limits();
            struct resp_parser *parser = resp_parser_new(&limits);
            char *exact = memory_copy(bytes.data, size);
            size_t consumed;
            assert_int_equal(resp_parse(parser, exact, size, &consumed), RESP_INCOMPLETE);
            memory_free(exact);
            resp_parser_free(parser);
        }
        buffer_deinit(&bytes);
    }
}

static void with_any_byte_changed_it_is_refused_or_sound(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        struct buffer bytes = random_message();
        for (size_t at = 0; at < bytes.size; at++) {
            static const unsigned char masks[] = {0x01, 0x80, 0xFF, 0x10};
            for (size_t i = 0; i < sizeof masks; i++) {
                bytes.data[at] ^= (char)masks[i];
                try_bytes(buffer_bytes(&bytes));
                bytes.data[at] ^= (char)masks[i];
            }
        }
        buffer_deinit(&bytes);
    }
}

/* ---- refusals by name ------------------------------------------------------------------------ */

/* Encodes, changes the fixed fields at `offset` to `value`, decodes. */
static void assert_refused(const struct sample *sample, size_t offset, uint64_t value,
                           const char *error)
{
    struct reader reader;
    struct buffer bytes = encode_sample(sample);
    struct bytes at = buffer_bytes(&bytes);
    size_t consumed;
    uint32_t argc;
    reader_init(&reader);
    assert_int_equal(resp_parse(reader.parser, at.data, at.size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(reader.parser, &argc);
    size_t start = (size_t)((const char *)argv[1].data - bytes.data);
    put_u64((unsigned char *)bytes.data + start + offset, value);
    assert_int_equal(wire_decode(&reader.input, argv, argc, FROM, TO), WIRE_INVALID);
    assert_string_equal(reader.input.error, error);
    wire_release(&reader.input);
    buffer_deinit(&bytes);
    reader_deinit(&reader);
}

static void what_a_correct_node_never_says_is_refused(void **state)
{
    struct sample append = {
        .message = {.type = RAFT_APPEND_REQUEST, .from = FROM, .to = TO, .term = 5}};
    struct sample vote = {
        .message = {.type = RAFT_VOTE_REQUEST, .from = FROM, .to = TO, .term = 5}};
    (void)state;
    append.message.append_request.prev = (struct raft_pos){.term = 4, .index = 10};
    vote.message.vote_request.last = (struct raft_pos){.term = 4, .index = 10};
    assert_refused(&append, 0, FROM + 1, "a message in another node's name");
    assert_refused(&append, 8, TO + 1, "a message for another node");
    assert_refused(&append, 16, 0, "an append at an impossible position");
    assert_refused(&append, 16, UINT64_MAX, "an impossible term");
    assert_refused(&append, 24, 6, "an append at an impossible position");
    assert_refused(&append, 24, 0, "an append at an impossible position");
    assert_refused(&append, 32, UINT64_MAX - 1, "an append at an impossible position");
    assert_refused(&append, 40, UINT64_MAX, "an impossible commit index");
    assert_refused(&vote, 24, 5, "a vote request for an impossible position");
    assert_refused(&vote, 32, 0, "a vote request for an impossible position");
}

/* A request that waits, with one of its fields changed. */
static void assert_wait_refused(size_t offset, uint64_t value, const char *error)
{
    struct forward forward = {.run_id = 1,
                              .id = 2,
                              .term = 3,
                              .kind = REQUEST_WRITE,
                              .protocol = 2,
                              .client = 4,
                              .command = random_payload(10),
                              .may_wait = true,
                              .waiter_id = 5,
                              .seen = 6,
                              .waited_ms = 7};
    struct reader reader;
    struct outbox out = {0};
    size_t consumed;
    uint32_t argc;
    wire_encode_forward(&out, &forward);
    struct buffer bytes = drain(&out);
    reader_init(&reader);
    assert_int_equal(resp_parse(reader.parser, bytes.data, bytes.size, &consumed), RESP_COMMAND);
    const struct bytes *argv = resp_argv(reader.parser, &argc);
    unsigned char *fields = (unsigned char *)bytes.data + ((const char *)argv[1].data - bytes.data);
    if (offset == 32)
        fields[offset] = (unsigned char)value; /* its kind */
    else
        put_u64(fields + offset, value);
    assert_int_equal(wire_decode(&reader.input, argv, argc, FROM, TO), WIRE_INVALID);
    assert_string_equal(reader.input.error, error);
    wire_release(&reader.input);
    buffer_deinit(&bytes);
    reader_deinit(&reader);
    blob_release(forward.command);
}

static void a_wait_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    assert_wait_refused(0, 0, "a wait that is nobody's"); /* of no life */
    assert_wait_refused(39, 0, "a wait that is nobody's");
    assert_wait_refused(47, UINT64_MAX, "a wait with an impossible index or time");
    assert_wait_refused(55, UINT64_MAX, "a wait with an impossible index or time");
    assert_wait_refused(8, 0, "a forward without id, term or client");
}

/* Words given by hand, each in memory of exactly its size. */
static void assert_words_refused(const char *name, size_t fields, const char *tail,
                                 size_t tail_size, const char *error)
{
    struct wire_input input = {0};
    unsigned char *packed = memory_new(fields ? fields : 1);
    char *behind = memory_copy(tail ? tail : "", tail_size);
    struct bytes argv[3] = {bytes_from_string(name), bytes_of(packed, fields),
                            bytes_of(behind, tail_size)};
    if (fields >= 24) {
        put_u64(packed, FROM);
        put_u64(packed + 8, TO);
        put_u64(packed + 16, 5);
    }
    if (fields == 60 && tail)
        put_u32(packed + 56, 1);
    assert_int_equal(wire_decode(&input, argv, tail ? 3 : 2, FROM, TO), WIRE_INVALID);
    assert_string_equal(input.error, error);
    wire_release(&input);
    wire_input_deinit(&input);
    memory_free(packed);
    memory_free(behind);
}

static void a_message_of_another_size_is_refused(void **state)
{
    static const struct {
        const char *name;
        size_t size;
    } forms[] = {{"VOTE", 41}, {"VOTED", 25}, {"APPEND", 60}, {"APPENDED", 49}, {"TIMEOUTNOW", 24}};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *error = "a message of the wrong size";
        assert_words_refused(forms[i].name, forms[i].size - 1, NULL, 0, error);
        assert_words_refused(forms[i].name, forms[i].size + 1, NULL, 0, error);
        assert_words_refused(forms[i].name, 0, NULL, 0, error);
        if (forms[i].size != 60)
            assert_words_refused(forms[i].name, forms[i].size, "x", 1, error);
    }
    for (size_t size = 0; size < 60; size++) {
        if (size != 39)
            assert_words_refused("FORWARD", size, "x", 1, "a forward of the wrong size");
        if (size != 18 && size != 26)
            assert_words_refused("FORWARDED", size, "x", 1, "a reply of the wrong size");
    }
    for (size_t size = 0; size < 100; size++)
        if (size != 66)
            assert_words_refused("SNAPSHOT", size, NULL, 0,
                                 "a snapshot's message of the wrong size");
    for (size_t size = 0; size < 80; size++) {
        if (size != 63)
            assert_words_refused("WAIT", size, "x", 1, "a forward of the wrong size");
        if (size != 25)
            assert_words_refused("CANCEL", size, NULL, 0, "a cancel of the wrong size");
    }
    for (size_t size = 61; size < 100; size++)
        assert_words_refused("APPEND", size, NULL, 0,
                             size == 68 ? "an impossible index" : "a message of the wrong size");
    assert_words_refused("VOTE", 68, NULL, 0, "a message of the wrong size");
    assert_words_refused("CANCEL", 25, "x", 1, "a cancel of the wrong size");
    assert_words_refused("FORWARDED", 26, "x", 1, "a reply for an impossible entry");
    assert_words_refused("FORWARDED", 18, "", 0, "an empty reply");
    assert_words_refused("FORWARDED", 18, NULL, 0, "a reply without its text");
    assert_words_refused("PIECE", 8, NULL, 0, "a piece of the wrong size");
    assert_words_refused("PIECE", 7, "x", 1, "a piece of the wrong size");
    assert_words_refused("VOTES", 41, NULL, 0, "an unknown message");
}

/* One message by hand: `fields` packed, `tail` may be missing. */
static enum wire_kind decode_words(struct wire_input *input, const char *name, struct bytes fields,
                                   struct bytes tail)
{
    struct bytes argv[3] = {bytes_from_string(name), fields, tail};
    wire_release(input);
    return wire_decode(input, argv, tail.data ? 3 : 2, FROM, TO);
}

static enum wire_kind decode_piece(struct wire_input *input, size_t total, size_t offset,
                                   struct bytes bytes)
{
    unsigned char fields[8];
    put_u32(fields, (uint32_t)total);
    put_u32(fields + 4, (uint32_t)offset);
    return decode_words(input, "PIECE", bytes_of(fields, sizeof fields), bytes);
}

static void pieces_out_of_order_are_refused(void **state)
{
    const size_t full = WIRE_PIECE_MAX, total = 2 * WIRE_PIECE_MAX + 100;
    const struct bytes none = {NULL, 0};
    char *piece = memory_new(full + 1);
    unsigned char reply[18] = {0}, append[60] = {0}, entry[13] = {0};
    struct wire_input input = {0};
    (void)state;
    put_u64(append, FROM);
    put_u64(append + 8, TO);
    put_u64(append + 16, 1), put_u32(append + 56, 1);
    put_u64(entry, 1);

    /* Of a payload that needs no pieces, or that is too large; the wrong place; the wrong size. */
    assert_int_equal(decode_piece(&input, full, 0, bytes_of(piece, full)), WIRE_INVALID);
    assert_int_equal(decode_piece(&input, 0, 0, bytes_of(piece, 0)), WIRE_INVALID);
    assert_int_equal(decode_piece(&input, WIRE_PAYLOAD_MAX + 1, 0, bytes_of(piece, full)),
                     WIRE_INVALID);
    assert_int_equal(decode_piece(&input, total, full, bytes_of(piece, full)), WIRE_INVALID);
    assert_int_equal(decode_piece(&input, total, 0, bytes_of(piece, full - 1)), WIRE_INVALID);
    assert_int_equal(decode_piece(&input, total, 0, bytes_of(piece, full + 1)), WIRE_INVALID);
    assert_null(input.assembly);

    /* The first was taken: another total, the same place again, another message in between. */
    assert_int_equal(decode_piece(&input, total, 0, bytes_of(piece, full)), WIRE_PIECE);
    assert_int_equal(decode_piece(&input, total + 1, full, bytes_of(piece, full)), WIRE_INVALID);
    assert_int_equal(decode_piece(&input, total, 0, bytes_of(piece, full)), WIRE_INVALID);
    assert_int_equal(decode_words(&input, "TIMEOUTNOW", bytes_of(append, 24), none), WIRE_INVALID);
    assert_string_equal(input.error, "pieces without their message");
    assert_int_equal(decode_words(&input, "FORWARDED", bytes_of(reply, 18), bytes_of("x", 1)),
                     WIRE_INVALID);

    /* Its message before the last piece. */
    assert_int_equal(decode_words(&input, "FORWARDED", bytes_of(reply, 18), none), WIRE_INVALID);
    assert_string_equal(input.error, "a reply without its text");
    put_u32(entry + 9, (uint32_t)total);
    assert_int_equal(
        decode_words(&input, "APPEND", bytes_of(append, 60), bytes_of(entry, sizeof entry)),
        WIRE_INVALID);
    assert_string_equal(input.error, "pieces are missing");

    /* All pieces, then one too many; then an entry of another size; then the right one. */
    assert_int_equal(decode_piece(&input, total, full, bytes_of(piece, full)), WIRE_PIECE);
    assert_int_equal(decode_piece(&input, total, 2 * full, bytes_of(piece, 100)), WIRE_PIECE);
    assert_int_equal(decode_piece(&input, total, total, bytes_of(piece, 0)), WIRE_INVALID);
    put_u32(entry + 9, (uint32_t)total - 1);
    assert_int_equal(
        decode_words(&input, "APPEND", bytes_of(append, 60), bytes_of(entry, sizeof entry)),
        WIRE_INVALID);
    assert_string_equal(input.error, "pieces of another size than their entry");
    put_u32(entry + 9, (uint32_t)total);
    assert_int_equal(decode_words(&input, "APPEND", bytes_of(append, 60), bytes_of(piece, 14)),
                     WIRE_INVALID);
    put_u32(append + 56, 2);
    assert_int_equal(
        decode_words(&input, "APPEND", bytes_of(append, 60), bytes_of(entry, sizeof entry)),
        WIRE_INVALID);
    assert_string_equal(input.error, "pieces without their message");
    put_u32(append + 56, 1);
    assert_int_equal(
        decode_words(&input, "APPEND", bytes_of(append, 60), bytes_of(entry, sizeof entry)),
        WIRE_MESSAGE);
    assert_null(input.assembly);
    assert_int_equal(input.assembled, 0);
    assert_int_equal(decode_words(&input, "FORWARDED", bytes_of(reply, 18), none), WIRE_INVALID);

    /* The connection may end half way: the sanitizer sees that nothing is left. */
    assert_int_equal(decode_piece(&input, total, 0, bytes_of(piece, full)), WIRE_PIECE);
    wire_input_deinit(&input);
    memory_free(piece);
}

/* Of what is announced nothing is believed before it comes. */
static void a_huge_payload_announced_takes_no_memory(void **state)
{
    const size_t full = WIRE_PIECE_MAX;
    char *piece = memory_new(full);
    struct wire_input input = {0};
    (void)state;
    for (size_t count = 1; count <= 20; count++) {
        assert_int_equal(
            decode_piece(&input, WIRE_PAYLOAD_MAX, (count - 1) * full, bytes_of(piece, full)),
            WIRE_PIECE);
        assert_true(input.assembly->size <= 4 * count * full);
    }
    wire_input_deinit(&input);
    memory_free(piece);
}

/* The sender begins again on a new connection; what is left of the old one's payload does not
 * fit. */
static void pieces_begin_anew_with_the_connection(void **state)
{
    const size_t full = WIRE_PIECE_MAX, total = 2 * WIRE_PIECE_MAX + 1;
    const struct bytes none = {NULL, 0};
    unsigned char reply[18] = {0};
    char *piece = memory_new(full);
    struct wire_input before = {0}, after = {0};
    (void)state;
    assert_int_equal(decode_piece(&before, total, 0, bytes_of(piece, full)), WIRE_PIECE);
    assert_int_equal(decode_piece(&before, total, full, bytes_of(piece, full)), WIRE_PIECE);
    wire_input_deinit(&before);
    assert_int_equal(decode_piece(&after, total, 2 * full, bytes_of(piece, 1)), WIRE_INVALID);
    assert_string_equal(after.error, "a piece out of order");
    for (size_t at = 0; at < total; at += full)
        assert_int_equal(
            decode_piece(&after, total, at, bytes_of(piece, at + full < total ? full : 1)),
            WIRE_PIECE);
    assert_int_equal(decode_words(&after, "FORWARDED", bytes_of(reply, 18), none),
                     WIRE_FORWARD_REPLY);
    assert_int_equal(after.forward_reply.reply.size, total);
    wire_release(&after);
    wire_input_deinit(&after);
    memory_free(piece);
}

/* Whatever the order, places and sizes: a payload is what was sent for it, whole, or nothing. */
static void any_pieces_make_a_whole_or_nothing(void **state)
{
    const size_t full = WIRE_PIECE_MAX;
    const size_t totals[] = {2 * full, 2 * full + 7, 3 * full - 1, full, WIRE_PAYLOAD_MAX + 1};
    const struct bytes none = {NULL, 0};
    unsigned char reply[18] = {0};
    char *piece = memory_new(2 * full);
    unsigned wholes = 0, refused = 0;
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        struct wire_input input = {0};
        size_t total = 0, came = 0; /* of the payload that is right so far */
        bool open = true;
        while (open) {
            /* Mostly what comes next, so that some get to the end. */
            bool right = draw(8) != 0;
            size_t of = total && right ? total : totals[draw(5)];
            size_t at = right ? came : full * draw(4) + (draw(4) ? 0 : draw(99));
            size_t left = of > at ? of - at : 0;
            size_t size = right ? (left < full ? left : full) : draw(3) * full / 2 + draw(9);
            bool fits = of > full && of <= WIRE_PAYLOAD_MAX && (total == 0 || of == total) &&
                        at == came && left > 0 && size == (left < full ? left : full);
            if (came && came == total && draw(2)) {
                assert_int_equal(decode_words(&input, "FORWARDED", bytes_of(reply, 18), none),
                                 WIRE_FORWARD_REPLY);
                assert_int_equal(input.forward_reply.reply.size, total);
                came = total = 0;
                wholes++;
                continue;
            }
            memset(piece, (int)draw(256), 16);
            enum wire_kind kind = decode_piece(&input, of, at, bytes_of(piece, size));
            assert_int_equal(kind, fits ? WIRE_PIECE : WIRE_INVALID);
            open = fits;
            refused += !fits;
            if (fits) {
                total = of;
                came += size;
                assert_true(input.assembly->size <= 4 * came);
            }
        }
        wire_input_deinit(&input);
    }
    assert_true(wholes > 50);
    assert_true(refused == 400);
    memory_free(piece);
}

static void malformed_entries_are_refused(void **state)
{
    char entry[13 + 5] = {0};
    (void)state;
    put_u64((unsigned char *)entry, 5);
    put_u32((unsigned char *)entry + 9, 4);
    assert_words_refused("APPEND", 60, entry, 18, "bytes behind the last entry");
    assert_words_refused("APPEND", 60, entry, 16, "an entry is longer than its message");
    assert_words_refused("APPEND", 60, entry, 12, "fewer entries than announced");
    entry[8] = 3;
    assert_words_refused("APPEND", 60, entry, 17, "an entry of unknown type");
    entry[8] = 0;
    entry[0] = 6;
    assert_words_refused("APPEND", 60, entry, 17, "an entry of an impossible term");
    entry[0] = 0;
    assert_words_refused("APPEND", 60, entry, 17, "an entry of an impossible term");
}

/* ---- snapshots ---------------------------------------------------------------------------- */

static struct blob *some_members(void)
{
    struct raft_members members = {.count = 2};
    members.list[0] = (struct raft_member){.id = 1, .voter = true, .address = "one:1"};
    members.list[1] = (struct raft_member){.id = 3, .voter = true, .address = "three:3"};
    return raft_members_blob(&members);
}

static struct snapshot_message random_snapshot(void)
{
    struct snapshot_message message = {.type = (enum snapshot_message_type)draw(SNAPSHOT_MESSAGES),
                                       .from = FROM,
                                       .to = TO,
                                       .term = 1 + draw(1000),
                                       .id = 1 + prng_next(&prng) / 2,
                                       .number = draw(100000),
                                       .again = draw(2),
                                       .bytes = draw(1000000)};
    message.pos = (struct raft_pos){1 + draw(message.term), 1 + draw(100000)};
    if (message.type == SNAPSHOT_BEGIN)
        message.payload = some_members();
    if (message.type == SNAPSHOT_CHUNK)
        message.payload = random_payload(draw(10) ? draw(20000) : WIRE_PIECE_MAX + draw(3000000));
    return message;
}

static void snapshots_come_out_as_they_went_in(void **state)
{
    struct reader reader;
    (void)state;
    reader_init(&reader);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct snapshot_message message = random_snapshot();
        struct outbox out = {0};
        uint32_t pieces;
        wire_encode_snapshot(&out, &message);
        struct buffer bytes = drain(&out);
        struct bytes at = buffer_bytes(&bytes);
        assert_int_equal(read_whole(&reader, &at, &pieces), WIRE_SNAPSHOT);
        const struct snapshot_message *got = &reader.input.snapshot;
        assert_int_equal(got->type, message.type);
        assert_int_equal(got->term, message.term);
        assert_int_equal(got->id, message.id);
        assert_int_equal(got->number, message.number);
        assert_int_equal(got->again, message.again);
        assert_int_equal(got->pos.term, message.pos.term);
        assert_int_equal(got->pos.index, message.pos.index);
        assert_int_equal(got->bytes, message.bytes);
        assert_int_equal(got->payload != NULL, message.payload != NULL);
        if (message.payload)
            assert_true(bytes_equal(blob_bytes(got->payload), blob_bytes(message.payload)));
        wire_release(&reader.input);
        blob_release(message.payload);
        buffer_deinit(&bytes);
    }
    reader_deinit(&reader);
}

/* Takes the payload. */
static void assert_snapshot_refused(struct snapshot_message message, const char *why)
{
    struct outbox out = {0};
    struct reader reader;
    wire_encode_snapshot(&out, &message);
    struct buffer bytes = drain(&out);
    struct bytes at = buffer_bytes(&bytes);
    reader_init(&reader);
    assert_int_equal(read_one(&reader, &at), WIRE_INVALID);
    assert_string_equal(reader.input.error, why);
    wire_release(&reader.input);
    reader_deinit(&reader);
    buffer_deinit(&bytes);
    blob_release(message.payload);
}

static void impossible_snapshots_are_refused(void **state)
{
    static const char of_nobody[] = "a snapshot's message of no session";
    static const char nowhere[] = "a snapshot of an impossible position";
    static const char payload[] = "a snapshot's message without its payload, or with one";
    struct snapshot_message message = {.from = FROM, .to = TO, .term = 5};
    (void)state;
    message.type = SNAPSHOT_GONE;
    assert_snapshot_refused(message, of_nobody);
    message.type = SNAPSHOT_FETCH;
    message.number = 1;
    assert_snapshot_refused(message, of_nobody);
    message.number = (uint64_t)1 << 63;
    message.id = 1;
    assert_snapshot_refused(message, "a snapshot of an impossible size");
    message.number = 0;
    message.pos = (struct raft_pos){0, 10}; /* of another's: that has a term */
    assert_snapshot_refused(message, nowhere);
    message.pos = (struct raft_pos){0, 0};
    message.type = SNAPSHOT_OFFER;
    assert_snapshot_refused(message, nowhere);
    message.pos = (struct raft_pos){6, 10}; /* of a later term than its sender's */
    assert_snapshot_refused(message, nowhere);
    message.pos.term = 5;
    message.payload = some_members();
    assert_snapshot_refused(message, payload);
    message.type = SNAPSHOT_CHUNK;
    message.payload = NULL;
    assert_snapshot_refused(message, payload);
    message.type = SNAPSHOT_BEGIN;
    message.payload = random_payload(30);
    assert_snapshot_refused(message, "a snapshot with impossible members");
    message.payload = NULL;
    message.type = SNAPSHOT_MESSAGES;
    assert_snapshot_refused(message,
                            "a snapshot's message of an unknown kind or an impossible term");
    message.type = SNAPSHOT_OFFER;
    message.from = TO;
    assert_snapshot_refused(message, "a snapshot's message of or for another node");
}

/* ---- the bytes themselves ------------------------------------------------------------------- */

/* `text` is a literal: all of it but the end. */
#define assert_wire(out, text) assert_bytes_are(out, text, sizeof(text) - 1)

static void assert_bytes_are(struct outbox *out, const char *text, size_t size)
{
    struct buffer bytes = drain(out);
    assert_int_equal(bytes.size, size);
    assert_memory_equal(bytes.data, text, size);
    buffer_deinit(&bytes);
}

#define U64(low) low "\0\0\0\0\0\0\0"

/* Members of another build read them: what both directions of this one agree on is not enough. */
static void forwards_are_the_bytes_of_the_format(void **state)
{
    struct outbox out = {0};
    struct blob *command = blob_copy(bytes_from_string("0123456789"));
    (void)state;
    struct forward forward = {.run_id = 1,
                              .id = 2,
                              .term = 3,
                              .client = 4,
                              .kind = REQUEST_WRITE,
                              .protocol = 2,
                              .database = 5,
                              .reply_max = 6,
                              .command = command};
    wire_encode_forward(&out, &forward);
    assert_wire(&out, "*3\r\n$7\r\nFORWARD\r\n$39\r\n" U64("\1") U64("\2") U64("\3")
                          U64("\4") "\1\2\5\6\0\0\0\r\n$10\r\n0123456789\r\n");
    forward.may_wait = true;
    forward.waiter_id = 7;
    forward.seen = 8;
    forward.waited_ms = 9;
    wire_encode_forward(&out, &forward);
    assert_wire(&out, "*3\r\n$4\r\nWAIT\r\n$63\r\n" U64("\1") U64("\2") U64("\3")
                          U64("\4") "\1\2\5\6\0\0\0" U64("\7") U64("\10")
                              U64("\11") "\r\n$10\r\n0123456789\r\n");
    blob_release(command);
    struct forward_cancel cancel = {.run_id = 1, .id = 2, .client = 3, .is_gone = true};
    wire_encode_cancel(&out, &cancel);
    assert_wire(&out, "*2\r\n$6\r\nCANCEL\r\n$25\r\n" U64("\1") U64("\2") U64("\3") "\1\r\n");
}

static void answers_are_the_bytes_of_the_format(void **state)
{
    struct outbox out = {0};
    (void)state;
    struct forward_reply reply = {
        .run_id = 1, .id = 2, .outcome = REQUEST_UNKNOWN, .reply = bytes_from_string("")};
    wire_encode_forward_reply(&out, &reply);
    assert_wire(&out, "*3\r\n$9\r\nFORWARDED\r\n$18\r\n" U64("\1") U64("\2") "\0\2\r\n$0\r\n\r\n");
    struct rope rest = {0};
    rope_append(&rest, bytes_from_string("OK\r\n"));
    reply = (struct forward_reply){.run_id = 1,
                                   .id = 2,
                                   .outcome = REQUEST_DONE,
                                   .told = 3,
                                   .reply = bytes_from_string("+"),
                                   .rest = &rest};
    wire_encode_forward_reply(&out, &reply);
    assert_wire(&out, "*3\r\n$9\r\nFORWARDED\r\n$26\r\n" U64("\1")
                          U64("\2") "\0\0" U64("\3") "\r\n$5\r\n+OK\r\n\r\n");
    rope_deinit(&rest);
}

static void what_nodes_say_is_the_bytes_of_the_format(void **state)
{
    struct outbox out = {0};
    struct blob *command = blob_copy(bytes_from_string("0123456789"));
    (void)state;
    struct raft_entry entry = {
        .pos = {5, 7}, .type = RAFT_ENTRY_COMMAND, .size = 10, .payload = command};
    struct raft_message message = {.type = RAFT_APPEND_REQUEST, .from = 3, .to = 1, .term = 5};
    message.append_request = (struct raft_append_request){
        .prev = {4, 6}, .commit = 2, .round = 1, .entries = &entry, .count = 1};
    wire_encode_message(&out, &message, &entry, 0);
    assert_wire(&out,
                "*3\r\n$6\r\nAPPEND\r\n$60\r\n" U64("\3") U64("\1") U64("\5") U64("\4") U64("\6")
                    U64("\2") U64("\1") "\1\0\0\0\r\n$23\r\n" U64("\5") "\0\12\0\0\0"
                                                                        "0123456789\r\n");
    message.append_request.count = 0;
    message.shown = 9;
    wire_encode_message(&out, &message, NULL, 0);
    assert_wire(&out, "*2\r\n$6\r\nAPPEND\r\n$68\r\n" U64("\3") U64("\1") U64("\5") U64("\4")
                          U64("\6") U64("\2") U64("\1") "\0\0\0\0" U64("\11") "\r\n");
    message = (struct raft_message){.type = RAFT_TIMEOUT_NOW, .from = 3, .to = 1, .term = 5};
    wire_encode_message(&out, &message, NULL, 0);
    assert_wire(&out, "*2\r\n$10\r\nTIMEOUTNOW\r\n$24\r\n" U64("\3") U64("\1") U64("\5") "\r\n");
    struct snapshot_message snapshot = {.type = SNAPSHOT_CHUNK,
                                        .from = 3,
                                        .to = 1,
                                        .term = 5,
                                        .id = 1,
                                        .number = 2,
                                        .bytes = 4,
                                        .payload = command};
    wire_encode_snapshot(&out, &snapshot);
    assert_wire(&out, "*3\r\n$8\r\nSNAPSHOT\r\n$66\r\n" U64("\3") U64("\1") U64("\5") "\3" U64("\1")
                          U64("\2") U64("\0") U64("\0") U64("\4") "\0\r\n$10\r\n0123456789\r\n");
    blob_release(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_as_they_went_in),
        cmocka_unit_test(a_large_append_is_split),
        cmocka_unit_test(large_payloads_come_in_pieces),
        cmocka_unit_test(pieces_out_of_order_are_refused),
        cmocka_unit_test(a_huge_payload_announced_takes_no_memory),
        cmocka_unit_test(pieces_begin_anew_with_the_connection),
        cmocka_unit_test(any_pieces_make_a_whole_or_nothing),
        cmocka_unit_test(forwards_are_the_bytes_of_the_format),
        cmocka_unit_test(answers_are_the_bytes_of_the_format),
        cmocka_unit_test(what_nodes_say_is_the_bytes_of_the_format),
        cmocka_unit_test(forwards_come_out_as_they_went_in),
        cmocka_unit_test(cancels_come_out_as_they_went_in),
        cmocka_unit_test(replies_come_out_as_they_went_in),
        cmocka_unit_test(cut_short_it_is_never_a_message),
        cmocka_unit_test(with_any_byte_changed_it_is_refused_or_sound),
        cmocka_unit_test(what_a_correct_node_never_says_is_refused),
        cmocka_unit_test(a_wait_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_message_of_another_size_is_refused),
        cmocka_unit_test(malformed_entries_are_refused),
        cmocka_unit_test(snapshots_come_out_as_they_went_in),
        cmocka_unit_test(impossible_snapshots_are_refused),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
