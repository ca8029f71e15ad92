/* See redact.h.  Loop thread only. */
#include "command/redact.h"

#include "command/commands.h"

static bool is_secret_directive(struct bytes name)
{
    static const char *const names[] = {"requirepass",       "masterauth",
                                        "masteruser",        "peer-secret",
                                        "tls-key-file-pass", "tls-client-key-file-pass"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (bytes_is(name, names[i]))
            return true;
    return false;
}

/* HELLO protocol [SETNAME name] [AUTH user password]: both words behind AUTH. */
static bool is_behind_auth(const struct bytes *argv, uint32_t place)
{
    for (uint32_t i = 2; i < place; i++) {
        if (bytes_is(argv[i], "auth") && place <= i + 2)
            return true;
        if (bytes_is(argv[i], "auth"))
            i += 2;
        else if (bytes_is(argv[i], "setname"))
            i++;
    }
    return false;
}

static bool is_secret(const struct command *command, const struct bytes *argv, uint32_t place)
{
    if (command->execute == cmd_auth)
        return place > 0;
    if (command->execute == cmd_hello)
        return is_behind_auth(argv, place);
    if (command->execute == cmd_config_set)
        return place >= 3 && place % 2 == 1 && is_secret_directive(argv[place - 1]);
    return false;
}

struct bytes command_shown_word(const struct command *command, const struct bytes *argv,
                                uint32_t place)
{
    return is_secret(command, argv, place) ? bytes_from_string("(redacted)") : argv[place];
}
