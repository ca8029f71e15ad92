(* Majorities meet although the voters change: what is committed stands in every later leader's log, and a term has one
   leader. No step is looked at here, but one world, and what the ghosts of the invariant say of it.

   Two logs part somewhere. If neither has a list of members behind that, the same list is in force in both. A log that
   has one there got it from a leader that had committed, under the list before, an entry of its own term behind that list
   (i_mem). The other log has this entry too, so it stands where they have not parted yet. So each log has one list at
   most behind the parting, one voter from the common list. And not both have: the two entries were of two terms, each the
   term of all that follows up to the parting, and one of them stands before the other. So the two lists differ by one
   voter at most. Without the entry of its own term (the bug of 2015) both may have one, and differ by two. *)
From Coq Require Import List Arith Lia Bool Sorted.
Require Export Invariant.
Import ListNotations.

Section Members.
Context {params : Params}.

Lemma counted_el w t k j : inv w -> counted w t k j -> el w t <> None.
Proof. intros I ((O1 & O2 & _) & _) Z; rewrite (i_tl0 _ I _ Z) in O2; simpl in O2; lia. Qed.
Lemma entry_el w l m e : inv w -> LM (tl w) l -> nth_error l m = Some e -> el w (eterm e) <> None.
Proof. intros I M N Z; apply M in N as (_ & N & _); rewrite (i_tl0 _ I _ Z) in N; simpl in N; lia. Qed.

(* The other log has whatever was committed to allow a list of members in a, behind d: none, or the last one is one step
   from what was in force at d. *)
Lemma branch w a d j : inv w -> LM (tl w) a -> d <= j -> j <= length a ->
  (forall m e c, d <= m -> m < j -> nth_error a m = Some e -> emem e = Some c -> forall k, counted w (eterm e) k m -> k <= d) ->
  conf (firstn j a) = conf (firstn d a) \/ exists m e k, d <= m /\ m < j /\ nth_error a m = Some e /\ 0 < k /\ k <= d /\
    term_at a k = eterm e /\ one_step (conf (firstn d a)) (conf (firstn j a)).
Proof.
  intros I M L J H; destruct (conf_last a d j L J) as [[_ X]|(m & e & c & A & B & N & V & X)]; auto; right.
  pose proof (M _ _ N) as G; assert (nth_error (tl w (eterm e)) m = Some e) as N' by (rewrite <- (agree_nth _ _ _ m G); auto).
  destruct (i_mem _ I _ _ _ _ N' eq_refl V) as (k & K & Q & O); pose proof (H _ _ _ A B N V _ K) as D.
  pose proof K as ((O1 & O2 & O3) & K1 & K2 & _).
  exists m, e, k; repeat split; auto.
  - rewrite <- O3; apply (agree_term _ _ _ _ G); lia.
  - rewrite X; rewrite <- (conf_agree _ m _ _ G) in O by auto; rewrite (conf_quiet a d m) in O; auto; [lia|].
    apply quiet_le with k m; auto; apply (quiet_agree (S m) k m (tl w (eterm e)) a); auto using agree_sym.
Qed.

Lemma parted_near w a b d j i : inv w -> LM (tl w) a -> LM (tl w) b -> agree d a b -> (forall k, agree k a b -> k <= d) ->
  d <= j -> j <= length a -> d <= i -> i <= length b ->
  (forall m e c, d <= m -> m < j -> nth_error a m = Some e -> emem e = Some c -> forall k, counted w (eterm e) k m -> k <= d) ->
  (forall m e c, d <= m -> m < i -> nth_error b m = Some e -> emem e = Some c -> forall k, counted w (eterm e) k m -> k <= d) ->
  near (conf (firstn j a)) (conf (firstn i b)).
Proof.
  intros I Ma Mb G P J1 J2 I1 I2 Ha Hb; pose proof (conf_agree _ d _ _ G ltac:(auto)) as E.
  destruct (branch w a d j) as [A|(m & e & k & A1 & A2 & A3 & A4 & A5 & A6 & A7)]; auto;
    destruct (branch w b d i) as [B|(m' & e' & k' & B1 & B2 & B3 & B4 & B5 & B6 & B7)]; auto.
  - left; congruence.
  - right; rewrite A, E; auto.
  - apply near_sym; right; rewrite B, <- E; auto.
  - exfalso; assert (eterm e = eterm e') as X.
    { assert (forall l m e, LM (tl w) l -> nth_error l m = Some e -> forall x, x <= m -> term_at l x <= eterm e) as T.
      { intros l x f Ml N y Y; replace (eterm f) with (term_at l (S x)) by (simpl; rewrite N; auto).
        apply term_mono with (tl w); auto; try apply (i_tt _ I); apply nth_error_Some; congruence. }
      assert (forall l x y, LM (tl w) l -> x <= y -> y <= length l -> term_at l x <= term_at l y) as T2.
      { intros; apply term_mono with (tl w); auto; apply (i_tt _ I). }
      destruct G as (La & Lb & G); pose proof (conj La (conj Lb G) : agree d a b) as G'.
      pose proof (agree_term _ _ _ k G' A5) as E1; pose proof (agree_term _ _ _ k' G' B5) as E2.
      pose proof (T _ _ _ Ma A3 k'); pose proof (T _ _ _ Mb B3 k).
      destruct (le_lt_dec k k').
      - pose proof (T2 a k k' Ma); lia.
      - pose proof (T2 b k' k Mb); lia. }
    assert (agree (S (Nat.min m m')) a b) as Y.
    { apply agree_trans with (tl w (eterm e)); [apply agree_le with (S m); [apply Ma; auto | lia]|].
      apply agree_sym, agree_le with (S m'); [rewrite X; apply Mb; auto | lia]. }
    apply P in Y; lia.
Qed.

(* s: the log of one who was elected at t', or has the votes for it *)
Lemma holds_all w t' s q : inv w -> LM (tl w) s -> (forall e, In e s -> eterm e < t') -> quorum (conf s) q ->
  (forall u, u < t' -> el w u <> None -> forall t k, committed w t k -> t < u -> agree k (tl w u) (tl w t)) ->
  (forall v t k, In v q -> acked w v t k -> committed w t k -> t < t' -> agree k s (tl w t)) ->
  forall j t k, counted w t k j -> t < t' -> agree k s (tl w t).
Proof.
  intros I M Y Q HP HQ; induction j as [j IH] using lt_wf_ind; intros t k C T.
  destruct (fork (tl w) (tl w t) s) as (d & D1 & D2); auto; [apply (i_lmt _ I)|].
  destruct (le_lt_dec k d) as [|L]; [apply agree_sym; eapply agree_le; eauto | exfalso].
  pose proof C as ((O1 & O2 & O3) & K & J & q1 & Q1 & U); pose proof D1 as (L1 & L2 & _).
  assert (near (conf (firstn j (tl w t))) (conf (firstn (length s) s))) as N.
  { apply parted_near with w d; auto; try lia; [apply (i_lmt _ I) | |].
    - intros m e c A B F V x X; pose proof (i_lmt _ I t _ _ F) as G; pose proof (i_tt _ I t e (nth_error_In _ _ F)).
      apply D2, agree_trans with (tl w (eterm e)); [apply agree_le with (S m); auto; destruct X as (_ & ? & _); lia|].
      apply agree_sym; apply (IH m B _ _ X); lia.
    - intros m e c A B F V x X; pose proof (M _ _ F) as G; pose proof (Y e (nth_error_In _ _ F)) as YE.
      destruct (lt_eq_lt_dec (eterm e) t) as [[Z|Z]|Z].
      + apply D2, agree_trans with (tl w (eterm e)).
        * apply (HP t); auto; [apply (counted_el _ _ _ _ I C) | exists m; auto].
        * apply agree_sym, agree_le with (S m); auto; destruct X as (_ & ? & _); lia.
      + rewrite Z in G; apply agree_sym, D2 in G; lia.
      + assert (agree (Nat.min k (S m)) (tl w t) s) as R; [|apply D2 in R; lia].
        apply agree_trans with (tl w (eterm e)); [|apply agree_sym; eapply agree_le; eauto; lia].
        apply agree_sym, agree_le with k; [|lia]; apply (HP (eterm e)); auto; [apply (entry_el w s m); auto | exists j; auto]. }
  rewrite firstn_all in N; destruct (quorum_meet _ _ _ _ (nodup_conf _) (nodup_conf _) N Q1 Q) as (v & V1 & V2).
  assert (agree k (tl w t) s) as R; [|apply D2 in R; lia].
  apply agree_sym, (HQ v); auto; exists j; auto.
Qed.

Lemma start_holds w t' c j q : inv w -> start w t' c j q ->
  (forall u, u < t' -> el w u <> None -> forall t k, committed w t k -> t < u -> agree k (tl w u) (tl w t)) ->
  forall t k, committed w t k -> t < t' -> agree k (firstn j (tl w t')) (tl w t).
Proof.
  intros I (J & Y & _ & Q & V & A) HP t k [x C]; apply (holds_all w t' _ q) with (j := x); auto.
  - apply LM_firstn; auto; apply (i_lmt _ I).
  - intros v u i B K X L; apply (A v); auto; split; [destruct X as (? & ? & _); auto|].
    intros u' L1 L2 E; apply (HP u'); auto.
Qed.

(* what is committed stands in the log of every leader of a later term *)
Lemma i_2 w : inv w -> forall t k t', committed w t k -> t < t' -> el w t' <> None -> agree k (tl w t') (tl w t).
Proof.
  intros I t k t'; revert t k; induction t' as [t' IH] using lt_wf_ind; intros t k C L E.
  destruct (el w t') as [c|] eqn:X; [|congruence]; destruct (i_el _ I _ _ X) as (_ & _ & j & q & S).
  assert (agree k (firstn j (tl w t')) (tl w t)) as R by (apply (start_holds w t' c j q); auto).
  eapply agree_trans; [|apply R]; apply agree_sym, agree_firstn; [apply S|]; destruct R as (R & _); rewrite firstn_length in R; lia.
Qed.
Lemma start_complete w t' c j q : inv w -> start w t' c j q -> forall t k, committed w t k -> t < t' ->
  agree k (firstn j (tl w t')) (tl w t).
Proof. intros I S; apply start_holds with c q; auto; intros; apply i_2; auto. Qed.

(* and in the log of a candidate that has the votes *)
Lemma candidate_complete w n : inv w -> rl (ns w n) = Candidate ->
  length (conf (log (vol (ns w n)))) < 2 * length (votes (ns w n)) ->
  forall t k, committed w t k -> t < term (vol (ns w n)) -> agree k (log (vol (ns w n))) (tl w t).
Proof.
  intros I R M t k [j C]; destruct (i_cand _ I _ R) as (L & D & SV & V).
  apply (holds_all w (term (vol (ns w n))) _ (votes (ns w n))) with (j := j); auto.
  - rewrite L; apply (i_lmc _ I).
  - rewrite L; apply (i_clt _ I).
  - repeat split; auto.
  - intros; apply i_2; auto.
  - intros v u i A K X T; rewrite L; apply (i_3 _ I _ _ v); auto; split; [destruct X as (? & ? & _); auto|].
    intros u' L1 L2 E; apply i_2; auto.
Qed.

(* nobody else was elected at its term *)
Lemma win_fresh w n : inv w -> rl (ns w n) = Candidate ->
  length (conf (log (vol (ns w n)))) < 2 * length (votes (ns w n)) -> el w (cur (ns w n)) = None.
Proof.
  intros I R M; destruct (el w (cur (ns w n))) as [c|] eqn:Z; auto; exfalso.
  destruct (i_cand _ I _ R) as (L & D & SV & V), (i_el _ I _ _ Z) as (_ & X & j & q & St); pose proof St as (J & Y & _ & Q & W & _).
  set (a := log (vol (ns w n))) in *; set (b := firstn j (tl w (cur (ns w n)))) in *.
  assert (LM (tl w) a) as Ma by (rewrite L; apply (i_lmc _ I)).
  assert (LM (tl w) b) as Mb by (apply LM_firstn; auto; apply (i_lmt _ I)).
  destruct (fork (tl w) a b Ma Mb) as (d & D1 & D2); pose proof D1 as (L1 & L2 & _).
  assert (near (conf (firstn (length a) a)) (conf (firstn (length b) b))) as N.
  { apply parted_near with w d; auto.
    - intros m e u A B F E x K; apply D2, agree_trans with (tl w (eterm e)).
      + apply agree_le with (S m); [apply Ma; auto | destruct K as (_ & ? & _); lia].
      + apply agree_sym; eapply start_complete; eauto; [exists m; auto|].
        apply nth_error_In in F; rewrite L in F; apply (i_clt _ I) in F; auto.
    - intros m e u A B F E x K; apply D2, agree_trans with (tl w (eterm e)).
      + apply (candidate_complete w n); auto; [exists m; auto | apply Y; eapply nth_error_In; eauto].
      + apply agree_sym, agree_le with (S m); [apply Mb; auto | destruct K as (_ & ? & _); lia]. }
  rewrite !firstn_all in N.
  destruct (quorum_meet _ _ (votes (ns w n)) q (nodup_conf _) (nodup_conf _) N) as (v & v1 & v2); [repeat split; auto | auto |].
  rewrite (i_vr1 _ I _ _ _ _ (V _ v1) (W _ v2)) in *; tauto.
Qed.
End Members.
