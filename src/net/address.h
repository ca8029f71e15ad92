/* host:port, with an IPv6 host in brackets. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* False if it is not of that form, or the host does not fit. */
bool socket_address_split(const char *address, char *host, size_t host_size, int *port);

#endif
