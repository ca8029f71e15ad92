/* Memory that is always there: a process that cannot have it dies with a message, because a
 * node that goes on half-way through a step would break promises to its peers. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *memory_new(size_t size);                    /* zeroed */
void *memory_resize(void *memory, size_t size);   /* like realloc; new part not zeroed */
void *memory_copy(const void *data, size_t size); /* owned copy; size 0 gives a valid pointer */
char *memory_string(const char *string);          /* owned copy */
void memory_free(void *memory);                   /* NULL allowed */

#endif
