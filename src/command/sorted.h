/* A sorted set at a key: members with scores, in an order (ordered.h) of entries whose bytes stand
 * in sorted_entry.h. */
#ifndef COMMAND_SORTED_H
#define COMMAND_SORTED_H

#include "command/ordered.h"
#include "command/sorted_entry.h"

/* False: not a member. */
bool sorted_find(const struct ordered *set, struct bytes member, double *score);
/* A member; before: whether it is one, and its score then, as found. */
void sorted_put(struct ordered *set, struct bytes member, double score, bool is_there,
                double before);
bool sorted_remove(struct ordered *set, struct bytes member); /* false: not a member */
uint64_t sorted_rank(const struct ordered *set, struct bytes member, double score);

/* ZADD's options; `first`: of the words behind them. */
struct sorted_options {
    bool nx, xx, gt, lt, ch, incr;
    uint32_t first;
};

enum sorted_outcome {
    SORTED_NOTHING,
    SORTED_ADDED,
    SORTED_UPDATED,
    SORTED_SAME,
    SORTED_NOT_A_NUMBER
};

/* *score becomes the member's new one. */
enum sorted_outcome sorted_add(struct ordered *set, const struct sorted_options *options,
                               struct bytes member, double *score);

/* How many entries are below {bits, member}, in the order of the keys. */
uint64_t sorted_below(const struct ordered *set, uint64_t bits, struct bytes member);

/* Redis's floating point numbers: inf, 1e3, 0x1p4; not NaN. */
bool sorted_parse(struct bytes word, double *number);
/* The same of one that is digits, with a point among them perhaps, and few; false: it may be
 * another. */
bool sorted_parse_plain(struct bytes word, double *number);
bool sorted_word(struct call *call, uint32_t i, double *score); /* false: answered */

/* From a walk, to the parts of a reply: member, and score perhaps, as pairs in RESP3. */
void sorted_add_parts(struct call *call, struct bytes member, double score, bool with_score);

#endif
