/* LOLWUT (Redis 7.2 lolwut.c): a drawing, another one each time, and the version.  Loop thread. */
#include "base/prng.h"
#include "command/commands.h"

enum { WATER_LINES = 3, WATER_WIDTH = 44 };

static void draw_water(struct buffer *out, uint64_t *seed)
{
    static const char waves[] = "~~~~ ^ ~";
    for (int line = 0; line < WATER_LINES; line++) {
        for (int i = 0; i < WATER_WIDTH; i++)
            buffer_append_byte(out, waves[prng_below(seed, sizeof waves - 1)]);
        buffer_append_byte(out, '\n');
    }
}

/* False: answered.  Of whatever version, the drawing is ours. */
static bool read_version(struct call *call)
{
    int64_t version;
    bool is_given = call->argc >= 3 && bytes_is(call->argv[1], "version");
    return !is_given || call_integer(call, 2, &version);
}

void cmd_lolwut(struct call *call)
{
    static const char raft[] = "                    |>\n"
                               "                    |\n"
                               "        ___________ | ___________\n"
                               "       (_)_______)_(|_)_______)_(_)\n"
                               "       (_)_______)_(__)_______)_(_)\n";
    struct buffer text = {0};
    uint64_t seed = call->seed;
    if (!read_version(call))
        return;
    buffer_append(&text, raft, sizeof raft - 1);
    draw_water(&text, &seed);
    buffer_printf(&text, "\nRedis ver. " REDIS_VERSION "\n");
    reply_verbatim(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
}
