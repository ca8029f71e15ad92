/* How far another member is, and how much is on its way to it. */
#include "base/fatal.h"
#include "raft/raft_internal.h"

void raft_progress_reset(struct progress *progress, raft_index next, uint32_t resend_ticks)
{
    check(next > 0);
    check(resend_ticks > 0); /* else what is sent counts as lost in the next tick */
    *progress = (struct progress){.next = next, .resend_ticks = resend_ticks};
}

void raft_progress_probe(struct progress *progress, raft_index next)
{
    check(next > progress->match);
    progress->replicating = false;
    progress->next = next;
    progress->inflight_count = 0;
    progress->inflight_bytes = 0;
    progress->silent_ticks = 0;
}

void raft_progress_replicate(struct progress *progress)
{
    check(!progress->replicating);
    check(progress->inflight_count == 0); /* I9 */
    progress->replicating = true;
    progress->next = progress->match + 1;
    progress->inflight_count = 0;
    progress->inflight_bytes = 0;
    progress->silent_ticks = 0;
}

void raft_progress_sent(struct progress *progress, raft_index last, uint64_t bytes)
{
    check(progress->replicating);
    check(progress->inflight_count < RAFT_INFLIGHT_MAX);
    check(last >= progress->next); /* each request has an entry, and none has one twice: I9 */
    check(progress->inflight_count > 0 || progress->next == progress->match + 1);
    check(progress->inflight_count > 0 || progress->inflight_bytes == 0);
    uint32_t at = (progress->inflight_start + progress->inflight_count) % RAFT_INFLIGHT_MAX;
    progress->inflight[at] = last;
    progress->inflight_sizes[at] = bytes;
    progress->inflight_bytes += bytes;
    progress->inflight_count++;
    progress->next = last + 1;
}

bool raft_progress_matched(struct progress *progress, raft_index index, uint32_t resend_ticks)
{
    if (index <= progress->match)
        return false;
    progress->match = index;
    if (progress->next <= index)
        progress->next = index + 1;
    while (progress->inflight_count > 0 && progress->inflight[progress->inflight_start] <= index) {
        check(progress->inflight_sizes[progress->inflight_start] <= progress->inflight_bytes);
        progress->inflight_bytes -= progress->inflight_sizes[progress->inflight_start];
        progress->inflight_start = (progress->inflight_start + 1) % RAFT_INFLIGHT_MAX;
        progress->inflight_count--;
    }
    check(progress->inflight_count == 0 || progress->replicating);
    check(progress->inflight_count > 0 || progress->inflight_bytes == 0);
    progress->silent_ticks = 0;
    progress->resend_ticks = resend_ticks;
    return true;
}
