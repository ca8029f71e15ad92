/* The name of a script: the SHA-1 of its body.  Deterministic. */
#include <openssl/sha.h>

#include "script/script.h"

void script_sha(struct bytes body, char sha[SCRIPT_SHA_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1(body.size ? body.data : "", body.size, digest);
    for (int i = 0; i < SHA_DIGEST_LENGTH; i++) {
        sha[2 * i] = digits[digest[i] >> 4];
        sha[2 * i + 1] = digits[digest[i] & 15];
    }
    sha[SCRIPT_SHA_SIZE] = '\0';
}
