/* See preparing.h. */
#include "command/preparing.h"

#include "base/fatal.h"

enum { SLICE_SHARES = 4 };

/* ---- the end -------------------------------------------------------------------------------- */

bool call_stops(struct call *call)
{
    bool stops = call->preparing && call->walk == call->preparing->outermost;
    if (stops)
        call->walk->unfinished = call->walk->is_prepared = true;
    return stops;
}

uint64_t call_slice_share(const struct call *call, uint64_t most)
{
    return call->preparing ? most / SLICE_SHARES : most;
}

bool call_is_prepared(const struct call *call)
{
    return call->prepared != NULL;
}

void call_begins_prepared(struct call *call)
{
    check(call->prepared);
    call->prepared = NULL;
    call->walk->unfinished = call->walk->is_prepared = false;
}

uint32_t call_slice_prepared(struct call *call, uint32_t first)
{
    if (!call_is_prepared(call))
        return call_slice(call, first);
    call_begin_slice(call);
    return call->argc;
}

void call_take_changes(struct call *call, uint64_t space)
{
    db_beside_adopt_changes(call->db, call->prepared, space);
}

void call_take_keys(struct call *call)
{
    check(!call->walk->placed); /* those have spaces of the place beside the db */
    if (!db_beside_is_taken(call->prepared))
        db_beside_adopt_keys(call->db, call->prepared, call->database);
}

uint64_t call_take_space(struct call *call, unsigned database, uint64_t space)
{
    if (!call->prepared || space == 0)
        return space;
    return db_beside_adopt(call->db, call->prepared, database, space);
}

/* ---- what it looks at ------------------------------------------------------------------------ */

void call_looks(struct call *call, struct bytes key, const struct db_record *found)
{
    if (!call->preparing || !call->preparing->looks.are_possible)
        return;
    struct looks *looks = &call->preparing->looks;
    if (!found && db_is_over(call->db, call->view, call->database, key))
        looks->is_over = true; /* the entry deletes it, and says so */
    if (found && found->deadline_ms != 0 && found->deadline_ms < looks->until_ms)
        looks->until_ms = found->deadline_ms;
    if (found && found->elements_due_ms != 0 && found->elements_due_ms < looks->until_ms)
        looks->until_ms = found->elements_due_ms; /* if that is over, nobody knows the next */
    db_beside_look(call->db, key);
}

void call_looks_first(struct call *call, struct bytes key)
{
    struct db_record found;
    if (call->preparing)
        call_looks(call, key, db_lookup(call->db, call->database, key, &found) ? &found : NULL);
}

void call_holds_until(struct call *call, int64_t deadline_ms)
{
    if (!call->preparing)
        return;
    struct looks *looks = &call->preparing->looks;
    int64_t until_ms = deadline_ms > call->now_ms ? deadline_ms : INT64_MAX - 1; /* not earlier */
    if (until_ms < looks->until_ms)
        looks->until_ms = until_ms;
}

void call_looks_in(struct call *call, unsigned database, struct bytes key)
{
    if (!call->preparing)
        return;
    call->preparing->is_beyond |= database != call->preparing->database;
    call_looks_first(call, key);
}

void call_needs_its_entry(struct call *call)
{
    if (call->preparing)
        call->preparing->is_beyond = true;
}

bool call_may_carry(struct call *call)
{
    struct call_preparing *preparing = call->preparing;
    if (!preparing)
        return true;
    if (call->carry->database != preparing->database || !preparing->may_carry(call))
        preparing->is_beyond = true;
    return !preparing->is_beyond;
}
