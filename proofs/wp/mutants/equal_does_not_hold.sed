# src/raft/quorum.c: who has exactly the index does not count
# prove: src/raft/quorum.c holders_of
# breaks: holders_of_loop_invariant
s|values\[i\] >= bound;|values[i] > bound;|
