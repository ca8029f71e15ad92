(* A read index that a majority has confirmed is at least every index that any node, in memory or on its disk, knew to
   be committed when the read was taken. The reason: had a later leader committed anything by then, a quorum would have been past the read's
   term, and one of them has answered at that term since. *)
From Coq Require Import List Arith Lia Bool.
Require Export StateMachineSafety ElectionSafety.
Import ListNotations.

Ltac open_rinv V := destruct V as [Vhb Vhb1 Vhbr V1 V2 V3 V4].

Section Reads.
Context {params : Params}.

Record rinv w : Prop := {
  r_hb : forall t r, In (HB t r) (net w) -> el w t <> None;
  r_hb1 : forall n r, rl (ns w n) = Leader -> In (HB (cur (ns w n)) r) (net w) -> r <= rnd (ns w n);
  r_hbr : forall t m r, In (HBR t m r) (net w) -> In (HB t r) (net w);
  r_1 : forall R, In R (rd w) -> forall m r, r_rnd R <= r -> In (HBR (r_term R) m r) (net w) -> r_dur R m <= r_term R;
  r_2 : forall R, In R (rd w) -> forall t, r_term R < t -> r_cm R t <> 0 ->
    exists q, quorum q /\ forall m, In m q -> t <= r_dur R m;
  r_3 : forall R, In R (rd w) -> forall t, t <= r_term R -> r_cm R t <= r_idx R;
  r_4 : forall R, In R (rd w) -> forall m, r_dur R m <= term (dur (ns w m)) }.

Lemma step_dur asked w w' m : inv w -> step asked w w' -> term (dur (ns w m)) <= term (dur (ns w' m)).
Proof.
  intros I S; destruct S; subst s; simpl; uc; rewrite ?know_term; auto.
  pose proof (i_seq _ I n) as Q; unfold images in Q; rewrite H in Q.
  rewrite <- app_assoc in Q; simpl in Q; rewrite app_comm_cons in Q; apply sorted_last in Q; apply Q.
Qed.

(* an entry of a leader's own term, at its commit index or above, is not behind any earlier leader's commit index *)
Lemma cm_le w n k t : inv w -> rl (ns w n) = Leader -> ci (vol (ns w n)) <= k ->
  term_at (log (vol (ns w n))) k = cur (ns w n) -> t <= cur (ns w n) -> cm w t <= k.
Proof.
  intros I R G X L; destruct (i_lead _ I _ R) as (E & Y & Z), (Nat.eq_dec t (cur (ns w n))) as [->|N]; [lia|].
  destruct (le_lt_dec (cm w t) k) as [|F]; auto; exfalso.
  assert (agree (cm w t) (tl w (cur (ns w n))) (tl w t)) as A.
  { apply (i_2 _ I); [apply cm_choosable with (cm w t); auto; lia | lia | congruence]. }
  rewrite Y, (agree_term _ _ _ k A) in X by lia; destruct k as [|i]; simpl in X; [lia|].
  destruct (nth_error (tl w t) i) as [e|] eqn:M; [|lia]; apply nth_error_In, (i_tt _ I) in M; lia.
Qed.

(* steps that are no business of the reads *)
Lemma rinv_same w w' : rinv w -> (forall m, term (dur (ns w m)) <= term (dur (ns w' m))) ->
  (forall t r, In (HB t r) (net w') -> In (HB t r) (net w)) ->
  (forall t m r, In (HBR t m r) (net w') -> In (HBR t m r) (net w)) ->
  incl (net w) (net w') -> rd w' = rd w -> (forall t, el w t <> None -> el w' t <> None) ->
  (forall n, rl (ns w' n) = Leader -> el w (cur (ns w' n)) = None \/
     rl (ns w n) = Leader /\ cur (ns w n) = cur (ns w' n) /\ rnd (ns w n) = rnd (ns w' n)) -> rinv w'.
Proof.
  intros V D A B N C F G; open_rinv V; constructor; intros; rewrite ?C in *; eauto using Nat.le_trans.
  destruct (G _ H) as [X|(X & Y & Z)]; [apply A in H0; apply Vhb in H0; congruence|].
  rewrite <- Z; apply Vhb1; auto; rewrite Y; auto.
Qed.

Lemma rinv_step asked w w' : inv w -> rinv w -> step asked w w' -> rinv w'.
Proof.
  intros I V S; pose proof (fun m => step_dur _ _ _ m I S) as DM; destruct S; subst s;
    try (apply (rinv_same w); auto; simpl; auto using incl_refl, incl_tl;
      first [intros x L; uc; try discriminate; auto; fail | intros; destruct m; simpl in *; intuition discriminate
        | intros; intuition discriminate]; fail).
  - apply (rinv_same w); auto using incl_refl; simpl.
    + intros u; unfold updt; destruct Nat.eq_dec; auto; discriminate.
    + intros x; uc; auto; left; apply win_fresh; auto.
  - (* a read is taken *)
    open_rinv V; constructor; simpl; auto.
    + intros x r; uc; auto.
    + intros R [<-|X] m r G A; simpl in *; [|eauto].
      apply Vhbr, Vhb1 in A; auto; lia.
    + intros R [<-|X] t G A; simpl in *; [|eauto].
      destruct (i_cm _ I t) as [|[_ (q & Q & B)]]; [lia|]; exists q; split; auto.
      intros m M; destruct (B m M) as (j & _ & J); apply (i_ak _ I _ _ _ J).
    + intros R [<-|X] t G; simpl in *; [apply cm_le with n; auto | eauto].
    + intros R [<-|X] m; simpl in *; [auto | eauto using Nat.le_trans].
  - (* a round *)
    open_rinv V; constructor; simpl; auto.
    + intros t r [X|X]; [inversion X; subst; destruct (i_lead _ I _ H); congruence | eauto].
    + intros x r; uc; intros L [X|X]; try (inversion X; subst; auto; fail); auto.
      inversion X; destruct (i_lead _ I _ H) as [E _], (i_lead _ I _ L) as [E' _]; congruence.
    + intros t m r [X|X]; [discriminate | eauto].
    + intros R X m r G [A|A]; [discriminate | eauto].
    + intros R X m; eauto using Nat.le_trans.
  - (* an answer *)
    subst t; open_rinv V; constructor; simpl; auto.
    + intros t x [X|X]; [discriminate | eauto].
    + intros x y; uc; intros L [X|X]; try discriminate; auto.
    + intros t m x [X|X]; [inversion X; subst; auto | eauto].
    + intros R X m x G [A|A]; [inversion A; subst; rewrite V4 by auto; apply cur_dur; auto | eauto].
    + intros R X m; eauto using Nat.le_trans.
Qed.

Theorem rinv_reach w : reach w -> rinv w.
Proof.
  induction 1; [constructor; simpl; intros; try tauto; discriminate|].
  eapply rinv_step; eauto using inv_reach.
Qed.

(* t and x: an index up to which the leader of term t had counted when read R was taken *)
Lemma read_index_counted w R t x : reach w -> In R (rd w) -> confirmed w (r_term R) (r_rnd R) ->
  x <= r_cm R t -> x <= r_idx R.
Proof.
  intros Re X (q & Q & C) L; pose proof (rinv_reach _ Re) as V; open_rinv V; destruct (le_lt_dec t (r_term R)) as [T|T].
  - specialize (V3 _ X t T); lia.
  - destruct (Nat.eq_dec x 0) as [->|N]; [lia|]; destruct (V2 _ X t T) as (q' & Q' & D); [lia|].
    destruct (quorum_meet _ _ Q Q') as (m & m1 & m2); destruct (C m m1) as (r & Y & Z).
    specialize (V1 _ X m r Y Z); specialize (D m m2); lia.
Qed.

Lemma reads_stay asked w w' : step asked w w' -> incl (rd w) (rd w').
Proof. intros S; destruct S; simpl; auto using incl_refl, incl_tl. Qed.

(* the step from w to w' takes read R; w'' is any later world in which it is confirmed. c: an image of any node, in
   memory, on its disk or on its way there, when the read was taken *)
Theorem read_index_safety asked w w' w'' R m c : reach w -> step asked w w' -> reach w' -> rd w' = R :: rd w ->
  after w' w'' -> confirmed w'' (r_term R) (r_rnd R) -> In c (images (ns w m)) -> ci c <= r_idx R.
Proof.
  intros Re S Re' T F C M.
  assert (r_cm R = cm w) as G.
  { destruct S; subst s; simpl in T; try (apply (f_equal (@length _)) in T; simpl in T; lia); inversion T; reflexivity. }
  assert (In R (rd w'')) as X.
  { clear C; induction F as [|w1 w2 F IH S1]; [rewrite T; left; reflexivity | eapply reads_stay; eauto]. }
  destruct (i_img _ (inv_reach _ Re) _ _ M) as (_ & _ & _ & [->|(t & _ & L & _)]); [lia|].
  apply (read_index_counted w'' R t); auto; [eapply reach_after; eauto | congruence].
Qed.
End Reads.
