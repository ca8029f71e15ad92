/* See series_build.h.  Deterministic. */
#include "command/series_build.h"

#include "data/packed.h"

/* ---- entries ----------------------------------------------------------------------------- */

static bool put_entry(struct series_build *build, const struct rdb_element *element)
{
    build->id = element->id;
    build->pairs = element->count;
    buffer_clear(&build->fields);
    packed_init(&build->fields, PACKED_STRINGS);
    return true;
}

static bool put_pair(struct series_build *build, const struct rdb_element *element)
{
    packed_append(&build->fields, element->name);
    packed_append(&build->fields, element->value);
    if (--build->pairs == 0)
        series_append(&build->series, build->id, buffer_bytes(&build->fields));
    return true;
}

static bool put_counters(struct series_build *build, const struct rdb_element *element)
{
    build->series.last = element->id;
    build->series.deleted = element->deleted;
    build->series.added = element->count;
    return true;
}

/* ---- groups ------------------------------------------------------------------------------ */

static void end_consumer(struct series_build *build)
{
    if (build->has_consumer)
        series_consumer_save(&build->series, &build->consumer);
    build->has_consumer = false;
}

/* False: something is pending with nobody. */
static bool end_group(struct series_build *build)
{
    end_consumer(build);
    if (!build->has_group)
        return true;
    build->has_group = false;
    series_group_save(&build->series, &build->group);
    return build->owned == build->group.pending.root.count;
}

static bool put_group(struct series_build *build, const struct rdb_element *element)
{
    int64_t read = element->read;
    if (!end_group(build))
        return false;
    if (read == RDB_NOT_SAID)
        read = series_added_up_to(&build->series, element->id);
    build->owned = 0;
    build->has_group =
        series_group_new(&build->series, element->name, element->id, read, &build->group);
    return build->has_group;
}

static bool put_pending(struct series_build *build, const struct rdb_element *element)
{
    struct series_pending pending = {.delivered_ms = element->ms, .deliveries = element->count};
    return series_pending_add(&build->series, &build->group, element->id, &pending);
}

static bool put_consumer(struct series_build *build, const struct rdb_element *element)
{
    struct series_consumer *consumer = &build->consumer;
    end_consumer(build);
    if (series_consumer_find(&build->series, &build->group, element->name, consumer))
        return false;
    series_consumer_new(&build->series, &build->group, element->name, element->ms, consumer);
    consumer->active_ms = element->active_ms;
    build->has_consumer = true;
    return true;
}

static bool put_owned(struct series_build *build, const struct rdb_element *element)
{
    build->owned++;
    return series_pending_own(&build->series, &build->group, &build->consumer, element->id);
}

/* ---- any --------------------------------------------------------------------------------- */

bool series_build_put(struct series_build *build, const struct rdb_element *element)
{
    switch (element->part) {
    case RDB_ENTRY: return put_entry(build, element);
    case RDB_PAIR: return put_pair(build, element);
    case RDB_STREAM: return put_counters(build, element);
    case RDB_GROUP: return put_group(build, element);
    case RDB_PENDING: return put_pending(build, element);
    case RDB_CONSUMER: return put_consumer(build, element);
    case RDB_OWNED: break;
    }
    return put_owned(build, element);
}

bool series_build_end(struct series_build *build)
{
    return end_group(build);
}

void series_build_close(struct series_build *build)
{
    buffer_deinit(&build->fields);
}
