/* Runs as text, a step a line; what follows a # is not read.  A packet is named by what it says, so
 * a script can be read and written by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "explorer.h"
#include "raft/print.h"

static const char *const kind_names[] = {
    [DELIVER] = "deliver",
    [DELIVER_LATE] = "deliver-late",
    [FIRE] = "fire",
    [HEARTBEAT] = "heartbeat",
    [STEP_DOWN] = "step-down",
    [PROPOSE] = "propose",
    [READ] = "read",
    [FORWARD] = "forward",
    [READ_FORWARDED] = "read-forwarded",
    [PERSIST] = "persist",
    [CRASH] = "crash",
    [UNREACHABLE] = "unreachable",
    [SILENCE] = "silence",
    [TRANSFER] = "transfer",
    [TRANSFER_ENDS] = "transfer-ends",
    [CHANGE] = "change",
    [COMPACT] = "compact",
};
enum { KINDS = sizeof kind_names / sizeof kind_names[0], LINE_MAX_BYTES = 512 };

static void print_snapshot(struct buffer *out, const struct packet *packet)
{
    buffer_printf(out, "%d->%d snapshot term=%d pos=%d:%d members=%d:", packet->from, packet->to,
                  packet->term, packet->pos_term, packet->pos_index, packet->round);
    list_print(out, list_of(packet->entries[0]));
}

static void print_packet(struct buffer *out, uint16_t number)
{
    struct raft_entry entries[LOG_MAX];
    const struct packet *packet = packet_at(number);
    if (packet->type == SNAPSHOT) {
        print_snapshot(out, packet);
        return;
    }
    struct raft_message message = unpack_message(packet, entries);
    raft_print_message(out, &message);
    for (uint32_t i = 0; i < packet->count; i++) {
        buffer_printf(out, "%s%d", i == 0 ? " terms=" : ",", term_of(packet->entries[i]));
        if (list_of(packet->entries[i]) != 0)
            list_print(out, list_of(packet->entries[i]));
    }
}

void step_print(struct buffer *out, struct step step)
{
    buffer_printf(out, "%d %s", step.node, kind_names[step.input.kind]);
    switch (step.input.kind) {
    case DELIVER:
    case DELIVER_LATE:
        buffer_printf(out, " ");
        print_packet(out, step.input.argument);
        break;
    case CRASH:
        buffer_printf(out, " keeps=%d applied=%d", step.input.argument / 16,
                      step.input.argument % 16);
        break;
    case READ:
    case PERSIST:
    case UNREACHABLE:
    case SILENCE:
    case TRANSFER:
    case COMPACT: buffer_printf(out, " %d", step.input.argument); break;
    case READ_FORWARDED:
        buffer_printf(out, " %d from=%d term=%d", read_of(step.input.argument),
                      sender_of(step.input.argument), sent_in(step.input.argument));
        break;
    case CHANGE:
        buffer_printf(out, " ");
        list_print(out, (uint8_t)step.input.argument);
        break;
    case FIRE:
    case HEARTBEAT:
    case STEP_DOWN:
    case PROPOSE:
    case FORWARD:
    case TRANSFER_ENDS: break;
    }
}

/* Among the packets that there are. */
static bool find_packet(const char *text, uint16_t *number)
{
    struct buffer printed = {0};
    bool found = false;
    for (uint32_t i = 0; i < packets_count() && !found; i++) {
        buffer_clear(&printed);
        print_packet(&printed, (uint16_t)i);
        buffer_append_byte(&printed, 0);
        found = !(packet_at((uint16_t)i)->flags & STALE) && strcmp(printed.data, text) == 0;
        *number = (uint16_t)i;
    }
    buffer_deinit(&printed);
    return found;
}

static bool find_list(const char *text, uint16_t *list)
{
    struct buffer printed = {0};
    bool found = false;
    for (*list = 1; *list < LISTS && !found; *list += !found) {
        buffer_clear(&printed);
        list_print(&printed, (uint8_t)*list);
        buffer_append_byte(&printed, 0);
        found = strcmp(printed.data, text) == 0;
    }
    buffer_deinit(&printed);
    return found;
}

static bool parse_argument(struct step *step, const char *text)
{
    int a, b, c;
    switch (step->input.kind) {
    case DELIVER:
    case DELIVER_LATE: return find_packet(text, &step->input.argument);
    case CRASH:
        if (sscanf(text, "keeps=%d applied=%d", &a, &b) != 2)
            return false;
        step->input.argument = (uint16_t)(a * 16 + b);
        return true;
    case READ:
    case PERSIST:
    case UNREACHABLE:
    case SILENCE:
    case TRANSFER:
    case COMPACT:
        if (sscanf(text, "%d", &a) != 1)
            return false;
        step->input.argument = (uint16_t)a;
        return true;
    case READ_FORWARDED:
        if (sscanf(text, "%d from=%d term=%d", &a, &b, &c) != 3)
            return false;
        step->input.argument = forwarded((uint8_t)a, (uint8_t)b, (uint8_t)c);
        return true;
    case CHANGE: return find_list(text, &step->input.argument);
    case FIRE:
    case HEARTBEAT:
    case STEP_DOWN:
    case PROPOSE:
    case FORWARD:
    case TRANSFER_ENDS: return true;
    }
    return false;
}

static bool parse_step(const char *line, struct step *step)
{
    char kind[32];
    int node, length = 0;
    if (sscanf(line, "%d %31s %n", &node, kind, &length) < 2 || node < 0 || node >= NODES)
        return false;
    *step = (struct step){.node = (uint8_t)node};
    for (uint32_t i = 0; i < KINDS; i++)
        if (strcmp(kind, kind_names[i]) == 0) {
            step->input.kind = (enum input_kind)i;
            return parse_argument(step, line + length);
        }
    return false;
}

static void say_step(const struct state *before, struct step step)
{
    struct buffer out = {0};
    step_print(&out, step);
    buffer_printf(&out, "\n");
    if (step.input.kind != FORWARD)
        node_step_aloud(before->node[step.node], step.input, &out);
    fwrite(out.data, 1, out.size, stdout);
    buffer_deinit(&out);
}

static void say_end(const struct state *state, enum verdict verdict)
{
    struct buffer out = {0};
    for (int i = 0; i < NODES; i++) {
        buffer_printf(&out, "# ");
        node_print(&out, node_at(state->node[i]));
        buffer_printf(&out, "\n");
    }
    fwrite(out.data, 1, out.size, stdout);
    printf("# %s\n", verdict_words(verdict));
    buffer_deinit(&out);
}

/* One step; a violation ends a run. */
static enum verdict run_step(struct state *state, struct step step, bool *possible, bool aloud)
{
    struct state before = *state;
    enum verdict verdict;
    *possible = take_step(state, step, &verdict, NULL);
    if (*possible && aloud)
        say_step(&before, step);
    return verdict;
}

enum verdict steps_run(const struct steps *steps, struct state *state, bool aloud)
{
    enum verdict verdict = FINE;
    first_state(state);
    for (uint32_t i = 0; i < steps->count && verdict == FINE; i++) {
        bool possible;
        verdict = run_step(state, steps->list[i], &possible, aloud);
        if (!possible)
            return BEYOND;
    }
    if (aloud)
        say_end(state, verdict);
    return verdict;
}

enum verdict script_run(const char *path, struct state *state, struct steps *steps, bool aloud)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fatal("cannot read %s", path);
    char line[LINE_MAX_BYTES];
    enum verdict verdict = FINE;
    first_state(state);
    for (int number = 1; verdict == FINE && fgets(line, sizeof line, file); number++) {
        struct step step;
        bool possible = true;
        line[strcspn(line, "#\n")] = 0;
        while (strlen(line) > 0 && line[strlen(line) - 1] == ' ')
            line[strlen(line) - 1] = 0;
        if (line[0] == 0)
            continue;
        if (!parse_step(line, &step))
            fatal("%s:%d: no such step, or no such packet yet: %s", path, number, line);
        verdict = run_step(state, step, &possible, aloud);
        if (!possible)
            fatal("%s:%d: not possible here, or beyond the bounds: %s", path, number, line);
        steps_add(steps, step);
    }
    fclose(file);
    if (aloud)
        say_end(state, verdict);
    return verdict;
}
