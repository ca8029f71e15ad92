(* The handlers as OCaml functions. *)
From Coq Require Import Extraction ExtrOcamlBasic ExtrOcamlNatInt.
Require Import Model Handlers.
Extraction Language OCaml.
(* What ExtrOcamlNatInt leaves to count down one by one. *)
Extract Inlined Constant Nat.max => "(fun (a : int) b -> if a < b then b else a)".
Extract Inlined Constant Nat.min => "(fun (a : int) b -> if a < b then a else b)".
Extraction "handlers.ml" on_timeout on_step_down ask_votes on_vote_request on_vote_response on_append_request
  on_append_response on_propose on_forget append save advance send_append begin_round synced give_vote ack on_persisted on_durable on_applied on_reboot see andthen
  set_vol img0 conf.
