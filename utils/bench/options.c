/* See options.h. */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 64 };

static const struct service *const services[] = {&service_redis_raft, &service_redis, &service_bits,
                                                 &service_etcd};

static void print_usage(FILE *file)
{
    fputs("usage: redis-raft-bench --cluster host:port,... [options]\n"
          "  --service redis-raft|redis|etcd   what is measured (redis-raft), or bits\n"
          "  --cluster host:port,host:port,... the nodes; the leader is found among them\n"
          "  --keys N               how many keys there are (100)\n"
          "  --threads N            load threads (50)\n"
          "  --requests N           how many requests, all threads together (1000)\n"
          "  --put-percentage P     0..100: how many of them write (50)\n"
          "  --seconds S            for how long instead of how many\n"
          "  --rate R               so many per second, answered or not; latencies from when one "
          "was due\n"
          "  --connections N        per thread (1)\n"
          "  --pipeline N           requests sent together on a connection (1; not for etcd)\n"
          "  --value-size BYTES     (64)\n"
          "  --target leader|follower|all  which nodes get the load (leader)\n"
          "  --no-preload           do not write every key first\n"
          "  --keep-going           on a lost connection count it and go to the next node\n"
          "  --server-pids P,P,...  the servers' processes, for their CPU time (found if local)\n"
          "  --password P           AUTH\n"
          "  --seed N               of the random keys and values (1)\n"
          "  --json                 machine-readable result\n"
          "exit status: 0; 1: there were errors or the run broke off; 64: wrong usage\n",
          file);
}

_Noreturn static void usage_error(const char *option, const char *what)
{
    fprintf(stderr, "redis-raft-bench: --%s: %s\n", option, what);
    print_usage(stderr);
    exit(EXIT_USAGE);
}

static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno || value < min || value > max) {
        char what[100];
        snprintf(what, sizeof what, "a number from %llu to %llu, please", (unsigned long long)min,
                 (unsigned long long)max);
        usage_error(option, what);
    }
    return value;
}

static const struct service *service_lookup(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (strcmp(services[i]->name, name) == 0)
            return services[i];
    usage_error("service", "redis-raft, redis, bits or etcd, please");
}

static enum target target_lookup(const char *name)
{
    static const char *const names[] = {
        [TARGET_LEADER] = "leader", [TARGET_FOLLOWER] = "follower", [TARGET_ALL] = "all"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (enum target)i;
    usage_error("target", "leader, follower or all, please");
}

static void pids_parse(struct options *options, char *text)
{
    for (char *one = strtok(text, ","); one; one = strtok(NULL, ",")) {
        if (options->pids_count == NODES_MAX)
            usage_error("server-pids", "too many");
        options->pids[options->pids_count++] = (pid_t)number("server-pids", one, 1, INT32_MAX);
    }
}

static double real(const char *option, const char *text, double below)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value < below))
        usage_error(option, "a number above 0, please");
    return value;
}

enum option_letter {
    OPTION_SERVICE = 1,
    OPTION_CLUSTER,
    OPTION_KEYS,
    OPTION_THREADS,
    OPTION_REQUESTS,
    OPTION_PUT_PERCENTAGE,
    OPTION_SECONDS,
    OPTION_RATE,
    OPTION_CONNECTIONS,
    OPTION_PIPELINE,
    OPTION_VALUE_SIZE,
    OPTION_TARGET,
    OPTION_NO_PRELOAD,
    OPTION_KEEP_GOING,
    OPTION_SERVER_PIDS,
    OPTION_PASSWORD,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_HELP
};

static const struct option table[] = {
    {"service", required_argument, NULL, OPTION_SERVICE},
    {"cluster", required_argument, NULL, OPTION_CLUSTER},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"put-percentage", required_argument, NULL, OPTION_PUT_PERCENTAGE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"pipeline", required_argument, NULL, OPTION_PIPELINE},
    {"value-size", required_argument, NULL, OPTION_VALUE_SIZE},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"no-preload", no_argument, NULL, OPTION_NO_PRELOAD},
    {"keep-going", no_argument, NULL, OPTION_KEEP_GOING},
    {"server-pids", required_argument, NULL, OPTION_SERVER_PIDS},
    {"password", required_argument, NULL, OPTION_PASSWORD},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static uint32_t number32(const char *option, const char *text, uint32_t min, uint32_t max)
{
    return (uint32_t)number(option, text, min, max);
}

static void option_apply(struct options *options, enum option_letter letter, const char *name,
                         char *value)
{
    char error[NODE_ERROR_SIZE];
    switch (letter) {
    case OPTION_SERVICE: options->service = service_lookup(value); break;
    case OPTION_CLUSTER:
        if (!node_addresses_parse(options->nodes, &options->nodes_count, value, error))
            usage_error(name, error);
        break;
    case OPTION_KEYS: options->keys = number(name, value, 1, 1000000000000); break;
    case OPTION_THREADS: options->threads = number32(name, value, 1, 1000); break;
    case OPTION_REQUESTS: options->requests = number(name, value, 0, UINT64_MAX / 2); break;
    case OPTION_PUT_PERCENTAGE: options->put_percentage = number32(name, value, 0, 100); break;
    case OPTION_SECONDS: options->seconds = real(name, value, 1e6); break;
    case OPTION_RATE: options->rate = real(name, value, 1e9); break;
    case OPTION_CONNECTIONS: options->connections = number32(name, value, 1, 10000); break;
    case OPTION_PIPELINE: options->pipeline = number32(name, value, 1, 10000); break;
    case OPTION_VALUE_SIZE: options->value_size = number32(name, value, 0, 512u << 20); break;
    case OPTION_TARGET: options->target = target_lookup(value); break;
    case OPTION_NO_PRELOAD: options->is_preloaded = false; break;
    case OPTION_KEEP_GOING: options->keeps_going = true; break;
    case OPTION_SERVER_PIDS: pids_parse(options, value); break;
    case OPTION_PASSWORD: options->password = value; break;
    case OPTION_SEED: options->seed = number(name, value, 0, UINT64_MAX); break;
    case OPTION_JSON: options->is_json = true; break;
    case OPTION_HELP: print_usage(stdout); exit(0);
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.service = &service_redis_raft,
                                .keys = 100,
                                .threads = 50,
                                .requests = 1000,
                                .put_percentage = 50,
                                .connections = 1,
                                .pipeline = 1,
                                .value_size = 64,
                                .seed = 1,
                                .is_preloaded = true};
    options->password = getenv("REDISCLI_AUTH");
    int letter, at;
    while ((letter = getopt_long(argc, argv, "", table, &at)) != -1) {
        if (letter == '?') {
            print_usage(stderr);
            exit(EXIT_USAGE);
        }
        option_apply(options, (enum option_letter)letter, table[at].name, optarg);
    }
    if (optind != argc)
        usage_error("help", argv[optind]);
    if (options->nodes_count == 0)
        usage_error("cluster", "is needed");
    if (options->pipeline > 1 && !options->service->is_pipelined)
        usage_error("pipeline", "this service takes one request at a time on a connection");
}
