/* A fiber: a function on a stack of its own, which can stop anywhere, however deep in the calls of
 * a library, and go on there later.  It belongs to one thread and runs only inside fiber_enter(),
 * so nothing is ever done at the same time.
 *
 *     fiber_begin()      fiber_enter()           fiber_leave(), from inside
 *     new  ----------->  ready  ------------>  running  ------------->  ready
 *                          ^                      |
 *                          +--- fiber_begin() --- ended: run() returned
 *
 * One that is not wanted any more needs no end: fiber_begin() forgets what was on the stack, which
 * therefore must not own anything. */
#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;

typedef void fiber_fn(void *context);

/* The stack, of about `stack_size` bytes, costs memory only as far as it was used, and ends at a
 * page that must not be touched. */
struct fiber *fiber_new(size_t stack_size);
void fiber_free(struct fiber *fiber); /* not from inside; NULL allowed */
/* `run` is called by the next fiber_enter(). */
void fiber_begin(struct fiber *fiber, fiber_fn *run, void *context);
/* Runs it until it leaves (true) or ends (false). */
bool fiber_enter(struct fiber *fiber);
void fiber_leave(struct fiber *fiber);

#endif
