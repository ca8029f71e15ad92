(* Replays traces of the C core on the proved handlers: build/trace-check [FILE...], or the standard input. *)
open Line

let usage = "usage: trace-check [--covers] [FILE...]     -: the standard input (default)\n\
  A trace that begins with I is one world, in order. Other files are processes of one cluster, each in its own order: any\n\
  message that one of them has sent may arrive in another, at any time, and the first boot is believed.\n\
  --covers: it is a failure as well if something that a long run must show did not happen.\n"

type counts = { mutable steps : int; mutable worlds : int; mutable wins : int; mutable commits : int; mutable cuts : int;
  mutable boots : int; mutable lost : int; mutable reads : int; mutable compactions : int; mutable strangers : int;
  mutable states : int; mutable adoptions : int; mutable lists : int; mutable lists_cut : int; mutable lives : int;
  mutable promised : int; mutable skipped : int }
let seen = { steps = 0; worlds = 0; wins = 0; commits = 0; cuts = 0; boots = 0; lost = 0; reads = 0; compactions = 0;
  strangers = 0; states = 0; adoptions = 0; lists = 0; lists_cut = 0; lives = 0; promised = 0; skipped = 0 }

(* What has been sent: an append request by all but its count, with the most entries that it came with, and their terms. *)
type order = Closed | Open | Any_order | Isolated
let order = ref Isolated
type said = { count : int; entries : Terms.entry list; by : (int * int) list }   (* the nodes, and a vote: for which; else -1 *)
let sent : (message, said) Hashtbl.t = Hashtbl.create 4096
(* What a machine with an old copy of its disk does is no business of the model's: nobody hears it. *)
type machine = Node of Node.t | Old of int             (* this one *)
let machines : (int, machine) Hashtbl.t = Hashtbl.create 16
(* The highest term that each node has come to, which it may have lost since with a write that was under way. *)
let highest : (int, int) Hashtbl.t = Hashtbl.create 16
let highest_of (n : Node.t) = max n.m.vol.term (Option.value (Hashtbl.find_opt highest n.me) ~default:0)
let note_term (n : Node.t) = Hashtbl.replace highest n.me (highest_of n)
let reset () =
  Hashtbl.reset machines; Hashtbl.reset highest; Hashtbl.reset sent; Who.forget (); Node.founders := []

let key (m : message) = match m.kind, m.fields with
  | 2, [ prev; pt; commit; round; count ] -> { m with fields = [ prev; pt; commit; round ] }, count
  | _ -> m, 0
(* The wire may cut a large request into pieces: each is one that could have been sent as well. *)
let pieces : (message, int * int * Terms.entry list) Hashtbl.t = Hashtbl.create 4096
let but_place (m : message) = match m.fields with
  | [ _; _; commit; round; _ ] -> { m with fields = [ commit; round ] }
  | _ -> m
let vote_for (m : message) (n : Node.t option) = match m.kind, m.fields, n with
  | 1, [ 1; 0 ], Some { m = { dur = { vote = Some c; _ }; _ }; _ } -> Node.number c
  | _ -> -1
let note_sent by (n : Node.t option) (m : message) =
  let k, count = key m in
  let speaker = by, vote_for m n in
  let entries () = match n with Some n when count > 0 -> Terms.slice n.terms (List.hd m.fields) count | _ -> [] in
  let put said = Hashtbl.replace sent k said;
    if said.count = count && count > 1 then Hashtbl.add pieces (but_place m) (List.hd m.fields, count, said.entries) in
  match Hashtbl.find_opt sent k with
  | None -> put { count; entries = entries (); by = [ speaker ] }
  | Some said ->
    let said' = if List.mem speaker said.by then said else { said with by = speaker :: said.by } in
    if count > said.count then put { said' with count; entries = entries () }
    else if said' != said then Hashtbl.replace sent k said'
let rec is_prefix a b = match a, b with [], _ -> true | x :: a, y :: b -> x = y && is_prefix a b | _ -> false
let is_piece (m : message) count entries (prev, c, terms) = match m.fields with
  | at :: at_term :: _ ->
    at > prev && at + count <= prev + c &&
    (!order = Any_order || fst (List.nth terms (at - prev - 1)) = at_term && is_prefix (Terms.expand entries) (Node.drop (at - prev) terms))
  | _ -> false
let was_sent m entries =
  let k, count = key m in
  let whole = match Hashtbl.find_opt sent k with
    | None -> false
    | Some said -> count <= said.count && (!order = Any_order || is_prefix (Terms.expand entries) said.entries) in
  whole || count > 0 && List.exists (is_piece m count entries) (Hashtbl.find_all pieces (but_place m))

(* Whom a message may be from. What is one of requests alone is from nobody in the model. *)
let speakers_of (n : Node.t) (m : message) =
  match Hashtbl.find_opt sent (fst (key m)) with
  | Some said -> List.filter_map (fun (by, vote) -> if vote = -1 || vote = n.me then Some by else None) said.by
  | None -> []

(* Of each position that some node of this world knew to be committed: its entry's term, and the term of the first leader that
   could offer it. And the lists among them. *)
let committed : (int, int * int) Hashtbl.t = Hashtbl.create 4096
let committed_lists : (int, members) Hashtbl.t = Hashtbl.create 64
let note_committed (before : Node.t) (after : Node.t) =
  let known (n : Node.t) = n.base + n.m.vol.ci in
  if known after > known before then begin
    for i = known before + 1 to known after do
      let term = Terms.get after.terms i in
      match Hashtbl.find_opt committed i with
      | None -> Hashtbl.replace committed i (term, after.m.vol.term)
      | Some (other, _) ->
        if !order = Closed && other <> term then
          Node.fail "entry %d is committed with term %d, and was with term %d" i term other
    done;
    List.iter (fun (i, list) -> if i > known before && i <= known after then Hashtbl.replace committed_lists i list)
      after.terms.lists
  end
let committed_members k =
  let newest = Hashtbl.fold (fun i _ last -> if i <= k then max i last else last) committed_lists 0 in
  if newest = 0 then !Node.founders else Hashtbl.find committed_lists newest

let find id = match Hashtbl.find_opt machines id with
  | Some m -> m
  | None -> Node.fail "node %d has not booted" id

let count_step (before : Node.t) (after : Node.t) (x : step) =
  seen.steps <- seen.steps + 1;
  if after.m.rl = Handlers.Leader then begin
    if before.m.rl <> Handlers.Leader then seen.wins <- seen.wins + 1;
    if x.after.commit > before.base + before.m.vol.ci then seen.commits <- seen.commits + 1 end;
  (match x.change with
   | Some (cut, runs) ->
     if cut <= Node.last_of before then seen.cuts <- seen.cuts + 1;
     List.iter (function List _ -> seen.lists <- seen.lists + 1 | Commands _ -> ()) runs
   | _ -> ());
  (match x.input with Compacted _ -> seen.compactions <- seen.compactions + 1 | _ -> ());
  seen.reads <- seen.reads + List.length x.reads

let step_of (n : Node.t) id (x : step) =
  let lists_held (n : Node.t) = match n.terms.lists with (i, _) :: _ -> i | [] -> 0 in
  let lists_before = lists_held n in
  let stranger, from = match x.input, !order with
    | Message (m, entries), (Closed | Open | Any_order) ->
      if was_sent m entries then false, speakers_of n m
      else begin
        if !order <> Open then Node.fail "no node has sent this message: %s" (Words.message m);
        seen.strangers <- seen.strangers + 1; true, [] end
    | Message (m, _), Isolated -> false, [ Node.node_of n m.from ]
    | _ -> false, [] in
  let after = Node.step ~from ~stranger x n in
  count_step n after x;
  if lists_held after < lists_before then seen.lists_cut <- seen.lists_cut + 1;
  note_committed n after;
  note_term after;
  if !order = Closed || !order = Open then
    List.iter (note_sent n.me (Some after)) x.sent;
  Hashtbl.replace machines id (Node after)

(* It was in that term once: in this start of it, or in one before. *)
let check_ack by term = match find by with
  | Node n when highest_of n >= term -> ()
  | Node n -> Node.fail "node %d said that it is in term %d; it has come to %d" by term (highest_of n)
  | Old _ -> Node.fail "node %d forwards a read, and has an old copy of its disk" by

let step id (x : step) =
  (match x.input with Read (_, Some (by, term)) when !order = Closed -> check_ack by term | _ -> ());
  match find id with
  | Node n -> step_of n id x
  | Old _ -> seen.skipped <- seen.skipped + 1

let promised id (p : promised) = match find id with
  | Node n ->
    let after = Node.promised p n in
    seen.promised <- seen.promised + 1;
    if !order = Closed || !order = Open then note_sent n.me (Some after) p.answer;
    Hashtbl.replace machines id (Node after)
  | Old _ -> seen.skipped <- seen.skipped + 1

(* Of separate processes, the others' steps may come later in the reading. *)
let adopted (b : boot) n =
  if !order <> Any_order then begin
    (match Hashtbl.find_opt committed b.base with
     | Some (term, offered) when term = b.base_term ->
       if offered > b.term then
         Node.fail "it has adopted the state after %d in term %d; no leader before term %d knew it to be committed" b.base b.term offered
     | _ -> Node.fail "it has adopted the state after %d, which nobody knew to be committed" b.base);
    let members = committed_members b.base in
    if b.members <> members then
      Node.fail "it has adopted the state after %d with the members %s; there the cluster had %s" b.base
        (Words.members b.members) (Words.members members)
  end;
  seen.adoptions <- seen.adoptions + 1;
  Node.adopt b n

let boot_again (b : boot) (n : Node.t) =
  if n.m.pend <> [] then seen.lost <- seen.lost + 1;
  try Node.reboot b n with
  | Node.Impossible _ when b.log = [] && b.applied = b.base && b.base > n.base + n.m.vol.ci -> adopted b n

(* A node of the model starts with nothing. *)
let first_boot (b : boot) me =
  let vote = if b.vote = -1 then None else Some (Node.node (Who.number b.vote 0)) in
  if !order = Closed || !order = Open then begin
    if b.term > 0 || b.log <> [] || b.base > 0 then Node.fail "the first boot of node %d is not from an empty disk" b.node;
    if !Node.founders = [] then Node.founders := b.members;
    if b.members <> [] && b.members <> !Node.founders then
      Node.fail "it begins with the members %s, the others with %s" (Words.members b.members) (Words.members !Node.founders)
  end;
  Node.windowed (b.node, me) ~first:b.members (b.base, b.base_term) b.term vote b.applied b.log

let boot (b : boot) =
  let me = Who.number b.node b.life in
  seen.boots <- seen.boots + 1;
  let booted = match Hashtbl.find_opt machines b.node with
    | Some (Node n) when n.me = me -> Node (boot_again b n)
    | Some (Old old) when old = me -> seen.skipped <- seen.skipped + 1; Old old
    | Some _ -> seen.lives <- seen.lives + 1; Node (first_boot b me)
    | None -> Node (first_boot b me) in
  Hashtbl.replace machines b.node booted

let source = ref "" and line_no = ref 0 and remark = ref ""

let line = function
  | World mode ->
    seen.worlds <- seen.worlds + 1;
    order := (match mode with 0 -> Open | 1 -> Closed | _ -> Isolated);
    reset (); Hashtbl.reset pieces; Hashtbl.reset committed; Hashtbl.reset committed_lists
  | Boot b -> boot b
  | Old_disk id ->
    (match find id with
     | Node n -> Hashtbl.replace machines id (Old n.me)
     | Old _ -> Node.fail "node %d has an old copy of its disk already" id)
  | State (id, first, whole) ->
    seen.states <- seen.states + 1; Hashtbl.replace machines id (Node (Node.of_state first id whole))
  | Expect (id, whole) -> (match find id with Node n -> Node.expect whole n | Old _ -> ())
  | Step (id, x) -> step id x
  | Promised (id, p) -> promised id p
  | Remark text -> if text <> "" then remark := text

let report text why =
  Printf.printf "trace-check: an impossible step, %s:%d\n" !source !line_no;
  (try print_string (Words.line (Line.parse text)) with Line.Bad _ -> print_endline text);
  Printf.printf "the model: %s\nthe line: %s\n" why text;
  if !remark <> "" then Printf.printf "again: %s\n" !remark;
  exit 1

let each f channel =
  line_no := 0;
  try while true do
    let text = input_line channel in
    incr line_no;
    (try f (Line.parse text) with
     | Node.Impossible why -> report text why
     | Line.Bad why -> report text ("cannot be asked: " ^ why)) done
  with End_of_file -> ()

let with_file name f = source := name;
  if name = "-" then f stdin else begin let c = open_in_bin name in f c; close_in c end

let begins_a_world name = name = "-" || begin
  let c = open_in_bin name in
  let rec look () = match input_line c with
    | text -> text <> "" && (text.[0] = 'I' || text.[0] = 'S' || text.[0] = '#' && look ())
    | exception End_of_file -> true in
  let found = look () in close_in c; found end

(* Processes: first who has sent what, then each by itself. *)
let processes files =
  order := Any_order;
  let lives = Hashtbl.create 8 in
  let by id = Option.value (Hashtbl.find_opt lives id) ~default:(Who.number id 0) in
  let gather = function
    | Boot b -> Hashtbl.replace lives b.node (Who.number b.node b.life)
    | Step (id, x) -> List.iter (note_sent (by id) None) x.sent
    | Promised (id, p) -> note_sent (by id) None p.answer
    | _ -> () in
  List.iter (fun f -> with_file f (each gather)) files;
  List.iter (fun f -> with_file f (each line)) files

let () =
  Gc.set { (Gc.get ()) with minor_heap_size = 1 lsl 20; space_overhead = 400 };
  let covers = ref false and files = ref [] in
  Array.iteri (fun i a -> if i > 0 then match a with
    | "--covers" -> covers := true
    | "--help" -> print_string usage; exit 0
    | f -> files := f :: !files) Sys.argv;
  let files = if !files = [] then [ "-" ] else List.rev !files in
  let worlds, separate = List.partition begins_a_world files in
  List.iter (fun f -> with_file f (each line)) worlds;
  if separate <> [] then processes separate;
  let counted = List.filter (fun (n, _) -> n > 0) [ seen.worlds, "worlds"; seen.states, "states given"; seen.wins, "elections won";
    seen.commits, "commits by counting"; seen.cuts, "logs cut"; seen.boots, "boots"; seen.lost, "of them with writes under way";
    seen.promised, "answers promised"; seen.reads, "reads"; seen.compactions, "compactions"; seen.adoptions, "states adopted";
    seen.lists, "lists of members appended"; seen.lists_cut, "cut"; seen.lives, "disks lost"; seen.strangers, "messages of strangers" ] in
  Printf.printf "%d steps agree: %s; %s\n" seen.steps
    (String.concat ", " (List.map (fun (n, what) -> Printf.sprintf "%d %s" n what) counted))
    (if seen.skipped = 0 then "none skipped" else Printf.sprintf "%d of old copies of disks skipped" seen.skipped);
  if seen.steps = 0 then (print_endline "no step was checked"; exit 1);
  if !covers && List.mem 0 [ seen.wins; seen.commits; seen.cuts; seen.boots; seen.lost; seen.reads; seen.promised + seen.states ] then
    (print_endline "too little happened"; exit 1)
