/* Packed structures for scripts: the table `struct` as Redis has it. */
#ifndef SCRIPT_STRUCTS_H
#define SCRIPT_STRUCTS_H

#include <lua.h>

/* Puts the table `struct` on the stack. */
void script_structs_new(lua_State *lua);

#endif
