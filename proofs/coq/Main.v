(* What the main theorems rest on: each must print "Closed under the global context". *)
Require Import ElectionSafety LogMatching LeaderCompleteness StateMachineSafety Reads Linearizability Witness WitnessMembers Handlers Compaction.
Goal True. idtac "election_safety:". Abort.
Print Assumptions election_safety.
Goal True. idtac "one_step_at_a_time:". Abort.
Print Assumptions one_step_at_a_time.
Goal True. idtac "log_matching:". Abort.
Print Assumptions log_matching.
Goal True. idtac "leader_completeness:". Abort.
Print Assumptions leader_completeness.
Goal True. idtac "committed_for_ever:". Abort.
Print Assumptions committed_for_ever.
Goal True. idtac "state_machine_safety:". Abort.
Print Assumptions state_machine_safety.
Goal True. idtac "read_index_safety:". Abort.
Print Assumptions read_index_safety.
Goal True. idtac "raft_linearizable:". Abort.
Print Assumptions raft_linearizable.
Goal True. idtac "place_is_known:". Abort.
Print Assumptions place_is_known.
Goal True. idtac "what_is_known_may_be_cut:". Abort.
Print Assumptions what_is_known_may_be_cut.
Goal True. idtac "what_is_known_changes_nothing:". Abort.
Print Assumptions what_is_known_changes_nothing.
Goal True. idtac "the_run:". Abort.
Print Assumptions the_run.
Goal True. idtac "the_change:". Abort.
Print Assumptions the_change.
Goal True. idtac "ok_timeout:". Abort.
Print Assumptions ok_timeout.
Goal True. idtac "ok_step_down:". Abort.
Print Assumptions ok_step_down.
Goal True. idtac "ok_ask_votes:". Abort.
Print Assumptions ok_ask_votes.
Goal True. idtac "ok_vote_request:". Abort.
Print Assumptions ok_vote_request.
Goal True. idtac "ok_vote_response:". Abort.
Print Assumptions ok_vote_response.
Goal True. idtac "ok_append_request:". Abort.
Print Assumptions ok_append_request.
Goal True. idtac "ok_append_response:". Abort.
Print Assumptions ok_append_response.
Goal True. idtac "ok_propose:". Abort.
Print Assumptions ok_propose.
Goal True. idtac "ok_send_append:". Abort.
Print Assumptions ok_send_append.
Goal True. idtac "ok_offer_snapshot:". Abort.
Print Assumptions ok_offer_snapshot.
Goal True. idtac "ok_snapshot:". Abort.
Print Assumptions ok_snapshot.
Goal True. idtac "ok_forget:". Abort.
Print Assumptions ok_forget.
Goal True. idtac "ok_begin_round:". Abort.
Print Assumptions ok_begin_round.
Goal True. idtac "ok_persisted:". Abort.
Print Assumptions ok_persisted.
Goal True. idtac "ok_durable:". Abort.
Print Assumptions ok_durable.
Goal True. idtac "ok_applied:". Abort.
Print Assumptions ok_applied.
Goal True. idtac "ok_reboot:". Abort.
Print Assumptions ok_reboot.
