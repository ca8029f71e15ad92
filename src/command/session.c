/* The state of one client connection.  Loop thread only. */
#include "command/session.h"

#include "base/memory.h"

void session_init(struct session *session)
{
    *session = (struct session){.protocol = 2, .fd = -1};
}

static void forget_names(struct session *session)
{
    memory_free(session->name);
    memory_free(session->lib_name);
    memory_free(session->lib_version);
    session->name = NULL;
    session->lib_name = NULL;
    session->lib_version = NULL;
}

void session_deinit(struct session *session)
{
    forget_names(session);
    buffer_deinit(&session->out);
}

/* As Redis's clientReset (7.2 networking.c): the library's name and version stay. */
void session_reset(struct session *session, bool needs_password)
{
    session->protocol = 2;
    session->authenticated = !needs_password;
    session->no_evict = false;
    session->no_touch = false;
    session->reply_mode = SESSION_REPLY_ON;
    memory_free(session->name);
    session->name = NULL;
}
