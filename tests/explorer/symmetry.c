/* Other names for the nodes.  The core treats all names alike (core.c looks), so states that differ
 * by a renaming have the same future, and only one of them is kept. */
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

const uint8_t renamings[RENAMINGS][NODES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                             {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

static uint8_t renamed(int renaming, uint8_t name)
{
    return name < NODES ? renamings[renaming][name] : name;
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
        *place = packet_number(&packet);
    }
    return (uint16_t)*place;
}

static void rename_image(struct image *image, int renaming)
{
    image->voted_for = renamed(renaming, image->voted_for);
}

static void rename_parts(struct node *node, const struct node *old, int renaming)
{
    node->self = renamed(renaming, old->self);
    node->leader = renamed(renaming, old->leader);
    node->transfer_to = renamed(renaming, old->transfer_to);
    rename_image(&node->now, renaming);
    for (uint32_t i = 0; i < node->writes_count; i++)
        rename_image(&node->disk[i], renaming);
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

struct input rename_input(struct input input, int renaming)
{
    switch (input.kind) {
    case DELIVER:
    case DELIVER_LATE: input.argument = rename_packet(input.argument, renaming); break;
    case UNREACHABLE:
    case SILENCE:
    case TRANSFER: input.argument = renamed(renaming, (uint8_t)input.argument); break;
    case FIRE:
    case HEARTBEAT:
    case STEP_DOWN:
    case PROPOSE:
    case READ:
    case PERSIST:
    case CRASH:
    case TRANSFER_ENDS: break;
    }
    return input;
}
