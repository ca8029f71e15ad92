# Model.v: a leader counts by the last committed list of members, not by the last in its log
/^Definition holders/s/conf (log (vol s))/conf (firstn (ci (vol s)) (log (vol s)))/
/| s_commit/,/| s_write/s/conf (log (vol s))/conf (firstn (ci (vol s)) (log (vol s)))/
