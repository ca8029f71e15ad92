/* The libraries that Redis gives to scripts beside Lua's own; the sandbox protects them.  All are
 * written here: the distribution's cjson keeps a buffer from one call to the next, outside of the
 * state, and knows no bound of ours; its `bit` has a fault; and it has no cmsgpack and struct. */
#include "script/bits.h"
#include "script/json.h"
#include "script/machine.h"
#include "script/message_pack.h"
#include "script/structs.h"

void script_open_libraries(lua_State *lua)
{
    script_json_new(lua);
    lua_setglobal(lua, "cjson");
    script_message_pack_new(lua);
    lua_setglobal(lua, "cmsgpack");
    script_structs_new(lua);
    lua_setglobal(lua, "struct");
    script_bits_new(lua);
    lua_setglobal(lua, "bit");
}
