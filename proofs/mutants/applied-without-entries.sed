# Model.v: the applied index reaches a disk that has other entries there
s/ && (term_at (log d) k =? term_at (log v) k)$//
