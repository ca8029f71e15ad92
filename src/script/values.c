/* Replies as Lua values, and Lua values as replies, as Redis 7.2 has them (script_lua.c):
 *
 *     reply                 Lua                          reply to the client
 *     :n                    number                       :n (whole part)
 *     $                     string                       $
 *     +s                    {ok = s}                     +s
 *     -e                    {err = e}                    -e
 *     nil in RESP2          false                        nil; with setresp(3) #f
 *     nil in RESP3          nil                          nil
 *     *                     {1 .. n}                     *, up to the first nil
 *     %                     {map = {}}                   %, in RESP2 *
 *     ~                     {set = {x = true}}           ~, in RESP2 *
 *     ,d                    {double = d}                 ,d, in RESP2 $
 *     #t                    true                         :1; with setresp(3) #t
 *     (n                    {big_number = n}             (n, in RESP2 $
 *     =f:s                  {verbatim_string =           =f:s, in RESP2 $
 *                             {string = s, format = f}} */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "resp/number.h"
#include "resp/writer.h"
#include "script/machine.h"

/* ---- replies as values -------------------------------------------------------------------- */

/* What is left of a reply that is read. */
struct source {
    const char *at, *end;
};

/* The line at the place, without its mark and end; moves behind it. */
static struct bytes take_line(struct source *source)
{
    const char *end = memchr(source->at, '\r', (size_t)(source->end - source->at));
    check(end);
    struct bytes line = bytes_of(source->at + 1, (size_t)(end - source->at - 1));
    source->at = end + 2;
    check(source->at <= source->end);
    return line;
}

static int64_t take_number(struct source *source)
{
    int64_t number;
    bool is_number = number_parse_i64(take_line(source), &number);
    check(is_number);
    return number;
}

static struct bytes take_bytes(struct source *source, int64_t size)
{
    struct bytes bytes = bytes_of(source->at, (size_t)size);
    check(size >= 0 && size + 2 <= source->end - source->at);
    source->at += size + 2;
    return bytes;
}

static void push_value(lua_State *lua, struct source *source);

static void push_field(lua_State *lua, const char *name, struct bytes value)
{
    lua_createtable(lua, 0, 1);
    lua_pushlstring(lua, value.data, value.size);
    lua_setfield(lua, -2, name);
}

static void push_verbatim(lua_State *lua, struct bytes text)
{
    check(text.size >= 4);
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, 2);
    lua_pushlstring(lua, text.data, 3);
    lua_setfield(lua, -2, "format");
    lua_pushlstring(lua, (const char *)text.data + 4, text.size - 4);
    lua_setfield(lua, -2, "string");
    lua_setfield(lua, -2, "verbatim_string");
}

static void push_double(lua_State *lua, struct bytes text)
{
    char digits[NUMBER_DOUBLE_SIZE];
    check(text.size < sizeof digits);
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    lua_createtable(lua, 0, 1);
    lua_pushnumber(lua, strtod(digits, NULL));
    lua_setfield(lua, -2, "double");
}

static void push_array(lua_State *lua, struct source *source, int64_t count)
{
    if (count < 0) {
        lua_pushboolean(lua, 0);
        return;
    }
    lua_createtable(lua, (int)count, 0);
    for (int64_t i = 1; i <= count; i++) {
        push_value(lua, source);
        lua_rawseti(lua, -2, (int)i);
    }
}

/* {map = {key = value}}, or {set = {element = true}}. */
static void push_pairs(lua_State *lua, struct source *source, const char *name, int64_t count)
{
    bool is_map = strcmp(name, "map") == 0;
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        push_value(lua, source);
        if (is_map)
            push_value(lua, source);
        else
            lua_pushboolean(lua, 1);
        lua_rawset(lua, -3);
    }
    lua_setfield(lua, -2, name);
}

static void push_error_reply(lua_State *lua, struct source *source)
{
    const char *text = source->at; /* with its mark */
    struct bytes line = take_line(source);
    script_push_error(lua, text, line.size + 1);
    lua_pushboolean(lua, 1);
    lua_setfield(lua, -2, "ignore_error_stats_update");
}

static void push_bulk(lua_State *lua, struct source *source)
{
    int64_t size = take_number(source);
    if (size < 0) {
        lua_pushboolean(lua, 0);
        return;
    }
    struct bytes bulk = take_bytes(source, size);
    lua_pushlstring(lua, bulk.data, bulk.size);
}

static void push_value(lua_State *lua, struct source *source)
{
    luaL_checkstack(lua, 8, "a reply is nested too deeply");
    check(source->at < source->end);
    switch (*source->at) {
    case ':': lua_pushnumber(lua, (lua_Number)take_number(source)); break;
    case '$': push_bulk(lua, source); break;
    case '+': push_field(lua, "ok", take_line(source)); break;
    case '-': push_error_reply(lua, source); break;
    case '*': push_array(lua, source, take_number(source)); break;
    case '%': push_pairs(lua, source, "map", take_number(source)); break;
    case '~': push_pairs(lua, source, "set", take_number(source)); break;
    case ',': push_double(lua, take_line(source)); break;
    case '(': push_field(lua, "big_number", take_line(source)); break;
    case '=': push_verbatim(lua, take_bytes(source, take_number(source))); break;
    case '#': lua_pushboolean(lua, source->at[1] == 't'), take_line(source); break;
    case '_': lua_pushnil(lua), take_line(source); break;
    default: check(!"a reply of an unknown kind");
    }
}

void script_push_reply(lua_State *lua, struct bytes reply)
{
    struct source source = {reply.data, (const char *)reply.data + reply.size};
    push_value(lua, &source);
    check(source.at == source.end);
}

/* ---- values as replies ---------------------------------------------------------------------- */

enum { VALUE_SIZE = 16 }; /* of one, beside its bytes */

struct sink {
    lua_State *lua;
    struct reply reply;
    int call_protocol; /* of the script: what is a boolean in it */
    uint64_t size;     /* about, and the same in every protocol: not all nodes have the client's */
};

static void take_value(struct sink *sink);

/* Puts table[name] of the table on top on the stack if it is of that type. */
static bool has_field(lua_State *lua, const char *name, int type)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == type)
        return true;
    lua_pop(lua, 1);
    return false;
}

/* A line; its end must not be in it. */
static void write_line(struct sink *sink, char mark, const char *text, size_t size)
{
    struct buffer *out = sink->reply.out;
    buffer_append_byte(out, mark);
    for (size_t i = 0; i < size; i++)
        buffer_append_byte(out, text[i] == '\r' || text[i] == '\n' ? ' ' : text[i]);
    buffer_append(out, "\r\n", 2);
}

static void take_line_field(struct sink *sink, char mark)
{
    const char *text = lua_tostring(sink->lua, -1); /* up to a NUL, as Redis */
    write_line(sink, mark, text, strlen(text));
    lua_pop(sink->lua, 1);
}

static void take_big_number(struct sink *sink)
{
    size_t size;
    const char *text = lua_tolstring(sink->lua, -1, &size);
    if (sink->reply.protocol >= 3)
        write_line(sink, '(', text, size);
    else
        reply_bulk(&sink->reply, bytes_of(text, size));
    lua_pop(sink->lua, 1);
}

/* False: it is no verbatim string after all. */
static bool take_verbatim(struct sink *sink)
{
    lua_State *lua = sink->lua;
    if (!has_field(lua, "format", LUA_TSTRING))
        return false;
    lua_insert(lua, -2);
    if (!has_field(lua, "string", LUA_TSTRING)) {
        lua_remove(lua, -2);
        return false;
    }
    size_t size;
    const char *text = lua_tolstring(lua, -1, &size), *format = lua_tostring(lua, -3);
    if (sink->reply.protocol >= 3) {
        size_t format_size = strnlen(format, 3);
        buffer_printf(sink->reply.out, "=%zu\r\n%.*s%.*s:", size + 4, (int)format_size, format,
                      (int)(3 - format_size), "   ");
        buffer_append(sink->reply.out, text, size);
        buffer_append(sink->reply.out, "\r\n", 2);
    } else {
        reply_bulk(&sink->reply, bytes_of(text, size));
    }
    lua_pop(lua, 3);
    return true;
}

static uint64_t count_pairs(lua_State *lua)
{
    uint64_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
        count++;
    return count;
}

/* The order of such a key is not the same everywhere. */
static void refuse_key(struct sink *sink)
{
    int type = lua_type(sink->lua, -2);
    if (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA || type == LUA_TTHREAD)
        luaL_error(sink->lua, "keys that are a %s have no order", lua_typename(sink->lua, type));
}

/* Of the table on top, which is the map or the set, and goes. */
static void take_pairs(struct sink *sink, bool is_map)
{
    lua_State *lua = sink->lua;
    uint64_t count = count_pairs(lua);
    script_spend(lua, count);
    if (is_map)
        reply_map(&sink->reply, count);
    else
        reply_set(&sink->reply, count);
    for (lua_pushnil(lua); lua_next(lua, -2);) {
        refuse_key(sink);
        lua_pushvalue(lua, -2);
        take_value(sink);
        if (is_map)
            take_value(sink);
        else
            lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
}

static uint64_t count_elements(lua_State *lua)
{
    uint64_t count = 0;
    for (lua_rawgeti(lua, -1, 1); !lua_isnil(lua, -1); lua_rawgeti(lua, -1, (int)count + 1)) {
        count++;
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    script_spend(lua, count);
    return count;
}

static void take_array(struct sink *sink)
{
    uint64_t count = count_elements(sink->lua);
    reply_array(&sink->reply, count);
    for (uint64_t i = 1; i <= count; i++) {
        lua_rawgeti(sink->lua, -1, (int)i);
        take_value(sink);
    }
}

/* The table stays. */
static void take_table(struct sink *sink)
{
    lua_State *lua = sink->lua;
    if (has_field(lua, "err", LUA_TSTRING)) {
        take_line_field(sink, '-');
    } else if (has_field(lua, "ok", LUA_TSTRING)) {
        take_line_field(sink, '+');
    } else if (has_field(lua, "double", LUA_TNUMBER)) {
        reply_double(&sink->reply, lua_tonumber(lua, -1));
        lua_pop(lua, 1);
    } else if (has_field(lua, "big_number", LUA_TSTRING)) {
        take_big_number(sink);
    } else {
        if (has_field(lua, "verbatim_string", LUA_TTABLE)) {
            if (take_verbatim(sink))
                return;
            lua_pop(lua, 1);
        }
        if (has_field(lua, "map", LUA_TTABLE))
            take_pairs(sink, true);
        else if (has_field(lua, "set", LUA_TTABLE))
            take_pairs(sink, false);
        else
            take_array(sink);
    }
}

static void take_boolean(struct sink *sink)
{
    bool is_true = lua_toboolean(sink->lua, -1);
    if (sink->call_protocol >= 3)
        reply_bool(&sink->reply, is_true);
    else if (is_true)
        reply_integer(&sink->reply, 1);
    else
        reply_null(&sink->reply);
}

/* As a conversion of the C language does it on the machines that we know; it leaves open what is
 * out of range. */
static int64_t whole_part(double number)
{
    bool fits = number >= -9223372036854775808.0 && number < 9223372036854775808.0;
    return fits ? (int64_t)number : INT64_MIN;
}

static void take_value(struct sink *sink)
{
    lua_State *lua = sink->lua;
    if (!lua_checkstack(lua, 8)) {
        write_line(sink, '-', "ERR reached lua stack limit", 27);
        lua_pop(lua, 1);
        return;
    }
    script_spend(lua, 5);
    sink->size += VALUE_SIZE + (lua_type(lua, -1) == LUA_TSTRING ? lua_objlen(lua, -1) : 0);
    if (sink->size > SCRIPT_REPLY_MAX)
        script_give_up(script_of(lua), SCRIPT_REPLY_TOO_LARGE);
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: {
        size_t size;
        const char *text = lua_tolstring(lua, -1, &size);
        reply_bulk(&sink->reply, bytes_of(text, size));
        break;
    }
    case LUA_TNUMBER: reply_integer(&sink->reply, whole_part(lua_tonumber(lua, -1))); break;
    case LUA_TBOOLEAN: take_boolean(sink); break;
    case LUA_TTABLE: take_table(sink); break;
    default: reply_null(&sink->reply); break;
    }
    lua_pop(lua, 1);
}

void script_take_reply(lua_State *lua, int call_protocol, int protocol, struct buffer *out)
{
    struct sink sink = {.lua = lua, .reply = {out, protocol}, .call_protocol = call_protocol};
    take_value(&sink);
}
