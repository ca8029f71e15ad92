/* See checks.h. */
#include "server/checks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "replica/stamp.h"
#include "server/check_reader.h"
#include "server/check_round.h"

enum {
    TICK_MS = 100,         /* between looks at the clock */
    AGAIN_MS = 1000,       /* what was not proposed is proposed again */
    LOOK_AGAIN_MS = 60000, /* a check in which somebody could not look is repeated after so long */
    PATIENCE_MS = 30000    /* that members get more than this node took; then they are missing */
};

/* As clients' of whom requests come: no client and nobody who joins has these numbers. */
static const uint64_t client_of_begin = 1ull << 62, client_of_finding = (1ull << 62) + 1;

/* Readers of checks that are over, until their threads have noticed. */
struct ended {
    struct ended *next;
    struct check_reader *reader;
};

struct server_checks {
    struct command_checks port; /* first */
    struct server_checks_options options;
    struct state_machine *machine;
    struct replica *replica;
    struct check_round round;

    uint64_t asked_id; /* of a check that this node has asked for and not heard of; 0: none */
    bool is_asking;    /* its request is under way */
    uint64_t failed_id;
    char error[256]; /* why it did not begin */

    struct check_reader *reader; /* of the round; NULL: it has ended, or there is none */
    uint64_t bytes, bytes_expected;
    struct ended *ended;

    /* What this node found, until it is heard. */
    struct command_check_notice finding; /* kind CHECK_NOTHING: none */
    bool is_proposing;
    int64_t propose_ms;

    int64_t began_ms; /* of the round; before there is one, the start */
    int64_t due_ms;   /* another one, before check-interval wants it; 0: no */
    int64_t end_ms;   /* nobody is waited for any longer; 0: this node has not answered itself */
    int64_t looked_ms;
    bool has_looked; /* this process has: what it hears of itself it has found */
    bool is_said;    /* what came of the round is in the log */
    bool is_different_said[RAFT_MEMBERS_MAX];
    bool is_leaving;
};

static int64_t now_ms(const struct server_checks *checks)
{
    return checks->options.now_ms(checks->options.context);
}

static raft_node_id me(const struct server_checks *checks)
{
    return (raft_node_id)checks->options.config->me;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void submit(struct server_checks *checks, const struct command_check_notice *notice,
                   uint64_t client, request_done *done)
{
    struct request *request =
        request_new(REQUEST_WRITE, 2, client, command_check_encode(notice), done, checks);
    request->deadline_ms = now_ms(checks) + checks->options.config->request_timeout;
    replica_submit(checks->replica, request);
}

static void fail(struct server_checks *checks, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail(struct server_checks *checks, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(checks->error, sizeof checks->error, format, arguments);
    va_end(arguments);
    checks->failed_id = checks->asked_id;
    checks->asked_id = 0;
    checks->options.told(checks->options.context);
}

/* What does not say that it was done is no more than a word: an entry that is heard counts. */
static void on_asked(void *context, struct request *request, enum request_outcome outcome,
                     struct bytes reply)
{
    struct server_checks *checks = context;
    const char *text = reply.data;
    (void)request;
    checks->is_asking = false;
    if (checks->asked_id == 0 || (outcome == REQUEST_DONE && reply.size > 0 && *text == '+'))
        return;
    if (outcome == REQUEST_DONE && reply.size > 3)
        fail(checks, "%.*s", (int)reply.size - 3, text + 1);
    else
        fail(checks, "TRYAGAIN the cluster has no leader, or does not answer");
}

/* As far as this node has heard; a leader that does not know the command would say less. */
static bool do_all_know(const struct server_checks *checks)
{
    struct replica_status status;
    replica_status(checks->replica, &status);
    return status.meaning >= STAMP_MEANING_CHECKS;
}

static void ask(struct server_checks *checks)
{
    checks->asked_id = checks->options.draw(checks->options.context);
    checks->failed_id = 0;
    checks->error[0] = '\0';
    if (!do_all_know(checks)) {
        fail(checks,
             "ERR RAFT.CHECK needs meaning %u, and not every member has said that it knows "
             "that: start each of them once, upgrade the older",
             STAMP_MEANING_CHECKS);
        return;
    }
    checks->is_asking = true;
    const struct command_check_notice notice = {.kind = CHECK_BEGINS, .id = checks->asked_id};
    submit(checks, &notice, client_of_begin, on_asked);
}

static void on_proposed(void *context, struct request *request, enum request_outcome outcome,
                        struct bytes reply)
{
    struct server_checks *checks = context;
    (void)request;
    (void)outcome;
    (void)reply;
    checks->is_proposing = false;
    checks->propose_ms = now_ms(checks) + AGAIN_MS; /* unless it is heard before */
}

static void propose(struct server_checks *checks)
{
    if (checks->finding.kind == CHECK_NOTHING || checks->is_proposing ||
        now_ms(checks) < checks->propose_ms)
        return;
    checks->is_proposing = true;
    submit(checks, &checks->finding, client_of_finding, on_proposed);
}

/* ---- what this node has --------------------------------------------------------------------- */

static void put_aside(struct server_checks *checks)
{
    if (!checks->reader)
        return;
    struct ended *ended = memory_new(sizeof *ended);
    ended->reader = checks->reader;
    checks->reader = NULL;
    server_check_reader_stop(ended->reader);
    LL_PREPEND(checks->ended, ended);
}

/* `waits`: for those that are not done. */
static void free_ended(struct server_checks *checks, bool waits)
{
    struct ended *ended, *following;
    struct db_snapshot_about about;
    uint64_t hash;
    LL_FOREACH_SAFE(checks->ended, ended, following)
    {
        if (!waits && !server_check_reader_is_done(ended->reader))
            continue;
        LL_DELETE(checks->ended, ended);
        (void)server_check_reader_end(ended->reader, &about, &hash);
        memory_free(ended);
    }
}

static void find(struct server_checks *checks, enum command_check_found found,
                 const struct db_snapshot_about *about, uint64_t hash)
{
    checks->finding = (struct command_check_notice){.kind = CHECK_FOUND,
                                                    .id = checks->round.id,
                                                    .node = me(checks),
                                                    .life = checks->options.life,
                                                    .found = found,
                                                    .hash = hash,
                                                    .rows = about->rows,
                                                    .bytes = about->bytes};
    checks->propose_ms = 0;
}

static void start_reader(struct server_checks *checks)
{
    const struct server_checks_options *options = &checks->options;
    const struct db_snapshot_about nothing = {0};
    struct db_content *content = db_content_new(options->db);
    checks->bytes = 0;
    checks->bytes_expected = db_snapshot_expected(options->kv);
    if (!content) {
        find(checks, CHECK_BUSY, &nothing, 0);
        return;
    }
    const struct check_reader_options reader = {.content = content,
                                                .bandwidth = options->config->snapshot_bandwidth,
                                                .wake = options->wake,
                                                .wake_context = options->wake_context};
    checks->reader = server_check_reader_start(&reader);
}

static void end_reader(struct server_checks *checks)
{
    struct db_snapshot_about about;
    uint64_t hash;
    bool is_whole = server_check_reader_end(checks->reader, &about, &hash);
    check(is_whole); /* nobody stopped it */
    checks->reader = NULL;
    checks->bytes = about.bytes;
    checks->has_looked = true;
    find(checks, CHECK_HASHED, &about, hash);
}

/* ---- what is heard -------------------------------------------------------------------------- */

static void say_difference(struct server_checks *checks, uint32_t place)
{
    const struct check_round_member *member = &checks->round.members[place];
    uint64_t hash;
    if (checks->is_different_said[place] ||
        server_check_round_state(&checks->round, member->id) != SERVER_CHECK_MEMBER_DIFFERS)
        return;
    (void)server_check_round_majority(&checks->round, &hash);
    checks->is_different_said[place] = true;
    log_warning("check of entry %" PRIu64 ": the data of node %" PRIu64
                " differ from those of the majority: %016" PRIx64 ", not %016" PRIx64 " (%" PRIu64
                " rows, %" PRIu64 " bytes)",
                checks->round.index, member->id, member->hash, hash, member->rows, member->bytes);
}

/* Nobody is waited for any more, or all are there. */
static bool is_under_way(const struct server_checks *checks)
{
    return checks->round.id != 0 && !server_check_round_is_over(&checks->round) &&
           (checks->end_ms == 0 || now_ms(checks) < checks->end_ms);
}

static enum server_check_verdict verdict_of(const struct server_checks *checks)
{
    enum server_check_verdict verdict = server_check_round_verdict(&checks->round);
    bool is_given_up = verdict == SERVER_CHECK_RUNNING && !is_under_way(checks);
    return is_given_up ? SERVER_CHECK_INCOMPLETE : verdict;
}

static void say_end(struct server_checks *checks)
{
    uint32_t answers = 0;
    if (checks->round.id == 0 || checks->is_said || is_under_way(checks))
        return;
    checks->is_said = true;
    for (uint32_t i = 0; i < checks->round.count; i++)
        answers += checks->round.members[i].has_answered;
    enum server_check_verdict verdict = verdict_of(checks);
    log_notice("check of entry %" PRIu64 ": %" PRIu32 " of %" PRIu32 " members have answered: %s",
               checks->round.index, answers, checks->round.count, command_check_verdict(verdict));
    if (verdict == SERVER_CHECK_UNDECIDED)
        log_warning("check of entry %" PRIu64 ": the data of members differ, and no majority has "
                    "the same",
                    checks->round.index);
    if (verdict == SERVER_CHECK_INCOMPLETE && answers == checks->round.count)
        checks->due_ms = now_ms(checks) + LOOK_AGAIN_MS;
    checks->options.told(checks->options.context);
}

static void leave_if_told(struct server_checks *checks)
{
    if (!checks->has_looked || checks->is_leaving ||
        checks->options.config->check_difference != CHECK_DIFFERENCE_STOP ||
        server_check_round_state(&checks->round, me(checks)) != SERVER_CHECK_MEMBER_DIFFERS)
        return;
    checks->is_leaving = true;
    log_warning("this node stops, as check-difference says: what its data directory holds of entry "
                "%" PRIu64 " is not what a majority holds; it is to be replaced "
                "(RAFT.NODE REPLACE %" PRIu64 ", and an empty directory)",
                checks->round.index, me(checks));
    checks->options.leave(checks->options.context);
}

static void look(struct server_checks *checks)
{
    for (uint32_t i = 0; i < checks->round.count; i++)
        say_difference(checks, i);
    say_end(checks);
    leave_if_told(checks);
    checks->options.told(checks->options.context);
}

static void hear_begin(struct server_checks *checks, struct raft_pos pos, uint64_t id)
{
    const struct raft_members *members = replica_members(checks->replica, NULL);
    if (checks->round.id != 0 && !checks->is_said)
        log_notice("check of entry %" PRIu64 ": another one begins", checks->round.index);
    put_aside(checks);
    server_check_round_begin(&checks->round, id, pos.index, members);
    checks->finding = (struct command_check_notice){.kind = CHECK_NOTHING};
    checks->asked_id = 0; /* this one is as good */
    checks->has_looked = false;
    checks->is_said = false;
    memset(checks->is_different_said, 0, sizeof checks->is_different_said);
    checks->error[0] = '\0';
    checks->began_ms = now_ms(checks);
    checks->due_ms = 0;
    checks->end_ms = 0;
    log_verbose("check of entry %" PRIu64 ": begins", pos.index);
    if (server_check_round_is_asked(&checks->round, me(checks)))
        start_reader(checks);
    else
        checks->end_ms = now_ms(checks) + PATIENCE_MS;
    checks->options.told(checks->options.context);
}

static void on_heard(struct command_checks *port, struct raft_pos pos,
                     const struct command_check_notice *notice)
{
    struct server_checks *checks = (struct server_checks *)port;
    if (notice->kind == CHECK_BEGINS) {
        hear_begin(checks, pos, notice->id);
        return;
    }
    if (!server_check_round_take(&checks->round, notice))
        return;
    if (notice->node == me(checks)) { /* of this process, or, in a replay, of one before */
        checks->finding.kind = CHECK_NOTHING;
        put_aside(checks);
        checks->end_ms = 2 * now_ms(checks) - checks->began_ms + PATIENCE_MS;
    }
    look(checks);
}

/* ---- time ----------------------------------------------------------------------------------- */

void server_checks_poll(struct server_checks *checks)
{
    free_ended(checks, false);
    if (checks->reader && server_check_reader_is_done(checks->reader))
        end_reader(checks);
    propose(checks);
}

static bool is_time(const struct server_checks *checks)
{
    int64_t interval_ms = checks->options.config->check_interval * 1000, now = now_ms(checks);
    bool is_due = interval_ms > 0 && ((checks->due_ms > 0 && now >= checks->due_ms) ||
                                      now - checks->began_ms >= interval_ms);
    struct replica_status status;
    if (!is_due || checks->is_asking)
        return false;
    replica_status(checks->replica, &status);
    return status.serving && status.meaning >= STAMP_MEANING_CHECKS;
}

void server_checks_tick(struct server_checks *checks)
{
    if (now_ms(checks) - checks->looked_ms < TICK_MS)
        return;
    checks->looked_ms = now_ms(checks);
    propose(checks);
    say_end(checks);
    if (is_time(checks))
        ask(checks);
}

/* ---- what clients ask ----------------------------------------------------------------------- */

uint64_t server_checks_begin(struct server_checks *checks)
{
    if (checks->asked_id == 0 && is_under_way(checks))
        return checks->round.id;
    if (checks->asked_id == 0)
        ask(checks);
    return checks->asked_id ? checks->asked_id : checks->failed_id;
}

bool server_checks_is_over(const struct server_checks *checks, uint64_t id)
{
    if (id == checks->asked_id)
        return false;
    return id == checks->failed_id || !is_under_way(checks);
}

void server_checks_describe(const struct server_checks *checks, struct server_check *about)
{
    const struct check_round *round = &checks->round;
    *about = (struct server_check){.verdict = SERVER_CHECK_RUNNING};
    memcpy(about->error, checks->error, sizeof about->error);
    about->id = checks->asked_id;
    if (checks->asked_id != 0 || round->id == 0)
        return;
    about->id = round->id;
    about->index = round->index;
    about->verdict = verdict_of(checks);
    about->bytes = checks->reader ? server_check_reader_bytes(checks->reader) : checks->bytes;
    about->bytes_expected = checks->bytes_expected;
    about->members_count = round->count;
    for (uint32_t i = 0; i < round->count; i++)
        about->members[i] = (struct server_check_member){
            .id = round->members[i].id,
            .state = server_check_round_state(round, round->members[i].id),
            .hash = round->members[i].hash,
            .rows = round->members[i].rows,
            .bytes = round->members[i].bytes};
}

/* ---- life ----------------------------------------------------------------------------------- */

struct server_checks *server_checks_new(const struct server_checks_options *options)
{
    struct server_checks *checks = memory_new(sizeof *checks);
    checks->port.heard = on_heard;
    checks->options = *options;
    checks->began_ms = now_ms(checks);
    return checks;
}

void server_checks_connect(struct server_checks *checks, struct state_machine *machine,
                           struct replica *replica)
{
    checks->machine = machine;
    checks->replica = replica;
    command_machine_check(machine, &checks->port);
}

void server_checks_free(struct server_checks *checks)
{
    command_machine_check(checks->machine, NULL);
    replica_abandon(checks->replica, client_of_begin);
    replica_abandon(checks->replica, client_of_finding);
    put_aside(checks);
    free_ended(checks, true);
    memory_free(checks);
}
