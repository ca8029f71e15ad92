(* Nodes of the model: an id with a life. A life that is not known is that of the first node of its id. *)
let lives : (int, int list) Hashtbl.t = Hashtbl.create 16               (* of an id, in the order in which they came up *)
let numbers : (int * int, int) Hashtbl.t = Hashtbl.create 16            (* id and place among its lives *)
let ids : (int, int) Hashtbl.t = Hashtbl.create 16
let forget () = Hashtbl.reset lives; Hashtbl.reset numbers; Hashtbl.reset ids

let place id life =
  if life = 0 then 0 else
  let known = Option.value (Hashtbl.find_opt lives id) ~default:[] in
  let rec go i = function
    | [] -> Hashtbl.replace lives id (known @ [ life ]); i
    | l :: r -> if l = life then i else go (i + 1) r in
  go 0 known
let number id life =
  let key = id, place id life in
  match Hashtbl.find_opt numbers key with
  | Some n -> n
  | None -> let n = Hashtbl.length numbers in Hashtbl.replace numbers key n; Hashtbl.replace ids n id; n
let id number = Hashtbl.find ids number

let member_of (m : Line.member) = number m.id m.life
let voters (members : Line.members) = List.filter_map (fun (m : Line.member) -> if m.voter then Some (member_of m) else None) members
