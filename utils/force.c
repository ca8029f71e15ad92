/* See force.h.  The log is read whole and checked before anything is asked; RocksDB's lock is held
 * to the end, so no node runs on the directory.  What is changed is one synced batch: a crash
 * leaves the old cluster's directory or the new one's.
 *
 * Nothing that this node has is given up.  What it does not know as committed, it keeps, and
 * commits when it starts: some of that may have been acknowledged, and nobody is left who could
 * tell. */
#include "force.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/blob.h"
#include "base/memory.h"
#include "data/snapshot.h"
#include "storage/kv.h"
#include "storage/raft_log.h"

enum { PATH_MAX_SIZE = 4096, CACHE = 16 << 20, TABLES_MAX = 256, WORD_SIZE = 16 };

/* A directory that no node has open. */
struct survivor {
    const char *directory;
    struct kv *kv;
    struct raft_log *log;
    struct raft_log_identity identity;
    struct raft_saved saved; /* borrowed from `log` */
    struct raft_pos last;
    struct db_snapshot_about about;  /* all zero without a state */
    bool has_members;                /* else it knows those alone that are configured */
    struct raft_log_members members; /* in force at the end of the log */
};

static bool refused(const char *what, const char *about)
{
    fprintf(stderr, "%s: %s\n", what, about);
    return false;
}

/* ---- reading ------------------------------------------------------------------------ */

/* Opening would make one. */
static bool is_store(const char *directory)
{
    char path[PATH_MAX_SIZE];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/SYNCED", directory);
    if (length < 0 || (size_t)length >= sizeof path)
        return refused(directory, "the name is too long");
    return stat(path, &status) == 0 || refused(directory, "is no data directory");
}

/* The last list of the log is in force, committed or not. */
static bool read_members(struct survivor *survivor)
{
    const struct raft_saved *saved = &survivor->saved;
    survivor->has_members = raft_log_members(survivor->kv, &survivor->members);
    for (uint64_t i = 0; i < saved->entries_count; i++) {
        const struct raft_entry *entry = &saved->entries[i];
        if (entry->type != RAFT_ENTRY_MEMBERS)
            continue;
        if (!raft_members_decode(&survivor->members.list, blob_bytes(entry->payload)))
            return refused(survivor->directory, "is damaged: a list of members in its log is none");
        survivor->members.index = entry->pos.index;
        survivor->has_members = true;
    }
    return true;
}

/* What a start of the node would look at. */
static bool is_sound(const struct survivor *survivor)
{
    const struct db_snapshot_about *about = &survivor->about;
    const struct raft_saved *saved = &survivor->saved;
    if (about->index < saved->first.index || about->index > survivor->last.index)
        return refused(survivor->directory, "is damaged: its data are not of a place in its log");
    raft_term term = about->index == saved->first.index
                         ? saved->first.term
                         : saved->entries[about->index - saved->first.index - 1].pos.term;
    if (about->term != term)
        return refused(survivor->directory, "is damaged: its data are of another log");
    if (about->cluster != 0 && about->cluster != survivor->identity.cluster)
        return refused(survivor->directory, "is damaged: its data are of another cluster");
    return true;
}

static bool read_state(struct survivor *survivor)
{
    switch (db_stored_about(survivor->kv, &survivor->about)) {
    case DB_STORED_STATE:
    case DB_STORED_NOTHING: break;
    case DB_STORED_UNSOUND:
        return refused(
            survivor->directory,
            "its data are damaged, or of an older build: start the node once and stop it "
            "again, which converts them");
    }
    return is_sound(survivor);
}

static bool read_log(struct survivor *survivor)
{
    struct raft_saved *saved = &survivor->saved;
    if (!raft_log_identity(survivor->kv, &survivor->identity))
        return refused(survivor->directory, "belongs to no node of any cluster yet");
    survivor->log = raft_log_open(survivor->kv); /* all of it is read and checked */
    raft_log_saved(survivor->log, saved);
    survivor->last =
        saved->entries_count ? saved->entries[saved->entries_count - 1].pos : saved->first;
    return read_members(survivor) && read_state(survivor);
}

static void survivor_close(struct survivor *survivor)
{
    if (survivor->log)
        raft_log_close(survivor->log);
    if (survivor->kv)
        survivor->kv->ops->close(survivor->kv);
}

static bool survivor_open(struct survivor *survivor, const char *directory)
{
    const struct kv_options options = {.cache_bytes = CACHE,
                                       .log_memtable_bytes = CACHE,
                                       .wal_bytes_max = 4 * CACHE,
                                       .open_tables_max = TABLES_MAX};
    char error[1024];
    *survivor = (struct survivor){.directory = directory};
    if (!is_store(directory))
        return false;
    survivor->kv = kv_rocksdb_open(directory, &options, error, sizeof error);
    if (!survivor->kv)
        return refused(directory, error);
    return read_log(survivor);
}

/* ---- telling ------------------------------------------------------------------------ */

static void print_members(const struct survivor *survivor)
{
    const struct raft_members *list = &survivor->members.list;
    if (!survivor->has_members) {
        printf("members    those of its `node` lines: no other list is in its log\n");
        return;
    }
    for (uint32_t i = 0; i < list->count; i++)
        printf("%-10s node %" PRIu64 " at %s, %s%s\n", i ? "" : "members", list->list[i].id,
               list->list[i].address, list->list[i].voter ? "a voter" : "a learner",
               list->list[i].id == survivor->identity.node ? " (this node)" : "");
}

static void print_state(const struct survivor *survivor)
{
    time_t seconds = (time_t)(survivor->about.time_ms / 1000);
    char text[64] = "";
    struct tm time;
    if (seconds > 0 && gmtime_r(&seconds, &time))
        strftime(text, sizeof text, ", %Y-%m-%d %H:%M:%S UTC", &time);
    printf("applied    up to entry %" PRIu64 "%s, as far as its data tell\n", survivor->about.index,
           text);
}

static void print_survivor(const struct survivor *survivor)
{
    const struct raft_saved *saved = &survivor->saved;
    printf("directory  %s\n", survivor->directory);
    printf("node       %" PRIu64 " of cluster %016" PRIx64 "\n", survivor->identity.node,
           survivor->identity.cluster);
    printf("term       %" PRIu64 "\n", saved->term);
    printf("log        up to entry %" PRIu64 " of term %" PRIu64 "\n", survivor->last.index,
           survivor->last.term);
    print_state(survivor);
    printf("not known  %" PRIu64 " entries behind that: committed or not, nobody can tell here\n",
           survivor->last.index - survivor->about.index);
    print_members(survivor);
}

/* A log is ahead of another as in an election: by its last term first. */
static bool is_longer(const struct raft_pos *one, const struct raft_pos *other)
{
    return one->term != other->term ? one->term > other->term : one->index > other->index;
}

static bool print_longest(const struct survivor *survivors, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (survivors[i].identity.cluster != survivors[0].identity.cluster)
            return refused(survivors[i].directory,
                           "is of another cluster than the first: they cannot be compared");
        if (is_longer(&survivors[i].last, &survivors[best].last))
            best = i;
    }
    printf("\nThe longest log is that of node %" PRIu64 ", %s: up to entry %" PRIu64
           " of term %" PRIu64 ".\nNothing was changed.\n",
           survivors[best].identity.node, survivors[best].directory, survivors[best].last.index,
           survivors[best].last.term);
    return true;
}

bool force_compare(char *const *directories, uint32_t count)
{
    struct survivor *survivors = memory_new(count * sizeof *survivors);
    bool is_done = true;
    for (uint32_t i = 0; i < count && is_done; i++) {
        is_done = survivor_open(&survivors[i], directories[i]);
        if (is_done)
            print_survivor(&survivors[i]);
        printf("%s", is_done && i + 1 < count ? "\n" : "");
    }
    is_done = is_done && print_longest(survivors, count);
    fflush(stdout);
    for (uint32_t i = 0; i < count; i++)
        survivor_close(&survivors[i]);
    memory_free(survivors);
    return is_done;
}

/* ---- a new cluster ------------------------------------------------------------------- */

static void print_loss(const struct survivor *survivor)
{
    uint64_t unknown = survivor->last.index - survivor->about.index;
    printf("\nWhat this node has, it keeps: all %" PRIu64 " entries", survivor->last.index);
    if (unknown > 0)
        printf(", those %" PRIu64 " too,", unknown);
    printf(" will be committed.\n"
           "What the others acknowledged behind entry %" PRIu64 " without it is lost, and nobody "
           "can count it.\n"
           "The other members and their directories are no part of the new cluster; do not start "
           "them again:\na majority of them would go on as the old one.\n",
           survivor->last.index);
}

static bool is_agreed_to(const char *directory)
{
    char word[WORD_SIZE] = "";
    printf("\nMake a new cluster of %s? Type yes: ", directory);
    fflush(stdout);
    if (fgets(word, sizeof word, stdin) && strcmp(word, "yes\n") == 0)
        return true;
    printf("\n");
    fflush(stdout);
    return refused(directory, "nothing was changed");
}

/* Whoever needs none of this, or would begin with nothing. */
static bool may_be_forced(const struct survivor *survivor)
{
    const struct raft_members *list = &survivor->members.list;
    uint32_t self = raft_members_place(list, survivor->identity.node);
    if (survivor->has_members && list->count == 0)
        return refused(survivor->directory,
                       "its node was to join a cluster, and has got nothing of it yet");
    if (survivor->has_members && self < list->count && list->list[self].voter &&
        raft_members_voters(list) == 1)
        return refused(survivor->directory,
                       "its node is the only voter already: start it, and it leads");
    return true;
}

static bool draw(uint64_t *number)
{
    do {
        if (getrandom(number, sizeof *number, 0) != sizeof *number)
            return refused("getrandom", "the system has no random bytes to give");
    } while (*number == 0);
    return true;
}

/* With the addresses that are known; a node tells its own again when it leads. */
static struct raft_member member_of(const struct survivor *survivor, uint64_t life)
{
    const struct raft_members *list = &survivor->members.list;
    uint32_t self = raft_members_place(list, survivor->identity.node);
    struct raft_member member = {.id = survivor->identity.node};
    if (survivor->has_members && self < list->count)
        member = list->list[self];
    member.life = life;
    member.voter = true;
    member.joining = false;
    return member;
}

static bool make_new(struct survivor *survivor)
{
    uint64_t cluster, life;
    if (!draw(&cluster) || !draw(&life))
        return false;
    struct raft_member member = member_of(survivor, life);
    db_stored_force(survivor->kv, survivor->log, cluster, &member);
    printf("\nNode %" PRIu64 " is the only voter of cluster %016" PRIx64 ": start it, then others, "
           "with empty directories and --join.\n",
           member.id, cluster);
    return true;
}

bool force_new_cluster(const char *directory, bool is_agreed)
{
    struct survivor survivor;
    bool is_done = survivor_open(&survivor, directory) && may_be_forced(&survivor);
    if (is_done) {
        print_survivor(&survivor);
        print_loss(&survivor);
        is_done = (is_agreed || is_agreed_to(directory)) && make_new(&survivor);
    }
    survivor_close(&survivor);
    return is_done;
}
