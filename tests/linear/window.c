/* The smallest part of a history that shows that it is not linearizable.  Each reduction only ever
 * allows more, so what cannot be explained after it could not be explained before:
 *
 *   1. The end.  What had not been answered at time `to` counts as unanswered.  The earliest `to`
 *      at which no order is left: with this answer the history became impossible.
 *   2. The beginning.  What was answered at or before `from` is left out, what was under way then
 *      may have happened before or after or not at all, and the value to begin with is whatever
 *      suits.  The latest `from` that leaves no order.
 *   3. The operations.  One whose answer says that it changed nothing may be left out, the answer
 *      of any other may be ignored.  What has to stay is the core.
 *
 * 1 and 2 are binary searches: every later end, and every earlier beginning, fails as well.  Each
 * trial gets a part of the steps only: a trial that gives up leaves the window larger than it had
 * to be.  All trials together get as many as the verdict might have taken; when they are used up,
 * what was found so far is the answer, and says that it was cut. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "register.h"
#include "search.h"

enum { TRIAL_PART = 20, TRIAL_STEPS_MIN = 100000 };

struct finder {
    const struct linear_op *ops;
    uint32_t count;
    uint64_t trial_steps; /* of one trial */
    uint64_t steps_left;  /* of all that are to come */
    uint64_t steps_taken;
    bool cut; /* there were too few */
    bool from_start;
    int64_t from, to;
    bool *loose; /* owned, like all below; by number */
    bool *gone;
    uint32_t *chosen;
    uint32_t *order;
    uint32_t order_count;
};

static bool takes_part(const struct finder *finder, uint32_t number)
{
    const struct linear_op *op = &finder->ops[number];
    return !finder->gone[number] && op->called <= finder->to &&
           (finder->from_start || op->returned > finder->from);
}

/* At the beginning of the window it was under way already. */
static bool overlaps_from(const struct finder *finder, uint32_t number)
{
    return !finder->from_start && finder->ops[number].called <= finder->from;
}

static bool fails_within(struct finder *finder, uint64_t *steps)
{
    uint32_t count = 0;
    bool *loose = memory_copy(finder->loose, finder->count * sizeof *loose);
    for (uint32_t i = 0; i < finder->count; i++) {
        if (!takes_part(finder, i))
            continue;
        finder->chosen[count++] = i;
        loose[i] |= overlaps_from(finder, i);
    }
    struct problem problem = {.ops = finder->ops,
                              .chosen = finder->chosen,
                              .count = count,
                              .loose = loose,
                              .until = finder->to,
                              .starts_from_nothing = finder->from_start};
    uint64_t given = *steps;
    enum linear_verdict verdict =
        problem_solve(&problem, steps, finder->order, &finder->order_count);
    finder->steps_taken += given - *steps;
    memory_free(loose);
    return verdict == LINEAR_NO;
}

/* To look at all operations costs as well, whatever the search takes. */
static bool fails(struct finder *finder)
{
    if (finder->steps_left <= finder->count) {
        finder->cut = true;
        return false;
    }
    uint64_t room = finder->steps_left - finder->count;
    uint64_t given = finder->trial_steps < room ? finder->trial_steps : room;
    uint64_t left = given;
    bool failed = fails_within(finder, &left);
    finder->cut |= left == 0;
    finder->steps_left -= finder->count + given - left;
    return failed;
}

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* All times of return, rising. */
static uint32_t return_times(const struct finder *finder, int64_t *times)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < finder->count; i++)
        if (finder->ops[i].returned != LINEAR_NEVER)
            times[count++] = finder->ops[i].returned;
    qsort(times, count, sizeof *times, by_value);
    return count;
}

static void find_end(struct finder *finder, const int64_t *times, uint32_t count)
{
    uint32_t low = 0, high = count - 1; /* times[high] fails */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        finder->to = times[middle];
        if (fails(finder))
            high = middle;
        else
            low = middle + 1;
    }
    finder->to = times[high];
}

static void find_beginning(struct finder *finder, const int64_t *times, uint32_t count)
{
    uint32_t low = 0, high = count; /* every time before `low` fails as a beginning */
    finder->from_start = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        finder->from = times[middle];
        if (fails(finder))
            low = middle + 1;
        else
            high = middle;
    }
    finder->from_start = low == 0;
    finder->from = low == 0 ? INT64_MIN : times[low - 1];
}

static bool is_answered(const struct finder *finder, uint32_t number)
{
    return takes_part(finder, number) && !overlaps_from(finder, number) &&
           finder->ops[number].returned <= finder->to;
}

static bool is_idle(const struct linear_op *op)
{
    struct values values = {0};
    struct action action;
    bool idle = action_of(&values, op, &action) && action_is_idle(&action);
    values_deinit(&values);
    return idle;
}

static void find_core(struct finder *finder)
{
    for (uint32_t i = 0; i < finder->count; i++) {
        if (!is_answered(finder, i))
            continue;
        bool *mark = is_idle(&finder->ops[i]) ? &finder->gone[i] : &finder->loose[i];
        *mark = true;
        if (!fails(finder))
            *mark = false;
    }
}

static void give(struct finder *finder, struct linear_window *window, uint64_t steps_max)
{
    window->from_start = finder->from_start;
    window->to = finder->to;
    window->core = memory_new((finder->count + 1) * sizeof *window->core);
    window->others = memory_new((finder->count + 1) * sizeof *window->others);
    for (uint32_t i = 0; i < finder->count; i++) {
        if (!takes_part(finder, i))
            continue;
        if (is_answered(finder, i) && !finder->loose[i])
            window->core[window->core_count++] = i;
        else
            window->others[window->others_count++] = i;
    }
    window->from = finder->to;
    for (uint32_t i = 0; i < window->core_count; i++)
        if (finder->ops[window->core[i]].called < window->from)
            window->from = finder->ops[window->core[i]].called;
    window->cut = finder->cut;
    bool failed = fails_within(finder, &steps_max); /* once more, for its order */
    check(failed);
    window->steps = finder->steps_taken;
    window->order = finder->order;
    window->order_count = finder->order_count;
}

void linear_window_find(struct linear_window *window, const struct linear_op *ops, uint32_t count,
                        uint64_t steps_max)
{
    uint64_t part = steps_max / TRIAL_PART;
    struct finder finder = {.ops = ops,
                            .count = count,
                            .trial_steps = part > TRIAL_STEPS_MIN ? part : TRIAL_STEPS_MIN,
                            .steps_left = steps_max,
                            .from_start = true,
                            .from = INT64_MIN};
    int64_t *times = memory_new((count + 1) * sizeof *times);
    finder.loose = memory_new(count + 1);
    finder.gone = memory_new(count + 1);
    finder.chosen = memory_new((count + 1) * sizeof *finder.chosen);
    finder.order = memory_new((count + 1) * sizeof *finder.order);
    *window = (struct linear_window){0};
    uint32_t times_count = return_times(&finder, times);
    check(times_count > 0); /* what nobody answered is linearizable */
    find_end(&finder, times, times_count);
    find_beginning(&finder, times, times_count);
    find_core(&finder);
    give(&finder, window, steps_max);
    memory_free(times);
    memory_free(finder.loose);
    memory_free(finder.gone);
    memory_free(finder.chosen);
}

void linear_window_deinit(struct linear_window *window)
{
    memory_free(window->core);
    memory_free(window->others);
    memory_free(window->order);
    *window = (struct linear_window){0};
}
