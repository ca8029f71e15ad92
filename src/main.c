/* redis-raft: one node.  Reads the configuration and runs the node (server/node.c).
 *
 * Exit status:
 *   0    stopped by SIGTERM or SIGINT, or --help
 *   1    did not start: bad configuration, a port in use, a directory that is not this node's; or
 *        met an entry that only a newer version can execute (replica/meaning.c)
 *   65   its data differ from those of a majority, and check-difference says that it is to stop:
 *        starting it again does not help
 *   75   did not start, for a reason that may pass by itself: an address that is not up, a name
 *        that is not known; a supervisor may start it again
 *   70   the machine failed (disk, memory): see base/fatal.h; a supervisor may start it again
 *   134  (abort) a bug of ours */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"
#include "server/node.h"

enum { EXIT_NOT_STARTED = 1, EXIT_DIFFERS = 65, EXIT_NOT_YET = 75 };

enum { LARGE_BLOCK_MAX = 256 << 20 }; /* larger ones are mappings of their own */

/* Large values pass through several blocks of their size, ours (base/large.h) and the store's.  By
 * default each of those would be a mapping of its own, and most of a copy into it would be page
 * faults (60 MB: 52 ms, against 8 ms into memory that was used before), in a thread that has
 * heartbeats to send.  net/ gives back what stays unused. */
static void keep_large_blocks(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK_MAX);
}

/* To fault in 64 MB of ordinary pages takes 50 to 350 ms, and a large value passes through several
 * blocks of its size, most of them the store's; of huge pages, 8 ms.  And what a thread gives back
 * of a size it has at hand for the next time, but by default 7 of them, where a turn of the loop
 * takes and gives hundreds.  What comes back beyond that, malloc would put aside as it is, and
 * join millions of blocks at once when a larger one is asked for or given back: 170 ms in one turn
 * behind 2 million new keys.  To join each as it comes costs some percent at most.  malloc does all
 * three if it is told to before main(), so the process begins anew.  Whoever set this variable
 * himself is left alone; and where it cannot be done, everything is the same, but slower. */
static const char malloc_options[] =
    "glibc.malloc.hugetlb=1:glibc.malloc.tcache_count=1000:glibc.malloc.mxfast=0";

static void set_up_malloc(char **argv)
{
    char program[PATH_MAX];
    if (getenv("GLIBC_TUNABLES") || getauxval(AT_SECURE))
        return;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0 || setenv("GLIBC_TUNABLES", malloc_options, 0) != 0)
        return;
    program[length] = '\0';
    (void)execv(program, argv);
}

static int run(struct config *config, const char *executable)
{
    log_set_level((enum log_level)config->loglevel);
    if (!log_open(config->logfile)) {
        fprintf(stderr, "cannot open the log file %s: %s\n", config->logfile, strerror(errno));
        return EXIT_NOT_STARTED;
    }
    if (config->ignored[0])
        log_warning("directives of Redis's that have no effect here: %s", config->ignored);
    switch (server_node_run(config, executable)) {
    case SERVER_NODE_STOPPED: return EXIT_SUCCESS;
    case SERVER_NODE_DIFFERS: return EXIT_DIFFERS;
    case SERVER_NODE_NOT_YET: return EXIT_NOT_YET;
    case SERVER_NODE_REFUSED: break;
    }
    return EXIT_NOT_STARTED;
}

int main(int argc, char **argv)
{
    struct config config;
    char error[CONFIG_ERROR_SIZE];
    set_up_malloc(argv);
    keep_large_blocks();
    config_init(&config);
    int status = EXIT_NOT_STARTED;
    switch (config_load(&config, argc, argv, error, sizeof error)) {
    case CONFIG_STOP: status = EXIT_SUCCESS; break;
    case CONFIG_FAILED: fprintf(stderr, "%s\n", error); break;
    case CONFIG_LOADED: status = run(&config, argv[0]); break;
    }
    config_deinit(&config);
    return status;
}
