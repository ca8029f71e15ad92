/* What the tests of the collections' commands have in common: forms, and long commands in
 * slices. */
#ifndef TEST_COLLECTIONS_H
#define TEST_COLLECTIONS_H

#include "test_command.h"

#include "data/packed.h"

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

/* So many elements are not done with in one slice. */
enum { MANY = 16000 };

/* Of a hash or a set in database 0. */
static inline enum packed_form form_of(struct world *world, const char *key)
{
    struct db_record found;
    struct bytes payload;
    assert_true(db_find(world->db, NULL, 0, bytes_from_string(key), &found, &payload));
    enum packed_form form = packed_form(payload);
    assert_int_equal(found.space != 0, form >= PACKED_LARGE);
    return form;
}

static inline bool is_large(struct world *world, const char *key)
{
    return form_of(world, key) >= PACKED_LARGE; /* of a hash with room for deadlines, too */
}

/* `command` and `key`, then MANY words: `kind` and a number; each a second time if wanted. */
static inline void run_on_many(struct world *world, const char *command, const char *key,
                               const char *kind, bool twice)
{
    struct bytes *argv = memory_new((2 * MANY + 2) * sizeof *argv);
    char(*texts)[16] = memory_new(MANY * sizeof *texts);
    uint32_t argc = 0;
    argv[argc++] = bytes_from_string(command);
    argv[argc++] = bytes_from_string(key);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof texts[i], "%s%u", kind, i);
        argv[argc++] = bytes_from_string(texts[i]);
        if (twice)
            argv[argc++] = bytes_from_string(texts[i]);
    }
    buffer_clear(&world->connection.out.bytes);
    world->pauses = 0;
    world_run(world, argv, argc);
    memory_free(texts);
    memory_free(argv);
}

static inline void expect_out(struct world *world, const char *wanted)
{
    assert_true(bytes_equal(buffer_bytes(&world->connection.out.bytes), bytes_from_string(wanted)));
}

/* The last command went in slices. */
static inline void expect_paused(struct world *world)
{
    assert_true(world->pauses > 5);
    world->pauses = 0;
}

static inline void expect_slow(struct world *world, const char *line, const char *wanted)
{
    EXPECT(world, line, wanted);
    expect_paused(world);
}

static inline uint64_t lines_of(struct bytes reply)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < reply.size; i++)
        lines += ((const char *)reply.data)[i] == '\n';
    return lines;
}

#endif
