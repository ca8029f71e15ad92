(* A line of a trace, as src/raft/trace.h describes it. *)

exception Bad of string

type message = { kind : int; from : int; dst : int; term : int; fields : int list }
type member = { id : int; life : int; voter : bool }       (* life 0: not known *)
type members = member list
type run = Commands of int * int | List of int * members   (* count, term; term *)
type input =
  | Tick
  | Message of message * run list
  | Propose of int
  | Read of int * (int * int) option                      (* who said in which term it is *)
  | Persisted of int
  | Applied of int
  | Compacted of int
  | Unreachable of int
  | Transfer of int
  | Gone of int
type state = { role : int; term : int; vote : int; commit : int; durable : int; applied : int; apply_to : int; seq : int;
  base : int; base_term : int; last : int; last_term : int }
type change = (int * run list) option                      (* the log from here on is this *)
type write = { number : int; wterm : int; wvote : int; wchange : change }
type step = { input : input; after : state; change : change; in_force : (int * int * int) list; write : write option; sent : message list;
  reads : (int * int) list; failed : int list }
type image = { iseq : int; iterm : int; ivote : int; icommit : int; ilog : run list }
type whole = { now : state; log : run list; granted : int list; round : int; campaign_last : int; campaign_term : int;
  answered : int; matched : int; peers : (int * int * int) list; waiting : (int * int * int) list; images : image list }
type boot = { node : int; life : int; term : int; vote : int; applied : int; base : int; base_term : int; log : run list;
  members : members }                                      (* in force at base *)
type promised = { on_disk : int; answer : message }        (* writes up to this are on the disk *)
type t =
  | World of int
  | Boot of boot
  | Old_disk of int
  | Step of int * step
  | Promised of int * promised
  | State of int * members * whole
  | Expect of int * whole
  | Remark of string

(* What follows the letter, as sections of groups of numbers. What an honest node never says may be larger than an int. *)
let sections text =
  let n = String.length text in
  let rec go i group groups sections =
    if i = n then List.rev (List.rev (List.rev group :: groups) :: sections)
    else match String.unsafe_get text i with
      | ' ' -> go (i + 1) group groups sections
      | ';' -> go (i + 1) [] (List.rev group :: groups) sections
      | '|' -> go (i + 1) [] [] (List.rev (List.rev group :: groups) :: sections)
      | '-' -> number (i + 1) 0 true group groups sections
      | '0' .. '9' -> number i 0 false group groups sections
      | c -> raise (Bad (Printf.sprintf "what is '%c'?" c))
  and number i value negative group groups sections =
    if i < n && text.[i] >= '0' && text.[i] <= '9' then
      let value = if value > (max_int - 9) / 10 then max_int else value * 10 + Char.code text.[i] - 48 in
      number (i + 1) value negative group groups sections
    else go i ((if negative then -value else value) :: group) groups sections in
  go 1 [] [] []

let rec members = function
  | [] -> []
  | id :: life :: voter :: rest -> { id; life; voter = voter = 1 } :: members rest
  | _ -> raise (Bad "half a member")
let rec split k l = if k = 0 then [], l else match l with
  | x :: r -> let a, b = split (k - 1) r in x :: a, b | [] -> raise (Bad "it is too short")
let rec runs = function
  | [] -> []
  | 0 :: term :: count :: rest -> let list, rest = split (3 * count) rest in List (term, members list) :: runs rest
  | count :: term :: rest -> Commands (count, term) :: runs rest
  | [ _ ] -> raise (Bad "half a run")
let change = function [] -> None | cut :: rest -> Some (cut, runs rest)
let fields_of = function 0 -> 3 | 1 -> 2 | 2 -> 5 | 3 -> 4 | 4 -> 0 | k -> raise (Bad (Printf.sprintf "message %d" k))
let message = function
  | kind :: from :: dst :: term :: rest ->
    let fields, rest = split (fields_of kind) rest in { kind; from; dst; term; fields }, rest
  | _ -> raise (Bad "a short message")
let input = function
  | 0 :: _ -> Tick
  | 1 :: rest -> let m, entries = message rest in Message (m, runs entries)
  | [ 2; n ] -> Propose n
  | [ 3; n ] -> Read (n, None)
  | [ 3; n; by; term ] -> Read (n, Some (by, term))
  | [ 4; n ] -> Persisted n
  | [ 5; n ] -> Applied n
  | [ 6; n ] -> Compacted n
  | [ 7; n ] -> Unreachable n
  | [ 8; n ] -> Transfer n
  | [ 9; n ] -> Gone n
  | _ -> raise (Bad "an input that is none")
let state = function
  | [ role; term; vote; commit; durable; applied; apply_to; seq; base; base_term; last; last_term ] ->
    { role; term; vote; commit; durable; applied; apply_to; seq; base; base_term; last; last_term }
  | _ -> raise (Bad "a state that is none")
let write = function
  | [] -> None
  | number :: wterm :: wvote :: rest -> Some { number; wterm; wvote; wchange = change rest }
  | _ -> raise (Bad "a short write")
let present groups = List.filter (fun g -> g <> []) groups
let pair = function [ a; b ] -> a, b | _ -> raise (Bad "no pair")
let triple = function [ a; b; c ] -> a, b, c | _ -> raise (Bad "no triple")
let image = function
  | iseq :: iterm :: ivote :: icommit :: log -> { iseq; iterm; ivote; icommit; ilog = runs log }
  | _ -> raise (Bad "a short image")

let parse text =
  if text = "" then Remark "" else
  match text.[0] with
  | '#' -> Remark (String.trim (String.sub text 1 (String.length text - 1)))
  | letter ->
    match letter, sections text with
    | 'I', [ [ [ mode ] ] ] -> World mode
    | 'B', [ [ [ node; life; term; vote; applied; base; base_term ] ]; [ log ]; [ first ] ] ->
      Boot { node; life; term; vote; applied; base; base_term; log = runs log; members = members first }
    | 'O', [ [ [ node ] ] ] -> Old_disk node
    | 'X', [ [ node :: given ]; [ after ]; [ changed ]; in_force; [ written ]; messages; reads; [ failed ] ] ->
      Step (node, { input = input given; after = state after; change = change changed;
        in_force = List.map triple (present in_force); write = write written;
        sent = List.map (fun m -> fst (message m)) (present messages); reads = List.map pair (present reads); failed })
    | 'P', [ [ [ node; on_disk ] ]; [ answer ] ] -> Promised (node, { on_disk; answer = fst (message answer) })
    | ('S' | 'E'), [ [ node :: now ]; [ log ]; [ first ]; [ granted ];
                     [ [ round; campaign_last; campaign_term; answered; matched ] ]; peers; reads; images ] ->
      let whole = { now = state now; log = runs log; granted; round; campaign_last; campaign_term; answered; matched;
        peers = List.map triple (present peers); waiting = List.map triple (present reads);
        images = List.map image (present images) } in
      if letter = 'S' then State (node, members first, whole) else Expect (node, whole)
    | _ -> raise (Bad "not a line of a trace")
