/* Nodes: each kept once; printed. */
#include <string.h>

#include "explorer.h"
#include "raft/print.h"

static struct interned nodes;

uint32_t node_number(const struct node *node)
{
    if (nodes.size == 0)
        interned_init(&nodes, sizeof *node);
    return intern(&nodes, node);
}

const struct node *node_at(uint32_t number)
{
    return interned_at(&nodes, number);
}

uint32_t nodes_count(void)
{
    return nodes.count;
}

uint32_t first_node(uint8_t self)
{
    struct node node;
    memset(&node, 0, sizeof node);
    node.self = self;
    node.leader = NONE;
    node.transfer_to = NONE;
    node.now.voted_for = NONE;
    node.now.base = first_list() >> self & 1 ? first_list() : 0;
    node.mortal = bounds.crashes > 0;
    return node_number(&node);
}

static bool in_order(const struct node *node, uint32_t i)
{
    if (node->withheld_seq[i] != node->withheld_seq[i + 1])
        return node->withheld_seq[i] < node->withheld_seq[i + 1];
    return memcmp(packet_at(node->withheld[i]), packet_at(node->withheld[i + 1]),
                  sizeof(struct packet)) <= 0;
}

void sort_withheld(struct node *node)
{
    for (uint32_t end = node->withheld_count; end > 1; end--)
        for (uint32_t i = 0; i + 1 < end; i++) {
            if (in_order(node, i))
                continue;
            uint16_t packet = node->withheld[i];
            uint8_t seq = node->withheld_seq[i];
            node->withheld[i] = node->withheld[i + 1];
            node->withheld_seq[i] = node->withheld_seq[i + 1];
            node->withheld[i + 1] = packet;
            node->withheld_seq[i + 1] = seq;
        }
}

static void print_name(struct buffer *out, const char *label, uint8_t name)
{
    if (name == NONE)
        buffer_printf(out, " %s=-", label);
    else
        buffer_printf(out, " %s=%d", label, name);
}

void image_print(struct buffer *out, const struct image *image)
{
    buffer_printf(out, "term=%d", image->term);
    print_name(out, "vote", image->voted_for);
    buffer_printf(out, " log=[");
    if (image->first > 0)
        buffer_printf(out, "begins behind %d:%d", image->log[image->first - 1], image->first);
    for (int i = image->first; i < image->last; i++) {
        buffer_printf(out, "%s%d", i > 0 ? " " : "", term_of(image->log[i]));
        if (list_of(image->log[i]) != 0)
            list_print(out, list_of(image->log[i]));
    }
    buffer_printf(out, "]");
    if (bounds.changes > 0) {
        buffer_printf(out, " members=");
        list_print(out, list_in_force(image));
    }
}

void node_print(struct buffer *out, const struct node *node)
{
    buffer_printf(out, "node %d: %s ", node->self, raft_role_name((enum raft_role)node->role));
    image_print(out, &node->now);
    print_name(out, "leader", node->leader);
    buffer_printf(out, " commit=%d durable=%d", node->commit, node->durable);
    for (int i = 0; i < node->writes_count; i++) {
        buffer_printf(out, i == 0 ? "; on disk: " : "; then: ");
        image_print(out, &node->disk[i]);
    }
}
