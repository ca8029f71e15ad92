(* What the main theorems rest on: each must print "Closed under the global context". *)
Require Import ElectionSafety LogMatching LeaderCompleteness StateMachineSafety Reads Linearizability Witness.
Goal True. idtac "election_safety:". Abort.
Print Assumptions election_safety.
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
Goal True. idtac "the_run:". Abort.
Print Assumptions the_run.
