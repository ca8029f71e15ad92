# Model.v: a follower commits up to the leader's index, matched or not
s/(Nat.min lc (p + length es))/lc/
