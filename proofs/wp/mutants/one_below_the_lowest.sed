# src/resp/number.c: the number below the lowest is taken
# prove: src/resp/number.c number_read_i64
# breaks: number_read_i64_
s|(uint64_t)INT64_MAX + 1)|(uint64_t)INT64_MAX + 2)|
