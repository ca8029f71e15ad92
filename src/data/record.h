/* What the data family holds, byte by byte: see the tables in record.c.  The tables that share the
 * family are each ordered by a space, where there are spaces, then a 64-bit word, then the bytes
 * of a name. */
#ifndef DATA_RECORD_H
#define DATA_RECORD_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "data/slot.h"

enum { RECORD_DATABASES = 16 };

enum table {
    TABLE_KEYS,      /* word = slot and hash of the key (record_key_word), name = key */
    TABLE_RECEIPTS,  /* word = hash of the client id, name = client id */
    TABLE_DUE,       /* word = time and hash (record_due_word), name = client id: oldest first */
    TABLE_ROWS,      /* of large collections: a space each; word and name as its type has them */
    TABLE_SPACES,    /* space = whose database the collection is in, 0: dead; word = its space */
    TABLE_DEADLINES, /* of keys, by database: word = time and hash (record_due_word), name = key */
    TABLE_PAGES,     /* of trees, in the spaces of rows; word = the page's number, no name */
    TABLES
};

/* Where a row lies. */
struct place {
    enum table table;
    uint64_t space; /* 0 where there are none */
    uint64_t word;
    struct bytes name;
};

/* The state record: what must agree with the tables after a crash, hence written with them. */
struct state {
    uint64_t index; /* applied up to here */
    uint64_t term;
    int64_t time_ms;     /* highest stamp applied */
    uint64_t hash_seed;  /* 0: not chosen yet */
    uint64_t space_next; /* spaces are numbered from 1; those below it were given out */
    uint64_t receipts;
    uint8_t meaning; /* highest of the entries applied (replica/meaning.c); 0: of none */
    struct {
        uint64_t space; /* keys of other spaces are dead: see db_flush() */
        uint64_t keys;
    } databases[RECORD_DATABASES];
};

enum {
    RECORD_NO_CLUSTER = 0, /* of a restored state: whoever opens it first has it */
    RECORD_STATE_SIZE = 316,
    RECORD_HEADER_MIN = 12,  /* before the payload of a key's record */
    RECORD_HEADER_MAX = 36,  /* with both deadlines and a space */
    RECORD_GROUP_SLOTS = 64, /* of each so many slots the keys are counted in one record, */
    RECORD_GROUP_SIZE = 512, /* of this size */
    RECORD_GROUPS = SLOTS / RECORD_GROUP_SLOTS,
    RECORD_RECEIPT_HEADER = 26 /* before the reply of a receipt's record */
};

/* What stands before the payload of a key's record. */
struct header {
    unsigned type;    /* 1 to 255 */
    uint64_t version; /* index of the entry that changed the key last; 0: before there were any */
    int64_t deadline_ms; /* 0: none */
    uint64_t space; /* of a large collection: where its rows are; 0: the payload is all of it */
    int64_t elements_due_ms; /* the earliest deadline of an element; 0: none has one */
};

struct receipt_record {
    uint64_t request_id;
    int64_t used_ms; /* last use */
    int64_t due_ms;  /* place in TABLE_DUE: <= used_ms */
    struct bytes reply;
};

/* Fills the cleared `key`. */
void record_key(struct buffer *key, const struct place *place);
/* The key before all of a space's. */
void record_key_first(struct buffer *key, enum table table, uint64_t space);
/* The key behind all of a space's, and behind all of a table's. */
void record_key_end(struct buffer *key, enum table table, uint64_t space);
void record_table_end(struct buffer *key, enum table table);
/* False: the key is of another table or space.  place->name points into `key`. */
bool record_key_parse(struct bytes key, enum table table, uint64_t space, struct place *place);

/* False: the key is of another table.  For tables with spaces. */
bool record_key_space(struct bytes key, enum table table, uint64_t *space);

/* Of any table; false: the key is of none. */
bool record_key_any(struct bytes key, struct place *place);

/* Slot in the upper bits, then as much of the hash as there is room for. */
uint64_t record_key_word(struct bytes key, uint64_t hash);
unsigned record_word_slot(uint64_t word);

/* The key of a record that counts the keys of RECORD_GROUP_SLOTS slots of a space, each a u64. */
void record_group_key(struct buffer *key, uint64_t space, unsigned group);

/* Of a store in which nothing was written yet. */
struct state record_state_first(void);
struct bytes record_state_key(void);
void record_state_encode(unsigned char *out, const struct state *state, uint64_t cluster);
/* Dies on a record that is damaged, of a newer version, or of another cluster.  is_old: the keys
 * are in an earlier format, see convert.h. */
struct state record_state_decode(struct bytes record, uint64_t cluster, bool *is_old);

/* The same of a record that comes from elsewhere: in the present format alone; false: it is not
 * sound. */
bool record_state_parse(struct bytes record, uint64_t *cluster, struct state *state);

/* Returns the size, at most RECORD_HEADER_MAX. */
size_t record_header_encode(unsigned char *out, const struct header *header);
/* Of a record of a key that has all the rest. */
void record_set_version(unsigned char *record, uint64_t version);
void record_set_space(unsigned char *record, uint64_t space); /* it has one */
/* Dies on a record that is damaged or of a newer version.  Of the record the beginning is enough.
 * Returns the size of the header. */
size_t record_header_parse(struct bytes record, struct header *header);

/* Of a record that comes from elsewhere: would record_header_parse() take it? */
bool record_header_is_sound(struct bytes record);

/* The space in the header of a key's record; 0: none. */
uint64_t record_space(struct bytes record);

/* ---- keys of the earlier format ------------------------------------------------ */

void record_old_key_first(struct buffer *key, uint64_t space);
void record_old_key_end(struct buffer *key, uint64_t space);
/* False: the key is of another space. */
bool record_old_key_parse(struct bytes key, uint64_t space, struct bytes *name);
/* Dies on a record that is damaged. */
unsigned record_old_value_parse(struct bytes record, struct bytes *payload);

void record_receipt_header(unsigned char *out, const struct receipt_record *receipt);
void record_receipt_parse(struct bytes record, struct receipt_record *receipt);

uint64_t record_due_word(int64_t time_ms, uint64_t hash);
int64_t record_due_time(uint64_t word);
int64_t record_due_clamp(int64_t time_ms); /* into the range that a word can hold */

#endif
