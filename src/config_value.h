/* The kinds of value a directive may have: from words and back to text.  Only for config*.c.
 *
 * The texts of refusals are those of Redis 7.2's CONFIG SET where Redis has one. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "config.h"

#define KB ((uint64_t)1 << 10)
#define MB ((uint64_t)1 << 20)
#define GB ((uint64_t)1 << 30)

enum value_kind {
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_SIZE, /* bytes; in text also 1k 1kb 1m 1mb 1g 1gb */
    VALUE_ENUM,
    VALUE_STRING,
    VALUE_ADDRESS, /* host:port, or "" */
    VALUE_BIND,
    VALUE_OUTPUT_LIMIT,
    VALUE_NODE, /* repeated */
    VALUE_FLAG, /* no value: an abbreviation */
    VALUE_CONSTANT
};

enum directive_flags { FIXED = 0, SETTABLE = 1, HIDDEN = 2 };

struct directive {
    const char *name;
    const char *alias; /* NULL: none */
    enum value_kind kind;
    unsigned flags;
    size_t offset; /* in struct config */
    uint64_t min, max;
    const char *fallback;
    const char *const *choices; /* VALUE_ENUM: names in the order of the enum, then NULL */
    const char *summary;        /* VALUE_CONSTANT: why there is no other value */
};

/* The words after the name.  False with a reason, and nothing changed, if they will not do. */
bool directive_parse(const struct directive *directive, struct config *config, char **words,
                     uint32_t count, char *error, size_t error_size);
/* Appends the value, without a NUL. */
void directive_print(const struct directive *directive, const struct config *config,
                     struct buffer *out);
bool directive_takes_one_word(const struct directive *directive);
/* VALUE_STRING and VALUE_ADDRESS: the field, an owned string. */
char **directive_string(const struct directive *directive, struct config *config);
bool directive_has_string(const struct directive *directive);

/* host:port, with an IPv6 host in brackets, short enough for RAFT_ADDRESS_SIZE. */
bool config_is_address(const char *text);
/* Always false: `return config_refuse(...)`. */
bool config_refuse(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
