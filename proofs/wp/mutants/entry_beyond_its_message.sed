# src/net/wire_fields.c: an entry may be longer than its message by its head
# prove: src/net/wire_fields.c wire_get_entry
# breaks: get_entry_ensures_inside
s|entry->size > left - ENTRY_HEAD_SIZE|entry->size > left|
