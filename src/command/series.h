/* A stream at a key, which is called series in here because net/ has streams of bytes: entries in
 * the order of their ids.  Its groups stand in series_groups.h.
 *
 * All of a stream is in a space, however small it is: counted trees (data/tree.h), whose pages are
 * numbered by one counter, and rows.  The payload of its key, numbers little endian:
 *
 *      0   1  form, 18
 *      1  28  root of the entries' tree, with the counter of all trees' pages
 *     29  28  root of the groups' tree
 *     57  16  last id that was given: ms, sequence
 *     73  16  largest id that XDEL deleted
 *     89   8  how many entries were ever added
 *     97   8  number of the newest group or consumer
 *
 * An entry's key is its id, 16 bytes that sort as ids do; its value a packed form (data/packed.h)
 * of fields and values in turn.  A stream without entries stays.
 *
 * Loop thread.  One that is opened, changed and saved within an entry; or opened and read. */
#ifndef COMMAND_SERIES_H
#define COMMAND_SERIES_H

#include "command/commands.h"
#include "data/tree.h"

struct series_id {
    uint64_t ms, sequence;
};

enum {
    SERIES_KEY_SIZE = 16,  /* of an id in a tree */
    SERIES_TEXT_SIZE = 42, /* "18446744073709551615-18446744073709551615" and a NUL */
    SERIES_CUT_PAGES = 256 /* touched in one slice of a cut */
};

extern const struct series_id series_id_least, series_id_most;

struct series {
    struct db *db; /* borrowed, as are the next two */
    struct db_view *view;
    struct bytes key;
    unsigned database;
    bool is_there;
    struct db_record record;
    struct db_tree entries, groups;
    struct series_id last, deleted;
    uint64_t added, number;
};

#define ERROR_STREAM_ID "ERR Invalid stream ID specified as stream command argument"

/* ---- ids ----------------------------------------------------------------------------- */

int series_id_compare(struct series_id one, struct series_id other);
/* False: it is the largest, or the smallest, and becomes the other. */
bool series_id_next(struct series_id *id);
bool series_id_before(struct series_id *id);
struct bytes series_id_text(char *text, struct series_id id); /* text: SERIES_TEXT_SIZE */
void series_id_reply(struct reply *reply, struct series_id id);
struct bytes series_key(unsigned char *key, struct series_id id); /* key: SERIES_KEY_SIZE */
struct series_id series_id_of(struct bytes key);

/* An id as clients write it; without "-sequence" it has the `missing` one.  strict: not "-" or "+",
 * which are the ends.  is_open: whether the sequence is "*"; NULL: it may not be. */
bool series_id_read(struct bytes word, bool strict, uint64_t missing, struct series_id *id,
                    bool *is_open);
/* The same of argv[i]; false: answered. */
bool series_id_word(struct call *call, uint32_t i, struct series_id *id);
/* Whether the words from `first` on all are such, as call_checks_words() has it. */
bool series_are_ids(struct call *call, uint32_t first);
/* Ends of a range, "(" in front of one that does not belong to it; false: answered. */
bool series_range_words(struct call *call, uint32_t start, uint32_t end, struct series_id *from,
                        struct series_id *to);
bool series_start_word(struct call *call, uint32_t i, struct series_id *from);

/* ---- a stream ------------------------------------------------------------------------ */

/* False: what is there has another type; answered.  In a later slice of a write, with what the one
 * before put aside. */
bool series_open(struct series *stream, struct call *call, struct bytes key);
/* Of one that is not there: an empty one, to be saved. */
void series_make(struct series *stream);
/* One that is made for a key, whatever that has: it gets it when it is saved. */
void series_new(struct series *stream, struct call *call, struct bytes key);
/* In the entry of one that was made before: preparing.h. */
void series_take_made(struct series *stream, struct call *call);
/* The same of one that was put aside, changed where it is; it is opened. */
void series_take_changes(struct series *stream, struct call *call);
/* Makes its key say what it is now, under the event's name. */
void series_save(struct series *stream, const char *event);
/* Of a write that goes on in another slice; and, before it turns to another stream, that it is
 * done with this. */
void series_put_aside(struct series *stream, struct call *call);
void series_forget_aside(struct call *call);

/* Into a tree of the stream; key and value are copied, and not what the db lent. */
void series_insert(struct series *stream, struct db_tree *tree, struct bytes key,
                   struct bytes value);

uint64_t series_rank(const struct db_tree *tree, struct series_id id, bool *is_there);
struct series_id series_id_at(const struct db_tree *tree, uint64_t rank); /* rank < count */
/* 0-0 of one without entries. */
struct series_id series_first(const struct series *stream);
struct series_id series_top(const struct series *stream);

/* Behind all that are there.  fields: a packed form. */
void series_append(struct series *stream, struct series_id id, struct bytes fields);
/* XDEL's; false: not there. */
bool series_delete(struct series *stream, struct series_id id);

/* ---- replies ------------------------------------------------------------------------- */

/* An entry as a part of the reply. */
void series_add_entry(struct call *call, struct series_id id, struct bytes fields);
/* False: not there, and nothing is added. */
bool series_add_entry_of(struct call *call, const struct series *stream, struct series_id id);
/* Some of a stream's entries: ranks from `rank` on, or back. */
struct series_range {
    uint64_t rank, count;
    bool is_backward;
};
/* Those from one id to another, the first `count` of them; 0: all. */
struct series_range series_range_of(const struct series *stream, struct series_id from,
                                    struct series_id to, bool is_backward, uint64_t count);
/* Adds them to the parts, as many as the slice has room for; *done (0 before the first slice) says
 * how many.  keys (may be NULL): those of the ones added now.  False: not finished, or too many,
 * which is answered. */
bool series_give(struct call *call, const struct series *stream, const struct series_range *range,
                 uint64_t *done, struct buffer *keys);

#endif
