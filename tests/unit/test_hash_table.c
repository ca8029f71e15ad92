/* A table has what was put into it, whatever its size was meanwhile, and no step moves much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/prng.h"

enum { THINGS = 100000, MOVED_MAX = 64 };

struct thing {
    struct hash_link link; /* first */
    uint64_t number;
    bool is_in;
};

/* Some have the same hash, and many the same lower bits. */
static uint64_t hash_of(uint64_t number)
{
    uint64_t state = number / 3;
    return number % 7 == 0 ? number << 40 : prng_next(&state);
}

static struct thing *find(const struct hash_table *table, uint64_t number)
{
    struct hash_link *link = hash_table_find(table, hash_of(number));
    while (link && ((struct thing *)link)->number != number)
        link = hash_table_next(link);
    return (struct thing *)link;
}

static void turn_over(struct hash_table *table, struct thing *thing)
{
    if (thing->is_in)
        hash_table_remove(table, &thing->link);
    else
        hash_table_add(table, &thing->link, hash_of(thing->number));
    thing->is_in = !thing->is_in;
}

static void has_what_was_put_into_it(void **state)
{
    enum { FEW = 300 };
    struct thing things[FEW] = {0};
    struct hash_table table = {0};
    uint64_t dice = 1, count = 0;
    (void)state;
    assert_null(find(&table, 1));
    for (int i = 0; i < 100000; i++) {
        uint64_t wave = (uint64_t)i / 5000 % 2, drawn = prng_next(&dice) % FEW;
        struct thing *thing = &things[drawn];
        thing->number = drawn;
        if (thing->is_in == (wave == 1) && prng_next(&dice) % 8) /* it fills, and empties */
            continue;
        count += thing->is_in ? -1 : 1;
        turn_over(&table, thing);
        assert_int_equal(table.count, count);
        for (uint64_t k = 0; i % 100 == 0 && k < FEW; k++)
            assert_ptr_equal(find(&table, k), things[k].is_in ? &things[k] : NULL);
    }
    for (int i = 0; i < FEW; i++)
        if (things[i].is_in)
            turn_over(&table, &things[i]);
    hash_table_deinit(&table);
}

static void no_step_moves_much(void **state)
{
    struct thing *things = memory_new(THINGS * sizeof *things);
    struct hash_table table = {0};
    uint64_t seed = 5;
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < THINGS; i++) {
            uint64_t moved = table.moved;
            if (round == 0)
                hash_table_add(&table, &things[i].link, prng_next(&seed));
            else
                hash_table_remove(&table, &things[i].link);
            assert_in_range(table.moved - moved, 0, MOVED_MAX);
        }
        assert_in_range(table.bucket_count, round == 0 ? THINGS / 2 : 1, round == 0 ? THINGS : 16);
        assert_true(round == 0 || table.capacity <= 128);
    }
    hash_table_deinit(&table);
    memory_free(things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(has_what_was_put_into_it),
                                       cmocka_unit_test(no_step_moves_much)};
    return cmocka_run_group_tests_name("hash_table", tests, NULL, NULL);
}
