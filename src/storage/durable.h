/* Files of a store beside RocksDB's.  Any thread; false or NULL: errno says what is wrong. */
#ifndef STORAGE_DURABLE_H
#define STORAGE_DURABLE_H

#include <stdbool.h>
#include <stdint.h>

/* The names in it survive a power cut. */
bool durable_sync_directory(const char *path);

/* So much of a large file goes to the disk at a time. */
enum { DURABLE_PIECE = 1 << 20 };

/* Has the kernel begin to write `size` bytes of the file at `at`, and all before that is not
 * written yet: a piece at a time, each when the one before is on the disk.  Nothing is durable by
 * that, but the sync that makes it so finds little left to do; and who syncs a little on the same
 * disk waits for a piece, not for all of it.  An error is one of the disk, and the next sync need
 * not tell it again. */
bool durable_begin(int fd, uint64_t at, uint64_t size);

/* Maps the file NAME of the directory, which holds one number; one that is not there, or has
 * another size, begins durably with 0.  What is written to the number later nobody syncs.  To be
 * given to durable_number_unmap(). */
uint64_t *durable_number_map(const char *directory, const char *name);
void durable_number_unmap(uint64_t *number); /* NULL allowed */

#endif
