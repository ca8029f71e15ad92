(* The replicated state machine with client sessions is linearizable. *)
From Coq Require Import List Arith Lia Bool.
Require Export StateMachineSafety.
Import ListNotations.

Section Linearizability.
Context {params : Params}.

Variables id sm out : Type.
Variable id_eq_dec : forall a b : id, {a = b} + {a <> b}.
Variable vid : value -> id.                       (* session id + sequence number of a command *)
Variables (sm0 : sm) (apply : sm -> value -> sm * out).

Fixpoint dedup (seen : list id) (l : list value) : list value :=
  match l with [] => [] | v :: r =>
    if in_dec id_eq_dec (vid v) seen then dedup seen r else v :: dedup (vid v :: seen) r end.
Fixpoint outputs s (l : list value) : list (id * out) :=
  match l with [] => [] | v :: r => let (s', x) := apply s v in (vid v, x) :: outputs s' r end.
Definition ops k (l : log_t) := map eval (firstn k l).
Definition replies k l := outputs sm0 (dedup [] (ops k l)).   (* what a replica that applied k entries can answer *)

Inductive event := Inv (v : value) | Res (r : id) (x : out).
(* histories are newest-first; clients may retry: a leader may append any invoked command any number of times *)
Inductive sys : world -> list event -> Prop :=
| y0 : sys init []
| y_inv w h v : sys w h -> (forall u, In (Inv u) h -> vid u <> vid v) -> sys w (Inv v :: h)
| y_res w h n k r x : sys w h -> k <= ci (ns w n) -> In (r, x) (replies k (log (ns w n))) -> sys w (Res r x :: h)
| y_step w w' h : sys w h -> step (fun v => In (Inv v) h) w w' -> sys w' h.

Definition linearizable (h : list event) := exists p : list value,
  NoDup (map vid p) /\ (forall v, In v p -> In (Inv v) h) /\
  (forall r x, In (Res r x) h -> In (r, x) (outputs sm0 p)) /\
  (forall h2 r x h1 v, h = h2 ++ Res r x :: h1 -> In (Inv v) h2 -> In (vid v) (map vid p) ->
     exists p1 p2, p = p1 ++ p2 /\ In r (map vid p1) /\ In (vid v) (map vid p2)).

Lemma dedup_app l : forall seen m, exists s2, dedup seen (l ++ m) = dedup seen l ++ dedup s2 m.
Proof.
  induction l as [|v l IH]; simpl; intros; eauto; destruct in_dec; auto.
  destruct (IH (vid v :: seen) m) as [s2 ->]; exists s2; auto.
Qed.
Lemma dedup_in l : forall seen v, In v (dedup seen l) -> In v l /\ ~ In (vid v) seen.
Proof.
  induction l as [|u l IH]; simpl; intros seen v I; [easy|]; destruct in_dec; [apply IH in I; tauto|].
  destruct I as [->|I]; auto; apply IH in I; simpl in I; tauto.
Qed.
Lemma dedup_nodup l : forall seen, NoDup (map vid (dedup seen l)).
Proof.
  induction l as [|v l IH]; simpl; intros; [constructor|]; destruct in_dec; auto; simpl; constructor; auto.
  intros I; apply in_map_iff in I as (u & E1 & I); apply dedup_in in I; simpl in I; intuition congruence.
Qed.
Lemma outputs_app l : forall s m, exists s2, outputs s (l ++ m) = outputs s l ++ outputs s2 m.
Proof. induction l as [|v l IH]; simpl; intros; eauto; destruct (apply s v) as [s' x]; destruct (IH s' m) as [s2 ->]; simpl; eauto. Qed.
Lemma outputs_in l : forall s r x, In (r, x) (outputs s l) -> In r (map vid l).
Proof. induction l as [|v l IH]; simpl; intros s r x I; [easy|]; destruct (apply s v); destruct I as [I|I]; [inversion I; auto | eauto]. Qed.

Lemma sys_reach w h : sys w h -> reach w.
Proof.
  induction 1; auto using r0; apply rS with w; auto; destruct H0; try (econstructor; eauto; fail).
Qed.

Lemma requested w h : sys w h -> forall t e, In e (tl w t) -> In (Inv (eval e)) h.
Proof.
  induction 1; simpl; intros; try easy; eauto; pose proof (inv_reach _ (sys_reach _ _ H)) as I.
  assert (Q : forall n e, In e (log (ns w n)) -> In (Inv (eval e)) h).
  { intros n f J; apply In_nth_error in J as [i J]; pose proof (i_lmn _ I _ _ _ J) as A.
    rewrite (agree_nth _ _ _ i A) in J by lia; eapply IHsys, nth_error_In; eauto. }
  destruct H0; simpl in *; eauto; unfold updt in *; destruct Nat.eq_dec; eauto.
  apply in_app_or in H1 as [H1|[<-|[]]]; eauto.
Qed.

(* one committed log explains every response given so far *)
Lemma explained w h : sys w h -> exists t l k, known w t l k /\ k <= length l /\
  forall h2 r x h1, h = h2 ++ Res r x :: h1 -> exists j, j <= k /\ In (r, x) (replies j l) /\
    forall v, In (Inv v) h2 -> ~ In (vid v) (map vid (ops j l)).
Proof.
  induction 1.
  - exists 0, [], 0; split; [left; auto | split; auto]; intros [|] ? ? ? X; discriminate.
  - destruct IHsys as (t & l & k & K & L & X); exists t, l, k; split; [auto | split; [auto|]]; intros h2 r x h1 Y.
    destruct h2 as [|e h2]; simpl in Y; inversion Y; subst; destruct (X _ _ _ _ eq_refl) as (j & J & R & F).
    exists j; split; [auto | split; [auto|]]; intros u [U|U]; auto; inversion U; subst u; intros M.
    unfold ops in M; rewrite map_map in M; apply in_map_iff in M as (e & E1 & M).
    destruct K as [->|(t0 & k0 & _ & _ & _ & (_ & _ & A))]; [now replace j with 0 in M by lia|].
    assert (In e (firstn k l)) as M2 by (rewrite <- (Nat.min_l j k), <- firstn_firstn in M by auto;
      rewrite <- (firstn_skipn j (firstn k l)), in_app_iff; auto).
    rewrite A in M2; eapply (H0 (eval e)); [|exact E1]; eapply requested; eauto.
    rewrite <- (firstn_skipn k (tl w t0)), in_app_iff; eauto.
  - pose proof (inv_reach _ (sys_reach _ _ H)) as I.
    destruct IHsys as (t & l & k1 & K & L & X).
    pose proof (known_le _ _ _ _ k (i_ci _ I n) H0) as K2.
    assert (k <= length (log (ns w n))) as L2.
    { destruct K2 as [->|(t0 & k0 & _ & _ & _ & A & _)]; auto; lia. }
    destruct (le_lt_dec k k1) as [C|C].
    + exists t, l, k1; split; [auto | split; [auto|]]; intros h2 r' x' h1 Y; destruct h2 as [|e h2]; simpl in Y; inversion Y; subst.
      * exists k; split; auto; split; [|intros ? []].
        destruct (known_agree w _ _ _ _ _ _ k I K2 K) as (_ & _ & A); auto; unfold replies, ops; rewrite <- A; auto.
      * destruct (X _ _ _ _ eq_refl) as (j & J & R & F); exists j; split; auto; split; auto; intros u [U|U]; [discriminate | auto].
    + exists (cur (ns w n)), (log (ns w n)), k; split; [auto | split; [auto|]]; intros h2 r' x' h1 Y.
      destruct h2 as [|e h2]; simpl in Y; inversion Y; subst; [exists k; split; auto; split; auto; intros ? []|].
      destruct (X _ _ _ _ eq_refl) as (j & J & R & F); exists j; split; [lia|].
      destruct (known_agree w _ _ _ _ _ _ j I K2 K) as (_ & _ & A); try lia; unfold replies, ops in *; rewrite A.
      split; auto; intros u [U|U]; [discriminate | auto].
  - destruct IHsys as (t & l & k & K & L & X); exists t, l, k; split; [|auto].
    pose proof (inv_reach _ (sys_reach _ _ H)) as I; destruct (step_mono _ _ _ I H0).
    apply known_mono with w t; auto.
Qed.

Theorem raft_linearizable w h : sys w h -> linearizable h.
Proof.
  intros Y; destruct (explained _ _ Y) as (t & l & k & K & L & X).
  assert (P : forall j, j <= k -> exists p2 s2, dedup [] (ops k l) = dedup [] (ops j l) ++ p2 /\
     outputs sm0 (dedup [] (ops k l)) = replies j l ++ outputs s2 p2).
  { intros j J; assert (ops k l = ops j l ++ map eval (skipn j (firstn k l))) as ->.
    { unfold ops; rewrite <- map_app; f_equal; rewrite <- (Nat.min_l j k) at 1 by auto; now rewrite <- firstn_firstn, firstn_skipn. }
    destruct (dedup_app (ops j l) [] (map eval (skipn j (firstn k l)))) as [s2 ->].
    destruct (outputs_app (dedup [] (ops j l)) sm0 (dedup s2 (map eval (skipn j (firstn k l))))) as [s3 ->]; unfold replies; eauto. }
  exists (dedup [] (ops k l)); split; [apply dedup_nodup | split; [|split]].
  - intros v I; apply dedup_in in I as [I _]; unfold ops in I; apply in_map_iff in I as (e & <- & I).
    destruct K as [->|(t0 & k0 & _ & _ & _ & (_ & _ & A))]; [easy|]; rewrite A in I.
    eapply requested; eauto; rewrite <- (firstn_skipn k (tl w t0)), in_app_iff; eauto.
  - intros r x I; apply in_split in I as (h2 & h1 & ->); destruct (X _ _ _ _ eq_refl) as (j & J & R & _).
    destruct (P j J) as (p2 & s2 & _ & ->); apply in_or_app; auto.
  - intros h2 r x h1 v -> I M; destruct (X _ _ _ _ eq_refl) as (j & J & R & F).
    destruct (P j J) as (p2 & s2 & E1 & _); exists (dedup [] (ops j l)), p2; split; auto; split; [eapply outputs_in; eauto|].
    rewrite E1, map_app, in_app_iff in M; destruct M as [M|M]; auto; exfalso; apply (F v I).
    apply in_map_iff in M as (u & <- & M); apply in_map; apply dedup_in in M; tauto.
Qed.
End Linearizability.
