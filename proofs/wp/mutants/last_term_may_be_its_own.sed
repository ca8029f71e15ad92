# src/net/wire_fields.c: a candidate may have an entry of the term that it asks for
# prove: src/net/wire_fields.c wire_get_vote_request
# breaks: get_vote_request_ensures_accepted
s|fields->last.term >= term|fields->last.term > term|
