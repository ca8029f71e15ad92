# Model.v: a leader offers a snapshot of what it does not know to be committed
/| s_offer/s/k <= ci (vol s) ->/k <= length (log (vol s)) ->/
