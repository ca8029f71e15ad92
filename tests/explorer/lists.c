/* Lists of members, and logs that hold some: as bytes here, as the core has them there. */
#include <string.h>

#include "base/fatal.h"
#include "explorer.h"
#include "raft/raft_internal.h"

uint8_t first_list(void)
{
    return (uint8_t)((1 << bounds.voters) - 1);
}

/* ---- logs ------------------------------------------------------------------------------- */

uint8_t list_at(const struct image *image, uint8_t index, uint8_t *stands_at)
{
    for (uint8_t i = index; i > image->first; i--)
        if (list_of(image->log[i - 1]) != 0) {
            *stands_at = i;
            return list_of(image->log[i - 1]);
        }
    *stands_at = image->base_index;
    return image->base;
}

uint8_t list_in_force(const struct image *image)
{
    uint8_t stands_at;
    return list_at(image, image->last, &stands_at);
}

struct image image_compacted(const struct image *image, uint8_t index)
{
    struct image result = *image;
    check(index > image->first && index <= image->last);
    result.first = index;
    result.base = list_at(image, index, &result.base_index);
    memset(result.log, 0, index - 1u);
    result.log[index - 1] = term_of(image->log[index - 1]);
    return result;
}

bool image_holds(const struct image *image, uint8_t entry, uint8_t index)
{
    if (index < image->first)
        return true;
    if (index == image->first)
        return index == 0 || image->log[index - 1] == term_of(entry);
    return index <= image->last && image->log[index - 1] == entry;
}

bool image_has_prefix(const struct image *image, const struct image *prefix, uint8_t count)
{
    if (image->last < count)
        return false;
    uint8_t first = image->first > prefix->first ? image->first : prefix->first;
    for (uint8_t i = first; i <= count; i++) {
        if (i == 0)
            continue;
        uint8_t a = image->log[i - 1], b = prefix->log[i - 1];
        if (i == first ? term_of(a) != term_of(b) : a != b)
            return false;
    }
    return true;
}

/* ---- lists ------------------------------------------------------------------------------ */

/* The list of nobody is that of a node which is to be taken in. */
static struct raft_members make_members(uint8_t list)
{
    struct raft_members members = {.count = 0};
    for (uint32_t i = 0; i < NODES && list != 0; i++) {
        bool voter = list >> i & 1;
        if (voter || bounds.learners)
            members.list[members.count++] = (struct raft_member){.id = i, .voter = voter};
    }
    return members;
}

const struct raft_members *members_of_list(uint8_t list)
{
    static struct raft_members all[LISTS];
    static bool made;
    for (uint32_t i = 0; i < LISTS && !made; i++)
        all[i] = make_members((uint8_t)i);
    made = true;
    return &all[list];
}

struct raft_entry list_entry(struct raft_pos pos, uint8_t list)
{
    static struct blob *blobs[LISTS];
    struct raft_entry entry = {.pos = pos};
    if (list == 0)
        return entry;
    if (!blobs[list])
        blobs[list] = raft_members_blob(members_of_list(list));
    entry.type = RAFT_ENTRY_MEMBERS;
    entry.payload = blobs[list];
    return entry;
}

uint8_t list_of_members(const struct raft_members *members)
{
    uint8_t list = 0;
    for (uint32_t i = 0; i < members->count; i++)
        if (members->list[i].voter)
            list |= (uint8_t)(1u << members->list[i].id);
    return list;
}

void list_print(struct buffer *out, uint8_t list)
{
    const char *before = "{";
    for (int i = 0; i < NODES; i++)
        if (list >> i & 1) {
            buffer_printf(out, "%s%d", before, i);
            before = ",";
        }
    buffer_printf(out, list == 0 ? "{}" : "}");
}
