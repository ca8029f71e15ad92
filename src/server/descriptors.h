/* File descriptors: what the store, the log and the peers need comes before the clients. */
#ifndef SERVER_DESCRIPTORS_H
#define SERVER_DESCRIPTORS_H

#include <stdint.h>

/* Raises the process's limit, as far as the system lets it, so that `wanted` clients fit beside all
 * else; returns how many do, at most `wanted`, perhaps none. */
int64_t server_descriptors_clients(int64_t wanted);

#endif
