/* See wire.h.  The formats, little endian; `POS` is term u64, index u64.
 *
 *   argv[0]     argv[1]: fixed fields                                   argv[2]
 *   VOTE        from u64 to u64 term u64 | last POS, flags u8            -
 *   VOTED       from u64 to u64 term u64 | flags u8, clock u64           -
 *   APPEND      from u64 to u64 term u64 | prev POS, commit u64,         entries, if count > 0
 *                                          round u64, count u32
 *                                          [shown u64]
 *   APPENDED    from u64 to u64 term u64 | hint POS, round u64,          -
 *                                          matched u8, clock u64
 *   TIMEOUTNOW  from u64 to u64 term u64                                 -
 *   FORWARD     run_id u64 id u64 term u64 client u64 kind u8           command_encode()
 *               protocol u8 database u8 reply_max u32
 *   WAIT        as FORWARD, waiter_id u64 seen u64 waited_ms u64         command_encode()
 *   CANCEL      run_id u64 id u64 client u64 gone u8                     -
 *   FORWARDED   run_id u64 id u64 refused u8 outcome u8                 the reply, RESP
 *                 [told u64]
 *   SNAPSHOT    from u64 to u64 term u64 | kind u8 id u64 number u64     of a BEGIN: members;
 *                 pos POS bytes u64 again u8                            of a CHUNK: the chunk
 *   PIECE       total u32, offset u32                                    up to WIRE_PIECE_MAX bytes
 *
 *   flags of VOTE: 1 pre-vote, 2 transfer; of VOTED: 1 granted, 2 pre-vote.
 *   clock: the sender's wall clock, Unix milliseconds (transport_ops.send).
 *   entries: count times  term u64, type u8, size u32, payload; index = prev.index + 1, 2, ...
 *
 * A payload (of an entry, a FORWARD, a FORWARDED, a SNAPSHOT) of more than WIRE_PIECE_MAX is sent
 * as PIECEs, in order, none but the last shorter than WIRE_PIECE_MAX, and then left out of the
 * message that follows them: argv[2] is missing, or is the head of one entry alone.
 *
 * WAIT, CANCEL and SNAPSHOT, cancelled as an outcome, and `shown`, are for members who announced
 * meaning 5.
 *
 * The version of all this is agreed on in the handshake (handshake.h).  Each decoder below first
 * checks the sizes, then every value that the core or the replica relies on. */
#include "net/wire.h"

#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "net/wire_fields.h"

enum {
    VOTE_SIZE = ROUTE_SIZE + VOTE_REQUEST_SIZE,
    CLOCK_SIZE = 8,
    VOTED_SIZE = ROUTE_SIZE + VOTE_RESPONSE_SIZE + CLOCK_SIZE,
    APPEND_SIZE = ROUTE_SIZE + APPEND_REQUEST_SIZE,
    APPEND_SHOWN_SIZE = APPEND_SIZE + 8, /* behind those how far the leader has executed the log */
    APPENDED_SIZE = ROUTE_SIZE + APPEND_RESPONSE_SIZE + CLOCK_SIZE,
    FORWARD_SIZE = 39,
    WAIT_SIZE = FORWARD_SIZE + 24,
    CANCEL_SIZE = 25,
    FORWARDED_SIZE = 18,
    FORWARDED_TOLD_SIZE = 26, /* behind those the index of an entry that told something */
    SNAPSHOT_FIELDS = 42,
    SNAPSHOT_SIZE = ROUTE_SIZE + SNAPSHOT_FIELDS,
    PIECE_SIZE = 8,
    HEAD_MAX = 160, /* of a message: name, fields and the headers of three bulks */
    ROOM_FACTOR = 4
};

struct resp_limits wire_limits(void)
{
    return (struct resp_limits){.bulk_max = WIRE_BULK_MAX,
                                .inline_max = 64,
                                .argc_max = 3,
                                .command_max = WIRE_BULK_MAX + 4096,
                                .allow_inline = false};
}

/* ---- encoding ------------------------------------------------------------------ */

/* What stands before the payload of a message, put together here and appended at once: a forwarded
 * GET and its reply are little more than their heads. */
struct head {
    char text[HEAD_MAX];
    size_t size;
};

static void put_bytes(struct head *head, const void *data, size_t size)
{
    check(size <= sizeof head->text - head->size);
    memcpy(head->text + head->size, data, size);
    head->size += size;
}

/* A header of RESP: of an array of so many, or of a bulk of that size. */
static void put_header(struct head *head, char sign, size_t value)
{
    size_t digits = 1;
    for (size_t left = value; left >= 10; left /= 10)
        digits++;
    check(digits + 3 <= sizeof head->text - head->size);
    char *at = head->text + head->size;
    at[0] = sign;
    for (size_t i = digits; i > 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    at[digits + 1] = '\r';
    at[digits + 2] = '\n';
    head->size += digits + 3;
}

static void put_bulk(struct head *head, const void *data, size_t size)
{
    put_header(head, '$', size);
    put_bytes(head, data, size);
    put_bytes(head, "\r\n", 2);
}

static void put_name_and_fields(struct head *head, uint32_t argc, const char *name,
                                const void *fields, size_t size)
{
    head->size = 0;
    put_header(head, '*', argc);
    put_bulk(head, name, strlen(name));
    put_bulk(head, fields, size);
}

/* A whole message, without a payload. */
static void append_message(struct outbox *out, const char *name, const void *fields, size_t size)
{
    struct head head;
    put_name_and_fields(&head, 2, name, fields, size);
    outbox_append(out, head.text, head.size);
}

/* The caller appends the payload, of that size, and its end. */
static void begin_payload(struct outbox *out, const char *name, const void *fields, size_t size,
                          size_t payload_size)
{
    struct head head;
    put_name_and_fields(&head, 3, name, fields, size);
    put_header(&head, '$', payload_size);
    outbox_append(out, head.text, head.size);
}

static void end_payload(struct outbox *out)
{
    outbox_append(out, "\r\n", 2);
}

static void route_of(unsigned char *at, const struct raft_message *message)
{
    struct route route = {.from = message->from, .to = message->to, .term = message->term};
    wire_put_route(at, &route);
}

/* Begins a piece of a large payload, which goes ahead of its message.  Returns its size. */
static size_t begin_piece(struct outbox *out, size_t total, size_t offset)
{
    unsigned char fields[PIECE_SIZE];
    size_t left = total - offset;
    size_t size = left < WIRE_PIECE_MAX ? left : WIRE_PIECE_MAX;
    check(total <= WIRE_PAYLOAD_MAX);
    put_u32(fields, (uint32_t)total);
    put_u32(fields + 4, (uint32_t)offset);
    begin_payload(out, "PIECE", fields, sizeof fields, size);
    return size;
}

static void encode_pieces(struct outbox *out, struct blob *payload)
{
    for (size_t offset = 0; offset < payload->size;) {
        size_t size = begin_piece(out, payload->size, offset);
        outbox_append_part(out, payload, offset, size);
        end_payload(out);
        offset += size;
    }
}

/* The same; empties the rope. */
static void encode_rope(struct outbox *out, struct rope *rope)
{
    size_t total = rope->size;
    while (rope->size) {
        outbox_append_rope(out, rope, begin_piece(out, total, total - rope->size));
        end_payload(out);
    }
}

static bool is_large(size_t size)
{
    return size > WIRE_PIECE_MAX;
}

/* Where the payload is large it goes ahead in pieces. */
static void append_with_blob(struct outbox *out, const char *name, const void *fields, size_t size,
                             struct blob *payload)
{
    if (is_large(payload->size)) {
        encode_pieces(out, payload);
        append_message(out, name, fields, size);
        return;
    }
    begin_payload(out, name, fields, size, payload->size);
    outbox_append_blob(out, payload);
    end_payload(out);
}

static void encode_entries(struct outbox *out, const struct raft_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        unsigned char head[ENTRY_HEAD_SIZE];
        wire_put_entry_head(head, &entries[i]);
        outbox_append(out, head, sizeof head);
        if (entries[i].size && !is_large(entries[i].size))
            outbox_append_blob(out, entries[i].payload);
    }
    end_payload(out);
}

/* One append of entries[0 .. count), as one frame. */
static void encode_append_frame(struct outbox *out, const struct raft_message *message,
                                struct raft_pos prev, const struct raft_entry *entries,
                                uint32_t count, size_t size)
{
    unsigned char fields[APPEND_SHOWN_SIZE];
    struct raft_append_request request = message->append_request;
    request.prev = prev;
    request.count = count;
    route_of(fields, message);
    wire_put_append_request(fields + ROUTE_SIZE, &request);
    put_u64(fields + APPEND_SIZE, message->shown);
    size_t fields_size = message->shown ? APPEND_SHOWN_SIZE : APPEND_SIZE;
    if (count == 0) {
        append_message(out, "APPEND", fields, fields_size);
        return;
    }
    begin_payload(out, "APPEND", fields, fields_size, size);
    encode_entries(out, entries, count);
}

/* How many of entries[0 .. count) make the next frame, and the size of their bulk. */
static uint32_t frame_of(const struct raft_entry *entries, uint32_t count, size_t *size)
{
    uint32_t taken = 0;
    *size = 0;
    while (taken < count && taken < WIRE_ENTRIES_MAX) {
        const struct raft_entry *entry = &entries[taken];
        check(entry->pos.index == entries[0].pos.index + taken);
        check(entry->size == 0 || ((struct blob *)entry->payload)->size == entry->size);
        if (taken > 0 && (is_large(entry->size) || *size + entry->size > WIRE_FRAME_MAX))
            break;
        taken++;
        *size += ENTRY_HEAD_SIZE;
        if (is_large(entry->size))
            break;
        *size += entry->size;
    }
    return taken;
}

/* Splitting keeps the meaning: an append of n entries and one of m behind it are what a leader
 * would have sent with smaller bounds. */
static void encode_append(struct outbox *out, const struct raft_message *message,
                          const struct raft_entry *entries)
{
    uint32_t count = message->append_request.count;
    struct raft_pos prev = message->append_request.prev;
    if (count == 0) {
        encode_append_frame(out, message, prev, NULL, 0, 0);
        return;
    }
    check(entries[0].pos.index == prev.index + 1);
    for (uint32_t from = 0; from < count;) {
        size_t size;
        uint32_t taken = frame_of(entries + from, count - from, &size);
        if (taken == 1 && is_large(entries[from].size))
            encode_pieces(out, entries[from].payload);
        encode_append_frame(out, message, prev, entries + from, taken, size);
        from += taken;
        prev = entries[from - 1].pos;
    }
}

static void encode_vote_request(struct outbox *out, const struct raft_message *message)
{
    unsigned char fields[VOTE_SIZE];
    route_of(fields, message);
    wire_put_vote_request(fields + ROUTE_SIZE, &message->vote_request);
    append_message(out, "VOTE", fields, sizeof fields);
}

/* Behind the fields of an answer.  A clock from before 1970 is wrong enough at 0. */
static void put_clock(unsigned char *at, int64_t clock_ms)
{
    put_u64(at, clock_ms < 0 ? 0 : (uint64_t)clock_ms);
}

static void encode_vote_response(struct outbox *out, const struct raft_message *message,
                                 int64_t clock_ms)
{
    unsigned char fields[VOTED_SIZE];
    route_of(fields, message);
    wire_put_vote_response(fields + ROUTE_SIZE, &message->vote_response);
    put_clock(fields + VOTED_SIZE - CLOCK_SIZE, clock_ms);
    append_message(out, "VOTED", fields, sizeof fields);
}

static void encode_append_response(struct outbox *out, const struct raft_message *message,
                                   int64_t clock_ms)
{
    unsigned char fields[APPENDED_SIZE];
    route_of(fields, message);
    wire_put_append_response(fields + ROUTE_SIZE, &message->append_response);
    put_clock(fields + APPENDED_SIZE - CLOCK_SIZE, clock_ms);
    append_message(out, "APPENDED", fields, sizeof fields);
}

void wire_encode_message(struct outbox *out, const struct raft_message *message,
                         const struct raft_entry *entries, int64_t clock_ms)
{
    unsigned char route[ROUTE_SIZE];
    switch (message->type) {
    case RAFT_VOTE_REQUEST: encode_vote_request(out, message); break;
    case RAFT_VOTE_RESPONSE: encode_vote_response(out, message, clock_ms); break;
    case RAFT_APPEND_REQUEST: encode_append(out, message, entries); break;
    case RAFT_APPEND_RESPONSE: encode_append_response(out, message, clock_ms); break;
    case RAFT_TIMEOUT_NOW:
        route_of(route, message);
        append_message(out, "TIMEOUTNOW", route, sizeof route);
        break;
    }
}

void wire_encode_forward(struct outbox *out, const struct forward *forward)
{
    unsigned char fields[WAIT_SIZE];
    put_u64(fields, forward->run_id);
    put_u64(fields + 8, forward->id);
    put_u64(fields + 16, forward->term);
    put_u64(fields + 24, forward->client);
    fields[32] = (unsigned char)forward->kind;
    fields[33] = (unsigned char)forward->protocol;
    fields[34] = forward->database;
    put_u32(fields + 35, forward->reply_max);
    put_u64(fields + FORWARD_SIZE, forward->waiter_id);
    put_u64(fields + FORWARD_SIZE + 8, forward->seen);
    put_u64(fields + FORWARD_SIZE + 16, forward->waited_ms);
    const char *name = forward->may_wait ? "WAIT" : "FORWARD";
    append_with_blob(out, name, fields, forward->may_wait ? WAIT_SIZE : FORWARD_SIZE,
                     forward->command);
}

void wire_encode_cancel(struct outbox *out, const struct forward_cancel *cancel)
{
    unsigned char fields[CANCEL_SIZE];
    put_u64(fields, cancel->run_id);
    put_u64(fields + 8, cancel->id);
    put_u64(fields + 16, cancel->client);
    fields[24] = cancel->is_gone;
    append_message(out, "CANCEL", fields, sizeof fields);
}

void wire_encode_snapshot(struct outbox *out, const struct snapshot_message *message)
{
    unsigned char fields[SNAPSHOT_SIZE], *at = fields + ROUTE_SIZE;
    struct route route = {.from = message->from, .to = message->to, .term = message->term};
    wire_put_route(fields, &route);
    at[0] = (unsigned char)message->type;
    put_u64(at + 1, message->id);
    put_u64(at + 9, message->number);
    put_u64(at + 17, message->pos.term);
    put_u64(at + 25, message->pos.index);
    put_u64(at + 33, message->bytes);
    at[41] = message->again ? 1 : 0;
    if (message->payload)
        append_with_blob(out, "SNAPSHOT", fields, sizeof fields, message->payload);
    else
        append_message(out, "SNAPSHOT", fields, sizeof fields);
}

static void encode_large_reply(struct outbox *out, const struct forward_reply *reply)
{
    struct rope whole = {0};
    rope_append(&whole, reply->reply);
    if (reply->rest)
        rope_join(&whole, reply->rest);
    encode_rope(out, &whole);
}

void wire_encode_forward_reply(struct outbox *out, const struct forward_reply *reply)
{
    unsigned char fields[FORWARDED_TOLD_SIZE];
    size_t fields_size = reply->told ? FORWARDED_TOLD_SIZE : FORWARDED_SIZE;
    put_u64(fields, reply->run_id);
    put_u64(fields + 8, reply->id);
    fields[16] = reply->refused ? 1 : 0;
    fields[17] = (unsigned char)reply->outcome;
    put_u64(fields + FORWARDED_SIZE, reply->told);
    size_t size = reply->reply.size + (reply->rest ? reply->rest->size : 0);
    if (is_large(size)) {
        encode_large_reply(out, reply);
        append_message(out, "FORWARDED", fields, fields_size);
        return;
    }
    begin_payload(out, "FORWARDED", fields, fields_size, size);
    outbox_append(out, reply->reply.data, reply->reply.size);
    if (reply->rest)
        outbox_append_rope(out, reply->rest, reply->rest->size);
    end_payload(out);
}

/* ---- decoding -------------------------------------------------------------------- */

static enum wire_kind invalid(struct wire_input *input, const char *error)
{
    input->error = error;
    return WIRE_INVALID;
}

/* ---- pieces ----------------------------------------------------------------------- */

/* Room for one piece more, for some times what has come. */
static void make_room(struct wire_input *input)
{
    size_t have = input->assembly ? input->assembly->size : 0;
    size_t room = have ? ROOM_FACTOR * have : WIRE_PIECE_MAX;
    if (input->assembled + WIRE_PIECE_MAX <= have || have == input->assembly_total)
        return;
    if (room > input->assembly_total)
        room = input->assembly_total;
    input->assembly = have ? blob_resize(input->assembly, room) : blob_new(room);
}

static enum wire_kind decode_piece(struct wire_input *input, const struct bytes *argv,
                                   uint32_t argc)
{
    if (argc != 3 || argv[1].size != PIECE_SIZE)
        return invalid(input, "a piece of the wrong size");
    size_t total = get_u32(argv[1].data);
    size_t offset = get_u32((const unsigned char *)argv[1].data + 4);
    if (!is_large(total) || total > WIRE_PAYLOAD_MAX)
        return invalid(input, "a piece of a payload of the wrong size");
    if (offset != input->assembled || (input->assembly && input->assembly_total != total))
        return invalid(input, "a piece out of order");
    size_t left = total - offset;
    if (left == 0 || argv[2].size != (left < WIRE_PIECE_MAX ? left : WIRE_PIECE_MAX))
        return invalid(input, "a piece of the wrong size");
    input->assembly_total = total;
    make_room(input);
    memcpy(input->assembly->data + offset, argv[2].data, argv[2].size);
    input->assembled += argv[2].size;
    return WIRE_PIECE;
}

/* The payload that came ahead, complete; the caller's from now on.  NULL: there is none. */
static struct blob *take_assembly(struct wire_input *input)
{
    struct blob *assembly = input->assembly;
    if (!assembly || input->assembled != input->assembly_total)
        return NULL;
    check(assembly->size == input->assembly_total);
    input->assembly = NULL;
    input->assembled = 0;
    return assembly;
}

/* argv[2], or what came ahead of it in pieces.  NULL: it is missing. */
static struct blob *take_payload(struct wire_input *input, const struct bytes *argv, uint32_t argc)
{
    return argc == 3 ? blob_copy(argv[2]) : take_assembly(input);
}

/* ---- Raft messages ------------------------------------------------------------------ */

static struct raft_entry *add_entry(struct wire_input *input)
{
    if (input->entries_count == input->entries_capacity) {
        input->entries_capacity = input->entries_capacity ? input->entries_capacity * 2 : 64;
        input->entries =
            memory_resize(input->entries, input->entries_capacity * sizeof *input->entries);
    }
    return &input->entries[input->entries_count++];
}

/* One entry whose payload came in pieces. */
static enum wire_kind decode_large_entry(struct wire_input *input, struct bytes packed,
                                         uint32_t count)
{
    struct raft_message *message = &input->message;
    struct raft_entry entry;
    if (count != 1 || packed.size != ENTRY_HEAD_SIZE)
        return invalid(input, "pieces without their message");
    const char *error =
        wire_get_entry_head(packed.data, message->append_request.prev, message->term, &entry);
    if (error)
        return invalid(input, error);
    if (entry.size != input->assembly_total)
        return invalid(input, "pieces of another size than their entry");
    entry.payload = take_assembly(input);
    if (!entry.payload)
        return invalid(input, "pieces are missing");
    *add_entry(input) = entry;
    return WIRE_MESSAGE;
}

static enum wire_kind decode_entries(struct wire_input *input, struct bytes packed, uint32_t count)
{
    struct raft_pos pos = input->message.append_request.prev;
    const unsigned char *at = packed.data;
    size_t left = packed.size;
    for (uint32_t i = 0; i < count; i++) {
        struct raft_entry entry;
        const char *error = wire_get_entry(at, left, pos, input->message.term, &entry);
        if (error)
            return invalid(input, error);
        pos = entry.pos;
        at += ENTRY_HEAD_SIZE;
        left -= ENTRY_HEAD_SIZE;
        if (entry.size)
            entry.payload = blob_copy(bytes_of(at, entry.size));
        *add_entry(input) = entry;
        at += entry.size;
        left -= entry.size;
    }
    return left ? invalid(input, "bytes behind the last entry") : WIRE_MESSAGE;
}

static const char *get_shown(const unsigned char *at, raft_index *shown)
{
    *shown = get_u64(at);
    return *shown == 0 || *shown >= WIRE_NUMBER_MAX ? "an impossible index" : NULL;
}

static enum wire_kind decode_append(struct wire_input *input, const struct bytes *argv,
                                    uint32_t argc)
{
    struct raft_append_request *request = &input->message.append_request;
    const unsigned char *at = argv[1].data;
    const char *error = wire_get_append_request(at + ROUTE_SIZE, input->message.term, request);
    if (!error && argv[1].size == APPEND_SHOWN_SIZE)
        error = get_shown(at + APPEND_SIZE, &input->message.shown);
    if (error)
        return invalid(input, error);
    if (argc != (request->count ? 3u : 2u))
        return invalid(input, "entries without a count or a count without entries");
    if (request->count == 0)
        return WIRE_MESSAGE;
    enum wire_kind kind = input->assembly ? decode_large_entry(input, argv[2], request->count)
                                          : decode_entries(input, argv[2], request->count);
    request->entries = input->entries;
    return kind;
}

struct message_form {
    const char *name;
    size_t size;
    uint32_t argc_min, argc_max;
};

static const struct message_form message_forms[] = {
    [RAFT_VOTE_REQUEST] = {"VOTE", VOTE_SIZE, 2, 2},
    [RAFT_VOTE_RESPONSE] = {"VOTED", VOTED_SIZE, 2, 2},
    [RAFT_APPEND_REQUEST] = {"APPEND", APPEND_SIZE, 2, 3},
    [RAFT_APPEND_RESPONSE] = {"APPENDED", APPENDED_SIZE, 2, 2},
    [RAFT_TIMEOUT_NOW] = {"TIMEOUTNOW", ROUTE_SIZE, 2, 2},
};

static const char *get_clock(const unsigned char *at, int64_t *clock_ms)
{
    if (get_u64(at) >= WIRE_NUMBER_MAX)
        return "an impossible clock";
    *clock_ms = (int64_t)get_u64(at);
    return NULL;
}

static enum wire_kind decode_fields(struct wire_input *input, const struct bytes *argv,
                                    uint32_t argc)
{
    struct raft_message *message = &input->message;
    const unsigned char *at = (const unsigned char *)argv[1].data + ROUTE_SIZE;
    const char *error = NULL;
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        error = wire_get_vote_request(at, message->term, &message->vote_request);
        break;
    case RAFT_VOTE_RESPONSE:
        error = wire_get_vote_response(at, &message->vote_response);
        if (!error)
            error = get_clock(at + VOTE_RESPONSE_SIZE, &input->clock_ms);
        break;
    case RAFT_APPEND_REQUEST: return decode_append(input, argv, argc);
    case RAFT_APPEND_RESPONSE:
        error = wire_get_append_response(at, &message->append_response);
        if (!error)
            error = get_clock(at + APPEND_RESPONSE_SIZE, &input->clock_ms);
        break;
    case RAFT_TIMEOUT_NOW: error = message->term ? NULL : "an impossible term"; break;
    }
    return error ? invalid(input, error) : WIRE_MESSAGE;
}

static enum wire_kind decode_message(struct wire_input *input, enum raft_message_type type,
                                     const struct bytes *argv, uint32_t argc, raft_node_id from,
                                     raft_node_id to)
{
    const struct message_form *form = &message_forms[type];
    struct raft_message *message = &input->message;
    *message = (struct raft_message){.type = type};
    input->clock_ms = 0;
    bool has_shown = type == RAFT_APPEND_REQUEST && argv[1].size == APPEND_SHOWN_SIZE;
    if (argc < form->argc_min || argc > form->argc_max ||
        (argv[1].size != form->size && !has_shown))
        return invalid(input, "a message of the wrong size");
    struct route route;
    wire_get_route(argv[1].data, &route);
    message->from = route.from;
    message->to = route.to;
    message->term = route.term;
    if (message->from != from)
        return invalid(input, "a message in another node's name");
    if (message->to != to)
        return invalid(input, "a message for another node");
    if (message->term >= WIRE_NUMBER_MAX)
        return invalid(input, "an impossible term");
    return decode_fields(input, argv, argc);
}

/* ---- forwarded commands --------------------------------------------------------------- */

/* Behind the fields of a forward. */
static const char *check_wait(const unsigned char *at)
{
    if (get_u64(at) == 0 || get_u64(at + FORWARD_SIZE) == 0)
        return "a wait that is nobody's";
    if (get_u64(at + FORWARD_SIZE + 8) >= WIRE_NUMBER_MAX ||
        get_u64(at + FORWARD_SIZE + 16) >= WIRE_NUMBER_MAX)
        return "a wait with an impossible index or time";
    return NULL;
}

static enum wire_kind decode_forward(struct wire_input *input, const struct bytes *argv,
                                     uint32_t argc, bool may_wait)
{
    if (argv[1].size != (may_wait ? WAIT_SIZE : FORWARD_SIZE))
        return invalid(input, "a forward of the wrong size");
    const unsigned char *at = argv[1].data;
    unsigned kind = at[32], protocol = at[33];
    if (kind > REQUEST_WRITE || (protocol != 2 && protocol != 3))
        return invalid(input, "a forward of unknown kind or protocol");
    if (get_u64(at + 8) == 0 || get_u64(at + 16) >= WIRE_NUMBER_MAX || get_u64(at + 24) == 0)
        return invalid(input, "a forward without id, term or client");
    const char *error = may_wait ? check_wait(at) : NULL;
    if (error)
        return invalid(input, error);
    struct blob *command = take_payload(input, argv, argc);
    if (!command)
        return invalid(input, "a forward without its command");
    input->forward = (struct forward){
        .run_id = get_u64(at),
        .id = get_u64(at + 8),
        .term = get_u64(at + 16),
        .client = get_u64(at + 24),
        .kind = (enum request_kind)kind,
        .protocol = (int)protocol,
        .database = at[34],
        .reply_max = get_u32(at + 35),
        .command = command,
        .may_wait = may_wait,
        .waiter_id = may_wait ? get_u64(at + FORWARD_SIZE) : 0,
        .seen = may_wait ? get_u64(at + FORWARD_SIZE + 8) : 0,
        .waited_ms = may_wait ? get_u64(at + FORWARD_SIZE + 16) : 0,
    };
    return WIRE_FORWARD;
}

static enum wire_kind decode_cancel(struct wire_input *input, const struct bytes *argv,
                                    uint32_t argc)
{
    if (argc != 2 || argv[1].size != CANCEL_SIZE)
        return invalid(input, "a cancel of the wrong size");
    const unsigned char *at = argv[1].data;
    if (at[24] > 1)
        return invalid(input, "a cancel of an unknown kind");
    input->cancel = (struct forward_cancel){.run_id = get_u64(at),
                                            .id = get_u64(at + 8),
                                            .client = get_u64(at + 16),
                                            .is_gone = at[24]};
    return WIRE_CANCEL;
}

static enum wire_kind decode_forward_reply(struct wire_input *input, const struct bytes *argv,
                                           uint32_t argc)
{
    if (argv[1].size != FORWARDED_SIZE && argv[1].size != FORWARDED_TOLD_SIZE)
        return invalid(input, "a reply of the wrong size");
    const unsigned char *at = argv[1].data;
    raft_index told = argv[1].size == FORWARDED_TOLD_SIZE ? get_u64(at + FORWARDED_SIZE) : 0;
    if (argv[1].size == FORWARDED_TOLD_SIZE && (told == 0 || told >= WIRE_NUMBER_MAX))
        return invalid(input, "a reply for an impossible entry");
    unsigned refused = at[16], outcome = at[17];
    if (refused > 1 || outcome > REQUEST_CANCELLED)
        return invalid(input, "a reply of unknown outcome");
    if (argc == 2)
        input->reply = take_assembly(input);
    if (argc == 2 && !input->reply)
        return invalid(input, "a reply without its text");
    struct bytes reply = input->reply ? blob_bytes(input->reply) : argv[2];
    if (!refused && outcome == REQUEST_DONE && reply.size == 0)
        return invalid(input, "an empty reply");
    input->forward_reply = (struct forward_reply){
        .run_id = get_u64(at),
        .id = get_u64(at + 8),
        .refused = refused,
        .outcome = (enum request_outcome)outcome,
        .told = told,
        .reply = reply,
    };
    return WIRE_FORWARD_REPLY;
}

/* ---- snapshots --------------------------------------------------------------------------- */

/* What the replica relies on, kind by kind. */
static const char *check_snapshot(const struct snapshot_message *message)
{
    bool has_session = message->type != SNAPSHOT_OFFER;
    bool is_first = message->type == SNAPSHOT_FETCH && message->number == 0;
    bool has_payload = message->type == SNAPSHOT_BEGIN || message->type == SNAPSHOT_CHUNK;
    bool has_pos =
        message->type == SNAPSHOT_OFFER || message->type == SNAPSHOT_BEGIN ||
        (message->type == SNAPSHOT_FETCH && (message->pos.term > 0 || message->pos.index > 0));
    struct raft_members members;
    if (message->id == 0 && has_session && !is_first)
        return "a snapshot's message of no session";
    if (has_pos && (message->pos.term == 0 || message->pos.index == 0 ||
                    message->pos.term > message->term || message->pos.index >= WIRE_NUMBER_MAX))
        return "a snapshot of an impossible position";
    if (message->number >= WIRE_NUMBER_MAX || message->bytes >= WIRE_NUMBER_MAX)
        return "a snapshot of an impossible size";
    if (has_payload != (message->payload != NULL))
        return "a snapshot's message without its payload, or with one";
    if (message->type == SNAPSHOT_BEGIN &&
        !raft_members_decode(&members, blob_bytes(message->payload)))
        return "a snapshot with impossible members";
    return NULL;
}

static enum wire_kind decode_snapshot(struct wire_input *input, const struct bytes *argv,
                                      uint32_t argc, raft_node_id from, raft_node_id to)
{
    const unsigned char *at = argv[1].data;
    struct route route;
    if (argv[1].size != SNAPSHOT_SIZE)
        return invalid(input, "a snapshot's message of the wrong size");
    wire_get_route(at, &route);
    if (route.from != from || route.to != to)
        return invalid(input, "a snapshot's message of or for another node");
    at += ROUTE_SIZE;
    if (route.term == 0 || route.term >= WIRE_NUMBER_MAX || at[0] >= SNAPSHOT_MESSAGES ||
        at[41] > 1)
        return invalid(input, "a snapshot's message of an unknown kind or an impossible term");
    struct snapshot_message message = {
        .type = (enum snapshot_message_type)at[0],
        .from = from,
        .to = to,
        .term = route.term,
        .id = get_u64(at + 1),
        .number = get_u64(at + 9),
        .pos = {get_u64(at + 17), get_u64(at + 25)},
        .bytes = get_u64(at + 33),
        .again = at[41] == 1,
        .payload = take_payload(input, argv, argc),
    };
    const char *error = check_snapshot(&message);
    if (error) {
        blob_release(message.payload);
        return invalid(input, error);
    }
    input->snapshot = message;
    return WIRE_SNAPSHOT;
}

/* ---- all of them ------------------------------------------------------------------------- */

static bool is_name(struct bytes word, const char *name)
{
    return bytes_equal(word, bytes_from_string(name));
}

static enum wire_kind decode_by_name(struct wire_input *input, const struct bytes *argv,
                                     uint32_t argc, raft_node_id from, raft_node_id to)
{
    bool is_wait = is_name(argv[0], "WAIT");
    bool is_forward = is_wait || is_name(argv[0], "FORWARD"),
         is_reply = is_name(argv[0], "FORWARDED");
    bool is_append = is_name(argv[0], "APPEND");
    bool is_snapshot = is_name(argv[0], "SNAPSHOT");
    if (is_name(argv[0], "PIECE"))
        return decode_piece(input, argv, argc);
    if (input->assembly && !((is_forward || is_reply || is_snapshot) && argc == 2) &&
        !(is_append && argc == 3))
        return invalid(input, "pieces without their message");
    if (is_forward)
        return decode_forward(input, argv, argc, is_wait);
    if (is_reply)
        return decode_forward_reply(input, argv, argc);
    if (is_name(argv[0], "CANCEL"))
        return decode_cancel(input, argv, argc);
    if (is_snapshot)
        return decode_snapshot(input, argv, argc, from, to);
    for (unsigned type = 0; type < sizeof message_forms / sizeof *message_forms; type++) {
        if (is_name(argv[0], message_forms[type].name))
            return decode_message(input, (enum raft_message_type)type, argv, argc, from, to);
    }
    return invalid(input, "an unknown message");
}

enum wire_kind wire_decode(struct wire_input *input, const struct bytes *argv, uint32_t argc,
                           raft_node_id from, raft_node_id to)
{
    check(input->entries_count == 0); /* the last message was released */
    check(!input->reply);
    input->kind = argc == 2 || argc == 3 ? decode_by_name(input, argv, argc, from, to)
                                         : invalid(input, "a message of the wrong number of words");
    return input->kind;
}

void wire_release(struct wire_input *input)
{
    for (uint32_t i = 0; i < input->entries_count; i++)
        blob_release(input->entries[i].payload);
    input->entries_count = 0;
    if (input->kind == WIRE_FORWARD)
        blob_release(input->forward.command);
    if (input->kind == WIRE_SNAPSHOT)
        blob_release(input->snapshot.payload);
    blob_release(input->reply);
    input->reply = NULL;
    input->kind = WIRE_INVALID;
}

void wire_input_deinit(struct wire_input *input)
{
    wire_release(input);
    blob_release(input->assembly);
    memory_free(input->entries);
    *input = (struct wire_input){.kind = WIRE_INVALID};
}
