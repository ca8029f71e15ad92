/* Merge of layers and kv: the least name of all heads is next; where several have it the newest
 * counts.  The sources are few, so the least is looked for among all of them.  Any thread that may
 * read the sources. */
#include "data/merge.h"

#include "base/codec.h"
#include "base/fatal.h"

enum {
    RANGE_BYTES_MAX = 2048, /* a larger one is not kept, */
    RANGE_TOO_LARGE = 1,    /* and so many bytes say that */
    RANGE_HEAD = 16,        /* before a row of it: word, size of its name, of its record */
    RANGES_AHEAD = 7,       /* behind one that is read, as long as they have less than */
    AHEAD_BYTES = 4096,
    STEP_MOST = 8 /* each try in vain passes over as much as one that is not */
};

/* Of a place beside a db that stands on a view: what changed there hides what the view has. */
static struct sources sources_on(const struct db *db)
{
    struct sources sources = *layers_view_sources(db->on);
    check(sources.count < LAYERS_MAX + 1);
    memmove(sources.layers + 1, sources.layers, sources.count * sizeof sources.layers[0]);
    sources.layers[0] = db->active;
    sources.count++;
    return sources;
}

struct sources merge_sources(const struct db *db)
{
    if (db->look)
        return *layers_view_sources(db->look->view);
    if (db->on)
        return sources_on(db);
    struct sources sources = {.kv = db->kv, .persisted = &db->persisted, .ranges = db->ranges};
    sources.layers[sources.count++] = db->active;
    for (unsigned i = 0; i < db->count; i++)
        sources.layers[sources.count++] = db->layers[i];
    return sources;
}

static void advance_given(struct merge *merge)
{
    const unsigned char *at = merge->kv_rows.data;
    merge->kv_has_more = merge->kv_rows.size > 0;
    if (!merge->kv_has_more)
        return;
    size_t name = get_u32(at + 8), record = get_u32(at + 12), size = RANGE_HEAD + name + record;
    merge->kv_place = (struct place){.table = merge->table,
                                     .space = merge->space,
                                     .word = get_u64(at),
                                     .name = bytes_of(at + RANGE_HEAD, name)};
    merge->kv_record = bytes_of(at + RANGE_HEAD + name, record);
    merge->kv_rows = bytes_of(at + size, merge->kv_rows.size - size);
}

/* The key behind all of this word. */
static void key_behind(struct buffer *key, const struct merge *merge, uint64_t word)
{
    struct place place = {.table = merge->table, .space = merge->space, .word = word + 1};
    if (word == UINT64_MAX)
        record_key_end(key, merge->table, merge->space);
    else
        record_key(key, &place);
}

static void seek_between(struct merge *merge, uint64_t first, uint64_t last)
{
    const struct sources *sources = merge->sources;
    struct kv *kv = sources->kv;
    struct place place = {.table = merge->table, .space = merge->space, .word = first};
    struct buffer from = {0}, to = {0};
    record_key(&from, &place);
    key_behind(&to, merge, last);
    if (merge->kv_iter)
        kv->ops->iter_seek(merge->kv_iter, buffer_bytes(&from), buffer_bytes(&to));
    else
        merge->kv_iter = kv->ops->walk_new(kv, sources->snapshot, KV_DATA, buffer_bytes(&from),
                                           buffer_bytes(&to), merge->kv_gives_up);
    buffer_deinit(&from);
    buffer_deinit(&to);
    merge->kv_from = first;
    merge->kv_to = last;
}

/* How many words can be looked at at once is looked for in large steps, which become smaller each
 * time that it was one too far. */
static void tried(struct merge *merge, bool is_in_vain)
{
    unsigned step = merge->kv_step;
    if (is_in_vain != merge->kv_was_in_vain)
        merge->kv_step = step > 1 ? step / 2 : 1;
    else if (is_in_vain && step < STEP_MOST)
        merge->kv_step = 2 * step; /* it is another place */
    merge->kv_was_in_vain = is_in_vain;
    merge->vain += is_in_vain;
}

/* Pages lie side by side; of each there may be what it was, and that it is deleted. */
static uint64_t narrower(const struct merge *merge)
{
    uint64_t width = merge->kv_to - merge->kv_from;
    bool is_of_pages = merge->table == TABLE_PAGES && width > KV_PASSED_MAX;
    return is_of_pages ? KV_PASSED_MAX / 4 : width >> merge->kv_step;
}

/* Where the kv gave up, nobody knows how far it had come.  So it tries again with some of the
 * words, and some of those, until it comes to their end.  False: it did not give up. */
static bool narrow(struct merge *merge)
{
    const struct kv_ops *ops = merge->sources->kv->ops;
    struct buffer to = {0};
    if (!ops->walk_gave_up(merge->kv_iter))
        return false;
    tried(merge, true);
    merge->kv_width = narrower(merge);
    merge->kv_to = merge->kv_from + merge->kv_width;
    key_behind(&to, merge, merge->kv_to);
    ops->walk_on(merge->kv_iter, buffer_bytes(&to));
    buffer_deinit(&to);
    return true;
}

/* Of the words that are left, more than the last time.  False: none are left. */
static bool look_further(struct merge *merge)
{
    if (merge->kv_to == merge->kv_last)
        return false;
    uint64_t first = merge->kv_to + 1, left = merge->kv_last - first, width = merge->kv_width + 1;
    tried(merge, false);
    bool is_all = width > left >> merge->kv_step;
    merge->kv_width = is_all ? left : (width << merge->kv_step) - 1;
    seek_between(merge, first, first + merge->kv_width);
    return true;
}

static void advance_kv(struct merge *merge)
{
    struct bytes key;
    if (merge->is_given) {
        advance_given(merge);
        return;
    }
    merge->kv_has_more =
        merge->sources->kv->ops->iter_next(merge->kv_iter, &key, &merge->kv_record);
    merge->kv_is_passed = !merge->kv_has_more && (narrow(merge) || look_further(merge));
    if (merge->kv_has_more) {
        check(record_key_parse(key, merge->table, merge->space, &merge->kv_place));
        merge->kv_from = merge->kv_place.word;
    } else if (merge->kv_is_passed) {
        merge->kv_has_more = true;
        merge->kv_place = (struct place){merge->table, merge->space, merge->kv_from, {0}};
        merge->kv_record = bytes_of(NULL, 0);
    }
}

/* Up to the word `last`: behind it may be millions of names that are not there any more, or that
 * came later, and each would be passed over before the kv could say that there is none. */
static void seek_kv(struct merge *merge, uint64_t word_from, uint64_t last)
{
    merge->is_given = false;
    merge->kv_last = last;
    merge->seeks++;
    seek_between(merge, word_from, last);
    advance_kv(merge);
}

static void seek_layers(struct merge *merge, uint64_t word_from)
{
    const struct sources *sources = merge->sources;
    merge->spent = 0;
    for (unsigned i = 0; i < sources->count; i++)
        overlay_seek(&merge->iters[i], &sources->layers[i]->tables[merge->table], merge->space,
                     word_from);
}

void merge_begin(struct merge *merge, const struct sources *sources, enum table table,
                 uint64_t space)
{
    check(sources->count <= LAYERS_MAX + 1);
    merge->sources = sources;
    merge->table = table;
    merge->space = space;
    merge->kv_iter = NULL;
    merge->kv_has_more = merge->is_given = false;
    merge->kv_gives_up = merge->kv_is_passed = merge->is_passed = false;
    merge->kv_was_in_vain = true;
    merge->kv_step = STEP_MOST;
    merge->vain = 0;
    merge->given = (struct buffer){0};
    merge->spent = merge->seeks = 0;
}

static bool kv_counts(const struct merge *merge)
{
    const struct sources *sources = merge->sources;
    return sources->kv && layers_kv_counts(sources->persisted, merge->table, merge->space);
}

static void seek_all(struct merge *merge, uint64_t word_from)
{
    seek_layers(merge, word_from);
    if (kv_counts(merge))
        seek_kv(merge, word_from, UINT64_MAX);
}

void merge_open_whole(struct merge *merge, const struct sources *sources, enum table table,
                      uint64_t space, uint64_t word_from)
{
    merge_begin(merge, sources, table, space);
    seek_all(merge, word_from);
}

void merge_open(struct merge *merge, const struct sources *sources, enum table table,
                uint64_t space, uint64_t word_from)
{
    merge_begin(merge, sources, table, space);
    merge->kv_gives_up = true;
    seek_all(merge, word_from);
}

void merge_close(struct merge *merge)
{
    if (merge->kv_iter)
        merge->sources->kv->ops->iter_free(merge->kv_iter);
    merge->kv_iter = NULL;
    buffer_deinit(&merge->given);
}

/* ---- ranges that are kept --------------------------------------------------------------- */

static void append_row(struct buffer *rows, const struct merge *merge)
{
    unsigned char head[RANGE_HEAD];
    put_u64(head, merge->kv_place.word);
    put_u32(head + 8, (uint32_t)merge->kv_place.name.size);
    put_u32(head + 12, (uint32_t)merge->kv_record.size);
    buffer_append(rows, head, sizeof head);
    buffer_append_bytes(rows, merge->kv_place.name);
    buffer_append_bytes(rows, merge->kv_record);
}

/* The last word of those that are counted with a range that is read; `last` is that of the last of
 * them. */
static uint64_t ahead_last(const struct merge_range *range, uint64_t last)
{
    struct merge_range ahead = *range;
    for (unsigned i = 0; i < RANGES_AHEAD && merge_range_last(&ahead) < last; i++)
        ahead.first = merge_range_last(&ahead) + 1;
    return merge_range_last(&ahead);
}

/* All of it into `given`; or, where it is too large, what says so, false. */
static bool read_range(struct merge *merge, const struct merge_range *range, uint64_t last)
{
    struct buffer *rows = &merge->given;
    uint64_t names = 0;
    buffer_clear(rows);
    seek_kv(merge, range->first, ahead_last(range, last));
    for (; merge->kv_has_more && merge_is_in_range(range, merge->kv_place.word);
         advance_kv(merge), names++) {
        size_t more = RANGE_HEAD + merge->kv_place.name.size + merge->kv_record.size;
        if (rows->size + more > RANGE_BYTES_MAX) {
            buffer_clear(rows);
            buffer_append_byte(rows, 0);
            return false;
        }
        append_row(rows, merge);
    }
    layers_ranges_note_names(merge->sources->ranges, range, names);
    return true;
}

/* How many there are in those behind a range that was read, up to the word `last`: a step costs a
 * twentieth of a seek. */
static void count_on(struct merge *merge, struct merge_range range, uint64_t last)
{
    struct ranges *ranges = merge->sources->ranges;
    size_t bytes = 0;
    for (unsigned i = 0; i < RANGES_AHEAD && merge_range_last(&range) < last; i++) {
        uint64_t names = 0;
        range.first = merge_range_last(&range) + 1;
        check(merge_range_last(&range) <= merge->kv_last);
        if (layers_ranges_names(ranges, &range) < UINT64_MAX)
            return;
        for (; merge->kv_has_more && merge_is_in_range(&range, merge->kv_place.word); names++) {
            bytes += merge->kv_place.name.size + merge->kv_record.size;
            if (bytes > AHEAD_BYTES)
                return;
            advance_kv(merge);
        }
        layers_ranges_note_names(ranges, &range, names);
    }
}

static void seek_range(struct merge *merge, const struct merge_range *range, uint64_t last)
{
    struct ranges *ranges = merge->sources->ranges;
    struct bytes rows;
    if (layers_ranges_find(ranges, range, &rows)) {
        buffer_clear(&merge->given);
        buffer_append_bytes(&merge->given, rows); /* it is lent until something is kept */
    } else {
        if (read_range(merge, range, last))
            count_on(merge, *range, last);
        layers_ranges_keep(ranges, range, buffer_bytes(&merge->given));
    }
    if (merge->given.size == RANGE_TOO_LARGE) {
        seek_kv(merge, range->first, merge_range_last(range));
        return;
    }
    merge->is_given = true;
    merge->kv_rows = buffer_bytes(&merge->given);
    advance_kv(merge);
}

void merge_seek_range(struct merge *merge, const struct merge_range *range, uint64_t last)
{
    seek_layers(merge, range->first);
    if (!kv_counts(merge))
        return;
    if (merge->sources->ranges)
        seek_range(merge, range, last);
    else
        seek_kv(merge, range->first, merge_range_last(range));
}

/* ---- walking ---------------------------------------------------------------------------- */

/* Takes (word, name) as the present one if it is before it, true; joins `source` to the sources of
 * the present one if it is the same. */
static bool offer(struct merge *merge, unsigned source, uint64_t word, struct bytes name)
{
    int order = -1;
    if (merge->spent && word != merge->word)
        order = word < merge->word ? -1 : 1;
    else if (merge->spent)
        order = overlay_name_compare(name, merge->name);
    if (order == 0)
        merge->spent |= 1u << source;
    if (order >= 0)
        return false;
    merge->spent = 1u << source;
    merge->word = word;
    merge->name = name;
    return true;
}

static void leave(struct merge *merge)
{
    unsigned count = merge->sources->count;
    for (unsigned i = 0; i < count; i++)
        if (merge->spent & 1u << i)
            overlay_step(&merge->iters[i]);
    if (merge->spent & 1u << count)
        advance_kv(merge);
    merge->spent = 0;
}

/* What is before the word comes first. */
static bool offer_passed(struct merge *merge)
{
    uint64_t word = merge->kv_place.word;
    if (!merge->kv_has_more || !merge->kv_is_passed || (merge->spent && merge->word < word))
        return false;
    merge->spent = 1u << merge->sources->count;
    merge->word = word;
    merge->name = merge->record = bytes_of(NULL, 0);
    merge->entry = NULL;
    return true;
}

bool merge_next(struct merge *merge)
{
    unsigned count = merge->sources->count;
    leave(merge);
    for (unsigned i = 0; i < count; i++) {
        const struct entry *entry = merge->iters[i].entry;
        if (entry && offer(merge, i, merge->iters[i].word, entry_name(entry)))
            merge->entry = entry;
    }
    merge->is_passed = offer_passed(merge);
    if (merge->is_passed)
        return true;
    if (merge->kv_has_more && !merge->kv_is_passed &&
        offer(merge, count, merge->kv_place.word, merge->kv_place.name))
        merge->entry = NULL;
    if (!merge->spent)
        return false;
    merge->record = merge->entry ? entry_record(merge->entry) : merge->kv_record;
    return true;
}

uint64_t merge_rows(struct merge *merge)
{
    uint64_t rows = (merge->is_passed ? MERGE_PASSED : 1) + (uint64_t)MERGE_PASSED * merge->vain;
    merge->vain = 0;
    return rows;
}

bool merge_next_live(struct merge *merge)
{
    while (merge_next(merge))
        if (merge_is_live(merge))
            return true;
    return false;
}
