# src/storage/chunk.c: terms may fall within a chunk
# prove: src/storage/chunk.c entries_add_up
# breaks: entries_add_up_
s/get_u64(header) < term ||/get_u64(header) == 0 ||/
