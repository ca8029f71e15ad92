# src/resp/number.c: a number beyond 64 bits wraps around
# prove: src/resp/number.c parse_digits
# breaks: parse_digits_assert_rte_unsigned_overflow
s/sum > UINT64_MAX \/ 10 || //
