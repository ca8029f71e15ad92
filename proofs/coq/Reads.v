(* A read index that a majority has confirmed is at least every index that any node, in memory or on its disk, knew to
   be committed when the read was taken, or when it was forwarded to the leader, if that confirms it. The reason: had a later
   leader committed anything by then, a majority would have been past the read's term to elect the first later leader,
   whoever else has become a voter after that; and one of them has answered at the read's term since, or is the leader or
   the one that forwarded the read, who were not past it then. *)
From Coq Require Import List Arith Lia Bool.
Require Export StateMachineSafety ElectionSafety.
Import ListNotations.

Ltac open_rinv V := destruct V as [Vhb Vhb1 Vhbr V1 V1' V2 V3 V4 V5 F1 F2 F3 F4].

Section Reads.
Context {params : Params}.

(* When the durable terms were d, a later leader u had been elected by q, the first behind term t: what it began with, j
   entries, has no entries of later terms, and of t those alone that are at places where t's leader had any. *)
Definition passed w t (has : nat -> Prop) d := exists u j q, t < u /\ el w u <> None /\ j <= length (tl w u) /\
  (forall m e, m < j -> nth_error (tl w u) m = Some e -> eterm e <= t /\ (eterm e = t -> has m)) /\
  (forall m e, j <= m -> nth_error (tl w u) m = Some e -> eterm e = u) /\
  quorum (conf (firstn j (tl w u))) q /\ forall v : node, In v q -> u <= d v.
Definition held w t m := el w t <> None /\ m < length (tl w t).

Record rinv w : Prop := {
  r_hb : forall t r, In (HB t r) (net w) -> el w t <> None;
  r_hb1 : forall n r, rl (ns w n) = Leader -> In (HB (cur (ns w n)) r) (net w) -> r <= rnd (ns w n);
  r_hbr : forall t m r, In (HBR t m r) (net w) -> In (HB t r) (net w);
  r_1 : forall R, In R (rd w) -> forall m r, r_rnd R <= r -> In (HBR (r_term R) m r) (net w) -> r_dur R m <= r_term R;
  r_1' : forall R, In R (rd w) -> forall m, In m (r_ack R) -> r_dur R m <= r_term R;
  r_2 : forall R, In R (rd w) -> forall t, r_term R < t -> r_cm R t <> 0 -> passed w (r_term R) (fun m => m < r_len R) (r_dur R);
  r_3 : forall R, In R (rd w) -> forall t, t <= r_term R -> r_cm R t <= r_idx R;
  r_4 : forall R, In R (rd w) -> forall m, r_dur R m <= term (dur (ns w m));
  r_5 : forall R, In R (rd w) -> el w (r_term R) <> None /\
    forall m e, r_len R <= m -> nth_error (tl w (r_term R)) m = Some e -> eterm e = r_term R;
  (* the same of a read that is on its way *)
  f_1 : forall t n i c d, In (FW t n i c d) (net w) -> d n <= t;
  f_2 : forall t n i c d, In (FW t n i c d) (net w) -> forall u, t < u -> c u <> 0 -> passed w t (held w t) d;
  f_3 : forall t n i c d, In (FW t n i c d) (net w) -> forall u, c u <= cm w u;
  f_4 : forall t n i c d, In (FW t n i c d) (net w) -> forall m, d m <= term (dur (ns w m)) }.

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
  { apply (i_2 _ I); [apply cm_committed with (cm w t); auto; lia | lia | congruence]. }
  rewrite Y, (agree_term _ _ _ k A) in X by lia; destruct k as [|i]; simpl in X; [lia|].
  destruct (nth_error (tl w t) i) as [e|] eqn:M; [|lia]; apply nth_error_In, (i_tt _ I) in M; lia.
Qed.

(* the log of a leader grows by entries of its term *)
Definition grows w w' := forall t, el w t <> None -> el w' t <> None /\
  exists x, tl w' t = tl w t ++ x /\ forall e, In e x -> eterm e = t.
Lemma step_grows asked w w' : inv w -> step asked w w' -> grows w w'.
Proof.
  intros I S t E; destruct S; subst s; simpl; try (split; [auto|]; exists []; rewrite app_nil_r; split; [auto | intros ? []]; fail).
  - assert (t <> cur (ns w n)) as N by (intros ->; apply E, win_fresh; auto).
    unfold updt; destruct Nat.eq_dec; [congruence|]; split; [auto|]; exists []; rewrite app_nil_r; split; [auto | intros ? []].
  - split; [auto|]; destruct (i_lead _ I _ H) as (_ & L & _); unfold updt; destruct Nat.eq_dec; [subst t|].
    + rewrite <- L; eexists; split; [eauto|]; intros e [<-|[]]; auto.
    + exists []; rewrite app_nil_r; split; [auto | intros ? []].
Qed.
Lemma grows_nth w w' t m e : grows w w' -> el w t <> None -> nth_error (tl w' t) m = Some e ->
  nth_error (tl w t) m = Some e \/ length (tl w t) <= m /\ eterm e = t.
Proof.
  intros G E N; destruct (G _ E) as (_ & x & X & T); rewrite X in N; destruct (le_lt_dec (length (tl w t)) m) as [L|L].
  - right; split; auto; rewrite nth_error_app2 in N by auto; apply nth_error_In in N; auto.
  - left; rewrite nth_error_app1 in N; auto.
Qed.
Lemma passed_grows w w' t (p p' : nat -> Prop) d : grows w w' -> (forall m, p m -> p' m) -> passed w t p d -> passed w' t p' d.
Proof.
  intros G P (u & j & q & U & E & J & A & B & Q & D); exists u, j, q; destruct (G _ E) as (E' & x & X & _).
  split; [auto | split; [auto | split; [rewrite X, app_length; lia | split; [|split; [|split; [|auto]]]]]].
  - intros m e L N; destruct (grows_nth _ _ _ _ _ G E N) as [N'|[? _]]; [|lia].
    destruct (A _ _ L N'); split; auto.
  - intros m e L N; destruct (grows_nth _ _ _ _ _ G E N) as [N'|[_ ?]]; eauto.
  - rewrite X, firstn_app; replace (j - length (tl w u)) with 0 by lia; simpl; rewrite app_nil_r; auto.
Qed.
Lemma held_grows w w' t m : grows w w' -> held w t m -> held w' t m.
Proof. intros G [E L]; destruct (G _ E) as (E' & x & X & _); split; auto; rewrite X, app_length; lia. Qed.
Lemma beyond_grows w w' t l : grows w w' -> el w t <> None /\ (forall m e, l <= m -> nth_error (tl w t) m = Some e -> eterm e = t) ->
  el w' t <> None /\ forall m e, l <= m -> nth_error (tl w' t) m = Some e -> eterm e = t.
Proof.
  intros G [E H]; split; [apply (G _ E)|]; intros m e L N; destruct (grows_nth _ _ _ _ _ G E N) as [N'|[_ ?]]; eauto.
Qed.

(* some leader of a later term has committed: the first of a later term, who was elected before *)
Lemma first_later w t u : el w u <> None -> t < u -> exists v, t < v /\ el w v <> None /\ forall x, t < x -> x < v -> el w x = None.
Proof.
  induction u as [u IH] using lt_wf_ind; intros E L.
  assert (forall n, (exists x, t < x /\ x < n /\ el w x <> None) \/ forall x, t < x -> x < n -> el w x = None) as D.
  { induction n as [|n [(x & A & B & C)|H]]; [right; lia | left; exists x; split; [auto | split; [lia | auto]]|].
    destruct (el w n) as [c|] eqn:Z.
    - destruct (le_lt_dec n t); [right; intros x A B; lia | left; exists n; split; [auto | split; [lia | congruence]]].
    - right; intros x A B; destruct (Nat.eq_dec x n) as [->|]; auto; apply H; lia. }
  destruct (D u) as [(x & A & B & C)|H]; [apply (IH x); auto | exists u; auto].
Qed.
Lemma passed_now w t u : inv w -> t < u -> cm w u <> 0 -> passed w t (held w t) (fun m => term (dur (ns w m))).
Proof.
  intros I T C; assert (el w u <> None) as E by (destruct (i_cm _ I u) as [|[x K]]; [congruence | apply (counted_el _ _ _ _ I K)]).
  destruct (first_later _ _ _ E T) as (v & U & F & H); destruct (el w v) as [c|] eqn:X; [|congruence].
  destruct (i_el _ I _ _ X) as (_ & _ & j & q & J & A & B & Q & V & _); exists v, j, q; simpl.
  split; [auto | split; [congruence | split; [auto | split; [|split; [auto | split; [auto|]]]]]].
  - intros m e M N; pose proof (i_lmt _ I v _ _ N) as G; pose proof (entry_el w _ _ _ I (i_lmt _ I v) N) as Z.
    assert (eterm e < v).
    { apply A; apply nth_error_In with m; rewrite <- N; apply agree_nth with j; auto; apply agree_firstn; auto. }
    split.
    + destruct (le_lt_dec (eterm e) t); auto; elim Z; apply H; auto.
    + intros Y; rewrite Y in G, Z; destruct G as (_ & G & _); split; auto; lia.
  - intros x W; apply V, (i_vr _ I) in W as []; auto.
Qed.

(* steps that are no business of the reads *)
Lemma rinv_same w w' : rinv w -> (forall m, term (dur (ns w m)) <= term (dur (ns w' m))) ->
  (forall t r, In (HB t r) (net w') -> In (HB t r) (net w)) ->
  (forall t m r, In (HBR t m r) (net w') -> In (HBR t m r) (net w)) ->
  (forall t n i c d, In (FW t n i c d) (net w') -> In (FW t n i c d) (net w)) -> (forall t, cm w t <= cm w' t) ->
  incl (net w) (net w') -> rd w' = rd w -> (forall t, el w t <> None -> el w' t <> None) ->
  (forall n, rl (ns w' n) = Leader -> el w (cur (ns w' n)) = None \/
     rl (ns w n) = Leader /\ cur (ns w n) = cur (ns w' n) /\ rnd (ns w n) = rnd (ns w' n)) -> grows w w' -> rinv w'.
Proof.
  intros V D A B K CM N C F G GR; open_rinv V; constructor; intros; rewrite ?C in *;
    eauto using Nat.le_trans, passed_grows, held_grows, beyond_grows.
  - destruct (G _ H) as [X|(X & Y & Z)]; [apply A in H0; apply Vhb in H0; congruence|].
    rewrite <- Z; apply Vhb1; auto; rewrite Y; auto.
  - apply passed_grows with w (fun m => m < r_len R); auto; apply (V2 _ H t); auto.
Qed.

Lemma rinv_step asked w w' : inv w -> rinv w -> step asked w w' -> rinv w'.
Proof.
  intros I V S; pose proof (fun m => step_dur _ _ _ m I S) as DM; pose proof (step_grows _ _ _ I S) as GR;
    destruct (step_mono _ _ _ I S) as (_ & _ & CM); destruct S; subst s; simpl in CM;
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
    + intros R [<-|X] m A; simpl in *; [easy | eauto].
    + destruct (i_lead _ I _ H) as (E & L & _); intros R [<-|X] t G A; simpl in *; [|apply (V2 _ X t); auto].
      apply passed_grows with w (held w (cur (ns w n))); [auto | intros m [_ ?]; rewrite L; auto | apply passed_now with t; auto].
    + intros R [<-|X] t G; simpl in *; [apply cm_le with n; auto | eauto].
    + intros R [<-|X] m; simpl in *; [uc; auto | eauto using Nat.le_trans].
    + intros R [<-|X]; simpl in *; [|auto].
      destruct (i_lead _ I _ H) as (E & L & _); split; [congruence|]; intros m e M N.
      rewrite L in M; assert (m < length (tl w (cur (ns w n)))) by (apply nth_error_Some; congruence); lia.
    + intros t m j c d X x; specialize (F4 _ _ _ _ _ X x); uc; auto.
  - (* a read is forwarded *)
    open_rinv V; constructor; simpl; auto.
    + intros t r [X|X]; [discriminate | eauto].
    + intros x r; uc; intros L [X|X]; try discriminate; auto.
    + intros t m r [X|X]; [discriminate | eauto].
    + intros R X m r G [A|A]; [discriminate | eauto].
    + intros R X m; specialize (V4 _ X m); uc; auto.
    + intros t m j c d [X|X]; [inversion X; subst; apply cur_dur; auto | eauto].
    + intros t m j c d [X|X] u T C; [inversion X; subst; exact (passed_now w _ u I T C) | exact (F2 _ _ _ _ _ X u T C)].
    + intros t m j c d [X|X] u; [inversion X; subst; auto | eauto].
    + intros t m j c d [X|X] x; [inversion X; subst; uc; auto | specialize (F4 _ _ _ _ _ X x); uc; auto].
  - (* and taken *)
    open_rinv V; destruct (i_lead _ I _ H) as (E & L & _); constructor; simpl; auto.
    + intros x r; uc; auto.
    + intros R [<-|X] x r G A; simpl in *; [|eauto].
      apply Vhbr, Vhb1 in A; auto; lia.
    + intros R [<-|X] x A; simpl in *; [|eauto].
      destruct A as [<-|[<-|[]]]; [|eauto]; specialize (F4 _ _ _ _ _ H2 n); pose proof (cur_dur w n I); lia.
    + intros R [<-|X] t G A; simpl in *; [|apply (V2 _ X t); auto].
      apply passed_grows with w (held w (cur (ns w n))); [auto | intros x [_ ?]; rewrite L; auto | eauto].
    + intros R [<-|X] t G; simpl in *; [|eauto].
      apply Nat.le_trans with (cm w t); [eauto | apply cm_le with n; auto].
    + intros R [<-|X] x; simpl in *; [specialize (F4 _ _ _ _ _ H2 x) | specialize (V4 _ X x)]; uc; auto.
    + intros R [<-|X]; simpl in *; [|auto].
      split; [congruence|]; intros x e M N.
      rewrite L in M; assert (x < length (tl w (cur (ns w n)))) by (apply nth_error_Some; congruence); lia.
    + intros t x j c' d' X y; specialize (F4 _ _ _ _ _ X y); uc; auto.
  - (* a round *)
    open_rinv V; constructor; simpl; auto.
    + intros t r [X|X]; [inversion X; subst; destruct (i_lead _ I _ H); congruence | eauto].
    + intros x r; uc; intros L [X|X]; try (inversion X; subst; auto; fail); auto.
      inversion X; destruct (i_lead _ I _ H) as [E _], (i_lead _ I _ L) as [E' _]; congruence.
    + intros t m r [X|X]; [discriminate | eauto].
    + intros R X m r G [A|A]; [discriminate | eauto].
    + intros R X m; eauto using Nat.le_trans.
    + intros t m j c d [X|X]; [discriminate | eauto].
    + intros t m j c d [X|X] u T C; [discriminate | exact (F2 _ _ _ _ _ X u T C)].
    + intros t m j c d [X|X]; [discriminate | eauto].
    + intros t m j c d [X|X] x; [discriminate | specialize (F4 _ _ _ _ _ X x); uc; auto].
  - (* an answer *)
    subst t; open_rinv V; constructor; simpl; auto.
    + intros t x [X|X]; [discriminate | eauto].
    + intros x y; uc; intros L [X|X]; try discriminate; auto.
    + intros t m x [X|X]; [inversion X; subst; auto | eauto].
    + intros R X m x G [A|A]; [inversion A; subst; rewrite V4 by auto; apply cur_dur; auto | eauto].
    + intros R X m; eauto using Nat.le_trans.
    + intros t m j c d [X|X]; [discriminate | eauto].
    + intros t m j c d [X|X] u T C; [discriminate | exact (F2 _ _ _ _ _ X u T C)].
    + intros t m j c d [X|X]; [discriminate | eauto].
    + intros t m j c d [X|X] x; [discriminate | specialize (F4 _ _ _ _ _ X x); uc; auto].
Qed.

Theorem rinv_reach w : reach w -> rinv w.
Proof.
  induction 1; [constructor; simpl; intros; try tauto; discriminate|].
  eapply rinv_step; eauto using inv_reach.
Qed.

(* a majority that answers R shares a node with the one that elected the first later leader *)
Lemma confirmed_meets w R u j q : inv w -> rinv w -> In R (rd w) -> confirmed w R -> r_term R < u -> el w u <> None ->
  j <= length (tl w u) ->
  (forall m e, m < j -> nth_error (tl w u) m = Some e -> eterm e <= r_term R /\ (eterm e = r_term R -> m < r_len R)) ->
  (forall m e, j <= m -> nth_error (tl w u) m = Some e -> eterm e = u) -> quorum (conf (firstn j (tl w u))) q ->
  exists m, In m q /\ (In m (r_ack R) \/ exists r, r_rnd R <= r /\ In (HBR (r_term R) m r) (net w)).
Proof.
  intros I V X (i & C1 & C2 & p & P & C) U E J A B Q; set (t := r_term R) in *; set (b := firstn j (tl w u)).
  destruct (r_5 _ V _ X) as [Et Own]; fold t in Et, Own.
  assert (LM (tl w) b) as Mb by (apply LM_firstn; auto; apply (i_lmt _ I)).
  assert (Lb : length b = j) by (unfold b; rewrite firstn_length; lia).
  assert (Nb : forall m, m < j -> nth_error b m = nth_error (tl w u) m).
  { intros m M; apply agree_nth with j; auto; apply agree_firstn; auto. }
  assert (A' : forall m e, nth_error b m = Some e -> eterm e <= t /\ (eterm e = t -> m < r_len R)).
  { intros m e N; assert (m < length b) by (apply nth_error_Some; congruence); apply A; [lia | rewrite <- Nb; auto; lia]. }
  destruct (fork (tl w) (tl w t) b (i_lmt _ I t) Mb) as (d & D1 & D2); pose proof D1 as (L1 & L2 & _).
  (* b has all that was committed before u *)
  assert (All : forall s k, committed w s k -> s <= t -> agree k b (tl w s)).
  { intros s k K S; assert (agree k (tl w u) (tl w s)) as G by (apply (i_2 _ I); auto; lia).
    destruct K as [x ((O1 & O2 & O3) & _)]; destruct (le_lt_dec k j) as [L|L].
    - apply agree_trans with (tl w u); auto; apply agree_firstn; auto.
    - exfalso; rewrite <- (agree_term _ _ _ k G) in O3 by auto; destruct k as [|k]; [lia|]; simpl in O3.
      destruct (nth_error (tl w u) k) as [e|] eqn:N; [|destruct G as (G & _); apply nth_error_None in N; lia].
      apply B in N; lia. }
  (* the list that answered is not older than where the logs part *)
  assert (d <= i) as D3.
  { destruct (le_lt_dec d i) as [|L]; auto; exfalso.
    destruct (nth_error b i) as [e|] eqn:N; [|apply nth_error_None in N; lia].
    destruct (A' _ _ N) as [_ F]; rewrite <- (agree_nth _ _ _ i D1) in N by auto; apply Own in N; auto; apply F in N; lia. }
  assert (near (conf (firstn i (tl w t))) (conf (firstn (length b) b))) as N.
  { apply parted_near with w d; auto; [apply (i_lmt _ I) | |].
    - intros m e c M1 M2 N M x K; pose proof (i_lmt _ I t _ _ N) as G; pose proof (i_tt _ I t e (nth_error_In _ _ N)).
      apply D2, agree_trans with (tl w (eterm e)); [apply agree_le with (S m); auto; destruct K as (_ & ? & _); lia|].
      apply agree_sym, All; auto; exists m; auto.
    - intros m e c M1 M2 N M x K; pose proof (Mb _ _ N) as G; destruct (A' _ _ N) as [F _].
      destruct (Nat.eq_dec (eterm e) t) as [Z|Z].
      + rewrite Z in G; apply agree_sym, D2 in G; lia.
      + apply D2, agree_trans with (tl w (eterm e)); [apply (i_2 _ I); [exists m; auto | lia | auto]|].
        apply agree_sym, agree_le with (S m); auto; destruct K as (_ & ? & _); lia. }
  (* so it shares a node with those who elected u *)
  rewrite firstn_all in N; destruct (quorum_meet _ _ _ _ (nodup_conf _) (nodup_conf _) N P Q) as (m & m1 & m2).
  exists m; auto.
Qed.

(* t and x: an index up to which the leader of term t had counted when read R was taken *)
Lemma read_index_counted w R t x : reach w -> In R (rd w) -> confirmed w R -> x <= r_cm R t -> x <= r_idx R.
Proof.
  intros Re X C L; pose proof (rinv_reach _ Re) as V; destruct (le_lt_dec t (r_term R)) as [T|T].
  - pose proof (r_3 _ V _ X t T); lia.
  - destruct (Nat.eq_dec x 0) as [->|N]; [lia|].
    destruct (r_2 _ V _ X t T) as (u & j & q & U & E & J & A & B & Q & D); [lia|].
    destruct (confirmed_meets w R u j q) as (m & M & [Y|(r & Y & Z)]); auto using inv_reach; specialize (D m M).
    + pose proof (r_1' _ V _ X m Y); lia.
    + pose proof (r_1 _ V _ X m r Y Z); lia.
Qed.

(* the step from w to w' takes read R, or forwards it; w'' is any later world in which it is taken and confirmed. c: an
   image of any node, in memory, on its disk or on its way there, when the read was taken, or forwarded *)
Definition begins w w' R := rd w' = R :: rd w /\ r_ack R = [] \/
  exists n, net w' = FW (r_term R) n (r_id R) (r_cm R) (r_dur R) :: net w.
Theorem read_index_safety asked w w' w'' R m c : reach w -> step asked w w' -> reach w' -> begins w w' R ->
  after w' w'' -> In R (rd w'') -> confirmed w'' R -> In c (images (ns w m)) -> ci c <= r_idx R.
Proof.
  intros Re S Re' B F X C M.
  assert (r_cm R = cm w) as G.
  { destruct B as [[T A]|[n T]].
    - destruct S; subst s; simpl in T; try (apply (f_equal (@length _)) in T; simpl in T; lia); inversion T; subst; easy.
    - destruct S; subst s; simpl in T; try (apply (f_equal (@length _)) in T; simpl in T; lia); inversion T; subst; easy. }
  destruct (i_img _ (inv_reach _ Re) _ _ M) as (_ & _ & _ & [->|(t & _ & L & _)]); [lia|].
  apply (read_index_counted w'' R t); auto; [eapply reach_after; eauto | congruence].
Qed.
End Reads.
