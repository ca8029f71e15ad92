/* See walk.h.  Deterministic; loop thread only. */
#include "command/walk.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/prng.h"
#include "command/preparing.h"

/* ---- slices ------------------------------------------------------------------------- */

void walk_put_aside(struct call *call, struct fields *fields)
{
    struct walk_state *walk = call->walk;
    fields_put_aside(fields, &walk->found, &walk->space, &walk->count);
}

/* Of one that was prepared: a space that was there has changed, and another is new. */
static uint64_t take_over(struct call *call, const struct fields *fields)
{
    uint64_t space = call->walk->space;
    if (space == 0 || space != fields->record.space)
        return call_take_space(call, fields->database, space);
    call_take_changes(call, space);
    return space;
}

void walk_take_back(struct call *call, struct fields *fields)
{
    struct walk_state *walk = call->walk;
    if (!walk->unfinished)
        return;
    uint64_t space = call_is_prepared(call) ? take_over(call, fields) : walk->space;
    fields_take_back(fields, &walk->found, space, walk->count);
}

void walk_take_prepared(struct call *call, struct fields *fields)
{
    struct walk_state *walk = call->walk;
    uint64_t space = call_take_space(call, fields->database, walk->space);
    fields_take_back(fields, &walk->found, space, walk->count);
    if (call_is_prepared(call))
        walk->unfinished = false;
}

/* ---- parts of a reply --------------------------------------------------------------- */

struct giving {
    struct call *call;
    unsigned what;
    struct bytes pattern;
    bool match_all;
    /* Of a choice among those that the walk still comes to. */
    uint64_t seed, wanted, left;
};

/* Parts of one element. */
static unsigned parts_of(unsigned what)
{
    return what == (WALK_NAMES | WALK_VALUES) ? 2 : 1;
}

static void give(void *context, struct bytes name, struct bytes value)
{
    const struct giving *giving = context;
    struct walk_state *walk = giving->call->walk;
    struct reply found = {&walk->found, giving->call->reply->protocol};
    if (giving->what & WALK_PAIRS)
        reply_array(&found, 2);
    if (giving->what & WALK_NAMES)
        call_add_part(giving->call, name, true);
    if (giving->what & WALK_VALUES)
        call_add_part(giving->call, value, true);
    walk->count += parts_of(giving->what);
}

static bool go_on(struct call *call, struct fields *fields, struct db_scan_limit limit,
                  fields_fn *each, void *context)
{
    struct walk_state *walk = call->walk;
    walk->cursor = fields_scan(fields, walk->cursor, limit, each, context);
    walk->unfinished = walk->cursor != 0;
    return call_keeps_parts(call, 0) && !walk->unfinished;
}

bool walk_all(struct call *call, struct fields *fields, unsigned what)
{
    struct giving giving = {.call = call, .what = what};
    return go_on(call, fields, walk_slice(), give, &giving);
}

/* ---- SCAN, HSCAN, SSCAN ------------------------------------------------------------- */

/* As strtoul takes it: Redis's clients send back what they got, people type what they like. */
static bool parse_cursor(struct bytes word, uint64_t *cursor)
{
    char text[64], *end;
    if (word.size >= sizeof(text))
        return false;
    if (word.size)
        memcpy(text, word.data, word.size);
    text[word.size] = '\0';
    if (isspace((unsigned char)text[0]))
        return false;
    errno = 0;
    *cursor = strtoull(text, &end, 10);
    return *end == '\0' && errno != ERANGE;
}

bool walk_cursor(struct call *call, uint32_t i, uint64_t *cursor)
{
    bool is_valid = parse_cursor(call->argv[i], cursor);
    if (!is_valid)
        reply_error(call->reply, "ERR invalid cursor");
    return is_valid;
}

/* The one at `i`, with its operand; false: answered with the error. */
static bool read_word(struct call *call, uint32_t i, struct walk_words *words)
{
    bool has_operand = i + 1 < call->argc;
    struct bytes word = call->argv[i];
    if (has_operand && bytes_is(word, "count")) {
        if (!call_integer(call, i + 1, &words->count))
            return false;
        if (words->count >= 1)
            return true;
    } else if (has_operand && bytes_is(word, "match")) {
        words->pattern = call->argv[i + 1];
        words->match_all = bytes_equal(words->pattern, bytes_of("*", 1));
        return true;
    } else if (has_operand && words->takes_type && bytes_is(word, "type")) {
        words->type = call->argv[i + 1];
        return true;
    }
    reply_error(call->reply, ERROR_SYNTAX);
    return false;
}

bool walk_read_words(struct call *call, uint32_t first, struct walk_words *words)
{
    words->match_all = true;
    words->count = 10;
    for (uint32_t i = first; i < call->argc; i += 2)
        if (!read_word(call, i, words))
            return false;
    return true;
}

void walk_reply_scan(struct call *call, uint64_t cursor)
{
    struct buffer text = {0};
    buffer_printf(&text, "%llu", (unsigned long long)cursor);
    reply_array(call->reply, 2);
    reply_bulk(call->reply, buffer_bytes(&text));
    buffer_deinit(&text);
    call_reply_parts(call, call->walk->count);
}

struct db_scan_limit walk_scan_slice(struct call *call, uint64_t cursor,
                                     const struct walk_scan *scan)
{
    struct walk_state *walk = call->walk;
    if (!walk->unfinished) {
        walk->cursor = cursor;
        walk->met = (struct db_scan_met){0};
    }
    uint64_t keys = walk->met.keys + WALK_SLICE, bytes = walk->met.bytes + WALK_SLICE_BYTES;
    return (struct db_scan_limit){.keys = scan->keys < keys ? scan->keys : keys,
                                  .rows = WALK_SLICE,
                                  .bytes =
                                      scan->bytes > 0 && scan->bytes < bytes ? scan->bytes : bytes,
                                  .met = &walk->met};
}

void walk_scan_end(struct call *call, const struct walk_scan *scan,
                   const struct db_scan_limit *limit, uint64_t cursor)
{
    struct walk_state *walk = call->walk;
    struct db_scan_met *met = &walk->met;
    bool is_of_rows = met->keys < limit->keys && met->bytes < limit->bytes;
    if (is_of_rows && !call_is_of_entry(call))
        met->keys = limit->keys; /* a slice is a slice */
    bool is_enough = met->keys >= scan->keys || (scan->bytes > 0 && met->bytes >= scan->bytes);
    bool goes_on = !is_enough || (met->is_open && call_is_of_entry(call));
    walk->cursor = cursor;
    walk->unfinished = cursor != 0 && goes_on;
    if (call_keeps_parts(call, 0) && !walk->unfinished)
        walk_reply_scan(call, cursor);
}

static void give_matching(void *context, struct bytes name, struct bytes value)
{
    const struct giving *giving = context;
    if (giving->match_all || command_glob_match(giving->pattern, name, false))
        give(context, name, value);
}

void walk_scan(struct call *call, enum db_type type, unsigned what)
{
    struct fields fields;
    struct walk_words words = {0};
    uint64_t cursor;
    if (!walk_cursor(call, 2, &cursor) || !call_fields(call, call->argv[1], type, &fields))
        return;
    if (fields.count > 0 && !walk_read_words(call, 3, &words))
        return;
    struct giving giving = {
        .call = call, .what = what, .pattern = words.pattern, .match_all = words.match_all};
    struct walk_scan scan = {walk_scan_count(&words), WALK_SLICE_BYTES};
    struct db_scan_limit limit = walk_scan_slice(call, cursor, &scan);
    if (fields_is_large(&fields))
        cursor = fields_scan(&fields, call->walk->cursor, limit, give_matching, &giving);
    else
        cursor =
            fields_scan(&fields, 0, (struct db_scan_limit){.keys = UINT64_MAX, .rows = UINT64_MAX},
                        give_matching, &giving);
    walk_scan_end(call, &scan, &limit, cursor);
}

/* ---- HRANDFIELD, SRANDMEMBER -------------------------------------------------------- */

enum {
    DRAWS_SLICE = 256, /* enough reads of a busy disk for one turn of the event loop; of a write it
                        * is part of what the command means, since each slice has a seed */
    VIEW_DRAWS_SLICE = 32, /* those of a view know nothing of what lies where: 80 us each */
    DRAWS_SHARE = 4        /* of a share of all below one in so many, few are drawn twice */
};

bool walk_draw_count(struct call *call, int64_t *count)
{
    if (!call_integer(call, 2, count))
        return false;
    if (*count != INT64_MIN)
        return true;
    reply_error(call->reply, ERROR_OUT_OF_RANGE ", value must between %lld and %lld",
                (long long)-INT64_MAX, (long long)INT64_MAX);
    return false;
}

/* The slices of a write have one seed. */
static uint64_t seed_of_draws(const struct call *call)
{
    const struct walk_state *walk = call->walk;
    uint64_t seed = call->seed + walk->cursor;
    return call->meaning >= COMMAND_MEANING_DRAWS ? seed + walk->seen : seed;
}

/* With repetitions.  Where draws are much work, a slice has a part of those that share a seed:
 * walk->budget is how many are left of them. */
static bool draw_any(struct call *call, struct fields *fields, uint64_t count, unsigned what)
{
    struct walk_state *walk = call->walk;
    struct giving giving = {.call = call, .what = what};
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (!walk->unfinished || walk->budget == 0) {
        walk->seed = seed_of_draws(call);
        walk->budget = call->view ? VIEW_DRAWS_SLICE : DRAWS_SLICE;
    }
    giving.seed = walk->seed;
    walk->unfinished = false;
    for (; walk->seen < count; walk->budget--) {
        if (!call_keeps_parts(call, 0))
            return false;
        walk->unfinished = walk->budget == 0 || db_work(call->db) >= work_end;
        walk->seed = giving.seed;
        if (walk->unfinished)
            return false;
        bool is_given = fields_draw(fields, &giving.seed, give, &giving);
        walk->seen += is_given;
        walk->cursor += !is_given; /* else the next slice would meet the same again */
    }
    return true;
}

/* Kept from slice to slice. */
struct drawn {
    uint64_t seed;
    uint64_t words[DRAWS_SLICE]; /* places of rows */
    unsigned count;
};

struct drawing {
    struct giving giving;
    struct drawn drawn;
};

/* Few draws meet one that is over. */
static bool is_mostly_living(const struct fields *fields)
{
    return fields_living(fields) >= fields->count / 2;
}

static void give_new(void *context, struct bytes name, struct bytes value)
{
    struct drawing *drawing = context;
    struct drawn *drawn = &drawing->drawn;
    uint64_t word = db_row_word(drawing->giving.call->db, name);
    for (unsigned i = 0; i < drawn->count; i++)
        if (drawn->words[i] == word)
            return;
    drawn->words[drawn->count++] = word;
    give(&drawing->giving, name, value);
}

/* A few out of many; slices end by their work alone, and all draw from one seed. */
static bool draw_different(struct call *call, struct fields *fields, uint64_t count, unsigned what)
{
    struct walk_state *walk = call->walk;
    struct drawing drawing = {.giving = {.call = call, .what = what}};
    struct drawn *drawn = &drawing.drawn;
    uint64_t work_end = db_work(call->db) + WALK_SLICE_BYTES;
    if (!call_kept(call, drawn, sizeof *drawn))
        drawn->seed = call->seed;
    walk->unfinished = false;
    while (drawn->count < count && !walk->unfinished) {
        fields_draw(fields, &drawn->seed, give_new, &drawing);
        if (!call_keeps_parts(call, 0))
            return false;
        walk->unfinished = drawn->count < count && db_work(call->db) >= work_end;
    }
    if (walk->unfinished)
        call_keep(call, drawn, sizeof *drawn);
    return !walk->unfinished;
}

/* Knuth's algorithm S: each of those that are left has the chance `wanted` in `left`. */
static void give_chosen(void *context, struct bytes name, struct bytes value)
{
    struct giving *giving = context;
    bool is_chosen = prng_below(&giving->seed, giving->left--) < giving->wanted;
    giving->call->walk->seen++;
    giving->wanted -= is_chosen;
    if (is_chosen)
        give(giving, name, value);
}

/* The seed begins anew behind as many as a slice is to meet, which is what the command means; in
 * between, a slice may end wherever this node has much that is deleted. */
static void keep_seed(struct call *call, const struct db_scan_limit *limit, uint64_t seed)
{
    struct walk_state *walk = call->walk;
    bool is_enough = walk->met.keys >= limit->keys || walk->met.bytes >= limit->bytes;
    if (is_enough)
        walk->met = (struct db_scan_met){0};
    walk->seed = is_enough ? call->seed : seed;
}

static bool choose(struct call *call, struct fields *fields, uint64_t count, unsigned what)
{
    struct walk_state *walk = call->walk;
    struct db_scan_limit limit = walk_slice();
    struct giving giving = {.call = call, .what = what};
    if (!walk->unfinished) {
        walk->seed = call->seed;
        walk->met = (struct db_scan_met){0};
    }
    limit.met = &walk->met;
    giving.seed = walk->seed;
    giving.left = fields_living(fields) - walk->seen;
    giving.wanted = count - walk->count / parts_of(what);
    bool is_all = go_on(call, fields, limit, give_chosen, &giving);
    keep_seed(call, &limit, giving.seed);
    return is_all;
}

bool walk_draw(struct call *call, struct fields *fields, int64_t count, unsigned what)
{
    uint64_t wanted = count < 0 ? -(uint64_t)count : (uint64_t)count;
    uint64_t living = fields_living(fields);
    if (wanted == 0 || living == 0)
        return true;
    if (count < 0)
        return draw_any(call, fields, wanted, what);
    if (wanted >= living)
        return walk_all(call, fields, what);
    bool is_few =
        wanted <= DRAWS_SLICE && wanted <= living / DRAWS_SHARE && is_mostly_living(fields);
    return is_few ? draw_different(call, fields, wanted, what) : choose(call, fields, wanted, what);
}

static void reply_one(void *context, struct bytes name, struct bytes value)
{
    struct call *call = context;
    (void)value;
    reply_bulk(call->reply, name);
}

void walk_draw_one(struct call *call, struct fields *fields)
{
    uint64_t seed = call->seed;
    if (fields_living(fields) == 0)
        reply_null(call->reply);
    else if (is_mostly_living(fields))
        while (!fields_draw(fields, &seed, reply_one, call))
            ;
    else if (choose(call, fields, 1, WALK_NAMES))
        call_end_parts(call);
}
