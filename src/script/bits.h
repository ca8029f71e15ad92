/* Operations on 32 bits for scripts: the table `bit`, with the semantics of LuaBitOp. */
#ifndef SCRIPT_BITS_H
#define SCRIPT_BITS_H

#include <lua.h>

/* Puts the table `bit` on the stack. */
void script_bits_new(lua_State *lua);

#endif
