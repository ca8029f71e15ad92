/* Files of a store beside RocksDB's.  Any thread; false or NULL: errno says what is wrong. */
#ifndef STORAGE_DURABLE_H
#define STORAGE_DURABLE_H

#include <stdbool.h>
#include <stdint.h>

/* The names in it survive a power cut. */
bool durable_sync_directory(const char *path);

/* Maps the file NAME of the directory, which holds one number; one that is not there, or has
 * another size, begins durably with 0.  What is written to the number later nobody syncs.  To be
 * given to durable_number_unmap(). */
uint64_t *durable_number_map(const char *directory, const char *name);
void durable_number_unmap(uint64_t *number); /* NULL allowed */

#endif
