# Model.v: a node that lost its disk comes back as the same node
/^Definition crash/s/dur s/Img 0 None [] 0 0/g
