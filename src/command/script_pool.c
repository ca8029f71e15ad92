/* Machines for scripts: one for each that is under way, some kept for the next.  One that writes is
 * alone; those that read may be many, since a long one goes on while others begin.  They are never
 * so many that an entry finds none: how many read is not the same on all nodes.
 *
 * The only state of this directory that is no db's: what is in a machine before a script begins is
 * always the same (script/script.h), so nothing depends on which one it gets.  Loop thread only. */
#include "base/fatal.h"
#include "command/eval.h"
#include "script/script.h"

enum { MACHINES_MAX = 16, IDLE_MAX = 2 };

static struct script *idle[IDLE_MAX];
static unsigned idle_count, busy_count;

struct script *script_pool_take(const struct call *call)
{
    bool is_entry = call->allows & CMD_WRITE;
    if (busy_count >= MACHINES_MAX && !is_entry)
        return NULL;
    busy_count++;
    return idle_count > 0 ? idle[--idle_count] : script_new();
}

void script_pool_give_back(struct script *script)
{
    check(busy_count > 0);
    busy_count--;
    if (idle_count < IDLE_MAX)
        idle[idle_count++] = script;
    else
        script_free(script);
}

uint64_t script_pool_memory(void)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < idle_count; i++)
        bytes += script_memory(idle[i]);
    return bytes;
}
