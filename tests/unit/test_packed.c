/* The packed form of small collections against plain arrays, and what becomes of damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/prng.h"
#include "data/packed.h"

enum { STEPS = 20000, ELEMENTS = 150, SIZES = 300 };

/* ---- strings against an array ---------------------------------------------------------- */

/* Element i is `size` bytes of one letter. */
struct element {
    size_t size;
    char letter;
};

static struct bytes text_of(const struct element *element, char *text)
{
    memset(text, element->letter, element->size);
    return bytes_of(text, element->size);
}

static void compare(struct bytes payload, const struct element *elements, uint32_t count)
{
    struct packed_walk walk;
    struct bytes found;
    char text[SIZES];
    assert_int_equal(packed_form(payload), PACKED_STRINGS);
    assert_int_equal(packed_count(payload), count);
    packed_walk(&walk, payload);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(packed_next(&walk, &found));
        assert_true(bytes_equal(found, text_of(&elements[i], text)));
    }
    assert_false(packed_next(&walk, &found));
    assert_int_equal(walk.to, payload.size);
}

static struct element any_element(uint64_t *dice)
{
    static const size_t limits[] = {1, 10, 127, 128, 129, SIZES};
    size_t limit = limits[prng_below(dice, sizeof limits / sizeof limits[0])];
    return (struct element){prng_below(dice, limit), (char)('a' + prng_below(dice, 26))};
}

/* Puts `more` new ones where `removed` stand, from number `at` on. */
static void splice(struct buffer *packed, struct element *elements, uint32_t *count, uint32_t at,
                   uint32_t removed, uint32_t more, uint64_t *dice)
{
    struct packed_walk walk;
    struct bytes ignored, added[2];
    char texts[2][SIZES];
    packed_walk(&walk, buffer_bytes(packed));
    for (uint32_t i = 0; i < at; i++)
        packed_next(&walk, &ignored);
    size_t from = walk.to;
    for (uint32_t i = 0; i < removed; i++)
        packed_next(&walk, &ignored);
    memmove(elements + at + more, elements + at + removed,
            (*count - at - removed) * sizeof *elements);
    for (uint32_t i = 0; i < more; i++) {
        elements[at + i] = any_element(dice);
        added[i] = text_of(&elements[at + i], texts[i]);
    }
    packed_splice(packed, from, walk.to, removed, added, more);
    *count += more - removed;
}

static void test_strings(void **state)
{
    struct buffer packed = {0};
    struct element elements[ELEMENTS + 2];
    uint32_t count = 0;
    uint64_t dice = 1;
    (void)state;
    packed_init(&packed, PACKED_STRINGS);
    for (unsigned step = 0; step < STEPS; step++) {
        uint32_t at = (uint32_t)prng_below(&dice, count + 1), removed = 0, more = 0;
        if (count < ELEMENTS)
            more = (uint32_t)prng_below(&dice, 3);
        if (at < count)
            removed = (uint32_t)prng_below(&dice, count - at < 2 ? 2 : 3);
        splice(&packed, elements, &count, at, removed, more, &dice);
        compare(buffer_bytes(&packed), elements, count);
    }
    buffer_deinit(&packed);
}

static void test_append(void **state)
{
    struct buffer packed = {0};
    struct element elements[ELEMENTS];
    char text[SIZES];
    uint64_t dice = 2;
    (void)state;
    packed_init(&packed, PACKED_STRINGS);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        elements[i] = any_element(&dice);
        packed_append(&packed, text_of(&elements[i], text));
        compare(buffer_bytes(&packed), elements, i + 1);
    }
    buffer_deinit(&packed);
}

/* ---- integers --------------------------------------------------------------------------- */

static void test_integers(void **state)
{
    enum { VALUES = 300 };
    struct buffer packed = {0};
    bool is_there[VALUES] = {0};
    uint64_t dice = 3;
    uint32_t count = 0;
    (void)state;
    packed_integers_init(&packed);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned n = (unsigned)prng_below(&dice, VALUES);
        int64_t value = ((int64_t)n - VALUES / 2) * (INT64_MAX / VALUES * 2);
        uint32_t i;
        assert_int_equal(packed_integer_find(buffer_bytes(&packed), value, &i), is_there[n]);
        if (is_there[n])
            packed_integer_remove(&packed, i);
        else
            packed_integer_insert(&packed, i, value);
        is_there[n] = !is_there[n];
        count += is_there[n] ? 1 : -1u;
        assert_int_equal(packed_count(buffer_bytes(&packed)), count);
        for (uint32_t k = 1; k < count; k++)
            assert_true(packed_integer(buffer_bytes(&packed), k - 1) <
                        packed_integer(buffer_bytes(&packed), k));
    }
    buffer_deinit(&packed);
}

static void test_large(void **state)
{
    unsigned char out[PACKED_LARGE_SIZE];
    (void)state;
    struct bytes payload = packed_large(out, UINT64_MAX - 5);
    assert_int_equal(packed_form(payload), PACKED_LARGE);
    assert_true(packed_count(payload) == UINT64_MAX - 5);
}

/* ---- damage ------------------------------------------------------------------------------ */

static void walk_all(struct bytes payload)
{
    struct packed_walk walk;
    struct bytes element;
    if (packed_form(payload) != PACKED_STRINGS) {
        packed_count(payload);
        return;
    }
    packed_walk(&walk, payload);
    while (packed_next(&walk, &element))
        if (element.size && *(const char *)element.data == 1) /* so that it is looked at */
            continue;
}

/* The status of a process that reads it all; what is behind the payload must not be looked at. */
static int status_of_reading(struct bytes payload)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *copy = malloc(payload.size ? payload.size : 1);
        if (payload.size)
            memcpy(copy, payload.data, payload.size);
        close(STDERR_FILENO);
        walk_all(bytes_of(copy, payload.size));
        free(copy);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status)); /* no signal: not a check, not a fault */
    return WEXITSTATUS(status);
}

static void expect_fatal(const char *payload, size_t size)
{
    assert_int_equal(status_of_reading(bytes_of(payload, size)), 70);
}

static void test_damage(void **state)
{
    (void)state;
    expect_fatal("", 0);
    expect_fatal("\0", 1);
    expect_fatal("\6\0\0\0\0", 5);
    expect_fatal("\1\0\0\0", 4);
    expect_fatal("\1\1\0\0\0", 5);                      /* an element is missing */
    expect_fatal("\1\0\0\0\0x", 6);                     /* one too many */
    expect_fatal("\1\1\0\0\0\2x", 7);                   /* cut off */
    expect_fatal("\1\1\0\0\0\x80", 6);                  /* a size that does not end */
    expect_fatal("\1\1\0\0\0\xff\xff\xff\xff\xff", 10); /* nor here */
    expect_fatal("\1\1\0\0\0\xff\xff\xff\xff\x0fx", 11);
    expect_fatal("\2xxxxxxx", 8); /* half a number */
    expect_fatal("\3xxxxxxx", 8);
    expect_fatal("\3xxxxxxxxx", 10);
    assert_int_equal(status_of_reading(bytes_of("\1\1\0\0\0\1x", 7)), 0);
}

/* Whatever a disk makes of one: it is read, or refused, but nothing behind it is looked at. */
static void test_any_damage(void **state)
{
    uint64_t dice = 4;
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        struct buffer packed = {0};
        char text[SIZES];
        packed_init(&packed, PACKED_STRINGS);
        for (unsigned k = 0; k < 5; k++) {
            struct element element = any_element(&dice);
            packed_append(&packed, text_of(&element, text));
        }
        packed.data[prng_below(&dice, packed.size)] ^= (char)(1 << prng_below(&dice, 8));
        size_t size = prng_below(&dice, 2) ? packed.size : prng_below(&dice, packed.size);
        int status = status_of_reading(bytes_of(packed.data, size));
        assert_true(status == 0 || status == 70);
        buffer_deinit(&packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),  cmocka_unit_test(test_append),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_large),
        cmocka_unit_test(test_damage),   cmocka_unit_test(test_any_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
