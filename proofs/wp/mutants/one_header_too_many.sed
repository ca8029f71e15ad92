# src/storage/chunk.c: one entry more than there is room for
# prove: src/storage/chunk.c decode
# breaks: decode_assert_rte_unsigned_overflow
s|count > room / ENTRY_HEAD)|count > room / ENTRY_HEAD + 1)|
