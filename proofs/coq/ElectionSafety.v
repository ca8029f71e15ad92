(* A term has one leader, for ever. *)
From Coq Require Import List Arith Lia Bool.
Require Export Steps.
Import ListNotations.

Section ElectionSafety.
Context {params : Params}.

(* w' is w, or what comes of it *)
Inductive after w : world -> Prop :=
| a0 : after w w
| aS w' w'' : after w w' -> step (fun _ => True) w' w'' -> after w w''.

Lemma reach_after w w' : reach w -> after w w' -> reach w'.
Proof. induction 2; eauto using rS. Qed.

Lemma led_for_ever asked w w' t n : inv w -> step asked w w' -> el w t = Some n -> el w' t = Some n.
Proof.
  intros I S; destruct S; subst s; simpl; auto; unfold updt; destruct Nat.eq_dec; auto; subst.
  rewrite win_fresh; auto; discriminate.
Qed.

(* at any two moments, whatever happened in between *)
Theorem election_safety w w' a b : reach w -> after w w' -> rl (ns w a) = Leader -> rl (ns w' b) = Leader ->
  cur (ns w a) = cur (ns w' b) -> a = b.
Proof.
  intros R F A B X.
  assert (el w' (cur (ns w a)) = Some a) as EA.
  { clear B X; induction F as [|w1 w2 F IH S]; [apply (i_lead _ (inv_reach _ R) _ A)|].
    refine (led_for_ever _ w1 w2 _ _ _ S IH); apply inv_reach, (reach_after w); auto. }
  destruct (i_lead _ (inv_reach _ (reach_after _ _ R F)) _ B) as [EB _]; congruence.
Qed.
End ElectionSafety.
