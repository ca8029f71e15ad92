/* The life of a machine and of a script in it: see script.h.
 *
 * The base image is made once: libraries, sandbox, nothing of a script.  A script is compiled on
 * top of it, and the image of that is kept for the next time, for the scripts that were used last.
 * To begin is to copy an image into the arena.
 *
 * On the fiber nothing is owned but what lies in the arena or in the struct, so a script that
 * passes a bound is simply left where it is. */
#include "script/machine.h"

#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/math.h"
#include "base/memory.h"

enum {
    STACK_SIZE = 4 << 20, /* Lua's 200 nested C calls have a buffer of 8 KB each, at the worst */
    HOOK_INSTRUCTIONS = 1000,
    ALLOCATED_PER_INSTRUCTION = 16, /* bytes */
    MATH_INSTRUCTIONS = 15,         /* for a part of math_work() */
    SLICE_WORDS = 1 << 12,          /* of KEYS or ARGV, in one slice */
    COMPILED_MAX = 64,
    COMPILED_SIZE_MAX = 1 << 20, /* a larger image is not kept */
    ARENA_KEEP = 1 << 20,
    BUFFER_KEEP = 1 << 20
};

/* ---- bounds ----------------------------------------------------------------------------- */

struct script *script_of(lua_State *lua)
{
    void *script;
    lua_getallocf(lua, &script);
    return script;
}

void script_give_up(struct script *script, enum script_end end)
{
    script->end = end;
    script->step = SCRIPT_ENDS;
    fiber_leave(script->fiber);
    check_failed("a script that ended goes on", __FILE__, __LINE__);
}

static void pause_here(struct script *script)
{
    script->step = SCRIPT_PAUSES;
    fiber_leave(script->fiber);
}

/* Powers, which Lua takes for one instruction, and the like. */
static void count_math(struct script *script)
{
    uint64_t done = math_work();
    script->spent += (done - script->math_counted) * MATH_INSTRUCTIONS;
    script->math_counted = done;
}

void script_spend(lua_State *lua, uint64_t instructions)
{
    struct script *script = script_of(lua);
    count_math(script);
    script->spent += instructions;
    if (script->spent > script->instructions_max)
        script_give_up(script, SCRIPT_TOO_LONG);
    if (script->spent >= script->slice_end)
        pause_here(script);
}

static void count_hook(lua_State *lua, lua_Debug *where)
{
    (void)where;
    script_spend(lua, HOOK_INSTRUCTIONS);
}

static struct allocator *allocator_of(const struct script *script)
{
    return (struct allocator *)script->arena.base;
}

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    struct script *script = context;
    struct allocator *allocator = allocator_of(script);
    void *given = script_allocator_resize(allocator, block, old_size, size, SCRIPT_MEMORY_MAX);
    if (size > old_size)
        script->spent += size / ALLOCATED_PER_INSTRUCTION;
    if (!given && size > 0)
        script_give_up(script, SCRIPT_TOO_LARGE);
    return given;
}

/* ---- images ------------------------------------------------------------------------------- */

static void image_take(struct image *image, struct script *script)
{
    size_t size = allocator_of(script)->top;
    memory_free(image->bytes);
    *image = (struct image){.bytes = memory_copy(script->arena.base, size), .size = size};
}

static void image_put_back(const struct image *image, struct script *script)
{
    size_t was_used = allocator_of(script)->top;
    if (was_used > ARENA_KEEP)
        arena_trim(&script->arena, ARENA_KEEP);
    memcpy(script->arena.base, image->bytes, image->size);
}

static struct image *find_compiled(struct script *script, struct bytes sha)
{
    for (uint32_t i = 0; i < script->compiled_count; i++)
        if (memcmp(script->compiled[i].sha, sha.data, SCRIPT_SHA_SIZE) == 0)
            return &script->compiled[i];
    return NULL;
}

static void forget_compiled(struct script *script, struct bytes sha)
{
    struct image *image = find_compiled(script, sha);
    if (!image)
        return;
    memory_free(image->bytes);
    *image = script->compiled[--script->compiled_count];
    script->compiled[script->compiled_count] = (struct image){0};
}

static struct image *oldest_compiled(struct script *script)
{
    struct image *oldest = &script->compiled[0];
    for (uint32_t i = 1; i < script->compiled_count; i++)
        if (script->compiled[i].used_at < oldest->used_at)
            oldest = &script->compiled[i];
    return oldest;
}

static void keep_compiled(struct script *script)
{
    if (allocator_of(script)->top > COMPILED_SIZE_MAX)
        return;
    bool is_full = script->compiled_count == COMPILED_MAX;
    struct image *image =
        is_full ? oldest_compiled(script) : &script->compiled[script->compiled_count++];
    image_take(image, script);
    memcpy(image->sha, script->run.sha.data, SCRIPT_SHA_SIZE);
    image->used_at = script->turn;
}

/* ---- making one ------------------------------------------------------------------------------ */

static void make_base(void *context)
{
    struct script *script = context;
    lua_State *lua = lua_newstate(allocate, script);
    check(lua);
    script->lua = lua;
    script_open_sandbox(lua);
    script_open_tables(lua);
    script_open_texts(lua);
    script_open_numbers(lua);
    script_open_libraries(lua);
    script_open_redis(lua);
    script_open_functions(lua);
    script_protect_globals(lua);
    lua_settop(lua, 0);
    lua_gc(lua, LUA_GCCOLLECT, 0);
    script->end = SCRIPT_RETURNED;
}

struct script *script_new(void)
{
    struct script *script = memory_new(sizeof *script);
    script->instructions_max = SCRIPT_INSTRUCTIONS_MAX;
    arena_init(&script->arena, SCRIPT_ARENA_SIZE);
    script_allocator_init(&script->arena);
    script->fiber = fiber_new(STACK_SIZE);
    script->compiled = memory_new(COMPILED_MAX * sizeof *script->compiled);
    fiber_begin(script->fiber, make_base, script);
    bool is_unfinished = fiber_enter(script->fiber);
    check(!is_unfinished);
    check(script->end == SCRIPT_RETURNED);
    image_take(&script->base, script);
    return script;
}

void script_free(struct script *script)
{
    if (!script)
        return;
    for (uint32_t i = 0; i < script->compiled_count; i++)
        memory_free(script->compiled[i].bytes);
    memory_free(script->compiled);
    memory_free(script->base.bytes);
    fiber_free(script->fiber);
    arena_deinit(&script->arena);
    buffer_deinit(&script->reply);
    buffer_deinit(&script->registered);
    buffer_deinit(&script->words);
    buffer_deinit(&script->answer);
    memory_free(script->argv);
    memory_free(script);
}

/* ---- running one ----------------------------------------------------------------------------- */

/* As Redis's: the error becomes a table that says where it was raised. */
int script_on_error(lua_State *lua)
{
    lua_Debug where;
    bool is_known = lua_getstack(lua, 1, &where) && lua_getinfo(lua, "Sl", &where);
    if (is_known && strcmp(where.what, "C") == 0)
        is_known = lua_getstack(lua, 2, &where) && lua_getinfo(lua, "Sl", &where);
    if (!lua_istable(lua, 1)) {
        if (!lua_isstring(lua, 1)) {
            lua_getglobal(lua, "tostring");
            lua_insert(lua, 1);
            lua_call(lua, 1, 1);
        }
        lua_newtable(lua);
        lua_insert(lua, 1);
        lua_pushliteral(lua, "ERR ");
        lua_insert(lua, 2);
        lua_concat(lua, 2);
        lua_setfield(lua, 1, "err");
    }
    if (!is_known)
        return 1;
    lua_pushstring(lua, where.source);
    lua_setfield(lua, 1, "source");
    lua_pushinteger(lua, where.currentline);
    lua_setfield(lua, 1, "line");
    return 1;
}

static void append_text(struct buffer *out, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = ((const char *)text.data)[i];
        buffer_append_byte(out, byte == '\r' || byte == '\n' ? ' ' : byte);
    }
}

static struct bytes field_of(lua_State *lua, int index, const char *name)
{
    struct bytes text = {"", 0};
    lua_pushstring(lua, name);
    lua_rawget(lua, index);
    if (lua_isstring(lua, -1))
        text.data = lua_tolstring(lua, -1, &text.size); /* stays on the stack */
    return text;
}

/* What the error on top of the stack says. */
static struct bytes text_of(lua_State *lua, int index)
{
    struct bytes text = {"ERR execution failure", 21};
    if (lua_istable(lua, index))
        text = field_of(lua, index, "err");
    return text.size ? text : bytes_from_string("ERR unknown error");
}

void script_fail(struct script *script, lua_State *lua, const char *what)
{
    struct buffer *out = &script->reply;
    buffer_clear(out);
    buffer_printf(out, "-%s", what);
    append_text(out, text_of(lua, lua_gettop(lua)));
    buffer_append(out, "\r\n", 2);
}

/* As Redis names it. */
static struct bytes name_of(const struct script *script)
{
    return script->run.is_library ? script->run.function
                                  : bytes_of(script->run.sha.data, SCRIPT_SHA_SIZE);
}

static void reply_raised(struct script *script, lua_State *lua)
{
    struct buffer *out = &script->reply;
    int index = lua_gettop(lua);
    struct bytes source = {"", 0}, line = {"", 0}, name = name_of(script);
    buffer_append_byte(out, '-');
    append_text(out, text_of(lua, index));
    if (lua_istable(lua, index)) {
        source = field_of(lua, index, "source");
        line = field_of(lua, index, "line");
    }
    if (source.size > 0 && line.size > 0) {
        buffer_printf(out, " script: %.*s, on ", (int)name.size, (const char *)name.data);
        append_text(out, source);
        buffer_printf(out, ":%.*s.", (int)line.size, (const char *)line.data);
    }
    buffer_append(out, "\r\n", 2);
}

/* Very many are put there some in a slice.  They cost what they allocate, a pause nothing. */
static void push_words(lua_State *lua, const struct bytes *words, uint32_t count)
{
    lua_createtable(lua, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlstring(lua, words[i].size ? words[i].data : "", words[i].size);
        lua_rawseti(lua, -2, (int)i + 1);
        if ((i + 1) % SLICE_WORDS == 0 && i + 1 < count)
            pause_here(script_of(lua));
    }
}

/* The script's own part, without a line "#!..." but with that line's end, so that lines keep their
 * numbers. */
static struct bytes chunk_of(struct bytes body)
{
    const char *text = body.data;
    if (body.size < 2 || text[0] != '#' || text[1] != '!')
        return body;
    const char *end = memchr(text, '\n', body.size);
    size_t skipped = end ? (size_t)(end - text) : body.size;
    return bytes_of(text + skipped, body.size - skipped);
}

bool script_compile(struct script *script, lua_State *lua, const char *name, const char *what)
{
    struct bytes chunk = chunk_of(script->run.body);
    const char *text = chunk.size ? chunk.data : "";
    bool is_compiled = chunk.size > 0 && text[0] == LUA_SIGNATURE[0];
    if (is_compiled) /* Lua would take it for a compiled one, and believe all it says */
        lua_pushfstring(lua, "%s:1: unexpected symbol near '?'", name + 1);
    else if (luaL_loadbuffer(lua, text, chunk.size, name) == 0)
        return true;
    struct bytes why;
    why.data = lua_tolstring(lua, -1, &why.size);
    buffer_printf(&script->reply, "-%s", what);
    append_text(&script->reply, why);
    buffer_append(&script->reply, "\r\n", 2);
    return false;
}

static bool compile(struct script *script, lua_State *lua)
{
    return script_compile(script, lua, "@user_script",
                          "ERR Error compiling script (new function): ");
}

int script_call_counted(lua_State *lua, int arguments, int results, int handler)
{
    lua_sethook(lua, count_hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    int error = lua_pcall(lua, arguments, results, handler);
    lua_sethook(lua, NULL, 0, 0);
    return error;
}

/* Calls the script, and takes what it returns: errors of either are the script's. */
static int call_and_take(lua_State *lua)
{
    struct script *script = script_of(lua);
    lua_call(lua, lua_gettop(lua) - 1, 1);
    script_take_reply(lua, script->call_protocol, script->run.protocol, &script->reply);
    return 0;
}

/* Puts what is called on the stack, and its arguments; returns how many.  KEYS and ARGV are globals
 * of a script, and given to a function. */
static int push_call(struct script *script, lua_State *lua)
{
    const struct script_run *run = &script->run;
    if (run->is_library)
        script_push_function(lua, run->function);
    push_words(lua, run->keys, run->key_count);
    if (!run->is_library)
        script_set_global(lua, "KEYS");
    push_words(lua, run->arguments, run->argument_count);
    if (!run->is_library)
        script_set_global(lua, "ARGV");
    return run->is_library ? 2 : 0;
}

/* What is called, or says that it can be, is all that stands on the stack. */
static enum script_end call(struct script *script, lua_State *lua)
{
    int arguments = push_call(script, lua);
    if (script->run.waits) {
        script->is_waiting = true;
        pause_here(script);
        script->is_waiting = false;
    }
    lua_pushcfunction(lua, script_on_error);
    lua_insert(lua, 1);
    lua_pushcfunction(lua, call_and_take);
    lua_insert(lua, 2);
    if (script_call_counted(lua, arguments + 1, 0, 1) == 0)
        return SCRIPT_RETURNED;
    buffer_clear(&script->reply);
    reply_raised(script, lua);
    return SCRIPT_RAISED;
}

/* What it took to compile it does not count: not every node had to. */
static void start_count(struct script *script)
{
    script->spent = 0;
    script->math_counted = math_work();
    script->random = script_seed(0);
    script_slice(script);
}

static void run_script(void *context)
{
    struct script *script = context;
    lua_State *lua = script->lua;
    if (lua_gettop(lua) == 0) {
        bool is_ready =
            script->run.is_library ? script_load_library(script, lua) : compile(script, lua);
        if (!is_ready) {
            script->end = SCRIPT_RAISED;
            return;
        }
        keep_compiled(script);
    }
    check(lua_gettop(lua) == 1);
    start_count(script);
    script->end = script->only_compiles ? SCRIPT_RETURNED : call(script, lua);
}

static void trim(struct buffer *buffer)
{
    if (buffer->capacity > BUFFER_KEEP)
        buffer_deinit(buffer);
    buffer_clear(buffer);
}

static void begin(struct script *script, const struct script_run *run, bool only_compiles)
{
    check(run->sha.size == SCRIPT_SHA_SIZE);
    script->run = *run;
    script->only_compiles = only_compiles;
    script->end = SCRIPT_RUNS;
    script->step = SCRIPT_PAUSES;
    script->spent = 0;
    script->turn++;
    script->call_protocol = 2;
    script->is_loading = script->is_waiting = false;
    script->argc = 0;
    script->random = script_seed((int32_t)run->seed);
    trim(&script->reply);
    trim(&script->words);
    trim(&script->answer);
    struct image *image = find_compiled(script, run->sha);
    if (image)
        image->used_at = script->turn;
    image_put_back(image ? image : &script->base, script);
    script_slice(script);
    fiber_begin(script->fiber, run_script, script);
}

void script_begin(struct script *script, const struct script_run *run)
{
    begin(script, run, false);
}

/* It passed a bound. */
static void reply_passed(struct script *script)
{
    struct buffer *out = &script->reply;
    struct bytes name = name_of(script);
    buffer_clear(out);
    buffer_printf(out, "-ERR Script ended: ");
    if (script->end == SCRIPT_TOO_LONG && script->is_loading) {
        buffer_clear(out);
        buffer_printf(out, "-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n");
        return;
    }
    if (script->end == SCRIPT_TOO_LONG)
        buffer_printf(out, "it took more than %d instructions", SCRIPT_INSTRUCTIONS_MAX);
    else if (script->end == SCRIPT_TOO_LARGE)
        buffer_printf(out, "it needs more than %d MB of memory", SCRIPT_MEMORY_MAX >> 20);
    else if (script->end == SCRIPT_REPLY_TOO_LARGE)
        buffer_printf(out, "its reply has more than %d MB", SCRIPT_REPLY_MAX >> 20);
    else
        buffer_printf(out, "%s", script->refusal);
    buffer_printf(out, " script: %.*s, on @user_%s.\r\n", (int)name.size, (const char *)name.data,
                  script->run.is_library ? "function" : "script");
}

void script_end(struct script *script, const char *why)
{
    check(script->step == SCRIPT_CALLS);
    script->refusal = why;
    script->end = SCRIPT_REFUSED;
}

void script_slice(struct script *script)
{
    script->slice_end = script->spent + SCRIPT_SLICE_INSTRUCTIONS;
}

enum script_step script_go_on(struct script *script)
{
    check(script->step != SCRIPT_ENDS);
    script->math_counted = math_work(); /* others may have run */
    bool is_unfinished = script->end == SCRIPT_RUNS && fiber_enter(script->fiber);
    count_math(script);
    if (!is_unfinished)
        script->step = SCRIPT_ENDS;
    if (script->end >= SCRIPT_TOO_LONG)
        reply_passed(script);
    check((script->step == SCRIPT_ENDS) == (script->end != SCRIPT_RUNS));
    return script->step;
}

bool script_is_waiting(const struct script *script)
{
    return script->is_waiting;
}

struct bytes script_reply(const struct script *script, bool *failed)
{
    check(script->step == SCRIPT_ENDS);
    *failed = script->end != SCRIPT_RETURNED;
    return buffer_bytes(&script->reply);
}

uint64_t script_spent(const struct script *script)
{
    return script->spent;
}

uint64_t script_memory(const struct script *script)
{
    return allocator_of(script)->used;
}

/* To the end of what it does before it runs. */
static bool gets_ready(struct script *script, const struct script_run *run, struct buffer *error)
{
    enum script_step step;
    bool failed;
    begin(script, run, true);
    do
        step = script_go_on(script);
    while (step == SCRIPT_PAUSES);
    check(step == SCRIPT_ENDS);
    struct bytes reply = script_reply(script, &failed);
    if (failed)
        buffer_append_bytes(error, reply);
    return !failed;
}

bool script_compiles(struct script *script, struct bytes sha, struct bytes body,
                     struct buffer *error)
{
    struct script_run run = {.sha = sha, .body = body, .protocol = 2};
    return gets_ready(script, &run, error);
}

bool script_loads(struct script *script, struct bytes sha, struct bytes code, struct buffer *error)
{
    struct script_run run = {.sha = sha, .body = code, .protocol = 2, .is_library = true};
    forget_compiled(script, sha); /* what it registers is wanted, too */
    return gets_ready(script, &run, error);
}
