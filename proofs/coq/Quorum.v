(* A cluster: its nodes, and the values that clients put into the log. Quorums. *)
From Coq Require Import List Arith Lia Bool.
Import ListNotations.

Class Params := {
  node : Type;
  value : Type;
  node_eq_dec : forall a b : node, {a = b} + {a <> b};
  nodes : list node;
  all_nodes : forall n, In n nodes;
  nodup_nodes : NoDup nodes }.

Section Quorum.
Context {params : Params}.

Definition quorum (q : list node) := NoDup q /\ length nodes < 2 * length q.
Lemma quorum_meet q1 q2 : quorum q1 -> quorum q2 -> exists n, In n q1 /\ In n q2.
Proof.
  intros [D1 M1] [D2 M2].
  destruct (existsb (fun n => if in_dec node_eq_dec n q2 then true else false) q1) eqn:X.
  - apply existsb_exists in X as (n & I1 & I2); exists n; destruct (in_dec _ n q2); easy.
  - assert (NoDup (q1 ++ q2)) as D.
    { clear M1 M2; induction q1 as [|a q IH]; simpl in *; auto.
      apply orb_false_iff in X as [X1 X2]; inversion_clear D1.
      destruct (in_dec node_eq_dec a q2); [easy|].
      constructor; [rewrite in_app_iff; tauto | auto]. }
    apply NoDup_incl_length with (l' := nodes) in D; [| intros ? ?; apply all_nodes].
    rewrite app_length in D; lia.
Qed.
End Quorum.
