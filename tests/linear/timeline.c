/* What a window holds, as one HTML page: a row for each client, a bar from call to return for each
 * operation.  Columns are events, not time, so that short operations can be read beside long ones;
 * the times stand above.  Nothing is loaded from elsewhere, no script runs. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "linear.h"

enum { COLUMN = 84, ROW = 34, LEFT = 80, TOP = 64, BAR = 24 };

struct bar {
    const struct linear_op *op;
    bool core;
    uint32_t place; /* in the order, from 1; 0: none */
};

struct page {
    struct bar *bars; /* owned, like all below */
    uint32_t bars_count;
    int64_t *times; /* of all events, rising, each once */
    uint32_t times_count;
    uint32_t *clients;
    uint32_t clients_count;
};

static void print_escaped(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = ((const char *)text.data)[i];
        switch (c) {
        case '<': buffer_printf(out, "&lt;"); break;
        case '>': buffer_printf(out, "&gt;"); break;
        case '&': buffer_printf(out, "&amp;"); break;
        case '"': buffer_printf(out, "&quot;"); break;
        default: buffer_append_byte(out, c);
        }
    }
}

static void print_label(struct buffer *out, const struct linear_op *op)
{
    struct buffer label = {0};
    linear_print_op(&label, op);
    print_escaped(out, buffer_bytes(&label));
    buffer_deinit(&label);
}

/* ---- columns and rows -------------------------------------------------------------------- */

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static int by_client(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void add_bars(struct page *page, const struct linear_op *ops,
                     const struct linear_window *window, bool core)
{
    const uint32_t *list = core ? window->core : window->others;
    uint32_t count = core ? window->core_count : window->others_count;
    for (uint32_t i = 0; i < count; i++) {
        struct bar bar = {.op = &ops[list[i]], .core = core};
        for (uint32_t j = 0; j < window->order_count; j++)
            if (window->order[j] == list[i])
                bar.place = j + 1;
        page->bars[page->bars_count++] = bar;
        page->times[page->times_count++] = bar.op->called;
        if (bar.op->returned != LINEAR_NEVER)
            page->times[page->times_count++] = bar.op->returned;
        page->clients[page->clients_count++] = bar.op->client;
    }
}

static void lay_out(struct page *page)
{
    uint32_t kept = 0;
    qsort(page->times, page->times_count, sizeof *page->times, by_value);
    for (uint32_t i = 0; i < page->times_count; i++)
        if (kept == 0 || page->times[i] != page->times[kept - 1])
            page->times[kept++] = page->times[i];
    page->times_count = kept;
    kept = 0;
    qsort(page->clients, page->clients_count, sizeof *page->clients, by_client);
    for (uint32_t i = 0; i < page->clients_count; i++)
        if (kept == 0 || page->clients[i] != page->clients[kept - 1])
            page->clients[kept++] = page->clients[i];
    page->clients_count = kept;
}

static uint32_t column_of(const struct page *page, int64_t time)
{
    uint32_t column = 0;
    while (column < page->times_count && page->times[column] < time)
        column++;
    return column; /* never: behind the last */
}

static uint32_t row_of(const struct page *page, uint32_t client)
{
    uint32_t row = 0;
    while (page->clients[row] != client)
        row++;
    return row;
}

/* ---- drawing -------------------------------------------------------------------------------- */

static const char *color_of(const struct bar *bar)
{
    if (bar->core)
        return bar->place > 0 ? "#2f7d4f" : "#b3261e";
    return bar->op->returned == LINEAR_NEVER ? "#9a8f6a" : "#8a94a0";
}

static void draw_bar(struct buffer *out, const struct page *page, const struct bar *bar)
{
    uint32_t from = LEFT + column_of(page, bar->op->called) * COLUMN;
    uint32_t to = LEFT + column_of(page, bar->op->returned) * COLUMN;
    uint32_t top = TOP + row_of(page, bar->op->client) * ROW;
    bool never = bar->op->returned == LINEAR_NEVER;
    if (to <= from)
        to = from + 6;
    buffer_printf(
        out, "<g><rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%d\" rx=\"3\" fill=\"%s\"%s/>", from,
        top, to - from, BAR, color_of(bar),
        never ? " fill-opacity=\"0.45\" stroke=\"#6d6544\" stroke-dasharray=\"4 3\"" : "");
    buffer_printf(out, "<text x=\"%u\" y=\"%u\" class=\"op\">", from + 5, top + 16);
    if (bar->place > 0)
        buffer_printf(out, "%u. ", bar->place);
    print_label(out, bar->op);
    buffer_printf(out, "</text><title>client %u, %" PRId64 " to ", bar->op->client,
                  bar->op->called);
    if (never)
        buffer_printf(out, "?: ");
    else
        buffer_printf(out, "%" PRId64 ": ", bar->op->returned);
    print_label(out, bar->op);
    buffer_printf(out, "</title></g>\n");
}

static void draw_grid(struct buffer *out, const struct page *page, uint32_t width, uint32_t height)
{
    for (uint32_t i = 0; i < page->times_count; i++) {
        uint32_t x = LEFT + i * COLUMN;
        buffer_printf(out,
                      "<line x1=\"%u\" y1=\"%d\" x2=\"%u\" y2=\"%u\" stroke=\"#e3e3e3\"/>"
                      "<text x=\"%u\" y=\"%d\" class=\"time\" transform=\"rotate(-30 %u %d)\">"
                      "%" PRId64 "</text>\n",
                      x, TOP - 8, x, height, x, TOP - 12, x, TOP - 12, page->times[i]);
    }
    for (uint32_t i = 0; i < page->clients_count; i++)
        buffer_printf(out,
                      "<text x=\"4\" y=\"%u\" class=\"client\">client %u</text>"
                      "<line x1=\"0\" y1=\"%u\" x2=\"%u\" y2=\"%u\" stroke=\"#f2f2f2\"/>\n",
                      TOP + i * ROW + 16, page->clients[i], TOP + i * ROW + ROW - 4, width,
                      TOP + i * ROW + ROW - 4);
}

static void print_head(struct buffer *out, const char *title, const struct linear_window *window)
{
    buffer_printf(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    print_escaped(out, bytes_from_string(title));
    buffer_printf(out, "</title>\n<style>"
                       "body{font:14px sans-serif;margin:16px;color:#222}"
                       ".scroll{overflow-x:auto;border:1px solid #ddd}"
                       ".op{font:12px monospace;fill:#111}.time{font:10px monospace;fill:#777}"
                       ".client{font:12px sans-serif;fill:#333}"
                       "b.core{color:#b3261e}b.placed{color:#2f7d4f}b.other{color:#8a94a0}"
                       "</style></head><body>\n<h1>");
    print_escaped(out, bytes_from_string(title));
    buffer_printf(
        out,
        "</h1>\n<p>No order explains what was answered between %" PRId64 " and %" PRId64
        "%s.</p>\n<p><b class=\"placed\">Green</b> and <b class=\"core\">red</b> answers "
        "contradict each other: numbers say how far an order gets, what is red finds no "
        "place. <b class=\"other\">Grey</b>: under way at the same time; whatever it did, "
        "it does not help. Dashed: the outcome is not known. Columns are events, not "
        "equal times.%s</p>\n",
        window->from, window->to,
        window->from_start ? ", from a key that did not exist" : ", whatever came before",
        window->cut ? " A smaller part might say as much: the search for it was cut." : "");
}

static void print_order(struct buffer *out, const struct linear_op *ops,
                        const struct linear_window *window)
{
    buffer_printf(out, "<h2>An order gets as far as</h2>\n<ol>\n");
    for (uint32_t i = 0; i < window->order_count; i++) {
        buffer_printf(out, "<li>client %u: <code>", ops[window->order[i]].client);
        print_label(out, &ops[window->order[i]]);
        buffer_printf(out, "</code></li>\n");
    }
    buffer_printf(out, "</ol>\n");
}

void linear_html(struct buffer *out, const char *title, const struct linear_op *ops,
                 const struct linear_window *window)
{
    struct page page = {0};
    size_t count = window->core_count + window->others_count;
    page.bars = memory_new((count + 1) * sizeof *page.bars);
    page.times = memory_new((2 * count + 1) * sizeof *page.times);
    page.clients = memory_new((count + 1) * sizeof *page.clients);
    add_bars(&page, ops, window, true);
    add_bars(&page, ops, window, false);
    lay_out(&page);
    uint32_t width = LEFT + (page.times_count + 3) * COLUMN;
    uint32_t height = TOP + page.clients_count * ROW + 8;
    print_head(out, title, window);
    buffer_printf(out, "<div class=\"scroll\"><svg width=\"%u\" height=\"%u\">\n", width, height);
    draw_grid(out, &page, width, height);
    for (uint32_t i = page.bars_count; i-- > 0;) /* the core lies on top */
        draw_bar(out, &page, &page.bars[i]);
    buffer_printf(out, "</svg></div>\n");
    print_order(out, ops, window);
    buffer_printf(out, "</body></html>\n");
    memory_free(page.bars);
    memory_free(page.times);
    memory_free(page.clients);
}
