(* The inductive invariant, and that every step keeps it. *)
From Coq Require Import List Arith Lia Bool Sorted.
Require Export Model.
Import ListNotations.

Ltac uc := unfold upd, updt in *; repeat match goal with
  | H : context[node_eq_dec ?a ?b] |- _ => destruct (node_eq_dec a b); try subst a; try subst b
  | |- context[node_eq_dec ?a ?b] => destruct (node_eq_dec a b); try subst a; try subst b
  end; simpl in *.

(* every field of the invariant as a hypothesis *)
Ltac open_inv I := pose proof I as [Ivr Ivr1 Ivrc Irvr Irv Icand Ilead Iel Itl0
  Iimg Iseq Ivote Ilmt Ilmc Iclt Itt Iae Iss Iak Iaer Imt I1 I3 Icm Imem].

Section Invariant.
Context {params : Params}.

(* ---------- what the ghosts say ---------- *)
Definition acked w n t k := exists k', k <= k' /\ In (n, t, k') (ak w).
(* index k of term t's log is an entry of term t itself: only such an entry is committed by counting *)
Definition own w t k := 0 < k /\ k <= length (tl w t) /\ term_at (tl w t) k = t.
(* no leader of a later term, up to u, has lost it *)
Definition firm w t k u := own w t k /\ forall t', t < t' -> t' < u -> el w t' <> None -> agree k (tl w t') (tl w t).
(* a majority of the voters in force behind the first j entries has acknowledged it *)
Definition counted w t k j := own w t k /\ k <= j /\ j <= length (tl w t) /\
  exists q, quorum (conf (firstn j (tl w t))) q /\ forall n, In n q -> acked w n t k.
Definition committed w t k := exists j, counted w t k j.
(* the first x entries of l are known, at term t, to be committed *)
Definition known w t l x := x = 0 \/ exists t0, t0 <= t /\ x <= cm w t0 /\ agree x l (tl w t0).
(* n has acknowledged it, or holds an image that would let it *)
Definition may_ack w n t k := acked w n t k \/ exists d, In d (images (ns w n)) /\ term d = t /\ k <= mat d.
(* image a came after image b: nothing firm was lost, no vote was changed *)
Definition later w a b := term b <= term a /\ (term b = term a -> vote b = vote a \/ vote b = None) /\
  forall t k, firm w t k (S (term a)) -> t <= term b -> agree k (log b) (tl w t) -> agree k (log a) (tl w t).
Definition good w d := LM (tl w) (log d) /\ (forall e, In e (log d) -> eterm e <= term d) /\
  agree (mat d) (log d) (tl w (term d)) /\ known w (term d) (log d) (ci d).
(* n may vote for c at term t: c's log has all that n could have helped to commit before *)
Definition vote_ok w n c t := (c = n \/ t <= term (dur (ns w c))) /\
  forall t0 k, firm w t0 k (S t) -> may_ack w n t0 k -> t0 < t -> agree k (cl w c t) (tl w t0).
(* c was elected at term t with the first j entries of t's log, by the votes of q, a majority of the voters there; these
   entries hold what q had acknowledged of earlier terms, if no leader in between had lost it *)
Definition start w t c j q := j <= length (tl w t) /\ (forall e, In e (firstn j (tl w t)) -> eterm e < t) /\
  (forall m e, j <= m -> nth_error (tl w t) m = Some e -> eterm e = t) /\
  quorum (conf (firstn j (tl w t))) q /\ (forall v, In v q -> In (t, v, c) (vr w)) /\
  forall v t0 k, In v q -> acked w v t0 k -> t0 < t -> firm w t0 k t -> agree k (firstn j (tl w t)) (tl w t0).

Record inv w : Prop := {
  i_vr : forall t n c, In (t, n, c) (vr w) -> t <= term (dur (ns w n)) /\ (t = term (dur (ns w n)) -> vote (dur (ns w n)) = Some c);
  i_vr1 : forall t n c c', In (t, n, c) (vr w) -> In (t, n, c') (vr w) -> c = c';
  i_vrc : forall t n c, In (t, n, c) (vr w) -> t <= term (dur (ns w c));
  i_rvr : forall t n c, In (RVR t n c) (net w) -> In (t, n, c) (vr w);
  i_rv : forall t c li lt, In (RV t c li lt) (net w) ->
    t <= term (dur (ns w c)) /\ li = length (cl w c t) /\ lt = last_term (cl w c t);
  i_cand : forall n, rl (ns w n) = Candidate -> log (vol (ns w n)) = cl w n (cur (ns w n)) /\
    NoDup (votes (ns w n)) /\ incl (votes (ns w n)) (conf (log (vol (ns w n)))) /\
    forall v, In v (votes (ns w n)) -> In (cur (ns w n), v, n) (vr w);
  i_lead : forall n, rl (ns w n) = Leader -> el w (cur (ns w n)) = Some n /\
    log (vol (ns w n)) = tl w (cur (ns w n)) /\ cm w (cur (ns w n)) <= ci (vol (ns w n));
  i_el : forall t c, el w t = Some c -> t <= term (dur (ns w c)) /\ (t = cur (ns w c) -> rl (ns w c) <> Candidate) /\
    exists j q, start w t c j q;
  i_tl0 : forall t, el w t = None -> tl w t = [];
  i_img : forall n d, In d (images (ns w n)) -> good w d;
  i_seq : forall n, StronglySorted (later w) (images (ns w n));
  i_vote : forall n d c, In d (images (ns w n)) -> vote d = Some c -> vote_ok w n c (term d);
  i_lmt : forall t, LM (tl w) (tl w t);
  i_lmc : forall n t, LM (tl w) (cl w n t);
  i_clt : forall n t e, In e (cl w n t) -> eterm e < t;
  i_tt : forall t e, In e (tl w t) -> eterm e <= t;
  i_ae : forall t p pt es lc, In (AE t p pt es lc) (net w) -> el w t <> None /\ seg (tl w t) p pt es /\
    known w t (tl w t) lc;
  i_ss : forall t l, In (SS t l) (net w) -> el w t <> None /\ agree (length l) l (tl w t) /\ known w t l (length l);
  i_ak : forall n t k, In (n, t, k) (ak w) -> t <= term (dur (ns w n)) /\ k <= length (tl w t);
  i_aer : forall t n k, In (AER t n k) (net w) -> In (n, t, k) (ak w);
  i_mt : forall n, rl (ns w n) = Leader -> forall m, mt (ns w n) m = 0 \/ In (m, cur (ns w n), mt (ns w n) m) (ak w);
  i_1 : forall t k n, firm w t k (S (term (dur (ns w n)))) -> acked w n t k -> agree k (log (dur (ns w n))) (tl w t);
  i_3 : forall t k n t' c, firm w t k (S t') -> acked w n t k -> In (t', n, c) (vr w) -> t < t' ->
    agree k (cl w c t') (tl w t);
  i_cm : forall t, cm w t = 0 \/ committed w t (cm w t);
  (* a list of members: the one before was in force when an entry of the term was committed, behind both *)
  i_mem : forall t m e c, nth_error (tl w t) m = Some e -> eterm e = t -> emem e = Some c ->
    exists k, counted w t k m /\ quiet (tl w t) k m /\ one_step (conf (firstn m (tl w t))) c }.

Lemma firm_le w t k u u' : firm w t k u -> u' <= u -> firm w t k u'.
Proof. intros [O H] L; split; auto; intros t' A B; apply H; lia. Qed.

(* ---------- images in order ---------- *)
Lemma later_refl w a : later w a a.
Proof. split; [|split]; auto. Qed.
Lemma later_trans w a b c : later w a b -> later w b c -> later w a c.
Proof.
  intros (T1 & V1 & L1) (T2 & V2 & L2); split; [lia | split].
  - intros E; destruct V2 as [V2|V2]; [lia | rewrite V2; apply V1; lia | auto].
  - intros; apply L1; auto; [lia|]; apply L2; auto; apply firm_le with (S (term a)); auto; lia.
Qed.
Lemma in_vol s : In (vol s) (images s). Proof. left; auto. Qed.
Lemma in_dur s : In (dur s) (images s). Proof. right; apply in_or_app; simpl; auto. Qed.
Lemma later_vol w n d : inv w -> In d (images (ns w n)) -> later w (vol (ns w n)) d.
Proof.
  intros I [<-|H]; [apply later_refl|]; pose proof (i_seq _ I n) as S; inversion_clear S.
  rewrite Forall_forall in *; auto.
Qed.
Lemma sorted_cut {A} (R : A -> A -> Prop) l1 d l2 : StronglySorted R (l1 ++ d :: l2) -> StronglySorted R (l1 ++ [d]).
Proof.
  induction l1 as [|a l IH]; simpl; intros H; inversion_clear H; [repeat constructor | constructor; auto].
  rewrite Forall_forall in *; intros x X; apply H1; apply in_app_or in X as [X|[<-|[]]]; apply in_or_app; simpl; auto.
Qed.
Lemma sorted_last {A} (R : A -> A -> Prop) l1 d l2 e : StronglySorted R (l1 ++ d :: l2 ++ [e]) -> R d e.
Proof.
  induction l1 as [|a l IH]; simpl; intros H; inversion_clear H; auto.
  rewrite Forall_forall in *; apply H1, in_or_app; simpl; auto using in_or_app, in_eq.
Qed.
Lemma sorted_mono {A} (R R' : A -> A -> Prop) l : (forall a b, In a l -> In b l -> R a b -> R' a b) ->
  StronglySorted R l -> StronglySorted R' l.
Proof.
  induction l as [|a l IH]; intros X H; inversion_clear H; [constructor | constructor].
  - apply IH; auto; intros ? ? ? ?; apply X; simpl; auto.
  - rewrite Forall_forall in *; intros y Y; apply X; simpl; auto.
Qed.
(* a new volatile image on top of the old one *)
Lemma seq_vol w n d : inv w -> later w d (vol (ns w n)) ->
  StronglySorted (later w) (d :: pend (ns w n) ++ [dur (ns w n)]).
Proof.
  intros I L; pose proof (i_seq _ I n) as S; inversion_clear S; constructor; auto.
  rewrite Forall_forall in *; intros; eapply later_trans; eauto.
Qed.

Lemma later_mono w w' a b : (forall t k u, firm w' t k u -> firm w t k u /\ tl w' t = tl w t) ->
  later w a b -> later w' a b.
Proof. intros X (T & V & L); split; [auto | split; auto]; intros t k C; destruct (X _ _ _ C) as [C' ->]; auto; apply L; auto. Qed.
Lemma known_mono w w' t t' l x : (forall t, exists y, tl w' t = tl w t ++ y) -> (forall t, cm w t <= cm w' t) -> t <= t' ->
  known w t l x -> known w' t' l x.
Proof.
  intros T A L [K | (t0 & L0 & X & G)]; [left; auto | right].
  destruct (T t0) as [y Y]; exists t0; specialize (A t0); split; [lia | split; [lia|]]; rewrite Y; apply agree_app, G.
Qed.
Lemma counted_mono w w' t k j : (forall t, exists y, tl w' t = tl w t ++ y) -> incl (ak w) (ak w') ->
  counted w t k j -> counted w' t k j.
Proof.
  intros T A ((O1 & O2 & O3) & K & J & q & Q & H); destruct (T t) as [y Y].
  assert (agree (length (tl w t)) (tl w t) (tl w' t)) as X by (rewrite Y; apply agree_app, agree_refl; auto).
  split; [|split; [auto | split; [rewrite Y, app_length; lia|]]].
  - unfold own; rewrite Y, app_length; repeat split; try lia.
    rewrite <- O3 at 2; symmetry; rewrite <- Y; apply (agree_term _ _ _ k X); auto.
  - exists q; split; [rewrite <- (conf_agree _ j _ _ X); auto|].
    intros n I; destruct (H n I) as (i & L & M); exists i; split; auto.
Qed.
Lemma committed_mono w w' t k : (forall t, exists y, tl w' t = tl w t ++ y) -> incl (ak w) (ak w') ->
  committed w t k -> committed w' t k.
Proof. intros T A [j J]; exists j; apply (counted_mono w); auto. Qed.
Lemma known_le w t l x y : known w t l x -> y <= x -> known w t l y.
Proof. intros [K | (t0 & L & X & G)] Y; [left; lia | right; exists t0; split; [lia | split; [lia|]]; apply (agree_le _ y _ _ G Y)]. Qed.
Lemma known_app w t l x y : known w t l x -> known w t (l ++ y) x.
Proof. intros [?|(t0 & ? & ? & ?)]; [left; auto | right; exists t0; auto using agree_app_l]. Qed.
Lemma cm_committed w t x : inv w -> x <= cm w t -> x <> 0 -> committed w t (cm w t).
Proof. intros I X N; destruct (i_cm _ I t); [lia | auto]. Qed.
Lemma good_mono w w' d : (forall t, exists y, tl w' t = tl w t ++ y) -> (forall t, cm w t <= cm w' t) -> good w d -> good w' d.
Proof.
  intros T A (L & E & M & K); destruct (T (term d)) as [y Y]; split; [eapply LM_ext; eauto | split; [auto | split]].
  - rewrite Y; apply agree_app; auto.
  - eapply known_mono; eauto.
Qed.

(* whatever n may acknowledge stands in the log it works on *)
Lemma may_ack_agree w n t k : inv w -> firm w t k (S (cur (ns w n))) -> may_ack w n t k -> agree k (log (vol (ns w n))) (tl w t).
Proof.
  intros I C [A|(d & D & <- & K)].
  - destruct (later_vol _ _ _ I (in_dur (ns w n))) as (T & _ & X); apply X; auto.
    + destruct A as (k' & _ & A); apply (i_ak _ I _ _ _ A).
    + apply (i_1 _ I); auto; apply firm_le with (S (cur (ns w n))); auto; lia.
  - destruct (later_vol _ _ _ I D) as (_ & _ & X); apply X; auto; apply agree_le with (mat d); auto; apply (i_img _ I _ _ D).
Qed.

(* ---------- every transition that leaves the leader logs alone ---------- *)
Lemma inv_node w n s' ms vs ks cl' cm' rd' : let s := ns w n in
  let w' := W (upd (ns w) n s') (ms ++ net w) (vs ++ vr w) cl' (el w) (tl w) (ks ++ ak w) cm' rd' in
  inv w ->
  (* the images *)
  (forall d, In d (images s') -> In d (images s) \/ d = vol s') ->
  StronglySorted (later w) (images s') -> later w (dur s') (dur s) -> good w' (vol s') ->
  (* candidates' logs *)
  (forall c u, c <> n \/ u <= cur s -> cl' c u = cl w c u) -> (forall u, LM (tl w) (cl' n u)) -> (forall u e, In e (cl' n u) -> eterm e < u) ->
  (forall c, vote (vol s') = Some c -> (c = n \/ term (vol s') <= term (dur (ns w c))) /\ forall t0 k,
     firm w t0 k (S (term (vol s'))) -> may_ack w n t0 k -> t0 < term (vol s') -> agree k (cl' c (term (vol s'))) (tl w t0)) ->
  (* votes and acknowledgements that leave *)
  (forall t m c, In (t, m, c) vs -> m = n /\ t = term (dur s) /\ dur s' = dur s /\ vote (dur s) = Some c) ->
  (forall m t k, In (m, t, k) ks -> m = n /\ t = term (dur s) /\ dur s' = dur s /\ agree k (log (dur s)) (tl w t) /\
     exists d, In d (images s) /\ term d = t /\ k <= mat d) ->
  (* messages *)
  (forall t v c, In (RVR t v c) ms -> In (t, v, c) vs) ->
  (forall t c li lt, In (RV t c li lt) ms -> c = n /\ t <= term (dur s') /\ li = length (cl' c t) /\ lt = last_term (cl' c t)) ->
  (forall t p pt es lc, In (AE t p pt es lc) ms -> el w t <> None /\ seg (tl w t) p pt es /\ known w t (tl w t) lc) ->
  (forall t l, In (SS t l) ms -> el w t <> None /\ agree (length l) l (tl w t) /\ known w t l (length l)) ->
  (forall t m k, In (AER t m k) ms -> In (m, t, k) ks) ->
  (* roles *)
  (rl s' = Candidate -> el w (cur s') <> Some n /\ log (vol s') = cl' n (cur s') /\ NoDup (votes s') /\
     incl (votes s') (conf (log (vol s'))) /\ forall v, In v (votes s') -> In (cur s', v, n) (vr w)) ->
  (rl s' = Leader -> el w (cur s') = Some n /\ log (vol s') = tl w (cur s') /\ cm' (cur s') <= ci (vol s') /\
     forall m, mt s' m = 0 \/ In (m, cur s', mt s' m) (ak w)) ->
  (* commit *)
  (forall t, cm w t <= cm' t) -> (forall t, cm' t = cm w t \/ el w t = Some n) ->
  (forall t, cm' t = cm w t \/ committed w t (cm' t)) ->
  inv w'.
Proof.
  intros s w' I Himg Hseq Hdur Hgood Hcl Hclm Hclt Hvote Hvs Hks Hrvr Hrv Hae Hss Haer Hc Hl Hcm1 Hcm2 Hcm3; subst s w'.
  set (w' := W _ _ _ _ _ _ _ _ _) in *.
  assert (C : forall m, term (dur (ns w m)) <= term (dur (upd (ns w) n s' m))) by (intros; uc; auto; apply Hdur).
  assert (T0 : forall t, exists y, tl w' t = tl w t ++ y) by (intros; exists []; simpl; now rewrite app_nil_r).
  assert (B : forall t k u, firm w' t k u -> firm w t k u) by (intros; auto).
  assert (LB : forall a b, later w a b -> later w' a b) by (intros a b; apply later_mono; auto).
  assert (G : forall d, In d (images s') -> good w' d).
  { intros d D; destruct (Himg d D) as [D'| ->]; auto; apply good_mono with w; auto; apply (i_img _ I _ _ D'). }
  assert (DC : term (dur (ns w n)) <= cur (ns w n)).
  { apply (later_vol _ _ _ I (in_dur (ns w n))). }
  assert (DC' : forall d, In d (images s') -> term d <= cur s').
  { intros d [<-|D]; auto; inversion_clear Hseq; rewrite Forall_forall in *; apply H0; auto. }
  assert (KC : forall c u, u <= term (dur (ns w c)) -> cl' c u = cl w c u).
  { intros c u U; apply Hcl; destruct (node_eq_dec c n) as [->|]; auto; right; lia. }
  assert (AK : forall m t k, acked w' m t k -> acked w m t k \/
     m = n /\ t = term (dur (ns w n)) /\ dur s' = dur (ns w n) /\ agree k (log (dur (ns w n))) (tl w t) /\ may_ack w n t k).
  { intros m t k (j & L & J); simpl in J; apply in_app_or in J as [J|J]; [|left; exists j; auto].
    apply Hks in J as (? & ? & ? & A & d & ? & ? & ?); right; split; [auto | split; [auto | split; [auto | split]]]; [eapply agree_le; eauto|].
    right; exists d; repeat split; auto; lia. }
  assert (MA : forall t k, may_ack w' n t k -> may_ack w n t k \/ t = term (vol s')).
  { intros t k [A|(d & D & X & K)].
    - apply AK in A as [A|(_ & _ & _ & _ & K)]; left; [left; auto | auto].
    - assert (In d (images s')) as D' by (simpl in D; uc; congruence).
      destruct (Himg d D') as [E| ->]; [left; right; exists d; auto | right; auto]. }
  assert (MO : forall m t k, m <> n -> may_ack w' m t k -> may_ack w m t k).
  { intros m t k N [A|(d & D & X & K)].
    - apply AK in A as [A|(? & _)]; [left; auto | congruence].
    - right; exists d; simpl in D; uc; [congruence | auto]. }
  open_inv I; constructor; intros.
  - simpl in *; apply in_app_or in H as [H|H].
    + apply Hvs in H as (-> & -> & E & ?); uc; rewrite ?E; auto; congruence.
    + apply Ivr in H as [H1 H2]; specialize (C n0); split; [lia|]; intros ->; uc; auto.
      destruct Hdur as (D1 & D2 & _); rewrite H2 in D2 by lia; destruct D2; [lia | congruence | discriminate].
  - simpl in *; apply in_app_or in H as [H|H]; apply in_app_or in H0 as [H0|H0]; eauto.
    + apply Hvs in H as (? & ? & ? & ?); apply Hvs in H0 as (? & ? & ? & ?); congruence.
    + apply Hvs in H as (-> & -> & _ & ?); apply Ivr in H0 as [H1 H2]; rewrite H2 in * by auto; congruence.
    + apply Hvs in H0 as (-> & -> & _ & ?); apply Ivr in H as [H1 H2]; rewrite H2 in * by auto; congruence.
  - simpl in *; specialize (C c); apply in_app_or in H as [H|H]; [|apply Ivrc in H; lia].
    apply Hvs in H as (-> & -> & _ & V); destruct (Ivote _ _ _ (in_dur _) V) as [[->|] _]; lia.
  - simpl in *; rewrite in_app_iff in *; destruct H; eauto.
  - simpl in *; apply in_app_or in H as [H|H].
    + apply Hrv in H as (-> & ? & ? & ?); uc; auto; congruence.
    + apply Irv in H as (? & ? & ?); specialize (C c); rewrite KC by auto; repeat split; auto; lia.
  - simpl in *; uc; [destruct (Hc H) as (_ & ? & ? & ? & X) | destruct (Icand _ H) as (? & ? & ? & X); rewrite Hcl by auto];
      repeat split; auto; intros; apply in_or_app; auto.
  - simpl in *; uc; [destruct (Hl H) as (? & ? & ? & _); auto | destruct (Ilead _ H) as (E & ? & ?)].
    destruct (Hcm2 (cur (ns w n0))) as [-> | ]; auto; congruence.
  - simpl in *; destruct (Iel _ _ H) as (? & X & j & q & J & Y & Y' & Q & V & A); specialize (C c); repeat split; try lia.
    + uc; auto; intros -> Z; apply Hc in Z as [Z _]; congruence.
    + exists j, q; do 4 (split; [auto|]); split; [intros; apply in_or_app; auto|].
      intros v t0 k K M L F; simpl; destruct (AK _ _ _ M) as [N|(-> & -> & _)]; [apply (A v); auto|].
      apply V, Ivr in K as []; lia.
  - simpl in *; auto.
  - simpl in H; uc; auto; apply good_mono with w; eauto.
  - simpl; uc; eapply sorted_mono; try (intros ? ? _ _; apply LB); auto.
  - simpl in H; assert (n0 = n /\ In d (images s') \/ n0 <> n /\ In d (images (ns w n0))) as [[-> D]|[N D]] by (uc; auto).
    + destruct (Himg d D) as [D'| ->].
      * destruct (Ivote _ _ _ D' H0) as [V1 V2]; split.
        { specialize (C c); destruct V1; auto; right; simpl; lia. }
        intros t0 k K M L; simpl; destruct (MA _ _ M) as [M'| ->]; [|apply DC' in D; lia].
        replace (cl' c (term d)) with (cl w c (term d)); auto; symmetry; destruct V1 as [->|V1]; [|auto].
        apply Hcl; right; apply (later_vol _ _ _ I D').
      * destruct (Hvote _ H0) as [V1 V2]; split.
        { specialize (C c); destruct V1; auto; right; simpl; lia. }
        intros t0 k K M L; simpl; destruct (MA _ _ M) as [M'| ->]; [auto | lia].
    + destruct (Ivote _ _ _ D H0) as [V1 V2]; split.
      { specialize (C c); destruct V1; auto; right; simpl; lia. }
      intros t0 k K M L; simpl; replace (cl' c (term d)) with (cl w c (term d)); auto.
      symmetry; destruct V1 as [->|V1]; auto.
  - simpl in *; auto.
  - simpl; destruct (node_eq_dec n0 n) as [->|]; auto; rewrite Hcl; auto.
  - simpl in *; destruct (node_eq_dec n0 n) as [->|]; [eauto | rewrite Hcl in H; eauto].
  - eauto.
  - assert (K : forall t l x, known w t l x -> known w' t l x) by (intros; apply known_mono with w t0; auto).
    simpl in *; apply in_app_or in H as [H|H]; [apply Hae in H as (? & ? & ?) | apply Iae in H as (? & ? & ?)]; auto.
  - assert (K : forall t l x, known w t l x -> known w' t l x) by (intros; apply known_mono with w t0; auto).
    simpl in *; apply in_app_or in H as [H|H]; [apply Hss in H as (? & ? & ?) | apply Iss in H as (? & ? & ?)]; auto.
  - simpl in *; specialize (C n0); apply in_app_or in H as [H|H].
    + apply Hks in H as (-> & -> & E & (_ & K & _) & _); uc; [rewrite E in *; split; auto | congruence].
    + apply Iak in H as []; split; auto; lia.
  - simpl in *; rewrite in_app_iff in *; destruct H; eauto.
  - simpl in *; uc; [destruct (Hl H) as (_ & _ & _ & X); destruct (X m) | destruct (Imt _ H m)]; auto using in_or_app.
  - apply B in H; simpl in *; destruct (AK _ _ _ H0) as [A|(-> & -> & E & K & _)].
    + assert (agree k (log (dur (ns w n0))) (tl w t)) as G0.
      { apply I1; auto; eapply firm_le; eauto; specialize (C n0); lia. }
      uc; auto; apply Hdur; auto; destruct A as (j & _ & A); apply (Iak _ _ _ A).
    + uc; congruence.
  - simpl in *; apply in_app_or in H1 as [H1|H1]; destruct (AK _ _ _ H0) as [A|(-> & -> & E & K)].
    + apply Hvs in H1 as (-> & -> & ? & X); destruct (Ivote _ _ _ (in_dur (ns w n)) X) as [V1 V2].
      rewrite KC; [apply V2; auto; left; auto | destruct V1 as [->|]; auto].
    + apply Hvs in H1 as (_ & -> & _); lia.
    + rewrite KC by (eapply Ivrc; eauto); eauto.
    + apply Ivr in H1 as []; lia.
  - simpl; destruct (Hcm3 t) as [-> | X]; [destruct (Icm t) as [-> | X]; auto | ];
      right; apply committed_mono with w; auto; simpl; apply incl_appr, incl_refl.
  - simpl in *; destruct (Imem _ _ _ _ H H0 H1) as (k & K & Q & S); exists k; split; auto.
    apply counted_mono with w; auto; simpl; apply incl_appr, incl_refl.
Qed.
End Invariant.
