/* See structs.h.  A format is a string of options, with numbers behind some of them:
 *
 *     > <       big, little endian (little at first)
 *     ! !n      alignment up to 8, n (none at first)
 *     b B h H   numbers of 1, 2,
 *     l L T     8,
 *     i I in In 4 or n bytes, up to 32; a capital: without a sign
 *     f d       float, double
 *     cn        n bytes; c0: all of the argument; unpacking, as many as the number before says
 *     s         bytes up to a NUL
 *     x         a byte of padding; a blank is nothing */
#include <ctype.h>
#include <limits.h>

#include "script/machine.h"
#include "script/structs.h"
#include "script/text.h"

enum { NUMBER_BYTES_MAX = 32, ALIGNMENT_MAX = 8 };

struct format {
    lua_State *lua;
    const char *at;
    bool is_big;
    size_t alignment;
};

static struct format format_of(lua_State *lua)
{
    return (struct format){.lua = lua, .at = luaL_checklstring(lua, 1, NULL), .alignment = 1};
}

/* ---- options ---------------------------------------------------------------------------- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static int take_number(struct format *format, int otherwise)
{
    if (!is_digit(*format->at))
        return otherwise;
    int64_t number = 0;
    while (is_digit(*format->at)) {
        number = number * 10 + (*format->at++ - '0');
        if (number > INT_MAX)
            luaL_error(format->lua, "integral size overflow");
    }
    return (int)number;
}

static size_t take_number_size(struct format *format)
{
    int size = take_number(format, sizeof(int));
    if (size > NUMBER_BYTES_MAX)
        luaL_error(format->lua, "integral size %d is larger than limit of %d", size,
                   NUMBER_BYTES_MAX);
    return (size_t)size;
}

/* What the option takes, if that is known. */
static size_t option_size(struct format *format, char option)
{
    switch (option) {
    case 'b':
    case 'B':
    case 'x': return 1;
    case 'h':
    case 'H': return 2;
    case 'f': return sizeof(float);
    case 'l':
    case 'L':
    case 'T':
    case 'd': return 8;
    case 'i':
    case 'I': return take_number_size(format);
    case 'c': return (size_t)take_number(format, 1);
    default: return 0;
    }
}

static size_t padding(const struct format *format, size_t place, char option, size_t size)
{
    if (size == 0 || option == 'c')
        return 0;
    if (size > format->alignment)
        size = format->alignment;
    return (size - (place & (size - 1))) & (size - 1);
}

static void take_alignment(struct format *format)
{
    int alignment = take_number(format, ALIGNMENT_MAX);
    if (alignment <= 0 || (alignment & (alignment - 1)) != 0)
        luaL_error(format->lua, "alignment %d is not a power of 2", alignment);
    format->alignment = (size_t)alignment;
}

/* An option that stands for no value. */
static void take_setting(struct format *format, char option)
{
    if (option == '>' || option == '<')
        format->is_big = option == '>';
    else if (option == '!')
        take_alignment(format);
    else if (option != ' ')
        luaL_argerror(format->lua, 1,
                      lua_pushfstring(format->lua, "invalid format option '%c'", option));
}

static bool is_number(char option)
{
    return option && strchr("bBhHlLTiI", option);
}

/* ---- packing ---------------------------------------------------------------------------- */

/* As a conversion of the C language does it on the machines that we know; it leaves open what is
 * out of range. */
static uint64_t bits_of(double number)
{
    if (number < 0)
        return number >= -9223372036854775808.0 ? (uint64_t)(int64_t)number : (uint64_t)1 << 63;
    if (number < 18446744073709551616.0)
        return (uint64_t)number;
    return number >= 18446744073709551616.0 ? 0 : (uint64_t)1 << 63; /* the latter: no number */
}

static void add_bytes(struct script_text *out, uint64_t bits, size_t size, bool is_big)
{
    for (size_t i = 0; i < size; i++) {
        size_t place = is_big ? size - 1 - i : i;
        script_text_add_byte(out, place < 8 ? (char)(bits >> (8 * place)) : 0);
    }
}

static void add_float(struct script_text *out, double number, size_t size, bool is_big)
{
    float single = (float)number;
    uint32_t small;
    uint64_t bits;
    memcpy(&small, &single, sizeof small);
    memcpy(&bits, &number, sizeof bits);
    add_bytes(out, size == sizeof small ? small : bits, size, is_big);
}

static void add_string(struct format *format, struct script_text *out, char option, size_t size,
                       int argument)
{
    size_t there;
    const char *string = luaL_checklstring(format->lua, argument, &there);
    if (size == 0)
        size = there;
    luaL_argcheck(format->lua, there >= size, argument + 1, "string too short");
    script_text_add(out, string, size);
    if (option == 's')
        script_text_add_byte(out, '\0');
}

static int pack(lua_State *lua)
{
    struct format format = format_of(lua);
    struct script_text out;
    int argument = 2;
    lua_pushnil(lua); /* what the first that is missing is */
    script_text_init(&out, lua);
    while (*format.at) {
        char option = *format.at++;
        size_t size = option_size(&format, option);
        for (size_t pad = padding(&format, out.size, option, size); pad > 0; pad--)
            script_text_add_byte(&out, '\0');
        script_spend(lua, 2);
        if (is_number(option))
            add_bytes(&out, bits_of(luaL_checknumber(lua, argument++)), size, format.is_big);
        else if (option == 'f' || option == 'd')
            add_float(&out, luaL_checknumber(lua, argument++), size, format.is_big);
        else if (option == 'c' || option == 's')
            add_string(&format, &out, option, size, argument++);
        else if (option == 'x')
            script_text_add_byte(&out, '\0');
        else
            take_setting(&format, option);
    }
    script_text_push(&out);
    return 1;
}

/* ---- unpacking -------------------------------------------------------------------------- */

/* Numbers of more than 8 bytes overflow as shifts do on the machines that we know. */
static double number_at(const unsigned char *at, size_t size, bool is_big, bool has_sign)
{
    uint64_t bits = 0, mask = UINT64_MAX << ((size * 8 - 1) & 63);
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | at[is_big ? i : size - 1 - i];
    if (!has_sign)
        return (double)bits;
    if (bits & mask)
        bits |= mask;
    return (double)(int64_t)bits;
}

static double float_at(const unsigned char *at, size_t size, bool is_big)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | at[is_big ? i : size - 1 - i];
    uint32_t small = (uint32_t)bits;
    float single;
    double number;
    memcpy(&single, &small, sizeof single);
    memcpy(&number, &bits, sizeof number);
    return size == sizeof small ? (double)single : number;
}

struct source {
    const char *data;
    size_t size, at; /* at may be behind the end */
};

static void need(lua_State *lua, const struct source *source, size_t size)
{
    luaL_argcheck(lua, size <= source->size && source->at <= source->size - size, 2,
                  "data string too short");
}

/* Of an option "c"; returns how many bytes there were, *count changes. */
static size_t push_counted(lua_State *lua, const struct source *source, size_t size, int *count)
{
    if (size == 0) {
        if (*count == 0 || !lua_isnumber(lua, -1))
            luaL_error(lua, "format 'c0' needs a previous size");
        double wanted = lua_tonumber(lua, -1);
        bool fits = wanted > -1 && wanted <= (double)source->size;
        size = fits ? (size_t)wanted : SIZE_MAX;
        lua_pop(lua, 1);
        --*count;
        need(lua, source, size);
    }
    lua_pushlstring(lua, source->data + source->at, size);
    ++*count;
    return size;
}

static size_t push_ended(lua_State *lua, const struct source *source)
{
    const char *from = source->data + source->at;
    const char *end = memchr(from, '\0', source->size - source->at);
    if (!end)
        luaL_error(lua, "unfinished string in data");
    size_t size = (size_t)(end - from);
    lua_pushlstring(lua, from, size);
    return size + 1;
}

static int unpack(lua_State *lua)
{
    struct format format = format_of(lua);
    struct source source = {0};
    int count = 0;
    source.data = luaL_checklstring(lua, 2, &source.size);
    lua_Integer from = luaL_optinteger(lua, 3, 1);
    luaL_argcheck(lua, from != 0, 3, "offset must be 1 or greater");
    source.at = (size_t)from - 1;
    while (*format.at) {
        char option = *format.at++;
        size_t size = option_size(&format, option);
        source.at += padding(&format, source.at, option, size);
        need(lua, &source, size);
        luaL_checkstack(lua, 2, "too many results");
        script_spend(lua, 2);
        const unsigned char *at = (const unsigned char *)source.data + source.at;
        bool is_float = option == 'f' || option == 'd';
        if (is_number(option) || is_float) {
            lua_pushnumber(lua, is_float ? float_at(at, size, format.is_big)
                                         : number_at(at, size, format.is_big, islower(option)));
            count++;
        } else if (option == 'c') {
            size = push_counted(lua, &source, size, &count);
        } else if (option == 's') {
            size = push_ended(lua, &source);
            count++;
        } else if (option != 'x') {
            take_setting(&format, option);
        }
        source.at += size;
    }
    lua_pushinteger(lua, (lua_Integer)(source.at + 1));
    return count + 1;
}

static int size_of(lua_State *lua)
{
    struct format format = format_of(lua);
    size_t place = 0;
    while (*format.at) {
        char option = *format.at++;
        size_t size = option_size(&format, option);
        place += padding(&format, place, option, size);
        if (option == 's')
            luaL_argerror(lua, 1, "option 's' has no fixed size");
        if (option == 'c' && size == 0)
            luaL_argerror(lua, 1, "option 'c0' has no fixed size");
        if (!isalnum((unsigned char)option))
            take_setting(&format, option);
        place += size;
        script_spend(lua, 1);
    }
    lua_pushnumber(lua, (double)place);
    return 1;
}

void script_structs_new(lua_State *lua)
{
    lua_newtable(lua);
    script_add(lua, "pack", pack);
    script_add(lua, "unpack", unpack);
    script_add(lua, "size", size_of);
}
