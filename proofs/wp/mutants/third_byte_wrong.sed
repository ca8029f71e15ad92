# src/base/codec.h: the third byte of a number holds the wrong bits
# prove: src/net/wire_fields.c put_u32
# breaks: put_u32_ensures
s|at\[2\] = (unsigned char)(value / 0x10000 % 0x100);|at[2] = (unsigned char)(value / 0x1000 % 0x100);|
