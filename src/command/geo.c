/* Places in a sorted set: added, asked for, compared (Redis 7.2 geo.c).  Searches are in
 * geo_search.c.  Deterministic; loop thread only. */
#include "command/geo.h"

#include <stdio.h>

#include "base/fatal.h"
#include "command/sorted.h"
#include "resp/number.h"

/* ---- words and replies ------------------------------------------------------------------ */

bool geo_read_place(struct call *call, uint32_t i, struct geo_place *place)
{
    if (!sorted_word(call, i, &place->longitude) || !sorted_word(call, i + 1, &place->latitude))
        return false;
    bool is_place = geo_is_place(*place);
    if (!is_place)
        reply_error(call->reply, "ERR invalid longitude,latitude pair %f,%f", place->longitude,
                    place->latitude);
    return is_place;
}

bool geo_read_unit(struct call *call, uint32_t i, double *meters)
{
    static const struct {
        const char *name;
        double meters;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (unsigned k = 0; k < sizeof units / sizeof units[0]; k++)
        if (bytes_is(call->argv[i], units[k].name)) {
            *meters = units[k].meters;
            return true;
        }
    reply_error(call->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

static void reply_degrees(struct reply *reply, double degrees)
{
    char text[NUMBER_LONG_DOUBLE_SIZE + 3] = ",";
    struct bytes number = bytes_of(text + 1, number_format_long_double(degrees, text + 1));
    if (reply->protocol < 3) {
        reply_bulk(reply, number);
        return;
    }
    memcpy(text + 1 + number.size, "\r\n", 3);
    reply_raw(reply, bytes_of(text, number.size + 3));
}

void geo_reply_place(struct reply *reply, struct geo_place place)
{
    reply_array(reply, 2);
    reply_degrees(reply, place.longitude);
    reply_degrees(reply, place.latitude);
}

void geo_reply_distance(struct reply *reply, double distance)
{
    char text[NUMBER_LONG_DOUBLE_SIZE];
    int size = snprintf(text, sizeof text, "%.4f", distance);
    reply_bulk(reply, bytes_of(text, (size_t)size));
}

/* ---- GEOADD ----------------------------------------------------------------------------- */

/* But for the places; false: answered. */
static bool read_add(struct call *call, struct sorted_options *options)
{
    uint32_t i = 2;
    *options = (struct sorted_options){0};
    for (; i < call->argc; i++)
        if (bytes_is(call->argv[i], "nx"))
            options->nx = true;
        else if (bytes_is(call->argv[i], "xx"))
            options->xx = true;
        else if (bytes_is(call->argv[i], "ch"))
            options->ch = true;
        else
            break;
    options->first = i;
    if (i == call->argc || (call->argc - i) % 3 != 0 || (options->xx && options->nx)) {
        reply_error(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static bool is_place(struct call *call, uint32_t i)
{
    struct geo_place place;
    return geo_read_place(call, i, &place);
}

bool words_geoadd(struct call *call)
{
    struct sorted_options options;
    return read_add(call, &options) && call_admits_words(call, options.first, 3, is_place);
}

static void add_some(struct call *call, const struct sorted_options *options, struct ordered *set)
{
    struct walk_state *walk = call->walk;
    uint64_t added = 0, updated = 0;
    for (uint32_t i = ordered_slice(set, call, options->first); call_takes(call, i); i += 3) {
        struct geo_place place;
        geo_read_place(call, i, &place);
        double score = (double)geo_score(place);
        enum sorted_outcome outcome = sorted_add(set, options, call->argv[i + 2], &score);
        added += outcome == SORTED_ADDED;
        updated += outcome == SORTED_UPDATED;
    }
    ordered_end_slice(set, call, added || updated, "zadd");
    walk->count += options->ch ? added + updated : added;
    if (walk->unfinished)
        call_keep(call, options, sizeof *options);
    else
        reply_integer(call->reply, (int64_t)walk->count);
}

void cmd_geoadd(struct call *call)
{
    struct sorted_options options;
    struct ordered set;
    if (!call_kept(call, &options, sizeof options) && !read_add(call, &options))
        return;
    if (!call_checks_words(call, options.first, 3, is_place)) {
        if (call->walk->unfinished)
            call_keep(call, &options, sizeof options);
        return;
    }
    if (ordered_open(&set, call, call->argv[1], DB_ZSET))
        add_some(call, &options, &set);
    ordered_close(&set);
}

/* ---- GEOPOS, GEOHASH, GEODIST ----------------------------------------------------------- */

static bool find(const struct ordered *set, struct bytes member, struct geo_place *place)
{
    double score;
    bool is_there = set->count > 0 && sorted_find(set, member, &score);
    if (is_there)
        *place = geo_place_of(score);
    return is_there;
}

/* The places of the words from the second on, or what is said where there is none. */
static void tell_each(struct call *call, void (*tell)(struct reply *, struct geo_place),
                      void (*tell_none)(struct reply *))
{
    struct ordered set;
    struct reply found = {&call->walk->found, call->reply->protocol};
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        for (uint32_t i = call_slice(call, 2); call_takes(call, i); i++) {
            struct geo_place place;
            if (find(&set, call->argv[i], &place))
                tell(&found, place);
            else
                tell_none(&found);
        }
        if (call_keeps_parts(call, 0) && !call->walk->unfinished)
            call_reply_parts(call, call->argc - 2);
    }
    ordered_close(&set);
}

void cmd_geopos(struct call *call)
{
    tell_each(call, geo_reply_place, reply_null_array);
}

static void reply_text(struct reply *reply, struct geo_place place)
{
    char text[GEO_TEXT_SIZE];
    geo_text(place, text);
    reply_bulk(reply, bytes_of(text, sizeof text));
}

void cmd_geohash(struct call *call)
{
    tell_each(call, reply_text, reply_null);
}

void cmd_geodist(struct call *call)
{
    struct ordered set;
    struct geo_place one, other;
    double meters = 1;
    if (call->argc > 5) {
        reply_error(call->reply, ERROR_SYNTAX);
        return;
    }
    if (call->argc == 5 && !geo_read_unit(call, 4, &meters))
        return;
    if (ordered_open(&set, call, call->argv[1], DB_ZSET)) {
        if (find(&set, call->argv[2], &one) && find(&set, call->argv[3], &other))
            geo_reply_distance(call->reply, geo_distance(one, other) / meters);
        else
            reply_null(call->reply);
    }
    ordered_close(&set);
}
