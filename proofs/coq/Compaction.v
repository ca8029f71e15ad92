(* Compaction: what lies at or below a node's commit index need not be there. Logs are whole in the model; here it is shown
   that a node never needs to look at what it knows to be committed when it takes over entries: an append request of its
   term agrees with its log up to there, so it may be cut, whatever it says about what is below (agrees_at() and
   take_entries() in C, which take for equal what they do not hold any more). And whatever else is asked of a log has the same
   answer above a cut. *)
From Coq Require Import List Arith Lia Bool.
Require Import Steps Handlers.
Import ListNotations.

Section Compaction.
Context {params : Params}.

Lemma skipn_skipn {A} x y (l : list A) : skipn x (skipn y l) = skipn (y + x) l.
Proof. revert l; induction y as [|y IH]; intros [|a l]; simpl; auto; destruct x; auto. Qed.

(* What a node knows to be committed stands in the log of the leader of its term. *)
Lemma known_in_leader w n t p pt es lc : inv w -> In (AE t p pt es lc) (net w) -> t = cur (ns w n) ->
  agree (ci (vol (ns w n))) (log (vol (ns w n))) (tl w t).
Proof.
  intros I A ->; destruct (i_ae _ I _ _ _ _ _ A) as (E & _), (i_img _ I n _ (in_vol _)) as (_ & _ & _ & K).
  destruct K as [->|(t0 & L & C & G)]; [repeat split; lia|].
  destruct (Nat.eq_dec (ci (vol (ns w n))) 0) as [->|Z]; [repeat split; lia|].
  destruct (Nat.eq_dec t0 (cur (ns w n))) as [<-|N]; auto.
  eapply agree_trans; [exact G|]; apply agree_sym, agree_le with (cm w t0); auto.
  apply (i_2 _ I); auto; [apply cm_committed with (ci (vol (ns w n))); auto | lia].
Qed.

(* Its place is right wherever that lies below what is known to be committed. *)
Theorem place_is_known w n t p pt es lc : inv w -> In (AE t p pt es lc) (net w) -> t = cur (ns w n) ->
  p <= ci (vol (ns w n)) -> p <= length (log (vol (ns w n))) /\ term_at (log (vol (ns w n))) p = pt.
Proof.
  intros I A T L; pose proof (known_in_leader w n t p pt es lc I A T) as G; destruct (i_ae _ I _ _ _ _ _ A) as (_ & (_ & <- & _) & _).
  split; [destruct G; lia | apply (agree_term _ _ _ p G L)].
Qed.

(* And so are its entries up to there. *)
Lemma entries_are_known w n t p pt es lc b : inv w -> In (AE t p pt es lc) (net w) -> t = cur (ns w n) ->
  p <= b -> b <= ci (vol (ns w n)) -> b <= p + length es ->
  firstn (b - p) es = firstn (b - p) (skipn p (log (vol (ns w n)))).
Proof.
  intros I A T P B L; pose proof (known_in_leader w n t p pt es lc I A T) as G.
  destruct (i_ae _ I _ _ _ _ _ A) as (_ & (_ & _ & S) & _); apply agree_le with (j := b) in G as (_ & _ & G); auto.
  rewrite S, firstn_firstn, Nat.min_l by lia; rewrite !firstn_skipn_comm; replace (p + (b - p)) with b by lia; rewrite G; auto.
Qed.

(* Taken over from b on, it does the same as from where it begins. *)
Theorem what_is_known_may_be_cut w n t p pt es lc b : inv w -> In (AE t p pt es lc) (net w) -> t = cur (ns w n) ->
  p <= b -> b <= ci (vol (ns w n)) -> b <= p + length es ->
  accept b (skipn (b - p) es) lc (vol (ns w n)) = accept p es lc (vol (ns w n)).
Proof.
  intros I A T P B L; pose proof (entries_are_known w n t p pt es lc b I A T P B L) as F.
  pose proof (known_in_leader w n t p pt es lc I A T) as (G & _).
  set (l := log (vol (ns w n))) in *; unfold accept; fold l; rewrite skipn_length; replace (b + (length es - (b - p))) with (p + length es) by lia.
  replace (new_log l b (skipn (b - p) es)) with (new_log l p es); auto; unfold new_log.
  assert (skipn p l = firstn (b - p) es ++ skipn b l) as X.
  { rewrite F; replace b with (p + (b - p)) at 2 by lia; rewrite <- skipn_skipn, firstn_skipn; auto. }
  assert (map eterm (firstn (length es) (skipn p l)) = map eterm es <->
    map eterm (firstn (length (skipn (b - p) es)) (skipn b l)) = map eterm (skipn (b - p) es)) as Q.
  { rewrite X, firstn_app, firstn_length, Nat.min_l, skipn_length by lia.
    rewrite (firstn_all2 (n := length es) (firstn (b - p) es)) by (rewrite firstn_length; lia).
    assert (map eterm es = map eterm (firstn (b - p) es) ++ map eterm (skipn (b - p) es)) as -> by
      (rewrite <- map_app, firstn_skipn; auto).
    rewrite map_app; split; [apply app_inv_head | intros ->; auto]. }
  destruct (list_eq_dec _ _ _) as [Y|Y], (list_eq_dec _ _ _) as [Z|Z]; try tauto.
  replace (firstn b l) with (firstn p l ++ firstn (b - p) (skipn p l)).
  - rewrite <- F, <- app_assoc, firstn_skipn; auto.
  - rewrite <- (firstn_skipn p l) at 3; rewrite firstn_app, firstn_length, Nat.min_l by lia.
    rewrite (firstn_all2 (n := b) (firstn p l)) by (rewrite firstn_length; lia); auto.
Qed.

(* And what brings nothing beyond changes nothing of the log. *)
Theorem what_is_known_changes_nothing w n t p pt es lc : inv w -> In (AE t p pt es lc) (net w) -> t = cur (ns w n) ->
  p + length es <= ci (vol (ns w n)) -> new_log (log (vol (ns w n))) p es = log (vol (ns w n)).
Proof.
  intros I A T L; pose proof (entries_are_known w n t p pt es lc (p + length es) I A T) as F.
  replace (p + length es - p) with (length es) in F by lia; rewrite firstn_all in F; unfold new_log.
  destruct (list_eq_dec _ _ _) as [Y|Y]; auto; elim Y; rewrite <- F by lia; auto.
Qed.

(* ---------- above a cut ---------- *)
(* What handlers ask of a log, they get the same answer from what is left of it above the first d entries, with positions
   counted from there, and with those in force there in the place of the voters with whom the cluster began. *)
Definition conf_from (c : list node) (l : log_t) := fold_left (fun c e => match emem e with Some d => d | None => c end) l c.
Lemma conf_cut d l : conf_from (conf (firstn d l)) (skipn d l) = conf l.
Proof. unfold conf_from, conf; rewrite <- fold_left_app, firstn_skipn; auto. Qed.
Lemma length_cut d (l : log_t) : length (skipn d l) = length l - d.
Proof. apply skipn_length. Qed.
Lemma nth_cut {A} d i (l : list A) : nth_error (skipn d l) i = nth_error l (d + i).
Proof. revert l; induction d as [|d IH]; intros [|a l]; simpl; auto; destruct i; auto. Qed.
Lemma term_cut d l k : d < k -> term_at (skipn d l) (k - d) = term_at l k.
Proof.
  intros L; destruct k as [|k]; [lia|]; replace (S k - d) with (S (k - d)) by lia; simpl.
  rewrite nth_cut; replace (d + (k - d)) with k by lia; auto.
Qed.
Lemma last_cut d l : d < length l -> last_term (skipn d l) = last_term l.
Proof. intros L; unfold last_term; rewrite skipn_length; apply term_cut; auto. Qed.
Lemma up_to_date_cut d l li lt : d < length l -> up_to_date (li - d) lt (skipn d l) <-> up_to_date li lt l.
Proof. intros L; unfold up_to_date; rewrite last_cut, skipn_length by auto; lia. Qed.
Lemma slice_cut d (l : log_t) p m : d <= p -> firstn m (skipn (p - d) (skipn d l)) = firstn m (skipn p l).
Proof. intros L; rewrite skipn_skipn; replace (d + (p - d)) with p by lia; auto. Qed.
Lemma quiet_cut d l k : d <= k -> quiet_end (k - d) (skipn d l) = quiet_end k l.
Proof. intros L; unfold quiet_end; rewrite skipn_skipn; replace (d + (k - d)) with k by lia; auto. Qed.
Lemma new_log_cut d l p es : d <= p -> p <= length l -> new_log (skipn d l) (p - d) es = skipn d (new_log l p es).
Proof.
  intros L P; unfold new_log; rewrite slice_cut by auto; destruct (list_eq_dec _ _ _); auto.
  rewrite skipn_app, firstn_length, Nat.min_l by auto; replace (d - p) with 0 by lia; simpl.
  rewrite skipn_firstn_comm; auto.
Qed.
Lemma append_cut d (l : log_t) e : d <= length l -> skipn d l ++ [e] = skipn d (l ++ [e]).
Proof. intros L; rewrite skipn_app; replace (d - length l) with 0 by lia; auto. Qed.
(* who holds k: acknowledgements are counted from the cut as well *)
Lemma holders_cut d k (c : list node) (f : node -> nat) : d < k ->
  filter (fun m => k - d <=? f m - d) c = filter (fun m => k <=? f m) c.
Proof.
  intros L; apply filter_ext; intros m; destruct (k <=? f m) eqn:X.
  - apply Nat.leb_le in X; apply Nat.leb_le; lia.
  - apply Nat.leb_nle in X; apply Nat.leb_nle; lia.
Qed.
(* a cut log agrees with another as far as the whole ones do *)
Lemma agree_cut d k (a b : log_t) : d <= k -> agree k a b -> agree (k - d) (skipn d a) (skipn d b).
Proof.
  intros L (A & B & X); repeat split; rewrite ?skipn_length; try lia.
  rewrite !firstn_skipn_comm; replace (d + (k - d)) with k by lia; rewrite X; auto.
Qed.
End Compaction.
