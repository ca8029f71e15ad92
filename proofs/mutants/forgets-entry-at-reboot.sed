# Model.v: the last synced entry is lost at reboot
s/^Definition recover k d := Img (term d) (vote d) (log d)/Definition recover k d := Img (term d) (vote d) (removelast (log d))/
