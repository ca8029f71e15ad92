# Model.v: at reboot the applied index is that of memory, not of the disk
s/let s := ns w n in k <= ci (dur s) ->/let s := ns w n in k <= ci (vol s) ->/
