# Quorum.v Model.v: half of the voters suffices
s/length c < 2 \*/length c <= 2 */
s/length (conf (log (vol s))) < 2 \*/length (conf (log (vol s))) <= 2 */
