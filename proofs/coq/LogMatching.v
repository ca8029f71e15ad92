(* Two logs with the same term at an index agree up to it: volatile, durable, or on the way to the disk. *)
From Coq Require Import List Arith Lia Bool.
Require Export Steps.
Import ListNotations.

Section LogMatching.
Context {params : Params}.

Theorem log_matching w a b c d i e f : reach w -> In c (images (ns w a)) -> In d (images (ns w b)) ->
  nth_error (log c) i = Some e -> nth_error (log d) i = Some f ->
  eterm e = eterm f -> firstn (S i) (log c) = firstn (S i) (log d).
Proof.
  intros R C D A B X; pose proof (inv_reach _ R) as I.
  apply (i_img _ I) in C as (C & _); apply (i_img _ I) in D as (D & _).
  apply C in A as (_ & _ & ->); apply D in B as (_ & _ & ->); congruence.
Qed.
End LogMatching.
