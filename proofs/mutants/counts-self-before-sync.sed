# Model.v: a leader counts itself for what its disk does not have yet
s/< 2 \* length (holders k s) ->/< 2 * length (nodup node_eq_dec (n :: holders k s)) ->/
