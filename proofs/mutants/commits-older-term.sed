# Model.v: a leader commits an older term's entry by counting
s/term_at (log (vol s)) k = cur s -> length (conf/True -> length (conf/
