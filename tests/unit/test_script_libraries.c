/* The libraries of scripts: what they give and how they refuse, as redis-server does
 * (tests/compare_script_libraries.py asks it), damaged input, and that they are bounded and leave
 * nothing behind. */
#include "test_script.h"

#include "base/prng.h"
#include "script/machine.h"

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

static void expect(const char *body, const char *text)
{
    struct buffer reply = {0};
    buffer_printf(&reply, "$%zu\r\n%s\r\n", strlen(text), text);
    buffer_append_byte(&reply, '\0');
    expect_script(script, body, reply.data);
    buffer_deinit(&reply);
}

/* What the expression raises; Lua says where before it. */
static void expect_error(const char *expression, const char *text)
{
    struct buffer body = {0};
    buffer_printf(&body,
                  "local ok, text = pcall(function() return %s end)"
                  " return (ok and 'no error: ' or '') .. tostring(text):gsub('^user_script:1: ', "
                  "'')",
                  expression);
    buffer_append_byte(&body, '\0');
    expect(body.data, text);
    buffer_deinit(&body);
}

static void test_json_encode(void **state)
{
    (void)state;
    expect("return cjson.encode({1, 2.5, 'a/b\"\\n', true, cjson.null})",
           "[1,2.5,\"a\\/b\\\"\\n\",true,null]");
    expect("return cjson.encode({a={}})", "{\"a\":{}}");
    expect("return cjson.encode({[1]=1, [3]=3})", "[1,null,3]");
    expect("return cjson.encode('\\127\\1')", "\"\\u007f\\u0001\"");
    expect("return cjson.encode(0.1)", "0.1");
    expect("return cjson.encode(12345678901234567890)", "1.2345678901235e+19");
    expect("return cjson.encode({[1.5]=1})", "{\"1.5\":1}");
    expect_error("cjson.encode({[1]=1, [100]=1})",
                 "Cannot serialise table: excessively sparse array");
    expect_error("cjson.encode(pcall)", "Cannot serialise function: type not supported");
    expect_error("cjson.encode(1/0)", "Cannot serialise number: must not be NaN or Inf");
    expect_error("cjson.encode({[true]=1})",
                 "Cannot serialise boolean: table key must be a number or string");
    expect_error("cjson.encode()", "bad argument #1 to 'encode' (expected 1 argument)");
    expect_error("(function() local t = {} t[1] = t return cjson.encode(t) end)()",
                 "Cannot serialise, excessive nesting (1001)");
}

static void test_json_decode(void **state)
{
    (void)state;
    expect(
        "local t = cjson.decode('{\"a\":[1,2,{\"b\":null}],\"c\":\"\\\\u20ac\\\\ud83d\\\\ude00\"}')"
        " return t.a[2] .. tostring(t.a[3].b == cjson.null) .. t.c",
        "2true\xe2\x82\xac\xf0\x9f\x98\x80");
    expect("return tostring(cjson.decode(' -12.5e1 '))", "-125");
    expect_error("cjson.decode('[1,]')", "Expected value but found T_ARR_END at character 4");
    expect_error("cjson.decode('{\"a\" 1}')", "Expected colon but found T_NUMBER at character 6");
    expect_error("cjson.decode('[1')",
                 "Expected comma or array end but found T_END at character 3");
    expect_error("cjson.decode('\"ab')",
                 "Expected value but found unexpected end of string at character 4");
    expect_error("cjson.decode('\"\\\\ud83d\"')",
                 "Expected value but found invalid unicode escape code at character 2");
    expect_error("cjson.decode('x')", "Expected value but found invalid token at character 1");
    expect_error("cjson.decode('1 2')", "Expected the end but found T_NUMBER at character 3");
    expect_error("cjson.decode(string.rep('[', 1001))",
                 "Found too many nested data structures (1001) at character 1001");
    expect_error("cjson.decode('\\0\\0')", "JSON parser does not support UTF-16 or UTF-32");
}

/* What a script sets is gone with it. */
static void test_json_settings(void **state)
{
    (void)state;
    expect("cjson.encode_invalid_numbers('null') cjson.encode_sparse_array(true)"
           " return cjson.encode({1/0, {[1]=1, [100]=2}})",
           "[null,{\"1\":1,\"100\":2}]");
    expect_error("cjson.encode(1/0)", "Cannot serialise number: must not be NaN or Inf");
    expect(
        "local c = cjson.new() c.decode_max_depth(2) return select(2, pcall(c.decode, '[[[1]]]'))"
        " .. #cjson.decode('[[[1]]]')",
        "Found too many nested data structures (3) at character 31");
    expect("cjson.decode_max_depth(1000000) cjson.encode_max_depth(1000000)"
           " local ok, text = pcall(cjson.decode, string.rep('[', 100000)) local t = {}"
           " for i = 1, 100000 do t = {t} end local also = pcall(cjson.encode, t)"
           " return tostring(ok) .. tostring(also) .. text:sub(1, 38)",
           "falsefalseFound too many nested data structures ");
}

static void test_message_pack(void **state)
{
    (void)state;
    expect("return (cmsgpack.pack(1, -1, 128, 'a', true, {1, {2}}, {b=1}, 1.5)"
           ":gsub('.', function(c) return ('%02x'):format(c:byte()) end))",
           "01ffcc80a161c392019102"
           "81a16201ca3fc00000");
    expect("return cjson.encode({cmsgpack.unpack(cmsgpack.pack({1, 'x', {}}, 2^40, -2^40, 0.1))})",
           "[[1,\"x\",{}],1099511627776,-1099511627776,0.1]");
    expect("return cjson.encode({cmsgpack.unpack_one('\\1\\2\\3', 1)})", "[2,2]");
    expect("return cjson.encode({cmsgpack.unpack_limit('\\1\\2\\3', 2, 1)})", "[-1,2,3]");
    expect_error("cmsgpack.unpack('\\145')", "Missing bytes in input.");
    expect_error("cmsgpack.unpack('\\223\\255\\255\\255\\255')", "Missing bytes in input.");
    expect_error("cmsgpack.unpack('\\193')", "Bad data format in input.");
    expect_error("cmsgpack.unpack_one('x', 2)", "Start offset 2 greater than input length 1.");
    expect_error("cmsgpack.pack()", "bad argument #0 to 'pack' (MessagePack pack needs input.)");
    expect_error("cmsgpack.pack({[{}]=1})", "keys that are a table have no order");
    expect("local t = {} t[1] = t return tostring(#cmsgpack.pack(t))", "17");
    expect("return tostring((pcall(cmsgpack.unpack, string.rep('\\145', 100000))))", "false");
}

static void test_structs(void **state)
{
    (void)state;
    expect("return (struct.pack('>hBi3s', -2, 255, 1, 'ab')"
           ":gsub('.', function(c) return ('%02x'):format(c:byte()) end):gsub('%z', '00'))",
           "fffeff000001616200");
    expect("return cjson.encode({struct.unpack('<!4 b i c0 s d', struct.pack('<!4 b i c0 s d',"
           " -1, 2, 'ab', 'cd', 0.5))})",
           "[-1,\"ab\",\"cd\",0.5,25]");
    expect("return tostring(struct.size('!8 b d h'))", "18");
    expect_error("struct.unpack('i', 'abc')",
                 "bad argument #2 to 'unpack' (data string too short)");
    expect_error("struct.unpack('hh', 'abc')",
                 "bad argument #2 to 'unpack' (data string too short)");
    expect_error("struct.unpack('s', 'abc')", "unfinished string in data");
    expect_error("struct.unpack('c0', 'abc')", "format 'c0' needs a previous size");
    expect_error("struct.unpack('bc0', '\\255abc')",
                 "bad argument #2 to 'unpack' (data string too short)");
    expect_error("struct.pack('i33', 1)", "integral size 33 is larger than limit of 32");
    expect_error("struct.pack('i99999999999', 1)", "integral size overflow");
    expect_error("struct.pack('z')", "bad argument #1 to 'pack' (invalid format option 'z')");
    expect_error("struct.pack('ii', 1)", "bad argument #3 to 'pack' (number expected, got nil)");
    expect_error("struct.size('s')", "bad argument #1 to 'size' (option 's' has no fixed size)");
}

static void test_bit(void **state)
{
    (void)state;
    expect("return bit.tohex(bit.bxor(0xf0f0, bit.lshift(1, 31)))", "8000f0f0");
    expect("return bit.tohex(0xabcd, -2) .. bit.tohex(0xab, -2^31)", "CD000000AB");
    expect_error("bit.band('x')", "bad argument #1 to 'band' (number expected, got string)");
}

/* Bounded in memory and work, and the next script finds all as it was. */
static void test_bounds(void **state)
{
    (void)state;
    expect_prefix(script,
                  "local t = {} for i = 1, 1000 do t[i] = string.rep('x', 40000) end"
                  " return #cjson.encode({t, t, t})",
                  "-ERR Script ended: it needs more than 64 MB of memory");
    expect_prefix(script,
                  "local t = {} for i = 1, 1000 do t[i] = i end while true do cjson.encode(t) end",
                  "-ERR Script ended: it took more than");
    expect("return cjson.encode({1})", "[1]");
}

static void append_literal(struct buffer *out, const unsigned char *bytes, size_t size)
{
    buffer_append_byte(out, '\'');
    for (size_t i = 0; i < size; i++)
        buffer_printf(out, "\\%03d", bytes[i]);
    buffer_append_byte(out, '\'');
}

/* Text of the alphabet, some bytes of which are any. */
static void append_random(struct buffer *out, const char *alphabet, size_t length, uint64_t *dice)
{
    unsigned char bytes[40];
    size_t size = prng_below(dice, sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = prng_below(dice, 12) ? (unsigned char)alphabet[prng_below(dice, length)]
                                        : (unsigned char)prng_next(dice);
    append_literal(out, bytes, size);
}

/* Each error clears the shadow of the whole stack there. */
#ifdef __SANITIZE_ADDRESS__
enum { HOSTILE_SCRIPTS = 600 };
#else
enum { HOSTILE_SCRIPTS = 3000 };
#endif

/* Whatever is given, it is taken or refused; what decodes and encodes again is the same twice. */
static void test_hostile(void **state)
{
    static const char json[] = "[]{},:\"\\u0d8tfn1.e- ", pack[] =
                                                             "\x81\x91\xa1\xc0\xc3\xca\xcf\xd2\xda"
                                                             "\xdc\xde\xdf\0\x01\x02";
    static const char form[] = "bBhHlLTiIcsfdx><!01234 ";
    uint64_t dice = 7;
    (void)state;
    for (unsigned i = 0; i < HOSTILE_SCRIPTS; i++) {
        struct buffer body = {0};
        buffer_printf(&body, "local ok, v = pcall(cjson.decode, ");
        append_random(&body, json, sizeof json - 1, &dice);
        buffer_printf(&body, ") if ok then local text = cjson.encode(v) assert(text == "
                             "cjson.encode(cjson.decode(text))) end pcall(cmsgpack.unpack, ");
        append_random(&body, pack, sizeof pack - 1, &dice);
        buffer_printf(&body, ") pcall(struct.unpack, ");
        append_random(&body, form, sizeof form - 1, &dice);
        buffer_append_byte(&body, ',');
        append_random(&body, pack, sizeof pack - 1, &dice);
        buffer_printf(&body, ") pcall(struct.pack, ");
        append_random(&body, form, sizeof form - 1, &dice);
        buffer_printf(&body, ", 1, 'x', -2^63, 2^64, 0/0, 3, 4) return 'fine'");
        buffer_append_byte(&body, '\0');
        expect(body.data, "fine");
        buffer_deinit(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_encode),   cmocka_unit_test(test_json_decode),
        cmocka_unit_test(test_json_settings), cmocka_unit_test(test_message_pack),
        cmocka_unit_test(test_structs),       cmocka_unit_test(test_bit),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
