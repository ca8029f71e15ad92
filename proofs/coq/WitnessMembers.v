(* The model of changing members is not vacuous: in this run three voters elect a leader, which commits an entry of its term
   and makes node 3 a voter; the list is committed by three of the four; node 3 is elected by three of the four, one of
   whom never heard of the list; it commits an entry of its own term and takes the first leader out; that is committed by
   two of the three who are left; the third gets a snapshot. Each w is the world after one step; Coq works it out from the step's name. *)
From Coq Require Import List Arith Lia Bool.
Require Coq.derive.Derive.
Require Import StateMachineSafety.
Import ListNotations.

(* values 4 and 5 are lists of members *)
#[local] Instance changing : Params.
Proof.
  refine {| node := nat; value := nat; rid := nat; node_eq_dec := Nat.eq_dec; voters := [0; 1; 2];
    members := fun v => match v with 4 => Some [0; 1; 2; 3] | 5 => Some [1; 2; 3] | _ => None end |}.
  - abstract (repeat constructor; simpl; intuition discriminate).
  - abstract (intros [|[|[|[|[|[|v]]]]]] c; try discriminate; intros E; injection E as <-;
      repeat constructor; simpl; intuition discriminate).
Defined.

(* what a step requires is computed *)
Ltac calc := match goal with
  | |- In _ _ => vm_compute; repeat first [left; reflexivity | right]
  | |- _ = _ => reflexivity
  | |- forall _ _, _ = _ -> _ = _ -> _ => intros ? ? ?; discriminate
  | |- forall _ _, _ => exact (fun _ _ => I)
  | |- ~ In _ _ => vm_compute; intuition discriminate
  | |- _ => vm_compute; first [lia | discriminate | left; reflexivity | right; reflexivity | left; lia | right; split; [reflexivity | lia]
      | intros ? ? ?; discriminate]
  end.
Definition any (_ : nat + nat) := True.
Definition s_sync0 (w : world) n := s_sync any w n [] (hd img0 (pend (ns w n))) (List.tl (pend (ns w n))).
(* the change is allowed *)
Lemma quiet_computed l i j : forallb (fun m => match nth_error l m with Some e => match emem e with Some _ => false | None => true end
  | None => true end) (seq i (j - i)) = true -> quiet l i j.
Proof.
  intros H m e L1 L2 N; rewrite forallb_forall in H; specialize (H m); rewrite N in H; destruct (emem e); auto.
  assert (false = true) by (apply H, in_seq; lia); discriminate.
Qed.
Ltac allowed x := intros v c V M; injection V as <-; injection M as <-; split; [vm_compute; lia | split; [reflexivity |
  split; [apply quiet_computed; reflexivity | exists x; vm_compute; intuition lia]]].
Ltac by_step S := match goal with |- step _ _ ?w => subst w end; eapply S; calc; fail.
Ltac by_change S x := match goal with |- step _ _ ?w => subst w end; eapply S; [reflexivity | intros; exact I | allowed x].

Definition w0 := init.
Derive w1 SuchThat (step any w0 w1) As s1. Proof. by_step (s_campaign any w0 0). Qed.   (* node 0 campaigns for term 1 *)
Derive w2 SuchThat (step any w1 w2) As s2. Proof. by_step (s_write any w1 0). Qed.
Derive w3 SuchThat (step any w2 w3) As s3. Proof. by_step (s_sync0 w2 0). Qed.
Derive w4 SuchThat (step any w3 w4) As s4. Proof. by_step (s_ask_votes any w3 0). Qed.
Derive w5 SuchThat (step any w4 w5) As s5. Proof. by_step (s_send_vote any w4 0 0). Qed.
Derive w6 SuchThat (step any w5 w6) As s6. Proof. by_step (s_bump any w5 1 1). Qed.
Derive w7 SuchThat (step any w6 w7) As s7. Proof. by_step (s_grant any w6 1 0 1 0 0). Qed.
Derive w8 SuchThat (step any w7 w8) As s8. Proof. by_step (s_write any w7 1). Qed.
Derive w9 SuchThat (step any w8 w9) As s9. Proof. by_step (s_sync0 w8 1). Qed.
Derive w10 SuchThat (step any w9 w10) As s10. Proof. by_step (s_send_vote any w9 1 0). Qed.
Derive w11 SuchThat (step any w10 w11) As s11. Proof. by_step (s_tally any w10 0 0). Qed.
Derive w12 SuchThat (step any w11 w12) As s12. Proof. by_step (s_tally any w11 0 1). Qed.
Derive w13 SuchThat (step any w12 w13) As s13. Proof. by_step (s_win any w12 0). Qed.   (* by two of three *)
Derive w14 SuchThat (step any w13 w14) As s14. Proof. by_step (s_append any w13 0 None). Qed.   (* the opening entry *)
Derive w15 SuchThat (step any w14 w15) As s15. Proof. by_step (s_send any w14 0 0 1). Qed.
Derive w16 SuchThat (step any w15 w16) As s16. Proof. by_step (s_accept any w15 1 1 0 0 [E 1 None] 0). Qed.
Derive w17 SuchThat (step any w16 w17) As s17. Proof. by_step (s_write any w16 1). Qed.
Derive w18 SuchThat (step any w17 w18) As s18. Proof. by_step (s_sync0 w17 1). Qed.
Derive w19 SuchThat (step any w18 w19) As s19. Proof. by_step (s_send_ack any w18 1 1). Qed.
Derive w20 SuchThat (step any w19 w20) As s20. Proof. by_step (s_write any w19 0). Qed.
Derive w21 SuchThat (step any w20 w21) As s21. Proof. by_step (s_sync0 w20 0). Qed.
Derive w22 SuchThat (step any w21 w22) As s22. Proof. by_step (s_send_ack any w21 0 1). Qed.
Derive w23 SuchThat (step any w22 w23) As s23. Proof. by_step (s_got_ack any w22 0 0 1). Qed.
Derive w24 SuchThat (step any w23 w24) As s24. Proof. by_step (s_got_ack any w23 0 1 1). Qed.
Derive w25 SuchThat (step any w24 w25) As s25. Proof. by_step (s_commit any w24 0 1). Qed.   (* an entry of its own term is committed *)
Derive w26 SuchThat (step any w25 w26) As s26. Proof. by_change (s_append any w25 0 (Some 4)) 3. Qed.   (* a list of members: node 3 is a voter from here on *)
Derive w27 SuchThat (step any w26 w27) As s27. Proof. by_step (s_send any w26 0 0 2). Qed.
Derive w28 SuchThat (step any w27 w28) As s28. Proof. by_step (s_bump any w27 3 1). Qed.   (* node 3 had nothing *)
Derive w29 SuchThat (step any w28 w29) As s29. Proof. by_step (s_accept any w28 1 1 0 0 [E 1 None; E 1 (Some 4)] 1). Qed.
Derive w30 SuchThat (step any w29 w30) As s30. Proof. by_step (s_write any w29 1). Qed.
Derive w31 SuchThat (step any w30 w31) As s31. Proof. by_step (s_sync0 w30 1). Qed.
Derive w32 SuchThat (step any w31 w32) As s32. Proof. by_step (s_send_ack any w31 1 2). Qed.
Derive w33 SuchThat (step any w32 w33) As s33. Proof. by_step (s_accept any w32 3 1 0 0 [E 1 None; E 1 (Some 4)] 1). Qed.
Derive w34 SuchThat (step any w33 w34) As s34. Proof. by_step (s_write any w33 3). Qed.
Derive w35 SuchThat (step any w34 w35) As s35. Proof. by_step (s_sync0 w34 3). Qed.
Derive w36 SuchThat (step any w35 w36) As s36. Proof. by_step (s_send_ack any w35 3 2). Qed.
Derive w37 SuchThat (step any w36 w37) As s37. Proof. by_step (s_write any w36 0). Qed.
Derive w38 SuchThat (step any w37 w38) As s38. Proof. by_step (s_sync0 w37 0). Qed.
Derive w39 SuchThat (step any w38 w39) As s39. Proof. by_step (s_send_ack any w38 0 2). Qed.
Derive w40 SuchThat (step any w39 w40) As s40. Proof. by_step (s_got_ack any w39 0 0 2). Qed.
Derive w41 SuchThat (step any w40 w41) As s41. Proof. by_step (s_got_ack any w40 0 1 2). Qed.
Derive w42 SuchThat (step any w41 w42) As s42. Proof. by_step (s_got_ack any w41 0 3 2). Qed.
Derive w43 SuchThat (step any w42 w43) As s43. Proof. by_step (s_commit any w42 0 2). Qed.   (* three of four have the list *)
Derive w44 SuchThat (step any w43 w44) As s44. Proof. by_step (s_campaign any w43 3). Qed.   (* the new voter campaigns for term 2 *)
Derive w45 SuchThat (step any w44 w45) As s45. Proof. by_step (s_write any w44 3). Qed.
Derive w46 SuchThat (step any w45 w46) As s46. Proof. by_step (s_sync0 w45 3). Qed.
Derive w47 SuchThat (step any w46 w47) As s47. Proof. by_step (s_ask_votes any w46 3). Qed.
Derive w48 SuchThat (step any w47 w48) As s48. Proof. by_step (s_send_vote any w47 3 3). Qed.
Derive w49 SuchThat (step any w48 w49) As s49. Proof. by_step (s_bump any w48 1 2). Qed.
Derive w50 SuchThat (step any w49 w50) As s50. Proof. by_step (s_grant any w49 1 3 2 2 1). Qed.
Derive w51 SuchThat (step any w50 w51) As s51. Proof. by_step (s_write any w50 1). Qed.
Derive w52 SuchThat (step any w51 w52) As s52. Proof. by_step (s_sync0 w51 1). Qed.
Derive w53 SuchThat (step any w52 w53) As s53. Proof. by_step (s_send_vote any w52 1 3). Qed.
Derive w54 SuchThat (step any w53 w54) As s54. Proof. by_step (s_bump any w53 2 2). Qed.
Derive w55 SuchThat (step any w54 w55) As s55. Proof. by_step (s_grant any w54 2 3 2 2 1). Qed.   (* node 2 never heard of the list *)
Derive w56 SuchThat (step any w55 w56) As s56. Proof. by_step (s_write any w55 2). Qed.
Derive w57 SuchThat (step any w56 w57) As s57. Proof. by_step (s_sync0 w56 2). Qed.
Derive w58 SuchThat (step any w57 w58) As s58. Proof. by_step (s_send_vote any w57 2 3). Qed.
Derive w59 SuchThat (step any w58 w59) As s59. Proof. by_step (s_tally any w58 3 3). Qed.
Derive w60 SuchThat (step any w59 w60) As s60. Proof. by_step (s_tally any w59 3 1). Qed.
Derive w61 SuchThat (step any w60 w61) As s61. Proof. by_step (s_tally any w60 3 2). Qed.
Derive w62 SuchThat (step any w61 w62) As s62. Proof. by_step (s_win any w61 3). Qed.   (* by three of four *)
Derive w63 SuchThat (step any w62 w63) As s63. Proof. by_step (s_append any w62 3 None). Qed.
Derive w64 SuchThat (step any w63 w64) As s64. Proof. by_step (s_send any w63 3 0 3). Qed.
Derive w65 SuchThat (step any w64 w65) As s65. Proof. by_step (s_accept any w64 1 2 0 0 [E 1 None; E 1 (Some 4); E 2 None] 1). Qed.
Derive w66 SuchThat (step any w65 w66) As s66. Proof. by_step (s_write any w65 1). Qed.
Derive w67 SuchThat (step any w66 w67) As s67. Proof. by_step (s_sync0 w66 1). Qed.
Derive w68 SuchThat (step any w67 w68) As s68. Proof. by_step (s_send_ack any w67 1 3). Qed.
Derive w69 SuchThat (step any w68 w69) As s69. Proof. by_step (s_accept any w68 2 2 0 0 [E 1 None; E 1 (Some 4); E 2 None] 1). Qed.
Derive w70 SuchThat (step any w69 w70) As s70. Proof. by_step (s_write any w69 2). Qed.
Derive w71 SuchThat (step any w70 w71) As s71. Proof. by_step (s_sync0 w70 2). Qed.
Derive w72 SuchThat (step any w71 w72) As s72. Proof. by_step (s_send_ack any w71 2 3). Qed.
Derive w73 SuchThat (step any w72 w73) As s73. Proof. by_step (s_write any w72 3). Qed.
Derive w74 SuchThat (step any w73 w74) As s74. Proof. by_step (s_sync0 w73 3). Qed.
Derive w75 SuchThat (step any w74 w75) As s75. Proof. by_step (s_send_ack any w74 3 3). Qed.
Derive w76 SuchThat (step any w75 w76) As s76. Proof. by_step (s_got_ack any w75 3 3 3). Qed.
Derive w77 SuchThat (step any w76 w77) As s77. Proof. by_step (s_got_ack any w76 3 1 3). Qed.
Derive w78 SuchThat (step any w77 w78) As s78. Proof. by_step (s_got_ack any w77 3 2 3). Qed.
Derive w79 SuchThat (step any w78 w79) As s79. Proof. by_step (s_commit any w78 3 3). Qed.   (* an entry of term 2 is committed, and the list with it *)
Derive w80 SuchThat (step any w79 w80) As s80. Proof. by_change (s_append any w79 3 (Some 5)) 0. Qed.   (* node 0 is taken out *)
Derive w81 SuchThat (step any w80 w81) As s81. Proof. by_step (s_send any w80 3 3 1). Qed.
Derive w82 SuchThat (step any w81 w82) As s82. Proof. by_step (s_accept any w81 1 2 3 2 [E 2 (Some 5)] 3). Qed.
Derive w83 SuchThat (step any w82 w83) As s83. Proof. by_step (s_write any w82 1). Qed.
Derive w84 SuchThat (step any w83 w84) As s84. Proof. by_step (s_sync0 w83 1). Qed.
Derive w85 SuchThat (step any w84 w85) As s85. Proof. by_step (s_send_ack any w84 1 4). Qed.
Derive w86 SuchThat (step any w85 w86) As s86. Proof. by_step (s_write any w85 3). Qed.
Derive w87 SuchThat (step any w86 w87) As s87. Proof. by_step (s_sync0 w86 3). Qed.
Derive w88 SuchThat (step any w87 w88) As s88. Proof. by_step (s_send_ack any w87 3 4). Qed.
Derive w89 SuchThat (step any w88 w89) As s89. Proof. by_step (s_got_ack any w88 3 3 4). Qed.
Derive w90 SuchThat (step any w89 w90) As s90. Proof. by_step (s_got_ack any w89 3 1 4). Qed.
Derive w91 SuchThat (step any w90 w91) As s91. Proof. by_step (s_commit any w90 3 4). Qed.   (* by two of the three that are left *)
Derive w92 SuchThat (step any w91 w92) As s92. Proof. by_step (s_offer any w91 3 4). Qed.   (* node 2 is behind: a snapshot is offered to it *)
Derive w93 SuchThat (step any w92 w93) As s93. Proof. by_step (s_adopt any w92 2 2 [E 1 None; E 1 (Some 4); E 2 None; E 2 (Some 5)]). Qed.   (* which it takes over, the list of members with it *)
Derive w94 SuchThat (step any w93 w94) As s94. Proof. by_step (s_write any w93 2). Qed.
Derive w95 SuchThat (step any w94 w95) As s95. Proof. by_step (s_sync0 w94 2). Qed.
Derive w96 SuchThat (step any w95 w96) As s96. Proof. by_step (s_crash any w95 2 4). Qed.   (* and it starts again *)

Ltac go Y s := eapply rS in Y; [|exact s].
Lemma reached : reach w96.
Proof.
  pose proof r0 as Y; change init with w0 in Y.
  go Y s1. go Y s2. go Y s3. go Y s4. go Y s5. go Y s6. go Y s7. go Y s8. go Y s9. go Y s10.
  go Y s11. go Y s12. go Y s13. go Y s14. go Y s15. go Y s16. go Y s17. go Y s18. go Y s19. go Y s20.
  go Y s21. go Y s22. go Y s23. go Y s24. go Y s25. go Y s26. go Y s27. go Y s28. go Y s29. go Y s30.
  go Y s31. go Y s32. go Y s33. go Y s34. go Y s35. go Y s36. go Y s37. go Y s38. go Y s39. go Y s40.
  go Y s41. go Y s42. go Y s43. go Y s44. go Y s45. go Y s46. go Y s47. go Y s48. go Y s49. go Y s50.
  go Y s51. go Y s52. go Y s53. go Y s54. go Y s55. go Y s56. go Y s57. go Y s58. go Y s59. go Y s60.
  go Y s61. go Y s62. go Y s63. go Y s64. go Y s65. go Y s66. go Y s67. go Y s68. go Y s69. go Y s70.
  go Y s71. go Y s72. go Y s73. go Y s74. go Y s75. go Y s76. go Y s77. go Y s78. go Y s79. go Y s80.
  go Y s81. go Y s82. go Y s83. go Y s84. go Y s85. go Y s86. go Y s87. go Y s88. go Y s89. go Y s90.
  go Y s91.
  go Y s92. go Y s93. go Y s94. go Y s95. go Y s96.
  exact Y.
Qed.

Theorem the_change : reach w96 /\
  rl (ns w13 0) = Leader /\ conf (log (vol (ns w25 0))) = [0; 1; 2] /\ conf (log (vol (ns w26 0))) = [0; 1; 2; 3] /\
  holders 2 (ns w41 0) = [0; 1] /\ ci (vol (ns w43 0)) = 2 /\
  rl (ns w62 3) = Leader /\ votes (ns w62 3) = [2; 1; 3] /\ conf (log (vol (ns w62 2))) = [0; 1; 2] /\
  conf (log (vol (ns w80 3))) = [1; 2; 3] /\ ci (vol (ns w91 3)) = 4 /\ ci (vol (ns w91 1)) = 3 /\
  conf (log (vol (ns w91 2))) = [0; 1; 2; 3] /\ conf (log (vol (ns w96 2))) = [1; 2; 3] /\ ci (dur (ns w96 2)) = 4.
Proof. split; [exact reached | repeat split; vm_compute; auto]. Qed.
