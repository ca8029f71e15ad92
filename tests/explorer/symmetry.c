/* Other names for the nodes.  The core treats all names alike (core.c looks), so states that differ
 * by a renaming have the same future, and only one of them is kept. */
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

uint8_t renamings[RENAMINGS][NODES];

/* All orders of the names, rising. */
void renamings_init(void)
{
    uint8_t order[NODES];
    for (uint8_t i = 0; i < NODES; i++)
        order[i] = i;
    for (int renaming = 0; renaming < RENAMINGS; renaming++) {
        memcpy(renamings[renaming], order, sizeof order);
        int at = NODES - 2, with = NODES - 1;
        while (at >= 0 && order[at] > order[at + 1])
            at--;
        if (at < 0)
            break;
        while (order[with] < order[at])
            with--;
        uint8_t moved = order[at];
        order[at] = order[with];
        order[with] = moved;
        for (int low = at + 1, high = NODES - 1; low < high; low++, high--) {
            moved = order[low];
            order[low] = order[high];
            order[high] = moved;
        }
    }
}

static uint8_t renamed(int renaming, uint8_t name)
{
    return name < NODES ? renamings[renaming][name] : name;
}

static uint8_t rename_list(uint8_t list, int renaming)
{
    uint8_t result = 0;
    for (uint8_t i = 0; i < NODES; i++)
        if (list >> i & 1)
            result |= (uint8_t)(1u << renamings[renaming][i]);
    return result;
}

void rename_entries(uint8_t entries[LOG_MAX], int renaming)
{
    for (uint32_t i = 0; i < LOG_MAX; i++)
        if (list_of(entries[i]) != 0)
            entries[i] = entry_of(term_of(entries[i]), rename_list(list_of(entries[i]), renaming));
}

/* Where a map keeps what a thing, by its number, is called under a renaming. */
static uint32_t *known_as(struct map *known, uint32_t number, int renaming, bool *is_new)
{
    return map_at(known, (uint64_t)number * RENAMINGS + (uint64_t)renaming + 1, is_new);
}

uint16_t rename_packet(uint16_t number, int renaming)
{
    static struct map known;
    bool is_new;
    uint32_t *place = known_as(&known, number, renaming, &is_new);
    if (is_new) {
        struct packet packet = *packet_at(number);
        packet.from = renamed(renaming, packet.from);
        packet.to = renamed(renaming, packet.to);
        rename_entries(packet.entries, renaming);
        *place = packet_number(&packet);
    }
    return (uint16_t)*place;
}

struct image rename_image(const struct image *image, int renaming)
{
    struct image result = *image;
    result.voted_for = renamed(renaming, image->voted_for);
    result.base = rename_list(image->base, renaming);
    rename_entries(result.log, renaming);
    return result;
}

static void rename_parts(struct node *node, const struct node *old, int renaming)
{
    node->self = renamed(renaming, old->self);
    node->leader = renamed(renaming, old->leader);
    node->transfer_to = renamed(renaming, old->transfer_to);
    node->now = rename_image(&old->now, renaming);
    for (uint32_t i = 0; i < node->writes_count; i++)
        node->disk[i] = rename_image(&old->disk[i], renaming);
    for (uint32_t i = 0; i < node->withheld_count; i++)
        node->withheld[i] = rename_packet(old->withheld[i], renaming);
    sort_withheld(node);
    for (uint8_t i = 0; i < NODES; i++) {
        node->votes[renamed(renaming, i)] = old->votes[i];
        node->progress[renamed(renaming, i)] = old->progress[i];
    }
}

uint32_t rename_node(uint32_t number, int renaming)
{
    static struct map known;
    bool is_new;
    uint32_t *place = known_as(&known, number, renaming, &is_new);
    if (is_new) {
        struct node old = *node_at(number), node = old;
        rename_parts(&node, &old, renaming);
        *place = node_number(&node);
    }
    return *place;
}

uint32_t rename_set(uint32_t number, int renaming)
{
    static struct map known;
    bool is_new;
    uint32_t *place = known_as(&known, number, renaming, &is_new);
    if (!is_new)
        return *place;
    uint32_t result = 0;
    struct packet_set set = set_at(number);
    for (uint32_t i = 0; i < set.count; i++)
        result = set_with(result, rename_packet(set.packets[i], renaming));
    *place = result;
    return result;
}

uint16_t rename_forwarded(uint16_t number, int renaming)
{
    return forwarded(read_of(number), renamed(renaming, sender_of(number)), sent_in(number));
}

struct input rename_input(struct input input, int renaming)
{
    switch (input.kind) {
    case DELIVER:
    case DELIVER_LATE: input.argument = rename_packet(input.argument, renaming); break;
    case UNREACHABLE:
    case SILENCE:
    case TRANSFER: input.argument = renamed(renaming, (uint8_t)input.argument); break;
    case READ_FORWARDED: input.argument = rename_forwarded(input.argument, renaming); break;
    case CHANGE: input.argument = rename_list((uint8_t)input.argument, renaming); break;
    case FIRE:
    case HEARTBEAT:
    case STEP_DOWN:
    case PROPOSE:
    case READ:
    case FORWARD:
    case PERSIST:
    case CRASH:
    case TRANSFER_ENDS:
    case COMPACT: break;
    }
    return input;
}
