/* Fibers by the C library's contexts, for the first step onto a new stack, and by its jumps for
 * all others: a change of contexts is two calls of the kernel, a jump none.  The fortified jumps of
 * the C library take one to another stack for a mistake, so they are not used here.
 *
 * The sanitizers want contexts, and to be told of each change of stacks.  Loop thread only. */
#undef _FORTIFY_SOURCE
#include "base/fiber.h"

#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/memory.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { JUMPS = false };
#else
enum { JUMPS = true };
#endif

struct fiber {
    char *mapping; /* owned: the page that must not be touched, and behind it the stack */
    size_t mapped;
    size_t page;
    fiber_fn *run;
    void *context;
    bool is_inside; /* it runs */
    bool has_ended;
    ucontext_t inside, outside;        /* where each goes on, by contexts; */
    jmp_buf inside_jump, outside_jump; /* the same by jumps, */
    jmp_buf home;                      /* and where a new function begins */
    bool is_home;                      /* that was reached once */
    bool is_fresh;                     /* to begin there */
    /* What the sanitizers want to have kept. */
    void *outside_fake, *inside_fake;
    const void *outside_stack;
    size_t outside_size;
    void *outside_thread, *inside_thread;
};

/* ---- what the sanitizers are told ------------------------------------------------------ */

/* Before a change to another stack; fake NULL: from one that nobody comes back to. */
static void say_leaving(void **fake, const void *stack, size_t size, void *thread)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(fake, stack, size);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(thread, 0);
#endif
    (void)fake, (void)stack, (void)size, (void)thread;
}

/* After it, on the new one. */
static void say_arrived(void *fake, const void **stack, size_t *size)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, stack, size);
#endif
    (void)fake, (void)stack, (void)size;
}

static void *new_thread(void)
{
#ifdef __SANITIZE_THREAD__
    return __tsan_create_fiber(0);
#else
    return NULL;
#endif
}

static void end_thread(void *thread)
{
#ifdef __SANITIZE_THREAD__
    if (thread)
        __tsan_destroy_fiber(thread);
#endif
    (void)thread;
}

static void *this_thread(void)
{
#ifdef __SANITIZE_THREAD__
    return __tsan_get_current_fiber();
#else
    return NULL;
#endif
}

/* ---- the fiber ---------------------------------------------------------------------------- */

struct fiber *fiber_new(size_t stack_size)
{
    struct fiber *fiber = memory_new(sizeof *fiber);
    fiber->page = (size_t)sysconf(_SC_PAGESIZE);
    fiber->mapped = fiber->page + (stack_size + fiber->page - 1) / fiber->page * fiber->page;
    fiber->mapping = mmap(NULL, fiber->mapped, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber->mapping == MAP_FAILED)
        fatal("no memory for a stack of %zu bytes", fiber->mapped);
    if (mprotect(fiber->mapping, fiber->page, PROT_NONE) != 0)
        fatal("the end of a stack cannot be protected");
    fiber->has_ended = true;
    return fiber;
}

void fiber_free(struct fiber *fiber)
{
    if (!fiber)
        return;
    check(!fiber->is_inside);
    end_thread(fiber->inside_thread);
    munmap(fiber->mapping, fiber->mapped);
    memory_free(fiber);
}

/* makecontext() passes numbers, not pointers. */
static void start(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);
    say_arrived(NULL, &fiber->outside_stack, &fiber->outside_size);
    if (JUMPS)
        _setjmp(fiber->home);
    fiber->is_home = true;
    fiber->run(fiber->context);
    fiber->has_ended = true;
    if (JUMPS)
        _longjmp(fiber->outside_jump, 1);
    say_leaving(NULL, fiber->outside_stack, fiber->outside_size, fiber->outside_thread);
    setcontext(&fiber->outside);
}

void fiber_begin(struct fiber *fiber, fiber_fn *run, void *context)
{
    uintptr_t number = (uintptr_t)fiber;
    check(!fiber->is_inside);
    fiber->run = run;
    fiber->context = context;
    fiber->has_ended = false;
    fiber->is_fresh = true;
    if (JUMPS && fiber->is_home)
        return;
    if (getcontext(&fiber->inside) != 0)
        fatal("no context for a fiber");
    fiber->inside.uc_stack.ss_sp = fiber->mapping + fiber->page;
    fiber->inside.uc_stack.ss_size = fiber->mapped - fiber->page;
    fiber->inside.uc_link = NULL;
    makecontext(&fiber->inside, (void (*)(void))start, 2, (unsigned)(number >> 32),
                (unsigned)number);
    end_thread(fiber->inside_thread);
    fiber->inside_thread = new_thread();
    fiber->inside_fake = NULL;
}

static void jump_inside(struct fiber *fiber)
{
    bool is_fresh = fiber->is_fresh;
    if (_setjmp(fiber->outside_jump))
        return;
    fiber->is_fresh = false;
    if (!fiber->is_home)
        setcontext(&fiber->inside);
    if (is_fresh)
        _longjmp(fiber->home, 1);
    _longjmp(fiber->inside_jump, 1);
}

static void change_to_inside(struct fiber *fiber)
{
    fiber->outside_thread = this_thread();
    say_leaving(&fiber->outside_fake, fiber->mapping + fiber->page, fiber->mapped - fiber->page,
                fiber->inside_thread);
    if (swapcontext(&fiber->outside, &fiber->inside) != 0)
        fatal("a fiber cannot be entered");
    say_arrived(fiber->outside_fake, NULL, NULL);
}

bool fiber_enter(struct fiber *fiber)
{
    check(!fiber->is_inside);
    check(!fiber->has_ended);
    fiber->is_inside = true;
    if (JUMPS)
        jump_inside(fiber);
    else
        change_to_inside(fiber);
    fiber->is_inside = false;
    return !fiber->has_ended;
}

void fiber_leave(struct fiber *fiber)
{
    check(fiber->is_inside);
    if (JUMPS) {
        if (_setjmp(fiber->inside_jump) == 0)
            _longjmp(fiber->outside_jump, 1);
        return;
    }
    say_leaving(&fiber->inside_fake, fiber->outside_stack, fiber->outside_size,
                fiber->outside_thread);
    if (swapcontext(&fiber->inside, &fiber->outside) != 0)
        fatal("a fiber cannot be left");
    say_arrived(fiber->inside_fake, &fiber->outside_stack, &fiber->outside_size);
}
