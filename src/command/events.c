/* See events.h.  Names in the order of their bytes. */
#include "command/events.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned class;
} events[] = {
    {"append", EVENTS_STRING},
    {"copy_to", EVENTS_GENERIC},
    {"del", EVENTS_GENERIC},
    {"expire", EVENTS_GENERIC},
    {"expired", EVENTS_EXPIRED},
    {"georadiusstore", EVENTS_ZSET},
    {"geosearchstore", EVENTS_ZSET},
    {"hdel", EVENTS_HASH},
    {"hexpire", EVENTS_HASH},
    {"hexpired", EVENTS_HASH},
    {"hincrby", EVENTS_HASH},
    {"hincrbyfloat", EVENTS_HASH},
    {"hpersist", EVENTS_HASH},
    {"hset", EVENTS_HASH},
    {"incrby", EVENTS_STRING},
    {"incrbyfloat", EVENTS_STRING},
    {"linsert", EVENTS_LIST},
    {"lpop", EVENTS_LIST},
    {"lpush", EVENTS_LIST},
    {"lrem", EVENTS_LIST},
    {"lset", EVENTS_LIST},
    {"ltrim", EVENTS_LIST},
    {"move_from", EVENTS_GENERIC},
    {"move_to", EVENTS_GENERIC},
    {"persist", EVENTS_GENERIC},
    {"pfadd", EVENTS_STRING},
    {"rename_from", EVENTS_GENERIC},
    {"rename_to", EVENTS_GENERIC},
    {"restore", EVENTS_GENERIC},
    {"rpop", EVENTS_LIST},
    {"rpush", EVENTS_LIST},
    {"sadd", EVENTS_SET},
    {"sdiffstore", EVENTS_SET},
    {"set", EVENTS_STRING},
    {"setbit", EVENTS_STRING},
    {"setrange", EVENTS_STRING},
    {"sinterstore", EVENTS_SET},
    {"sortstore", EVENTS_LIST},
    {"spop", EVENTS_SET},
    {"srem", EVENTS_SET},
    {"sunionstore", EVENTS_SET},
    {"xack", EVENTS_STREAM},
    {"xadd", EVENTS_STREAM},
    {"xautoclaim", EVENTS_STREAM},
    {"xclaim", EVENTS_STREAM},
    {"xdel", EVENTS_STREAM},
    {"xgroup-create", EVENTS_STREAM},
    {"xgroup-createconsumer", EVENTS_STREAM},
    {"xgroup-delconsumer", EVENTS_STREAM},
    {"xgroup-destroy", EVENTS_STREAM},
    {"xgroup-setid", EVENTS_STREAM},
    {"xsetid", EVENTS_STREAM},
    {"xtrim", EVENTS_STREAM},
    {"zadd", EVENTS_ZSET},
    {"zdiffstore", EVENTS_ZSET},
    {"zincr", EVENTS_ZSET},
    {"zinterstore", EVENTS_ZSET},
    {"zpopmax", EVENTS_ZSET},
    {"zpopmin", EVENTS_ZSET},
    {"zrangestore", EVENTS_ZSET},
    {"zrem", EVENTS_ZSET},
    {"zremrangebylex", EVENTS_ZSET},
    {"zremrangebyrank", EVENTS_ZSET},
    {"zremrangebyscore", EVENTS_ZSET},
    {"zunionstore", EVENTS_ZSET},
};

unsigned events_class(const char *event)
{
    size_t low = 0, high = sizeof events / sizeof events[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(events[middle].name, event);
        if (order == 0)
            return events[middle].class;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

unsigned events_parse(const char *letters)
{
    static const char all[] = "KEg$lshzxt"; /* in the order of the bits */
    unsigned wanted = 0;
    for (; *letters; letters++) {
        const char *place = strchr(all, *letters);
        if (place)
            wanted |= 1u << (place - all);
        if (*letters == 'A')
            wanted |= (1u << (sizeof all - 1)) - EVENTS_GENERIC;
    }
    return wanted;
}
