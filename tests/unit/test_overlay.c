/* An overlay beside a list of what it is to hold: names that share words are put, overwritten in
 * place and not, buried, taken out, put back and moved; walks meet them all, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/prng.h"
#include "data/overlay.h"

enum { NAMES = 600, SPACE = 7, SIZE_MAX_HERE = 300 };

struct row {
    bool is_there, is_tombstone;
    unsigned char fill;
    size_t size;
};

struct world {
    struct overlay overlay;
    struct row rows[NAMES];
    uint64_t dice;
};

/* Two names a word. */
static uint64_t word_of(unsigned number)
{
    return (uint64_t)(number / 2 % 16) << 40 | number / 32;
}

static struct bytes name_of(unsigned number, char text[16])
{
    int size = snprintf(text, 16, "name %u", number);
    return bytes_of(text, (size_t)size);
}

static struct bytes record_of(const struct row *row, char text[SIZE_MAX_HERE])
{
    memset(text, row->fill, SIZE_MAX_HERE);
    return bytes_of(text, row->size);
}

static void assert_row(struct world *world, unsigned number)
{
    const struct row *row = &world->rows[number];
    char name[16], record[SIZE_MAX_HERE];
    const struct entry *entry =
        overlay_find(&world->overlay, SPACE, word_of(number), name_of(number, name));
    assert_int_equal(entry != NULL, row->is_there);
    if (!entry)
        return;
    assert_true(bytes_equal(entry_name(entry), name_of(number, name)));
    assert_int_equal(entry->is_tombstone, row->is_tombstone);
    if (!row->is_tombstone)
        assert_true(bytes_equal(entry_record(entry), record_of(row, record)));
}

/* A walk meets all from there on, each once, in order. */
static void assert_walk(struct world *world, uint64_t from)
{
    struct overlay_iter iter;
    unsigned there = 0, met = 0;
    for (unsigned number = 0; number < NAMES; number++)
        there += world->rows[number].is_there && word_of(number) >= from;
    uint64_t word = from;
    struct bytes name = bytes_of(NULL, 0);
    for (overlay_seek(&iter, &world->overlay, SPACE, from); iter.entry; overlay_step(&iter)) {
        struct bytes next = entry_name(iter.entry);
        assert_true(iter.word > word ||
                    (iter.word == word && overlay_name_compare(next, name) > 0));
        assert_ptr_equal(overlay_find(&world->overlay, SPACE, iter.word, next), iter.entry);
        word = iter.word;
        name = next;
        met++;
    }
    assert_int_equal(met, there);
}

static void assert_all(struct world *world)
{
    uint64_t there = 0;
    for (unsigned number = 0; number < NAMES; number++) {
        assert_row(world, number);
        there += world->rows[number].is_there;
    }
    assert_int_equal(overlay_entries(&world->overlay, SPACE), there);
    assert_walk(world, 0);
    assert_walk(world, word_of((unsigned)prng_below(&world->dice, NAMES)));
    assert_walk(world, UINT64_MAX);
}

static void put(struct world *world, unsigned number)
{
    struct row *row = &world->rows[number];
    char name[16], record[SIZE_MAX_HERE];
    *row = (struct row){.is_there = true,
                        .fill = (unsigned char)prng_below(&world->dice, 256),
                        .size = prng_below(&world->dice, SIZE_MAX_HERE)};
    struct overlay_spot spot =
        overlay_locate(&world->overlay, SPACE, word_of(number), name_of(number, name));
    overlay_put(&world->overlay, &spot, name_of(number, name), bytes_of(NULL, 0),
                record_of(row, record), BELOW_NO);
}

/* A part of a record gives way to others, where there is room for that. */
static void edit(struct world *world, unsigned number)
{
    struct row *row = &world->rows[number];
    char name[16], filled[SIZE_MAX_HERE];
    struct entry *entry =
        overlay_find(&world->overlay, SPACE, word_of(number), name_of(number, name));
    if (!entry || row->is_tombstone)
        return;
    size_t from = prng_below(&world->dice, row->size + 1);
    size_t to = from + prng_below(&world->dice, row->size - from + 1);
    size_t room = entry->record_capacity - row->size + (to - from);
    size_t more = prng_below(&world->dice, room + 1), first = more / 3;
    memset(filled, row->fill, sizeof filled);
    struct bytes parts[] = {bytes_of(filled, first), bytes_of(NULL, 0),
                            bytes_of(filled, more - first)};
    char behind[SIZE_MAX_HERE];
    memcpy(behind, (const char *)entry_record(entry).data + to, row->size - to);
    memset((char *)entry->data + entry->name_size + from, '?', to - from); /* it gives way */
    if (row->size > to)
        behind[0] = ((char *)entry->data)[entry->name_size + to] = 'b';
    size_t touched = overlay_edit(entry, from, to, parts, 3);
    size_t size = row->size - (to - from) + more;
    assert_int_equal(touched, more + (more == to - from ? 0 : row->size - to));
    assert_int_equal(entry->record_size, size);
    assert_memory_equal((const char *)entry_record(entry).data + from + more, behind,
                        row->size - to);
    memset((char *)entry->data + entry->name_size + from + more, row->fill, row->size - to);
    row->size = size;
}

static void assert_names(struct world *world)
{
    uint64_t first = word_of((unsigned)prng_below(&world->dice, NAMES));
    uint64_t last = first + (prng_below(&world->dice, 4) << 40), names = 0;
    for (unsigned number = 0; number < NAMES; number++)
        names +=
            world->rows[number].is_there && word_of(number) >= first && word_of(number) <= last;
    assert_int_equal(overlay_names(&world->overlay, SPACE, first, last, UINT64_MAX), names);
    uint64_t enough = 1 + prng_below(&world->dice, 8);
    uint64_t found = overlay_names(&world->overlay, SPACE, first, last, enough);
    assert_true(found == names || (found >= enough && found < names));
}

static void bury(struct world *world, unsigned number)
{
    char name[16];
    struct overlay_spot spot =
        overlay_locate(&world->overlay, SPACE, word_of(number), name_of(number, name));
    overlay_bury(&world->overlay, &spot, name_of(number, name), BELOW_YES);
    world->rows[number] = (struct row){.is_there = true, .is_tombstone = true};
}

static void take_out(struct world *world, unsigned number)
{
    char name[16];
    if (!world->rows[number].is_there)
        return;
    overlay_remove(&world->overlay, SPACE, word_of(number), name_of(number, name));
    world->rows[number].is_there = false;
}

/* Changed, removed or not, and then as it was before. */
static void change_and_restore(struct world *world, unsigned number)
{
    struct row before = world->rows[number];
    char name[16];
    if (!before.is_there)
        return;
    struct overlay_spot spot =
        overlay_locate(&world->overlay, SPACE, word_of(number), name_of(number, name));
    struct entry *kept = overlay_take(&world->overlay, &spot, SIZE_MAX_HERE);
    put(world, number);
    if (prng_below(&world->dice, 2))
        take_out(world, number);
    assert_row(world, number);
    overlay_restore(&world->overlay, SPACE, word_of(number), kept);
    world->rows[number] = before;
}

static void move_away_and_back(struct world *world)
{
    struct overlay cut = overlay_cut(&world->overlay, SPACE);
    assert_int_equal(overlay_entries(&world->overlay, SPACE), 0);
    overlay_paste(&world->overlay, &cut, SPACE);
}

static void change(struct world *world)
{
    unsigned number = (unsigned)prng_below(&world->dice, NAMES);
    overlay_foresee(&world->overlay, SPACE, word_of(number));
    switch (prng_below(&world->dice, 10)) {
    case 0: bury(world, number); break;
    case 8: edit(world, number); break;
    case 9: assert_names(world); break;
    case 1:
    case 2: take_out(world, number); break;
    case 3: change_and_restore(world, number); break;
    default: put(world, number); break;
    }
    assert_row(world, number);
    assert_row(world, (unsigned)prng_below(&world->dice, NAMES));
}

static void it_holds_what_was_put(void **state)
{
    struct world *world = memory_new(sizeof *world);
    (void)state;
    world->dice = 5;
    for (int i = 0; i < 40000; i++) {
        change(world);
        if (i % 1000 == 0)
            move_away_and_back(world);
        if (i % 1000 == 0)
            assert_all(world);
    }
    assert_all(world);
    overlay_deinit(&world->overlay);
    memory_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_holds_what_was_put)};
    return cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
}
