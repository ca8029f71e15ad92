/* Rows of the kv that were read, kept for the next who asks: by key, no more than so many bytes.
 *
 * A look into the kv costs ten times as much as one in here, and some rows are asked for with every
 * command: the inner pages of a tree.  It knows nothing of when a row becomes another: its owner
 * says so of each, or has it forget all (layers.h, L9).  Loop thread. */
#ifndef DATA_CACHE_H
#define DATA_CACHE_H

#include <stdint.h>

#include "base/bytes.h"

struct layers_cache;

struct layers_cache *layers_cache_new(uint64_t bytes_max); /* 0: it keeps nothing */
void layers_cache_free(struct layers_cache *cache);        /* NULL allowed */
/* False: it does not have it.  The record is borrowed until something is kept, or forgotten. */
bool layers_cache_find(struct layers_cache *cache, struct bytes key, struct bytes *record);
/* A row that it does not have; what was not asked for again makes room, or it is not kept. */
void layers_cache_keep(struct layers_cache *cache, struct bytes key, struct bytes record);
/* The row is this one now: it takes the place of what was kept, or is kept, as above. */
void layers_cache_renew(struct layers_cache *cache, struct bytes key, struct bytes record);
/* There is no such row any more, or it is not known which. */
void layers_cache_drop(struct layers_cache *cache, struct bytes key);
/* All of it, O(1); the memory is used again. */
void layers_cache_forget(struct layers_cache *cache);
uint64_t layers_cache_bytes(const struct layers_cache *cache);
uint64_t layers_cache_bytes_max(const struct layers_cache *cache);

#endif
