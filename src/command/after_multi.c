/* Until there are transactions: what follows a refused MULTI is refused, too.
 *
 * A client that sends MULTI, its commands and EXEC in one go reads the error of MULTI only when it
 * has sent the rest; executed one by one, that would count although the client got an error, and
 * count again when it tries once more.  To be deleted, with connection.after_multi, when
 * transactions are there.  Loop thread only. */
#include "command/commands.h"
#include "command/connection.h"

bool command_refuse_after_multi(struct connection *connection, struct reply *reply,
                                const struct bytes *argv, uint32_t argc)
{
    if (!connection->after_multi) {
        if (argc != 1 || !bytes_is(argv[0], "multi") || !connection->authenticated)
            return false;
        connection->after_multi = true;
        reply_error(reply, "ERR MULTI is not supported yet: what follows is refused up to EXEC");
        return true;
    }
    if (bytes_is(argv[0], "reset") || bytes_is(argv[0], "quit"))
        return false;
    if (bytes_is(argv[0], "exec")) {
        connection->after_multi = false;
        reply_error(reply, "EXECABORT Transaction discarded because of previous errors.");
    } else if (bytes_is(argv[0], "discard")) {
        connection->after_multi = false;
        reply_simple(reply, "OK");
    } else {
        reply_error(reply, "ERR not executed: MULTI before it was refused");
    }
    return true;
}
