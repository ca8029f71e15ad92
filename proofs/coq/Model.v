(* One node's state and transitions; the world; what one step is.

   A node works on its volatile image and writes images of it to its disk. Writes reach the disk in the order in which
   they were issued, at any later time (s_write, s_sync); a crash loses those that have not (s_crash). Votes and append
   acknowledgements are read off the durable image, so they cannot leave before it says what they say.
   The network is the set of all packets ever sent, and delivery leaves them there: loss, delay, duplication and
   reordering are free. A handler of the real node is a sequence of these steps (see Handlers.v).
   Who the voters are is said by the log: candidate and leader count by the last list of members in their own.
   All nodes that will ever be are there from the beginning, with nothing. One that loses its disk takes no step any more;
   who comes back in its place is another node, with nothing. *)
From Coq Require Import List Arith Lia Bool.
Require Export Log.
Import ListNotations.

Section Model.
Context {params : Params}.

(* ---------- what a node holds ---------- *)
Record img := Img {
  term : nat;
  vote : option node;
  log : log_t;
  mat : nat;              (* up to here the log is known to be that of this term's leader *)
  ci : nat }.             (* commit index; on disk it is the index applied to the data *)

Inductive role := Follower | Candidate | Leader.

Record st := St {
  vol : img;              (* what the node works on *)
  pend : list img;        (* writes under way, newest first *)
  dur : img;              (* what a crash leaves *)
  rl : role;
  votes : list node;      (* votes counted so far *)
  mt : node -> nat;       (* acknowledged by each node in this term, the leader itself included *)
  rnd : nat }.            (* last round of read confirmations *)

Definition images s := vol s :: pend s ++ [dur s].

(* ---------- the transitions of an image ---------- *)
Definition bump t d := Img t None (log d) 0 (ci d).
Definition campaign n d := Img (S (term d)) (Some n) (log d) 0 (ci d).
Definition grant c d := Img (term d) (Some c) (log d) (mat d) (ci d).
Definition win d := Img (term d) (vote d) (log d) (length (log d)) (ci d).
Definition append v d := Img (term d) (vote d) (log d ++ [E (term d) v]) (S (length (log d))) (ci d).
Definition accept p es lc d := Img (term d) (vote d) (new_log (log d) p es) (Nat.max (mat d) (p + length es))
  (Nat.max (ci d) (Nat.min lc (p + length es))).
Definition adopt l d := Img (term d) (vote d) l 0 (length l).
Definition commit k d := Img (term d) (vote d) (log d) (mat d) k.
Definition recover k d := Img (term d) (vote d) (log d) 0 k.
(* k is known to be committed, by an image v of the same term with the same entries *)
Definition know k v d := if (term d =? term v) && (k <=? ci v) && (k <=? length (log d)) && (term_at (log d) k =? term_at (log v) k)
  then Img (term d) (vote d) (log d) (mat d) (Nat.max (ci d) k) else d.

Definition up_to_date li lt l := last_term l < lt \/ last_term l = lt /\ length l <= li.
(* who holds k, of the voters in force at the end of the leader's log *)
Definition holders k s := filter (fun m => k <=? mt s m) (conf (log (vol s))).
(* A leader may append v: anything but a list of members; or one that differs by one voter from the list in force, if
   that one is committed, and with it an entry of the leader's own term. *)
Definition may_append v d := forall x c, v = Some x -> members x = Some c ->
  0 < ci d /\ term_at (log d) (ci d) = term d /\ quiet (log d) (ci d) (length (log d)) /\ one_step (conf (log d)) c.

Definition upd {A} (f : node -> A) n x m := if node_eq_dec m n then x else f m.
Definition updt {A} (f : nat -> A) t x u := if Nat.eq_dec u t then x else f u.

(* ---------- the transitions of a node ---------- *)
Definition to_follower d s := St d (pend s) (dur s) Follower [] (mt s) (rnd s).
Definition set_vol d s := St d (pend s) (dur s) (rl s) (votes s) (mt s) (rnd s).
Definition to_candidate d s := St d (pend s) (dur s) Candidate [] (mt s) (rnd s).
Definition to_leader d s := St d (pend s) (dur s) Leader (votes s) (fun _ => 0) 0.
Definition tally v s := St (vol s) (pend s) (dur s) (rl s) (v :: votes s) (mt s) (rnd s).
Definition got_ack m k s := St (vol s) (pend s) (dur s) (rl s) (votes s) (upd (mt s) m (Nat.max (mt s m) k)) (rnd s).
Definition forget m s := St (vol s) (pend s) (dur s) (rl s) (votes s) (upd (mt s) m 0) (rnd s).
Definition next_round s := St (vol s) (pend s) (dur s) (rl s) (votes s) (mt s) (S (rnd s)).
Definition write s := St (vol s) (vol s :: pend s) (dur s) (rl s) (votes s) (mt s) (rnd s).
Definition sync newer d s := St (vol s) newer d (rl s) (votes s) (mt s) (rnd s).
Definition mark k s := St (vol s) (map (know k (vol s)) (pend s)) (know k (vol s) (dur s)) (rl s) (votes s) (mt s) (rnd s).
Definition crash k s := St (recover k (dur s)) [] (dur s) Follower [] (mt s) (rnd s).

(* ---------- messages ---------- *)
Inductive msg :=
| RV (t : nat) (c : node) (li lt : nat)                  (* c asks for votes; its last index and term *)
| RVR (t : nat) (v c : node)                             (* v votes for c *)
| AE (t p pt : nat) (es : log_t) (lc : nat)              (* AppendEntries; an empty one is a heartbeat *)
| AER (t : nat) (n : node) (k : nat)                     (* n holds the leader's log up to k, on its disk *)
| HB (t r : nat)                                         (* the leader of t asks who is with it: round r *)
| HBR (t : nat) (n : node) (r : nat)                     (* n is at term t and answers round r *)
| FW (t : nat) (n : node) (i : rid) (c : nat -> nat) (d : node -> nat) (* n is at term t and forwards read i; c and d: ghosts, see below *)
| SS (t : nat) (l : log_t)                               (* a snapshot: l, which the leader of t knows to be committed *)
| PV (t : nat) (c : node) (li lt : nat)                  (* PreVote *)
| PVR (t : nat) (v c : node) (granted : bool)
| TN (t : nat) (to : node).                              (* TimeoutNow: leadership transfer *)
Definition chatter m := match m with PV _ _ _ _ | PVR _ _ _ _ | TN _ _ => True | _ => False end.

(* ---------- the world ---------- *)
(* A read that a leader has taken: its name, the leader's term, the first round that may confirm it, the read index, and
   who needs no round for it: of one that was forwarded, the leader and who did that; and ghosts: the length of the
   leader's log, and the leaders' commit indices and the durable terms at that moment, or when it was forwarded. *)
Record read := Rd { r_id : rid; r_term : nat; r_rnd : nat; r_idx : nat; r_ack : list node; r_len : nat; r_cm : nat -> nat;
  r_dur : node -> nat }.

(* Everything but ns, net (without what is said above) and the first five fields of the reads is a ghost: no step asks it
   anything. One exception: a vote request that has waited for the disk says what cl says, which the request has held since
   the campaign. *)
Record world := W { ns : node -> st; net : list msg;
  vr : list (nat * node * node);        (* votes that left: term, voter, candidate *)
  cl : node -> nat -> log_t;            (* log of candidate c when it last campaigned for term t *)
  el : nat -> option node;              (* leader of term t *)
  tl : nat -> log_t;                    (* log of the leader of term t (only grows) *)
  ak : list (node * nat * nat);         (* n acknowledged term t's log up to k *)
  cm : nat -> nat;                      (* commit index that the leader of term t reached by counting *)
  rd : list read }.                     (* reads taken *)

Notation cur s := (term (vol s)).

Inductive step (asked : value + rid -> Prop) (w : world) : world -> Prop :=   (* asked: what clients have invoked *)
(* terms and elections *)
| s_bump n t : let s := ns w n in cur s < t ->
    step asked w (W (upd (ns w) n (to_follower (bump t (vol s)) s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_step_down n : let s := ns w n in
    step asked w (W (upd (ns w) n (to_follower (vol s) s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_campaign n : let s := ns w n in       (* at any time: a timeout, PreVote won, or TimeoutNow *)
    step asked w (W (upd (ns w) n (to_candidate (campaign n (vol s)) s)) (net w) (vr w)
      (upd (cl w) n (updt (cl w n) (S (cur s)) (log (vol s)))) (el w) (tl w) (ak w) (cm w) (rd w))
| s_ask_votes n : let s := ns w n in term (dur s) = cur s ->      (* as it stood when n campaigned; it may wait for the disk *)
    step asked w (W (upd (ns w) n s) (RV (cur s) n (length (cl w n (cur s))) (last_term (cl w n (cur s))) :: net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_grant n c t li lt : let s := ns w n in In (RV t c li lt) (net w) -> t = cur s ->
    vote (vol s) = None \/ vote (vol s) = Some c -> up_to_date li lt (log (vol s)) ->
    step asked w (W (upd (ns w) n (set_vol (grant c (vol s)) s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_send_vote n c : let s := ns w n in vote (dur s) = Some c ->
    step asked w (W (upd (ns w) n s) (RVR (term (dur s)) n c :: net w) ((term (dur s), n, c) :: vr w)
      (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_tally n v : let s := ns w n in rl s = Candidate -> In (RVR (cur s) v n) (net w) -> In v (conf (log (vol s))) -> ~ In v (votes s) ->
    step asked w (W (upd (ns w) n (tally v s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_win n : let s := ns w n in rl s = Candidate -> length (conf (log (vol s))) < 2 * length (votes s) ->
    step asked w (W (upd (ns w) n (to_leader (win (vol s)) s)) (net w) (vr w) (cl w) (updt (el w) (cur s) (Some n))
      (updt (tl w) (cur s) (log (vol s))) (ak w) (cm w) (rd w))
(* the log *)
| s_append n v : let s := ns w n in rl s = Leader -> (forall x, v = Some x -> asked (inl x)) -> may_append v (vol s) ->
    step asked w (W (upd (ns w) n (set_vol (append v (vol s)) s)) (net w) (vr w) (cl w) (el w)
      (updt (tl w) (cur s) (log (vol s) ++ [E (cur s) v])) (ak w) (cm w) (rd w))
| s_send n p m : let s := ns w n in rl s = Leader -> p + m <= length (log (vol s)) ->   (* synced here or not *)
    step asked w (W (upd (ns w) n s)
      (AE (cur s) p (term_at (log (vol s)) p) (firstn m (skipn p (log (vol s)))) (ci (vol s)) :: net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_accept n t p pt es lc : let s := ns w n in In (AE t p pt es lc) (net w) -> t = cur s -> rl s <> Leader ->
    p <= length (log (vol s)) -> term_at (log (vol s)) p = pt ->
    step asked w (W (upd (ns w) n (to_follower (accept p es lc (vol s)) s)) (net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_offer n k : let s := ns w n in rl s = Leader -> k <= ci (vol s) ->
    step asked w (W (upd (ns w) n s) (SS (cur s) (firstn k (log (vol s))) :: net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_adopt n t l : let s := ns w n in In (SS t l) (net w) -> t <= cur s -> rl s <> Leader ->
    term_at (log (vol s)) (length l) <> term_at l (length l) ->      (* in the place of the whole log, if it does not hold it *)
    step asked w (W (upd (ns w) n (to_follower (adopt l (vol s)) s)) (net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_send_ack n k : let s := ns w n in     (* a leader's own acknowledgement too *)
    k <= mat (dur s) \/ term (dur s) = cur s /\ k <= mat (vol s) /\ agree k (log (dur s)) (log (vol s)) ->
    step asked w (W (upd (ns w) n s) (AER (term (dur s)) n k :: net w)
      (vr w) (cl w) (el w) (tl w) ((n, term (dur s), k) :: ak w) (cm w) (rd w))
| s_got_ack n m k : let s := ns w n in rl s = Leader -> In (AER (cur s) m k) (net w) ->
    step asked w (W (upd (ns w) n (got_ack m k s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_forget n m : let s := ns w n in      (* what was acknowledged may be forgotten: of one who is new in a list *)
    step asked w (W (upd (ns w) n (forget m s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_commit n k : let s := ns w n in rl s = Leader -> ci (vol s) < k -> k <= length (log (vol s)) ->
    term_at (log (vol s)) k = cur s -> length (conf (log (vol s))) < 2 * length (holders k s) ->
    step asked w (W (upd (ns w) n (set_vol (commit k (vol s)) s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w)
      (updt (cm w) (cur s) k) (rd w))
(* the disk *)
| s_write n : let s := ns w n in
    step asked w (W (upd (ns w) n (write s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_sync n newer d older : let s := ns w n in pend s = newer ++ d :: older ->
    step asked w (W (upd (ns w) n (sync newer d s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_mark n k : let s := ns w n in         (* the applied index, stored by itself *)
    step asked w (W (upd (ns w) n (mark k s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_crash n k : let s := ns w n in k <= ci (dur s) ->
    step asked w (W (upd (ns w) n (crash k s)) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
(* reads *)
| s_read n i k : let s := ns w n in rl s = Leader -> ci (vol s) <= k -> term_at (log (vol s)) k = cur s -> asked (inr i) ->
    step asked w (W (upd (ns w) n s) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w)
      (Rd i (cur s) (S (rnd s)) k [] (length (log (vol s))) (cm w) (fun m => term (dur (ns w m))) :: rd w))
| s_forward n i : let s := ns w n in asked (inr i) ->      (* at any time; it may come at any later one, or never *)
    step asked w (W (upd (ns w) n s) (FW (cur s) n i (cm w) (fun m => term (dur (ns w m))) :: net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_read_forwarded n m i k c d : let s := ns w n in rl s = Leader -> ci (vol s) <= k -> term_at (log (vol s)) k = cur s ->
    In (FW (cur s) m i c d) (net w) ->
    step asked w (W (upd (ns w) n s) (net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w)
      (Rd i (cur s) (S (rnd s)) k [n; m] (length (log (vol s))) c d :: rd w))
| s_round n : let s := ns w n in rl s = Leader ->
    step asked w (W (upd (ns w) n (next_round s)) (HB (cur s) (S (rnd s)) :: net w)
      (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
| s_answer n t r : let s := ns w n in In (HB t r) (net w) -> t = cur s ->
    step asked w (W (upd (ns w) n s) (HBR t n r :: net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w))
(* what does not matter *)
| s_chatter n m : let s := ns w n in chatter m ->
    step asked w (W (upd (ns w) n s) (m :: net w) (vr w) (cl w) (el w) (tl w) (ak w) (cm w) (rd w)).

Definition img0 := Img 0 None [] 0 0.
Definition init := W (fun _ => St img0 [] img0 Follower [] (fun _ => 0) 0) [] [] (fun _ _ => []) (fun _ => None)
  (fun _ => []) [] (fun _ => 0) [].
Inductive reach : world -> Prop :=
| r0 : reach init
| rS w w' : reach w -> step (fun _ => True) w w' -> reach w'.

(* A majority of a list that was in force at the leader since it took the read has answered the read's round, or a
   later one; but for those who need none. *)
Definition confirmed w R := exists j, r_len R <= j /\ j <= length (tl w (r_term R)) /\
  exists q, quorum (conf (firstn j (tl w (r_term R)))) q /\
  forall m, In m q -> In m (r_ack R) \/ exists r', r_rnd R <= r' /\ In (HBR (r_term R) m r') (net w).
End Model.
Notation cur s := (term (vol s)).
