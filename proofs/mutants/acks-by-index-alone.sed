# Model.v: an append is acknowledged when the disk has as many entries, the same ones or not
s/k <= mat (vol s) \/\\ agree k (log (dur s)) (log (vol s))/k <= mat (vol s) \/\\ k <= length (log (dur s))/
