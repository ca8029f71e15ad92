/* Savepoints: see db.h.  Loop thread.
 *
 * A list of steps, undone from the last to the first.  Before a name of active is changed for the
 * first time its entry is taken away, not copied, and kept here, and the entry in its place is
 * marked, so that further changes cost nothing; where active said nothing of the name, the name is
 * noted.  So the list has a step for each name, not for each change, and a deleted name stays as a
 * tombstone until the savepoint ends, for its mark.  A space that is flushed or dropped is kept in
 * one piece.
 *
 * No layer is frozen within an entry, so nothing but active changes, and spaces that were numbered
 * since the savepoint are numbered again after a rollback.  But a checkpoint under way may end, and
 * db_resolve() may look: what they find out about names (L6) is true whatever is undone, so counts
 * of keys are not put back to what they were, but changed by what the undone entries counted, and
 * spaces that were found to be dead are dropped again.
 *
 * How much changed is counted by what the execution does, never by what lies in memory and what in
 * the kv: the bound is reached at the same change on every node. */
#include "base/fatal.h"
#include "base/memory.h"
#include "data/layers.h"

enum { KEEP_BYTES = 64 * 1024 }; /* buffers that grew above this are given back */

enum step_kind {
    STEP_NEW,     /* active said nothing of the name */
    STEP_CHANGED, /* it had `entry` */
    STEP_CUT,     /* it had all of the space, which `layer` has now */
    STEP_FLUSHED, /* the database had this space, with so many keys */
    STEP_SWAPPED  /* the database and `other` */
};

struct step {
    uint8_t kind, table, database, other;
    uint64_t space, word;
    uint64_t count; /* bytes of the name in `names`; keys */
    union {         /* owned */
        struct entry *entry;
        struct layer *layer;
        struct slots *slots;
    };
};

/* A space that db_resolve() found to be dead. */
struct dead {
    uint64_t owner, space;
};

struct savepoint {
    struct buffer steps;  /* struct step */
    struct buffer names;  /* of STEP_NEW, one behind the other */
    struct buffer dead;   /* struct dead */
    size_t released;      /* bytes of `steps` that are */
    size_t released_name; /* and of `names` */
    bool is_ending;       /* nothing is kept any more */

    /* As it was. */
    struct state state;
    int64_t deadline_from_ms[DB_DATABASES], due_from_ms;
    uint64_t expired, changes, counted, dead_bytes;
    bool is_dead_stored;
    size_t noted, latest;
    const char *event;
};

void db_savepoint(struct db *db)
{
    check(!db->savepoint);
    if (!db->spare)
        db->spare = memory_new(sizeof *db->spare);
    struct savepoint *point = db->spare;
    check(point->steps.size == 0);
    point->released = point->released_name = 0;
    point->is_ending = false;
    point->state = db->state;
    memcpy(point->deadline_from_ms, db->deadline_from_ms, sizeof point->deadline_from_ms);
    point->due_from_ms = db->due_from_ms;
    point->expired = db->expired;
    point->changes = db->changes;
    point->counted = db->effects.counted;
    point->dead_bytes = db->dead_bytes;
    point->is_dead_stored = db->is_dead_stored;
    point->noted = db->effects.noted.size;
    point->latest = db->effects.latest;
    point->event = db->effects.event;
    db->effects.is_counted = true;
    db->savepoint = point;
    db->is_in_entry = true; /* no layer is frozen from now on */
}

bool db_has_savepoint(const struct db *db)
{
    return db->savepoint;
}

bool db_savepoint_is_full(const struct db *db)
{
    return db->changes + db->effects.counted >= db->changes_max;
}

/* ---- keeping ----------------------------------------------------------------------------- */

static void add(struct db *db, const struct step *step)
{
    check(!db->savepoint->is_ending);
    buffer_append(&db->savepoint->steps, step, sizeof *step);
}

static void add_new(struct db *db, const struct place *place)
{
    struct step step = {.kind = STEP_NEW,
                        .table = (uint8_t)place->table,
                        .space = place->space,
                        .word = place->word,
                        .count = place->name.size};
    add(db, &step);
    buffer_append_bytes(&db->savepoint->names, place->name);
}

static void add_changed(struct db *db, const struct place *place, struct entry *entry)
{
    struct step step = {.kind = STEP_CHANGED,
                        .table = (uint8_t)place->table,
                        .space = place->space,
                        .word = place->word,
                        .entry = entry};
    add(db, &step);
}

void layers_keep(struct db *db, const struct place *place, struct overlay_spot *spot, size_t size,
                 size_t capacity)
{
    check(capacity >= size);
    if (spot->entry && spot->entry->is_kept) {
        db->changes += size > spot->entry->record_size ? size - spot->entry->record_size : 0;
        return;
    }
    db->changes += SAVEPOINT_NAME_COST + place->name.size + size;
    if (spot->entry)
        add_changed(db, place, overlay_take(&db->active->tables[place->table], spot, capacity));
    else
        add_new(db, place);
}

void layers_keep_mark(struct db *db, const struct place *place)
{
    struct entry *entry =
        overlay_find(&db->active->tables[place->table], place->space, place->word, place->name);
    if (!entry) {
        add_new(db, place);
    } else if (!entry->is_kept) {
        check(entry->record_size == 0);
        struct entry *copy = memory_copy(entry, sizeof *entry + entry->name_size);
        copy->record_capacity = 0;
        add_changed(db, place, copy);
        entry->is_kept = true;
    }
}

void layers_keep_cut(struct db *db, enum table table, uint64_t space, struct layer *cut)
{
    struct step step = {.kind = STEP_CUT, .table = (uint8_t)table, .space = space, .layer = cut};
    add(db, &step);
}

void layers_keep_flush(struct db *db, unsigned database)
{
    struct step step = {.kind = STEP_FLUSHED,
                        .database = (uint8_t)database,
                        .space = layers_space(db, database),
                        .count = db_size(db, database),
                        .slots = db->slots[database]};
    db->changes += sizeof(struct slots); /* has it any or not */
    add(db, &step);
}

void layers_keep_swap(struct db *db, unsigned one, unsigned other)
{
    struct step step = {.kind = STEP_SWAPPED, .database = (uint8_t)one, .other = (uint8_t)other};
    db->changes += SAVEPOINT_NAME_COST;
    add(db, &step);
}

void layers_keep_dead(struct db *db, uint64_t owner, uint64_t space)
{
    struct dead dead = {owner, space};
    buffer_append(&db->savepoint->dead, &dead, sizeof dead);
}

void layers_keep_count(struct db *db, uint64_t space, unsigned slot, int64_t keys)
{
    struct buffer *steps = &db->savepoint->steps;
    for (size_t at = 0; at < steps->size; at += sizeof(struct step)) {
        struct step step;
        memcpy(&step, steps->data + at, sizeof step);
        if (step.kind != STEP_FLUSHED || step.space != space)
            continue;
        check(step.slots);
        layers_slots_add(step.slots, slot, keys);
        step.count += (uint64_t)keys;
        memcpy(steps->data + at, &step, sizeof step);
    }
}

/* ---- undoing ----------------------------------------------------------------------------- */

/* How an entry of a key in active is counted (L6): one that is unresolved as if it were new. */
static int64_t counted(enum table table, const struct entry *entry)
{
    if (!entry || table != TABLE_KEYS)
        return 0;
    return (entry->is_tombstone ? 0 : 1) - (entry->below == BELOW_YES ? 1 : 0);
}

static void undo_name(struct db *db, const struct step *step, struct bytes name)
{
    enum table table = (enum table)step->table;
    struct overlay *active = &db->active->tables[table];
    struct entry *now = overlay_find(active, step->space, step->word, name);
    struct entry *before = step->kind == STEP_CHANGED ? step->entry : NULL;
    int64_t keys = counted(table, before) - counted(table, now);
    if (before)
        overlay_restore(active, step->space, step->word, before);
    else if (now)
        overlay_remove(active, step->space, step->word, name);
    if (keys != 0)
        layers_count_in(db, step->space, record_word_slot(step->word), keys);
}

static void undo_flush(struct db *db, const struct step *step)
{
    unsigned database = step->database;
    memory_free(db->slots[database]);
    db->slots[database] = step->slots;
    db->state.databases[database].space = step->space;
    db->state.databases[database].keys = step->count;
}

static void undo_swap(struct db *db, const struct step *step)
{
    struct state *state = &db->state;
    struct state before = *state;
    struct slots *slots = db->slots[step->database];
    state->databases[step->database] = before.databases[step->other];
    state->databases[step->other] = before.databases[step->database];
    db->slots[step->database] = db->slots[step->other];
    db->slots[step->other] = slots;
}

static void undo_new(struct db *db, const struct step *step)
{
    struct buffer *names = &db->savepoint->names;
    check(step->count <= names->size);
    names->size -= (size_t)step->count;
    undo_name(db, step, bytes_of(names->data + names->size, (size_t)step->count));
}

static void undo(struct db *db, const struct step *step)
{
    switch ((enum step_kind)step->kind) {
    case STEP_NEW: undo_new(db, step); break;
    case STEP_CHANGED: undo_name(db, step, entry_name(step->entry)); break;
    case STEP_CUT:
        overlay_paste(&db->active->tables[step->table], &step->layer->tables[step->table],
                      step->space);
        layer_free(step->layer);
        break;
    case STEP_FLUSHED: undo_flush(db, step); break;
    case STEP_SWAPPED: undo_swap(db, step); break;
    }
}

static void check_state(const struct db *db, const struct state *before)
{
    for (unsigned i = 0; i < DB_DATABASES; i++)
        check(layers_space(db, i) == before->databases[i].space);
}

static void restore(struct db *db, const struct savepoint *point)
{
    check_state(db, &point->state);
    db->state.space_next = point->state.space_next;
    db->state.receipts = point->state.receipts;
    memcpy(db->deadline_from_ms, point->deadline_from_ms, sizeof db->deadline_from_ms);
    db->due_from_ms = point->due_from_ms;
    db->expired = point->expired;
    db->changes = point->changes;
    db->effects.counted = point->counted;
    db->dead_bytes = point->dead_bytes;
    db->is_dead_stored = point->is_dead_stored;
    effects_noted_cut(&db->effects.noted, point->noted);
    db->effects.latest = point->latest;
    db->effects.event = point->event;
    db->active->resolved_space = db->active->resolved_word = 0; /* some are unresolved again */
    layers_forget_read(db);
}

/* What was found to be dead is. */
static void drop_dead(struct db *db, struct buffer *list)
{
    for (size_t at = 0; at < list->size; at += sizeof(struct dead)) {
        struct dead dead;
        memcpy(&dead, list->data + at, sizeof dead);
        layers_space_drop(db, dead.owner, dead.space);
    }
}

static void clear(struct buffer *buffer)
{
    buffer_clear(buffer);
    if (buffer->capacity > KEEP_BYTES)
        buffer_deinit(buffer);
}

static void end(struct db *db)
{
    struct savepoint *point = db->savepoint;
    clear(&point->steps);
    clear(&point->names);
    clear(&point->dead);
    db->effects.is_counted = false;
    db->savepoint = NULL;
}

bool db_rollback(struct db *db)
{
    struct savepoint *point = db->savepoint;
    check(point);
    check(point->released == 0);
    point->is_ending = true;
    for (unsigned i = 0; i < SAVEPOINT_STEPS && point->steps.size > 0; i++) {
        struct step step;
        point->steps.size -= sizeof step;
        memcpy(&step, point->steps.data + point->steps.size, sizeof step);
        undo(db, &step);
        db->work += LAYERS_ROW_WORK;
    }
    if (point->steps.size > 0)
        return false;
    restore(db, point);
    db->savepoint = NULL; /* what follows is not kept */
    drop_dead(db, &point->dead);
    db->savepoint = point;
    end(db);
    return true;
}

/* ---- making it lasting ---------------------------------------------------------------------- */

static void release_name(struct db *db, const struct step *step, struct bytes name)
{
    struct overlay *active = &db->active->tables[step->table];
    struct entry *now = overlay_find(active, step->space, step->word, name);
    if (now)
        now->is_kept = false;
    if (now && now->is_tombstone && now->below == BELOW_NO)
        overlay_remove(active, step->space, step->word, name);
}

static void release(struct db *db, const struct step *step)
{
    struct savepoint *point = db->savepoint;
    switch ((enum step_kind)step->kind) {
    case STEP_NEW:
        release_name(db, step,
                     bytes_of(point->names.data + point->released_name, (size_t)step->count));
        point->released_name += (size_t)step->count;
        break;
    case STEP_CHANGED:
        release_name(db, step, entry_name(step->entry));
        memory_free(step->entry);
        break;
    case STEP_CUT: layers_discard(db, step->layer); break;
    case STEP_FLUSHED: memory_free(step->slots); break;
    case STEP_SWAPPED: break;
    }
}

bool db_release(struct db *db)
{
    struct savepoint *point = db->savepoint;
    check(point);
    check(!point->is_ending || point->released > 0);
    point->is_ending = true;
    for (unsigned i = 0; i < SAVEPOINT_STEPS && point->released < point->steps.size; i++) {
        struct step step;
        memcpy(&step, point->steps.data + point->released, sizeof step);
        release(db, &step);
        point->released += sizeof step;
        db->work += LAYERS_ROW_WORK;
    }
    if (point->released < point->steps.size)
        return false;
    end(db);
    return true;
}

static void forget(struct db *db, const struct step *step)
{
    switch ((enum step_kind)step->kind) {
    case STEP_CHANGED: memory_free(step->entry); break;
    case STEP_CUT: layers_discard(db, step->layer); break;
    case STEP_FLUSHED: memory_free(step->slots); break;
    case STEP_NEW:
    case STEP_SWAPPED: break;
    }
}

void layers_keep_forget(struct db *db)
{
    struct savepoint *point = db->savepoint;
    for (size_t at = point ? point->released : 0; point && at < point->steps.size;) {
        struct step step;
        memcpy(&step, point->steps.data + at, sizeof step);
        forget(db, &step);
        at += sizeof step;
    }
    if (point)
        end(db);
    layers_keep_free(db);
    db->spare = NULL;
}

void layers_keep_free(struct db *db)
{
    bool is_undone = db->savepoint && db->savepoint->is_ending && db->savepoint->released == 0;
    while (db->savepoint && !(is_undone ? db_rollback(db) : db_release(db)))
        ;
    if (!db->spare)
        return;
    buffer_deinit(&db->spare->steps);
    buffer_deinit(&db->spare->names);
    buffer_deinit(&db->spare->dead);
    memory_free(db->spare);
}
