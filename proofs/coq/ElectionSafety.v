(* At most one leader in a term. *)
From Coq Require Import List Arith Lia Bool.
Require Export Steps.
Import ListNotations.

Section ElectionSafety.
Context {params : Params}.

Theorem election_safety w a b : reach w -> rl (ns w a) = Leader -> rl (ns w b) = Leader ->
  cur (ns w a) = cur (ns w b) -> a = b.
Proof.
  intros R A B X; destruct (i_lead _ (inv_reach _ R) _ A) as [EA _], (i_lead _ (inv_reach _ R) _ B) as [EB _]; congruence.
Qed.
End ElectionSafety.
