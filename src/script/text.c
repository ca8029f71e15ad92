/* See text.h. */
#include "script/text.h"
#include "script/machine.h"

enum { TEXT_FIRST = 256, BYTES_PER_INSTRUCTION = 16 };

void script_text_init(struct script_text *text, lua_State *lua)
{
    *text = (struct script_text){.lua = lua};
    lua_pushnil(lua);
    text->place = lua_gettop(lua);
    script_text_reserve(text, TEXT_FIRST);
}

void script_text_reserve(struct script_text *text, size_t size)
{
    size_t wanted = text->size + size, capacity = 2 * text->capacity;
    if (wanted <= text->capacity)
        return;
    if (capacity < wanted)
        capacity = wanted;
    luaL_checkstack(text->lua, 1, "no room for a text");
    char *data = lua_newuserdata(text->lua, capacity);
    script_spend(text->lua, capacity / BYTES_PER_INSTRUCTION);
    if (text->size > 0)
        memcpy(data, text->data, text->size);
    lua_replace(text->lua, text->place);
    text->data = data;
    text->capacity = capacity;
}

void script_text_push(const struct script_text *text)
{
    lua_pushlstring(text->lua, text->data, text->size);
}
