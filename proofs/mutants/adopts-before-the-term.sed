# Model.v: a snapshot of a leader is taken over at an earlier term
/| s_adopt/s/t <= cur s ->/True ->/
