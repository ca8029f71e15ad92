# src/base/codec.h: the halves of 64 bits are exchanged
# prove: src/net/wire_fields.c get_u64
# breaks: get_u64_ensures
s|return get_u32(at) + ((uint64_t)get_u32(at + 4) << 32);|return get_u32(at + 4) + ((uint64_t)get_u32(at) << 32);|
