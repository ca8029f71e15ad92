/* The contract of kv.h, run on both stores; then what each store promises by itself: the one in
 * memory forgets at a crash exactly what was not synced, the one on RocksDB says what is wrong with
 * a directory and touches nothing it should not. */
#include "test_kv.h"
#include "kv_memory.h"
#include "test_passed.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/codec.h"
#include "base/heap.h"
#include "base/memory.h"
#include "base/prng.h"
#include "data/snapshot.h"
#include "storage/durable.h"
#include "storage/journal.h"
#include "storage/level_size.h"
#include "storage/rocksdb_assert.h"

static int setup_memory(void **state)
{
    struct fixture *fixture = memory_new(sizeof *fixture);
    fixture->kv = kv_memory_open();
    *state = fixture;
    return 0;
}

/* Instead of the C library's: counts the syncs of one directory, and lets them fail. */
static _Atomic ino_t watched;
static atomic_uint watched_syncs;
static atomic_bool watched_fails;

int fsync(int fd)
{
    struct stat status;
    if (watched != 0 && fstat(fd, &status) == 0 && status.st_ino == watched) {
        watched_syncs++;
        if (watched_fails) {
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fsync, fd);
}

/* Instead of the C library's: counts what the asking thread deletes itself. */
static _Thread_local unsigned deleted_here;

int unlink(const char *path)
{
    deleted_here++;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void write_batch(struct kv *kv, struct kv_batch *batch, bool sync)
{
    kv->ops->commit(kv, batch, sync);
    kv->ops->batch_free(batch);
}

static void put(struct kv *kv, enum kv_family family, const char *key, const char *value, bool sync)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, family, text(key), text(value));
    write_batch(kv, batch, sync);
}

/* NULL: the key must be absent. */
static void assert_value(struct kv *kv, enum kv_family family, const char *key, const char *value)
{
    struct buffer found = {0};
    buffer_append(&found, "old", 3); /* get must clear it */
    if (kv->ops->get(kv, family, text(key), &found)) {
        buffer_append_byte(&found, '\0');
        if (value)
            assert_string_equal(found.data, value);
        else
            fail_msg("%s is \"%s\" and should not be there", key, found.data);
    } else {
        assert_int_equal(found.size, 0);
        if (value)
            fail_msg("%s is absent", key);
    }
    buffer_deinit(&found);
}

/* All keys from `from` on, as "key=value key=value ". */
static void assert_scan(struct kv *kv, enum kv_family family, const char *from,
                        const char *expected)
{
    struct buffer found = {0};
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, family, text(from), kv_family_end());
    while (kv->ops->iter_next(iter, &key, &value))
        buffer_printf(&found, "%.*s=%.*s ", (int)key.size, (const char *)key.data, (int)value.size,
                      (const char *)value.data);
    assert_false(kv->ops->iter_next(iter, &key, &value)); /* and stays at the end */
    kv->ops->iter_free(iter);
    buffer_append_byte(&found, '\0');
    assert_string_equal(found.data, expected);
    buffer_deinit(&found);
}

/* ---- both stores -------------------------------------------------------------- */

static void test_batch(void **state)
{
    struct kv *kv = kv_of(state);
    assert_value(kv, KV_META, "a", NULL);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, text("a"), text("1"));
    kv->ops->batch_put(batch, KV_DATA, text("a"), text("2"));
    kv->ops->batch_put(batch, KV_META, text("b"), text("3"));
    kv->ops->batch_delete(batch, KV_META, text("b"));
    kv->ops->batch_delete(batch, KV_META, text("absent"));
    kv->ops->batch_put(batch, KV_LOG, text("c"), text("4"));
    kv->ops->batch_put(batch, KV_LOG, text("c"), text(""));
    assert_value(kv, KV_META, "a", NULL); /* not before the commit */
    write_batch(kv, batch, true);
    assert_value(kv, KV_META, "a", "1");
    assert_value(kv, KV_DATA, "a", "2");
    assert_value(kv, KV_LOG, "a", NULL);
    assert_value(kv, KV_META, "b", NULL);
    assert_value(kv, KV_LOG, "c", "");
    batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, text("a"), text("9"));
    kv->ops->batch_free(batch); /* never committed */
    assert_value(kv, KV_META, "a", "1");
    batch = kv->ops->batch_new(kv);
    write_batch(kv, batch, true); /* nothing in it */
}

/* Several keys at once: what is there, what is not, and no more of it than is wanted. */
static void test_heads(void **state)
{
    struct kv *kv = kv_of(state);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    const char *names[] = {"a", "b", "c", "d", "e"};
    const char *found[] = {"0123", NULL, "", NULL, "01234567"};
    kv->ops->batch_put(batch, KV_DATA, text("a"), text("0123"));
    kv->ops->batch_put(batch, KV_DATA, text("c"), text(""));
    kv->ops->batch_put(batch, KV_DATA, text("e"), text("0123456789"));
    kv->ops->batch_put(batch, KV_META, text("b"), text("of another family"));
    write_batch(kv, batch, true);
    struct kv_head heads[5] = {0};
    for (int round = 0; round < 2; round++) { /* what is in the buffers goes */
        for (int i = 0; i < 5; i++)
            heads[i].key = text(names[i]);
        kv->ops->get_heads(kv, KV_DATA, heads, 5, 8, round > 0);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(heads[i].is_there, found[i] != NULL);
            if (found[i])
                assert_memory_equal(heads[i].head.data, found[i], heads[i].head.size);
        }
        assert_int_equal(heads[0].head.size, 4);
        assert_int_equal(heads[2].head.size, 0);
        assert_int_equal(heads[4].head.size, 8);
        assert_int_equal(heads[4].size, 10);
    }
    for (int i = 0; i < 5; i++)
        buffer_deinit(&heads[i].head);
}

static void test_delete_range(void **state)
{
    struct kv *kv = kv_of(state);
    for (char key[] = "a"; key[0] <= 'f'; key[0]++)
        put(kv, KV_LOG, key, "x", false);
    put(kv, KV_META, "c", "x", false);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete_range(batch, KV_LOG, text("b"), text("e"));
    kv->ops->batch_put(batch, KV_LOG, text("c"), text("new"));
    write_batch(kv, batch, true);
    assert_scan(kv, KV_LOG, "", "a=x c=new e=x f=x ");
    assert_value(kv, KV_META, "c", "x");
}

/* A bulk run is a file of its own, at the bottom level: the kind that drop_files drops. */
static void test_drop_files(void **state)
{
    struct kv *kv = kv_of(state);
    for (char key[] = "b"; key[0] <= 'd'; key[0]++) {
        struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
        kv->ops->bulk_put(bulk, text(key), text("x"));
        kv->ops->bulk_commit(bulk);
    }
    kv->ops->drop_files(kv, KV_DATA, text("a"), text("c"));
    assert_scan(kv, KV_DATA, "", "c=x d=x "); /* the end is not in the range */
    kv->ops->drop_files(kv, KV_DATA, text("a"), bytes_of("c\0", 2));
    assert_scan(kv, KV_DATA, "", "d=x ");
}

static uint64_t stored_bytes(struct kv *kv)
{
    return kv->ops->property(kv, KV_DATA, "rocksdb.total-sst-files-size");
}

/* One run of values, or of their deletion; noise, so that nothing compresses. */
static void bulk_of_noise(struct kv *kv, bool is_deletion)
{
    enum { KEYS = 20, SIZE = 1 << 20 };
    uint64_t *noise = memory_new(SIZE), dice = 1;
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    for (char key[] = "a"; key[0] < 'a' + KEYS; key[0]++) {
        for (size_t i = 0; i < SIZE / sizeof *noise; i++)
            noise[i] = prng_next(&dice);
        if (is_deletion)
            kv->ops->bulk_delete(bulk, text(key));
        else
            kv->ops->bulk_put(bulk, text(key), bytes_of(noise, SIZE));
    }
    kv->ops->bulk_commit(bulk);
    memory_free(noise);
}

/* Without anything being written any more; and closing does not wait for it. */
static void test_reclaim(void **state)
{
    struct kv *kv = kv_of(state);
    for (int round = 0; round < 3; round++) {
        bulk_of_noise(kv, false);
        bulk_of_noise(kv, true);
        assert_true(stored_bytes(kv) > 20000000);
        kv->ops->reclaim(kv, KV_DATA, text("c"), text("d"));
        kv->ops->reclaim(kv, KV_DATA, text("a"), text("z"));
        for (int tries = 0; round < 2 && stored_bytes(kv) > 100000; tries++) {
            struct timespec pause = {.tv_nsec = 10000000};
            assert_true(tries < 3000);
            nanosleep(&pause, NULL);
        }
    }
}

/* Calls `each` for the path of each table file, if it is not NULL; how many there are. */
static unsigned tables(void **state, void (*each)(const char *path))
{
    const char *directory = ((struct fixture *)*state)->directory;
    unsigned count = 0;
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
        size_t size = strlen(entry->d_name);
        char path[512];
        if (size < 4 || strcmp(entry->d_name + size - 4, ".sst") != 0)
            continue;
        count++;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (each)
            each(path);
    }
    closedir(stream);
    return count;
}

/* To delete a large file takes a while, and the loop reads: whoever was the last to look at files
 * that were compacted away leaves them to another thread. */
static void test_who_reads_deletes_no_files(void **state)
{
    enum { FILES = 2 };
    struct timespec pause = {.tv_nsec = 10000000};
    struct kv *kv = kv_of(state);
    struct bytes key, value;
    bulk_of_noise(kv, false);
    bulk_of_noise(kv, true);
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, text(""), kv_family_end());
    assert_false(kv->ops->iter_next(iter, &key, &value)); /* it looks at both all the same */
    unsigned before = tables(state, NULL);
    kv->ops->reclaim(kv, KV_DATA, text("a"), text("z"));
    for (int tries = 0; kv->ops->property(kv, KV_DATA, "rocksdb.live-sst-files-size") > 100000;
         tries++) {
        assert_true(tries < 3000);
        nanosleep(&pause, NULL);
    }
    assert_true(before >= FILES && tables(state, NULL) >= FILES);
    deleted_here = 0;
    kv->ops->iter_free(iter);
    assert_int_equal(deleted_here, 0);
    for (int tries = 0; tables(state, NULL) > before - FILES; tries++) {
        assert_true(tries < 3000); /* another thread does */
        nanosleep(&pause, NULL);
    }
}

static void assert_cached(const char *path)
{
    enum { PAGE = 4096, PAGES_MAX = 20000 };
    static unsigned char pages[PAGES_MAX];
    struct stat status;
    size_t cached = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    size_t size = (size_t)status.st_size, count = (size + PAGE - 1) / PAGE;
    assert_true(count <= PAGES_MAX);
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mincore(map, size, pages), 0);
    for (size_t i = 0; i < count; i++)
        cached += pages[i] & 1u;
    munmap(map, size);
    close(fd);
    if (cached < count - count / 10)
        fail_msg("of %zu pages of %s %zu are in memory", count, path, cached);
}

/* ---- what goes to the disk ahead of its sync ----------------------------------------- */

static const char *begin_fails;      /* in files with this in their names */
static atomic_bool merges_are_slow;  /* a tenth of a second for each piece */
static const char *_Atomic begun_in; /* only those are counted: */
static atomic_ullong begun_to, begun_most, begun_times;

static void note_begun(uint64_t end)
{
    uint64_t before = end > begun_to ? begun_to : 0; /* another file */
    if (end - before > begun_most)
        begun_most = end - before;
    begun_to = end;
    begun_times++;
}

static bool is_in_name(int fd, const char *part)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    return strstr(path, part);
}

static bool is_merging(void);
static atomic_bool merge_reads_are_slow; /* likewise */
static atomic_uint merge_reads;          /* since then */

/* In place of the C library's. */
ssize_t wait_and_read(int fd, void *data, size_t size, off_t at) __asm__("pread");

ssize_t wait_and_read(int fd, void *data, size_t size, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) =
        (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    if (merge_reads_are_slow && is_merging()) {
        merge_reads++;
        poll(NULL, 0, 100);
    }
    return real(fd, data, size, at);
}

static bool is_merging(void)
{
    char thread[16] = "";
    prctl(PR_GET_NAME, thread);
    return strncmp(thread, "rocksdb:low", 11) == 0;
}

/* In place of the C library's.  It takes six words, however many it is given. */
__attribute__((no_sanitize_address)) long syscall(long number, ...)
{
    long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long words[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(arguments, long);
    va_end(arguments);
    unsigned how = number == SYS_sync_file_range ? (unsigned)words[3] : 0;
    if (how && merges_are_slow && is_merging())
        poll(NULL, 0, 100);
    if (how && begin_fails && is_in_name((int)words[0], begin_fails)) {
        errno = EIO;
        return -1;
    }
    const char *in = begun_in; /* other threads are asked as well */
    if (how && in && is_in_name((int)words[0], in))
        note_begun(words[1] == 0 && how & SYNC_FILE_RANGE_WAIT_BEFORE ? (uint64_t)words[2]
                                                                      : UINT64_MAX);
    return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

static void count_begun(const char *in)
{
    begun_to = begun_most = begun_times = 0;
    begun_in = in;
}

/* About so much, and never more at a time. */
static void assert_begun(uint64_t bytes)
{
    begun_in = NULL;
    uint64_t most = 5 * DURABLE_PIECE / 2; /* of what RocksDB gathers */
    if (begun_most > most || begun_times < bytes / most)
        fail_msg("%llu times, %llu bytes at most", begun_times, begun_most);
}

/* Who syncs a little meanwhile waits for a piece, and not for all of it. */
static void test_large_writes_go_in_pieces(void **state)
{
    enum { SIZE = 24 << 20 };
    struct fixture *fixture = *state;
    uint64_t *noise = memory_new(SIZE), dice = 1;
    for (size_t i = 0; i < SIZE / sizeof *noise; i++)
        noise[i] = prng_next(&dice);
    count_begun("/journal/");
    struct kv_batch *batch = fixture->kv->ops->batch_new(fixture->kv);
    fixture->kv->ops->batch_put(batch, KV_META, text("a"), bytes_of(noise, SIZE));
    write_batch(fixture->kv, batch, true);
    assert_begun(SIZE - DURABLE_PIECE);
    count_begun(".sst");
    fixture->kv->ops->close(fixture->kv); /* RocksDB writes it into a table */
    fixture->kv = NULL;
    assert_begun(SIZE);
    fixture->kv = open_rocksdb(fixture->directory);
    count_begun("/ingest/");
    bulk_of_noise(fixture->kv, false);
    assert_begun(20 << 20);
    memory_free(noise);
}

/* Else the first look at what a checkpoint stored waits for the disk. */
static void test_what_was_written_is_in_memory(void **state)
{
    bulk_of_noise(kv_of(state), false);
    assert_true(tables(state, assert_cached) > 0);
}

static void test_scan(void **state)
{
    struct kv *kv = kv_of(state);
    assert_scan(kv, KV_DATA, "", "");
    put(kv, KV_DATA, "b", "2", false);
    put(kv, KV_DATA, "a", "1", true);
    put(kv, KV_DATA, "ab", "3", false);
    put(kv, KV_META, "ac", "other", false);
    assert_scan(kv, KV_DATA, "", "a=1 ab=3 b=2 ");
    assert_scan(kv, KV_DATA, "aa", "ab=3 b=2 ");
    assert_scan(kv, KV_DATA, "ab", "ab=3 b=2 ");
    assert_scan(kv, KV_DATA, "c", "");

    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, text("a"), text("zz"));
    assert_true(kv->ops->iter_next(iter, &key, &value));
    put(kv, KV_DATA, "aa", "later", true);
    put(kv, KV_DATA, "ab", "later", true);
    assert_true(kv->ops->iter_next(iter, &key, &value)); /* as of its creation */
    assert_true(bytes_equal(key, text("ab")));
    assert_true(bytes_equal(value, text("3")));
    kv->ops->iter_seek(iter, text(""), text("zz")); /* and stays that */
    assert_true(kv->ops->iter_next(iter, &key, &value));
    assert_true(bytes_equal(key, text("a")));
    kv->ops->iter_seek(iter, text("c"), text("zz"));
    assert_false(kv->ops->iter_next(iter, &key, &value));
    kv->ops->iter_seek(iter, text("aa"), text("zz"));
    assert_true(kv->ops->iter_next(iter, &key, &value));
    assert_true(bytes_equal(key, text("ab")));
    assert_true(bytes_equal(value, text("3")));
    assert_true(kv->ops->iter_next(iter, &key, &value));
    assert_true(bytes_equal(key, text("b")));
    assert_false(kv->ops->iter_next(iter, &key, &value));
    kv->ops->iter_free(iter);
}

/* The rest of it, as "key key "; `to` may be anywhere. */
static void assert_keys(struct kv *kv, struct kv_iter *iter, const char *expected)
{
    struct buffer found = {0};
    struct bytes key, value;
    while (kv->ops->iter_next(iter, &key, &value))
        buffer_printf(&found, "%.*s ", (int)key.size, (const char *)key.data);
    assert_false(kv->ops->iter_next(iter, &key, &value));
    buffer_append_byte(&found, '\0');
    assert_string_equal(found.data, expected);
    buffer_deinit(&found);
}

static void assert_ends(struct kv *kv, struct kv_iter *iter)
{
    assert_keys(kv, iter, "ab b ");
    kv->ops->iter_seek(iter, text("a"), text("b")); /* nearer, and in the same block, */
    assert_keys(kv, iter, "a ab ");
    kv->ops->iter_seek(iter, text("a"), text("c")); /* farther, */
    assert_keys(kv, iter, "a ab b ba ");
    kv->ops->iter_seek(iter, text("b"), text("b")); /* and nothing at all */
    assert_keys(kv, iter, "");
    kv->ops->iter_seek(iter, text("b"), bytes_of("b", 2)); /* with its zero */
    assert_keys(kv, iter, "b ");
    kv->ops->iter_seek(iter, text("bb"), text("zz"));
    assert_keys(kv, iter, "c d ");
    kv->ops->iter_free(iter);
}

static void start_behind_its_end(void *context)
{
    struct kv *kv = context;
    kv->ops->iter_new(kv, KV_DATA, text("b"), text("ab"));
}

static void seek_behind_its_end(void *context)
{
    struct kv *kv = context;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, text("a"), text("b"));
    kv->ops->iter_seek(iter, text("c"), text("b"));
}

static void seek_to_the_end_of_all(void *context)
{
    struct kv *kv = context;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, text("a"), text("b"));
    kv->ops->iter_seek(iter, text("a"), kv_family_end());
}

static void seek_from_a_scan_of_all(void *context)
{
    struct kv *kv = context;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, text("a"), kv_family_end());
    kv->ops->iter_seek(iter, text("a"), text("b"));
}

static void assert_refused_scan(void (*function)(void *context), struct kv *kv)
{
    char output[4096];
    int status = run_child(function, kv, output, sizeof output);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(output, "does not hold"));
}

/* A scan that is told to go nowhere would find nothing, whatever there is. */
static void assert_has_its_end_before_it(struct kv *kv)
{
    assert_refused_scan(start_behind_its_end, kv);
    assert_refused_scan(seek_behind_its_end, kv);
    assert_refused_scan(seek_to_the_end_of_all, kv);
    assert_refused_scan(seek_from_a_scan_of_all, kv);
}

/* What is from the end on is not given, wherever it lies, and the end moves with a seek. */
static void test_scan_ends(void **state)
{
    struct kv *kv = kv_of(state);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    for (const char *keys = "a\0ab\0b\0ba\0c\0"; *keys; keys += strlen(keys) + 1)
        kv->ops->bulk_put(bulk, text(keys), text("1"));
    kv->ops->bulk_commit(bulk);
    put(kv, KV_DATA, "d", "1", false); /* RocksDB: in memory */
    assert_ends(kv, kv->ops->iter_new(kv, KV_DATA, text("aa"), text("ba")));
    struct kv_snapshot *snapshot = kv->ops->snapshot_new(kv);
    put(kv, KV_DATA, "aaa", "later", false);
    assert_ends(kv, kv->ops->walk_new(kv, snapshot, KV_DATA, text("aa"), text("ba"), false));
    kv->ops->snapshot_free(kv, snapshot);
    put(kv, KV_LOG, "a", "1", false);
    put(kv, KV_LOG, "b", "1", false);
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, text("a"), text("b"));
    assert_keys(kv, iter, "a ");
    kv->ops->iter_free(iter);
    assert_has_its_end_before_it(kv);
}

static void test_binary(void **state)
{
    struct kv *kv = kv_of(state);
    const struct bytes keys[] = {bytes_of("\0", 1),   bytes_of("\0\0", 2), bytes_of("\0\1", 2),
                                 bytes_of("\x7f", 1), bytes_of("\x80", 1), bytes_of("\xff\0", 2)};
    const size_t count = sizeof keys / sizeof keys[0];
    struct kv_batch *batch = kv->ops->batch_new(kv);
    for (size_t i = count; i-- > 0;)
        kv->ops->batch_put(batch, KV_LOG, keys[i], bytes_of("v\0w", 3));
    write_batch(kv, batch, true);
    struct bytes key, value;
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, text(""), kv_family_end());
    for (size_t i = 0; i < count; i++) {
        assert_true(kv->ops->iter_next(iter, &key, &value));
        assert_true(bytes_equal(key, keys[i])); /* unsigned bytes, the shorter first */
        assert_true(bytes_equal(value, bytes_of("v\0w", 3)));
    }
    assert_false(kv->ops->iter_next(iter, &key, &value));
    kv->ops->iter_free(iter);
}

static void test_bulk(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_DATA, "b", "old", false); /* RocksDB: in the memtable, below the bulk */
    put(kv, KV_DATA, "c", "old", false);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    struct kv_bulk *other = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, text("a"), text("1"));
    kv->ops->bulk_delete(bulk, text("b"));
    kv->ops->bulk_put(bulk, text("c"), text("2"));
    kv->ops->bulk_delete(bulk, text("never"));
    kv->ops->bulk_put(other, text("d"), text(""));
    assert_scan(kv, KV_DATA, "", "b=old c=old ");
    kv->ops->bulk_commit(bulk);
    assert_scan(kv, KV_DATA, "", "a=1 c=2 ");
    kv->ops->bulk_commit(other);
    assert_scan(kv, KV_DATA, "", "a=1 c=2 d= ");
    kv->ops->bulk_commit(kv->ops->bulk_new(kv, KV_DATA)); /* empty */
    put(kv, KV_DATA, "a", "3", false);
    assert_scan(kv, KV_DATA, "", "a=3 c=2 d= ");
}

static void assert_snapshot(struct kv *kv, const struct kv_snapshot *snapshot, const char *expected)
{
    struct buffer found = {0}, value = {0};
    struct bytes key, scanned;
    struct kv_iter *iter =
        kv->ops->walk_new(kv, snapshot, KV_DATA, text("a"), kv_family_end(), false);
    while (kv->ops->iter_next(iter, &key, &scanned)) {
        assert_true(kv->ops->snapshot_get(kv, snapshot, KV_DATA, key, &value));
        assert_true(bytes_equal(buffer_bytes(&value), scanned));
        buffer_printf(&found, "%.*s=%.*s ", (int)key.size, (const char *)key.data,
                      (int)scanned.size, (const char *)scanned.data);
    }
    kv->ops->iter_free(iter);
    buffer_append_byte(&found, '\0');
    assert_string_equal(found.data, expected);
    buffer_deinit(&found);
    buffer_deinit(&value);
}

/* Whatever comes behind it, and in whatever way, a snapshot shows what there was. */
static void test_snapshot(void **state)
{
    struct kv *kv = kv_of(state);
    struct buffer value = {0};
    put(kv, KV_DATA, "a", "1", true);
    put(kv, KV_DATA, "b", "1", false);
    put(kv, KV_DATA, "c", "1", false);
    struct kv_snapshot *first = kv->ops->snapshot_new(kv);
    put(kv, KV_DATA, "a", "2", true);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete_range(batch, KV_DATA, text("b"), text("c"));
    write_batch(kv, batch, false);
    struct kv_snapshot *second = kv->ops->snapshot_new(kv);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, text("b"), text("3"));
    kv->ops->bulk_delete(bulk, text("c"));
    kv->ops->bulk_put(bulk, text("d"), text("3"));
    kv->ops->bulk_commit(bulk);
    assert_snapshot(kv, first, "a=1 b=1 c=1 ");
    assert_snapshot(kv, second, "a=2 c=1 ");
    assert_scan(kv, KV_DATA, "", "a=2 b=3 d=3 ");
    assert_false(kv->ops->snapshot_get(kv, first, KV_DATA, text("d"), &value));
    kv->ops->snapshot_free(kv, first);
    assert_snapshot(kv, second, "a=2 c=1 "); /* one goes without the other */
    kv->ops->snapshot_free(kv, second);
    buffer_deinit(&value);
}

/* Random changes of all kinds against a table of 64 keys. */
static void test_random(void **state)
{
    struct kv *kv = kv_of(state);
    enum { KEYS = 64, STEPS = 1500 };
    uint64_t seed = 7, model[KV_STAGE][KEYS] = {{0}};
    for (uint64_t step = 1; step <= STEPS; step++) {
        enum kv_family family = (enum kv_family)prng_below(&seed, KV_STAGE);
        unsigned char from = (unsigned char)prng_below(&seed, KEYS);
        unsigned char to = (unsigned char)(from + prng_below(&seed, KEYS + 1u - from));
        struct bytes key = bytes_of(&from, 1), end = bytes_of(&to, 1);
        struct kv_batch *batch = kv->ops->batch_new(kv);
        unsigned what = (unsigned)prng_below(&seed, 8);
        switch (what == 1 && family != KV_DATA ? 2 : what) { /* bulk runs are of data */
        case 0:
            kv->ops->batch_delete_range(batch, family, key, end);
            for (unsigned i = from; i < to; i++)
                model[family][i] = 0;
            break;
        case 1: {
            struct kv_bulk *bulk = kv->ops->bulk_new(kv, family);
            for (; from < to; from = (unsigned char)(from + 3)) {
                kv->ops->bulk_put(bulk, key, bytes_of(&step, sizeof step));
                model[family][from] = step;
            }
            kv->ops->bulk_commit(bulk);
            break;
        }
        case 2:
            kv->ops->batch_delete(batch, family, key);
            model[family][from] = 0;
            break;
        default:
            kv->ops->batch_put(batch, family, key, bytes_of(&step, sizeof step));
            model[family][from] = step;
        }
        kv->ops->commit(kv, batch, step % 16 == 0);
        kv->ops->batch_free(batch);
        if (step % 10)
            continue;
        struct bytes value;
        struct kv_iter *iter = kv->ops->iter_new(kv, family, text(""), kv_family_end());
        for (unsigned i = 0; i < KEYS; i++) {
            if (!model[family][i])
                continue;
            assert_true(kv->ops->iter_next(iter, &key, &value));
            assert_int_equal(*(const unsigned char *)key.data, i);
            assert_memory_equal(value.data, &model[family][i], sizeof step);
        }
        assert_false(kv->ops->iter_next(iter, &key, &value));
        kv->ops->iter_free(iter);
    }
}

struct racer {
    struct kv *kv;
    pthread_t thread;
    char key[8];
};

static void *race(void *context)
{
    struct racer *racer = context;
    char value[16];
    for (int i = 0; i < 300; i++) {
        snprintf(value, sizeof value, "%d", i);
        put(racer->kv, KV_META, racer->key, value, i % 100 == 0);
        assert_value(racer->kv, KV_META, racer->key, value);
        if (i % 50 == 0) {
            struct kv_bulk *bulk = racer->kv->ops->bulk_new(racer->kv, KV_DATA);
            racer->kv->ops->bulk_put(bulk, text(racer->key), text(value));
            racer->kv->ops->bulk_commit(bulk);
            assert_value(racer->kv, KV_DATA, racer->key, value);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct racer racers[3];
    for (int i = 0; i < 3; i++) {
        racers[i].kv = kv_of(state);
        snprintf(racers[i].key, sizeof racers[i].key, "key%d", i);
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(racers[i].thread, NULL);
    assert_scan(kv_of(state), KV_META, "", "key0=299 key1=299 key2=299 ");
    assert_scan(kv_of(state), KV_DATA, "", "key0=250 key1=250 key2=250 ");
}

/* ---- in memory -------------------------------------------------------------------- */

static void test_crash(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_LOG, "a", "1", false);
    put(kv, KV_META, "a", "1", true); /* makes the one before durable, too */
    put(kv, KV_LOG, "b", "2", false);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete_range(batch, KV_LOG, text("a"), text("b"));
    write_batch(kv, batch, false);
    assert_scan(kv, KV_LOG, "", "b=2 ");
    kv_memory_crash(kv);
    assert_scan(kv, KV_LOG, "", "a=1 ");
    assert_value(kv, KV_META, "a", "1");
    put(kv, KV_LOG, "c", "3", true);
    kv_memory_crash(kv);
    assert_scan(kv, KV_LOG, "", "a=1 c=3 "); /* the forgotten ones do not come back */
}

static void test_crash_bulk(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_LOG, "a", "1", false);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, text("k"), text("2"));
    kv->ops->bulk_commit(bulk);
    kv_memory_crash(kv);
    assert_value(kv, KV_LOG, "a", NULL);
    assert_value(kv, KV_DATA, "k", "2");
    put(kv, KV_LOG, "a", "3", true);
    kv->ops->drop_files(kv, KV_LOG, text("a"), text("b"));
    kv_memory_crash(kv);
    assert_value(kv, KV_LOG, "a", NULL); /* files that are dropped are gone */

    put(kv, KV_DATA, "k", "4", false); /* an earlier change must not come out on top later */
    bulk = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, text("k"), text("5"));
    kv->ops->bulk_commit(bulk);
    put(kv, KV_LOG, "a", "6", true);
    kv_memory_crash(kv);
    assert_value(kv, KV_DATA, "k", "5");
}

/* ---- on RocksDB --------------------------------------------------------------------- */

static void test_reopen(void **state)
{
    put(kv_of(state), KV_LOG, "a", "1", false);
    put(kv_of(state), KV_META, "b", "2", true);
    struct kv_bulk *bulk = kv_of(state)->ops->bulk_new(kv_of(state), KV_DATA);
    kv_of(state)->ops->bulk_put(bulk, text("c"), text("3"));
    kv_of(state)->ops->bulk_commit(bulk);
    reopen(state);
    assert_value(kv_of(state), KV_LOG, "a", "1");
    assert_value(kv_of(state), KV_META, "b", "2");
    assert_value(kv_of(state), KV_DATA, "c", "3");
}

/* What a killed process leaves in ingest/ goes, what was ingested stays. */
static void test_ingest_leftovers(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct kv_bulk *bulk = fixture->kv->ops->bulk_new(fixture->kv, KV_DATA);
    fixture->kv->ops->bulk_put(bulk, text("c"), text("3"));
    fixture->kv->ops->bulk_commit(bulk);
    snprintf(path, sizeof path, "%s/ingest/1.sst", fixture->directory);
    assert_int_not_equal(access(path, F_OK), 0); /* moved, not copied */
    close(open(path, O_WRONLY | O_CREAT, 0600));
    reopen(state);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_value(fixture->kv, KV_DATA, "c", "3");
}

/* ---- merges ---------------------------------------------------------------------------- */

static uint64_t live_bytes(struct kv *kv)
{
    return kv->ops->property(kv, KV_DATA, "rocksdb.live-sst-files-size");
}

static void bulk_of_two(struct kv *kv, const char *first, const char *last, const char *value)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    kv->ops->bulk_put(bulk, text(first), text(value));
    kv->ops->bulk_put(bulk, text(last), text(value));
    kv->ops->bulk_commit(bulk);
}

static void await_running_merge(struct kv *kv)
{
    struct timespec pause = {.tv_nsec = 10000000};
    for (int tries = 0; kv->ops->property(kv, KV_DATA, "rocksdb.num-running-compactions") == 0;
         tries++) {
        assert_true(tries < 1000);
        nanosleep(&pause, NULL);
    }
}

static void bury(struct kv *kv, const char *key)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete(batch, KV_DATA, text(key));
    write_batch(kv, batch, true);
}

/* Runs come and are merged between two deletes, which RocksDB stores together: were they merged
 * with each other alone, it would take that for damage.  What is older is too large for that. */
static void test_runs_between_deletes(void **state)
{
    enum { RUNS_MAX = 1000 };
    struct timespec pause = {.tv_nsec = 20000000};
    struct kv *kv = kv_of(state);
    bulk_of_noise(kv, false);
    bulk_of_noise(kv, false);
    bury(kv, "a");
    uint64_t before, now = 0;
    int runs = 0;
    do {
        char key[] = {(char)('u' + runs % 4), '\0'}; /* so that several numbers stay */
        assert_true(++runs < RUNS_MAX);
        before = now;
        bulk_of_two(kv, key, "z", "2");
        nanosleep(&pause, NULL);
        now = live_bytes(kv);
    } while (now >= before);
    assert_int_equal(kv->ops->property(kv, KV_DATA, "rocksdb.num-entries-active-mem-table"), 1);
    bury(kv, "b");
    bulk_of_two(kv, "b", "z", "3"); /* RocksDB itself stores them before that */
    assert_value(kv, KV_DATA, "a", NULL);
    assert_value(kv, KV_DATA, "b", "3");
    assert_value(kv, KV_DATA, "u", "2");
    reopen(state);
    assert_value(kv_of(state), KV_DATA, "a", NULL);
    assert_value(kv_of(state), KV_DATA, "b", "3");
    assert_value(kv_of(state), KV_DATA, "z", "3");
}

/* A merge by hand waits for one that RocksDB began; the end of the store for neither. */
static void test_end_waits_for_no_merge(void **state)
{
    enum { RUNS_MERGED = LEVEL_SIZE_RUNS };
    struct timespec pause = {.tv_nsec = 100000000};
    struct kv *kv = kv_of(state);
    merges_are_slow = true;
    bulk_of_two(kv, "a", "z", "1"); /* whatever overlaps comes above */
    bulk_of_noise(kv, false);
    for (int i = 1; i < RUNS_MERGED - 1; i++)
        bulk_of_two(kv, "a", "z", "2");
    uint64_t before = live_bytes(kv);
    bulk_of_noise(kv, false);
    await_running_merge(kv);
    kv->ops->reclaim(kv, KV_DATA, text("a"), text("zz"));
    nanosleep(&pause, NULL);
    reopen(state);
    merges_are_slow = false;
    assert_true(live_bytes(kv_of(state)) > 3 * before / 2);
}

/* Nor is it waited for by, or looks at, data that are others now. */
static void test_data_are_adopted_while_space_is_given_back(void **state)
{
    enum { RUNS_MERGED = LEVEL_SIZE_RUNS };
    struct timespec pause = {.tv_nsec = 100000000};
    struct kv *kv = kv_of(state);
    merges_are_slow = true;
    bulk_of_two(kv, "a", "z", "1");
    bulk_of_noise(kv, false);
    for (int i = 1; i < RUNS_MERGED; i++)
        bulk_of_two(kv, "a", "z", "2");
    await_running_merge(kv);
    kv->ops->reclaim(kv, KV_DATA, text("a"), text("zz"));
    nanosleep(&pause, NULL);
    kv->ops->stage_clear(kv);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_STAGE);
    kv->ops->bulk_put(bulk, text("b"), text("staged"));
    kv->ops->bulk_commit(bulk);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, text("m"), text("1"));
    kv->ops->batch_adopt(batch);
    write_batch(kv, batch, true);
    merges_are_slow = false;
    assert_value(kv, KV_DATA, "b", "staged");
    assert_value(kv, KV_DATA, "a", NULL);
    kv->ops->reclaim(kv, KV_DATA, text("a"), text("zz")); /* of those that it has now */
    reopen(state);
    assert_value(kv_of(state), KV_DATA, "b", "staged");
}

static void test_big_value(void **state)
{
    const size_t size = 70u << 20;
    struct kv *kv = kv_of(state);
    char *data = memory_new(size);
    data[size - 1] = 'z';
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_LOG, text("big"), bytes_of(data, size));
    write_batch(kv, batch, true);
    reopen(state);
    struct buffer value = {0};
    assert_true(kv_of(state)->ops->get(kv_of(state), KV_LOG, text("big"), &value));
    assert_int_equal(value.size, size);
    assert_memory_equal(value.data, data, size);
    buffer_deinit(&value);
    memory_free(data);
}

/* When all of it is in tables, nothing is left in memory, neither ours nor RocksDB's. */
static void test_memory_of_a_large_commit_is_given_back(void **state)
{
    enum { SIZE = 70 << 20 };
    struct kv *kv = kv_of(state);
    char *data = memory_new(SIZE);
    size_t before = heap_status().used;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, text("large"), bytes_of(data, SIZE));
    write_batch(kv, batch, true);
    batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, text("a"), text("1"));
    kv->ops->batch_put(batch, KV_DATA, text("a"), text("1")); /* then all is stored before */
    write_batch(kv, batch, true);
    assert_in_range(heap_status().used, 0, before + SIZE / 2);
    memory_free(data);
}

static void test_property(void **state)
{
    struct kv *kv = kv_of(state);
    assert_int_equal(kv->ops->property(kv, KV_DATA, "no such"), 0);
    assert_true(kv->ops->property(kv, KV_LOG, "rocksdb.cur-size-all-mem-tables") > 0);
}

/* About what a member will be sent: all that is stored, though runs lie over each other and nothing
 * was compacted, and of the data alone. */
static void test_expected_size(void **state)
{
    enum { RUNS = 3, KEYS = 20, SIZE = 100000, ALL = RUNS * KEYS * SIZE };
    struct kv *kv = kv_of(state);
    uint64_t noise[SIZE / sizeof(uint64_t)], dice = 1;
    assert_int_equal(db_snapshot_expected(kv), 0);
    for (char run = '0'; run < '0' + RUNS; run++) {
        struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
        for (char key[] = {'a', run, 0}; key[0] < 'a' + KEYS; key[0]++) {
            for (size_t i = 0; i < SIZE / sizeof *noise; i++)
                noise[i] = prng_next(&dice);
            kv->ops->bulk_put(bulk, text(key), bytes_of(noise, SIZE));
        }
        kv->ops->bulk_commit(bulk);
    }
    assert_in_range(db_snapshot_expected(kv), ALL, ALL + ALL / 10);
    kv->ops->stage_clear(kv);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_STAGE);
    kv->ops->bulk_put(bulk, text("staged"), bytes_of(noise, SIZE));
    kv->ops->bulk_commit(bulk);
    assert_in_range(db_snapshot_expected(kv), ALL, ALL + ALL / 10);
}

static uint64_t cached(struct kv *kv)
{
    return kv->ops->property(kv, KV_DATA, "rocksdb.block-cache-usage");
}

static void scan_all(struct kv *kv, struct kv_iter *iter, unsigned expected)
{
    struct bytes key, value;
    unsigned count = 0;
    while (kv->ops->iter_next(iter, &key, &value))
        count++;
    assert_int_equal(count, expected);
    kv->ops->iter_free(iter);
}

static void bulk_of(struct kv *kv, char first, unsigned rows, bool is_delete)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    for (unsigned i = 0; i < rows; i++) {
        char key[16];
        snprintf(key, sizeof key, "%c%06u", first, i);
        if (is_delete)
            kv->ops->bulk_delete(bulk, text(key));
        else
            kv->ops->bulk_put(bulk, text(key), text("1"));
    }
    kv->ops->bulk_commit(bulk);
}

/* A walk says that it gave up, and goes on where it was, nearer or however long that takes. */
static void assert_gives_up(struct kv *kv)
{
    struct bytes key, value;
    bulk_of(kv, 'p', 1, false);
    bulk_of(kv, 'q', 3 * KV_PASSED_MAX, false);
    bulk_of(kv, 'q', 3 * KV_PASSED_MAX, true);
    bulk_of(kv, 'r', 2, false);
    struct kv_iter *walk = kv->ops->walk_new(kv, NULL, KV_DATA, text("p"), text("s"), true);
    assert_true(kv->ops->iter_next(walk, &key, &value));
    passed_begin();
    assert_false(kv->ops->iter_next(walk, &key, &value));
    assert_true(kv->ops->walk_gave_up(walk));
    assert_in_range(passed_rows(), KV_PASSED_MAX, KV_PASSED_MAX + 10);
    kv->ops->walk_on(walk, text("q000001"));
    assert_false(kv->ops->iter_next(walk, &key, &value));
    assert_false(kv->ops->walk_gave_up(walk));
    kv->ops->iter_seek(walk, text("q000001"), text("s"));
    assert_false(kv->ops->iter_next(walk, &key, &value));
    assert_true(kv->ops->walk_gave_up(walk));
    kv->ops->walk_on(walk, text("s"));
    assert_keys(kv, walk, "r000000 r000001 ");
    assert_false(kv->ops->walk_gave_up(walk));
    kv->ops->iter_free(walk);
    walk = kv->ops->walk_new(kv, NULL, KV_DATA, text("p"), text("s"), false);
    assert_keys(kv, walk, "p000000 r000000 r000001 ");
    kv->ops->iter_free(walk);
}

/* Of a snapshot it shows nothing later, also where it gives up no more. */
static void test_walk_of_a_snapshot_gives_up(void **state)
{
    struct bytes key, value;
    struct kv *kv = kv_of(state);
    bulk_of(kv, 'q', 3 * KV_PASSED_MAX, false);
    bulk_of(kv, 'q', 3 * KV_PASSED_MAX, true);
    bulk_of(kv, 'r', 1, false);
    struct kv_snapshot *snapshot = kv->ops->snapshot_new(kv);
    bulk_of(kv, 'r', 2, false);
    struct kv_iter *walk = kv->ops->walk_new(kv, snapshot, KV_DATA, text("q"), text("s"), true);
    assert_false(kv->ops->iter_next(walk, &key, &value));
    assert_true(kv->ops->walk_gave_up(walk));
    kv->ops->walk_on(walk, text("s"));
    assert_keys(kv, walk, "r000000 ");
    kv->ops->iter_free(walk);
    kv->ops->snapshot_free(kv, snapshot);
}

/* What was deleted and what came later is there, and is passed over by who looks for the next that
 * is to be seen; behind the end nobody looks. */
static void test_scan_passes_over_nothing_behind_its_end(void **state)
{
    enum { ROWS = 20000, FEW = 100 };
    struct kv *kv = kv_of(state);
    bulk_of(kv, 'a', FEW, false);
    bulk_of(kv, 'b', ROWS, false);
    bulk_of(kv, 'b', ROWS, true);
    struct kv_snapshot *snapshot = kv->ops->snapshot_new(kv);
    bulk_of(kv, 'c', ROWS, false);
    passed_begin();
    scan_all(kv, kv->ops->iter_new(kv, KV_DATA, text("a"), text("b")), FEW);
    scan_all(kv, kv->ops->walk_new(kv, snapshot, KV_DATA, text("a"), text("b"), false), FEW);
    assert_in_range(passed_rows(), 0, 4 * FEW);
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_DATA, text("b"), text("c"));
    passed_begin();
    kv->ops->iter_seek(iter, text("a"), text("b"));
    scan_all(kv, iter, FEW);
    assert_in_range(passed_rows(), 0, 4 * FEW);
    scan_all(kv, kv->ops->walk_new(kv, snapshot, KV_DATA, text("a"), text("c"), false), FEW);
    assert_true(passed_rows() >= ROWS);
    passed_begin();
    scan_all(kv, kv->ops->walk_new(kv, snapshot, KV_DATA, text("c"), kv_family_end(), false), 0);
    assert_true(passed_rows() >= ROWS);
    kv->ops->snapshot_free(kv, snapshot);
    assert_gives_up(kv);
}

/* Who reads all that there is once, for a backup or a check, takes nobody's place in the cache. */
static void test_snapshot_leaves_the_cache(void **state)
{
    enum { ROWS = 300, SIZE = 1000, CACHED = 100000 };
    static char value[SIZE];
    struct kv *kv = kv_of(state);
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
    uint64_t random = 1;
    for (unsigned i = 0; i < SIZE; i++)
        value[i] = (char)prng_next(&random); /* it does not become less */
    for (unsigned i = 0; i < ROWS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05u", i);
        kv->ops->bulk_put(bulk, text(key), bytes_of(value, SIZE));
    }
    kv->ops->bulk_commit(bulk);
    uint64_t before = cached(kv);
    struct kv_snapshot *snapshot = kv->ops->snapshot_new(kv);
    scan_all(kv, kv->ops->walk_new(kv, snapshot, KV_DATA, text(""), kv_family_end(), false), ROWS);
    assert_true(cached(kv) < before + CACHED);
    kv->ops->snapshot_free(kv, snapshot);
    scan_all(kv, kv->ops->iter_new(kv, KV_DATA, text(""), kv_family_end()), ROWS);
    assert_true(cached(kv) > before + CACHED);
}

static void assert_refused(const char *directory, const char *why)
{
    char error[1024] = "";
    struct kv *kv = kv_rocksdb_open(directory, &test_options, error, sizeof error);
    assert_null(kv);
    if (!strstr(error, why))
        fail_msg("expected \"%s\", got: %s", why, error);
}

/* A power cut takes away a directory whose entry in its parent was never synced: whoever made it
 * may have died before, so every start does it. */
static void test_directory_is_durable_in_its_parent(void **state)
{
    char *parent = temporary_new(), *directory = NULL;
    assert_true(asprintf(&directory, "%s/data", parent) > 0);
    struct stat status;
    (void)state;
    assert_int_equal(stat(parent, &status), 0);
    watched = status.st_ino;
    for (int start = 0; start < 2; start++) { /* a new one; one that is there */
        watched_syncs = 0;
        struct kv *kv = open_rocksdb(directory);
        assert_true(watched_syncs > 0);
        kv->ops->close(kv);
    }
    watched_fails = true;
    assert_refused(directory, "cannot sync the directory above");
    watched_fails = false;
    watched = 0;
    temporary_remove(parent);
    free(directory);
}

static void test_open_refused(void **state)
{
    (void)state;
    char *directory = temporary_new();
    char path[600];
    snprintf(path, sizeof path, "%s/missing/db", directory);
    assert_refused(path, "No such file or directory");
    snprintf(path, sizeof path, "%s/file", directory);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_refused(path, "is not a directory");
    snprintf(path, sizeof path, "%s/file/db", directory);
    assert_refused(path, "Not a directory");
    char *long_name = memory_new(5000);
    memset(long_name, 'a', 4999);
    assert_refused(long_name, "too long");
    memory_free(long_name);
    if (geteuid() != 0) { /* root may write everywhere */
        snprintf(path, sizeof path, "%s/locked", directory);
        mkdir(path, 0500);
        assert_refused(path, "cannot write");
    }
    temporary_remove(directory);
}

/* This program again: see main(). */
static void open_in_child(void *context)
{
    execl("/proc/self/exe", "test_kv", "open", (char *)context, NULL);
}

static int open_and_say(const char *directory)
{
    char error[1024] = "";
    struct kv *kv = kv_rocksdb_open(directory, &test_options, error, sizeof error);
    printf("%s", kv ? "opened" : error);
    return 0;
}

static void test_open_locked(void **state)
{
    struct fixture *fixture = *state;
    char output[2048];
    int status = run_child(open_in_child, fixture->directory, output, sizeof output);
    assert_int_equal(status, 0);
    if (!strstr(output, "in use by another process"))
        fail_msg("got: %s", output);
    assert_refused(fixture->directory, "in use"); /* the same one, too */
    put(fixture->kv, KV_META, "a", "1", true);    /* and no harm done */
    reopen(state);
    assert_value(fixture->kv, KV_META, "a", "1");
}

/* A store that lost its head is refused, and not begun anew over what is left. */
static void test_open_damaged(void **state)
{
    struct fixture *fixture = *state;
    char path[600], aside[600];
    put(fixture->kv, KV_META, "a", "1", true);
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = NULL;
    snprintf(path, sizeof path, "%s/CURRENT", fixture->directory);
    snprintf(aside, sizeof aside, "%s/ASIDE", fixture->directory);
    assert_int_equal(rename(path, aside), 0);
    assert_refused(fixture->directory, "CURRENT is missing");
    assert_int_not_equal(access(path, F_OK), 0);
    FILE *file = fopen(path, "w");
    fputs("MANIFEST-999999\n", file);
    fclose(file);
    assert_refused(fixture->directory, "cannot open the store");
    assert_int_equal(rename(aside, path), 0);
    reopen(state);
    assert_value(fixture->kv, KV_META, "a", "1");
}

static void assert_refused_beside(struct fixture *fixture, const char *name, const char *why)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(fixture->directory, why);
    assert_int_equal(rmdir(path), 0);
}

/* A directory stands where the store wants a file of its own, or to clear up; then it is gone, and
 * so is the harm. */
static void test_open_obstructed(void **state)
{
    struct fixture *fixture = *state;
    char path[600], aside[600];
    put(fixture->kv, KV_META, "a", "1", true);
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = NULL;
    assert_refused_beside(fixture, "ingest/1.sst", "cannot remove");
    snprintf(path, sizeof path, "%s/SYNCED", fixture->directory);
    snprintf(aside, sizeof aside, "%s/ASIDE", fixture->directory);
    assert_int_equal(rename(path, aside), 0);
    assert_refused_beside(fixture, "SYNCED", "SYNCED: Is a directory");
    assert_int_equal(rename(aside, path), 0);
    snprintf(path, sizeof path, "%s/ingest", fixture->directory);
    assert_int_equal(rmdir(path), 0);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_refused(fixture->directory, "ingest: Not a directory");
    assert_int_equal(unlink(path), 0);
    reopen(state);
    assert_value(fixture->kv, KV_META, "a", "1");
}

/* ---- a disk that fails: in a child, which must end with a message ---------------------------- */

static const char *failing; /* syncs of files with this in their names fail */
static int failing_with = EIO;
static const char *failing_thread = ""; /* its name's beginning */
static int failed_syncs;

/* Syncs of the journal by other threads take long, and are counted. */
static _Atomic pid_t slow_for;
static atomic_int slow_syncs;

static atomic_bool tables_wait; /* nothing more is stored in tables */

static int sync_slowly(int fd)
{
    poll(NULL, 0, 2);
    slow_syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

/* In place of the C library's, also for RocksDB. */
int fdatasync(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    char thread[16] = "";
    prctl(PR_GET_NAME, thread);
    if (slow_for && slow_for != gettid() && strstr(path, "/journal/"))
        return sync_slowly(fd);
    while (tables_wait && strstr(path, ".sst"))
        poll(NULL, 0, 1);
    if (!failing || !strstr(path, failing) ||
        strncmp(thread, failing_thread, strlen(failing_thread)) != 0)
        return (int)syscall(SYS_fdatasync, fd);
    __atomic_add_fetch(&failed_syncs, 1, __ATOMIC_SEQ_CST);
    errno = failing_with;
    return -1;
}

static void put_4k(struct kv *kv, int number)
{
    char key[16], value[4096];
    memset(value, number, sizeof value);
    snprintf(key, sizeof key, "%08d", number);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_LOG, text(key), bytes_of(value, sizeof value));
    write_batch(kv, batch, true);
    if (failed_syncs && strcmp(failing, "journal") == 0)
        printf("went on after a failed sync\n");
    printf("put %d\n", number);
    fflush(stdout);
}

/* In pieces. */
static void put_large(struct kv *kv)
{
    enum { LARGE = 5 << 20 };
    char *value = memory_new(LARGE);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, text("large"), bytes_of(value, LARGE));
    write_batch(kv, batch, true);
    memory_free(value);
}

static int fill(const char *directory, const char *how)
{
    struct kv *kv = open_rocksdb(directory);
    put_4k(kv, 1);
    if (strcmp(how, "full") == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
    } else if (strcmp(how, "flush-full") == 0) {
        failing = ".sst";
        failing_with = ENOSPC;
    } else if (strcmp(how, "compaction-full") == 0) {
        failing = ".sst";
        failing_with = ENOSPC;
        failing_thread = "rocksdb:low";
    } else if (strncmp(how, "begin ", 6) == 0) {
        begin_fails = how + 6;
    } else {
        failing = how;
    }
    for (int number = 2; number < (begin_fails ? 100 : 20000); number++) {
        if (begin_fails)
            put_large(kv);
        if (strstr(how, "ingest") || strcmp(how, "compaction-full") == 0) {
            struct kv_bulk *bulk = kv->ops->bulk_new(kv, KV_DATA);
            kv->ops->bulk_put(bulk, text("a"), text("1"));
            kv->ops->bulk_put(bulk, text("z"), text("1"));
            kv->ops->bulk_commit(bulk);
        }
        put_4k(kv, number);
    }
    return 0;
}

struct fill {
    const char *directory;
    const char *how;
};

static void fill_in_child(void *context)
{
    struct fill *fill = context;
    execl("/proc/self/exe", "test_kv", "fill", fill->directory, fill->how, NULL);
}

/* The child dies with `message`, and all it had reported is there. */
static void assert_dies_filling(const char *how, const char *message)
{
    static char output[1 << 20];
    char *directory = temporary_new();
    struct fill fill = {directory, how};
    int status = run_child(fill_in_child, &fill, output, sizeof output);
    const char *end = strstr(output, message);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FATAL || !end ||
        strstr(output, "went on"))
        fail_msg("%s: status 0x%x, %s", how, (unsigned)status,
                 output + strspn(output, "put 0123456789\n"));
    int last = 0;
    for (const char *line = output; line < end && sscanf(line, "put %d\n", &last) == 1;)
        line += strcspn(line, "\n") + 1;
    assert_true(last >= 1);
    struct kv *kv = open_rocksdb(directory);
    struct buffer value = {0};
    char key[16];
    for (int number = 1; number <= last; number++) {
        snprintf(key, sizeof key, "%08d", number);
        assert_true(kv->ops->get(kv, KV_LOG, text(key), &value));
    }
    buffer_deinit(&value);
    kv->ops->close(kv);
    temporary_remove(directory);
}

static void test_disk_fails(void **state)
{
    (void)state;
    assert_dies_filling("full", "cannot write the store");
    assert_dies_filling("journal", "cannot sync the store");
    assert_dies_filling("ingest", "cannot write a sorted file for the store");
    assert_dies_filling("begin journal", "cannot write the store");
    assert_dies_filling("begin ingest", "cannot write a sorted file for the store");
    assert_dies_filling("begin .sst", "the store in");
    /* A flush in the background: the next commit hears of it in one way or the other. */
    assert_dies_filling(".sst", "the store in");
    assert_dies_filling("flush-full", "the store in");
    assert_dies_filling("compaction-full", "the store in");
}

static unsigned asked; /* for background errors */

/* In place of RocksDB's. */
int rocksdb_property_int_cf(rocksdb_t *db, rocksdb_column_family_handle_t *family, const char *name,
                            uint64_t *value)
{
    static int (*real)(rocksdb_t *, rocksdb_column_family_handle_t *, const char *, uint64_t *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "rocksdb_property_int_cf");
    asked += strcmp(name, "rocksdb.background-errors") == 0;
    return real(db, family, name, value);
}

static void commit_one(struct kv *kv, enum kv_family family)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, family, text("key"), text("value"));
    write_batch(kv, batch, true);
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A record of the journal is as safe whatever RocksDB says, and to ask costs as much as to make
 * one. */
static void test_background_errors_are_asked_for_now_and_then(void **state)
{
    enum { COMMITS = 200, AGAIN_MS = 100, CLOCK_MS = 10 };
    struct fixture *fixture = *state;
    struct kv *kv = fixture->kv;
    unsigned before = asked;
    int64_t since_ms = monotonic_ms();
    for (int i = 0; i < COMMITS; i++)
        commit_one(kv, KV_LOG);
    uint64_t most = 2 + (uint64_t)(monotonic_ms() - since_ms + CLOCK_MS) / AGAIN_MS;
    if (most < COMMITS)
        assert_in_range(asked - before, 0, most);
    for (int i = 0; i < 3; i++) {
        poll(NULL, 0, AGAIN_MS + 2 * CLOCK_MS);
        before = asked;
        commit_one(kv, KV_META);
        assert_int_equal(asked, before + 1);
    }
    commit_one(kv, KV_DATA); /* RocksDB's own */
    assert_int_equal(asked, before + 2);
}

static void break_an_assertion(void *directory)
{
    rocksdb_assert_concerns(directory);
    assert(directory == NULL);
}

/* As RocksDB's own do when a store is opened on a full disk. */
static void test_assertion_without_room(void **state)
{
    char output[1024], without_room[] = "/proc", with_room[] = "/";
    (void)state;
    assert_fatal(break_an_assertion, without_room, "no space left on the disk of /proc");
    int status = run_child(break_an_assertion, with_room, output, sizeof output);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Finds the newest file whose name matches the pattern (of grep). */
static void newest_file(const char *directory, const char *pattern, char *path, size_t size)
{
    char command[700], name[300] = "";
    snprintf(command, sizeof command, "ls %s | grep '%s' | tail -1", directory, pattern);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(name, sizeof name, pipe));
    pclose(pipe);
    name[strcspn(name, "\n")] = '\0';
    snprintf(path, size, "%s/%s", directory, name);
}

/* A copy of a closed store whose manifest lost its end, again and again, more of it: what opens has
 * what was put.  How many are refused with these words. */
static int open_short_manifests(const char *directory, const char *why)
{
    char path[600], command[700], error[1024];
    struct stat status;
    int refused = 0;
    char *copy = temporary_new();
    for (off_t cut = 20;; cut += 40) {
        snprintf(command, sizeof command, "rm -r %s && cp -a %s %s", copy, directory, copy);
        assert_int_equal(system(command), 0);
        newest_file(copy, "^MANIFEST", path, sizeof path);
        assert_int_equal(stat(path, &status), 0);
        if (cut >= status.st_size)
            break;
        assert_int_equal(truncate(path, status.st_size - cut), 0);
        struct kv *kv = kv_rocksdb_open(copy, &test_options, error, sizeof error);
        if (kv) {
            assert_value(kv, KV_META, "a", "1");
            kv->ops->close(kv);
        } else {
            assert_non_null(strstr(error, copy));
            refused += strstr(error, why) != NULL;
        }
    }
    temporary_remove(copy);
    return refused;
}

/* A manifest that lost its end no longer knows our families: they must not be created again,
 * empty. */
static void test_open_short_manifest(void **state)
{
    struct fixture *fixture = *state;
    put(fixture->kv, KV_META, "a", "1", true);
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = NULL;
    assert_true(open_short_manifests(fixture->directory, "") > 3);
}

/* As a kill leaves it: a copy of the store while it is open, and nothing under way in it. */
static char *copy_as_killed(const char *directory)
{
    char command[1300], *copy = temporary_new();
    snprintf(command, sizeof command, "rmdir %s && cp -a %s %s", copy, directory, copy);
    assert_int_equal(system(command), 0);
    return copy;
}

/* Where the last byte is that is not zero. */
static off_t end_of_bytes(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    char *bytes = memory_new((size_t)status.st_size);
    off_t end = status.st_size;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, bytes, (size_t)end, 0), end);
    close(fd);
    while (end > 0 && bytes[end - 1] == 0)
        end--;
    memory_free(bytes);
    return end;
}

static void turn_a_bit(const char *path, off_t offset)
{
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

enum { PLACES = 12, ENTRIES = 60, RECORDS_AT = 8192 };

static void bulk_of_one(struct kv *kv, enum kv_family family, const char *value)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, family);
    kv->ops->bulk_put(bulk, text("k"), text(value));
    kv->ops->bulk_commit(bulk);
}

/* The segment of a new store that its first records go to. */
#define FIRST_SEGMENT "0"

/* Acknowledged writes that recovery cannot find must not be forgotten in silence: whole, the store
 * has all of them; a bit turned at any place between, it is refused, and still the second time.  An
 * ingest behind them, which RocksDB puts into its manifest by itself, makes no difference. */
static void test_damage_is_seen(void **state)
{
    struct fixture *fixture = *state;
    struct kv *kv = fixture->kv;
    char path[600], key[16];
    snprintf(path, sizeof path, "%s/journal/%s", fixture->directory, FIRST_SEGMENT);
    put(kv, KV_LOG, "before", "1", true);
    off_t from = end_of_bytes(path);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof key, "%04d", i);
        put(kv, i % 2 ? KV_LOG : KV_META, key, "what a client was told is done", true);
    }
    off_t to = end_of_bytes(path);
    assert_true(to - from > ENTRIES * 60);
    bulk_of_one(kv, KV_DATA, "2");
    for (int place = 0; place < PLACES; place++) {
        char *copy = copy_as_killed(fixture->directory);
        snprintf(path, sizeof path, "%s/journal/%s", copy, FIRST_SEGMENT);
        off_t offset = from + (to - from - 1) * place / (PLACES - 1);
        turn_a_bit(path, offset / 8 * 8); /* not in what fills a record up */
        assert_refused(copy, "acknowledged writes are missing");
        assert_refused(copy, "acknowledged writes are missing");
        temporary_remove(copy);
    }
    char *copy = copy_as_killed(fixture->directory);
    struct kv *killed = open_rocksdb(copy);
    assert_value(killed, KV_LOG, "0059", "what a client was told is done");
    assert_value(killed, KV_DATA, "k", "2");
    killed->ops->close(killed);
    temporary_remove(copy);
}

/* The journal is gone, or a file of it. */
static void test_missing_journal(void **state)
{
    struct fixture *fixture = *state;
    char path[600], aside[600];
    put(fixture->kv, KV_META, "a", "1", true);
    char *copy = copy_as_killed(fixture->directory);
    snprintf(path, sizeof path, "%s/journal", copy);
    snprintf(aside, sizeof aside, "%s/aside", copy);
    assert_int_equal(rename(path, aside), 0);
    assert_refused(copy, "its journal is missing");
    snprintf(path, sizeof path, "rm -r %s/journal && mv %s/aside %s/journal", copy, copy, copy);
    assert_int_equal(system(path), 0);
    struct kv *kv = open_rocksdb(copy);
    assert_value(kv, KV_META, "a", "1");
    kv->ops->close(kv);
    temporary_remove(copy);
}

static void empty_file(const char *directory, const char *name)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(truncate(path, 0), 0);
}

/* What RocksDB has stored says so, where nothing else remembers a record. */
static void test_journal_that_ends_before_what_is_stored(void **state)
{
    struct fixture *fixture = *state;
    char path[600];
    unsigned char byte;
    put(fixture->kv, KV_META, "a", "1", true);
    put(fixture->kv, KV_META, "b", "2", true);
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = NULL;
    snprintf(path, sizeof path, "%s/journal/0", fixture->directory);
    off_t last = end_of_bytes(path) - 1;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, last), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, last), 1);
    close(fd);
    snprintf(path, sizeof path, "%s/journal", fixture->directory);
    empty_file(path, "LAST");
    assert_refused(fixture->directory, "its journal ends at record 1, but record 2 was stored");
}

static bool has_records(const char *directory, const char *segment)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", directory, segment);
    return end_of_bytes(path) > RECORDS_AT;
}

/* Of the records that a start finds in the journal, too. */
static void test_memory_of_a_large_record_is_given_back(void **state)
{
    enum { SIZE = 70 << 20 };
    struct fixture *fixture = *state;
    char *data = memory_new(SIZE);
    struct kv_batch *batch = fixture->kv->ops->batch_new(fixture->kv);
    fixture->kv->ops->batch_put(batch, KV_META, text("large"), bytes_of(data, SIZE));
    write_batch(fixture->kv, batch, true);
    memory_free(data);
    char *copy = copy_as_killed(fixture->directory);
    size_t before = heap_status().used;
    struct kv *killed = open_rocksdb(copy);
    assert_in_range(heap_status().used, 0, before + SIZE / 2);
    killed->ops->close(killed);
    temporary_remove(copy);
}

/* Where it is not little: it is on disk in another place when the store is open, and not told again
 * at the next start. */
static void test_what_was_replayed_is_stored(void **state)
{
    enum { SIZE = 3 << 20 }; /* a quarter of a segment and more */
    static const char *const segments[] = {"journal/0", "journal/1", "journal/2"};
    struct fixture *fixture = *state;
    char *data = memory_new(SIZE);
    struct kv_batch *batch = fixture->kv->ops->batch_new(fixture->kv);
    fixture->kv->ops->batch_put(batch, KV_META, text("large"), bytes_of(data, SIZE));
    write_batch(fixture->kv, batch, true);
    memory_free(data);
    put(fixture->kv, KV_META, "a", "1", true);
    put(fixture->kv, KV_LOG, "b", "2", true);
    char *killed = copy_as_killed(fixture->directory);
    struct kv *kv = open_rocksdb(killed);
    char *copy = copy_as_killed(killed);
    kv->ops->close(kv);
    int emptied = 0;
    for (int i = 0; i < 3; i++)
        if (has_records(fixture->directory, segments[i])) {
            empty_file(copy, segments[i]);
            emptied++;
        }
    assert_int_equal(emptied, 1);
    kv = open_rocksdb(copy);
    assert_value(kv, KV_META, "a", "1");
    assert_value(kv, KV_LOG, "b", "2");
    kv->ops->close(kv);
    temporary_remove(killed);
    temporary_remove(copy);
}

/* A batch that RocksDB's write-ahead log has, of which nobody notices whether it is whole. */
static void test_data_with_others_are_stored(void **state)
{
    struct fixture *fixture = *state;
    struct kv *kv = fixture->kv;
    struct kv_batch *batch = kv->ops->batch_new(kv);
    put(kv, KV_META, "a", "1", true);
    kv->ops->batch_put(batch, KV_META, text("a"), text("2"));
    kv->ops->batch_put(batch, KV_DATA, text("b"), text("3"));
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
    char *copy = copy_as_killed(fixture->directory), name[600];
    newest_file(copy, "[.]log$", name, sizeof name);
    empty_file(copy, strrchr(name, '/') + 1);
    kv = open_rocksdb(copy);
    assert_value(kv, KV_META, "a", "2");
    assert_value(kv, KV_DATA, "b", "3");
    kv->ops->close(kv);
    temporary_remove(copy);
}

/* A build that knows no journal, or none that RocksDB points into, looks at SYNCED, and must not
 * find its number. */
static void test_older_builds_are_kept_out(void **state)
{
    struct fixture *fixture = *state;
    char path[600];
    uint64_t synced = 0, before = UINT64_MAX; /* where RocksDB points nowhere */
    put(fixture->kv, KV_META, "a", "1", true);
    snprintf(path, sizeof path, "%s/SYNCED", fixture->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pread(fd, &synced, sizeof synced, 0), sizeof synced);
        assert_true(synced == UINT64_MAX - 1);
        fixture->kv->ops->close(fixture->kv);
        assert_int_equal(pwrite(fd, &before, sizeof before, 0), sizeof before);
        fixture->kv = open_rocksdb(fixture->directory);
        assert_value(fixture->kv, KV_META, "a", "1");
    }
    close(fd);
}

/* What RocksDB would come up with that had lost what was synced before there was a journal. */
static void test_damage_of_before_the_journal(void **state)
{
    struct fixture *fixture = *state;
    char path[600];
    uint64_t synced = 1000;
    put(fixture->kv, KV_META, "a", "1", true);
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = NULL;
    snprintf(path, sizeof path, "%s/SYNCED", fixture->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &synced, sizeof synced, 0), sizeof synced);
    assert_refused(fixture->directory, "had synced change 1000; acknowledged writes are missing");
    synced = 1;
    assert_int_equal(pwrite(fd, &synced, sizeof synced, 0), sizeof synced);
    close(fd);
    reopen(state);
    assert_value(fixture->kv, KV_META, "a", "1");
}

/* ---- killed at any time ------------------------------------------------------------------- */

/* With segments of the journal that are soon full, and memory that is not. */
static struct kv *open_with_small_segments(const char *directory, uint64_t log_bytes_kept)
{
    struct kv_options options = test_options;
    char error[1024] = "";
    options.wal_bytes_max = 1u << 20;
    options.log_bytes_kept = log_bytes_kept;
    struct kv *kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    if (!kv)
        fail_msg("%s", error);
    return kv;
}

/* A segment has room for 17. */
static void put_15k(struct kv *kv, unsigned char key)
{
    static unsigned char value[15000];
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_META, bytes_of(&key, 1), bytes_of(value, sizeof value));
    write_batch(kv, batch, true);
}

static uint64_t stored_meta(struct kv *kv)
{
    return kv->ops->property(kv, KV_META, "rocksdb.total-sst-files-size");
}

/* A segment is released when RocksDB has stored what it was told of, and it was told of all in the
 * segment.  The process is killed when the release is written, in the head of the third segment,
 * and nothing more is in tables. */
static void test_what_was_untold_is_stored(void **state)
{
    enum { SECOND = 17, THIRD = 34 }; /* these begin a segment */
    char *directory = temporary_new();
    struct kv *kv = open_with_small_segments(directory, 0);
    struct buffer found = {0};
    (void)state;
    for (unsigned char i = 0; i <= SECOND; i++)
        put_15k(kv, i);
    for (int tries = 0; stored_meta(kv) == 0 && tries < 1000; tries++)
        poll(NULL, 0, 10);
    assert_true(stored_meta(kv) > 0);
    poll(NULL, 0, 200); /* the mark is stored next */
    tables_wait = true;
    for (unsigned char i = SECOND + 1; i <= THIRD; i++)
        put_15k(kv, i);
    char *copy = copy_as_killed(directory);
    tables_wait = false;
    struct kv *killed = open_with_small_segments(copy, 0);
    for (unsigned char i = 0; i <= THIRD; i++)
        assert_true(killed->ops->get(killed, KV_META, bytes_of(&i, 1), &found));
    killed->ops->close(killed);
    kv->ops->close(kv);
    buffer_deinit(&found);
    temporary_remove(copy);
    temporary_remove(directory);
}

/* Each segment is released when what it holds is stored, and begun again: all is there. */
static void test_many_segments(void **state)
{
    static unsigned char value[60000];
    char *directory = temporary_new();
    struct kv *kv = open_with_small_segments(directory, 0);
    struct buffer found = {0};
    (void)state;
    for (unsigned char i = 0; i < 100; i++) {
        struct kv_batch *batch = kv->ops->batch_new(kv);
        memset(value, i, sizeof value);
        kv->ops->batch_put(batch, i % 2 ? KV_LOG : KV_META, bytes_of(&i, 1),
                           bytes_of(value, sizeof value));
        kv->ops->commit(kv, batch, true);
        kv->ops->batch_free(batch);
    }
    kv->ops->close(kv);
    kv = open_with_small_segments(directory, 0);
    for (unsigned char i = 0; i < 100; i++) {
        assert_true(kv->ops->get(kv, i % 2 ? KV_LOG : KV_META, bytes_of(&i, 1), &found));
        assert_int_equal(found.size, sizeof value);
        assert_int_equal(found.data[found.size - 1], i);
    }
    buffer_deinit(&found);
    kv->ops->close(kv);
    temporary_remove(directory);
}

static void append_to_log(struct kv *kv, unsigned char number, struct bytes value)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_put(batch, KV_LOG, bytes_of(&number, 1), value);
    write_batch(kv, batch, true);
}

/* In one commit's time. */
static int most_steps_of_zeros(void)
{
    enum { SIZE = 1 << 20, RECORDS = 60 };
    static unsigned char value[SIZE];
    struct kv_options options = test_options;
    char *directory = temporary_new(), error[512];
    int most = 0;
    options.wal_bytes_max = 64u << 20; /* segments of 16 steps */
    struct kv *kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    assert_non_null(kv);
    slow_for = gettid();
    for (unsigned char i = 0; i < RECORDS; i++) {
        int before = slow_syncs;
        append_to_log(kv, i, bytes_of(value, sizeof value));
        int steps = slow_syncs - before;
        if (steps > most)
            most = steps;
    }
    kv->ops->close(kv);
    slow_for = 0;
    assert_true(slow_syncs > 0);
    temporary_remove(directory);
    return most;
}

/* Whoever needs the next segment waits for a step of zeros, not for all of them.  (More are written
 * meanwhile where this thread does not get a processor, but not again and again.) */
static void test_zeros_are_not_waited_for(void **state)
{
    int most = most_steps_of_zeros();
    (void)state;
    for (int again = 0; most > 4 && again < 5; again++)
        most = most_steps_of_zeros();
    assert_in_range(most, 0, 4);
}

static void trim(struct kv *kv, unsigned char from, unsigned char to)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    kv->ops->batch_delete_range(batch, KV_LOG, bytes_of(&from, 1), bytes_of(&to, 1));
    write_batch(kv, batch, true);
}

/* Of the journal: how many, and with how many bytes. */
static int journal_files(const char *directory, off_t *bytes)
{
    char path[600];
    int count = 0;
    snprintf(path, sizeof path, "%s/journal", directory);
    DIR *files = opendir(path);
    assert_non_null(files);
    *bytes = 0;
    for (struct dirent *file; (file = readdir(files)) != NULL;) {
        struct stat about;
        if (file->d_name[0] < '0' || file->d_name[0] > '9')
            continue;
        if (fstatat(dirfd(files), file->d_name, &about, 0) != 0) {
            assert_int_equal(errno, ENOENT); /* it has just been removed */
            continue;
        }
        *bytes += about.st_size;
        count++;
    }
    closedir(files);
    return count;
}

static void assert_log(struct kv *kv, unsigned char number, size_t size)
{
    struct buffer found = {0};
    assert_true(kv->ops->get(kv, KV_LOG, bytes_of(&number, 1), &found));
    assert_int_equal(found.size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal((unsigned char)found.data[i], number);
    buffer_deinit(&found);
}

static void append_number(struct kv *kv, unsigned char number, size_t size)
{
    static unsigned char value[20000];
    memset(value, number, size);
    append_to_log(kv, number, bytes_of(value, size));
}

/* The journal is where the log is, and RocksDB says of each entry where: what is kept of the log is
 * there when its segments are released, and at the next start; what is trimmed gives way; and the
 * tables are small. */
static void test_log_is_kept_in_the_journal(void **state)
{
    enum { KEPT = 100, SIZE = 20000, LAST = 250 };
    char *directory = temporary_new();
    struct kv *kv = open_with_small_segments(directory, 0);
    off_t bytes;
    (void)state;
    for (unsigned char i = 1; i < LAST; i++) {
        append_number(kv, i, SIZE);
        if (i > KEPT)
            trim(kv, i == KEPT + 1 ? 1 : i - KEPT, i - KEPT + 1); /* a piece behind the other */
        /* 13 in a segment: 8 of what is kept, 3 to be released, one to come, one left over */
        assert_in_range(journal_files(directory, &bytes), 3, 13);
        assert_in_range(bytes, 0, 13 * (256 << 10) + (1 << 20));
    }
    for (int starts = 0; starts < 4; starts++) {
        for (unsigned char i = 0; i < 60; i++) /* segments without rows go round */
            put_15k(kv, i);
        for (unsigned char i = LAST - KEPT; i < LAST; i++)
            assert_log(kv, i, SIZE);
        assert_in_range(kv->ops->property(kv, KV_LOG, "rocksdb.total-sst-files-size"), 0, 200000);
        kv->ops->close(kv);
        kv = open_with_small_segments(directory, 0);
        assert_in_range(journal_files(directory, &bytes), 3, 15);
    }
    trim(kv, 1, LAST);
    /* The files are not needed any more; a thread removes them, which may be behind. */
    for (int i = 0; i < 200 * 13 && (i < 20 * 13 || journal_files(directory, &bytes) > 5); i++) {
        append_number(kv, LAST, SIZE);
        trim(kv, LAST, LAST + 1);
    }
    assert_in_range(journal_files(directory, &bytes), 3, 5);
    kv->ops->close(kv);
    temporary_remove(directory);
}

/* Nor does it know what segments of the journal held that were released since. */
static void test_stored_records_are_remembered(void **state)
{
    char *directory = temporary_new();
    struct kv *kv = open_with_small_segments(directory, 0);
    (void)state;
    put(kv, KV_META, "a", "1", true);
    for (unsigned char i = 0; i < 60; i++)
        put_15k(kv, i);
    kv->ops->close(kv);
    assert_true(open_short_manifests(directory, "but had stored record") > 0);
    temporary_remove(directory);
}

/* Starts that write next to nothing do not make a segment each. */
static void test_many_starts(void **state)
{
    char *directory = temporary_new();
    off_t bytes;
    (void)state;
    for (unsigned char i = 1; i < 60; i++) {
        struct kv *kv = open_with_small_segments(directory, 0);
        append_number(kv, i, 500);
        for (unsigned char j = 1; j <= i; j++)
            assert_log(kv, j, 500);
        kv->ops->close(kv);
    }
    assert_int_equal(journal_files(directory, &bytes), 3);
    temporary_remove(directory);
}

/* An iterator shows what was there, whatever is trimmed and written since. */
static void test_iterator_of_a_trimmed_log(void **state)
{
    enum { SIZE = 20000, COUNT = 60 };
    char *directory = temporary_new();
    struct kv *kv = open_with_small_segments(directory, 0);
    struct bytes key, value;
    (void)state;
    for (unsigned char i = 1; i <= COUNT; i++)
        append_number(kv, i, SIZE);
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, text(""), kv_family_end());
    trim(kv, 1, COUNT + 1);
    for (unsigned char i = COUNT + 1; i < 4 * COUNT; i++) {
        append_number(kv, i, SIZE);
        trim(kv, 1, i + 1);
    }
    for (unsigned char i = 1; i <= COUNT; i++) {
        assert_true(kv->ops->iter_next(iter, &key, &value));
        assert_int_equal(*(const unsigned char *)key.data, i);
        assert_int_equal(value.size, SIZE);
        assert_int_equal(((const unsigned char *)value.data)[SIZE - 1], i);
    }
    assert_false(kv->ops->iter_next(iter, &key, &value));
    kv->ops->iter_free(iter);
    kv->ops->close(kv);
    temporary_remove(directory);
}

/* Beside a thread that appends and trims: what is found is right, and what is not was trimmed. */
struct log_beside {
    struct kv *kv;
    atomic_uint first, last; /* that are there; what is below the first may be */
    atomic_bool is_over;
};

static void number_value(unsigned number, unsigned char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        value[i] = (unsigned char)(number * 7 + i % 251);
}

static size_t number_size(unsigned number)
{
    return number % 9 == 0 ? 20 + number % 80 : 1000 + number * 37 % 30000;
}

static void *read_beside(void *context)
{
    static _Thread_local unsigned char expected[32000];
    struct log_beside *beside = context;
    struct buffer found = {0};
    uint64_t dice = 77;
    unsigned seen = 0;
    while (!beside->is_over || seen < 50) {
        unsigned first = beside->first, last = beside->last;
        unsigned number = first + (unsigned)prng_below(&dice, last + 1 - first);
        unsigned char key[8];
        put_u64_ordered(key, number);
        if (prng_below(&dice, 3) > 0)
            number = first; /* the next to be trimmed */
        put_u64_ordered(key, number);
        if (beside->kv->ops->get(beside->kv, KV_LOG, bytes_of(key, sizeof key), &found)) {
            size_t size = number_size(number);
            number_value(number, expected, size);
            assert_int_equal(found.size, size);
            assert_memory_equal(found.data, expected, size);
            seen++;
        } else {
            assert_true(number < beside->first);
        }
        if (!beside->is_over)
            usleep(200); /* the writer is to get on */
    }
    buffer_deinit(&found);
    return NULL;
}

static void test_log_beside_readers(void **state)
{
    enum { STEPS = 1200, KEPT = 60 };
    static unsigned char value[32000];
    char *directory = temporary_new();
    struct log_beside beside = {.kv = open_with_small_segments(directory, 0)};
    struct kv *kv = beside.kv;
    pthread_t readers[2];
    unsigned trimmed = 0;
    off_t bytes;
    (void)state;
    for (unsigned number = 1; number <= STEPS; number++) {
        unsigned char key[8], from[8], to[8];
        struct kv_batch *batch = kv->ops->batch_new(kv);
        size_t size = number_size(number);
        number_value(number, value, size);
        put_u64_ordered(key, number);
        if (number > KEPT && number % 5 == 0) {
            put_u64_ordered(from, trimmed);
            put_u64_ordered(to, trimmed = number - KEPT);
            kv->ops->batch_delete_range(batch, KV_LOG, bytes_of(from, 8), bytes_of(to, 8));
            beside.first = number - KEPT;
        }
        kv->ops->batch_put(batch, KV_LOG, bytes_of(key, 8), bytes_of(value, size));
        write_batch(kv, batch, true);
        beside.last = number;
        if (number == 1) {
            beside.first = 1;
            for (int i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&readers[i], NULL, read_beside, &beside), 0);
        }
    }
    beside.is_over = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    assert_in_range(journal_files(directory, &bytes), 3, 14);
    kv->ops->close(kv);
    beside.kv = open_with_small_segments(directory, 0);
    beside.is_over = true;
    (void)read_beside(&beside);
    beside.kv->ops->close(beside.kv);
    temporary_remove(directory);
}

enum { LARGE_COUNT = 200, LARGE = 100000, LARGE_BYTES = LARGE_COUNT * LARGE };

static uint64_t log_tables(struct kv *kv)
{
    return kv->ops->property(kv, KV_LOG, "rocksdb.total-sst-files-size");
}

/* A store to which a build of before has written: large entries, in RocksDB itself. */
static struct kv *open_with_large_rows_of_before(const char *directory)
{
    static unsigned char large[LARGE];
    struct kv *kv = open_with_small_segments(directory, 0);
    struct kv_batch *batch = kv->ops->batch_new(kv);
    for (unsigned char i = 1; i <= LARGE_COUNT;
         i++) { /* with data, and so by itself, as they did */
        memset(large, i, sizeof large);
        kv->ops->batch_put(batch, KV_LOG, bytes_of(&i, 1), bytes_of(large, sizeof large));
    }
    kv->ops->batch_put(batch, KV_DATA, text("a"), text("b"));
    write_batch(kv, batch, true);
    kv->ops->close(kv);
    return open_with_small_segments(directory, 0);
}

/* A segment has room for 13, and one that ends is what they are given back behind. */
static void append_behind_large_rows(struct kv *kv, int count)
{
    for (int i = 0; i < count; i++)
        append_number(kv, LARGE_COUNT + 1, 20000);
}

static void await_small_log_tables(struct kv *kv)
{
    for (int tries = 0; log_tables(kv) > 100000 && tries < 500; tries++)
        poll(NULL, 0, 10);
    assert_in_range(log_tables(kv), 1, 100000);
    assert_log(kv, LARGE_COUNT + 1, 20000);
}

/* Builds of before put large entries into RocksDB: they are read, and when they are trimmed their
 * tables go, though what is written then would not have RocksDB come to them. */
static void test_large_rows_of_before(void **state)
{
    char *directory = temporary_new();
    struct kv *kv = open_with_large_rows_of_before(directory);
    (void)state;
    for (unsigned char i = 1; i <= LARGE_COUNT; i++)
        assert_log(kv, i, LARGE);
    assert_in_range(log_tables(kv), LARGE_BYTES, 2 * LARGE_BYTES);
    trim(kv, 1, LARGE_COUNT);
    assert_log(kv, LARGE_COUNT, LARGE);
    trim(kv, LARGE_COUNT, LARGE_COUNT + 1);
    append_behind_large_rows(kv, 30);
    await_small_log_tables(kv);
    kv->ops->close(kv);
    temporary_remove(directory);
}

/* That reads all of them, which an end does not wait for; so they go after the next start. */
static void test_end_waits_for_no_merge_of_the_log(void **state)
{
    char *directory = temporary_new();
    struct kv *kv = open_with_large_rows_of_before(directory);
    (void)state;
    trim(kv, 1, LARGE_COUNT + 1);
    merge_reads = 0;
    merge_reads_are_slow = true;
    append_behind_large_rows(kv, 14);
    for (int tries = 0; merge_reads == 0 && tries < 500; tries++)
        poll(NULL, 0, 10);
    assert_true(merge_reads > 0);
    kv->ops->close(kv);
    merge_reads_are_slow = false;
    kv = open_with_small_segments(directory, 0);
    assert_in_range(log_tables(kv), LARGE_BYTES, 2 * LARGE_BYTES);
    append_behind_large_rows(kv, 14);
    await_small_log_tables(kv);
    kv->ops->close(kv);
    temporary_remove(directory);
}

/* In a segment that is kept for the log alone.  The child: */
static int read_log(const char *directory, const char *how)
{
    struct kv *kv = open_with_small_segments(directory, 0);
    struct bytes key, value;
    if (strcmp(how, "get") == 0) {
        assert_log(kv, 1, 20000);
        return 0;
    }
    struct kv_iter *iter = kv->ops->iter_new(kv, KV_LOG, text(""), kv_family_end());
    while (kv->ops->iter_next(iter, &key, &value))
        ;
    return 0;
}

static void get_in_child(void *directory)
{
    execl("/proc/self/exe", "test_kv", "log", (char *)directory, "get", NULL);
}

static void scan_in_child(void *directory)
{
    execl("/proc/self/exe", "test_kv", "log", (char *)directory, "scan", NULL);
}

static void test_damage_in_a_kept_segment(void **state)
{
    char *directory = temporary_new(), path[600];
    struct kv *kv = open_with_small_segments(directory, 0);
    (void)state;
    for (unsigned char i = 1; i < 80; i++)
        append_number(kv, i, 20000);
    kv->ops->close(kv);
    snprintf(path, sizeof path, "%s/journal/0", directory);
    for (off_t at = 100; at < 20000; at += 6000) {
        turn_a_bit(path, RECORDS_AT + at);
        assert_fatal(get_in_child, directory,
                     "a part of the Raft log that is in its journal cannot");
        assert_fatal(scan_in_child, directory,
                     "a part of the Raft log that is in its journal cannot");
        turn_a_bit(path, RECORDS_AT + at);
    }
    kv = open_with_small_segments(directory, 0);
    for (unsigned char i = 1; i < 80; i++)
        assert_log(kv, i, 20000);
    kv->ops->close(kv);
    assert_int_equal(unlink(path), 0);
    assert_refused(directory, "a part of its journal is missing that holds the Raft log");
    temporary_remove(directory);
}

static bool is_nothing(void *context, struct bytes record, struct journal_place place)
{
    (void)context;
    (void)place;
    return record.size > 0;
}

/* With a checksum that is right, and in it no changes. */
static void test_record_without_sense(void **state)
{
    static const unsigned char records[][12] = {{3}, {0, 3}, {0, 1, 9}, {0, 1, 0, 0, 0, 0, 9}};
    struct fixture *fixture = *state;
    char path[600], error[512];
    fixture->kv->ops->close(fixture->kv);
    fixture->kv = NULL;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        char *copy = copy_as_killed(fixture->directory);
        snprintf(path, sizeof path, "%s/journal", copy);
        struct journal_options options = {
            .directory = path, .segment_bytes = 1u << 20, .replay = is_nothing};
        struct journal *journal = journal_open(&options, error, sizeof error);
        assert_non_null(journal);
        journal_append(journal, bytes_of(records[i], sizeof records[i] - (i == 0 ? 5 : 0)));
        journal_close(journal);
        assert_refused(copy, "a record of its journal makes no sense");
        temporary_remove(copy);
    }
}

enum { KILLED_KEYS = 24, KILLED_STEPS = 1500, ROUNDS = 20, KILLED_SEED = 11 };

struct killed_model {
    uint64_t values[KV_STAGE][KILLED_KEYS]; /* 0: absent */
};

/* Values of very different sizes, so that segments end everywhere. */
static void put_random(struct kv *kv, struct kv_batch *batch, uint64_t *seed, unsigned family,
                       uint64_t step, struct killed_model *model)
{
    static char value[200008];
    unsigned char key = (unsigned char)prng_below(seed, KILLED_KEYS);
    uint64_t more = 5 * (prng_below(seed, 8) ? prng_below(seed, 20) : prng_below(seed, 40000));
    memcpy(value, &step, sizeof step);
    kv->ops->batch_put(batch, (enum kv_family)family, bytes_of(&key, 1),
                       bytes_of(value, sizeof step + more));
    model->values[family][key] = step;
}

static void delete_random(struct kv *kv, struct kv_batch *batch, uint64_t *seed, unsigned family,
                          struct killed_model *model)
{
    unsigned char from = (unsigned char)prng_below(seed, KILLED_KEYS);
    unsigned char to = (unsigned char)(from + prng_below(seed, KILLED_KEYS + 1u - from));
    kv->ops->batch_delete_range(batch, (enum kv_family)family, bytes_of(&from, 1),
                                bytes_of(&to, 1));
    for (unsigned i = from; i < to; i++)
        model->values[family][i] = 0;
}

static void bulk_random(struct kv *kv, enum kv_family family, uint64_t *seed, uint64_t step,
                        struct killed_model *model)
{
    struct kv_bulk *bulk = kv->ops->bulk_new(kv, family);
    unsigned char from = (unsigned char)prng_below(seed, KILLED_KEYS);
    unsigned char to = (unsigned char)(from + 1 + prng_below(seed, KILLED_KEYS - from));
    for (unsigned char i = from; i < to; i++)
        if (prng_below(seed, 3) == 0) {
            kv->ops->bulk_put(bulk, bytes_of(&i, 1), bytes_of(&step, sizeof step));
            model->values[KV_DATA][i] = step;
        }
    kv->ops->bulk_commit(bulk);
}

/* A change of one kind or the other. */
static void change_randomly(struct kv *kv, uint64_t *seed, uint64_t step,
                            struct killed_model *model)
{
    struct kv_batch *batch = kv->ops->batch_new(kv);
    uint64_t kind = prng_below(seed, 30);
    unsigned family = (unsigned)prng_below(seed, kind == 4 ? 3 : 2);
    if (kind == 1 || kind > 24) {
        bulk_random(kv, KV_DATA, seed, step, model);
    } else if (kind > 20) { /* by a sweep */
        delete_random(kv, batch, seed, KV_DATA, model);
    } else if (kind == 2) { /* a state takes the place of the data */
        kv->ops->stage_clear(kv);
        memset(model->values[KV_DATA], 0, sizeof model->values[KV_DATA]);
        bulk_random(kv, KV_STAGE, seed, step, model);
        put_random(kv, batch, seed, KV_META, step, model);
        delete_random(kv, batch, seed, KV_LOG, model);
        kv->ops->batch_adopt(batch);
    } else if (kind == 3) { /* with the data, by a tool */
        put_random(kv, batch, seed, KV_META, step, model);
        put_random(kv, batch, seed, KV_DATA, step, model);
    } else if (kind < 7) {
        delete_random(kv, batch, seed, family, model);
    } else {
        for (int i = 0; i < 4; i++)
            put_random(kv, batch, seed, (unsigned)prng_below(seed, 2), step, model);
    }
    kv->ops->commit(kv, batch, true);
    kv->ops->batch_free(batch);
}

static void tell(uint64_t step)
{
    if (write(STDOUT_FILENO, &step, sizeof step) != sizeof step)
        _exit(2);
}

/* The child: from the step behind `done` on, which it tells when it is done. */
static int change_until_killed(const char *directory, uint64_t done)
{
    static struct killed_model model;
    uint64_t seed = KILLED_SEED;
    struct kv *kv = NULL;
    for (uint64_t step = 1; step <= KILLED_STEPS; step++) {
        if (step == done + 1) {
            kv = open_with_small_segments(directory, 0);
            tell(done);
        }
        struct kv *memory = step <= done ? kv_memory_open() : NULL; /* for the dice */
        change_randomly(memory ? memory : kv, &seed, step, &model);
        if (memory)
            memory->ops->close(memory);
        else
            tell(step);
    }
    return 0;
}

/* Until it is killed after some time, from when it is open or while it opens; the last step that it
 * told of. */
static uint64_t child_changes(const char *directory, uint64_t done, uint64_t us, bool when_open)
{
    int ends[2];
    char from[24];
    uint64_t step;
    snprintf(from, sizeof from, "%" PRIu64, done);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test_kv", "change", directory, from, NULL);
        _exit(4);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20); /* the child must not wait for us */
    if (when_open)
        assert_int_equal(read(ends[0], &step, sizeof step), sizeof step);
    usleep((useconds_t)us);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (read(ends[0], &step, sizeof step) == sizeof step)
        done = step;
    close(ends[0]);
    return done;
}

static bool is_model(struct kv *kv, const struct killed_model *model)
{
    bool is_same = true;
    for (unsigned family = 0; family < KV_STAGE; family++) {
        struct bytes key, value;
        struct kv_iter *iter =
            kv->ops->iter_new(kv, (enum kv_family)family, text(""), kv_family_end());
        for (unsigned i = 0; i < KILLED_KEYS && is_same; i++)
            if (model->values[family][i] != 0)
                is_same = kv->ops->iter_next(iter, &key, &value) &&
                          *(const unsigned char *)key.data == i && value.size % 5 == 3 &&
                          memcmp(value.data, &model->values[family][i], sizeof(uint64_t)) == 0;
        is_same = is_same && !kv->ops->iter_next(iter, &key, &value);
        kv->ops->iter_free(iter);
    }
    return is_same;
}

/* Whatever RocksDB has stored of it by then: segments of the journal begin and are released all
 * the time.  What is found is what the last step told of left, or the one behind it. */
static void test_killed_at_any_time(void **state)
{
    static struct killed_model model;
    char *directory = temporary_new();
    uint64_t seed = KILLED_SEED, dice = 5, done = 0;
    (void)state;
    for (int round = 0; round < ROUNDS && done < KILLED_STEPS; round++) {
        uint64_t told =
            child_changes(directory, done, prng_below(&dice, 150000), prng_below(&dice, 4) > 0);
        struct kv *memory = kv_memory_open(), *kv = open_with_small_segments(directory, 0);
        for (; done < told; done++)
            change_randomly(memory, &seed, done + 1, &model);
        if (!is_model(kv, &model)) { /* the one behind it was not told of */
            assert_true(done < KILLED_STEPS);
            change_randomly(memory, &seed, ++done, &model);
            assert_true(is_model(kv, &model));
        }
        kv->ops->close(kv);
        memory->ops->close(memory);
    }
    assert_true(done > 0);
    temporary_remove(directory);
}

#define BOTH(test)                                                                                 \
    {#test " memory", test, setup_memory, teardown, NULL},                                         \
    {                                                                                              \
#test " rocksdb", test, setup_rocksdb, teardown, NULL                                      \
    }

#define ROCKSDB(test) cmocka_unit_test_setup_teardown(test, setup_rocksdb, teardown)

/* This program as a child of itself; less than 0: it is none. */
static int as_child(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "open") == 0)
        return open_and_say(argv[2]);
    if (argc == 4 && strcmp(argv[1], "change") == 0)
        return change_until_killed(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "log") == 0)
        return read_log(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], argv[3]);
    return -1;
}

int main(int argc, char **argv)
{
    int status = as_child(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        BOTH(test_batch),
        BOTH(test_heads),
        BOTH(test_delete_range),
        BOTH(test_drop_files),
        BOTH(test_scan),
        BOTH(test_scan_ends),
        BOTH(test_binary),
        BOTH(test_bulk),
        BOTH(test_snapshot),
        BOTH(test_random),
        BOTH(test_threads),
        cmocka_unit_test_setup_teardown(test_crash, setup_memory, teardown),
        cmocka_unit_test_setup_teardown(test_crash_bulk, setup_memory, teardown),
        ROCKSDB(test_reclaim),
        ROCKSDB(test_who_reads_deletes_no_files),
        ROCKSDB(test_large_writes_go_in_pieces),
        ROCKSDB(test_what_was_written_is_in_memory),
        ROCKSDB(test_reopen),
        ROCKSDB(test_ingest_leftovers),
        ROCKSDB(test_runs_between_deletes),
        ROCKSDB(test_end_waits_for_no_merge),
        ROCKSDB(test_data_are_adopted_while_space_is_given_back),
        ROCKSDB(test_big_value),
        ROCKSDB(test_memory_of_a_large_commit_is_given_back),
        ROCKSDB(test_property),
        ROCKSDB(test_expected_size),
        ROCKSDB(test_scan_passes_over_nothing_behind_its_end),
        ROCKSDB(test_walk_of_a_snapshot_gives_up),
        ROCKSDB(test_snapshot_leaves_the_cache),
        cmocka_unit_test(test_disk_fails),
        ROCKSDB(test_background_errors_are_asked_for_now_and_then),
        cmocka_unit_test(test_assertion_without_room),
        cmocka_unit_test(test_directory_is_durable_in_its_parent),
        cmocka_unit_test(test_open_refused),
        ROCKSDB(test_open_locked),
        ROCKSDB(test_open_obstructed),
        ROCKSDB(test_open_damaged),
        ROCKSDB(test_open_short_manifest),
        ROCKSDB(test_damage_is_seen),
        ROCKSDB(test_missing_journal),
        ROCKSDB(test_journal_that_ends_before_what_is_stored),
        cmocka_unit_test(test_what_was_untold_is_stored),
        cmocka_unit_test(test_many_segments),
        cmocka_unit_test(test_zeros_are_not_waited_for),
        cmocka_unit_test(test_log_is_kept_in_the_journal),
        cmocka_unit_test(test_stored_records_are_remembered),
        cmocka_unit_test(test_many_starts),
        cmocka_unit_test(test_iterator_of_a_trimmed_log),
        cmocka_unit_test(test_log_beside_readers),
        cmocka_unit_test(test_large_rows_of_before),
        cmocka_unit_test(test_end_waits_for_no_merge_of_the_log),
        cmocka_unit_test(test_damage_in_a_kept_segment),
        ROCKSDB(test_record_without_sense),
        ROCKSDB(test_memory_of_a_large_record_is_given_back),
        ROCKSDB(test_what_was_replayed_is_stored),
        ROCKSDB(test_data_with_others_are_stored),
        ROCKSDB(test_older_builds_are_kept_out),
        ROCKSDB(test_damage_of_before_the_journal),
        cmocka_unit_test(test_killed_at_any_time),
    };
    return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
