(* A cluster's parameters, and majorities of its voters. *)
From Coq Require Import List Arith Lia Bool.
Import ListNotations.

Class Params := {
  node : Type;                     (* voters, learners, nodes that were removed, each life of an id: anyone who may speak *)
  value : Type;                    (* what is proposed: a client's command, or a list of members *)
  rid : Type;                      (* the name of a client's read *)
  node_eq_dec : forall a b : node, {a = b} + {a <> b};
  voters : list node;              (* with whom the cluster begins *)
  nodup_voters : NoDup voters;
  members : value -> option (list node);   (* a list of members: who is a voter from there on *)
  nodup_members : forall v c, members v = Some c -> NoDup c }.

Section Quorum.
Context {params : Params}.

(* A majority of the voters c. *)
Definition quorum (c q : list node) := NoDup q /\ incl q c /\ length c < 2 * length q.

(* One voter is added, or removed, or nothing changes. *)
Definition one_step (c d : list node) := exists x, forall y, y <> x -> (In y c <-> In y d).
Definition near (c d : list node) := c = d \/ one_step c d.

(* To put one node in another's place takes two steps. So it does for another life of an id: it is another node. *)
Lemma one_step_at_a_time c d a b : one_step c d -> In a c -> ~ In a d -> In b d -> In b c.
Proof.
  intros [x H] A A' B; destruct (node_eq_dec a x) as [->|N]; [|elim A'; apply H; auto].
  apply H; auto; intros ->; auto.
Qed.

Lemma near_sym c d : near c d -> near d c.
Proof. intros [->|[x H]]; [left; auto | right; exists x; intros y N; symmetry; auto]. Qed.

Lemma share (q1 q2 : list node) : NoDup q1 -> NoDup q2 -> (exists n, In n q1 /\ In n q2) \/ NoDup (q1 ++ q2).
Proof.
  intros D1 D2; destruct (existsb (fun n => if in_dec node_eq_dec n q2 then true else false) q1) eqn:X.
  - left; apply existsb_exists in X as (n & J1 & J2); exists n; destruct (in_dec _ n q2); easy.
  - right; induction q1 as [|a q IH]; simpl in *; auto.
    apply orb_false_iff in X as [X1 X2]; inversion_clear D1.
    destruct (in_dec node_eq_dec a q2); [easy|].
    constructor; [rewrite in_app_iff; tauto | auto].
Qed.

Lemma length_remove x (c : list node) : NoDup c -> length c = length (remove node_eq_dec x c) + (if in_dec node_eq_dec x c then 1 else 0).
Proof.
  induction c as [|a c IH]; intros D; [auto|]; inversion_clear D; specialize (IH H0).
  assert (length (remove node_eq_dec x (a :: c)) = (if node_eq_dec x a then 0 else 1) + length (remove node_eq_dec x c)) as R.
  { simpl; destruct node_eq_dec; auto. }
  rewrite R; simpl length; rewrite IH.
  destruct (node_eq_dec x a) as [->|N], (in_dec _ _ c) as [I|I], (in_dec _ _ (a :: c)) as [J|J]; simpl in J; try tauto; try lia.
  destruct J; congruence.
Qed.

(* Majorities of the same list, or of lists that differ by one voter, share a node. *)
Lemma quorum_meet c1 c2 q1 q2 : NoDup c1 -> NoDup c2 -> near c1 c2 -> quorum c1 q1 -> quorum c2 q2 ->
  exists n, In n q1 /\ In n q2.
Proof.
  intros N1 N2 S (D1 & I1 & M1) (D2 & I2 & M2); destruct (share q1 q2 D1 D2) as [|D]; auto; exfalso.
  destruct S as [<-|[x S]].
  - apply NoDup_incl_length with (l' := c1) in D; [| apply incl_app; auto]; rewrite app_length in D; lia.
  - pose proof (length_remove x _ N1) as L1; pose proof (length_remove x _ N2) as L2.
    assert (length (remove node_eq_dec x c1) = length (remove node_eq_dec x c2)) as E.
    { assert (forall c, NoDup c -> NoDup (remove node_eq_dec x c)) as R.
      { induction c as [|a c IH]; simpl; intros H; auto; inversion_clear H; destruct node_eq_dec; auto.
        constructor; auto; intros J; apply in_remove in J; tauto. }
      apply Nat.le_antisymm; apply NoDup_incl_length; auto; intros y J; apply in_remove in J as [J K];
        apply in_in_remove; auto; apply S; auto. }
    assert (incl (q1 ++ q2) (x :: remove node_eq_dec x c1)) as I.
    { intros y J; destruct (node_eq_dec y x) as [->|K]; [left; auto|]; right; apply in_in_remove; auto.
      apply in_app_or in J as [J|J]; [auto | apply S; auto]. }
    pose proof (NoDup_incl_length D I) as L; simpl in L; rewrite app_length in L.
    destruct (in_dec _ x c1) as [X1|X1], (in_dec _ x c2) as [X2|X2]; try lia.
    assert (incl (q1 ++ q2) c1) as J.
    { intros y J; apply in_app_or in J as [J|J]; [auto|]; apply S; auto; intros ->; auto. }
    apply (NoDup_incl_length D) in J; rewrite app_length in J; lia.
Qed.
End Quorum.
