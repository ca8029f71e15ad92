/* JSON for scripts: cjson as Redis has it (its functions, settings, errors), of which nothing is
 * kept outside of the Lua state, so a script's settings end with it. */
#ifndef SCRIPT_JSON_H
#define SCRIPT_JSON_H

#include <lua.h>

/* Of one instance; a userdata, and the upvalue of its functions. */
struct script_json {
    int sparse_convert, sparse_ratio, sparse_safe;
    int encode_depth_max, decode_depth_max;
    int precision;
    int keep_buffer; /* there is no such buffer */
    int encode_invalid, decode_invalid;
};

enum { JSON_REFUSE, JSON_ALLOW, JSON_NULL }; /* numbers that JSON has not */

int script_json_encode(lua_State *lua);
int script_json_decode(lua_State *lua);
/* Puts the table `cjson` on the stack. */
int script_json_new(lua_State *lua);

#endif
