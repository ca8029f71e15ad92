(* No two nodes ever apply different entries at an index. *)
From Coq Require Import List Arith Lia Bool.
Require Export LeaderCompleteness.
Import ListNotations.

Section StateMachineSafety.
Context {params : Params}.

Lemma known_agree w t1 l1 x1 t2 l2 x2 x : inv w -> known w t1 l1 x1 -> known w t2 l2 x2 -> x <= x1 -> x <= x2 -> agree x l1 l2.
Proof.
  intros I K1 K2 L1 L2; destruct (Nat.eq_dec x 0) as [->|N]; [repeat split; auto; lia|].
  destruct K1 as [|(u1 & _ & X1 & A1)], K2 as [|(u2 & _ & X2 & A2)]; try lia.
  assert (C1 : committed w u1 (cm w u1)) by (apply cm_committed with x; auto; lia).
  assert (C2 : committed w u2 (cm w u2)) by (apply cm_committed with x; auto; lia).
  assert (H : forall u1 u2, committed w u1 (cm w u1) -> committed w u2 (cm w u2) -> x <= cm w u1 -> x <= cm w u2 -> u1 < u2 ->
    agree x (tl w u1) (tl w u2)).
  { intros v1 v2 D1 [j ((O1 & O2 & O3) & _)] J1 J2 V; apply agree_sym, agree_le with (cm w v1); auto.
    apply (i_2 _ I); auto; intros Z; rewrite (i_tl0 _ I _ Z) in O2; simpl in O2; lia. }
  assert (agree x (tl w u1) (tl w u2)) as A.
  { destruct (lt_eq_lt_dec u1 u2) as [[V| ->]|V].
    - apply H; auto; lia.
    - apply agree_refl; destruct A1 as (_ & ? & _); lia.
    - apply agree_sym, H; auto; lia. }
  apply agree_trans with (tl w u1); [eapply agree_le; eauto|].
  apply agree_trans with (tl w u2); [auto | apply agree_sym; eapply agree_le; eauto].
Qed.

(* c and d: what the two nodes work on, or what is on their disks *)
Theorem state_machine_safety w a b c d i : reach w -> In c (images (ns w a)) -> In d (images (ns w b)) ->
  i < ci c -> i < ci d -> nth_error (log c) i = nth_error (log d) i.
Proof.
  intros R C D A B; pose proof (inv_reach _ R) as I; apply agree_nth with (S i); auto.
  apply (i_img _ I) in C as (_ & _ & _ & C); apply (i_img _ I) in D as (_ & _ & _ & D).
  eapply known_agree; eauto.
Qed.
End StateMachineSafety.
