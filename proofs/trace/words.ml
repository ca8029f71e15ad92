(* A step in words. *)
open Line

let say = Printf.sprintf
let node = function -1 -> "nobody" | n -> say "node %d" n
let ids l = if l = [] then " nobody" else String.concat "" (List.map (say " %d") l)
let role = function 0 -> "follower" | 1 -> "pre-candidate" | 2 -> "candidate" | 3 -> "leader" | n -> say "role %d" n
let member (m : member) = say "%d%s%s" m.id (if m.life = 0 then "" else say " of life %d" m.life) (if m.voter then "" else ", a learner")
let members list = if list = [] then "nobody" else String.concat "; " (List.map member list)
let run = function Commands (count, term) -> say "%d of term %d" count term | List (term, m) -> say "of term %d, the members: %s" term (members m)
let runs log = String.concat ", " (List.map run log)
let message (m : message) =
  let what = match m.kind, m.fields with
    | 0, [ last; lt; pre ] -> say "%s request, last entry %d of term %d" (if pre = 1 then "pre-vote" else "vote") last lt
    | 1, [ granted; pre ] -> say "%s %s" (if pre = 1 then "pre-vote" else "vote") (if granted = 1 then "granted" else "refused")
    | 2, [ prev; pt; commit; round; count ] ->
      say "append request, %d entries after %d of term %d, commit %d, round %d" count prev pt commit round
    | 3, [ 1; index; t; round ] -> say "append response, matched up to %d of term %d, round %d" index t round
    | 3, [ _; index; t; round ] -> say "append response, rejected, probe %d of term %d, round %d" index t round
    | 4, _ -> "timeout now"
    | _ -> "message of no kind" in
  say "%s, term %d, from %d to %d" what m.term m.from m.dst
let input = function
  | Tick -> "a tick of time passed"
  | Message (m, []) -> "it took a message: " ^ message m
  | Message (m, entries) -> say "it took a message: %s; the entries: %s" (message m) (runs entries)
  | Propose n -> say "%d commands were proposed" n
  | Read (n, None) -> say "read %d came" n
  | Read (n, Some (by, term)) -> say "read %d came from node %d, in term %d" n by term
  | Persisted n -> say "its disk has writes up to %d" n
  | Applied n -> say "it has applied up to %d" n
  | Compacted n -> say "its log was compacted up to %d" n
  | Unreachable n -> say "node %d became unreachable" n
  | Gone n -> say "node %d is gone, as it seems" n
  | Transfer n -> say "it was told to hand the leadership to %s" (node n)
let change = function None -> "" | Some (cut, log) -> say "its log from %d on is now: %s\n" cut (runs log)
let state s =
  say "%s, term %d, vote for %s, commit %d, durable %d, applied %d, may apply up to %d, log %d..%d of term %d"
    (role s.role) s.term (node s.vote) s.commit s.durable s.applied s.apply_to (s.base + 1) s.last s.last_term
let write = function
  | None -> ""
  | Some w -> say "it writes (%d): term %d, vote for %s%s\n" w.number w.wterm (node w.wvote)
    (match w.wchange with None -> "" | Some (cut, log) -> say "; the log from %d on: %s" cut (runs log))
let in_force (id, voter, k) = say "%d%s%s" id (if voter = 1 then "" else " (a learner)") (if k > 0 then say " up to %d" k else "")
let step s =
  say "%s\nafter it: %s\n%s%s%s%s%s%s" (input s.input) (state s.after) (change s.change)
    (if s.in_force = [] then "" else say "in force are: %s\n" (String.concat ", " (List.map in_force s.in_force))) (write s.write)
    (String.concat "" (List.map (fun m -> "it sends: " ^ message m ^ "\n") s.sent))
    (String.concat "" (List.map (fun (r, i) -> say "read %d may be served at %d\n" r i) s.reads))
    (String.concat "" (List.map (fun r -> say "read %d failed\n" r) s.failed))
let line = function
  | Step (n, s) -> say "node %d: %s" n (step s)
  | Promised (n, p) -> say "node %d: its disk has writes up to %d, and by itself it sends: %s\n" n p.on_disk (message p.answer)
  | Boot b -> say "node %d, life %d, boots with term %d, vote for %s, applied %d, the members %s, log after %d: %s\n" b.node b.life
    b.term (node b.vote) b.applied (members b.members) b.base (runs b.log)
  | Old_disk n -> say "node %d is given an old copy of its disk\n" n
  | Expect (n, w) -> say "node %d is now: %s\n" n (state w.now)
  | State (n, _, w) -> say "node %d is said to be: %s\n" n (state w.now)
  | World _ -> "a world begins\n"
  | Remark _ -> ""
