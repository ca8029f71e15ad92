# Model.v: a read is served without asking a majority
s/r <= r' \/\\ In (HBR t m r') (net w)/r <= r' \/\\ net w = net w \/\\ t < S t/
