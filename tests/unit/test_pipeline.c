/* One client's requests under way: replies leave in the order of the requests, whatever the order
 * in which they are finished; large replies make it careful; no write passes a read that may have
 * to be asked again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"
#include "net/pipeline.h"

static uint64_t prng = 99;

static struct request requests[4 * PIPELINE_MAX];
static struct blob *command; /* of all of them */

static uint64_t turn; /* of the loop */

static struct request *request_at(uint32_t place)
{
    return &requests[place];
}

static void add(struct pipeline *pipeline, uint32_t place, enum request_kind kind, bool silent)
{
    requests[place] = (struct request){.kind = kind, .command = command};
    pipeline_add(pipeline, &requests[place], silent, turn);
}

static void finish(struct pipeline *pipeline, uint32_t place, const char *text, struct outbox *out)
{
    pipeline_finish(pipeline, request_at(place), bytes_from_string(text), out);
}

static void assert_text_is(const struct outbox *out, struct bytes text)
{
    assert_int_equal(out->count, 0); /* small ones are in one run */
    assert_true(bytes_equal(buffer_bytes(&out->bytes), text));
}

static void assert_text(const struct outbox *out, const char *text)
{
    assert_text_is(out, bytes_from_string(text));
}

static char first_of(const struct outbox *out)
{
    struct iovec pieces[OUTBOX_PIECES_MAX];
    assert_true(outbox_pieces(out, pieces) > 0);
    return *(const char *)pieces[0].iov_base;
}

static size_t held_at(const struct pipeline *pipeline, uint32_t place)
{
    const struct blob *reply =
        pipeline->ring[(pipeline->start + place) & (pipeline->capacity - 1)].reply;
    return reply ? reply->size : 0;
}

static void replies_wait_for_their_turn(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        add(&pipeline, i, REQUEST_READ, i == 1);
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
    outbox_deinit(&out);
}

/* Of many clients most are idle: what one grew to is given back, what each needs is kept. */
static void places_are_given_back_when_it_is_empty(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    for (uint32_t i = 0; i < 2 * PIPELINE_KEEP; i++) { /* until it takes so many at once */
        add(&pipeline, 0, REQUEST_WRITE, false);
        finish(&pipeline, 0, "x", &out);
    }
    for (uint32_t many = PIPELINE_KEEP; many <= PIPELINE_KEEP + 1; many++) {
        for (uint32_t i = 0; i < many; i++)
            add(&pipeline, i, REQUEST_WRITE, false);
        for (uint32_t i = 0; i < many; i++) {
            assert_true(pipeline.capacity >= many);
            finish(&pipeline, i, "x", &out);
        }
        assert_int_equal(pipeline.capacity, many == PIPELINE_KEEP ? PIPELINE_KEEP : 0);
    }
    add(&pipeline, 0, REQUEST_WRITE, false);
    finish(&pipeline, 0, "x", &out);
    assert_in_range(pipeline.capacity, 1, PIPELINE_KEEP);
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

static bool takes_write(const struct pipeline *pipeline)
{
    return pipeline_takes(pipeline, REQUEST_WRITE, turn);
}

/* As long as replies are small nothing waits for anything. */
static void reads_and_writes_alternate(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        enum request_kind kind = i % 2 ? REQUEST_READ : REQUEST_WRITE;
        assert_true(pipeline_takes(&pipeline, kind, turn));
        add(&pipeline, i, kind, false);
        turn++;
    }
    for (uint32_t i = 0; i < 20; i++)
        finish(&pipeline, i, "x", &out);
    assert_text(&out, "xxxxxxxxxxxxxxxxxxxx");
    assert_int_equal(pipeline.writes + pipeline.bounded, 0);
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

/* The replica has seen them: what is too large will be asked again, and must not see the write. */
static void a_write_waits_for_bounded_reads(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    add(&pipeline, 0, REQUEST_READ, false); /* of any size */
    assert_true(takes_write(&pipeline));
    add(&pipeline, 1, REQUEST_READ, false);
    add(&pipeline, 2, REQUEST_READ, false);
    assert_true(requests[1].reply_max > 0 && requests[2].reply_max > 0);
    turn++;
    assert_false(takes_write(&pipeline));
    finish(&pipeline, 1, "1", &out);
    assert_false(takes_write(&pipeline));
    pipeline_put_off(&pipeline, request_at(2));
    assert_false(takes_write(&pipeline)); /* now least of all */
    finish(&pipeline, 0, "0", &out);
    requests[3] = (struct request){.kind = REQUEST_READ, .command = command};
    pipeline_ask_again(&pipeline, &requests[3]);
    assert_int_equal(requests[3].reply_max, 0);
    finish(&pipeline, 3, "2", &out);
    assert_true(takes_write(&pipeline));
    assert_text(&out, "012");
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

static void a_write_of_the_same_turn_takes_the_bounds_away(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    turn++;
    for (uint32_t i = 0; i < 5; i++)
        add(&pipeline, i, REQUEST_READ, false);
    assert_true(requests[4].reply_max > 0);
    assert_true(takes_write(&pipeline));
    add(&pipeline, 5, REQUEST_WRITE, false);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(requests[i].reply_max, 0);
    for (uint32_t i = 6; pipeline_takes(&pipeline, REQUEST_READ, turn); i++)
        add(&pipeline, i, REQUEST_READ, false);
    assert_true(requests[pipeline.count - 1].reply_max > 0); /* some have none, not all */
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

/* Reads without a bound can all be large. */
static void only_so_many_reads_come_before_a_write(void **state)
{
    struct pipeline pipeline = {.allowed = PIPELINE_MAX};
    (void)state;
    turn++;
    for (uint32_t i = 0; i < PIPELINE_MIXED; i++)
        add(&pipeline, i, REQUEST_READ, false);
    assert_true(takes_write(&pipeline));
    add(&pipeline, PIPELINE_MIXED, REQUEST_READ, false);
    assert_false(takes_write(&pipeline));
    pipeline_deinit(&pipeline);
}

static uint32_t fill(struct pipeline *pipeline)
{
    uint32_t count = 0;
    while (pipeline_takes(pipeline, REQUEST_READ, turn))
        add(pipeline, count++, REQUEST_READ, false);
    return count;
}

static void it_grows_with_use_and_shrinks_with_large_replies(void **state)
{
    static char large[1 << 20];
    struct pipeline pipeline = {0};
    struct outbox out = {0};
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
    add(&pipeline, 0, REQUEST_READ, false);
    pipeline_finish(&pipeline, request_at(0), bytes_of(large, sizeof large), &out);
    assert_true(fill(&pipeline) <= 4);
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

static uint32_t ask_again(struct pipeline *pipeline, uint32_t from)
{
    uint32_t count = 0;
    while (pipeline_next(pipeline)) {
        requests[from + count] = (struct request){.kind = REQUEST_READ, .command = command};
        pipeline_ask_again(pipeline, &requests[from + count++]);
    }
    return count;
}

/* How many may be under way and how much each may bring, to the byte: so few large replies are in
 * memory as the bounds say, and so many small ones under way. */
static void how_many_and_how_large_is_exact(void **state)
{
    static char large[PIPELINE_REPLIES + 1];
    static const struct {
        size_t size;
        uint32_t allowed; /* after a reply of that size */
    } replies[] = {{PIPELINE_LARGE - 1, PIPELINE_FIRST + 1},
                   {PIPELINE_LARGE, PIPELINE_REPLIES / PIPELINE_LARGE},
                   {PIPELINE_REPLIES / 3, 3},
                   {PIPELINE_REPLIES / 2, 2},
                   {PIPELINE_REPLIES, 1},
                   {PIPELINE_REPLIES + 1, 1}};
    struct outbox out = {0};
    (void)state;
    turn++;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct pipeline pipeline = {0};
        assert_int_equal(fill(&pipeline), PIPELINE_FIRST);
        for (uint32_t place = 1; place < PIPELINE_FIRST; place++)
            assert_int_equal(requests[place].reply_max, PIPELINE_REPLIES / (place + 1));
        pipeline_deinit(&pipeline);
        add(&pipeline, 0, REQUEST_READ, false);
        rope_append(&requests[0].rest, bytes_of(large, replies[i].size / 4)); /* it counts */
        pipeline_finish(&pipeline, request_at(0),
                        bytes_of(large, replies[i].size - replies[i].size / 4), &out);
        outbox_deinit(&out);
        assert_int_equal(fill(&pipeline), replies[i].allowed);
        pipeline_deinit(&pipeline);
    }
    struct pipeline full = {.allowed = PIPELINE_MAX};
    assert_int_equal(fill(&full), PIPELINE_MAX);
    assert_int_equal(requests[PIPELINE_MAX - 1].reply_max, PIPELINE_LARGE);
    pipeline_deinit(&full);
    struct pipeline behind_a_write = {.allowed = PIPELINE_MAX};
    add(&behind_a_write, 0, REQUEST_WRITE, false);
    fill(&behind_a_write);
    for (uint32_t read = 0; read < PIPELINE_MIXED; read++)
        assert_int_equal(behind_a_write.ring[read + 1].bounded, read >= PIPELINE_FREE);
    pipeline_deinit(&behind_a_write);
}

/* It takes another's place: its reply comes there, and the words that are kept are its own. */
static void one_read_for_another_has_its_place(void **state)
{
    struct blob *words = blob_copy(bytes_from_string("XREAD"));
    struct pipeline pipeline = {.reply_max = 77};
    struct outbox out = {0};
    (void)state;
    add(&pipeline, 0, REQUEST_READ, false);
    add(&pipeline, 1, REQUEST_READ, false);
    requests[2] = (struct request){.kind = REQUEST_READ, .command = words};
    pipeline_replace(&pipeline, request_at(0), request_at(2));
    assert_int_equal(requests[2].reply_max, 77);
    assert_int_equal(words->references, 2);
    assert_int_equal(command->references, 2); /* of the other */
    finish(&pipeline, 1, "b", &out);
    finish(&pipeline, 2, "a", &out);
    assert_text(&out, "ab");
    assert_int_equal(words->references, 1);
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
    blob_release(words);
}

/* What is put off holds nothing any more: what it had counts as output no longer. */
static void what_is_put_off_is_not_held(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        add(&pipeline, i, REQUEST_READ, false);
    finish(&pipeline, 1, "1", &out);
    finish(&pipeline, 3, "333", &out);
    finish(&pipeline, 4, "4444", &out);
    assert_int_equal(pipeline.held_bytes, 1 + 3 + 4);
    assert_true(pipeline_put_off(&pipeline, request_at(2)));
    assert_int_equal(pipeline.held_bytes, 1);
    assert_int_equal(pipeline.bounded, 0);
    assert_int_equal(pipeline.stale, 0);
    finish(&pipeline, 0, "0", &out);
    assert_text(&out, "01");
    assert_int_equal(pipeline.held_bytes, 0);
    assert_int_equal(ask_again(&pipeline, 5), 2); /* one, and one more for the small reply */
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

/* A long reply is sent as the pieces it was made of; what was finished behind it comes after the
 * last one.  A large one that is no rope is copied once, in its turn or held for it. */
static void a_long_reply_leaves_as_its_pieces(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    struct blob *large = blob_new(100000);
    (void)state;
    memset(large->data, 'l', large->size);
    for (uint32_t i = 0; i < 5; i++)
        add(&pipeline, i, REQUEST_READ, i == 2);
    for (uint32_t i = 0; i < 3; i++) {
        rope_append_blob(&requests[i].rest, blob_take(large));
        rope_append(&requests[i].rest, bytes_from_string("last"));
    }
    finish(&pipeline, 3, "d", &out);
    finish(&pipeline, 2, "silent", &out);
    finish(&pipeline, 1, "b:", &out);
    assert_int_equal(pipeline.held_bytes, 1 + 2 + 100004);
    assert_int_equal(large->references, 3); /* the silent one is gone */
    finish(&pipeline, 0, "a:", &out);
    assert_int_equal(pipeline.held_bytes, 0);
    assert_true(bytes_equal(buffer_bytes(&out.bytes), bytes_from_string("a:lastb:lastd")));
    assert_int_equal(out.count, 2);
    assert_ptr_equal(out.references[0].blob, large);
    assert_ptr_equal(out.references[1].blob, large);
    assert_int_equal(out.references[0].at, 2);
    assert_int_equal(out.references[1].at, 8);
    pipeline_finish(&pipeline, request_at(4), blob_bytes(large), &out);
    assert_int_equal(out.count, 3);
    assert_int_equal(out.bytes.size, 13); /* the run of small ones has not grown */
    assert_int_equal(pipeline.count, 0);
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
    assert_int_equal(large->references, 1);
    blob_release(large);
}

/* What the client may not be sent is not asked again. */
static void a_reply_over_the_limit_ends_it(void **state)
{
    struct pipeline pipeline = {.reply_max = 1000};
    (void)state;
    add(&pipeline, 0, REQUEST_READ, false);
    add(&pipeline, 1, REQUEST_READ, false);
    assert_int_equal(requests[0].reply_max, 1000);
    assert_true(requests[1].reply_max > 1000);
    assert_true(pipeline_put_off(&pipeline, request_at(1)));
    assert_false(pipeline_put_off(&pipeline, request_at(0)));
    pipeline_deinit(&pipeline);
}

/* Any order of finishing, silent ones among them, gives the order of adding. */
static void any_order_gives_the_order_of_requests(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct pipeline pipeline = {0};
        struct outbox out = {0};
        struct buffer wanted = {0};
        uint32_t open[PIPELINE_MAX], count = 0, next = 0;
        while (next < 300 || count) {
            if (next < 300 && pipeline_takes(&pipeline, REQUEST_READ, turn) &&
                prng_below(&prng, 2)) {
                bool silent = prng_below(&prng, 5) == 0;
                add(&pipeline, next, REQUEST_READ, silent);
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
        assert_text_is(&out, buffer_bytes(&wanted));
        pipeline_deinit(&pipeline);
        outbox_deinit(&out);
        buffer_deinit(&wanted);
    }
}

static void it_can_be_given_up_half_way(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        add(&pipeline, i, REQUEST_READ, false);
    finish(&pipeline, 10, "kept back", &out);
    pipeline_deinit(&pipeline); /* the sanitizer sees that nothing is left */
    assert_int_equal(pipeline.count, 0);
}

/* What comes behind one that was put off would overtake it: it is put off as well. */
static void too_large_a_reply_puts_off_all_behind_it(void **state)
{
    struct pipeline pipeline = {0};
    struct outbox out = {0};
    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        add(&pipeline, i, REQUEST_READ, false);
    assert_int_equal(requests[0].reply_max, 0); /* any size */
    assert_true(requests[5].reply_max > 0);
    finish(&pipeline, 0, "0", &out);
    finish(&pipeline, 1, "1", &out);
    finish(&pipeline, 3, "not yet", &out);
    pipeline_put_off(&pipeline, request_at(2));
    assert_false(pipeline_takes(&pipeline, REQUEST_READ, turn));
    assert_null(pipeline_next(&pipeline)); /* 4 and 5 are under way */
    finish(&pipeline, 4, "not yet", &out);
    assert_null(pipeline_next(&pipeline));
    pipeline_put_off(&pipeline, request_at(5)); /* too large in its turn: the same */
    assert_text(&out, "01");
    assert_int_equal(ask_again(&pipeline, 12), 1); /* alone, until it is known what comes */
    assert_int_equal(requests[12].reply_max, 0);
    finish(&pipeline, 12, "2", &out);
    assert_int_equal(ask_again(&pipeline, 13), 2);
    finish(&pipeline, 14, "4", &out);
    finish(&pipeline, 13, "3", &out);
    assert_int_equal(ask_again(&pipeline, 15), 1);
    assert_true(pipeline_takes(&pipeline, REQUEST_READ, turn));
    finish(&pipeline, 15, "5", &out);
    assert_text(&out, "012345");
    assert_int_equal(pipeline.count, 0);
    assert_int_equal(command->references, 1);
    pipeline_deinit(&pipeline);
    outbox_deinit(&out);
}

/* Any order of answers, some of them too large for their place: all replies come, in order, and
 * what is held at any time stays within the bound. */
static void what_is_put_off_keeps_the_order(void **state)
{
    enum { READS = 400, LARGE = 1 << 20 };
    static char text[LARGE];
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        struct pipeline pipeline = {0};
        struct outbox out = {0};
        uint32_t open[PIPELINE_MAX], open_number[PIPELINE_MAX], count = 0;
        uint32_t given = 0, next = 0, written = 0, first = 0;
        size_t sizes[READS], held;
        for (uint32_t i = 0; i < READS; i++)
            sizes[i] = prng_below(&prng, 8) ? 1 + prng_below(&prng, 100) : prng_below(&prng, LARGE);
        for (unsigned steps = 0; written < READS; steps++) {
            assert_true(steps < 100 * READS);
            if (given < READS && pipeline_takes(&pipeline, REQUEST_READ, turn) &&
                prng_below(&prng, 2)) {
                add(&pipeline, next, REQUEST_READ, false);
                open_number[count] = given++;
                open[count++] = next++;
            } else if (pipeline_next(&pipeline)) {
                open_number[count] = first + pipeline.asked;
                requests[next] = (struct request){.kind = REQUEST_READ, .command = command};
                pipeline_ask_again(&pipeline, &requests[next]);
                open[count++] = next++;
            } else if (count) {
                uint32_t pick = (uint32_t)prng_below(&prng, count);
                struct request *request = request_at(open[pick]);
                uint32_t number = open_number[pick];
                count--;
                open[pick] = open[count];
                open_number[pick] = open_number[count];
                text[0] = (char)number;
                if (request->reply_max && sizes[number] + 1 > request->reply_max)
                    pipeline_put_off(&pipeline, request);
                else
                    pipeline_finish(&pipeline, request, bytes_of(text, sizes[number] + 1), &out);
            }
            held = outbox_size(&out);
            while (outbox_size(&out)) {
                assert_int_equal(first_of(&out), (char)written);
                outbox_advance(&out, sizes[written++] + 1);
            }
            for (uint32_t i = 0; i < pipeline.count; i++)
                held += held_at(&pipeline, i);
            assert_true(held < (20 << 20));
            first = given - pipeline.count;
            if (next > 3 * PIPELINE_MAX && count == 0)
                next = 0;
            assert_true(next < 4 * PIPELINE_MAX);
        }
        assert_int_equal(written, READS);
        pipeline_deinit(&pipeline);
        assert_int_equal(command->references, 1);
        outbox_deinit(&out);
    }
}

int main(void)
{
    command = blob_copy(bytes_from_string("GET k"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_wait_for_their_turn),
        cmocka_unit_test(places_are_given_back_when_it_is_empty),
        cmocka_unit_test(reads_and_writes_alternate),
        cmocka_unit_test(a_write_waits_for_bounded_reads),
        cmocka_unit_test(a_write_of_the_same_turn_takes_the_bounds_away),
        cmocka_unit_test(only_so_many_reads_come_before_a_write),
        cmocka_unit_test(it_grows_with_use_and_shrinks_with_large_replies),
        cmocka_unit_test(how_many_and_how_large_is_exact),
        cmocka_unit_test(one_read_for_another_has_its_place),
        cmocka_unit_test(what_is_put_off_is_not_held),
        cmocka_unit_test(a_long_reply_leaves_as_its_pieces),
        cmocka_unit_test(a_reply_over_the_limit_ends_it),
        cmocka_unit_test(any_order_gives_the_order_of_requests),
        cmocka_unit_test(it_can_be_given_up_half_way),
        cmocka_unit_test(too_large_a_reply_puts_off_all_behind_it),
        cmocka_unit_test(what_is_put_off_keeps_the_order),
    };
    int failures = cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
    blob_release(command);
    return failures;
}
