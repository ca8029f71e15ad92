# Model.v: that a read was forwarded confirms it, whoever the voters are
s/In m (r_ack R) \\\/ /r_ack R <> [] \\\/ /
