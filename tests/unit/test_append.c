/* The checker of transactions that append (tests/linear/append.h): random histories that somebody
 * executed one after the other are fine, and with one thing changed they are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "append.h"
#include "base/prng.h"
#include "linear.h"

enum { OPS = 40, ROUNDS = 4000 };

static uint64_t prng = 7;

struct history {
    struct append_op ops[OPS];
    uint64_t lists[OPS][OPS + 1]; /* of the reads */
    uint64_t list[OPS + 1];
    uint32_t size;
};

static uint64_t below(uint64_t limit)
{
    return prng_below(&prng, limit);
}

static void add(struct history *history, uint32_t i, int64_t now)
{
    struct append_op *op = &history->ops[i];
    *op = (struct append_op){.called = now - (int64_t)below(40),
                             .returned = now + 1 + (int64_t)below(40),
                             .is_read = below(2) == 0,
                             .number = 100 + i,
                             .numbers = history->lists[i]};
    if (op->is_read) {
        op->count = history->size;
        memcpy(history->lists[i], history->list, sizeof history->list);
        return;
    }
    bool is_known = below(8) > 0;
    if (!is_known)
        op->returned = LINEAR_NEVER;
    if (is_known || below(2) == 0)
        history->list[history->size++] = op->number;
}

static void make(struct history *history)
{
    history->size = 0;
    for (uint32_t i = 0; i < OPS; i++)
        add(history, i, 100 + 10 * (int64_t)i);
}

/* An operation of each kind, the first of which ended before the second began.  False: not
 * drawn. */
static bool draw(struct history *history, bool first_reads, bool then_reads,
                 struct append_op **first, struct append_op **then)
{
    *first = &history->ops[below(OPS)];
    *then = &history->ops[below(OPS)];
    return (*first)->is_read == first_reads && (*then)->is_read == then_reads &&
           (*first)->returned < (*then)->called;
}

static void take_out(struct history *history, uint32_t i, uint64_t number)
{
    struct append_op *op = &history->ops[i];
    uint32_t kept = 0;
    for (uint32_t at = 0; at < op->count; at++)
        if (history->lists[i][at] != number)
            history->lists[i][kept++] = history->lists[i][at];
    op->count = kept;
}

static bool plant_lost_append(struct history *history)
{
    struct append_op *lost, *read;
    if (!draw(history, false, true, &lost, &read))
        return false;
    for (uint32_t i = 0; i < OPS; i++)
        take_out(history, i, lost->number);
    return true;
}

static bool plant_stale_read(struct history *history)
{
    struct append_op *append, *read;
    if (!draw(history, false, true, &append, &read))
        return false;
    for (uint32_t at = 0; at < read->count; at++)
        if (read->numbers[at] == append->number)
            read->count = at;
    return true;
}

/* Both must be read by another read, or nobody knows which order is the right one. */
static bool plant_fork(struct history *history)
{
    uint32_t i = (uint32_t)below(OPS), longer = 0;
    struct append_op *read = &history->ops[i];
    if (!read->is_read || read->count < 2)
        return false;
    for (uint32_t j = 0; j < OPS; j++)
        longer += j != i && history->ops[j].is_read && history->ops[j].count >= read->count;
    uint64_t *last = &history->lists[i][read->count - 1], number = *last;
    *last = last[-1];
    last[-1] = number;
    return longer > 0;
}

static bool plant_aborted_read(struct history *history)
{
    uint32_t i = (uint32_t)below(OPS);
    if (!history->ops[i].is_read)
        return false;
    history->lists[i][history->ops[i].count++] = 7;
    return true;
}

static bool plant_second_time(struct history *history)
{
    uint32_t i = (uint32_t)below(OPS);
    struct append_op *read = &history->ops[i];
    if (!read->is_read || read->count == 0)
        return false;
    history->lists[i][read->count++] = read->numbers[0];
    return true;
}

static bool plant_read_of_the_future(struct history *history)
{
    struct append_op *read, *append;
    if (!draw(history, true, false, &read, &append))
        return false;
    for (uint32_t at = 0; at < history->size; at++)
        if (history->list[at] == append->number) {
            memcpy(history->lists[read - history->ops], history->list, sizeof history->list);
            read->count = at + 1;
            return true;
        }
    return false;
}

/* Two that are in real time one after the other are in the list the other way round. */
static bool plant_overtaking(struct history *history)
{
    struct append_op *first, *then;
    if (!draw(history, false, false, &first, &then))
        return false;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < OPS; i++)
        for (uint32_t at = 0; at < history->ops[i].count; at++) {
            uint64_t *number = &history->lists[i][at];
            seen += *number == then->number;
            *number = *number == first->number  ? then->number
                      : *number == then->number ? first->number
                                                : *number;
        }
    return seen > 0;
}

static void test_fine(void **state)
{
    struct history history;
    (void)state;
    assert_null(append_check(NULL, 0));
    for (unsigned round = 0; round < ROUNDS; round++) {
        make(&history);
        const char *why = append_check(history.ops, OPS);
        if (why)
            fail_msg("round %u: %s", round, why);
    }
}

static void test_planted(void **state)
{
    static const struct {
        const char *name;
        bool (*plant)(struct history *);
    } anomalies[] = {
        {"lost append", plant_lost_append},
        {"stale read", plant_stale_read},
        {"fork", plant_fork},
        {"aborted read", plant_aborted_read},
        {"second time", plant_second_time},
        {"read of the future", plant_read_of_the_future},
        {"overtaking", plant_overtaking},
    };
    struct history history;
    (void)state;
    for (size_t i = 0; i < sizeof anomalies / sizeof anomalies[0]; i++) {
        unsigned planted = 0;
        for (unsigned round = 0; round < ROUNDS; round++) {
            make(&history);
            if (!anomalies[i].plant(&history))
                continue;
            planted++;
            if (!append_check(history.ops, OPS))
                fail_msg("%s, round %u: not seen", anomalies[i].name, round);
        }
        assert_true(planted > ROUNDS / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fine),
        cmocka_unit_test(test_planted),
    };
    return cmocka_run_group_tests_name("append", tests, NULL, NULL);
}
