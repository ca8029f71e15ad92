/* The conditions of SET and DELEX. */
#ifndef COMMAND_SET_OPTIONS_H
#define COMMAND_SET_OPTIONS_H

#include "command/commands.h"
#include "command/digest.h"
#include "command/string_parts.h"

enum set_condition { SET_ALWAYS, SET_NX, SET_XX, SET_IFEQ, SET_IFNE, SET_IFDEQ, SET_IFDNE };

static inline bool set_has_digest(struct call *call, const struct string *string,
                                  struct bytes digest)
{
    return string_has_digest(string_part(call, string, 0, string->found.size), digest);
}

/* Whether a key with this string (or none) fulfils the condition. */
static inline bool set_condition_holds(struct call *call, enum set_condition condition,
                                       struct bytes operand, const struct string *string)
{
    bool exists = string->found.type != DB_NONE;
    switch (condition) {
    case SET_ALWAYS: return true;
    case SET_NX: return !exists;
    case SET_XX: return exists;
    case SET_IFEQ: return exists && string_equals(call, string, operand);
    case SET_IFNE: return !exists || !string_equals(call, string, operand);
    case SET_IFDEQ: return exists && set_has_digest(call, string, operand);
    case SET_IFDNE: return !exists || !set_has_digest(call, string, operand);
    }
    return false;
}

/* One that looks at the value; else SET_ALWAYS. */
static inline enum set_condition set_condition_named(struct bytes word, uint8_t meaning)
{
    if (bytes_is(word, "ifeq"))
        return SET_IFEQ;
    if (bytes_is(word, "ifne"))
        return SET_IFNE;
    if (meaning >= COMMAND_MEANING_DIGEST && bytes_is(word, "ifdeq"))
        return SET_IFDEQ;
    if (meaning >= COMMAND_MEANING_DIGEST && bytes_is(word, "ifdne"))
        return SET_IFDNE;
    return SET_ALWAYS;
}

/* False: it wants a digest and this is none; answered. */
static inline bool set_operand_fits(struct call *call, enum set_condition condition,
                                    struct bytes operand)
{
    bool wants_digest = condition == SET_IFDEQ || condition == SET_IFDNE;
    if (!wants_digest || string_is_digest(operand))
        return true;
    reply_error(call->reply, "ERR digest must be exactly 16 hexadecimal characters");
    return false;
}

#endif
