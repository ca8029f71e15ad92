(* The model is not vacuous: in this run three nodes elect a leader, lose a vote in a crash, commit a command, answer it,
   and answer a read on a follower. Each w is the world after one step; Coq works it out from the step's name. *)
From Coq Require Import List Arith Lia Bool.
Require Coq.derive.Derive.
Require Import Linearizability.
Import ListNotations.

#[local] Instance three : Params.
Proof.
  refine {| node := nat; value := nat; rid := nat; node_eq_dec := Nat.eq_dec; voters := [0; 1; 2] |}.
  abstract (repeat constructor; simpl; intuition discriminate).
Defined.

(* a register: a command writes itself and returns what was there *)
Definition swap (s v : nat) := (v, s).
Definition key (v : nat) := v.
Definition get (s : nat) (_ : unit) := s.
Notation ev := (event nat unit nat).
Notation hist := (sys nat unit nat nat Nat.eq_dec key 0 swap get).
Notation asked h := (asked nat unit nat h).

Definition h1 : list ev := [Inv (Wr 42)].
Definition h2 : list ev := Res (inl 42) 0 2 :: h1.
Definition h3 : list ev := Inv (Rd 7 tt) :: h2.
Definition h4 : list ev := Res (inr 7) 42 2 :: h3.

(* what a step requires is computed *)
Ltac calc := vm_compute; auto 8; try (eexists; left; reflexivity); try (intuition (congruence || lia)).
Ltac by_step S := match goal with |- step _ _ ?w => subst w end; eapply S; calc; fail.
Definition s_sync0 A (w : world) n := s_sync A w n [] (hd img0 (pend (ns w n))) (List.tl (pend (ns w n))).

Definition w0 := init.
Derive w1 SuchThat (step (asked h1) w0 w1) As s1. Proof. by_step (s_campaign (asked h1) w0 0). Qed.   (* node 0 campaigns for term 1 *)
Derive w2 SuchThat (step (asked h1) w1 w2) As s2. Proof. by_step (s_write (asked h1) w1 0). Qed.   (* and has term and vote written *)
Derive w3 SuchThat (step (asked h1) w2 w3) As s3. Proof. by_step (s_sync0 (asked h1) w2 0). Qed.
Derive w4 SuchThat (step (asked h1) w3 w4) As s4. Proof. by_step (s_ask_votes (asked h1) w3 0). Qed.
Derive w5 SuchThat (step (asked h1) w4 w5) As s5. Proof. by_step (s_send_vote (asked h1) w4 0 0). Qed.   (* its own vote *)
Derive w6 SuchThat (step (asked h1) w5 w6) As s6. Proof. by_step (s_chatter (asked h1) w5 0 (TN 1 2)). Qed.   (* a stray TimeoutNow *)
Derive w7 SuchThat (step (asked h1) w6 w7) As s7. Proof. by_step (s_bump (asked h1) w6 1 1). Qed.   (* node 1 adopts the term *)
Derive w8 SuchThat (step (asked h1) w7 w8) As s8. Proof. by_step (s_grant (asked h1) w7 1 0 1 0 0). Qed.   (* grants its vote *)
Derive w9 SuchThat (step (asked h1) w8 w9) As s9. Proof. by_step (s_write (asked h1) w8 1). Qed.
Derive w10 SuchThat (step (asked h1) w9 w10) As s10. Proof. by_step (s_sync0 (asked h1) w9 1). Qed.
Derive w11 SuchThat (step (asked h1) w10 w11) As s11. Proof. by_step (s_send_vote (asked h1) w10 1 0). Qed.   (* and sends it, now that the disk has it *)
Derive w12 SuchThat (step (asked h1) w11 w12) As s12. Proof. by_step (s_bump (asked h1) w11 2 1). Qed.   (* node 2 adopts the term *)
Derive w13 SuchThat (step (asked h1) w12 w13) As s13. Proof. by_step (s_grant (asked h1) w12 2 0 1 0 0). Qed.   (* grants its vote too *)
Derive w14 SuchThat (step (asked h1) w13 w14) As s14. Proof. by_step (s_write (asked h1) w13 2). Qed.
Derive w15 SuchThat (step (asked h1) w14 w15) As s15. Proof. by_step (s_crash (asked h1) w14 2 0). Qed.   (* and crashes before the sync: this vote never was *)
Derive w16 SuchThat (step (asked h1) w15 w16) As s16. Proof. by_step (s_tally (asked h1) w15 0 0). Qed.
Derive w17 SuchThat (step (asked h1) w16 w17) As s17. Proof. by_step (s_tally (asked h1) w16 0 1). Qed.
Derive w18 SuchThat (step (asked h1) w17 w18) As s18. Proof. by_step (s_win (asked h1) w17 0). Qed.
Derive w19 SuchThat (step (asked h1) w18 w19) As s19. Proof. by_step (s_append (asked h1) w18 0 None). Qed.   (* the opening entry *)
Derive w20 SuchThat (step (asked h1) w19 w20) As s20. Proof. by_step (s_append (asked h1) w19 0 (Some 42)). Qed.   (* the client's command *)
Derive w21 SuchThat (step (asked h1) w20 w21) As s21. Proof. by_step (s_send (asked h1) w20 0 0 2). Qed.   (* sent before the leader has synced it *)
Derive w22 SuchThat (step (asked h1) w21 w22) As s22. Proof. by_step (s_accept (asked h1) w21 1 1 0 0 [E 1 None; E 1 (Some 42)] 0). Qed.
Derive w23 SuchThat (step (asked h1) w22 w23) As s23. Proof. by_step (s_write (asked h1) w22 1). Qed.
Derive w24 SuchThat (step (asked h1) w23 w24) As s24. Proof. by_step (s_sync0 (asked h1) w23 1). Qed.
Derive w25 SuchThat (step (asked h1) w24 w25) As s25. Proof. by_step (s_send_ack (asked h1) w24 1 2). Qed.
Derive w26 SuchThat (step (asked h1) w25 w26) As s26. Proof. by_step (s_write (asked h1) w25 0). Qed.
Derive w27 SuchThat (step (asked h1) w26 w27) As s27. Proof. by_step (s_sync0 (asked h1) w26 0). Qed.
Derive w28 SuchThat (step (asked h1) w27 w28) As s28. Proof. by_step (s_send_ack (asked h1) w27 0 2). Qed.   (* the leader counts itself *)
Derive w29 SuchThat (step (asked h1) w28 w29) As s29. Proof. by_step (s_got_ack (asked h1) w28 0 0 2). Qed.
Derive w30 SuchThat (step (asked h1) w29 w30) As s30. Proof. by_step (s_got_ack (asked h1) w29 0 1 2). Qed.
Derive w31 SuchThat (step (asked h1) w30 w31) As s31. Proof. by_step (s_commit (asked h1) w30 0 2). Qed.
Derive w32 SuchThat (step (asked h3) w31 w32) As s32. Proof. by_step (s_read (asked h3) w31 0 7 2). Qed.   (* read 7 is taken at index 2 *)
Derive w33 SuchThat (step (asked h3) w32 w33) As s33. Proof. by_step (s_round (asked h3) w32 0). Qed.   (* round 1 *)
Derive w34 SuchThat (step (asked h3) w33 w34) As s34. Proof. by_step (s_answer (asked h3) w33 0 1 1). Qed.
Derive w35 SuchThat (step (asked h3) w34 w35) As s35. Proof. by_step (s_answer (asked h3) w34 1 1 1). Qed.
Derive w36 SuchThat (step (asked h3) w35 w36) As s36. Proof. by_step (s_send (asked h3) w35 0 2 0). Qed.   (* a heartbeat carries the commit index *)
Derive w37 SuchThat (step (asked h3) w36 w37) As s37. Proof. by_step (s_accept (asked h3) w36 1 1 2 1 [] 2). Qed.   (* node 1 may apply two entries *)
Derive w38 SuchThat (step (asked h3) w37 w38) As s38. Proof. by_step (s_crash (asked h3) w37 0 0). Qed.   (* the leader crashes; what is committed is not lost *)

Definition read_op : op unit := Rd 7 tt.
Definition read7 := hd (Model.Rd 0 0 0 0 (fun _ => 0) (fun _ => 0)) (rd w38).
Ltac go Y s := eapply y_step in Y; [|exact s].

Theorem the_run : hist w38 h4.
Proof.
  assert (Y : hist w0 h1) by (apply y_inv; [apply y0 | intros ? []]).
  go Y s1. go Y s2. go Y s3. go Y s4. go Y s5. go Y s6. go Y s7. go Y s8. go Y s9. go Y s10.
  go Y s11. go Y s12. go Y s13. go Y s14. go Y s15. go Y s16. go Y s17. go Y s18. go Y s19. go Y s20.
  go Y s21. go Y s22. go Y s23. go Y s24. go Y s25. go Y s26. go Y s27. go Y s28. go Y s29. go Y s30.
  go Y s31.
  apply (@y_res three nat unit nat nat Nat.eq_dec key 0 swap get w31 h1 0 2 42 0) in Y; [|calc|calc].
  apply (@y_inv three nat unit nat nat Nat.eq_dec key 0 swap get w31 h2 read_op) in Y;
    [|simpl; intros u [E|[E|[]]]; inversion E; discriminate].
  go Y s32. go Y s33. go Y s34. go Y s35. go Y s36. go Y s37. go Y s38.
  apply (@y_read three nat unit nat nat Nat.eq_dec key 0 swap get w38 h3 read7 1 2 tt) in Y.
  - exact Y.
  - calc.
  - exists [0; 1]; split; [|intros m [<-|[<-|[]]]; exists 1; calc].
    repeat split; [repeat constructor; simpl; intuition discriminate | intros x; simpl; tauto | simpl; lia].
  - calc.
  - intros x j; simpl; intuition discriminate.
  - calc.
  - calc.
Qed.
