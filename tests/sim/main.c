/* The simulator's command line: `sim --help`. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "commit.h"
#include "seeds.h"
#include "sim.h"

static const char usage[] =
    "usage: sim [--seed N] [option...]      one run\n"
    "       sim --seeds FROM TO [option...] those runs, in processes of their own\n"
    "       sim --for SECONDS [option...]   runs from --seed on until the time is over\n"
    "       sim --shrink [option...]        looks for a smaller run that fails\n"
    "\n"
    "  --nodes 3|4|5    4: three voters and a learner; default: 5 for every fourth seed, 4 for\n"
    "                   every eighth, else 3\n"
    "  --clients N      1 to 16, default 8\n"
    "  --keys N         1 to 64, default 4\n"
    "  --streams N      pipelines, 0 to 8, default 3\n"
    "  --seconds N      how long faults go on, in simulated time, default 30\n"
    "  --steps N        end after N events, without the checks of the end\n"
    "  --faults LIST    all, none, or names with commas between; -NAME takes one away:\n"
    "                  ";

const char *sim_commit(void)
{
    return SIM_COMMIT;
}

static void print_faults(unsigned faults)
{
    const char *before = "";
    for (int i = 0; i < FAULTS; i++) {
        if (!(faults & (1u << i)))
            continue;
        printf("%s%s", before, sim_fault_word((enum sim_fault)i));
        before = ",";
    }
    if (!faults)
        printf("none");
}

void sim_print_command(const struct sim_options *options)
{
    printf("build/sim --seed %" PRIu64 " --nodes %u --clients %u --keys %u --streams %u "
           "--seconds %" PRId64,
           options->seed, options->nodes, options->clients, options->keys, options->streams,
           options->fault_us / 1000000);
    if (options->steps)
        printf(" --steps %" PRIu64, options->steps);
    if (options->faults != SIM_FAULTS_ALL) {
        printf(" --faults ");
        print_faults(options->faults);
    }
}

static void help(void)
{
    fputs(usage, stdout);
    for (int i = 0; i < FAULTS; i++)
        printf(" %s", sim_fault_word((enum sim_fault)i));
    printf(
        "\n"
        "  --jobs N         processes at a time, default: one a CPU\n"
        "  --brief          print failures and the sum alone\n"
        "  --covers         of many seeds: they must have come by all that is counted, as those\n"
        "                   of --for must\n"
        "  --verbose        print the transcript\n"
        "  --trace FILE|-   one run: what the cores did, for build/trace-check\n"
        "\n"
        "The same seed and options give the same transcript, on every build.\n");
}

_Noreturn static void refuse(const char *option, const char *why)
{
    fprintf(stderr, "sim: %s: %s (sim --help)\n", option, why);
    exit(2);
}

/* ---- words to numbers ------------------------------------------------------------------- */

static uint64_t number(const char *option, const char *word, uint64_t low, uint64_t high)
{
    char *end;
    char why[96];
    errno = 0;
    uint64_t value = word ? strtoull(word, &end, 10) : 0;
    if (word && *word >= '0' && *word <= '9' && *end == '\0' && errno == 0 && value >= low &&
        value <= high)
        return value;
    snprintf(why, sizeof why, "wants a number from %" PRIu64 " to %" PRIu64, low, high);
    refuse(option, why);
}

static unsigned fault_bit(const char *word)
{
    for (int i = 0; i < FAULTS; i++)
        if (strcmp(word, sim_fault_word((enum sim_fault)i)) == 0)
            return 1u << i;
    refuse(word, "there is no such fault");
}

static unsigned fault_bits(const char *list)
{
    if (!list)
        refuse("--faults", "wants a list");
    char *copy = strdup(list), *rest = copy;
    unsigned faults = *list == '-' ? SIM_FAULTS_ALL : 0;
    for (char *word; (word = strsep(&rest, ","));) {
        if (strcmp(word, "all") == 0)
            faults = SIM_FAULTS_ALL;
        else if (*word == '-')
            faults &= ~fault_bit(word + 1);
        else if (strcmp(word, "none") != 0)
            faults |= fault_bit(word);
    }
    free(copy);
    return faults;
}

/* ---- options ------------------------------------------------------------------------------- */

enum { OPTION_SECONDS_MAX = 100000 };

/* An option that takes one word; false: it is none. */
static bool take_value(struct seeds *seeds, const char *option, const char *word)
{
    struct sim_options *options = &seeds->options;
    if (strcmp(option, "--seed") == 0)
        options->seed = seeds->from = number(option, word, 0, UINT64_MAX);
    else if (strcmp(option, "--nodes") == 0)
        options->nodes = (uint32_t)number(option, word, 3, SIM_NODES_MAX);
    else if (strcmp(option, "--clients") == 0)
        options->clients = (uint32_t)number(option, word, 1, SIM_CLIENTS_MAX);
    else if (strcmp(option, "--keys") == 0)
        options->keys = (uint32_t)number(option, word, 1, SIM_KEYS_MAX);
    else if (strcmp(option, "--streams") == 0)
        options->streams = (uint32_t)number(option, word, 0, SIM_STREAMS_MAX);
    else if (strcmp(option, "--seconds") == 0)
        options->fault_us = (int64_t)number(option, word, 1, OPTION_SECONDS_MAX) * 1000000;
    else if (strcmp(option, "--steps") == 0)
        options->steps = number(option, word, 1, UINT64_MAX);
    else if (strcmp(option, "--faults") == 0)
        options->faults = fault_bits(word);
    else if (strcmp(option, "--trace") == 0 && word)
        seeds->trace = word;
    else if (strcmp(option, "--for") == 0)
        seeds->seconds = number(option, word, 1, UINT32_MAX);
    else if (strcmp(option, "--jobs") == 0)
        seeds->jobs = (uint32_t)number(option, word, 1, SEEDS_JOBS_MAX);
    else
        return false;
    return true;
}

static void take_options(struct seeds *seeds, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--help") == 0) {
            help();
            exit(0);
        } else if (strcmp(argv[i], "--verbose") == 0) {
            seeds->options.verbose = true;
        } else if (strcmp(argv[i], "--brief") == 0) {
            seeds->brief = true;
        } else if (strcmp(argv[i], "--covers") == 0) {
            seeds->covers = true;
        } else if (strcmp(argv[i], "--shrink") == 0) {
            seeds->shrink = true;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            seeds->from = number("--seeds", next, 0, UINT64_MAX);
            seeds->to =
                number("--seeds", i + 2 < argc ? argv[i + 2] : NULL, seeds->from, UINT64_MAX);
            seeds->many = true;
            i += 2;
        } else if (take_value(seeds, argv[i], next)) {
            i++;
        } else {
            refuse(argv[i], "there is no such option");
        }
    }
}

static struct seeds defaults(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return (struct seeds){
        .from = 1,
        .jobs = processors > 0 && processors < SEEDS_JOBS_MAX ? (uint32_t)processors : 1,
        .options = {.seed = 1,
                    .clients = 8,
                    .keys = 4,
                    .streams = 3,
                    .fault_us = 30000000,
                    .faults = SIM_FAULTS_ALL}};
}

int main(int argc, char **argv)
{
    struct seeds seeds = defaults();
    take_options(&seeds, argc, argv);
    log_set_level(LOG_LEVEL_WARNING + 1); /* a process that dies says so in the transcript */
    if (seeds.shrink)
        return seeds_shrink(&seeds);
    if (seeds.many || seeds.seconds > 0)
        return seeds_run(&seeds);
    return seeds_run_one(&seeds);
}
