/* Libraries of functions, as Redis 7.2 has them (function_lua.c): code that is run once, with
 * nothing but redis.register_function() and redis.log() at hand, and says which functions there
 * are.  What is on the arena then is the library's image; each call begins with it, so nothing that
 * a function leaves in a variable is there the next time, on any node.
 *
 * In the registry: functions[name in lower case] = callback; while it is loaded, the globals are
 * those of `loading_name`. */
#include <ctype.h>
#include <strings.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "script/machine.h"

static const char functions_name[] = "functions", loading_name[] = "loading";

/* Before the texts. */
struct registered {
    unsigned flags;
    size_t name_size, description_size;
};

/* ---- redis.register_function() --------------------------------------------------------------- */

static _Noreturn void raise(lua_State *lua, const char *text)
{
    script_push_error(lua, text, strlen(text));
    lua_error(lua);
    check_failed("an error that was raised goes on", __FILE__, __LINE__);
}

static bool is_word(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_')
            return false;
    return size > 0;
}

bool script_is_word(struct bytes text)
{
    return is_word(text.data, text.size);
}

/* Of the table on top. */
static unsigned take_flags(lua_State *lua)
{
    unsigned flags = 0, flag = 0;
    if (!lua_istable(lua, -1))
        raise(lua, "flags argument to redis.register_function must be a table representing function"
                   " flags");
    for (int i = 1;; i++) {
        lua_rawgeti(lua, -1, i);
        if (lua_isnil(lua, -1))
            break;
        struct bytes name = {NULL, 0};
        if (lua_type(lua, -1) == LUA_TSTRING)
            name.data = lua_tolstring(lua, -1, &name.size);
        if (!name.data || !script_flag_of(name, &flag))
            raise(lua, "unknown flag given");
        flags |= flag;
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return flags;
}

/* Where the arguments stand on the stack: name, callback, description. */
enum { PLACE_NAME = 1, PLACE_CALLBACK, PLACE_DESCRIPTION, PLACES = PLACE_DESCRIPTION };

static void take_named(lua_State *lua, const char *key, unsigned *flags)
{
    if (strcasecmp(key, "function_name") == 0) {
        if (!lua_isstring(lua, -1))
            raise(lua, "function_name argument given to redis.register_function must be a string");
        lua_replace(lua, PLACE_NAME + 1);
    } else if (strcasecmp(key, "description") == 0) {
        if (!lua_isstring(lua, -1))
            raise(lua, "description argument given to redis.register_function must be a string");
        lua_replace(lua, PLACE_DESCRIPTION + 1);
    } else if (strcasecmp(key, "callback") == 0) {
        if (!lua_isfunction(lua, -1))
            raise(lua, "callback argument given to redis.register_function must be a function");
        lua_replace(lua, PLACE_CALLBACK + 1);
    } else if (strcasecmp(key, "flags") == 0) {
        *flags = take_flags(lua);
    } else {
        raise(lua, "unknown argument given to redis.register_function");
    }
}

/* {function_name = , callback = , description = , flags = }, to their places. */
static unsigned take_table(lua_State *lua)
{
    unsigned flags = 0;
    if (!lua_istable(lua, 1))
        raise(lua, "calling redis.register_function with a single argument is only applicable to"
                   " Lua table (representing named arguments).");
    lua_settop(lua, 1 + PLACES);
    for (lua_pushnil(lua); lua_next(lua, 1);) {
        int key = lua_gettop(lua) - 1;
        if (!lua_isstring(lua, key))
            raise(lua, "named argument key given to redis.register_function is not a string");
        lua_pushvalue(lua, key); /* a number becomes a string, but not in the table */
        lua_insert(lua, -2);
        take_named(lua, lua_tolstring(lua, key + 1, NULL), &flags);
        lua_settop(lua, key);
    }
    lua_remove(lua, 1);
    if (lua_isnil(lua, PLACE_NAME))
        raise(lua, "redis.register_function must get a function name argument");
    if (lua_isnil(lua, PLACE_CALLBACK))
        raise(lua, "redis.register_function must get a callback argument");
    return flags;
}

static void take_pair(lua_State *lua)
{
    if (!lua_isstring(lua, PLACE_NAME))
        raise(lua, "first argument to redis.register_function must be a string");
    if (!lua_isfunction(lua, PLACE_CALLBACK))
        raise(lua, "second argument to redis.register_function must be a function");
    lua_settop(lua, PLACES);
}

static struct bytes text_at(lua_State *lua, int place)
{
    struct bytes text = {"", 0};
    if (!lua_isnil(lua, place))
        text.data = lua_tolstring(lua, place, &text.size);
    return text;
}

/* Puts functions[name] on the stack, and leaves the table below. */
static void find_function(lua_State *lua, struct bytes name)
{
    char lower[SCRIPT_FUNCTION_NAME_MAX];
    check(name.size <= sizeof lower);
    for (size_t i = 0; i < name.size; i++)
        lower[i] = (char)tolower(((const unsigned char *)name.data)[i]);
    lua_getfield(lua, LUA_REGISTRYINDEX, functions_name);
    lua_pushlstring(lua, lower, name.size);
    lua_pushvalue(lua, -1);
    lua_rawget(lua, -3);
}

static int register_function(lua_State *lua)
{
    struct script *script = script_of(lua);
    int count = lua_gettop(lua);
    unsigned flags = 0;
    if (count < 1 || count > 2)
        raise(lua, "wrong number of arguments to redis.register_function");
    if (!script->is_loading)
        raise(lua, "redis.register_function can only be called on FUNCTION LOAD command");
    if (count == 1)
        flags = take_table(lua);
    else
        take_pair(lua);
    struct bytes name = text_at(lua, PLACE_NAME), text = text_at(lua, PLACE_DESCRIPTION);
    if (!is_word(name.data, name.size) || name.size > SCRIPT_FUNCTION_NAME_MAX)
        raise(lua, "Library names can only contain letters, numbers, or underscores(_) and must be"
                   " at least one character long");
    find_function(lua, name);
    if (!lua_isnil(lua, -1))
        raise(lua, "Function already exists in the library");
    lua_pop(lua, 1);
    lua_pushvalue(lua, PLACE_CALLBACK);
    lua_rawset(lua, -3);
    struct registered registered = {flags, name.size, text.size};
    script_spend(lua, 10 + (name.size + text.size) / 16);
    buffer_append(&script->registered, &registered, sizeof registered);
    buffer_append_bytes(&script->registered, name);
    buffer_append_bytes(&script->registered, text);
    if (script->registered.size > SCRIPT_BODY_MAX)
        raise(lua, "the library registers too much");
    return 0;
}

bool script_registered(const struct script *script, size_t *at, struct script_function *function)
{
    struct registered registered;
    if (*at == script->registered.size)
        return false;
    check(*at + sizeof registered <= script->registered.size);
    const char *from = script->registered.data + *at;
    memcpy(&registered, from, sizeof registered);
    from += sizeof registered;
    *function = (struct script_function){
        .name = bytes_of(from, registered.name_size),
        .description = bytes_of(from + registered.name_size, registered.description_size),
        .flags = registered.flags};
    *at += sizeof registered + registered.name_size + registered.description_size;
    return true;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Behind the others, before the globals are protected. */
void script_open_functions(lua_State *lua)
{
    static const char *const constants[] = {"log", "LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE",
                                            "LOG_WARNING"};
    lua_newtable(lua); /* the globals */
    lua_newtable(lua); /* their `redis` */
    lua_getglobal(lua, "redis");
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        lua_getfield(lua, -1, constants[i]);
        lua_setfield(lua, -3, constants[i]);
    }
    lua_pop(lua, 1);
    script_add(lua, "register_function", register_function);
    script_restrict(lua);
    lua_setfield(lua, -2, "redis");
    script_restrict(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, loading_name);
    lua_newtable(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, functions_name);
}

/* What is behind the globals that scripts see. */
static void set_globals(lua_State *lua, const char *name)
{
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    bool has_one = lua_getmetatable(lua, -1);
    check(has_one);
    lua_getfield(lua, LUA_REGISTRYINDEX, name);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 2);
}

/* The library's function is on top of the stack, the handler of errors below; both go. */
static bool register_all(struct script *script, lua_State *lua)
{
    script->is_loading = true;
    script->spent = script->instructions_max - SCRIPT_LOAD_INSTRUCTIONS;
    script_slice(script);
    set_globals(lua, loading_name);
    bool has_raised = script_call_counted(lua, 0, 0, 1) != 0;
    set_globals(lua, SCRIPT_GLOBALS_NAME);
    script->is_loading = false;
    if (has_raised)
        script_fail(script, lua, "ERR Error registering functions: ");
    else if (script->registered.size == 0)
        buffer_printf(&script->reply, "-ERR No functions registered\r\n");
    return !has_raised && script->registered.size > 0;
}

bool script_load_library(struct script *script, lua_State *lua)
{
    check(lua_gettop(lua) == 0);
    buffer_clear(&script->registered);
    lua_pushcfunction(lua, script_on_error);
    if (!script_compile(script, lua, "@user_function", "ERR Error compiling function: ") ||
        !register_all(script, lua))
        return false;
    lua_settop(lua, 0);
    lua_pushboolean(lua, true); /* it is loaded */
    lua_gc(lua, LUA_GCCOLLECT, 0);
    return true;
}

void script_push_function(lua_State *lua, struct bytes name)
{
    find_function(lua, name);
    check(lua_isfunction(lua, -1));
    lua_replace(lua, 1);
    lua_settop(lua, 1);
}
