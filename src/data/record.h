/* What the data family holds, byte by byte: see the tables in record.c.  Three tables share the
 * family; each is ordered by a 64-bit word and then by the bytes of a name. */
#ifndef DATA_RECORD_H
#define DATA_RECORD_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum { RECORD_DATABASES = 16 };

enum table {
    TABLE_KEYS,     /* word = hash of the key, name = key */
    TABLE_RECEIPTS, /* word = hash of the client id, name = client id */
    TABLE_DUE,      /* word = time and hash (record_due_word), name = client id: oldest first */
    TABLES
};

/* Where a row lies. */
struct place {
    enum table table;
    uint64_t space; /* of TABLE_KEYS; else 0 */
    uint64_t word;
    struct bytes name;
};

/* The state record: what must agree with the tables after a crash, hence written with them. */
struct state {
    uint64_t index; /* applied up to here */
    uint64_t term;
    int64_t time_ms;     /* highest stamp applied */
    uint64_t space_next; /* spaces are numbered from 1; those below it were given out */
    uint64_t receipts;
    uint8_t meaning; /* highest of the entries applied (replica/meaning.c); 0: of none */
    struct {
        uint64_t space; /* keys of other spaces are dead: see db_flush() */
        uint64_t keys;
    } databases[RECORD_DATABASES];
};

enum {
    RECORD_STATE_SIZE = 308,
    RECORD_VALUE_HEADER = 2,   /* before the payload of a key's record */
    RECORD_RECEIPT_HEADER = 26 /* before the reply of a receipt's record */
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
/* False: the key is of another table or space.  place->name points into `key`. */
bool record_key_parse(struct bytes key, enum table table, uint64_t space, struct place *place);

/* False: the key is of another table.  For tables with spaces. */
bool record_key_space(struct bytes key, enum table table, uint64_t *space);

/* Of a store in which nothing was written yet. */
struct state record_state_first(void);

struct bytes record_state_key(void);
void record_state_encode(unsigned char *out, const struct state *state, uint64_t hash_seed);
/* Dies on a record that is damaged, of a newer version, or of another cluster. */
struct state record_state_decode(struct bytes record, uint64_t hash_seed);

void record_value_header(unsigned char *out, unsigned type);
/* Dies on a record that is damaged or of a newer version. Returns the type. */
unsigned record_value_parse(struct bytes record, struct bytes *payload);

void record_receipt_header(unsigned char *out, const struct receipt_record *receipt);
void record_receipt_parse(struct bytes record, struct receipt_record *receipt);

uint64_t record_due_word(int64_t time_ms, uint64_t hash);
int64_t record_due_time(uint64_t word);
int64_t record_due_clamp(int64_t time_ms); /* into the range that a word can hold */

#endif
