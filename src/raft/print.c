#include "raft/print.h"

#include <inttypes.h>

#include "base/fatal.h"

static void print_node(struct buffer *out, const char *label, raft_node_id id)
{
    if (id == RAFT_NOBODY)
        buffer_printf(out, " %s=-", label);
    else
        buffer_printf(out, " %s=%" PRIu64, label, id);
}

static void print_pos(struct buffer *out, const char *label, struct raft_pos pos)
{
    buffer_printf(out, " %s=%" PRIu64 ":%" PRIu64, label, pos.term, pos.index);
}

void raft_print_message(struct buffer *out, const struct raft_message *message)
{
    static const char *const names[] = {
        [RAFT_VOTE_REQUEST] = "vote_request",     [RAFT_VOTE_RESPONSE] = "vote_response",
        [RAFT_APPEND_REQUEST] = "append_request", [RAFT_APPEND_RESPONSE] = "append_response",
        [RAFT_TIMEOUT_NOW] = "timeout_now",
    };
    buffer_printf(out, "%" PRIu64 "->%" PRIu64 " %s term=%" PRIu64, message->from, message->to,
                  names[message->type], message->term);
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        print_pos(out, "last", message->vote_request.last);
        buffer_printf(out, "%s%s", message->vote_request.pre_vote ? " pre" : "",
                      message->vote_request.transfer ? " transfer" : "");
        break;
    case RAFT_VOTE_RESPONSE:
        buffer_printf(out, "%s%s", message->vote_response.granted ? " granted" : " refused",
                      message->vote_response.pre_vote ? " pre" : "");
        break;
    case RAFT_APPEND_REQUEST:
        print_pos(out, "prev", message->append_request.prev);
        buffer_printf(out, " count=%" PRIu32 " commit=%" PRIu64 " round=%" PRIu64,
                      message->append_request.count, message->append_request.commit,
                      message->append_request.round);
        break;
    case RAFT_APPEND_RESPONSE:
        print_pos(out, message->append_response.matched ? "matched" : "rejected, probe",
                  message->append_response.hint);
        buffer_printf(out, " round=%" PRIu64, message->append_response.round);
        break;
    case RAFT_TIMEOUT_NOW: break;
    }
}

void raft_print_write(struct buffer *out, const struct raft_write *write)
{
    check(write->seq > 0);
    buffer_printf(out, "write #%" PRIu64 " term=%" PRIu64, write->seq, write->term);
    print_node(out, "vote", write->voted_for);
    if (write->count == 0)
        return;
    struct raft_pos first = write->entries[0].pos;
    struct raft_pos last = write->entries[write->count - 1].pos;
    check(last.index - first.index == write->count - 1);
    buffer_printf(out, " entries %" PRIu64 ":%" PRIu64 "..%" PRIu64 ":%" PRIu64, first.term,
                  first.index, last.term, last.index);
}

void raft_print_status(struct buffer *out, const struct raft_status *status)
{
    buffer_printf(out, "%s term=%" PRIu64, raft_role_name(status->role), status->term);
    print_node(out, "vote", status->voted_for);
    print_node(out, "leader", status->leader);
    buffer_printf(out, " commit=%" PRIu64 " applied=%" PRIu64 " durable=%" PRIu64, status->commit,
                  status->applied, status->durable);
    buffer_printf(out, " log=%" PRIu64 ":%" PRIu64 "..%" PRIu64 ":%" PRIu64, status->first.term,
                  status->first.index, status->last.term, status->last.index);
}
