/* A node that asks to be taken in.  It says a hello on a channel of its own, to no node and of no
 * cluster, since it knows neither; with its life, and where members can dial it.  When it has
 * proved itself the member that it asked asks the leader, as it would for a client, and tells it
 * what has come of that, in one more line:
 *
 *     +JOINED cluster id       hex, decimal; it is in the list of members
 *     -...                     why not
 *
 * It asks again if it hears nothing: one of its life is taken in once. */
#include <inttypes.h>

#include "command/change.h"
#include "net/peer_internal.h"

/* Clients count from 1 up. */
static uint64_t client_of(uint64_t number)
{
    return UINT64_MAX - number;
}

static void print_outcome(const struct peers *peers, enum request_outcome outcome,
                          struct bytes reply, struct buffer *text)
{
    if (outcome != REQUEST_DONE || reply.size < 3)
        buffer_printf(text, "-TRYAGAIN the cluster has no leader, or does not answer\r\n");
    else if (*(const char *)reply.data == ':')
        buffer_printf(text, "+JOINED %016" PRIx64 " %.*s", peers->options.cluster,
                      (int)reply.size - 1, (const char *)reply.data + 1);
    else
        buffer_append(text, reply.data, reply.size);
}

static void on_done(void *context, struct request *request, enum request_outcome outcome,
                    struct bytes reply)
{
    struct inbound *inbound = context;
    struct buffer text = {0};
    (void)request;
    inbound->joining = 0;
    print_outcome(inbound->peers, outcome, reply, &text);
    inbound_say(inbound, &text);
}

void inbound_join(struct inbound *inbound)
{
    struct peers *peers = inbound->peers;
    const struct handshake *hello = &inbound->handshake;
    struct replica_change change = {.life = hello->dialer_node.life, .meaning = hello->meaning};
    memcpy(change.address, hello->peer_address, sizeof change.address);
    memcpy(change.client, hello->client_address, sizeof change.client);
    inbound->joining = client_of(++peers->joins);
    struct request *request =
        request_new(REQUEST_WRITE, 2, inbound->joining, command_join(&change), on_done, inbound);
    request->deadline_ms =
        loop_now_ms(peers->options.loop) + peers->options.config->request_timeout;
    replica_submit(peers->replica, request);
}

void inbound_join_forget(struct inbound *inbound)
{
    if (inbound->joining)
        replica_abandon(inbound->peers->replica, inbound->joining);
    inbound->joining = 0;
}
