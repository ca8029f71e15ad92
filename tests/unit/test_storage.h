/* What the tests of storage/ share: a directory of their own, children that must die with a
 * message, and the same failure line with the seed in all of them.  For one test binary each, so
 * static. */
#ifndef TEST_STORAGE_H
#define TEST_STORAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/kv.h"

enum { EXIT_FATAL = 70 };

static const struct kv_options test_options = {
    .cache_bytes = 8u << 20, .log_memtable_bytes = 4u << 20, .wal_bytes_max = 32u << 20};

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The name of a directory that exists and is empty; free it with temporary_remove. */
static inline char *temporary_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    assert_true(asprintf(&path, "%s/redis-raft-test-XXXXXX", parent ? parent : "/tmp") > 0);
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void temporary_remove(char *path)
{
    remove_tree(path);
    free(path);
}

static inline struct kv *open_rocksdb(const char *directory)
{
    char error[1024] = "";
    struct kv *kv = kv_rocksdb_open(directory, &test_options, error, sizeof error);
    if (!kv)
        fail_msg("%s", error);
    return kv;
}

/* Runs `function` in a child; its standard output up to `size` - 1 bytes is put into `output`.
 * Returns the status of waitpid. */
static inline int run_child(void (*function)(void *context), void *context, char *output,
                            size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        function(context);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(ends[0], output + used, size - 1 - used)) > 0;)
        used += (size_t)got;
    output[used] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* `function` must end in fatal() with a message that contains `text`. */
static inline void assert_fatal(void (*function)(void *context), void *context, const char *text)
{
    char output[8192];
    int status = run_child(function, context, output, sizeof output);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FATAL || !strstr(output, text))
        fail_msg("expected a fatal error with \"%s\", got status 0x%x and: %s", text,
                 (unsigned)status, output);
}

/* ---- a store in front of another, for tests to put something in between -------------------- */

struct proxy_kv {
    struct kv base;
    struct kv_ops ops;
    struct kv *below;
};

static inline struct kv *proxy_below(struct kv *kv)
{
    return ((struct proxy_kv *)kv)->below;
}

static inline bool proxy_get(struct kv *kv, enum kv_family family, struct bytes key,
                             struct buffer *value)
{
    return proxy_below(kv)->ops->get(proxy_below(kv), family, key, value);
}

static inline struct kv_batch *proxy_batch_new(struct kv *kv)
{
    return proxy_below(kv)->ops->batch_new(proxy_below(kv));
}

static inline void proxy_commit(struct kv *kv, struct kv_batch *batch, bool sync)
{
    proxy_below(kv)->ops->commit(proxy_below(kv), batch, sync);
}

static inline struct kv_iter *proxy_iter_new(struct kv *kv, enum kv_family family,
                                             struct bytes from, struct bytes to)
{
    return proxy_below(kv)->ops->iter_new(proxy_below(kv), family, from, to);
}

/* Passes on what the log needs; overwrite in `ops` what is to be different. */
static inline void proxy_init(struct proxy_kv *proxy, struct kv *below)
{
    proxy->below = below;
    proxy->ops = *below->ops;
    proxy->ops.get = proxy_get;
    proxy->ops.batch_new = proxy_batch_new;
    proxy->ops.commit = proxy_commit;
    proxy->ops.iter_new = proxy_iter_new;
    proxy->base.ops = &proxy->ops;
}

#endif
