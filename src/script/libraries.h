/* The libraries that Redis gives to scripts beside Lua's own: cjson, cmsgpack, struct, bit. */
#ifndef SCRIPT_LIBRARIES_H
#define SCRIPT_LIBRARIES_H

struct lua_State;

/* Each as a global table; the sandbox protects them. */
void script_open_libraries(struct lua_State *lua);

#endif
