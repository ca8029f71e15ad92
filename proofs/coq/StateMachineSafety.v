(* No two nodes ever apply different entries at an index. *)
From Coq Require Import List Arith Lia Bool.
Require Export Invariant.
Import ListNotations.

Section StateMachineSafety.
Context {params : Params}.

Lemma known_agree w t1 l1 x1 t2 l2 x2 x : inv w -> known w t1 l1 x1 -> known w t2 l2 x2 -> x <= x1 -> x <= x2 -> agree x l1 l2.
Proof.
  intros I K1 K2 L1 L2; destruct (Nat.eq_dec x 0) as [->|N]; [repeat split; auto; lia|].
  destruct K1 as [|(u1 & k1 & C1 & _ & X1 & A1)], K2 as [|(u2 & k2 & C2 & _ & X2 & A2)]; try lia.
  assert (H : forall u1 k1 u2 k2, committed w u1 k1 -> committed w u2 k2 -> x <= k1 -> x <= k2 -> u1 < u2 ->
    agree x (tl w u1) (tl w u2)).
  { intros v1 j1 v2 j2 D1 [(O1 & O2 & O3) _] J1 J2 V; apply agree_sym, agree_le with j1; auto.
    apply (i_2 _ I); auto using committed_choosable; intros Z; rewrite (i_tl0 _ I _ Z) in O2; simpl in O2; lia. }
  assert (agree x (tl w u1) (tl w u2)) as A.
  { destruct (lt_eq_lt_dec u1 u2) as [[V| ->]|V].
    - apply H with k1 k2; auto; lia.
    - apply agree_refl; destruct A1 as (_ & ? & _); lia.
    - apply agree_sym, H with k2 k1; auto; lia. }
  apply agree_trans with (tl w u1); [eapply agree_le; eauto|].
  apply agree_trans with (tl w u2); [auto | apply agree_sym; eapply agree_le; eauto].
Qed.
Theorem state_machine_safety w a b i : reach w -> i < ci (ns w a) -> i < ci (ns w b) ->
  nth_error (log (ns w a)) i = nth_error (log (ns w b)) i.
Proof.
  intros R A B; pose proof (inv_reach _ R) as I; apply agree_nth with (S i); auto.
  eapply known_agree; eauto using i_ci.
Qed.

(* committed facts are for ever: nothing known to be committed is ever lost or changed *)
Lemma step_mono ok w w' : inv w -> step ok w w' -> (forall t, exists x, tl w' t = tl w t ++ x) /\ incl (ak w) (ak w').
Proof.
  intros I S; destruct S; simpl; split; auto using incl_refl, incl_tl; intros u;
    try (exists []; now rewrite app_nil_r); unfold updt; destruct Nat.eq_dec;
    try (exists []; now rewrite app_nil_r); subst; subst s; simpl.
  - rewrite (i_tl0 _ I) by (apply win_fresh; auto); exists (log (ns w n)); auto.
  - destruct (i_lead _ I _ H0) as [_ <-]; eauto.
Qed.
End StateMachineSafety.
