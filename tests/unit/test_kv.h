/* A kv on disk for a test, for those of storage/. */
#ifndef TEST_KV_H
#define TEST_KV_H

#include "test_storage.h"

#include "base/memory.h"

struct fixture {
    char *directory; /* NULL: in memory */
    struct kv *kv;   /* NULL: closed */
};

static inline int setup_rocksdb(void **state)
{
    struct fixture *fixture = memory_new(sizeof *fixture);
    fixture->directory = temporary_new();
    fixture->kv = open_rocksdb(fixture->directory);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->kv)
        fixture->kv->ops->close(fixture->kv);
    if (fixture->directory)
        temporary_remove(fixture->directory);
    memory_free(fixture);
    return 0;
}

static inline void reopen(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->kv)
        fixture->kv->ops->close(fixture->kv);
    fixture->kv = open_rocksdb(fixture->directory);
}

static inline struct kv *kv_of(void **state)
{
    return ((struct fixture *)*state)->kv;
}

static inline struct bytes text(const char *string)
{
    return bytes_from_string(string);
}

#endif
