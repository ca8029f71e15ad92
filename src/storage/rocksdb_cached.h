/* What RocksDB writes stays in the kernel's cache, like everything that is written, and goes to the
 * disk in pieces.
 *
 * Its writer of sorted files (kv_ops.bulk_new) tells the kernel to forget them as they are written,
 * and the C interface cannot tell it not to.  What a checkpoint stored would be read from the disk
 * the next time, by the loop, and on a busy disk that takes as long as an election timeout, however
 * much memory there is.  So this program has a posix_fadvise() of its own, which does not pass that
 * on.  It comes once a megabyte, and begins to write that megabyte instead.
 *
 * Of other files RocksDB has the kernel begin what it wrote since it did so before: a value of
 * 64 MB at once.  Whoever syncs a little on the same disk then waits for all of it, a leader for a
 * follower that catches up beside it.  So there is a sync_file_range() as well, which begins a
 * piece when the one before is written (durable.h). */
#ifndef STORAGE_ROCKSDB_CACHED_H
#define STORAGE_ROCKSDB_CACHED_H

/* From now on, in the whole process. */
void rocksdb_cached_stays(void);

#endif
