/* What becomes of an assertion that fails inside RocksDB.
 *
 * Debian's library has its asserts compiled in, and some of them do not hold on the way out of a
 * write that failed: a store that is opened while its disk is full ends in abort() instead of in an
 * error.  Where there is no room, that is what happened, so it ends the process like every other
 * failure of the disk, by fatal(); anywhere else a failed assertion is a bug and aborts. */
#ifndef STORAGE_ROCKSDB_ASSERT_H
#define STORAGE_ROCKSDB_ASSERT_H

/* The directory whose disk is looked at: the store that is open or being opened. */
void rocksdb_assert_concerns(const char *directory);

#endif
