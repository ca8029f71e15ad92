/* The digest of a string, by which clients compare values without sending them (Redis 8.4): XXH3,
 * 64 bits, as 16 hexadecimal digits. */
#ifndef COMMAND_DIGEST_H
#define COMMAND_DIGEST_H

#include "base/bytes.h"

bool string_is_digest(struct bytes word); /* of the form of one, in either case */
bool string_has_digest(struct bytes value, struct bytes digest);

#endif
