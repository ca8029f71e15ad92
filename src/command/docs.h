/* What COMMAND DOCS and COMMAND INFO say of a command beyond its row in table.c. */
#ifndef COMMAND_DOCS_H
#define COMMAND_DOCS_H

#include <stdint.h>

#include "base/bytes.h"
#include "resp/writer.h"

struct command_docs {
    const char *name;
    const char *group;
    const char *since;      /* Redis's version that had it first; ours for our own commands */
    const char *complexity; /* "N" stands for what the syntax repeats, or the result's size */
    const char *summary;
    const char *syntax;    /* see docs_syntax.c */
    const char *key_flags; /* as in Redis's key specifications; '|' between two, ';' before notes;
                              which words they are of, where table.c does not say it: see
                              introspect.c */
    const char *tips;      /* for proxies, as in Redis; blanks between */
};

/* NULL: not documented (a unit test sees to it that every row of the table is). */
const struct command_docs *command_docs_find(struct bytes name);

/* Appends the arguments that `syntax` describes, each a map as in COMMAND DOCS, to `reply`; returns
 * how many. */
uint64_t command_docs_arguments(const char *syntax, struct reply *reply);

#endif
