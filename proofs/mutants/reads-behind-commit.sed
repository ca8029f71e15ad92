# Model.v: the read index may be behind the leader's commit index
s/ci (vol s) <= k -> term_at (log (vol s)) k = cur s -> asked/0 <= k -> term_at (log (vol s)) k = cur s -> asked/
