/* What the files of this directory share of a machine. */
#ifndef SCRIPT_MACHINE_H
#define SCRIPT_MACHINE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/arena.h"
#include "base/fiber.h"
#include "script/allocator.h"
#include "script/script.h"

#define SCRIPT_REDIS_VERSION "7.2.4" /* REDIS_VERSION of command/commands.h */
enum { SCRIPT_REDIS_VERSION_NUM = 0x00070204 };

enum script_end {
    SCRIPT_RUNS,
    SCRIPT_RETURNED,
    SCRIPT_RAISED,
    SCRIPT_TOO_LONG,
    SCRIPT_TOO_LARGE,
    SCRIPT_REPLY_TOO_LARGE,
    SCRIPT_REFUSED /* by who runs it */
};

/* The used part of an arena, as it was at a time. */
struct image {
    char *bytes; /* owned */
    size_t size;
    char sha[SCRIPT_SHA_SIZE]; /* of the script that is compiled on top of the stack */
    uint64_t used_at;          /* turn of the last use, for who must go */
};

struct script {
    struct arena arena; /* the allocator, and all that Lua has */
    struct fiber *fiber;
    lua_State *lua;    /* in the arena */
    struct image base; /* libraries and sandbox, no script */
    struct image *compiled;
    uint32_t compiled_count;
    uint64_t turn;

    struct script_run run;
    bool only_compiles;
    bool is_waiting; /* see script_run.waits */
    enum script_step step;
    enum script_end end;
    uint64_t spent, slice_end; /* in instructions */
    uint64_t math_counted;     /* of math_work(), what is in `spent`, or another's */
    uint64_t instructions_max; /* SCRIPT_INSTRUCTIONS_MAX, but for tests of what is beyond */
    const char *refusal;       /* of SCRIPT_REFUSED */
    struct buffer reply;

    /* redis.call() */
    struct bytes *argv; /* owned; the words lie in `words`, one behind the other */
    uint32_t argc, argv_capacity;
    struct buffer words;
    int call_protocol; /* redis.setresp() */
    struct buffer answer;
    bool is_refused; /* the answer is an error text, not a reply */

    bool is_loading;          /* a library: it may register functions, */
    struct buffer registered; /* which stand here: functions.c */

    uint64_t random; /* of math.random(): 48 bits */
};

/* Whose state it is. */
struct script *script_of(lua_State *lua);
/* Counts work that is done without instructions, as so many of them; may not return. */
void script_spend(lua_State *lua, uint64_t instructions);
/* Ends the script here; what is on the fiber's stack is forgotten. */
_Noreturn void script_give_up(struct script *script, enum script_end end);

/* sandbox.c.  Opens Lua's libraries and makes them what scripts may have. */
void script_open_sandbox(lua_State *lua);
void script_protect_globals(lua_State *lua);
#define SCRIPT_GLOBALS_NAME "globals" /* the real ones, in the registry */
/* In place of the table on the stack one that refuses changes, and to look for what is not
 * there. */
void script_restrict(lua_State *lua);
/* Sets a global in spite of the protection, to the value on the stack, which goes. */
void script_set_global(lua_State *lua, const char *name);
/* tables.c, texts.c, numbers.c: what replaces functions of Lua's own that show addresses, depend on
 * them, or work without being counted. */
void script_open_tables(lua_State *lua);
void script_open_texts(lua_State *lua);
void script_open_numbers(lua_State *lua);
uint64_t script_seed(int32_t seed); /* for script->random */
/* Puts a function into the table on the stack. */
void script_add(lua_State *lua, const char *name, lua_CFunction function);
/* The same in the place of another, which `function` may call, with the arguments as they are. */
void script_replace(lua_State *lua, const char *name, lua_CFunction function);
int script_call_replaced(lua_State *lua);
/* Takes one out. */
void script_remove(lua_State *lua, const char *name);
/* What stands behind the protected table at `index`, on the stack; false: it is no such table, and
 * nothing is put there. */
bool script_behind(lua_State *lua, int index);
/* libraries.c: those that Redis gives to scripts beside Lua's own: cjson, cmsgpack, struct, bit,
 * each as a global table. */
void script_open_libraries(lua_State *lua);
/* redis_api.c: the table `redis`. */
void script_open_redis(lua_State *lua);
/* Puts a table {err=...} on the stack; the text has a code, or gets ERR. */
void script_push_error(lua_State *lua, const char *text, size_t size);

/* As lua_pcall(), with instructions counted. */
int script_call_counted(lua_State *lua, int arguments, int results, int handler);
int script_on_error(lua_State *lua); /* its handler: makes tables of errors */
/* Puts what the body compiles to on the stack, as `name`; false: the reply says why not, behind
 * `what`. */
bool script_compile(struct script *script, lua_State *lua, const char *name, const char *what);
/* The error on top of the stack becomes the reply, behind `what`. */
void script_fail(struct script *script, lua_State *lua, const char *what);

/* functions.c */
void script_open_functions(lua_State *lua);
/* On an empty stack, leaves one value there; false: the reply says why not. */
bool script_load_library(struct script *script, lua_State *lua);
/* In place of what stands on the stack. */
void script_push_function(lua_State *lua, struct bytes name);

/* values.c.  Puts what a reply says on the stack. */
void script_push_reply(lua_State *lua, struct bytes reply);
/* Takes the value on top of the stack away, as a reply. */
void script_take_reply(lua_State *lua, int call_protocol, int protocol, struct buffer *out);

#endif
