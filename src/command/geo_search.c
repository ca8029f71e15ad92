/* GEOSEARCH and all its kin (Redis 7.2 geo.c).
 *
 * First a walk over the ranges of scores where the shape may have places, in slices: each that is
 * in it becomes a node, which says how far it is and its rank in the set.  If the nearest or the
 * farthest are wanted, the nodes are a heap with the last of them on top, of no more than COUNT;
 * then the heap is sorted, and last the members are given, or put into another set.
 *
 * Deterministic: where distances are equal, what was found first is first. */
#include "base/fatal.h"
#include "base/memory.h"
#include "command/geo.h"
#include "command/preparing.h"
#include "command/sorted.h"

enum order { AS_FOUND, NEAREST, FARTHEST };

/* What the words say. */
struct search {
    struct geo_shape shape;
    uint32_t set;    /* word that is the key searched */
    uint32_t member; /* word that is the center, 0: none */
    uint32_t target; /* word that is the key stored to, 0: none */
    bool has_center, has_shape, stores_distances;
    bool with_distance, with_score, with_place, takes_any;
    enum order order;
    int64_t count; /* 0: all */
};

/* ---- words ------------------------------------------------------------------------------ */

/* Each takes what is at *i and its operands; false: answered, with Redis's words. */

static bool read_length(struct call *call, uint32_t i, const char *what, double *length)
{
    if (sorted_parse(call->argv[i], length))
        return true;
    reply_error(call->reply, "ERR need numeric %s", what);
    return false;
}

static bool read_radius(struct call *call, struct search *search, uint32_t i)
{
    struct geo_shape *shape = &search->shape;
    if (!read_length(call, i, "radius", &shape->radius))
        return false;
    if (shape->radius < 0)
        return call_refuse(call, "ERR radius cannot be negative");
    search->has_shape = true;
    return geo_read_unit(call, i + 1, &shape->unit);
}

static bool read_box(struct call *call, struct search *search, uint32_t i)
{
    struct geo_shape *shape = &search->shape;
    if (!read_length(call, i, "width", &shape->width) ||
        !read_length(call, i + 1, "height", &shape->height))
        return false;
    if (shape->width < 0 || shape->height < 0)
        return call_refuse(call, "ERR height or width cannot be negative");
    search->has_shape = shape->is_box = true;
    return geo_read_unit(call, i + 2, &shape->unit);
}

static bool read_count(struct call *call, struct search *search, uint32_t i)
{
    if (!call_integer(call, i, &search->count))
        return false;
    return search->count > 0 || call_refuse(call, "ERR COUNT must be > 0");
}

static bool read_center(struct call *call, struct search *search, uint32_t i)
{
    search->has_center = true;
    return geo_read_place(call, i, &search->shape.center);
}

/* Words that stand alone.  False: it is none. */
static bool take_flag(struct search *search, struct bytes word)
{
    if (bytes_is(word, "withdist"))
        return search->with_distance = true;
    if (bytes_is(word, "withhash"))
        return search->with_score = true;
    if (bytes_is(word, "withcoord"))
        return search->with_place = true;
    if (bytes_is(word, "any"))
        return search->takes_any = true;
    bool is_descending = bytes_is(word, "desc");
    if (!is_descending && !bytes_is(word, "asc"))
        return false;
    search->order = is_descending ? FARTHEST : NEAREST;
    return true;
}

static bool is_radius_command(const struct call *call) /* GEORADIUS..., not GEOSEARCH... */
{
    return call->command->name[3] == 'r';
}

static bool is_of_member(const struct call *call)
{
    return strncmp(call->command->name, "georadiusbymember", 17) == 0;
}

/* Those of GEOSEARCH and GEOSEARCHSTORE alone. */
static bool take_of_search(struct call *call, struct search *search, uint32_t *i)
{
    struct bytes word = call->argv[*i];
    uint32_t at = *i + 1, behind = call->argc - at;
    bool is_box = bytes_is(word, "bybox");
    if (bytes_is(word, "storedist") && search->target) {
        search->stores_distances = true;
    } else if (bytes_is(word, "frommember") && behind > 0 &&
               !(search->has_center && !search->member)) {
        search->has_center = true;
        search->member = at;
        *i += 1;
    } else if (bytes_is(word, "fromlonlat") && behind > 1 && !search->member) {
        *i += 2;
        return read_center(call, search, at);
    } else if (bytes_is(word, "byradius") && behind > 1 && !search->shape.is_box) {
        *i += 2;
        return read_radius(call, search, at);
    } else if (is_box && behind > 2 && !(search->has_shape && !search->shape.is_box)) {
        *i += 3;
        return read_box(call, search, at);
    } else {
        return call_refuse(call, ERROR_SYNTAX);
    }
    return true;
}

static bool take_option(struct call *call, struct search *search, uint32_t *i)
{
    struct bytes word = call->argv[*i];
    bool has_operand = *i + 1 < call->argc, is_distance = bytes_is(word, "storedist");
    bool may_store = call->command->flags & CMD_WRITE && is_radius_command(call);
    if (take_flag(search, word))
        return true;
    if (bytes_is(word, "count") && has_operand)
        return read_count(call, search, ++*i);
    if (may_store && has_operand && (is_distance || bytes_is(word, "store"))) {
        search->target = ++*i;
        search->stores_distances = is_distance;
        return true;
    }
    if (is_radius_command(call))
        return call_refuse(call, ERROR_SYNTAX);
    return take_of_search(call, search, i);
}

static bool read_first(struct call *call, struct search *search, uint32_t *i)
{
    *search = (struct search){.set = 1};
    *i = 2;
    if (!is_radius_command(call)) {
        bool is_stored = call->command->flags & CMD_WRITE;
        search->target = is_stored;
        search->set = is_stored ? 2 : 1;
        *i = search->set + 1;
        return true;
    }
    search->has_center = true;
    if (is_of_member(call))
        search->member = (*i)++;
    else if (!read_center(call, search, *i))
        return false;
    else
        *i += 2;
    *i += 2;
    return read_radius(call, search, *i - 2);
}

/* False: answered. */
static bool read_search(struct call *call, struct search *search)
{
    uint32_t i;
    if (!read_first(call, search, &i))
        return false;
    for (; i < call->argc; i++)
        if (!take_option(call, search, &i))
            return false;
    const char *name = is_radius_command(call) ? "STORE option in GEORADIUS" : "GEOSEARCHSTORE";
    if (search->target && (search->with_distance || search->with_score || search->with_place))
        reply_error(call->reply,
                    "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options", name);
    else if (!search->has_center)
        reply_error(call->reply,
                    "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                    call_printed_size(call->argv[0]), (const char *)call->argv[0].data);
    else if (!search->has_shape)
        reply_error(call->reply, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
                    call_printed_size(call->argv[0]), (const char *)call->argv[0].data);
    else if (search->takes_any && search->count == 0)
        return call_refuse(call, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

bool words_geosearch(struct call *call)
{
    struct search search;
    return read_search(call, &search);
}

/* ---- nodes ------------------------------------------------------------------------------ */

/* One that was found; `found`: the number of its range, and below that its rank. */
struct node {
    double distance;
    uint64_t found;
};

enum { RANK_BITS = 56 };

static uint64_t rank_of(struct node node)
{
    return node.found & (((uint64_t)1 << RANK_BITS) - 1);
}

enum phase { COLLECTING, SORTING, GIVING };

struct progress {
    enum phase phase;
    unsigned range;
    uint64_t rank; /* in the range */
    uint64_t nodes, heap, given;
};

/* From one slice to the next. */
struct kept {
    struct progress progress;
    struct buffer nodes; /* owned */
};

/* One slice. */
struct finding {
    struct call *call;
    const struct search *search;
    struct ordered set;
    struct progress progress;
    struct buffer nodes;   /* of struct node */
    struct ordered result; /* if it is stored */
    uint64_t rank;         /* of the entry that the walk is at */
};

static struct node *node_at(const struct finding *finding, uint64_t i)
{
    return (struct node *)(void *)finding->nodes.data + i;
}

/* In the order of the reply. */
static bool is_before(const struct finding *finding, struct node one, struct node other)
{
    if (one.distance == other.distance)
        return one.found < other.found;
    return (one.distance < other.distance) == (finding->search->order == NEAREST);
}

static void swap(struct node *one, struct node *other)
{
    struct node kept = *one;
    *one = *other;
    *other = kept;
}

/* The one at `i` goes down to where it belongs, in a heap of so many whose last is on top. */
static void sink(const struct finding *finding, uint64_t i, uint64_t size)
{
    for (;;) {
        uint64_t last = i;
        for (uint64_t child = 2 * i + 1; child <= 2 * i + 2 && child < size; child++)
            if (is_before(finding, *node_at(finding, last), *node_at(finding, child)))
                last = child;
        if (last == i)
            return;
        swap(node_at(finding, i), node_at(finding, last));
        i = last;
    }
}

static void rise(const struct finding *finding, uint64_t i)
{
    for (uint64_t above; i > 0; i = above) {
        above = (i - 1) / 2;
        if (!is_before(finding, *node_at(finding, above), *node_at(finding, i)))
            return;
        swap(node_at(finding, i), node_at(finding, above));
    }
}

static bool has_enough(const struct finding *finding)
{
    const struct search *search = finding->search;
    return search->count > 0 && finding->progress.nodes >= (uint64_t)search->count;
}

static void add(struct finding *finding, struct node node)
{
    struct progress *progress = &finding->progress;
    bool is_heap = finding->search->order != AS_FOUND;
    if (has_enough(finding)) {
        if (is_heap && is_before(finding, node, *node_at(finding, 0))) {
            *node_at(finding, 0) = node;
            sink(finding, 0, progress->nodes);
        }
        return;
    }
    buffer_append(&finding->nodes, &node, sizeof node);
    progress->nodes++;
    if (is_heap)
        rise(finding, progress->nodes - 1);
}

/* ---- the three phases: each some of it, false: not finished ----------------------------- */

enum { COLLECT_SLICE = 1000, SORT_SLICE = 4000, GIVE_SLICE = 500 };

static bool meet(void *context, struct bytes key, struct bytes value)
{
    struct finding *finding = context;
    struct node node = {.found = (uint64_t)finding->progress.range << RANK_BITS | finding->rank++};
    struct geo_place place = geo_place_of(sorted_score(key, value));
    if (geo_is_within(&finding->search->shape, place, &node.distance))
        add(finding, node);
    return !(finding->search->takes_any && has_enough(finding));
}

static uint64_t below(const struct finding *finding, uint64_t score)
{
    return sorted_below(&finding->set, sorted_bits((double)score), bytes_of("", 0));
}

static bool collect(struct finding *finding)
{
    struct geo_range ranges[GEO_RANGES];
    struct progress *progress = &finding->progress;
    unsigned count = geo_ranges(&finding->search->shape, ranges);
    uint64_t left = COLLECT_SLICE;
    for (; progress->range < count; progress->range++, progress->rank = 0) {
        uint64_t from = below(finding, ranges[progress->range].min) + progress->rank;
        uint64_t to = below(finding, ranges[progress->range].max);
        while (from < to) {
            if (finding->search->takes_any && has_enough(finding))
                return true;
            if (left == 0)
                return false;
            finding->rank = from;
            uint64_t wanted = to - from < left ? to - from : left;
            uint64_t met = ordered_walk(&finding->set, from, wanted, false, meet, finding);
            from += met;
            left -= met;
            progress->rank += met;
        }
    }
    return true;
}

static bool sort(struct finding *finding)
{
    struct progress *progress = &finding->progress;
    for (unsigned i = 0; progress->heap > 1; i++) {
        if (i == SORT_SLICE)
            return false;
        progress->heap--;
        swap(node_at(finding, 0), node_at(finding, progress->heap));
        sink(finding, 0, progress->heap);
    }
    return true;
}

static void give_one(struct finding *finding, struct node node)
{
    const struct search *search = finding->search;
    struct call *call = finding->call;
    struct reply found = {&call->walk->found, call->reply->protocol};
    struct bytes key, value;
    unsigned more = search->with_distance + search->with_score + search->with_place;
    ordered_get(&finding->set, rank_of(node), &key, &value);
    double score = sorted_score(key, value);
    if (more)
        reply_array(&found, more + 1);
    call_add_part(call, sorted_member(key), true);
    if (search->with_distance)
        geo_reply_distance(&found, node.distance / search->shape.unit);
    if (search->with_score)
        reply_integer(&found, (int64_t)score);
    if (search->with_place)
        geo_reply_place(&found, geo_place_of(score));
}

static void store_one(struct finding *finding, struct node node)
{
    struct bytes key, value;
    struct buffer member = {0};
    ordered_get(&finding->set, rank_of(node), &key, &value);
    buffer_append_bytes(&member, sorted_member(key));
    double score = finding->search->stores_distances ? node.distance / finding->search->shape.unit
                                                     : sorted_score(key, value);
    sorted_put(&finding->result, buffer_bytes(&member), score, false, 0);
    buffer_deinit(&member);
}

static bool give(struct finding *finding)
{
    struct progress *progress = &finding->progress;
    for (unsigned i = 0; progress->given < progress->nodes; i++, progress->given++) {
        if (i == GIVE_SLICE)
            return false;
        if (finding->search->target)
            store_one(finding, *node_at(finding, progress->given));
        else
            give_one(finding, *node_at(finding, progress->given));
    }
    return true;
}

static bool work(struct finding *finding)
{
    struct progress *progress = &finding->progress;
    if (progress->phase == COLLECTING) {
        if (!collect(finding))
            return false;
        progress->phase = finding->search->order == AS_FOUND ? GIVING : SORTING;
        progress->heap = progress->nodes;
    }
    if (progress->phase == SORTING) {
        if (!sort(finding))
            return false;
        progress->phase = GIVING;
    }
    return give(finding);
}

/* ---- slices ----------------------------------------------------------------------------- */

/* walk->found has the result between the slices, if there is one, and parts of the reply within
 * one. */
static void take_back(struct finding *finding)
{
    struct walk_state *walk = finding->call->walk;
    struct kept *kept = walk->kept;
    if (!walk->unfinished)
        return;
    finding->progress = kept->progress;
    finding->nodes = kept->nodes;
    kept->nodes = (struct buffer){0};
    if (finding->search->target)
        ordered_take_back(&finding->result, finding->call, buffer_bytes(&walk->found));
    buffer_clear(&walk->found);
}

static void free_kept(void *kept)
{
    buffer_deinit(&((struct kept *)kept)->nodes);
    memory_free(kept);
}

static void put_aside(struct finding *finding)
{
    struct walk_state *walk = finding->call->walk;
    rope_append(&walk->parts, buffer_bytes(&walk->found));
    buffer_clear(&walk->found);
    if (!walk->kept)
        walk->kept = memory_new(sizeof(struct kept));
    walk->kept_free = free_kept;
    *(struct kept *)walk->kept = (struct kept){finding->progress, finding->nodes};
    finding->nodes = (struct buffer){0};
    if (finding->search->target)
        ordered_put_aside(&finding->result, &walk->found);
}

static void end(struct finding *finding)
{
    struct call *call = finding->call;
    const struct search *search = finding->search;
    if (!search->target) {
        call_reply_parts(call, finding->progress.nodes);
        return;
    }
    if (finding->result.count > 0)
        ordered_save(&finding->result,
                     is_radius_command(call) ? "georadiusstore" : "geosearchstore");
    else
        call_delete(call, call->argv[search->target], "del");
    reply_integer(call->reply, (int64_t)finding->progress.nodes);
}

static void find(struct finding *finding)
{
    struct call *call = finding->call;
    struct walk_state *walk = call->walk;
    take_back(finding);
    bool is_done = call_is_prepared(call) || finding->set.count == 0 || work(finding);
    walk->unfinished = !is_done;
    if (!call_keeps_parts(call, finding->nodes.size))
        return;
    if (is_done && !call_stops(call))
        end(finding);
    else
        put_aside(finding);
}

/* False: answered. */
static bool find_center(struct finding *finding, struct search *search)
{
    double score;
    if (!search->member || finding->set.count == 0)
        return true;
    if (!sorted_find(&finding->set, finding->call->argv[search->member], &score))
        return call_refuse(finding->call, "ERR could not decode requested zset member");
    search->shape.center = geo_place_of(score);
    return true;
}

void cmd_geosearch(struct call *call)
{
    struct search search;
    if (!read_search(call, &search))
        return;
    if (search.count > 0 && search.order == AS_FOUND && !search.takes_any)
        search.order = NEAREST;
    struct finding finding = {.call = call, .search = &search};
    ordered_new(&finding.result, call, call->argv[search.target], DB_ZSET);
    if (ordered_open(&finding.set, call, call->argv[search.set], DB_ZSET) &&
        find_center(&finding, &search))
        find(&finding);
    ordered_close(&finding.set);
    ordered_close(&finding.result);
    buffer_deinit(&finding.nodes);
}

uint64_t geo_store_size(struct call *call, uint32_t *set)
{
    struct search search;
    struct geo_range ranges[GEO_RANGES];
    struct finding finding = {.call = call, .search = &search};
    uint64_t size = 0;
    if (!read_search(call, &search) || !search.target)
        return 0;
    *set = search.set;
    if (ordered_open(&finding.set, call, call->argv[search.set], DB_ZSET) &&
        find_center(&finding, &search)) {
        unsigned count = geo_ranges(&search.shape, ranges);
        for (unsigned i = 0; i < count; i++)
            size += below(&finding, ranges[i].max) - below(&finding, ranges[i].min);
    }
    ordered_close(&finding.set);
    return size;
}
