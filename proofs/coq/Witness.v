(* The model is not vacuous: in this run three nodes elect a leader, lose a vote in a crash, commit a command, answer it,
   and answer a read on a follower; the leader crashes with an entry that nobody else has; another is elected, whose
   entries take its place, a command of before among them, which is not executed again; and a follower's read, which the
   new leader serves without asking anybody. Each w is the world after one
   step; Coq works it out from the step's name. *)
From Coq Require Import List Arith Lia Bool.
Require Coq.derive.Derive.
Require Import Linearizability.
Import ListNotations.

#[local] Instance three : Params.
Proof.
  refine {| node := nat; value := nat; rid := nat; node_eq_dec := Nat.eq_dec; voters := [0; 1; 2]; members := fun _ => None |}.
  - abstract (repeat constructor; simpl; intuition discriminate).
  - abstract discriminate.
Defined.

(* a counter: a command adds itself and returns what was there, so to execute one twice would show *)
Definition add (s v : nat) := (s + v, s).
Definition key (v : nat) := v.
Definition get (s : nat) (_ : unit) := s.
Notation ev := (event nat unit nat).
Notation hist := (sys nat unit nat nat Nat.eq_dec key 0 add get).
Notation asked h := (asked nat unit nat h).

Definition h1 : list ev := [Inv (Wr 42)].
Definition h2 : list ev := Res (inl 42) 0 2 :: h1.
Definition h3 : list ev := Inv (Rd 7 tt) :: h2.
Definition h4 : list ev := Inv (Wr 43) :: h3.
Definition h5 : list ev := Res (inr 7) 42 2 :: h4.
Definition h6 : list ev := Res (inl 43) 42 5 :: h5.
Definition h7 : list ev := Inv (Rd 8 tt) :: h6.
Definition h8 : list ev := Res (inr 8) 85 5 :: h7.

(* what a step requires is computed *)
Ltac calc := match goal with
  | |- In _ _ => vm_compute; repeat first [left; reflexivity | right]
  | |- _ = _ => reflexivity
  | |- _ => vm_compute; auto 8; try (eexists; left; reflexivity); try (intuition (congruence || lia))
  end.
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
Derive w38 SuchThat (step (asked h4) w37 w38) As s38. Proof. by_step (s_append (asked h4) w37 0 (Some 43)). Qed.   (* the leader takes one more *)
Derive w39 SuchThat (step (asked h4) w38 w39) As s39. Proof. by_step (s_write (asked h4) w38 0). Qed.
Derive w40 SuchThat (step (asked h4) w39 w40) As s40. Proof. by_step (s_sync0 (asked h4) w39 0). Qed.   (* which reaches its disk *)
Derive w41 SuchThat (step (asked h4) w40 w41) As s41. Proof. by_step (s_crash (asked h4) w40 0 0). Qed.   (* and crashes: nobody else has it; what is committed is not lost *)
Derive w42 SuchThat (step (asked h5) w41 w42) As s42. Proof. by_step (s_mark (asked h5) w41 1 2). Qed.   (* node 1 has applied two entries, and that reaches its disk by itself *)
Derive w43 SuchThat (step (asked h5) w42 w43) As s43. Proof. by_step (s_campaign (asked h5) w42 1). Qed.   (* node 1 campaigns for term 2 *)
Derive w44 SuchThat (step (asked h5) w43 w44) As s44. Proof. by_step (s_write (asked h5) w43 1). Qed.
Derive w45 SuchThat (step (asked h5) w44 w45) As s45. Proof. by_step (s_sync0 (asked h5) w44 1). Qed.
Derive w46 SuchThat (step (asked h5) w45 w46) As s46. Proof. by_step (s_ask_votes (asked h5) w45 1). Qed.
Derive w47 SuchThat (step (asked h5) w46 w47) As s47. Proof. by_step (s_send_vote (asked h5) w46 1 1). Qed.
Derive w48 SuchThat (step (asked h5) w47 w48) As s48. Proof. by_step (s_bump (asked h5) w47 2 2). Qed.   (* node 2 adopts the term *)
Derive w49 SuchThat (step (asked h5) w48 w49) As s49. Proof. by_step (s_grant (asked h5) w48 2 1 2 2 1). Qed.   (* and grants its vote *)
Derive w50 SuchThat (step (asked h5) w49 w50) As s50. Proof. by_step (s_write (asked h5) w49 2). Qed.
Derive w51 SuchThat (step (asked h5) w50 w51) As s51. Proof. by_step (s_sync0 (asked h5) w50 2). Qed.
Derive w52 SuchThat (step (asked h5) w51 w52) As s52. Proof. by_step (s_send_vote (asked h5) w51 2 1). Qed.
Derive w53 SuchThat (step (asked h5) w52 w53) As s53. Proof. by_step (s_tally (asked h5) w52 1 1). Qed.
Derive w54 SuchThat (step (asked h5) w53 w54) As s54. Proof. by_step (s_tally (asked h5) w53 1 2). Qed.
Derive w55 SuchThat (step (asked h5) w54 w55) As s55. Proof. by_step (s_win (asked h5) w54 1). Qed.   (* the second leader *)
Derive w56 SuchThat (step (asked h5) w55 w56) As s56. Proof. by_step (s_append (asked h5) w55 1 None). Qed.
Derive w57 SuchThat (step (asked h5) w56 w57) As s57. Proof. by_step (s_append (asked h5) w56 1 (Some 42)). Qed.   (* a client repeats what was executed *)
Derive w58 SuchThat (step (asked h5) w57 w58) As s58. Proof. by_step (s_append (asked h5) w57 1 (Some 43)). Qed.   (* and the other what was not *)
Derive w59 SuchThat (step (asked h5) w58 w59) As s59. Proof. by_step (s_send (asked h5) w58 1 2 3). Qed.
Derive w60 SuchThat (step (asked h5) w59 w60) As s60. Proof. by_step (s_bump (asked h5) w59 0 2). Qed.   (* node 0 is there again *)
Derive w61 SuchThat (step (asked h5) w60 w61) As s61. Proof. by_step (s_accept (asked h5) w60 0 2 2 1 [E 2 None; E 2 (Some 42); E 2 (Some 43)] 2). Qed.   (* its third entry is overwritten *)
Derive w62 SuchThat (step (asked h5) w61 w62) As s62. Proof. by_step (s_write (asked h5) w61 0). Qed.
Derive w63 SuchThat (step (asked h5) w62 w63) As s63. Proof. by_step (s_sync0 (asked h5) w62 0). Qed.
Derive w64 SuchThat (step (asked h5) w63 w64) As s64. Proof. by_step (s_send_ack (asked h5) w63 0 5). Qed.
Derive w65 SuchThat (step (asked h5) w64 w65) As s65. Proof. by_step (s_write (asked h5) w64 1). Qed.
Derive w66 SuchThat (step (asked h5) w65 w66) As s66. Proof. by_step (s_sync0 (asked h5) w65 1). Qed.
Derive w67 SuchThat (step (asked h5) w66 w67) As s67. Proof. by_step (s_send_ack (asked h5) w66 1 5). Qed.
Derive w68 SuchThat (step (asked h5) w67 w68) As s68. Proof. by_step (s_got_ack (asked h5) w67 1 0 5). Qed.
Derive w69 SuchThat (step (asked h5) w68 w69) As s69. Proof. by_step (s_got_ack (asked h5) w68 1 1 5). Qed.
Derive w70 SuchThat (step (asked h5) w69 w70) As s70. Proof. by_step (s_commit (asked h5) w69 1 5). Qed.   (* five entries are committed *)
Derive w71 SuchThat (step (asked h7) w70 w71) As s71. Proof. by_step (s_forward (asked h7) w70 0 8). Qed.   (* node 0 sends read 8 to the leader *)
Derive w72 SuchThat (step (asked h7) w71 w72) As s72.
Proof. by_step (s_read_forwarded (asked h7) w71 1 0 8 5 (cm w70) (fun m => term (dur (ns w70 m)))). Qed.   (* which asks nobody *)

Definition read_op : op unit := Rd 7 tt.
Definition write_op : op unit := Wr 43.
Definition read7 := hd (Model.Rd 0 0 0 0 [] 0 (fun _ => 0) (fun _ => 0)) (rd w41).
Ltac go Y s := eapply y_step in Y; [|exact s].

Definition read_again : op unit := Rd 8 tt.
Definition read8 := hd (Model.Rd 0 0 0 0 [] 0 (fun _ => 0) (fun _ => 0)) (rd w72).

Theorem the_history : hist w72 h8.
Proof.
  assert (Y : hist w0 h1) by (apply y_inv; [apply y0 | intros ? []]).
  go Y s1. go Y s2. go Y s3. go Y s4. go Y s5. go Y s6. go Y s7. go Y s8. go Y s9. go Y s10.
  go Y s11. go Y s12. go Y s13. go Y s14. go Y s15. go Y s16. go Y s17. go Y s18. go Y s19. go Y s20.
  go Y s21. go Y s22. go Y s23. go Y s24. go Y s25. go Y s26. go Y s27. go Y s28. go Y s29. go Y s30.
  go Y s31.
  apply (@y_res three nat unit nat nat Nat.eq_dec key 0 add get w31 h1 0 2 42 0) in Y; [|calc|calc].
  apply (@y_inv three nat unit nat nat Nat.eq_dec key 0 add get w31 h2 read_op) in Y;
    [|simpl; intros u [E|[E|[]]]; inversion E; discriminate].
  go Y s32. go Y s33. go Y s34. go Y s35. go Y s36. go Y s37.
  apply (@y_inv three nat unit nat nat Nat.eq_dec key 0 add get w37 h3 write_op) in Y;
    [|simpl; intros u [E|[E|[E|[]]]]; inversion E; discriminate].
  go Y s38. go Y s39. go Y s40. go Y s41.
  apply (@y_read three nat unit nat nat Nat.eq_dec key 0 add get w41 h4 read7 1 2 tt) in Y.
  2: { left; reflexivity. }
  2: { exists 2; split; [vm_compute; lia | split; [vm_compute; lia|]]; exists [0; 1]; split; [|intros m [<-|[<-|[]]]; right; exists 1; calc].
       repeat split; [repeat constructor; simpl; intuition discriminate | intros x; simpl; tauto | simpl; lia]. }
  2: { calc. }
  2: { intros x j; simpl; intuition discriminate. }
  2: { calc. }
  2: { calc. }
  change (hist w41 h5) in Y.
  go Y s42. go Y s43. go Y s44. go Y s45. go Y s46. go Y s47. go Y s48. go Y s49. go Y s50. go Y s51.
  go Y s52. go Y s53. go Y s54. go Y s55. go Y s56. go Y s57. go Y s58. go Y s59. go Y s60. go Y s61.
  go Y s62. go Y s63. go Y s64. go Y s65. go Y s66. go Y s67. go Y s68. go Y s69. go Y s70.
  apply (@y_res three nat unit nat nat Nat.eq_dec key 0 add get w70 h5 1 5 43 42) in Y; [|calc|calc].
  apply (@y_inv three nat unit nat nat Nat.eq_dec key 0 add get w70 h6 read_again) in Y;
    [|simpl; intros u E; repeat destruct E as [E|E]; inversion E; discriminate].
  go Y s71. go Y s72.
  apply (@y_read three nat unit nat nat Nat.eq_dec key 0 add get w72 h7 read8 1 5 tt) in Y.
  2: { left; reflexivity. }
  2: { exists 5; split; [vm_compute; lia | split; [vm_compute; lia|]]; exists [0; 1]; split; [|intros m [<-|[<-|[]]]; left; calc].
       repeat split; [repeat constructor; simpl; intuition discriminate | intros x; simpl; tauto | simpl; lia]. }
  2: { calc. }
  2: { intros x j; simpl; intuition discriminate. }
  2: { calc. }
  2: { calc. }
  exact Y.
Qed.

(* And it is what it is said to be: two leaders, an entry overwritten on a disk, an applied index that is there without a
   write, five entries with three commands, of which two were executed. *)
Theorem the_run : hist w72 h8 /\
  rl (ns w18 0) = Leader /\ rl (ns w55 1) = Leader /\ cur (ns w18 0) < cur (ns w55 1) /\
  nth_error (log (dur (ns w40 0))) 2 = Some (E 1 (Some 43)) /\ nth_error (log (dur (ns w63 0))) 2 = Some (E 2 None) /\
  ci (dur (ns w41 1)) = 0 /\ ci (dur (ns w42 1)) = 2 /\
  commands (log (vol (ns w70 1))) = [42; 42; 43] /\ state nat nat nat Nat.eq_dec key 0 add 5 (log (vol (ns w70 1))) = 85.
Proof. split; [exact the_history | repeat split; vm_compute; auto]. Qed.
