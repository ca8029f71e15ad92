/* See loop.h.  The tick is not a libevent timer: timers of the same priority run among the socket
 * callbacks and could be put off by lower ones.  A timer only ends the wait; the clock decides.
 * libevent is asked for one pass at a time, without locks (one thread).
 *
 * A waker's eventfd ends a wait, and what it says stands in `is_woken`, which is looked at behind
 * every pass: while the loop runs, another thread only sets that.  So nothing is lost between the
 * two: the loop says that it is going to wait before it looks for the last time, and the other
 * thread sets its mark before it looks whether the loop waits. */
#include "net/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/memory.h"

/* After so long a silence of our own, one more look at the sockets comes before the tick: epoll
 * hands out a bounded number of them at a time. */
enum { LOOP_LATE_MS = 100 };

/* EVLOOP_NONBLOCK alone goes on until no socket is ready, so a peer that floods could keep the turn
 * and the tick waiting. */
enum { ONE_PASS = EVLOOP_ONCE | EVLOOP_NONBLOCK };

struct waker {
    struct loop *loop;
    int fd;
    struct event *event;
    void (*wake)(void *context);
    void *context;
    struct waker *next;
    atomic_bool is_woken, is_urgent;
    atomic_bool may_be_late; /* set by the loop, while it does not wait */
};

struct loop {
    struct event_base *base;
    struct event *timer; /* ends the wait */
    struct waker *wakers;
    int64_t now_ms, unix_ms;
    int64_t ahead_ms;  /* of the clocks */
    int64_t ticked_ms; /* the last tick; 0: none yet */
    bool now_known, stopped;
    atomic_bool waits; /* or is about to */
    uint64_t cycles, busy_us;
    int64_t woken_us; /* when the clock was first looked at after the last wait; 0: not yet */
};

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

struct loop *loop_new(void)
{
    struct loop *loop = memory_new(sizeof *loop);
    struct event_config *config = event_config_new();
    if (!config)
        fatal("cannot set up libevent");
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (!loop->base)
        fatal("cannot create an event base");
    loop->timer = event_new(loop->base, -1, EV_PERSIST, on_timer, NULL);
    struct timeval interval = {.tv_usec = LOOP_TICK_MS * 1000};
    if (!loop->timer || event_add(loop->timer, &interval) != 0)
        fatal("cannot create a timer");
    return loop;
}

void loop_free(struct loop *loop)
{
    while (loop->wakers) {
        struct waker *waker = loop->wakers;
        loop->wakers = waker->next;
        event_free(waker->event);
        close(waker->fd);
        memory_free(waker);
    }
    event_free(loop->timer);
    event_base_free(loop->base);
    memory_free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static int64_t microseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000 + time->tv_nsec / 1000;
}

/* What was done since the last wait is done. */
static void count_cycle(struct loop *loop)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (loop->woken_us)
        loop->busy_us += (uint64_t)(microseconds(&now) - loop->woken_us);
    loop->woken_us = 0;
    loop->cycles++;
}

void loop_stats(const struct loop *loop, uint64_t *cycles, uint64_t *busy_us)
{
    *cycles = loop->cycles;
    *busy_us = loop->busy_us;
}

static void read_clocks(struct loop *loop)
{
    struct timespec monotonic, wall;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME, &wall);
    loop->now_ms = loop->ahead_ms + (int64_t)monotonic.tv_sec * 1000 + monotonic.tv_nsec / 1000000;
    loop->unix_ms = loop->ahead_ms + (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
    loop->now_known = true;
    if (loop->woken_us == 0)
        loop->woken_us = microseconds(&monotonic);
}

int64_t loop_now_ms(struct loop *loop)
{
    if (!loop->now_known)
        read_clocks(loop);
    return loop->now_ms;
}

int64_t loop_unix_ms(struct loop *loop)
{
    if (!loop->now_known)
        read_clocks(loop);
    return loop->unix_ms;
}

/* False: there is something to do first. */
static bool begin_wait(struct loop *loop)
{
    bool may_wait = true;
    atomic_store(&loop->waits, true);
    for (struct waker *waker = loop->wakers; waker; waker = waker->next)
        may_wait &= !atomic_load(&waker->is_urgent) &&
                    (waker->may_be_late || !atomic_load(&waker->is_woken));
    return may_wait;
}

static void heed_wakers(struct loop *loop)
{
    for (struct waker *waker = loop->wakers; waker; waker = waker->next)
        if (atomic_load(&waker->is_woken) && atomic_exchange(&waker->is_woken, false)) {
            atomic_store(&waker->is_urgent, false);
            waker->wake(waker->context);
        }
}

static void pass(struct loop *loop, int flags)
{
    count_cycle(loop);
    loop->now_known = false;
    if (flags == EVLOOP_ONCE && !begin_wait(loop))
        flags = ONE_PASS;
    if (event_base_loop(loop->base, flags) < 0)
        fatal("the event loop failed: %s", strerror(errno));
    atomic_store(&loop->waits, false);
    read_clocks(loop);
    heed_wakers(loop);
}

static bool take_turn(struct loop *loop, const struct loop_hooks *hooks, int flags)
{
    if (loop->ticked_ms == 0)
        loop->ticked_ms = loop_now_ms(loop);
    pass(loop, flags);
    if (loop->now_ms - loop->ticked_ms > LOOP_LATE_MS)
        pass(loop, ONE_PASS);
    if (loop->now_ms - loop->ticked_ms >= LOOP_TICK_MS) {
        loop->ticked_ms = loop->now_ms;
        hooks->tick(hooks->context);
    }
    return hooks->turn(hooks->context);
}

void loop_run(struct loop *loop, const struct loop_hooks *hooks)
{
    bool more = true;
    while (!loop->stopped)
        more = take_turn(loop, hooks, more ? ONE_PASS : EVLOOP_ONCE);
}

bool loop_turn(struct loop *loop, const struct loop_hooks *hooks)
{
    return take_turn(loop, hooks, ONE_PASS);
}

void loop_set_ahead(struct loop *loop, int64_t ms)
{
    loop->ahead_ms = ms;
    loop->now_known = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* ---- wakers ------------------------------------------------------------------- */

/* The wait is over, that is all: see heed_wakers(). */
static void on_wake(evutil_socket_t fd, short what, void *context)
{
    uint64_t count;
    (void)what;
    (void)context;
    ssize_t taken = read(fd, &count, sizeof count);
    if (taken < 0 && errno != EAGAIN)
        fatal("eventfd: %s", strerror(errno));
}

struct waker *loop_waker(struct loop *loop, void (*wake)(void *context), void *context)
{
    struct waker *waker = memory_new(sizeof *waker);
    waker->loop = loop;
    waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (waker->fd < 0)
        fatal("eventfd: %s", strerror(errno));
    waker->wake = wake;
    waker->context = context;
    waker->event = event_new(loop->base, waker->fd, EV_READ | EV_PERSIST, on_wake, waker);
    if (!waker->event || event_add(waker->event, NULL) != 0)
        fatal("cannot watch an eventfd");
    waker->next = loop->wakers;
    loop->wakers = waker;
    return waker;
}

void waker_may_be_late(struct waker *waker, bool may_be_late)
{
    check(!atomic_load(&waker->loop->waits));
    if (waker->may_be_late != may_be_late)
        atomic_store(&waker->may_be_late, may_be_late);
}

static void wake(struct waker *waker, bool is_urgent)
{
    uint64_t one = 1;
    if (is_urgent)
        atomic_store(&waker->is_urgent, true);
    atomic_store(&waker->is_woken, true);
    if (!atomic_load(&waker->loop->waits) || (atomic_load(&waker->may_be_late) && !is_urgent))
        return;
    /* EAGAIN: the counter is full, so the loop is going to wake anyway. */
    if (write(waker->fd, &one, sizeof one) < 0 && errno != EAGAIN)
        fatal("eventfd: %s", strerror(errno));
}

void waker_wake(struct waker *waker)
{
    wake(waker, false);
}

void waker_hurry(struct waker *waker)
{
    wake(waker, true);
}
