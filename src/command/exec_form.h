/* EXEC as it travels and stands in the log: a command of these words.
 *
 *     raft.exec   watches   element ...
 *
 *     watches     for each key: u8 database, u64 version, u32 size, bytes
 *     element     u8 kind, u8 database, then
 *                   EXEC_COMMAND: an encoded command (encode.c)
 *                   EXEC_REPLY:   the reply, as it is, of what needs no data (PING) or was wrong in
 *                                 its words
 *
 * little endian.  Another node's client made it, so it is not trusted to be well formed. */
#ifndef COMMAND_EXEC_FORM_H
#define COMMAND_EXEC_FORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define POSITION_NAME "raft.position" /* for SUBSCRIBE: see messages.c */
#define WAIT_NAME "raft.wait"         /* for WAIT and WAITAOF: see wait.c */
#define WAITAOF_NAME "raft.waitaof"
#define EXEC_NAME "raft.exec"

enum exec_kind { EXEC_COMMAND, EXEC_REPLY };

enum {
    EXEC_HEAD_SIZE = 2,    /* of an element */
    EXEC_WATCH_SIZE = 13,  /* of a watched key, without its bytes */
    EXEC_WORDS_BEFORE = 2, /* the elements */
    EXEC_COUNT_MAX = 1 << 20
};

/* Of a key that is not there. */
static const uint64_t exec_version_absent = UINT64_MAX;

#endif
