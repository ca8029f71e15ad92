# Model.v: a candidate counts by the last committed list of members, not by the last in its log
/| s_tally/,/| s_append/s/conf (log (vol s))/conf (firstn (ci (vol s)) (log (vol s)))/
