# src/net/wire_fields.c: two flags are written to one bit
# prove: src/net/wire_fields.c wire_put_vote_request
# breaks: put_vote_request_ensures
s|fields->transfer ? 2 : 0|fields->transfer ? 1 : 0|
