/* The checker of transactions, both ways: histories that some order explains, and the same with one
 * thing wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appends.h"
#include "base/memory.h"
#include "base/prng.h"

enum { KEYS = 3, TRANSACTIONS = 60, STEPS = 3, NUMBERS = TRANSACTIONS * STEPS };

struct history {
    struct appends_transaction transactions[TRANSACTIONS];
    struct appends_step steps[TRANSACTIONS][STEPS];
    uint32_t lists[KEYS][NUMBERS];
    uint32_t seen[TRANSACTIONS][STEPS][NUMBERS];
    struct appends_list ends[KEYS];
    uint32_t numbers;
};

static bool is_explained(const struct history *history)
{
    struct buffer why = {0};
    bool is_good = appends_check(history->transactions, TRANSACTIONS, history->ends, KEYS,
                                 history->numbers, &why);
    assert_int_equal(is_good, why.size == 0);
    buffer_deinit(&why);
    return is_good;
}

static void do_step(struct history *history, uint32_t i, uint32_t j, uint64_t *dice, bool is_done)
{
    struct appends_step *step = &history->steps[i][j];
    *step = (struct appends_step){.key = (uint32_t)prng_below(dice, KEYS),
                                  .is_read = prng_below(dice, 2)};
    struct appends_list *list = &history->ends[step->key];
    if (step->is_read) {
        memcpy(history->seen[i][j], list->numbers, list->count * sizeof *list->numbers);
        step->seen = (struct appends_list){history->seen[i][j], list->count};
        return;
    }
    step->number = history->numbers++;
    if (is_done)
        list->numbers[list->count++] = step->number;
}

/* One after the other, each at some time between its call and its return; of some the outcome is
 * unknown, whether they were done or not. */
static struct history *make(uint64_t seed)
{
    struct history *history = memory_new(sizeof *history);
    uint64_t dice = seed;
    for (uint32_t key = 0; key < KEYS; key++)
        history->ends[key].numbers = history->lists[key];
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        struct appends_transaction *transaction = &history->transactions[i];
        int64_t at = 100 * (int64_t)i;
        bool is_unknown = prng_below(&dice, 10) == 0;
        bool is_done = !is_unknown || prng_below(&dice, 2);
        *transaction = (struct appends_transaction){
            .called = at - (int64_t)prng_below(&dice, 300),
            .returned = is_unknown ? APPENDS_NEVER : at + 1 + (int64_t)prng_below(&dice, 300),
            .steps = history->steps[i],
            .count = 1 + (uint32_t)prng_below(&dice, STEPS)};
        for (uint32_t j = 0; j < transaction->count; j++)
            do_step(history, i, j, &dice, is_done);
    }
    return history;
}

static void test_what_happened_is_explained(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct history *history = make(seed);
        assert_true(is_explained(history));
        memory_free(history);
    }
}

/* A read, known, of at least `least` numbers, from a random place on; NULL: there is none. */
static struct appends_step *some_read(struct history *history, uint64_t *dice, uint32_t least)
{
    for (uint32_t n = 0, i = (uint32_t)prng_below(dice, TRANSACTIONS); n < TRANSACTIONS; n++, i++) {
        struct appends_transaction *transaction = &history->transactions[i % TRANSACTIONS];
        for (uint32_t j = 0; j < transaction->count && transaction->returned != APPENDS_NEVER; j++)
            if (transaction->steps[j].is_read && transaction->steps[j].seen.count >= least)
                return &transaction->steps[j];
    }
    return NULL;
}

static bool was_acknowledged(const struct history *history, uint32_t number)
{
    for (uint32_t i = 0; i < TRANSACTIONS; i++)
        for (uint32_t j = 0; j < history->transactions[i].count; j++)
            if (!history->steps[i][j].is_read && history->steps[i][j].number == number)
                return history->transactions[i].returned != APPENDS_NEVER;
    return false;
}

static void test_a_lost_append(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct history *history = make(seed);
        uint64_t dice = seed;
        struct appends_list *list = &history->ends[prng_below(&dice, KEYS)];
        if (was_acknowledged(history, list->numbers[--list->count])) {
            assert_false(is_explained(history));
            lost++;
        }
        memory_free(history);
    }
    assert_true(lost > 50);
}

static void test_an_append_done_twice(void **state)
{
    (void)state;
    struct history *history = make(7);
    struct appends_list *list = &history->ends[0];
    list->numbers[list->count] = list->numbers[0];
    list->count++;
    assert_false(is_explained(history));
    list->numbers[list->count - 1] = NUMBERS + 5; /* and one of nobody */
    assert_false(is_explained(history));
    memory_free(history);
}

static void test_a_read_of_another_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct history *history = make(seed);
        uint64_t dice = seed;
        struct appends_step *read = some_read(history, &dice, 2);
        assert_non_null(read);
        uint32_t first = read->seen.numbers[0];
        read->seen.numbers[0] = read->seen.numbers[1];
        read->seen.numbers[1] = first;
        assert_false(is_explained(history));
        memory_free(history);
    }
}

/* Appends of one transaction, others after it in real time: what a read shows must not be older. */
static void set(struct history *history, uint32_t i, int64_t called, int64_t returned,
                uint32_t count)
{
    history->transactions[i] =
        (struct appends_transaction){called, returned, history->steps[i], count};
}

static void append(struct history *history, uint32_t i, uint32_t j, uint32_t key)
{
    struct appends_list *list = &history->ends[key];
    history->steps[i][j] = (struct appends_step){.key = key, .number = history->numbers};
    list->numbers[list->count++] = history->numbers++;
}

static void read_first(struct history *history, uint32_t i, uint32_t j, uint32_t key,
                       uint32_t count)
{
    history->steps[i][j] =
        (struct appends_step){.key = key, .is_read = true, .seen = {history->lists[key], count}};
}

/* Two lists, each with what transaction 0 appended, and with what 1 did. */
static struct history *two_writers(void)
{
    struct history *history = memory_new(sizeof *history);
    for (uint32_t key = 0; key < KEYS; key++)
        history->ends[key].numbers = history->lists[key];
    set(history, 0, 0, 10, 2);
    set(history, 1, 20, 30, 2);
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t key = 0; key < 2; key++)
            append(history, i, key, key);
    return history;
}

static bool is_small_one_explained(const struct history *history, uint32_t count)
{
    struct buffer why = {0};
    bool is_good =
        appends_check(history->transactions, count, history->ends, KEYS, history->numbers, &why);
    buffer_deinit(&why);
    return is_good;
}

static void test_read_skew(void **state)
{
    (void)state;
    for (uint32_t first = 0; first <= 2; first++)
        for (uint32_t second = 0; second <= 2; second++) {
            struct history *history = two_writers();
            set(history, 2, 0, 40, 2); /* beside both */
            read_first(history, 2, 0, 0, first);
            read_first(history, 2, 1, 1, second);
            assert_int_equal(is_small_one_explained(history, 3), first == second);
            memory_free(history);
        }
}

static void test_a_stale_read(void **state)
{
    (void)state;
    for (uint32_t seen = 0; seen <= 2; seen++) {
        struct history *history = two_writers();
        set(history, 2, 35, 40, 1); /* after both */
        read_first(history, 2, 0, 0, seen);
        assert_int_equal(is_small_one_explained(history, 3), seen == 2);
        history->transactions[2].called = 15; /* beside the second */
        assert_int_equal(is_small_one_explained(history, 3), seen >= 1);
        history->transactions[2].returned = 18; /* before it */
        assert_int_equal(is_small_one_explained(history, 3), seen == 1);
        memory_free(history);
    }
}

/* Each appends to what the other read as empty. */
static void test_write_skew(void **state)
{
    (void)state;
    for (int is_serial = 0; is_serial < 2; is_serial++) {
        struct history *history = memory_new(sizeof *history);
        for (uint32_t key = 0; key < KEYS; key++)
            history->ends[key].numbers = history->lists[key];
        set(history, 0, 0, 10, 2);
        set(history, 1, 0, 10, 2);
        append(history, 0, 1, 0);
        append(history, 1, 1, 1);
        read_first(history, 0, 0, 1, 0);
        read_first(history, 1, 0, 0, is_serial ? 1 : 0);
        assert_int_equal(is_small_one_explained(history, 2), is_serial);
        memory_free(history);
    }
}

static void test_half_a_transaction(void **state)
{
    (void)state;
    struct history *history = two_writers();
    assert_true(is_small_one_explained(history, 2));
    history->ends[1].count--;
    assert_false(is_small_one_explained(history, 2));
    history->transactions[1].returned = APPENDS_NEVER; /* unknown, but all or nothing */
    assert_false(is_small_one_explained(history, 2));
    history->ends[0].count--;
    assert_true(is_small_one_explained(history, 2));
    memory_free(history);
}

static void test_its_own_appends(void **state)
{
    (void)state;
    for (uint32_t seen = 0; seen <= 2; seen++) {
        struct history *history = two_writers();
        history->transactions[1].count = 3;
        read_first(history, 1, 2, 0, seen); /* behind its own */
        assert_int_equal(is_small_one_explained(history, 2), seen == 2);
        memory_free(history);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_happened_is_explained),
                                       cmocka_unit_test(test_a_lost_append),
                                       cmocka_unit_test(test_an_append_done_twice),
                                       cmocka_unit_test(test_a_read_of_another_order),
                                       cmocka_unit_test(test_read_skew),
                                       cmocka_unit_test(test_a_stale_read),
                                       cmocka_unit_test(test_write_skew),
                                       cmocka_unit_test(test_half_a_transaction),
                                       cmocka_unit_test(test_its_own_appends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
