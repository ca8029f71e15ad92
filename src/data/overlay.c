/* Overlay: see overlay.h.  The only file that knows Judy.
 *
 * A record is overwritten in place when it fits without waste, so that a hot key costs no
 * allocation.  Freezing is the owner's affair: an overlay is a plain struct that can be moved. */
#include "data/overlay.h"

#include <Judy.h>

#include "base/fatal.h"
#include "base/memory.h"

enum {
    ENTRY_OVERHEAD = 32, /* of the allocator and the Judy array, about */
    SLACK = 64           /* room that may be wasted in an entry beside half of it */
};

int overlay_name_compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static uint64_t entry_bytes(const struct entry *entry)
{
    return sizeof *entry + entry->name_size + entry->record_capacity + ENTRY_OVERHEAD;
}

/* The link that holds, or would hold, the entry of this name in a chain; the entry, or NULL. */
static struct entry **chain_link(struct entry **link, struct bytes name, struct entry **found)
{
    int order = -1;
    while (*link && (order = overlay_name_compare(entry_name(*link), name)) < 0)
        link = &(*link)->next;
    *found = order == 0 ? *link : NULL;
    return link;
}

struct entry *overlay_find(const struct overlay *overlay, uint64_t word, struct bytes name)
{
    PPvoid_t slot = JudyLGet(overlay->map, word, PJE0);
    struct entry *entry = NULL;
    if (slot)
        chain_link((struct entry **)slot, name, &entry);
    return entry;
}

static struct entry *entry_new(struct bytes name, size_t record_size)
{
    check(name.size <= UINT32_MAX);
    struct entry *entry = memory_resize(NULL, sizeof *entry + name.size + record_size);
    *entry = (struct entry){.record_capacity = record_size, .name_size = (uint32_t)name.size};
    if (name.size)
        memcpy(entry->data, name.data, name.size);
    return entry;
}

/* The header goes last: the payload may lie in this very entry, behind its header. */
static void set_record(struct entry *entry, struct bytes header, struct bytes payload)
{
    unsigned char *record = entry->data + entry->name_size;
    if (payload.size)
        memmove(record + header.size, payload.data, payload.size);
    if (header.size)
        memcpy(record, header.data, header.size);
    entry->record_size = header.size + payload.size;
}

static bool is_good_fit(const struct entry *entry, size_t record_size)
{
    return record_size <= entry->record_capacity &&
           entry->record_capacity <= 2 * record_size + SLACK;
}

static struct entry *place(struct overlay *overlay, uint64_t word, struct bytes name,
                           struct bytes header, struct bytes payload, enum overlay_before *before)
{
    PPvoid_t slot = JudyLIns(&overlay->map, word, PJE0);
    if (slot == PPJERR)
        fatal("out of memory");
    struct entry *old;
    struct entry **link = chain_link((struct entry **)slot, name, &old);
    *before = !old ? OVERLAY_ABSENT : old->is_tombstone ? OVERLAY_DEAD : OVERLAY_LIVE;

    size_t record_size = header.size + payload.size;
    if (old && is_good_fit(old, record_size)) {
        set_record(old, header, payload);
        return old;
    }
    struct entry *entry = entry_new(name, record_size);
    set_record(entry, header, payload);
    entry->next = old ? old->next : *link;
    *link = entry;
    overlay->bytes += entry_bytes(entry);
    overlay->entries++;
    if (old) {
        entry->is_below = old->is_below;
        overlay->bytes -= entry_bytes(old);
        overlay->entries--;
        memory_free(old);
    }
    return entry;
}

struct entry *overlay_put(struct overlay *overlay, uint64_t word, struct bytes name,
                          struct bytes header, struct bytes payload, enum overlay_before *before)
{
    struct entry *entry = place(overlay, word, name, header, payload, before);
    entry->is_tombstone = false;
    return entry;
}

struct entry *overlay_bury(struct overlay *overlay, uint64_t word, struct bytes name)
{
    enum overlay_before before;
    struct bytes nothing = {0};
    struct entry *entry = place(overlay, word, name, nothing, nothing, &before);
    entry->is_tombstone = true;
    return entry;
}

void overlay_remove(struct overlay *overlay, uint64_t word, struct bytes name)
{
    PPvoid_t slot = JudyLGet(overlay->map, word, PJE0);
    check(slot);
    struct entry *entry;
    struct entry **link = chain_link((struct entry **)slot, name, &entry);
    check(entry);
    *link = entry->next;
    overlay->bytes -= entry_bytes(entry);
    overlay->entries--;
    memory_free(entry);
    if (!*slot)
        JudyLDel(&overlay->map, word, PJE0);
}

void overlay_deinit(struct overlay *overlay)
{
    Word_t word = 0;
    for (PPvoid_t slot = JudyLFirst(overlay->map, &word, PJE0); slot;
         slot = JudyLNext(overlay->map, &word, PJE0)) {
        struct entry *entry = *slot;
        while (entry) {
            struct entry *next = entry->next;
            memory_free(entry);
            entry = next;
        }
    }
    JudyLFreeArray(&overlay->map, PJE0);
    *overlay = (struct overlay){0};
}

void overlay_seek(struct overlay_iter *iter, const struct overlay *overlay, uint64_t word_from)
{
    Word_t word = word_from;
    PPvoid_t slot = JudyLFirst(overlay->map, &word, PJE0);
    *iter = (struct overlay_iter){overlay, word, slot ? *slot : NULL};
}

void overlay_step(struct overlay_iter *iter)
{
    check(iter->entry);
    iter->entry = iter->entry->next;
    if (iter->entry)
        return;
    Word_t word = iter->word;
    PPvoid_t slot = JudyLNext(iter->overlay->map, &word, PJE0);
    iter->word = word;
    iter->entry = slot ? *slot : NULL;
}
