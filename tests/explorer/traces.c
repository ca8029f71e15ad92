/* Every step of a core as lines for build/trace-check: the state before it, the step, the state
 * after it, so that each is checked by itself and wholly (raft/trace.h). */
#include "raft/trace.h"

#include <stdio.h>

#include "base/fatal.h"
#include "core.h"

static FILE *file;
static bool paused;
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
}

static bool is_off(void)
{
    return !file || paused;
}

typedef void (*print_state)(struct buffer *out, const struct raft *raft,
                            const struct raft_trace_image *images, uint32_t count);

static void state_line(const struct raft *raft, const struct node *node, print_state print)
{
    struct raft_trace_image images[WRITES_MAX + 1];
    raft_term terms[WRITES_MAX + 1][LOG_MAX];
    const struct raft_members *lists[WRITES_MAX + 1][LOG_MAX];
    for (uint32_t i = 0; i <= node->writes_count; i++) {
        const struct image *image = i < node->writes_count ? &node->disk[i] : &node->now;
        for (uint32_t j = image->first; j < image->last; j++) {
            uint8_t list = list_of(image->log[j]);
            terms[i][j - image->first] = term_of(image->log[j]);
            lists[i][j - image->first] = list ? members_of_list(list) : NULL;
        }
        images[i] = (struct raft_trace_image){
            .seq = raft->state.durable_seq + i,
            .term = image->term,
            .voted_for = image->voted_for == NONE ? RAFT_NOBODY : image->voted_for,
            .commit = node->applied,
            .terms = terms[i],
            .lists = lists[i],
            .count = image->last - image->first};
    }
    print(&lines, raft, images, node->writes_count + 1u);
}

void trace_before(const struct raft *raft, const struct node *node)
{
    if (is_off())
        return;
    flush(); /* of a step that went beyond the bounds */
    state_line(raft, node, raft_trace_state);
}

void trace_after(const struct raft *raft, const struct node *node)
{
    if (is_off())
        return;
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
