# Model.v: an append is acknowledged from memory
/| s_send_ack/,/((n, term/s/dur s/vol s/g
