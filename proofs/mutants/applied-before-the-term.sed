# Model.v: the applied index reaches the disk before the term in which it was learned
s/Definition know k v d := if (term d =? term v) && /Definition know k v d := if /
