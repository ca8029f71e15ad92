(* A log as the trace has it, from an index on: terms by index, and the lists of members among its entries. Grows and is
   cut at its end. *)
open Line

type t = { first : int; mutable last : int; mutable terms : int array;      (* terms.(i - first) *)
  mutable lists : (int * members) list;                                       (* newest first *)
  first_list : members }                                                      (* in force at `first` *)

let get t i = if i < t.first || i > t.last then 0 else t.terms.(i - t.first)
let push t term =
  let at = t.last + 1 - t.first in
  if at = Array.length t.terms then begin
    let wider = Array.make (2 * at + 16) 0 in
    Array.blit t.terms 0 wider 0 at; t.terms <- wider end;
  t.terms.(at) <- term; t.last <- t.last + 1
let rec up_to k = function (i, _) :: older when i > k -> up_to k older | lists -> lists
let cut t from = if from <= t.last then begin t.last <- from - 1; t.lists <- up_to t.last t.lists end
let push_run t = function
  | Commands (count, term) -> for _ = 1 to count do push t term done
  | List (term, members) -> push t term; t.lists <- (t.last, members) :: t.lists
let push_runs t runs = List.iter (push_run t) runs
(* after position base *)
let make base base_term first_list runs =
  let t = { first = base; last = base - 1; terms = [||]; lists = []; first_list } in
  push t base_term; push_runs t runs; t

(* In force where the log ended at k, which must not be before `first`. *)
let members_at t k = match up_to k t.lists with (_, m) :: _ -> m | [] -> t.first_list
let members t = members_at t t.last

(* What stands at an index: its term, and the list if it is one. *)
type entry = int * members option
let rec expand : run list -> entry list = function
  | [] -> []
  | Commands (0, _) :: r -> expand r
  | Commands (c, term) :: r -> (term, None) :: expand (Commands (c - 1, term) :: r)
  | List (term, m) :: r -> (term, Some m) :: expand r
(* The count entries behind prev. *)
let slice t prev count : entry list =
  let lists = List.filter (fun (i, _) -> i > prev && i <= prev + count) t.lists in
  List.init count (fun k -> let i = prev + 1 + k in get t i, List.assoc_opt i lists)
