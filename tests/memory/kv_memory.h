/* A kv without a disk: an ordinary ordered map in memory with the contract of storage/kv.h, for
 * unit tests and the simulator. */
#ifndef KV_MEMORY_H
#define KV_MEMORY_H

#include "storage/kv.h"

struct kv *kv_memory_open(void);
void kv_memory_crash(struct kv *kv); /* forgets everything not synced */

#endif
