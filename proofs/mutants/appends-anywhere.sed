# Model.v: a follower does not check the previous entry's term
s/term_at (log (vol s)) p = pt ->/True ->/
