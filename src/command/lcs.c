/* LCS (Redis 7.2 t_string.c): the longest common subsequence of two strings.
 *
 * Redis keeps a table of the lengths of all pairs of beginnings, and refuses strings for which that
 * would pass proto-max-bulk-len.  That bound is kept, by its largest value.  But of the table the
 * way back asks one thing, whether to go up or left, so one bit of each cell is kept here, and of
 * the lengths only the row under way, over the shorter string: a thirtieth of the memory, the same
 * way back and the same answer.
 *
 * The table is filled in slices; both strings stand beside it in walk->found meanwhile.
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/commands.h"

enum { CELLS_MAX = 512 * 1024 * 1024 / 4, CELLS_SLICE = 1 << 20, CELL_WORK = 8 };

struct options {
    bool length, indexes, match_lengths;
    int64_t match_min;
};

/* In walk->found: this, the row, the bits, a, b.  The outer string is the longer one. */
struct table {
    uint64_t a_size, b_size;
    uint64_t bits_at, a_at, b_at, size; /* bytes, from the beginning */
    bool is_swapped;                    /* b is the outer one */
};

/* ---- words ----------------------------------------------------------------------------- */

static bool read_option(struct call *call, uint32_t *i, struct options *options)
{
    struct bytes word = call->argv[*i];
    if (bytes_is(word, "idx"))
        return options->indexes = true;
    if (bytes_is(word, "len"))
        return options->length = true;
    if (bytes_is(word, "withmatchlen"))
        return options->match_lengths = true;
    if (bytes_is(word, "minmatchlen") && *i + 1 < call->argc)
        return call_integer(call, ++*i, &options->match_min);
    return call_refuse(call, ERROR_SYNTAX);
}

static bool read_options(struct call *call, struct options *options)
{
    *options = (struct options){.length = false};
    for (uint32_t i = 3; i < call->argc; i++)
        if (!read_option(call, &i, options))
            return false;
    if (options->indexes && options->length)
        return call_refuse(call,
                           "ERR If you want both the length and indexes, please just use IDX.");
    return true;
}

/* ---- the table -------------------------------------------------------------------------- */

static struct table *table_of(struct call *call)
{
    return (struct table *)(void *)call->walk->found.data;
}

static uint32_t *row_of(struct table *table)
{
    return (uint32_t *)(void *)(table + 1);
}

static uint64_t outer_size(const struct table *table)
{
    return table->is_swapped ? table->b_size : table->a_size;
}

static uint64_t inner_size(const struct table *table)
{
    return table->is_swapped ? table->a_size : table->b_size;
}

static const char *text_at(const struct table *table, uint64_t at)
{
    return (const char *)table + at;
}

static struct table plan(uint64_t a_size, uint64_t b_size)
{
    struct table table = {.a_size = a_size, .b_size = b_size, .is_swapped = b_size > a_size};
    table.bits_at = sizeof table + (inner_size(&table) + 1) * sizeof(uint32_t);
    table.a_at = table.bits_at + (a_size * b_size + 7) / 8;
    table.b_at = table.a_at + a_size;
    table.size = table.b_at + b_size;
    return table;
}

/* How long the string at argv[i] is; false: answered. */
static bool find_size(struct call *call, uint32_t i, uint64_t *size)
{
    struct db_record found = {.type = DB_NONE};
    bool is_there = call_find(call, call->argv[i], &found, NULL);
    *size = is_there ? found.size : 0;
    return !is_there || found.type == DB_STRING ||
           call_refuse(call, "ERR The specified keys must contain string values");
}

static void keep_text(struct call *call, uint32_t i, uint64_t at, uint64_t size)
{
    struct bytes value;
    if (size == 0)
        return;
    enum db_type type = call_look(call, call->argv[i], &value);
    check(type == DB_STRING);
    check(value.size == size);
    memcpy(call->walk->found.data + at, value.data, size);
}

/* Of the first slice.  False: answered. */
static bool begin(struct call *call, struct options *options)
{
    struct buffer *found = &call->walk->found;
    uint64_t a_size, b_size;
    if (!find_size(call, 1, &a_size) || !find_size(call, 2, &b_size) ||
        !read_options(call, options))
        return false;
    if ((a_size + 1) * (b_size + 1) > CELLS_MAX)
        return call_refuse(call, "ERR Insufficient memory, transient memory for LCS exceeds "
                                 "proto-max-bulk-len");
    struct table table = plan(a_size, b_size);
    buffer_reserve(found, table.size);
    memset(found->data, 0, table.a_at);
    memcpy(found->data, &table, sizeof table);
    keep_text(call, 1, table.a_at, a_size);
    keep_text(call, 2, table.b_at, b_size);
    found->size = table.size;
    return true;
}

/* The cell of two ends, of which one is of a[i], one of b[j]. */
static uint64_t cell_of(const struct table *table, uint64_t i, uint64_t j)
{
    return i * table->b_size + j;
}

static void note_up(struct table *table, uint64_t cell)
{
    unsigned char *bits = (unsigned char *)table + table->bits_at;
    bits[cell / 8] = (unsigned char)(bits[cell / 8] | 1u << (cell % 8));
}

static bool is_up(const struct table *table, uint64_t cell)
{
    const unsigned char *bits = (const unsigned char *)table + table->bits_at;
    return bits[cell / 8] >> (cell % 8) & 1;
}

/* One byte of the outer string with all of the inner one.  Up is without the last of a, left
 * without the last of b: it goes up where that is the longer. */
static void fill_row(struct table *table, uint64_t outer)
{
    const char *inner_text = text_at(table, table->is_swapped ? table->a_at : table->b_at);
    char byte = text_at(table, table->is_swapped ? table->b_at : table->a_at)[outer];
    uint32_t *row = row_of(table), diagonal = 0;
    uint64_t size = inner_size(table);
    bool is_swapped = table->is_swapped;
    for (uint64_t k = 0; k < size; k++) {
        uint32_t before = row[k + 1], beside = row[k];
        if (inner_text[k] == byte)
            row[k + 1] = diagonal + 1;
        else if (before > beside)
            row[k + 1] = before;
        else
            row[k + 1] = beside;
        if (is_swapped ? beside > before : before > beside)
            note_up(table, is_swapped ? cell_of(table, k, outer) : cell_of(table, outer, k));
        diagonal = before;
    }
}

/* A slice of it; false: there is more. */
static bool fill(struct call *call)
{
    struct walk_state *walk = call->walk;
    struct table *table = table_of(call);
    uint64_t rows = CELLS_SLICE / (inner_size(table) + 1) + 1, end = outer_size(table);
    uint64_t cells = 0;
    for (; walk->cursor < end && rows > 0; rows--, cells += inner_size(table) + 1)
        fill_row(table, walk->cursor++);
    db_spend(call->db, CELL_WORK * cells);
    walk->unfinished = walk->cursor < end;
    return !walk->unfinished;
}

/* ---- the way back ------------------------------------------------------------------------ */

struct match {
    uint64_t a, b, size; /* where it begins; size 0: there is none */
};

/* Matches, as parts of the reply. */
static uint64_t give(struct reply *reply, const struct options *options, const struct match *match)
{
    if (match->size == 0 || (int64_t)match->size < options->match_min)
        return 0;
    reply_array(reply, 2u + options->match_lengths);
    reply_array(reply, 2);
    reply_integer(reply, (int64_t)match->a);
    reply_integer(reply, (int64_t)(match->a + match->size - 1));
    reply_array(reply, 2);
    reply_integer(reply, (int64_t)match->b);
    reply_integer(reply, (int64_t)(match->b + match->size - 1));
    if (options->match_lengths)
        reply_integer(reply, (int64_t)match->size);
    return 1;
}

/* Writes what is common, from its end, before `end`, and gives the matches; returns how many. */
static uint64_t go_back(const struct table *table, const struct options *options, char *end,
                        struct reply *matches)
{
    const char *a = text_at(table, table->a_at), *b = text_at(table, table->b_at);
    uint64_t i = table->a_size, j = table->b_size, count = 0;
    struct match match = {.size = 0};
    while (i > 0 && j > 0) {
        if (a[i - 1] == b[j - 1]) {
            *--end = a[--i];
            match = (struct match){i, --j, match.size + 1};
            continue;
        }
        if (is_up(table, cell_of(table, i - 1, j - 1)))
            i--;
        else
            j--;
        count += give(matches, options, &match);
        match.size = 0;
    }
    return count + give(matches, options, &match);
}

static void reply_indexes(struct call *call, struct bytes matches, uint64_t count, uint32_t length)
{
    reply_map(call->reply, 2);
    reply_bulk_string(call->reply, "matches");
    reply_array(call->reply, count);
    reply_raw(call->reply, matches);
    reply_bulk_string(call->reply, "len");
    reply_integer(call->reply, length);
}

static void answer(struct call *call, const struct options *options)
{
    struct table *table = table_of(call);
    uint32_t length = row_of(table)[inner_size(table)];
    struct buffer common = {0}, found = {0};
    struct reply matches = {&found, call->reply->protocol};
    if (options->length) {
        reply_integer(call->reply, length);
        return;
    }
    buffer_reserve(&common, length + 1u);
    common.size = length;
    uint64_t count = go_back(table, options, common.data + length, &matches);
    if (options->indexes)
        reply_indexes(call, buffer_bytes(&found), count, length);
    else
        reply_bulk(call->reply, buffer_bytes(&common));
    buffer_deinit(&common);
    buffer_deinit(&found);
}

void cmd_lcs(struct call *call)
{
    struct options options;
    bool is_answered =
        call->walk->unfinished ? !read_options(call, &options) : !begin(call, &options);
    if (!is_answered && fill(call))
        answer(call, &options);
}
