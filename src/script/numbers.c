/* math.random() as Redis has it: the 48-bit generator of the C standard's family (drand48), which
 * begins alike for each script. */
#include <math.h>

#include "script/machine.h"

static const uint64_t mask = ((uint64_t)1 << 48) - 1;
static const uint64_t factor = 0x5deece66d;
enum { INCREMENT = 11, SEED_LOW = 0x330e, RANDOM_MAX = 0x7fffffff };

uint64_t script_seed(int32_t seed)
{
    return ((uint64_t)(uint32_t)seed << 16 | SEED_LOW) & mask;
}

/* 31 bits. */
static uint32_t next_random(struct script *script)
{
    script->random = (script->random * factor + INCREMENT) & mask;
    return (uint32_t)(script->random >> 17);
}

static int math_random(lua_State *lua)
{
    double r = (double)(next_random(script_of(lua)) % RANDOM_MAX) / (double)RANDOM_MAX;
    int low = 1, high;
    switch (lua_gettop(lua)) {
    case 0: lua_pushnumber(lua, r); return 1;
    case 1:
        high = luaL_checkint(lua, 1);
        luaL_argcheck(lua, low <= high, 1, "interval is empty");
        break;
    case 2:
        low = luaL_checkint(lua, 1);
        high = luaL_checkint(lua, 2);
        luaL_argcheck(lua, low <= high, 2, "interval is empty");
        break;
    default: return luaL_error(lua, "wrong number of arguments");
    }
    lua_pushnumber(lua, floor(r * ((double)high - low + 1)) + low);
    return 1;
}

static int math_randomseed(lua_State *lua)
{
    script_of(lua)->random = script_seed(luaL_checkint(lua, 1));
    return 0;
}

void script_open_numbers(lua_State *lua)
{
    lua_getglobal(lua, "math");
    script_add(lua, "random", math_random);
    script_add(lua, "randomseed", math_randomseed);
    lua_pop(lua, 1);
}
