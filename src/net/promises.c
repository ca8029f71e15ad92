/* Answers that leave without the loop.  The answer to an append waits for a write, and the log
 * writer's thread is the first to know that it is durable.  To wake the loop for it costs a client
 * the time of that wake; so the loop gives the thread the bytes beforehand, and hears of the write
 * when it comes to it.
 *
 *     loop:    peers_promise() ....... link_flush() holds, writes, lets go ....... peers_has_said()
 *     writer:             peers_durable(): says the newest that is durable
 *
 * Both write to one connection, each with the mutex, and each only whole messages: while the loop
 * is in the midst of one, since the socket is full, the thread says nothing.  What it could not say
 * the loop says, as ever; messages of the core may overtake each other.  Should the socket take
 * half an answer from the thread, the connection is closed: messages may be lost with it.
 *
 * All that are promised are for one connection, to the leader, and go with it.
 *
 * An answer is true as soon as its write is durable, and stays so whatever the core does meanwhile:
 * it names the term in which the entries were taken, and the disk has that term and them before
 * anything that is written later.  (In proofs/coq/Model.v that is s_send_ack, which asks the
 * durable image and nothing else.)  It is taken back in a later term all the same, so that nothing
 * leaves that the core would not say itself.
 *
 * Who writes a trace is told of each before it leaves, with the mutex.  So its line stands before
 * all that others make of it; and where a step leaves the term, before the next one of the core,
 * for between the two peers_take_back() waits for the mutex. */
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "net/peer_internal.h"

struct promises *peers_promises_new(void)
{
    struct promises *promises = memory_new(sizeof *promises);
    pthread_mutex_init(&promises->mutex, NULL);
    return promises;
}

void peers_promises_free(struct promises *promises)
{
    check(!promises->link);
    pthread_mutex_destroy(&promises->mutex);
    memory_free(promises);
}

static void forget(struct promises *promises)
{
    promises->count = 0;
    promises->has_said = false;
}

/* With the mutex. */
static bool say(struct peers *peers, const struct promise *promise, uint64_t durable)
{
    struct promises *promises = peers->promises;
    if (peers->options.saying)
        peers->options.saying(peers->options.saying_context, &promise->message, durable);
    size_t taken = stream_write_aside(&promises->link->stream, promise->bytes, promise->size);
    promises->said_bytes += taken;
    promises->has_said = taken == promise->size;
    promises->is_torn = taken > 0 && taken < promise->size;
    promises->said = promise->message;
    return promises->has_said;
}

bool peers_durable(struct peers *peers, uint64_t seq)
{
    struct promises *promises = peers->promises;
    uint32_t ripe = 0;
    pthread_mutex_lock(&promises->mutex);
    while (ripe < promises->count && promises->list[ripe].seq <= seq)
        ripe++;
    bool may_say = ripe > 0 && !promises->is_in_midst && !promises->is_torn;
    bool is_said = may_say && say(peers, &promises->list[ripe - 1], seq);
    promises->durable = seq;
    promises->count -= ripe;
    memmove(promises->list, promises->list + ripe, promises->count * sizeof promises->list[0]);
    pthread_mutex_unlock(&promises->mutex);
    return ripe == 0 || is_said;
}

/* ---- the loop's side --------------------------------------------------------------------- */

static void encode(struct promise *promise, const struct raft_message *message)
{
    struct outbox bytes = {0};
    wire_encode_message(&bytes, message, NULL, 0);
    promise->size = outbox_size(&bytes);
    check(promise->size <= sizeof promise->bytes);
    memcpy(promise->bytes, bytes.bytes.data, promise->size);
    outbox_deinit(&bytes);
}

bool peers_promise(struct peers *peers, struct link *link, const struct raft_message *message,
                   uint64_t seq)
{
    struct promises *promises = peers->promises;
    struct promise promise = {.seq = seq, .message = *message};
    check(link->state == LINK_UP);
    encode(&promise, message);
    pthread_mutex_lock(&promises->mutex);
    if (promises->link != link) {
        forget(promises);
        promises->link = link;
        promises->is_in_midst = link->stream.full;
        promises->is_torn = false;
    }
    bool is_taken = seq > promises->durable && promises->count < PROMISES_MAX;
    if (is_taken)
        promises->list[promises->count++] = promise;
    pthread_mutex_unlock(&promises->mutex);
    return is_taken;
}

void peers_take_back(struct peers *peers)
{
    pthread_mutex_lock(&peers->promises->mutex);
    forget(peers->promises);
    pthread_mutex_unlock(&peers->promises->mutex);
}

bool peers_has_said(struct peers *peers, const struct raft_message *message)
{
    struct promises *promises = peers->promises;
    pthread_mutex_lock(&promises->mutex);
    bool has_said = promises->has_said && raft_answer_covers(&promises->said, message);
    pthread_mutex_unlock(&promises->mutex);
    return has_said;
}

uint64_t peers_said_bytes(const struct peers *peers)
{
    pthread_mutex_lock(&peers->promises->mutex);
    uint64_t bytes = peers->promises->said_bytes;
    pthread_mutex_unlock(&peers->promises->mutex);
    return bytes;
}

/* ---- the connection ------------------------------------------------------------------------ */

bool link_hold(struct link *link)
{
    struct promises *promises = link->peer->peers->promises;
    if (promises->link != link)
        return true;
    pthread_mutex_lock(&promises->mutex);
    if (!promises->is_torn)
        return true;
    pthread_mutex_unlock(&promises->mutex);
    return false;
}

void link_let_go(struct link *link)
{
    struct promises *promises = link->peer->peers->promises;
    if (promises->link != link)
        return;
    promises->is_in_midst = link->stream.full;
    pthread_mutex_unlock(&promises->mutex);
}

void link_forget_promises(struct link *link)
{
    struct promises *promises = link->peer->peers->promises;
    if (promises->link != link)
        return;
    pthread_mutex_lock(&promises->mutex);
    forget(promises);
    promises->link = NULL;
    pthread_mutex_unlock(&promises->mutex);
}
