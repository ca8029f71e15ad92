(* The inductive invariant, and that every step keeps it. *)
From Coq Require Import List Arith Lia Bool.
Require Export Model.
Import ListNotations.

Ltac uc := unfold upd, updt in *; repeat match goal with
  | H : context[node_eq_dec ?a ?b] |- _ => destruct (node_eq_dec a b); try subst a; try subst b
  | |- context[node_eq_dec ?a ?b] => destruct (node_eq_dec a b); try subst a; try subst b
  end; simpl in *.

Section Invariant.
Context {params : Params}.

Definition acked w n t k := exists k', k <= k' /\ In (n, t, k') (ak w).
Definition own w t k := 0 < k /\ k <= length (tl w t) /\ term_at (tl w t) k = t.
Definition choosable w t k := own w t k /\ exists q, quorum q /\ forall n, In n q -> acked w n t k \/ cur (ns w n) <= t.
Definition committed w t k := own w t k /\ exists q, quorum q /\ forall n, In n q -> acked w n t k.
(* index x of term t's log is known to be committed *)
Definition known w t l x := x = 0 \/ exists t0 k0, committed w t0 k0 /\ t0 <= t /\ x <= k0 /\ agree x l (tl w t0).

Record inv w : Prop := {
  i_vr : forall t n c, In (t, n, c) (vr w) -> t <= cur (ns w n) /\ (t = cur (ns w n) -> vf (ns w n) = Some c);
  i_vr1 : forall t n c c', In (t, n, c) (vr w) -> In (t, n, c') (vr w) -> c = c';
  i_vrc : forall t n c, In (t, n, c) (vr w) -> t <= cur (ns w c);
  i_rvr : forall t n c, In (RVR t n c) (net w) -> In (t, n, c) (vr w);
  i_rv : forall t c li lt, In (RV t c li lt) (net w) ->
    t <= cur (ns w c) /\ li = length (cl w c t) /\ lt = last_term (cl w c t);
  i_cand : forall n, rl (ns w n) = Candidate -> log (ns w n) = cl w n (cur (ns w n)) /\ NoDup (votes (ns w n)) /\
    forall v, In v (votes (ns w n)) -> In (cur (ns w n), v, n) (vr w);
  i_lead : forall n, rl (ns w n) = Leader -> el w (cur (ns w n)) = Some n /\ log (ns w n) = tl w (cur (ns w n));
  i_el : forall t c, el w t = Some c -> t <= cur (ns w c) /\ (t = cur (ns w c) -> rl (ns w c) <> Candidate) /\
    exists q, quorum q /\ forall v, In v q -> In (t, v, c) (vr w);
  i_tl0 : forall t, el w t = None -> tl w t = [];
  i_lmn : forall n, LM (tl w) (log (ns w n));
  i_lmt : forall t, LM (tl w) (tl w t);
  i_lmc : forall n t, LM (tl w) (cl w n t);
  i_tn : forall n e, In e (log (ns w n)) -> eterm e <= cur (ns w n);
  i_tt : forall t e, In e (tl w t) -> eterm e <= t;
  i_ae : forall t p pt es lc, In (AE t p pt es lc) (net w) -> el w t <> None /\ seg (tl w t) p pt es /\
    known w t (tl w t) lc;
  i_ak : forall n t k, In (n, t, k) (ak w) -> t <= cur (ns w n) /\ k <= length (tl w t);
  i_aer : forall t n k, In (AER t n k) (net w) -> In (n, t, k) (ak w);
  i_mt : forall n, rl (ns w n) = Leader -> forall m, mt (ns w n) m = 0 \/ In (m, cur (ns w n), mt (ns w n) m) (ak w);
  i_1 : forall t k n, choosable w t k -> acked w n t k -> agree k (log (ns w n)) (tl w t);
  i_2 : forall t k t', choosable w t k -> t < t' -> el w t' <> None -> agree k (tl w t') (tl w t);
  i_3 : forall t k n t' c, choosable w t k -> acked w n t k -> In (t', n, c) (vr w) -> t < t' ->
    agree k (cl w c t') (tl w t);
  i_ci : forall n, known w (cur (ns w n)) (log (ns w n)) (ci (ns w n)) }.

(* choosable only ever shrinks, as long as the leader logs do not change *)
Lemma choosable_back w w' t k : tl w' t = tl w t -> (forall n, cur (ns w n) <= cur (ns w' n)) ->
  (forall n j, In (n, t, j) (ak w') -> In (n, t, j) (ak w) \/ cur (ns w n) <= t) ->
  choosable w' t k -> choosable w t k.
Proof.
  intros T C A [O (q & Q & H)]; split; [unfold own in *; now rewrite <- T|]; exists q; split; auto.
  intros n I; destruct (H n I) as [(j & L & J) | L]; [|specialize (C n); right; lia].
  destruct (A n j J); [left; exists j; auto | auto].
Qed.
Lemma known_mono w w' t t' l x : (forall t, exists y, tl w' t = tl w t ++ y) -> incl (ak w) (ak w') -> t <= t' ->
  known w t l x -> known w' t' l x.
Proof.
  intros T A L [K | (t0 & k0 & [(O1 & O2 & O3) (q & Q & H)] & L0 & X & G)]; [left; auto | right].
  destruct (T t0) as [y Y]; exists t0, k0; split; [|split; [lia | split; [auto |]]].
  - split; [split; [auto | split; rewrite Y] |].
    + rewrite app_length; lia.
    + rewrite <- O3 at 2; symmetry; apply agree_term with k0; auto; apply agree_app, agree_refl; auto.
    + exists q; split; auto; intros n I; destruct (H n I) as (j & J & K); exists j; split; auto.
  - rewrite Y; apply agree_app; auto.
Qed.
Lemma known_le w t l x y : known w t l x -> y <= x -> known w t l y.
Proof.
  intros [K | (t0 & k0 & C & L & X & G)] Y; [left; lia | right; exists t0, k0; repeat split; try apply C; try lia].
  all: destruct (agree_le _ y _ _ G Y) as (? & ? & ?); auto.
Qed.
Lemma committed_choosable w t k : committed w t k -> choosable w t k.
Proof. intros [O (q & Q & H)]; split; auto; exists q; split; auto. Qed.

(* every transition that leaves the leader logs and campaign logs alone *)
Lemma inv_node w n s' ms vs ks : let s := ns w n in
  let w' := W (upd (ns w) n s') (ms ++ net w) (vs ++ vr w) (cl w) (el w) (tl w) (ks ++ ak w) in
  inv w -> cur s <= cur s' -> (cur s = cur s' -> vf s = vf s' \/ vf s = None) ->
  (forall t m c, In (t, m, c) vs -> m = n /\ t = cur s' /\ vf s' = Some c /\ t <= cur (ns w c) /\
     forall t0 k, choosable w t0 k -> acked w n t0 k -> t0 < t -> agree k (cl w c t) (tl w t0)) ->
  (forall m t k, In (m, t, k) ks -> m = n /\ t = cur s /\ t = cur s' /\ agree k (log s') (tl w t)) ->
  (forall t v c, In (RVR t v c) ms -> In (t, v, c) vs) ->
  (forall t c li lt, ~ In (RV t c li lt) ms) ->
  (forall t p pt es lc, In (AE t p pt es lc) ms ->
     el w t <> None /\ seg (tl w t) p pt es /\ known w t (tl w t) lc) ->
  (forall t m k, In (AER t m k) ms -> In (m, t, k) ks) ->
  LM (tl w) (log s') -> (forall e, In e (log s') -> eterm e <= cur s') ->
  (forall t k, choosable w t k -> agree k (log s) (tl w t) -> t <= cur s -> agree k (log s') (tl w t)) ->
  (rl s' = Candidate -> el w (cur s') <> Some n /\ log s' = cl w n (cur s') /\ NoDup (votes s') /\
     forall v, In v (votes s') -> In (cur s', v, n) (vr w)) ->
  (rl s' = Leader -> el w (cur s') = Some n /\ log s' = tl w (cur s') /\
     forall m, mt s' m = 0 \/ In (m, cur s', mt s' m) (ks ++ ak w)) ->
  known w' (cur s') (log s') (ci s') -> inv w'.
Proof.
  intros s w' I Hcur Hvf Hvs Hks Hrvr Hrv Hae Haer Hlm Ht Hlog Hc Hl Hci; subst s w'.
  assert (C : forall m, cur (ns w m) <= cur (upd (ns w) n s' m)) by (intros; uc; auto).
  assert (B : forall t k, choosable (W (upd (ns w) n s') (ms ++ net w) (vs ++ vr w) (cl w) (el w) (tl w) (ks ++ ak w)) t k -> choosable w t k).
  { intros t k; apply choosable_back; auto; simpl; intros m j; rewrite in_app_iff; intros [J|J]; auto.
    apply Hks in J as (-> & -> & _); auto. }
  pose proof I as []; constructor; simpl; intros.
  - apply in_app_or in H as [H|H].
    + apply Hvs in H as (-> & -> & ? & _); uc; intuition.
    + apply i_vr0 in H as [H1 H2]; uc; intuition; try lia. subst; destruct Hvf; try lia; try congruence.
      all: rewrite H2 in H; try congruence; lia.
  - apply in_app_or in H as [H|H]; apply in_app_or in H0 as [H0|H0]; eauto.
    + apply Hvs in H as (? & ? & ? & _); apply Hvs in H0 as (? & ? & ? & _); congruence.
    + apply Hvs in H as (-> & -> & ? & _); apply i_vr0 in H0 as [H1 H2].
      assert (cur (ns w n) = cur s') by lia; destruct Hvf; auto; rewrite H2 in * by lia; congruence.
    + apply Hvs in H0 as (-> & -> & ? & _); apply i_vr0 in H as [H1 H2].
      assert (cur (ns w n) = cur s') by lia; destruct Hvf; auto; rewrite H2 in * by lia; congruence.
  - specialize (C c); apply in_app_or in H as [H|H]; [apply Hvs in H as (_ & _ & _ & ? & _) | apply i_vrc0 in H]; lia.
  - rewrite in_app_iff in *; destruct H; eauto.
  - apply in_app_or in H as [H|H]; [edestruct Hrv; eauto|]; apply i_rv0 in H as (? & ? & ?).
    specialize (C c); repeat split; auto; lia.
  - uc; [destruct (Hc H) as (_ & ? & ? & X) | destruct (i_cand0 _ H) as (? & ? & X)]; repeat split; auto;
      intros; apply in_or_app; auto.
  - uc; [destruct (Hl H) as (? & ? & _) | destruct (i_lead0 _ H)]; auto.
  - destruct (i_el0 _ _ H) as (? & X & q & Q & Y); specialize (C c); repeat split; try lia.
    + uc; auto; intros -> Z; apply Hc in Z as [Z _]; congruence.
    + exists q; split; auto; intros; apply in_or_app; auto.
  - auto.
  - uc; auto.
  - auto.
  - auto.
  - uc; auto.
  - eauto.
  - assert (K : forall t l x, known w t l x -> known (W (upd (ns w) n s') (ms ++ net w) (vs ++ vr w) (cl w) (el w) (tl w) (ks ++ ak w)) t l x).
    { intros; apply known_mono with w t0; simpl; auto; [intros; exists []; now rewrite app_nil_r | apply incl_appr, incl_refl]. }
    apply in_app_or in H as [H|H]; [apply Hae in H as (? & ? & ?) | apply i_ae0 in H as (? & ? & ?)]; auto.
  - apply in_app_or in H as [H|H].
    + apply Hks in H as (-> & _ & -> & _ & ? & _); uc; auto; congruence.
    + apply i_ak0 in H as []; specialize (C n0); split; auto; lia.
  - rewrite in_app_iff in *; destruct H; eauto.
  - uc; [apply (Hl H) | destruct (i_mt0 _ H m); auto using in_or_app].
  - destruct H0 as (j & L & J); simpl in J; apply in_app_or in J as [J|J].
    + apply Hks in J as (-> & _ & _ & J); uc; [eapply agree_le; eauto | congruence].
    + assert (agree k (log (ns w n0)) (tl w t)) as A by (apply i_4; auto; exists j; auto).
      uc; auto; apply Hlog; auto; apply (i_ak0 _ _ _ J).
  - eauto.
  - destruct H0 as (j & L & J); simpl in J; apply in_app_or in J as [J|J]; apply in_app_or in H1 as [V|V].
    + apply Hks in J as (-> & ? & ? & J); apply Hvs in V as (_ & ? & _); lia.
    + apply Hks in J as (-> & ? & ? & J); apply i_vr0 in V as []; lia.
    + apply Hvs in V as (-> & _ & _ & _ & V); apply V; auto; exists j; auto.
    + eapply i_6; eauto; exists j; auto.
  - uc; auto; apply known_mono with w (cur (ns w n0)); simpl; auto;
      [intros; exists []; now rewrite app_nil_r | apply incl_appr, incl_refl].
Qed.

Lemma inv_campaign w n : let s := ns w n in let t := S (cur s) in inv w ->
  inv (W (upd (ns w) n (campaign n s)) (RV t n (length (log s)) (last_term (log s)) :: net w)
      ((t, n, n) :: vr w) (upd (cl w) n (updt (cl w n) t (log s))) (el w) (tl w) (ak w)).
Proof.
  intros s t I; subst s t.
  assert (C : forall m, cur (ns w m) <= cur (upd (ns w) n (campaign n (ns w n)) m)) by (intros; uc; auto).
  assert (K : forall c u, u <= cur (ns w c) -> upd (cl w) n (updt (cl w n) (S (cur (ns w n))) (log (ns w n))) c u = cl w c u).
  { intros; uc; auto; destruct Nat.eq_dec; auto; lia. }
  pose proof I as []; constructor; simpl; intros; auto.
  - destruct H as [H|H]; [inversion H; subst; uc; intuition (try lia; try congruence)|].
    apply i_vr0 in H as [H1 H2]; uc; intuition lia.
  - destruct H as [H|H], H0 as [H0|H0]; try (inversion H; subst); try (inversion H0; subst); eauto.
    + apply i_vr0 in H0 as []; lia.
    + apply i_vr0 in H as []; lia.
  - specialize (C c); destruct H as [H|H]; [inversion H; subst; uc; [lia | congruence]|]; apply i_vrc0 in H; lia.
  - destruct H; [discriminate|]; auto.
  - destruct H as [H|H]; [inversion H; subst; unfold upd, updt; destruct node_eq_dec; [destruct Nat.eq_dec; simpl; try congruence; auto | congruence]|].
    apply i_rv0 in H as (? & ? & ?); specialize (C c); rewrite K by auto; repeat split; auto; lia.
  - uc; [|destruct (i_cand0 _ H) as (? & ? & ?); repeat split; auto].
    destruct Nat.eq_dec; [|congruence]; repeat split; auto; [repeat constructor; auto | intros v [->|[]]; auto].
  - uc; [discriminate | auto].
  - destruct (i_el0 _ _ H) as (? & X & q & Q & Y); specialize (C c); repeat split; [lia | | exists q; auto].
    uc; auto; lia.
  - uc; auto.
  - uc; auto; destruct Nat.eq_dec; auto.
  - uc; auto.
  - destruct H; [discriminate|]; eauto.
  - specialize (C n0); apply i_ak0 in H as []; split; auto; lia.
  - destruct H; [discriminate|]; auto.
  - uc; [discriminate | auto].
  - apply choosable_back with (w := w) in H; auto; uc; auto.
  - apply choosable_back with (w := w) in H; auto.
  - apply choosable_back with (w := w) in H; auto.
    destruct H1 as [H1|H1]; [|rewrite K by eauto; eauto].
    inversion H1; subst; uc; [destruct Nat.eq_dec; [auto | congruence] | congruence].
  - unfold upd; destruct node_eq_dec;
      [subst; apply known_mono with w (cur (ns w n)) | apply known_mono with w (cur (ns w n0))];
      simpl; auto using incl_refl; intros; exists []; now rewrite app_nil_r.
Qed.

Lemma win_fresh w n : inv w -> rl (ns w n) = Candidate -> length nodes < 2 * length (votes (ns w n)) ->
  el w (cur (ns w n)) = None.
Proof.
  intros I R M; destruct (i_cand _ I _ R) as (L & D & V), (el w (cur (ns w n))) as [c|] eqn:Z; auto.
  destruct (i_el _ I _ _ Z) as (_ & X & q & Q & Y), (quorum_meet (votes (ns w n)) q) as (v & v1 & v2); [split; auto | auto |].
  rewrite (i_vr1 _ I _ _ _ _ (V _ v1) (Y _ v2)) in *; tauto.
Qed.
Lemma inv_win w n : let s := ns w n in inv w -> rl s = Candidate -> length nodes < 2 * length (votes s) ->
  inv (W (upd (ns w) n (win s)) (net w) (vr w) (cl w) (updt (el w) (cur s) (Some n))
      (updt (tl w) (cur s) (log s)) (ak w)).
Proof.
  intros s I R M; subst s; pose proof I as [].
  destruct (i_cand0 _ R) as (L & D & V).
  assert (Q : quorum (votes (ns w n))) by (split; auto).
  assert (Z : el w (cur (ns w n)) = None) by (apply win_fresh; auto).
  assert (T : forall t, el w t <> None -> t <> cur (ns w n)) by (intros t ? ->; auto).
  assert (X : forall t, exists x, updt (tl w) (cur (ns w n)) (log (ns w n)) t = tl w t ++ x).
  { intros t; unfold updt; destruct Nat.eq_dec; [subst; rewrite i_tl1; eauto | exists []; now rewrite app_nil_r]. }
  assert (Y : forall t, t <> cur (ns w n) -> updt (tl w) (cur (ns w n)) (log (ns w n)) t = tl w t).
  { intros; unfold updt; destruct Nat.eq_dec; congruence. }
  assert (C : forall m, cur (upd (ns w) n (win (ns w n)) m) = cur (ns w m)) by (intros; uc; auto).
  assert (G : forall m, log (upd (ns w) n (win (ns w n)) m) = log (ns w m)) by (intros; uc; auto).
  assert (B : forall t k, choosable (W (upd (ns w) n (win (ns w n))) (net w) (vr w) (cl w) (updt (el w) (cur (ns w n)) (Some n))
      (updt (tl w) (cur (ns w n)) (log (ns w n))) (ak w)) t k -> t <> cur (ns w n) /\ choosable w t k).
  { intros t k H; assert (t <> cur (ns w n)) as N.
    { intros ->; destruct H as [(O1 & O2 & O3) _]; simpl in *; unfold updt in *; destruct Nat.eq_dec; [|congruence].
      destruct k; [lia|]; simpl in O3; destruct (nth_error (log (ns w n)) k) eqn:F; [|apply nth_error_None in F; lia].
      apply i_lmn0 in F as (_ & F & _); rewrite O3, i_tl1 in F; simpl in *; auto; lia. }
    split; auto; apply choosable_back with (w := w) in H; auto; simpl; intros; rewrite ?C; auto. }
  assert (K : forall t l x, known w t l x -> known (W (upd (ns w) n (win (ns w n))) (net w) (vr w) (cl w) (updt (el w) (cur (ns w n)) (Some n))
      (updt (tl w) (cur (ns w n)) (log (ns w n))) (ak w)) t l x).
  { intros; apply known_mono with w t; auto; apply incl_refl. }
  constructor; simpl; intros; rewrite ?C, ?G in *; eauto using LM_ext.
  - apply i_vr0 in H as []; split; auto; uc; auto.
  - uc; [discriminate | auto].
  - uc; [unfold updt; destruct Nat.eq_dec; [auto | congruence]|].
    destruct (i_lead0 _ H) as [E1 E2]; rewrite Y by (apply T; congruence); split; auto.
    unfold updt; destruct Nat.eq_dec; auto; congruence.
  - unfold updt in H; destruct Nat.eq_dec; [inversion H; subst; clear H; split; auto; split; [uc; congruence | eauto]|].
    destruct (i_el0 _ _ H) as (? & ? & ?); repeat split; auto; uc; auto; discriminate.
  - unfold updt in H |- *; destruct Nat.eq_dec; [discriminate | auto].
  - unfold updt in *; destruct Nat.eq_dec; subst; eauto using LM_ext.
    all: apply LM_ext with (tl w); auto.
  - unfold updt in *; destruct Nat.eq_dec; subst; auto.
  - apply i_ae0 in H as (? & ? & ?); rewrite Y by auto; split; auto; unfold updt; destruct Nat.eq_dec; auto; discriminate.
  - apply i_ak0 in H as []; destruct (X t) as [x ->]; rewrite app_length; split; auto; lia.
  - uc; auto.
  - apply B in H as []; rewrite Y by auto; auto.
  - apply B in H as [N H]; rewrite (Y t) by auto; unfold updt in *; destruct Nat.eq_dec; auto; subst.
    destruct H as [O (q & Q' & W)] eqn:HH; destruct (quorum_meet _ _ Q Q') as (v & v1 & v2).
    destruct (W v v2) as [A|A]; [|apply V, i_vr0 in v1 as []; lia].
    rewrite L; eapply i_6; eauto.
  - apply B in H as [N H]; rewrite Y by auto; eauto.
  - uc; auto.
Qed.

Lemma known_app w t l x y : known w t l x -> known w t (l ++ y) x.
Proof. intros [?|(t0 & k0 & ? & ? & ? & ?)]; [left; auto | right; exists t0, k0; auto using agree_app_l]. Qed.
Lemma LM_snoc tl l e : LM tl l -> (exists x, tl (eterm e) = l ++ e :: x) -> LM tl (l ++ [e]).
Proof.
  intros H [x X] i f N; destruct (le_lt_dec (length l) i) as [G|G].
  - assert (i = length l /\ e = f) as [-> <-].
    { rewrite nth_error_app2 in N by auto; destruct (i - length l) as [|[]] eqn:Z; simpl in N; inversion N; split; auto; lia. }
    rewrite X; change (e :: x) with ([e] ++ x); rewrite app_assoc; apply agree_app, agree_refl.
    rewrite app_length; simpl; lia.
  - rewrite nth_error_app1 in N by auto; apply agree_app_l; auto.
Qed.

Lemma inv_client w n v : let s := ns w n in inv w -> rl s = Leader ->
  inv (W (upd (ns w) n (append v s)) (net w) (vr w) (cl w) (el w)
      (updt (tl w) (cur s) (log s ++ [E (cur s) v])) (ak w)).
Proof.
  intros s I R; subst s; pose proof I as []; destruct (i_lead0 _ R) as [E0 L].
  set (e := E (cur (ns w n)) v); set (w' := W _ _ _ _ _ _ _).
  assert (X : forall t, exists x, tl w' t = tl w t ++ x).
  { intros t; simpl; unfold updt; destruct Nat.eq_dec; [subst; rewrite <- L; eauto | exists []; now rewrite app_nil_r]. }
  assert (Y : forall t, t <> cur (ns w n) -> tl w' t = tl w t).
  { intros; simpl; unfold updt; destruct Nat.eq_dec; congruence. }
  assert (Z : tl w' (cur (ns w n)) = log (ns w n) ++ [e]) by (simpl; unfold updt; destruct Nat.eq_dec; congruence).
  assert (C : forall m, cur (ns w' m) = cur (ns w m)) by (intros; simpl; uc; auto).
  assert (G : forall m, exists y, log (ns w' m) = log (ns w m) ++ y).
  { intros; simpl; uc; eauto; exists []; now rewrite app_nil_r. }
  assert (S : forall m, rl (ns w' m) = rl (ns w m)) by (intros; simpl; uc; auto).
  assert (B : forall t k, choosable w' t k -> k <= length (tl w t) -> choosable w t k).
  { intros t k [(O1 & O2 & O3) (q & Q & H)] J; split; [|exists q; split; auto; intros m J'; rewrite <- C; apply (H m J')].
    split; [auto | split; [auto |]]; rewrite <- O3 at 2; destruct (X t) as [x ->].
    apply agree_term with k; auto; apply agree_app, agree_refl; auto. }
  assert (A : forall m t k, acked w m t k -> k <= length (tl w t)).
  { intros m t k (j & J & H); apply i_ak0 in H as []; lia. }
  assert (K : forall t l x, known w t l x -> known w' t l x).
  { intros; apply known_mono with w t; auto; apply incl_refl. }
  assert (LS : LM (tl w') (log (ns w n) ++ [e])).
  { apply LM_snoc; [eapply LM_ext; eauto|]; exists []; auto. }
  constructor; intros; rewrite ?C, ?S in *; eauto using LM_ext.
  - apply i_vr0 in H as []; split; auto; simpl; uc; auto.
  - destruct (i_cand0 _ H) as (? & ? & ?); simpl; uc; [congruence | auto].
  - destruct (i_lead0 _ H); split; auto; destruct (node_eq_dec n0 n) as [->|N].
    + rewrite Z; simpl; uc; [reflexivity | congruence].
    + rewrite Y by congruence; simpl; uc; congruence.
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [simpl in H; congruence | rewrite Y; auto].
  - simpl ns; uc; eauto using LM_ext.
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [rewrite Z; auto | rewrite Y by auto; eauto using LM_ext].
  - simpl in H; uc; auto; apply in_app_or in H as [H|[<-|[]]]; auto.
  - destruct (Nat.eq_dec t (cur (ns w n))) as [->|N]; [rewrite Z in H | rewrite Y in H by auto; auto].
    apply in_app_or in H as [H|[<-|[]]]; auto; rewrite L in H; auto.
  - apply i_ae0 in H as (? & ? & ?); destruct (X t) as [x ->]; auto using seg_ext, known_app.
  - apply i_ak0 in H as []; destruct (X t) as [x ->]; rewrite app_length; split; auto; lia.
  - simpl ns; uc; auto.
  - destruct (X t) as [x ->], (G n0) as [y ->]; apply agree_app, agree_app_l; eauto.
  - destruct (le_lt_dec k (length (tl w t))).
    + destruct (X t) as [x ->], (X t') as [y ->]; apply agree_app, agree_app_l; eauto.
    + exfalso; destruct H as [_ (q & Q & H)]; simpl in H1; destruct (el w t') as [c|] eqn:F; [|congruence].
      destruct (i_el0 _ _ F) as (_ & _ & q' & Q' & V); destruct (quorum_meet _ _ Q Q') as (u & u1 & u2).
      apply V, i_vr0 in u2 as []; destruct (H u u1) as [J|J]; [apply A in J | rewrite C in J]; lia.
  - destruct (X t) as [x ->]; apply agree_app; eauto.
  - destruct (G n0) as [y ->]; simpl; uc; auto using known_app.
Qed.

Lemma inv_init : inv init.
Proof.
  constructor; unfold init; simpl; intros; try tauto; try congruence; try (intros i e N; destruct i; discriminate).
  - destruct H0 as (? & _ & []).
  - left; auto.
Qed.

Lemma up_to_date_ok w n c t t0 k : inv w -> up_to_date (length (cl w c t)) (last_term (cl w c t)) (log (ns w n)) ->
  choosable w t0 k -> acked w n t0 k -> agree k (cl w c t) (tl w t0).
Proof.
  intros I U H A; pose proof I as []; pose proof (i_4 _ _ _ H A) as G; pose proof H as [(O1 & O2 & O3) _].
  set (l := log (ns w n)) in *; set (L := cl w c t) in *.
  assert (forall l, LM (tl w) l -> agree (length l) l (tl w (last_term l))) as M.
  { intros x Mx; unfold last_term, term_at; destruct (length x) as [|i] eqn:Z; [repeat split; lia|].
    destruct (nth_error x i) eqn:N; [auto | apply nth_error_None in N; lia]. }
  assert (forall u j, 0 < j -> j <= length (tl w u) -> term_at (tl w u) j <= u) as TT.
  { intros u [|j] P Q; [lia|]; simpl; destruct (nth_error (tl w u) j) eqn:N; [|lia]; eapply i_tt0, nth_error_In; eauto. }
  assert (k <= length l) as Ll by apply G.
  assert (t0 <= last_term l) as T1.
  { rewrite <- O3; rewrite <- (agree_term _ _ _ k G) by auto; rewrite (agree_term _ _ _ k (M l (i_lmn0 n))) by auto.
    apply TT; auto; destruct (M l (i_lmn0 n)) as (_ & ? & _); lia. }
  destruct U as [U|[U V]].
  - set (u := last_term L) in *; pose proof (M L (i_lmc0 c t)) as ML; fold u in ML.
    assert (0 < length L) as P by (unfold u, last_term in U; destruct (length L); simpl in U; lia).
    assert (el w u <> None) as El.
    { intros Z; destruct ML as (_ & ML & _); rewrite (i_tl1 _ Z) in ML; simpl in ML; lia. }
    pose proof (i_5 _ _ u H ltac:(lia) El) as X.
    apply agree_trans with (tl w u); auto; apply agree_le with (length L); auto.
    destruct (le_lt_dec k (length L)); auto; exfalso.
    assert (term_at L (length L) = term_at (tl w t0) (length L)) as E1.
    { rewrite (agree_term _ _ _ _ ML) by auto; apply agree_term with k; auto; lia. }
    specialize (TT t0 (length L) P); fold (last_term L) in E1; fold u in E1; lia.
  - apply agree_trans with l; auto; apply LM_agree with (tl w); auto; try lia; try apply i_lmn0.
    + apply i_lmc0.
    + pose proof (M L (i_lmc0 c t)) as ML; pose proof (M l (i_lmn0 n)) as Ml; rewrite U in Ml.
      rewrite (agree_term _ _ _ k ML) by lia; rewrite (agree_term _ _ _ k Ml) by lia; auto.
Qed.

Lemma inv_step ok w w' : inv w -> step ok w w' -> inv w'.
Proof.
  intros I S; pose proof I as []; destruct S.
  - apply (inv_node w n (bump t (ns w n)) [] [] []); simpl; auto; try tauto; try lia; try discriminate.
    + intros e X; apply i_tn0 in X; lia.
    + apply known_mono with w (cur (ns w n)); simpl; auto using incl_refl; [|lia]; intros; exists []; now rewrite app_nil_r.
  - apply inv_campaign; auto.
  - subst t; apply (inv_node w n (grant c (ns w n)) [RVR (cur (ns w n)) n c] [(cur (ns w n), n, c)] []); simpl; auto; try tauto.
    + intros t m c' [X|[]]; inversion X; subst; clear X; apply i_rv0 in H as (? & -> & ->).
      repeat split; auto; intros; eapply up_to_date_ok; eauto.
    + intros t v c' [X|[]]; inversion X; auto.
    + intros ? ? ? ? [X|[]]; discriminate.
    + intros ? ? ? ? ? [X|[]]; discriminate.
    + intros ? ? ? [X|[]]; discriminate.
    + intros X; destruct (i_cand0 _ X) as (? & ? & ?); repeat split; auto; intros Y; apply i_el0 in Y as (_ & Y & _); tauto.
    + intros X; destruct (i_lead0 _ X); auto.
    + apply known_mono with w (cur (ns w n)); simpl; auto using incl_refl; intros; exists []; now rewrite app_nil_r.
  - apply (inv_node w n (tally v (ns w n)) [] [] []); simpl; auto; try tauto; try congruence.
    + intros _; destruct (i_cand0 _ H) as (? & ? & ?); repeat split; auto; [|constructor; auto | intros ? [<-|]; auto].
      intros Y; apply i_el0 in Y as (_ & Y & _); tauto.
    + apply known_mono with w (cur (ns w n)); simpl; auto using incl_refl; intros; exists []; now rewrite app_nil_r.
  - apply inv_win; auto.
  - apply inv_client; auto.
  - destruct (i_lead0 _ H) as [X Y]; subst s.
    apply (inv_node w n (ns w n) [_] [] []); simpl; auto; try tauto; try congruence.
    + intros ? ? ? [Z|[]]; discriminate.
    + intros ? ? ? ? [Z|[]]; discriminate.
    + intros t p' pt es lc [Z|[]]; inversion Z; subst; clear Z; split; [congruence|]; rewrite <- Y; split; auto.
      assert (length (firstn m (skipn p' (log (ns w n)))) = m) as L by (rewrite firstn_length, skipn_length; lia).
      repeat split; rewrite L; auto.
    + intros ? ? ? [Z|[]]; discriminate.
    + apply known_mono with w (cur (ns w n)); simpl; auto using incl_refl; intros; exists []; now rewrite app_nil_r.
  - destruct (i_ae0 _ _ _ _ _ H) as (Z & G & KN); subst t; subst s.
    destruct (new_log_ok (tl w) (log (ns w n)) (tl w (cur (ns w n))) p pt es) as (N1 & N2 & N3 & N4); auto.
    match goal with |- inv ?x => set (w' := x) end.
    assert (KM : forall t l x, known w t l x -> known w' t l x).
    { intros; apply known_mono with w t; simpl; auto; [intros; exists []; now rewrite app_nil_r | apply incl_tl, incl_refl]. }
    apply (inv_node w n (accept p es lc (ns w n)) [AER (cur (ns w n)) n (p + length es)] []
      [(n, cur (ns w n), p + length es)]); simpl; auto; try tauto; try discriminate.
    + intros m t k [X|[]]; inversion X; subst; auto.
    + intros ? ? ? [X|[]]; discriminate.
    + intros ? ? ? ? [X|[]]; discriminate.
    + intros ? ? ? ? ? [X|[]]; discriminate.
    + intros ? ? ? [X|[]]; inversion X; auto.
    + intros e X; destruct (N4 e X); auto; apply i_tt0 with (cur (ns w n)); auto.
    + intros t k C A T; destruct (Nat.eq_dec t (cur (ns w n))) as [->|D]; auto.
      assert (agree k (tl w (cur (ns w n))) (tl w t)) as A2 by (apply i_5; auto; lia).
      apply agree_trans with (tl w (cur (ns w n))); auto; apply N3; eapply agree_trans; eauto using agree_sym.
    + fold w'; destruct (Nat.max_spec (ci (ns w n)) (Nat.min lc (p + length es))) as [[_ ->]|[_ ->]].
      * destruct KN as [X|(t0 & k0 & C & L & X & A)]; [left; lia|].
        apply KM; right; exists t0, k0; split; [auto | split; [auto | split; [lia |]]].
        apply agree_trans with (tl w (cur (ns w n))); [apply agree_le with (p + length es) | apply agree_le with lc]; auto; lia.
      * destruct (i_ci0 n) as [X|(t0 & k0 & C & L & X & A)]; [left; auto|].
        apply KM; right; exists t0, k0; split; [auto | split; [auto | split; [auto |]]].
        destruct (Nat.eq_dec t0 (cur (ns w n))) as [->|D]; [apply N3; auto|].
        assert (agree k0 (tl w (cur (ns w n))) (tl w t0)) as A2 by (apply i_5; auto using committed_choosable; lia).
        apply agree_le with (j := ci (ns w n)) in A2; auto.
        apply agree_trans with (tl w (cur (ns w n))); auto; apply N3; eapply agree_trans; eauto using agree_sym.
  - apply (inv_node w n (got_ack m k (ns w n)) [] [] []); simpl; auto; try tauto; try congruence.
    + intros _; destruct (i_lead0 _ H); repeat split; auto; intros u; unfold upd; destruct node_eq_dec; auto.
      subst; destruct (Nat.max_spec (mt (ns w n) m) k) as [[_ ->]|[_ ->]]; auto.
    + apply known_mono with w (cur (ns w n)); simpl; auto using incl_refl; intros; exists []; now rewrite app_nil_r.
  - destruct (i_lead0 _ H) as [X Y]; subst s.
    assert (A : agree (length (log (ns w n))) (log (ns w n)) (tl w (cur (ns w n)))) by (rewrite Y; apply agree_refl; auto).
    apply (inv_node w n (commit k (ns w n)) [] [] [(n, cur (ns w n), length (log (ns w n)))]); simpl; auto; try tauto; try congruence.
    + intros m t j [Z|[]]; inversion Z; subst; auto.
    + intros _; repeat split; auto; intros m; destruct (i_mt0 n H m); auto.
    + right; exists (cur (ns w n)), k; split; [split|]; [| |split; [auto | split; auto; eapply agree_le; eauto]].
      * rewrite Y in *; repeat split; simpl; auto; lia.
      * exists (holders n k (ns w n)); split; [split; auto; apply NoDup_filter, nodup_nodes|].
        intros m I'; apply filter_In in I' as [_ I']; destruct node_eq_dec.
        -- subst; exists (length (log (ns w n))); simpl; auto.
        -- apply Nat.leb_le in I'; destruct (i_mt0 n H m) as [Z|Z]; [lia|].
           exists (mt (ns w n) m); simpl; auto.
  - apply (inv_node w n (reboot k (ns w n)) [] [] []); simpl; auto; try tauto; try discriminate.
    apply known_mono with w (cur (ns w n)); simpl; auto using incl_refl; [intros; exists []; now rewrite app_nil_r|].
    eapply known_le; eauto.
Qed.

Theorem inv_reach w : reach w -> inv w.
Proof. induction 1; eauto using inv_init, inv_step. Qed.
End Invariant.
