(* The replicated state machine with client sessions and reads is linearizable, whoever the voters are. A list of members is
   a command like any other here; the state machine may disregard it. *)
From Coq Require Import List Arith Lia Bool.
Require Export Reads.
Import ListNotations.

Section Linearizability.
Context {params : Params}.
Variables id qry sm out : Type.
Variable id_eq_dec : forall a b : id, {a = b} + {a <> b}.
Variable vid : value -> id.                       (* session id + sequence number of a command *)
Variables (sm0 : sm) (apply : sm -> value -> sm * out) (query : sm -> qry -> out).

(* ---------- what a replica computes from its log ---------- *)
Definition commands (l : log_t) : list value := flat_map (fun e => match eval e with Some v => [v] | None => [] end) l.
Fixpoint dedup (seen : list id) (l : list value) : list value :=      (* a command that was seen is not executed again *)
  match l with [] => [] | v :: r =>
    if in_dec id_eq_dec (vid v) seen then dedup seen r else v :: dedup (vid v :: seen) r end.
Fixpoint run s (l : list value) : sm := match l with [] => s | v :: r => run (fst (apply s v)) r end.
Fixpoint results s (l : list value) : list (id * out) :=
  match l with [] => [] | v :: r => (vid v, snd (apply s v)) :: results (fst (apply s v)) r end.
Definition executed k l := dedup [] (commands (firstn k l)).
Definition replies k l := results sm0 (executed k l).   (* the replies that a replica with k entries applied has cached *)
Definition state k l := run sm0 (executed k l).

(* ---------- histories, newest event first ---------- *)
Inductive op := Wr (v : value) | Rd (i : rid) (q : qry).
Definition oid o : id + rid := match o with Wr v => inl (vid v) | Rd i _ => inr i end.
(* k is a ghost: how many entries the answering replica had applied *)
Inductive event := Inv (o : op) | Res (a : id + rid) (x : out) (k : nat).

(* Clients invoke commands and reads under fresh names. A leader may append an invoked command any number of times
   (clients retry). Any replica may answer a command from its cache. Any replica may answer a read that some leader
   took after its invocation, once that read is confirmed and the replica has applied its index; a read that got no
   answer may be taken again. *)
Definition asked h (a : value + rid) : Prop :=
  match a with inl v => In (Inv (Wr v)) h | inr i => exists q, In (Inv (Rd i q)) h end.
Inductive sys : world -> list event -> Prop :=
| y0 : sys init []
| y_inv w h o : sys w h -> (forall u, In (Inv u) h -> oid u <> oid o) -> sys w (Inv o :: h)
| y_res w h n k r x : sys w h -> k <= ci (vol (ns w n)) -> In (r, x) (replies k (log (vol (ns w n)))) ->
    sys w (Res (inl r) x k :: h)
| y_read w h R n k q : sys w h -> In R (rd w) -> confirmed w R ->
    In (Inv (Rd (r_id R) q)) h -> (forall x j, ~ In (Res (inr (r_id R)) x j) h) ->
    r_idx R <= k -> k <= ci (vol (ns w n)) ->
    sys w (Res (inr (r_id R)) (query (state k (log (vol (ns w n)))) q) k :: h)
| y_step w w' h : sys w h -> step (asked h) w w' -> sys w' h.

(* ---------- the specification ---------- *)
Definition do_op s o := match o with Wr v => fst (apply s v) | Rd _ _ => s end.
Definition answer s o := match o with Wr v => snd (apply s v) | Rd _ q => query s q end.
Fixpoint outputs s (p : list op) : list ((id + rid) * out) :=
  match p with [] => [] | o :: r => (oid o, answer s o) :: outputs (do_op s o) r end.

(* p: one sequence of invoked operations, each once; it yields every response; and an operation invoked after a
   response comes after the operation that was answered *)
Definition linearizable (h : list event) := exists p : list op,
  NoDup (map oid p) /\ (forall o, In o p -> In (Inv o) h) /\
  (forall a x k, In (Res a x k) h -> In (a, x) (outputs sm0 p)) /\
  (forall h2 a x k h1 o, h = h2 ++ Res a x k :: h1 -> In (Inv o) h2 -> In (oid o) (map oid p) ->
     exists p1 p2, p = p1 ++ p2 /\ In a (map oid p1) /\ In (oid o) (map oid p2)).

(* ---------- lists ---------- *)
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
Lemma results_app l : forall s m, results s (l ++ m) = results s l ++ results (run s l) m.
Proof. induction l as [|v l IH]; simpl; intros; auto; now rewrite IH. Qed.
Lemma results_in l : forall s r x, In (r, x) (results s l) -> In r (map vid l).
Proof. induction l as [|v l IH]; simpl; intros s r x I; [easy|]; destruct I as [I|I]; [inversion I; auto | eauto]. Qed.

(* the entries that are executed between j and k *)
Lemma executed_app j k l : j <= k -> exists m, executed k l = executed j l ++ m.
Proof.
  intros J; unfold executed; rewrite <- (firstn_skipn j (firstn k l)), firstn_firstn, Nat.min_l by auto.
  unfold commands; rewrite flat_map_app; destruct (dedup_app (commands (firstn j l)) [] (commands (skipn j (firstn k l)))) as [s2 E].
  unfold commands in E; rewrite E; eauto.
Qed.
Lemma executed_agree k l l' : agree k l l' -> forall j, j <= k -> executed j l = executed j l'.
Proof. intros A j J; destruct (agree_le _ j _ _ A J) as (_ & _ & E); unfold executed; now rewrite E. Qed.
Lemma executed_entry k l v : In v (executed k l) -> exists e, In e (firstn k l) /\ eval e = Some v.
Proof.
  intros I; apply dedup_in in I as [I _]; apply in_flat_map in I as (e & J & I); exists e; split; auto.
  destruct (eval e); simpl in I; [destruct I as [->|[]]; auto | destruct I].
Qed.

(* ---------- what happened up to now is explained by one committed log ---------- *)
Lemma sys_reach w h : sys w h -> reach w.
Proof.
  induction 1; auto using r0; apply rS with w; auto; destruct H0; subst s; try (econstructor; eauto; fail).
Qed.

Lemma requested w h : sys w h -> forall t e v, In e (tl w t) -> eval e = Some v -> In (Inv (Wr v)) h.
Proof.
  induction 1; simpl; intros; try easy; eauto; pose proof (inv_reach _ (sys_reach _ _ H)) as I.
  assert (Q : forall n e v, In e (log (vol (ns w n))) -> eval e = Some v -> In (Inv (Wr v)) h).
  { intros n f u J K; apply In_nth_error in J as [i J]; destruct (i_img _ I n _ (in_vol _)) as (A & _).
    pose proof (A _ _ J) as B; rewrite (agree_nth _ _ _ i B) in J by lia; eapply IHsys; eauto; eapply nth_error_In; eauto. }
  destruct H0; subst s; simpl in *; eauto; unfold updt in *; destruct Nat.eq_dec; eauto.
  apply in_app_or in H1 as [H1|[<-|[]]]; eauto; simpl in H2; apply (H3 _ H2).
Qed.
Lemma inv_once w h : sys w h -> forall o o', In (Inv o) h -> In (Inv o') h -> oid o = oid o' -> o = o'.
Proof.
  induction 1; simpl; intros u u' A B E; try easy; eauto.
  - destruct A as [A|A], B as [B|B]; try (inversion A; subst); try (inversion B; subst); eauto; exfalso; eapply H0; eauto.
  - destruct A as [A|A], B as [B|B]; try discriminate; eauto.
  - destruct A as [A|A], B as [B|B]; try discriminate; eauto.
Qed.
(* read i was taken, or forwarded, when the leaders' commit indices were c *)
Definition told w i c := (exists R, In R (rd w) /\ r_id R = i /\ r_cm R = c) \/ exists t m d, In (FW t m i c d) (net w).
Lemma told_step asked w w' i c : step asked w w' -> told w' i c -> told w i c \/ c = cm w /\ asked (inr i).
Proof.
  intros S [(R & X & <- & <-)|(t & m & d & X)]; destruct S; subst s; simpl in X;
    try (left; left; eauto; fail); try (left; right; eauto; fail).
  all: try (destruct X as [X|X]; [|left; right; eauto; fail]; inversion X; subst; auto; easy).
  - destruct X as [<-|X]; simpl; [auto | left; left; eauto].
  - destruct X as [<-|X]; simpl; [left; right; eauto | left; left; eauto].
Qed.
Lemma read_asked w h : sys w h -> forall i c, told w i c -> exists q, In (Inv (Rd i q)) h.
Proof.
  induction 1; simpl; intros; eauto.
  - destruct H as [(R & [] & _)|(t & m & d & [])].
  - destruct (IHsys _ _ H1); eauto.
  - destruct (IHsys _ _ H2); eauto.
  - destruct (IHsys _ _ H6); eauto.
  - destruct (told_step _ _ _ _ _ H0 H1) as [|[_ A]]; eauto.
Qed.

(* an index that an answer was served from was known to be committed *)
Lemma res_known w h : sys w h -> forall a x k, In (Res a x k) h -> exists t, k <= cm w t.
Proof.
  assert (K : forall w n k, inv w -> k <= ci (vol (ns w n)) -> exists t, k <= cm w t).
  { clear; intros w n k I L; destruct (i_img _ I n _ (in_vol _)) as (_ & _ & _ & G).
    destruct (known_le _ _ _ _ k G L) as [->|(t & _ & X & _)]; [exists 0; lia | eauto]. }
  induction 1; simpl; intros; try easy.
  - destruct H1 as [|]; [discriminate | eauto].
  - destruct H2 as [E|]; [inversion E; subst; eapply K; eauto using inv_reach, sys_reach | eauto].
  - destruct H6 as [E|]; [inversion E; subst; eapply K; eauto using inv_reach, sys_reach | eauto].
  - destruct (IHsys _ _ _ H1) as [t L]; destruct (step_mono _ _ _ (inv_reach _ (sys_reach _ _ H)) H0) as (_ & _ & X).
    exists t; specialize (X t); lia.
Qed.

(* what was answered before a read was invoked was known when it was taken, or forwarded *)
Lemma read_after w h : sys w h -> forall i c h2 a x k h1 q, told w i c -> h = h2 ++ Res a x k :: h1 ->
  In (Inv (Rd i q)) h2 -> exists t, k <= c t.
Proof.
  induction 1; intros.
  - destruct h2; discriminate.
  - destruct h2 as [|e h2]; simpl in *; inversion H2; subst; destruct H3 as [E|E]; [|eauto].
    inversion E; subst; destruct (read_asked _ _ H _ _ H1) as [q' J]; exfalso; eapply H0; eauto.
  - destruct h2 as [|e h2]; simpl in *; inversion H3; subst; [easy|]; destruct H4 as [E|E]; [discriminate | eauto].
  - destruct h2 as [|e h2]; simpl in *; inversion H7; subst; [easy|]; destruct H8 as [E|E]; [discriminate | eauto].
  - destruct (told_step _ _ _ _ _ H0 H1) as [|[-> _]]; eauto.
    apply (res_known _ _ H a x); subst h; apply in_or_app; simpl; auto.
Qed.

(* rs: the reads answered so far, newest first, with the index they were served from *)
Definition explains h l k (rs : list (rid * qry * nat)) :=
  (forall r x j, In (Res (inl r) x j) h -> j <= k /\ In (r, x) (replies j l)) /\
  (forall i x j, In (Res (inr i) x j) h -> exists q, In (i, q, j) rs /\ x = query (state j l) q) /\
  (forall i q j, In (i, q, j) rs -> j <= k /\ In (Inv (Rd i q)) h /\ exists x, In (Res (inr i) x j) h) /\
  NoDup (map (fun e => fst (fst e)) rs) /\
  (forall h2 a x j h1, h = h2 ++ Res a x j :: h1 ->
     (forall v, In (Inv (Wr v)) h2 -> ~ In (vid v) (map vid (executed j l))) /\
     (forall i q j', In (Inv (Rd i q)) h2 -> In (i, q, j') rs -> j <= j' /\
        exists r2 r1, rs = r2 ++ (i, q, j') :: r1 /\ forall b, a = inr b -> exists q0, In (b, q0, j) r1)).

Lemma explains_log h l k rs l' k' : explains h l k rs -> agree k l l' -> k <= k' -> explains h l' k' rs.
Proof.
  intros (A & B & C & D & F) G K.
  assert (X : forall j, j <= k -> executed j l = executed j l') by (apply executed_agree; auto).
  split; [|split; [|split; [|split]]]; auto.
  - intros r x j H; destruct (A _ _ _ H); split; [lia|]; unfold replies in *; rewrite <- X; auto.
  - intros i x j H; destruct (B _ _ _ H) as (q & Q & ->); exists q; split; auto; unfold state; rewrite X; auto.
    apply (C _ _ _ Q).
  - intros i q j H; destruct (C _ _ _ H); split; [lia | auto].
  - intros h2 a x j h1 H; destruct (F _ _ _ _ _ H) as (F1 & F2); split; auto; intros v V; rewrite <- X; [apply F1; auto|].
    assert (In (Res a x j) h) as J by (subst; apply in_or_app; simpl; auto).
    destruct a; [apply (A _ _ _ J) | destruct (B _ _ _ J) as (q & Q & _); apply (C _ _ _ Q)].
Qed.

(* two committed prefixes: one extends the other *)
Lemma longer w t1 l1 k1 t2 l2 k2 : inv w -> known w t1 l1 k1 -> known w t2 l2 k2 -> k1 <= length l1 -> k2 <= length l2 ->
  exists t l k, known w t l k /\ k <= length l /\ k1 <= k /\ k2 <= k /\ agree k1 l1 l /\ agree k2 l2 l.
Proof.
  intros I K1 K2 L1 L2; destruct (le_lt_dec k1 k2).
  - exists t2, l2, k2; repeat split; auto; try lia; apply (known_agree w t1 l1 k1 t2 l2 k2 k1 I K1 K2); auto.
  - exists t1, l1, k1; repeat split; auto; try lia; apply (known_agree w t2 l2 k2 t1 l1 k1 k2 I K2 K1); auto; lia.
Qed.

Lemma explained w h : sys w h -> exists t l k rs, known w t l k /\ k <= length l /\ explains h l k rs.
Proof.
  induction 1.
  - exists 0, [], 0, []; split; [left; auto | split; auto].
    split; [|split; [|split; [|split; [constructor|]]]]; try easy; intros [|] ? ? ? ?; discriminate.
  - destruct IHsys as (t & l & k & rs & K & L & A & B & C & D & F); exists t, l, k, rs; split; [auto | split; [auto|]].
    assert (N : forall u, In (Inv u) h -> Inv u <> Inv o) by (intros u U E; inversion E; subst; eapply H0; eauto).
    split; [|split; [|split; [|split]]]; auto; simpl in *.
    + intros r x j [|J]; [discriminate | eauto].
    + intros i x j [|J]; [discriminate | eauto].
    + intros i q j J; destruct (C _ _ _ J) as (? & ? & x & ?); split; [auto | split; eauto].
    + intros h2 a x j h1 E0; destruct h2 as [|e h2]; simpl in E0; inversion E0; subst; clear E0.
      destruct (F _ _ _ _ _ eq_refl) as (F1 & F2); split.
      2: { intros i q j' [E|J] Z; [|apply (F2 _ _ _ J Z)].
        destruct (C _ _ _ Z) as (_ & Y & _); exfalso; apply (N _ Y); auto. }
      intros v [E|V]; [|auto]; inversion E; subst o; intros M; apply in_map_iff in M as (u & E1 & M).
      apply executed_entry in M as (f & M & E2).
      assert (j <= k) as J.
      { assert (In (Res a x j) (h2 ++ Res a x j :: h1)) as Z by (apply in_or_app; simpl; auto).
        destruct a; [apply (A _ _ _ Z) | destruct (B _ _ _ Z) as (q & Q & _); apply (C _ _ _ Q)]. }
      eapply (H0 (Wr u)); [|simpl; congruence]; destruct K as [->|(t0 & _ & _ & (_ & _ & G))].
      { replace j with 0 in M by lia; destruct M. }
      assert (In f (firstn k l)) as M2 by (rewrite <- (Nat.min_l j k), <- firstn_firstn in M by auto;
        rewrite <- (firstn_skipn j (firstn k l)), in_app_iff; auto).
      rewrite G in M2; eapply requested; eauto.
      rewrite <- (firstn_skipn k (tl w t0)), in_app_iff; eauto.
  - pose proof (inv_reach _ (sys_reach _ _ H)) as I.
    destruct IHsys as (t1 & l1 & k1 & rs & K1 & L1 & X).
    destruct (i_img _ I n _ (in_vol _)) as (_ & _ & _ & G); pose proof (known_le _ _ _ _ k G H0) as K2.
    assert (k <= length (log (vol (ns w n)))) as L2 by (destruct K2 as [->|(t0 & _ & _ & ? & _)]; auto; lia).
    destruct (longer w _ _ _ _ _ _ I K1 K2 L1 L2) as (t & l & k' & K & L & M1 & M2 & A1 & A2).
    apply explains_log with (l' := l) (k' := k') in X; auto.
    exists t, l, k', rs; split; [auto | split; [auto|]]; destruct X as (A & B & C & D & F).
    pose proof (executed_agree _ _ _ A2 k ltac:(auto)) as EX.
    split; [|split; [|split; [|split]]]; auto; simpl in *.
    + intros r' x' j [E|J]; [inversion E; subst; split; auto; unfold replies in *; rewrite <- EX; auto | eauto].
    + intros i y j [|J]; [discriminate | eauto].
    + intros i q j J; destruct (C _ _ _ J) as (? & ? & y & ?); split; [auto | split; eauto].
    + intros h2 a y j h1 E0; destruct h2 as [|e h2]; simpl in E0; inversion E0; subst; clear E0; [simpl; tauto|].
      destruct (F _ _ _ _ _ eq_refl) as (F1 & F2); split.
      * intros v [|]; [discriminate | auto].
      * intros i q j' [|J] Z; [discriminate | apply (F2 _ _ _ J Z)].
  - pose proof (inv_reach _ (sys_reach _ _ H)) as I.
    destruct IHsys as (t1 & l1 & k1 & rs & K1 & L1 & X).
    destruct (i_img _ I n _ (in_vol _)) as (_ & _ & _ & G); pose proof (known_le _ _ _ _ k G H5) as K2.
    assert (k <= length (log (vol (ns w n)))) as L2 by (destruct K2 as [->|(t0 & _ & _ & ? & _)]; auto; lia).
    destruct (longer w _ _ _ _ _ _ I K1 K2 L1 L2) as (t & l & k' & K & L & M1 & M2 & A1 & A2).
    apply explains_log with (l' := l) (k' := k') in X; auto.
    exists t, l, k', ((r_id R, q, k) :: rs); split; [auto | split; [auto|]]; destruct X as (A & B & C & D & F).
    pose proof (executed_agree _ _ _ A2 k ltac:(auto)) as EX.
    assert (NEW : forall h2 a x j h1 q', h = h2 ++ Res a x j :: h1 -> In (Inv (Rd (r_id R) q')) h2 -> j <= k).
    { intros; destruct (read_after _ _ H (r_id R) (r_cm R) h2 a x j h1 q') as [u U]; auto; [left; eauto|].
      pose proof (read_index_counted w R u j (sys_reach _ _ H) H0 H1 U); lia. }
    split; [|split; [|split; [|split]]]; simpl in *.
    + intros r x j [|J]; [discriminate | eauto].
    + intros i x j [E|J]; [inversion E; subst | destruct (B _ _ _ J) as (q' & ? & ?); eauto].
      exists q; split; auto; unfold state; rewrite EX; auto.
    + intros i q' j [E|J]; [inversion E; subst; split; [lia | split; eauto]|].
      destruct (C _ _ _ J) as (? & ? & x & ?); split; [auto | split; eauto].
    + constructor; auto; intros J; apply in_map_iff in J as ([[i q'] j] & E & J); simpl in E; subst i.
      destruct (C _ _ _ J) as (_ & _ & x & Y); eapply H3; eauto.
    + intros h2 a x j h1 E; destruct h2 as [|e h2]; simpl in E; inversion E; subst; clear E; [split; simpl; tauto|].
      destruct (F _ _ _ _ _ eq_refl) as (F1 & F2); split.
      { intros v [|]; [discriminate | auto]. }
      intros i q' j' [|J]; [discriminate|]; intros [Z|Z].
      * inversion Z; subst; split; [eapply NEW; eauto|]; exists [], rs; split; auto.
        intros b ->; destruct (B b x j) as (q0 & ? & _); eauto; apply in_or_app; simpl; auto.
      * destruct (F2 _ _ _ J Z) as (? & r2 & r1 & -> & Y); split; auto; exists ((r_id R, q, k) :: r2), r1; auto.
  - destruct IHsys as (t & l & k & rs & K & L & X); exists t, l, k, rs; split; [|auto].
    destruct (step_mono _ _ _ (inv_reach _ (sys_reach _ _ H)) H0) as (? & _ & ?); apply known_mono with w t; auto.
Qed.

(* ---------- the sequence: entry by entry, after each the reads that were served there ---------- *)
Definition writes (p : list op) := flat_map (fun o => match o with Wr v => [v] | Rd _ _ => [] end) p.
Definition reads (p : list op) := flat_map (fun o => match o with Wr _ => [] | Rd i _ => [i] end) p.
Definition rd_of (e : rid * qry * nat) := Rd (fst (fst e)) (snd (fst e)).
Definition entry_op l i := map Wr (skipn (length (executed (pred i) l)) (executed i l)).
Definition reads_at (rs : list (rid * qry * nat)) i := map rd_of (filter (fun e => snd e =? i) (rev rs)).
Definition upto l rs i := flat_map (fun j => entry_op l j ++ reads_at rs j) (seq 0 i).

Lemma writes_app p q : writes (p ++ q) = writes p ++ writes q. Proof. apply flat_map_app. Qed.
Lemma reads_app p q : reads (p ++ q) = reads p ++ reads q. Proof. apply flat_map_app. Qed.
Lemma writes_wr m : writes (map Wr m) = m. Proof. induction m; simpl; congruence. Qed.
Lemma reads_wr m : reads (map Wr m) = []. Proof. induction m; simpl; congruence. Qed.
Lemma writes_rd m : writes (map rd_of m) = []. Proof. induction m; simpl; congruence. Qed.
Lemma reads_rd m : reads (map rd_of m) = map (fun e => fst (fst e)) m. Proof. induction m; simpl; congruence. Qed.
Lemma in_writes p v : In v (writes p) <-> In (Wr v) p.
Proof.
  unfold writes; rewrite in_flat_map; split; [intros ([u|i q] & J & K); simpl in K; [|easy] | exists (Wr v); simpl; auto].
  destruct K as [->|[]]; auto.
Qed.
Lemma in_reads p i : In i (reads p) <-> exists q, In (Rd i q) p.
Proof.
  unfold reads; rewrite in_flat_map; split; [intros ([u|j q] & J & K); simpl in K; [easy|] | intros [q J]; exists (Rd i q); simpl; auto].
  destruct K as [->|[]]; eauto.
Qed.
Lemma upto_S l rs i : upto l rs (S i) = (upto l rs i ++ entry_op l i) ++ reads_at rs i.
Proof. unfold upto; rewrite seq_S, flat_map_app; simpl; now rewrite app_nil_r, app_assoc. Qed.
Lemma upto_app l rs i j : i <= j -> exists m, upto l rs j = upto l rs i ++ m.
Proof. intros L; unfold upto; replace j with (i + (j - i)) by lia; rewrite seq_app, flat_map_app; eauto. Qed.

(* the commands before the reads at i are those that i entries execute *)
Lemma writes_upto l rs i : writes (upto l rs i ++ entry_op l i) = executed i l.
Proof.
  assert (X : forall i, executed i l = executed (pred i) l ++ writes (entry_op l i)).
  { intros j; unfold entry_op; rewrite writes_wr; destruct (executed_app (pred j) j l) as [m ->]; [lia|].
    now rewrite skipn_app, skipn_all, Nat.sub_diag. }
  induction i as [|i IH]; rewrite writes_app, X; simpl pred; [reflexivity|].
  rewrite upto_S, writes_app, IH; unfold reads_at; now rewrite writes_rd, app_nil_r.
Qed.
Lemma writes_upto_S l rs i : writes (upto l rs (S i)) = executed i l.
Proof. rewrite upto_S, writes_app, writes_upto; unfold reads_at; now rewrite writes_rd, app_nil_r. Qed.

Lemma in_reads_at rs i j q : In (Rd i q) (reads_at rs j) <-> In (i, q, j) rs.
Proof.
  unfold reads_at; rewrite in_map_iff; split.
  - intros ([[i' q'] j'] & E & J); apply filter_In in J as [J K]; apply Nat.eqb_eq in K; apply in_rev in J.
    unfold rd_of in E; simpl in *; inversion E; subst; auto.
  - intros J; exists (i, q, j); split; auto; apply filter_In; split; [now apply -> in_rev | apply Nat.eqb_refl].
Qed.
Lemma in_upto_rd l rs n i q : In (Rd i q) (upto l rs n) <-> exists j, j < n /\ In (i, q, j) rs.
Proof.
  unfold upto; rewrite in_flat_map; split.
  - intros (j & J & K); apply in_seq in J; exists j; split; [lia|]; apply in_app_or in K as [K|K]; [|now apply in_reads_at].
    apply in_map_iff in K as (? & ? & _); discriminate.
  - intros (j & J & K); exists j; split; [apply in_seq; lia | apply in_or_app; right; now apply in_reads_at].
Qed.

Lemma nodup_app {A} (l m : list A) : NoDup l -> NoDup m -> (forall x, In x l -> In x m -> False) -> NoDup (l ++ m).
Proof.
  induction 1; simpl; intros M D; auto; constructor; [rewrite in_app_iff; intros [|]; eauto | apply IHNoDup; eauto].
Qed.
Lemma nodup_map_filter {A B} (f : A -> B) g l : NoDup (map f l) -> NoDup (map f (filter g l)).
Proof.
  induction l as [|a l IH]; simpl; intros D; auto; inversion_clear D; destruct (g a); simpl; auto; constructor; auto.
  intros J; apply H; apply in_map_iff in J as (b & <- & J); apply filter_In in J as [J _]; apply in_map; auto.
Qed.
Lemma nodup_oid p : NoDup (map vid (writes p)) -> NoDup (reads p) -> NoDup (map oid p).
Proof.
  induction p as [|[v|i q] p IH]; simpl; intros A B; constructor.
  - intros J; apply in_map_iff in J as ([u|j q] & E & J); simpl in E; inversion E; inversion_clear A.
    apply H; rewrite <- H0; apply in_map, in_writes; auto.
  - inversion_clear A; auto.
  - intros J; apply in_map_iff in J as ([u|j q'] & E & J); simpl in E; inversion E; subst; inversion_clear B.
    apply H, in_reads; eauto.
  - inversion_clear B; auto.
Qed.
Lemma nodup_reads l rs n : NoDup (map (fun e => fst (fst e)) rs) -> NoDup (reads (upto l rs n)).
Proof.
  intros D; induction n as [|n IH]; [constructor|].
  rewrite upto_S, !reads_app; unfold entry_op at 1; rewrite reads_wr, app_nil_r; apply nodup_app; auto.
  - unfold reads_at; rewrite reads_rd; apply nodup_map_filter; rewrite map_rev; apply NoDup_rev; auto.
  - intros i J K; apply in_reads in J as (q & J); apply in_reads in K as (q' & K).
    apply in_upto_rd in J as (j & J & L); apply in_reads_at in K.
    assert (forall e f, In e rs -> In f rs -> fst (fst e) = fst (fst f) -> e = f) as U.
    { clear - D; induction rs as [|a rs IH]; [easy|]; simpl in D; inversion_clear D; intros e f [<-|E] [<-|F] X; auto.
      - exfalso; apply H; rewrite X; apply (in_map (fun e => fst (fst e))); auto.
      - exfalso; apply H; rewrite <- X; apply (in_map (fun e => fst (fst e))); auto. }
    assert ((i, q, j) = (i, q', n)) as E by (apply U; auto); inversion E; lia.
Qed.

Lemma outputs_app p : forall s q, outputs s (p ++ q) = outputs s p ++ outputs (run s (writes p)) q.
Proof. induction p as [|[v|i r] p IH]; simpl; intros; auto; now rewrite IH. Qed.
Lemma outputs_wr p : forall s r x, In (r, x) (results s (writes p)) -> In (inl r, x) (outputs s p).
Proof.
  induction p as [|[v|i q] p IH]; simpl; intros s r x J; auto.
  destruct J as [J|J]; [inversion J; auto | auto].
Qed.

Theorem raft_linearizable w h : sys w h -> linearizable h.
Proof.
  intros Y; destruct (explained _ _ Y) as (t & l & k & rs & K & L & A & B & C & D & F).
  exists (upto l rs (S k)); split; [|split; [|split]].
  - apply nodup_oid; [rewrite writes_upto_S; apply dedup_nodup | apply nodup_reads; auto].
  - intros [v|i q] J.
    + apply in_writes in J; rewrite writes_upto_S in J; apply executed_entry in J as (e & J & E).
      destruct K as [->|(t0 & _ & _ & (_ & _ & G))]; [easy|]; rewrite G in J.
      eapply requested; eauto; rewrite <- (firstn_skipn k (tl w t0)), in_app_iff; eauto.
    + apply in_upto_rd in J as (j & _ & J); apply (C _ _ _ J).
  - intros [r|i] x j J.
    + destruct (A _ _ _ J) as (M & N); apply outputs_wr; rewrite writes_upto_S.
      destruct (executed_app j k l M) as [m ->]; rewrite results_app; apply in_or_app; auto.
    + destruct (B _ _ _ J) as (q & M & ->); destruct (C _ _ _ M) as (N & _).
      destruct (upto_app l rs (S j) (S k)) as [m ->]; [lia|]; rewrite outputs_app; apply in_or_app; left.
      rewrite upto_S, outputs_app, writes_upto; apply in_or_app; right.
      apply in_reads_at in M; apply in_split in M as (m1 & m2 & E).
      assert (writes m1 = []) as W1.
      { assert (writes (reads_at rs j) = []) as Z by apply writes_rd; rewrite E, writes_app in Z.
        destruct (writes m1); [auto | discriminate]. }
      rewrite E, outputs_app, W1; apply in_or_app; right; left; reflexivity.
  - intros h2 a x j h1 o E O M; destruct (F _ _ _ _ _ E) as (F1 & F2).
    assert (J : In (Res a x j) h) by (subst; apply in_or_app; simpl; auto).
    assert (JK : j <= k).
    { destruct a; [apply (A _ _ _ J) | destruct (B _ _ _ J) as (q & Q & _); apply (C _ _ _ Q)]. }
    destruct o as [v|i q].
    + (* a command: it stands behind all that j entries execute *)
      destruct (upto_app l rs (S j) (S k)) as [m X]; [lia|]; exists (upto l rs (S j)), m; split; [auto | split].
      * destruct a as [r|b].
        -- destruct (A _ _ _ J) as (_ & N); apply results_in in N; apply in_map_iff in N as (u & <- & N).
           apply (in_map oid _ (Wr u)), in_writes; rewrite writes_upto_S; auto.
        -- destruct (B _ _ _ J) as (q & N & _); apply (in_map oid _ (Rd b q)), in_upto_rd; eauto.
      * rewrite X, map_app, in_app_iff in M; destruct M as [M|M]; auto; exfalso; apply (F1 v O).
        apply in_map_iff in M as ([u|] & G & M); simpl in G; [|discriminate]; replace (vid v) with (vid u) by congruence.
        apply in_map; rewrite <- (writes_upto_S l rs j); apply in_writes; auto.
    + (* a read: it stands among those at its index, behind the ones answered before *)
      apply in_map_iff in M as ([u|i' q'] & G & M); simpl in G; inversion G; subst i'; clear G.
      apply in_upto_rd in M as (j' & JJ & M); 
      assert (Rd i q' = Rd i q) as G.
      { apply (inv_once _ _ Y); auto; [apply (C _ _ _ M) | subst h; apply in_or_app; auto]. }
      inversion G; subst q'; clear G; destruct (F2 _ _ _ O M) as (LE & r2 & r1 & R & N).
      destruct (upto_app l rs (S j') (S k)) as [m X]; [lia|].
      exists ((upto l rs j' ++ entry_op l j') ++ map rd_of (filter (fun e => snd e =? j') (rev r1))).
      exists (Rd i q :: map rd_of (filter (fun e => snd e =? j') (rev r2)) ++ m); split; [|split].
      * rewrite X, upto_S; unfold reads_at; rewrite R, rev_app_distr; simpl.
        rewrite <- !app_assoc; f_equal; f_equal; rewrite filter_app, map_app, <- app_assoc; f_equal.
        simpl; rewrite Nat.eqb_refl; simpl; reflexivity.
      * rewrite map_app, in_app_iff; destruct a as [r|b].
        -- left; destruct (A _ _ _ J) as (_ & Z); apply results_in in Z; apply in_map_iff in Z as (u & <- & Z).
           apply (in_map oid _ (Wr u)), in_writes; rewrite writes_upto.
           destruct (executed_app j j' l LE) as [m' ->]; apply in_or_app; auto.
        -- destruct (N b eq_refl) as [q0 Q]; destruct (Nat.eq_dec j j') as [->|NE].
           ++ right; apply (in_map oid _ (Rd b q0)), in_map_iff; exists (b, q0, j'); split; auto.
              apply filter_In; split; [now apply -> in_rev | apply Nat.eqb_refl].
           ++ left; apply (in_map oid _ (Rd b q0)), in_or_app; left; apply in_upto_rd; exists j; split; [lia|].
              rewrite R; apply in_or_app; simpl; auto.
      * left; auto.
Qed.
End Linearizability.
Arguments Wr {params qry}. Arguments Rd {params qry}.
Arguments Inv {params id qry out}. Arguments Res {params id qry out}.
