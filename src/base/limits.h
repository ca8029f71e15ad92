/* Bounds that depend on each other, in one place, with what has to hold between them. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* ---- strangers on the peer port (net/inbound.c) ------------------------------------- */

enum {
    SILENT_MAX = 64,        /* who did not say a proper hello yet, */
    SILENT_SHARE_MAX = 48,  /* and of them, from one address */
    GREETED_MAX = 32,       /* whose proof is awaited, */
    GREETED_SHARE_MAX = 24, /* and of them, from one address */
    ACCEPTS_MAX = 16        /* accepted in one turn of the loop, on one socket */
};
_Static_assert(SILENT_SHARE_MAX < SILENT_MAX && GREETED_SHARE_MAX < GREETED_MAX,
               "one address leaves places for others");
_Static_assert(2 * ACCEPTS_MAX <= SILENT_SHARE_MAX,
               "whom one turn accepts may speak before the next turns push him out");

/* ---- a start that has to wait (server/node.c) ---------------------------------------- */

enum {
    BIND_WAIT_MS = 1000,     /* before an address that is not there yet is tried again, */
    BIND_PATIENCE_MS = 60000 /* and after so long a supervisor may start the process again */
};

/* ---- file descriptors (server/descriptors.c) ---------------------------------------- */

enum {
    DESCRIPTORS_OWN = 32,     /* streams, log, trace, epoll, eventfds, resolver, libraries */
    DESCRIPTORS_PER_PEER = 6, /* three channels each way */
    DESCRIPTORS_STORE = 64,   /* of RocksDB beside tables: logs, what is written, pinned tables */
    DESCRIPTORS_TABLES_MIN = 64,
    DESCRIPTORS_TABLES_WANTED = 8192, /* 64 MB each */
    DESCRIPTORS_CLIENTS_MIN = 16
};
_Static_assert(DESCRIPTORS_TABLES_MIN <= DESCRIPTORS_TABLES_WANTED, "tables");

#endif
