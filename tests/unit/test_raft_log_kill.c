/* A child process writes through the log writer to RocksDB, reports through a pipe what is durable,
 * and is killed at a random moment; what is found then must be the state after some write at or
 * behind the last report.  Round after round on the same directory.
 *
 * kill -9 spares the page cache, so it cannot show a missing fsync.  The second test cuts the power
 * as well: fsync and fdatasync are replaced by functions that note how much of each file was
 * synced, and after the kill every file loses what it had beyond that: all of it, or a part, or it
 * turns to zeros.  (Directory entries are taken to be durable at once.)  The journal writes over
 * what is there, so of its files pwritev is replaced too, and keeps what was there before until the
 * next sync: after the kill each sector has what it had or what it was to get, by chance, so that
 * what was written last may be torn anywhere and in any order.
 *
 * The child is this program again, executed afresh: RocksDB's background threads do not survive a
 * fork. */
#include "test_raft_log_model.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/codec.h"
#include "base/fatal.h"
#include "storage/raft_log_writer.h"

/* ---- what was synced ------------------------------------------------------------------ */

enum { FILES_MAX = 4096 };

struct synced_file {
    uint64_t inode;
    int64_t born_ns; /* inode numbers are used again */
    uint64_t size;
};

/* A write that was not synced, and what was there before. */
struct unsynced_write {
    uint64_t inode, at;
    uint32_t size, old;
};

enum { WRITES_MAX = 256, OLD_BYTES_MAX = 32 << 20, SECTOR = 512 };

struct synced_files {
    int lock;
    uint32_t count;
    struct synced_file list[FILES_MAX];
    uint32_t writes_count, old_bytes;
    struct unsynced_write writes[WRITES_MAX];
    unsigned char old[OLD_BYTES_MAX];
};

static struct synced_files *synced; /* shared with the child */

static struct synced_file *find_synced(uint64_t inode, int64_t born_ns)
{
    for (uint32_t i = 0; i < synced->count; i++)
        if (synced->list[i].inode == inode && synced->list[i].born_ns == born_ns)
            return &synced->list[i];
    return NULL;
}

static int64_t born_ns(const struct statx *status)
{
    return status->stx_btime.tv_sec * 1000000000 + status->stx_btime.tv_nsec;
}

static void lock_synced(void)
{
    while (__atomic_exchange_n(&synced->lock, 1, __ATOMIC_ACQUIRE))
        ;
}

static void unlock_synced(void)
{
    __atomic_store_n(&synced->lock, 0, __ATOMIC_RELEASE);
}

static void forget_writes(uint64_t inode)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < synced->writes_count; i++)
        if (synced->writes[i].inode != inode)
            synced->writes[kept++] = synced->writes[i];
    synced->writes_count = kept;
    if (kept == 0)
        synced->old_bytes = 0;
}

static bool is_of_journal(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    const char *name = strstr(path, "/journal/");
    return name && strcmp(name, "/journal/LAST") != 0;
}

/* Before it is written. */
static void note_write(int fd, size_t size, off_t at)
{
    struct stat status;
    if (!synced || !is_of_journal(fd) || fstat(fd, &status) != 0)
        return;
    lock_synced();
    check(synced->writes_count < WRITES_MAX && size <= OLD_BYTES_MAX - synced->old_bytes);
    unsigned char *old = synced->old + synced->old_bytes;
    memset(old, 0, size);
    check(pread(fd, old, size, at) >= 0);
    synced->writes[synced->writes_count++] =
        (struct unsynced_write){status.st_ino, (uint64_t)at, (uint32_t)size, synced->old_bytes};
    synced->old_bytes += (uint32_t)size;
    unlock_synced();
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    note_write(fd, size, at);
    return syscall(SYS_pwritev, fd, pieces, count, at, 0);
}

static int note_sync(int fd, long call)
{
    struct statx before;
    int known = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &before);
    if (synced && is_of_journal(fd))
        usleep(300); /* so that a kill meets it more often */
    long result = syscall(call, fd);
    if (known != 0 || !synced || result != 0)
        return (int)result;
    lock_synced();
    forget_writes(before.stx_ino);
    struct synced_file *file = find_synced(before.stx_ino, born_ns(&before));
    if (!file && synced->count < FILES_MAX) {
        file = &synced->list[synced->count++];
        *file = (struct synced_file){.inode = before.stx_ino, .born_ns = born_ns(&before)};
    }
    if (file && file->size < before.stx_size)
        file->size = before.stx_size;
    unlock_synced();
    return 0;
}

int fdatasync(int fd)
{
    return note_sync(fd, SYS_fdatasync);
}

int fsync(int fd)
{
    return note_sync(fd, SYS_fsync);
}

static uint64_t cut_prng = 1;
static uint64_t cut_bytes, torn_sectors;

/* The newest first, so that what is put back last was there first. */
static void tear_writes(const char *path, uint64_t inode)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (uint32_t i = synced->writes_count; i-- > 0;) {
        const struct unsynced_write *write = &synced->writes[i];
        uint64_t end = write->at + write->size;
        for (uint64_t at = write->at; write->inode == inode && at < end;) {
            uint64_t next = (at / SECTOR + 1) * SECTOR < end ? (at / SECTOR + 1) * SECTOR : end;
            if (prng_below(&cut_prng, 2)) {
                torn_sectors++;
                assert_true(syscall(SYS_pwrite64, fd, synced->old + write->old + (at - write->at),
                                    next - at, at) == (long)(next - at));
            }
            at = next;
        }
    }
    close(fd);
}

static int lose_unsynced(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    const char *name = path + ftw->base;
    struct statx now;
    /* LOG is for people; SYNCED is mapped, and its newest content is the hardest case. */
    if (type != FTW_F || strncmp(name, "LOG", 3) == 0 || strcmp(name, "SYNCED") == 0 ||
        strcmp(name, "LAST") == 0)
        return 0;
    tear_writes(path, status->st_ino);
    assert_int_equal(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &now), 0);
    const struct synced_file *file = find_synced(now.stx_ino, born_ns(&now));
    uint64_t kept = file ? file->size : 0;
    if (kept >= now.stx_size)
        return 0;
    cut_bytes += now.stx_size - kept;
    uint64_t torn = kept + prng_below(&cut_prng, now.stx_size - kept);
    bool whole = prng_below(&cut_prng, 3) == 0;
    assert_int_equal(truncate(path, (off_t)(whole ? kept : torn)), 0);
    /* Or the size was on disk already and the blocks were not.  Only write-ahead logs: RocksDB
     * refuses a manifest that ends in zeros, and all it can do is say so. */
    if (strstr(name, ".log") && prng_below(&cut_prng, 3) == 0)
        assert_int_equal(truncate(path, (off_t)now.stx_size), 0);
    return 0;
}

static void cut_power(const char *directory)
{
    (void)__atomic_load_n(&synced->lock, __ATOMIC_ACQUIRE); /* behind what threads here noted */
    unlock_synced();                                        /* the child may have died holding it */
    assert_int_equal(nftw(directory, lose_unsynced, 16, FTW_PHYS), 0);
    synced->writes_count = synced->old_bytes = 0;
}

/* ---- the child ---------------------------------------------------------------------------- */

enum { WAIT_EVERY = 16 };

struct report {
    uint64_t seq;
    uint64_t bulk;
};

static const struct kv_options small_options = {
    .cache_bytes = 1u << 20, .log_memtable_bytes = 64u << 10, .wal_bytes_max = 512u << 10};

static struct kv *open_small(const char *directory)
{
    char error[1024] = "";
    struct kv *kv = kv_rocksdb_open(directory, &small_options, error, sizeof error);
    if (!kv) {
        print_error("%s\n", error);
        _exit(3);
    }
    return kv;
}

static void no_wake(void *context, uint64_t durable)
{
    (void)context;
    (void)durable;
}

static void report(int pipe_fd, uint64_t seq, uint64_t bulk)
{
    struct report report = {.seq = seq, .bulk = bulk};
    if (write(pipe_fd, &report, sizeof report) != sizeof report)
        _exit(2);
}

/* The part that parent and child both do: write number seq, and at times a commit and a trim. */
static bool advance(struct model *model, uint64_t seq, struct model_write *write)
{
    bool pause = seq % WAIT_EVERY == 0;
    if (pause) {
        model_commit(model);
        model_trim(model);
    }
    model_write(model, write);
    write->write.seq = seq;
    return pause;
}

static void bulk_write(struct kv *kv, uint64_t number)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, bytes_from_string("x"), bytes_of(&number, sizeof number));
    kv->ops->bulk_put(bulk, bytes_from_string("y"), bytes_of(&number, sizeof number));
    kv->ops->bulk_commit(bulk);
}

/* As a sweep does: into RocksDB's write-ahead log, unsynced, which is cut while the families of the
 * journal are flushed beside it. */
static void delete_unsynced(struct kv *kv)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete(batch, KV_DATA, bytes_from_string("z"));
    kv->ops->commit(kv, batch, false);
    kv->ops->batch_free(batch);
}

static void *map_file(int fd, size_t size, int flags)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    check(map != MAP_FAILED);
    return map;
}

/* argv: program, "child", directory, number of bulks, and file descriptors: pipe, model, synced. */
_Noreturn static void child(char **argv)
{
    const char *directory = argv[2];
    uint64_t bulk = strtoull(argv[3], NULL, 10);
    int pipe_fd = atoi(argv[4]);
    struct model *model = map_file(atoi(argv[5]), sizeof *model, MAP_PRIVATE);
    if (atoi(argv[6]) >= 0)
        synced = map_file(atoi(argv[6]), sizeof *synced, MAP_SHARED);
    struct kv *kv = open_small(directory);
    struct raft_log *log = raft_log_open(kv);
    raft_log_forget_saved(log);
    struct raft_log_writer *writer = raft_log_writer_start(log, no_wake, NULL);
    uint64_t reported = 0;
    report(pipe_fd, 0, bulk);
    for (uint64_t seq = 1; model->last < MODEL_ENTRIES_MAX - 1000; seq++) {
        struct model_write write;
        while (seq % WAIT_EVERY == 0 && reported < seq - 1) {
            uint64_t durable = raft_log_writer_poll(writer);
            if (durable > reported)
                report(pipe_fd, reported = durable, bulk);
            else
                usleep(20);
        }
        if (advance(model, seq, &write)) {
            raft_log_trim(log, model->first, NULL);
            delete_unsynced(kv);
            if (seq % (2 * WAIT_EVERY) == 0) {
                bulk_write(kv, ++bulk);
                report(pipe_fd, reported, bulk);
            }
        }
        writer->ops->submit(writer, &write.write);
        model_write_release(&write);
        uint64_t durable = raft_log_writer_poll(writer);
        if (durable > reported)
            report(pipe_fd, reported = durable, bulk);
    }
    for (;;)
        pause(); /* for the killer */
}

/* ---- the parent ------------------------------------------------------------------------------ */

static int model_fd = -1, synced_fd = -1; /* memory shared with the child */
static bool child_notes_syncs;

static void start_child(const char *directory, uint64_t bulk, int pipe_fd)
{
    char numbers[4][24];
    const uint64_t values[] = {bulk, (uint64_t)pipe_fd, (uint64_t)model_fd};
    for (int i = 0; i < 3; i++)
        snprintf(numbers[i], sizeof numbers[i], "%llu", (unsigned long long)values[i]);
    snprintf(numbers[3], sizeof numbers[3], "%d", child_notes_syncs ? synced_fd : -1);
    execl("/proc/self/exe", "test_raft_log_kill", "child", directory, numbers[0], numbers[1],
          numbers[2], numbers[3], NULL);
    _exit(4);
}

static struct report kill_round(const char *directory, uint64_t bulk, uint64_t delay_us,
                                bool while_opening)
{
    int ends[2];
    struct report last = {.bulk = bulk}, next;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        start_child(directory, bulk, ends[1]);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20); /* the child must not wait for us */
    struct pollfd first = {.fd = ends[0], .events = POLLIN};
    if (while_opening)
        delay_us /= 4;
    else
        assert_int_equal(poll(&first, 1, 30000), 1);
    usleep((useconds_t)delay_us);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the child ended by itself, status 0x%x", (unsigned)status);
    while (read(ends[0], &next, sizeof next) == sizeof next)
        last = next;
    close(ends[0]);
    return last;
}

/* Moves the model on to the state that was found; it must lie at or behind the last report. */
static uint64_t catch_up(struct model *model, uint64_t reported, const struct raft_saved *saved)
{
    struct model_write write;
    for (uint64_t seq = 0; seq <= reported + 2 * WAIT_EVERY; seq++) {
        if (seq > 0) {
            advance(model, seq, &write);
            model_write_release(&write);
        }
        if (seq < reported || saved->first.index > model->first.index)
            continue;
        struct raft_pos first = model->first; /* a trim may not have reached the disk */
        model->first = saved->first;
        if (saved_matches(model, saved))
            return seq;
        model->first = first;
    }
    fail_msg("the log found is not one that was written: reported %llu, found first %llu last %llu "
             "term %llu; at the end of the search the model has first %llu last %llu term %llu",
             (unsigned long long)reported, (unsigned long long)saved->first.index,
             (unsigned long long)(saved->first.index + saved->entries_count),
             (unsigned long long)saved->term, (unsigned long long)model->first.index,
             (unsigned long long)model->last, (unsigned long long)model->term);
    return 0;
}

static uint64_t check_bulk(struct kv *kv, uint64_t reported)
{
    struct buffer x = {0}, y = {0};
    uint64_t number = 0;
    bool found = kv->ops->get(kv, KV_DATA, bytes_from_string("x"), &x);
    assert_int_equal(kv->ops->get(kv, KV_DATA, bytes_from_string("y"), &y), found);
    if (found) {
        assert_int_equal(x.size, sizeof number);
        assert_memory_equal(x.data, y.data, sizeof number);
        memcpy(&number, x.data, sizeof number);
    }
    assert_true(number == reported || number == reported + 1);
    buffer_deinit(&x);
    buffer_deinit(&y);
    return number;
}

/* Whether it was seen that what is not synced may be lost, in both ways. */
static bool has_cut(void)
{
    return cut_bytes > 0 && torn_sectors > 0;
}

/* So many, and with power cuts more, until there was something to lose: where disks are fast, a
 * kill seldom meets a write under way. */
static void rounds(uint64_t seed, uint32_t count, bool power)
{
    uint32_t most = power ? 20 * count : count;
    char *directory = temporary_new();
    model_fd = memfd_create("model", 0);
    assert_int_equal(ftruncate(model_fd, sizeof(struct model)), 0);
    struct model *model = map_file(model_fd, sizeof *model, MAP_SHARED);
    model->prng = seed;
    model->voted_for = RAFT_NOBODY;
    child_notes_syncs = power;
    uint64_t bulk = 0, writes = 0, delays = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < most && model->last < MODEL_ENTRIES_MAX / 2; i++) {
        if (i >= count && has_cut())
            break;
        struct report last =
            kill_round(directory, bulk, 1000 + prng_below(&delays, 120000), i % 4 == 3);
        if (power)
            cut_power(directory);
        struct kv *kv = open_small(directory);
        struct raft_log *log = raft_log_open(kv);
        struct raft_saved saved = {0};
        raft_log_saved(log, &saved);
        writes += catch_up(model, last.seq, &saved);
        for (raft_index at = model->first.index + 1; at <= model->last; at += 100)
            assert_read(model, log, at,
                        (uint32_t)(model->last - at + 1 < 100 ? model->last - at + 1 : 100),
                        UINT64_MAX);
        bulk = check_bulk(kv, last.bulk);
        raft_log_close(log);
        kv->ops->close(kv);
    }
    print_message("%llu writes, last entry %llu, first %llu, %llu bulks, %llu unsynced bytes cut, "
                  "%llu sectors put back\n",
                  (unsigned long long)writes, (unsigned long long)model->last,
                  (unsigned long long)model->first.index, (unsigned long long)bulk,
                  (unsigned long long)cut_bytes, (unsigned long long)torn_sectors);
    assert_true(writes > count); /* or the test shows nothing */
    munmap(model, sizeof *model);
    close(model_fd);
    temporary_remove(directory);
}

static void test_kill(void **state)
{
    (void)state;
    rounds(1, 20, false);
}

static void test_power_cut(void **state)
{
    (void)state;
    rounds(2, 20, true);
    assert_true(has_cut());
}

/* Before RocksDB has threads, which outlive the store that started them and call fsync() above. */
static void share_synced(void)
{
    synced_fd = memfd_create("synced", 0);
    check(synced_fd >= 0);
    check(ftruncate(synced_fd, sizeof *synced) == 0);
    synced = map_file(synced_fd, sizeof *synced, MAP_SHARED);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "child") == 0)
        child(argv);
    share_synced();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_power_cut),
    };
    return cmocka_run_group_tests_name("raft_log_kill", tests, NULL, NULL);
}
