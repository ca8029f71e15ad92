/* Many seeds, as many at a time as there are processors; what all of them came by; and the search
 * for a smaller run that fails.
 *
 * A run is a process, because a failure ends it and a bug may end it in any way.  Its numbers are
 * left in shared memory. */
#include "seeds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"

enum { OUTPUT_BYTES = 1 << 20, SHRINK_SEEDS = 6, SHRINK_ROUNDS = 8 };

struct slot { /* shared with the process of one run */
    pid_t process;
    struct sim_options options;
    struct sim_coverage coverage;
    uint64_t cpu_us;
    int64_t ended_us; /* in simulated time */
};

static struct slot *my_slot; /* in a run's process */

void sim_ended(void)
{
    struct rusage usage;
    if (!my_slot)
        return;
    getrusage(RUSAGE_SELF, &usage);
    my_slot->coverage = sim.coverage;
    my_slot->ended_us = sim.now_us;
    my_slot->cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static struct slot *slots_new(uint32_t count)
{
    void *slots = mmap(NULL, count * sizeof(struct slot), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        fatal("cannot get shared memory");
    return slots;
}

static struct sim_options options_of(const struct seeds *seeds, uint64_t seed)
{
    struct sim_options options = seeds->options;
    options.seed = seed;
    if (options.nodes == 0)
        options.nodes = seed % 4 == 3 ? 5 : seed % 8 == 5 ? 4 : 3;
    return options;
}

static uint64_t rate(uint64_t events, uint64_t cpu_us)
{
    return cpu_us ? events * 1000000 / cpu_us : 0;
}

static void print_run(void)
{
    const struct sim_coverage *seen = &sim.coverage;
    printf("seed %" PRIu64 " nodes %u transcript %016" PRIx64 " events %" PRIu64 " writes %" PRIu64
           " reads %" PRIu64 " elections %" PRIu64 " crashes %" PRIu64 "\n",
           sim.options.seed, sim.options.nodes, sim.transcript_hash, seen->events,
           seen->writes_done, seen->reads_done, seen->elections, seen->crashes);
}

/* A run's process: its output comes out in one piece, at the end. */
static void start(struct slot *slot, const struct sim_options *options, bool silent, bool brief)
{
    fflush(stdout);
    slot->options = *options;
    pid_t process = fork();
    check(process >= 0);
    if (process > 0) {
        slot->process = process;
        return;
    }
    static char output[OUTPUT_BYTES];
    if (silent && !freopen("/dev/null", "w", stdout))
        _Exit(3);
    setvbuf(stdout, output, _IOFBF, sizeof output);
    my_slot = slot;
    sim.options = *options;
    sim_watch();
    sim_run();
    sim_ended();
    if (!brief)
        print_run();
    fflush(stdout);
    _Exit(0);
}

/* True: the run was good.  A bug that did not end in words is put into words here. */
static bool judge(const struct slot *slot, int status, bool silent)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (!silent && !(WIFEXITED(status) && WEXITSTATUS(status) == 1)) {
        printf("FAILED seed %" PRIu64 ": %s %d\ncommit %s; again: ", slot->options.seed,
               WIFSIGNALED(status) ? "signal" : "exit status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), sim_commit());
        sim_print_command(&slot->options);
        printf(" --verbose\n");
    }
    return false;
}

int seeds_run_one(const struct seeds *seeds)
{
    struct slot slot = {0};
    my_slot = &slot;
    sim.options = options_of(seeds, seeds->options.seed);
    sim_watch();
    if (seeds->trace)
        sim_trace_open(seeds->trace);
    sim_run();
    sim_ended();
    print_run();
    printf("%" PRIu64 " events a second\n", rate(slot.coverage.events, slot.cpu_us));
    if (!seeds->brief)
        sim_coverage_print(&sim.coverage);
    sim_run_end();
    return 0;
}

/* ---- many -------------------------------------------------------------------------------- */

struct tally {
    struct sim_coverage coverage;
    uint64_t cpu_us, passed, failed;
};

static struct slot *slot_of(struct slot *slots, uint32_t count, pid_t process)
{
    for (uint32_t i = 0; i < count; i++)
        if (slots[i].process == process)
            return &slots[i];
    return NULL;
}

static void wait_for_one(struct slot *slots, uint32_t count, struct tally *tally)
{
    int status;
    pid_t process = waitpid(-1, &status, 0);
    struct slot *slot = slot_of(slots, count, process);
    check(slot);
    bool good = judge(slot, status, false);
    *(good ? &tally->passed : &tally->failed) += 1;
    sim_coverage_add(&tally->coverage, &slot->coverage);
    tally->cpu_us += slot->cpu_us;
    memset(slot, 0, sizeof *slot);
}

static int report(const struct tally *tally, bool all_covered)
{
    uint64_t failed = tally->failed;
    sim_coverage_print(&tally->coverage);
    printf("%" PRIu64 " seeds, %.1f CPU seconds, %" PRIu64 " events a second and core\n",
           tally->passed + failed, (double)tally->cpu_us / 1e6,
           rate(tally->coverage.events, tally->cpu_us));
    if (all_covered)
        failed += sim_coverage_zeros(&tally->coverage);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", tally->passed, failed);
    return failed > 0;
}

/* For a time: everything must have been come by.  For given seeds, where that is asked for: else
 * they were chosen for another reason. */
int seeds_run(const struct seeds *seeds)
{
    struct slot *slots = slots_new(seeds->jobs);
    struct tally tally = {0};
    uint32_t running = 0;
    uint64_t seed = seeds->from;
    time_t end = time(NULL) + (time_t)seeds->seconds;
    bool more = true;
    while (more || running > 0) {
        struct slot *free_slot = more ? slot_of(slots, seeds->jobs, 0) : NULL;
        if (!free_slot) {
            wait_for_one(slots, seeds->jobs, &tally);
            running--;
        } else {
            struct sim_options options = options_of(seeds, seed);
            start(free_slot, &options, false, seeds->brief);
            running++;
            more = seeds->seconds > 0 ? time(NULL) < end : seed < seeds->to;
            seed++;
        }
    }
    bool all = seeds->covers || seeds->seconds > 0;
    return report(&tally, all && seeds->options.faults == SIM_FAULTS_ALL);
}

/* ---- smaller ------------------------------------------------------------------------------- */

static bool fails(struct slot *slot, const struct sim_options *options)
{
    int status;
    memset(slot, 0, sizeof *slot);
    start(slot, options, true, true);
    check(waitpid(slot->process, &status, 0) == slot->process);
    return !judge(slot, status, true);
}

/* The same reduction may need another seed, because it makes another run. */
static bool try_smaller(struct slot *slot, struct sim_options *best, struct sim_options smaller)
{
    for (uint64_t i = 0; i < SHRINK_SEEDS; i++, smaller.seed++) {
        if (!fails(slot, &smaller))
            continue;
        *best = smaller;
        printf("smaller: ");
        sim_print_command(best);
        printf("\n");
        fflush(stdout);
        return true;
    }
    return false;
}

static bool try_numbers(struct slot *slot, struct sim_options *best)
{
    bool found = false;
    struct sim_options smaller = *best;
    smaller.nodes = 3;
    if (smaller.nodes != best->nodes)
        found |= try_smaller(slot, best, smaller);
    smaller = *best;
    smaller.clients = (best->clients + 1) / 2;
    if (smaller.clients != best->clients)
        found |= try_smaller(slot, best, smaller);
    smaller = *best;
    smaller.keys = (best->keys + 1) / 2;
    if (smaller.keys != best->keys)
        found |= try_smaller(slot, best, smaller);
    smaller = *best;
    smaller.streams = 0;
    if (smaller.streams != best->streams)
        found |= try_smaller(slot, best, smaller);
    smaller = *best;
    smaller.fault_us = best->fault_us / 2000000 * 1000000;
    if (smaller.fault_us > 0)
        found |= try_smaller(slot, best, smaller);
    return found;
}

static bool try_faults(struct slot *slot, struct sim_options *best)
{
    bool found = false;
    for (int i = 0; i < FAULTS; i++) {
        struct sim_options smaller = *best;
        smaller.faults &= ~(1u << i);
        if (smaller.faults != best->faults)
            found |= try_smaller(slot, best, smaller);
    }
    return found;
}

/* Where it fails is where it may end; this changes nothing before. */
static void end_early(struct slot *slot, struct sim_options *best)
{
    if (!fails(slot, best))
        return;
    struct sim_options shorter = *best;
    shorter.steps = slot->coverage.events + 1;
    if (slot->coverage.events > 0 && fails(slot, &shorter))
        *best = shorter;
}

int seeds_shrink(const struct seeds *seeds)
{
    struct slot *slot = slots_new(1);
    struct sim_options best = options_of(seeds, seeds->options.seed);
    if (!fails(slot, &best)) {
        printf("seed %" PRIu64 " does not fail\n", best.seed);
        return 2;
    }
    for (int round = 0; round < SHRINK_ROUNDS; round++) {
        bool found = try_numbers(slot, &best);
        found |= try_faults(slot, &best);
        if (!found)
            break;
    }
    end_early(slot, &best);
    printf("\nthe smallest run that fails: ");
    sim_print_command(&best);
    printf("\n");
    fflush(stdout);
    sim.options = best;
    sim_run(); /* once more, for its words */
    return 2;
}
