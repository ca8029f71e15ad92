# Model.v: a leader takes a forwarded read at its commit index before it has an entry of its own term there
s/term_at (log (vol s)) k = cur s ->$/True ->/
