/* See sorted.h.  Deterministic. */
#include "command/sorted.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "data/page.h"

static bool find_row(const struct ordered *set, struct bytes member, double *score)
{
    struct bytes row;
    if (!db_row_get(set->db, set->view, set->record.space, db_row_word(set->db, member), member,
                    &row))
        return false;
    *score = sorted_row_score(row);
    return true;
}

static bool find_small(const struct ordered *set, struct bytes member, double *score)
{
    struct page_entry entry;
    for (size_t at = PAGE_HEADER; at < set->page.size; at = entry.end) {
        if (!page_read(buffer_bytes(&set->page), at, &entry))
            fatal("data: a sorted set is damaged (%zu bytes)", set->page.size);
        if (!bytes_equal(sorted_member(entry.key), member))
            continue;
        *score = sorted_score(entry.key, entry.value);
        return true;
    }
    return false;
}

bool sorted_find(const struct ordered *set, struct bytes member, double *score)
{
    return set->record.space ? find_row(set, member, score) : find_small(set, member, score);
}

/* ---- members --------------------------------------------------------------------- */

uint64_t sorted_below(const struct ordered *set, uint64_t bits, struct bytes member)
{
    struct buffer key = {0};
    sorted_key(&key, bits, member);
    uint64_t rank = ordered_rank(set, buffer_bytes(&key), NULL);
    buffer_deinit(&key);
    return rank;
}

uint64_t sorted_rank(const struct ordered *set, struct bytes member, double score)
{
    return sorted_below(set, sorted_bits(score), member);
}

void sorted_put(struct ordered *set, struct bytes member, double score, bool is_there,
                double before)
{
    struct buffer key = {0}, from = {0};
    check(!isnan(score));
    sorted_key(&key, sorted_bits(score), member);
    if (is_there) {
        sorted_key(&from, sorted_bits(before), member);
        ordered_move(set, buffer_bytes(&from), buffer_bytes(&key), sorted_value(score));
    } else {
        ordered_insert(set, buffer_bytes(&key), sorted_value(score));
    }
    buffer_deinit(&key);
    buffer_deinit(&from);
}

bool sorted_remove(struct ordered *set, struct bytes member)
{
    double score;
    if (!sorted_find(set, member, &score))
        return false;
    ordered_cut(set, sorted_rank(set, member, score), 1);
    return true;
}

/* ---- words ------------------------------------------------------------------------ */

/* What most numbers are, digits with a point among them perhaps, and so few that they and the power
 * of ten are exact: the quotient is what strtod() gives, in a tenth of the time. */
bool sorted_parse_plain(struct bytes word, double *number)
{
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    enum { DIGITS_MAX = sizeof powers / sizeof powers[0] - 1 };
    const char *text = word.data;
    bool is_negative = word.size > 0 && text[0] == '-', has_point = false;
    unsigned digits = 0, behind_point = 0;
    uint64_t sum = 0;
    for (size_t i = is_negative; i < word.size; i++) {
        bool is_point = text[i] == '.' && !has_point && digits > 0 && i + 1 < word.size;
        has_point |= is_point;
        if (is_point)
            continue;
        if (text[i] < '0' || text[i] > '9' || digits == DIGITS_MAX)
            return false;
        sum = 10 * sum + (uint64_t)(text[i] - '0');
        digits++;
        behind_point += has_point;
    }
    double quotient = (double)sum / powers[behind_point];
    *number = is_negative ? -quotient : quotient;
    return digits > 0;
}

bool sorted_parse(struct bytes word, double *number)
{
    char stack[128], *end;
    if (sorted_parse_plain(word, number))
        return true;
    if (word.size == 0 || word.size >= sizeof stack)
        return false;
    memcpy(stack, word.data, word.size);
    stack[word.size] = '\0';
    if (isspace((unsigned char)stack[0]))
        return false;
    errno = 0;
    *number = strtod(stack, &end);
    bool is_beyond = errno == ERANGE && (isinf(*number) || fpclassify(*number) == FP_ZERO);
    return (size_t)(end - stack) == word.size && !isnan(*number) && !is_beyond;
}

bool sorted_word(struct call *call, uint32_t i, double *score)
{
    if (sorted_parse(call->argv[i], score))
        return true;
    reply_error(call->reply, ERROR_NOT_FLOAT);
    return false;
}

void sorted_add_parts(struct call *call, struct bytes member, double score, bool with_score)
{
    struct reply found = {&call->walk->found, call->reply->protocol};
    bool is_pair = with_score && found.protocol >= 3;
    if (is_pair)
        reply_array(&found, 2);
    call_add_part(call, member, true);
    if (with_score)
        reply_double(&found, score);
    call->walk->count += with_score && !is_pair ? 2 : 1;
}
