/* The pace of a thread that reads or writes much beside what clients wait for. */
#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps for as long as so many bytes are to take, since began_ns of server_ticks_clock_ns(), at
 * `bandwidth` bytes a second (0: any), or until it is to stop.  For a thread of its own. */
void server_keep_pace(int64_t began_ns, uint64_t bytes, uint64_t bandwidth,
                      const atomic_bool *is_stopping);

#endif
