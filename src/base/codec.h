/* Integers in formats: disk and wire use little endian, ordered keys big endian.
 *
 * Written so that both the prover (see proofs/) and the compiler follow: the prover does not see
 * through masks and variable shifts; of each function gcc makes one load or store. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <stdint.h>

/*@ axiomatic Shift { // C11 6.5.7: E1 << E2 is E1 times two to the power E2
      axiom shift_8: \forall integer x; x >= 0 ==> (x << 8) == 0x100 * x;
      axiom shift_16: \forall integer x; x >= 0 ==> (x << 16) == 0x10000 * x;
      axiom shift_24: \forall integer x; x >= 0 ==> (x << 24) == 0x1000000 * x;
      axiom shift_32: \forall integer x; x >= 0 ==> (x << 32) == 0x100000000 * x;
    }

    logic integer little_u32(unsigned char *at) =
      at[0] + 0x100 * at[1] + 0x10000 * at[2] + 0x1000000 * at[3];
    logic integer little_u64(unsigned char *at) =
      little_u32(at) + 0x100000000 * little_u32(at + 4);
    logic integer big_u32(unsigned char *at) =
      at[3] + 0x100 * at[2] + 0x10000 * at[1] + 0x1000000 * at[0];
    logic integer big_u64(unsigned char *at) =
      big_u32(at + 4) + 0x100000000 * big_u32(at);
*/

/*@ requires \valid(at + (0 .. 3));
    assigns at[0 .. 3];
    ensures little_u32(at) == value;
*/
static inline void put_u32(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)(value % 0x100);
    at[1] = (unsigned char)(value / 0x100 % 0x100);
    at[2] = (unsigned char)(value / 0x10000 % 0x100);
    at[3] = (unsigned char)(value / 0x1000000);
}

/*@ requires \valid_read(at + (0 .. 3));
    assigns \nothing;
    ensures \result == little_u32(at);
*/
static inline uint32_t get_u32(const unsigned char *at)
{
    return (uint32_t)at[0] + ((uint32_t)at[1] << 8) + ((uint32_t)at[2] << 16) +
           ((uint32_t)at[3] << 24);
}

/*@ requires \valid(at + (0 .. 7));
    assigns at[0 .. 7];
    ensures little_u64(at) == value;
*/
static inline void put_u64(unsigned char *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value % 0x100000000));
    put_u32(at + 4, (uint32_t)(value / 0x100000000));
}

/*@ requires \valid_read(at + (0 .. 7));
    assigns \nothing;
    ensures \result == little_u64(at);
*/
static inline uint64_t get_u64(const unsigned char *at)
{
    return get_u32(at) + ((uint64_t)get_u32(at + 4) << 32);
}

/*@ requires \valid(at + (0 .. 3));
    assigns at[0 .. 3];
    ensures big_u32(at) == value;
*/
static inline void put_u32_ordered(unsigned char *at, uint32_t value)
{
    /*@ assert value == value / 0x1000000 * 0x1000000 + value / 0x10000 % 0x100 * 0x10000 +
                        value / 0x100 % 0x100 * 0x100 + value % 0x100; */
    at[3] = (unsigned char)(value % 0x100);
    at[2] = (unsigned char)(value / 0x100 % 0x100);
    at[1] = (unsigned char)(value / 0x10000 % 0x100);
    at[0] = (unsigned char)(value / 0x1000000);
}

/*@ requires \valid_read(at + (0 .. 3));
    assigns \nothing;
    ensures \result == big_u32(at);
*/
static inline uint32_t get_u32_ordered(const unsigned char *at)
{
    return (uint32_t)at[3] + ((uint32_t)at[2] << 8) + ((uint32_t)at[1] << 16) +
           ((uint32_t)at[0] << 24);
}

/*@ requires \valid(at + (0 .. 7));
    assigns at[0 .. 7];
    ensures big_u64(at) == value;
*/
static inline void put_u64_ordered(unsigned char *at, uint64_t value)
{
    put_u32_ordered(at, (uint32_t)(value / 0x100000000));
    put_u32_ordered(at + 4, (uint32_t)(value % 0x100000000));
}

/*@ requires \valid_read(at + (0 .. 7));
    assigns \nothing;
    ensures \result == big_u64(at);
*/
static inline uint64_t get_u64_ordered(const unsigned char *at)
{
    return get_u32_ordered(at + 4) + ((uint64_t)get_u32_ordered(at) << 32);
}

#endif
