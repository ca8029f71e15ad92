/* JSON as values: see json.h.  A string of Lua's has a NUL behind it, which ends the input wherever
 * one stands, as in Redis.  Depth is bounded by the setting, and by Lua's stack. */
#include <stdlib.h>
#include <strings.h>

#include "script/json.h"
#include "script/machine.h"
#include "script/text.h"

enum token_type {
    TOKEN_OBJECT_BEGIN,
    TOKEN_OBJECT_END,
    TOKEN_ARRAY_BEGIN,
    TOKEN_ARRAY_END,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_BOOLEAN,
    TOKEN_NULL,
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_END,
    TOKEN_ERROR
};

static const char *const token_names[] = {"T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END",
                                          "T_STRING",    "T_NUMBER",  "T_BOOLEAN",   "T_NULL",
                                          "T_COLON",     "T_COMMA",   "T_END"};

struct decoder {
    lua_State *lua;
    const struct script_json *json;
    const char *start, *at;
    struct script_text string; /* the last one */
    int depth;

    /* The last token. */
    enum token_type type;
    size_t place;
    const char *error;
    double number;
    bool boolean;
};

static void decode_value(struct decoder *decoder);

/* ---- tokens ----------------------------------------------------------------------------- */

static void set_error(struct decoder *decoder, const char *error)
{
    decoder->type = TOKEN_ERROR;
    decoder->place = (size_t)(decoder->at - decoder->start);
    decoder->error = error;
}

/* Four digits of base 16; negative: they are not. */
static int read_hex(const char *at)
{
    int number = 0;
    for (int i = 0; i < 4; i++) {
        int digit = at[i] | 0x20;
        if (at[i] >= '0' && at[i] <= '9')
            number = number * 16 + at[i] - '0';
        else if (digit >= 'a' && digit <= 'f')
            number = number * 16 + digit - 'a' + 10;
        else
            return -1;
    }
    return number;
}

static void add_utf8(struct script_text *text, unsigned code)
{
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    unsigned size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    script_text_add_byte(text, (char)(marks[size] | code >> (6 * (size - 1))));
    while (--size > 0)
        script_text_add_byte(text, (char)(0x80 | (code >> (6 * (size - 1)) & 0x3f)));
}

/* "\uXXXX", or two of them; false: it is none. */
static bool take_unicode(struct decoder *decoder)
{
    const char *at = decoder->at;
    int code = read_hex(at + 2), size = 6;
    if (code < 0)
        return false;
    if ((code & 0xf800) == 0xd800) {
        if (code & 0x400 || at[6] != '\\' || at[7] != 'u')
            return false;
        int low = read_hex(at + 8);
        if (low < 0 || (low & 0xfc00) != 0xdc00)
            return false;
        code = ((code & 0x3ff) << 10 | (low & 0x3ff)) + 0x10000;
        size = 12;
    }
    add_utf8(&decoder->string, (unsigned)code);
    decoder->at += size;
    return true;
}

/* NULL: done; else what is wrong. */
static const char *take_escape(struct decoder *decoder)
{
    static const char names[] = "\"\\/bfnrt", named[] = "\"\\/\b\f\n\r\t";
    char name = decoder->at[1];
    if (name == 'u')
        return take_unicode(decoder) ? NULL : "invalid unicode escape code";
    const char *found = name ? strchr(names, name) : NULL;
    if (!found)
        return "invalid escape code";
    script_text_add_byte(&decoder->string, named[found - names]);
    decoder->at += 2;
    return NULL;
}

static void take_string(struct decoder *decoder)
{
    decoder->string.size = 0;
    decoder->at++;
    while (*decoder->at != '"') {
        size_t plain = strcspn(decoder->at, "\"\\");
        script_text_add(&decoder->string, decoder->at, plain);
        decoder->at += plain;
        const char *error = NULL;
        if (*decoder->at == '\0')
            error = "unexpected end of string";
        else if (*decoder->at == '\\')
            error = take_escape(decoder);
        if (error) {
            set_error(decoder, error);
            return;
        }
    }
    decoder->at++;
    decoder->type = TOKEN_STRING;
    script_spend(decoder->lua, 1 + decoder->string.size / 16);
}

/* One that JSON has not, but strtod() may take; what else is wrong, that will find. */
static bool is_invalid_number(const char *at)
{
    if (*at == '+')
        return true;
    if (*at == '-')
        at++;
    if (*at == '0')
        return (at[1] | 0x20) == 'x' || (at[1] >= '0' && at[1] <= '9');
    if (*at <= '9')
        return false;
    return strncasecmp(at, "inf", 3) == 0 || strncasecmp(at, "nan", 3) == 0;
}

/* No locale is ever set, so the point is a point. */
static void take_number(struct decoder *decoder)
{
    char *end;
    decoder->number = strtod(decoder->at, &end);
    decoder->type = TOKEN_NUMBER;
    if (end == decoder->at)
        set_error(decoder, "invalid number");
    decoder->at = end;
}

static bool take_word(struct decoder *decoder, const char *word, enum token_type type)
{
    size_t size = strlen(word);
    if (strncmp(decoder->at, word, size) != 0)
        return false;
    decoder->type = type;
    decoder->boolean = *word == 't';
    decoder->at += size;
    return true;
}

static void take_other(struct decoder *decoder)
{
    char first = *decoder->at;
    bool is_digit = first == '-' || (first >= '0' && first <= '9');
    bool is_invalid = is_invalid_number(decoder->at);
    bool allows_invalid = decoder->json->decode_invalid;
    if (first == '"')
        take_string(decoder);
    else if (is_digit && is_invalid && !allows_invalid)
        set_error(decoder, "invalid number");
    else if (is_digit)
        take_number(decoder);
    else if (take_word(decoder, "true", TOKEN_BOOLEAN) ||
             take_word(decoder, "false", TOKEN_BOOLEAN) || take_word(decoder, "null", TOKEN_NULL))
        return;
    else if (is_invalid && allows_invalid)
        take_number(decoder);
    else
        set_error(decoder, "invalid token");
}

static void next_token(struct decoder *decoder)
{
    static const char single[] = "{}[]:,";
    static const enum token_type types[] = {TOKEN_OBJECT_BEGIN, TOKEN_OBJECT_END, TOKEN_ARRAY_BEGIN,
                                            TOKEN_ARRAY_END,    TOKEN_COLON,      TOKEN_COMMA};
    size_t blanks = strspn(decoder->at, " \t\r\n");
    script_spend(decoder->lua, 1 + blanks / 16);
    decoder->at += blanks;
    decoder->place = (size_t)(decoder->at - decoder->start);
    if (*decoder->at == '\0') {
        decoder->type = TOKEN_END;
        return;
    }
    const char *found = strchr(single, *decoder->at);
    if (!found) {
        take_other(decoder);
        return;
    }
    decoder->type = types[found - single];
    decoder->at++;
}

/* ---- values ----------------------------------------------------------------------------- */

static void refuse(struct decoder *decoder, const char *expected)
{
    const char *found = decoder->type == TOKEN_ERROR ? decoder->error : token_names[decoder->type];
    luaL_error(decoder->lua, "Expected %s but found %s at character %d", expected, found,
               (int)decoder->place + 1);
}

static void descend(struct decoder *decoder)
{
    decoder->depth++;
    if (decoder->depth > decoder->json->decode_depth_max || !lua_checkstack(decoder->lua, 4))
        luaL_error(decoder->lua, "Found too many nested data structures (%d) at character %d",
                   decoder->depth, (int)(decoder->at - decoder->start));
    lua_newtable(decoder->lua);
}

static void decode_object(struct decoder *decoder)
{
    descend(decoder);
    next_token(decoder);
    while (decoder->type != TOKEN_OBJECT_END) {
        if (decoder->type != TOKEN_STRING)
            refuse(decoder, "object key string");
        script_text_push(&decoder->string);
        next_token(decoder);
        if (decoder->type != TOKEN_COLON)
            refuse(decoder, "colon");
        next_token(decoder);
        decode_value(decoder);
        lua_rawset(decoder->lua, -3);
        next_token(decoder);
        if (decoder->type == TOKEN_OBJECT_END)
            break;
        if (decoder->type != TOKEN_COMMA)
            refuse(decoder, "comma or object end");
        next_token(decoder);
        if (decoder->type == TOKEN_OBJECT_END)
            refuse(decoder, "object key string");
    }
    decoder->depth--;
}

static void decode_array(struct decoder *decoder)
{
    descend(decoder);
    next_token(decoder);
    for (int i = 1; decoder->type != TOKEN_ARRAY_END; i++) {
        decode_value(decoder);
        lua_rawseti(decoder->lua, -2, i);
        next_token(decoder);
        if (decoder->type == TOKEN_ARRAY_END)
            break;
        if (decoder->type != TOKEN_COMMA)
            refuse(decoder, "comma or array end");
        next_token(decoder);
        if (decoder->type == TOKEN_ARRAY_END)
            refuse(decoder, "value");
    }
    decoder->depth--;
}

/* What the last token begins, onto the stack. */
static void decode_value(struct decoder *decoder)
{
    lua_State *lua = decoder->lua;
    switch (decoder->type) {
    case TOKEN_STRING: script_text_push(&decoder->string); break;
    case TOKEN_NUMBER: lua_pushnumber(lua, decoder->number); break;
    case TOKEN_BOOLEAN: lua_pushboolean(lua, decoder->boolean); break;
    case TOKEN_NULL: lua_pushlightuserdata(lua, NULL); break;
    case TOKEN_OBJECT_BEGIN: decode_object(decoder); break;
    case TOKEN_ARRAY_BEGIN: decode_array(decoder); break;
    case TOKEN_OBJECT_END:
    case TOKEN_ARRAY_END:
    case TOKEN_COLON:
    case TOKEN_COMMA:
    case TOKEN_END:
    case TOKEN_ERROR: refuse(decoder, "value"); break;
    }
}

int script_json_decode(lua_State *lua)
{
    struct decoder decoder = {.lua = lua, .json = lua_touserdata(lua, lua_upvalueindex(1))};
    size_t size;
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    decoder.start = decoder.at = luaL_checklstring(lua, 1, &size);
    if (size >= 2 && (decoder.at[0] == '\0' || decoder.at[1] == '\0'))
        return luaL_error(lua, "JSON parser does not support UTF-16 or UTF-32");
    script_text_init(&decoder.string, lua);
    next_token(&decoder);
    decode_value(&decoder);
    next_token(&decoder);
    if (decoder.type != TOKEN_END)
        refuse(&decoder, "the end");
    return 1;
}
