# src/storage/chunk.c: the size of an entry is read a byte too far
# prove: src/storage/chunk.c chunk_entry
# breaks: chunk_entry_ensures
s|\.size = get_u32(header + 8)|.size = get_u32(header + 9)|
