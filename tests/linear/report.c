/* What a window holds, as text. */
#include <inttypes.h>

#include "linear.h"

enum { TEXT_MAX = 40, OTHERS_MAX = 20 };

static void print_words(struct buffer *out, struct bytes bytes)
{
    size_t shown = bytes.size < TEXT_MAX ? bytes.size : TEXT_MAX;
    if (bytes.size == 0)
        buffer_printf(out, "\"\"");
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = ((const unsigned char *)bytes.data)[i];
        if (c >= ' ' && c <= '~')
            buffer_append_byte(out, (char)c);
        else
            buffer_printf(out, "\\x%02x", c);
    }
    if (shown < bytes.size)
        buffer_printf(out, "... (%zu bytes)", bytes.size);
}

/* A reply without its framing. */
static void print_reply(struct buffer *out, struct bytes reply)
{
    const char *text = reply.data;
    const char *body = text && text[0] == '$' ? memchr(text, '\n', reply.size) : NULL;
    if (reply.size < 3)
        buffer_printf(out, "(nothing)");
    else if (text[0] == '_' || (text[0] == '$' && text[1] == '-'))
        buffer_printf(out, "nil");
    else if (body)
        print_words(out, bytes_of(body + 1, reply.size - (size_t)(body + 1 - text) - 2));
    else
        print_words(out, bytes_of(text + (text[0] == ':' || text[0] == '+'),
                                  reply.size - 2 - (text[0] == ':' || text[0] == '+')));
}

void linear_print_op(struct buffer *out, const struct linear_op *op)
{
    for (uint32_t i = 0; i < op->argc; i++) {
        if (i > 0)
            buffer_append_byte(out, ' ');
        print_words(out, op->argv[i]);
    }
    buffer_printf(out, " -> ");
    if (op->returned == LINEAR_NEVER)
        buffer_printf(out, "?");
    else
        print_reply(out, op->reply);
}

static void print_line(struct buffer *out, const struct linear_op *op)
{
    buffer_printf(out, "  %12" PRId64 " .. ", op->called);
    if (op->returned == LINEAR_NEVER)
        buffer_printf(out, "%12s", "");
    else
        buffer_printf(out, "%-12" PRId64, op->returned);
    buffer_printf(out, "  client %-3u  ", op->client);
    linear_print_op(out, op);
    buffer_append_byte(out, '\n');
}

void linear_text(struct buffer *out, const struct linear_op *ops,
                 const struct linear_window *window)
{
    buffer_printf(
        out, "no order explains what was answered between %" PRId64 " and %" PRId64 "%s:\n",
        window->from, window->to,
        window->from_start ? ", from a key that did not exist" : ", whatever came before");
    if (window->cut)
        buffer_printf(out, "(a smaller part might say as much: the search for it was cut)\n");
    for (uint32_t i = 0; i < window->core_count; i++)
        print_line(out, &ops[window->core[i]]);
    if (window->others_count > 0)
        buffer_printf(out, "whatever these did or did not:\n");
    for (uint32_t i = 0; i < window->others_count && i < OTHERS_MAX; i++)
        print_line(out, &ops[window->others[i]]);
    if (window->others_count > OTHERS_MAX)
        buffer_printf(out, "  and %u more\n", window->others_count - OTHERS_MAX);
    if (window->order_count > 0)
        buffer_printf(out, "an order gets as far as:\n");
    for (uint32_t i = 0; i < window->order_count; i++)
        print_line(out, &ops[window->order[i]]);
}
