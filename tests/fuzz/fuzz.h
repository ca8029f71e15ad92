/* What a fuzz target is: the bytes of a stranger in, and check() for what must hold of the answer.
 * The same file makes two programs, one with libFuzzer (`make fuzz`) and one that only runs the
 * inputs in corpus/ (`make fuzz-corpus`). */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
