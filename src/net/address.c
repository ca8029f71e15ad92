/* See address.h. */
#include "net/address.h"

#include <stdlib.h>
#include <string.h>

bool socket_address_split(const char *address, char *host, size_t host_size, int *port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address)
        return false;
    const char *start = address;
    size_t size = (size_t)(colon - address);
    if (start[0] == '[') {
        if (size < 3 || start[size - 1] != ']')
            return false;
        start++;
        size -= 2;
    }
    char *end;
    long number = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end || number < 1 || number > 65535 || size >= host_size)
        return false;
    memcpy(host, start, size);
    host[size] = '\0';
    *port = (int)number;
    return true;
}
