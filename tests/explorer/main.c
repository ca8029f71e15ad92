/* build/explore: see explorer.h for what it does, `explore --help` for how to call it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "explorer.h"

struct bounds bounds = {.terms = 2,
                        .log = 2,
                        .writes = 1,
                        .withheld = NODES - 1,
                        .inflight = 1,
                        .batch = 1,
                        .voters = NODES};

static const char usage[] =
    "usage: explore [OPTION...]\n"
    "Visits every state of three cores within the bounds; exit status 1 if something is wrong.\n"
    "  --terms N --log N --crashes N --reads N    bounds (2 2 0 0)\n"
    "  --forwards N          reads that others send to a leader, so often in all (0)\n"
    "  --writes N --withheld N                    under way on one disk, waiting for it (1 2)\n"
    "  --inflight N --batch N                     appends under way, entries in one (1 1)\n"
    "  --transfers           leaders are asked to hand over\n"
    "  --voters N            the first N nodes are; the others know of nobody (all)\n"
    "  --changes N           leaders are asked to change the voters, so often in all (0)\n"
    "  --learners            who is no voter is a learner, not a stranger\n"
    "  --compactions N       logs are cut, so often in all, and members that need more are "
    "offered\n"
    "                        snapshots (0)\n"
    "  --from SCRIPT         begin where these steps lead\n"
    "  --replay SCRIPT       only take these steps, and say what happens\n"
    "  --trace FILE          a line for each step of a core, for trace-check\n"
    "  --plain               none of the reductions that speak of packets\n"
    "  --keep-all            also states that have fewer packets than another\n"
    "  --essences            count states as far as safety speaks of them: with --plain as "
    "without\n"
    "  --breadth-first       shortest runs first, and slower\n"
    "  --states N --seconds N   stop there (seconds of CPU)\n";

enum wish {
    TERMS = 256,
    LOG,
    CRASHES,
    READS,
    FORWARDS,
    WRITES,
    WITHHELD,
    INFLIGHT,
    BATCH,
    TRANSFERS,
    VOTERS,
    CHANGES,
    LEARNERS,
    COMPACTIONS,
    FROM,
    REPLAY,
    TRACE,
    PLAIN,
    BREADTH,
    ESSENCES,
    KEEP_ALL,
    STATES,
    SECONDS,
    HELP
};

static const struct option options[] = {
    {"terms", required_argument, NULL, TERMS},
    {"log", required_argument, NULL, LOG},
    {"crashes", required_argument, NULL, CRASHES},
    {"reads", required_argument, NULL, READS},
    {"forwards", required_argument, NULL, FORWARDS},
    {"writes", required_argument, NULL, WRITES},
    {"withheld", required_argument, NULL, WITHHELD},
    {"inflight", required_argument, NULL, INFLIGHT},
    {"batch", required_argument, NULL, BATCH},
    {"transfers", no_argument, NULL, TRANSFERS},
    {"voters", required_argument, NULL, VOTERS},
    {"changes", required_argument, NULL, CHANGES},
    {"learners", no_argument, NULL, LEARNERS},
    {"compactions", required_argument, NULL, COMPACTIONS},
    {"from", required_argument, NULL, FROM},
    {"replay", required_argument, NULL, REPLAY},
    {"trace", required_argument, NULL, TRACE},
    {"breadth-first", no_argument, NULL, BREADTH},
    {"essences", no_argument, NULL, ESSENCES},
    {"keep-all", no_argument, NULL, KEEP_ALL},
    {"plain", no_argument, NULL, PLAIN},
    {"states", required_argument, NULL, STATES},
    {"seconds", required_argument, NULL, SECONDS},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* What is asked for beside the bounds. */
static struct {
    const char *from, *replay, *trace;
    struct limits limits;
} wanted = {.limits = {.states = 500 * 1000 * 1000, .seconds = UINT32_MAX}};

static uint8_t number(const char *text, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != 0 || value > most)
        fatal("'%s': a number up to %u is wanted", text, most);
    return (uint8_t)value;
}

static void take_option(int option)
{
    switch (option) {
    case TERMS: bounds.terms = number(optarg, 9); break;
    case LOG: bounds.log = number(optarg, LOG_MAX); break;
    case CRASHES: bounds.crashes = number(optarg, 9); break;
    case READS: bounds.reads = number(optarg, READS_MAX); break;
    case FORWARDS: bounds.forwards = number(optarg, READS_MAX); break;
    case WRITES: bounds.writes = number(optarg, WRITES_MAX); break;
    case WITHHELD: bounds.withheld = number(optarg, WITHHELD_MAX); break;
    case INFLIGHT: bounds.inflight = number(optarg, INFLIGHT_MAX); break;
    case BATCH: bounds.batch = number(optarg, LOG_MAX); break;
    case TRANSFERS: bounds.transfers = true; break;
    case VOTERS: bounds.voters = number(optarg, NODES); break;
    case CHANGES: bounds.changes = number(optarg, 9); break;
    case LEARNERS: bounds.learners = true; break;
    case COMPACTIONS: bounds.compactions = number(optarg, 9); break;
    case FROM: wanted.from = optarg; break;
    case REPLAY: wanted.replay = optarg; break;
    case TRACE: wanted.trace = optarg; break;
    case BREADTH: wanted.limits.breadth_first = true; break;
    case ESSENCES: wanted.limits.essences = true; break;
    case KEEP_ALL: wanted.limits.keep_all = true; break;
    case PLAIN: bounds.plain = true; break;
    case STATES: wanted.limits.states = strtoull(optarg, NULL, 10); break;
    case SECONDS: wanted.limits.seconds = (uint32_t)strtoul(optarg, NULL, 10); break;
    case HELP: fputs(usage, stdout); exit(0);
    default: fputs(usage, stderr); exit(2);
    }
}

static void print_bounds(void)
{
    printf("bounds: terms %d, log %d, crashes %d, reads %d, writes under way %d, withheld %d, "
           "inflight %d, batch %d",
           bounds.terms, bounds.log, bounds.crashes, bounds.reads, bounds.writes, bounds.withheld,
           bounds.inflight, bounds.batch);
    if (bounds.forwards > 0)
        printf(", forwards %d", bounds.forwards);
    if (bounds.voters < NODES || bounds.changes > 0)
        printf(", voters %d, changes %d", bounds.voters, bounds.changes);
    if (bounds.compactions > 0)
        printf(", compactions %d", bounds.compactions);
    printf("%s%s%s\n", bounds.learners ? ", learners" : "", bounds.transfers ? ", transfers" : "",
           bounds.plain ? ", plain" : "");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(option);
    struct state start;
    struct steps prefix = {0};
    renamings_init();
    if (wanted.replay) {
        bounds.plain = true;
        return script_run(wanted.replay, &start, &prefix, true) == FINE ? 0 : 1;
    }
    if (wanted.trace)
        traces_to(wanted.trace);
    print_bounds();
    first_state(&start);
    bool good = !wanted.from || script_run(wanted.from, &start, &prefix, false) == FINE;
    good = good && search(&start, &prefix, &wanted.limits);
    traces_end();
    memory_free(prefix.list);
    return good ? 0 : 1;
}
