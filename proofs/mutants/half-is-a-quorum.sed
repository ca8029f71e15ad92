# Quorum.v Model.v: half of the voters suffices
s/length voters < 2 \*/length voters <= 2 */
