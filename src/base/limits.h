/* Every bound that another one depends on, in one place, with what has to hold between them:
 * whoever changes one is told at compile time what it breaks.  What a format lays down stands
 * beside its codec, what concerns a single file in that file, and what a user sets in config.c. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stddef.h>

/* ---- the core (raft/) ------------------------------------------------------------- */

enum {
    RAFT_MEMBERS_MAX = 9,
    RAFT_INFLIGHT_MAX = 64,
    RAFT_WRITES_MAX = 1024,  /* disk writes under way */
    RAFT_WITHHELD_MAX = 256, /* messages waiting for the disk */
    RAFT_READS_MAX = 1024,   /* reads waiting for confirmation */
    /* Payload that a disk or a line moves within an election timeout, at the least: for so much
     * longer is silence no sign of a loss. */
    RAFT_BYTES_AN_ELECTION = 4 << 20,
    /* From one voter to the next that stands where the leader is gone, in ticks: by then an
     * election is over, which takes three syncs. */
    RAFT_TURN_TICKS = 5,
    /* The most one step can send: every peer a full window, a heartbeat, and the withheld. */
    RAFT_MESSAGES_MAX = RAFT_MEMBERS_MAX * (RAFT_INFLIGHT_MAX + 4) + RAFT_WITHHELD_MAX
};

/* What a node asks of it (server/node.c); nobody needed to change that yet. */
enum {
    APPEND_INFLIGHT_MAX = 32,             /* append requests under way to a follower */
    APPEND_INFLIGHT_BYTES_MAX = 64 << 20, /* payload in all of those; always at least one */
    APPEND_ENTRIES_MAX = 1024,            /* in one of them */
    APPEND_BYTES_MAX = 1 << 20,           /* the same; always at least one entry */
    UNCOMMITTED_BYTES_MAX = 256 << 20,    /* then clients wait */
    ENTRY_CACHE_BYTES = 64 << 20,         /* payloads of recent entries in memory, */
    ENTRY_CACHE_CALM_BYTES = 4 << 20      /* and when nobody is behind */
};
_Static_assert((int)APPEND_INFLIGHT_MAX <= (int)RAFT_INFLIGHT_MAX,
               "the core keeps track of all of them");
_Static_assert((long long)APPEND_INFLIGHT_MAX *APPEND_BYTES_MAX <= ENTRY_CACHE_BYTES,
               "what is under way to a follower can be sent again from memory");

/* ---- values and commands (command/) ------------------------------------------------ */

enum {
    VALUE_SIZE_MAX =
        512 * 1024 * 1024,    /* largest string in the state machine, whatever an entry says */
    REPLY_SIZE_MAX = 1 << 30, /* larger ones are not passed on between nodes: nobody gets them */
    COMMAND_ENCODED_MAX = 1 << 30, /* a larger one is refused by command_classify(), */
    /* and one of more words: they are taken apart at once, on every node, 60 ns each. */
    COMMAND_WORDS_MAX = 4 << 20,
    LOCAL_WORDS_MAX = 2048,   /* of COMMAND INFO, CONFIG GET and the like: 5 us each */
    KEYS_WORDS_MAX = 1 << 16, /* of COMMAND GETKEYS: 0.1 us each */
    DIVIDED_WORDS_MAX = 1000  /* of a SUBSCRIBE, in one turn: 1 us each */
};
_Static_assert((int)VALUE_SIZE_MAX < (int)COMMAND_ENCODED_MAX, "a value fits into its command");
_Static_assert((int)VALUE_SIZE_MAX < (int)REPLY_SIZE_MAX, "and into its reply");

/* ---- the replica (replica/) --------------------------------------------------------- */

enum {
    REPLICA_ENTRIES_MAX = 1024,     /* in one append or proposal */
    WAITING_MAX = 100000,           /* requests that are not under way yet; then BUSY */
    WAITING_BYTES_MAX = 256 << 20,  /* the same */
    PROPOSE_BYTES_MAX = 8 << 20,    /* in one turn, about: each is copied */
    ENTRY_MADE_BYTES_MAX = 4 << 20, /* the same of larger ones, before they are proposed */
    FORWARDED_BYTES_MAX = 64 << 20, /* with the leader at a time, about */
    FORWARDED_COUNT_MAX = 64 * 1024,
    /* How much is applied before the event loop gets its turn again. */
    APPLY_ENTRIES_MAX = 4096,
    APPLY_BYTES_MAX = 8 << 20,
    TURN_WORK_MAX = 8 << 20,    /* the same of applying and reading: state_machine_ops.work */
    REPLAY_ENTRIES_MAX = 256,   /* read back at a time, to be applied */
    REPLAY_BYTES_MAX = 4 << 20, /* the same; always at least one entry */
    SERVE_BYTES_MAX = 4 << 20,  /* of replies to reads */
    /* Of replies to reads before writes, which cannot wait, to a node that has no room for them. */
    OWED_BYTES_MAX = 64 << 20,
    /* Requests that wait for a key, at a leader; more are refused. */
    PARKED_MAX = 200000,
    PARKED_BYTES_MAX = 256 << 20, /* of their commands */
    PARKED_PLACES_MAX = 1 << 20,  /* with each key counted */
    WAIT_KEYS_MAX = 1024,         /* keys of one of them: looked at one by one in a turn */
    PARKING_LOOKS_MAX = 1024,     /* keys that are looked at in a turn */
    /* A snapshot on its way to a member: chunks that it has not staged yet, */
    SENDING_CHUNKS_MAX = 8,
    SENDING_BYTES_MAX = 4 << 20, /* and their bytes; always one */
    /* So many times the bounds of the log are kept of it for a member that is sent a state. */
    SENDING_LOG_FACTOR = 8
};
_Static_assert((int)APPEND_ENTRIES_MAX <= (int)REPLICA_ENTRIES_MAX,
               "the replica fills in what the core sends");
_Static_assert((int)REPLAY_ENTRIES_MAX <= (int)APPLY_ENTRIES_MAX,
               "one look into the log is no more than a turn");
_Static_assert((int)REPLAY_BYTES_MAX <= (int)APPLY_BYTES_MAX,
               "nor has it more bytes than are applied in one");
_Static_assert((int)PROPOSE_BYTES_MAX <= (int)UNCOMMITTED_BYTES_MAX / 2,
               "a turn's proposal is taken while another is under way");
_Static_assert((int)REPLICA_ENTRIES_MAX <= (int)APPLY_ENTRIES_MAX,
               "what is proposed together is applied together");
_Static_assert((int)FORWARDED_BYTES_MAX < (int)WAITING_BYTES_MAX &&
                   (int)FORWARDED_COUNT_MAX < (int)WAITING_MAX,
               "one follower's forwards do not make a leader BUSY");
_Static_assert((int)SERVE_BYTES_MAX <= (int)TURN_WORK_MAX, "replies are made within a turn");
_Static_assert((int)SERVE_BYTES_MAX <= (int)OWED_BYTES_MAX,
               "what a turn serves may be owed to a node");

/* ---- the keyspace (data/) ------------------------------------------------------------ */

enum {
    LAYERS_MAX = 8,                  /* in memory, behind the one that is written */
    LAYERS_FETCH_WORK = 8192,        /* a look into the kv costs as much as copying so many bytes */
    LAYERS_ROW_WORK = 512,           /* and so does a row that is put into millions, or deleted */
    LAYERS_HEAD_MAX = 4096,          /* read of a record whose payload is not asked for */
    LAYERS_SCRATCH_MAX = 1 << 20,    /* a larger buffer is given back at the next use */
    CONVERT_BYTES_MAX = 64 << 20,    /* of keys in an earlier format, sorted at once in memory */
    SAVEPOINT_BYTES_MAX = 256 << 20, /* of changes that can be undone, in one entry */
    SAVEPOINT_NAME_COST = 128,       /* of a name that is changed, beside its bytes */
    SAVEPOINT_STEPS = 4096           /* undone, or made lasting, at a time */
};
_Static_assert((int)SAVEPOINT_BYTES_MAX < (int)COMMAND_ENCODED_MAX,
               "their effects are no more than an entry may have (data/effects.c)");
_Static_assert(LAYERS_MAX >= 4, "one is stored, one goes to the checkpoint, views hold others");
_Static_assert(LAYERS_MAX + 2 <= 32, "with active and the kv they are bits of a merge's set");
_Static_assert(LAYERS_FETCH_WORK * 1024 <= TURN_WORK_MAX, "a turn has at least so many looks");
_Static_assert(LAYERS_HEAD_MAX <= LAYERS_FETCH_WORK, "a head costs no more than the look itself");
_Static_assert((int)LAYERS_SCRATCH_MAX < (int)APPLY_BYTES_MAX,
               "a value that is kept at hand is one that a turn may fetch");
_Static_assert((long long)VALUE_SIZE_MAX + LAYERS_HEAD_MAX < 0xffffffffLL,
               "a value with its header has a size in 32 bits (data/overlay.h)");

/* ---- scripts (script/) ----------------------------------------------------------------- */

/* Equal on all nodes, and part of the format: what a script may do decides what its entry does. */
enum {
    SCRIPT_MEMORY_MAX = 64 << 20,  /* of all that a script has at a time */
    SCRIPT_ARENA_SIZE = 256 << 20, /* of addresses: blocks of one size do not serve for another */
    SCRIPT_REPLY_MAX = 256 << 20,  /* about */
    SCRIPT_BODY_MAX = 4 << 20,
    SCRIPT_LOAD_INSTRUCTIONS = 1000000,  /* of the code of a library, which registers functions */
    SCRIPT_INSTRUCTIONS_MAX = 200000000, /* some two seconds */
    SCRIPT_SLICE_INSTRUCTIONS = 250000   /* some ms; the one that may differ */
};
_Static_assert(SCRIPT_MEMORY_MAX * 2 <= SCRIPT_ARENA_SIZE, "there is room for some waste");
_Static_assert((long long)SCRIPT_REPLY_MAX + SCRIPT_MEMORY_MAX < REPLY_SIZE_MAX,
               "a reply is passed on, with one more value");
_Static_assert(SCRIPT_SLICE_INSTRUCTIONS * 100 <= SCRIPT_INSTRUCTIONS_MAX, "a part of the whole");

/* ---- the log (storage/) ------------------------------------------------------------- */

enum {
    CHUNK_BYTES_MAX = 8 << 20, /* a chunk is cut in two above this; a bigger entry stands alone */
    KEEP_BYTES_MAX = 16 << 20  /* buffers that grew above this are given back */
};
_Static_assert((int)CHUNK_BYTES_MAX < (int)KEEP_BYTES_MAX,
               "the buffer of an ordinary chunk is kept");

/* ---- between nodes (net/) ------------------------------------------------------------ */

/* Hard limits of the protocol, equal on every node whatever its configuration says: a leader must
 * never have an entry that a follower refuses to read. */
#define WIRE_PAYLOAD_MAX (((size_t)1 << 30) + 4096) /* a command with its stamp, a reply */
enum { WIRE_ENTRIES_MAX = 16384 };                  /* entries of one append message */
_Static_assert(WIRE_PAYLOAD_MAX > COMMAND_ENCODED_MAX, "every command can be sent, with its stamp");
_Static_assert(WIRE_PAYLOAD_MAX >= REPLY_SIZE_MAX, "every reply can be passed on");
_Static_assert((int)APPEND_ENTRIES_MAX <= (int)WIRE_ENTRIES_MAX, "one append is one message");
#ifndef WIRE_PIECE_MAX /* the simulator builds wire.c with smaller ones */
#define WIRE_PIECE_MAX ((size_t)1 << 20)
#define WIRE_FRAME_MAX ((size_t)1 << 20) /* entries of one append message, about */
_Static_assert(APPEND_BYTES_MAX <= WIRE_FRAME_MAX, "one append is one frame");
#endif
#define WIRE_BULK_MAX ((size_t)2 << 20) /* largest argument of a message */
_Static_assert(WIRE_PIECE_MAX < WIRE_BULK_MAX && WIRE_FRAME_MAX < WIRE_BULK_MAX,
               "they fit into one");

/* What may wait for a peer that does not read, each plus one message (peer.c). */
enum {
    QUEUED_CONTROL_MAX = 4 << 20,
    QUEUED_ENTRIES_MAX = 64 << 20,
    QUEUED_COMMANDS_MAX = 64 << 20,
    ENTRIES_AHEAD_MAX = 4 << 20,   /* then no more entries are taken for it */
    REPLIES_AHEAD_MAX = 4 << 20,   /* then no more reads are served for it */
    REPLIES_QUEUED_MAX = 256 << 20 /* then its connection is closed */
};
_Static_assert((long long)APPEND_INFLIGHT_MAX *APPEND_BYTES_MAX < QUEUED_ENTRIES_MAX,
               "a full window finds room: nothing of it is dropped");
_Static_assert((int)ENTRIES_AHEAD_MAX < (int)QUEUED_ENTRIES_MAX,
               "who asks for room first is never dropped");
_Static_assert((int)FORWARDED_BYTES_MAX <= (int)QUEUED_COMMANDS_MAX,
               "what is forwarded finds room");
_Static_assert(REPLIES_AHEAD_MAX + SERVE_BYTES_MAX + OWED_BYTES_MAX < REPLIES_QUEUED_MAX,
               "what a turn serves does not close the connection");

enum {
    PEER_HANDSHAKE_MS = 5000, /* for all of it, dialing included */
    PEER_STALLED_MS = 5000,   /* without a byte taken by the other end */
    BACKOFF_FIRST_MS = 50,    /* before a member is dialed again, */
    BACKOFF_MAX_MS = 1000     /* and in the end */
};
_Static_assert((int)BACKOFF_MAX_MS < (int)PEER_HANDSHAKE_MS,
               "who comes back is dialed before he gives up");

/* Bytes of one call of stream_send(), about: the kernel copies them in our turn of the loop, and
 * takes 4 MB and more of a large value at once. */
enum { STREAM_SEND_MAX = 512 * 1024 };

/* ---- clients (net/client.c, net/pipeline.c) ------------------------------------------ */

enum {
    CLIENT_READ_MIN = 16 * 1024,   /* room for one read() */
    CLIENT_READ_MAX = 1024 * 1024, /* of one turn: a large value must not keep the others waiting */
    CLIENT_ROOM_FACTOR = 3,        /* of what has come of a command, there may be room for more */
    CLIENT_WAITING_IN_MAX = 64 * 1024, /* read behind a command that waits */
    CLIENT_IN_KEEP = 64 * 1024,        /* capacity kept while empty */
    CLIENT_LEAVES_MAX = 8192,          /* subscriptions that one turn ends, 1 us each */
    CLIENT_ENCODE_MAX = 2 << 20,       /* bytes that it encodes: to touch memory first takes time */
    CLIENT_INLINE_MAX = 64 * 1024,     /* Redis's PROTO_INLINE_MAX_SIZE */
    CLIENT_ARGC_MAX = 0x7fffffff,      /* as Redis; client-query-buffer-limit bounds it first */
    CLIENT_UNSENT_MAX = 1024 * 1024    /* of replies: then no more commands are executed */
};
_Static_assert((int)CLIENT_READ_MIN <= (int)CLIENT_READ_MAX, "a read has room");
_Static_assert((int)CLIENT_READ_MIN <= (int)CLIENT_IN_KEEP, "the room for a read is kept");
_Static_assert((int)CLIENT_INLINE_MAX <= (int)CLIENT_READ_MAX,
               "a turn reads a whole inline command");
_Static_assert((int)CLIENT_READ_MAX <= (int)PROPOSE_BYTES_MAX,
               "what a client sends in a turn is proposed in one");

enum {
    PIPELINE_MAX = 1024,            /* requests of one client under way */
    PIPELINE_FIRST = 32,            /* of them, at first */
    PIPELINE_MIXED = 128,           /* reads without a bound among writes */
    PIPELINE_FREE = 16,             /* of them, behind a write, from the start */
    PIPELINE_LARGE = 16 * 1024,     /* a reply of this size makes us careful */
    PIPELINE_REPLIES = 4 * 1048576, /* then so many bytes of replies may come at once, about */
    PIPELINE_KEEP = 128             /* places kept while empty */
};
_Static_assert((int)PIPELINE_FIRST <= (int)PIPELINE_MAX && (int)PIPELINE_MIXED <= (int)PIPELINE_MAX,
               "parts of the whole");
_Static_assert((int)PIPELINE_FREE <= (int)PIPELINE_MIXED, "the free ones count as well");
_Static_assert((int)PIPELINE_MAX < (int)WAITING_MAX / 10, "no client makes the others BUSY");
_Static_assert(PIPELINE_FIRST *PIPELINE_LARGE <= PIPELINE_REPLIES,
               "those allowed at first have a share that is no less than a large reply");
_Static_assert((int)PIPELINE_REPLIES <= (int)SERVE_BYTES_MAX,
               "a turn serves what one client may have at once");

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
