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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"
#include "server/node.h"

enum { EXIT_NOT_STARTED = 1, EXIT_DIFFERS = 65, EXIT_NOT_YET = 75 };

/* What jemalloc is told, which looks for this name.
 *
 * Why not the C library's malloc: it joins the pieces that come back, and looks through those that
 * lie about, whenever it is asked for one that is not at hand.  Where another thread gave back
 * millions of blocks, that was 20 to 100 ms of a turn of the loop, now and then.  jemalloc's work
 * at a time is nearly bounded: only where its thread joins what lies side by side does the loop
 * wait for it.
 *
 * thp: to fault in 64 MB of ordinary pages takes 50 to 350 ms, of huge ones 8.  oversize_threshold:
 * what large values pass through (the store's copies of them) is kept for the next like all else.
 * background_thread: what nobody used for ten seconds is given back, by a thread.  The tcache's
 * numbers: a turn of the loop takes and gives hundreds of blocks of a size.  One arena, because one
 * thread takes most of what there is, and others give it back. */
const char *malloc_conf = "thp:always,oversize_threshold:0,background_thread:true,narenas:1,"
                          "lg_tcache_nslots_mul:4,tcache_nslots_small_max:1000";

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
