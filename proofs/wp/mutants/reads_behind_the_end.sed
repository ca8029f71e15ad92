# src/resp/header.c: the byte behind CR is read before it has come
# prove: src/resp/header.c resp_header_read
# breaks: header_read_assert_rte_mem_access
s|if (end + 1 >= size)|if (end >= size)|
