# src/raft/quorum.c: the last value that a majority reaches, not the largest
# prove: src/raft/quorum.c raft_quorum_reached
# breaks: quorum_reached_loop_invariant
s|if (values\[i\] > best \&\& |if (|
