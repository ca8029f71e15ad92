/* Functions on tables in the place of Lua's: those whose order or text would show where a table
 * lies in memory, and those that do much in one instruction.
 *
 * The order of a table depends on the addresses of those of its keys that are tables, functions or
 * the like.  Such a key is refused where it is met.  What comes before it is the same everywhere,
 * too: an address counts by its lower 32 bits, which are the place in the arena (base/arena.h). */
#include <string.h>

#include "script/machine.h"

enum { ELEMENTS_PER_INSTRUCTION = 4 }; /* moved or looked at in the time of one */

static bool has_address(int type)
{
    return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA ||
           type == LUA_TTHREAD;
}

static int table_next(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    if (script_behind(lua, 1))
        lua_replace(lua, 1);
    if (!lua_next(lua, 1)) {
        lua_pushnil(lua);
        return 1;
    }
    if (has_address(lua_type(lua, -2)))
        return luaL_error(lua, "keys that are a %s have no order", luaL_typename(lua, -2));
    return 2;
}

static int table_pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

static void spend_elements(lua_State *lua, uint64_t count)
{
    script_spend(lua, count / ELEMENTS_PER_INSTRUCTION);
}

/* Of those that move, or look at, up to all that a table has. */
static int counted_by_length(lua_State *lua)
{
    if (lua_istable(lua, 1) && (lua_gettop(lua) > 2 || !lua_isnumber(lua, 2)))
        spend_elements(lua, lua_objlen(lua, 1));
    return script_call_replaced(lua);
}

static int counted_maxn(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    double largest = 0;
    uint64_t seen = 0;
    for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 1), seen++)
        if (lua_type(lua, -2) == LUA_TNUMBER && lua_tonumber(lua, -2) > largest)
            largest = lua_tonumber(lua, -2);
    spend_elements(lua, seen);
    lua_pushnumber(lua, largest);
    return 1;
}

/* n log n comparisons. */
static int counted_sort(lua_State *lua)
{
    uint64_t count = lua_istable(lua, 1) ? lua_objlen(lua, 1) : 0, times = 1;
    for (uint64_t rest = count; rest > 1; rest /= 2)
        times++;
    script_spend(lua, count * times);
    return script_call_replaced(lua);
}

/* table.foreach(): by our own next. */
static int table_foreach(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    lua_settop(lua, 2);
    lua_pushnil(lua);
    for (;;) {
        lua_pushcfunction(lua, table_next);
        lua_pushvalue(lua, 1);
        lua_pushvalue(lua, 3);
        lua_call(lua, 2, 2);
        if (lua_isnil(lua, 4))
            return 0;
        lua_pushvalue(lua, 4);
        lua_replace(lua, 3);
        lua_pushvalue(lua, 2);
        lua_insert(lua, 4);
        lua_call(lua, 2, 1);
        if (!lua_isnil(lua, 4))
            return 1;
        lua_settop(lua, 3);
        spend_elements(lua, 1);
    }
}

/* ---- names for what has an address ----------------------------------------------------------- */

static const char names_name[] = "names"; /* in the registry: names[object] = its number */

/* The number of an object: by the order in which they are asked for. */
static lua_Integer number_of(lua_State *lua, int index)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, names_name);
    lua_pushvalue(lua, index);
    lua_rawget(lua, -2);
    lua_Integer number = lua_tointeger(lua, -1);
    lua_pop(lua, 1);
    if (number == 0) {
        lua_rawgeti(lua, -1, 0);
        number = lua_tointeger(lua, -1) + 1;
        lua_pop(lua, 1);
        lua_pushinteger(lua, number);
        lua_rawseti(lua, -2, 0);
        lua_pushvalue(lua, index);
        lua_pushinteger(lua, number);
        lua_rawset(lua, -3);
    }
    lua_pop(lua, 1);
    return number;
}

static int to_string(lua_State *lua)
{
    luaL_checkany(lua, 1);
    if (luaL_callmeta(lua, 1, "__tostring"))
        return 1;
    switch (lua_type(lua, 1)) {
    case LUA_TNUMBER: lua_pushstring(lua, lua_tostring(lua, 1)); break;
    case LUA_TSTRING: lua_pushvalue(lua, 1); break;
    case LUA_TBOOLEAN: lua_pushstring(lua, lua_toboolean(lua, 1) ? "true" : "false"); break;
    case LUA_TNIL: lua_pushliteral(lua, "nil"); break;
    case LUA_TLIGHTUSERDATA: lua_pushliteral(lua, "userdata: (nil)"); break; /* cjson.null */
    default: lua_pushfstring(lua, "%s: #%d", luaL_typename(lua, 1), (int)number_of(lua, 1)); break;
    }
    return 1;
}

static void open_names(lua_State *lua)
{
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushliteral(lua, "k"); /* what nobody has any more needs no number */
    lua_setfield(lua, -2, "__mode");
    lua_setmetatable(lua, -2);
    lua_setfield(lua, LUA_REGISTRYINDEX, names_name);
}

void script_open_tables(lua_State *lua)
{
    open_names(lua);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    script_add(lua, "next", table_next);
    lua_getfield(lua, -1, "next");
    lua_pushcclosure(lua, table_pairs, 1);
    lua_setfield(lua, -2, "pairs");
    script_add(lua, "tostring", to_string);
    lua_getfield(lua, -1, "table");
    script_replace(lua, "insert", counted_by_length);
    script_replace(lua, "remove", counted_by_length);
    script_replace(lua, "concat", counted_by_length);
    script_replace(lua, "foreachi", counted_by_length);
    script_replace(lua, "sort", counted_sort);
    script_add(lua, "maxn", counted_maxn);
    script_add(lua, "foreach", table_foreach);
    lua_pop(lua, 2);
}
