/* The table cjson and its settings: see json.h. */
#include <limits.h>
#include <stdio.h>

#include "script/json.h"
#include "script/machine.h"

enum { DEPTH_MAX = 1000, PRECISION_MAX = 14, SPARSE_RATIO = 2, SPARSE_SAFE = 10 };

/* As many arguments as there are, up to `count`, and nil for the others. */
static struct script_json *settings_for(lua_State *lua, int count)
{
    luaL_argcheck(lua, lua_gettop(lua) <= count, count + 1, "found too many arguments");
    lua_settop(lua, count);
    return lua_touserdata(lua, lua_upvalueindex(1));
}

static int option_integer(lua_State *lua, int argument, int *setting, int min, int max)
{
    char error[64];
    if (!lua_isnil(lua, argument)) {
        int value = (int)luaL_checkinteger(lua, argument);
        snprintf(error, sizeof error, "expected integer between %d and %d", min, max);
        luaL_argcheck(lua, min <= value && value <= max, 1, error);
        *setting = value;
    }
    lua_pushinteger(lua, *setting);
    return 1;
}

static int find_option(lua_State *lua, int argument, const char *const *options)
{
    const char *name = luaL_checklstring(lua, argument, NULL);
    for (int i = 0; options[i]; i++)
        if (strcmp(options[i], name) == 0)
            return i;
    return luaL_argerror(lua, argument, lua_pushfstring(lua, "invalid option '%s'", name));
}

static int option_word(lua_State *lua, int *setting, const char *const *options)
{
    if (lua_isboolean(lua, 1))
        *setting = lua_toboolean(lua, 1);
    else if (!lua_isnil(lua, 1))
        *setting = find_option(lua, 1, options);
    if (*setting <= 1)
        lua_pushboolean(lua, *setting);
    else
        lua_pushstring(lua, options[*setting]);
    return 1;
}

static const char *const words[] = {"off", "on", "null", NULL};
static const char *const two_words[] = {"off", "on", NULL};

static int encode_sparse_array(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 3);
    option_word(lua, &json->sparse_convert, two_words);
    option_integer(lua, 2, &json->sparse_ratio, 0, INT_MAX);
    option_integer(lua, 3, &json->sparse_safe, 0, INT_MAX);
    return 3;
}

static int encode_max_depth(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 1);
    return option_integer(lua, 1, &json->encode_depth_max, 1, INT_MAX);
}

static int decode_max_depth(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 1);
    return option_integer(lua, 1, &json->decode_depth_max, 1, INT_MAX);
}

static int encode_number_precision(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 1);
    return option_integer(lua, 1, &json->precision, 1, PRECISION_MAX);
}

static int encode_keep_buffer(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 1);
    return option_word(lua, &json->keep_buffer, two_words);
}

static int encode_invalid_numbers(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 1);
    return option_word(lua, &json->encode_invalid, words);
}

static int decode_invalid_numbers(lua_State *lua)
{
    struct script_json *json = settings_for(lua, 1);
    return option_word(lua, &json->decode_invalid, two_words);
}

int script_json_new(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"encode", script_json_encode},
                                         {"decode", script_json_decode},
                                         {"encode_sparse_array", encode_sparse_array},
                                         {"encode_max_depth", encode_max_depth},
                                         {"decode_max_depth", decode_max_depth},
                                         {"encode_number_precision", encode_number_precision},
                                         {"encode_keep_buffer", encode_keep_buffer},
                                         {"encode_invalid_numbers", encode_invalid_numbers},
                                         {"decode_invalid_numbers", decode_invalid_numbers},
                                         {"new", script_json_new}};
    lua_newtable(lua);
    struct script_json *json = lua_newuserdata(lua, sizeof *json);
    *json = (struct script_json){.sparse_ratio = SPARSE_RATIO,
                                 .sparse_safe = SPARSE_SAFE,
                                 .encode_depth_max = DEPTH_MAX,
                                 .decode_depth_max = DEPTH_MAX,
                                 .precision = PRECISION_MAX,
                                 .keep_buffer = 1,
                                 .decode_invalid = JSON_ALLOW};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushvalue(lua, -1);
        lua_pushcclosure(lua, functions[i].func, 1);
        lua_setfield(lua, -3, functions[i].name);
    }
    lua_pop(lua, 1);
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
    lua_pushliteral(lua, "cjson");
    lua_setfield(lua, -2, "_NAME");
    lua_pushliteral(lua, "2.1.0");
    lua_setfield(lua, -2, "_VERSION");
    return 1;
}
