/* See tally.h. */
#include "command/tally.h"

struct row {
    const struct command *command;
    uint64_t calls, failed;
};

static void begin(struct command_observer *observer)
{
    (void)observer;
}

/* Few commands are known to it, and most often it is the last one again. */
static struct row *row_of(struct tally *tally, const struct command *command)
{
    struct row *rows = (struct row *)(void *)tally->rows.data;
    for (size_t i = tally->rows.size / sizeof *rows; i-- > 0;)
        if (rows[i].command == command)
            return &rows[i];
    struct row added = {.command = command};
    buffer_append(&tally->rows, &added, sizeof added);
    return (struct row *)(void *)(tally->rows.data + tally->rows.size - sizeof added);
}

static void end(struct command_observer *observer, const struct call *call, uint64_t *took,
                bool finished, bool failed)
{
    struct tally *tally = (struct tally *)observer;
    (void)took; /* that is not the entry's */
    if (!finished)
        return;
    struct row *row = row_of(tally, call->command);
    row->calls++;
    row->failed += failed;
}

void command_tally_init(struct tally *tally)
{
    *tally = (struct tally){.observer = {.begin = begin, .end = end}};
}

void command_tally_deinit(struct tally *tally)
{
    buffer_deinit(&tally->rows);
}

void command_tally_tell(const struct tally *tally, struct command_observer *observer)
{
    const struct row *rows = (const struct row *)(const void *)tally->rows.data;
    for (size_t i = 0; i < tally->rows.size / sizeof *rows; i++)
        observer->carried(observer, rows[i].command, rows[i].calls, rows[i].failed);
    observer->keyspace_hits += tally->observer.keyspace_hits;
    observer->keyspace_misses += tally->observer.keyspace_misses;
}
