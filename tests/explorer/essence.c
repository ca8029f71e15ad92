/* What a reduction must not lose: states as far as safety speaks of them.  Terms, votes, logs,
 * disks, commit indexes and who leads; neither packets nor what waits, nor what candidates have
 * heard.  A search with reductions and one without must meet the same of these. */
#include <string.h>

#include "explorer.h"
#include "raft/raft_internal.h"

struct essence {
    struct {
        uint8_t leads, commit, durable, writes_count;
        struct image now, disk[WRITES_MAX];
    } node[NODES];
};

static struct interned essences;

static struct essence essence_of(const uint32_t *nodes, int renaming)
{
    struct essence essence;
    memset(&essence, 0, sizeof essence);
    for (uint32_t i = 0; i < NODES; i++) {
        const struct node *node = node_at(nodes[i]);
        uint8_t at = renamings[renaming][i];
        essence.node[at].leads = node->role == RAFT_LEADER;
        essence.node[at].commit = node->commit;
        essence.node[at].durable = node->durable;
        essence.node[at].writes_count = node->writes_count;
        essence.node[at].now = rename_image(&node->now, renaming);
        for (uint32_t j = 0; j < node->writes_count; j++)
            essence.node[at].disk[j] = rename_image(&node->disk[j], renaming);
    }
    return essence;
}

void essence_add(const uint32_t *nodes)
{
    if (essences.size == 0)
        interned_init(&essences, sizeof(struct essence));
    struct essence least = essence_of(nodes, 0);
    for (int renaming = 1; renaming < RENAMINGS; renaming++) {
        struct essence other = essence_of(nodes, renaming);
        if (memcmp(&other, &least, sizeof other) < 0)
            least = other;
    }
    intern(&essences, &least);
}

uint32_t essences_count(void)
{
    return essences.count;
}
