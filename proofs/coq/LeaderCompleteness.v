(* Whatever is committed stands in the log of every leader of a later term, and stays committed. *)
From Coq Require Import List Arith Lia Bool.
Require Export Steps.
Import ListNotations.

Section LeaderCompleteness.
Context {params : Params}.

Theorem leader_completeness w t k a : reach w -> committed w t k -> rl (ns w a) = Leader -> t < cur (ns w a) ->
  firstn k (log (vol (ns w a))) = firstn k (tl w t).
Proof.
  intros R C L T; pose proof (inv_reach _ R) as I; destruct (i_lead _ I _ L) as (El & -> & _).
  apply (i_2 _ I t k (cur (ns w a))); auto; congruence.
Qed.

(* nothing that is committed or known to be committed is ever lost or changed *)
Lemma step_mono asked w w' : inv w -> step asked w w' ->
  (forall t, exists x, tl w' t = tl w t ++ x) /\ incl (ak w) (ak w') /\ (forall t, cm w t <= cm w' t).
Proof.
  intros I S; destruct S; simpl; subst s; (split; [|split]); auto using incl_refl, incl_tl; intros u;
    try (exists []; now rewrite app_nil_r); unfold updt; destruct Nat.eq_dec; auto;
    try (exists []; now rewrite app_nil_r); subst; simpl.
  - rewrite (i_tl0 _ I) by (apply win_fresh; auto); eexists; simpl; eauto.
  - destruct (i_lead _ I _ H) as (_ & <- & _); eauto.
  - destruct (i_lead _ I _ H) as (_ & _ & ?); lia.
Qed.
Theorem committed_for_ever asked w w' t k : reach w -> committed w t k -> step asked w w' -> committed w' t k.
Proof.
  intros R C S; destruct (step_mono _ _ _ (inv_reach _ R) S) as (A & B & _); apply committed_mono with w; auto.
Qed.
End LeaderCompleteness.
