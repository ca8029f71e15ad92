(* Every step keeps the invariant: the two that change a leader's log by hand, the others by inv_node. *)
From Coq Require Import List Arith Lia Bool Sorted.
Require Export Invariant.
Import ListNotations.

Section Steps.
Context {params : Params}.

Lemma cur_dur w n : inv w -> term (dur (ns w n)) <= cur (ns w n).
Proof. intros I; apply (later_vol _ _ _ I (in_dur (ns w n))). Qed.

(* ---------- a candidate wins ---------- *)
Lemma win_fresh w n : inv w -> rl (ns w n) = Candidate -> length voters < 2 * length (votes (ns w n)) ->
  el w (cur (ns w n)) = None.
Proof.
  intros I R M; destruct (i_cand _ I _ R) as (L & D & S & V), (el w (cur (ns w n))) as [c|] eqn:Z; auto.
  destruct (i_el _ I _ _ Z) as (_ & X & q & Q & Y), (quorum_meet (votes (ns w n)) q) as (v & v1 & v2); [repeat split; auto | auto |].
  rewrite (i_vr1 _ I _ _ _ _ (V _ v1) (Y _ v2)) in *; tauto.
Qed.
Lemma inv_win w n : let s := ns w n in inv w -> rl s = Candidate -> length voters < 2 * length (votes s) ->
  inv (W (upd (ns w) n (to_leader (win (vol s)) s)) (net w) (vr w) (cl w) (updt (el w) (cur s) (Some n))
      (updt (tl w) (cur s) (log (vol s))) (ak w) (cm w) (rd w)).
Proof.
  intros s I R M; subst s; set (w' := W _ _ _ _ _ _ _ _ _).
  assert (Z : el w (cur (ns w n)) = None) by (apply win_fresh; auto).
  pose proof (i_img _ I n _ (in_vol (ns w n))) as (GL & GT & _ & GK).
  pose proof (fun d => later_vol w n d I) as LV.
  open_inv I; destruct (Icand _ R) as (L & D & S & V).
  assert (Q : quorum (votes (ns w n))) by (repeat split; auto).
  assert (T : forall t, el w t <> None -> t <> cur (ns w n)) by (intros t ? ->; auto).
  assert (X : forall t, exists x, tl w' t = tl w t ++ x).
  { intros t; simpl; unfold updt; destruct Nat.eq_dec; [subst; rewrite Itl0; eauto | exists []; now rewrite app_nil_r]. }
  assert (Y : forall t, t <> cur (ns w n) -> tl w' t = tl w t).
  { intros; simpl; unfold updt; destruct Nat.eq_dec; congruence. }
  assert (C0 : cm w (cur (ns w n)) = 0).
  { destruct (Icm (cur (ns w n))) as [|[(O1 & O2 & _) _]]; auto; rewrite Itl0 in O2 by auto; simpl in O2; lia. }
  assert (C : forall m, dur (ns w' m) = dur (ns w m)) by (intros; simpl; uc; auto).
  assert (C' : forall m, cur (ns w' m) = cur (ns w m)) by (intros; simpl; uc; auto).
  assert (G : forall m, log (vol (ns w' m)) = log (vol (ns w m))) by (intros; simpl; uc; auto).
  assert (B : forall t k, choosable w' t k -> t <> cur (ns w n) /\ choosable w t k).
  { intros t k H; assert (t <> cur (ns w n)) as N.
    { intros ->; destruct H as [(O1 & O2 & O3) _]; simpl in *; unfold updt in *; destruct Nat.eq_dec; [|congruence].
      destruct k; [lia|]; simpl in O3; destruct (nth_error (log (vol (ns w n))) k) eqn:F; [|apply nth_error_None in F; lia].
      apply GL in F as (_ & F & _); rewrite O3, Itl0 in F; simpl in *; auto; lia. }
    split; auto; apply choosable_back with (w := w) in H; auto; intros; rewrite ?C; auto. }
  assert (LB : forall a b, later w a b -> later w' a b).
  { intros a b; apply later_mono; intros t k H; apply B in H as []; auto. }
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
    { inversion H; subst; clear H; split; [|split; [simpl; uc; congruence | eauto]].
      destruct (votes (ns w c)) as [|v q] eqn:F; [simpl in M; lia|].
      apply Ivrc with v; apply V; left; auto. }
    destruct (Iel _ _ H) as (? & ? & ?); repeat split; auto; simpl; uc; auto; discriminate.
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
  - apply Iak in H as []; destruct (X t) as [x ->]; rewrite app_length; split; auto; lia.
  - simpl in *; uc; auto.
  - apply B in H as []; rewrite Y by auto; auto.
  - apply B in H as [N H]; rewrite (Y t) by auto; simpl in *; unfold updt in *; destruct Nat.eq_dec; auto; subst.
    pose proof H as [O (q & Q' & U)]; destruct (quorum_meet _ _ Q Q') as (v & v1 & v2).
    destruct (U v v2) as [A|A]; [|apply V, Ivr in v1 as []; lia].
    rewrite L; eapply I3; eauto.
  - apply B in H as [N H]; rewrite Y by auto; eauto.
  - destruct (Icm t) as [|]; [left; auto | right; apply committed_mono with w; auto; apply incl_refl].
Qed.

(* ---------- a leader appends ---------- *)
Lemma inv_append w n v : let s := ns w n in inv w -> rl s = Leader ->
  inv (W (upd (ns w) n (set_vol (append v (vol s)) s)) (net w) (vr w) (cl w) (el w)
      (updt (tl w) (cur s) (log (vol s) ++ [E (cur s) v])) (ak w) (cm w) (rd w)).
Proof.
  intros s I R; subst s; set (e := E (cur (ns w n)) v); set (w' := W _ _ _ _ _ _ _ _ _).
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
  assert (B : forall t k, choosable w' t k -> k <= length (tl w t) -> choosable w t k).
  { intros t k [(O1 & O2 & O3) (q & Q & H)] J; split; [|exists q; split; auto; intros m J'; rewrite <- C; apply (H m J')].
    split; [auto | split; [auto |]]; rewrite <- O3 at 2; destruct (X t) as [x ->].
    apply agree_term with k; auto; apply agree_app, agree_refl; auto. }
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
  - apply Iak in H as []; destruct (X t) as [x ->]; rewrite app_length; split; auto; lia.
  - simpl ns; uc; auto; apply Imt; auto.
  - destruct (X t) as [x ->]; apply agree_app; eauto.
  - destruct (le_lt_dec k (length (tl w t))).
    + destruct (X t) as [x ->], (X t') as [y ->]; apply agree_app, agree_app_l; eauto.
    + exfalso; destruct H as [_ (q & Q & H)]; simpl in H1; destruct (el w t') as [c|] eqn:F; [|congruence].
      destruct (Iel _ _ F) as (_ & _ & q' & Q' & V); destruct (quorum_meet _ _ Q Q') as (u & u1 & u2).
      apply V, Ivr in u2 as []; destruct (H u u1) as [J|J]; [apply A in J | rewrite C in J]; lia.
  - destruct (X t) as [x ->]; apply agree_app; eauto.
  - destruct (Icm t) as [|]; [left; auto | right; apply committed_mono with w; auto; apply incl_refl].
Qed.

(* ---------- votes ---------- *)
(* an up-to-date candidate has everything choosable that the voter has *)
Lemma up_to_date_ok w n c t t0 k : inv w -> up_to_date (length (cl w c t)) (last_term (cl w c t)) (log (vol (ns w n))) ->
  choosable w t0 k -> may_ack w n t0 k -> agree k (cl w c t) (tl w t0).
Proof.
  intros I U H A; pose proof (may_ack_agree _ _ _ _ I H A) as G; pose proof H as [(O1 & O2 & O3) _].
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
    pose proof (I2 _ _ u H ltac:(lia) El) as X.
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
  | |- forall a b c, False -> _ => tauto
  | |- forall a b c d, False -> _ => tauto
  | |- forall a b c d e, False -> _ => tauto
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
  assert (B : forall t x, choosable w' t x <-> choosable w t x).
  { intros t x; split; intros (O & q & Q & A); (split; [exact O | exists q; split; auto]); intros m M;
      specialize (A m M); rewrite DT in *; exact A. }
  assert (LB : forall a b, later w a b -> later w' a b).
  { intros a b (L1 & L2 & L3); split; [auto | split; auto]; intros t x C; apply L3, B; auto. }
  assert (LR : forall a b, later w a b -> later w' (know k (vol (ns w n)) a) (know k (vol (ns w n)) b)).
  { intros a b (L1 & L2 & L3); split; [|split]; rewrite ?know_term, ?know_vote, ?know_log; auto.
    intros t x C; apply L3, B; auto. }
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
    try match goal with H : choosable w' _ _ |- _ => apply B in H end; eauto.
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
    + intros c X; inversion X; subst; split; auto; intros t0 k C A _; uc; [|congruence].
      destruct Nat.eq_dec; [simpl | congruence]; apply may_ack_agree; auto.
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
      intros; apply up_to_date_ok with n; auto.
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
    assert (NC : forall t k, choosable w t k -> t <= cur (ns w n) -> agree k (log (vol (ns w n))) (tl w t) ->
      agree k (new_log (log (vol (ns w n))) p es) (tl w t)).
    { intros t k C T A; destruct (Nat.eq_dec t (cur (ns w n))) as [->|D]; auto.
      assert (agree k (tl w (cur (ns w n))) (tl w t)) as A2 by (apply (i_2 _ I); auto; lia).
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
        pose proof (cm_choosable w t0 _ I X E0) as CC.
        destruct (Nat.eq_dec t0 (cur (ns w n))) as [->|D]; [apply N3; auto|].
        assert (agree (cm w t0) (tl w (cur (ns w n))) (tl w t0)) as A2 by (apply (i_2 _ I); auto; lia).
        apply agree_le with (j := ci (vol (ns w n))) in A2; auto.
        apply agree_trans with (tl w (cur (ns w n))); auto; apply N3; eapply agree_trans; eauto using agree_sym.
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
  - (* commit *)
    destruct (i_lead _ I _ H) as (X & Y & Z).
    assert (CC : committed w (cur (ns w n)) k).
    { split; [rewrite Y in *; repeat split; auto; lia|].
      exists (holders k (ns w n)); split; [repeat split; auto|].
      - apply NoDup_filter, nodup_voters.
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
Qed.

Theorem inv_reach w : reach w -> inv w.
Proof. induction 1; eauto using inv_init, inv_step. Qed.
End Steps.
