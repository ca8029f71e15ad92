/* A hash or a set at a key: fields with values, or members, which are fields without.
 *
 * A small one is packed in its key's record (packed.h): fields and values by turns, or members, or
 * integers.  One that outgrows Redis's defaults becomes large, and stays it: a row a field, and its
 * place is the hash of its name.  These bounds belong to the format: no configuration changes them.
 *
 * A field of a hash may have a deadline.  One that is over, by the time of the execution, is absent
 * for all that is done here, and deleted by what changes it or by a tick (fields_expire()); of a
 * small one all those are taken out with the next change.  A large
 * hash of before there were deadlines has no room for them: fields_make_room() gives it some.
 *
 * Loop thread only.  One that is opened, changed and saved within an entry; or opened and read. */
#ifndef COMMAND_FIELDS_H
#define COMMAND_FIELDS_H

#include "data/db.h"
#include "data/packed.h"
#include "resp/number.h"

enum {
    FIELDS_SMALL_MAX = 128,    /* elements of a small one, */
    FIELDS_SMALL_SIZE = 64,    /* bytes of each of its names and values, */
    FIELDS_INTEGERS_MAX = 512, /* or members of a set of integers */
};

struct fields {
    struct db *db;                /* borrowed, as are the next two */
    struct db_view *view;         /* NULL: as it is now */
    struct bytes key;             /* of a new one without a key yet: nothing */
    unsigned database;            /* of the key */
    struct db_record record;      /* its type is DB_HASH or DB_SET also if there is none */
    int64_t now_ms;               /* what is not after it, is over */
    uint64_t count;               /* of elements; 0: there is none; of a large one see below */
    enum packed_form form;        /* PACKED_NONE: nothing was added to it yet */
    struct bytes small;           /* borrowed from the db, or `own` */
    struct buffer own;            /* a copy, for who changes it */
    struct db_tree_root due;      /* of a large hash: the fields with deadlines */
    uint64_t expired;             /* found to be over since it was opened, and taken out */
    bool was_emptied;             /* by that, so what is added to it is added to a new one */
    bool makes_old;               /* if it grows: without room for deadlines (meaning 3) */
    bool is_changed;              /* since it was opened: to be saved */
    char digits[NUMBER_I64_SIZE]; /* of the integer lent last */
};

/* False: what is there has another type.  Of a small one, `fields` is good until the next call on
 * the db (or view) but through it: see fields_hold(). */
bool fields_open(struct fields *fields, struct db *db, struct db_view *view, unsigned database,
                 struct bytes key, enum db_type type);
/* One that has no key yet: see fields_save_as(). */
void fields_new(struct fields *fields, struct db *db, unsigned database, enum db_type type);
void fields_close(struct fields *fields);
/* From now on it does not matter what else is asked of the db. */
void fields_hold(struct fields *fields);

static inline bool fields_is_over(const struct fields *fields, int64_t deadline_ms)
{
    return deadline_ms != 0 && deadline_ms <= fields->now_ms;
}

static inline bool fields_is_large(const struct fields *fields)
{
    return fields->form == PACKED_LARGE || fields->form == PACKED_LARGE_TIMED;
}

/* Those that are not over: of a large hash `count` knows them too. */
uint64_t fields_living(const struct fields *fields);
/* False: no such field.  The value is borrowed until the next call here or on the db. */
bool fields_get(struct fields *fields, struct bytes name, struct bytes *value);
/* Also its deadline; 0: none, or no such field. */
bool fields_find(struct fields *fields, struct bytes name, struct bytes *value,
                 int64_t *deadline_ms);

/* Called for each, as db_row_fn is; the name and the value are borrowed for the call. */
typedef db_row_fn fields_fn;
/* As db_row_scan(); the cursors of a small one are numbers of elements, in order. */
uint64_t fields_scan(struct fields *fields, uint64_t cursor, struct db_scan_limit limit,
                     fields_fn *each, void *context);
/* Any one of them, with the same chance for each; there is one.  False: it met one that is over, to
 * be tried again. */
bool fields_draw(struct fields *fields, uint64_t *seed, fields_fn *each, void *context);

/* So many are about to be added, `name` first: too many for a small one make it large at once, as
 * in Redis. */
void fields_expect(struct fields *fields, struct bytes name, uint64_t more);
/* Name and value are copied, and must not be lent by the db.  It has no deadline after that.
 * False: it is new. */
bool fields_put(struct fields *fields, struct bytes name, struct bytes value);
/* The same with a deadline, for which there has to be room; 0: none. */
bool fields_put_until(struct fields *fields, struct bytes name, struct bytes value,
                      int64_t deadline_ms);
/* Another deadline for a field that fields_find() just found, with what it gave. */
void fields_change_deadline(struct fields *fields, struct bytes name, struct bytes value,
                            int64_t before_ms, int64_t deadline_ms);
/* A large hash whose fields cannot have deadlines gets another space, where they can: some of it
 * at each call.  *cursor begins with 0, *space is kept between calls.  True: there is room. */
bool fields_make_room(struct fields *fields, uint64_t *space, uint64_t *cursor,
                      struct db_scan_limit limit);
bool fields_delete(struct fields *fields, struct bytes name);
void fields_clear(struct fields *fields); /* takes out all */

/* Makes its key say what it is now, under the event's name; one that is empty is deleted, with the
 * event "del" after that. */
void fields_save(struct fields *fields, const char *event);
/* The same for one of fields_new(): what was at the key, is written over. */
void fields_save_as(struct fields *fields, struct bytes key, const char *event);

/* Between two slices of an entry: gives what is not saved into the three (`aside` was cleared),
 * and takes it back into what was opened again, as it was before the entry, or made anew. */
void fields_put_aside(struct fields *fields, struct buffer *aside, uint64_t *space,
                      uint64_t *count);
void fields_take_back(struct fields *fields, struct buffer *aside, uint64_t space, uint64_t count);

/* For db_elements_due(): of a tick. */
db_elements_due_fn fields_expire;

#endif
