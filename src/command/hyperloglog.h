/* The format of a HyperLogLog in a string, Redis's byte for byte (7.2 hyperloglog.c), so that GET,
 * DUMP and SET carry one from here to there and back.
 *
 *     "HYLL"  u8 encoding  3 bytes, 0  u64 the estimate that was made last, little endian; its
 *     highest bit says that it is not of these registers any more
 *     then 16384 registers of 6 bits each:
 *       dense   one behind the other, each from the lowest bit on that the one before left
 *       sparse  runs: 00nnnnnn                n+1 registers that are 0
 *                     01nnnnnn nnnnnnnn       n+1 registers that are 0
 *                     1vvvvvnn                n+1 registers that are v+1
 *
 * A register's number is 14 bits of an element's hash, its value how many zeros follow them.  What
 * is here comes from strings that any client may have written: nothing is believed. */
#ifndef COMMAND_HYPERLOGLOG_H
#define COMMAND_HYPERLOGLOG_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

enum {
    HYPERLOGLOG_REGISTERS = 16384,
    HYPERLOGLOG_HEADER = 16,
    HYPERLOGLOG_DENSE_SIZE = HYPERLOGLOG_HEADER + HYPERLOGLOG_REGISTERS * 6 / 8,
    HYPERLOGLOG_SPARSE_MAX = 3000 /* a longer one becomes dense; hll-sparse-max-bytes of Redis */
};

/* One without elements, into an empty buffer. */
void hyperloglog_init(struct buffer *value);
/* By its header and size alone: the registers may still be damaged. */
bool hyperloglog_is_valid(struct bytes value);
bool hyperloglog_is_dense(struct bytes value);
/* Which register an element raises, and to what. */
unsigned hyperloglog_register_of(struct bytes element, unsigned *number);
/* A register of a dense one. */
unsigned hyperloglog_dense_get(struct bytes value, unsigned number);

struct hyperloglog_patch {
    size_t at, size; /* bytes */
    unsigned char bytes[2];
};

/* What to write into a dense one to raise a register: its bytes, and that the estimate is old.
 * False: it is as high. */
bool hyperloglog_dense_patch(struct bytes value, unsigned number, unsigned count,
                             struct hyperloglog_patch patches[2]);

enum hyperloglog_change { HYPERLOGLOG_SAME, HYPERLOGLOG_CHANGED, HYPERLOGLOG_DAMAGED };

/* Raises a register to at least `count`; the value may become dense. */
enum hyperloglog_change hyperloglog_raise(struct buffer *value, unsigned number, unsigned count)
    __attribute__((warn_unused_result));
/* False: it is damaged. */
bool hyperloglog_make_dense(struct buffer *value) __attribute__((warn_unused_result));
/* Raises `registers` to those of the value; false: it is damaged, some may be raised. */
bool hyperloglog_merge(uint8_t *registers, struct bytes value) __attribute__((warn_unused_result));

/* The estimate that the value keeps; false: it is not of these registers. */
bool hyperloglog_kept(struct bytes value, uint64_t *estimate);
void hyperloglog_forget_kept(struct buffer *value);
/* How many different elements there were, about (Ertl's estimator).  Of a read only: what is
 * computed with is exact in IEEE arithmetic, but no entry depends on it. */
uint64_t hyperloglog_estimate(const uint8_t *registers);

#endif
