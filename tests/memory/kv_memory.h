/* A kv without a disk: an ordinary ordered map in memory with the contract of storage/kv.h, for
 * unit tests and the simulator. */
#ifndef KV_MEMORY_H
#define KV_MEMORY_H

#include "storage/kv.h"

struct kv *kv_memory_open(void);
void kv_memory_crash(struct kv *kv);                      /* forgets everything not synced */
void kv_memory_sync(struct kv *kv);                       /* as it is when a process dies alone */
struct kv *kv_memory_copy(struct kv *kv);                 /* of what is synced */
struct kv *kv_memory_bulk_kv(const struct kv_bulk *bulk); /* whose it is */
enum kv_family kv_memory_bulk_family(const struct kv_bulk *bulk);
void kv_memory_bulk_drop(struct kv_bulk *bulk); /* instead of bulk_commit(), without an effect */
/* Walks give up each time that something was asked so often, as if much were deleted; 0: never. */
void kv_memory_gives_up(struct kv *kv, unsigned patience);

#endif
