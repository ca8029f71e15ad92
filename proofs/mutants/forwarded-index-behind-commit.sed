# Model.v: the index of a forwarded read may be behind the leader's commit index
s/ci (vol s) <= k -> term_at (log (vol s)) k = cur s ->$/0 <= k -> term_at (log (vol s)) k = cur s ->/
