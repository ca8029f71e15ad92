/* See bits.h.  Numbers are taken modulo 2^32, rounded to even, and given back with a sign.  The
 * distribution's library is not used: its tohex(n, -2^31) reads beyond its buffer. */
#include "script/bits.h"

#include "script/machine.h"

/* Added to a number, it leaves its lowest bits where those of the sum's mantissa are. */
static const double shift_to_mantissa = 6755399441055744.0; /* 2^52 + 2^51 */

static uint32_t take(lua_State *lua, int argument)
{
    double sum = luaL_checknumber(lua, argument) + shift_to_mantissa;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return (uint32_t)bits;
}

static int give(lua_State *lua, uint32_t bits)
{
    lua_pushnumber(lua, (double)(int32_t)bits);
    return 1;
}

static int to_bit(lua_State *lua)
{
    return give(lua, take(lua, 1));
}

static int not(lua_State * lua)
{
    return give(lua, ~take(lua, 1));
}

static int and (lua_State * lua)
{
    uint32_t bits = take(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--)
        bits &= take(lua, i);
    return give(lua, bits);
}

static int or (lua_State * lua)
{
    uint32_t bits = take(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--)
        bits |= take(lua, i);
    return give(lua, bits);
}

static int xor
    (lua_State * lua) {
        uint32_t bits = take(lua, 1);
        for (int i = lua_gettop(lua); i > 1; i--)
            bits ^= take(lua, i);
        return give(lua, bits);
    }

    static int shift_left(lua_State *lua)
{
    uint32_t bits = take(lua, 1);
    return give(lua, bits << (take(lua, 2) & 31));
}

static int shift_right(lua_State *lua)
{
    uint32_t bits = take(lua, 1);
    return give(lua, bits >> (take(lua, 2) & 31));
}

static int shift_right_signed(lua_State *lua)
{
    int32_t bits = (int32_t)take(lua, 1);
    return give(lua, (uint32_t)(bits >> (take(lua, 2) & 31)));
}

static uint32_t rotated(uint32_t bits, uint32_t left)
{
    return bits << (left & 31) | bits >> (-left & 31);
}

static int rotate_left(lua_State *lua)
{
    uint32_t bits = take(lua, 1);
    return give(lua, rotated(bits, take(lua, 2)));
}

static int rotate_right(lua_State *lua)
{
    uint32_t bits = take(lua, 1);
    return give(lua, rotated(bits, -take(lua, 2)));
}

static int swap_bytes(lua_State *lua)
{
    return give(lua, __builtin_bswap32(take(lua, 1)));
}

/* The lowest digits, all 8 or so many; of a negative number in capitals. */
static int to_hex(lua_State *lua)
{
    uint32_t bits = take(lua, 1);
    int64_t count = lua_gettop(lua) < 2 ? 8 : (int32_t)take(lua, 2);
    const char *digits = count < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[8];
    count = count < 0 ? -count : count;
    size_t size = count < 8 ? (size_t)count : 8;
    for (size_t i = size; i-- > 0; bits >>= 4)
        text[i] = digits[bits & 15];
    lua_pushlstring(lua, text, size);
    return 1;
}

void script_bits_new(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"tobit", to_bit},       {"bnot", not },
                                         {"band", and},           {"bor", or },
                                         {"bxor", xor},           {"lshift", shift_left},
                                         {"rshift", shift_right}, {"arshift", shift_right_signed},
                                         {"rol", rotate_left},    {"ror", rotate_right},
                                         {"bswap", swap_bytes},   {"tohex", to_hex}};
    lua_newtable(lua);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        script_add(lua, functions[i].name, functions[i].func);
}
