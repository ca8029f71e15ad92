# Model.v: a read that was forwarded in any term needs no round
s/In (FW (cur s) m i c d) (net w)/(exists t, In (FW t m i c d) (net w))/
