(* Whatever is committed stands in the log of every leader of a later term. *)
From Coq Require Import List Arith Lia Bool.
Require Export Invariant.
Import ListNotations.

Section LeaderCompleteness.
Context {params : Params}.

Theorem leader_completeness w t k a : reach w -> committed w t k -> rl (ns w a) = Leader -> t < cur (ns w a) ->
  firstn k (log (ns w a)) = firstn k (tl w t).
Proof.
  intros R C L T; pose proof (inv_reach _ R) as I; destruct (i_lead _ I _ L) as [El ->].
  apply (i_2 _ I t k (cur (ns w a))); auto using committed_choosable; congruence.
Qed.
End LeaderCompleteness.
