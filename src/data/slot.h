/* Redis Cluster's hash slot of a key (Redis 7.2 cluster.c, keyHashSlot). */
#ifndef DATA_SLOT_H
#define DATA_SLOT_H

#include "base/bytes.h"

enum { SLOT_BITS = 14, SLOTS = 1 << SLOT_BITS };

/* CRC16 (XMODEM) of the key, or of what stands between its first { and the next }, unless nothing
 * does; below SLOTS. */
unsigned record_slot(struct bytes key);

#endif
