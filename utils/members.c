/* See members.h. */
#include "members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 200, ELECTION_POLLS = 20, STATE_SIZE = 160 };

/* ---- what the leader says ------------------------------------------------------------------ */

/* Of two that say they lead the one of the higher term.  False: none does. */
static bool read_leader(const struct members_cluster *cluster, struct node_status *leader)
{
    char error[NODE_ERROR_SIZE];
    bool is_found = false;
    for (uint32_t i = 0; i < cluster->nodes_count; i++) {
        struct node_status status;
        redisContext *connection = node_connect(&cluster->nodes[i], cluster->password,
                                                cluster->connect_ms, cluster->reply_ms, error);
        if (!connection)
            continue;
        bool is_read = node_status_read(connection, &status, error);
        redisFree(connection);
        if (!is_read)
            continue;
        if (strcmp(status.role, "leader") != 0 || (is_found && status.term <= leader->term)) {
            node_status_deinit(&status);
            continue;
        }
        if (is_found)
            node_status_deinit(leader);
        *leader = status;
        is_found = true;
    }
    return is_found;
}

static void pause_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

/* Where nobody leads there may be an election: it is waited for. */
static bool await_leader(const struct members_cluster *cluster, struct node_status *leader)
{
    for (int tries = 0; tries < ELECTION_POLLS; tries++) {
        if (read_leader(cluster, leader))
            return true;
        pause_ms(POLL_MS);
    }
    return read_leader(cluster, leader);
}

static const char *text_of(const redisReply *member, const char *name)
{
    const redisReply *field = node_field(member, name);
    return field && field->str && field->str[0] ? field->str : "-";
}

static bool is(const redisReply *member, const char *name)
{
    return node_integer(node_field(member, name), 0) != 0;
}

static bool has_life(const redisReply *member)
{
    return strspn(text_of(member, "life"), "0") < strlen(text_of(member, "life"));
}

static const char *kind_of(const redisReply *member)
{
    if (is(member, "voter"))
        return "voter";
    if (!has_life(member))
        return "awaited"; /* nobody has come for its place */
    return is(member, "joining") ? "joining" : "learner";
}

/* ---- the list ------------------------------------------------------------------------------ */

static void print_member(const redisReply *member)
{
    printf("%-5" PRId64 " %-8s %-22s %-22s %-16s %-6s %11" PRId64 " %9" PRId64 "\n",
           node_integer(node_field(member, "id"), -1), kind_of(member), text_of(member, "peer"),
           text_of(member, "client"), text_of(member, "life"), is(member, "active") ? "yes" : "no",
           node_integer(node_field(member, "match"), -1),
           node_integer(node_field(member, "lag"), -1));
}

bool members_print(const struct members_cluster *cluster)
{
    struct node_status leader;
    if (!await_leader(cluster, &leader)) {
        fprintf(stderr,
                "nobody leads, as far as can be seen: `status` says what each node knows\n");
        return false;
    }
    const redisReply *members = node_field(leader.reply, "members");
    printf("%-5s %-8s %-22s %-22s %-16s %-6s %11s %9s\n", "node", "is", "peers", "clients", "life",
           "active", "match", "lag");
    for (size_t i = 0; members && i < members->elements; i++)
        print_member(members->element[i]);
    printf("\nnode %" PRId64 " leads, in term %" PRId64 "\n", leader.node, leader.term);
    node_status_deinit(&leader);
    return true;
}

/* ---- progress -------------------------------------------------------------------------- */

enum progress { PROGRESS_ON, PROGRESS_DONE, PROGRESS_GONE };

static const redisReply *find(const struct node_status *leader, int64_t id)
{
    const redisReply *members = node_field(leader->reply, "members");
    for (size_t i = 0; members && i < members->elements; i++)
        if (node_integer(node_field(members->element[i], "id"), -1) == id)
            return members->element[i];
    return NULL;
}

void members_life(const struct members_cluster *cluster, int64_t id, char life[MEMBERS_LIFE_SIZE])
{
    struct node_status leader;
    life[0] = '\0';
    if (!await_leader(cluster, &leader))
        return;
    const redisReply *member = find(&leader, id);
    if (member && has_life(member))
        snprintf(life, MEMBERS_LIFE_SIZE, "%s", text_of(member, "life"));
    node_status_deinit(&leader);
}

static enum progress describe(const struct node_status *leader, int64_t id, char text[STATE_SIZE])
{
    const redisReply *member = find(leader, id);
    if (!member) {
        snprintf(text, STATE_SIZE, "is not a member");
        return PROGRESS_GONE;
    }
    int64_t match = node_integer(node_field(member, "match"), 0);
    int64_t lag = node_integer(node_field(member, "lag"), 0), all = match + lag;
    if (is(member, "voter")) {
        snprintf(text, STATE_SIZE, "is a voter");
        return PROGRESS_DONE;
    }
    if (!has_life(member))
        snprintf(text, STATE_SIZE, "is awaited at %s: start it with an empty directory and --join",
                 text_of(member, "peer"));
    else if (!is(member, "active"))
        snprintf(text, STATE_SIZE, "does not answer");
    else if (is(member, "fell-off"))
        snprintf(text, STATE_SIZE, "needs what the leader's log no longer holds");
    else
        snprintf(text, STATE_SIZE, "has %" PRId64 " of %" PRId64 " entries (%d %%)", match, all,
                 all > 0 ? (int)(100 * match / all) : 0);
    bool stays = !is(member, "joining") && has_life(member);
    return stays && is(member, "active") && lag == 0 ? PROGRESS_DONE : PROGRESS_ON;
}

bool members_follow(const struct members_cluster *cluster, int64_t id)
{
    char said[STATE_SIZE] = "", text[STATE_SIZE];
    enum progress progress = PROGRESS_ON;
    while (progress == PROGRESS_ON) {
        struct node_status leader;
        if (!read_leader(cluster, &leader)) {
            snprintf(text, sizeof text, "is not heard of: nobody leads");
        } else {
            progress = describe(&leader, id, text);
            node_status_deinit(&leader);
        }
        if (strcmp(said, text) != 0) {
            printf("node %" PRId64 " %s\n", id, text);
            fflush(stdout);
        }
        memcpy(said, text, sizeof said);
        if (progress == PROGRESS_ON)
            pause_ms(POLL_MS);
    }
    return progress == PROGRESS_DONE;
}
