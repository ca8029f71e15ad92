/* See message_pack.h.  Packing: tables whose keys are 1 to n are arrays, others maps; whole numbers
 * take as few bytes as they can, others four where that loses nothing.  Depth is bounded: packing
 * by Redis's 16, unpacking by Lua's stack. */
#include <limits.h>
#include <math.h>

#include "script/machine.h"
#include "script/message_pack.h"
#include "script/text.h"

enum { NESTING_MAX = 16, BYTES_PER_INSTRUCTION = 16 };

/* ---- packing ---------------------------------------------------------------------------- */

static void pack_value(struct script_text *out, int level);

/* A mark, and a number of `size` bytes behind it. */
static void add_marked(struct script_text *out, unsigned mark, uint64_t number, size_t size)
{
    script_text_add_byte(out, (char)mark);
    script_text_add_big(out, number, size);
}

static void pack_whole(struct script_text *out, int64_t number)
{
    uint64_t bits = (uint64_t)number;
    if (number >= -32 && number <= 127)
        script_text_add_byte(out, (char)number);
    else if (number >= 0 && number <= UINT8_MAX)
        add_marked(out, 0xcc, bits, 1);
    else if (number >= 0 && number <= UINT16_MAX)
        add_marked(out, 0xcd, bits, 2);
    else if (number >= 0 && number <= UINT32_MAX)
        add_marked(out, 0xce, bits, 4);
    else if (number >= 0)
        add_marked(out, 0xcf, bits, 8);
    else if (number >= INT8_MIN)
        add_marked(out, 0xd0, bits, 1);
    else if (number >= INT16_MIN)
        add_marked(out, 0xd1, bits, 2);
    else if (number >= INT32_MIN)
        add_marked(out, 0xd2, bits, 4);
    else
        add_marked(out, 0xd3, bits, 8);
}

/* What is no number has no sign of its own, which differs between machines. */
static void pack_float(struct script_text *out, double number)
{
    float single = (float)number;
    uint32_t small;
    uint64_t bits = (uint64_t)0xfff8 << 48;
    memcpy(&small, &single, sizeof small);
    if (!isnan(number))
        memcpy(&bits, &number, sizeof bits);
    if ((double)single == number)
        add_marked(out, 0xca, small, 4);
    else
        add_marked(out, 0xcb, bits, 8);
}

static void pack_number(struct script_text *out, double number)
{
    bool fits = number >= -9223372036854775808.0 && number < 9223372036854775808.0;
    if (fits && (double)(int64_t)number == number)
        pack_whole(out, (int64_t)number);
    else
        pack_float(out, number);
}

static void pack_string(struct script_text *out)
{
    size_t size;
    const char *string = lua_tolstring(out->lua, -1, &size);
    if (size < 32)
        script_text_add_byte(out, (char)(0xa0 | size));
    else if (size <= UINT8_MAX)
        add_marked(out, 0xd9, size, 1);
    else if (size <= UINT16_MAX)
        add_marked(out, 0xda, size, 2);
    else
        add_marked(out, 0xdb, size, 4);
    script_text_add(out, string, size);
    script_spend(out->lua, size / BYTES_PER_INSTRUCTION);
}

/* The head of an array (small: 0x90, large: 0xdc) or a map. */
static void pack_count(struct script_text *out, unsigned small, unsigned large, uint64_t count)
{
    if (count <= 15)
        script_text_add_byte(out, (char)(small | count));
    else if (count <= UINT16_MAX)
        add_marked(out, large, count, 2);
    else
        add_marked(out, large + 1, count, 4);
}

static bool is_array(lua_State *lua)
{
    int64_t count = 0;
    double max = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        double key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
        script_spend(lua, 1);
        if (!(key > 0 && key <= INT_MAX && floor(key) == key)) {
            lua_pop(lua, 2);
            return false;
        }
        max = key > max ? key : max;
        count++;
    }
    return max == (double)count;
}

static void pack_array(struct script_text *out, int level)
{
    lua_State *lua = out->lua;
    size_t count = lua_objlen(lua, -1);
    pack_count(out, 0x90, 0xdc, count);
    for (size_t i = 1; i <= count; i++) {
        lua_pushnumber(lua, (double)i);
        lua_gettable(lua, -2);
        pack_value(out, level + 1);
    }
}

/* The order of such a key is not the same everywhere. */
static void refuse_key(lua_State *lua, int index)
{
    int type = lua_type(lua, index);
    if (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA || type == LUA_TTHREAD)
        luaL_error(lua, "keys that are a %s have no order", lua_typename(lua, type));
}

static void pack_map(struct script_text *out, int level)
{
    lua_State *lua = out->lua;
    uint64_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
        count++;
    script_spend(lua, count);
    pack_count(out, 0x80, 0xde, count);
    for (lua_pushnil(lua); lua_next(lua, -2);) {
        refuse_key(lua, -2);
        lua_pushvalue(lua, -2);
        pack_value(out, level + 1);
        pack_value(out, level + 1);
    }
}

/* The value on top, which goes.  What lies too deep, or has no form, is nil. */
static void pack_value(struct script_text *out, int level)
{
    lua_State *lua = out->lua;
    int type = lua_type(lua, -1);
    luaL_checkstack(lua, 5, "in function mp_encode_lua_type");
    script_spend(lua, 2);
    if (type == LUA_TSTRING)
        pack_string(out);
    else if (type == LUA_TNUMBER)
        pack_number(out, lua_tonumber(lua, -1));
    else if (type == LUA_TBOOLEAN)
        script_text_add_byte(out, (char)(lua_toboolean(lua, -1) ? 0xc3 : 0xc2));
    else if (type != LUA_TTABLE || level == NESTING_MAX)
        script_text_add_byte(out, (char)0xc0);
    else if (is_array(lua))
        pack_array(out, level);
    else
        pack_map(out, level);
    lua_pop(lua, 1);
}

static int pack(lua_State *lua)
{
    int count = lua_gettop(lua);
    struct script_text out;
    if (count == 0)
        return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    script_text_init(&out, lua);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(lua, i);
        pack_value(&out, 0);
    }
    script_text_push(&out);
    return 1;
}

/* ---- unpacking -------------------------------------------------------------------------- */

enum unpack_error { UNPACK_DONE, UNPACK_CUT, UNPACK_BAD };

struct unpacker {
    lua_State *lua;
    const unsigned char *at;
    size_t left;
    enum unpack_error error;
};

static void unpack_value(struct unpacker *unpacker);

/* False: there are not so many. */
static bool take(struct unpacker *unpacker, size_t size)
{
    if (size > unpacker->left) {
        unpacker->error = UNPACK_CUT;
        return false;
    }
    unpacker->at += size;
    unpacker->left -= size;
    return true;
}

/* The number of `size` bytes that comes next. */
static bool take_big(struct unpacker *unpacker, size_t size, uint64_t *number)
{
    if (!take(unpacker, size))
        return false;
    *number = 0;
    for (size_t i = 0; i < size; i++)
        *number = *number << 8 | unpacker->at[(ptrdiff_t)i - (ptrdiff_t)size];
    return true;
}

static void unpack_string(struct unpacker *unpacker, uint64_t size)
{
    if (!take(unpacker, size))
        return;
    lua_pushlstring(unpacker->lua, (const char *)unpacker->at - size, size);
    script_spend(unpacker->lua, size / BYTES_PER_INSTRUCTION);
}

static void unpack_array(struct unpacker *unpacker, uint64_t count)
{
    lua_State *lua = unpacker->lua;
    lua_newtable(lua);
    for (uint64_t i = 1; i <= count; i++) {
        lua_pushnumber(lua, (double)i);
        unpack_value(unpacker);
        if (unpacker->error)
            return;
        lua_settable(lua, -3);
    }
}

static void unpack_map(struct unpacker *unpacker, uint64_t count)
{
    lua_State *lua = unpacker->lua;
    lua_newtable(lua);
    for (uint64_t i = 0; i < count; i++) {
        unpack_value(unpacker);
        if (unpacker->error)
            return;
        unpack_value(unpacker);
        if (unpacker->error)
            return;
        lua_settable(lua, -3);
    }
}

static double float_of(uint64_t bits, size_t size)
{
    uint32_t small = (uint32_t)bits;
    float single;
    double number;
    memcpy(&single, &small, sizeof single);
    memcpy(&number, &bits, sizeof number);
    return size == sizeof small ? (double)single : number;
}

/* With its sign, if it has one; of 8 bytes it always has, as in Redis. */
static double whole_of(uint64_t bits, size_t size, bool has_sign)
{
    unsigned unused = (64 - 8 * (unsigned)size) & 63;
    bool is_signed = has_sign || unused == 0;
    return is_signed ? (double)((int64_t)(bits << unused) >> unused) : (double)bits;
}

/* Numbers and lengths of some bytes: marks from 0xca on. */
static void unpack_sized(struct unpacker *unpacker, unsigned mark)
{
    static const unsigned char sizes[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 0,
                                          0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
    size_t size = sizes[mark - 0xca];
    uint64_t bits;
    if (!take_big(unpacker, size, &bits))
        return;
    if (mark <= 0xcb)
        lua_pushnumber(unpacker->lua, float_of(bits, size));
    else if (mark <= 0xd3)
        lua_pushnumber(unpacker->lua, whole_of(bits, size, mark >= 0xd0));
    else if (mark <= 0xdb)
        unpack_string(unpacker, bits);
    else if (mark <= 0xdd)
        unpack_array(unpacker, bits);
    else
        unpack_map(unpacker, bits);
}

/* The next value, onto the stack; or nothing, and an error. */
static void unpack_value(struct unpacker *unpacker)
{
    lua_State *lua = unpacker->lua;
    luaL_checkstack(lua, 3,
                    "too many return values at once; use unpack_one or unpack_limit instead.");
    script_spend(lua, 2);
    if (!take(unpacker, 1))
        return;
    unsigned mark = unpacker->at[-1];
    if (mark < 0x80 || mark >= 0xe0)
        lua_pushinteger(lua, (signed char)mark);
    else if (mark < 0x90)
        unpack_map(unpacker, mark & 15);
    else if (mark < 0xa0)
        unpack_array(unpacker, mark & 15);
    else if (mark < 0xc0)
        unpack_string(unpacker, mark & 31);
    else if (mark == 0xc0)
        lua_pushnil(lua);
    else if (mark == 0xc2 || mark == 0xc3)
        lua_pushboolean(lua, mark == 0xc3);
    else if ((mark >= 0xca && mark <= 0xd3) || mark >= 0xd9)
        unpack_sized(unpacker, mark);
    else
        unpacker->error = UNPACK_BAD;
}

/* Up to `limit` values from `from` on, and before them where it goes on, -1 for nowhere; with both
 * 0 all, without that.  The string is all that stands on the stack. */
static int unpack_some(lua_State *lua, int limit, int from)
{
    size_t size;
    const char *data = luaL_checklstring(lua, 1, &size);
    bool takes_all = limit == 0 && from == 0;
    if (from < 0 || limit < 0)
        return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.", from,
                          (int)size);
    if ((size_t)from > size)
        return luaL_error(lua, "Start offset %d greater than input length %d.", from, (int)size);
    struct unpacker unpacker = {lua, (const unsigned char *)data + from, size - (size_t)from,
                                UNPACK_DONE};
    int count = 0;
    for (; unpacker.left > 0 && (takes_all || count < limit); count++) {
        unpack_value(&unpacker);
        if (unpacker.error == UNPACK_CUT)
            return luaL_error(lua, "Missing bytes in input.");
        if (unpacker.error == UNPACK_BAD)
            return luaL_error(lua, "Bad data format in input.");
    }
    if (takes_all)
        return count;
    luaL_checkstack(lua, 1, "in function mp_unpack_full");
    lua_pushinteger(lua, unpacker.left == 0 ? -1 : (lua_Integer)(size - unpacker.left));
    lua_insert(lua, 2);
    return count + 1;
}

static int unpack(lua_State *lua)
{
    return unpack_some(lua, 0, 0);
}

static int unpack_one(lua_State *lua)
{
    int from = (int)luaL_optinteger(lua, 2, 0);
    lua_settop(lua, 1);
    return unpack_some(lua, 1, from);
}

static int unpack_limit(lua_State *lua)
{
    int limit = (int)luaL_checkinteger(lua, 2), from = (int)luaL_optinteger(lua, 3, 0);
    lua_settop(lua, 1);
    return unpack_some(lua, limit, from);
}

static void add_text(lua_State *lua, const char *name, const char *text)
{
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, name);
}

void script_message_pack_new(lua_State *lua)
{
    lua_newtable(lua);
    script_add(lua, "pack", pack);
    script_add(lua, "unpack", unpack);
    script_add(lua, "unpack_one", unpack_one);
    script_add(lua, "unpack_limit", unpack_limit);
    add_text(lua, "_NAME", "cmsgpack");
    add_text(lua, "_VERSION", "lua-cmsgpack 0.4.0");
    add_text(lua, "_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo");
    add_text(lua, "_DESCRIPTION", "MessagePack C implementation for Lua");
}
