/* Long writes are computed before they are proposed, by the leader, so that they do not hold up
 * what others write: see src/README.md.
 *
 * Such a request stays where it waits, and with it what its client sent later; all others go on.
 * One is prepared at a time, a slice a turn, in the order in which they came; it begins behind what
 * was in the log when its turn came, since an entry before it may well be its own client's and
 * change what it looks at.  When that has ended it is proposed as any write, whether anything came
 * of it or not: nothing but time depends on it.  Where entries change what it looks at it begins
 * anew, a few times, and is then proposed without; so it is where they leave it no room for long,
 * since its deadline does not count meanwhile.
 *
 * What is prepared belongs to a request of this leader: it ends with the request, and with the
 * office.  The request was not proposed then, so it goes to the next leader as any that waits. */
#include "base/fatal.h"
#include "base/prng.h"
#include "replica/replica_internal.h"

enum {
    TRIES_MAX = 3,
    STARVED_MS = 10000 /* longer than most checkpoints: each makes room */
};

enum preparation {
    NOT_ASKED,
    WANTED,    /* others come first */
    UNDER_WAY, /* replica->preparing */
    OVER       /* or not wanted: to be proposed */
};

static struct apply_context context_of(const struct replica *replica, const struct request *request)
{
    return (struct apply_context){.meaning = request->admitted,
                                  .database = request->database,
                                  .now_ms = replica_read_time_ms(replica),
                                  .seed = replica->preparing_seed,
                                  .protocol = request->protocol,
                                  .value_max = replica->value_max};
}

static void begin(struct replica *replica, struct request *request)
{
    check(replica_leads(replica));
    check(!replica->preparing || replica->preparing == request);
    check(request->kind == REQUEST_WRITE);
    check(request->place == REQUEST_WAITING || request->place == REQUEST_RETURNED);
    check(request->preparations < TRIES_MAX);
    if (request->preparations == 0)
        replica->preparing_since_ms = replica->now_ms;
    request->preparation = UNDER_WAY;
    request->preparations++;
    replica->preparing = request;
    replica->preparing_went_on_ms = replica->now_ms;
    replica->preparing_seed = prng_next(&replica->prng);
    replica->preparing_from_ms = replica->log_time_ms;
    replica->preparing_behind = replica->status.last.index;
}

static bool is_wanted(const struct replica *replica, const struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct bytes command = blob_bytes(request->command);
    if (!machine->ops->may_prepare(machine, command))
        return false;
    struct apply_context context = context_of(replica, request);
    return machine->ops->prepares(machine, &context, command);
}

bool replica_prepare_take(struct replica *replica, struct request *request)
{
    check(request->preparation != UNDER_WAY || replica->preparing == request);
    check(request->admitted > 0);
    if (request->preparation == NOT_ASKED)
        request->preparation = is_wanted(replica, request) ? WANTED : OVER;
    if (request->preparation == WANTED && !replica->preparing)
        begin(replica, request);
    return request->preparation == OVER;
}

bool replica_prepare_is_under_way(const struct replica *replica, const struct request *request)
{
    return request == replica->preparing && request->preparation == UNDER_WAY;
}

/* Neither what was in the log before it nor an entry that is half done is in its way. */
static bool may_go_on(const struct replica *replica)
{
    const struct request *request = replica->preparing;
    return request && request->preparation == UNDER_WAY && replica_leads(replica) &&
           !replica->applying.payload && replica->status.applied >= replica->preparing_behind;
}

/* What is made is memory like what entries change: it waits for room, and where the last one's is
 * not taken by a checkpoint yet, for that; entries do not (db_ready()). */
bool replica_prepare_waits(const struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    return may_go_on(replica) && !replica->lacks_view && machine->ops->ready_for_large(machine);
}

static bool is_starved(const struct replica *replica)
{
    return may_go_on(replica) && replica->now_ms - replica->preparing_went_on_ms >= STARVED_MS;
}

/* The time that it took does not count. */
static void put_off(struct replica *replica, struct request *request)
{
    check(replica->now_ms >= replica->preparing_since_ms);
    request_put_off(replica, request, replica->now_ms - replica->preparing_since_ms);
}

/* It is to be proposed. */
static void end(struct replica *replica, struct request *request)
{
    request->preparation = OVER;
    put_off(replica, request);
    replica->try_waiting = true;
}

static bool go_on(struct replica *replica, struct request *request)
{
    struct state_machine *machine = replica->options.machine;
    struct apply_context context = context_of(replica, request);
    enum preparing come = machine->ops->prepare(machine, &context, request->command);
    if (come == PREPARING_NOT_NOW) {
        replica->lacks_view = true;
        return false;
    }
    replica->preparing_went_on_ms = replica->now_ms;
    if (come == PREPARING_CHANGED && request->preparations < TRIES_MAX)
        begin(replica, request);
    else if (come != PREPARING_MORE)
        end(replica, request);
    return true;
}

bool replica_prepare_some(struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    struct request *request = replica->preparing;
    bool waits = replica_prepare_waits(replica);
    check(!waits || request->place == REQUEST_WAITING || request->place == REQUEST_RETURNED);
    if (waits && go_on(replica, request))
        return true;
    if (!is_starved(replica))
        return false;
    machine->ops->prepare_drop(machine);
    end(replica, request);
    return true;
}

bool replica_prepare_propose(struct replica *replica, const struct request *request,
                             struct apply_context *context, struct command_parts *parts)
{
    struct state_machine *machine = replica->options.machine;
    *parts = (struct command_parts){.list = {blob_bytes(request->command)}, .count = 1};
    if (request != replica->preparing)
        return false;
    check(request->preparation == OVER);
    context->seed = replica->preparing_seed;
    return machine->ops->prepared_as(machine, replica->preparing_from_ms, context->now_ms, parts);
}

static void leave(struct replica *replica)
{
    struct state_machine *machine = replica->options.machine;
    check(replica->preparing);
    machine->ops->prepare_drop(machine);
    replica->preparing = NULL;
    replica->try_waiting = true; /* for the next */
}

void replica_prepare_office_lost(struct replica *replica)
{
    struct request *request = replica->preparing;
    if (!request)
        return;
    check(request->place == REQUEST_WAITING || request->place == REQUEST_RETURNED);
    if (request->preparation == UNDER_WAY)
        put_off(replica, request);
    request->preparation = NOT_ASKED;
    request->preparations = 0;
    request_drop_payload(replica, request); /* of the words of this preparation */
    leave(replica);
}

void replica_prepare_ends(struct replica *replica, const struct request *request)
{
    if (request == replica->preparing)
        leave(replica);
}
