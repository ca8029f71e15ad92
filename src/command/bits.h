/* What the commands on bits share.  Bit 0 of a string is the highest of its first byte. */
#ifndef COMMAND_BITS_H
#define COMMAND_BITS_H

#include "command/commands.h"

/* Reads argv[i] as the place of a field of `bits` bits; `#n`, if it may be, is the n-th of such
 * fields.  False: it is none, or behind the largest string; answered. */
bool call_bit_offset(struct call *call, uint32_t i, bool may_count, unsigned bits,
                     uint64_t *offset);

command_fn cmd_setbit, cmd_getbit, cmd_bitcount, cmd_bitpos, cmd_bitop;
command_words_fn words_setbit, words_bitop;
/* bitfield.c */
command_fn cmd_bitfield, cmd_bitfield_ro;
command_words_fn words_bitfield;

#endif
