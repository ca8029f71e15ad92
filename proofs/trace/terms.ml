(* The terms of a log's entries, by index: what is known of it, from an index on. Grows and is cut at its end. *)
type t = { first : int; mutable last : int; mutable terms : int array }      (* terms.(i - first) *)

let get t i = if i < t.first || i > t.last then 0 else t.terms.(i - t.first)
let push t term =
  let at = t.last + 1 - t.first in
  if at = Array.length t.terms then begin
    let wider = Array.make (2 * at + 16) 0 in
    Array.blit t.terms 0 wider 0 at; t.terms <- wider end;
  t.terms.(at) <- term; t.last <- t.last + 1
let cut t from = if from <= t.last then t.last <- from - 1
let push_runs t runs = List.iter (fun (count, term) -> for _ = 1 to count do push t term done) runs
(* after position base *)
let make base base_term runs =
  let t = { first = base; last = base - 1; terms = [||] } in
  push t base_term; push_runs t runs; t
let rec expand = function [] -> [] | (0, _) :: r -> expand r | (c, term) :: r -> term :: expand ((c - 1, term) :: r)
