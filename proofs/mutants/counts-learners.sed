# Model.v: a learner's vote is counted
s/In v voters -> ~ In v (votes s)/True -> ~ In v (votes s)/
