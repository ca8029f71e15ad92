(* What the main theorems rest on: each must print "Closed under the global context". *)
Require Import ElectionSafety LogMatching LeaderCompleteness StateMachineSafety Linearizability.
Print Assumptions election_safety.
Print Assumptions log_matching.
Print Assumptions leader_completeness.
Print Assumptions state_machine_safety.
Print Assumptions raft_linearizable.
