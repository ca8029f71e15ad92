/* See deadlines.h.
 *
 * A sample may read the disk, and who polls INFO must not hold up the others: so there is one a
 * second and database, and the clock is looked at after each. */
#include "server/deadlines.h"

enum { SAMPLE_KEYS = 1000, SAMPLE_EVERY_MS = 1000, SAMPLE_NS = 2000000 };

/* Of nothing but deleted keys, or such whose time has come, nothing follows. */
static void sample(struct server_deadlines_seen *seen, struct db *db, unsigned database)
{
    struct db_sample sample;
    struct server_deadlines *found = &seen->found[database];
    uint64_t place = ++seen->samples * UINT64_C(0x9e3779b97f4a7c15);
    db_sample(db, database, place, SAMPLE_KEYS, db_time_ms(db), &sample);
    if (sample.keys == 0 && !sample.is_all)
        return;
    *found = (struct server_deadlines){.keys = sample.timed};
    if (sample.timed == 0)
        return;
    if (!sample.is_all)
        found->keys = db_size(db, database) * sample.timed / sample.keys;
    found->avg_ttl_ms = (uint64_t)(sample.left_ms / (double)sample.timed);
}

/* Where there was nothing the first keys are not kept waiting. */
static void look(struct server_deadlines_seen *seen, struct db *db, unsigned database,
                 int64_t now_ms)
{
    int64_t *looked_ms = &seen->looked_ms[database];
    if (db_size(db, database) == 0) {
        seen->found[database] = (struct server_deadlines){0};
        *looked_ms = 0;
    } else if (*looked_ms == 0 || now_ms - *looked_ms >= SAMPLE_EVERY_MS) {
        sample(seen, db, database);
        *looked_ms = now_ms;
    }
}

void server_deadlines_look(struct server_deadlines_seen *seen, struct db *db,
                           int64_t (*clock_ns)(void))
{
    int64_t begin_ns = clock_ns();
    unsigned left = DB_DATABASES;
    do {
        look(seen, db, seen->next, begin_ns / 1000000);
        seen->next = (seen->next + 1) % DB_DATABASES;
    } while (--left > 0 && clock_ns() - begin_ns < SAMPLE_NS);
}

void server_deadlines_describe(const struct server_deadlines_seen *seen, const struct db *db,
                               struct server_deadlines deadlines[DB_DATABASES])
{
    for (unsigned i = 0; i < DB_DATABASES; i++) {
        uint64_t keys = db_size(db, i);
        deadlines[i] = seen->found[i];
        if (deadlines[i].keys > keys)
            deadlines[i].keys = keys;
    }
}
