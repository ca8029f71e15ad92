(* Replays traces of the C core on the proved handlers: build/trace-check [FILE...], or the standard input. *)
open Line

let usage = "usage: trace-check [--covers] [FILE...]     -: the standard input (default)\n\
  A trace that begins with I is one world, in order. Other files are processes of one cluster, each in its own order: any\n\
  message that one of them has sent may arrive in another, at any time, and the first boot is believed.\n\
  --covers: it is a failure as well if something that a long run must show did not happen.\n"

type counts = { mutable steps : int; mutable worlds : int; mutable wins : int; mutable commits : int; mutable cuts : int;
  mutable boots : int; mutable lost : int; mutable reads : int; mutable compactions : int; mutable strangers : int;
  mutable states : int; mutable adoptions : int }
let seen = { steps = 0; worlds = 0; wins = 0; commits = 0; cuts = 0; boots = 0; lost = 0; reads = 0; compactions = 0;
  strangers = 0; states = 0; adoptions = 0 }

(* What has been sent: an append request by all but its count, with the most entries that it came with, and their terms. *)
type order = Closed | Open | Any_order | Isolated
let order = ref Isolated
let sent : (message, int * int list) Hashtbl.t = Hashtbl.create 4096
let nodes : (int, Node.t) Hashtbl.t = Hashtbl.create 16

let key (m : message) = match m.kind, m.fields with
  | 2, [ prev; pt; commit; round; count ] -> { m with fields = [ prev; pt; commit; round ] }, count
  | _ -> m, 0
let slice (terms : Terms.t) prev count = List.init count (fun i -> Terms.get terms (prev + 1 + i))
(* The wire may cut a large request into pieces: each is one that could have been sent as well. *)
let pieces : (message, int * int * int list) Hashtbl.t = Hashtbl.create 4096
let but_place (m : message) = match m.fields with
  | [ _; _; commit; round; _ ] -> { m with fields = [ commit; round ] }
  | _ -> m
let note_sent terms (m : message) =
  let k, count = key m in
  match Hashtbl.find_opt sent k with
  | Some (c, _) when c >= count -> ()
  | _ ->
    let entries = match terms with Some t when count > 0 -> slice t (List.hd m.fields) count | _ -> [] in
    Hashtbl.replace sent k (count, entries);
    if count > 1 then Hashtbl.add pieces (but_place m) (List.hd m.fields, count, entries)
let rec is_prefix a b = match a, b with [], _ -> true | x :: a, y :: b -> x = y && is_prefix a b | _ -> false
let is_piece (m : message) count entries (prev, c, terms) = match m.fields with
  | at :: at_term :: _ ->
    at > prev && at + count <= prev + c &&
    (!order = Any_order || List.nth terms (at - prev - 1) = at_term && is_prefix (Terms.expand entries) (Node.drop (at - prev) terms))
  | _ -> false
let was_sent m entries =
  let k, count = key m in
  let whole = match Hashtbl.find_opt sent k with
    | None -> false
    | Some (c, terms) -> count <= c && (!order = Any_order || is_prefix (Terms.expand entries) terms) in
  whole || count > 0 && List.exists (is_piece m count entries) (Hashtbl.find_all pieces (but_place m))

(* Terms of the positions that some node of this world knew to be committed. *)
let committed : (int, int) Hashtbl.t = Hashtbl.create 4096
let note_committed (before : Node.t) (after : Node.t) =
  let known (n : Node.t) = n.base + n.m.vol.ci in
  for i = known before + 1 to known after do Hashtbl.replace committed i (Terms.get after.terms i) done

let find id = match Hashtbl.find_opt nodes id with Some n -> n | None -> Node.fail "node %d has not booted" id

let count_step (before : Node.t) (after : Node.t) (x : step) =
  seen.steps <- seen.steps + 1;
  if after.m.rl = Handlers.Leader then begin
    if before.m.rl <> Handlers.Leader then seen.wins <- seen.wins + 1;
    if x.after.commit > before.base + before.m.vol.ci then seen.commits <- seen.commits + 1 end;
  (match x.change with Some (cut, _) when cut <= Node.last_of before -> seen.cuts <- seen.cuts + 1 | _ -> ());
  (match x.input with Compacted _ -> seen.compactions <- seen.compactions + 1 | _ -> ());
  seen.reads <- seen.reads + List.length x.reads

let step id (x : step) =
  let n = find id in
  let stranger = match x.input, !order with
    | Message (m, entries), (Closed | Open | Any_order) when not (was_sent m entries) ->
      if !order <> Open then Node.fail "no node has sent this message: %s" (Words.message m);
      seen.strangers <- seen.strangers + 1; true
    | _ -> false in
  let after = Node.step ~stranger x n in
  count_step n after x;
  note_committed n after;
  if !order = Closed || !order = Open then List.iter (note_sent (Some after.terms)) x.sent;
  Hashtbl.replace nodes id after

(* Of separate processes, the others' steps may come later in the reading. *)
let adopted ~term ~vote ~base ~base_term n =
  if !order <> Any_order && Hashtbl.find_opt committed base <> Some base_term then
    Node.fail "it has adopted the state after %d, which nobody knew to be committed" base;
  seen.adoptions <- seen.adoptions + 1;
  Node.adopt ~term ~vote ~base ~base_term n

let boot id ~term ~vote ~applied ~base ~base_term log voters =
  seen.boots <- seen.boots + 1;
  match Hashtbl.find_opt nodes id with
  | Some n ->
    if n.m.pend <> [] then seen.lost <- seen.lost + 1;
    let booted = try Node.reboot ~term ~vote ~applied ~base ~base_term log n with
      | Node.Impossible _ when log = [] && applied = base && base > n.base + n.m.vol.ci -> adopted ~term ~vote ~base ~base_term n in
    Hashtbl.replace nodes id booted
  | None ->
    if (!order = Closed || !order = Open) && (term > 0 || log <> [] || base > 0) then
      Node.fail "the first boot of node %d is not from an empty disk" id;
    Hashtbl.replace nodes id (Node.windowed voters id (base, base_term) term vote applied log)

let source = ref "" and line_no = ref 0 and remark = ref ""

let line = function
  | World mode ->
    seen.worlds <- seen.worlds + 1;
    order := (match mode with 0 -> Open | 1 -> Closed | _ -> Isolated);
    Hashtbl.reset nodes; Hashtbl.reset sent; Hashtbl.reset pieces; Hashtbl.reset committed
  | Boot b -> boot b.node ~term:b.term ~vote:b.vote ~applied:b.applied ~base:b.base ~base_term:b.base_term b.log b.voters
  | State (id, voters, whole) ->
    seen.states <- seen.states + 1; Hashtbl.replace nodes id (Node.of_state voters id whole)
  | Expect (id, whole) -> Node.expect whole (find id)
  | Step (id, x) -> step id x
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
  let gather = function Step (_, x) -> List.iter (note_sent None) x.sent | _ -> () in
  List.iter (fun f -> with_file f (each gather)) files;
  List.iter (fun f -> with_file f (each line)) files

let () =
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
    seen.reads, "reads"; seen.compactions, "compactions"; seen.adoptions, "states adopted"; seen.strangers, "messages of strangers" ] in
  Printf.printf "%d steps agree: %s\n" seen.steps
    (String.concat ", " (List.map (fun (n, what) -> Printf.sprintf "%d %s" n what) counted));
  if seen.steps = 0 then (print_endline "no step was checked"; exit 1);
  if !covers && List.mem 0 [ seen.wins; seen.commits; seen.cuts; seen.boots; seen.lost; seen.reads ] then
    (print_endline "too little happened"; exit 1)
