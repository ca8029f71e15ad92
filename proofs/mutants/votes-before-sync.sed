# Model.v: a vote leaves from memory
/| s_send_vote/,/((term (dur s), n, c)/s/dur s/vol s/g
