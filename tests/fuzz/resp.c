/* The command parser.  First byte: which limits.  Second: how the rest is cut.
 *
 * However a stream is cut, the same commands and the same error come out; no more is consumed than
 * was offered; no limit is passed; and between peers, where the framing is strict, the words of a
 * command written out again are the bytes that were taken. */
#include "fuzz.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "resp/parser.h"
#include "resp/writer.h"

static const struct resp_limits limits_of[] = {
    {512 << 20, 64 << 10, 1 << 20, 1 << 30, .allow_inline = true},
    {512 << 20, 64 << 10, 1 << 20, 1 << 30, .allow_inline = true, .unauthenticated = true},
    {2 << 20, 64, 3, (2 << 20) + 4096, .allow_inline = false},
    {16, 24, 4, 64, .allow_inline = true},
    {16, 24, 4, 64, .allow_inline = false},
};

static void check_strict(struct bytes taken, const struct bytes *argv, uint32_t argc)
{
    struct buffer again = {0};
    if (argc == 0)
        return; /* *0 and *-1 are one command */
    resp_command_header(&again, argc);
    for (uint32_t i = 0; i < argc; i++)
        resp_command_argument(&again, argv[i]);
    check(bytes_equal(buffer_bytes(&again), taken));
    buffer_deinit(&again);
}

static void note_command(struct resp_parser *parser, const struct resp_limits *limits,
                         struct bytes taken, struct buffer *transcript)
{
    uint32_t argc;
    const struct bytes *argv = resp_argv(parser, &argc);
    bool multibulk = *(const char *)taken.data == '*';
    check(argc <= limits->argc_max || !multibulk);
    check(taken.size <= limits->command_max || !multibulk);
    buffer_printf(transcript, "(%u", argc);
    for (uint32_t i = 0; i < argc; i++) {
        check(argv[i].size <= (multibulk ? limits->bulk_max : limits->inline_max));
        if (multibulk) {
            check((const char *)argv[i].data >= (const char *)taken.data);
            check((const char *)argv[i].data + argv[i].size <=
                  (const char *)taken.data + taken.size);
        }
        buffer_printf(transcript, " %zu:", argv[i].size);
        buffer_append_bytes(transcript, argv[i]);
    }
    buffer_printf(transcript, ")");
    if (!limits->allow_inline)
        check_strict(taken, argv, argc);
}

/* Offers `stream` in steps, each offer an allocation of exactly its size. */
static void transcribe(const struct resp_limits *limits, struct bytes stream, size_t step,
                       struct buffer *transcript)
{
    struct resp_parser *parser = resp_parser_new(limits);
    const char *data = stream.data;
    size_t start = 0, end = 0;
    enum resp_result result = RESP_INCOMPLETE;
    while (end < stream.size && result != RESP_INVALID) {
        end = stream.size - end > step ? end + step : stream.size;
        do {
            size_t consumed = 0;
            char *offer = memory_copy(data + start, end - start);
            result = resp_parse(parser, offer, end - start, &consumed);
            if (result == RESP_COMMAND) {
                check(consumed > 0);
                check(consumed <= end - start);
                note_command(parser, limits, bytes_of(offer, consumed), transcript);
                start += consumed;
            }
            if (result == RESP_INCOMPLETE)
                check(resp_wanted(parser) == 0 || resp_wanted(parser) > end - start);
            memory_free(offer);
        } while (result == RESP_COMMAND);
    }
    if (result == RESP_INVALID)
        buffer_printf(transcript, "!%s", resp_error(parser));
    else
        buffer_printf(transcript, "+%zu", stream.size - start);
    resp_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct resp_limits *limits = &limits_of[data[0] % (sizeof limits_of / sizeof *limits_of)];
    struct bytes stream = bytes_of(data + 2, size - 2);
    struct buffer whole = {0}, cut = {0};
    transcribe(limits, stream, stream.size + 1, &whole);
    transcribe(limits, stream, data[1] + 1u, &cut);
    check(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    buffer_clear(&cut);
    if (stream.size < 256) {
        transcribe(limits, stream, 1, &cut);
        check(bytes_equal(buffer_bytes(&whole), buffer_bytes(&cut)));
    }
    buffer_deinit(&whole);
    buffer_deinit(&cut);
    return 0;
}
