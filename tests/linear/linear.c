/* The search of Wing and Gong, with Lowe's memory of the configurations that were visited.
 *
 * The calls and returns of the answered operations are a list in time order.  Any call before the
 * first return may come next in the order if its effect fits its answer; then both its events leave
 * the list.  When nothing fits, the search goes back.  A configuration (what was done, and the
 * value) that was seen before is not entered again.  The history is linearizable as soon as every
 * answered operation is done.
 *
 * Three rules keep it from trying what cannot matter:
 *
 *   - An answered operation that changes nothing (a read) is taken at once where it fits: whatever
 *     order exists from here, it may stand at its beginning.
 *   - Operations of unknown outcome are tried last, and of equal ones the one that was called
 *     first.
 *   - One of unknown outcome that the next operation does not depend on is in vain: that next one
 *     was tried without it already. */
#include "linear.h"

#include <stdlib.h>
#include <uthash.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"
#include "register.h"
#include "search.h"

struct event {
    int64_t time;
    uint32_t item;
    bool is_return;
    struct event *prev, *next;
};

struct item { /* an operation that takes part */
    uint32_t number;
    struct action action;
    int64_t called, returned;
    struct event *call, *end; /* if it was answered */
    int32_t earlier;          /* if not: the equal one that was called before it; -1: none */
    bool done, idle;
    uint64_t key[2]; /* random: configurations are told apart by the sum of their items' keys */
};

/* A configuration: 128 bits of what was done, and the value. */
struct configuration {
    uint64_t done[2];
    uint64_t value;
};

struct seen {
    struct configuration configuration;
    UT_hash_handle hh;
};

struct taken {
    uint32_t item;
    const struct value *before;
    bool forced; /* nothing else has to be tried in its place */
};

struct search {
    struct values values;
    struct item *items;
    uint32_t count;
    struct event *events; /* [0] is the head of the list */
    uint32_t *unknown;    /* items of unknown outcome, by time of call */
    uint32_t unknown_count, answered_left;
    const struct value *value;
    struct configuration now;
    struct seen *seen;
    struct taken *taken;
    uint32_t taken_count;
    uint64_t steps_left;
    uint32_t *best; /* may be NULL */
    uint32_t best_count;
};

/* ---- preparation ------------------------------------------------------------------------ */

static int by_time(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    /* At the same instant calls come first: the operations overlap. */
    if (a->is_return != b->is_return)
        return a->is_return ? 1 : -1;
    return a->item < b->item ? -1 : 1;
}

static void link_events(struct search *search)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < search->count; i++) {
        const struct item *item = &search->items[i];
        if (item->returned == LINEAR_NEVER)
            continue;
        search->events[count++] = (struct event){.time = item->called, .item = i};
        search->events[count++] =
            (struct event){.time = item->returned, .item = i, .is_return = true};
    }
    qsort(search->events + 1, count - 1, sizeof *search->events, by_time);
    for (uint32_t i = 1; i < count; i++) {
        struct event *event = &search->events[i];
        struct item *item = &search->items[event->item];
        event->prev = event - 1;
        event->next = i + 1 < count ? event + 1 : NULL;
        *(event->is_return ? &item->end : &item->call) = event;
    }
    search->events[0].next = count > 1 ? &search->events[1] : NULL;
    search->answered_left = (count - 1) / 2;
}

static const struct item *items_to_sort;

static int by_call(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (items_to_sort[a].called != items_to_sort[b].called)
        return items_to_sort[a].called < items_to_sort[b].called ? -1 : 1;
    return a < b ? -1 : 1;
}

static bool same_action(const struct action *a, const struct action *b)
{
    return a->command == b->command && a->condition == b->condition && a->first == b->first &&
           a->second == b->second && a->number == b->number;
}

static void list_unknown(struct search *search)
{
    for (uint32_t i = 0; i < search->count; i++)
        if (search->items[i].returned == LINEAR_NEVER)
            search->unknown[search->unknown_count++] = i;
    items_to_sort = search->items;
    qsort(search->unknown, search->unknown_count, sizeof *search->unknown, by_call);
    for (uint32_t i = 0; i < search->unknown_count; i++) {
        struct item *item = &search->items[search->unknown[i]];
        item->earlier = -1;
        for (uint32_t j = i; j-- > 0 && item->earlier < 0;)
            if (same_action(&search->items[search->unknown[j]].action, &item->action))
                item->earlier = (int32_t)search->unknown[j];
    }
}

static void prepare(struct search *search, const struct problem *problem)
{
    uint64_t prng = 1;
    search->count = problem->count;
    search->items = memory_new((problem->count + 1) * sizeof *search->items);
    search->events = memory_new((2 * (size_t)problem->count + 1) * sizeof *search->events);
    search->unknown = memory_new((problem->count + 1) * sizeof *search->unknown);
    search->taken = memory_new((problem->count + 1) * sizeof *search->taken);
    search->value = problem->starts_from_nothing ? NULL : value_unknown;
    for (uint32_t i = 0; i < problem->count; i++) {
        uint32_t number = problem->chosen[i];
        const struct linear_op *op = &problem->ops[number];
        struct item *item = &search->items[i];
        *item = (struct item){.number = number, .called = op->called, .returned = op->returned};
        check(action_of(&search->values, op, &item->action));
        if (op->returned > problem->until || (problem->loose && problem->loose[number])) {
            item->returned = LINEAR_NEVER;
            item->action.reply = (struct linear_reply){.type = REPLY_ANY};
        }
        item->idle = action_is_idle(&item->action);
        item->key[0] = prng_next(&prng);
        item->key[1] = prng_next(&prng);
    }
    link_events(search);
    list_unknown(search);
}

static void search_deinit(struct search *search)
{
    struct seen *seen, *next;
    HASH_ITER(hh, search->seen, seen, next)
    {
        HASH_DEL(search->seen, seen);
        memory_free(seen);
    }
    values_deinit(&search->values);
    memory_free(search->items);
    memory_free(search->events);
    memory_free(search->unknown);
    memory_free(search->taken);
}

/* ---- to and fro ------------------------------------------------------------------------------ */

static void unlink_event(struct event *event)
{
    event->prev->next = event->next;
    if (event->next)
        event->next->prev = event->prev;
}

static void relink_event(struct event *event)
{
    event->prev->next = event;
    if (event->next)
        event->next->prev = event;
}

/* False: this configuration was here before. */
static bool is_new(struct search *search)
{
    struct seen *seen;
    HASH_FIND(hh, search->seen, &search->now, sizeof search->now, seen);
    if (seen)
        return false;
    seen = memory_new(sizeof *seen);
    seen->configuration = search->now;
    HASH_ADD(hh, search->seen, configuration, sizeof seen->configuration, seen);
    return true;
}

static void set_value(struct search *search, const struct value *value)
{
    search->value = value;
    search->now.value = value_number(value);
}

static void note_best(struct search *search)
{
    if (!search->best || search->taken_count <= search->best_count)
        return;
    search->best_count = search->taken_count;
    for (uint32_t i = 0; i < search->taken_count; i++)
        search->best[i] = search->items[search->taken[i].item].number;
}

static void undo(struct search *search)
{
    const struct taken *last = &search->taken[--search->taken_count];
    struct item *item = &search->items[last->item];
    item->done = false;
    search->now.done[0] -= item->key[0];
    search->now.done[1] -= item->key[1];
    set_value(search, last->before);
    if (item->call) {
        relink_event(item->call);
        relink_event(item->end);
        search->answered_left++;
    }
}

/* True if the search goes on behind it. */
static bool take(struct search *search, uint32_t number, const struct value *after, bool forced)
{
    struct item *item = &search->items[number];
    search->taken[search->taken_count++] = (struct taken){number, search->value, forced};
    item->done = true;
    search->now.done[0] += item->key[0];
    search->now.done[1] += item->key[1];
    set_value(search, after);
    if (item->call) {
        unlink_event(item->end);
        unlink_event(item->call);
        search->answered_left--;
    }
    if (!is_new(search)) {
        undo(search);
        return false;
    }
    note_best(search);
    return true;
}

/* ---- what may come next ---------------------------------------------------------------------- */

/* The last one taken has an unknown outcome, and the item does the same without it. */
static bool makes_last_vain(struct search *search, const struct item *item,
                            const struct value *after)
{
    const struct value *otherwise;
    if (search->taken_count == 0)
        return false;
    const struct taken *last = &search->taken[search->taken_count - 1];
    return !search->items[last->item].call &&
           action_fits(&search->values, &item->action, last->before, &otherwise) &&
           otherwise == after;
}

static bool try_item(struct search *search, uint32_t number)
{
    const struct item *item = &search->items[number];
    const struct value *after;
    if (!action_fits(&search->values, &item->action, search->value, &after) ||
        makes_last_vain(search, item, after))
        return false;
    return take(search, number, after, false);
}

/* An answered one that fits and changes nothing; NULL: none. */
static const struct event *find_idle(struct search *search)
{
    for (const struct event *at = search->events[0].next; !at->is_return; at = at->next) {
        const struct item *item = &search->items[at->item];
        const struct value *after;
        if (item->idle && action_fits(&search->values, &item->action, search->value, &after) &&
            after == search->value)
            return at;
    }
    return NULL;
}

/* Answered ones from `at` on, up to the first return. */
static bool try_answered(struct search *search, const struct event *at)
{
    for (; !at->is_return && search->steps_left > 0; at = at->next) {
        search->steps_left--;
        if (try_item(search, at->item))
            return true;
    }
    return false;
}

/* Those of unknown outcome from place `at` on that were called before the first return. */
static bool try_unknown(struct search *search, uint32_t at)
{
    const struct event *end = search->events[0].next;
    while (!end->is_return)
        end = end->next;
    for (; at < search->unknown_count && search->steps_left > 0; at++) {
        const struct item *item = &search->items[search->unknown[at]];
        if (item->called > end->time)
            break;
        if (item->done || (item->earlier >= 0 && !search->items[item->earlier].done))
            continue;
        search->steps_left--;
        const struct value *after;
        /* One that would change nothing is no help. */
        if (action_fits(&search->values, &item->action, search->value, &after) &&
            after != search->value && !makes_last_vain(search, item, after) &&
            take(search, search->unknown[at], after, false))
            return true;
    }
    return false;
}

static uint32_t place_of_unknown(const struct search *search, uint32_t item)
{
    uint32_t place = 0;
    while (search->unknown[place] != item)
        place++;
    return place;
}

/* Takes the last one back and another in its place, or takes back more; false: there is no more. */
static bool try_otherwise(struct search *search)
{
    while (search->taken_count > 0 && search->steps_left > 0) {
        struct taken last = search->taken[search->taken_count - 1];
        const struct event *call = search->items[last.item].call;
        undo(search);
        if (last.forced)
            continue;
        if (call ? try_answered(search, call->next) || try_unknown(search, 0)
                 : try_unknown(search, place_of_unknown(search, last.item) + 1))
            return true;
    }
    return false;
}

static enum linear_verdict run(struct search *search)
{
    while (search->answered_left > 0) {
        if (search->steps_left == 0)
            return LINEAR_GAVE_UP;
        search->steps_left--;
        const struct event *idle = find_idle(search);
        bool forward = idle
                           ? take(search, idle->item, search->value, true)
                           : try_answered(search, search->events[0].next) || try_unknown(search, 0);
        if (forward || try_otherwise(search))
            continue;
        return search->steps_left == 0 ? LINEAR_GAVE_UP : LINEAR_NO;
    }
    return LINEAR_YES;
}

enum linear_verdict problem_solve(const struct problem *problem, uint64_t *steps, uint32_t *order,
                                  uint32_t *order_count)
{
    struct search search = {.steps_left = *steps, .best = order};
    prepare(&search, problem);
    enum linear_verdict verdict = run(&search);
    if (order)
        *order_count = search.best_count;
    *steps = search.steps_left;
    search_deinit(&search);
    return verdict;
}

enum linear_verdict linear_check(const struct linear_op *ops, uint32_t count, uint64_t steps_max)
{
    uint32_t *all = memory_new((count + 1) * sizeof *all);
    for (uint32_t i = 0; i < count; i++)
        all[i] = i;
    struct problem problem = {.ops = ops,
                              .chosen = all,
                              .count = count,
                              .until = LINEAR_NEVER - 1,
                              .starts_from_nothing = true};
    enum linear_verdict verdict = problem_solve(&problem, &steps_max, NULL, NULL);
    memory_free(all);
    return verdict;
}
