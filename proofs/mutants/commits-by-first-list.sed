# Model.v: a leader counts by the voters with whom the cluster began
/^Definition holders/s/conf (log (vol s))/voters/
/| s_commit/,/| s_write/s/conf (log (vol s))/voters/
