/* The conditions of SET and DELEX. */
#ifndef COMMAND_SET_OPTIONS_H
#define COMMAND_SET_OPTIONS_H

#include "command/commands.h"

enum set_condition { SET_ALWAYS, SET_NX, SET_XX, SET_IFEQ, SET_IFNE };

/* Whether a key with this value (or none) fulfils the condition. */
static inline bool set_condition_holds(enum set_condition condition, struct bytes operand,
                                       struct bytes value, bool exists)
{
    switch (condition) {
    case SET_ALWAYS: return true;
    case SET_NX: return !exists;
    case SET_XX: return exists;
    case SET_IFEQ: return exists && bytes_equal(value, operand);
    case SET_IFNE: return !exists || !bytes_equal(value, operand);
    }
    return false;
}

#endif
