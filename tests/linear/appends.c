#include "appends.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/memory.h"

enum { NOBODY = UINT32_MAX };

struct edge {
    uint32_t from, to;
};

struct checker {
    const struct appends_transaction *transactions;
    uint32_t count;
    const struct appends_list *lists;
    uint32_t keys, numbers;
    uint32_t *writer; /* by number: who appended it */
    uint32_t *place;  /* by number: where it stands in its list; NOBODY: it does not */
    bool *counts;     /* by transaction: it took effect */
    struct edge *edges;
    uint32_t edges_count, edges_capacity;
    struct buffer *why;
};

static bool fails(struct checker *checker, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_append(checker->why, text, strlen(text));
    return false;
}

static void add_edge(struct checker *checker, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    if (checker->edges_count == checker->edges_capacity) {
        checker->edges_capacity = checker->edges_capacity ? 2 * checker->edges_capacity : 256;
        checker->edges =
            memory_resize(checker->edges, checker->edges_capacity * sizeof *checker->edges);
    }
    checker->edges[checker->edges_count++] = (struct edge){from, to};
}

static uint32_t writer_at(const struct checker *checker, uint32_t key, uint32_t place)
{
    return checker->writer[checker->lists[key].numbers[place]];
}

/* ---- the order of appends --------------------------------------------------------------- */

static void take_appends(struct checker *checker)
{
    for (uint32_t i = 0; i < checker->count; i++)
        for (uint32_t j = 0; j < checker->transactions[i].count; j++) {
            const struct appends_step *step = &checker->transactions[i].steps[j];
            check(step->key < checker->keys);
            check(step->is_read ||
                  (step->number < checker->numbers && checker->writer[step->number] == NOBODY));
            if (!step->is_read)
                checker->writer[step->number] = i;
        }
}

static bool take_list(struct checker *checker, uint32_t key)
{
    const struct appends_list *list = &checker->lists[key];
    for (uint32_t place = 0; place < list->count; place++) {
        uint32_t number = list->numbers[place];
        if (number >= checker->numbers || checker->writer[number] == NOBODY)
            return fails(checker, "list %u holds %u, which nobody appended", key, number);
        if (checker->place[number] != NOBODY)
            return fails(checker, "list %u holds %u twice", key, number);
        checker->place[number] = place;
        if (place > 0)
            add_edge(checker, writer_at(checker, key, place - 1), writer_at(checker, key, place));
    }
    return true;
}

/* All of it took effect, or nothing; and all of it if it was answered. */
static bool takes_effect(struct checker *checker, uint32_t i)
{
    const struct appends_transaction *transaction = &checker->transactions[i];
    bool is_known = transaction->returned != APPENDS_NEVER;
    uint32_t appends = 0, there = 0;
    for (uint32_t j = 0; j < transaction->count; j++) {
        const struct appends_step *step = &transaction->steps[j];
        appends += !step->is_read;
        there += !step->is_read && checker->place[step->number] != NOBODY;
    }
    if (there < appends && (is_known || there > 0))
        return fails(checker, "of %u appends of transaction %u %u are there", appends, i, there);
    checker->counts[i] = is_known || there > 0;
    return true;
}

/* ---- reads ------------------------------------------------------------------------------- */

static bool is_beginning(const struct appends_list *seen, const struct appends_list *list)
{
    for (uint32_t place = 0; place < seen->count; place++)
        if (place >= list->count || seen->numbers[place] != list->numbers[place])
            return false;
    return true;
}

/* It sees its own appends before it, and not those behind it. */
static bool sees_its_own(struct checker *checker, uint32_t i, uint32_t read)
{
    const struct appends_transaction *transaction = &checker->transactions[i];
    const struct appends_step *seen = &transaction->steps[read];
    for (uint32_t j = 0; j < transaction->count; j++) {
        const struct appends_step *step = &transaction->steps[j];
        if (step->is_read || step->key != seen->key)
            continue;
        bool is_seen = checker->place[step->number] < seen->seen.count;
        if (is_seen != (j < read))
            return fails(checker, "transaction %u %s its own append of %u", i,
                         is_seen ? "read before" : "does not see", step->number);
    }
    return true;
}

static bool take_read(struct checker *checker, uint32_t i, uint32_t read)
{
    const struct appends_step *step = &checker->transactions[i].steps[read];
    const struct appends_list *list = &checker->lists[step->key];
    if (!is_beginning(&step->seen, list))
        return fails(checker, "transaction %u read of list %u what is not its beginning", i,
                     step->key);
    if (!sees_its_own(checker, i, read))
        return false;
    uint32_t before = step->seen.count, after = step->seen.count;
    while (before > 0 && writer_at(checker, step->key, before - 1) == i)
        before--;
    while (after < list->count && writer_at(checker, step->key, after) == i)
        after++;
    if (before > 0)
        add_edge(checker, writer_at(checker, step->key, before - 1), i);
    if (after < list->count)
        add_edge(checker, i, writer_at(checker, step->key, after));
    return true;
}

static bool take_reads(struct checker *checker)
{
    for (uint32_t i = 0; i < checker->count; i++)
        for (uint32_t j = 0; j < checker->transactions[i].count; j++) {
            bool is_read = checker->transactions[i].steps[j].is_read &&
                           checker->transactions[i].returned != APPENDS_NEVER;
            if (is_read && !take_read(checker, i, j))
                return false;
        }
    return true;
}

/* ---- one order for all ---------------------------------------------------------------------- */

/* Of those not yet in order, the earliest answer: what was asked after it has to wait for it. */
static int64_t earliest_answer(const struct checker *checker, const bool *is_placed)
{
    int64_t earliest = APPENDS_NEVER;
    for (uint32_t i = 0; i < checker->count; i++)
        if (!is_placed[i] && checker->transactions[i].returned < earliest)
            earliest = checker->transactions[i].returned;
    return earliest;
}

static void place_one(struct checker *checker, uint32_t chosen, bool *is_placed, uint32_t *waits)
{
    is_placed[chosen] = true;
    for (uint32_t e = 0; e < checker->edges_count; e++)
        if (checker->edges[e].from == chosen)
            waits[checker->edges[e].to]--;
}

/* One after the other is placed that has to wait for none of the rest. */
static bool has_an_order(struct checker *checker)
{
    bool *is_placed = memory_new(checker->count + 1);
    uint32_t *waits = memory_new((checker->count + 1) * sizeof *waits);
    uint32_t left = 0, chosen = 0;
    for (uint32_t e = 0; e < checker->edges_count; e++)
        waits[checker->edges[e].to]++;
    for (uint32_t i = 0; i < checker->count; i++) {
        is_placed[i] = !checker->counts[i];
        left += checker->counts[i];
    }
    while (left > 0 && chosen < checker->count) {
        int64_t earliest = earliest_answer(checker, is_placed);
        for (chosen = 0; chosen < checker->count; chosen++)
            if (!is_placed[chosen] && waits[chosen] == 0 &&
                checker->transactions[chosen].called <= earliest)
                break;
        if (chosen < checker->count) {
            place_one(checker, chosen, is_placed, waits);
            left--;
        }
    }
    for (chosen = 0; chosen < checker->count && is_placed[chosen]; chosen++)
        ;
    memory_free(is_placed);
    memory_free(waits);
    return left == 0 ||
           fails(checker, "no order explains transaction %u and %u others", chosen, left - 1);
}

bool appends_check(const struct appends_transaction *transactions, uint32_t count,
                   const struct appends_list *lists, uint32_t keys, uint32_t numbers,
                   struct buffer *why)
{
    struct checker checker = {.transactions = transactions,
                              .count = count,
                              .lists = lists,
                              .keys = keys,
                              .numbers = numbers,
                              .writer = memory_new((numbers + 1) * sizeof *checker.writer),
                              .place = memory_new((numbers + 1) * sizeof *checker.place),
                              .counts = memory_new(count + 1),
                              .why = why};
    for (uint32_t number = 0; number < numbers; number++)
        checker.writer[number] = checker.place[number] = NOBODY;
    bool is_good = true;
    take_appends(&checker);
    for (uint32_t key = 0; is_good && key < keys; key++)
        is_good = take_list(&checker, key);
    for (uint32_t i = 0; is_good && i < count; i++)
        is_good = takes_effect(&checker, i);
    is_good = is_good && take_reads(&checker) && has_an_order(&checker);
    memory_free(checker.writer);
    memory_free(checker.place);
    memory_free(checker.counts);
    memory_free(checker.edges);
    return is_good;
}
