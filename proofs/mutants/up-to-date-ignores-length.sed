# Model.v: a vote is granted to a shorter log that ends in the same term
s/last_term l = lt \/\\ length l <= li\./last_term l = lt \/\\ 0 <= li./
