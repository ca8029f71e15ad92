/* What the prover is told of xxHash. */
#include <stddef.h>
#include <stdint.h>

//@ assigns \result \from indirect:input, indirect:size;
uint64_t XXH3_64bits(const void *input, size_t size);
