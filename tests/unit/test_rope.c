/* A rope is the bytes that were put into it, whatever the pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/rope.h"

static void assert_rope(const struct rope *rope, const struct buffer *model)
{
    assert_int_equal(rope->size, model->size);
    char *all = memory_resize(NULL, model->size + 1);
    rope_copy_to(rope, all);
    if (model->size)
        assert_memory_equal(all, model->data, model->size);
    memory_free(all);
    struct bytes front = rope_front(rope);
    assert_int_equal(front.size > 0, model->size > 0);
    assert_true(front.size <= model->size);
    if (front.size)
        assert_memory_equal(front.data, model->data, front.size);
}

static void append_some(struct rope *rope, struct buffer *model, uint64_t *dice)
{
    char bytes[40];
    size_t size = prng_below(dice, sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)prng_next(dice);
    rope_append(rope, bytes_of(bytes, size));
    buffer_append(model, bytes, size);
}

static void is_what_was_put_into_it(void **state)
{
    struct rope rope = {0}, other = {0};
    struct buffer model = {0}, other_model = {0};
    uint64_t dice = 5;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        size_t some = prng_below(&dice, 60);
        switch (prng_below(&dice, 4)) {
        case 0: append_some(&rope, &model, &dice); break;
        case 1: append_some(&other, &other_model, &dice); break;
        case 2:
            rope_join(&rope, &other);
            buffer_append_bytes(&model, buffer_bytes(&other_model));
            buffer_clear(&other_model);
            break;
        default:
            some = some < model.size ? some : model.size;
            rope_drop(&rope, some);
            buffer_consume(&model, some);
        }
        assert_rope(&rope, &model);
        assert_rope(&other, &other_model);
    }
    rope_deinit(&rope);
    rope_deinit(&other);
    buffer_deinit(&model);
    buffer_deinit(&other_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_what_was_put_into_it)};
    return cmocka_run_group_tests_name("rope", tests, NULL, NULL);
}
