/* MSETEX (Redis 8.4): many keys at once, on a condition that all of them fulfil or nothing is done,
 * with one deadline.
 *
 *     MSETEX numkeys key value [key value ...] [NX | XX]
 *            [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
 *
 * Deterministic; loop thread only. */
#include "command/commands.h"
#include "resp/number.h"

struct options {
    uint32_t end; /* of the pairs, in argv */
    bool if_none, if_all;
    bool keeps_deadlines;
    int64_t deadline_ms;
};

/* Takes what is at argv[*i], and its operand. */
static bool take_option(struct call *call, struct options *options, struct expiry *expiry,
                        uint32_t *i)
{
    struct bytes word = call->argv[*i];
    if (bytes_is(word, "nx") && !options->if_all)
        return options->if_none = true;
    if (bytes_is(word, "xx") && !options->if_none)
        return options->if_all = true;
    if (bytes_is(word, "keepttl") && expiry->form == EXPIRY_NONE)
        return options->keeps_deadlines = true;
    return !options->keeps_deadlines && call_take_expiry(call, expiry, i);
}

/* False: answered. */
static bool read_options(struct call *call, struct options *options)
{
    struct expiry expiry = {EXPIRY_NONE, 0};
    int64_t keys;
    *options = (struct options){.end = 0};
    if (!number_parse_i64(call->argv[1], &keys) || keys < 1 || keys > INT32_MAX)
        return call_refuse(call, "ERR invalid numkeys value");
    if (2 * keys > (int64_t)call->argc - 2)
        return call_refuse(call, "ERR wrong number of key-value pairs");
    options->end = 2 + 2 * (uint32_t)keys;
    for (uint32_t i = options->end; i < call->argc; i++)
        if (!take_option(call, options, &expiry, &i))
            return call_refuse(call, ERROR_SYNTAX);
    return call_deadline(call, &expiry, &options->deadline_ms);
}

bool words_msetex(struct call *call)
{
    struct options options;
    return read_options(call, &options);
}

/* False: one of the keys does not fulfil the condition, answered; or not all were asked yet. */
static bool hold(struct call *call, const struct options *options)
{
    uint32_t i = call_slice(call, 2);
    for (; i < options->end && call_takes(call, i); i += 2) {
        struct db_record found;
        bool exists = db_lookup(call->db, call->database, call->argv[i], &found);
        if (exists ? options->if_none : options->if_all) {
            reply_integer(call->reply, 0);
            return false;
        }
    }
    return !call->walk->unfinished;
}

static void put(struct call *call, const struct options *options, uint32_t i)
{
    struct db_record found;
    struct bytes key = call->argv[i], value = call->argv[i + 1];
    if (options->keeps_deadlines && db_lookup(call->db, call->database, key, &found))
        call_change_string(call, key, &found, value, "set");
    else
        call_put_until(call, key, value, options->deadline_ms);
}

/* walk->second_round: the condition holds. */
void cmd_msetex(struct call *call)
{
    struct options options;
    struct walk_state *walk = call->walk;
    if (!read_options(call, &options))
        return;
    bool asks = (options.if_none || options.if_all) && !walk->second_round;
    if (asks && !hold(call, &options))
        return;
    walk->second_round = true;
    uint32_t i = call_slice(call, 2);
    for (; i < options.end && call_takes(call, i); i += 2)
        put(call, &options, i);
    if (!walk->unfinished)
        reply_integer(call->reply, 1);
}
