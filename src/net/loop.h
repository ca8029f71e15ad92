/* The event loop: one thread, one turn after another.
 *
 *     turn:   wait for sockets, eventfds, signals, at most until the next tick
 *          -> their callbacks: read, parse, hand to the replica's queue
 *          -> tick, if one is due         (after the sockets: see below)
 *          -> turn: the replica runs once, then everything it said is written out
 *
 * So whatever came in during a turn shares one log write, one message a peer and one write() a
 * client.  The tick is taken behind the sockets on purpose: a process that was stopped for a while
 * must hear its leader, whose messages wait in the sockets, before it finds that the leader was
 * silent.  And it is looked at in every turn, whatever else happens: no traffic can put it off. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

enum { LOOP_TICK_MS = 10 };

struct loop_hooks {
    void (*tick)(void *context); /* about every LOOP_TICK_MS, never twice for one */
    bool (*turn)(void *context); /* true: there is more to do, do not sleep */
    void *context;
};

struct loop *loop_new(void);
void loop_free(struct loop *loop);
void loop_run(struct loop *loop, const struct loop_hooks *hooks); /* until loop_stop() */
void loop_stop(struct loop *loop);
/* For tests: one turn, without waiting; and the clocks set ahead. */
bool loop_turn(struct loop *loop, const struct loop_hooks *hooks); /* true: there is more to do */
void loop_set_ahead(struct loop *loop, int64_t ms);
struct event_base *loop_base(struct loop *loop);

/* Since the start: how often events were waited for, and microseconds in between. */
void loop_stats(const struct loop *loop, uint64_t *cycles, uint64_t *busy_us);

/* Monotonic and Unix time; read once a turn. */
int64_t loop_now_ms(struct loop *loop);
int64_t loop_unix_ms(struct loop *loop);

/* waker_wake(), from any thread, has `wake` called in the loop thread soon; many calls may become
 * one.  Lives as long as the loop. */
struct waker;
struct waker *loop_waker(struct loop *loop, void (*wake)(void *context), void *context);
void waker_wake(struct waker *waker);
/* The same, whether it may be late or not. */
void waker_hurry(struct waker *waker);
/* Whether it need not end a wait: then `wake` is called in the next turn, whatever that is for; at
 * the latest for a tick.  Loop thread, outside a pass; false at first. */
void waker_may_be_late(struct waker *waker, bool may_be_late);

#endif
