(* A cluster's parameters, and quorums of its voters. *)
From Coq Require Import List Arith Lia Bool.
Import ListNotations.

Class Params := {
  node : Type;                     (* voters, learners, nodes that were removed: anyone who may speak *)
  value : Type;                    (* a client's command *)
  rid : Type;                      (* the name of a client's read *)
  node_eq_dec : forall a b : node, {a = b} + {a <> b};
  voters : list node;
  nodup_voters : NoDup voters }.

Section Quorum.
Context {params : Params}.

Definition quorum (q : list node) := NoDup q /\ incl q voters /\ length voters < 2 * length q.

(* Any two quorums share a node. *)
Lemma quorum_meet q1 q2 : quorum q1 -> quorum q2 -> exists n, In n q1 /\ In n q2.
Proof.
  intros (D1 & I1 & M1) (D2 & I2 & M2).
  destruct (existsb (fun n => if in_dec node_eq_dec n q2 then true else false) q1) eqn:X.
  - apply existsb_exists in X as (n & J1 & J2); exists n; destruct (in_dec _ n q2); easy.
  - assert (NoDup (q1 ++ q2)) as D.
    { clear M1 M2 I1 I2; induction q1 as [|a q IH]; simpl in *; auto.
      apply orb_false_iff in X as [X1 X2]; inversion_clear D1.
      destruct (in_dec node_eq_dec a q2); [easy|].
      constructor; [rewrite in_app_iff; tauto | auto]. }
    apply NoDup_incl_length with (l' := voters) in D; [| apply incl_app; auto].
    rewrite app_length in D; lia.
Qed.
End Quorum.
