# Model.v: answers of a round begun before the read was taken confirm it
s/(Rd i (cur s) (S (rnd s)) k/(Rd i (cur s) (rnd s) k/
