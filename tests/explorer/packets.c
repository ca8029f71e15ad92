/* Packets, and the sets of them that were ever sent on a channel. */
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "explorer.h"

static struct interned packets;

struct packet pack_message(const struct raft_message *message)
{
    struct packet packet = {.type = (uint8_t)message->type,
                            .from = (uint8_t)message->from,
                            .to = (uint8_t)message->to,
                            .term = (uint8_t)message->term};
    struct raft_pos pos = {0, 0};
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        pos = message->vote_request.last;
        packet.flags = (uint8_t)((message->vote_request.pre_vote ? PRE_VOTE : 0) |
                                 (message->vote_request.transfer ? BY_TRANSFER : 0));
        break;
    case RAFT_VOTE_RESPONSE:
        packet.flags = (uint8_t)((message->vote_response.pre_vote ? PRE_VOTE : 0) |
                                 (message->vote_response.granted ? GRANTED : 0));
        break;
    case RAFT_APPEND_REQUEST:
        pos = message->append_request.prev;
        packet.commit = (uint8_t)message->append_request.commit;
        packet.round = (uint8_t)message->append_request.round;
        packet.count = (uint8_t)message->append_request.count;
        break;
    case RAFT_APPEND_RESPONSE:
        pos = message->append_response.hint;
        packet.round = (uint8_t)message->append_response.round;
        packet.flags = message->append_response.matched ? MATCHED : 0;
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
    packet.pos_term = (uint8_t)pos.term;
    packet.pos_index = (uint8_t)pos.index;
    return packet;
}

struct raft_message unpack_message(const struct packet *packet, struct raft_entry *entries)
{
    struct raft_message message;
    memset(&message, 0, sizeof message);
    message.type = (enum raft_message_type)packet->type;
    message.from = packet->from;
    message.to = packet->to;
    message.term = packet->term;
    struct raft_pos pos = {packet->pos_term, packet->pos_index};
    switch (message.type) {
    case RAFT_VOTE_REQUEST:
        message.vote_request.last = pos;
        message.vote_request.pre_vote = packet->flags & PRE_VOTE;
        message.vote_request.transfer = packet->flags & BY_TRANSFER;
        break;
    case RAFT_VOTE_RESPONSE:
        message.vote_response.pre_vote = packet->flags & PRE_VOTE;
        message.vote_response.granted = packet->flags & GRANTED;
        break;
    case RAFT_APPEND_REQUEST:
        message.append_request.prev = pos;
        message.append_request.commit = packet->commit;
        message.append_request.round = packet->round;
        message.append_request.count = packet->count;
        message.append_request.entries = entries;
        for (uint32_t i = 0; i < packet->count; i++)
            entries[i] =
                list_entry((struct raft_pos){term_of(packet->entries[i]), pos.index + 1 + i},
                           list_of(packet->entries[i]));
        break;
    case RAFT_APPEND_RESPONSE:
        message.append_response.hint = pos;
        message.append_response.round = packet->round;
        message.append_response.matched = packet->flags & MATCHED;
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
    return message;
}

uint16_t packet_number(const struct packet *packet)
{
    if (packets.size == 0)
        interned_init(&packets, sizeof *packet);
    uint32_t number = intern(&packets, packet);
    check(number < UINT16_MAX);
    return (uint16_t)number;
}

const struct packet *packet_at(uint16_t number)
{
    return interned_at(&packets, number);
}

uint32_t packets_count(void)
{
    return packets.count;
}

/* ---- sets: each kept once; a set and one packet more give a set, found by a map
 * ---------------- */

static struct {
    struct packet_set *sets;
    uint32_t count, capacity;
    uint32_t *slots, mask; /* number + 1 */
    struct map with;
} all;

struct packet_set set_at(uint32_t set)
{
    return all.count == 0 ? (struct packet_set){0} : all.sets[set];
}

uint32_t sets_count(void)
{
    return all.count;
}

static uint32_t *set_slot(const struct packet_set *set)
{
    uint32_t at = (uint32_t)hash_bytes(set->packets, set->count * sizeof *set->packets) & all.mask;
    for (; all.slots[at] != 0; at = (at + 1) & all.mask) {
        const struct packet_set *other = &all.sets[all.slots[at] - 1];
        if (other->count == set->count &&
            memcmp(other->packets, set->packets, set->count * sizeof *set->packets) == 0)
            break;
    }
    return &all.slots[at];
}

static void sets_grow(void)
{
    all.capacity = all.capacity ? all.capacity * 2 : 1024;
    all.sets = memory_resize(all.sets, all.capacity * sizeof *all.sets);
    memory_free(all.slots);
    all.mask = all.capacity * 2 - 1;
    all.slots = memory_new(((size_t)all.mask + 1) * sizeof *all.slots);
    for (uint32_t i = 0; i < all.count; i++)
        *set_slot(&all.sets[i]) = i + 1;
}

static uint32_t set_number(const uint16_t *list, uint32_t count)
{
    if (all.count == all.capacity)
        sets_grow();
    struct packet_set set = {.count = count, .packets = list};
    uint32_t *slot = set_slot(&set);
    if (*slot != 0)
        return *slot - 1;
    for (uint32_t i = 0; i < count; i++)
        set.shadow |= UINT64_C(1) << (list[i] % 64);
    set.packets = memory_copy(list, count * sizeof *list);
    all.sets[all.count++] = set;
    *slot = all.count;
    return all.count - 1;
}

bool set_has(uint32_t number, uint16_t packet)
{
    struct packet_set set = set_at(number);
    uint32_t low = 0, high = set.count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (set.packets[middle] < packet)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set.count && set.packets[low] == packet;
}

uint32_t set_with(uint32_t number, uint16_t packet)
{
    if (all.count == 0)
        check(set_number(NULL, 0) == 0);
    bool is_new;
    uint64_t key = ((uint64_t)number << 16 | packet) + 1;
    uint32_t *known = map_at(&all.with, key, &is_new);
    if (!is_new)
        return *known;
    struct packet_set set = all.sets[number];
    uint16_t *list = memory_new((set.count + 1) * sizeof *list);
    uint32_t count = 0;
    for (uint32_t i = 0; i < set.count && set.packets[i] < packet; i++)
        list[count++] = set.packets[i];
    bool there = count < set.count && set.packets[count] == packet;
    uint32_t rest = count;
    if (!there)
        list[count++] = packet;
    for (uint32_t i = rest; i < set.count; i++)
        list[count++] = set.packets[i];
    uint32_t result = set_number(list, count);
    memory_free(list);
    *known = result;
    return result;
}

uint32_t set_union(uint32_t a, uint32_t b)
{
    static struct map known;
    if (a == b || b == 0)
        return a;
    if (a == 0)
        return b;
    bool is_new;
    uint32_t *place = map_at(&known, (uint64_t)a << 32 | b, &is_new);
    if (!is_new)
        return *place;
    uint32_t result = a;
    struct packet_set more = set_at(b);
    for (uint32_t i = 0; i < more.count; i++)
        result = set_with(result, more.packets[i]);
    *place = result;
    return result;
}

bool set_includes(uint32_t number, uint32_t other)
{
    if (number == other || other == 0)
        return true;
    struct packet_set all_of = set_at(number), some = set_at(other);
    if (some.count > all_of.count || (some.shadow & ~all_of.shadow) != 0)
        return false;
    uint32_t at = 0;
    for (uint32_t i = 0; i < some.count; i++) {
        while (at < all_of.count && all_of.packets[at] < some.packets[i])
            at++;
        if (at == all_of.count || all_of.packets[at] != some.packets[i])
            return false;
    }
    return true;
}
