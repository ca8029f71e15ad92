# Log.v: a follower cuts its log behind every AppendEntries
s/^  then l else firstn p l ++ es\./  then firstn p l ++ es else firstn p l ++ es./
