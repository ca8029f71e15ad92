/* Two worlds that get the same entries; in the one what comes next is prepared.  What both answer,
 * hold and tell is the same, or the test fails. */
#ifndef TWO_WORLDS_H
#define TWO_WORLDS_H

#include "data/content.h"
#include "data/layers.h"
#include "test_command.h"

enum { PREPARE_CALLS_MAX = 1000000, SEED = 4711 };

static struct world one, other;
static struct buffer told[2]; /* what the entries did to keys */

struct ear {
    struct command_listener listener; /* first */
    struct buffer *text;
};

static inline void hear(struct command_listener *listener, uint64_t index,
                        const struct db_effect *effect)
{
    struct buffer *text = ((struct ear *)listener)->text;
    buffer_printf(text, "%llu %d %u %s %.*s\n", (unsigned long long)index, effect->type,
                  effect->database, effect->event ? effect->event : "", (int)effect->key.size,
                  (const char *)effect->key.data);
}

static struct ear ears[2] = {{.listener.effect = hear, .text = &told[0]},
                             {.listener.effect = hear, .text = &told[1]}};

static inline void worlds_init(void)
{
    world_init(&one);
    world_init(&other);
    ears[0].listener.next = ears[1].listener.next = NULL;
    command_machine_listen(one.machine, &ears[0].listener);
    command_machine_listen(other.machine, &ears[1].listener);
}

static inline int worlds_tear_down(void **state)
{
    (void)state;
    world_deinit(&one);
    world_deinit(&other);
    buffer_deinit(&told[0]);
    buffer_deinit(&told[1]);
    return 0;
}

static inline uint64_t content_of(struct db *db)
{
    struct db_content *content = db_content_new(db);
    if (!content) { /* no room for a view */
        db_checkpoint(db);
        content = db_content_new(db);
    }
    assert_non_null(content);
    while (!db_content_next(content, UINT64_MAX)) {
    }
    uint64_t hash = db_content_hash(content);
    db_content_free(content);
    return hash;
}

static inline void assert_equal_worlds(const char *line)
{
    bool is_told = bytes_equal(buffer_bytes(&told[0]), buffer_bytes(&told[1]));
    if (!is_told || content_of(one.db) != content_of(other.db) ||
        one.db->state.space_next != other.db->state.space_next)
        fail_msg("%.60s does something else where it was prepared", line);
    buffer_clear(&told[0]);
    buffer_clear(&told[1]);
}

static inline struct apply_context context_now(void)
{
    return (struct apply_context){.meaning = one.meaning,
                                  .database = one.connection.database,
                                  .now_ms = one.now_ms,
                                  .seed = SEED,
                                  .protocol = one.connection.protocol,
                                  .value_max = one.value_max};
}

#endif
