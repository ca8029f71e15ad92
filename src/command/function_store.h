/* The libraries of functions: part of the replicated state, in no database, on every node the same.
 *
 * In DB_SPACE_SERVER, beside the scripts (script_store.h):
 *
 *     row "F"            struct index, as in function_store.c, and the names of all libraries
 *     row "f" library    its name for machines, what it registered, its code
 *     row "g" function   u8 flags; the library.  The name in lower case: calls look for that */
#ifndef COMMAND_FUNCTION_STORE_H
#define COMMAND_FUNCTION_STORE_H

#include "command/commands.h"
#include "script/script.h"

enum {
    LIBRARIES_MAX = 1000,
    LIBRARIES_BYTES_MAX = 64 << 20 /* of all codes, and of what they registered */
};

/* Borrowed until the next call on the db. */
struct function_library {
    struct bytes sha;        /* for machines: of the code, and of no script */
    struct bytes registered; /* u8 flags, u32 size, name, u32 size, description; again and again */
    struct bytes code;
};

struct function_counts {
    uint64_t libraries, functions;
    uint64_t bytes; /* of codes, and of what they registered */
};

/* False: there is none. */
bool function_store_get(struct call *call, struct bytes name, struct function_library *library);
/* The library that has the function, into `library`; false: there is none. */
bool function_store_find(struct call *call, struct bytes function, unsigned *flags,
                         struct buffer *library);
/* Of library->registered, from *at on; false: that were all. */
bool function_store_next(struct bytes registered, size_t *at, struct script_function *function);
/* In place of one of that name.  What stands in `library` must not be lent by the db.  False: there
 * are too many. */
bool function_store_put(struct call *call, struct bytes name,
                        const struct function_library *library);
bool function_store_delete(struct call *call, struct bytes name); /* false: there was none */
void function_store_flush(struct call *call);
/* Adds the names of all, sorted, each behind its size, u32. */
void function_store_names(struct call *call, struct buffer *names);
bool function_store_next_name(const struct buffer *names, size_t *at, struct bytes *name);
struct function_counts function_store_counts(struct call *call);

#endif
