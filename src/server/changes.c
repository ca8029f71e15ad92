/* See changes.h.
 *
 * A checkpoint stores what was applied when it began, and ends later; so the count as it was when
 * the newest began stands beside the one as it was when the newest that is done began. */
#include "server/changes.h"

#include "base/fatal.h"
#include "base/memory.h"

struct server_changes {
    struct command_listener listener; /* first */
    const struct db *db;
    uint64_t total;       /* since the start, what was replayed included */
    uint64_t last_index;  /* of the newest entry in it */
    uint64_t begun_index; /* what the newest checkpoint that was noticed stores */
    uint64_t begun;       /* of the total, what it stores */
    uint64_t stored;      /* the same of the one before */
};

/* A checkpoint begins after an entry and before the next: all that was counted is in it. */
static void notice_checkpoint(struct server_changes *changes)
{
    uint64_t index = db_checkpoint_index(changes->db);
    check(index >= changes->begun_index);
    if (index == changes->begun_index)
        return;
    check(index >= changes->last_index);
    bool is_all_stored = db_persisted_index(changes->db) >= changes->last_index;
    changes->stored = is_all_stored ? changes->total : changes->begun;
    changes->begun = changes->total;
    changes->begun_index = index;
}

static void on_effect(struct command_listener *listener, uint64_t index,
                      const struct db_effect *effect)
{
    struct server_changes *changes = (struct server_changes *)listener;
    if (effect->type == DB_EFFECT_MESSAGE)
        return;
    notice_checkpoint(changes);
    check(index > changes->begun_index);
    check(index >= changes->last_index);
    changes->last_index = index;
    changes->total++;
}

uint64_t server_changes_count(struct server_changes *changes)
{
    notice_checkpoint(changes);
    bool is_done = db_persisted_index(changes->db) >= changes->begun_index;
    return changes->total - (is_done ? changes->begun : changes->stored);
}

struct server_changes *server_changes_new(const struct db *db)
{
    struct server_changes *changes = memory_new(sizeof *changes);
    changes->listener.effect = on_effect;
    changes->db = db;
    changes->begun_index = db_checkpoint_index(db);
    return changes;
}

void server_changes_free(struct server_changes *changes)
{
    memory_free(changes);
}

struct command_listener *server_changes_listener(struct server_changes *changes)
{
    return &changes->listener;
}
