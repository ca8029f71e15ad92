(* Two logs with the same term at an index agree up to it. *)
From Coq Require Import List Arith Lia Bool.
Require Export Invariant.
Import ListNotations.

Section LogMatching.
Context {params : Params}.

Theorem log_matching w a b i e f : reach w -> nth_error (log (ns w a)) i = Some e -> nth_error (log (ns w b)) i = Some f ->
  eterm e = eterm f -> firstn (S i) (log (ns w a)) = firstn (S i) (log (ns w b)).
Proof.
  intros R A B X; pose proof (inv_reach _ R) as I.
  apply (i_lmn _ I) in A as (_ & _ & ->); apply (i_lmn _ I) in B as (_ & _ & ->); congruence.
Qed.
End LogMatching.
