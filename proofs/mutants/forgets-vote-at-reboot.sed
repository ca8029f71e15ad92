# Model.v: the vote is not restored at reboot
s/^Definition recover k d := Img (term d) (vote d)/Definition recover k d := Img (term d) None/
