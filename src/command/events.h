/* Which keyspace events a node publishes: notify-keyspace-events (Redis 7.2 notify.c). */
#ifndef COMMAND_EVENTS_H
#define COMMAND_EVENTS_H

enum {
    EVENTS_OF_KEYS = 1 << 0, /* K */
    EVENTS_BY_NAME = 1 << 1, /* E */
    EVENTS_GENERIC = 1 << 2, /* g */
    EVENTS_STRING = 1 << 3,  /* $ */
    EVENTS_LIST = 1 << 4,    /* l */
    EVENTS_SET = 1 << 5,     /* s */
    EVENTS_HASH = 1 << 6,    /* h */
    EVENTS_ZSET = 1 << 7,    /* z */
    EVENTS_EXPIRED = 1 << 8, /* x */
    EVENTS_STREAM = 1 << 9   /* t */
};

/* Letters that were checked; those of what never comes here (e, d, m, n) count for nothing. */
unsigned events_parse(const char *letters);
/* The class of an event's name; 0: no such event. */
unsigned events_class(const char *event);

#endif
