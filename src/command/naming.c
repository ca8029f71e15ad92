/* See naming.h.  Deterministic. */
#include "command/naming.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/codec.h"
#include "command/commands.h"
#include "resp/number.h"

enum { ROW_SIZE = 16 };

static struct bytes row_name(void)
{
    return bytes_of("n", 1);
}

uint64_t command_cluster_name(struct db *db, uint64_t cluster)
{
    struct bytes row;
    struct bytes name = row_name();
    if (!db_row_get(db, NULL, DB_SPACE_SERVER, db_row_word(db, name), name, &row))
        return 0;
    const unsigned char *at = row.data;
    return row.size == ROW_SIZE && get_u64(at) == cluster ? get_u64(at + 8) : 0;
}

struct blob *command_name_cluster(uint64_t cluster, uint64_t name)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%" PRIu64, cluster);
    snprintf(texts[1], sizeof texts[1], "%" PRIu64, name);
    const struct bytes words[] = {bytes_from_string(NAME_NAME), bytes_from_string(texts[0]),
                                  bytes_from_string(texts[1])};
    return command_encode(words, sizeof words / sizeof words[0]);
}

static bool read_words(const struct call *call, uint64_t *cluster, uint64_t *name)
{
    return number_parse_u64(call->argv[1], cluster) && number_parse_u64(call->argv[2], name) &&
           *name != 0;
}

bool words_name(struct call *call)
{
    uint64_t cluster, name;
    return read_words(call, &cluster, &name) ||
           call_refuse(call, "ERR a cluster's id and its name are numbers");
}

void cmd_name(struct call *call)
{
    unsigned char row[ROW_SIZE];
    uint64_t cluster, name;
    struct bytes key = row_name();
    if (!read_words(call, &cluster, &name)) {
        (void)words_name(call);
        return;
    }
    if (command_cluster_name(call->db, cluster) == 0) {
        put_u64(row, cluster);
        put_u64(row + 8, name);
        db_row_put(call->db, DB_SPACE_SERVER, db_row_word(call->db, key), key,
                   bytes_of(row, sizeof row));
    }
    call_reply_ok(call->reply);
}
