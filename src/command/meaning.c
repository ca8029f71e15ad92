/* The highest version of meaning that this build can execute.
 *
 *     1  what was there before entries carried a version: database 0, the commands of then
 *     2  databases: SWAPDB, MOVE, and every command in databases 1 to 15; what an entry writes has
 *        its index as version, and the first one's seed is that of the keys' hash (db_begin())
 *     3  hashes, sets, sorted sets, lists, expiry, transactions
 *     4  streams, bitmaps, HyperLogLogs, geo, DUMP, SORT, deadlines of fields, what 8.4 has for
 *        strings
 *     5  scripts, functions, blocking commands, messages
 *     6  large strings are in pages from the start; weights that make no number of a score in an
 *        intersection are Redis's
 *
 * What an entry of a meaning does must never change.  A change that a client could see, or that
 * leaves other data, is of a new meaning: its row in table.c, or the function, tells them apart by
 * call->meaning.
 *
 * `make MEANING=1` makes a build that knows no more than that: for tests of members of two
 * versions. */
#include "command/command.h"

#ifndef MEANING
#define MEANING 6
#endif

const uint8_t command_meaning_newest = MEANING;
