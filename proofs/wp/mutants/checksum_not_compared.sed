# src/storage/chunk.c: a damaged chunk is believed
# prove: src/storage/chunk.c decode
# breaks: decode_ensures_whole
s|get_u64(start + covered) != checksum(start, covered)|get_u64(start + covered) == 0|
