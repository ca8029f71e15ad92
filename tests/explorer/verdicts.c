/* What may be found wrong, in words. */
#include "explorer.h"

const char *verdict_words(enum verdict verdict)
{
    switch (verdict) {
    case FINE: return "nothing is wrong";
    case BEYOND: return "beyond the bounds";
    case CORE_ABORTED: return "a check of the core itself failed";
    case LEADER_CHANGED_ITS_LOG: return "a leader changed or cut its log";
    case COMMIT_FELL: return "a commit index fell";
    case COMMITTED_CHANGED: return "a committed entry was cut or changed";
    case CHANGED_WITHOUT_WRITE: return "term, vote or log changed without a write";
    case WRITE_DIFFERS: return "what is written is not what the core has in memory";
    case VOTE_NOT_DURABLE: return "a vote left before it was durable";
    case CANDIDACY_NOT_DURABLE: return "a vote request left before the own vote was durable";
    case MATCH_NOT_DURABLE: return "entries were acknowledged before they were durable";
    case DISK_NOT_AWAITED: return "a disk that was not awaited let something go on";
    case PROMISE_NOT_KEPT: return "what was promised is not what the core says";
    case READ_FOR_NOBODY: return "a read was released that nobody waits for, or at another index";
    case LIST_IS_NOT_THE_LAST:
        return "the list of members in force is not that of the last entry which holds one";
    case DEAD_FIELD_READ: return "a step depends on what the explorer leaves out of a state";
    case NAMES_MATTER: return "a step depends on the names of the nodes";
    case TWO_LEADERS: return "two leaders in one term";
    case LOGS_DO_NOT_MATCH: return "two logs agree at an index and differ below it";
    case COMMITTED_ELSEWHERE: return "different entries were committed at an index";
    case COMMITTED_ON_FEW_DISKS: return "committed, but not durable on a majority";
    case LEADER_LACKS_COMMITTED: return "a leader lacks what was committed in an earlier term";
    case READ_IS_STALE: return "a read was released at an index below what was committed before it";
    }
    return "?";
}
