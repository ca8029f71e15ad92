/* What the core keeps of the log: terms as runs (a log has few terms and many entries) and the size
 * of each entry, four bytes.  Payloads never come here. */
#include "base/fatal.h"
#include "base/memory.h"
#include "raft/raft_internal.h"

#include <string.h>

enum { SIZES_FIRST = 1024, RUNS_FIRST = 8 };

void raft_trail_init(struct raft_trail *log, struct raft_pos first)
{
    *log = (struct raft_trail){.first = first, .last = first.index, .sizes_base = first.index + 1};
}

void raft_trail_deinit(struct raft_trail *log)
{
    memory_free(log->runs);
    memory_free(log->sizes);
    *log = (struct raft_trail){0};
}

/* The run that holds `index`, which must be in first.index < index <= last. */
static uint32_t run_of(const struct raft_trail *log, raft_index index)
{
    uint32_t low = 0, high = log->runs_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->runs[middle].start <= index)
            low = middle;
        else
            high = middle;
    }
    check(log->runs[low].start <= index);
    return low;
}

raft_term raft_trail_term_at(const struct raft_trail *log, raft_index index)
{
    if (index == log->first.index)
        return log->first.term;
    if (index < log->first.index || index > log->last)
        return 0;
    return log->runs[run_of(log, index)].term;
}

struct raft_pos raft_trail_last(const struct raft_trail *log)
{
    if (log->last == log->first.index)
        return log->first;
    return (struct raft_pos){log->runs[log->runs_count - 1].term, log->last};
}

uint32_t raft_trail_size_at(const struct raft_trail *log, raft_index index)
{
    check(index > log->first.index);
    check(index <= log->last);
    return log->sizes[index - log->sizes_base];
}

/* Room for one more size.  Space before `first` is taken back first, when it is the larger part. */
static void reserve_size(struct raft_trail *log)
{
    uint64_t used = log->last + 1 - log->sizes_base;
    check(log->sizes_base <= log->first.index + 1); /* all that we hold has its place */
    if (used < log->sizes_capacity)
        return;
    uint64_t dead = log->first.index + 1 - log->sizes_base;
    if (dead > used / 2) {
        memmove(log->sizes, log->sizes + dead, (size_t)(used - dead) * sizeof *log->sizes);
        log->sizes_base += dead;
        return;
    }
    log->sizes_capacity = log->sizes_capacity ? log->sizes_capacity * 2 : SIZES_FIRST;
    log->sizes = memory_resize(log->sizes, (size_t)log->sizes_capacity * sizeof *log->sizes);
}

void raft_trail_append(struct raft_trail *log, raft_term term, uint32_t size)
{
    check(term >= raft_trail_last(log).term); /* I3 */
    check(log->runs_count > 0 || log->last == log->first.index);
    reserve_size(log);
    log->last++;
    check(log->last - log->sizes_base < log->sizes_capacity);
    log->sizes[log->last - log->sizes_base] = size;
    log->bytes += size;
    if (log->runs_count > 0 && log->runs[log->runs_count - 1].term == term)
        return;
    if (log->runs_count == log->runs_capacity) {
        log->runs_capacity = log->runs_capacity ? log->runs_capacity * 2 : RUNS_FIRST;
        log->runs = memory_resize(log->runs, log->runs_capacity * sizeof *log->runs);
    }
    log->runs[log->runs_count++] = (struct raft_trail_run){log->last, term};
}

void raft_trail_cut(struct raft_trail *log, raft_index from)
{
    check(from > log->first.index);
    for (; log->last >= from; log->last--)
        log->bytes -= raft_trail_size_at(log, log->last);
    check(log->bytes == 0 || log->last > log->first.index);
    while (log->runs_count > 0 && log->runs[log->runs_count - 1].start > log->last)
        log->runs_count--;
    check(log->runs_count > 0 || log->last == log->first.index);
}

void raft_trail_compact(struct raft_trail *log, raft_index up_to)
{
    check(up_to <= log->last);
    if (up_to <= log->first.index)
        return;
    for (raft_index i = log->first.index + 1; i <= up_to; i++)
        log->bytes -= raft_trail_size_at(log, i);
    check(log->bytes == 0 || log->last > up_to);
    log->first = (struct raft_pos){raft_trail_term_at(log, up_to), up_to};
    uint32_t dead = 0; /* runs that end at or before `first` */
    while (dead < log->runs_count &&
           (dead + 1 < log->runs_count ? log->runs[dead + 1].start - 1 : log->last) <= up_to)
        dead++;
    log->runs_count -= dead;
    check(log->runs_count > 0 || log->last == up_to);
    memmove(log->runs, log->runs + dead, log->runs_count * sizeof *log->runs);
}

struct raft_pos raft_trail_probe_below(const struct raft_trail *log, struct raft_pos limit)
{
    raft_index index = limit.index < log->last ? limit.index : log->last;
    while (index > log->first.index) {
        uint32_t run = run_of(log, index);
        if (log->runs[run].term <= limit.term)
            return (struct raft_pos){log->runs[run].term, index};
        index = log->runs[run].start - 1;
        if (index < log->first.index)
            index = log->first.index;
    }
    return log->first;
}
