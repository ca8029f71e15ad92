/* The machine for scripts, without commands: what a script may see and do, and that nothing of one
 * is left for the next.  redis.call() answers here with the reply that its first word is, and
 * counts. */
#include "test_script.h"

#include "base/memory.h"
#include "script/machine.h"

#include <stdio.h>

static struct script *script;

static int set_up(void **state)
{
    (void)state;
    script = script_new();
    script->instructions_max = 20000000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    script_free(script);
    return 0;
}

static void expect(const char *body, const char *reply)
{
    expect_script(script, body, reply);
}

static void test_values(void **state)
{
    (void)state;
    expect("return 3.99", ":3\r\n");
    expect("return 'a\\0b'", "$3\r\na");
    expect("return {1, {'x', false}, true, nil, 5}", "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n:1\r\n");
    expect("return nil", "$-1\r\n");
    expect("return {ok='fine\\nx'}", "+fine x\r\n");
    expect("return {err='MY err'}", "-MY err\r\n");
    expect("return {double=0.1}", "$3\r\n0.1\r\n");
    expect("return {map={a=1}}", "*2\r\n$1\r\na\r\n:1\r\n");
    expect("return redis.error_reply('x y')", "-x y\r\n");
    expect("return redis.error_reply('xy')", "-ERR xy\r\n");
    expect("return redis.status_reply('S')", "+S\r\n");
    expect("return redis.sha1hex('')", "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n");
}

static void test_calls(void **state)
{
    (void)state;
    expect("return redis.call(':5') + 1", ":6\r\n");
    expect("return redis.call('$3\\r\\nabc') .. 'd'", "$4\r\nabcd\r\n");
    expect("return type(redis.call('$-1'))", "$7\r\nboolean\r\n");
    expect("return redis.call('+OK').ok", "$2\r\nOK\r\n");
    expect("return redis.pcall('-BAD thing').err", "$9\r\nBAD thing\r\n");
    expect("return select(2, pcall(redis.call, '-BAD thing'))", "$9\r\nBAD thing\r\n");
    expect("redis.setresp(3); return redis.call('%1\\r\\n$1\\r\\na\\r\\n:2').map.a", ":2\r\n");
    expect("redis.setresp(3); return redis.call('~1\\r\\n$1\\r\\na').set", "*0\r\n");
    expect("redis.setresp(3); return redis.call(',0.5').double * 2", ":1\r\n");
    expect("redis.setresp(3); return redis.call('_')", "$-1\r\n");
    expect("return redis.call('count', 1e15, 0.1, -3)", "$23\r\n1000000000000000 0.1 -3\r\n");
    expect_prefix(script, "return redis.call('-BAD thing')", "-BAD thing script: ");
    expect_prefix(script, "redis.call()", "-ERR Please specify at least one argument");
    expect_prefix(script, "redis.call({})", "-ERR Lua redis lib command arguments must be strings");
    expect_prefix(script, "return redis.call('refuse')", "-ERR not here script: ");
}

/* ---- the sandbox ---------------------------------------------------------------------------- */

static void test_globals_are_protected(void **state)
{
    (void)state;
    static const char readonly[] =
        "-ERR user_script:1: Attempt to modify a readonly table script: ";
    static const char unknown[] =
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: ";
    expect_prefix(script, "return x", unknown);
    expect_prefix(script, "x = 1", readonly);
    expect_prefix(script, "redis.call = 1", readonly);
    expect_prefix(script, "string.format = 1", readonly);
    expect_prefix(script, "getmetatable('').__index = 1", readonly);
    expect_prefix(script, "getmetatable(_G).__index = 1", readonly);
    expect_prefix(script, "setmetatable(_G, {})", "-ERR Attempt to modify a readonly table");
    expect_prefix(script, "rawset(_G, 'x', 1)", "-ERR Attempt to modify a readonly table");
    static const char *const absent[] = {"io",    "debug",    "require", "dofile", "loadfile",
                                         "print", "newproxy", "package", "os",     "setfenv"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        char body[64];
        snprintf(body, sizeof body, "return rawget(_G, '%s') == nil", absent[i]);
        expect(body, ":1\r\n");
    }
    expect("return string.dump == nil", ":1\r\n");
    expect("local n = 0; for k in pairs(redis) do n = n + 1 end return n > 10", ":1\r\n");
}

/* What one script changes where nothing protects it, the next does not find. */
static void test_nothing_is_left(void **state)
{
    (void)state;
    expect("table.insert(redis, 7); table.insert(table, 8); return redis[1]", ":7\r\n");
    expect("return {redis[1], table[1], 5}", "*0\r\n");
    expect("KEYS[1] = 'x'; ARGV.y = 1; return KEYS[1]", "$1\r\nx\r\n");
    expect("return {KEYS[1], 1}", "*0\r\n");
    expect("local t = string.rep('x', 1000000); return #t", ":1000000\r\n");
}

static void test_chance_begins_anew(void **state)
{
    (void)state;
    struct buffer first = {0}, second = {0};
    static const char body[] = "return {math.random(1, 1000000), math.random(1, 1000000)}";
    run_script(script, body, &first);
    run_script(script, "math.randomseed(77); return math.random(1, 1000000)", &second);
    buffer_clear(&second);
    run_script(script, body, &second);
    assert_true(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    buffer_deinit(&first);
    buffer_deinit(&second);
}

/* Two machines lie at two addresses; what their scripts say is the same to the letter. */
static void test_no_address_is_seen(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "return tostring({}) .. tostring(print == nil) .. tostring(pairs) .. tostring(redis.call)",
        "return tostring(coroutine.create(function() end))",
        "local a, b = {}, {}; return {tostring(a), tostring(b), tostring(a)}",
        "return {pcall(string.format, '%s', {})}",
        "return {pcall(string.format, '%p', {})}",
        "return {pcall(function() return {} .. 'x' end)}",
        "return {pcall(function() return {} < function() end end)}",
        "local t = {}; for i = 1, 100 do t['k' .. i] = i end; local r = {}; "
        "for k in pairs(t) do r[#r + 1] = k end; return r",
        "local t = {}; for i = 1, 30 do t['k' .. i] = i; t[{}] = i end; local r = {}; "
        "return {pcall(function() for k in pairs(t) do r[#r + 1] = k end end), unpack(r)}",
        "error({})",
        "error(setmetatable({}, {__tostring = function(t) return 'x' end}))"};
    struct script *other = script_new();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buffer one = {0}, two = {0};
        run_script(script, bodies[i], &one);
        run_script(other, bodies[i], &two);
        assert_true(bytes_equal(buffer_bytes(&one), buffer_bytes(&two)));
        assert_null(memmem(one.data, one.size, "0x", 2));
        buffer_deinit(&one);
        buffer_deinit(&two);
    }
    script_free(other);
    expect_prefix(script, "for k in pairs({[{}] = 1}) do end",
                  "-ERR user_script:1: keys that are a table have no order");
    expect_prefix(script, "return next({[print or redis.call] = 1})", "-ERR");
}

static void test_compiled_code_is_refused(void **state)
{
    (void)state;
    expect_prefix(script, "\033Lua", "-ERR Error compiling script (new function): ");
    expect("return {loadstring('\\27Lua')}", "*0\r\n");
    expect("return loadstring('return 5')()", ":5\r\n");
    expect("local p = {'return ', '6'}; return load(function() return table.remove(p, 1) end)()",
           ":6\r\n");
    expect_prefix(script, "return (", "-ERR Error compiling script (new function): user_script:1:");
    expect_prefix(script, "#!lua flags=no-writes\nreturn x.y.z", "-ERR user_script:2: ");
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void test_endless_ones_end(void **state)
{
    (void)state;
    static const char too_long[] = "-ERR Script ended: it took more than 200000000 instructions";
    static const char too_large[] = "-ERR Script ended: it needs more than 64 MB of memory";
    expect_prefix(script, "while true do pcall(function() while true do end end) end", too_long);
    expect_prefix(script, "local t = {}; while true do t[#t + 1] = {} end", too_large);
    expect_prefix(script, "local s = 'x'; while true do pcall(function() s = s .. s end) end",
                  too_large);
    expect_prefix(script, "return string.rep('x', 1e9)", too_large);
    expect_prefix(script, "return string.rep('', 1e18)", "$0\r\n");
    expect("return #string.rep('ab', 5)", ":10\r\n");
}

static void test_work_of_one_instruction_is_counted(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        /* goes back and forth without an end */
        "return string.find(string.rep('a', 300), string.rep('a*', 30) .. 'b')",
        "local s = string.rep('a', 100000); return s:find(s .. '-' .. 'b')",
        "while true do coroutine.wrap(function() end)() end",
        "local t = {}; for i = 1, 100000 do t[i] = i end; while true do table.insert(t, 1, 1); "
        "table.remove(t, 1) end"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buffer out = {0};
        unsigned pauses = run_script(script, bodies[i], &out);
        bool is_told = memmem(out.data, out.size, "Script ended", 12) ||
                       memmem(out.data, out.size, "pattern too complex", 19);
        assert_true(is_told);
        assert_true(pauses > 50 || memmem(out.data, out.size, "complex", 7));
        buffer_deinit(&out);
    }
    expect_prefix(script, "return string.find('x', string.rep('(', 100000))", "-ERR");
}

/* It stops in the midst of anything, and goes on. */
static void test_pauses(void **state)
{
    (void)state;
    struct buffer out = {0};
    unsigned pauses =
        run_script(script,
                   "local f = coroutine.wrap(function() for i = 1, 3e6 do local x = i end "
                   "coroutine.yield(7) end); return {pcall(f)}",
                   &out);
    assert_true(pauses > 10);
    assert_string_equal(out.data, "*2\r\n:1\r\n:7\r\n");
    buffer_deinit(&out);
}

/* ---- patterns -------------------------------------------------------------------------------- */

enum { WORDS = 20000 };

/* What they cost was stamped into entries that are executed again: it does not change.  In how many
 * slices they come does. */
static void test_many_words_come_in_slices(void **state)
{
    (void)state;
    static const char body[] = "return {#KEYS, KEYS[4097], #ARGV, ARGV[20000]}";
    struct bytes *words = memory_new(WORDS * sizeof *words);
    static char texts[WORDS][8];
    char sha[SCRIPT_SHA_SIZE + 1];
    for (int i = 0; i < WORDS; i++)
        words[i] = bytes_of(texts[i], (size_t)snprintf(texts[i], sizeof texts[i], "w%05d", i));
    script_sha(bytes_from_string(body), sha);
    struct script_run run = {.sha = bytes_from_string(sha),
                             .body = bytes_from_string(body),
                             .keys = words,
                             .key_count = WORDS,
                             .arguments = words,
                             .argument_count = WORDS,
                             .protocol = 2};
    script_begin(script, &run);
    unsigned pauses = 0;
    uint64_t spent = 0;
    for (enum script_step step; (step = script_go_on(script)) != SCRIPT_ENDS; pauses++) {
        assert_int_equal(step, SCRIPT_PAUSES);
        assert_in_range(script_spent(script) - spent, 0, 40000);
        spent = script_spent(script);
    }
    bool failed;
    struct bytes reply = script_reply(script, &failed);
    static const char wanted[] = "*4\r\n:20000\r\n$6\r\nw04096\r\n:20000\r\n$6\r\nw19999\r\n";
    assert_true(bytes_equal(reply, bytes_from_string(wanted)));
    assert_int_equal(script_spent(script), 92570);
    assert_in_range(pauses, 8, 12);
    memory_free(words);
}

static void test_patterns(void **state)
{
    (void)state;
    expect("return {string.find('hello world', 'o w')}", "*2\r\n:5\r\n:7\r\n");
    expect("return {string.find('hello', 'l+')}", "*2\r\n:3\r\n:4\r\n");
    expect("return {string.find('a.b', '.', 2, true)}", "*2\r\n:2\r\n:2\r\n");
    expect("return {('key = value'):match('^(%w+)%s*=%s*(%w+)$')}",
           "*2\r\n$3\r\nkey\r\n$5\r\nvalue\r\n");
    expect("return {('x(a(b)c)y'):match('%b()'), ('THE (quick) fox'):find('%f[%a]%a+', 5)}",
           "*3\r\n$7\r\n(a(b)c)\r\n:6\r\n:10\r\n");
    expect("return {('abab'):gsub('ab', {ab = 'x'}), ('hello'):gsub('l', '%0%0', 1)}",
           "*3\r\n$2\r\nxx\r\n$6\r\nhelllo\r\n:1\r\n");
    expect("return {('abc'):gsub('', '-')}", "*2\r\n$7\r\n-a-b-c-\r\n:4\r\n");
    expect("local r = {}; for k, v in ('a=1, b=2'):gmatch('(%w)=(%w)') do r[#r+1] = k .. v end "
           "return r",
           "*2\r\n$2\r\na1\r\n$2\r\nb2\r\n");
    expect("return {('aXbX'):match('()X(.-)X()')}", "*3\r\n:2\r\n$1\r\nb\r\n:5\r\n");
    expect("return {('\"x\" y'):match('([\"\\'])(.-)%1')}", "*2\r\n$1\r\n\"\r\n$1\r\nx\r\n");
    expect("return ('[]]-'):gsub('[]-]', 'x')", "$4\r\n[xxx\r\n");
    static const char *const malformed[] = {"%", "[a", "(", "%f", "%b", "%1", ")", "[%"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        char body[64];
        snprintf(body, sizeof body, "return string.match('aaa', '%s')", malformed[i]);
        expect_prefix(script, body, "-ERR user_script:1: ");
    }
}

static void test_flags(void **state)
{
    (void)state;
    struct buffer error = {0};
    unsigned flags;
    assert_true(script_flags_of(bytes_from_string("return 1"), &flags, &error));
    assert_int_equal(flags, 0);
    assert_true(
        script_flags_of(bytes_from_string("#!lua flags=no-writes,allow-stale\n"), &flags, &error));
    assert_int_equal(flags, SCRIPT_HAS_LINE | SCRIPT_NO_WRITES | SCRIPT_ALLOW_STALE);
    static const char *const wrong[] = {"#!lua", "#!python\n", "#!lua flags=x\n", "#!lua x=y\n",
                                        "#!\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        buffer_clear(&error);
        assert_false(script_flags_of(bytes_from_string(wrong[i]), &flags, &error));
        assert_true(error.size > 0);
    }
    buffer_deinit(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_globals_are_protected),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_chance_begins_anew),
        cmocka_unit_test(test_no_address_is_seen),
        cmocka_unit_test(test_compiled_code_is_refused),
        cmocka_unit_test(test_endless_ones_end),
        cmocka_unit_test(test_work_of_one_instruction_is_counted),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_many_words_come_in_slices),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
