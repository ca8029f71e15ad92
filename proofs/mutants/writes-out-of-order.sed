# Model.v: an older write may land on the disk after a newer one
s/(sync newer d s)/(sync (newer ++ older) d s)/
