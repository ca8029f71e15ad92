# Model.v: a leader changes the members before it has committed an entry of its own term (the bug of 2015)
s/term_at (log d) (ci d) = term d \/\\ quiet/True \/\\ quiet/
