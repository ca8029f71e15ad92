(* Replays a trace of the C core (see trace.c) on the functions extracted from Handlers.v. After every step the two must
   agree on role, term, vote, the log's terms and the commit index, and the model must allow every message and every
   read that the core let out. Timers are the core's own: to campaign and to step down is allowed at any time. *)
open Handlers

let node (i : int) : node = Obj.repr i
let id (n : node) : int = Obj.obj n
let params k = { node_eq_dec = (fun a b -> id a = id b); voters = List.init k node }
let entry t = { eterm = t; eval = None }

let p = ref (params 3)
let st = ref [||]                         (* the model's nodes *)
let labels = ref [||]                     (* the core's write number for each of the model's writes under way *)
let campaigns = ref [||]                  (* term, last index and last term of each node's last campaign *)
let answered = Hashtbl.create 64          (* term, node -> last round answered *)
let reads = Hashtbl.create 64             (* id -> leader, term, round, commit index when taken *)
let line_no = ref 0
let steps = ref 0 and wins = ref 0 and commits = ref 0 and cuts = ref 0 and boots = ref 0 and served = ref 0
let fail fmt = Printf.ksprintf (fun s -> Printf.printf "line %d: %s\n" !line_no s; exit 1) fmt

let rec take k = function x :: r when k > 0 -> x :: take (k - 1) r | _ -> []
let above q i = List.length (List.filter (fun l -> l > q) !labels.(i))

let answer t i r = match Hashtbl.find_opt answered (t, i) with
  | Some old when old >= r -> ()
  | _ -> Hashtbl.replace answered (t, i) r

let run i f =
  let s, out = f !st.(i) in
  List.iter (function HBR (t, m, r) -> answer t (id m) r | _ -> ()) out;
  !st.(i) <- s

(* writes that the model has issued since get the core's number *)
let label i issued =
  let have = List.length !labels.(i) and want = List.length !st.(i).pend in
  !labels.(i) <- List.init (want - have) (fun _ -> issued) @ !labels.(i)
(* what was labelled up to q is on the disk; what needs no write of the core is there at once *)
let sync_to i q =
  let j = above q i in
  if j < List.length !labels.(i) then begin
    run i (synced !p j); !labels.(i) <- take j !labels.(i) end

let terms s = List.map (fun e -> e.eterm) s.vol.log
let rec is_prefix a b = match a, b with [], _ -> true | x :: a, y :: b -> x = y && is_prefix a b | _ -> false

(* the input, by itself *)
let input i kind args post_term granted acked =
  let s = !st.(i) in
  match kind, args with
  | "T", _ | "A", _ | "R", _ -> ()
  | "P", [q] ->
    let j = above q i in
    run i (on_persisted !p (node i) j (node granted) acked);
    !labels.(i) <- take j !labels.(i)
  | "M", from :: ty :: _to :: t :: rest ->
    (match ty, rest with
     | 0, [_; _; 1] -> ()
     | 0, [li; lt; _] -> if post_term >= t then run i (on_vote_request !p t (node from) li lt)
     | 1, [1; 1] -> ()
     | 1, [1; 0] -> run i (on_vote_response !p (node i) t (node from))
     | 1, [0; 0] ->
       run i (andthen !p (see !p t) (save !p));
       (* The core lets a refusal that comes late take back a grant. No handler does: it is no proved step, but one that
          only makes it harder to win. *)
       let s = !st.(i) in
       if s.rl = Candidate && s.vol.term = t then
         !st.(i) <- { s with votes = List.filter (fun v -> id v <> from) s.votes }
     | 2, prev :: pt :: _ :: lc :: r :: es ->
       run i (on_append_request !p (node i) t prev pt (List.map entry es) lc r)
     | 3, [1; k; _] -> run i (on_append_response !p t (node from) k)
     | _ -> run i (andthen !p (see !p t) (save !p)))
  | _ -> fail "what is %s?" kind
  [@@warning "-26"]

let message i before = function
  | 0 :: _ :: t :: [li; lt; 0] ->
    (match ask_votes !p (node i) !st.(i) with
     | _, [RV (t', _, li', lt')] when (t', li', lt') = (t, li, lt) -> ()
     (* it waited for the disk, and the node is no candidate any more *)
     | _, [] when !campaigns.(i) = (t, li, lt) && !st.(i).vol.term = t && !st.(i).dur.term = t -> ()
     | _ -> fail "the model does not let this vote request out")
  | [1; dst; t; 1; 0] ->
    (match give_vote !p (node i) (node dst) !st.(i) with
     | _, [RVR (t', _, _)] when t' = t -> ()
     | _ -> fail "the model does not let this vote out")
  | [2; _; t; prev; pt; m; lc; r] ->
    while !st.(i).rnd < r && !st.(i).rl = Leader do run i (begin_round !p); answer t i !st.(i).rnd done;
    if !st.(i).rnd <> r then fail "round %d, the model has %d" r !st.(i).rnd;
    (match send_append !p prev m !st.(i) with
     | _, [AE (t', _, pt', es, lc')] when t' = t && pt' = pt && List.length es = m && (lc' = lc || lc = before) -> ()
     | _ -> fail "the model does not let this append request out")
  | [3; _; t; matched; k; r] ->
    if r > 0 && (match Hashtbl.find_opt answered (t, i) with Some a -> a < r | None -> true) then
      fail "round %d is answered and was not asked at term %d" r t;
    if matched = 1 then (match ack !p (node i) k !st.(i) with
     | _, [AER (t', _, _)] when t' = t -> ()
     | _ -> fail "the model does not let this acknowledgement out")
  | _ -> ()

let read i = function
  | [name; index] ->
    (match Hashtbl.find_opt reads name with
     | None -> fail "read %d was not taken" name
     | Some (l, t, r, c) ->
       if l <> i || index < c || term_at !p !st.(i).vol.log index <> t then fail "read %d at a wrong index" name;
       let n = List.length (List.filter (fun m ->
         match Hashtbl.find_opt answered (t, id m) with Some a -> a >= r | None -> false) !p.voters) in
       if 2 * n <= List.length !p.voters then fail "read %d is not confirmed" name;
       incr served)
  | _ -> fail "bad read"

let words s = List.filter (fun w -> w <> "") (String.split_on_char ' ' s)
let ints s = List.map int_of_string (words s)
let groups s = List.map ints (List.filter (fun g -> words g <> []) (String.split_on_char ';' s))

let step line =
  match String.split_on_char '|' line with
  | [head] ->
    (match words head with
     | ["I"; k] ->
       let k = int_of_string k in
       p := params k;
       let d = img0 !p in
       st := Array.init k (fun _ -> { vol = d; pend = []; dur = d; rl = Follower; votes = []; mt = (fun _ -> 0); rnd = 0 });
       labels := Array.make k []; campaigns := Array.make k (0, 0, 0); Hashtbl.reset answered; Hashtbl.reset reads
     | [i; "B"; kept; applied] ->
       let i = int_of_string i in
       incr boots;
       sync_to i (int_of_string kept);
       let before = !st.(i) in
       run i (on_reboot !p (int_of_string applied));
       if !st.(i) == before then fail "the applied index is ahead of the disk";
       !labels.(i) <- []
     | _ -> fail "bad line")
  | [head; post; log; out; read_out] ->
    let i, kind, args = match words (String.map (fun c -> if c = ';' then ' ' else c) head) with
      | i :: kind :: args -> int_of_string i, kind, List.map int_of_string args | _ -> fail "bad line" in
    let role, term, voted_for, commit, durable, issued = match ints post with
      | [a; b; c; d; e; f] -> a, b, c, d, e, f | _ -> fail "bad line" in
    let log = ints log and out = groups out in
    let before = !st.(i) in
    let granted = List.fold_left (fun a m -> match m with [1; dst; _; 1; 0] -> dst | _ -> a) i out in
    let acked = List.fold_left (fun a m -> match m with [3; _; _; 1; k; _] -> max a k | _ -> a) 0 out in
    incr steps;
    input i kind args term granted acked;
    let s = !st.(i) in
    (* what the core's timers did *)
    if role = 2 && term = s.vol.term + 1 && voted_for = i then begin
      run i (on_timeout !p (node i));
      !campaigns.(i) <- (term, List.length s.vol.log, last_term !p s.vol.log) end
    else if role < 2 && s.rl <> Follower then run i (on_step_down !p);
    if kind = "A" && role = 3 && List.length log > List.length s.vol.log then
      run i (fun s -> save !p (List.fold_left (fun s _ -> set_vol !p (append !p None s.vol) s) s
        (List.init (List.length log - List.length s.vol.log) Fun.id)));
    label i issued;
    sync_to i durable;
    let s = !st.(i) in
    let model_role = match s.rl with Follower -> 0 | Candidate -> 2 | Leader -> 3 in
    let model_vote = match s.vol.vote with None -> -1 | Some c -> id c in
    if model_role <> (if role = 1 then 0 else role) then fail "role %d, the model has %d" role model_role;
    if s.vol.term <> term then fail "term %d, the model has %d" term s.vol.term;
    if model_vote <> voted_for then fail "vote %d, the model has %d" voted_for model_vote;
    if s.vol.ci <> commit then fail "commit %d, the model has %d" commit s.vol.ci;
    if terms s <> log then fail "the logs differ; the model has%s" (String.concat "" (List.map (Printf.sprintf " %d") (terms s)));
    if s.rl = Leader && before.rl <> Leader then incr wins;
    if s.rl = Leader && s.vol.ci > before.vol.ci then incr commits;
    if not (is_prefix (terms before) log) then incr cuts;
    (match kind, args with
     | "R", [name] when s.rl = Leader -> Hashtbl.replace reads name (i, term, before.rnd + 1, before.vol.ci)
     | _ -> ());
    List.iter (message i before.vol.ci) out;
    List.iter (read i) (groups read_out)
  | _ -> fail "bad line"

let () =
  (try while true do incr line_no; step (input_line stdin) done with End_of_file -> ());
  Printf.printf "%d steps agree: %d leaders, %d commits by counting, %d logs cut, %d crashes, %d reads\n"
    !steps !wins !commits !cuts !boots !served;
  if !wins = 0 || !commits = 0 || !cuts = 0 || !boots = 0 || !served = 0 then (print_endline "too little happened"; exit 1)
