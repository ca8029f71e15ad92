/* Every step of a core as lines for build/trace-check: the state before it, the step, the state
 * after it, so that each is checked by itself and wholly (raft/trace.h).
 *
 * A trace tells the voters of a state, not the lists in a log.  So where members change, only those
 * steps are told that leave the list in force as it is, of nodes that are voters by it; nor are
 * answers of strangers, which the core does not hear. */
#include "raft/trace.h"

#include <stdio.h>

#include "base/fatal.h"
#include "core.h"

static FILE *file;
static bool paused, untold; /* `untold`: this step */
static uint8_t list_before;
static uint32_t untold_count;
static struct buffer lines;

static void flush(void)
{
    if (fwrite(lines.data, 1, lines.size, file) != lines.size)
        fatal("cannot write the trace");
    buffer_clear(&lines);
}

void traces_to(const char *path)
{
    file = fopen(path, "w");
    if (!file)
        fatal("cannot write %s", path);
    raft_trace_world(&lines, RAFT_TRACE_STATES);
    flush();
}

void traces_pause(bool pause)
{
    paused = pause;
}

void traces_end(void)
{
    if (!file)
        return;
    flush();
    if (fclose(file) != 0)
        fatal("cannot write the trace");
    if (untold_count > 0)
        printf("%u steps are not in the trace, since members change in them\n", untold_count);
}

static bool is_off(void)
{
    return !file || paused || untold;
}

static bool can_be_told(const struct node *node, struct input input)
{
    uint8_t list = list_in_force(&node->now);
    if (bounds.changes == 0 && bounds.voters == NODES)
        return true;
    if (input.kind == CHANGE || !(list >> node->self & 1))
        return false;
    if (input.kind != DELIVER)
        return true;
    const struct packet *packet = packet_at(input.argument);
    bool answers = packet->type == RAFT_VOTE_RESPONSE || packet->type == RAFT_APPEND_RESPONSE;
    const struct raft_members *members = members_of_list(list);
    return !answers || raft_members_place(members, packet->from) < members->count;
}

typedef void (*print_state)(struct buffer *out, const struct raft *raft,
                            const struct raft_trace_image *images, uint32_t count);

static void state_line(const struct raft *raft, const struct node *node, print_state print)
{
    struct raft_trace_image images[WRITES_MAX + 1];
    raft_term terms[WRITES_MAX + 1][LOG_MAX];
    for (uint32_t i = 0; i <= node->writes_count; i++) {
        const struct image *image = i < node->writes_count ? &node->disk[i] : &node->now;
        for (uint32_t j = image->first; j < image->last; j++)
            terms[i][j - image->first] = term_of(image->log[j]);
        images[i] = (struct raft_trace_image){
            .seq = raft->state.durable_seq + i,
            .term = image->term,
            .voted_for = image->voted_for == NONE ? RAFT_NOBODY : image->voted_for,
            .commit = node->applied,
            .terms = terms[i],
            .count = image->last - image->first};
    }
    print(&lines, raft, images, node->writes_count + 1u);
}

void trace_before(const struct raft *raft, const struct node *node, struct input input)
{
    if (!file || paused)
        return;
    flush(); /* of a step that went beyond the bounds */
    untold = !can_be_told(node, input);
    list_before = list_in_force(&node->now);
    if (!is_off())
        state_line(raft, node, raft_trace_state);
}

void trace_after(const struct raft *raft, const struct node *node)
{
    if (!file || paused)
        return;
    untold = untold || list_in_force(&node->now) != list_before;
    if (untold) {
        buffer_clear(&lines);
        untold_count++;
        return;
    }
    state_line(raft, node, raft_trace_expect);
    flush();
}

void trace_step(const struct raft *raft, const struct raft_input *input,
                const struct raft_output *output)
{
    if (is_off())
        return;
    raft_trace_step(&lines, raft, input, output);
}

void trace_boot(const struct raft *raft)
{
    if (is_off())
        return;
    raft_trace_boot(&lines, raft, 0);
}
