(* The node's handlers as functions, each shown to be a sequence of the model's steps. They decide all that safety
   needs and leave the rest (timers, when to send what) to the caller. A handler ends with a write of its image, as
   the core ends a step with one write; votes, acknowledgements and a node's own part in a majority come
   with on_persisted. What a node sends to itself is among its messages. *)
From Coq Require Import List Arith Lia Bool.
Require Import Steps.
Import ListNotations.

Section Handlers.
Context {params : Params}.

(* ---------- small functions on one node, put together ---------- *)
Definition act := st -> st * list msg.
Definition skip : act := fun s => (s, []).
Definition andthen (f g : act) : act := fun s => let (s1, o1) := f s in let (s2, o2) := g s1 in (s2, o2 ++ o1).
Definition when (b : st -> bool) (f : act) : act := fun s => if b s then f s else (s, []).
Definition put (f : st -> st) : act := fun s => (f s, []).
Definition say (f : st -> msg) : act := fun s => (s, [f s]).
Infix ";;" := andthen (at level 60, right associativity).

Definition is_leader s := match rl s with Leader => true | _ => false end.
Definition is_candidate s := match rl s with Candidate => true | _ => false end.
Definition mem (v : node) l := if in_dec node_eq_dec v l then true else false.
Definition voted (o : option node) c := match o with Some d => if node_eq_dec d c then true else false | None => false end.
Definition free s c := match vote (vol s) with None => true | Some d => if node_eq_dec d c then true else false end.
Definition fresh_enough li lt s :=
  (last_term (log (vol s)) <? lt) || (last_term (log (vol s)) =? lt) && (length (log (vol s)) <=? li).
Definition in_force s := conf (log (vol s)).
Definition majority s k := length (in_force s) <? 2 * k.

Definition see t := when (fun s => cur s <? t) (put (fun s => to_follower (bump t (vol s)) s)).
Definition save := put write.
(* Its own vote is on the disk, and counts if it is a voter: who stands for election without a vote of its own does not
   count itself. *)
Definition stands n s := voted (vote (dur s)) n && (term (dur s) =? cur s) && (mem n (votes s) || negb (mem n (in_force s))).
Definition become_leader n := when (fun s => is_candidate s && majority s (length (votes s)) && stands n s)
  (put (fun s => to_leader (win (vol s)) s) ;; put (fun s => set_vol (append None (vol s)) s)).
(* c: the voters in force, which are looked for once *)
Definition enough (c : list node) k s := length c <? 2 * length (filter (fun m => k <=? mt s m) c).
Definition reached c s := list_max (filter (fun k => enough c k s) (map (mt s) c)).
Definition commits c k s := (ci (vol s) <? k) && (k <=? length (log (vol s))) && (term_at (log (vol s)) k =? cur s) && enough c k s.
Definition commit_to c k := when (commits c k) (put (fun s => set_vol (commit k (vol s)) s)).
Definition advance := when is_leader (fun s => let c := in_force s in commit_to c (reached c s) s).
(* the disk has the log up to k, and our term *)
Definition ack n k := when (fun s => (term (dur s) =? cur s) && (k <=? mat (vol s)) && (k <=? length (log (dur s))) &&
    (term_at (log (dur s)) k =? term_at (log (vol s)) k))
  (say (fun s => AER (term (dur s)) n k)).
(* what the disk has of the leader's log, whatever came since: said by who knows the disk, before the core hears of it *)
Definition ack_stored n k := when (fun s => k <=? mat (dur s)) (say (fun s => AER (term (dur s)) n k)).
Definition give_vote n c := when (fun s => voted (vote (dur s)) c) (say (fun s => RVR (term (dur s)) n c)).
Definition own_vote n := when (fun s => is_candidate s && voted (vote (dur s)) n && (term (dur s) =? cur s) && mem n (in_force s) &&
    negb (mem n (votes s)))
  (say (fun s => RVR (term (dur s)) n n) ;; put (tally n)).
Definition own_ack n := when (fun s => is_leader s && (term (dur s) =? cur s))
  (fun s => (got_ack n (mat (dur s)) s, [AER (term (dur s)) n (mat (dur s))])).

(* ---------- the handlers ---------- *)
Definition on_timeout n := put (fun s => to_candidate (campaign n (vol s)) s) ;; save.     (* or TimeoutNow, or a won PreVote *)
Definition on_step_down := put (fun s => to_follower (vol s) s).
Definition ask_votes n := when (fun s => is_candidate s && (term (dur s) =? cur s))
  (say (fun s => RV (cur s) n (length (log (vol s))) (last_term (log (vol s))))).
Definition on_vote_request t c li lt := see t ;;
  when (fun s => (t =? cur s) && free s c && fresh_enough li lt s) (put (fun s => set_vol (grant c (vol s)) s)) ;; save.
Definition on_vote_response n t v := see t ;;
  when (fun s => is_candidate s && (t =? cur s) && mem v (in_force s) && negb (mem v (votes s))) (put (tally v)) ;;
  become_leader n ;; save.
Definition on_append_request n t p pt es lc r := see t ;;
  when (fun s => (t =? cur s) && (0 <? r)) (say (fun _ => HBR t n r)) ;;     (* round 0: nothing is asked *)
  when (fun s => (t =? cur s) && negb (is_leader s) && (p <=? length (log (vol s))) && (term_at (log (vol s)) p =? pt))
    (put (fun s => to_follower (accept p es lc (vol s)) s)) ;; save.
Definition on_append_response t m k := see t ;;
  when (fun s => is_leader s && (t =? cur s)) (put (got_ack m k)) ;; advance ;; save.
(* a list of members: one voter differs, the last list is committed, and an entry of this term too *)
Definition gone (c d : list node) := length (filter (fun m => negb (mem m d)) c).
Definition quiet_end k (l : log_t) := forallb (fun e => match emem e with Some _ => false | None => true end) (skipn k l).
Definition takes v s := match members v with None => true | Some c =>
  (0 <? ci (vol s)) && (term_at (log (vol s)) (ci (vol s)) =? cur s) && quiet_end (ci (vol s)) (log (vol s)) &&
  (gone (in_force s) c + gone c (in_force s) <=? 1) end.
Definition on_propose v := when (fun s => is_leader s && takes v s) (put (fun s => set_vol (append (Some v) (vol s)) s)) ;; save.
Definition send_append p m := when (fun s => is_leader s && (p + m <=? length (log (vol s))))
  (say (fun s => AE (cur s) p (term_at (log (vol s)) p) (firstn m (skipn p (log (vol s)))) (ci (vol s)))).
Definition offer_snapshot k := when (fun s => is_leader s && (k <=? ci (vol s)))
  (say (fun s => SS (cur s) (firstn k (log (vol s))))).
(* what a snapshot is of takes the place of the log *)
Definition on_snapshot t l := when (fun s => (t <=? cur s) && negb (is_leader s) &&
    negb (term_at (log (vol s)) (length l) =? term_at l (length l)))
  (put (fun s => to_follower (adopt l (vol s)) s)) ;; save.
Definition begin_round := when is_leader (fun s => (next_round s, [HB (cur s) (S (rnd s))])).
(* m is not the node that it was in the list before, or was not there *)
Definition on_forget m := put (forget m).
(* all but the j newest writes under way have reached the disk; c: whom we voted for, k: what we acknowledge *)
Definition synced j : act := fun s => match skipn j (pend s) with [] => (s, []) | d :: _ => (sync (firstn j (pend s)) d s, []) end.
Definition on_persisted n j c k := synced j ;; give_vote n c ;; ack n k ;; own_vote n ;; become_leader n ;; save ;;
  own_ack n ;; advance ;; save.
Definition on_durable n j k := synced j ;; ack_stored n k.
Definition on_applied k := put (mark k).       (* the applied index k is on its way to the disk, by itself *)
Definition on_reboot k := when (fun s => k <=? ci (dur s)) (put (crash k)).

(* ---------- each is a sequence of steps ---------- *)
Inductive steps (asked : value + rid -> Prop) : world -> world -> Prop :=
| st0 w : steps asked w w
| stS w w' w'' : step asked w w' -> steps asked w' w'' -> steps asked w w''.

(* Wherever node n is in state s and the messages of ins have been sent, steps lead to where n is in state s', no other
   node has changed, and the messages of outs, and no others, have been sent besides. *)
Definition does asked n ins s s' outs := forall w, inv w -> ns w n = s -> incl ins (net w) ->
  exists w', steps asked w w' /\ inv w' /\ ns w' n = s' /\ (forall m, m <> n -> ns w' m = ns w m) /\
    forall m, In m (net w') <-> In m outs \/ In m (net w).
Definition ok asked n ins (f : act) := forall s, does asked n ins s (fst (f s)) (snd (f s)).

Lemma does_nil asked n ins s : does asked n ins s s [].
Proof. intros w I E _; exists w; split; [apply st0 | split; [auto | split; [auto | split; [auto | simpl; tauto]]]]. Qed.
Lemma steps_trans asked w w' w'' : steps asked w w' -> steps asked w' w'' -> steps asked w w''.
Proof. induction 1; auto; intros; eapply stS; eauto. Qed.
Lemma does_seq asked n ins s s1 s2 o1 o2 : does asked n ins s s1 o1 -> does asked n (o1 ++ ins) s1 s2 o2 ->
  does asked n ins s s2 (o2 ++ o1).
Proof.
  intros A B w I E N; destruct (A w I E N) as (w1 & S1 & I1 & E1 & O1 & N1).
  destruct (B w1 I1 E1) as (w2 & S2 & I2 & E2 & O2 & N2).
  { intros m M; apply N1; apply in_app_or in M as [M|M]; auto. }
  exists w2; split; [eapply steps_trans; eauto | split; [auto | split; [auto | split]]].
  - intros m D; rewrite O2; auto.
  - intros m; rewrite N2, N1, in_app_iff; tauto.
Qed.
Lemma does_more asked n ins ins' s s' o : does asked n ins s s' o -> incl ins ins' -> does asked n ins' s s' o.
Proof. intros A L w I E N; apply A; auto; intros m M; auto. Qed.
Lemma ok_then asked n ins f g : ok asked n ins f -> ok asked n ins g -> ok asked n ins (f ;; g).
Proof.
  intros F G s; unfold andthen; specialize (F s); destruct (f s) as [s1 o1]; specialize (G s1); destruct (g s1) as [s2 o2].
  simpl in *; eapply does_seq; eauto; eapply does_more; eauto; apply incl_appr, incl_refl.
Qed.
Lemma ok_when asked n ins b f : (forall s, b s = true -> does asked n ins s (fst (f s)) (snd (f s))) -> ok asked n ins (when b f).
Proof. intros F s; unfold when; destruct (b s) eqn:X; auto; apply does_nil. Qed.

(* one step of the model *)
Lemma does_step asked n ins s s' outs :
  (forall w, inv w -> ns w n = s -> incl ins (net w) -> exists w', step asked w w' /\ ns w' = upd (ns w) n s' /\
     net w' = outs ++ net w) -> does asked n ins s s' outs.
Proof.
  intros F w I E N; destruct (F w I E N) as (w' & S & X & Y); exists w'.
  split; [eapply stS; [exact S | apply st0] | split; [eapply inv_step; eauto | rewrite X, Y; split; [|split]]].
  - unfold upd; destruct node_eq_dec; congruence.
  - intros m D; unfold upd; destruct node_eq_dec; congruence.
  - intros m; apply in_app_iff.
Qed.

Ltac b2p := repeat match goal with
  | H : _ && _ = true |- _ => apply andb_true_iff in H as [? ?]
  | H : (_ =? _) = true |- _ => apply Nat.eqb_eq in H
  | H : (_ =? _) = false |- _ => apply Nat.eqb_neq in H
  | H : (_ <? _) = true |- _ => apply Nat.ltb_lt in H
  | H : (_ <=? _) = true |- _ => apply Nat.leb_le in H
  | H : negb _ = true |- _ => apply negb_true_iff in H
  | H : is_leader ?s = true |- _ => unfold is_leader in H; destruct (rl s) eqn:?; try discriminate H; clear H
  | H : is_leader ?s = false |- _ => assert (rl s <> Leader) by (unfold is_leader in H; destruct (rl s); congruence); clear H
  | H : is_candidate ?s = true |- _ => unfold is_candidate in H; destruct (rl s) eqn:?; try discriminate H; clear H
  | H : mem _ _ = _ |- _ => unfold mem in H; destruct in_dec in H; try discriminate H; clear H
  | H : voted ?o _ = true |- _ => unfold voted in H; destruct o eqn:?; [destruct node_eq_dec in H; [subst | discriminate H] | discriminate H]; clear H
  | H : majority _ _ = true |- _ => unfold majority, in_force in H
  end.
Ltac by_step S := apply does_step; intros w I E N; subst; eexists; split; [eapply S; eauto | split; reflexivity].
Ltac one S := apply ok_when; intros s X; b2p; simpl; by_step S.

Lemma ok_save asked n ins : ok asked n ins save.
Proof. intros s; by_step s_write. Qed.
Lemma ok_see asked n ins t : ok asked n ins (see t).
Proof. one s_bump. Qed.
Lemma gone_nothing c d : gone c d = 0 -> forall m, In m c -> In m d.
Proof.
  unfold gone; intros G m I; destruct (in_dec node_eq_dec m d) as [|N]; auto; exfalso.
  assert (In m (filter (fun m => negb (mem m d)) c)) as J.
  { apply filter_In; split; auto; unfold mem; destruct in_dec; [tauto | auto]. }
  destruct (filter _ c); [destruct J | discriminate].
Qed.
Lemma gone_one c d : gone c d <= 1 -> gone d c = 0 -> (forall m, In m c <-> In m d) \/ one_step c d.
Proof.
  intros G Z; pose proof (gone_nothing _ _ Z) as S; destruct (gone c d) as [|[]] eqn:E; [| |lia].
  - left; intros m; split; [apply gone_nothing; auto | auto].
  - right; unfold gone in E; destruct (filter (fun m => negb (mem m d)) c) as [|x [|]] eqn:F; try discriminate.
    exists x; intros y N; split; [intros I | auto]; destruct (in_dec node_eq_dec y d) as [|J]; auto; elim N.
    assert (In y [x]) as [K|[]] by (rewrite <- F; apply filter_In; split; auto; unfold mem; destruct in_dec; [tauto | auto]); auto.
Qed.
Lemma gone_ok (n : node) c d : gone c d + gone d c <= 1 -> one_step c d.
Proof.
  intros G; assert (forall c d, (forall m : node, In m c <-> In m d) -> one_step c d) as S by (intros e f H; exists n; auto).
  destruct (Nat.eq_dec (gone d c) 0) as [Z|Z].
  - destruct (gone_one c d); auto; lia.
  - destruct (gone_one d c) as [H|[x H]]; [lia | lia | apply S; intros m; symmetry; auto | exists x; intros y N; symmetry; auto].
Qed.
Lemma takes_ok (n : node) v s : takes v s = true -> may_append (Some v) (vol s).
Proof.
  unfold takes; intros T x c X M; inversion X; subst x; rewrite M in T; b2p; repeat split; auto.
  - intros m e L1 L2 N; match goal with H : quiet_end _ _ = true |- _ => unfold quiet_end in H; rewrite forallb_forall in H;
      specialize (H e) end.
    destruct (emem e); auto; assert (false = true); [|discriminate]; match goal with H : In _ _ -> _ |- _ => apply H end.
    rewrite <- (firstn_skipn (ci (vol s)) (log (vol s))), nth_error_app2 in N; rewrite firstn_length, Nat.min_l in * by lia; [|auto].
    eapply nth_error_In; eauto.
  - apply gone_ok; auto.
Qed.
Lemma does_append (asked : value + rid -> Prop) n ins s v : rl s = Leader -> (forall x, v = Some x -> asked (inl x)) ->
  may_append v (vol s) ->
  does asked n ins s (set_vol (append v (vol s)) s) [].
Proof. intros L A M; by_step s_append. Qed.
Lemma ok_become_leader asked n ins : ok asked n ins (become_leader n).
Proof.
  apply ok_when; intros s X; b2p; apply does_seq with (s1 := to_leader (win (vol s)) s) (o1 := []) (o2 := []).
  - by_step s_win.
  - apply does_append; [auto | discriminate | intros x c X; discriminate].
Qed.
Lemma ok_advance asked n ins : ok asked n ins advance.
Proof.
  apply ok_when; intros s X; b2p; cbv zeta; generalize (reached (in_force s) s); intros k; unfold commit_to, when.
  destruct (commits (in_force s) k s) eqn:Y; [|apply does_nil]; unfold commits, enough, in_force in Y; b2p; simpl; by_step s_commit.
Qed.
Lemma ok_ack asked n ins k : ok asked n ins (ack n k).
Proof.
  apply ok_when; intros s X; b2p; simpl; apply does_step; intros w I E N; subst.
  eexists; split; [apply (s_send_ack _ _ n k); right; split; [auto | split; [auto|]] | split; reflexivity].
  destruct (i_img _ I n _ (in_vol _)) as (A & _ & (L & _) & _), (i_img _ I n _ (in_dur _)) as (B & _).
  apply LM_agree with (tl w); auto; lia.
Qed.
Lemma ok_ack_stored asked n ins k : ok asked n ins (ack_stored n k).
Proof. one s_send_ack. Qed.
Lemma ok_give_vote asked n ins c : ok asked n ins (give_vote n c).
Proof. one s_send_vote. Qed.
Lemma ok_own_vote asked n ins : ok asked n ins (own_vote n).
Proof.
  apply ok_when; intros s X; b2p.
  apply does_seq with (s1 := s) (o1 := [RVR (term (dur s)) n n]) (o2 := []); [by_step s_send_vote | by_step s_tally].
  apply N; left; congruence.
Qed.
Lemma ok_own_ack asked n ins : ok asked n ins (own_ack n).
Proof.
  apply ok_when; intros s X; b2p.
  apply does_seq with (s1 := s) (o1 := [AER (term (dur s)) n (mat (dur s))]) (o2 := []); [by_step s_send_ack | by_step s_got_ack].
  apply N; left; congruence.
Qed.
Lemma ok_synced asked n ins j : ok asked n ins (synced j).
Proof.
  intros s; unfold synced; destruct (skipn j (pend s)) as [|d older] eqn:X; [apply does_nil|]; simpl.
  by_step s_sync; rewrite <- X; symmetry; apply firstn_skipn.
Qed.
#[local] Hint Resolve ok_then ok_save ok_see ok_become_leader ok_advance ok_ack ok_ack_stored ok_give_vote ok_own_vote ok_own_ack ok_synced : handlers.

Theorem ok_timeout asked n : ok asked n [] (on_timeout n).
Proof. apply ok_then; auto with handlers; intros s; by_step s_campaign. Qed.
Theorem ok_step_down asked n : ok asked n [] on_step_down.
Proof. intros s; by_step s_step_down. Qed.
Theorem ok_ask_votes asked n : ok asked n [] (ask_votes n).
Proof.
  apply ok_when; intros s X; b2p; simpl; apply does_step; intros w I E N; subst.
  destruct (i_cand _ I n) as (L & _); auto; rewrite L.
  eexists; split; [eapply s_ask_votes; eauto | split; reflexivity].
Qed.
Theorem ok_vote_request asked n t c li lt : ok asked n [RV t c li lt] (on_vote_request t c li lt).
Proof.
  apply ok_then; auto with handlers; apply ok_then; auto with handlers.
  apply ok_when; intros s X; b2p; simpl; by_step s_grant.
  - apply N; left; reflexivity.
  - unfold free in *; destruct (vote _); auto; destruct node_eq_dec; [subst; auto | discriminate].
  - unfold fresh_enough in *; match goal with H : _ || _ = true |- _ => apply orb_true_iff in H as [H|H]; b2p end;
      [left; auto | right; auto].
Qed.
Theorem ok_vote_response asked n t v : ok asked n [RVR t v n] (on_vote_response n t v).
Proof.
  apply ok_then; auto with handlers; apply ok_then; auto with handlers.
  one s_tally; apply N; left; congruence.
Qed.
Theorem ok_append_request asked n t p pt es lc r :
  ok asked n (AE t p pt es lc :: match r with 0 => [] | _ => [HB t r] end) (on_append_request n t p pt es lc r).
Proof.
  apply ok_then; auto with handlers; apply ok_then; [|apply ok_then; auto with handlers].
  - one s_answer; apply N; destruct r; [lia | simpl; auto].
  - one s_accept; apply N; simpl; auto.
Qed.
Theorem ok_append_response asked n t m k : ok asked n [AER t m k] (on_append_response t m k).
Proof.
  apply ok_then; auto with handlers; apply ok_then; auto with handlers.
  one s_got_ack; apply N; left; congruence.
Qed.
Theorem ok_propose (asked : value + rid -> Prop) n v : asked (inl v) -> ok asked n [] (on_propose v).
Proof.
  intros A; apply ok_then; auto with handlers; apply ok_when; intros s X; b2p; apply does_append; auto; [congruence|].
  apply takes_ok; auto.
Qed.
Theorem ok_send_append asked n p m : ok asked n [] (send_append p m).
Proof. one s_send. Qed.
Theorem ok_offer_snapshot asked n k : ok asked n [] (offer_snapshot k).
Proof. one s_offer. Qed.
Theorem ok_snapshot asked n t l : ok asked n [SS t l] (on_snapshot t l).
Proof. apply ok_then; auto with handlers; one s_adopt; apply N; left; congruence. Qed.
Theorem ok_forget asked n m : ok asked n [] (on_forget m).
Proof. intros s; by_step s_forget. Qed.
Theorem ok_begin_round asked n : ok asked n [] begin_round.
Proof. one s_round. Qed.
Theorem ok_persisted asked n j c k : ok asked n [] (on_persisted n j c k).
Proof. unfold on_persisted; auto 20 with handlers. Qed.
Theorem ok_durable asked n j k : ok asked n [] (on_durable n j k).
Proof. unfold on_durable; auto with handlers. Qed.
Theorem ok_applied asked n k : ok asked n [] (on_applied k).
Proof. intros s; by_step s_mark. Qed.
Theorem ok_reboot asked n k : ok asked n [] (on_reboot k).
Proof. one s_crash. Qed.
End Handlers.
