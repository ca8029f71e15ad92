/* Values as JSON: see json.h.  Depth is bounded by the setting, and by Lua's stack. */
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "script/json.h"
#include "script/machine.h"
#include "script/text.h"

enum { NUMBER_SIZE = 40, BYTES_PER_INSTRUCTION = 16 };

struct encoder {
    lua_State *lua;
    const struct script_json *json;
    struct script_text out;
    int depth;
};

static void encode_value(struct encoder *encoder);

static void refuse(struct encoder *encoder, int index, const char *why)
{
    lua_State *lua = encoder->lua;
    luaL_error(lua, "Cannot serialise %s: %s", lua_typename(lua, lua_type(lua, index)), why);
}

static void encode_escape(struct encoder *encoder, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\\/\b\f\n\r\t", names[] = "\"\\/bfnrt";
    const char *at = byte ? strchr(named, byte) : NULL;
    char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    if (at)
        escape[1] = names[at - named];
    script_text_add(&encoder->out, escape, at ? 2 : sizeof escape);
}

static bool is_plain(unsigned char byte)
{
    return byte >= 32 && byte != '"' && byte != '\\' && byte != '/' && byte != 127;
}

static void encode_string(struct encoder *encoder, int index)
{
    size_t size, from = 0;
    const char *string = lua_tolstring(encoder->lua, index, &size);
    script_text_add_byte(&encoder->out, '"');
    for (size_t at = 0; at < size; at++) {
        if (is_plain((unsigned char)string[at]))
            continue;
        script_text_add(&encoder->out, string + from, at - from);
        encode_escape(encoder, (unsigned char)string[at]);
        from = at + 1;
    }
    script_text_add(&encoder->out, string + from, size - from);
    script_text_add_byte(&encoder->out, '"');
    script_spend(encoder->lua, 1 + size / BYTES_PER_INSTRUCTION);
}

static void encode_number(struct encoder *encoder, int index)
{
    double number = lua_tonumber(encoder->lua, index);
    int how = encoder->json->encode_invalid;
    char digits[NUMBER_SIZE];
    script_spend(encoder->lua, 20);
    bool is_valid = !isinf(number) && !isnan(number);
    if (!is_valid && how == JSON_REFUSE)
        refuse(encoder, index, "must not be NaN or Inf");
    if (!is_valid && how == JSON_NULL)
        script_text_add(&encoder->out, "null", 4);
    else if (isnan(number)) /* never with a sign */
        script_text_add(&encoder->out, "nan", 3);
    else
        script_text_add(
            &encoder->out, digits,
            (size_t)snprintf(digits, sizeof digits, "%.*g", encoder->json->precision, number));
}

/* As a conversion of the C language does it on the machines that we know. */
static int index_of(double key)
{
    return key > INT_MAX ? INT_MIN : (int)key;
}

/* Of the table on top; negative: it is an object. */
static int array_length(struct encoder *encoder)
{
    lua_State *lua = encoder->lua;
    int max = 0, items = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        double key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
        script_spend(lua, 1);
        if (!(key >= 1 && floor(key) == key)) {
            lua_pop(lua, 2);
            return -1;
        }
        if (key > max)
            max = index_of(key);
        items++;
    }
    int ratio = encoder->json->sparse_ratio;
    bool is_sparse = ratio > 0 && max > (int64_t)items * ratio && max > encoder->json->sparse_safe;
    if (is_sparse && !encoder->json->sparse_convert)
        refuse(encoder, -1, "excessively sparse array");
    return is_sparse ? -1 : max;
}

static void encode_array(struct encoder *encoder, int length)
{
    script_text_add_byte(&encoder->out, '[');
    for (int i = 1; i <= length; i++) {
        if (i > 1)
            script_text_add_byte(&encoder->out, ',');
        lua_rawgeti(encoder->lua, -1, i);
        encode_value(encoder);
        lua_pop(encoder->lua, 1);
    }
    script_text_add_byte(&encoder->out, ']');
}

static void encode_key(struct encoder *encoder)
{
    int type = lua_type(encoder->lua, -2);
    if (type == LUA_TSTRING) {
        encode_string(encoder, -2);
    } else if (type == LUA_TNUMBER) {
        script_text_add_byte(&encoder->out, '"');
        encode_number(encoder, -2);
        script_text_add_byte(&encoder->out, '"');
    } else {
        refuse(encoder, -2, "table key must be a number or string");
    }
    script_text_add_byte(&encoder->out, ':');
}

static void encode_object(struct encoder *encoder)
{
    lua_State *lua = encoder->lua;
    bool is_first = true;
    script_text_add_byte(&encoder->out, '{');
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        if (!is_first)
            script_text_add_byte(&encoder->out, ',');
        is_first = false;
        encode_key(encoder);
        encode_value(encoder);
    }
    script_text_add_byte(&encoder->out, '}');
}

static void encode_table(struct encoder *encoder)
{
    lua_State *lua = encoder->lua;
    encoder->depth++;
    if (encoder->depth > encoder->json->encode_depth_max || !lua_checkstack(lua, 4))
        luaL_error(lua, "Cannot serialise, excessive nesting (%d)", encoder->depth);
    int length = array_length(encoder);
    if (length > 0)
        encode_array(encoder, length);
    else
        encode_object(encoder);
    encoder->depth--;
}

/* The value on top, which stays. */
static void encode_value(struct encoder *encoder)
{
    lua_State *lua = encoder->lua;
    int type = lua_type(lua, -1);
    script_spend(lua, 2);
    if (type == LUA_TSTRING)
        encode_string(encoder, -1);
    else if (type == LUA_TNUMBER)
        encode_number(encoder, -1);
    else if (type == LUA_TTABLE)
        encode_table(encoder);
    else if (type == LUA_TBOOLEAN && lua_toboolean(lua, -1))
        script_text_add(&encoder->out, "true", 4);
    else if (type == LUA_TBOOLEAN)
        script_text_add(&encoder->out, "false", 5);
    else if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && !lua_touserdata(lua, -1)))
        script_text_add(&encoder->out, "null", 4);
    else
        refuse(encoder, -1, "type not supported");
}

int script_json_encode(lua_State *lua)
{
    struct encoder encoder = {.lua = lua, .json = lua_touserdata(lua, lua_upvalueindex(1))};
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    script_text_init(&encoder.out, lua);
    lua_pushvalue(lua, 1);
    encode_value(&encoder);
    script_text_push(&encoder.out);
    return 1;
}
