/* Ghosts: which data directory is whose.  The product tells directories apart by their lives, which
 * it may not know yet, or no more; the world knows all of them, and a vote, an acknowledgement or
 * an entry on disk is one of a directory, never of a name. */
#include "base/fatal.h"
#include "sim.h"

static struct sim_directory directories[SIM_DIRECTORIES_MAX];
static uint32_t count;

uint32_t sim_directory_new(raft_node_id name, uint64_t life, uint32_t machine)
{
    check(count < SIM_DIRECTORIES_MAX);
    directories[count] = (struct sim_directory){.name = name, .life = life, .machine = machine};
    return count++;
}

struct sim_directory *sim_directory(uint32_t number)
{
    check(number < count);
    return &directories[number];
}

const struct sim_image *sim_directory_image(uint32_t number)
{
    const struct sim_directory *directory = sim_directory(number);
    const struct sim_node *node = &sim.nodes[directory->machine];
    return directory->is_lost || node->is_old ? &directory->image : &node->image;
}

/* A voter whose life is not known is of the configured list: the first of that name.  The place of
 * a learner without one is nobody's. */
uint32_t sim_directory_of(const struct raft_member *member)
{
    for (uint32_t i = 0; i < count; i++)
        if (member->life ? directories[i].life == member->life
                         : member->voter && directories[i].name == member->id)
            return i;
    return SIM_NO_DIRECTORY;
}

struct sim_voters sim_voters_of(const struct raft_members *members)
{
    struct sim_voters voters = {0};
    for (uint32_t place = 0; place < members->count; place++)
        if (members->list[place].voter)
            voters.directories[voters.count++] = sim_directory_of(&members->list[place]);
    return voters;
}

uint32_t sim_majority_of(const struct sim_voters *voters)
{
    return voters->count / 2 + 1;
}

uint32_t sim_images_with(struct raft_pos pos, const struct sim_voters *voters)
{
    uint32_t with = 0;
    for (uint32_t i = 0; i < voters->count; i++)
        with += voters->directories[i] != SIM_NO_DIRECTORY &&
                sim_log_has(sim_directory_image(voters->directories[i])->tip, pos);
    return with;
}

uint32_t sim_directories(void)
{
    return count;
}

void sim_directories_free(void)
{
    count = 0;
}
