# src/base/codec.h: a number in a key begins with its low half
# prove: proofs/wp/round_trip.c put_u64_ordered
# breaks: put_u64_ordered_ensures
s|put_u32_ordered(at, (uint32_t)(value / 0x100000000))|put_u32_ordered(at, (uint32_t)(value % 0x100000000))|
