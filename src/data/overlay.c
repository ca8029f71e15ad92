/* Overlay: see overlay.h.
 *
 * A record is overwritten in place when it fits without waste, so that a hot key costs no
 * allocation.  Freezing is the owner's affair: an overlay is a plain struct that can be moved.
 *
 * The slot of a word holds its entry, or, marked in the lowest bit, a chain of several. */
#include "data/overlay.h"

#include <Judy.h>

#include "base/fatal.h"
#include "base/memory.h"

enum {
    ENTRY_OVERHEAD = 32, /* of the allocator and the Judy array, about */
    MAP_OVERHEAD = 128,  /* of a space */
    SLACK = 64           /* room that may be wasted in an entry beside half of it */
};

struct overlay_map {
    uint64_t space;
    void *words; /* JudyL, word -> slot; owned */
    uint64_t entries, unresolved, bytes;
};

struct chain {
    uint32_t count, capacity;
    struct entry *entries[]; /* by name; at least two, but for the moment of a change */
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

/* ---- the entries of a word --------------------------------------------------- */

static struct chain *chain_of(void *slot)
{
    return (uintptr_t)slot & 1 ? (struct chain *)((uintptr_t)slot - 1) : NULL;
}

/* The entries in a slot, in order of their names. */
static struct entry **slot_list(void **slot, uint32_t *count)
{
    struct chain *chain = chain_of(*slot);
    *count = chain ? chain->count : *slot != NULL;
    return chain ? chain->entries : (struct entry **)slot;
}

/* An entry, or a chain, which is rare. */
static void slot_foresee(void **slot)
{
    enum { CACHE_LINE = 64 };
    __builtin_prefetch(*slot, 1);
    __builtin_prefetch((const void *)((uintptr_t)*slot + CACHE_LINE), 1);
}

/* Place of the first name >= `name`; true: it is that name. */
static bool list_find(struct entry *const *list, uint32_t count, struct bytes name, uint32_t *place)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = overlay_name_compare(entry_name(list[middle]), name);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

static void slot_insert(void **slot, uint32_t place, struct entry *entry)
{
    struct chain *chain = chain_of(*slot);
    if (!*slot) {
        *slot = entry;
        return;
    }
    if (!chain) {
        chain = memory_resize(NULL, sizeof *chain + 4 * sizeof *chain->entries);
        *chain = (struct chain){.count = 1, .capacity = 4};
        chain->entries[0] = *slot;
    } else if (chain->count == chain->capacity) {
        chain->capacity *= 2;
        chain = memory_resize(chain, sizeof *chain + chain->capacity * sizeof *chain->entries);
    }
    memmove(chain->entries + place + 1, chain->entries + place,
            (chain->count - place) * sizeof *chain->entries);
    chain->entries[place] = entry;
    chain->count++;
    *slot = (void *)((uintptr_t)chain + 1);
}

static void slot_remove(void **slot, uint32_t place)
{
    struct chain *chain = chain_of(*slot);
    if (!chain) {
        *slot = NULL;
        return;
    }
    chain->count--;
    memmove(chain->entries + place, chain->entries + place + 1,
            (chain->count - place) * sizeof *chain->entries);
    if (chain->count > 1)
        return;
    *slot = chain->entries[0];
    memory_free(chain);
}

/* ---- spaces --------------------------------------------------------------------- */

static struct overlay_map *map_find(const struct overlay *overlay, uint64_t space)
{
    if (overlay->hot && overlay->hot->space == space)
        return overlay->hot;
    PPvoid_t slot = JudyLGet(overlay->maps, space, PJE0);
    return slot ? *slot : NULL;
}

/* Makes it if it is not there. */
static struct overlay_map *map_take(struct overlay *overlay, uint64_t space)
{
    struct overlay_map *map = map_find(overlay, space);
    if (!map) {
        PPvoid_t slot = JudyLIns(&overlay->maps, space, PJE0);
        if (slot == PPJERR)
            fatal("out of memory");
        map = memory_new(sizeof *map);
        map->space = space;
        map->bytes = MAP_OVERHEAD;
        overlay->bytes += MAP_OVERHEAD;
        *slot = map;
    }
    overlay->hot = map;
    return map;
}

static void count(struct overlay *overlay, struct overlay_map *map, const struct entry *entry,
                  int sign)
{
    uint64_t bytes = entry_bytes(entry);
    if (entry->below == BELOW_UNKNOWN) {
        map->unresolved += (uint64_t)sign;
        overlay->unresolved += (uint64_t)sign;
    }
    map->entries += (uint64_t)sign;
    overlay->entries += (uint64_t)sign;
    map->bytes += sign > 0 ? bytes : -bytes;
    overlay->bytes += sign > 0 ? bytes : -bytes;
}

uint64_t overlay_entries(const struct overlay *overlay, uint64_t space)
{
    const struct overlay_map *map = map_find(overlay, space);
    return map ? map->entries : 0;
}

uint64_t overlay_names(const struct overlay *overlay, uint64_t space, uint64_t first, uint64_t last,
                       uint64_t enough)
{
    const struct overlay_map *map = map_find(overlay, space);
    Word_t word = first;
    uint64_t names = 0;
    PPvoid_t slot = map ? JudyLFirst(map->words, &word, PJE0) : NULL;
    while (slot && word <= last) {
        uint32_t count;
        slot_list(slot, &count);
        names += count;
        if (names >= enough)
            break;
        slot = JudyLNext(map->words, &word, PJE0);
    }
    return names;
}

bool overlay_next_space(const struct overlay *overlay, uint64_t *space)
{
    Word_t found = *space;
    PPvoid_t slot = JudyLFirst(overlay->maps, &found, PJE0);
    *space = found;
    return slot != NULL;
}

struct overlay overlay_cut(struct overlay *overlay, uint64_t space)
{
    struct overlay cut = {0};
    struct overlay_map *map = map_find(overlay, space);
    if (!map)
        return cut;
    JudyLDel(&overlay->maps, space, PJE0);
    overlay->hot = NULL;
    overlay->entries -= map->entries;
    overlay->unresolved -= map->unresolved;
    overlay->bytes -= map->bytes;
    cut.unresolved = map->unresolved;
    cut.entries = map->entries;
    cut.bytes = map->bytes;
    PPvoid_t slot = JudyLIns(&cut.maps, space, PJE0);
    if (slot == PPJERR)
        fatal("out of memory");
    *slot = map;
    return cut;
}

static void map_free(struct overlay_map *map);

void overlay_paste(struct overlay *overlay, struct overlay *cut, uint64_t space)
{
    struct overlay_map *map = map_find(cut, space), *there = map_find(overlay, space);
    check(map);
    check(!there || there->entries == 0);
    PPvoid_t slot = JudyLIns(&overlay->maps, space, PJE0);
    if (slot == PPJERR)
        fatal("out of memory");
    if (there) {
        overlay->bytes -= there->bytes;
        map_free(there);
    }
    *slot = map;
    overlay->hot = NULL;
    overlay->entries += map->entries;
    overlay->unresolved += map->unresolved;
    overlay->bytes += map->bytes;
    JudyLFreeArray(&cut->maps, PJE0);
    *cut = (struct overlay){0};
}

uint64_t overlay_move(struct overlay *overlay, uint64_t space, struct overlay *from,
                      uint64_t from_space)
{
    struct overlay cut = overlay_cut(from, from_space);
    struct overlay_map *map = map_find(&cut, from_space);
    uint64_t bytes = cut.bytes;
    if (!map)
        return 0;
    struct overlay renamed = {
        .entries = cut.entries, .unresolved = cut.unresolved, .bytes = cut.bytes};
    PPvoid_t slot = JudyLIns(&renamed.maps, space, PJE0);
    if (slot == PPJERR)
        fatal("out of memory");
    map->space = space;
    *slot = map;
    JudyLFreeArray(&cut.maps, PJE0);
    overlay_paste(overlay, &renamed, space);
    return bytes;
}

/* ---- entries --------------------------------------------------------------------- */

static void **find_slot(const struct overlay *overlay, uint64_t space, uint64_t word)
{
    const struct overlay_map *map = map_find(overlay, space);
    return map ? JudyLGet(map->words, word, PJE0) : NULL;
}

struct entry *overlay_at(void **slot, struct bytes name)
{
    uint32_t length, place;
    struct entry **list = slot_list(slot, &length);
    return list_find(list, length, name, &place) ? list[place] : NULL;
}

struct entry *overlay_find(const struct overlay *overlay, uint64_t space, uint64_t word,
                           struct bytes name)
{
    void **slot = find_slot(overlay, space, word);
    return slot ? overlay_at(slot, name) : NULL;
}

void **overlay_foresee(const struct overlay *overlay, uint64_t space, uint64_t word)
{
    void **slot = find_slot(overlay, space, word);
    if (slot)
        slot_foresee(slot);
    return slot;
}

static struct entry *entry_new(struct bytes name, size_t capacity)
{
    check(name.size <= UINT32_MAX);
    check(capacity <= UINT32_MAX);
    struct entry *entry = memory_resize(NULL, sizeof *entry + name.size + capacity);
    *entry =
        (struct entry){.record_capacity = (uint32_t)capacity, .name_size = (uint32_t)name.size};
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
    entry->record_size = (uint32_t)(header.size + payload.size);
}

bool overlay_fits(const struct entry *entry, size_t record_size)
{
    return record_size <= entry->record_capacity &&
           entry->record_capacity <= 2 * record_size + SLACK;
}

struct overlay_spot overlay_locate(struct overlay *overlay, uint64_t space, uint64_t word,
                                   struct bytes name)
{
    struct overlay_spot spot = {.map = map_take(overlay, space)};
    uint32_t length;
    PPvoid_t slot = JudyLGet(spot.map->words, word, PJE0);
    if (!slot) /* to insert takes longer, where it is there too */
        slot = JudyLIns(&spot.map->words, word, PJE0);
    if (slot == PPJERR)
        fatal("out of memory");
    spot.slot = slot;
    struct entry **list = slot_list(slot, &length);
    if (list_find(list, length, name, &spot.place))
        spot.entry = list[spot.place];
    return spot;
}

/* In place of the one in the spot, which the caller has from now on. */
static void exchange(struct overlay *overlay, struct overlay_spot *spot, struct entry *entry)
{
    uint32_t length;
    struct entry **list = slot_list(spot->slot, &length);
    check(list[spot->place] == spot->entry);
    count(overlay, spot->map, entry, 1);
    count(overlay, spot->map, spot->entry, -1);
    list[spot->place] = spot->entry = entry;
}

struct entry *overlay_take(struct overlay *overlay, struct overlay_spot *spot, size_t capacity)
{
    struct entry *old = spot->entry;
    struct entry *entry = entry_new(entry_name(old), capacity);
    entry->below = old->below;
    entry->is_tombstone = old->is_tombstone;
    exchange(overlay, spot, entry);
    return old;
}

void overlay_restore(struct overlay *overlay, uint64_t space, uint64_t word, struct entry *entry)
{
    struct overlay_spot spot = overlay_locate(overlay, space, word, entry_name(entry));
    struct entry *there = spot.entry;
    if (there) {
        exchange(overlay, &spot, entry);
        memory_free(there);
        return;
    }
    count(overlay, spot.map, entry, 1);
    slot_insert(spot.slot, spot.place, entry);
}

static struct entry *place_entry(struct overlay *overlay, const struct overlay_spot *spot,
                                 struct bytes name, struct bytes header, struct bytes payload,
                                 size_t capacity, enum overlay_below below)
{
    struct entry *old = spot->entry;
    check(capacity >= header.size + payload.size);
    if (old && overlay_fits(old, capacity)) {
        set_record(old, header, payload);
        return old;
    }
    struct entry *entry = entry_new(name, capacity);
    set_record(entry, header, payload);
    entry->below = old ? old->below : (uint8_t)below;
    count(overlay, spot->map, entry, 1);
    if (!old) {
        slot_insert(spot->slot, spot->place, entry);
        return entry;
    }
    uint32_t length;
    struct entry **list = slot_list(spot->slot, &length);
    check(list[spot->place] == old);
    list[spot->place] = entry;
    count(overlay, spot->map, old, -1);
    memory_free(old);
    return entry;
}

struct entry *overlay_put(struct overlay *overlay, const struct overlay_spot *spot,
                          struct bytes name, struct bytes header, struct bytes payload,
                          enum overlay_below below)
{
    return overlay_put_roomy(overlay, spot, name, header, payload, header.size + payload.size,
                             below);
}

struct entry *overlay_put_roomy(struct overlay *overlay, const struct overlay_spot *spot,
                                struct bytes name, struct bytes header, struct bytes payload,
                                size_t capacity, enum overlay_below below)
{
    struct entry *entry = place_entry(overlay, spot, name, header, payload, capacity, below);
    entry->is_tombstone = false;
    return entry;
}

size_t overlay_splice(struct entry *entry, size_t offset, struct bytes part)
{
    unsigned char *record = entry->data + entry->name_size;
    size_t size = entry->record_size, end = offset + part.size;
    size_t gap = offset > size ? offset - size : 0;
    check(end <= entry->record_capacity);
    check(!entry->is_tombstone);
    if (gap > 0)
        memset(record + size, 0, gap);
    if (part.size > 0)
        memcpy(record + offset, part.data, part.size);
    entry->record_size = (uint32_t)(end > size ? end : size);
    return gap + part.size;
}

static size_t size_of_parts(const struct bytes *parts, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].size;
    return size;
}

size_t overlay_edit(struct entry *entry, size_t from, size_t to, const struct bytes *parts,
                    unsigned count)
{
    unsigned char *record = entry->data + entry->name_size, *at = record + from;
    size_t more = size_of_parts(parts, count), behind = entry->record_size - to;
    bool is_moved = behind > 0 && more != to - from;
    check(from <= to && to <= entry->record_size);
    check(from + more + behind <= entry->record_capacity);
    check(!entry->is_tombstone);
    if (is_moved)
        memmove(at + more, record + to, behind);
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    entry->record_size = (uint32_t)(from + more + behind);
    return more + (is_moved ? behind : 0);
}

struct entry *overlay_bury(struct overlay *overlay, const struct overlay_spot *spot,
                           struct bytes name, enum overlay_below below)
{
    struct bytes nothing = {0};
    struct entry *entry = place_entry(overlay, spot, name, nothing, nothing, 0, below);
    entry->is_tombstone = true;
    return entry;
}

void overlay_resolve(struct overlay *overlay, uint64_t space, struct entry *entry,
                     enum overlay_below below)
{
    struct overlay_map *map = map_find(overlay, space);
    check(entry->below == BELOW_UNKNOWN);
    check(below != BELOW_UNKNOWN);
    check(map && map->unresolved > 0);
    entry->below = (uint8_t)below;
    map->unresolved--;
    overlay->unresolved--;
}

void overlay_remove(struct overlay *overlay, uint64_t space, uint64_t word, struct bytes name)
{
    struct overlay_map *map = map_find(overlay, space);
    check(map);
    PPvoid_t slot = JudyLGet(map->words, word, PJE0);
    check(slot);
    uint32_t length, place;
    struct entry **list = slot_list(slot, &length);
    bool is_there = list_find(list, length, name, &place);
    check(is_there);
    struct entry *entry = list[place];
    slot_remove(slot, place);
    count(overlay, map, entry, -1);
    memory_free(entry);
    if (!*slot)
        JudyLDel(&map->words, word, PJE0);
}

/* ---- walks --------------------------------------------------------------------------- */

/* Two for each word that is left, so that a short walk does not look far ahead. */
static void look_ahead(struct overlay_iter *iter)
{
    for (int i = 0; i < 2 && iter->ahead_count < OVERLAY_AHEAD; i++) {
        Word_t word = iter->found;
        PPvoid_t slot = JudyLNext(iter->words, &word, PJE0);
        if (!slot) {
            iter->words = NULL;
            return;
        }
        slot_foresee(slot);
        uint32_t last = (iter->ahead_first + iter->ahead_count++) % OVERLAY_AHEAD;
        iter->ahead[last].word = iter->found = word;
        iter->ahead[last].slot = slot;
    }
}

/* NULL: there is none. */
static void **first_slot(struct overlay_iter *iter, const struct overlay_map *map,
                         uint64_t word_from)
{
    Word_t word = word_from;
    *iter = (struct overlay_iter){.words = map ? map->words : NULL};
    PPvoid_t slot = JudyLFirst(iter->words, &word, PJE0);
    iter->word = iter->found = word;
    return slot;
}

static void **next_slot(struct overlay_iter *iter)
{
    look_ahead(iter);
    if (iter->ahead_count == 0)
        return NULL;
    uint32_t first = iter->ahead_first;
    iter->ahead_first = (first + 1) % OVERLAY_AHEAD;
    iter->ahead_count--;
    iter->word = iter->ahead[first].word;
    return iter->ahead[first].slot;
}

static void iter_at(struct overlay_iter *iter, void **slot)
{
    iter->at = iter->count = 0;
    if (slot)
        iter->list = slot_list(slot, &iter->count);
    iter->entry = slot ? iter->list[0] : NULL;
}

void overlay_seek(struct overlay_iter *iter, const struct overlay *overlay, uint64_t space,
                  uint64_t word_from)
{
    iter_at(iter, first_slot(iter, map_find(overlay, space), word_from));
}

void overlay_step(struct overlay_iter *iter)
{
    check(iter->entry);
    if (++iter->at < iter->count)
        iter->entry = iter->list[iter->at];
    else
        iter_at(iter, next_slot(iter));
}

/* ---- the end --------------------------------------------------------------------------- */

static void map_free(struct overlay_map *map)
{
    struct overlay_iter iter;
    for (void **slot = first_slot(&iter, map, 0); slot; slot = next_slot(&iter)) {
        uint32_t length;
        struct entry **list = slot_list(slot, &length);
        for (uint32_t i = 0; i < length; i++)
            memory_free(list[i]);
        memory_free(chain_of(*slot));
    }
    JudyLFreeArray(&map->words, PJE0);
    memory_free(map);
}

void overlay_deinit(struct overlay *overlay)
{
    Word_t space = 0;
    for (PPvoid_t slot = JudyLFirst(overlay->maps, &space, PJE0); slot;
         slot = JudyLNext(overlay->maps, &space, PJE0))
        map_free(*slot);
    JudyLFreeArray(&overlay->maps, PJE0);
    *overlay = (struct overlay){0};
}
