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

#define KB ((int64_t)1 << 10)
#define MB ((int64_t)1 << 20)
#define GB ((int64_t)1 << 30)

enum value_kind {
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_SIZE,            /* bytes; in text also 1k 1kb 1m 1mb 1g 1gb */
    VALUE_SIZE_OR_PERCENT, /* of memory; percents are negative */
    VALUE_OCTAL,           /* permissions */
    VALUE_ENUM,
    VALUE_STRING,
    VALUE_SECRET,  /* any bytes */
    VALUE_ADDRESS, /* host:port, or "" */
    VALUE_BIND,
    VALUE_OUTPUT_LIMITS,
    VALUE_NODE,        /* repeated */
    VALUE_FLAG,        /* no value: an abbreviation */
    VALUE_CONSTANT,    /* one of few, any other is refused with the reason */
    VALUE_SAVE,        /* pairs of seconds and changes */
    VALUE_SCORES,      /* three of oom_score_adj */
    VALUE_PERCENTILES, /* numbers from 0 to 100 */
    VALUE_EVENTS,      /* letters of keyspace events */
    VALUE_READ_ONLY    /* taken, but follower-mode is what it shows */
};

enum directive_flags {
    FIXED = 0,
    SETTABLE = 1,
    HIDDEN = 2,    /* CONFIG GET and CONFIG SET do not know it */
    INERT = 4,     /* Redis's; the value is kept as text and has no effect */
    PROTECTED = 8, /* fixed, in other words of Redis's */
    AT_START = 16  /* Redis may change it, we cannot: the present value alone may be set */
};

struct directive {
    const char *name;
    const char *alias; /* NULL: none */
    enum value_kind kind;
    unsigned flags;
    size_t offset; /* in struct config; of no meaning if INERT */
    int64_t min, max;
    const char *fallback;
    const char *const *choices; /* VALUE_ENUM: names in the order of the enum; VALUE_CONSTANT: what
                                   may be; then NULL */
    const char *summary; /* VALUE_CONSTANT: why there is no other value; INERT: may be NULL */
};

/* config_table.c */
extern const struct directive directive_rows[];
extern const uint32_t directive_rows_count;

enum { DIRECTIVE_WORDS_MAX = 64 };

/* The words after the name, each with a NUL behind it.  False with a reason, and nothing changed,
 * if they will not do. */
bool directive_parse(const struct directive *directive, struct config *config,
                     const struct bytes *words, uint32_t count, char *error, size_t error_size);
/* The same for a directive that is kept as text: adds these words to it, unless they empty it. */
bool directive_add(const struct directive *directive, struct config *config,
                   const struct bytes *words, uint32_t count, char *error, size_t error_size);
/* Whether these words would change nothing. */
bool directive_holds(const struct directive *directive, const struct config *config,
                     const struct bytes *words, uint32_t count);
/* Appends the value, without a NUL. */
void directive_print(const struct directive *directive, const struct config *config,
                     struct buffer *out);
bool directive_takes_one_word(const struct directive *directive);
void directive_release(const struct directive *directive, struct config *config);

/* host:port, with an IPv6 host in brackets, short enough for RAFT_ADDRESS_SIZE. */
bool config_is_address(const char *text);
/* Always false: `return config_refuse(...)`. */
bool config_refuse(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
