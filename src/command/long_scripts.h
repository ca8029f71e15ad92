/* Which scripts took long on this node, the last that did: such a one is run before its entry the
 * next time (prepare.h), since nobody can tell by its words how long it will take.
 *
 * A guess: it decides how an entry is prepared, and nothing that comes of it.  So scripts are told
 * apart by a hash of their body, name or function.  Loop thread. */
#ifndef COMMAND_LONG_SCRIPTS_H
#define COMMAND_LONG_SCRIPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { LONG_SCRIPTS = 256, LONG_SCRIPT_WORDS = 2 };

struct long_scripts {
    uint32_t count; /* that were ever noted */
    struct long_script {
        uint64_t hash;
        uint8_t trust;   /* how many times it may be short from now on */
        uint8_t in_vain; /* times in a row that it was run before its entry, and of no use there */
        uint8_t waits;   /* how many times it is long in its entry before that is tried again */
    } scripts[LONG_SCRIPTS];
};

/* All by the first words of a command, `known` of them.  Whether it is a script that writes. */
bool command_scripts_is(const struct bytes *words, uint32_t known);
/* And it was long, and may be run before its entry. */
bool command_scripts_is_long(const struct long_scripts *scripts, const struct bytes *words,
                             uint32_t known);
/* What was executed was long; of no account where it is no script. */
void command_scripts_long(struct long_scripts *scripts, const struct bytes *words, uint32_t known);
/* Of one that was run because it is_long: it was short. */
void command_scripts_short(struct long_scripts *scripts, const struct bytes *words, uint32_t known);
/* Likewise: its entry had use of that, */
void command_scripts_of_use(struct long_scripts *scripts, const struct bytes *words,
                            uint32_t known);
/* or not: what it looked at was not what it is, or it failed, or does what only its entry can. */
void command_scripts_in_vain(struct long_scripts *scripts, const struct bytes *words,
                             uint32_t known);

#endif
