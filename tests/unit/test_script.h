/* Runs scripts without a server: redis.call(reply) gets `reply` with a line end, "count" its words,
 * and "refuse" is refused. */
#ifndef TEST_SCRIPT_H
#define TEST_SCRIPT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/buffer.h"
#include "script/script.h"

static void answer_call(struct script *script)
{
    struct script_call call = script_called(script);
    struct buffer reply = {0};
    if (bytes_is(call.argv[0], "refuse")) {
        script_refuse(script, "not here");
        return;
    }
    if (bytes_is(call.argv[0], "count")) {
        struct buffer words = {0};
        for (uint32_t i = 1; i < call.argc; i++) {
            buffer_append(&words, " ", i > 1);
            buffer_append_bytes(&words, call.argv[i]);
        }
        buffer_printf(&reply, "$%zu\r\n", words.size);
        buffer_append_bytes(&reply, buffer_bytes(&words));
        buffer_deinit(&words);
    } else {
        buffer_append_bytes(&reply, call.argv[0]);
    }
    buffer_append(&reply, "\r\n", 2);
    script_answer(script, buffer_bytes(&reply));
    buffer_deinit(&reply);
}

/* The reply, with a NUL behind it; returns how often it paused. */
static unsigned run_script(struct script *script, const char *body, struct buffer *out)
{
    char sha[SCRIPT_SHA_SIZE + 1];
    unsigned pauses = 0;
    script_sha(bytes_from_string(body), sha);
    struct script_run run = {
        .sha = bytes_from_string(sha), .body = bytes_from_string(body), .protocol = 2};
    script_begin(script, &run);
    for (enum script_step step; (step = script_go_on(script)) != SCRIPT_ENDS;) {
        if (step == SCRIPT_CALLS)
            answer_call(script);
        else
            pauses++;
    }
    bool failed;
    buffer_append_bytes(out, script_reply(script, &failed));
    buffer_append_byte(out, '\0');
    return pauses;
}

static inline void expect_prefix(struct script *script, const char *body, const char *prefix)
{
    struct buffer out = {0};
    run_script(script, body, &out);
    if (strncmp(out.data, prefix, strlen(prefix)) != 0)
        fail_msg("%s\n  gave     %s\n  expected %s", body, out.data, prefix);
    buffer_deinit(&out);
}

static inline void expect_script(struct script *script, const char *body, const char *reply)
{
    struct buffer out = {0};
    run_script(script, body, &out);
    if (strcmp(out.data, reply) != 0)
        fail_msg("%s\n  gave     %s\n  expected %s", body, out.data, reply);
    buffer_deinit(&out);
}

#endif
