(* Logs: agreement on a prefix, log matching against leader logs, the update of AppendEntries, the voters in force. *)
From Coq Require Import List Arith Lia Bool.
Require Export Quorum.
Import ListNotations.

Section Entry.
Context {params : Params}.
Record entry := E { eterm : nat; eval : option value }.   (* None: the entry that opens a leader's term *)
End Entry.
Notation log_t := (list entry).

Section Log.
Context {params : Params}.

Definition agree k (a b : log_t) := k <= length a /\ k <= length b /\ firstn k a = firstn k b.
Lemma agree_refl k a : k <= length a -> agree k a a. Proof. unfold agree; auto. Qed.
Lemma agree_sym k a b : agree k a b -> agree k b a. Proof. unfold agree; intuition. Qed.
Lemma agree_trans k a b c : agree k a b -> agree k b c -> agree k a c.
Proof. unfold agree; intuition congruence. Qed.
Lemma agree_le k j a b : agree k a b -> j <= k -> agree j a b.
Proof.
  intros (A & B & X) L; repeat split; try lia.
  rewrite <- (Nat.min_l j k), <- !firstn_firstn, X by lia; auto.
Qed.
Lemma agree_app k a b x : agree k a b -> agree k a (b ++ x).
Proof.
  intros (A & B & X); repeat split; auto; [rewrite app_length; lia|].
  rewrite firstn_app; replace (k - length b) with 0 by lia; simpl; now rewrite app_nil_r.
Qed.
Lemma agree_app_l k a b x : agree k a b -> agree k (a ++ x) b.
Proof. intros; apply agree_sym, agree_app, agree_sym; auto. Qed.
Lemma agree_nth k a b i : agree k a b -> i < k -> nth_error a i = nth_error b i.
Proof.
  intros (A & B & X) L; rewrite <- (firstn_skipn k a), <- (firstn_skipn k b), X.
  rewrite !nth_error_app1; auto; rewrite firstn_length; lia.
Qed.
Lemma agree_firstn k j (T : log_t) : j <= length T -> k <= j -> agree k (firstn j T) T.
Proof.
  intros; repeat split; rewrite ?firstn_length; try lia.
  rewrite firstn_firstn; now rewrite Nat.min_l by lia.
Qed.

Definition term_at (l : log_t) k :=
  match k with 0 => 0 | S i => match nth_error l i with Some e => eterm e | None => 0 end end.
Definition last_term l := term_at l (length l).
Lemma agree_term k a b j : agree k a b -> j <= k -> term_at a j = term_at b j.
Proof. intros A L; destruct j; simpl; auto; now rewrite (agree_nth _ _ _ j A) by lia. Qed.

(* every log is, entry by entry, a prefix of the (ghost) log of the leader of that entry's term *)
Definition LM (tl : nat -> log_t) l := forall i e, nth_error l i = Some e -> agree (S i) l (tl (eterm e)).
Lemma LM_ext tl tl' l : (forall t, exists x, tl' t = tl t ++ x) -> LM tl l -> LM tl' l.
Proof. intros X H i e N; destruct (X (eterm e)) as [x ->]; apply agree_app; auto. Qed.
Lemma LM_agree tl a b k : LM tl a -> LM tl b -> k <= length a -> k <= length b ->
  term_at a k = term_at b k -> agree k a b.
Proof.
  intros A B La Lb X; destruct k; [repeat split; auto; lia|]; simpl in X.
  destruct (nth_error a k) eqn:Na; [| apply nth_error_None in Na; lia].
  destruct (nth_error b k) eqn:Nb; [| apply nth_error_None in Nb; lia].
  apply agree_trans with (tl (eterm e)); auto; rewrite X; apply agree_sym; auto.
Qed.
Lemma LM_firstn tl T j : j <= length T -> LM tl T -> LM tl (firstn j T).
Proof.
  intros L H i e N.
  assert (i < j) by (assert (i < length (firstn j T)) by (apply nth_error_Some; congruence); rewrite firstn_length in *; lia).
  assert (agree (S i) (firstn j T) T) as A by (apply agree_firstn; lia).
  rewrite (agree_nth _ _ _ i A) in N by lia; eapply agree_trans; eauto.
Qed.

Lemma LM_snoc tl l e : LM tl l -> (exists x, tl (eterm e) = l ++ e :: x) -> LM tl (l ++ [e]).
Proof.
  intros H [x X] i f N; destruct (le_lt_dec (length l) i) as [G|G].
  - assert (i = length l /\ e = f) as [-> <-].
    { rewrite nth_error_app2 in N by auto; destruct (i - length l) as [|[]] eqn:Z; simpl in N; inversion N; split; auto; lia. }
    rewrite X; change (e :: x) with ([e] ++ x); rewrite app_assoc; apply agree_app, agree_refl.
    rewrite app_length; simpl; lia.
  - rewrite nth_error_app1 in N by auto; apply agree_app_l; auto.
Qed.

(* ---------- the voters in force ---------- *)
(* A list of members is in force where it stands in the log, committed or not, and until the next one. *)
Definition emem e := match eval e with Some v => members v | None => None end.
Definition conf (l : log_t) := fold_left (fun c e => match emem e with Some d => d | None => c end) l voters.
(* no list of members among the entries after the first i, up to j *)
Definition quiet (l : log_t) i j := forall m e, i <= m -> m < j -> nth_error l m = Some e -> emem e = None.

Lemma conf_snoc l e : conf (l ++ [e]) = match emem e with Some d => d | None => conf l end.
Proof. unfold conf; rewrite fold_left_app; reflexivity. Qed.
Lemma nodup_conf l : NoDup (conf l).
Proof.
  induction l as [|e l IH] using rev_ind; [apply nodup_voters|]; rewrite conf_snoc; unfold emem.
  destruct (eval e); auto; destruct (members v) eqn:M; auto; eapply nodup_members; eauto.
Qed.
Lemma firstn_snoc (l : log_t) j e : nth_error l j = Some e -> firstn (S j) l = firstn j l ++ [e].
Proof. revert j; induction l as [|a l IH]; intros [|j] N; simpl in *; try discriminate; [congruence | rewrite (IH j); auto]. Qed.
(* the last change between i and j *)
Lemma conf_last l i j : i <= j -> j <= length l -> quiet l i j /\ conf (firstn j l) = conf (firstn i l) \/
  exists m e c, i <= m /\ m < j /\ nth_error l m = Some e /\ emem e = Some c /\ conf (firstn j l) = c.
Proof.
  intros L; induction L as [|j L IH]; intros J; [left; split; auto; intros m e; lia|].
  destruct (nth_error l j) as [e|] eqn:N; [|apply nth_error_None in N; lia].
  rewrite (firstn_snoc _ _ _ N), conf_snoc; destruct (emem e) as [c|] eqn:M.
  - right; exists j, e, c; repeat split; auto.
  - destruct IH as [[Q X]|(m & f & c & A & B & C)]; [lia | left | right; exists m, f, c; split; [auto | split; [lia | auto]]].
    split; auto; intros m f A B F; destruct (Nat.eq_dec m j) as [->|]; [congruence | apply (Q m f); auto; lia].
Qed.
Lemma conf_quiet l i j : i <= j -> j <= length l -> quiet l i j -> conf (firstn j l) = conf (firstn i l).
Proof.
  intros L J Q; destruct (conf_last l i j L J) as [[_ X]|(m & e & c & A & B & N & M & _)]; auto.
  rewrite (Q m e A B N) in M; discriminate.
Qed.
Lemma conf_agree k j a b : agree k a b -> j <= k -> conf (firstn j a) = conf (firstn j b).
Proof. intros A L; destruct (agree_le _ j _ _ A L) as (_ & _ & ->); auto. Qed.
Lemma quiet_agree k i j a b : agree k a b -> j <= k -> quiet a i j -> quiet b i j.
Proof. intros A L Q m e X Y N; apply (Q m e); auto; rewrite (agree_nth _ _ _ m A); auto; lia. Qed.
Lemma quiet_le l i i' j j' : quiet l i j -> i <= i' -> j' <= j -> quiet l i' j'.
Proof. intros Q A B m e C D; apply Q; lia. Qed.

(* where two logs part *)
Lemma fork tl a b : LM tl a -> LM tl b -> exists d, agree d a b /\ forall k, agree k a b -> k <= d.
Proof.
  intros A B; assert (H : forall n, n <= length a -> n <= length b ->
    exists d, agree d a b /\ forall k, k <= n -> agree k a b -> k <= d).
  { induction n as [|n IH]; intros La Lb; [exists 0; split; [repeat split; lia | auto]|].
    destruct (Nat.eq_dec (term_at a (S n)) (term_at b (S n))) as [E|E].
    - exists (S n); split; auto; apply LM_agree with tl; auto.
    - destruct IH as (d & D1 & D2); [lia | lia | exists d; split; auto].
      intros k L K; destruct (Nat.eq_dec k (S n)) as [->|]; [|apply D2; auto; lia].
      elim E; apply (agree_term _ _ _ _ K); auto. }
  destruct (H (Nat.min (length a) (length b))) as (d & D1 & D2); [lia | lia | exists d; split; auto].
  intros k K; apply D2; auto; destruct K as (? & ? & _); lia.
Qed.
Lemma term_mono tl l i j : LM tl l -> (forall t e, In e (tl t) -> eterm e <= t) -> i <= j -> j <= length l ->
  term_at l i <= term_at l j.
Proof.
  intros M T L J; destruct i as [|i]; [simpl; lia|]; destruct j as [|j]; [lia|]; simpl.
  destruct (nth_error l j) as [e|] eqn:N; [|apply nth_error_None in N; lia].
  destruct (nth_error l i) as [f|] eqn:F; [|lia].
  apply T; apply M in N; rewrite (agree_nth _ _ _ i N) in F by lia; eapply nth_error_In; eauto.
Qed.

(* ---------- the AppendEntries log update ---------- *)
Definition new_log (l : log_t) p (es : log_t) : log_t :=
  if list_eq_dec Nat.eq_dec (map eterm (firstn (length es) (skipn p l))) (map eterm es)
  then l else firstn p l ++ es.
Definition seg (T : log_t) p pt (es : log_t) :=
  p + length es <= length T /\ term_at T p = pt /\ es = firstn (length es) (skipn p T).
Lemma seg_ext T x p pt es : seg T p pt es -> seg (T ++ x) p pt es.
Proof.
  intros (A & B & C); split; [rewrite app_length; lia | split].
  - rewrite <- B; symmetry; apply agree_term with (length T); [apply agree_app, agree_refl | ]; lia.
  - rewrite C at 1; rewrite skipn_app, firstn_app, skipn_length.
    replace (length es - (length T - p)) with 0 by lia; simpl; now rewrite app_nil_r.
Qed.
Lemma term_at_firstn_skipn (l : log_t) p m : 0 < m -> p + m <= length l ->
  term_at l (p + m) = last (map eterm (firstn m (skipn p l))) 0.
Proof.
  intros; destruct m; [lia|]; rewrite Nat.add_succ_r; simpl term_at.
  rewrite <- (firstn_skipn p l) at 1; rewrite nth_error_app2; rewrite firstn_length, Nat.min_l by lia; try lia.
  replace (p + m - p) with m by lia; assert (m < length (skipn p l)) as L by (rewrite skipn_length; lia).
  clear - L; revert m L; induction (skipn p l) as [|a r IH]; intros [|m] L; simpl in *; try lia; auto.
  rewrite IH by lia; destruct r; simpl in *; [lia|]; auto.
Qed.
Lemma new_log_ok tl l T p pt es : LM tl l -> LM tl T -> seg T p pt es -> p <= length l -> term_at l p = pt ->
  agree (p + length es) (new_log l p es) T /\ LM tl (new_log l p es) /\
  (forall k, agree k l T -> agree k (new_log l p es) T) /\
  (forall e, In e (new_log l p es) -> In e l \/ In e T).
Proof.
  intros Ml MT (A & B & C) P Q; unfold new_log.
  assert (agree p l T) as AP by (apply LM_agree with tl; auto; try lia; congruence).
  destruct (list_eq_dec _ _ _) as [X|X].
  - split; [|split; [auto | split; auto]].
    assert (p + length es <= length l) as L.
    { apply (f_equal (@length _)) in X; rewrite !map_length, firstn_length, skipn_length in X; lia. }
    destruct (Nat.eq_dec (length es) 0) as [Z|Z]; [now rewrite Z, Nat.add_0_r in *|].
    apply LM_agree with tl; auto; rewrite !term_at_firstn_skipn by lia; rewrite X, <- C; auto.
  - assert (firstn p l ++ es = firstn (p + length es) T) as R.
    { destruct AP as (_ & _ & ->); rewrite C at 1.
      rewrite <- (firstn_skipn p (firstn (p + length es) T)), firstn_firstn, Nat.min_l by lia.
      f_equal; rewrite skipn_firstn_comm; f_equal; lia. }
    rewrite R; split; [apply agree_firstn; lia | split; [apply LM_firstn; auto | split]].
    + intros k K; apply agree_firstn; auto; destruct (le_lt_dec k (p + length es)); auto; exfalso; apply X.
      destruct (agree_le _ (p + length es) _ _ K) as (_ & _ & G); [lia|].
      rewrite C at 2; f_equal; rewrite !firstn_skipn_comm, G; auto.
    + intros e I; right; rewrite <- (firstn_skipn (p + length es) T), in_app_iff; auto.
Qed.
End Log.
