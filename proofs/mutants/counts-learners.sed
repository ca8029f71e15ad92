# Model.v: a learner's vote is counted
s/In v (conf (log (vol s))) -> ~ In v (votes s)/True -> ~ In v (votes s)/
