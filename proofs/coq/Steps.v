(* Every step keeps the invariant: the two that change a leader's log by hand, the others by inv_node. *)
From Coq Require Import List Arith Lia Bool Sorted.
Require Export Members.
Import ListNotations.

Section Steps.
Context {params : Params}.

Lemma cur_dur w n : inv w -> term (dur (ns w n)) <= cur (ns w n).
Proof. intros I; apply (later_vol _ _ _ I (in_dur (ns w n))). Qed.

(* ---------- a candidate wins ---------- *)
Lemma inv_win w n : let s := ns w n in inv w -> rl s = Candidate -> length (conf (log (vol s))) < 2 * length (votes s) ->
  inv (W (upd (ns w) n (to_leader (win (vol s)) s)) (net w) (vr w) (cl w) (updt (el w) (cur s) (Some n))
      (updt (tl w) (cur s) (log (vol s))) (ak w) (cm w) (rd w)).
Proof.
  intros s I R M; subst s; set (w' := W _ _ _ _ _ _ _ _ _).
  assert (Z : el w (cur (ns w n)) = None) by (apply win_fresh; auto).
  pose proof (i_img _ I n _ (in_vol (ns w n))) as (GL & GT & _ & GK).
  pose proof (fun d => later_vol w n d I) as LV.
  open_inv I; destruct (Icand _ R) as (L & D & S & V).
  assert (Q : quorum (conf (log (vol (ns w n)))) (votes (ns w n))) by (repeat split; auto).
  assert (T : forall t, el w t <> None -> t <> cur (ns w n)) by (intros t ? ->; auto).
  assert (X : forall t, exists x, tl w' t = tl w t ++ x).
  { intros t; simpl; unfold updt; destruct Nat.eq_dec; [subst; rewrite Itl0; eauto | exists []; now rewrite app_nil_r]. }
  assert (Y : forall t, t <> cur (ns w n) -> tl w' t = tl w t).
  { intros; simpl; unfold updt; destruct Nat.eq_dec; congruence. }
  assert (C0 : cm w (cur (ns w n)) = 0).
  { destruct (Icm (cur (ns w n))) as [|[j ((O1 & O2 & _) & _)]]; auto; rewrite Itl0 in O2 by auto; simpl in O2; lia. }
  assert (C : forall m, dur (ns w' m) = dur (ns w m)) by (intros; simpl; uc; auto).
  assert (C' : forall m, cur (ns w' m) = cur (ns w m)) by (intros; simpl; uc; auto).
  assert (G : forall m, log (vol (ns w' m)) = log (vol (ns w m))) by (intros; simpl; uc; auto).
  assert (B : forall t k u, firm w' t k u -> t <> cur (ns w n) /\ firm w t k u).
  { intros t k u H; assert (t <> cur (ns w n)) as N.
    { intros ->; destruct H as [(O1 & O2 & O3) _]; simpl in *; unfold updt in *; destruct Nat.eq_dec; [|congruence].
      destruct k; [lia|]; simpl in O3; destruct (nth_error (log (vol (ns w n))) k) eqn:F; [|apply nth_error_None in F; lia].
      apply GL in F as (_ & F & _); rewrite O3, Itl0 in F; simpl in *; auto; lia. }
    split; auto; destruct H as [O H]; unfold own in O; rewrite (Y t N) in *; split; auto.
    intros t' L1 L2 E; rewrite <- (Y t') by auto; apply H; auto; simpl; unfold updt; destruct Nat.eq_dec; congruence. }
  assert (LB : forall a b, later w a b -> later w' a b).
  { intros a b; apply later_mono; intros t k u H; apply B in H as []; auto. }
  assert (IM : forall m d, In d (images (ns w' m)) -> In d (images (ns w m)) \/ m = n /\ d = win (vol (ns w n))).
  { intros m d H; simpl in H; uc; auto; destruct H; auto. }
  assert (K : forall t l x, known w t l x -> known w' t l x) by (intros; apply known_mono with w t; auto).
  assert (MA : forall m t k, t <> cur (ns w n) -> may_ack w' m t k -> may_ack w m t k).
  { intros m t k N [A|(d & H & E & F)]; [left; auto|]; apply IM in H as [H|(-> & ->)]; [right; eauto | simpl in E; congruence]. }
  constructor; intros; rewrite ?C, ?C', ?G in *; eauto using LM_ext.
  - simpl in *; uc; [discriminate | auto].
  - simpl in *; uc; [unfold updt; destruct Nat.eq_dec; [rewrite C0; repeat split; auto; lia | congruence]|].
    destruct (Ilead _ H) as (E1 & E2 & E3); unfold updt.
    destruct Nat.eq_dec; [exfalso; apply (T (cur (ns w n0))); congruence | auto].
  - simpl in H; unfold updt in H; destruct Nat.eq_dec.
    { inversion H; subst; clear H; split; [|split; [simpl; uc; congruence|]].
      { destruct (votes (ns w c)) as [|v q] eqn:F; [simpl in M; lia|].
        apply Ivrc with v; apply V; left; auto. }
      assert (tl w' (cur (ns w c)) = log (vol (ns w c))) as E1 by (simpl; unfold updt; destruct Nat.eq_dec; congruence).
      exists (length (log (vol (ns w c)))), (votes (ns w c)); unfold start; rewrite E1, firstn_all.
      split; [auto | split; [|split; [|split; [auto | split; [auto|]]]]].
      - intros e J; rewrite L in J; apply Iclt in J; auto.
      - intros m e J1 J2; assert (m < length (log (vol (ns w c)))) by (apply nth_error_Some; congruence); lia.
      - intros v t0 k J1 J2 J3 J4; apply B in J4 as [N [O J4]]; rewrite (Y t0 N), L; apply (I3 _ _ v); auto.
        split; auto; intros t' L1 L2 E2; apply J4; auto; destruct (Nat.eq_dec t' (cur (ns w c))); [congruence | lia]. }
    destruct (Iel _ _ H) as (? & ? & j & q & J & E1 & E2 & Qq & Vv & Aa); split; [auto | split; [simpl; uc; auto; discriminate|]].
    exists j, q; unfold start; rewrite (Y t) by auto; do 5 (split; [auto|]).
    intros u x k J1 J2 J3 J4; apply B in J4 as [N J4]; rewrite (Y x N); eauto.
  - simpl in *; unfold updt in *; destruct Nat.eq_dec; [discriminate | auto].
  - apply IM in H as [H|(-> & ->)]; [apply good_mono with w; eauto|].
    split; [eapply LM_ext; eauto | split; [auto | split; simpl; auto]].
    unfold updt; destruct Nat.eq_dec; [apply agree_refl; auto | congruence].
  - simpl; unfold upd; destruct node_eq_dec; [subst | apply sorted_mono with (later w); auto].
    assert (later w (win (vol (ns w n))) (vol (ns w n))) as F by (split; [|split]; simpl; auto).
    apply sorted_mono with (later w); auto; apply (seq_vol w n (win (vol (ns w n))) I F).
  - assert (vote_ok w n0 c (term d)) as [V1 V2].
    { apply IM in H as [H|(-> & ->)]; [eauto | apply (Ivote _ (vol (ns w n))); [apply in_vol | auto]]. }
    split; [rewrite C; auto|]; intros t0 k H1 H2 H3; apply B in H1 as [N H1]; rewrite (Y t0 N); apply V2; auto.
  - simpl in *; unfold updt at 2; destruct Nat.eq_dec; subst; eapply LM_ext; eauto.
  - simpl in *; unfold updt in *; destruct Nat.eq_dec; subst; eauto.
  - apply Iae in H as (? & ? & ?); rewrite Y by auto; split; auto; simpl; unfold updt; destruct Nat.eq_dec; auto; discriminate.
  - apply Iss in H as (? & ? & ?); rewrite Y by auto; split; auto; simpl; unfold updt; destruct Nat.eq_dec; auto; discriminate.
  - apply Iak in H as []; destruct (X t) as [x ->]; rewrite app_length; split; auto; lia.
  - simpl in *; uc; auto.
  - apply B in H as []; rewrite Y by auto; auto.
  - apply B in H as [N H]; rewrite Y by auto; eauto.
  - destruct (Icm t) as [|]; [left; auto | right; apply committed_mono with w; auto; apply incl_refl].
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [exfalso | rewrite (Y t) in * by auto].
    + simpl in H; unfold updt in H; destruct Nat.eq_dec; [|congruence]; apply nth_error_In in H; rewrite L in H.
      apply Iclt in H; lia.
    + destruct (Imem _ _ _ _ H H0 H1) as (k & KC & KQ); exists k; split; [|auto].
      apply counted_mono with w; auto; apply incl_refl.
Qed.

(* ---------- a leader appends ---------- *)
Lemma inv_append w n v : let s := ns w n in inv w -> rl s = Leader -> may_append v (vol s) ->
  inv (W (upd (ns w) n (set_vol (append v (vol s)) s)) (net w) (vr w) (cl w) (el w)
      (updt (tl w) (cur s) (log (vol s) ++ [E (cur s) v])) (ak w) (cm w) (rd w)).
Proof.
  intros s I R MA; subst s; set (e := E (cur (ns w n)) v); set (w' := W _ _ _ _ _ _ _ _ _).
  pose proof (i_img _ I n _ (in_vol (ns w n))) as (GL & GT & _ & GK).
  open_inv I; destruct (Ilead _ R) as (E0 & L & CI).
  assert (X : forall t, exists x, tl w' t = tl w t ++ x).
  { intros t; simpl; unfold updt; destruct Nat.eq_dec; [subst; rewrite <- L; eauto | exists []; now rewrite app_nil_r]. }
  assert (Y : forall t, t <> cur (ns w n) -> tl w' t = tl w t).
  { intros; simpl; unfold updt; destruct Nat.eq_dec; congruence. }
  assert (Z : tl w' (cur (ns w n)) = log (vol (ns w n)) ++ [e]) by (simpl; unfold updt; destruct Nat.eq_dec; congruence).
  assert (C : forall m, dur (ns w' m) = dur (ns w m)) by (intros; simpl; uc; auto).
  assert (C' : forall m, cur (ns w' m) = cur (ns w m)) by (intros; simpl; uc; auto).
  assert (RL : forall m, rl (ns w' m) = rl (ns w m)) by (intros; simpl; uc; auto).
  assert (P : forall t, agree (length (tl w t)) (tl w t) (tl w' t)).
  { intros t; destruct (X t) as [x ->]; apply agree_app, agree_refl; auto. }
  assert (B : forall t k u, firm w' t k u -> k <= length (tl w t) -> firm w t k u).
  { intros t k u [(O1 & O2 & O3) F] J; pose proof (agree_le _ k _ _ (P t) J) as G; split.
    - split; [auto | split; auto]; rewrite <- O3 at 2; apply (agree_term _ _ _ _ G); auto.
    - intros t' L1 L2 E1; specialize (F t' L1 L2 E1); apply agree_trans with (tl w' t); [|apply agree_sym; auto].
      apply agree_trans with (tl w' t'); [|auto].
      apply agree_le with (length (tl w t')); [apply P|].
      destruct (Nat.eq_dec t' (cur (ns w n))) as [->|N]; [|rewrite <- (Y t') by auto; apply F].
      destruct (le_lt_dec k (length (tl w (cur (ns w n))))) as [|Q]; auto; exfalso.
      pose proof (agree_term _ _ _ k F ltac:(auto)) as T; rewrite O3 in T.
      destruct F as (F & _); rewrite Z, app_length in F; rewrite <- L in Q; simpl in F.
      replace k with (S (length (log (vol (ns w n))))) in T by lia; rewrite Z in T; simpl in T.
      rewrite nth_error_app2, Nat.sub_diag in T by auto; simpl in T; lia. }
  (* no log but the leader's own has the new entry *)
  assert (U : forall t k l, own w' t k -> LM (tl w) l -> agree k l (tl w' t) -> k <= length (tl w t)).
  { intros t k l (O1 & O2 & O3) M A; destruct k as [|k]; [lia|].
    rewrite <- (agree_term _ _ _ (S k) A) in O3 by auto; simpl in O3.
    destruct (nth_error l k) as [f|] eqn:F; [|destruct A as (A & _); apply nth_error_None in F; lia].
    apply M in F as (_ & F & _); rewrite O3 in F; auto. }
  assert (A : forall m t k, acked w m t k -> k <= length (tl w t)).
  { intros m t k (j & J & H); apply Iak in H as []; lia. }
  assert (K : forall t l x, known w t l x -> known w' t l x) by (intros; apply known_mono with w t; auto).
  assert (LS : LM (tl w') (log (vol (ns w n)) ++ [e])).
  { apply LM_snoc; [eapply LM_ext; eauto|]; exists []; auto. }
  assert (IM : forall m d, In d (images (ns w' m)) -> In d (images (ns w m)) \/ m = n /\ d = append v (vol (ns w n))).
  { intros m d H; simpl in H; uc; auto; destruct H; auto. }
  assert (LB : forall m a b, In a (images (ns w m)) -> In b (images (ns w m)) -> later w a b -> later w' a b).
  { intros m a b Ia Ib (T1 & V1 & L1); split; [auto | split; auto]; intros t k H J G.
    assert (k <= length (tl w t)) as N by (apply (U t k (log b)); auto; [apply H | apply (Iimg _ _ Ib)]).
    destruct (X t) as [x E1]; rewrite E1; apply agree_app, L1; auto.
    apply agree_trans with (tl w' t); auto; rewrite E1; apply agree_sym, agree_app, agree_refl; auto. }
  assert (LV : forall b, In b (images (ns w n)) -> later w' (append v (vol (ns w n))) b).
  { intros b Ib; apply later_trans with (vol (ns w n)); [|apply LB with n; auto; [apply in_vol | apply later_vol; auto]].
    split; [|split]; simpl; auto; intros; apply agree_app_l; auto. }
  constructor; intros; rewrite ?C, ?C', ?RL in *; eauto using LM_ext.
  - destruct (Icand _ H) as (? & ? & ? & ?); simpl; uc; [congruence | auto].
  - destruct (Ilead _ H) as (? & ? & ?); split; auto; destruct (node_eq_dec n0 n) as [->|N].
    + rewrite Z; simpl; uc; [auto | congruence].
    + rewrite Y by congruence; simpl; uc; [congruence | auto].
  - destruct (Iel _ _ H) as (? & ? & j & q & J & E1 & E2 & Qq & Vv & Aa); split; [auto | split; [auto|]].
    assert (firstn j (tl w' t) = firstn j (tl w t)) as FE by (symmetry; apply (agree_le _ j _ _ (P t)); auto).
    exists j, q; unfold start; rewrite FE; split; [destruct (P t) as (_ & ? & _); lia|]; split; [auto | split].
    { intros m f J1 J2; destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [rewrite Z in J2 | rewrite Y in J2 by auto; eauto].
      destruct (le_lt_dec (length (log (vol (ns w n)))) m) as [G|G]; [|rewrite nth_error_app1 in J2 by auto; rewrite L in J2; eauto].
      rewrite nth_error_app2 in J2 by auto; apply nth_error_In in J2 as [<-|[]]; auto. }
    do 2 (split; [auto|]).
    intros u x k J1 J2 J3 J4; pose proof (A _ _ _ J2); apply B in J4; auto.
    apply agree_trans with (tl w x); [eauto | apply agree_le with (length (tl w x)); auto].
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [simpl in H; congruence | rewrite Y; auto].
  - apply IM in H as [H|(-> & ->)]; [apply good_mono with w; eauto|]; split; [auto | split; [|split]]; simpl.
    + intros f H; apply in_app_or in H as [H|[<-|[]]]; auto.
    + change (updt _ _ _ _) with (tl w' (cur (ns w n))); rewrite Z; apply agree_refl; rewrite app_length; simpl; lia.
    + apply known_app; auto.
  - simpl; unfold upd; destruct node_eq_dec; [subst | apply sorted_mono with (later w); eauto].
    specialize (Iseq n); inversion_clear Iseq; constructor; [|apply Forall_forall; intros; apply LV; right; auto].
    eapply sorted_mono; [|eauto]; intros; apply LB with n; simpl; auto.
  - assert (vote_ok w n0 c (term d)) as [V1 V2].
    { apply IM in H as [H|(-> & ->)]; [eauto | apply (Ivote _ (vol (ns w n))); [apply in_vol | auto]]. }
    split; [rewrite C; auto|]; intros t0 k H1 H2 H3.
    assert (may_ack w n0 t0 k) as H4.
    { destruct H2 as [|(f & F & G & J)]; [left; auto|]; apply IM in F as [F|(-> & ->)]; [right; eauto|].
      simpl in G; apply IM in H as [H|(_ & ->)]; [|simpl in *; lia].
      destruct (later_vol w n d I H) as [? _]; lia. }
    assert (k <= length (tl w t0)) as N.
    { destruct H4 as [F|(f & F & <- & J)]; eauto; destruct (Iimg _ _ F) as (_ & _ & (_ & G & _) & _); lia. }
    destruct (X t0) as [x ->]; apply agree_app, V2; auto.
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [rewrite Z; auto | rewrite Y by auto; eauto using LM_ext].
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [rewrite Z in H | rewrite Y in H by auto; eauto].
    apply in_app_or in H as [H|[<-|[]]]; auto.
  - apply Iae in H as (? & ? & ?); destruct (X t) as [x ->]; auto using seg_ext, known_app.
  - apply Iss in H as (? & ? & ?); destruct (X t) as [x ->]; auto using agree_app.
  - apply Iak in H as []; destruct (X t) as [x ->]; rewrite app_length; split; auto; lia.
  - simpl ns; uc; auto; apply Imt; auto.
  - destruct (X t) as [x ->]; apply agree_app; eauto.
  - destruct (X t) as [x ->]; apply agree_app; eauto.
  - destruct (Icm t) as [|]; [left; auto | right; apply committed_mono with w; auto; apply incl_refl].
  - assert (nth_error (tl w t) m = Some e0 \/ t = cur (ns w n) /\ m = length (log (vol (ns w n))) /\ e0 = e) as [F|(-> & -> & ->)].
    { destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [rewrite Z in H | rewrite Y in H by auto; auto].
      destruct (le_lt_dec (length (log (vol (ns w n)))) m) as [G|G]; [right | rewrite nth_error_app1 in H by auto; left; congruence].
      rewrite nth_error_app2 in H by auto; destruct (m - length (log (vol (ns w n)))) as [|[]] eqn:D; simpl in H; inversion H.
      split; [auto | split; [lia | auto]]. }
    + destruct (Imem _ _ _ _ F H0 H1) as (k & KC & KQ & O); assert (S m <= length (tl w t)) as G by (apply nth_error_Some; congruence).
      exists k; split; [apply counted_mono with w; auto; apply incl_refl | split].
      * apply (quiet_agree _ _ _ _ _ (P t)); auto; lia.
      * rewrite <- (conf_agree _ m _ _ (P t)) by lia; auto.
    + (* a list of members is appended *)
      unfold emem in H1; simpl in H1; destruct v as [x|] eqn:V; [|discriminate].
      destruct (MA _ _ eq_refl H1) as (M1 & M2 & M3 & M4); rewrite Z, firstn_app, firstn_all, Nat.sub_diag; simpl; rewrite app_nil_r.
      exists (ci (vol (ns w n))); split; [|split; [|exact M4]].
      2: { apply (quiet_agree (length (log (vol (ns w n)))) _ _ (log (vol (ns w n)))); auto; apply agree_app, agree_refl; auto. }
      assert (ci (vol (ns w n)) = cm w (cur (ns w n))) as CE.
      { destruct GK as [GK|(t0 & T0 & T1 & T2)]; [lia|]; apply Nat.le_antisymm; auto.
        rewrite (agree_term _ _ _ _ T2) in M2 by auto; destruct (ci (vol (ns w n))) as [|i]; [lia|]; simpl in M2.
        destruct (nth_error (tl w t0) i) as [f|] eqn:F; [|destruct T2 as (_ & T2 & _); apply nth_error_None in F; lia]; apply nth_error_In, Itt in F.
        replace (cur (ns w n)) with t0 by lia; auto. }
      destruct (Icm (cur (ns w n))) as [|[j (J1 & J2 & J3 & q & Q & J4)]]; [lia|]; rewrite CE in *.
      apply counted_mono with w; auto; [apply incl_refl|]; rewrite L; split; [auto | split; [|split; [auto | exists q; split; auto]]].
      * lia.
      * rewrite <- L in *; rewrite firstn_all.
        rewrite (conf_quiet _ (cm w (cur (ns w n))) j) in Q; auto; [|eapply quiet_le; eauto].
        rewrite <- (firstn_all (log (vol (ns w n)))); rewrite (conf_quiet _ (cm w (cur (ns w n)))); auto; lia.
Qed.

(* ---------- votes ---------- *)
(* an up-to-date candidate has everything firm that the voter has *)
Lemma up_to_date_ok w n c t0 k : let t := cur (ns w n) in inv w -> up_to_date (length (cl w c t)) (last_term (cl w c t)) (log (vol (ns w n))) ->
  firm w t0 k (S t) -> may_ack w n t0 k -> agree k (cl w c t) (tl w t0).
Proof.
  intros t I U H A; pose proof (may_ack_agree _ _ _ _ I H A) as G; pose proof H as [(O1 & O2 & O3) _].
  destruct (i_img _ I n _ (in_vol (ns w n))) as (GL & _); open_inv I.
  set (l := log (vol (ns w n))) in *; set (L := cl w c t) in *.
  assert (forall l, LM (tl w) l -> agree (length l) l (tl w (last_term l))) as M.
  { intros x Mx; unfold last_term, term_at; destruct (length x) as [|i] eqn:Z; [repeat split; lia|].
    destruct (nth_error x i) eqn:N; [auto | apply nth_error_None in N; lia]. }
  assert (forall u j, 0 < j -> j <= length (tl w u) -> term_at (tl w u) j <= u) as TT.
  { intros u [|j] P Q; [lia|]; simpl; destruct (nth_error (tl w u) j) eqn:N; [|lia]; eapply Itt, nth_error_In; eauto. }
  assert (k <= length l) as Ll by apply G.
  assert (t0 <= last_term l) as T1.
  { rewrite <- O3; rewrite <- (agree_term _ _ _ k G) by auto; rewrite (agree_term _ _ _ k (M l GL)) by auto.
    apply TT; auto; destruct (M l GL) as (_ & ? & _); lia. }
  destruct U as [U|[U V]].
  - set (u := last_term L) in *; pose proof (M L (Ilmc c t)) as ML; fold u in ML.
    assert (0 < length L) as P by (unfold u, last_term in U; destruct (length L); simpl in U; lia).
    assert (el w u <> None) as El.
    { intros Z; destruct ML as (_ & ML & _); rewrite (Itl0 _ Z) in ML; simpl in ML; lia. }
    assert (u < t) as Ut.
    { unfold u, last_term, term_at in *; destruct (length L) as [|i]; [lia|]; destruct (nth_error L i) eqn:N; [|lia].
      apply nth_error_In, Iclt in N; auto. }
    assert (agree k (tl w u) (tl w t0)) as X by (apply H; auto; lia).
    apply agree_trans with (tl w u); auto; apply agree_le with (length L); auto.
    destruct (le_lt_dec k (length L)); auto; exfalso.
    assert (term_at L (length L) = term_at (tl w t0) (length L)) as E1.
    { rewrite (agree_term _ _ _ _ ML) by auto; apply agree_term with k; auto; lia. }
    specialize (TT t0 (length L) P); fold (last_term L) in E1; fold u in E1; lia.
  - apply agree_trans with l; auto; apply LM_agree with (tl w); auto; try lia; try apply GL.
    + apply Ilmc.
    + pose proof (M L (Ilmc c t)) as ML; pose proof (M l GL) as Ml; rewrite U in Ml.
      rewrite (agree_term _ _ _ k ML) by lia; rewrite (agree_term _ _ _ k Ml) by lia; auto.
Qed.

(* ---------- all steps ---------- *)
(* what a step that keeps term and vote keeps *)
Lemma keep_vote w n c : inv w -> vote (vol (ns w n)) = Some c -> vote_ok w n c (cur (ns w n)).
Proof. intros I V; apply (i_vote _ I n); auto; apply in_vol. Qed.
Lemma keep_good w w' n : inv w -> tl w' = tl w -> (forall t, cm w t <= cm w' t) -> good w' (vol (ns w n)).
Proof.
  intros I T C; apply good_mono with w; auto; [rewrite T; intros; exists []; now rewrite app_nil_r|].
  apply (i_img _ I n), in_vol.
Qed.
Lemma keep_cand w n : inv w -> rl (ns w n) = Candidate -> el w (cur (ns w n)) <> Some n.
Proof. intros I R X; apply (i_el _ I) in X as (_ & X & _); tauto. Qed.

(* the arguments of inv_node that are plain for most steps *)
Ltac plain I := simpl; try match goal with
  | |- forall d, _ \/ _ -> _ \/ _ => intros ? [<-|]; auto; fail
  | |- good _ _ => apply keep_good; auto; fail
  | |- later _ _ _ => apply later_refl
  | |- StronglySorted _ _ => first [apply (i_seq _ I) | apply seq_vol; auto; split; [|split]; simpl; auto; fail]
  | |- forall c, vote _ = Some c -> _ => intros ? ?; apply keep_vote; auto; fail
  | |- forall u, LM _ _ => apply (i_lmc _ I)
  | |- forall u e, In e (cl _ _ u) -> _ => apply (i_clt _ I)
  | |- forall a b, False -> _ => tauto
  | |- forall a b c, False -> _ => tauto
  | |- forall a b c d, False -> _ => tauto
  | |- forall a b c d e, False -> _ => tauto
  | |- forall a b, _ \/ False -> _ => let J := fresh in intros ? ? [J|[]]; discriminate J
  | |- forall a b c, _ \/ False -> _ => let J := fresh in intros ? ? ? [J|[]]; first [discriminate J | inversion J; subst; auto]; fail
  | |- forall a b c d, _ \/ False -> _ => let J := fresh in intros ? ? ? ? [J|[]]; discriminate J
  | |- forall a b c d e, _ \/ False -> _ => let J := fresh in intros ? ? ? ? ? [J|[]]; discriminate J
  | |- _ = Candidate -> _ => first [discriminate | congruence
      | let R := fresh in intros R; split; [apply (keep_cand _ _ I R) | apply (i_cand _ I _ R)]]
  | |- _ = Leader -> _ => first [discriminate | congruence
      | let R := fresh in intros R; destruct (i_lead _ I _ R) as (? & ? & ?); repeat split; auto; apply (i_mt _ I _ R)]
  end; auto.

(* ---------- the applied index ---------- *)
Lemma know_term k v d : term (know k v d) = term d. Proof. unfold know; destruct (_ && _); auto. Qed.
Lemma know_vote k v d : vote (know k v d) = vote d. Proof. unfold know; destruct (_ && _); auto. Qed.
Lemma know_log k v d : log (know k v d) = log d. Proof. unfold know; destruct (_ && _); auto. Qed.
Lemma know_mat k v d : mat (know k v d) = mat d. Proof. unfold know; destruct (_ && _); auto. Qed.
Lemma know_self k v : know k v v = v.
Proof.
  unfold know; destruct (_ && _) eqn:X; auto.
  repeat (apply andb_true_iff in X as [X ?]); match goal with H : (k <=? ci v) = true |- _ => apply Nat.leb_le in H end.
  rewrite Nat.max_l by auto; destruct v; auto.
Qed.
Lemma images_mark k s : images (mark k s) = map (know k (vol s)) (images s).
Proof. unfold images; simpl; rewrite know_self, map_app; auto. Qed.
Lemma good_know w n k d : inv w -> In d (images (ns w n)) -> good w (know k (vol (ns w n)) d).
Proof.
  intros I D; pose proof (i_img _ I n _ D) as G; unfold know; destruct (_ && _) eqn:X; auto.
  repeat (apply andb_true_iff in X as [X ?]); repeat match goal with
    | H : (_ <=? _) = true |- _ => apply Nat.leb_le in H | H : (_ =? _) = true |- _ => apply Nat.eqb_eq in H end.
  destruct G as (GL & GT & GM & GK), (i_img _ I n _ (in_vol (ns w n))) as (VL & _ & _ & VK).
  split; [auto | split; [auto | split; [auto|]]]; simpl.
  destruct (Nat.max_spec (ci d) k) as [[_ ->]|[_ ->]]; auto.
  destruct VK as [Z|(t0 & L & C & A)]; [left; lia|]; right; exists t0; split; [lia | split; [lia|]].
  apply agree_trans with (log (vol (ns w n))); [|eapply agree_le; eauto].
  apply LM_agree with (tl w); auto; destruct A as (A & _); lia.
Qed.
Lemma inv_mark w n k : inv w ->
  inv (W (upd (ns w) n (mark k (ns w n))) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w)).
Proof.
  intros I; set (w' := W _ _ _ _ _ _ _ _ _).
  assert (V : forall m, vol (ns w' m) = vol (ns w m)) by (intros; simpl; uc; auto).
  assert (RL : forall m, rl (ns w' m) = rl (ns w m)) by (intros; simpl; uc; auto).
  assert (VS : forall m, votes (ns w' m) = votes (ns w m)) by (intros; simpl; uc; auto).
  assert (MT : forall m, mt (ns w' m) = mt (ns w m)) by (intros; simpl; uc; auto).
  assert (DT : forall m, term (dur (ns w' m)) = term (dur (ns w m))) by (intros; simpl; uc; auto using know_term).
  assert (DV : forall m, vote (dur (ns w' m)) = vote (dur (ns w m))) by (intros; simpl; uc; auto using know_vote).
  assert (DL : forall m, log (dur (ns w' m)) = log (dur (ns w m))) by (intros; simpl; uc; auto using know_log).
  assert (B : forall t x u, firm w' t x u <-> firm w t x u) by (intros; tauto).
  assert (LB : forall a b, later w a b -> later w' a b).
  { intros a b (L1 & L2 & L3); split; [auto | split; auto]; intros t x C; apply L3, B; auto. }
  assert (LR : forall a b, later w a b -> later w' (know k (vol (ns w n)) a) (know k (vol (ns w n)) b)).
  { intros a b (L1 & L2 & L3); split; [|split]; rewrite ?know_term, ?know_vote, ?know_log; auto. }
  assert (IM : forall m d, In d (images (ns w' m)) -> good w' d /\ exists d0, In d0 (images (ns w m)) /\ term d0 = term d /\
    vote d0 = vote d /\ mat d0 = mat d).
  { intros m d D; change (ns w' m) with (upd (ns w) n (mark k (ns w n)) m) in D; unfold upd in D; destruct node_eq_dec; [subst m; rewrite images_mark in D|].
    - apply in_map_iff in D as (d0 & <- & D); split; [apply (good_know w n k d0 I D) | exists d0].
      rewrite know_term, know_vote, know_mat; auto.
    - split; [apply (i_img _ I _ _ D) | exists d; auto]. }
  assert (MA : forall m t x, may_ack w' m t x -> may_ack w m t x).
  { intros m t x [A|(d & D & T & M)]; [left; exact A|]; right.
    destruct (IM _ _ D) as (_ & d0 & D0 & T0 & _ & M0); exists d0; split; [auto | split; [congruence | lia]]. }
  open_inv I; constructor; intros; rewrite ?V, ?RL, ?VS, ?MT, ?DT, ?DV, ?DL in *;
    try match goal with H : firm w' _ _ _ |- _ => apply B in H end; eauto.
  - apply IM in H; apply H.
  - change (ns w' n0) with (upd (ns w) n (mark k (ns w n)) n0); unfold upd; destruct node_eq_dec; [subst n0; rewrite images_mark|].
    + specialize (Iseq n); induction Iseq as [|a l S X F]; simpl; constructor; auto.
      rewrite Forall_forall in *; intros y Y; apply in_map_iff in Y as (z & <- & Z); auto.
    + apply sorted_mono with (later w); auto.
  - destruct (IM _ _ H) as (_ & d0 & D0 & T0 & V0 & _); rewrite <- T0, <- V0 in *.
    destruct (Ivote _ _ _ D0 H0) as [A C]; split; [rewrite DT; auto|]; intros t0 x Y Z; apply C; auto; apply B; auto.
Qed.

Lemma inv_step asked w w' : inv w -> step asked w w' -> inv w'.
Proof.
  intros I S; destruct S; subst s;
    pose proof (i_img _ I n _ (in_vol (ns w n))) as (GL & GT & GM & GK); pose proof (cur_dur w n I) as CD.
  - (* bump *)
    apply (inv_node w n (to_follower (bump t (vol (ns w n))) (ns w n)) [] [] []); plain I.
    + apply seq_vol; auto; split; [|split]; simpl; auto; try lia.
    + split; [auto | split; [|split]]; simpl; auto.
      * intros e X; apply GT in X; lia.
      * repeat split; auto; lia.
      * apply known_mono with w (cur (ns w n)); simpl; auto; try lia; intros; exists []; now rewrite app_nil_r.
    + discriminate.
  - (* step down *)
    apply (inv_node w n (to_follower (vol (ns w n)) (ns w n)) [] [] []); plain I.
  - (* campaign *)
    apply (inv_node w n (to_candidate (campaign n (vol (ns w n))) (ns w n)) [] [] []); plain I.
    + apply seq_vol; auto; split; [|split]; simpl; auto; try lia.
    + split; [auto | split; [|split]]; simpl; auto.
      * repeat split; auto; lia.
      * apply known_mono with w (cur (ns w n)); simpl; auto; intros; exists []; now rewrite app_nil_r.
    + intros c u X; uc; auto; destruct Nat.eq_dec; auto; destruct X; [congruence | lia].
    + intros u; uc; [|congruence]; destruct Nat.eq_dec; auto; apply (i_lmc _ I).
    + intros u e X; uc; [|congruence]; destruct Nat.eq_dec; [subst u; apply GT in X; lia | apply (i_clt _ I) in X; auto].
    + intros c X; inversion X; subst; split; auto; intros t0 k C A _; uc; [|congruence].
      destruct Nat.eq_dec; [simpl | congruence]; apply may_ack_agree; auto.
      eapply firm_le; eauto.
    + intros _; split; [|split; [|split; [constructor | split; [intros ? [] | tauto]]]].
      * intros X; apply (i_el _ I) in X as (X & _); lia.
      * uc; [|congruence]; destruct Nat.eq_dec; congruence.
  - (* ask for votes *)
    apply (inv_node w n (ns w n) [RV (cur (ns w n)) n (length (cl w n (cur (ns w n)))) (last_term (cl w n (cur (ns w n))))] [] []); plain I.
    intros t c li lt [X|[]]; inversion X; subst; repeat split; auto; lia.
  - (* grant *)
    subst t; apply (inv_node w n (set_vol (grant c (vol (ns w n))) (ns w n)) [] [] []); plain I.
    + apply seq_vol; auto; split; [|split]; simpl; auto.
      intros _; destruct H1; auto.
    + intros c' X; inversion X; subst c'; apply (i_rv _ I) in H as (? & -> & ->); split; auto.
      intros; apply (up_to_date_ok w n c); auto.
  - (* a vote leaves *)
    apply (inv_node w n (ns w n) [RVR (term (dur (ns w n))) n c] [(term (dur (ns w n)), n, c)] []); plain I.
  - (* a vote is counted *)
    destruct (i_cand _ I _ H) as (? & ? & ? & ?).
    apply (inv_node w n (tally v (ns w n)) [] [] []); plain I.
    intros _; split; [apply (keep_cand _ _ I H) | split; [auto | split; [constructor; auto | split]]].
    + intros x [<-|X]; auto.
    + intros x [<-|X]; auto; apply (i_rvr _ I); auto.
  - apply inv_win; auto.
  - apply inv_append; auto.
  - (* send entries *)
    destruct (i_lead _ I _ H) as (X & Y & _).
    apply (inv_node w n (ns w n) [AE (cur (ns w n)) p (term_at (log (vol (ns w n))) p) (firstn m (skipn p (log (vol (ns w n))))) (ci (vol (ns w n)))] [] []); plain I.
    intros t p' pt es lc [Z|[]]; inversion Z; subst; clear Z; split; [congruence|]; rewrite <- Y; split; auto.
    assert (length (firstn m (skipn p' (log (vol (ns w n))))) = m) as L by (rewrite firstn_length, skipn_length; lia).
    repeat split; rewrite L; auto.
  - (* accept entries *)
    destruct (i_ae _ I _ _ _ _ _ H) as (Z & G & KN); subst t.
    destruct (new_log_ok (tl w) (log (vol (ns w n))) (tl w (cur (ns w n))) p pt es) as (N1 & N2 & N3 & N4); auto; try apply (i_lmt _ I).
    assert (NC : forall t k, firm w t k (S (cur (ns w n))) -> t <= cur (ns w n) -> agree k (log (vol (ns w n))) (tl w t) ->
      agree k (new_log (log (vol (ns w n))) p es) (tl w t)).
    { intros t k C T A; destruct (Nat.eq_dec t (cur (ns w n))) as [->|D]; auto.
      assert (agree k (tl w (cur (ns w n))) (tl w t)) as A2 by (apply C; auto; lia).
      apply agree_trans with (tl w (cur (ns w n))); auto; apply N3; eapply agree_trans; eauto using agree_sym. }
    apply (inv_node w n (to_follower (accept p es lc (vol (ns w n))) (ns w n)) [] [] []); plain I.
    split; [auto | split; [|split]]; simpl; auto.
    + intros e X; destruct (N4 e X); auto; apply (i_tt _ I); auto.
    + destruct (Nat.max_spec (mat (vol (ns w n))) (p + length es)) as [[_ ->]|[_ ->]]; auto.
    + destruct (Nat.max_spec (ci (vol (ns w n))) (Nat.min lc (p + length es))) as [[_ ->]|[_ ->]].
      * destruct KN as [X|(t0 & L & X & A)]; [left; lia|]; right; exists t0; simpl; split; [auto | split; [lia|]].
        apply agree_trans with (tl w (cur (ns w n))); [apply agree_le with (p + length es) | apply agree_le with lc]; auto; lia.
      * destruct GK as [X|(t0 & L & X & A)]; [left; auto|]; right; exists t0; simpl; split; [auto | split; [auto|]].
        destruct (Nat.eq_dec (ci (vol (ns w n))) 0) as [E0|E0]; [rewrite E0; repeat split; lia|].
        pose proof (cm_committed w t0 _ I X E0) as CC.
        destruct (Nat.eq_dec t0 (cur (ns w n))) as [->|D]; [apply N3; auto|].
        assert (agree (cm w t0) (tl w (cur (ns w n))) (tl w t0)) as A2 by (apply (i_2 _ I); auto; lia).
        apply agree_le with (j := ci (vol (ns w n))) in A2; auto.
        apply agree_trans with (tl w (cur (ns w n))); auto; apply N3; eapply agree_trans; eauto using agree_sym.
  - (* a snapshot is offered *)
    destruct (i_lead _ I _ H) as (X & Y & _).
    apply (inv_node w n (ns w n) [SS (cur (ns w n)) (firstn k (log (vol (ns w n))))] [] []); plain I.
    intros t l [Z|[]]; inversion Z; subst; clear Z; split; [congruence|].
    assert (length (firstn k (log (vol (ns w n)))) <= k) as L by (rewrite firstn_length; lia).
    assert (agree (length (firstn k (log (vol (ns w n))))) (firstn k (log (vol (ns w n)))) (log (vol (ns w n)))) as A.
    { split; [auto | split; [rewrite firstn_length; lia|]]; rewrite firstn_all, firstn_length.
      destruct (Nat.min_spec k (length (log (vol (ns w n))))) as [[_ ->]|[Z ->]]; auto; rewrite firstn_all; apply firstn_all2; auto. }
    split; [rewrite <- Y; auto|].
    apply known_le with (y := length (firstn k (log (vol (ns w n))))) in GK; [|lia].
    destruct GK as [GK|(t0 & G1 & G2 & G3)]; [left; auto | right; exists t0; split; [auto | split; [auto|]]].
    eapply agree_trans; eauto.
  - (* a snapshot is taken over *)
    destruct (i_ss _ I _ _ H) as (E & A & K).
    assert (LM (tl w) l) as ML.
    { rewrite <- (firstn_all l); destruct A as (_ & L & ->); apply LM_firstn; auto; apply (i_lmt _ I). }
    assert (forall t0 k, firm w t0 k (S (cur (ns w n))) -> agree (Nat.min k (length l)) l (tl w t0)) as F.
    { intros t0 k [(O1 & O2 & O3) F]; destruct K as [Z|(t1 & T1 & C & G)]; [rewrite Z, Nat.min_0_r; repeat split; lia|].
      destruct (Nat.eq_dec (length l) 0) as [Z|Z]; [rewrite Z, Nat.min_0_r; repeat split; lia|].
      pose proof (cm_committed w t1 _ I C Z) as CC.
      destruct (lt_eq_lt_dec t0 t1) as [[L| ->]|L].
      - apply agree_trans with (tl w t1); [apply agree_le with (length l); auto; lia|].
        apply agree_le with k; [|lia]; apply F; auto; [lia|]; destruct CC as [j CC]; apply (counted_el _ _ _ _ I CC).
      - apply agree_le with (length l); auto; lia.
      - apply agree_trans with (tl w t1); [apply agree_le with (length l); auto; lia|].
        apply agree_sym, agree_le with (cm w t1); [|lia]; apply (i_2 _ I); auto.
        intros X; rewrite (i_tl0 _ I _ X) in O2; simpl in O2; lia. }
    apply (inv_node w n (to_follower (adopt l (vol (ns w n))) (ns w n)) [] [] []); plain I.
    + apply seq_vol; auto; split; [auto | split; [auto|]]; simpl; intros t0 k C T G; specialize (F t0 k C).
      destruct (le_lt_dec k (length l)) as [L|L]; [rewrite Nat.min_l in F by auto; auto | exfalso].
      rewrite Nat.min_r in F by lia; apply H2.
      rewrite (agree_term _ _ _ (length l) F) by auto; apply agree_term with k; auto; lia.
    + split; [auto | split; [|split; simpl]].
      * simpl; intros e X; apply In_nth_error in X as [i X]; assert (i < length l) by (apply nth_error_Some; congruence).
        rewrite (agree_nth _ _ _ i A) in X by auto; apply nth_error_In, (i_tt _ I) in X; lia.
      * repeat split; lia.
      * apply known_mono with w t; auto; intros; exists []; now rewrite app_nil_r.
  - (* an acknowledgement leaves *)
    apply (inv_node w n (ns w n) [AER (term (dur (ns w n))) n k] [] [(n, term (dur (ns w n)), k)]); plain I.
    intros m t j [X|[]]; inversion X; subst; clear X; split; [auto | split; [auto | split; [auto | split]]]; destruct H as [H|(E & H & A)].
    + apply agree_le with (mat (dur (ns w m))); auto; apply (i_img _ I m), in_dur.
    + rewrite E; apply agree_trans with (log (vol (ns w m))); auto; eapply agree_le; eauto.
    + exists (dur (ns w m)); split; [apply in_dur | auto].
    + exists (vol (ns w m)); split; [apply in_vol | auto].
  - (* an acknowledgement is counted *)
    destruct (i_lead _ I _ H) as (? & ? & ?).
    apply (inv_node w n (got_ack m k (ns w n)) [] [] []); plain I.
    intros _; repeat split; auto; intros u; unfold upd; destruct node_eq_dec; [subst u | apply (i_mt _ I _ H)].
    destruct (Nat.max_spec (mt (ns w n) m) k) as [[_ ->]|[_ ->]]; [right; apply (i_aer _ I); auto | apply (i_mt _ I _ H)].
  - (* an acknowledgement is forgotten *)
    apply (inv_node w n (forget m (ns w n)) [] [] []); plain I.
    intros R; destruct (i_lead _ I _ R) as (? & ? & ?); repeat split; auto.
    intros u; unfold upd; destruct node_eq_dec; [auto | apply (i_mt _ I _ R)].
  - (* commit *)
    destruct (i_lead _ I _ H) as (X & Y & Z).
    assert (CC : committed w (cur (ns w n)) k).
    { exists (length (log (vol (ns w n)))); split; [rewrite Y in *; repeat split; auto; lia|].
      split; [auto | split; [rewrite Y; auto|]]; rewrite <- Y, firstn_all.
      exists (holders k (ns w n)); split; [repeat split; auto|].
      - apply NoDup_filter, nodup_conf.
      - intros x F; apply filter_In in F as []; auto.
      - intros m F; apply filter_In in F as [_ F]; apply Nat.leb_le in F.
        destruct (i_mt _ I n H m) as [E|E]; [lia|]; exists (mt (ns w n) m); auto. }
    assert (CM : forall t, cm w t <= updt (cm w) (cur (ns w n)) k t).
    { intros t; unfold updt; destruct Nat.eq_dec; auto; subst; lia. }
    apply (inv_node w n (set_vol (commit k (vol (ns w n))) (ns w n)) [] [] []); plain I.
    + split; [auto | split; [auto | split; auto]]; right; exists (cur (ns w n)); simpl; split; [auto | split].
      * unfold updt; destruct Nat.eq_dec; congruence || lia.
      * rewrite Y; apply agree_refl; rewrite <- Y; auto.
    + intros _; repeat split; auto; [unfold updt; destruct Nat.eq_dec; congruence || lia | apply (i_mt _ I _ H)].
    + intros t; unfold updt; destruct Nat.eq_dec; auto; subst; auto.
    + intros t; unfold updt; destruct Nat.eq_dec; auto; subst; auto.
  - (* write *)
    apply (inv_node w n (write (ns w n)) [] [] []); plain I.
    pose proof (i_seq _ I n) as Q; constructor; auto; apply Forall_forall.
    intros d D; apply later_vol; auto.
  - (* sync *)
    pose proof (i_seq _ I n) as Q; unfold images in Q; rewrite H in Q.
    apply (inv_node w n (sync newer d (ns w n)) [] [] []); plain I.
    + unfold images; simpl; rewrite H; intros x; rewrite !in_app_iff; simpl; tauto.
    + unfold images; simpl.
      rewrite <- app_assoc in Q; simpl in Q; rewrite app_comm_cons in Q; rewrite app_comm_cons; apply sorted_cut in Q; auto.
    + rewrite <- app_assoc in Q; simpl in Q; rewrite app_comm_cons in Q; apply sorted_last in Q; auto.
  - apply inv_mark; auto.
  - (* crash *)
    destruct (i_img _ I n _ (in_dur (ns w n))) as (DL & DT & DM & DK).
    apply (inv_node w n (crash k (ns w n)) [] [] []); plain I.
    + unfold images; simpl; intros d [<-|[<-|[]]]; auto; left; right; apply in_or_app; simpl; auto.
    + constructor; [repeat constructor | constructor; [split; [|split]; simpl; auto | constructor]].
    + split; [auto | split; [auto | split; simpl]]; [repeat split; lia | eapply known_le; eauto].
    + intros c X; apply (i_vote _ I n (dur (ns w n))); auto; apply in_dur.
  - (* a read is taken *)
    apply (inv_node w n (ns w n) [] [] []); plain I.
  - (* a read is forwarded *)
    apply (inv_node w n (ns w n) [FW (cur (ns w n)) n i (cm w) (fun m => term (dur (ns w m)))] [] []); plain I.
  - (* and taken *)
    apply (inv_node w n (ns w n) [] [] []); plain I.
  - (* a round *)
    apply (inv_node w n (next_round (ns w n)) [HB (cur (ns w n)) (S (rnd (ns w n)))] [] []); plain I.
  - (* an answer *)
    apply (inv_node w n (ns w n) [HBR t n r] [] []); plain I.
  - (* chatter *)
    apply (inv_node w n (ns w n) [m] [] []); plain I; destruct m; simpl in *; tauto || plain I.
Qed.

Lemma inv_init : inv init.
Proof.
  assert (L0 : forall f, LM f []) by (intros f i e N; destruct i; discriminate).
  constructor; unfold init, images; simpl; intros; try tauto; try congruence; auto.
  - destruct H as [<-|[<-|[]]]; (split; [auto | split; [simpl; tauto | split; [repeat split; auto | left; auto]]]).
  - constructor; [repeat constructor | constructor; [split; [|split]; simpl; auto | constructor]].
  - destruct H as [<-|[<-|[]]]; discriminate.
  - destruct H0 as (? & _ & []).
  - destruct m; discriminate.
Qed.

Theorem inv_reach w : reach w -> inv w.
Proof. induction 1; eauto using inv_init, inv_step. Qed.
End Steps.
