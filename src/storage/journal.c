/* See journal.h.
 *
 * DIRECTORY/0, 1, 2 and so on are the segments, each in any of the files: its head says which it
 * is. Integers are little endian.
 *
 *     a segment: offset  size  what
 *                0       512   a head
 *                4096    512   the other
 *                8192    ...   records, each at a multiple of 8
 *
 *     a head:    0       8     "RRJOURN2"; "RRJOURN1" in a directory of before, where segment n
 *                              was always in file n % 3, and nothing was read where it stands
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
 * A segment is begun when the next record does not fit into the present one, in a file that is
 * free: what it had need not be replayed, and nobody holds it or is reading it. Is there none, a
 * file is made, and is durable in the directory before anything in it counts. The head is synced
 * before the first record is written, and stands where the file's last but one was: torn by a power
 * cut it leaves the file what it was, a segment that may have to be replayed, whole. It says how
 * far back a start must go, so a head never has to be changed. A file is removed only if the newest
 * head, which is durable, says that a start does not want it.
 *
 * The last record. If its sync failed, the kernel may show it at the next start though it is not on
 * the disk, and say of a further sync that all is well; likewise the newest head. One of which
 * nothing says that it is durable is written again then, the same bytes: what is read where it
 * stands has no other copy. */
#include "storage/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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
    SURPLUS_AFTER = 8,      /* so many segments a free file is kept that nobody wants, */
    FREE_KEPT = 1,          /* and one for ever */
    FILL_FROM = 4,          /* when of the present segment one part of so many is used */
    FILL_PIECE = 64 << 10,  /* with one call: what the page cache makes one piece of, it also walks
                             * over whole for every small write into it */
    SHORT_MOST = 32 << 20,  /* or by less than that */
    SHORT_PART = 4,         /* a segment that is used by less is short */
    UNFILLED_LEAST = 4 << 20, /* in front of a larger record no blocks are written */
    FILES_MAX = 1 << 30,
    PATH_SIZE = 4096
};

static const char magic[8] = {'R', 'R', 'J', 'O', 'U', 'R', 'N', '2'};
static const char magic_before[8] = {'R', 'R', 'J', 'O', 'U', 'R', 'N', '1'};
static unsigned char zeros[FILL_PIECE];

/* And its file. */
struct segment {
    int fd;           /* -1: it is opened when it is written or replayed; set with the mutex */
    unsigned file;    /* its name */
    unsigned head;    /* which of the two is that of `number` */
    bool is_held;     /* by journal_hold() */
    unsigned readers; /* who read in it now */
    uint64_t number;  /* 0: it has no records */
    uint64_t replay_from;
    uint64_t before; /* the number of the record before its first */
    uint64_t seed;
    uint64_t mark;
    uint64_t filled; /* bytes that were written, once: the size of the file */
};

struct journal {
    char *directory; /* owned */
    uint64_t segment_bytes;
    /* Of which segment is where, and who reads it: that is changed with it, and looked at with it
     * by other threads than the journal's. */
    pthread_mutex_t mutex;
    struct segment **segments; /* owned, and each of them; in no order */
    size_t count;
    unsigned holds;          /* of all */
    unsigned files;          /* a name that no file has, nor had in this process */
    struct segment *present; /* that is written; these are of the journal's thread */
    struct segment *filling; /* zeros are on their way into its file; NULL: into one that is made */
    unsigned begun,
        free_least;       /* segments since surplus was counted; fewest files left free then */
    unsigned surplus;     /* files to be removed */
    uint64_t number;      /* of the segment that is written */
    uint64_t released_to; /* those before need not be replayed */
    uint64_t mark;        /* of them */
    uint64_t at;          /* where its next record goes */
    uint64_t last_at;     /* where the last that was replayed begins */
    uint64_t last;        /* record */
    bool is_filling;      /* the file of a next segment, in another thread */
    struct buffer bytes;  /* a record that is replayed; empty when it is open */
    uint64_t *durable;    /* the mapped file LAST */
};

/* NULL: it is in no file. */
static struct segment *segment_of(const struct journal *journal, uint64_t number)
{
    for (size_t i = 0; i < journal->count; i++)
        if (journal->segments[i]->number == number)
            return journal->segments[i];
    return NULL;
}

static void add_segment(struct journal *journal, struct segment *segment)
{
    pthread_mutex_lock(&journal->mutex);
    journal->segments =
        memory_resize(journal->segments, (journal->count + 1) * sizeof(struct segment *));
    journal->segments[journal->count++] = segment;
    pthread_mutex_unlock(&journal->mutex);
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

/* -1: an error, in errno. */
static int open_file(const char *directory, unsigned file, int how)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%u", directory, file);
    return open(path, O_RDWR | O_CLOEXEC | how, 0640);
}

/* -1: an error, in errno.  There to stay: a head in it is soon all that says where records are. */
static int make_file(const char *directory, unsigned file)
{
    int fd = open_file(directory, file, O_CREAT | O_EXCL);
    if (fd < 0 || durable_sync_directory(directory))
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* False: an error, in errno; 0 is read behind the end. */
static bool read_from(int fd, void *data, size_t size, uint64_t at)
{
    char *to = data;
    while (size > 0) {
        ssize_t got = pread(fd, to, size, (off_t)at);
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

static bool read_at(const struct segment *segment, void *data, size_t size, uint64_t at)
{
    return read_from(segment->fd, data, size, at);
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
    must_write(journal, segment, &piece, 1, (uint64_t)segment->head * HEADS_APART);
    must_sync(journal, segment);
}

/* The newer of the two that are whole; without any it has no records. */
static void take_head(struct segment *segment, unsigned place, const unsigned char *head)
{
    uint64_t number = get_u64(head + 8);
    bool is_head = memcmp(head, magic, sizeof magic) == 0 ||
                   memcmp(head, magic_before, sizeof magic_before) == 0;
    if (!is_head || number <= segment->number ||
        get_u64(head + HEAD_USED - 8) != XXH3_64bits(head, HEAD_USED - 8))
        return;
    segment->head = place;
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
    for (unsigned i = 0; i < HEADS; i++) {
        if (!read_at(segment, head, sizeof head, (uint64_t)i * HEADS_APART))
            return false;
        take_head(segment, i, head);
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

/* ---- files that are free ---------------------------------------------------------------- */

/* With the mutex. */
static bool is_free(const struct journal *journal, const struct segment *segment)
{
    if (segment == journal->present || segment->readers > 0 || segment->is_held)
        return false;
    return segment->number == 0 || (journal->holds == 0 && segment->number < journal->released_to);
}

static bool is_older(const struct segment *segment, const struct segment *other)
{
    return segment->number < other->number ||
           (segment->number == other->number && segment->file < other->file);
}

/* The one with the most blocks; of several, the oldest.  NULL: none is. */
static struct segment *find_free(struct journal *journal)
{
    struct segment *found = NULL;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = journal->segments[i];
        if (!is_free(journal, segment))
            continue;
        if (!found || segment->filled > found->filled ||
            (segment->filled == found->filled && is_older(segment, found)))
            found = segment;
    }
    pthread_mutex_unlock(&journal->mutex);
    return found;
}

static unsigned count_free(struct journal *journal)
{
    unsigned count = 0;
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->count; i++)
        count += is_free(journal, journal->segments[i]);
    pthread_mutex_unlock(&journal->mutex);
    return count;
}

static struct segment *add_file(struct journal *journal, unsigned file, int fd)
{
    struct segment *segment = memory_new(sizeof *segment);
    segment->file = file;
    segment->fd = fd;
    add_segment(journal, segment);
    return segment;
}

static struct segment *must_make_segment(struct journal *journal)
{
    unsigned file = journal->files++;
    int fd = make_file(journal->directory, file);
    if (fd < 0)
        fatal("cannot make a file of the store in %s: %s", journal->directory, strerror(errno));
    return add_file(journal, file, fd);
}

/* False: an error, in errno. */
static bool open_again(struct journal *journal, struct segment *segment)
{
    if (segment->fd >= 0)
        return true;
    int fd = open_file(journal->directory, segment->file, 0);
    pthread_mutex_lock(&journal->mutex);
    segment->fd = fd;
    pthread_mutex_unlock(&journal->mutex);
    return fd >= 0;
}

/* There may be thousands of files; open are those that are written or may have to be. */
static void close_rest(struct journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = journal->segments[i];
        if (segment->fd < 0 || segment == journal->present || segment->readers > 0 ||
            segment->number >= journal->released_to)
            continue;
        close(segment->fd);
        segment->fd = -1;
    }
    pthread_mutex_unlock(&journal->mutex);
}

/* Who looks for what the file had does not find it any more.  False: it is being read by now. */
static bool take_free(struct journal *journal, struct segment *segment)
{
    pthread_mutex_lock(&journal->mutex);
    bool is_taken = is_free(journal, segment);
    if (is_taken) {
        segment->head = segment->number > 0 ? (segment->head + 1) % HEADS : 0;
        segment->number = ++journal->number;
        journal->present = segment;
    }
    pthread_mutex_unlock(&journal->mutex);
    return is_taken;
}

/* How many free files nobody has wanted for some time: what is kept of the log comes and goes a
 * checkpoint at a time, and a file that is made again costs as much as it holds. */
static void count_surplus(struct journal *journal)
{
    unsigned count = count_free(journal);
    if (journal->begun == 0 || count < journal->free_least)
        journal->free_least = count;
    if (++journal->begun < SURPLUS_AFTER)
        return;
    journal->begun = 0;
    journal->surplus = journal->free_least > FREE_KEPT ? journal->free_least - FREE_KEPT : 0;
}

static void begin_segment(struct journal *journal)
{
    struct segment *segment;
    check(!journal->is_filling);
    check(journal->number + 1 < JOURNAL_SEGMENTS + journal->released_to);
    do
        segment = find_free(journal);
    while (segment && !take_free(journal, segment));
    if (!segment)
        check(take_free(journal, segment = must_make_segment(journal)));
    if (!open_again(journal, segment))
        fatal("cannot open a file of the store in %s: %s", journal->directory, strerror(errno));
    segment->replay_from = journal->released_to;
    segment->before = journal->last;
    segment->seed = random_seed();
    segment->mark = journal->mark;
    fill_to(journal, segment, RECORDS_AT);
    write_head(journal, segment);
    shorten(journal, segment);
    journal->at = RECORDS_AT;
    close_rest(journal);
    count_surplus(journal);
}

/* ---- who holds segments ------------------------------------------------------------------ */

static void set_held(struct journal *journal, uint64_t number, bool is_held)
{
    struct segment *segment = segment_of(journal, number);
    pthread_mutex_lock(&journal->mutex);
    check(number > 0 && segment);
    segment->is_held = is_held;
    pthread_mutex_unlock(&journal->mutex);
}

void journal_hold(struct journal *journal, uint64_t segment)
{
    set_held(journal, segment, true);
}

void journal_let_go(struct journal *journal, uint64_t segment)
{
    set_held(journal, segment, false);
}

bool journal_has(const struct journal *journal, uint64_t segment)
{
    return segment > 0 && segment_of(journal, segment);
}

void journal_hold_all(struct journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    journal->holds++;
    pthread_mutex_unlock(&journal->mutex);
}

void journal_let_all_go(struct journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    check(journal->holds > 0);
    journal->holds--;
    pthread_mutex_unlock(&journal->mutex);
}

bool journal_read(struct journal *journal, struct journal_place place, void *bytes, size_t size)
{
    pthread_mutex_lock(&journal->mutex);
    struct segment *segment = place.segment > 0 ? segment_of(journal, place.segment) : NULL;
    int fd = segment ? segment->fd : -1;
    if (segment)
        segment->readers++;
    pthread_mutex_unlock(&journal->mutex);
    if (!segment)
        return false;
    int own = fd < 0 ? open_file(journal->directory, segment->file, 0) : -1;
    if ((fd < 0 && own < 0) || !read_from(fd < 0 ? own : fd, bytes, size, place.at))
        fatal("cannot read the store in %s: %s", journal->directory, strerror(errno));
    if (own >= 0)
        close(own);
    pthread_mutex_lock(&journal->mutex);
    segment->readers--;
    pthread_mutex_unlock(&journal->mutex);
    return true;
}

/* ---- files that are not needed ------------------------------------------------------------ */

/* The one with the fewest blocks; NULL: none may go.  With the mutex. */
static struct segment *find_needless(const struct journal *journal)
{
    struct segment *found = NULL;
    for (size_t i = 0; i < journal->count && journal->count > JOURNAL_SEGMENTS; i++) {
        struct segment *segment = journal->segments[i];
        bool is_wanted_by_a_start = segment->number >= journal->present->replay_from;
        if (is_free(journal, segment) && !is_wanted_by_a_start && segment != journal->filling &&
            (!found || segment->filled < found->filled))
            found = segment;
    }
    return found;
}

bool journal_wants_removal(const struct journal *journal)
{
    return journal->surplus > 0;
}

void journal_remove_begin(struct journal *journal, struct journal_removal *removal)
{
    check(journal_wants_removal(journal));
    *removal = (struct journal_removal){.directory = journal->directory};
    journal->surplus--;
    pthread_mutex_lock(&journal->mutex);
    struct segment *segment = find_needless(journal);
    for (size_t i = 0; i < journal->count && segment; i++)
        if (journal->segments[i] == segment) {
            journal->segments[i] = journal->segments[--journal->count];
            break;
        }
    pthread_mutex_unlock(&journal->mutex);
    if (!segment)
        return;
    removal->is_there = true;
    removal->file = segment->file;
    removal->fd = segment->fd;
    memory_free(segment);
}

void journal_remove(const struct journal_removal *removal)
{
    char path[PATH_SIZE];
    if (!removal->is_there)
        return;
    snprintf(path, sizeof path, "%s/%u", removal->directory, removal->file);
    if (unlink(path) != 0)
        fatal("cannot remove a file of the store in %s: %s", removal->directory, strerror(errno));
    if (removal->fd >= 0)
        close(removal->fd);
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

bool journal_is_short(const struct journal *journal)
{
    uint64_t most = journal->segment_bytes / SHORT_PART;
    if (most > SHORT_MOST)
        most = SHORT_MOST;
    return journal->present->replay_from == journal->number && journal->at - RECORDS_AT < most;
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

struct journal_place journal_append(struct journal *journal, struct bytes record)
{
    check(journal_has_room(journal, record.size));
    if (!fits(journal, record.size))
        begin_segment(journal);
    struct segment *segment = journal->present;
    struct journal_place place = {segment->number, journal->at + RECORD_HEAD};
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
    return place;
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

/* How many zeros the next file should have by now: all when the present one is used, and on the way
 * there as many more as that is used more. All at once they would have the disk for a second, and
 * each commit meanwhile would wait for them. */
static uint64_t zeros_due(const struct journal *journal)
{
    uint64_t used_before = journal->segment_bytes / FILL_FROM;
    if (journal->at <= used_before)
        return 0;
    uint64_t due = (journal->at - used_before) * FILL_FROM / (FILL_FROM - 1);
    return due < journal->segment_bytes ? due : journal->segment_bytes;
}

bool journal_wants_filling(struct journal *journal)
{
    uint64_t due = zeros_due(journal);
    const struct segment *next = due > 0 ? find_free(journal) : NULL;
    return due > (next ? next->filled : 0);
}

void journal_fill_begin(struct journal *journal, struct journal_filling *filling)
{
    struct segment *next = find_free(journal);
    check(!journal->is_filling && zeros_due(journal) > 0);
    *filling = (struct journal_filling){.directory = journal->directory,
                                        .file = next ? next->file : journal->files++,
                                        .is_new = !next,
                                        .fd = next ? next->fd : -1,
                                        .from = next ? next->filled : 0};
    filling->to = filling->from + FILL_MOST;
    if (filling->to > journal->segment_bytes)
        filling->to = journal->segment_bytes;
    if (filling->to < filling->from) /* another one is free by now */
        filling->to = filling->from;
    journal->filling = next;
    journal->is_filling = true;
}

bool journal_fill(struct journal_filling *filling)
{
    if (filling->fd < 0)
        filling->fd = filling->is_new ? make_file(filling->directory, filling->file)
                                      : open_file(filling->directory, filling->file, 0);
    bool is_written = filling->fd >= 0 && write_zeros(filling->fd, filling->from, filling->to);
    bool lacks_room = errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == ENFILE;
    if (!is_written && lacks_room)
        return false;
    if (!is_written || fdatasync(filling->fd) != 0)
        fatal("cannot write the store in %s: %s", filling->directory, strerror(errno));
    return true;
}

void journal_fill_end(struct journal *journal, const struct journal_filling *filling,
                      bool is_filled)
{
    struct segment *next = journal->filling;
    check(journal->is_filling);
    if (!next && filling->fd >= 0)
        next = add_file(journal, filling->file, filling->fd);
    check(!next || next->fd < 0 || next->fd == filling->fd);
    check(!next || next->filled == filling->from);
    if (next) {
        pthread_mutex_lock(&journal->mutex);
        next->fd = filling->fd;
        pthread_mutex_unlock(&journal->mutex);
    }
    if (is_filled && next)
        next->filled = filling->to;
    journal->filling = NULL;
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

/* NULL: no file has records. */
static struct segment *newest(const struct journal *journal)
{
    struct segment *found = NULL;
    for (size_t i = 0; i < journal->count; i++) {
        struct segment *segment = journal->segments[i];
        if (segment->number > 0 && (!found || segment->number > found->number))
            found = segment;
    }
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
    journal->at = journal->last_at = RECORDS_AT;
    while ((found = find_record(segment, journal->at, journal->last + 1, &journal->bytes)) ==
           FOUND_RECORD) {
        struct journal_place place = {segment->number, journal->at + RECORD_HEAD};
        if (!options->replay(options->context, buffer_bytes(&journal->bytes), place))
            return refuse(replaying, "a record of its journal makes no sense");
        journal->last_at = journal->at;
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

/* The same bytes, for certain this time. */
static bool write_again(struct journal *journal, uint64_t from, uint64_t to)
{
    const struct segment *segment = journal->present;
    if (from == to)
        return true;
    buffer_clear(&journal->bytes);
    buffer_reserve(&journal->bytes, to - from);
    struct iovec piece = {journal->bytes.data, to - from};
    return read_at(segment, journal->bytes.data, to - from, from) &&
           write_pieces(segment->fd, &piece, 1, from);
}

/* What the kernel may show though it is not on the disk: a head that no record follows, or a last
 * record of which LAST does not know. What is known to be durable is not touched. */
static bool write_last_again(struct journal *journal, const struct replaying *replaying)
{
    uint64_t head = (uint64_t)journal->present->head * HEADS_APART;
    bool is_written = true;
    if (journal->at == RECORDS_AT)
        is_written = write_again(journal, head, head + HEAD_SIZE);
    else if (*journal->durable < journal->last)
        is_written = write_again(journal, journal->last_at, journal->at);
    if (is_written && fdatasync(journal->present->fd) == 0) {
        raise_durable(journal);
        return true;
    }
    snprintf(replaying->error, replaying->size, "cannot write the store in %s: %s",
             journal->directory, strerror(errno));
    return false;
}

static bool replay_all(struct journal *journal, const struct replaying *replaying)
{
    struct segment *present = newest(journal);
    if (!present)
        return refuse(replaying, "its journal is missing");
    journal->present = present;
    journal->number = present->number;
    journal->released_to = present->replay_from;
    journal->mark = present->mark;
    if (journal->number - journal->released_to >= JOURNAL_SEGMENTS)
        return refuse(replaying, "its journal says that more is missing than it can hold");
    for (uint64_t number = journal->released_to; number <= journal->number; number++) {
        struct segment *segment = segment_of(journal, number);
        if (number == journal->released_to)
            journal->last = segment ? segment->before : 0;
        if (!segment || segment->before != journal->last)
            return refuse(replaying, "a part of its journal is missing");
        if (!open_again(journal, segment))
            return unreadable(replaying);
        if (!replay_segment(journal, segment, replaying))
            return false;
    }
    uint64_t durable = *journal->durable;
    if (journal->last >= durable)
        return write_last_again(journal, replaying);
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

/* What it shows is durable from here on, also what only the page cache held when a process was
 * killed. */
static bool open_segment(struct journal *journal, unsigned file, const struct replaying *replaying)
{
    char path[PATH_SIZE];
    struct segment *segment = add_file(journal, file, -1);
    segment->fd = open_file(journal->directory, file, O_CREAT);
    if (journal->files <= file)
        journal->files = file + 1;
    if (segment->fd >= 0 && fsync(segment->fd) == 0 && read_heads(segment)) {
        close(segment->fd);
        segment->fd = -1;
        return true;
    }
    snprintf(path, sizeof path, "%s/%u", journal->directory, file);
    return cannot_use(replaying, path);
}

/* The name of a segment's file? */
static bool is_file(const char *name, unsigned *file)
{
    char same[16];
    *file = (unsigned)strtoul(name, NULL, 10);
    snprintf(same, sizeof same, "%u", *file);
    return *file < FILES_MAX && strcmp(name, same) == 0;
}

/* Those that are there, and three of a new one. */
static bool open_segments(struct journal *journal, const struct replaying *replaying)
{
    bool is_open = true;
    DIR *stream = opendir(journal->directory);
    if (!stream)
        return cannot_use(replaying, journal->directory);
    for (struct dirent *entry; is_open && (entry = readdir(stream));) {
        unsigned file;
        if (is_file(entry->d_name, &file))
            is_open = open_segment(journal, file, replaying);
    }
    closedir(stream);
    while (is_open && journal->count < JOURNAL_SEGMENTS)
        is_open = open_segment(journal, journal->files, replaying);
    return is_open;
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
    if (!options->is_new || newest(journal))
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
    pthread_mutex_init(&journal->mutex, NULL);
    bool is_open = open_all(journal, &replaying);
    buffer_deinit(&journal->bytes); /* as large as the largest record */
    if (is_open)
        return journal;
    journal_close(journal);
    return NULL;
}

void journal_close(struct journal *journal)
{
    for (size_t i = 0; i < journal->count; i++) {
        if (journal->segments[i]->fd >= 0)
            close(journal->segments[i]->fd);
        memory_free(journal->segments[i]);
    }
    memory_free(journal->segments);
    pthread_mutex_destroy(&journal->mutex);
    durable_number_unmap(journal->durable);
    memory_free(journal->directory);
    memory_free(journal);
}
