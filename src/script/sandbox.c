/* What a script finds: Lua's libraries without the outside, behind protection as Redis 7.2 has it.
 *
 * Redis has a Lua of its own, in which a table can be made readonly.  Ours is the distribution's,
 * so what a script sees of the globals, and of each library, is an empty table before the real one:
 * a look goes through, a change is refused, and pairs(), rawset(), getmetatable() and the like,
 * which would see the difference, are ours.  Nothing depends on that protection: what a script
 * changes in its state is forgotten when it ends. */
#include <string.h>

#include "script/machine.h"

/* In the registry: behind[metatable of the empty table] = the real one. */
static const char behind_name[] = "behind";
static const char globals_name[] = SCRIPT_GLOBALS_NAME;

void script_add(lua_State *lua, const char *name, lua_CFunction function)
{
    lua_pushcfunction(lua, function);
    lua_setfield(lua, -2, name);
}

void script_remove(lua_State *lua, const char *name)
{
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
}

void script_replace(lua_State *lua, const char *name, lua_CFunction function)
{
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, function, 1);
    lua_setfield(lua, -2, name);
}

/* Itself, not by a call of Lua's: its errors are to say where this one was called. */
int script_call_replaced(lua_State *lua)
{
    lua_CFunction replaced = lua_tocfunction(lua, lua_upvalueindex(1));
    return replaced(lua);
}

bool script_behind(lua_State *lua, int index)
{
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index))
        return false;
    lua_getfield(lua, LUA_REGISTRYINDEX, behind_name);
    lua_insert(lua, -2);
    lua_rawget(lua, -2);
    lua_remove(lua, -2);
    bool is_protected = lua_istable(lua, -1);
    if (!is_protected)
        lua_pop(lua, 1);
    return is_protected;
}

static int refuse_change(lua_State *lua)
{
    return luaL_error(lua, "Attempt to modify a readonly table");
}

/* In a function of C, which has no line. */
static int refuse_raw_change(lua_State *lua)
{
    lua_pushliteral(lua, "Attempt to modify a readonly table");
    return lua_error(lua);
}

static int refuse_unknown(lua_State *lua)
{
    const char *name = lua_isstring(lua, 2) ? lua_tostring(lua, 2) : luaL_typename(lua, 2);
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", name);
}

/* ---- functions that would see what is behind ------------------------------------------------ */

static int raw_set(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    if (script_behind(lua, 1))
        return refuse_raw_change(lua);
    lua_settop(lua, 3);
    lua_rawset(lua, 1);
    return 1;
}

static int raw_get(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    if (script_behind(lua, 1))
        lua_replace(lua, 1);
    lua_rawget(lua, 1);
    return 1;
}

static int get_metatable(lua_State *lua)
{
    luaL_checkany(lua, 1);
    if (script_behind(lua, 1))
        lua_replace(lua, 1);
    lua_settop(lua, 1);
    if (!lua_getmetatable(lua, 1)) {
        lua_pushnil(lua);
        return 1;
    }
    luaL_getmetafield(lua, 1, "__metatable"); /* or the metatable itself */
    return 1;
}

static int set_metatable(lua_State *lua)
{
    int type = lua_type(lua, 2);
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    if (script_behind(lua, 1))
        return refuse_raw_change(lua);
    if (luaL_getmetafield(lua, 1, "__metatable"))
        return luaL_error(lua, "cannot change a protected metatable");
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* Errors that Redis raises are tables; who catches one with pcall() gets its text, as before they
 * were. */
static int protected_call(lua_State *lua)
{
    luaL_checkany(lua, 1);
    bool has_raised = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0) != 0;
    if (has_raised && lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "err");
        if (!lua_isstring(lua, -1))
            lua_pop(lua, 1);
        else
            lua_replace(lua, -2);
    }
    luaL_checkstack(lua, 1, "too many results");
    lua_pushboolean(lua, !has_raised);
    lua_insert(lua, 1);
    return lua_gettop(lua);
}

/* What memory is in use depends on the build. */
static int collect_garbage(lua_State *lua)
{
    lua_pushinteger(lua, 0);
    return 1;
}

/* ---- code from text -------------------------------------------------------------------------- */

/* Compiled code could do anything: Lua believes it. */
static int load_text(lua_State *lua, const char *text, size_t size, const char *name)
{
    script_spend(lua, size / 8);
    if (size > 0 && text[0] == LUA_SIGNATURE[0]) {
        lua_pushnil(lua);
        lua_pushliteral(lua, "unexpected symbol near '?'");
        return 2;
    }
    if (luaL_loadbuffer(lua, text, size, name) == 0)
        return 1;
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int load_string(lua_State *lua)
{
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    return load_text(lua, text, size, luaL_optstring(lua, 2, text));
}

/* The pieces that a function gives, until it gives none. */
static int load_pieces(lua_State *lua)
{
    const char *name = luaL_optstring(lua, 2, "=(load)");
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    lua_settop(lua, 2);
    lua_pushliteral(lua, "");
    for (;;) {
        lua_pushvalue(lua, 1);
        lua_call(lua, 0, 1);
        if (lua_isnil(lua, -1) || (lua_isstring(lua, -1) && lua_objlen(lua, -1) == 0))
            break;
        if (!lua_isstring(lua, -1))
            return luaL_error(lua, "reader function must return a string");
        lua_concat(lua, 2);
        script_spend(lua, 10);
    }
    lua_pop(lua, 1);
    size_t size;
    const char *text = lua_tolstring(lua, -1, &size);
    return load_text(lua, text, size, name);
}

/* ---- coroutines ------------------------------------------------------------------------------ */

/* Each begins to count its instructions anew, up to a thousand of which nobody is told. */
static int count_coroutine(lua_State *lua)
{
    script_spend(lua, 1000);
    return script_call_replaced(lua);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void open_library(lua_State *lua, const char *name, lua_CFunction open)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

void script_open_sandbox(lua_State *lua)
{
    open_library(lua, "", luaopen_base);
    open_library(lua, LUA_TABLIBNAME, luaopen_table);
    open_library(lua, LUA_STRLIBNAME, luaopen_string);
    open_library(lua, LUA_MATHLIBNAME, luaopen_math);
    static const char *const no_globals[] = {"dofile",   "loadfile", "print",
                                             "newproxy", "getfenv",  "setfenv"};
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    for (size_t i = 0; i < sizeof no_globals / sizeof *no_globals; i++)
        script_remove(lua, no_globals[i]);
    script_add(lua, "rawset", raw_set);
    script_add(lua, "rawget", raw_get);
    script_add(lua, "getmetatable", get_metatable);
    script_add(lua, "setmetatable", set_metatable);
    script_add(lua, "pcall", protected_call);
    script_add(lua, "collectgarbage", collect_garbage);
    script_add(lua, "gcinfo", collect_garbage);
    script_add(lua, "loadstring", load_string);
    script_add(lua, "load", load_pieces);
    lua_getfield(lua, -1, "coroutine");
    script_replace(lua, "create", count_coroutine);
    script_replace(lua, "wrap", count_coroutine);
    lua_pop(lua, 1);
    lua_pop(lua, 1);
}

/* An empty table before the one on top of the stack, which it takes the place of. */
static void protect(lua_State *lua)
{
    lua_newtable(lua);
    lua_newtable(lua); /* its metatable */
    lua_getfield(lua, LUA_REGISTRYINDEX, behind_name);
    lua_pushvalue(lua, -2);
    lua_pushvalue(lua, -5);
    lua_rawset(lua, -3);
    lua_pop(lua, 1);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    script_add(lua, "__newindex", refuse_change);
    lua_setmetatable(lua, -2);
    lua_replace(lua, -2);
}

/* Of the globals: libraries first, then what is about unknown names, then themselves. */
void script_protect_globals(lua_State *lua)
{
    static const char *const libraries[] = {"string",   "table",  "math", "coroutine", "cjson",
                                            "cmsgpack", "struct", "bit",  "redis"};
    lua_newtable(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, behind_name);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, LUA_REGISTRYINDEX, globals_name);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_getfield(lua, -1, libraries[i]);
        if (lua_istable(lua, -1)) {
            protect(lua);
            lua_setfield(lua, -2, libraries[i]);
        } else {
            lua_pop(lua, 1);
        }
    }
    lua_newtable(lua); /* the metatable of the globals */
    script_add(lua, "__index", refuse_unknown);
    lua_pushvalue(lua, -1);
    protect(lua);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    protect(lua);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "_G");
    lua_replace(lua, LUA_GLOBALSINDEX);
    lua_pop(lua, 1);
    /* Methods of strings look into the real table. */
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushvalue(lua, -1);
    protect(lua);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

void script_set_global(lua_State *lua, const char *name)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, globals_name);
    lua_insert(lua, -2);
    lua_pushstring(lua, name);
    lua_insert(lua, -2);
    lua_rawset(lua, -3);
    lua_pop(lua, 1);
}

void script_restrict(lua_State *lua)
{
    lua_newtable(lua);
    script_add(lua, "__index", refuse_unknown);
    lua_setmetatable(lua, -2);
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    script_add(lua, "__newindex", refuse_change);
    lua_setmetatable(lua, -2);
    lua_replace(lua, -2);
}
