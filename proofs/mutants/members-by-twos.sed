# Model.v: two voters change at once
s/one_step (conf (log d)) c\./True./
