(* One node: the state of its proved handlers, and what one observed step does to it.

   The handlers work on lists. So that a step costs the same on a long log, they are given the end of the log only: what lies
   below `base` is committed on all of the node's images, and left away, as compaction does. Entry base + 1 is the model's
   first; a message that reaches below it is cut to what lies above. The terms below are kept aside and compared there. *)
open Handlers
open Line

exception Impossible of string
let fail fmt = Printf.ksprintf (fun s -> raise (Impossible s)) fmt

(* Nodes are the numbers of who.ml, values are lists of members: of a command, nothing is known here. *)
let node (number : int) : Handlers.node = Obj.repr number
let number (n : Handlers.node) : int = Obj.obj n
let value (m : members) : Handlers.value = Obj.repr m
let members_of (v : Handlers.value) : members = Obj.obj v
let voters_of members = List.map node (Who.voters members)
let params voters = { node_eq_dec = (fun a b -> number a = number b); voters; members = (fun v -> Some (voters_of (members_of v))) }

module Ids = Map.Make (Int)
module Probes = Set.Make (struct type t = int * int * int let compare ((a, b, c) : t) (d, e, f) =
  if a <> d then Int.compare a d else if b <> e then Int.compare b e else Int.compare c f end)

type t = {
  id : int;
  me : int;                       (* with this life *)
  p : params;                     (* its voters: those in force where the model's log begins *)
  m : st;
  base : int;
  labels : int list;              (* the core's write number for each of the model's writes under way *)
  issued : int;                   (* the last write that the core asked for *)
  synced_to : int;                (* the last that it was told is done *)
  terms : Terms.t;                (* of the log in memory *)
  first : int;                    (* where the core's own log begins *)
  campaign : int * int * int;     (* term, last index and last term of the last campaign *)
  answered : int * int;           (* term, last round answered *)
  was : int * (int * int);        (* before its last step: its term, and what it had answered *)
  acked : int Ids.t;              (* a leader: the last round that each other node has answered *)
  reads : (int * int * int list) Ids.t;   (* a leader's reads: round, index at least, who needs no round *)
  probes : Probes.t option;  (* where a rejection may ask to go on: its term, index and term; None: not known *)
  led : t option;                 (* it stepped down in this step: the leader that it was until then *)
}

let entry_cache = Array.init 1024 (fun t -> { eterm = t; eval = None })
let command t = if t >= 0 && t < 1024 then entry_cache.(t) else { eterm = t; eval = None }
let entry ((t, list) : Terms.entry) = match list with None -> command t | Some m -> { eterm = t; eval = Some (value m) }
let down n k = if k <= n.base then 0 else k - n.base
let rec drop k l = if k <= 0 then l else match l with [] -> [] | _ :: r -> drop (k - 1) r
let rec take k = function x :: r when k > 0 -> x :: take (k - 1) r | _ -> []
let vote_id = function None -> -1 | Some v -> Who.id (number v)
let last_of n = n.base + List.length n.m.vol.log
let mt_of l = fun v -> match List.assoc_opt (number v) l with Some k -> k | None -> 0
let in_force n = conf n.p n.m.vol.log
(* The node that this one's list has under an id. *)
let listed n id = List.find_opt (fun (m : member) -> m.id = id) (Terms.members n.terms)
let node_of n id = match listed n id with Some m -> Who.member_of m | None -> Who.number id 0
let me n = node n.me

let note_answers n out =
  List.fold_left (fun n msg -> match msg with
    | HBR (t, _, r) when fst n.answered <> t || snd n.answered < r -> { n with answered = (t, r) }
    | _ -> n) n out
let run f n = let m, out = f n.m in note_answers { n with m } out

(* ---------- a disk ---------- *)
let above q labels = List.length (List.filter (fun l -> l > q) labels)
let sync_to q n =
  let j = above q n.labels in
  if j = List.length n.labels then n else { (run (synced n.p j) n) with labels = take j n.labels }

let same_stored (a : img) (b : img) = a.term = b.term && a.vote = b.vote && (a.log == b.log || a.log = b.log)
let same_image a b = same_stored a b && a.mat = b.mat && a.ci = b.ci

(* The model's writes of this step, in one: the core asked for one, or for none where nothing that it stores has changed. *)
let number_write before written n =
  let kept_count = List.length n.labels in
  let kept = drop (List.length n.m.pend - kept_count) n.m.pend in
  let newest = match kept with d :: _ -> d | [] -> n.m.dur in
  let vol = n.m.vol in
  match written with
  | Some number ->
    if number <> before.issued + 1 then fail "the write has number %d, the last one had %d" number before.issued;
    { n with m = { n.m with pend = vol :: kept }; labels = number :: n.labels; issued = number }
  | None ->
    if not (same_stored vol newest) then fail "term, vote or log has changed, and nothing is written";
    if same_image vol newest then { n with m = { n.m with pend = kept } }
    else match kept, n.labels with
      | _ :: older, l :: _ when l = n.issued -> { n with m = { n.m with pend = vol :: older } }
      | _ -> { n with m = { n.m with pend = vol :: kept }; labels = n.issued :: n.labels }

(* The applied index goes to the disk by itself. *)
let mark k n = if n.m.dur.ci >= k then n else run (on_applied n.p k) n

(* The term of what it has there. *)
let stored_term n (d : img) i = if i <= n.base then Terms.get n.terms i else match nth_error d.log (i - n.base - 1) with
  | Some e -> e.eterm | None -> 0

(* ---------- inputs ---------- *)
(* An append request above base: what it says below was committed here, and must agree. *)
let reach_down n prev prev_term entries =
  if n.base = 0 || prev > n.base then Some (prev - n.base, prev_term, entries)
  else begin
    let rec agree i = function
      | (t, _) :: r -> i > n.base + 1 || ((i < n.terms.first || Terms.get n.terms i = t) && agree (i + 1) r)
      | [] -> true in
    if not (prev < n.terms.first || Terms.get n.terms prev = prev_term) || not (agree (prev + 1) entries) then None
    else Some (1, Terms.get n.terms (n.base + 1), drop (n.base + 1 - prev) entries)
  end

let see t n = run (andthen n.p (see n.p t) (save n.p)) n

(* `from`: the node that said it. What is no member in the core's own list answers in vain, its term included. *)
let on_message (x : step) (msg : message) from entries n =
  let t = msg.term and p = n.p in
  match msg.kind, msg.fields with
  | (1 | 3), _ when listed n msg.from = None -> n
  | 0, [ _; _; 1 ] | 1, [ 1; 1 ] -> n                   (* pre-votes speak of a term that nobody is in *)
  | 0, [ last; lt; _ ] ->
    if x.after.term < t then n                          (* it holds to its leader: to the model, the request is lost *)
    else run (on_vote_request p t (node from) (down n last) lt) n
  | 1, [ 1; 0 ] -> run (on_vote_response p (me n) t (node from)) n
  | 2, [ prev; pt; lc; round; _ ] when t >= n.m.vol.term ->
    (match reach_down n prev pt (Terms.expand entries) with
     | None -> fail "the request contradicts what is committed here"
     | Some (prev, pt, es) -> run (on_append_request p (me n) t prev pt (List.map entry es) (down n lc) round) n)
  | 3, [ 1; k; _; _ ] ->
    (* it looks for what is committed only where that says something new *)
    if n.m.rl = Leader && t = n.m.vol.term && down n k <= n.m.mt (node from) && x.after.commit <= n.base + n.m.vol.ci then n
    else run (on_append_response p t (node from) (down n k)) n
  | _ -> see t n

let note_round (msg : message) from n =
  match msg.kind, msg.fields with
  | 3, [ _; _; _; round ] when n.m.rl = Leader && msg.term = n.m.vol.term && listed n msg.from <> None ->
    { n with acked = Ids.update from (function Some r when r >= round -> Some r | _ -> Some round) n.acked }
  | _ -> n

let on_input (x : step) from n =
  match x.input with
  | Message (msg, entries) -> note_round msg from (on_message x msg from entries n)
  | Persisted q ->
    if q > n.issued then fail "write %d was never asked for" q;
    let j = above q n.labels in
    let n' = run (on_persisted n.p (me n) j (me n) 0) n in
    { n' with labels = take j n.labels; synced_to = max q n.synced_to }
  | Tick | Propose _ | Read _ | Applied _ | Compacted _ | Unreachable _ | Gone _ | Transfer _ -> n

(* Of one that is new in a list, or has another life, or one that was not known, a leader knows nothing; it
   is nobody else itself. *)
let forget_new (before : members) n =
  let stays (m : member) = m.id = n.id || List.exists (fun (o : member) -> o.id = m.id && o.life = m.life) before in
  List.fold_left (fun n m -> if stays m then n
    else { (run (on_forget n.p (node (Who.member_of m))) n) with acked = Ids.remove (Who.member_of m) n.acked })
    n (Terms.members n.terms)

(* A list comes alone. *)
let propose last n =
  match Terms.slice n.terms (last_of n) (last - last_of n) with
  | [ _, Some list ] -> forget_new (Terms.members_at n.terms (last - 1)) (run (on_propose n.p (value list)) n)
  | entries ->
    if List.exists (fun (_, list) -> list <> None) entries then fail "a list of members comes with something else";
    let rec add k s = if k = 0 then s else add (k - 1) (set_vol n.p (append n.p None s.vol) s) in
    run (fun s -> save n.p (add (List.length entries) s)) n

(* What the core's timers decide, and what clients ask for. *)
let on_own_accord (x : step) n =
  let p = n.p in
  let n = match x.input with
    | Propose _ when x.after.last > last_of n && n.m.rl = Leader -> propose x.after.last n
    | _ -> n in
  if x.after.role = 2 && x.after.term = n.m.vol.term + 1 && x.after.vote = n.id then
    let n = run (on_timeout p (me n)) n in
    { n with campaign = (x.after.term, last_of n, last_term p n.m.vol.log) }
  else if x.after.role < 2 && n.m.rl <> Follower then
    { (run (on_step_down p) n) with led = (if n.m.rl = Leader then Some n else None) }
  else n

(* ---------- what must be equal ---------- *)
let equal what seen model = if seen <> model then fail "%s is %d, in the model it is %d" what seen model
let equal_words what seen model = if seen <> model then fail "%s is %s, in the model it is %s" what seen model

let compare_lists n =
  let held = List.filter (fun (i, _) -> i > n.base) n.terms.lists in
  let _, model = List.fold_left (fun (i, lists) e -> i + 1, match e.eval with
    | Some v -> (i, members_of v) :: lists | None -> lists) (n.base + 1, []) n.m.vol.log in
  if held <> model then begin
    let words lists = String.concat "" (List.rev_map (fun (i, m) -> Printf.sprintf " (%d) %s" i (Words.members m)) lists) in
    fail "its log has the lists%s; the model's has%s" (words held) (words model) end

let compare_log n =
  compare_lists n;
  let rec go i = function
    | [] -> if i <= n.terms.last then fail "its log goes on to %d, the model's ends at %d" n.terms.last (i - 1)
    | e :: r ->
      if i > n.terms.last then fail "its log ends at %d, the model's goes on" n.terms.last;
      if Terms.get n.terms i <> e.eterm then
        fail "entry %d is of term %d, in the model of term %d" i (Terms.get n.terms i) e.eterm;
      go (i + 1) r in
  go (n.base + 1) n.m.vol.log

let change_log n (x : step) =
  match x.change with
  | None -> ()
  | Some (cut, runs) ->
    if cut > n.terms.last + 1 then fail "the log has a hole before %d" cut;
    if cut <= n.base + n.m.vol.ci then fail "entry %d was committed, and the log is cut there" cut;
    Terms.cut n.terms cut; Terms.push_runs n.terms runs

(* Who is in force and, to a leader, what each has acknowledged. One that holds no list and was told none counts by nobody. *)
let compare_in_force n (x : step) =
  let members = Terms.members n.terms in
  let seen = List.map (fun (id, voter, _) -> id, voter = 1) x.in_force in
  let ids = List.map (fun (m : member) -> m.id, m.voter) members in
  if seen <> ids then fail "it has other members in force than those of its log, %s" (Words.members members);
  let voters = List.filter_map (fun (id, voter) -> if voter then Some id else None) seen in
  let model = if members = [] then [] else List.map (fun v -> Who.id (number v)) (in_force n) in
  if List.sort compare voters <> List.sort compare model then
    fail "it counts by%s, the model by%s" (Words.ids voters) (Words.ids model);
  if n.m.rl = Leader then
    List.iter (fun (id, _, k) -> if id <> n.id then
      equal (Printf.sprintf "the match index of node %d" id) (max k n.base) (n.base + n.m.mt (node (node_of n id)))) x.in_force

let compare_change before n (x : step) =
  if x.change <> None then compare_in_force n x;
  if x.change <> None || n.m.vol.log != before.m.vol.log then compare_log n;
  equal "the last index" x.after.last (last_of n);
  equal "the last entry's term" x.after.last_term (Terms.get n.terms n.terms.last)

let compare_write n (x : step) =
  match x.write with
  | None -> if x.change <> None then fail "the log has changed, and nothing is written"
  | Some w ->
    equal "the term written" w.wterm n.m.vol.term;
    equal "the vote written" w.wvote (vote_id n.m.vol.vote);
    if w.wchange <> x.change then fail "what is written is not how the log has changed"

let role_word = function Follower -> "follower" | Candidate -> "candidate" | Leader -> "leader"

let compare_state n (x : step) =
  let s = n.m and a = x.after in
  equal_words "the role" (match a.role with 0 | 1 -> "follower" | r -> Words.role r) (role_word s.rl);
  equal "the term" a.term s.vol.term;
  equal_words "the vote" (Words.node a.vote) (Words.node (vote_id s.vol.vote));
  equal "the commit index" (max a.commit n.base) (n.base + s.vol.ci)

let compare_disk n (x : step) =
  let s = n.m and a = x.after in
  let d = down n a.durable in
  if d > List.length s.dur.log || term_at n.p s.dur.log d <> term_at n.p s.vol.log d then
    fail "it takes its log to be durable up to %d; the disk does not have that" a.durable;
  if down n a.apply_to > s.dur.ci then fail "it may apply up to %d; its disk does not allow that yet" a.apply_to;
  if down n a.applied > s.dur.ci then fail "it has applied %d; its disk does not allow that yet" a.applied

let compare_base before (x : step) n =
  let a = x.after in
  if a.base <> before.first then begin
    (match x.input with Compacted k when k >= a.base -> () | _ -> fail "its log begins after %d, it was %d" a.base before.first);
    if a.base < before.first || a.base > a.applied then fail "the log was compacted up to %d, applied is %d" a.base a.applied
  end;
  if a.base > 0 && a.base >= n.terms.first then equal "the term before the log" a.base_term (Terms.get n.terms a.base);
  { n with first = a.base }

(* ---------- messages and reads that leave ---------- *)
let begin_rounds r n =
  let rec go n = if n.m.rl = Leader && n.m.rnd < r then go (run (begin_round n.p) n) else n in
  go n

let append_request before n (msg : message) prev pt lc count =
  if prev + count > n.terms.last then fail "it sends entries up to %d and has %d" (prev + count) n.terms.last;
  let commit = n.base + n.m.vol.ci and commit_before = before.base + before.m.vol.ci in
  if lc <> commit && lc <> commit_before && not (lc = 0 && prev = 0) then
    fail "it sends commit %d, the model has %d" lc commit;
  let n = match n.led with Some leader -> leader | None -> n in
  if prev > n.base then
    match send_append n.p (prev - n.base) count n.m with
    | _, [ AE (t, _, pt', es, _) ] when t = msg.term && pt' = pt && List.length es = count -> ()
    | _ -> fail "the model does not let this out: %s" (Words.message msg)
  else if n.m.rl <> Leader || msg.term <> n.m.vol.term || (prev >= n.terms.first && Terms.get n.terms prev <> pt) then
    fail "the model does not let this out: %s" (Words.message msg)

(* What promises nothing but the node's term, which a crash must not take back: a refusal, and a pre-vote, which speaks of a
   later term. *)
let says_its_term n (msg : message) =
  let term = n.m.vol.term in
  if n.m.dur.term <> term then fail "it says that it is in term %d; its disk has term %d: %s" term n.m.dur.term (Words.message msg);
  match msg.kind, msg.fields with
  | 1, [ 1; 1 ] -> if msg.term <= term then fail "it grants a pre-vote of term %d, and is in %d" msg.term term
  | _ -> equal "the term of a refusal" msg.term term

(* A request that does not match is answered with the highest position that may: below it, of no later term. *)
let note_probe n (x : step) =
  match x.input, n.probes with
  | Message ({ kind = 2; fields = prev :: pt :: _; _ }, _), Some probes when prev > 0 ->
    let rec below i = if i <= n.first then n.first else if Terms.get n.terms i <= pt then i else below (i - 1) in
    let at = below (min (prev - 1) n.terms.last) and term = n.m.vol.term in
    let probe = term, at, Terms.get n.terms at in
    if Probes.mem probe probes then n
    else
      let of_term = match Probes.min_elt_opt probes with Some (t, _, _) when t <> term -> Probes.empty | _ -> probes in
      { n with probes = Some (Probes.add probe of_term) }
  | _ -> n

(* All zero: it only tells one of an earlier term that its term is over. *)
let says_where n (msg : message) k kt round =
  match n.probes with
  | Some probes when round + k + kt > 0 && not (Probes.mem (msg.term, k, kt) probes) ->
    fail "it rejects and asks to go on behind %d of term %d; that follows from no request: %s" k kt (Words.message msg)
  | _ -> ()

let answers_round (msg : message) round (term, last) =
  if round > 0 && (term <> msg.term || last < round) then
    fail "it answers round %d of term %d, in which nobody asked it" round msg.term

let one_message before n (msg : message) =
  let no () = fail "the model does not let this out: %s" (Words.message msg) in
  if msg.from <> n.id then fail "it speaks for node %d" msg.from;
  match msg.kind, msg.fields with
  | 0, [ _; _; 1 ] -> n
  | 0, [ li; lt; _ ] ->
    (match ask_votes n.p (me n) n.m with
     | _, [ RV (t, _, li', lt') ] when t = msg.term && lt' = lt && li = n.base + li' -> n
     (* it waited for the disk, and the node is no candidate any more *)
     | _, [] when n.campaign = (msg.term, li, lt) && n.m.vol.term = msg.term && n.m.dur.term = msg.term -> n
     | _ -> no ())
  | 1, [ 1; 0 ] ->
    (match n.m.dur.vote with
     | Some c when Who.id (number c) = msg.dst ->
       (match give_vote n.p (me n) c n.m with
        | _, [ RVR (t, _, _) ] when t = msg.term -> n
        | _ -> no ())
     | _ -> no ())
  | 1, _ -> says_its_term n msg; n
  | 2, [ prev; pt; lc; round; count ] ->
    let leads = function Some leader -> Some (begin_rounds round leader) | None -> None in
    let n = { (begin_rounds round n) with led = leads n.led } in
    equal "the round" round (match n.led with Some leader -> leader.m.rnd | None -> n.m.rnd);
    append_request before n msg prev pt lc count; n
  | 3, [ matched; k; kt; round ] ->
    answers_round msg round n.answered;
    if matched = 1 then begin
      if k >= n.terms.first && Terms.get n.terms k <> kt then no ();
      match ack n.p (me n) (down n k) n.m with
      | _, [ AER (t, _, _) ] when t = msg.term -> ()
      | _ -> no () end
    else begin says_its_term n msg; says_where n msg k kt round end;
    n
  | _ -> n

let take_read before (x : step) n =
  match x.input with
  | Read (name, ack) when n.m.rl = Leader && before.m.rl = Leader ->
    let acks = match ack with Some (by, term) when term = before.m.vol.term -> [ n.me; node_of n by ] | _ -> [] in
    { n with reads = Ids.add name (before.m.rnd + 1, before.base + before.m.vol.ci, acks) n.reads }
  | _ -> n

let serve_read n (name, index) =
  let whole = n in
  let n = match n.led with Some leader -> leader | None -> n in
  match Ids.find_opt name n.reads with
  | None -> fail "read %d was not taken, or is over" name
  | Some (round, least, acks) ->
    let voters = in_force n in
    let counted ok = List.length (List.filter (fun v -> ok (number v)) voters) in
    let acked v = List.mem v acks in
    let n = if majority n.p n.m (counted acked) then n else begin_rounds round n in
    if n.m.rl <> Leader then fail "read %d is served by one that does not lead" name;
    if index < least then fail "read %d is served at %d; when it came, %d was committed" name index least;
    if index >= n.terms.first && Terms.get n.terms index <> n.m.vol.term then fail "read %d is served before an entry of the leader's term" name;
    let with_us v = acked v || v = n.me && n.m.rnd >= round ||
      (match Ids.find_opt v n.acked with Some r -> r >= round | None -> false) in
    let count = counted with_us in
    if not (majority n.p n.m count) then fail "read %d is served; %d of %d have answered round %d" name count (List.length voters) round;
    let n = { n with reads = Ids.remove name n.reads } in
    if whole.led = None then n else { whole with led = Some n }

(* ---------- upkeep ---------- *)
let window = 64

(* A leader's table is a function; its updates would pile up. Who is no member is not heard. *)
let table n f =
  let members = List.map Who.member_of (Terms.members n.terms) in
  List.map (fun v -> v, f (n.m.mt (node v))) (if List.mem n.me members then members else n.me :: members)
let tidy_table before n =
  if n.m.mt == before.m.mt then n
  else { n with m = { n.m with mt = mt_of (table n (fun k -> k)) } }

let rebase n =
  if List.length n.m.vol.log <= 2 * window then n
  else begin
    let least = List.fold_left (fun k d -> min k d.ci) n.m.dur.ci (n.m.vol :: n.m.pend) in
    let d = least - 1 in
    if d < window then n
    else begin
      let image (i : img) = { i with log = drop d i.log; ci = i.ci - d; mat = max 0 (i.mat - d) } in
      let table = table n (fun k -> max 0 (k - d)) in
      { n with base = n.base + d; p = { n.p with voters = conf n.p (take d n.m.vol.log) };
        m = { n.m with vol = image n.m.vol; pend = List.map image n.m.pend; dur = image n.m.dur; mt = mt_of table } }
    end
  end

let new_leadership before n =
  if n.m.rl = Leader && before.m.rl = Leader && n.m.vol.term = before.m.vol.term then n
  else if n.m.rl = Leader then { n with acked = Ids.empty; reads = Ids.empty }
  else if Ids.is_empty n.reads && Ids.is_empty n.acked then n
  else { n with acked = Ids.empty; reads = Ids.empty }

(* ---------- one step ---------- *)
let checked before (x : step) n =
  let n = new_leadership before n in
  compare_state n x;
  let n = number_write before (Option.map (fun w -> w.number) x.write) n in
  equal "the number of the last write" x.after.seq n.issued;
  let n = sync_to n.synced_to n in
  compare_change before n x;
  compare_write n x;
  let n = mark (down n (max x.after.apply_to x.after.applied)) n in
  compare_disk n x;
  let n = compare_base before x n in
  let n = note_probe (take_read before x n) x in
  let n = List.fold_left (one_message before) n x.sent in
  let n = List.fold_left serve_read n x.reads in
  let n = List.fold_left (fun n r -> { n with reads = Ids.remove r n.reads }) n x.failed in
  rebase (tidy_table before { n with led = None; was = before.m.vol.term, before.answered })

(* `from`: the nodes that have said what it was told. A stranger's message may also be disregarded, but for its term. *)
let step ~from ~stranger (x : step) n =
  change_log n x;
  let attempt after_input = checked n x (on_own_accord x after_input) in
  let rec any_of = function
    | [] -> attempt (on_input x (-1) n)
    | [ v ] -> attempt (on_input x v n)
    | v :: r -> try attempt (on_input x v n) with Impossible _ -> any_of r in
  match x.input with
  | Message (msg, _) when msg.dst <> n.id || msg.from = n.id -> attempt n        (* not for this node's ears *)
  | Message (msg, _) when stranger ->
    (try any_of [ node_of n msg.from ] with Impossible why ->
       try attempt (see msg.term n) with Impossible _ ->
         try attempt n with Impossible _ -> fail "%s" why)
  | _ -> any_of from

(* ---------- what leaves without the core ---------- *)
(* Who knows the disk answers an append for the core, which may not have heard of the write yet; but it is in that term, or was
   before its last step: by the next one the answer has left or is taken back. *)
let promised { on_disk; answer = msg } n =
  let no () = fail "the model does not let this out: %s" (Words.message msg) in
  if msg.from <> n.id then fail "it speaks for node %d" msg.from;
  if on_disk > n.issued then fail "write %d was never asked for" on_disk;
  match msg.kind, msg.fields with
  | 3, [ 1; k; kt; round ] ->
    let term, answered = if msg.term = n.m.vol.term then n.m.vol.term, n.answered else n.was in
    if msg.term <> term then fail "it answers by itself in term %d, which it has left" msg.term;
    answers_round msg round answered;
    let j = above on_disk n.labels in
    (match on_durable n.p (me n) j (down n k) n.m with
     | m, [ AER (t, _, _) ] when t = msg.term ->
       if k >= n.terms.first && stored_term n m.dur k <> kt then no ();
       { n with m; labels = take j n.labels; synced_to = max on_disk n.synced_to }
     | _ -> no ())
  | _ -> no ()

(* ---------- beginnings ---------- *)
(* With whom the cluster began: the model's nodes know it from the beginning, those of the core by their configuration. *)
let founders : members ref = ref []

(* first: the core's list where its log begins *)
let windowed (id, me) ~first (base, base_term) term vote ci runs =
  let terms = Terms.make base base_term first runs in
  let sentinel = if base = 0 then [] else [ command base_term ] in
  let shift = if base = 0 then 0 else base - 1 in
  let image : img = { term; vote; log = sentinel @ List.map entry (Terms.expand runs); mat = 0; ci = max 0 (ci - shift) } in
  { id; me; p = params (voters_of (if first = [] then !founders else first)); base = shift; labels = []; issued = 0; synced_to = 0; terms; first = base;
    m = { vol = image; pend = []; dur = image; rl = Follower; votes = []; mt = (fun _ -> 0); rnd = 0 };
    campaign = (0, 0, 0); answered = (0, 0); was = (term, (0, 0)); acked = Ids.empty; reads = Ids.empty; probes = Some Probes.empty;
    led = None }

let voted n id = if id = -1 then None else Some (node (node_of n id))

let stored_lists n (d : img) above =
  snd (List.fold_left (fun (i, lists) e -> i + 1, match e.eval with
    | Some v when i > above -> (i, members_of v) :: lists | _ -> lists) (n.base + 1, []) d.log)

(* Does the disk hold this image? *)
let holds n (d : img) ~term ~vote ~base ~base_term (log : Terms.t) =
  let stored = stored_term n d in
  let last = n.base + List.length d.log in
  let rec same i = i > last || (i < n.terms.first || stored i = Terms.get log i) && same (i + 1) in
  d.term = term && vote_id d.vote = vote && log.last = last && base <= last &&
  (base < n.terms.first || base = 0 || stored base = base_term) && same (max (base + 1) log.first) &&
  (let above = max base n.base in stored_lists n d above = List.filter (fun (i, _) -> i > above) log.lists)

let reboot (b : boot) n =
  let log = Terms.make b.base b.base_term b.members b.log in
  let rec find j = function
    | [] -> fail "no moment of its disk would give this back"
    | d :: older -> if holds n d ~term:b.term ~vote:b.vote ~base:b.base ~base_term:b.base_term log then j else find (j + 1) older in
  let m, _ = synced n.p (find 0 (n.m.pend @ [ n.m.dur ])) n.m in
  let k = down n b.applied in
  let booted, _ = on_reboot n.p k m in
  if booted == m then fail "it has applied up to %d; with this on its disk it had not committed that" b.applied;
  if b.base > b.applied then fail "its log begins after %d, it has applied %d" b.base b.applied;
  if b.base >= n.terms.first && b.members <> Terms.members_at n.terms b.base then
    fail "its log begins with the members %s; there it had %s" (Words.members b.members)
      (Words.members (Terms.members_at n.terms b.base));
  (* the commit index may have gone back further than the window reaches *)
  rebase (windowed (n.id, n.me) ~first:b.members (b.base, b.base_term) b.term booted.vol.vote b.applied b.log)

(* What a node may adopt in place of its log is the state of a committed position that it does not hold: then what it loses is
   below that position, or conflicts with it. Its term and vote are those of its disk, all it promised is there. *)
let adopt (b : boot) n =
  let promised (d : img) = d.term = b.term && vote_id d.vote = b.vote in
  let vote = match List.find_opt promised (n.m.pend @ [ n.m.dur ]) with
    | Some d -> d.vote
    | None -> fail "it has adopted a state, and takes back a promise" in
  if b.base <= n.base + n.m.vol.ci then fail "it has adopted the state after %d, and knew of later ones" b.base;
  let last = n.base + List.length n.m.vol.log in
  if b.base <= last && b.base >= n.terms.first && stored_term n n.m.vol b.base = b.base_term then
    fail "it has adopted the state after %d, which its log holds" b.base;
  if b.base_term > b.term then fail "it has adopted a state of a later term";
  rebase (windowed (n.id, n.me) ~first:b.members (b.base, b.base_term) b.term vote b.base [])

let of_state first id (w : whole) =
  let a = w.now in
  let n = windowed (id, Who.number id 0) ~first (a.base, a.base_term) a.term None a.commit w.log in
  let voted id = voted n id and node_of = node_of n in
  let leads = a.role = 3 in
  let sentinel = if a.base = 0 then [] else [ command a.base_term ] in
  let image (i : Line.image) : img =
    let log = sentinel @ List.map entry (Terms.expand i.ilog) in
    { term = i.iterm; vote = voted i.ivote; log; ci = min (List.length log) (down n i.icommit);
      mat = if leads && i.iterm = a.term then List.length log else 0 } in
  let vol = { n.m.vol with vote = voted a.vote; mat = if leads then List.length n.m.vol.log else down n w.matched } in
  let under_way, dur, done_to = match w.images with
    | [] -> fail "a state without a disk"
    | d :: rest -> List.rev rest, image d, d.iseq in
  let table = (n.me, if leads then down n a.durable else 0) :: List.map (fun (v, k, _) -> node_of v, down n k) w.peers in
  { n with probes = None;
    m = { vol; pend = List.map image under_way; dur; rnd = w.round; mt = mt_of table;
      votes = List.map (fun v -> node (node_of v)) w.granted; rl = (match a.role with 2 -> Candidate | 3 -> Leader | _ -> Follower) };
    labels = List.map (fun i -> i.iseq) under_way; issued = a.seq; synced_to = done_to;
    campaign = (a.term, w.campaign_last, w.campaign_term); answered = (a.term, w.answered);
    acked = List.fold_left (fun m (v, _, r) -> Ids.add (node_of v) r m) Ids.empty w.peers;
    reads = List.fold_left (fun m (name, index, round) -> Ids.add name (round, index, []) m) Ids.empty w.waiting }

(* ---------- what the core knows, after a step ---------- *)
let expect_candidate (w : whole) n =
  let votes = List.map vote_id (List.map Option.some n.m.votes) in
  if List.sort compare w.granted <> List.sort compare votes then
    fail "it counts the votes of%s, the model those of%s" (Words.ids w.granted) (Words.ids votes)

let expect_leader (w : whole) n =
  equal "the last read round" w.round n.m.rnd;
  List.iter (fun (v, k, r) ->
    let other = node_of n v in
    equal (Printf.sprintf "the match index of node %d" v) (max k n.base) (n.base + n.m.mt (node other));
    let seen = match Ids.find_opt other n.acked with Some r -> r | None -> 0 in
    equal (Printf.sprintf "the last round that node %d answered" v) r seen) w.peers;
  if List.length w.waiting <> Ids.cardinal n.reads then
    fail "%d reads wait, in the model %d" (List.length w.waiting) (Ids.cardinal n.reads);
  List.iter (fun (name, index, round) -> match Ids.find_opt name n.reads with
    | None -> fail "read %d waits, and was not taken" name
    | Some (r, least, _) ->
      equal (Printf.sprintf "the round of read %d" name) round r;
      if index < least then fail "read %d waits for %d; when it came, %d was committed" name index least) w.waiting

let expect_promises (w : whole) n =
  if w.answered > 0 && (fst n.answered <> w.now.term || snd n.answered < w.answered) then
    fail "it will answer round %d, in which nobody asked it" w.answered;
  if down n w.matched > n.m.vol.mat then fail "it will acknowledge %d, the model %d" w.matched (n.base + n.m.vol.mat);
  if w.campaign_last + w.campaign_term > 0 && n.campaign <> (w.now.term, w.campaign_last, w.campaign_term) then
    fail "it will ask for votes with last entry %d of term %d" w.campaign_last w.campaign_term

let expect_disk (w : whole) n =
  let image i =
    let d = match drop (above i.iseq n.labels) n.m.pend with d :: _ -> d | [] -> n.m.dur in
    let log = Terms.make w.now.base w.now.base_term [] i.ilog in
    if not (holds n d ~term:i.iterm ~vote:i.ivote ~base:w.now.base ~base_term:w.now.base_term log) then
      fail "after write %d its disk holds something else than the model's" i.iseq in
  List.iter image w.images

let expect (w : whole) n =
  let log = Terms.make w.now.base w.now.base_term [] w.log in
  if not (holds n n.m.vol ~term:w.now.term ~vote:w.now.vote ~base:w.now.base ~base_term:w.now.base_term log) then
    fail "term, vote or log are not the model's";
  (match n.m.rl with
   | Candidate -> expect_candidate w n
   | Leader -> expect_leader w n
   | Follower -> ());
  expect_promises w n;
  expect_disk w n
