# Model.v: a leader changes the members before the last change is committed
s/quiet (log d) (ci d) (length (log d)) \/\\/True \/\\/
