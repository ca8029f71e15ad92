/* One client's requests under way: replies leave in the order of the requests, whatever the order in
 * which they are finished; kinds do not mix; large replies make it careful. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "net/pipeline.h"

static uint64_t prng = 99;

/* Requests are only compared: any address will do. */
static char places[4 * PIPELINE_MAX];

static struct request *request_at(uint32_t place)
{
    return (struct request *)(void *)&places[place];
}

static void finish(struct pipeline *pipeline, uint32_t place, const char *text, struct buffer *out)
{
    pipeline_finish(pipeline, request_at(place), bytes_from_string(text), out);
}

static void assert_text(struct buffer *out, const char *text)
{
    assert_true(bytes_equal(buffer_bytes(out), bytes_from_string(text)));
}

static void replies_wait_for_their_turn(void **state)
{
    struct pipeline pipeline = {0};
    struct buffer out = {0};
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        pipeline_add(&pipeline, request_at(i), REQUEST_READ, i == 1);
    finish(&pipeline, 2, "c", &out);
    finish(&pipeline, 1, "silent", &out);
    assert_text(&out, "");
    finish(&pipeline, 0, "a", &out);
    assert_text(&out, "ac");
    assert_int_equal(pipeline.count, 1);
    finish(&pipeline, 3, "d", &out);
    assert_text(&out, "acd");
    assert_int_equal(pipeline.count, 0);
    pipeline_deinit(&pipeline);
    buffer_deinit(&out);
}

static void kinds_do_not_mix(void **state)
{
    struct pipeline pipeline = {0};
    struct buffer out = {0};
    (void)state;
    assert_true(pipeline_takes(&pipeline, REQUEST_READ));
    pipeline_add(&pipeline, request_at(0), REQUEST_WRITE, false);
    assert_true(pipeline_takes(&pipeline, REQUEST_WRITE));
    assert_false(pipeline_takes(&pipeline, REQUEST_READ));
    finish(&pipeline, 0, "x", &out);
    assert_true(pipeline_takes(&pipeline, REQUEST_READ));
    pipeline_deinit(&pipeline);
    buffer_deinit(&out);
}

static uint32_t fill(struct pipeline *pipeline)
{
    uint32_t count = 0;
    while (pipeline_takes(pipeline, REQUEST_READ))
        pipeline_add(pipeline, request_at(count++), REQUEST_READ, false);
    return count;
}

static void it_grows_with_use_and_shrinks_with_large_replies(void **state)
{
    static char large[1 << 20];
    struct pipeline pipeline = {0};
    struct buffer out = {0};
    uint32_t allowed = 0;
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        allowed = fill(&pipeline);
        for (uint32_t i = 0; i < allowed; i++)
            finish(&pipeline, i, "x", &out);
    }
    assert_int_equal(allowed, PIPELINE_MAX);
    fill(&pipeline);
    for (uint32_t i = 0; i < allowed; i++)
        pipeline_finish(&pipeline, request_at(i), bytes_of(large, i ? 1 : sizeof large), &out);
    pipeline_deinit(&pipeline);
    pipeline_add(&pipeline, request_at(0), REQUEST_READ, false);
    pipeline_finish(&pipeline, request_at(0), bytes_of(large, sizeof large), &out);
    assert_true(fill(&pipeline) <= 4);
    pipeline_deinit(&pipeline);
    buffer_deinit(&out);
}

/* Any order of finishing, silent ones among them, gives the order of adding. */
static void any_order_gives_the_order_of_requests(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct pipeline pipeline = {0};
        struct buffer out = {0}, wanted = {0};
        uint32_t open[PIPELINE_MAX], count = 0, next = 0;
        while (next < 300 || count) {
            if (next < 300 && pipeline_takes(&pipeline, REQUEST_READ) && prng_below(&prng, 2)) {
                bool silent = prng_below(&prng, 5) == 0;
                pipeline_add(&pipeline, request_at(next), REQUEST_READ, silent);
                if (!silent)
                    buffer_printf(&wanted, "%u,", next);
                open[count++] = next++;
            } else if (count) {
                char text[16];
                uint32_t pick = (uint32_t)prng_below(&prng, count);
                snprintf(text, sizeof text, "%u,", open[pick]);
                finish(&pipeline, open[pick], text, &out);
                open[pick] = open[--count];
            }
        }
        assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&wanted)));
        pipeline_deinit(&pipeline);
        buffer_deinit(&out);
        buffer_deinit(&wanted);
    }
}

static void it_can_be_given_up_half_way(void **state)
{
    struct pipeline pipeline = {0};
    struct buffer out = {0};
    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        pipeline_add(&pipeline, request_at(i), REQUEST_READ, false);
    finish(&pipeline, 10, "kept back", &out);
    pipeline_deinit(&pipeline); /* the sanitizer sees that nothing is left */
    assert_int_equal(pipeline.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_wait_for_their_turn),
        cmocka_unit_test(kinds_do_not_mix),
        cmocka_unit_test(it_grows_with_use_and_shrinks_with_large_replies),
        cmocka_unit_test(any_order_gives_the_order_of_requests),
        cmocka_unit_test(it_can_be_given_up_half_way),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
