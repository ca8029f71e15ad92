/* See descriptors.h.  What is written to the log is Redis's (7.2, adjustOpenFilesLimit). */
#include "server/descriptors.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/log.h"

enum { DESCRIPTORS_ASSUMED = 1024 };

static uint64_t reserved_for(const struct config *config)
{
    uint64_t listeners = config->bind.count + config->peer_bind.count + 1;
    uint64_t peers = RAFT_MEMBERS_MAX - 1; /* the cluster may grow */
    return DESCRIPTORS_OWN + 2 * listeners + DESCRIPTORS_PER_PEER * peers + SILENT_MAX +
           GREETED_MAX + DESCRIPTORS_STORE;
}

/* Where there are not enough for all clients, a quarter goes to tables. */
static uint64_t tables_of(uint64_t rest, uint64_t clients)
{
    uint64_t tables = rest > clients ? rest - clients : 0;
    if (tables < rest / 4)
        tables = rest / 4;
    if (tables < DESCRIPTORS_TABLES_MIN)
        tables = DESCRIPTORS_TABLES_MIN;
    return tables < DESCRIPTORS_TABLES_WANTED ? tables : DESCRIPTORS_TABLES_WANTED;
}

bool server_descriptors_divide(const struct config *config, uint64_t limit,
                               struct server_descriptors *descriptors)
{
    uint64_t clients = (uint64_t)config->maxclients;
    uint64_t least = clients < DESCRIPTORS_CLIENTS_MIN ? clients : DESCRIPTORS_CLIENTS_MIN;
    uint64_t reserved = reserved_for(config);
    *descriptors = (struct server_descriptors){reserved, DESCRIPTORS_TABLES_MIN, least};
    if (limit < reserved + DESCRIPTORS_TABLES_MIN + least)
        return false;
    uint64_t rest = limit - reserved;
    descriptors->tables = (uint32_t)tables_of(rest, clients);
    uint64_t room = rest - descriptors->tables;
    descriptors->clients = room < clients ? room : clients;
    return true;
}

/* The limit afterwards; *failure: errno of the attempt to raise it, or 0. */
static uint64_t raise_limit(uint64_t wanted, int *failure)
{
    struct rlimit limit;
    *failure = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        *failure = errno;
        return DESCRIPTORS_ASSUMED;
    }
    rlim_t before = limit.rlim_cur;
    if (before == RLIM_INFINITY || before >= wanted)
        return before == RLIM_INFINITY ? wanted : before;
    bool allowed = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted;
    limit.rlim_cur = allowed ? wanted : limit.rlim_max;
    if (!allowed)
        *failure = EPERM;
    if (limit.rlim_cur == before)
        return before;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        *failure = errno;
        return before;
    }
    log_notice("Increased maximum number of open files to %" PRIu64
               " (it was originally set to %" PRIu64 ").",
               (uint64_t)limit.rlim_cur, (uint64_t)before);
    return limit.rlim_cur;
}

bool server_descriptors_reserve(struct config *config, struct server_descriptors *descriptors)
{
    int failure;
    uint64_t asked = (uint64_t)config->maxclients;
    uint64_t least = reserved_for(config) + DESCRIPTORS_TABLES_MIN + asked;
    uint64_t limit =
        raise_limit(reserved_for(config) + DESCRIPTORS_TABLES_WANTED + asked, &failure);
    if (!server_descriptors_divide(config, limit, descriptors)) {
        log_warning("Your current 'ulimit -n' of %" PRIu64
                    " is not enough for the server to start. Please increase your open file limit "
                    "to at least %" PRIu64 ". Exiting.",
                    limit, descriptors->reserved + descriptors->tables + descriptors->clients);
        return false;
    }
    if (descriptors->clients < asked) {
        log_warning("You requested maxclients of %" PRIu64 " requiring at least %" PRIu64
                    " max file descriptors.",
                    asked, least);
        log_warning("Server can't set maximum open files to %" PRIu64 " because of OS error: %s.",
                    least, strerror(failure ? failure : EPERM));
        log_warning("Current maximum open files is %" PRIu64 ". maxclients has been reduced to "
                    "%" PRIu64 " to compensate for low ulimit. If you need higher maxclients "
                    "increase 'ulimit -n'.",
                    limit, descriptors->clients);
        config->maxclients = (int64_t)descriptors->clients;
    }
    return true;
}

uint64_t server_descriptors_fit(const struct server_descriptors *descriptors, uint64_t clients)
{
    int failure;
    uint64_t reserved = descriptors->reserved + descriptors->tables;
    uint64_t limit = raise_limit(reserved + clients, &failure);
    uint64_t room = limit > reserved ? limit - reserved : 0;
    return room < clients ? room : clients;
}
