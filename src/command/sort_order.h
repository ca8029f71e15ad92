/* Elements that are put in order in slices: what SORT sorts.
 *
 * An element has a text and, if it is sorted by something else, a weight: a number or another text.
 * Those that are equal in both stay in the order in which they came.  Loop thread. */
#ifndef COMMAND_SORT_ORDER_H
#define COMMAND_SORT_ORDER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum sort_weight { SORT_BY_NUMBER, SORT_BY_TEXT, SORT_BY_OWN_TEXT };

struct sort_item {
    uint64_t at; /* of its text, among all texts */
    union {
        double number;
        uint64_t at; /* SORT_BY_TEXT */
    } weight;
    uint32_t size, weight_size; /* weight_size SORT_NO_WEIGHT: there is no such text */
};

enum { SORT_NO_WEIGHT = UINT32_MAX };

struct sort_order {
    enum sort_weight weight;
    bool is_descending;
    struct buffer texts; /* owned, as are the next two */
    struct buffer items; /* struct sort_item */
    struct buffer other; /* as many again: where they are merged to */
    /* How far the order has come: runs of `width` are merged by pairs. */
    uint64_t width, first, left, right, out;
};

/* {.weight = ...} is an empty one. */
void sort_order_deinit(struct sort_order *order);
uint64_t sort_order_count(const struct sort_order *order);
size_t sort_order_memory(const struct sort_order *order); /* bytes, what is needed to merge too */
void sort_order_add(struct sort_order *order, struct bytes text);
struct bytes sort_order_text(const struct sort_order *order, uint64_t i);
void sort_order_set_number(struct sort_order *order, uint64_t i, double number);
/* NULL data: there is none, which comes before all others. */
void sort_order_set_text(struct sort_order *order, uint64_t i, struct bytes weight);
/* A slice.  True: all are in order. */
bool sort_order_go_on(struct sort_order *order);

#endif
