/* redis-raft-ctl: a cluster from the command line, given as a list of its nodes.
 *
 *     redis-raft-ctl --cluster host:port,host:port,... status
 *     redis-raft-ctl --cluster host:port,host:port,... get KEY
 *     redis-raft-ctl --cluster host:port,host:port,... put KEY VALUE
 *     redis-raft-ctl --cluster host:port,host:port,... members
 *     redis-raft-ctl --cluster host:port,host:port,... add|remove|replace|promote|demote|transfer
 * ...
 *     redis-raft-ctl --cluster host:port,host:port,... check
 *     redis-raft-ctl --cluster host:port backup FILE
 *     redis-raft-ctl verify FILE
 *     redis-raft-ctl restore FILE --dir DIRECTORY
 *     redis-raft-ctl force-new-cluster --dir DIRECTORY [--yes]
 *
 * What redis-cli cannot do: it goes on to the next node when one does not answer, and it never
 * leaves in doubt what became of a write.  A write that was sent to a node which then did not
 * answer may or may not have happened; sending it to another node could do it twice, or undo what
 * someone else wrote in between.  So it is not sent again: the tool says that the outcome is
 * unknown and exits with 2.  With --retry the write travels as ONCE <client> <request> ..., which
 * the cluster executes once however often it arrives, and the same bytes go from node to node
 * until one answers.
 *
 * A verb is a row of the table below.  One thread, blocking connections, one command at a time. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "backups.h"
#include "comparing.h"
#include "force.h"
#include "members.h"
#include "nodes.h"
#include "rdb_files.h"

enum exit_code {
    EXIT_DONE = 0,     /* it was done; get: the key was there; status: some node leads */
    EXIT_NO = 1,       /* the cluster answered no: no such key, or the value differs */
    EXIT_UNKNOWN = 2,  /* a write that may or may not have been done, or be yet done */
    EXIT_NOT_DONE = 3, /* certainly not done: nobody could be asked, or it was refused */
    EXIT_USAGE = 64
};

enum { RETRY_MS = 30000, RETRY_PAUSE_MS = 50, CONNECT_MS = 1000, REPLY_MS = 5000 };
enum { WORDS_MAX = 8, DIRECTORIES_MAX = 16 };

struct ctl {
    struct node_address nodes[NODES_MAX];
    uint32_t nodes_count;
    const char *password; /* NULL: none */
    bool is_retried;
    int reply_ms;
};

struct verb {
    const char *name;
    int arguments; /* after the verb; */
    int more;      /* and so many besides, at most */
    bool is_write;
    const char *usage;
    const char *command; /* what is sent, before the arguments; NULL: `run` does it all */
    enum exit_code (*print)(const redisReply *reply);
    enum exit_code (*run)(const struct ctl *ctl, char **arguments); /* NULL behind the last */
    bool is_offline;                                                /* no cluster is asked */
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

/* ---- asking the nodes in turn -------------------------------------------- */

enum answer {
    ANSWER_REPLY,     /* the cluster's own answer to the command */
    ANSWER_ELSEWHERE, /* this node cannot, and has certainly not done it: ask another */
    ANSWER_UNKNOWN,   /* it was sent, and what became of it is not known */
    ANSWER_REFUSED    /* an error that every node would give: certainly not done */
};

static bool begins_with(const char *text, const char *word)
{
    size_t size = strlen(word);
    return strncmp(text, word, size) == 0 && (text[size] == ' ' || text[size] == '\0');
}

static enum answer classify_error(const char *text)
{
    static const char *const elsewhere[] = {"MOVED",   "READONLY",   "CLUSTERDOWN", "NOLEADER",
                                            "LOADING", "MASTERDOWN", "TRYAGAIN",    "BUSY"};
    /* The two errors after which a write may still happen. */
    if (begins_with(text, "TIMEOUT") || begins_with(text, "UNKNOWN"))
        return ANSWER_UNKNOWN;
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (begins_with(text, elsewhere[i]))
            return ANSWER_ELSEWHERE;
    return ANSWER_REFUSED;
}

struct attempt {
    enum answer answer;
    redisReply *reply; /* owned; with ANSWER_REPLY only */
    char error[NODE_ERROR_SIZE];
    struct node_address moved; /* where a -MOVED points; port 0: nowhere */
};

static void attempt_on(const struct ctl *ctl, const struct node_address *node, int argc,
                       const char **argv, struct attempt *attempt)
{
    *attempt = (struct attempt){.answer = ANSWER_ELSEWHERE};
    redisContext *connection =
        node_connect(node, ctl->password, CONNECT_MS, ctl->reply_ms, attempt->error);
    if (!connection)
        return;
    redisReply *reply = redisCommandArgv(connection, argc, argv, NULL);
    if (!reply) {
        attempt->answer = ANSWER_UNKNOWN;
        snprintf(attempt->error, sizeof attempt->error, "no answer: %s", connection->errstr);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        attempt->answer = classify_error(reply->str);
        snprintf(attempt->error, sizeof attempt->error, "%.250s", reply->str);
        char ignored[NODE_ERROR_SIZE];
        if (begins_with(reply->str, "MOVED") &&
            !node_address_parse(&attempt->moved, strrchr(reply->str, ' ') + 1, ignored))
            attempt->moved.port = 0;
        freeReplyObject(reply);
    } else {
        attempt->answer = ANSWER_REPLY;
        attempt->reply = reply;
    }
    redisFree(connection);
}

/* One node, and where it sends us if it does. */
static void attempt_following(const struct ctl *ctl, const struct node_address *node, int argc,
                              const char **argv, struct attempt *attempt)
{
    attempt_on(ctl, node, argc, argv, attempt);
    if (attempt->moved.port != 0) {
        struct node_address moved = attempt->moved;
        attempt_on(ctl, &moved, argc, argv, attempt);
    }
}

static void explain(const struct node_address *node, const struct attempt *attempt)
{
    fprintf(stderr, "%s:%d: %s%s\n", node->host, node->port, attempt->error,
            node_advice(attempt->error));
}

/* Sends a command to the nodes in turn until one answers it.  `is_repeatable`: it does no harm to
 * send it again when its outcome is unknown (a read, or a write within ONCE). */
static enum answer ask(const struct ctl *ctl, bool is_repeatable, int argc, const char **argv,
                       redisReply **reply)
{
    int64_t deadline_ms = clock_ms() + (ctl->is_retried ? RETRY_MS : 0);
    bool is_unknown = false;
    while (true) {
        for (uint32_t i = 0; i < ctl->nodes_count; i++) {
            struct attempt attempt;
            attempt_following(ctl, &ctl->nodes[i], argc, argv, &attempt);
            *reply = attempt.reply;
            if (attempt.answer == ANSWER_REPLY)
                return ANSWER_REPLY;
            explain(&ctl->nodes[i], &attempt);
            if (attempt.answer == ANSWER_UNKNOWN)
                is_unknown = true;
            /* A refusal now says nothing about the copy that was sent before. */
            if (attempt.answer == ANSWER_REFUSED || (is_unknown && !is_repeatable))
                return is_unknown ? ANSWER_UNKNOWN : ANSWER_REFUSED;
        }
        if (clock_ms() >= deadline_ms)
            return is_unknown ? ANSWER_UNKNOWN : ANSWER_ELSEWHERE;
        pause_ms(RETRY_PAUSE_MS);
    }
}

/* ---- the verbs that are one command ---------------------------------------- */

static enum exit_code print_status_reply(const redisReply *reply)
{
    printf("%s\n", reply->type == REDIS_REPLY_STATUS ? reply->str : "done");
    return EXIT_DONE;
}

static enum exit_code print_value(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING) {
        fprintf(stderr, "no such key\n");
        return EXIT_NO;
    }
    fwrite(reply->str, 1, reply->len, stdout);
    putchar('\n');
    return EXIT_DONE;
}

static enum exit_code print_deleted(const redisReply *reply)
{
    bool was_there = reply->type == REDIS_REPLY_INTEGER && reply->integer > 0;
    printf("%s\n", was_there ? "deleted" : "no such key");
    return was_there ? EXIT_DONE : EXIT_NO;
}

static enum exit_code print_compared(const redisReply *reply)
{
    bool is_done = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    bool is_missing = reply->type == REDIS_REPLY_INTEGER && reply->integer == -1;
    printf("%s\n", is_done ? "done" : is_missing ? "no such key" : "the value differs");
    return is_done ? EXIT_DONE : EXIT_NO;
}

/* The client id of ONCE: 128 random bits, so that no two runs share a session. */
static void random_id(char *text)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
        perror("getrandom");
        exit(EXIT_NOT_DONE);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static enum exit_code run_command(const struct ctl *ctl, const struct verb *verb, char **arguments)
{
    const char *words[WORDS_MAX];
    int count = 0;
    char client[33];
    bool is_once = verb->is_write && ctl->is_retried;
    if (is_once) {
        random_id(client);
        words[count++] = "ONCE";
        words[count++] = client;
        words[count++] = "1";
    }
    words[count++] = verb->command;
    for (int i = 0; i < verb->arguments; i++)
        words[count++] = arguments[i];

    redisReply *reply;
    enum answer answer = ask(ctl, !verb->is_write || is_once, count, words, &reply);
    if (answer == ANSWER_REPLY) {
        enum exit_code code = verb->print(reply);
        freeReplyObject(reply);
        return code;
    }
    if (answer == ANSWER_UNKNOWN && verb->is_write) {
        fprintf(stderr, "the outcome is unknown: it may or may not have been done, or be yet\n");
        return EXIT_UNKNOWN;
    }
    fprintf(stderr, "not done\n");
    return EXIT_NOT_DONE;
}

/* ---- status ------------------------------------------------------------------- */

static const char *cell(int64_t value, char *text)
{
    if (value < 0)
        return "-";
    sprintf(text, "%" PRId64, value);
    return text;
}

static void print_row(const char *address, const struct node_status *status)
{
    char text[5][24];
    printf("%-5s %-22s %-13s %6s %7s %11s %11s\n", cell(status->node, text[0]), address,
           status->role, cell(status->term, text[1]), cell(status->leader, text[2]),
           cell(status->commit, text[3]), cell(status->applied, text[4]));
}

/* One node's view of the members; the leader's says how far each one's log agrees with its own. */
static void print_members(const redisReply *members)
{
    printf("\n%-5s %-22s %-9s %-9s %11s %11s\n", "node", "peer address", "connected", "active",
           "match", "lag");
    for (size_t i = 0; i < members->elements; i++) {
        const redisReply *member = members->element[i];
        const redisReply *peer = node_field(member, "peer");
        char text[3][24];
        printf("%-5s %-22s %-9s %-9s %11s %11s\n",
               cell(node_integer(node_field(member, "id"), -1), text[0]),
               peer && peer->str ? peer->str : "-",
               node_integer(node_field(member, "connected"), 0) ? "yes" : "no",
               node_integer(node_field(member, "active"), 0) ? "yes" : "no",
               cell(node_integer(node_field(member, "match"), -1), text[1]),
               cell(node_integer(node_field(member, "lag"), -1), text[2]));
    }
}

struct survey {
    uint32_t answered;
    bool has_leader;
    struct node_status
        best; /* of the leader, else of the highest term; owned if somebody answered */
    const struct node_address *address;
};

/* Two nodes can both say they lead for a moment: the one of the higher term is right. */
static bool is_better(const struct survey *survey, const struct node_status *status)
{
    bool leads = strcmp(status->role, "leader") == 0;
    if (survey->answered == 0 || leads != survey->has_leader)
        return survey->answered == 0 || leads;
    return status->term > survey->best.term;
}

static void survey_note(struct survey *survey, struct node_status *status,
                        const struct node_address *address)
{
    bool better = is_better(survey, status);
    if (better && survey->answered > 0)
        node_status_deinit(&survey->best);
    survey->answered++;
    if (!better) {
        node_status_deinit(status);
        return;
    }
    survey->has_leader = strcmp(status->role, "leader") == 0;
    survey->best = *status;
    survey->address = address;
}

static void survey_node(const struct ctl *ctl, const struct node_address *node,
                        struct survey *survey)
{
    char address[NODE_HOST_SIZE + 8];
    char error[NODE_ERROR_SIZE];
    snprintf(address, sizeof address, "%s:%d", node->host, node->port);
    redisContext *connection = node_connect(node, ctl->password, CONNECT_MS, ctl->reply_ms, error);
    struct node_status status;
    if (!connection || !node_status_read(connection, &status, error)) {
        printf("%-5s %-22s %s%s\n", "-", address, error, node_advice(error));
    } else {
        print_row(address, &status);
        survey_note(survey, &status, node);
    }
    if (connection)
        redisFree(connection);
}

/* Why nobody leads, as far as one node can see. */
static void print_reach(const struct node_status *status)
{
    const redisReply *members = node_field(status->reply, "members");
    uint32_t voters = 0, connected = 0;
    for (size_t i = 0; members && i < members->elements; i++) {
        if (!node_integer(node_field(members->element[i], "voter"), 0))
            continue;
        voters++;
        connected += node_integer(node_field(members->element[i], "connected"), 0) != 0;
    }
    if (voters > 0 && connected < voters / 2 + 1)
        printf("node %" PRId64 " is connected with %" PRIu32 " of %" PRIu32 " voters, itself "
               "included, and needs %" PRIu32 ": start others\n",
               status->node, connected, voters, voters / 2 + 1);
}

static void print_result(const struct survey *survey, uint32_t asked)
{
    if (survey->has_leader)
        printf("\nnode %" PRId64 " leads, at %s:%d, in term %" PRId64 "; ", survey->best.node,
               survey->address->host, survey->address->port, survey->best.term);
    else
        printf("\nnobody leads; ");
    printf("%" PRIu32 " of %" PRIu32 " nodes answer\n", survey->answered, asked);
    if (!survey->has_leader && survey->answered > 0)
        print_reach(&survey->best);
}

static enum exit_code run_status(const struct ctl *ctl, char **arguments)
{
    (void)arguments;
    struct survey survey = {0};
    printf("%-5s %-22s %-13s %6s %7s %11s %11s\n", "node", "address", "role", "term", "leader",
           "commit", "applied");
    for (uint32_t i = 0; i < ctl->nodes_count; i++)
        survey_node(ctl, &ctl->nodes[i], &survey);
    if (survey.answered > 0) {
        const redisReply *members = node_field(survey.best.reply, "members");
        if (members && members->type == REDIS_REPLY_ARRAY)
            print_members(members);
    }
    print_result(&survey, ctl->nodes_count);
    if (survey.answered > 0)
        node_status_deinit(&survey.best);
    return survey.has_leader ? EXIT_DONE : EXIT_NOT_DONE;
}

/* ---- members ------------------------------------------------------------------ */

static struct members_cluster cluster_of(const struct ctl *ctl)
{
    return (struct members_cluster){.nodes = ctl->nodes,
                                    .nodes_count = ctl->nodes_count,
                                    .password = ctl->password,
                                    .connect_ms = CONNECT_MS,
                                    .reply_ms = ctl->reply_ms};
}

static enum exit_code run_members(const struct ctl *ctl, char **arguments)
{
    struct members_cluster cluster = cluster_of(ctl);
    (void)arguments;
    return members_print(&cluster) ? EXIT_DONE : EXIT_NOT_DONE;
}

/* The command, and the words behind it; what is certainly not done is tried again for a while.
 * *id: of the reply, where that is a number. */
static enum exit_code ask_for_change(const struct ctl *ctl, const char *command, const char *verb,
                                     char **arguments, int64_t *id)
{
    struct ctl patient = *ctl;
    const char *words[WORDS_MAX] = {command, verb};
    int count = verb ? 2 : 1;
    redisReply *reply;
    for (; *arguments && count < WORDS_MAX; arguments++)
        words[count++] = *arguments;
    patient.is_retried = true;
    enum answer answer = ask(&patient, false, count, words, &reply);
    if (answer == ANSWER_UNKNOWN) {
        fprintf(stderr, "the outcome is unknown: look at `members`\n");
        return EXIT_UNKNOWN;
    }
    if (answer != ANSWER_REPLY) {
        fprintf(stderr, "not done\n");
        return EXIT_NOT_DONE;
    }
    if (reply->type == REDIS_REPLY_INTEGER)
        *id = reply->integer;
    freeReplyObject(reply);
    return EXIT_DONE;
}

/* About the data directory that the member has now: said once more, or arriving late, it is about
 * no other that has come into its place meanwhile. */
static enum exit_code ask_about_life(const struct ctl *ctl, const char *verb, char **arguments,
                                     int64_t *id)
{
    struct members_cluster cluster = cluster_of(ctl);
    static char name[] = "LIFE";
    char life[MEMBERS_LIFE_SIZE], *words[WORDS_MAX + 1] = {NULL};
    int count = 0;
    for (; *arguments && strcasecmp(*arguments, "force") != 0 && count < WORDS_MAX - 3; arguments++)
        words[count++] = *arguments;
    *id = strtoll(words[0], NULL, 10);
    members_life(&cluster, *id, life);
    if (life[0] != '\0') {
        words[count++] = name;
        words[count++] = life;
    }
    for (; *arguments && count < WORDS_MAX; arguments++)
        words[count++] = *arguments;
    return ask_for_change(ctl, "RAFT.NODE", verb, words, id);
}

/* Until the member is what it is to become. */
static enum exit_code change_and_follow(const struct ctl *ctl, const char *verb, char **arguments)
{
    struct members_cluster cluster = cluster_of(ctl);
    int64_t id = strtoll(arguments[0], NULL, 10);
    enum exit_code code = ask_for_change(ctl, "RAFT.NODE", verb, arguments, &id);
    if (code != EXIT_DONE)
        return code;
    return members_follow(&cluster, id) ? EXIT_DONE : EXIT_NO;
}

static enum exit_code run_add(const struct ctl *ctl, char **arguments)
{
    return change_and_follow(ctl, "ADD", arguments);
}

static enum exit_code run_replace(const struct ctl *ctl, char **arguments)
{
    struct members_cluster cluster = cluster_of(ctl);
    int64_t id;
    enum exit_code code = ask_about_life(ctl, "REPLACE", arguments, &id);
    if (code != EXIT_DONE)
        return code;
    return members_follow(&cluster, id) ? EXIT_DONE : EXIT_NO;
}

static enum exit_code run_promote(const struct ctl *ctl, char **arguments)
{
    return change_and_follow(ctl, "PROMOTE", arguments);
}

static enum exit_code say(enum exit_code code)
{
    if (code == EXIT_DONE)
        printf("done\n");
    return code;
}

static enum exit_code run_remove(const struct ctl *ctl, char **arguments)
{
    int64_t ignored;
    return say(ask_about_life(ctl, "REMOVE", arguments, &ignored));
}

static enum exit_code run_demote(const struct ctl *ctl, char **arguments)
{
    int64_t ignored;
    return say(ask_about_life(ctl, "DEMOTE", arguments, &ignored));
}

static enum exit_code run_transfer(const struct ctl *ctl, char **arguments)
{
    int64_t ignored;
    return say(ask_for_change(ctl, "RAFT.TRANSFER_LEADER", NULL, arguments, &ignored));
}

/* ---- backups ------------------------------------------------------------------ */

/* To the first node that can be reached: each has all that was committed, as far as it came.  NULL,
 * and said: none can be. */
static redisContext *connect_to_any(const struct ctl *ctl)
{
    char error[NODE_ERROR_SIZE];
    for (uint32_t i = 0; i < ctl->nodes_count; i++) {
        const struct node_address *node = &ctl->nodes[i];
        redisContext *connection =
            node_connect(node, ctl->password, CONNECT_MS, ctl->reply_ms, error);
        if (connection)
            return connection;
        fprintf(stderr, "%s:%d: %s%s\n", node->host, node->port, error, node_advice(error));
    }
    fprintf(stderr, "not done\n");
    return NULL;
}

static enum exit_code run_backup(const struct ctl *ctl, char **arguments)
{
    redisContext *connection = connect_to_any(ctl);
    if (!connection)
        return EXIT_NOT_DONE;
    bool is_done = backup_read(connection, arguments[0]);
    redisFree(connection);
    return is_done ? EXIT_DONE : EXIT_NOT_DONE;
}

static enum exit_code run_check(const struct ctl *ctl, char **arguments)
{
    redisContext *connection = connect_to_any(ctl);
    (void)arguments;
    if (!connection)
        return EXIT_NOT_DONE;
    enum comparing result = comparing_run(connection);
    redisFree(connection);
    switch (result) {
    case COMPARING_EQUAL: return EXIT_DONE;
    case COMPARING_DIFFERENT: return EXIT_NO;
    case COMPARING_UNKNOWN: break;
    }
    return EXIT_NOT_DONE;
}

static enum exit_code run_verify(const struct ctl *ctl, char **arguments)
{
    (void)ctl;
    return backup_verify(arguments[0]) ? EXIT_DONE : EXIT_NO;
}

_Noreturn static void usage_error(const char *what, const char *about);

static enum exit_code run_restore(const struct ctl *ctl, char **arguments)
{
    (void)ctl;
    if (strcmp(arguments[1], "--dir") != 0)
        usage_error("restore", "FILE --dir DIRECTORY");
    return backup_restore(arguments[0], arguments[2]) ? EXIT_DONE : EXIT_NOT_DONE;
}

/* ---- a majority lost for good ------------------------------------------------- */

static enum exit_code run_force(const struct ctl *ctl, char **arguments)
{
    char *directories[DIRECTORIES_MAX];
    uint32_t count = 0;
    bool is_agreed = false;
    (void)ctl;
    for (; *arguments; arguments++) {
        if (strcmp(*arguments, "--yes") == 0)
            is_agreed = true;
        else if (strcmp(*arguments, "--dir") == 0 && arguments[1] && count < DIRECTORIES_MAX)
            directories[count++] = *++arguments;
        else
            usage_error("force-new-cluster", "--dir DIRECTORY ... [--yes]");
    }
    if (count == 0)
        usage_error("force-new-cluster", "--dir is needed");
    if (count > 1 && is_agreed)
        usage_error("force-new-cluster", "several directories are compared, and none is changed");
    bool is_done = count > 1 ? force_compare(directories, count)
                             : force_new_cluster(directories[0], is_agreed);
    return is_done ? EXIT_DONE : EXIT_NOT_DONE;
}

/* ---- files of Redis ------------------------------------------------------------ */

static enum exit_code run_import(const struct ctl *ctl, char **arguments)
{
    (void)ctl;
    if (strcmp(arguments[1], "--dir") != 0)
        usage_error("import", "RDB-FILE --dir DIRECTORY");
    return rdb_import(arguments[0], arguments[2]) ? EXIT_DONE : EXIT_NOT_DONE;
}

static enum exit_code run_export(const struct ctl *ctl, char **arguments)
{
    const char *option = arguments[2];
    (void)ctl;
    if (option && strcmp(option, "--drop-field-deadlines") != 0)
        usage_error("export", "BACKUP RDB-FILE [--drop-field-deadlines]");
    return rdb_export(arguments[0], arguments[1], option) ? EXIT_DONE : EXIT_NOT_DONE;
}

/* ---- the table and the command line ------------------------------------------- */

static const struct verb verbs[] = {
    {"status", 0, 0, false, "status", NULL, NULL, run_status, false},
    {"get", 1, 0, false, "get KEY", "GET", print_value, NULL, false},
    {"put", 2, 0, true, "put KEY VALUE", "SET", print_status_reply, NULL, false},
    {"del", 1, 0, true, "del KEY", "DEL", print_deleted, NULL, false},
    {"cas", 3, 0, true, "cas KEY OLD NEW", "CAS", print_compared, NULL, false},
    {"cad", 2, 0, true, "cad KEY VALUE", "CAD", print_compared, NULL, false},
    {"members", 0, 0, false, "members", NULL, NULL, run_members, false},
    {"add", 1, 1, true, "add HOST:PORT [learner]   (its peer address)", NULL, NULL, run_add, false},
    {"remove", 1, 1, true, "remove NODE [force]", NULL, NULL, run_remove, false},
    {"replace", 1, 2, true, "replace NODE [HOST:PORT] [force]", NULL, NULL, run_replace, false},
    {"promote", 1, 0, true, "promote NODE", NULL, NULL, run_promote, false},
    {"demote", 1, 1, true, "demote NODE [force]", NULL, NULL, run_demote, false},
    {"transfer", 0, 1, true, "transfer [NODE]", NULL, NULL, run_transfer, false},
    {"check", 0, 0, false, "check   (whether all members have the same data)", NULL, NULL,
     run_check, false},
    {"backup", 1, 0, false, "backup FILE", NULL, NULL, run_backup, false},
    {"verify", 1, 0, false, "verify FILE", NULL, NULL, run_verify, true},
    {"restore", 3, 0, false, "restore FILE --dir DIRECTORY", NULL, NULL, run_restore, true},
    {"force-new-cluster", 2, 2 * DIRECTORIES_MAX, false,
     "force-new-cluster --dir DIRECTORY [--yes]   (when a majority is lost for good)\n"
     "  force-new-cluster --dir DIRECTORY --dir DIRECTORY ...   (which has the longest log)",
     NULL, NULL, run_force, true},
    {"import", 3, 0, false, "import RDB-FILE --dir DIRECTORY   (of Redis 2.6 to 7.2)", NULL, NULL,
     run_import, true},
    {"export", 2, 1, false,
     "export BACKUP RDB-FILE [--drop-field-deadlines]   (for Redis from 7.0 on)", NULL, NULL,
     run_export, true},
};

static void print_usage(FILE *file)
{
    fprintf(file, "usage: redis-raft-ctl --cluster host:port,host:port,... [options] VERB ...\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        fprintf(file, "  %s\n", verbs[i].usage);
    fprintf(file,
            "options:\n"
            "  --password P   authenticate; otherwise the environment's REDISCLI_AUTH is used\n"
            "  --timeout MS   how long one node may take to answer (default %d)\n"
            "  --retry        send a write as ONCE, and again until it is answered or %d s passed\n"
            "exit status:\n"
            "  %d  done; the key was there; somebody leads\n"
            "  %d  answered with no: no such key, or the value differs; the backup is not sound;\n"
            "     members have other data than others\n"
            "  %d  a write whose outcome is unknown: it may or may not have been done\n"
            "  %d  certainly not done; nobody leads\n"
            "  %d  wrong usage\n",
            REPLY_MS, RETRY_MS / 1000, EXIT_DONE, EXIT_NO, EXIT_UNKNOWN, EXIT_NOT_DONE, EXIT_USAGE);
}

_Noreturn static void usage_error(const char *what, const char *about)
{
    fprintf(stderr, "redis-raft-ctl: %s%s%s\n", what, about ? ": " : "", about ? about : "");
    fprintf(stderr, "redis-raft-ctl --help shows what there is\n");
    exit(EXIT_USAGE);
}

static void options_parse(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {
        {"cluster", required_argument, NULL, 'c'}, {"password", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 't'}, {"retry", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    char error[NODE_ERROR_SIZE];
    int option;
    /* '+': options end at the verb, so that a value may begin with a dash. */
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            if (!node_addresses_parse(ctl->nodes, &ctl->nodes_count, optarg, error))
                usage_error("--cluster", error);
            break;
        case 'p': ctl->password = optarg; break;
        case 't':
            ctl->reply_ms = atoi(optarg);
            if (ctl->reply_ms < 1)
                usage_error("--timeout", "a number of milliseconds, at least 1");
            break;
        case 'r': ctl->is_retried = true; break;
        case 'h': print_usage(stdout); exit(EXIT_DONE);
        default: usage_error("wrong option", NULL);
        }
    }
}

static const struct verb *verb_lookup(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcasecmp(name, verbs[i].name) == 0)
            return &verbs[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static struct ctl ctl = {.reply_ms = REPLY_MS};
    signal(SIGPIPE, SIG_IGN);
    ctl.password = getenv("REDISCLI_AUTH"); /* as redis-cli: keeps it out of the process list */
    options_parse(&ctl, argc, argv);
    if (optind == argc)
        usage_error("a verb is needed", NULL);
    const struct verb *verb = verb_lookup(argv[optind]);
    if (!verb)
        usage_error("unknown verb", argv[optind]);
    if (ctl.nodes_count == 0 && !verb->is_offline)
        usage_error("--cluster is needed", NULL);
    int given = argc - optind - 1;
    if (given < verb->arguments || given > verb->arguments + verb->more)
        usage_error("wrong number of arguments", verb->usage);
    return verb->run ? verb->run(&ctl, argv + optind + 1)
                     : run_command(&ctl, verb, argv + optind + 1);
}
