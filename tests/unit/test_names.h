/* What the system says of sockets' other ends, said by the test: who comes from an address that
 * this machine may not have, IPv6 among them. */
#ifndef TEST_NAMES_H
#define TEST_NAMES_H

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_storage names_said;
static socklen_t names_size; /* 0: what the system says */

/* From here on every socket comes from there. */
static inline void names_say(const char *address, int port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&names_said;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&names_said;
    memset(&names_said, 0, sizeof names_said);
    if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        names_size = sizeof *in;
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    names_size = sizeof *in6;
}

static inline void names_say_no_more(void)
{
    names_size = 0;
}

/* Stands before the C library's. */
int getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    if (names_size == 0)
        return (int)syscall(SYS_getpeername, fd, address, size);
    assert_true(*size >= names_size);
    memcpy(address, &names_said, names_size);
    *size = names_size;
    return 0;
}

#endif
