/* See libraries.h. */
#include "script/libraries.h"

void script_open_libraries(struct lua_State *lua)
{
    (void)lua;
}
