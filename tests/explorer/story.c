/* A violation as a script that is as short as leaving out steps makes it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "explorer.h"

/* The search may have delivered a stand-in (reactions.c): a packet that was really sent does the
 * same.  False: there is none. */
static bool find_real(const struct state *state, struct step *step)
{
    if (step->input.kind != DELIVER && step->input.kind != DELIVER_LATE)
        return true;
    struct packet stand_in = *packet_at(step->input.argument);
    if (!(stand_in.flags & STALE))
        return true;
    struct state same = *state;
    struct packet_set set = set_at(*channel_to(&same, stand_in.from, stand_in.to));
    uint8_t term = node_at(state->node[step->node])->now.term;
    uint8_t pre_vote = stand_in.flags & PRE_VOTE;
    for (uint32_t i = 0; i < set.count; i++) {
        const struct packet *packet = packet_at(set.packets[i]);
        if (packet->type == stand_in.type && (packet->flags & PRE_VOTE) == pre_vote &&
            packet->term < term + (pre_vote ? 1 : 0)) {
            step->input.argument = set.packets[i];
            return true;
        }
    }
    return false;
}

/* The steps with packets that were really sent, as far as each is possible. */
static struct steps made_real(const struct steps *steps)
{
    struct steps result = {0};
    struct state state;
    first_state(&state);
    for (uint32_t i = 0; i < steps->count; i++) {
        struct step step = steps->list[i];
        enum verdict verdict;
        if (!find_real(&state, &step) || !take_step(&state, step, &verdict, NULL))
            continue;
        steps_add(&result, step);
        if (verdict != FINE)
            break;
    }
    return result;
}

static struct steps without(const struct steps *steps, uint32_t from, uint32_t count)
{
    struct steps result = {0};
    for (uint32_t i = 0; i < steps->count; i++)
        if (i < from || i >= from + count)
            steps_add(&result, steps->list[i]);
    return result;
}

static bool is_violation(const struct steps *steps)
{
    struct state state;
    enum verdict verdict = steps_run(steps, &state, false);
    return verdict != FINE && verdict != BEYOND;
}

/* Leaves out runs of steps, long ones first, until no single one can go. */
static void shorten(struct steps *steps)
{
    for (uint32_t count = steps->count / 2; count > 0;) {
        bool shorter = false;
        for (uint32_t from = steps->count - count + 1; from-- > 0;) {
            struct steps fewer = without(steps, from, count);
            if (is_violation(&fewer)) {
                memory_free(steps->list);
                *steps = fewer;
                shorter = true;
                break;
            }
            memory_free(fewer.list);
        }
        if (!shorter)
            count /= 2;
        else if (count > steps->count)
            count = steps->count;
    }
}

void story_print(const struct steps *steps)
{
    bounds.plain = true; /* no search follows */
    struct steps story = made_real(steps);
    if (!is_violation(&story)) {
        printf("# found with stand-ins only; the steps as searched:\n");
        story = *steps;
    } else {
        shorten(&story);
    }
    struct state state;
    printf("# %u steps; run them again with --replay\n", story.count);
    steps_run(&story, &state, true);
}
