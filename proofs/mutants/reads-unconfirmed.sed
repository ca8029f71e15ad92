# Model.v: a read is served without asking a majority
s/r_rnd R <= r' \/\\ In (HBR (r_term R) m r') (net w)/r_rnd R <= r' \/\\ net w = net w/
