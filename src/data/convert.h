/* From an earlier format of the keys to the present one, at the first start. */
#ifndef DATA_CONVERT_H
#define DATA_CONVERT_H

#include "data/layers.h"

/* Writes all keys of the state's databases in the present format, then the state record, which
 * makes them count, then deletes the old ones.  A crash before the state record leaves the old
 * store, one after it the new.  Memory: `batch_bytes` and one value. */
void db_convert_keys(struct kv *kv, const struct state *state, uint64_t cluster,
                     uint64_t batch_bytes);
/* Deletes keys of the earlier format, if a crash left any. */
void db_convert_sweep(struct kv *kv);

#endif
