/* Which build of the program this is: what the linker made of all that is in it, the same for the
 * same sources, compiler and options. */
#ifndef SERVER_BUILD_ID_H
#define SERVER_BUILD_ID_H

#include <stdint.h>

/* The first bytes of the GNU build id; 0: the program was linked without one. */
uint64_t server_build_id(void);

#endif
