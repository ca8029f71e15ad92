/* What must hold of any one step of one node, whatever the others do. */
#include <string.h>

#include "core.h"

/* ---- what must hold of any one step -------------------------------------------------------- */

static bool holds(const struct image *image, uint8_t term, uint8_t index)
{
    return index < image->first || index == 0 ||
           (index <= image->last && term_of(image->log[index - 1]) == term);
}

enum verdict check_change(const struct node *before, const struct node *after)
{
    if (before->role == RAFT_LEADER && after->role == RAFT_LEADER &&
        before->now.term == after->now.term &&
        !image_has_prefix(&after->now, &before->now, before->now.last))
        return LEADER_CHANGED_ITS_LOG;
    if (after->commit < before->commit)
        return COMMIT_FELL;
    if (!image_has_prefix(&after->now, &before->now, before->commit))
        return COMMITTED_CHANGED;
    return FINE;
}

/* What the write makes of the image before it must be what the core now thinks. */
enum verdict check_write(const struct node *before, const struct node *after,
                         const struct raft_write *write)
{
    struct image image = before->now;
    if (write->seq == 0)
        return memcmp(&image, &after->now, sizeof image) == 0 ? FINE : CHANGED_WITHOUT_WRITE;
    image.term = (uint8_t)write->term;
    image.voted_for = write->voted_for == RAFT_NOBODY ? NONE : (uint8_t)write->voted_for;
    for (uint32_t i = 0; i < write->count; i++) {
        struct raft_pos pos = write->entries[i].pos;
        struct raft_members members = {.count = 0};
        bool is_list = write->entries[i].type == RAFT_ENTRY_MEMBERS;
        if (pos.index <= image.first || pos.index > LOG_MAX || pos.index > image.last + 1u)
            return WRITE_DIFFERS;
        if (is_list && !raft_members_of_entry(&write->entries[i], &members))
            return WRITE_DIFFERS;
        memset(image.log + pos.index - 1, 0, LOG_MAX - (pos.index - 1));
        image.log[pos.index - 1] = entry_of((uint8_t)pos.term, list_of_members(&members));
        image.last = (uint8_t)pos.index;
    }
    return memcmp(&image, &after->now, sizeof image) == 0 ? FINE : WRITE_DIFFERS;
}

/* The list in force is that of the last entry which holds one; where the log begins, the last that
 * was cut off with what is below. */
enum verdict check_list(const struct raft *raft, const struct node *after)
{
    uint8_t list = list_in_force(&after->now);
    bool same = raft_members_equal(&raft->members, members_of_list(list)) &&
                raft_members_equal(&raft->history.base, members_of_list(after->now.base)) &&
                raft->self == raft_members_place(members_of_list(list), after->self);
    return same ? FINE : LIST_IS_NOT_THE_LAST;
}

/* What the message promises must hold of everything that a crash may leave on the disk. */
static enum verdict check_promise(const struct image *image, const struct packet *packet)
{
    if (packet->type == RAFT_VOTE_RESPONSE && (packet->flags & (GRANTED | PRE_VOTE)) == GRANTED &&
        !(image->term > packet->term ||
          (image->term == packet->term && image->voted_for == packet->to)))
        return VOTE_NOT_DURABLE;
    if (packet->type == RAFT_VOTE_REQUEST && !(packet->flags & PRE_VOTE) &&
        !(image->term > packet->term ||
          (image->term == packet->term && image->voted_for == packet->from)))
        return CANDIDACY_NOT_DURABLE;
    if (packet->type == RAFT_APPEND_RESPONSE && (packet->flags & MATCHED) &&
        !(image->term > packet->term ||
          (image->term == packet->term && holds(image, packet->pos_term, packet->pos_index))))
        return MATCH_NOT_DURABLE;
    return FINE;
}

enum verdict check_promises(const struct node *after, const struct outcome *outcome)
{
    enum verdict verdict = FINE;
    for (uint32_t i = 0; i < outcome->sent_count && verdict == FINE; i++) {
        const struct packet *packet = packet_at(outcome->sent[i]);
        for (uint32_t j = 0; j < after->writes_count && verdict == FINE; j++)
            verdict = check_promise(&after->disk[j], packet);
        if (verdict == FINE)
            verdict = check_promise(&after->now, packet);
    }
    return verdict;
}
