# Model.v: a node votes for two candidates in one term
s/vote (vol s) = None \\\/ vote (vol s) = Some c ->/True \\\/ vote (vol s) = Some c ->/
