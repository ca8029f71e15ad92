# Model.v: a vote is granted whatever the candidate's log
s/up_to_date li lt (log (vol s)) ->/True ->/
