/* The table `redis` of scripts, as Redis 7.2 has it (script_lua.c, eval.c). */
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "base/memory.h"
#include "resp/number.h"
#include "script/machine.h"

enum { ARGV_KEEP = 4096, LOG_TEXT_MAX = 1024, CALL_INSTRUCTIONS = 100 };

void script_push_error(lua_State *lua, const char *text, size_t size)
{
    const char *blank = memchr(text, ' ', size);
    bool has_code = size > 0 && text[0] == '-';
    if (has_code) {
        text++;
        size--;
    }
    lua_createtable(lua, 0, 2);
    if (has_code && blank) {
        lua_pushlstring(lua, text, size);
    } else {
        lua_pushliteral(lua, "ERR ");
        lua_pushlstring(lua, text, size);
        lua_concat(lua, 2);
    }
    lua_setfield(lua, -2, "err");
}

static int push_error(lua_State *lua, const char *text)
{
    script_push_error(lua, text, strlen(text));
    return 1;
}

static int raise(lua_State *lua, const char *text)
{
    push_error(lua, text);
    return lua_error(lua);
}

/* ---- call and pcall -------------------------------------------------------------------------- */

static void reserve_argv(struct script *script, uint32_t count)
{
    if (script->argv_capacity >= count && script->argv_capacity <= ARGV_KEEP)
        return;
    memory_free(script->argv);
    script->argv_capacity = count < 16 ? 16 : count;
    script->argv = memory_new(script->argv_capacity * sizeof *script->argv);
}

/* A number as Redis 7.2 makes a word of it: the shortest that says it. */
static size_t format_number(double number, char *digits)
{
    bool is_whole = number > -4e18 && number < 4e18 && (double)(int64_t)number == number;
    return is_whole ? number_format_i64((int64_t)number, digits)
                    : number_format_double(number, digits);
}

/* The words on the stack, which they leave, into script->argv.  NULL; else what is wrong. */
static const char *take_words(lua_State *lua, struct script *script)
{
    int count = lua_gettop(lua);
    if (count == 0)
        return "Please specify at least one argument for this redis lib call";
    reserve_argv(script, (uint32_t)count);
    buffer_clear(&script->words);
    for (int i = 1; i <= count; i++) {
        char digits[NUMBER_DOUBLE_SIZE];
        struct bytes word = {digits, 0};
        if (lua_type(lua, i) == LUA_TNUMBER)
            word.size = format_number(lua_tonumber(lua, i), digits);
        else if (lua_type(lua, i) == LUA_TSTRING)
            word.data = lua_tolstring(lua, i, &word.size);
        else
            return "Lua redis lib command arguments must be strings or integers";
        script->argv[i - 1].size = word.size;
        buffer_append_bytes(&script->words, word);
    }
    lua_settop(lua, 0);
    const char *at = script->words.data;
    for (int i = 0; i < count; i++) {
        script->argv[i].data = script->words.size ? at : "";
        at = at ? at + script->argv[i].size : at;
    }
    script->argc = (uint32_t)count;
    return NULL;
}

static int call_command(lua_State *lua, bool raises)
{
    struct script *script = script_of(lua);
    const char *wrong = take_words(lua, script);
    if (wrong) {
        push_error(lua, wrong);
        return raises ? lua_error(lua) : 1;
    }
    script_spend(lua, CALL_INSTRUCTIONS + script->words.size / 16);
    script->step = SCRIPT_CALLS;
    buffer_clear(&script->answer);
    fiber_leave(script->fiber);
    struct bytes answer = buffer_bytes(&script->answer);
    check(answer.size > 0);
    bool is_error = script->is_refused || ((const char *)answer.data)[0] == '-';
    if (script->is_refused) {
        script_push_error(lua, answer.data, answer.size);
        lua_pushboolean(lua, 1);
        lua_setfield(lua, -2, "ignore_error_stats_update");
    } else {
        script_push_reply(lua, answer);
    }
    return is_error && raises ? lua_error(lua) : 1;
}

static int redis_call(lua_State *lua)
{
    return call_command(lua, true);
}

static int redis_pcall(lua_State *lua)
{
    return call_command(lua, false);
}

struct script_call script_called(const struct script *script)
{
    check(script->step == SCRIPT_CALLS);
    return (struct script_call){script->argv, script->argc, script->call_protocol};
}

void script_answer(struct script *script, struct bytes reply)
{
    check(script->step == SCRIPT_CALLS);
    buffer_clear(&script->answer);
    buffer_append_bytes(&script->answer, reply);
    script->is_refused = false;
}

void script_refuse(struct script *script, const char *error)
{
    script_answer(script, bytes_from_string(error));
    script->is_refused = true;
}

/* ---- others ---------------------------------------------------------------------------------- */

static int redis_sha1hex(lua_State *lua)
{
    char sha[SCRIPT_SHA_SIZE + 1];
    struct bytes text = {"", 0};
    if (lua_gettop(lua) != 1)
        return raise(lua, "wrong number of arguments");
    if (lua_isstring(lua, 1))
        text.data = lua_tolstring(lua, 1, &text.size);
    script_spend(lua, text.size / 8);
    script_sha(text, sha);
    lua_pushstring(lua, sha);
    return 1;
}

static bool has_one_text(lua_State *lua)
{
    return lua_gettop(lua) == 1 && lua_type(lua, 1) == LUA_TSTRING;
}

static int redis_error_reply(lua_State *lua)
{
    if (!has_one_text(lua))
        return push_error(lua, "wrong number or type of arguments");
    if (lua_tostring(lua, 1)[0] != '-') {
        lua_pushliteral(lua, "-");
        lua_insert(lua, 1);
        lua_concat(lua, 2);
    }
    const char *text = lua_tostring(lua, 1); /* up to a NUL, as Redis */
    script_push_error(lua, text, strcspn(text, "\r\n"));
    return 1;
}

static int redis_status_reply(lua_State *lua)
{
    if (!has_one_text(lua))
        return push_error(lua, "wrong number or type of arguments");
    lua_createtable(lua, 0, 1);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, "ok");
    return 1;
}

static int redis_setresp(lua_State *lua)
{
    if (lua_gettop(lua) != 1)
        return raise(lua, "redis.setresp() requires one argument.");
    double protocol = lua_tonumber(lua, 1);
    if (protocol < 2 || protocol >= 4)
        return raise(lua, "RESP version must be 2 or 3.");
    script_of(lua)->call_protocol = protocol < 3 ? 2 : 3;
    return 0;
}

/* All commands go through the log, so there is nothing to choose. */
static int redis_set_repl(lua_State *lua)
{
    if (lua_gettop(lua) != 1)
        return raise(lua, "redis.set_repl() requires two arguments.");
    double flags = lua_tonumber(lua, 1);
    if (flags < 0 || flags >= 4)
        return raise(lua, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                          "REPL_NONE.");
    return 0;
}

static int redis_replicate_commands(lua_State *lua)
{
    lua_pushboolean(lua, 1);
    return 1;
}

/* Who may send a script may send each of its commands. */
static int redis_acl_check_cmd(lua_State *lua)
{
    struct script *script = script_of(lua);
    const char *wrong = take_words(lua, script);
    if (wrong)
        return raise(lua, wrong);
    if (!script->run.knows_command || !script->run.knows_command(script->argv, script->argc))
        return raise(lua, "Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(lua, 1);
    return 1;
}

/* Goes to the log of each node that executes the script, by that node's level. */
static int redis_log(lua_State *lua)
{
    int count = lua_gettop(lua);
    if (count < 2)
        return raise(lua, "redis.log() requires two arguments or more.");
    if (!lua_isnumber(lua, 1))
        return raise(lua, "First argument must be a number (log level).");
    double level = lua_tonumber(lua, 1);
    if (!(level > -1 && level < LOG_LEVEL_WARNING + 1))
        return raise(lua, "Invalid debug level.");
    struct buffer line = {0};
    for (int i = 2; i <= count && line.size < LOG_TEXT_MAX; i++) {
        if (!lua_isstring(lua, i))
            continue;
        const char *text = lua_tostring(lua, i);
        buffer_printf(&line, "%s%.*s", i > 2 ? " " : "", LOG_TEXT_MAX, text);
    }
    for (size_t i = 0; i < line.size; i++)
        if ((unsigned char)line.data[i] < ' ')
            line.data[i] = ' ';
    log_at((enum log_level)level, "script: %.*s", (int)line.size, line.size ? line.data : "");
    buffer_deinit(&line);
    script_spend(lua, 1000);
    return 0;
}

/* The debugger of Redis is not there: as without it. */
static int redis_breakpoint(lua_State *lua)
{
    lua_pushboolean(lua, 0);
    return 1;
}

static int redis_debug(lua_State *lua)
{
    (void)lua;
    return 0;
}

static void add_number(lua_State *lua, const char *name, int number)
{
    lua_pushinteger(lua, number);
    lua_setfield(lua, -2, name);
}

void script_open_redis(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"call", redis_call},
                                         {"pcall", redis_pcall},
                                         {"sha1hex", redis_sha1hex},
                                         {"error_reply", redis_error_reply},
                                         {"status_reply", redis_status_reply},
                                         {"setresp", redis_setresp},
                                         {"set_repl", redis_set_repl},
                                         {"replicate_commands", redis_replicate_commands},
                                         {"acl_check_cmd", redis_acl_check_cmd},
                                         {"log", redis_log},
                                         {"breakpoint", redis_breakpoint},
                                         {"debug", redis_debug}};
    lua_newtable(lua);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        script_add(lua, functions[i].name, functions[i].func);
    add_number(lua, "LOG_DEBUG", LOG_LEVEL_DEBUG);
    add_number(lua, "LOG_VERBOSE", LOG_LEVEL_VERBOSE);
    add_number(lua, "LOG_NOTICE", LOG_LEVEL_NOTICE);
    add_number(lua, "LOG_WARNING", LOG_LEVEL_WARNING);
    add_number(lua, "REPL_NONE", 0);
    add_number(lua, "REPL_AOF", 1);
    add_number(lua, "REPL_SLAVE", 2);
    add_number(lua, "REPL_REPLICA", 2);
    add_number(lua, "REPL_ALL", 3);
    lua_pushliteral(lua, SCRIPT_REDIS_VERSION);
    lua_setfield(lua, -2, "REDIS_VERSION");
    add_number(lua, "REDIS_VERSION_NUM", SCRIPT_REDIS_VERSION_NUM);
    lua_setglobal(lua, "redis");
}
