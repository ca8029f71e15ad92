/* See long_scripts.h. */
#include "command/long_scripts.h"

#include <xxhash.h>

#include "command/command.h"

enum {
    TRUST = 4,
    IN_VAIN_MAX = 3, /* then its entry runs it, */
    WAITS = 16       /* so many times */
};

bool command_scripts_is(const struct bytes *words, uint32_t known)
{
    const struct command *command = known == LONG_SCRIPT_WORDS ? command_find(words, 1) : NULL;
    return command && command->flags & CMD_SCRIPTING && command->flags & CMD_WRITE &&
           !(command->flags & CMD_CONTAINER);
}

static uint64_t hash_of(struct bytes script)
{
    return XXH3_64bits(script.data, script.size);
}

/* What is noted of it; NULL: nothing. */
static struct long_script *find(struct long_scripts *scripts, struct bytes script)
{
    uint64_t hash = hash_of(script);
    struct long_script *found = &scripts->scripts[hash % LONG_SCRIPTS];
    return found->trust > 0 && found->hash == hash ? found : NULL;
}

bool command_scripts_is_long(const struct long_scripts *scripts, const struct bytes *words,
                             uint32_t known)
{
    if (!command_scripts_is(words, known))
        return false;
    uint64_t hash = hash_of(words[1]);
    const struct long_script *script = &scripts->scripts[hash % LONG_SCRIPTS];
    return script->trust > 0 && script->hash == hash && script->waits == 0;
}

void command_scripts_long(struct long_scripts *scripts, const struct bytes *words, uint32_t known)
{
    if (!command_scripts_is(words, known))
        return;
    struct long_script *script = find(scripts, words[1]);
    if (!script) {
        uint64_t hash = hash_of(words[1]);
        script = &scripts->scripts[hash % LONG_SCRIPTS];
        *script = (struct long_script){.hash = hash};
        scripts->count++;
    }
    script->trust = TRUST;
    if (script->waits > 0)
        script->waits--;
}

void command_scripts_short(struct long_scripts *scripts, const struct bytes *words, uint32_t known)
{
    struct long_script *script = command_scripts_is(words, known) ? find(scripts, words[1]) : NULL;
    if (script)
        script->trust--;
}

void command_scripts_of_use(struct long_scripts *scripts, const struct bytes *words, uint32_t known)
{
    struct long_script *script = command_scripts_is(words, known) ? find(scripts, words[1]) : NULL;
    if (script)
        script->in_vain = script->waits = 0;
}

/* After having waited it is tried once. */
void command_scripts_in_vain(struct long_scripts *scripts, const struct bytes *words,
                             uint32_t known)
{
    struct long_script *script = command_scripts_is(words, known) ? find(scripts, words[1]) : NULL;
    if (!script || ++script->in_vain < IN_VAIN_MAX)
        return;
    script->in_vain = IN_VAIN_MAX - 1;
    script->waits = WAITS;
}
