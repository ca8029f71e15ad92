# Model.v: a snapshot takes the place of a log that holds what it is of, and more
s/term_at (log (vol s)) (length l) <> term_at l (length l) ->/True ->/
