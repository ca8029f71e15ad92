/* Who the members are: state of the log (4.1).
 *
 * A members entry holds the whole list.  It is in force from the moment it is appended, not when it
 * is committed, and no longer when it is cut.  The list at the log's beginning is kept for those
 * that stand below no entry (a restart, a compacted log).
 *
 * Two lists that follow each other differ by one voter at most, so a majority of the one meets
 * every majority of the other.  A leader appends the next only when the last is committed, and only
 * when it has committed an entry of its own term: else a list that an earlier leader appended, and
 * that may still come back, could follow the same list as ours, and the two differ by two (the bug
 * of 2015 in the thesis's algorithm).
 *
 * A member is its id and its life.  With another life it is another node, of which a leader knows
 * nothing, whatever the id remembers.
 *
 * Bytes of a list:
 *
 *     0   1  version: 1
 *     1   1  how many
 *     ...    of each, ids rising: u64 id · u64 life · u8 1 a voter, 0 a learner, 2 one that is to
 *            become a voter
 *            · u8 size and bytes of the peer address · u8 size and bytes of the client address */
#include <string.h>

#include "base/blob.h"
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "raft/raft_internal.h"

enum { KIND_LEARNER, KIND_VOTER, KIND_JOINING };
enum { LIST_VERSION = 1, LIST_HEAD = 2, MEMBER_HEAD = 17, HISTORY_FIRST = 4 };

/* ---- bytes -------------------------------------------------------------------------- */

static void put_text(struct buffer *out, const char *text)
{
    size_t size = strlen(text);
    check(size < RAFT_ADDRESS_SIZE); /* take_text() */
    buffer_append_byte(out, (char)size);
    buffer_append(out, text, size);
}

void raft_members_encode(struct buffer *out, const struct raft_members *members)
{
    check(members->count <= RAFT_MEMBERS_MAX);
    buffer_append_byte(out, LIST_VERSION);
    buffer_append_byte(out, (char)members->count);
    for (uint32_t place = 0; place < members->count; place++) {
        const struct raft_member *member = &members->list[place];
        unsigned char head[MEMBER_HEAD];
        check(place == 0 || member->id > member[-1].id); /* else nobody could read it */
        put_u64(head, member->id);
        put_u64(head + 8, member->life);
        head[16] = member->voter ? KIND_VOTER : member->joining ? KIND_JOINING : KIND_LEARNER;
        buffer_append(out, head, sizeof head);
        put_text(out, member->address);
        put_text(out, member->client);
    }
}

struct blob *raft_members_blob(const struct raft_members *members)
{
    struct buffer bytes = {0};
    raft_members_encode(&bytes, members);
    struct blob *blob = blob_copy(buffer_bytes(&bytes));
    buffer_deinit(&bytes);
    return blob;
}

/* Printable and without blanks, since it goes into replies.  False: it is not, or cut short. */
static bool take_text(struct bytes *rest, char text[RAFT_ADDRESS_SIZE])
{
    const char *from = rest->data;
    if (rest->size == 0)
        return false;
    size_t size = (unsigned char)from[0];
    if (size >= RAFT_ADDRESS_SIZE || size > rest->size - 1)
        return false;
    memset(text, 0, RAFT_ADDRESS_SIZE);
    for (size_t i = 0; i < size; i++) {
        text[i] = from[1 + i];
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    *rest = bytes_of(from + 1 + size, rest->size - 1 - size);
    return true;
}

static bool take_member(struct bytes *rest, struct raft_member *member)
{
    const unsigned char *head = rest->data;
    if (rest->size < MEMBER_HEAD || head[16] > KIND_JOINING)
        return false;
    member->id = get_u64(head);
    member->life = get_u64(head + 8);
    member->voter = head[16] == KIND_VOTER;
    member->joining = head[16] == KIND_JOINING;
    *rest = bytes_of(head + MEMBER_HEAD, rest->size - MEMBER_HEAD);
    return member->id != RAFT_NOBODY && take_text(rest, member->address) &&
           take_text(rest, member->client);
}

bool raft_members_decode(struct raft_members *members, struct bytes bytes)
{
    *members = (struct raft_members){.count = 0};
    const unsigned char *head = bytes.data;
    if (bytes.size < LIST_HEAD || head[0] != LIST_VERSION)
        return false;
    uint32_t count = head[1];
    struct bytes rest = bytes_of(head + LIST_HEAD, bytes.size - LIST_HEAD);
    if (count > RAFT_MEMBERS_MAX)
        return false;
    for (; members->count < count; members->count++) {
        struct raft_member *member = &members->list[members->count];
        if (!take_member(&rest, member))
            return false;
        if (members->count > 0 && member->id <= member[-1].id)
            return false;
    }
    return rest.size == 0;
}

bool raft_members_of_entry(const struct raft_entry *entry, struct raft_members *members)
{
    return entry->type == RAFT_ENTRY_MEMBERS && entry->payload &&
           raft_members_decode(members, blob_bytes(entry->payload)) &&
           raft_members_voters(members) > 0;
}

/* ---- lists --------------------------------------------------------------------------- */

uint32_t raft_members_place(const struct raft_members *members, raft_node_id id)
{
    uint32_t place = 0;
    while (place < members->count && members->list[place].id != id)
        place++;
    return place;
}

uint32_t raft_members_voters(const struct raft_members *members)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < members->count; place++)
        count += members->list[place].voter;
    return count;
}

bool raft_members_equal(const struct raft_members *one, const struct raft_members *other)
{
    if (one->count != other->count)
        return false;
    for (uint32_t place = 0; place < one->count; place++) {
        const struct raft_member *a = &one->list[place], *b = &other->list[place];
        if (a->id != b->id || a->life != b->life || a->voter != b->voter ||
            a->joining != b->joining || strcmp(a->address, b->address) != 0 ||
            strcmp(a->client, b->client) != 0)
            return false;
    }
    return true;
}

/* A life that was not known may become known. */
static bool stays_the_node(const struct raft_member *old, const struct raft_member *now)
{
    return old->id == now->id && (old->life == 0 || old->life == now->life);
}

/* Voters of a list that are none in the one behind it (`forward`), or before it. */
static uint32_t voters_gone(const struct raft_members *one_list,
                            const struct raft_members *other_list, bool forward)
{
    uint32_t gone = 0;
    for (uint32_t place = 0; place < one_list->count; place++) {
        const struct raft_member *one = &one_list->list[place];
        uint32_t at = raft_members_place(other_list, one->id);
        const struct raft_member *other = at < other_list->count ? &other_list->list[at] : NULL;
        bool stays = other && other->voter &&
                     (forward ? stays_the_node(one, other) : stays_the_node(other, one));
        gone += one->voter && !stays;
    }
    return gone;
}

bool raft_members_one_step(const struct raft_members *old, const struct raft_members *now)
{
    return raft_members_voters(now) > 0 &&
           voters_gone(old, now, true) + voters_gone(now, old, false) <= 1;
}

/* ---- the lists of the log ------------------------------------------------------------- */

static void history_init(struct raft_history *history, const struct raft_saved *saved)
{
    check(saved->members_index <= saved->first.index);
    check(saved->members.count <= RAFT_MEMBERS_MAX);
    *history = (struct raft_history){.base = saved->members, .base_index = saved->members_index};
}

void raft_history_deinit(struct raft_history *history)
{
    memory_free(history->changes);
    *history = (struct raft_history){.count = 0};
}

static void history_append(struct raft_history *history, raft_index index,
                           const struct raft_members *members)
{
    check(history->count == 0 || history->changes[history->count - 1].index < index);
    check(history->base_index < index);
    if (history->count == history->capacity) {
        history->capacity = history->capacity ? history->capacity * 2 : HISTORY_FIRST;
        history->changes =
            memory_resize(history->changes, history->capacity * sizeof *history->changes);
    }
    history->changes[history->count++] = (struct raft_members_change){index, *members};
}

static void history_compact(struct raft_history *history, raft_index up_to)
{
    uint32_t gone = 0;
    while (gone < history->count && history->changes[gone].index <= up_to)
        gone++;
    if (gone == 0)
        return;
    check(history->changes[gone - 1].index > history->base_index);
    history->base = history->changes[gone - 1].members;
    history->base_index = history->changes[gone - 1].index;
    history->count -= gone;
    memmove(history->changes, history->changes + gone, history->count * sizeof *history->changes);
}

/* How many of the changes stand up to `index`. */
static uint32_t changes_up_to(const struct raft_history *history, raft_index index)
{
    uint32_t at = history->count;
    while (at > 0 && history->changes[at - 1].index > index)
        at--;
    return at;
}

const struct raft_members *raft_members_at(const struct raft *raft, raft_index index)
{
    const struct raft_history *history = &raft->history;
    check(index >= raft->trail.first.index);
    check(index <= raft->trail.last);
    uint32_t at = changes_up_to(history, index);
    return at > 0 ? &history->changes[at - 1].members : &history->base;
}

raft_index raft_members_index_at(const struct raft *raft, raft_index index)
{
    const struct raft_history *history = &raft->history;
    check(index >= raft->trail.first.index);
    check(index <= raft->trail.last);
    uint32_t at = changes_up_to(history, index);
    return at > 0 ? history->changes[at - 1].index : history->base_index;
}

raft_index raft_members_index(const struct raft *raft)
{
    const struct raft_history *history = &raft->history;
    return history->count > 0 ? history->changes[history->count - 1].index : history->base_index;
}

/* ---- the list in force ------------------------------------------------------------------- */

/* What is known of each member moves to its new place.  Of a new one a leader knows nothing, nor of
 * one whose life was not known: it may have lost what it had. */
static void move_places(struct raft *raft, const struct raft_members *now)
{
    struct raft_state *state = &raft->state;
    struct progress progress[RAFT_MEMBERS_MAX];
    enum vote_state votes[RAFT_MEMBERS_MAX];
    check(now->count <= RAFT_MEMBERS_MAX);
    memcpy(progress, state->progress, sizeof progress);
    memcpy(votes, state->votes, sizeof votes);
    for (uint32_t place = 0; place < now->count; place++) {
        uint32_t before = raft_members_place(&raft->members, now->list[place].id);
        bool known = before < raft->members.count &&
                     raft->members.list[before].life == now->list[place].life;
        if (known)
            state->progress[place] = progress[before];
        else
            raft_progress_begin(raft, place);
        state->votes[place] = known ? votes[before] : VOTE_NONE;
    }
}

static void take_list_in_force(struct raft *raft)
{
    const struct raft_members *now = raft_members_at(raft, raft->trail.last);
    move_places(raft, now);
    raft->members = *now;
    raft->self = raft_members_place(now, raft->config.id);
}

void raft_members_boot(struct raft *raft, const struct raft_saved *saved)
{
    history_init(&raft->history, saved);
    for (uint64_t i = 0; i < saved->entries_count; i++) {
        struct raft_members members;
        if (saved->entries[i].type != RAFT_ENTRY_MEMBERS)
            continue;
        if (!raft_members_of_entry(&saved->entries[i], &members))
            fatal("log entry %llu holds no list of members",
                  (unsigned long long)saved->entries[i].pos.index);
        history_append(&raft->history, saved->entries[i].pos.index, &members);
    }
    take_list_in_force(raft);
}

void raft_members_appended(struct raft *raft, const struct raft_entry *entries, uint32_t count)
{
    struct raft_members members;
    bool changed = false;
    check(count > 0);
    check(entries[count - 1].pos.index == raft->trail.last);
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].type != RAFT_ENTRY_MEMBERS)
            continue;
        check(raft_members_of_entry(&entries[i], &members));
        history_append(&raft->history, entries[i].pos.index, &members);
        changed = true;
    }
    if (changed)
        take_list_in_force(raft);
}

void raft_members_cut(struct raft *raft, raft_index from)
{
    struct raft_history *history = &raft->history;
    uint32_t before = history->count;
    check(history->base_index < from);
    check(raft->trail.last < from); /* the list in force is that of what is left */
    while (history->count > 0 && history->changes[history->count - 1].index >= from)
        history->count--;
    if (history->count < before)
        take_list_in_force(raft);
}

void raft_members_compact(struct raft *raft, raft_index up_to)
{
    check(raft->trail.first.index >= up_to);
    history_compact(&raft->history, up_to);
}

/* Who is to lose its vote by a list that is not known to be committed may be needed until it is
 * (4.2.2): it may hold what of the others only one that forgot it had, and then they cannot be
 * elected without its vote, which it does not give to a shorter log.  It does not count itself. */
bool raft_members_may_stand(const struct raft *raft)
{
    const struct raft_members *before = raft_members_at(raft, raft->state.commit);
    uint32_t place = raft_members_place(before, raft->config.id);
    if (raft_is_voter(raft, raft->self))
        return true;
    return raft_members_index(raft) > raft->state.commit && raft->self < RAFT_MEMBERS_MAX &&
           place < before->count && before->list[place].voter;
}

/* ---- a leader ------------------------------------------------------------------------------ */

bool raft_takes_members(const struct raft *raft)
{
    const struct raft_state *state = &raft->state;
    return raft_takes_proposals(raft) && state->term_start <= state->commit &&
           raft_members_index(raft) <= state->commit;
}

enum raft_result raft_members_proposed(const struct raft *raft, const struct raft_entry *entries,
                                       uint32_t count)
{
    struct raft_members members;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].type != RAFT_ENTRY_MEMBERS)
            continue;
        if (count > 1 || !raft_members_of_entry(&entries[i], &members) ||
            !raft_members_one_step(&raft->members, &members))
            return RAFT_REFUSED;
        if (!raft_takes_members(raft))
            return RAFT_BUSY;
    }
    return RAFT_OK;
}

/* A leader that is no voter any more leads until that is committed, without counting itself
 * (4.2.2). */
void raft_leave_when_removed(struct raft *raft)
{
    if (raft->state.role != RAFT_LEADER || raft_is_voter(raft, raft->self) ||
        raft_members_index(raft) > raft->state.commit)
        return;
    uint32_t best = raft_transfer_best(raft);
    check(best != raft->self);
    if (best < raft->members.count)
        raft_hand_over(raft, best);
    else
        raft_become_follower(raft, RAFT_NOBODY);
}
