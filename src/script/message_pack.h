/* MessagePack for scripts: cmsgpack as Redis has it. */
#ifndef SCRIPT_MESSAGE_PACK_H
#define SCRIPT_MESSAGE_PACK_H

#include <lua.h>

/* Puts the table `cmsgpack` on the stack. */
void script_message_pack_new(lua_State *lua);

#endif
