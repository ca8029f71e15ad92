# src/resp/header.c: the CR LF behind a word is not counted
# prove: src/resp/header.c resp_header_length_error
# breaks: header_length_error_
s|limits->command_max - bytes - 2|limits->command_max - bytes|
