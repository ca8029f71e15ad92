/* COPY (Redis 7.2 db.c).  The rows of a large collection are copied in slices, into a space that
 * gets its key at the end; whatever the type, rows are copied as they are.
 *
 * Deterministic; loop thread only. */
#include "base/fatal.h"
#include "command/commands.h"
#include "command/preparing.h"
#include "command/string_parts.h"
#include "resp/number.h"

struct copy {
    unsigned database; /* of the destination */
    bool replaces;
};

#define NO_INT "ERR value is out of range, value must between -2147483648 and 2147483647"

/* What is no C int has a text of its own; what a script of up to meaning 6 is told is the other. */
static bool read_database(struct call *call, uint32_t i, bool is_proposed, struct copy *copy)
{
    int64_t number;
    if (!call_integer(call, i, &number))
        return false;
    if (number < INT32_MIN || number > INT32_MAX)
        return call_refuse(call, is_proposed ? NO_INT : ERROR_NOT_INTEGER);
    if (number < 0 || number >= DB_DATABASES)
        return call_refuse(call, ERROR_DATABASE);
    copy->database = (unsigned)number;
    return true;
}

/* False: answered with the error. */
static bool read_copy(struct call *call, bool is_proposed, struct copy *copy)
{
    *copy = (struct copy){.database = call->database};
    for (uint32_t i = 3; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "replace")) {
            copy->replaces = true;
        } else if (bytes_is(call->argv[i], "db") && i + 1 < call->argc) {
            if (!read_database(call, ++i, is_proposed, copy))
                return false;
        } else {
            return call_refuse(call, ERROR_SYNTAX);
        }
    }
    if (copy->database == call->database && bytes_equal(call->argv[1], call->argv[2]))
        return call_refuse(call, "ERR source and destination objects are the same");
    return true;
}

bool words_copy(struct call *call)
{
    struct copy copy;
    return read_copy(call, true, &copy);
}

enum { ROWS_SLICE = 2000, BYTES_SLICE = 1 << 20 };

/* False: not all of them yet. */
static bool copy_rows(struct call *call, const struct copy *copy, uint64_t space)
{
    struct walk_state *walk = call->walk;
    if (call_is_prepared(call)) {
        walk->unfinished = false;
        walk->space = call_take_space(call, copy->database, walk->space);
        return true;
    }
    if (!walk->unfinished)
        walk->space = db_space_new(call->db, copy->database);
    struct db_scan_limit limit = {.rows = ROWS_SLICE, .bytes = BYTES_SLICE};
    walk->unfinished = db_space_copy(call->db, call->view, space, walk->space, walk->second_round,
                                     &walk->cursor, limit);
    if (!walk->unfinished && !walk->second_round) { /* the pages */
        walk->second_round = walk->unfinished = true;
        walk->cursor = 0;
    }
    return !walk->unfinished && !call_stops(call);
}

/* A string that is large, and plain because it was put in an earlier meaning. */
static bool is_to_be_placed(const struct call *call, const struct db_record *found)
{
    return found->type == DB_STRING && !found->space && string_is_whole_large(call, found->size);
}

static void copy_string(struct call *call, const struct copy *copy)
{
    struct walk_state *walk = call->walk;
    struct db_record found;
    struct bytes value;
    bool is_there =
        db_find_kept(call->db, call->view, call->database, call->argv[1], &found, &value);
    check(is_there);
    walk->unfinished = !string_place_some(call, copy->database, value, &walk->space, &walk->cursor);
    if (walk->unfinished || call_stops(call))
        return;
    found.space = call_take_space(call, copy->database, walk->space);
    db_effects_name(call->db, "copy_to");
    db_string_put(call->db, copy->database, call->argv[2], &found, value.size);
    reply_integer(call->reply, 1);
}

static void copy_record(struct call *call, const struct copy *copy)
{
    struct db_record found;
    struct bytes payload, to = call->argv[2];
    struct buffer kept = {0};
    bool is_there =
        db_find_kept(call->db, call->view, call->database, call->argv[1], &found, &payload);
    check(is_there);
    buffer_append_bytes(&kept, payload);
    found.space = call->walk->space;
    db_effects_name(call->db, "copy_to");
    db_put_collection(call->db, copy->database, to, &found, buffer_bytes(&kept));
    buffer_deinit(&kept);
}

static bool is_there(struct call *call, unsigned database, struct bytes key,
                     struct db_record *found)
{
    return call->view ? db_find_kept(call->db, call->view, database, key, found, NULL)
                      : db_lookup(call->db, database, key, found);
}

void cmd_copy(struct call *call)
{
    struct copy copy;
    struct db_record found, there;
    if (!read_copy(call, false, &copy))
        return;
    bool is_possible = is_there(call, call->database, call->argv[1], &found) &&
                       (copy.replaces || !is_there(call, copy.database, call->argv[2], &there));
    if (is_possible && is_to_be_placed(call, &found)) {
        copy_string(call, &copy);
        return;
    }
    if (is_possible) {
        if (found.space && !copy_rows(call, &copy, found.space))
            return;
        copy_record(call, &copy);
    } else {
        call->walk->unfinished = false; /* of one that was prepared */
    }
    reply_integer(call->reply, is_possible);
}
