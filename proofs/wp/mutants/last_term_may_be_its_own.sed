# src/net/fields.c: a candidate may have an entry of the term that it asks for
# prove: src/net/fields.c get_vote_request
# breaks: get_vote_request_ensures_accepted
s|fields->last.term >= term|fields->last.term > term|
