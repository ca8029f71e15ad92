/* Blocks of all sizes keep their contents while they grow and shrink, and large ones are made of
 * huge pages where the kernel has them. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/large.h"
#include "base/memory.h"
#include "base/prng.h"

enum { MB = 1 << 20 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool has_large = false; /* see memory.c */
#else
static const bool has_large = true;
#endif

static unsigned char expected(size_t at)
{
    return (unsigned char)(at / 4096 * 7 + at);
}

static void fill(unsigned char *block, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        block[i] = expected(i);
}

static void assert_filled(const unsigned char *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (block[i] != expected(i))
            fail_msg("byte %zu of %zu is another one", i, size);
}

static void contents_stay(void **state)
{
    static const size_t sizes[] = {1, 1000, 3 * MB, 4 * MB, 9 * MB, 40 * MB, 5 * MB, 6 * MB, 10};
    size_t before = 0;
    unsigned char *block = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = memory_resize(block, sizes[i]);
        assert_filled(block, before < sizes[i] ? before : sizes[i]);
        fill(block, before < sizes[i] ? before : 0, sizes[i]);
        before = sizes[i];
    }
    memory_free(block);
}

static void a_copy_is_equal_and_new_is_zero(void **state)
{
    static const size_t sizes[] = {100, 8 * MB};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        unsigned char *block = memory_new(sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(block[at], 0);
        fill(block, 0, sizes[i]);
        unsigned char *copy = memory_copy(block, sizes[i]);
        assert_filled(copy, sizes[i]);
        memory_free(copy);
        memory_free(block);
    }
}

/* Whether the mapping that holds `address` is advised to have huge pages. */
static bool is_advised(const void *address)
{
    char line[512];
    bool inside = false, advised = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)address >= from && (uintptr_t)address < to;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            advised = strstr(line, " hg") != NULL;
    }
    fclose(maps);
    return advised;
}

static void large_blocks_have_huge_pages(void **state)
{
    (void)state;
    FILE *there = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (!there || !has_large)
        skip(); /* a kernel without them */
    fclose(there);
    unsigned char *fresh = memory_resize(NULL, 16 * MB);
    assert_true(is_advised(fresh + 8 * MB));
    unsigned char *larger = memory_resize(fresh, 32 * MB);
    assert_true(is_advised(larger + 16 * MB));
    memory_free(larger);
}

static long faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_minflt;
}

/* Bytes of the block that are in memory. */
static size_t resident(unsigned char *block, size_t size)
{
    static unsigned char pages[64 * MB / 4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    assert_int_equal(mincore(block, size, pages), 0);
    for (size_t i = 0; i < size / page; i++)
        count += pages[i] & 1;
    return count * page;
}

/* Nothing is copied, and nothing touched. */
static void a_large_block_grows_where_it_is(void **state)
{
    (void)state;
    if (!has_large)
        skip();
    while (large_trim())
        ;
    unsigned char *block = memory_resize(NULL, 16 * MB);
    void *neighbours[8];
    fill(block, 0, 16 * MB);
    for (size_t size = 17 * MB, i = 0; i < 8; i++, size += 3 * MB) {
        neighbours[i] = memory_resize(NULL, 2 * MB + i); /* so that there may be no room behind */
        long before = faults();
        block = memory_resize(block, size);
        assert_in_range(faults() - before, 0, 4);
        assert_in_range(resident(block, size), 16 * MB, 18 * MB);
    }
    assert_filled(block, 16 * MB);
    for (size_t i = 0; i < 8; i++)
        memory_free(neighbours[i]);
    memory_free(block);
}

/* What was touched before is used again, in whatever sizes; but zeroed is zero. */
static void what_is_given_back_is_used_again(void **state)
{
    (void)state;
    if (!has_large)
        skip();
    while (large_trim())
        ;
    unsigned char *block = memory_resize(NULL, 32 * MB);
    size_t used = large_status().used;
    fill(block, 0, 32 * MB);
    memory_free(block);
    assert_int_equal(large_status().used, used - 32 * MB);
    assert_int_equal(large_status().kept, 32 * MB);
    unsigned char *parts[3];
    for (size_t i = 0; i < 3; i++) {
        parts[i] = memory_resize(NULL, 5 * MB + 100 * i);
        assert_true(resident(parts[i], 5 * MB) == 5 * MB);
        fill(parts[i], 0, 5 * MB);
    }
    unsigned char *zeroed = memory_new(8 * MB);
    for (size_t i = 0; i < 8 * MB; i++)
        assert_int_equal(zeroed[i], 0);
    unsigned char *larger = memory_resize(NULL, 40 * MB); /* than what is left of it */
    assert_in_range(resident(larger, 40 * MB), 10 * MB, 32 * MB);
    fill(larger, 0, 40 * MB);
    for (size_t i = 0; i < 3; i++) {
        assert_filled(parts[i], 5 * MB);
        memory_free(parts[i]);
    }
    assert_filled(larger, 40 * MB);
    memory_free(zeroed);
    memory_free(larger);
    while (large_trim())
        ;
    assert_int_equal(large_status().kept, 0);
}

static void only_so_much_is_kept(void **state)
{
    enum { BLOCKS = 100 };
    static void *blocks[BLOCKS];
    (void)state;
    if (!has_large)
        skip();
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = memory_resize(NULL, i < 20 ? 30 * MB : 2 * MB);
    for (size_t i = 0; i < BLOCKS; i++) {
        memory_free(blocks[i]);
        assert_in_range(large_status().kept, 2 * MB, LARGE_KEPT);
    }
    memory_free(memory_resize(NULL, LARGE_KEPT + MB));
    assert_in_range(large_status().kept, 2 * MB, LARGE_KEPT);
    size_t trims = 0;
    while (large_trim())
        trims++;
    assert_in_range(trims, 1, LARGE_KEPT_BLOCKS);
}

/* ---- the kernel ---------------------------------------------------------------------------- */

/* What stands between large.c and the kernel: it says no, and looks whether others would wait. */
static struct {
    bool is_watched, is_mutex_held;
    unsigned calls;
    const void *stays;        /* munmap says that there are too many mappings */
    bool refuses_growth;      /* and another thread maps where it was to grow to, which is: */
    unsigned char *of_others; /* a page of MARK */
} kernel;

enum { PAGE = 4096, MARK = 0x5a, WAIT_S = 20 };

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void *look(void *context)
{
    (void)large_status();
    return context;
}

/* Another thread that uses large blocks meanwhile gets on. */
static void watch(void)
{
    pthread_t other;
    struct timespec until;
    if (!kernel.is_watched || kernel.is_mutex_held)
        return;
    kernel.calls++;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    assert_int_equal(pthread_create(&other, NULL, look, NULL), 0);
    kernel.is_mutex_held = pthread_timedjoin_np(other, NULL, &until) != 0;
    if (kernel.is_mutex_held)
        pthread_detach(other);
}

int munmap(void *begin, size_t size)
{
    watch();
    if (begin == kernel.stays) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_munmap, begin, size);
}

void *mremap(void *begin, size_t before, size_t size, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    void *into = flags & MREMAP_FIXED ? va_arg(list, void *) : NULL;
    va_end(list);
    watch();
    if (!kernel.refuses_growth)
        return (void *)syscall(SYS_mremap, begin, before, size, flags, into); // NOLINT
    if (into) {
        syscall(SYS_munmap, into, size);
        kernel.of_others = mmap(into, PAGE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        memset(kernel.of_others, MARK, PAGE);
    }
    errno = ENOMEM;
    return MAP_FAILED;
}
#endif

static void begin_kernel(void)
{
    while (large_trim())
        ;
    memset(&kernel, 0, sizeof kernel);
}

/* Each way in which blocks are given back, cut and grow. */
static void nobody_waits_for_the_kernel(void **state)
{
    enum { BLOCKS = LARGE_KEPT_BLOCKS + 6 };
    static void *blocks[BLOCKS];
    (void)state;
    if (!has_large)
        skip();
    begin_kernel();
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = memory_resize(NULL, 2 * MB);
    kernel.is_watched = true;
    for (size_t i = 0; i < BLOCKS; i++)
        memory_free(blocks[i]);
    assert_false(kernel.is_mutex_held);
    assert_int_equal(kernel.calls, BLOCKS - LARGE_KEPT_BLOCKS);
    memory_free(memory_resize(NULL, 9 * MB)); /* one that is kept grows */
    memory_free(memory_resize(memory_resize(NULL, 9 * MB), 20 * MB));
    memory_free(memory_resize(memory_resize(NULL, 20 * MB), 3 * MB));
    memory_free(memory_resize(NULL, 20 * MB));
    memory_free(memory_resize(NULL, 5 * MB)); /* and is cut */
    memory_free(memory_resize(NULL, LARGE_KEPT + MB));
    while (large_trim())
        ;
    assert_false(kernel.is_mutex_held);
    assert_true(kernel.calls > LARGE_KEPT_BLOCKS);
    kernel.is_watched = false;
}

/* It keeps its addresses, not its memory. */
static void what_the_kernel_does_not_take_back_has_no_memory(void **state)
{
    (void)state;
    if (!has_large)
        skip();
    begin_kernel();
    unsigned char *block = memory_resize(NULL, 16 * MB);
    fill(block, 0, 16 * MB);
    memory_free(block);
    kernel.stays = block;
    assert_true(large_trim());
    assert_int_equal(large_status().kept, 0);
    assert_int_equal(resident(block, 16 * MB), 0);
    kernel.stays = NULL;
    assert_int_equal(munmap(block, 16 * MB), 0);
}

static void what_others_mapped_meanwhile_stays(void **state)
{
    unsigned char page;
    (void)state;
    if (!has_large)
        skip();
    begin_kernel();
    unsigned char *block = memory_resize(NULL, 16 * MB);
    fill(block, 0, 16 * MB);
    kernel.refuses_growth = true;
    block = memory_resize(block, 40 * MB); /* by a copy */
    kernel.refuses_growth = false;
    assert_filled(block, 16 * MB);
    assert_non_null(kernel.of_others);
    assert_int_equal(mincore(kernel.of_others, PAGE, &page), 0);
    for (size_t i = 0; i < PAGE; i++)
        assert_int_equal(kernel.of_others[i], MARK);
    assert_int_equal(munmap(kernel.of_others, PAGE), 0);
    memory_free(block);
}

/* Of any sizes, in any order; a model says what is in them. */
static void any_course_keeps_the_contents(void **state)
{
    enum { BLOCKS = 12, STEPS = 3000 };
    static struct {
        unsigned char *memory;
        size_t size;
        unsigned char fill;
    } blocks[BLOCKS];
    uint64_t prng = 1;
    (void)state;
    for (int step = 0; step < STEPS; step++) {
        size_t i = prng_next(&prng) % BLOCKS, before = blocks[i].size;
        size_t size = prng_next(&prng) % (prng_next(&prng) % 4 ? 6 * MB : 24 * MB) + 1;
        if (before > 0) { /* its ends are what it was filled with */
            assert_int_equal(blocks[i].memory[0], blocks[i].fill);
            assert_int_equal(blocks[i].memory[before - 1], blocks[i].fill);
        }
        if (before > 0 && prng_next(&prng) % 3 == 0) {
            memory_free(blocks[i].memory);
            blocks[i].memory = NULL;
            blocks[i].size = 0;
            continue;
        }
        blocks[i].memory = memory_resize(blocks[i].memory, size);
        if (before > 0) {
            assert_int_equal(blocks[i].memory[0], blocks[i].fill);
            assert_int_equal(blocks[i].memory[(before < size ? before : size) - 1],
                             before <= size ? blocks[i].fill : blocks[i].memory[size - 1]);
        }
        blocks[i].fill = (unsigned char)prng_next(&prng);
        blocks[i].size = size;
        blocks[i].memory[0] = blocks[i].memory[size - 1] = blocks[i].fill;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        memory_free(blocks[i].memory);
    while (large_trim())
        ;
}

/* How many blocks there are makes no difference to how long it takes to say so. */
static void malloc_counts_what_it_gave(void **state)
{
    enum { COUNT = 1000, SIZE = 1000 };
    void *blocks[COUNT];
    (void)state;
    if (!has_large)
        skip(); /* a sanitizer's malloc */
    size_t before = heap_status().used;
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = memory_new(SIZE);
    struct heap_status full = heap_status();
    assert_in_range(full.used - before, COUNT * SIZE, COUNT * SIZE * 3 / 2);
    assert_true(full.held >= full.used);
    for (size_t i = 0; i < COUNT; i++)
        memory_free(blocks[i]);
    assert_in_range(heap_status().used, before, full.used - COUNT * SIZE / 2);
    assert_memory_equal(heap_name(), "jemalloc-", strlen("jemalloc-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_stay),
        cmocka_unit_test(a_copy_is_equal_and_new_is_zero),
        cmocka_unit_test(large_blocks_have_huge_pages),
        cmocka_unit_test(a_large_block_grows_where_it_is),
        cmocka_unit_test(what_is_given_back_is_used_again),
        cmocka_unit_test(only_so_much_is_kept),
        cmocka_unit_test(nobody_waits_for_the_kernel),
        cmocka_unit_test(what_the_kernel_does_not_take_back_has_no_memory),
        cmocka_unit_test(what_others_mapped_meanwhile_stays),
        cmocka_unit_test(any_course_keeps_the_contents),
        cmocka_unit_test(malloc_counts_what_it_gave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
