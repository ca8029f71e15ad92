/* See sort_order.h.  A merge sort from the bottom, which can stop anywhere.  Texts are compared as
 * bytes, on every node alike. */
#include "command/sort_order.h"

#include "base/fatal.h"

enum { SLICE_STEPS = 20000 }; /* comparisons: a millisecond or two */

void sort_order_deinit(struct sort_order *order)
{
    buffer_deinit(&order->texts);
    buffer_deinit(&order->items);
    buffer_deinit(&order->other);
}

static struct sort_item *items_of(const struct buffer *buffer)
{
    return (struct sort_item *)(void *)buffer->data;
}

uint64_t sort_order_count(const struct sort_order *order)
{
    return order->items.size / sizeof(struct sort_item);
}

size_t sort_order_memory(const struct sort_order *order)
{
    return order->texts.size + 2 * order->items.size;
}

static uint64_t keep(struct sort_order *order, struct bytes text)
{
    uint64_t at = order->texts.size;
    buffer_append_bytes(&order->texts, text);
    return at;
}

void sort_order_add(struct sort_order *order, struct bytes text)
{
    struct sort_item item = {.at = keep(order, text), .size = (uint32_t)text.size};
    check(text.size < SORT_NO_WEIGHT);
    buffer_append(&order->items, &item, sizeof item);
}

static struct sort_item *item_at(const struct sort_order *order, uint64_t i)
{
    check(i < sort_order_count(order));
    return items_of(&order->items) + i;
}

struct bytes sort_order_text(const struct sort_order *order, uint64_t i)
{
    const struct sort_item *item = item_at(order, i);
    return bytes_of(order->texts.data + item->at, item->size);
}

void sort_order_set_number(struct sort_order *order, uint64_t i, double number)
{
    item_at(order, i)->weight.number = number;
}

void sort_order_set_text(struct sort_order *order, uint64_t i, struct bytes weight)
{
    struct sort_item *item = item_at(order, i);
    check(weight.size < SORT_NO_WEIGHT);
    item->weight_size = weight.data ? (uint32_t)weight.size : SORT_NO_WEIGHT;
    item->weight.at = weight.data ? keep(order, weight) : 0;
}

/* ---- comparing ------------------------------------------------------------------------- */

static int compare_texts(const struct sort_order *order, const struct sort_item *a,
                         const struct sort_item *b)
{
    const char *texts = order->texts.data;
    return bytes_compare(bytes_of(texts + a->at, a->size), bytes_of(texts + b->at, b->size));
}

static int compare_weights(const struct sort_order *order, const struct sort_item *a,
                           const struct sort_item *b)
{
    const char *texts = order->texts.data;
    bool has_a = a->weight_size != SORT_NO_WEIGHT, has_b = b->weight_size != SORT_NO_WEIGHT;
    if (!has_a || !has_b)
        return has_a - has_b;
    return bytes_compare(bytes_of(texts + a->weight.at, a->weight_size),
                         bytes_of(texts + b->weight.at, b->weight_size));
}

/* As Redis's sortCompare() (7.2 sort.c). */
static int compare(const struct sort_order *order, const struct sort_item *a,
                   const struct sort_item *b)
{
    int result = 0;
    switch (order->weight) {
    case SORT_BY_NUMBER:
        result = (a->weight.number > b->weight.number) - (a->weight.number < b->weight.number);
        if (result == 0)
            result = compare_texts(order, a, b);
        break;
    case SORT_BY_TEXT: result = compare_weights(order, a, b); break;
    case SORT_BY_OWN_TEXT: result = compare_texts(order, a, b); break;
    }
    return order->is_descending ? -result : result;
}

/* ---- merging --------------------------------------------------------------------------- */

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void begin_pair(struct sort_order *order, uint64_t first)
{
    order->first = order->out = order->left = first;
    order->right = min(first + order->width, sort_order_count(order));
}

/* All pairs of this width are merged: what was merged to is merged from next. */
static void end_pass(struct sort_order *order)
{
    struct buffer merged = order->other;
    order->other = order->items;
    order->items = merged;
    order->width *= 2;
    begin_pair(order, 0);
}

static void merge_one(struct sort_order *order)
{
    const struct sort_item *from = items_of(&order->items);
    uint64_t count = sort_order_count(order);
    uint64_t left_end = min(order->first + order->width, count);
    uint64_t right_end = min(left_end + order->width, count);
    bool takes_left =
        order->left < left_end &&
        (order->right >= right_end || compare(order, &from[order->left], &from[order->right]) <= 0);
    uint64_t taken = takes_left ? order->left++ : order->right++;
    items_of(&order->other)[order->out++] = from[taken];
    if (order->out == right_end)
        begin_pair(order, right_end);
}

bool sort_order_go_on(struct sort_order *order)
{
    uint64_t count = sort_order_count(order);
    if (order->width == 0) {
        order->width = 1;
        begin_pair(order, 0);
        buffer_reserve(&order->other, order->items.size);
        order->other.size = order->items.size;
    }
    for (int i = 0; i < SLICE_STEPS && order->width < count; i++) {
        merge_one(order);
        if (order->out == count)
            end_pass(order);
    }
    return order->width >= count;
}
