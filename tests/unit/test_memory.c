/* Blocks of all sizes keep their contents while they grow and shrink, and large ones are made of
 * huge pages where the kernel has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

enum { MB = 1 << 20 };

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
    if (!there)
        skip(); /* a kernel without them */
    fclose(there);
    unsigned char *fresh = memory_resize(NULL, 16 * MB);
    assert_true(is_advised(fresh + 8 * MB));
    unsigned char *larger = memory_resize(fresh, 32 * MB);
    assert_true(is_advised(larger + 16 * MB));
    memory_free(larger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_stay),
        cmocka_unit_test(a_copy_is_equal_and_new_is_zero),
        cmocka_unit_test(large_blocks_have_huge_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
