/* See journal.h.
 *
 * DIRECTORY/0, 1 and 2 are the segments. Integers are little endian.
 *
 *     a segment: offset  size  what
 *                0       512   a head
 *                4096    512   the other
 *                8192    ...   records, each at a multiple of 8
 *
 *     a head:    0       8     "RRJOURN1"
 *                8       8     number of the segment: 1, 2, 3, ..., one more for each that is begun
 *                16      8     number of the first segment that has to be replayed
 *                24      8     number of the record before its first
 *                32      8     seed of its records' checksums, random
 *                40      8     mark of what was released
 *                48      8     XXH3-64 of the bytes before
 *                56      ...   zeros
 *
 *     a record:  0       8     its number: 1, 2, 3, ...
 *                8       8     size of its payload
 *                16      8     XXH3-64 of the payload, with the segment's seed
 *                24      8     XXH3-64 of the bytes before, with the segment's seed
 *                32      ...   the payload
 *
 * Behind the last record there are zeros, or what an earlier lap left: with another seed, so that
 * it is no record of this one. Nobody outside knows the seed, so no payload that was torn can pass
 * for one either.
 *
 * The end. Records are synced one by one, so a power cut may tear the last, which nobody was told
 * of; it cannot leave anything behind a torn one. So where the records end, no head may follow with
 * a number behind the next: it is looked for up to the end of the file, and if there is one, what
 * is before it is damaged. The last of all has none behind it: of that the file LAST tells, which
 * holds the number of a record that is known to be durable. It is mapped and written after each
 * sync, and never synced itself: an old number in it does no harm.
 *
 * The ring. A segment is begun when the next record does not fit into the present one. Its head is
 * synced before its first record is written, and stands where the file's last but one was: torn by
 * a power cut it leaves the file what it was, a segment that may have to be replayed, whole. It
 * says how far back a start must go, so a head never has to be changed. */
#include "storage/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/codec.h"
#include "base/fatal.h"
#include "base/memory.h"
#include "storage/durable.h"

enum {
    HEADS = 2,
    HEAD_SIZE = 512,
    HEAD_USED = 56,
    HEADS_APART = 4096, /* so that what tears one leaves the other, and the records */
    RECORDS_AT = HEADS * HEADS_APART,
    RECORD_HEAD = 32,
    ALIGNMENT = 8,
    FILL_LEAST = 256 << 10, /* zeros are written a step ahead: so many, */
    FILL_MOST = 1 << 20,    /* and more as more is used */
    FILL_PIECE = 64 << 10,  /* with one call: what the page cache makes one piece of, it also walks
                             * over whole for every small write into it */
    UNFILLED_LEAST = 4 << 20, /* in front of a larger record no blocks are written */
    PATH_SIZE = 4096
};

static const char magic[8] = {'R', 'R', 'J', 'O', 'U', 'R', 'N', '1'};
static unsigned char zeros[FILL_PIECE];

struct segment {
    int fd;
    uint64_t number; /* 0: it has no records */
    uint64_t replay_from;
    uint64_t before; /* the number of the record before its first */
    uint64_t seed;
    uint64_t mark;
    uint64_t filled; /* bytes that were written, once: the size of the file */
};

struct journal {
    char *directory; /* owned */
    uint64_t segment_bytes;
    struct segment segments[JOURNAL_SEGMENTS];
    uint64_t number;      /* of the segment that is written */
    uint64_t released_to; /* those before need not be replayed */
    uint64_t mark;        /* of them */
    uint64_t at;          /* where its next record goes */
    uint64_t last;        /* record */
    bool is_filling;      /* the file of the next segment, in another thread */
    struct buffer bytes;  /* a record that is replayed; empty when it is open */
    uint64_t *durable;    /* the mapped file LAST */
};

static struct segment *segment_of(struct journal *journal, uint64_t number)
{
    return &journal->segments[number % JOURNAL_SEGMENTS];
}

/* ---- files ---------------------------------------------------------------------------- */

/* False: an error, in errno. The pieces are used up. */
static bool write_pieces(int fd, struct iovec *pieces, int count, uint64_t at)
{
    while (count > 0) {
        ssize_t written = pwritev(fd, pieces, count, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written == 0)
            errno = EIO;
        if (written <= 0)
            return false;
        at += (uint64_t)written;
        for (; count > 0 && (size_t)written >= pieces->iov_len; count--)
            written -= (ssize_t)pieces++->iov_len;
        if (count > 0) {
            pieces->iov_base = (char *)pieces->iov_base + written;
            pieces->iov_len -= (size_t)written;
        }
    }
    return true;
}

static void must_write(const struct journal *journal, const struct segment *segment,
                       struct iovec *pieces, int count, uint64_t at)
{
    if (!write_pieces(segment->fd, pieces, count, at))
        fatal("cannot write the store in %s: %s", journal->directory, strerror(errno));
}

static void must_sync(const struct journal *journal, const struct segment *segment)
{
    if (fdatasync(segment->fd) != 0)
        fatal("cannot sync the store in %s: %s", journal->directory, strerror(errno));
}

/* False: an error, in errno; 0 is read behind the end. */
static bool read_at(const struct segment *segment, void *data, size_t size, uint64_t at)
{
    char *to = data;
    while (size > 0) {
        ssize_t got = pread(segment->fd, to, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0) {
            memset(to, 0, size);
            return true;
        }
        to += got;
        at += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_zeros(int fd, uint64_t from, uint64_t to)
{
    while (from < to) {
        struct iovec piece = {zeros, to - from < sizeof zeros ? to - from : sizeof zeros};
        uint64_t at = from;
        from += piece.iov_len;
        if (!write_pieces(fd, &piece, 1, at))
            return false;
    }
    return true;
}

/* So that what is behind `to` is blocks that were written before. */
static void fill_to(struct journal *journal, struct segment *segment, uint64_t to)
{
    if (to <= segment->filled)
        return;
    uint64_t step = segment->filled / 4;
    if (step < FILL_LEAST)
        step = FILL_LEAST;
    if (step > FILL_MOST)
        step = FILL_MOST;
    if (to < segment->filled + step)
        to = segment->filled + step;
    if (!write_zeros(segment->fd, segment->filled, to))
        fatal("cannot write the store in %s: %s", journal->directory, strerror(errno));
    segment->filled = to;
    must_sync(journal, segment);
}

/* ---- heads ---------------------------------------------------------------------------- */

static uint64_t random_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        fatal("the system has no random bytes to give");
    return seed;
}

/* Where that of a segment stands: not where that of the one before in its file does. */
static uint64_t head_at(uint64_t number)
{
    return number / JOURNAL_SEGMENTS % HEADS * HEADS_APART;
}

static void write_head(struct journal *journal, struct segment *segment)
{
    unsigned char head[HEAD_SIZE] = {0};
    memcpy(head, magic, sizeof magic);
    put_u64(head + 8, segment->number);
    put_u64(head + 16, segment->replay_from);
    put_u64(head + 24, segment->before);
    put_u64(head + 32, segment->seed);
    put_u64(head + 40, segment->mark);
    put_u64(head + HEAD_USED - 8, XXH3_64bits(head, HEAD_USED - 8));
    struct iovec piece = {head, sizeof head};
    must_write(journal, segment, &piece, 1, head_at(segment->number));
    must_sync(journal, segment);
}

/* The newer of the two that are whole; without any it has no records. */
static void take_head(struct segment *segment, const unsigned char *head)
{
    uint64_t number = get_u64(head + 8);
    if (memcmp(head, magic, sizeof magic) != 0 || number <= segment->number ||
        get_u64(head + HEAD_USED - 8) != XXH3_64bits(head, HEAD_USED - 8))
        return;
    segment->number = number;
    segment->replay_from = get_u64(head + 16);
    segment->before = get_u64(head + 24);
    segment->seed = get_u64(head + 32);
    segment->mark = get_u64(head + 40);
}

static bool read_heads(struct segment *segment)
{
    unsigned char head[HEAD_USED];
    struct stat status;
    if (fstat(segment->fd, &status) != 0)
        return false;
    segment->filled = (uint64_t)status.st_size;
    for (uint64_t i = 0; i < HEADS; i++) {
        if (!read_at(segment, head, sizeof head, i * HEADS_APART))
            return false;
        take_head(segment, head);
    }
    return true;
}

/* Of one that had a large record.  Only behind the new head: until that is durable, the segment of
 * before may still be replayed, from this file. */
static void shorten(const struct journal *journal, struct segment *segment)
{
    if (segment->filled <= 2 * journal->segment_bytes)
        return;
    if (ftruncate(segment->fd, (off_t)journal->segment_bytes) != 0)
        fatal("cannot shorten a file of the store in %s: %s", journal->directory, strerror(errno));
    segment->filled = journal->segment_bytes;
}

/* The next one, in the place of one that is released. */
static void begin_segment(struct journal *journal)
{
    struct segment *segment = segment_of(journal, ++journal->number);
    check(!journal->is_filling);
    check(segment->number == 0 || segment->number < journal->released_to);
    segment->number = journal->number;
    segment->replay_from = journal->released_to;
    segment->before = journal->last;
    segment->seed = random_seed();
    segment->mark = journal->mark;
    fill_to(journal, segment, RECORDS_AT);
    write_head(journal, segment);
    shorten(journal, segment);
    journal->at = RECORDS_AT;
}

/* ---- records -------------------------------------------------------------------------- */

static uint64_t space_of(uint64_t payload)
{
    return (RECORD_HEAD + payload + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint64_t checksum_of(const struct segment *segment, const void *data, size_t size)
{
    return XXH3_64bits_withSeed(data, size, segment->seed);
}

static void raise_durable(struct journal *journal)
{
    __atomic_store_n(journal->durable, journal->last, __ATOMIC_RELAXED);
}

static bool fits(const struct journal *journal, size_t size)
{
    return journal->at == RECORDS_AT || journal->at + space_of(size) <= journal->segment_bytes;
}

uint64_t journal_segment(const struct journal *journal)
{
    return journal->number;
}

bool journal_has_room(const struct journal *journal, size_t size)
{
    bool is_released = journal->number + 1 < JOURNAL_SEGMENTS + journal->released_to;
    return fits(journal, size) || (is_released && !journal->is_filling);
}

/* All but the end of a large payload, a piece at a time (durable.h).  Returns how much: until the
 * record is synced as a whole it is a torn one, whatever of it is there. */
static size_t write_ahead(const struct journal *journal, const struct segment *segment,
                          struct bytes payload, uint64_t at)
{
    size_t done = 0;
    for (; payload.size - done > DURABLE_PIECE; done += DURABLE_PIECE) {
        struct iovec piece = {(char *)(uintptr_t)payload.data + done, DURABLE_PIECE};
        must_write(journal, segment, &piece, 1, at + done);
        if (!durable_begin(segment->fd, at + done, DURABLE_PIECE))
            fatal("cannot write the store in %s: %s", journal->directory, strerror(errno));
    }
    return done;
}

static void write_record(const struct journal *journal, const struct segment *segment,
                         unsigned char *head, struct bytes record)
{
    uint64_t payload_at = journal->at + RECORD_HEAD;
    size_t done = write_ahead(journal, segment, record, payload_at);
    struct iovec pieces[] = {{head, RECORD_HEAD},
                             {(char *)(uintptr_t)record.data + done, record.size - done},
                             {zeros, space_of(record.size) - RECORD_HEAD - record.size}};
    if (done == 0) {
        must_write(journal, segment, pieces, 3, journal->at);
    } else {
        must_write(journal, segment, pieces, 1, journal->at);
        must_write(journal, segment, pieces + 1, 2, payload_at + done);
    }
}

void journal_append(struct journal *journal, struct bytes record)
{
    check(journal_has_room(journal, record.size));
    if (!fits(journal, record.size))
        begin_segment(journal);
    struct segment *segment = segment_of(journal, journal->number);
    unsigned char head[RECORD_HEAD];
    put_u64(head, journal->last + 1);
    put_u64(head + 8, record.size);
    put_u64(head + 16, checksum_of(segment, record.data, record.size));
    put_u64(head + 24, checksum_of(segment, head, RECORD_HEAD - 8));
    if (record.size <= UNFILLED_LEAST)
        fill_to(journal, segment, journal->at + space_of(record.size));
    write_record(journal, segment, head, record);
    must_sync(journal, segment);
    journal->at += space_of(record.size);
    if (segment->filled < journal->at)
        segment->filled = journal->at;
    journal->last++;
    raise_durable(journal);
}

void journal_release(struct journal *journal, uint64_t segment, uint64_t mark)
{
    check(segment <= journal->number && mark >= journal->mark);
    journal->mark = mark;
    if (journal->released_to < segment)
        journal->released_to = segment;
}

void journal_release_all(struct journal *journal, uint64_t mark)
{
    check(mark >= journal->mark);
    journal->mark = mark;
    journal->released_to = journal->number + 1;
    begin_segment(journal);
}

/* ---- filling ahead -------------------------------------------------------------------- */

bool journal_wants_filling(const struct journal *journal)
{
    const struct segment *next = &journal->segments[(journal->number + 1) % JOURNAL_SEGMENTS];
    return journal->at >= journal->segment_bytes / 2 && next->filled < journal->segment_bytes;
}

void journal_fill_begin(struct journal *journal, struct journal_filling *filling)
{
    const struct segment *next = segment_of(journal, journal->number + 1);
    check(!journal->is_filling && journal_wants_filling(journal));
    *filling = (struct journal_filling){.directory = journal->directory,
                                        .fd = next->fd,
                                        .from = next->filled,
                                        .to = next->filled + FILL_MOST};
    if (filling->to > journal->segment_bytes)
        filling->to = journal->segment_bytes;
    journal->is_filling = true;
}

bool journal_fill(const struct journal_filling *filling)
{
    bool is_written = write_zeros(filling->fd, filling->from, filling->to);
    if (!is_written && (errno == ENOSPC || errno == EDQUOT))
        return false;
    if (!is_written || fdatasync(filling->fd) != 0)
        fatal("cannot write the store in %s: %s", filling->directory, strerror(errno));
    return true;
}

void journal_fill_end(struct journal *journal, const struct journal_filling *filling,
                      bool is_filled)
{
    struct segment *next = segment_of(journal, journal->number + 1);
    check(journal->is_filling);
    check(next->fd == filling->fd && next->filled == filling->from);
    if (is_filled)
        next->filled = filling->to;
    journal->is_filling = false;
}

uint64_t journal_mark(const struct journal *journal)
{
    return journal->mark;
}

uint64_t journal_last(const struct journal *journal)
{
    return journal->last;
}

/* ---- replaying ------------------------------------------------------------------------ */

enum found { FOUND_RECORD, FOUND_NONE, FOUND_ERROR };

static bool is_head(const struct segment *segment, const unsigned char *head)
{
    return get_u64(head + 24) == checksum_of(segment, head, RECORD_HEAD - 8);
}

/* The record `number` at `at`, should it be there: its payload in `bytes`. */
static enum found find_record(const struct segment *segment, uint64_t at, uint64_t number,
                              struct buffer *bytes)
{
    unsigned char head[RECORD_HEAD];
    if (at + RECORD_HEAD > segment->filled)
        return FOUND_NONE;
    if (!read_at(segment, head, sizeof head, at))
        return FOUND_ERROR;
    uint64_t size = get_u64(head + 8);
    if (get_u64(head) != number || !is_head(segment, head) ||
        size > segment->filled - at - RECORD_HEAD)
        return FOUND_NONE;
    buffer_clear(bytes);
    buffer_reserve(bytes, size);
    if (!read_at(segment, bytes->data, size, at + RECORD_HEAD))
        return FOUND_ERROR;
    bytes->size = size;
    return get_u64(head + 16) == checksum_of(segment, bytes->data, size) ? FOUND_RECORD
                                                                         : FOUND_NONE;
}

/* Whether a record behind `next` begins behind `at`. No more of them find room than there is. */
static enum found find_later(const struct segment *segment, uint64_t at, uint64_t next)
{
    enum { PIECE = 1 << 20 };
    unsigned char *piece = memory_new(PIECE + RECORD_HEAD);
    enum found found = FOUND_NONE;
    uint64_t most = segment->filled / RECORD_HEAD;
    for (; at < segment->filled && found == FOUND_NONE; at += PIECE) {
        if (!read_at(segment, piece, PIECE + RECORD_HEAD, at))
            found = FOUND_ERROR;
        for (uint64_t i = 0; i < PIECE && found == FOUND_NONE; i += ALIGNMENT)
            if (get_u64(piece + i) - next - 1 < most && is_head(segment, piece + i))
                found = FOUND_RECORD;
    }
    memory_free(piece);
    return found;
}

struct replaying {
    const struct journal_options *options;
    char *error;
    size_t size;
};

static bool refuse(const struct replaying *replaying, const char *what)
{
    snprintf(replaying->error, replaying->size, "the store in %s is damaged: %s",
             replaying->options->directory, what);
    return false;
}

static bool unreadable(const struct replaying *replaying)
{
    snprintf(replaying->error, replaying->size, "cannot read the store in %s: %s",
             replaying->options->directory, strerror(errno));
    return false;
}

/* The records of one; journal->at is behind them then, journal->last the last. */
static bool replay_segment(struct journal *journal, const struct segment *segment,
                           const struct replaying *replaying)
{
    const struct journal_options *options = replaying->options;
    enum found found;
    journal->at = RECORDS_AT;
    while ((found = find_record(segment, journal->at, journal->last + 1, &journal->bytes)) ==
           FOUND_RECORD) {
        if (!options->replay(options->context, buffer_bytes(&journal->bytes)))
            return refuse(replaying, "a record of its journal makes no sense");
        journal->at += space_of(journal->bytes.size);
        journal->last++;
    }
    if (found == FOUND_NONE)
        found = find_later(segment, journal->at, journal->last + 1);
    if (found == FOUND_ERROR)
        return unreadable(replaying);
    return found == FOUND_NONE ||
           refuse(replaying, "a record in the middle of its journal cannot be read; acknowledged "
                             "writes are missing");
}

static bool replay_all(struct journal *journal, const struct replaying *replaying)
{
    uint64_t newest = 0;
    for (int i = 0; i < JOURNAL_SEGMENTS; i++)
        if (journal->segments[i].number > newest)
            newest = journal->segments[i].number;
    if (newest == 0)
        return refuse(replaying, "its journal is missing");
    journal->number = newest;
    journal->released_to = segment_of(journal, newest)->replay_from;
    journal->mark = segment_of(journal, newest)->mark;
    if (newest - journal->released_to >= JOURNAL_SEGMENTS)
        return refuse(replaying, "its journal says that more is missing than it can hold");
    journal->last = segment_of(journal, journal->released_to)->before;
    for (uint64_t number = journal->released_to; number <= newest; number++) {
        const struct segment *segment = segment_of(journal, number);
        if (segment->number != number || segment->before != journal->last)
            return refuse(replaying, "a part of its journal is missing");
        if (!replay_segment(journal, segment, replaying))
            return false;
    }
    uint64_t durable = *journal->durable;
    if (journal->last >= durable)
        return true;
    snprintf(replaying->error, replaying->size,
             "the store in %s is damaged: it ends at record %" PRIu64
             " of its journal, but had synced record %" PRIu64 "; acknowledged writes are missing",
             replaying->options->directory, journal->last, durable);
    return false;
}

/* ---- opening and closing --------------------------------------------------------------- */

static bool cannot_use(const struct replaying *replaying, const char *path)
{
    snprintf(replaying->error, replaying->size, "cannot use %s: %s", path, strerror(errno));
    return false;
}

static bool map_last(struct journal *journal, const struct replaying *replaying)
{
    char path[PATH_SIZE];
    journal->durable = durable_number_map(journal->directory, "LAST");
    if (journal->durable)
        return true;
    snprintf(path, sizeof path, "%s/LAST", journal->directory);
    return cannot_use(replaying, path);
}

/* What they show is durable from here on, also what only the page cache held when a process was
 * killed. */
static bool open_segments(struct journal *journal, const struct replaying *replaying)
{
    char path[PATH_SIZE];
    for (int i = 0; i < JOURNAL_SEGMENTS; i++) {
        struct segment *segment = &journal->segments[i];
        snprintf(path, sizeof path, "%s/%d", journal->directory, i);
        segment->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (segment->fd < 0 || fsync(segment->fd) != 0 || !read_heads(segment))
            return cannot_use(replaying, path);
    }
    return true;
}

static bool open_all(struct journal *journal, const struct replaying *replaying)
{
    const struct journal_options *options = replaying->options;
    if (mkdir(journal->directory, 0750) != 0 && errno != EEXIST)
        return cannot_use(replaying, journal->directory);
    if (!open_segments(journal, replaying) || !map_last(journal, replaying))
        return false;
    char above[PATH_SIZE];
    snprintf(above, sizeof above, "%s/..", journal->directory);
    if (!durable_sync_directory(journal->directory) || !durable_sync_directory(above))
        return cannot_use(replaying, journal->directory);
    bool is_empty = true;
    for (int i = 0; i < JOURNAL_SEGMENTS; i++)
        is_empty &= journal->segments[i].number == 0;
    if (!options->is_new || !is_empty)
        return replay_all(journal, replaying);
    journal->released_to = 1;
    begin_segment(journal);
    return true;
}

struct journal *journal_open(const struct journal_options *options, char *error, size_t size)
{
    struct journal *journal = memory_new(sizeof *journal);
    struct replaying replaying = {options, error, size};
    check(options->segment_bytes >= FILL_LEAST);
    check(strlen(options->directory) < PATH_SIZE - 16);
    journal->directory = memory_string(options->directory);
    journal->segment_bytes = options->segment_bytes;
    for (int i = 0; i < JOURNAL_SEGMENTS; i++)
        journal->segments[i].fd = -1;
    bool is_open = open_all(journal, &replaying);
    buffer_deinit(&journal->bytes); /* as large as the largest record */
    if (is_open)
        return journal;
    journal_close(journal);
    return NULL;
}

void journal_close(struct journal *journal)
{
    for (int i = 0; i < JOURNAL_SEGMENTS; i++)
        if (journal->segments[i].fd >= 0)
            close(journal->segments[i].fd);
    durable_number_unmap(journal->durable);
    memory_free(journal->directory);
    memory_free(journal);
}
