# src/raft/quorum.c: half of the voters is a majority
# prove: src/raft/quorum.c raft_quorum_size
# breaks: quorum_size_ensures
s|return voters / 2 + 1;|return (voters + 1) / 2;|
