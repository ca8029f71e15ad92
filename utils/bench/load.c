/* See load.h.  A lane is one connection with its batch under way; a worker is one thread with its
 * lanes.  Latency runs from the moment a batch is handed to the connection, or was due, to each
 * answer, so in a pipeline it holds the wait for the requests before it, as redis-benchmark counts
 * too. */
#include "bench/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/fatal.h"
#include "base/memory.h"
#include "base/prng.h"

enum { SILENCE_SECONDS = 20, RECONNECT_MS = 20, KEY_SIZE = 32 };

/* What a request was, for its answer: two of them per lane. */
struct request {
    struct lane *lane;
    bool is_put;
};

struct lane {
    struct worker *worker;
    struct link *link; /* owned; NULL between a loss and the next attempt */
    struct event *reconnect;
    struct event *due;    /* with a rate: sends the next batch */
    bool is_done;         /* it found no more requests to send */
    uint32_t node;        /* index of the node it is connected to */
    uint32_t outstanding; /* answers to come */
    uint64_t due_ns;      /* with a rate: when the batch is to be sent */
    uint64_t sent_ns;     /* when the batch was handed over */
    uint64_t from_ns;     /* latencies run from then */
    struct request put, get;
};

struct worker {
    const struct load *load;
    atomic_uint_fast64_t *next; /* shared: the number of requests handed out */
    pthread_t thread;
    struct event_base *base;
    struct event *watch;
    struct lane *lanes;
    uint32_t lanes_busy;
    uint64_t prng;
    uint64_t deadline_ns; /* 0: none */
    uint64_t interval_ns; /* with a rate: between two batches of a lane */
    char *value;
    bool is_failed;
    struct load_result result;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void note_error(struct worker *worker, const struct lane *lane, const char *text)
{
    struct load_result *result = &worker->result;
    const struct node_address *node = &worker->load->nodes[lane->node];
    if (!result->first_error[0])
        snprintf(result->first_error, sizeof result->first_error, "%.200s:%d: %.100s", node->host,
                 node->port, text && text[0] ? text : "connection closed");
}

static void fail(struct worker *worker, const struct lane *lane, const char *text)
{
    note_error(worker, lane, text);
    worker->is_failed = true;
    event_base_loopbreak(worker->base);
}

/* ---- one batch --------------------------------------------------------------- */

/* Random printable text, different for every request: nothing on the way can compress it away. */
static void refresh_value(struct worker *worker)
{
    uint32_t size = worker->load->value_size;
    uint64_t random = prng_next(&worker->prng);
    for (uint32_t i = 0; i < size && i < 16; i++, random >>= 4)
        worker->value[i] = "abcdefghijklmnop"[random & 15];
}

static void send_one(struct lane *lane, uint64_t number)
{
    struct worker *worker = lane->worker;
    const struct load *load = worker->load;
    bool is_put = load->kind == LOAD_FILL || prng_below(&worker->prng, 100) < load->put_percentage;
    uint64_t which = load->kind == LOAD_FILL ? number : prng_below(&worker->prng, load->keys);
    /* The keys of redis-benchmark -r, so that either tool reads what the other wrote. */
    char key[KEY_SIZE];
    int size = snprintf(key, sizeof key, "key:%012llu", (unsigned long long)which);
    struct bytes key_bytes = bytes_of(key, (size_t)size);
    if (is_put) {
        refresh_value(worker);
        load->service->put(lane->link, key_bytes, bytes_of(worker->value, load->value_size),
                           &lane->put);
    } else {
        load->service->get(lane->link, key_bytes, &lane->get);
    }
}

static void lane_rest(struct lane *lane)
{
    struct worker *worker = lane->worker;
    lane->is_done = true;
    if (--worker->lanes_busy == 0)
        event_base_loopbreak(worker->base);
}

/* True: the batch is not due yet, and a timer will send it. */
static bool is_early(struct lane *lane)
{
    uint64_t now_ns = clock_ns();
    if (lane->worker->interval_ns == 0 || lane->due_ns < now_ns + 1000)
        return false;
    uint64_t wait_us = (lane->due_ns - now_ns) / 1000;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};
    evtimer_add(lane->due, &wait);
    return true;
}

static void note_sent(struct lane *lane)
{
    const struct worker *worker = lane->worker;
    lane->sent_ns = clock_ns();
    lane->from_ns = worker->interval_ns ? lane->due_ns : lane->sent_ns;
    lane->due_ns += worker->interval_ns;
}

/* What was due by the end, and waited for an answer until then. */
static void note_unsent(struct lane *lane)
{
    const struct worker *worker = lane->worker;
    if (worker->interval_ns && worker->deadline_ns > lane->from_ns)
        lane->worker->result.unsent +=
            (worker->deadline_ns - lane->from_ns) / worker->interval_ns * worker->load->pipeline;
}

static void lane_send_batch(struct lane *lane)
{
    struct worker *worker = lane->worker;
    const struct load *load = worker->load;
    if (is_early(lane))
        return;
    uint64_t limit = worker->deadline_ns ? UINT64_MAX : load->requests;
    uint64_t first = atomic_fetch_add_explicit(worker->next, load->pipeline, memory_order_relaxed);
    note_sent(lane);
    bool is_late = worker->deadline_ns && lane->sent_ns >= worker->deadline_ns;
    if (first >= limit || is_late) {
        note_unsent(lane);
        lane_rest(lane);
        return;
    }
    uint64_t left = limit - first;
    uint32_t count = left < load->pipeline ? (uint32_t)left : load->pipeline;
    lane->outstanding = count;
    for (uint32_t i = 0; i < count; i++)
        send_one(lane, first + i);
}

static void on_due(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    struct lane *lane = context;
    if (lane->link)
        lane_send_batch(lane);
}

static void on_reply(void *context, void *request_pointer, enum link_result outcome,
                     const char *text)
{
    struct lane *lane = context;
    struct worker *worker = lane->worker;
    const struct request *request = request_pointer;
    struct load_result *result = &worker->result;
    check(lane->outstanding > 0);
    lane->outstanding--;
    switch (outcome) {
    case LINK_LOST: result->lost++; return; /* on_closed decides what is next */
    case LINK_ERROR:
        result->errors++;
        note_error(worker, lane, text);
        if (worker->load->kind == LOAD_FILL)
            fail(worker, lane, text);
        break;
    case LINK_MISS:
        result->misses++;
        histogram_add(&result->gets, clock_ns() - lane->from_ns);
        break;
    case LINK_OK:
        histogram_add(request->is_put ? &result->puts : &result->gets, clock_ns() - lane->from_ns);
        break;
    }
    if (lane->outstanding == 0)
        lane_send_batch(lane);
}

/* ---- connections ----------------------------------------------------------------- */

static void on_closed(void *context, const char *text);

static const struct link_events lane_events = {.on_reply = on_reply, .on_closed = on_closed};

static void lane_open(struct lane *lane)
{
    const struct load *load = lane->worker->load;
    lane->link = load->service->open(lane->worker->base, &load->nodes[lane->node], load->password,
                                     &lane_events, lane);
    lane_send_batch(lane);
}

static void on_reconnect(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    struct lane *lane = context;
    lane->node = (lane->node + 1) % lane->worker->load->nodes_count;
    lane->worker->result.reconnects++;
    lane_open(lane);
}

static void on_closed(void *context, const char *text)
{
    struct lane *lane = context;
    struct worker *worker = lane->worker;
    lane->link = NULL;
    worker->result.lost += lane->outstanding;
    lane->outstanding = 0;
    if (lane->is_done)
        return;
    if (!worker->load->keeps_going) {
        fail(worker, lane, text);
        return;
    }
    note_error(worker, lane, text);
    struct timeval pause = {.tv_usec = RECONNECT_MS * 1000};
    evtimer_add(lane->reconnect, &pause);
}

/* A server that is silent for long must not hang the run. */
static void on_watch(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    struct worker *worker = context;
    const struct load *load = worker->load;
    uint64_t now_ns = clock_ns();
    for (uint32_t i = 0; i < load->connections; i++) {
        struct lane *lane = &worker->lanes[i];
        if (lane->outstanding == 0 || now_ns - lane->sent_ns < SILENCE_SECONDS * 1000000000ull)
            continue;
        if (lane->link)
            load->service->close(lane->link);
        on_closed(lane, "no answer for 20 seconds");
    }
}

/* ---- threads ------------------------------------------------------------------------ */

/* Its timers are exact to less than a millisecond. */
static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    check(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    struct event_base *base = event_base_new_with_config(config);
    check(base != NULL);
    event_config_free(config);
    return base;
}

static void worker_init(struct worker *worker, const struct load *load, uint32_t number,
                        atomic_uint_fast64_t *next, uint64_t start_ns)
{
    worker->load = load;
    worker->next = next;
    worker->prng = load->seed + number * 0x632BE59BD9B4E019u;
    worker->deadline_ns = load->seconds > 0 ? start_ns + (uint64_t)(load->seconds * 1e9) : 0;
    worker->value = memory_new(load->value_size + 1);
    for (uint32_t i = 0; i < load->value_size; i++)
        worker->value[i] = (char)('a' + prng_below(&worker->prng, 26));
    worker->base = base_new();
    worker->watch = event_new(worker->base, -1, EV_PERSIST, on_watch, worker);
    event_add(worker->watch, &(struct timeval){.tv_sec = 1});
    worker->lanes = memory_new(load->connections * sizeof *worker->lanes);
    worker->lanes_busy = load->connections;
    uint32_t lanes = load->threads * load->connections;
    if (load->rate > 0)
        worker->interval_ns = (uint64_t)(1e9 * load->pipeline * lanes / load->rate);
    for (uint32_t i = 0; i < load->connections; i++) {
        struct lane *lane = &worker->lanes[i];
        lane->worker = worker;
        lane->node = (number * load->connections + i) % load->nodes_count;
        lane->put = (struct request){.lane = lane, .is_put = true};
        lane->get = (struct request){.lane = lane, .is_put = false};
        lane->reconnect = evtimer_new(worker->base, on_reconnect, lane);
        lane->due = evtimer_new(worker->base, on_due, lane);
        lane->due_ns = start_ns + worker->interval_ns * (number * load->connections + i) / lanes;
    }
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    for (uint32_t i = 0; i < worker->load->connections; i++)
        lane_open(&worker->lanes[i]);
    if (worker->lanes_busy > 0 && !worker->is_failed)
        event_base_dispatch(worker->base);
    return NULL;
}

static void worker_deinit(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->load->connections; i++) {
        if (worker->lanes[i].link)
            worker->load->service->close(worker->lanes[i].link);
        event_free(worker->lanes[i].reconnect);
        event_free(worker->lanes[i].due);
    }
    event_free(worker->watch);
    event_base_free(worker->base);
    memory_free(worker->lanes);
    memory_free(worker->value);
}

static void result_merge(struct load_result *result, const struct worker *worker)
{
    const struct load_result *part = &worker->result;
    histogram_merge(&result->puts, &part->puts);
    histogram_merge(&result->gets, &part->gets);
    result->misses += part->misses;
    result->errors += part->errors;
    result->lost += part->lost;
    result->reconnects += part->reconnects;
    result->unsent += part->unsent;
    result->is_complete = result->is_complete && !worker->is_failed;
    if (!result->first_error[0])
        memcpy(result->first_error, part->first_error, sizeof result->first_error);
}

void load_run(const struct load *load, struct load_result *result)
{
    atomic_uint_fast64_t next = 0;
    struct worker *workers = memory_new(load->threads * sizeof *workers);
    memset(result, 0, sizeof *result);
    result->is_complete = true;
    uint64_t start_ns = clock_ns();
    for (uint32_t i = 0; i < load->threads; i++)
        worker_init(&workers[i], load, i, &next, start_ns);
    for (uint32_t i = 0; i < load->threads; i++)
        if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) != 0)
            fatal("cannot create a thread");
    for (uint32_t i = 0; i < load->threads; i++)
        pthread_join(workers[i].thread, NULL);
    result->seconds = (double)(clock_ns() - start_ns) / 1e9;
    for (uint32_t i = 0; i < load->threads; i++) {
        result_merge(result, &workers[i]);
        worker_deinit(&workers[i]);
    }
    memory_free(workers);
}
