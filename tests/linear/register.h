/* One key, as the checker believes that commands change it. */
#ifndef TESTS_LINEAR_REGISTER_H
#define TESTS_LINEAR_REGISTER_H

#include "linear.h"

/* Interned: equal values are the same pointer.  Absent is NULL. */
struct value;

struct values {
    struct value *table; /* owned */
    uint32_t count;
};

/* A value of which nothing is known: what was there before the part of a history that is looked at.
 * It stands for all values at once: an operation fits if it fits one of them. */
extern const struct value *const value_unknown;

const struct value *value_of(struct values *values, struct bytes bytes);
/* Different numbers for different values; 0 for absent. */
uint32_t value_number(const struct value *value);
struct bytes value_bytes(const struct value *value); /* neither absent nor unknown */
void values_deinit(struct values *values);

enum register_command {
    COMMAND_GET,
    COMMAND_STRLEN,
    COMMAND_EXISTS,
    COMMAND_SET,
    COMMAND_SETNX,
    COMMAND_GETSET,
    COMMAND_GETDEL,
    COMMAND_DEL,
    COMMAND_FLUSHALL,
    COMMAND_CAS,
    COMMAND_CAD,
    COMMAND_DELIFEQ,
    COMMAND_ADD, /* INCR and its like */
    COMMAND_APPEND
};

enum condition { CONDITION_NONE, CONDITION_NX, CONDITION_XX, CONDITION_IFEQ, CONDITION_IFNE };

enum reply_type { REPLY_ANY, REPLY_OK, REPLY_INTEGER, REPLY_NIL, REPLY_VALUE, REPLY_ERROR };

struct linear_reply {
    enum reply_type type;
    int64_t integer;
    const struct value *value;
};

/* An operation, ready to be executed many times. */
struct action {
    enum register_command command;
    enum condition condition;
    bool get; /* SET ... GET */
    const struct value *first, *second;
    int64_t number;            /* ADD */
    struct linear_reply reply; /* ANY: nobody knows it */
    /* NULL: a string's; borrowed.  Then `first` is all its words, and of the reply only counts
     * whether it is ANY. */
    const struct linear_op *of_types;
};

/* False: unknown command, or words that it does not take, or a reply that is none. */
bool action_of(struct values *values, const struct linear_op *op, struct action *action);
/* Whether the action fits this value, and what it leaves. */
bool action_fits(struct values *values, const struct action *action, const struct value *before,
                 const struct value **after);
/* Its answer says that it changed nothing. */
bool action_is_idle(const struct action *action);

#endif
