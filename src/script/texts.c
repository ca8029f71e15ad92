/* Functions on strings in the place of Lua's: those that can do much in one instruction. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "script/patterns.h"

enum { BYTES_PER_INSTRUCTION = 8, DIGIT_ESCAPE = '%' };

/* As Lua counts: from 1, or back from the end. */
static size_t offset_of(lua_Integer position, size_t size)
{
    if (position < 0)
        position += (lua_Integer)size + 1;
    if (position < 1)
        return 0;
    return (size_t)position - 1 < size ? (size_t)position - 1 : size;
}

/* ---- captures ------------------------------------------------------------------------------ */

static void push_capture(struct pattern_match *match, int which, const char *start, const char *end)
{
    if (which >= match->level) {
        if (which > 0)
            luaL_error(match->lua, "invalid capture index");
        lua_pushlstring(match->lua, start, (size_t)(end - start));
        return;
    }
    const struct capture *capture = &match->captures[which];
    if (capture->size == CAPTURE_UNFINISHED)
        luaL_error(match->lua, "unfinished capture");
    if (capture->size == CAPTURE_POSITION)
        lua_pushinteger(match->lua, capture->start - match->subject + 1);
    else
        lua_pushlstring(match->lua, capture->start, (size_t)capture->size);
}

/* `start` NULL: without the whole match, where there are no captures. */
static int push_captures(struct pattern_match *match, const char *start, const char *end)
{
    int count = match->level == 0 && start ? 1 : match->level;
    luaL_checkstack(match->lua, count, "too many captures");
    for (int i = 0; i < count; i++)
        push_capture(match, i, start, end);
    return count;
}

/* The first match from *start on; NULL: none.  *start is where it begins. */
static const char *search(struct pattern_match *match, const char **start, const char *pattern,
                          bool is_anchored)
{
    for (;; (*start)++) {
        match->level = 0;
        const char *end = script_pattern_match(match, *start, pattern);
        if (end)
            return end;
        if (is_anchored || *start >= match->subject_end)
            return NULL;
    }
}

/* ---- find, match, gmatch --------------------------------------------------------------------- */

/* A pattern ends at a NUL, as everywhere in Lua 5.1. */
static const char *check_pattern(lua_State *lua, int index, size_t *size)
{
    const char *pattern = luaL_checkstring(lua, index);
    *size = strlen(pattern);
    return pattern;
}

static int push_range(lua_State *lua, const char *subject, const char *start, size_t size)
{
    lua_pushinteger(lua, start - subject + 1);
    lua_pushinteger(lua, start - subject + (lua_Integer)size);
    return 2;
}

/* Without a pattern, in pieces that are counted. */
static int find_plainly(lua_State *lua, const char *subject, size_t size, size_t from)
{
    size_t wanted_size;
    const char *wanted = lua_tolstring(lua, 2, &wanted_size);
    if (wanted_size == 0)
        return push_range(lua, subject, subject + from, 0);
    const char *end = subject + size;
    uint64_t work = 0;
    for (const char *at = subject + from; (size_t)(end - at) >= wanted_size; at++) {
        const char *next = memchr(at, wanted[0], (size_t)(end - at) - wanted_size + 1);
        if (!next)
            break;
        work += (uint64_t)(next - at) / BYTES_PER_INSTRUCTION + 1;
        at = next;
        size_t same = 1;
        while (same < wanted_size && at[same] == wanted[same])
            same++;
        if (same == wanted_size)
            return push_range(lua, subject, at, wanted_size);
        work += same;
        if (work > 1000) {
            script_spend(lua, work);
            work = 0;
        }
    }
    lua_pushnil(lua);
    return 1;
}

static int find_or_match(lua_State *lua, bool finds)
{
    size_t size, pattern_size;
    const char *subject = luaL_checklstring(lua, 1, &size);
    luaL_checkstring(lua, 2);
    size_t from = offset_of(luaL_optinteger(lua, 3, 1), size);
    const char *pattern = check_pattern(lua, 2, &pattern_size);
    if (finds && (lua_toboolean(lua, 4) || !strpbrk(pattern, "^$*+?.([%-")))
        return find_plainly(lua, subject, size, from);
    struct pattern_match match;
    script_pattern_init(&match, lua, subject, size, pattern, pattern_size);
    bool is_anchored = pattern[0] == '^';
    const char *start = subject + from;
    const char *end = search(&match, &start, pattern + is_anchored, is_anchored);
    if (!end) {
        lua_pushnil(lua);
        return 1;
    }
    if (!finds)
        return push_captures(&match, start, end);
    push_range(lua, subject, start, (size_t)(end - start));
    return push_captures(&match, NULL, NULL) + 2;
}

static int text_find(lua_State *lua)
{
    return find_or_match(lua, true);
}

static int text_match(lua_State *lua)
{
    return find_or_match(lua, false);
}

/* Upvalues: the text, the pattern, where to go on. */
static int next_match(lua_State *lua)
{
    size_t size, pattern_size;
    const char *subject = lua_tolstring(lua, lua_upvalueindex(1), &size);
    const char *pattern = check_pattern(lua, lua_upvalueindex(2), &pattern_size);
    size_t from = (size_t)lua_tointeger(lua, lua_upvalueindex(3));
    if (from > size)
        return 0;
    struct pattern_match match;
    script_pattern_init(&match, lua, subject, size, pattern, pattern_size);
    const char *start = subject + from;
    const char *end = search(&match, &start, pattern, false);
    if (!end)
        return 0;
    lua_pushinteger(lua, end - subject + (end == start));
    lua_replace(lua, lua_upvalueindex(3));
    return push_captures(&match, start, end);
}

static int text_gmatch(lua_State *lua)
{
    luaL_checkstring(lua, 1);
    luaL_checkstring(lua, 2);
    lua_settop(lua, 2);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_match, 3);
    return 1;
}

/* ---- gsub ------------------------------------------------------------------------------------ */

static void add_template(struct pattern_match *match, luaL_Buffer *out, const char *start,
                         const char *end)
{
    size_t size;
    const char *text = lua_tolstring(match->lua, 3, &size);
    for (size_t i = 0; i < size; i++) {
        bool is_escape = text[i] == DIGIT_ESCAPE && i + 1 < size;
        if (is_escape)
            i++;
        if (!is_escape || text[i] < '0' || text[i] > '9') {
            luaL_addchar(out, text[i]);
        } else if (text[i] == '0') {
            luaL_addlstring(out, start, (size_t)(end - start));
        } else {
            push_capture(match, text[i] - '1', start, end);
            luaL_addvalue(out);
        }
    }
    script_spend(match->lua, size / BYTES_PER_INSTRUCTION);
}

/* What a table or a function has for the match; false and nil leave it as it is. */
static void add_looked_up(struct pattern_match *match, luaL_Buffer *out, const char *start,
                          const char *end)
{
    lua_State *lua = match->lua;
    if (lua_type(lua, 3) == LUA_TTABLE) {
        push_capture(match, 0, start, end);
        lua_gettable(lua, 3);
    } else {
        lua_pushvalue(lua, 3);
        int count = push_captures(match, start, end);
        lua_call(lua, count, 1);
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        lua_pushlstring(lua, start, (size_t)(end - start));
    } else if (!lua_isstring(lua, -1)) {
        luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    }
    luaL_addvalue(out);
}

static int text_gsub(lua_State *lua)
{
    size_t size, pattern_size;
    const char *subject = luaL_checklstring(lua, 1, &size);
    const char *pattern = check_pattern(lua, 2, &pattern_size);
    int type = lua_type(lua, 3);
    bool is_template = type == LUA_TSTRING || type == LUA_TNUMBER;
    luaL_argcheck(lua, is_template || type == LUA_TTABLE || type == LUA_TFUNCTION, 3,
                  "string/function/table expected");
    lua_Integer most = luaL_optinteger(lua, 4, (lua_Integer)size + 1), done = 0;
    bool is_anchored = pattern[0] == '^';
    struct pattern_match match;
    script_pattern_init(&match, lua, subject, size, pattern, pattern_size);
    luaL_Buffer out;
    luaL_buffinit(lua, &out);
    const char *at = subject;
    while (done < most) {
        match.level = 0;
        const char *end = script_pattern_match(&match, at, pattern + is_anchored);
        if (end) {
            done++;
            if (is_template)
                add_template(&match, &out, at, end);
            else
                add_looked_up(&match, &out, at, end);
        }
        if (end && end > at)
            at = end;
        else if (at < match.subject_end)
            luaL_addchar(&out, *at++);
        else
            break;
        if (is_anchored)
            break;
    }
    luaL_addlstring(&out, at, (size_t)(match.subject_end - at));
    luaL_pushresult(&out);
    lua_pushinteger(lua, done);
    return 2;
}

/* ---- others ---------------------------------------------------------------------------------- */

static int text_rep(lua_State *lua)
{
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    lua_Integer count = luaL_checkinteger(lua, 2);
    if (count <= 0 || size == 0) {
        lua_pushliteral(lua, "");
        return 1;
    }
    if (size > SCRIPT_MEMORY_MAX / (size_t)count)
        script_give_up(script_of(lua), SCRIPT_TOO_LARGE);
    size_t total = size * (size_t)count;
    char *whole = lua_newuserdata(lua, total);
    memcpy(whole, text, size);
    for (size_t done = size; done < total; done *= 2)
        memcpy(whole + done, whole, done < total - done ? done : total - done);
    lua_pushlstring(lua, whole, total);
    return 1;
}

static int counted_by_size(lua_State *lua)
{
    if (lua_type(lua, 1) == LUA_TSTRING)
        script_spend(lua, lua_objlen(lua, 1) / BYTES_PER_INSTRUCTION);
    return script_call_replaced(lua);
}

void script_open_texts(lua_State *lua)
{
    lua_getglobal(lua, "string");
    script_remove(lua, "dump"); /* compiled code: see load_text() in sandbox.c */
    script_add(lua, "find", text_find);
    script_add(lua, "match", text_match);
    script_add(lua, "gmatch", text_gmatch);
    script_add(lua, "gfind", text_gmatch); /* its old name */
    script_add(lua, "gsub", text_gsub);
    script_add(lua, "rep", text_rep);
    script_replace(lua, "lower", counted_by_size);
    script_replace(lua, "upper", counted_by_size);
    script_replace(lua, "reverse", counted_by_size);
    lua_pop(lua, 1);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    script_replace(lua, "tonumber", counted_by_size);
    lua_pop(lua, 1);
}
