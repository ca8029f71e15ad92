/* See report.h.  Latencies in milliseconds, CPU in seconds per 100 000 operations: of all server
 * processes together, since a cluster pays for a write on every node. */
#include "bench/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static uint64_t operations(const struct report *report)
{
    return report->result->puts.count + report->result->gets.count;
}

static double per_second(const struct report *report)
{
    return report->result->seconds > 0 ? (double)operations(report) / report->result->seconds : 0;
}

static double per_100k(const struct report *report, double seconds)
{
    uint64_t count = operations(report);
    return count > 0 ? seconds * 100000.0 / (double)count : 0;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* ---- text --------------------------------------------------------------------- */

static void print_latencies(const char *name, const struct histogram *histogram)
{
    if (histogram->count == 0)
        return;
    printf("  %-4s %10" PRIu64 " %9.3f %9.3f %9.3f %9.3f %9.3f\n", name, histogram->count,
           histogram_mean_ns(histogram) / 1e6, ms(histogram_percentile_ns(histogram, 50)),
           ms(histogram_percentile_ns(histogram, 99)), ms(histogram_percentile_ns(histogram, 99.9)),
           ms(histogram->max_ns));
}

static void print_text(const struct report *report)
{
    const struct options *options = report->options;
    const struct load_result *result = report->result;
    printf("%s, %" PRIu32 " nodes, leader %s:%d\n", options->service->name, options->nodes_count,
           report->leader.host, report->leader.port);
    printf("%" PRIu32 " connections, pipeline %" PRIu32 ", %" PRIu64 " keys, %" PRIu32
           "-byte values, %" PRIu32 " %% PUT\n",
           options->threads * options->connections, options->pipeline, options->keys,
           options->value_size, options->put_percentage);
    printf("%" PRIu64 " requests in %.3f s: %.0f per second\n", operations(report), result->seconds,
           per_second(report));
    printf("  %-4s %10s %9s %9s %9s %9s %9s  (ms)\n", "", "count", "mean", "p50", "p99", "p99.9",
           "max");
    print_latencies("put", &result->puts);
    print_latencies("get", &result->gets);
    if (report->has_servers_cpu)
        printf("CPU of the servers: %.3f s per 100k operations (%.1f us each)\n",
               per_100k(report, report->servers_cpu_seconds),
               per_100k(report, report->servers_cpu_seconds) * 10.0);
    printf("CPU of this client: %.3f s per 100k operations\n",
           per_100k(report, report->client_cpu_seconds));
    if (result->unsent > 0)
        printf("%" PRIu64 " more were due and not sent in time\n", result->unsent);
    if (result->misses > 0)
        printf("%" PRIu64 " GETs found nothing\n", result->misses);
    if (result->first_error[0])
        printf("%" PRIu64 " errors, %" PRIu64 " without an answer, %" PRIu64
               " reconnections; first: %s\n",
               result->errors, result->lost, result->reconnects, result->first_error);
}

/* ---- JSON ----------------------------------------------------------------------- */

static json_t *latencies(const struct histogram *histogram)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "count", (json_int_t)histogram->count,
                     "mean_ms", histogram_mean_ns(histogram) / 1e6, "p50_ms",
                     ms(histogram_percentile_ns(histogram, 50)), "p99_ms",
                     ms(histogram_percentile_ns(histogram, 99)), "p999_ms",
                     ms(histogram_percentile_ns(histogram, 99.9)), "max_ms", ms(histogram->max_ns));
}

static void print_json(const struct report *report)
{
    const struct options *options = report->options;
    const struct load_result *result = report->result;
    json_t *root =
        json_pack("{s:s, s:s, s:i, s:I, s:I, s:i, s:i, s:I, s:i}", "service",
                  options->service->name, "leader_host", report->leader.host, "leader_port",
                  report->leader.port, "nodes", (json_int_t)options->nodes_count, "connections",
                  (json_int_t)options->threads * options->connections, "pipeline",
                  (int)options->pipeline, "put_percentage", (int)options->put_percentage, "keys",
                  (json_int_t)options->keys, "value_size", (int)options->value_size);
    json_t *found =
        json_pack("{s:f, s:I, s:f, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:b}", "seconds",
                  result->seconds, "operations", (json_int_t)operations(report), "per_second",
                  per_second(report), "put", latencies(&result->puts), "get",
                  latencies(&result->gets), "misses", (json_int_t)result->misses, "errors",
                  (json_int_t)result->errors, "lost", (json_int_t)result->lost, "reconnects",
                  (json_int_t)result->reconnects, "unsent", (json_int_t)result->unsent,
                  "first_error", result->first_error, "complete", result->is_complete);
    json_object_update(root, found);
    json_decref(found);
    json_object_set_new(root, "servers_cpu_seconds_per_100k",
                        report->has_servers_cpu
                            ? json_real(per_100k(report, report->servers_cpu_seconds))
                            : json_null());
    json_object_set_new(root, "client_cpu_seconds_per_100k",
                        json_real(per_100k(report, report->client_cpu_seconds)));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

void report_print(const struct report *report)
{
    if (report->options->is_json)
        print_json(report);
    else
        print_text(report);
}
