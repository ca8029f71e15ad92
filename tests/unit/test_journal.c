/* The journal: what it gives back, from where, when its end is an end and when it is damage. */
#include "test_storage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/codec.h"
#include "base/memory.h"
#include "base/prng.h"
#include "storage/durable.h"
#include "storage/journal.h"

/* The file of the first segment. */
#define FIRST "0"

enum { SEGMENT = 256 << 10, SECOND_HEAD_AT = 4096, RECORDS_AT = 8192, RECORD_HEAD = 32 };

/* Records are numbered by their first eight bytes. */
struct world {
    char *directory;
    uint64_t segment_bytes;
    struct journal *journal;
    uint64_t next;              /* number of the record that is appended next */
    uint64_t first, count;      /* replayed: of the first, how many */
    bool is_refused;            /* by the one to whom it is replayed */
    struct journal_place place; /* of the last that was appended or replayed */
};

static bool replayed(void *context, struct bytes record, struct journal_place place)
{
    struct world *world = context;
    world->place = place;
    assert_true(record.size >= 8);
    uint64_t number = get_u64(record.data);
    if (world->count == 0)
        world->first = number;
    assert_int_equal(number, world->first + world->count);
    for (size_t i = 8; i < record.size; i++)
        assert_int_equal(((const unsigned char *)record.data)[i], (number + i) % 251);
    world->count++;
    return !world->is_refused;
}

static struct journal *try_open(struct world *world, bool is_new, char *error, size_t size)
{
    struct journal_options options = {.directory = world->directory,
                                      .segment_bytes = world->segment_bytes,
                                      .is_new = is_new,
                                      .replay = replayed,
                                      .context = world};
    world->count = 0;
    return journal_open(&options, error, size);
}

static void open_it(struct world *world, bool is_new)
{
    char error[512] = "";
    world->journal = try_open(world, is_new, error, sizeof error);
    if (!world->journal)
        fail_msg("%s", error);
    world->next = journal_last(world->journal) + 1;
}

static int set_up(void **state)
{
    struct world *world = memory_new(sizeof *world);
    world->directory = temporary_new();
    world->segment_bytes = SEGMENT;
    open_it(world, true);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->journal)
        journal_close(world->journal);
    temporary_remove(world->directory);
    memory_free(world);
    return 0;
}

static void append(struct world *world, size_t size)
{
    unsigned char *record = memory_new(size);
    put_u64(record, world->next);
    for (size_t i = 8; i < size; i++)
        record[i] = (unsigned char)((world->next + i) % 251);
    assert_true(journal_has_room(world->journal, size));
    world->place = journal_append(world->journal, bytes_of(record, size));
    assert_int_equal(journal_last(world->journal), world->next);
    world->next++;
    memory_free(record);
}

static void close_it(struct world *world)
{
    journal_close(world->journal);
    world->journal = NULL;
}

static void open_again(struct world *world)
{
    close_it(world);
    open_it(world, false);
}

static void assert_replayed(const struct world *world, uint64_t first, uint64_t last)
{
    assert_int_equal(world->count, last + 1 - first);
    if (world->count > 0)
        assert_int_equal(world->first, first);
}

static void assert_refused(struct world *world, const char *why)
{
    char error[512] = "";
    struct journal *journal = try_open(world, false, error, sizeof error);
    if (journal)
        fail_msg("opened; expected \"%s\"", why);
    if (!strstr(error, why))
        fail_msg("expected \"%s\", got: %s", why, error);
}

static int open_file(const struct world *world, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", world->directory, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

enum { FILES = 40, NAME = 4 };

/* The file of a segment; where its head stands in it. */
static off_t name_of(const struct world *world, uint64_t number, char *name)
{
    for (int file = 0; file < FILES; file++) {
        char path[600];
        unsigned char head[2][16] = {{0}};
        snprintf(name, NAME, "%d", file);
        snprintf(path, sizeof path, "%s/%s", world->directory, name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        (void)!pread(fd, head[0], 16, 0);
        (void)!pread(fd, head[1], 16, SECOND_HEAD_AT);
        close(fd);
        uint64_t first = get_u64(head[0] + 8), second = get_u64(head[1] + 8);
        if ((first > second ? first : second) == number)
            return first > second ? 0 : SECOND_HEAD_AT;
    }
    fail_msg("no file has segment %d", (int)number);
    return 0;
}

static void turn(const struct world *world, const char *name, off_t at)
{
    unsigned char byte;
    int fd = open_file(world, name);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void set_last(const struct world *world, uint64_t number)
{
    unsigned char bytes[8];
    int fd = open_file(world, "LAST");
    put_u64(bytes, number);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, 0), sizeof bytes);
    close(fd);
}

/* ---- what it gives back --------------------------------------------------------------- */

static void what_is_appended_is_replayed(void **state)
{
    struct world *world = *state;
    open_again(world);
    assert_replayed(world, 1, 0);
    for (size_t size = 8; size < 200; size++)
        append(world, size);
    open_again(world);
    assert_replayed(world, 1, 192);
    append(world, 100);
    open_again(world);
    assert_replayed(world, 1, 193);
}

/* Written in pieces. */
static void a_large_record_is_one(void **state)
{
    struct world *world = *state;
    const size_t sizes[] = {DURABLE_PIECE - 1,     DURABLE_PIECE,         DURABLE_PIECE + 1,
                            2 * DURABLE_PIECE,     2 * DURABLE_PIECE + 5, 5 * DURABLE_PIECE - 3,
                            5 * DURABLE_PIECE + 32};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        append(world, sizes[i]);
        append(world, 100);
        open_again(world);
        assert_true(world->count >= 2 && world->first + world->count == world->next);
        journal_release(world->journal, journal_segment(world->journal), world->next - 1);
    }
}

static void segments_are_used_again_when_they_are_released(void **state)
{
    struct world *world = *state;
    uint64_t dice = 3, began[64] = {0, 1};
    for (int i = 0; i < 4000; i++) {
        size_t size = 8 + prng_below(&dice, prng_below(&dice, 10) ? 500 : 30000);
        uint64_t segment = journal_segment(world->journal);
        if (!journal_has_room(world->journal, size)) {
            journal_release(world->journal, segment - 1, began[segment - 1]);
            assert_true(journal_has_room(world->journal, size));
        }
        append(world, size);
        uint64_t present = journal_segment(world->journal);
        assert_true(present == segment || present == segment + 1);
        if (present != segment && present < 64)
            began[present] = world->next - 1;
        if (i % 97 == 0) {
            uint64_t last = journal_last(world->journal);
            open_again(world);
            assert_int_equal(world->first + world->count - 1, last);
            assert_true(world->first <= began[present]);
            if (present > 3)
                assert_true(world->first >= began[present - 2]);
            assert_int_equal(journal_segment(world->journal), present);
            assert_true(journal_mark(world->journal) <= world->first);
        }
        if (present > 60)
            break;
    }
    assert_true(journal_segment(world->journal) > 20);
}

static void without_room_there_is_none(void **state)
{
    struct world *world = *state;
    while (journal_has_room(world->journal, 40000))
        append(world, 40000);
    assert_int_equal(journal_segment(world->journal), JOURNAL_SEGMENTS);
    open_again(world);
    assert_false(journal_has_room(world->journal, 40000));
    journal_release(world->journal, 2, 7);
    assert_true(journal_has_room(world->journal, 40000));
    append(world, 40000);
    assert_int_equal(journal_segment(world->journal), JOURNAL_SEGMENTS + 1);
    assert_int_equal(journal_mark(world->journal), 7);
    uint64_t last = journal_last(world->journal);
    open_again(world);
    assert_replayed(world, last + 1 - world->count, last);
    assert_true(world->first > 1);
    assert_int_equal(journal_mark(world->journal), 7);
}

static void what_is_released_at_once_is_not_replayed(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 10; i++)
        append(world, 1000);
    journal_release_all(world->journal, 10);
    open_again(world);
    assert_replayed(world, 11, 10);
    assert_int_equal(journal_mark(world->journal), 10);
    append(world, 50);
    for (int i = 0; i < 5; i++)
        journal_release_all(world->journal, 11);
    append(world, 50);
    open_again(world);
    assert_replayed(world, 12, 12);
}

static void a_large_record_has_a_segment_of_its_size(void **state)
{
    struct world *world = *state;
    struct stat status;
    for (int round = 0; round < 5; round++) {
        append(world, 100);
        append(world, 5 * SEGMENT + round);
        append(world, 70000);
        open_again(world);
        journal_release(world->journal, journal_segment(world->journal), world->next - 1);
    }
    for (int i = 0; i < 60; i++) {
        append(world, 20000);
        journal_release(world->journal, journal_segment(world->journal), world->next - 1);
    }
    for (int i = 0; i < JOURNAL_SEGMENTS; i++) { /* they are small again */
        char name[NAME];
        snprintf(name, sizeof name, "%d", i);
        int fd = open_file(world, name);
        assert_int_equal(fstat(fd, &status), 0);
        assert_true(status.st_size <= 2 * SEGMENT);
        close(fd);
    }
}

static const char *copied_at_shortening; /* the journal's directory as it is then goes there */
static const char *shortened_in;

/* In place of the C library's. */
int ftruncate(int fd, off_t size)
{
    char command[2048];
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (copied_at_shortening) {
        snprintf(command, sizeof command, "cp -r '%s/.' '%s'", shortened_in, copied_at_shortening);
        assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
        copied_at_shortening = NULL;
    }
    return result;
}

/* Killed when a file was shortened for a new segment: the one that it had may still be replayed, as
 * the segment before the new one says. */
static void a_file_is_shortened_behind_its_head(void **state)
{
    struct world *world = *state;
    char *copy = temporary_new();
    for (int segment = 1; segment <= JOURNAL_SEGMENTS; segment++)
        append(world, 5 * SEGMENT);
    uint64_t last = journal_last(world->journal);
    journal_release(world->journal, 2, 1); /* which the head of the third does not say */
    shortened_in = world->directory;
    copied_at_shortening = copy;
    append(world, 5 * SEGMENT);
    assert_null(copied_at_shortening);
    close_it(world);
    char *whole = world->directory;
    world->directory = copy;
    open_it(world, false);
    assert_in_range(world->first + world->count - 1, last, last + 1);
    close_it(world);
    world->directory = whole;
    open_it(world, false);
    temporary_remove(copy);
}

/* Of one of the first three segments. */
static off_t size_of(const struct world *world, uint64_t segment)
{
    char name[NAME];
    struct stat status;
    snprintf(name, sizeof name, "%d", (int)segment - 1);
    int fd = open_file(world, name);
    assert_int_equal(fstat(fd, &status), 0);
    close(fd);
    return status.st_size;
}

static void the_next_segment_is_filled_ahead(void **state)
{
    struct world *world = *state;
    struct journal_filling filling;
    for (uint64_t segment = 1; segment < JOURNAL_SEGMENTS; segment++) {
        while (!journal_wants_filling(world->journal))
            append(world, 10000);
        assert_int_equal(journal_segment(world->journal), segment);
        assert_int_equal(size_of(world, segment + 1), 0);
        journal_fill_begin(world->journal, &filling);
        assert_true(journal_fill(&filling));
        journal_fill_end(world->journal, &filling, true);
        assert_int_equal(size_of(world, segment + 1), SEGMENT);
    }
    for (int i = 0; i < 200; i++) { /* now all are */
        assert_false(journal_wants_filling(world->journal));
        append(world, 10000);
        journal_release(world->journal, journal_segment(world->journal), 1);
    }
    uint64_t last = journal_last(world->journal);
    open_again(world);
    assert_int_equal(world->first + world->count - 1, last);
}

static void begin_with(struct world *world, uint64_t segment_bytes)
{
    close_it(world);
    temporary_remove(world->directory);
    world->directory = temporary_new();
    world->segment_bytes = segment_bytes;
    open_it(world, true);
}

/* So that they never have the disk for themselves for long, and are all there when they are
 * needed. */
static void zeros_keep_pace_with_records(void **state)
{
    enum { LARGE = 16 << 20, STEP = 1 << 20, RECORD = 100000 };
    struct world *world = *state;
    struct journal_filling filling;
    uint64_t written = 0, filled = 0;
    begin_with(world, LARGE);
    while (journal_segment(world->journal) == 1) {
        append(world, RECORD);
        written += RECORD;
        if (journal_segment(world->journal) > 1 || !journal_wants_filling(world->journal))
            continue;
        journal_fill_begin(world->journal, &filling);
        assert_true(journal_fill(&filling));
        journal_fill_end(world->journal, &filling, true);
        assert_false(journal_wants_filling(world->journal));
        filled = (uint64_t)size_of(world, 2);
        assert_in_range(written, LARGE / 4 - RECORD, LARGE);
        assert_in_range(filled, written * 4 / 3 - LARGE / 3, written + STEP);
    }
    assert_int_equal(filled, LARGE);
}

/* What is written there while zeros are on their way would be lost. */
static void no_segment_is_begun_while_it_is_filled(void **state)
{
    struct world *world = *state;
    struct journal_filling filling;
    while (!journal_wants_filling(world->journal))
        append(world, 10000);
    journal_fill_begin(world->journal, &filling);
    while (journal_segment(world->journal) == 1 && journal_has_room(world->journal, 10000))
        append(world, 10000);
    assert_int_equal(journal_segment(world->journal), 1);
    uint64_t last = journal_last(world->journal);
    assert_true(journal_fill(&filling));
    journal_fill_end(world->journal, &filling, true);
    assert_true(journal_has_room(world->journal, 10000));
    append(world, 10000);
    assert_int_equal(journal_segment(world->journal), 2);
    open_again(world);
    assert_replayed(world, 1, last + 1);
}

/* A disk without room for zeros may have room for what they are ahead of. */
static void a_filling_that_failed_may_be_left(void **state)
{
    struct world *world = *state;
    struct journal_filling filling;
    while (!journal_wants_filling(world->journal))
        append(world, 10000);
    journal_fill_begin(world->journal, &filling);
    journal_fill_end(world->journal, &filling, false);
    assert_true(journal_wants_filling(world->journal));
    while (journal_segment(world->journal) == 1)
        append(world, 10000);
    uint64_t last = journal_last(world->journal);
    open_again(world);
    assert_replayed(world, 1, last);
}

/* ---- what is held, and how many files there are ------------------------------------------ */

static void assert_reads(struct world *world, struct journal_place place, uint64_t number,
                         size_t size)
{
    unsigned char *bytes = memory_new(size);
    assert_true(journal_read(world->journal, place, bytes, size));
    assert_int_equal(get_u64(bytes), number);
    for (size_t i = 8; i < size; i++)
        assert_int_equal(bytes[i], (number + i) % 251);
    memory_free(bytes);
}

static int count_files(const struct world *world)
{
    int count = 0;
    for (int file = 0; file < FILES; file++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%d", world->directory, file);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static void go_round(struct world *world, int segments)
{
    uint64_t to = journal_segment(world->journal) + (uint64_t)segments;
    while (journal_segment(world->journal) < to) {
        append(world, 20000);
        journal_release(world->journal, journal_segment(world->journal), world->next - 1);
    }
}

/* It is replayed no more, and there; nothing of it is taken for what goes on behind it. */
static void a_held_segment_is_not_begun_anew(void **state)
{
    enum { SIZE = 5000, HELD = 4 };
    struct world *world = *state;
    struct journal_place places[HELD];
    uint64_t numbers[HELD];
    unsigned char byte;
    for (int i = 0; i < HELD; i++) {
        append(world, SIZE);
        places[i] = world->place;
        numbers[i] = world->next - 1;
        journal_hold(world->journal, places[i].segment);
        go_round(world, 2);
    }
    for (int lap = 0; lap < 3; lap++) {
        go_round(world, 5);
        for (int i = 0; i < HELD; i++)
            assert_reads(world, places[i], numbers[i], SIZE);
        uint64_t last = journal_last(world->journal);
        open_again(world);
        assert_in_range(world->count, 0, 60);
        assert_int_equal(journal_last(world->journal), last);
        for (int i = 0; i < HELD; i++) {
            assert_reads(world, places[i], numbers[i], SIZE);
            journal_hold(world->journal, places[i].segment);
        }
    }
    for (int i = 0; i < HELD; i++)
        journal_let_go(world->journal, places[i].segment);
    go_round(world, 20);
    for (int i = 0; i < HELD; i++) {
        assert_false(journal_has(world->journal, places[i].segment));
        assert_false(journal_read(world->journal, places[i], &byte, 1));
    }
}

static void remove_what_is_not_needed(struct world *world)
{
    struct journal_removal removal;
    while (journal_wants_removal(world->journal)) {
        journal_remove_begin(world->journal, &removal);
        journal_remove(&removal);
    }
}

/* As many as are held, and three; those that were held go again. */
static void files_are_made_and_removed(void **state)
{
    enum { HELD = 12 };
    struct world *world = *state;
    assert_int_equal(count_files(world), JOURNAL_SEGMENTS);
    uint64_t first = journal_segment(world->journal) + 1;
    for (int i = 0; i < HELD; i++) {
        go_round(world, 1);
        journal_hold(world->journal, journal_segment(world->journal));
        remove_what_is_not_needed(world);
    }
    assert_in_range(count_files(world), HELD, HELD + JOURNAL_SEGMENTS);
    int most = count_files(world);
    for (int i = 0; i < 30; i++) { /* no file is removed to be made again */
        go_round(world, 1);
        remove_what_is_not_needed(world);
        assert_in_range(count_files(world), most, HELD + JOURNAL_SEGMENTS + 1);
    }
    for (uint64_t i = 0; i < HELD; i++)
        journal_let_go(world->journal, first + i);
    for (int i = 0; i < 40; i++) {
        go_round(world, 1);
        remove_what_is_not_needed(world);
        uint64_t last = journal_last(world->journal);
        open_again(world); /* whatever is removed, no start lacks it */
        assert_int_equal(journal_last(world->journal), last);
    }
    for (int i = 0; i < 40; i++) {
        go_round(world, 1);
        remove_what_is_not_needed(world);
    }
    assert_in_range(count_files(world), JOURNAL_SEGMENTS, JOURNAL_SEGMENTS + 1);
}

/* A head that is durable may still want what is released since: the file stays until another
 * does not. */
static void what_a_start_wants_is_not_removed(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 8; i++) { /* free ones, and more than enough */
        go_round(world, 1);
        journal_hold(world->journal, journal_segment(world->journal));
    }
    uint64_t held = journal_segment(world->journal);
    while (journal_segment(world->journal) < held + 2) /* not released */
        append(world, 20000);
    for (uint64_t i = 0; i < 8; i++)
        journal_let_go(world->journal, held - i);
    journal_release(world->journal, journal_segment(world->journal), world->next - 1);
    for (int i = 0; i < 20 && !journal_wants_removal(world->journal); i++) {
        uint64_t last = journal_segment(world->journal);
        while (journal_segment(world->journal) < last + 2 &&
               journal_has_room(world->journal, 20000))
            append(world, 20000);
        journal_release(world->journal, journal_segment(world->journal), world->next - 1);
    }
    assert_true(journal_wants_removal(world->journal));
    remove_what_is_not_needed(world);
    uint64_t last = journal_last(world->journal);
    open_again(world);
    assert_int_equal(journal_last(world->journal), last);
}

static void with_all_held_none_is_begun_anew(void **state)
{
    struct world *world = *state;
    append(world, 3000);
    struct journal_place place = world->place;
    uint64_t number = world->next - 1;
    journal_hold_all(world->journal);
    go_round(world, 12);
    assert_reads(world, place, number, 3000);
    journal_let_all_go(world->journal);
    go_round(world, 30);
    assert_false(journal_has(world->journal, place.segment));
}

/* However much is held: few of the files are open, at a start and in between. */
static void files_that_are_held_are_not_open(void **state)
{
    struct world *world = *state;
    struct journal_place places[FILES - JOURNAL_SEGMENTS];
    enum { SOME = 8, HELD = sizeof places / sizeof places[0] };
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDIN_FILENO);
    close(next);
    few = (struct rlimit){.rlim_cur = (rlim_t)next + SOME, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < HELD; i++) {
        append(world, 3000);
        places[i] = world->place;
        journal_hold(world->journal, world->place.segment);
        go_round(world, 1);
    }
    assert_true(journal_segment(world->journal) > HELD);
    for (int start = 0; start < 2; start++) {
        unsigned char byte;
        for (int i = 0; i < HELD; i++)
            assert_true(journal_read(world->journal, places[i], &byte, 1));
        open_again(world);
        for (int i = 0; i < HELD; i++)
            journal_hold(world->journal, places[i].segment);
        go_round(world, 2);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* What happens while one is read. */
static void (*beside)(void *context);
static void *beside_context;

/* In place of the C library's. */
ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    if (beside) {
        void (*now)(void *context) = beside;
        beside = NULL;
        now(beside_context);
    }
    return syscall(SYS_pread64, fd, bytes, size, at);
}

static void let_go_and_go_round(void *context)
{
    struct world *world = context;
    journal_let_go(world->journal, 1);
    go_round(world, 12);
}

/* Whoever reads in a segment when it is let go reads it to the end. */
static void what_is_being_read_is_not_begun_anew(void **state)
{
    struct world *world = *state;
    unsigned char byte;
    append(world, 3000);
    struct journal_place place = world->place;
    uint64_t number = world->next - 1;
    journal_hold(world->journal, place.segment);
    go_round(world, 5);
    beside_context = world;
    beside = let_go_and_go_round;
    assert_reads(world, place, number, 3000);
    assert_null(beside);
    go_round(world, 12);
    assert_false(journal_read(world->journal, place, &byte, 1));
}

static int directory_syncs;

/* In place of the C library's. */
int fsync(int fd)
{
    struct stat status;
    directory_syncs += fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    return (int)syscall(SYS_fsync, fd);
}

/* What it gets would be gone with it after a power cut. */
static void a_new_file_is_durable_in_its_directory(void **state)
{
    struct world *world = *state;
    struct journal_filling filling;
    while (journal_segment(world->journal) < JOURNAL_SEGMENTS) {
        append(world, 20000);
        journal_hold(world->journal, journal_segment(world->journal));
        journal_release(world->journal, journal_segment(world->journal), 1);
    }
    int before = directory_syncs;
    go_round(world, 1); /* made when it is needed, */
    assert_int_equal(directory_syncs, before + 1);
    journal_hold(world->journal, journal_segment(world->journal));
    while (!journal_wants_filling(world->journal))
        append(world, 20000);
    journal_fill_begin(world->journal, &filling); /* or before */
    assert_true(journal_fill(&filling));
    journal_fill_end(world->journal, &filling, true);
    assert_int_equal(directory_syncs, before + 2);
    go_round(world, 1);
    assert_int_equal(directory_syncs, before + 2);
    assert_int_equal(count_files(world), JOURNAL_SEGMENTS + 2);
    open_again(world);
}

enum { WRITES = 64 };
static struct {
    off_t from, to;
} writes[WRITES]; /* since counting began */
static int writes_count = -1;

/* In place of the C library's. */
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
    ssize_t written = syscall(SYS_pwritev, fd, pieces, count, at, 0);
    if (writes_count >= 0 && writes_count < WRITES && written > 0) {
        writes[writes_count].from = at;
        writes[writes_count++].to = at + written;
    }
    return written;
}

static bool is_written(off_t from, off_t to)
{
    for (int i = 0; i < writes_count; i++)
        if (writes[i].from <= from && writes[i].to >= to)
            return true;
    return false;
}

/* The last record and the newest head may be in the page cache alone: a sync of them may have
 * failed, and a further one says nothing.  They have no other copy.  What is known to be on the
 * disk is not touched: a write that is torn may leave less than it found. */
static void what_a_start_finds_last_is_written_again(void **state)
{
    struct world *world = *state;
    close_it(world);
    writes_count = 0;
    open_it(world, false); /* there is a head alone */
    assert_true(is_written(0, 56));
    append(world, 1000);
    append(world, 5000);
    struct journal_place place = world->place;
    for (uint64_t known = 2; known > 0; known--) {
        close_it(world);
        set_last(world, known);
        writes_count = 0;
        open_it(world, false);
        assert_false(is_written(0, 56));
        assert_int_equal(is_written((off_t)place.at - RECORD_HEAD, (off_t)place.at + 5000),
                         known == 1);
        assert_int_equal(writes_count, known == 1);
        writes_count = 0;
        open_again(world); /* now it is known */
        assert_int_equal(writes_count, 0);
    }
    writes_count = -1;
    open_again(world);
    assert_replayed(world, 1, 2);
}

/* A directory of before: other heads, and a segment is in the file of its number. */
static void make_old(const struct world *world, const char *name)
{
    for (off_t at = 0; at <= SECOND_HEAD_AT; at += SECOND_HEAD_AT) {
        unsigned char head[56];
        int fd = open_file(world, name);
        assert_int_equal(pread(fd, head, sizeof head, at), sizeof head);
        if (memcmp(head, "RRJOURN2", 8) == 0) {
            memcpy(head, "RRJOURN1", 8);
            put_u64(head + 48, XXH3_64bits(head, 48));
            assert_int_equal(pwrite(fd, head, sizeof head, at), sizeof head);
        }
        close(fd);
    }
}

static void a_directory_of_before_goes_on(void **state)
{
    struct world *world = *state;
    char command[700];
    while (journal_has_room(world->journal, 30000))
        append(world, 30000);
    uint64_t last = journal_last(world->journal);
    close_it(world);
    for (int i = 0; i < JOURNAL_SEGMENTS; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "%d", i);
        make_old(world, name);
    }
    snprintf(command, sizeof command, "cd '%s' && mv 2 3 && mv 1 2 && mv 0 1 && mv 3 0",
             world->directory);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
    open_it(world, false);
    assert_replayed(world, 1, last);
    assert_reads(world, world->place, last, 30000);
    journal_release(world->journal, journal_segment(world->journal), last);
    go_round(world, 10);
    last = journal_last(world->journal);
    open_again(world);
    assert_int_equal(journal_last(world->journal), last);
}

/* ---- ends and damage ------------------------------------------------------------------ */

/* The last record was not synced, and is torn at any place: it is not there, and what is appended
 * then is. */
static void a_torn_record_is_the_end(void **state)
{
    struct world *world = *state;
    unsigned char whole[136], zeros[136] = {0};
    append(world, 100);
    off_t at = RECORDS_AT + 136; /* a head, 100 bytes and 4 to fill up */
    append(world, 100);
    close_it(world);
    int fd = open_file(world, FIRST);
    assert_int_equal(pread(fd, whole, sizeof whole, at), sizeof whole);
    for (off_t cut = 0; cut < RECORD_HEAD + 100; cut += 3) {
        assert_int_equal(pwrite(fd, whole, sizeof whole, at), sizeof whole);
        assert_int_equal(pwrite(fd, zeros, sizeof zeros - (size_t)cut, at + cut),
                         (ssize_t)sizeof zeros - cut);
        set_last(world, 1);
        open_it(world, false);
        assert_replayed(world, 1, 1);
        append(world, 20);
        open_again(world);
        assert_replayed(world, 1, 2);
        close_it(world);
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, at), sizeof zeros);
    }
    close(fd);
}

/* Also where what follows the torn one is of an earlier lap. */
static void what_an_earlier_lap_left_is_the_end(void **state)
{
    struct world *world = *state;
    for (uint64_t lap = 0; lap < 4; lap++) {
        for (int i = 0; i < 20; i++)
            append(world, 500);
        for (int i = 0; i < JOURNAL_SEGMENTS; i++)
            journal_release_all(world->journal, world->next - 1);
        for (int i = 0; i < 3; i++)
            append(world, 500);
        uint64_t last = journal_last(world->journal);
        open_again(world);
        assert_replayed(world, last - 2, last);
        /* Torn, with what the lap before left in its place. */
        char name[NAME];
        name_of(world, journal_segment(world->journal), name);
        close_it(world);
        turn(world, name, RECORDS_AT + 2 * 536 + 3);
        set_last(world, last - 1);
        open_it(world, false);
        assert_replayed(world, last - 2, last - 1);
    }
}

/* A bit is turned at any place of what was synced. */
static void damage_is_told(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 20; i++)
        append(world, 96);
    close_it(world);
    for (off_t at = RECORDS_AT; at < RECORDS_AT + 20 * 128; at += 5) {
        turn(world, FIRST, at);
        assert_refused(world, "acknowledged writes are missing");
        turn(world, FIRST, at);
    }
    set_last(world, 0); /* an old number: what stands behind it tells */
    for (off_t at = RECORDS_AT; at < RECORDS_AT + 18 * 128; at += 5) {
        turn(world, FIRST, at);
        assert_refused(world, "a record in the middle of its journal cannot be read");
        turn(world, FIRST, at);
    }
    turn(world, FIRST, 20); /* its head */
    assert_refused(world, "its journal is missing");
    turn(world, FIRST, 20);
    open_it(world, false);
    assert_replayed(world, 1, 20);
}

static void a_missing_segment_is_told(void **state)
{
    struct world *world = *state;
    while (journal_segment(world->journal) < 3)
        append(world, 30000);
    uint64_t last = journal_last(world->journal);
    close_it(world);
    turn(world, "1", 9); /* the one between */
    assert_refused(world, "a part of its journal is missing");
    turn(world, "1", 9);
    turn(world, "0", 9); /* the first */
    assert_refused(world, "a part of its journal is missing");
    turn(world, "0", 9);
    /* The last: it was begun, and something synced in it. */
    turn(world, "2", 9);
    assert_refused(world, "acknowledged writes are missing");
    set_last(world, last - 1); /* it was only begun */
    open_it(world, false);
    assert_replayed(world, 1, last - 1);
    append(world, 30000);
    open_again(world);
    assert_replayed(world, 1, last);
}

/* The power is cut while a segment is begun: what the file held before is there, and needed. */
static void a_torn_head_leaves_what_was_there(void **state)
{
    struct world *world = *state;
    for (int lap = 0; lap < 2; lap++) {
        while (journal_has_room(world->journal, 30000))
            append(world, 30000);
        uint64_t number = journal_segment(world->journal), last = journal_last(world->journal);
        uint64_t first = last + 1;
        open_again(world);
        assert_replayed(world, first -= world->count, last);
        journal_release_all(world->journal, last);
        assert_int_equal(journal_segment(world->journal), ++number);
        close_it(world);
        char name[NAME];
        off_t head = name_of(world, number, name);
        for (off_t at = 0; at < 56; at += 3) {
            turn(world, name, head + at);
            open_it(world, false);
            assert_replayed(world, first, last);
            close_it(world);
            turn(world, name, head + at);
        }
        open_it(world, false);
        assert_replayed(world, last + 1, last);
        journal_release(world->journal, number, last);
    }
}

/* The end of one that is not the last. */
static void damage_at_the_end_of_a_segment_is_told(void **state)
{
    struct world *world = *state;
    uint64_t records = 0;
    while (journal_segment(world->journal) < 2) {
        append(world, 30000);
        records++;
    }
    close_it(world);
    turn(world, FIRST, RECORDS_AT + (off_t)(records - 2) * 30032 + 100);
    assert_refused(world, "a part of its journal is missing");
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct world *world = *state;
    append(world, 100);
    close_it(world);
    world->is_refused = true;
    assert_refused(world, "a record of its journal makes no sense");
    world->is_refused = false;
    open_it(world, false);
}

/* A record as somebody would make it who does not know the seed. */
static void forge(unsigned char *at, uint64_t number)
{
    memset(at, 0, 40);
    put_u64(at, number);
    put_u64(at + 8, 8);
    put_u64(at + 16, XXH3_64bits_withSeed(at + 32, 8, 0));
    put_u64(at + 24, XXH3_64bits_withSeed(at, 24, 0));
}

/* Whatever a client makes a record of: what is left of a torn one is not taken for others. */
static void a_record_in_a_record_is_none(void **state)
{
    struct world *world = *state;
    unsigned char record[400] = {0};
    append(world, 88);
    put_u64(record, world->next);
    for (size_t at = 8; at + 40 <= sizeof record; at += 40)
        forge(record + at, world->next + at / 40);
    journal_append(world->journal, bytes_of(record, sizeof record));
    close_it(world);
    turn(world, FIRST, RECORDS_AT + 120 + 2); /* torn */
    set_last(world, 1);
    open_it(world, false);
    assert_replayed(world, 1, 1);
}

static void a_new_one_may_have_been_begun(void **state)
{
    struct world *world = *state;
    append(world, 100);
    close_it(world);
    open_it(world, true);
    assert_replayed(world, 1, 1);
}

/* Where one of its files should be there is something else. */
static void what_cannot_be_used_is_told(void **state)
{
    static const char *const names[] = {"LAST", "1"};
    struct world *world = *state;
    char path[600], aside[600], *directory = world->directory;
    close_it(world);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        snprintf(aside, sizeof aside, "%s/aside", directory);
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_refused(world, "cannot use");
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rename(aside, path), 0);
    }
    world->directory = path; /* a file */
    assert_refused(world, "cannot use");
    world->directory = directory;
    open_it(world, false);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_replayed),
        TEST(a_large_record_is_one),
        TEST(segments_are_used_again_when_they_are_released),
        TEST(without_room_there_is_none),
        TEST(what_is_released_at_once_is_not_replayed),
        TEST(a_large_record_has_a_segment_of_its_size),
        TEST(a_file_is_shortened_behind_its_head),
        TEST(the_next_segment_is_filled_ahead),
        TEST(no_segment_is_begun_while_it_is_filled),
        TEST(zeros_keep_pace_with_records),
        TEST(a_filling_that_failed_may_be_left),
        TEST(a_held_segment_is_not_begun_anew),
        TEST(files_are_made_and_removed),
        TEST(what_a_start_wants_is_not_removed),
        TEST(files_that_are_held_are_not_open),
        TEST(with_all_held_none_is_begun_anew),
        TEST(what_is_being_read_is_not_begun_anew),
        TEST(a_new_file_is_durable_in_its_directory),
        TEST(what_a_start_finds_last_is_written_again),
        TEST(a_directory_of_before_goes_on),
        TEST(a_torn_record_is_the_end),
        TEST(what_an_earlier_lap_left_is_the_end),
        TEST(damage_is_told),
        TEST(a_missing_segment_is_told),
        TEST(a_torn_head_leaves_what_was_there),
        TEST(damage_at_the_end_of_a_segment_is_told),
        TEST(what_makes_no_sense_is_refused),
        TEST(a_record_in_a_record_is_none),
        TEST(a_new_one_may_have_been_begun),
        TEST(what_cannot_be_used_is_told),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
