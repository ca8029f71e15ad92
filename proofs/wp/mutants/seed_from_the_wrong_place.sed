# src/replica/stamp.c: the seed is read a byte early
# prove: src/replica/stamp.c stamp_get
# breaks: stamp_get_ensures_seed
s|get_u64(at + 16)|get_u64(at + 15)|
