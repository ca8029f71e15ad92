# Model.v: a read is confirmed by a list of members from before it was taken
s/exists j, r_len R <= j/exists j, 0 <= j/
