/* The commands of places on the earth, and what their files share.  The places of a sorted set are
 * its members, their scores say where. */
#ifndef COMMAND_GEO_H
#define COMMAND_GEO_H

#include "command/commands.h"
#include "command/geo_math.h"

/* geo.c */
command_fn cmd_geoadd, cmd_geopos, cmd_geodist, cmd_geohash;
command_words_fn words_geoadd;
/* geo_search.c; the name says which. */
command_fn cmd_geosearch;
command_words_fn words_geosearch;
/* How many places a search that stores what it finds would look at, and the word that is the key
 * searched; nothing is answered that counts. */
uint64_t geo_store_size(struct call *call, uint32_t *set);

/* geo.c.  Each false: answered with the error. */
bool geo_read_place(struct call *call, uint32_t i, struct geo_place *place); /* two words */
bool geo_read_unit(struct call *call, uint32_t i, double *meters);

/* As Redis prints coordinates, in either protocol; and distances. */
void geo_reply_place(struct reply *reply, struct geo_place place);
void geo_reply_distance(struct reply *reply, double distance);

#endif
