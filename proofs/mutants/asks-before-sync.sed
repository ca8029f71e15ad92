# Model.v: a candidate asks for votes before its term is on disk
/| s_ask_votes/s/term (dur s) = cur s ->/term (dur s) <= cur s ->/
