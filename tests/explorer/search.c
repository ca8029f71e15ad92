/* All states that can be reached.  A state is kept as four numbers, exactly, and with the state
 * that it was first reached from; one that has the nodes of another and fewer packets is left out,
 * because whatever it can do, the other can.  So `complete` means: every state that can be reached
 * within the bounds has the nodes, the history and only packets of one that was visited.  The
 * number of states without packets is the same in whatever order they are visited; that of states
 * with packets is not. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "explorer.h"

enum { CLOCK_EVERY = 1024 };

struct part { /* of a state: a node and what it sent */
    uint32_t node, channel[NODES - 1];
};

struct view { /* a state without its packets */
    uint32_t node[NODES], history;
};

/* A bit for each packet of a state; a few share one.  Tells most pairs of states apart. */
struct shadow {
    uint64_t words[4];
};

struct record {
    uint32_t part[NODES], history;
    uint32_t parent; /* the record that it was first reached from */
    uint32_t next;   /* + 1: of the same view */
    uint32_t below;  /* + 1: in the stack of those to be expanded with as many packets */
    bool dominated;
    struct shadow shadow;
};

enum { PACKETS_MAX = 4096 };

static struct interned parts, views;
static uint32_t *heads; /* owned; of each view, the first record + 1 */
static uint32_t heads_capacity;
static struct record *records; /* owned */
static uint32_t records_count, records_capacity;
static uint32_t stacks[PACKETS_MAX], stacks_top; /* the last record + 1 with so many packets */
static uint32_t current, next_in_breadth, expanded;
static struct limits limits;
static uint64_t transitions;
static enum verdict wrong;
static struct timespec began;

static struct state recall(uint32_t number)
{
    const struct record *record = &records[number];
    struct state state = {.history = record->history};
    for (int i = 0; i < NODES; i++) {
        const struct part *part = interned_at(&parts, record->part[i]);
        state.node[i] = part->node;
        memcpy(state.channel[i], part->channel, sizeof part->channel);
    }
    return state;
}

static bool has_all_packets(const struct state *more, const struct state *fewer)
{
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES - 1; j++)
            if (!set_includes(more->channel[i][j], fewer->channel[i][j]))
                return false;
    return true;
}

static struct shadow shadow_of(const struct state *state)
{
    struct shadow shadow = {0};
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES - 1; j++) {
            struct packet_set set = set_at(state->channel[i][j]);
            for (uint32_t k = 0; k < set.count; k++)
                shadow.words[set.packets[k] / 64 % 4] |= UINT64_C(1) << (set.packets[k] % 64);
        }
    return shadow;
}

static bool covers(const struct shadow *more, const struct shadow *fewer)
{
    uint64_t missing = 0;
    for (int i = 0; i < 4; i++)
        missing |= fewer->words[i] & ~more->words[i];
    return missing == 0;
}

static uint32_t *head_of(const struct state *state)
{
    struct view view = {.history = state->history};
    memcpy(view.node, state->node, sizeof view.node);
    uint32_t number = intern(&views, &view);
    if (number >= heads_capacity) {
        uint32_t old = heads_capacity;
        heads_capacity = heads_capacity ? heads_capacity + heads_capacity / 2 : 1024;
        heads = memory_resize(heads, heads_capacity * sizeof *heads);
        memset(heads + old, 0, (heads_capacity - old) * sizeof *heads);
    }
    return &heads[number];
}

static uint32_t packets_in(const struct state *state)
{
    uint32_t count = 0;
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES - 1; j++)
            count += set_at(state->channel[i][j]).count;
    return count;
}

static void add_record(const struct state *state, const struct shadow *shadow, uint32_t *head)
{
    if (records_count == records_capacity) {
        records_capacity = records_capacity ? records_capacity + records_capacity / 2 : 1024;
        records = memory_resize(records, records_capacity * sizeof *records);
    }
    struct record record = {
        .history = state->history, .parent = current, .next = *head, .shadow = *shadow};
    for (int i = 0; i < NODES; i++) {
        struct part part = {.node = state->node[i]};
        memcpy(part.channel, state->channel[i], sizeof part.channel);
        record.part[i] = intern(&parts, &part);
    }
    uint32_t count = limits.breadth_first ? 0 : packets_in(state);
    check(count < PACKETS_MAX);
    record.below = stacks[count];
    if (count > stacks_top)
        stacks_top = count;
    records[records_count++] = record;
    stacks[count] = *head = records_count;
}

/* A state with all the packets of another can do all that the other can: only those count that no
 * other has all the packets of. */
static void remember(const struct state *state)
{
    uint32_t *head = head_of(state);
    struct shadow shadow = shadow_of(state);
    for (uint32_t *link = head; *link != 0;) {
        uint32_t number = *link - 1;
        struct record *record = &records[number];
        bool more = covers(&record->shadow, &shadow), fewer = covers(&shadow, &record->shadow);
        if (limits.keep_all)
            more = fewer = more && fewer;
        struct state other = more || fewer ? recall(number) : *state;
        if (more && has_all_packets(&other, state) &&
            (!limits.keep_all || has_all_packets(state, &other)))
            return;
        if (fewer && !limits.keep_all && has_all_packets(state, &other)) {
            record->dominated = true;
            *link = record->next;
        } else {
            link = &record->next;
        }
    }
    add_record(state, &shadow, head);
}

static void visit(void *context, const struct state *next, struct step step, enum verdict verdict)
{
    (void)context;
    (void)step;
    transitions++;
    if (wrong != FINE)
        return;
    wrong = verdict;
    if (verdict != FINE)
        return;
    struct state state = canonical(next);
    remember(&state);
}

/* The oldest, or one with as many packets as there are: the other way round, most of what is
 * expanded is dominated later. */
static bool pop(uint32_t *number)
{
    if (limits.breadth_first) {
        *number = next_in_breadth++;
        return next_in_breadth <= records_count;
    }
    while (stacks_top > 0 && stacks[stacks_top] == 0)
        stacks_top--;
    if (stacks[stacks_top] == 0)
        return false;
    *number = stacks[stacks_top] - 1;
    stacks[stacks_top] = records[*number].below;
    return true;
}

/* ---- how it came to that ------------------------------------------------------------------- */

/* On the way back: a successor that is `goal` in its canonical form, or one that is wrong. */
struct way {
    struct state goal;
    bool last, found;
    struct step step;
};

static void look_for(void *context, const struct state *next, struct step step,
                     enum verdict verdict)
{
    struct way *way = context;
    if (way->found)
        return;
    struct state state = canonical(next);
    way->found = way->last ? verdict == wrong
                           : verdict == FINE && memcmp(&state, &way->goal, sizeof state) == 0;
    way->step = step;
}

static void tell(const struct state *start, const struct steps *prefix, uint32_t last)
{
    struct steps steps = {0};
    for (uint32_t i = 0; i < prefix->count; i++)
        steps_add(&steps, prefix->list[i]);
    static uint32_t path[100000];
    uint32_t length = 0;
    for (uint32_t at = last; at != 0; at = records[at].parent) {
        check(length < sizeof path / sizeof path[0]);
        path[length++] = at;
    }
    struct state state = *start;
    for (;;) {
        struct way way = {.last = length == 0};
        if (length > 0)
            way.goal = recall(path[--length]);
        successors(&state, look_for, &way);
        check(way.found);
        steps_add(&steps, way.step);
        enum verdict verdict;
        check(take_step(&state, way.step, &verdict, &steps));
        if (way.last)
            break;
    }
    story_print(&steps);
    memory_free(steps.list);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static double seconds_since_start(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
}

/* Not expanded yet, as far as no other has all their packets. */
static uint32_t count_waiting(void)
{
    uint32_t count = 0;
    for (uint32_t i = next_in_breadth; limits.breadth_first && i < records_count; i++)
        count += !records[i].dominated;
    for (uint32_t i = 0; !limits.breadth_first && i < PACKETS_MAX; i++)
        for (uint32_t at = stacks[i]; at != 0; at = records[at - 1].below)
            count += !records[at - 1].dominated;
    return count;
}

static void report(bool complete)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = seconds_since_start();
    printf("%s: %u states without packets, %u with; %u expanded, %u waiting\n",
           complete ? "complete" : "not complete", views.count, records_count, expanded,
           count_waiting());
    printf("%llu transitions, %.1f s, %.0f transitions/s, %ld MiB\n",
           (unsigned long long)transitions, seconds, (double)transitions / seconds,
           usage.ru_maxrss / 1024);
    printf("%u states of nodes, %u steps of cores, %u packets, %u sets of packets\n", nodes_count(),
           core_steps(), packets_count(), sets_count());
    for (uint32_t i = 0; limits.essences && i < views.count; i++)
        essence_add(((const struct view *)interned_at(&views, i))->node);
    if (limits.essences)
        printf("%u essences\n", essences_count());
    fflush(stdout);
}

bool search(const struct state *start, const struct steps *prefix, const struct limits *given)
{
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
    limits = *given;
    interned_init(&parts, sizeof(struct part));
    interned_init(&views, sizeof(struct view));
    struct state first = canonical(start);
    remember(&first);
    bool in_time = true, found = true;
    while (wrong == FINE && records_count < limits.states && in_time && (found = pop(&current))) {
        if (records[current].dominated)
            continue;
        struct state state = recall(current);
        successors(&state, visit, NULL);
        if (++expanded % CLOCK_EVERY == 0)
            in_time = seconds_since_start() < limits.seconds;
    }
    if (wrong != FINE)
        printf("VIOLATION: %s\n", verdict_words(wrong));
    report(!found);
    if (wrong != FINE)
        tell(start, prefix, current);
    return wrong == FINE;
}
