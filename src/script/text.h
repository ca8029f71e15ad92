/* A text that grows inside of the Lua state, where its memory is counted and goes with the state
 * however the script ends. */
#ifndef SCRIPT_TEXT_H
#define SCRIPT_TEXT_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct script_text {
    lua_State *lua;
    int place;  /* on the stack: what keeps its memory alive */
    char *data; /* in the state */
    size_t size, capacity;
};

/* Takes a place on the stack. */
void script_text_init(struct script_text *text, lua_State *lua);
/* Room for `size` more bytes, to be written at data + size. */
void script_text_reserve(struct script_text *text, size_t size);
/* Puts it on the stack as a string. */
void script_text_push(const struct script_text *text);

static inline void script_text_add(struct script_text *text, const void *bytes, size_t size)
{
    if (size > text->capacity - text->size)
        script_text_reserve(text, size);
    if (size > 0)
        memcpy(text->data + text->size, bytes, size);
    text->size += size;
}

static inline void script_text_add_byte(struct script_text *text, char byte)
{
    script_text_add(text, &byte, 1);
}

/* Of a number: the lowest `size` bytes (at most 8), the highest first. */
static inline void script_text_add_big(struct script_text *text, uint64_t number, size_t size)
{
    for (size_t i = size; i-- > 0;)
        script_text_add_byte(text, (char)(number >> (8 * i)));
}

#endif
