/* See append.h.  The longest list that was read is the order of the appends; every other is a
 * beginning of it.  An operation's place is how long the list was behind it.  What ended before
 * another began must not have a later place. */
#include "append.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "linear.h"

#define UNSEEN UINT32_MAX /* the place of an append that no list has */

static const struct append_op *longest_of(const struct append_op *ops, uint32_t count)
{
    const struct append_op *longest = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (ops[i].is_read && (!longest || ops[i].count > longest->count))
            longest = &ops[i];
    return longest;
}

static uint32_t place_in(const struct append_op *list, uint64_t number)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->numbers[i] == number)
            return i + 1;
    return UNSEEN;
}

/* Every number once, and by somebody.  `places`: of the operations. */
static const char *check_origin(const struct append_op *ops, uint32_t count,
                                const struct append_op *list, const uint32_t *places)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if (place_in(list, list->numbers[i]) != i + 1)
            return "a number is there twice";
    for (uint32_t i = 0; i < count; i++)
        known += !ops[i].is_read && places[i] != UNSEEN;
    return known == list->count ? NULL : "a number is there that nobody appended";
}

static const char *check_order(const struct append_op *first, uint32_t first_place,
                               const struct append_op *then, uint32_t then_place)
{
    if (then_place == UNSEEN || first->returned >= then->called)
        return NULL;
    if (first_place == UNSEEN)
        return then->is_read ? "what was appended before is not read"
                             : "what was appended before is not there, what came later is";
    if (then->is_read)
        return first_place > then_place ? "a read is older than what ended before it" : NULL;
    return first_place >= then_place ? "an append comes before what ended before it" : NULL;
}

static const char *check_places(const struct append_op *ops, uint32_t count,
                                const struct append_op *list, uint32_t *places)
{
    for (uint32_t i = 0; i < count; i++) {
        places[i] = ops[i].is_read ? ops[i].count : place_in(list, ops[i].number);
        if (ops[i].is_read &&
            memcmp(ops[i].numbers, list->numbers, ops[i].count * sizeof *list->numbers) != 0)
            return "two reads agree on no order";
    }
    const char *why = check_origin(ops, count, list, places);
    for (uint32_t i = 0; i < count && !why; i++)
        for (uint32_t j = 0; j < count && !why; j++)
            why = check_order(&ops[i], places[i], &ops[j], places[j]);
    return why;
}

const char *append_check(const struct append_op *ops, uint32_t count)
{
    const struct append_op *list = longest_of(ops, count);
    if (!list || list->count == 0) {
        static const uint64_t none = 0;
        static const struct append_op empty = {.is_read = true, .numbers = &none};
        list = &empty;
    }
    uint32_t *places = memory_new((count + 1) * sizeof *places);
    const char *why = check_places(ops, count, list, places);
    memory_free(places);
    return why;
}
