(* One node's state and transitions; the world; what one step is. *)
From Coq Require Import List Arith Lia Bool.
Require Export Log.
Import ListNotations.

Section Model.
Context {params : Params}.

Inductive role := Follower | Candidate | Leader.
Record st := St { cur : nat; vf : option node; log : log_t;      (* persistent *)
                  rl : role; votes : list node; mt : node -> nat; ci : nat }.
Inductive msg :=
| RV (t : nat) (c : node) (li lt : nat)                  (* RequestVote *)
| RVR (t : nat) (v c : node)                             (* vote granted by v to c *)
| AE (t p pt : nat) (es : log_t) (lc : nat)              (* AppendEntries; also heartbeat *)
| AER (t : nat) (n : node) (k : nat).                    (* n holds the leader's log up to k *)

Definition upd {A} (f : node -> A) n x m := if node_eq_dec m n then x else f m.
Definition updt {A} (f : nat -> A) t x u := if Nat.eq_dec u t then x else f u.

Definition bump t s := St t None (log s) Follower [] (mt s) (ci s).
Definition campaign n s := St (S (cur s)) (Some n) (log s) Candidate [n] (mt s) (ci s).
Definition grant c s := St (cur s) (Some c) (log s) (rl s) (votes s) (mt s) (ci s).
Definition tally v s := St (cur s) (vf s) (log s) (rl s) (v :: votes s) (mt s) (ci s).
Definition win s := St (cur s) (vf s) (log s) Leader (votes s) (fun _ => 0) (ci s).
Definition append v s := St (cur s) (vf s) (log s ++ [E (cur s) v]) (rl s) (votes s) (mt s) (ci s).
Definition accept p es lc s := St (cur s) (vf s) (new_log (log s) p es) Follower [] (mt s)
  (Nat.max (ci s) (Nat.min lc (p + length es))).
Definition got_ack m k s := St (cur s) (vf s) (log s) (rl s) (votes s) (upd (mt s) m (Nat.max (mt s m) k)) (ci s).
Definition commit k s := St (cur s) (vf s) (log s) (rl s) (votes s) (mt s) k.
Definition reboot k s := St (cur s) (vf s) (log s) Follower [] (mt s) k.  (* also: step down *)

Definition up_to_date li lt l := last_term l < lt \/ last_term l = lt /\ length l <= li.
Definition holders n k s := filter (fun m => if node_eq_dec m n then true else k <=? mt s m) nodes.

(* ---------- the world; vr, cl, el, tl, ak are ghosts that never influence ns or net ---------- *)
Record world := W { ns : node -> st; net : list msg;
  vr : list (nat * node * node);        (* votes ever cast: term, voter, candidate *)
  cl : node -> nat -> log_t;            (* log of candidate c when it campaigned for term t *)
  el : nat -> option node;              (* leader of term t *)
  tl : nat -> log_t;                    (* log of the leader of term t (append only) *)
  ak : list (node * nat * nat) }.       (* n acknowledged term t's log up to k *)

Inductive step (ok : value -> Prop) (w : world) : world -> Prop :=  (* ok: commands a leader may append *)
| s_bump n t : cur (ns w n) < t ->
    step ok w (W (upd (ns w) n (bump t (ns w n))) (net w) (vr w) (cl w) (el w) (tl w) (ak w))
| s_campaign n : let s := ns w n in let t := S (cur s) in
    step ok w (W (upd (ns w) n (campaign n s)) (RV t n (length (log s)) (last_term (log s)) :: net w)
      ((t, n, n) :: vr w) (upd (cl w) n (updt (cl w n) t (log s))) (el w) (tl w) (ak w))
| s_grant n c t li lt : In (RV t c li lt) (net w) -> t = cur (ns w n) ->
    vf (ns w n) = None \/ vf (ns w n) = Some c -> up_to_date li lt (log (ns w n)) ->
    step ok w (W (upd (ns w) n (grant c (ns w n))) (RVR t n c :: net w) ((t, n, c) :: vr w)
      (cl w) (el w) (tl w) (ak w))
| s_tally n v : rl (ns w n) = Candidate -> In (RVR (cur (ns w n)) v n) (net w) -> ~ In v (votes (ns w n)) ->
    step ok w (W (upd (ns w) n (tally v (ns w n))) (net w) (vr w) (cl w) (el w) (tl w) (ak w))
| s_win n : let s := ns w n in rl s = Candidate -> length nodes < 2 * length (votes s) ->
    step ok w (W (upd (ns w) n (win s)) (net w) (vr w) (cl w) (updt (el w) (cur s) (Some n))
      (updt (tl w) (cur s) (log s)) (ak w))
| s_client n v : let s := ns w n in ok v -> rl s = Leader ->
    step ok w (W (upd (ns w) n (append v s)) (net w) (vr w) (cl w) (el w)
      (updt (tl w) (cur s) (log s ++ [E (cur s) v])) (ak w))
| s_send n p m : let s := ns w n in rl s = Leader -> p + m <= length (log s) ->
    step ok w (W (upd (ns w) n s) (AE (cur s) p (term_at (log s) p) (firstn m (skipn p (log s))) (ci s) :: net w)
      (vr w) (cl w) (el w) (tl w) (ak w))
| s_accept n t p pt es lc : let s := ns w n in In (AE t p pt es lc) (net w) -> t = cur s -> rl s <> Leader ->
    p <= length (log s) -> term_at (log s) p = pt ->
    step ok w (W (upd (ns w) n (accept p es lc s)) (AER t n (p + length es) :: net w)
      (vr w) (cl w) (el w) (tl w) ((n, t, p + length es) :: ak w))
| s_got_ack n m k : rl (ns w n) = Leader -> In (AER (cur (ns w n)) m k) (net w) ->
    step ok w (W (upd (ns w) n (got_ack m k (ns w n))) (net w) (vr w) (cl w) (el w) (tl w) (ak w))
| s_commit n k : let s := ns w n in rl s = Leader -> ci s < k -> k <= length (log s) -> term_at (log s) k = cur s ->
    length nodes < 2 * length (holders n k s) ->
    step ok w (W (upd (ns w) n (commit k s)) (net w) (vr w) (cl w) (el w) (tl w) ((n, cur s, length (log s)) :: ak w))
| s_reboot n k : k <= ci (ns w n) ->
    step ok w (W (upd (ns w) n (reboot k (ns w n))) (net w) (vr w) (cl w) (el w) (tl w) (ak w)).

Definition init := W (fun _ => St 0 None [] Follower [] (fun _ => 0) 0) [] [] (fun _ _ => []) (fun _ => None) (fun _ => []) [].
Inductive reach : world -> Prop := r0 : reach init | rS w w' : reach w -> step (fun _ => True) w w' -> reach w'.
End Model.
