/* The Raft log and the node's promises on a kv.
 *
 * Records, little endian, each ending with the XXH3-64 of all bytes before:
 *
 *     family  key         size  value
 *     log     8 bytes     ...   a chunk (chunk.c); the key is the big-endian index of its first
 *                               entry
 *     meta    "vote"      25    version 1 · u64 term · u64 voted for (all ones: nobody)
 *     meta    "first"     33    version 1 · u64 term and u64 index of the position before the first
 *                               entry · u64 key of the first chunk to be looked at
 *     meta    "identity"  25    version 1 · u64 node · u64 cluster
 *     meta    "origin"    17    version 1 · u64 origin, of a restored directory
 *     meta    "life"      25    version 1 · u64 life · u64 starts
 *     meta    "seen-N"    25    version 1 · u64 life · u64 starts, of node N when it was heard last
 *     meta    "members"   ...   version 1 · u64 index of the list in force at "first" · the list
 *                               (raft/members.c); none: the one that is configured
 *
 * Cutting.  The log is cut at i by writing a chunk with key i: it shadows the end of the chunk
 * before it, which stays as it is, and the chunks behind i are deleted in the same batch.  So a
 * chunk is valid up to the next chunk's first index - 1, or to its own end if it is the last.
 *
 * Trimming.  raft_log_trim() only notes the position.  The next group commit carries it out, in its
 * own synced batch: deletes and the new first position together.  The loop thread never waits for
 * the disk.  A crash before the commit brings the entries back, nothing else.
 * The chunk that holds the first entry we want may begin before it; positions up to `first` are
 * ignored.  Opening starts at the chunk named in "first" and never walks over what was deleted.
 *
 * Threads.  raft_log_write runs in the log writer's thread, raft_log_read in the log reader's,
 * everything else in the loop's.  They share the list of chunks (their first indices), under a
 * mutex that is never held over a disk access.  The writer changes the list only after its commit.
 * What a reading was asked for was durable then; by now it may be trimmed, or cut, or its chunk be
 * on the way out of the store and still in the list: `cutting`, and `cuts` before and after, tell
 * that from damage.
 *
 * Invariants: L1 chunks ascend strictly and leave no hole between first.index + 1 and last;
 *             L2 the first chunk listed, if any, begins at or before first.index + 1;
 *             L3 a cut is above first.index (what was trimmed was committed). */
#include "storage/raft_log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "base/limits.h"
#include "base/memory.h"
#include "storage/chunk.h"

enum {
    KEY_SIZE = 8,
    RECORD_VERSION = 1,
    RECORD_WORDS_MAX = 3,
    RECORD_SIZE_MAX = 1 + 8 * RECORD_WORDS_MAX + 8
};

/* First indices of the chunks, list[begin] .. list[end - 1]. */
struct chunk_list {
    raft_index *list; /* owned */
    size_t begin;
    size_t end;
    size_t capacity;
};

/* How another node was heard last. */
struct heard {
    raft_node_id node;
    struct raft_log_life life;
    bool is_stored;
};

struct raft_log {
    struct kv *kv; /* borrowed */

    /* -- both threads, under the mutex ------------------------------------- */
    pthread_mutex_t mutex;
    struct raft_pos first;    /* position before the first entry; set by the loop */
    raft_index last;          /* first.index if there are none; set by the writer */
    struct chunk_list chunks; /* the loop takes from the front, the writer works at the back */
    struct raft_log_members members; /* in force at `first`, if `has_members`; set by the loop */
    bool has_members;
    struct heard *heard; /* owned; set by the loop, stored by the writer */
    size_t heard_count;
    size_t heard_capacity;
    uint64_t name[2]; /* the cluster's id, and its name; likewise */
    bool has_name;    /* which is to be stored */
    uint64_t cuts;    /* goes up when a chunk may have been replaced; set by the writer */
    bool cutting;     /* a commit that may replace chunks is under way; set by the writer */

    /* -- writer ------------------------------------------------------------- */
    raft_term term; /* as stored, like the next three */
    raft_node_id voted_for;
    struct raft_pos first_stored;
    raft_index chunk_stored;    /* nothing is left before this key, */
    bool is_swept;              /* also of what builds of before trimmed and did not delete */
    struct raft_entry *entries; /* owned: the outcome of a group of writes */
    size_t entries_count;
    size_t entries_capacity;
    raft_index *new_chunks; /* owned: first indices of the chunks of this commit */
    size_t new_chunks_count;
    size_t new_chunks_capacity;
    struct buffer bytes; /* the chunk that is being written */

    /* -- reader -------------------------------------------------------------- */
    struct buffer value; /* the last chunk read */
    struct chunk chunk;  /* in `value`; count 0: none */
    uint64_t chunk_cuts; /* `cuts` before it was read */
    uint32_t cursor;     /* entry of `chunk` whose payload is at cursor_payload */
    const unsigned char *cursor_payload;

    /* -- loop ---------------------------------------------------------------- */
    struct raft_entry *saved; /* owned: all entries as they were at open, until forgotten */
    size_t saved_count;
    size_t saved_capacity;
};

/* A bigger array, by doubling. */
static void *grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return array;
    size_t larger = *capacity ? *capacity : 64;
    while (larger < needed)
        larger *= 2;
    *capacity = larger;
    return memory_resize(array, larger * size);
}

/* ---- records ------------------------------------------------------------------ */

static void put_record(struct kv *kv, struct kv_batch *batch, const char *key,
                       const uint64_t *words, size_t count)
{
    unsigned char record[RECORD_SIZE_MAX];
    check(count <= RECORD_WORDS_MAX);
    record[0] = RECORD_VERSION;
    for (size_t i = 0; i < count; i++)
        put_u64(record + 1 + 8 * i, words[i]);
    size_t covered = 1 + 8 * count;
    put_u64(record + covered, XXH3_64bits(record, covered));
    kv->ops->batch_put(batch, KV_META, bytes_from_string(key), bytes_of(record, covered + 8));
}

/* False if there is none. */
static bool get_record(struct kv *kv, const char *key, uint64_t *words, size_t count)
{
    struct buffer value = {0};
    bool found = kv->ops->get(kv, KV_META, bytes_from_string(key), &value);
    if (found) {
        const unsigned char *record = (const unsigned char *)value.data;
        size_t covered = 1 + 8 * count;
        if (value.size > 0 && record[0] != RECORD_VERSION)
            fatal("the record \"%s\" in the store is of version %d, which is unknown here", key,
                  record[0]);
        if (value.size != covered + 8 || get_u64(record + covered) != XXH3_64bits(record, covered))
            fatal("the record \"%s\" in the store is damaged", key);
        for (size_t i = 0; i < count; i++)
            words[i] = get_u64(record + 1 + 8 * i);
    }
    buffer_deinit(&value);
    return found;
}

static void put_members(struct kv *kv, struct kv_batch *batch,
                        const struct raft_log_members *members)
{
    struct buffer record = {0};
    unsigned char word[8];
    buffer_append_byte(&record, RECORD_VERSION);
    put_u64(word, members->index);
    buffer_append(&record, word, sizeof word);
    raft_members_encode(&record, &members->list);
    put_u64(word, XXH3_64bits(record.data, record.size));
    buffer_append(&record, word, sizeof word);
    kv->ops->batch_put(batch, KV_META, bytes_from_string("members"), buffer_bytes(&record));
    buffer_deinit(&record);
}

/* False: these are not the bytes of put_members(). */
static bool read_members(struct bytes record, struct raft_log_members *members)
{
    const unsigned char *at = record.data;
    if (record.size < 1 + 8 + 8 || at[0] != RECORD_VERSION)
        return false;
    size_t covered = record.size - 8;
    if (get_u64(at + covered) != XXH3_64bits(at, covered))
        return false;
    members->index = get_u64(at + 1);
    return raft_members_decode(&members->list, bytes_of(at + 9, covered - 9));
}

bool raft_log_members(struct kv *kv, struct raft_log_members *members)
{
    struct buffer value = {0};
    bool found = kv->ops->get(kv, KV_META, bytes_from_string("members"), &value);
    if (found && !read_members(buffer_bytes(&value), members))
        fatal("the record \"members\" in the store is damaged, or of a version that is unknown "
              "here");
    buffer_deinit(&value);
    return found;
}

bool raft_log_identity(struct kv *kv, struct raft_log_identity *identity)
{
    uint64_t words[2];
    if (!get_record(kv, "identity", words, 2))
        return false;
    *identity = (struct raft_log_identity){.node = words[0], .cluster = words[1]};
    return true;
}

uint64_t raft_log_name(struct kv *kv, uint64_t cluster)
{
    uint64_t words[2];
    return get_record(kv, "name", words, 2) && words[0] == cluster ? words[1] : 0;
}

void raft_log_set_identity(struct kv *kv, const struct raft_log_identity *identity)
{
    struct raft_log_identity present;
    check(!raft_log_identity(kv, &present));
    struct kv_batch *batch = kv->ops->batch_new(kv);
    const uint64_t words[] = {identity->node, identity->cluster};
    put_record(kv, batch, "identity", words, 2);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

void raft_log_join(struct kv *kv, const struct raft_log_identity *identity)
{
    struct raft_log_identity present;
    struct raft_log_members none = {.index = 0};
    check(!raft_log_identity(kv, &present));
    struct kv_batch *batch = kv->ops->batch_new(kv);
    const uint64_t words[] = {identity->node, identity->cluster};
    put_record(kv, batch, "identity", words, 2);
    put_members(kv, batch, &none);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

struct raft_log_life raft_log_start(struct kv *kv, uint64_t drawn)
{
    uint64_t words[2] = {drawn, 0};
    check(drawn != 0);
    (void)get_record(kv, "life", words, 2);
    words[1]++;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    put_record(kv, batch, "life", words, 2);
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    return (struct raft_log_life){.life = words[0], .starts = words[1]};
}

uint64_t raft_log_origin(struct kv *kv)
{
    uint64_t origin = 0;
    return get_record(kv, "origin", &origin, 1) ? origin : 0;
}

void raft_log_begin(struct kv *kv, struct kv_batch *batch, struct raft_pos pos, uint64_t origin)
{
    const uint64_t first[] = {pos.term, pos.index, pos.index + 1};
    const uint64_t vote[] = {pos.term, RAFT_NOBODY};
    uint64_t present[RECORD_WORDS_MAX];
    check(!get_record(kv, "vote", present, 2) && !get_record(kv, "first", present, 3));
    check(!get_record(kv, "identity", present, 2));
    put_record(kv, batch, "first", first, 3);
    put_record(kv, batch, "vote", vote, 2);
    put_record(kv, batch, "origin", &origin, 1);
}

/* ---- the list of chunks --------------------------------------------------------- */

static void chunks_append(struct chunk_list *chunks, raft_index first)
{
    check(chunks->begin == chunks->end || chunks->list[chunks->end - 1] < first); /* L1 */
    if (chunks->begin > chunks->end / 2) {
        chunks->end -= chunks->begin;
        memmove(chunks->list, chunks->list + chunks->begin, chunks->end * sizeof *chunks->list);
        chunks->begin = 0;
    }
    chunks->list = grow(chunks->list, &chunks->capacity, chunks->end + 1, sizeof *chunks->list);
    chunks->list[chunks->end++] = first;
}

/* Place of the first chunk that begins after `index`; the one before it holds `index`. */
static size_t chunks_after(const struct chunk_list *chunks, raft_index index)
{
    size_t low = chunks->begin, high = chunks->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunks->list[middle] <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- other nodes ------------------------------------------------------------------- */

static const char heard_prefix[] = "seen-", heard_end[] = "seen.";

static struct heard *heard_of(struct raft_log *log, raft_node_id node)
{
    for (size_t i = 0; i < log->heard_count; i++)
        if (log->heard[i].node == node)
            return &log->heard[i];
    log->heard = grow(log->heard, &log->heard_capacity, log->heard_count + 1, sizeof *log->heard);
    log->heard[log->heard_count] = (struct heard){.node = node, .is_stored = true};
    return &log->heard[log->heard_count++];
}

static void read_heard(struct raft_log *log)
{
    struct kv *kv = log->kv;
    struct bytes key, value, prefix = bytes_from_string(heard_prefix);
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_META, prefix, bytes_from_string(heard_end));
    while (kv->ops->iter_next(iter, &key, &value)) {
        char name[32];
        uint64_t words[2];
        if (key.size >= sizeof name)
            break;
        memcpy(name, key.data, key.size);
        name[key.size] = '\0';
        check(get_record(kv, name, words, 2));
        heard_of(log, strtoull(name + prefix.size, NULL, 10))->life =
            (struct raft_log_life){.life = words[0], .starts = words[1]};
    }
    kv->ops->iter_free(iter);
}

bool raft_log_remember(struct raft_log *log, raft_node_id node, const struct raft_log_life *life)
{
    pthread_mutex_lock(&log->mutex);
    struct heard *heard = heard_of(log, node);
    bool is_old = heard->life.life == life->life && heard->life.starts > life->starts;
    bool is_new = heard->life.life != life->life || heard->life.starts < life->starts;
    if (is_new) {
        heard->life = *life;
        heard->is_stored = false;
    }
    pthread_mutex_unlock(&log->mutex);
    return !is_old;
}

void raft_log_set_name(struct raft_log *log, uint64_t cluster, uint64_t name)
{
    pthread_mutex_lock(&log->mutex);
    log->name[0] = cluster;
    log->name[1] = name;
    log->has_name = true;
    pthread_mutex_unlock(&log->mutex);
}

static bool put_name(struct raft_log *log, struct kv_batch *batch)
{
    pthread_mutex_lock(&log->mutex);
    bool has_name = log->has_name;
    if (has_name)
        put_record(log->kv, batch, "name", log->name, 2);
    log->has_name = false;
    pthread_mutex_unlock(&log->mutex);
    return has_name;
}

static void put_heard(struct raft_log *log, struct kv_batch *batch)
{
    pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < log->heard_count; i++) {
        struct heard *heard = &log->heard[i];
        const uint64_t words[] = {heard->life.life, heard->life.starts};
        char key[32];
        if (heard->is_stored)
            continue;
        snprintf(key, sizeof key, "%s%llu", heard_prefix, (unsigned long long)heard->node);
        put_record(log->kv, batch, key, words, 2);
        heard->is_stored = true;
    }
    pthread_mutex_unlock(&log->mutex);
}

/* ---- opening ------------------------------------------------------------------------ */

/* Of what was read at the start nothing is left from place `from` on. */
static void drop_saved(struct raft_log *log, size_t from)
{
    for (size_t i = from; i < log->saved_count; i++)
        blob_release(log->saved[i].payload);
    log->saved_count = from;
}

/* The core reads lists of members, and nothing else. */
static void take_entry(struct raft_log *log, struct raft_entry entry, const unsigned char *payload)
{
    if (entry.pos.index <= log->first.index)
        return;
    if (entry.type == RAFT_ENTRY_MEMBERS)
        entry.payload = blob_copy(bytes_of(payload, entry.size));
    log->saved[log->saved_count++] = entry;
}

/* Adds the entries of a chunk to log->saved; those before it that it shadows go. */
static void take_chunk(struct raft_log *log, const struct chunk *chunk)
{
    const unsigned char *payload = chunk->payloads;
    raft_index next = log->first.index + 1 + log->saved_count;
    if (chunk->first > next)
        fatal("the Raft log has a hole: entries %llu to %llu are missing", (unsigned long long)next,
              (unsigned long long)chunk->first - 1);
    if (chunk->first > log->first.index)
        drop_saved(log, chunk->first - log->first.index - 1);
    chunks_append(&log->chunks, chunk->first);
    log->saved =
        grow(log->saved, &log->saved_capacity, log->saved_count + chunk->count, sizeof *log->saved);
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct raft_entry entry = chunk_entry(chunk, i);
        take_entry(log, entry, payload);
        payload += entry.size;
    }
}

static void check_terms(const struct raft_log *log)
{
    raft_term term = log->first.term;
    for (size_t i = 0; i < log->saved_count; i++) {
        const struct raft_pos *pos = &log->saved[i].pos;
        if (pos->term < term)
            fatal("the Raft log is damaged: entry %llu is of term %llu, after one of term %llu",
                  (unsigned long long)pos->index, (unsigned long long)pos->term,
                  (unsigned long long)term);
        term = pos->term;
    }
    if (term > log->term)
        fatal("the Raft log is damaged: its last entry is of term %llu, but the node only knew "
              "term %llu",
              (unsigned long long)term, (unsigned long long)log->term);
}

/* One chunk in memory at a time. */
static void scan(struct raft_log *log)
{
    struct kv *kv = log->kv;
    unsigned char from[KEY_SIZE];
    struct bytes key, value;
    put_u64_ordered(from, log->chunk_stored);
    struct kv_iter *iter =
        kv->ops->iter_new(kv, KV_LOG, bytes_of(from, sizeof from), kv_family_end());
    while (kv->ops->iter_next(iter, &key, &value)) {
        struct chunk chunk;
        if (key.size != KEY_SIZE)
            fatal("the Raft log holds a key of %zu bytes: it is not ours", key.size);
        raft_index first = get_u64_ordered(key.data);
        enum chunk_result result = chunk_decode(&chunk, first, value);
        if (result != CHUNK_OK)
            fatal("the Raft log is damaged: the chunk at entry %llu is %s",
                  (unsigned long long)first, chunk_result_text(result));
        take_chunk(log, &chunk);
    }
    kv->ops->iter_free(iter);
    if (log->chunk_stored <= log->first.index && log->chunks.begin == log->chunks.end)
        fatal("the Raft log is damaged: the chunk at entry %llu is missing",
              (unsigned long long)log->chunk_stored);
    log->last = log->first.index + log->saved_count;
}

struct raft_log *raft_log_open(struct kv *kv)
{
    struct raft_log *log = memory_new(sizeof *log);
    uint64_t words[RECORD_WORDS_MAX];
    log->kv = kv;
    pthread_mutex_init(&log->mutex, NULL);
    log->voted_for = RAFT_NOBODY;
    log->chunk_stored = 1;
    if (get_record(kv, "vote", words, 2)) {
        log->term = words[0];
        log->voted_for = words[1];
    }
    if (get_record(kv, "first", words, 3)) {
        log->first = (struct raft_pos){.term = words[0], .index = words[1]};
        log->chunk_stored = words[2];
    }
    log->first_stored = log->first;
    read_heard(log);
    scan(log);
    check_terms(log);
    return log;
}

void raft_log_saved(const struct raft_log *log, struct raft_saved *saved)
{
    saved->term = log->term;
    saved->voted_for = log->voted_for;
    saved->first = log->first;
    saved->entries = log->saved;
    saved->entries_count = log->saved_count;
}

void raft_log_forget_saved(struct raft_log *log)
{
    drop_saved(log, 0);
    memory_free(log->saved);
    log->saved = NULL;
    log->saved_capacity = 0;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* The outcome of all writes as one run of entries: a write cuts what came before it, and cannot
 * begin behind its end, so there is never more than one run. */
static void merge(struct raft_log *log, const struct raft_write *writes, uint32_t count)
{
    log->entries_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_write *write = &writes[i];
        if (write->count == 0)
            continue;
        raft_index cut = write->entries[0].pos.index;
        raft_index begin = log->entries_count ? log->entries[0].pos.index : cut;
        size_t kept = cut > begin ? cut - begin : 0;
        check(kept <= log->entries_count);
        log->entries =
            grow(log->entries, &log->entries_capacity, kept + write->count, sizeof *log->entries);
        memcpy(log->entries + kept, write->entries, write->count * sizeof *log->entries);
        log->entries_count = kept + write->count;
    }
}

/* How many of the entries make the next chunk. */
static uint32_t chunk_length(const struct raft_entry *entries, size_t count)
{
    uint64_t bytes = 0;
    uint32_t length = 0;
    while (length < count) {
        bytes += chunk_entry_bytes(&entries[length]);
        if (length > 0 && bytes > CHUNK_BYTES_MAX)
            break;
        length++;
    }
    return length;
}

static void put_chunks(struct raft_log *log, struct kv_batch *batch)
{
    log->new_chunks_count = 0;
    for (size_t i = 0; i < log->entries_count;) {
        uint32_t length = chunk_length(log->entries + i, log->entries_count - i);
        unsigned char key[KEY_SIZE];
        check(log->entries[i].pos.index == log->entries[0].pos.index + i);
        put_u64_ordered(key, log->entries[i].pos.index);
        chunk_encode(&log->bytes, log->entries + i, length);
        log->kv->ops->batch_put(batch, KV_LOG, bytes_of(key, sizeof key),
                                buffer_bytes(&log->bytes));
        log->new_chunks = grow(log->new_chunks, &log->new_chunks_capacity,
                               log->new_chunks_count + 1, sizeof *log->new_chunks);
        log->new_chunks[log->new_chunks_count++] = log->entries[i].pos.index;
        i += length;
    }
    if (log->bytes.capacity > KEEP_BYTES_MAX)
        buffer_deinit(&log->bytes);
}

/* Deletes the chunks at and behind the cut, before the new ones are put into the same batch. */
static void delete_cut_chunks(struct raft_log *log, struct kv_batch *batch, raft_index cut)
{
    pthread_mutex_lock(&log->mutex);
    check(cut > log->first.index); /* L3 */
    check(cut <= log->last + 1);   /* L1 */
    log->cutting = cut <= log->last;
    for (size_t i = log->chunks.end; i > log->chunks.begin && log->chunks.list[i - 1] >= cut; i--) {
        unsigned char key[KEY_SIZE];
        put_u64_ordered(key, log->chunks.list[i - 1]);
        log->kv->ops->batch_delete(batch, KV_LOG, bytes_of(key, sizeof key));
    }
    pthread_mutex_unlock(&log->mutex);
}

/* Puts a trim that was asked for into the batch.  True if there was one. */
static bool put_trim(struct raft_log *log, struct kv_batch *batch)
{
    struct kv *kv = log->kv;
    pthread_mutex_lock(&log->mutex);
    struct raft_pos first = log->first;
    struct raft_log_members members = log->members;
    bool has_members = log->has_members;
    raft_index chunk =
        log->chunks.begin < log->chunks.end ? log->chunks.list[log->chunks.begin] : first.index + 1;
    pthread_mutex_unlock(&log->mutex);
    if (first.index == log->first_stored.index)
        return false;
    check(chunk >= log->chunk_stored);
    if (chunk > log->chunk_stored) {
        unsigned char from[KEY_SIZE], to[KEY_SIZE];
        put_u64_ordered(from, log->is_swept ? log->chunk_stored : 0);
        put_u64_ordered(to, chunk);
        kv->ops->batch_delete_range(batch, KV_LOG, bytes_of(from, sizeof from),
                                    bytes_of(to, sizeof to));
        log->is_swept = true;
    }
    const uint64_t words[] = {first.term, first.index, chunk};
    put_record(kv, batch, "first", words, 3);
    if (has_members)
        put_members(kv, batch, &members);
    log->first_stored = first;
    log->chunk_stored = chunk;
    return true;
}

/* The commit is done: from here on the entries may be read. */
static void list_new_chunks(struct raft_log *log)
{
    if (log->entries_count == 0)
        return;
    raft_index cut = log->entries[0].pos.index;
    struct chunk_list *chunks = &log->chunks;
    pthread_mutex_lock(&log->mutex);
    if (cut <= log->last)
        log->cuts++;
    while (chunks->end > chunks->begin && chunks->list[chunks->end - 1] >= cut)
        chunks->end--;
    for (size_t i = 0; i < log->new_chunks_count; i++)
        chunks_append(chunks, log->new_chunks[i]);
    log->cutting = false;
    log->last = cut + log->entries_count - 1;
    pthread_mutex_unlock(&log->mutex);
}

void raft_log_write(struct raft_log *log, const struct raft_write *writes, uint32_t count)
{
    check(count > 0);
    const struct raft_write *last = &writes[count - 1];
    struct kv *kv = log->kv;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    check(last->term >= log->term);
    merge(log, writes, count);
    if (log->entries_count)
        check(log->entries[log->entries_count - 1].pos.term <= last->term);
    (void)put_trim(log, batch);
    put_heard(log, batch);
    put_name(log, batch);
    if (log->entries_count)
        delete_cut_chunks(log, batch, log->entries[0].pos.index);
    put_chunks(log, batch);
    /* The same term and vote again would only fill the meta family. */
    if (last->term != log->term || last->voted_for != log->voted_for || log->entries_count == 0) {
        const uint64_t words[] = {last->term, last->voted_for};
        put_record(kv, batch, "vote", words, 2);
        log->term = last->term;
        log->voted_for = last->voted_for;
    }
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    list_new_chunks(log);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* What was found for `index` need not make sense: the log changed, or is changing, under it. */
static bool has_changed(struct raft_log *log, raft_index index, uint64_t cuts_before)
{
    pthread_mutex_lock(&log->mutex);
    bool changed = log->cutting || log->cuts != cuts_before || index <= log->first.index;
    pthread_mutex_unlock(&log->mutex);
    return changed;
}

/* Makes log->chunk the chunk that holds `index`; returns its last valid index, 0 if it is gone. */
static raft_index load_chunk(struct raft_log *log, raft_index index)
{
    pthread_mutex_lock(&log->mutex);
    if (index <= log->first.index || index > log->last) {
        pthread_mutex_unlock(&log->mutex);
        return 0;
    }
    size_t after = chunks_after(&log->chunks, index);
    check(after > log->chunks.begin); /* L2 */
    raft_index first = log->chunks.list[after - 1];
    raft_index valid = after < log->chunks.end ? log->chunks.list[after] - 1 : log->last;
    uint64_t cuts = log->cuts;
    pthread_mutex_unlock(&log->mutex);

    if (log->chunk.count && log->chunk.first == first && log->chunk_cuts == cuts)
        return valid;
    unsigned char key[KEY_SIZE];
    put_u64_ordered(key, first);
    log->chunk.count = 0;
    bool found = log->kv->ops->get(log->kv, KV_LOG, bytes_of(key, sizeof key), &log->value);
    if (!found && has_changed(log, index, cuts))
        return 0;
    if (!found)
        fatal("the Raft log is damaged: the chunk at entry %llu is gone",
              (unsigned long long)first);
    enum chunk_result result = chunk_decode(&log->chunk, first, buffer_bytes(&log->value));
    if (result != CHUNK_OK)
        fatal("the Raft log is damaged: the chunk at entry %llu is %s", (unsigned long long)first,
              chunk_result_text(result));
    log->chunk_cuts = cuts;
    log->cursor = 0;
    log->cursor_payload = log->chunk.payloads;
    if (valid - first < log->chunk.count)
        return valid;
    check(has_changed(log, index, cuts));
    log->chunk.count = 0;
    return 0;
}

static void move_cursor(struct raft_log *log, uint32_t number)
{
    if (number < log->cursor) {
        log->cursor = 0;
        log->cursor_payload = log->chunk.payloads;
    }
    for (; log->cursor < number; log->cursor++)
        log->cursor_payload += chunk_entry(&log->chunk, log->cursor).size;
}

static void forget_chunk(struct raft_log *log)
{
    log->chunk.count = 0;
    if (log->value.capacity > KEEP_BYTES_MAX)
        buffer_deinit(&log->value);
}

uint32_t raft_log_read(struct raft_log *log, raft_index first, uint32_t count, uint64_t bytes_max,
                       struct raft_entry *entries)
{
    uint64_t bytes = 0;
    raft_index valid = 0;
    uint32_t done = 0;
    for (; done < count; done++) {
        raft_index index = first + done;
        if (index > valid && (valid = load_chunk(log, index)) == 0)
            break;
        uint32_t number = (uint32_t)(index - log->chunk.first);
        struct raft_entry entry = chunk_entry(&log->chunk, number);
        bytes += entry.size;
        if (done > 0 && bytes > bytes_max)
            break;
        if (entry.size) {
            move_cursor(log, number);
            entry.payload = blob_copy(bytes_of(log->cursor_payload, entry.size));
        }
        entries[done] = entry;
    }
    if (log->value.capacity > KEEP_BYTES_MAX)
        forget_chunk(log);
    return done;
}

/* ---- another cluster ---------------------------------------------------------------------- */

/* The same chunk, with `list` in the place of every list that it holds. */
static void put_chunk_with_list(struct raft_log *log, struct kv_batch *batch, raft_index first,
                                struct blob *list)
{
    struct buffer value = {0};
    struct chunk chunk;
    unsigned char key[KEY_SIZE];
    put_u64_ordered(key, first);
    check(log->kv->ops->get(log->kv, KV_LOG, bytes_of(key, sizeof key), &value));
    check(chunk_decode(&chunk, first, buffer_bytes(&value)) ==
          CHUNK_OK); /* as when it was opened */
    struct raft_entry *entries = memory_new(chunk.count * sizeof *entries);
    const unsigned char *payload = chunk.payloads;
    for (uint32_t i = 0; i < chunk.count; i++) {
        struct raft_entry *entry = &entries[i];
        *entry = chunk_entry(&chunk, i);
        entry->payload = entry->size ? blob_copy(bytes_of(payload, entry->size)) : NULL;
        payload += entry->size;
        if (entry->type != RAFT_ENTRY_MEMBERS)
            continue;
        blob_release(entry->payload);
        entry->payload = blob_take(list);
        entry->size = (uint32_t)list->size;
    }
    chunk_encode(&log->bytes, entries, chunk.count);
    log->kv->ops->batch_put(batch, KV_LOG, bytes_of(key, sizeof key), buffer_bytes(&log->bytes));
    for (uint32_t i = 0; i < chunk.count; i++)
        blob_release(entries[i].payload);
    memory_free(entries);
    buffer_deinit(&value);
}

/* Of the entries behind `from`. */
static void put_list_into_all(struct raft_log *log, struct kv_batch *batch, raft_index from,
                              const struct raft_members *list)
{
    raft_index done = 0; /* the chunk that was written last */
    struct blob *blob = raft_members_blob(list);
    for (size_t i = 0; i < log->saved_count; i++) {
        const struct raft_entry *entry = &log->saved[i];
        if (entry->type != RAFT_ENTRY_MEMBERS || entry->pos.index <= from)
            continue;
        raft_index first = log->chunks.list[chunks_after(&log->chunks, entry->pos.index) - 1];
        if (first != done)
            put_chunk_with_list(log, batch, first, blob);
        done = first;
    }
    blob_release(blob);
}

void raft_log_force(struct raft_log *log, struct kv_batch *batch, struct raft_pos applied,
                    uint64_t cluster, const struct raft_member *member)
{
    struct raft_log_identity present;
    struct raft_log_members members = {.index = applied.index};
    check(raft_log_identity(log->kv, &present) && present.node == member->id);
    check(member->voter && member->life != 0 && cluster != present.cluster);
    const uint64_t identity[] = {member->id, cluster};
    const uint64_t life[] = {member->life, 0};
    members.list = (struct raft_members){.count = 1, .list = {*member}};
    put_list_into_all(log, batch, applied.index, &members.list);
    raft_log_trim(log, applied, &members);
    (void)put_trim(log, batch);
    put_members(log->kv, batch, &members); /* also where nothing is trimmed */
    put_record(log->kv, batch, "identity", identity, 2);
    put_record(log->kv, batch, "life", life, 2);
}

/* ---- trimming and closing -------------------------------------------------------------------- */

void raft_log_trim(struct raft_log *log, struct raft_pos pos,
                   const struct raft_log_members *members)
{
    struct chunk_list *chunks = &log->chunks;
    pthread_mutex_lock(&log->mutex);
    check(pos.index >= log->first.index);
    check(pos.index <= log->last);
    log->first = pos;
    if (members) {
        check(members->index <= pos.index);
        log->members = *members;
        log->has_members = true;
    }
    /* Keep the chunk that holds the next entry; when there is none, keep nothing. */
    size_t after = chunks_after(chunks, pos.index + 1);
    if (pos.index == log->last)
        chunks->begin = chunks->end;
    else
        chunks->begin = after - 1;
    pthread_mutex_unlock(&log->mutex);
}

/* A list that stands in no entry is the configured one, also here, but where none is configured. */
void raft_log_replace(struct raft_log *log, struct kv_batch *batch, struct raft_pos pos,
                      const struct raft_log_members *members)
{
    struct raft_log_members stored;
    unsigned char from[KEY_SIZE] = {0}, to[KEY_SIZE];
    const uint64_t words[] = {pos.term, pos.index, pos.index + 1};
    check(pos.index > log->first.index);
    check(pos.term >= log->first.term && pos.term <= log->term);
    put_u64_ordered(to, UINT64_MAX);
    log->kv->ops->batch_delete_range(batch, KV_LOG, bytes_of(from, sizeof from),
                                     bytes_of(to, sizeof to));
    put_record(log->kv, batch, "first", words, 3);
    if (members->index > 0 || raft_log_members(log->kv, &stored))
        put_members(log->kv, batch, members);
    log->first = log->first_stored = pos; /* raft_log_close() has nothing to add */
    log->last = pos.index;
    log->chunk_stored = pos.index + 1;
    log->chunks.begin = log->chunks.end;
}

void raft_log_close(struct raft_log *log)
{
    struct kv *kv = log->kv;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    put_heard(log, batch);
    bool has_name = put_name(log, batch);
    if (put_trim(log, batch) || has_name)
        kv->ops->commit(kv, batch, false);
    kv->ops->batch_free(batch);
    raft_log_forget_saved(log);
    pthread_mutex_destroy(&log->mutex);
    memory_free(log->chunks.list);
    memory_free(log->entries);
    memory_free(log->new_chunks);
    memory_free(log->heard);
    buffer_deinit(&log->bytes);
    buffer_deinit(&log->value);
    memory_free(log);
}
