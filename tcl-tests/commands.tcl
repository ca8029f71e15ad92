# Every command: exact replies and error texts, in RESP2 and RESP3, through the leader and through
# a follower.
#
# The tables are lists of pairs, command and reply in the printable form of resp::show.  A null is
# written nil (nil* for a null array) and is _ in RESP3.  "A ||| B" gives both protocols; "like P"
# matches a glob pattern.  {#} begins a remark.  Unless a table says -own, its rows have been
# verified on a real redis-server, and are again in each run where one is installed: an expectation
# that Redis does not meet is itself a failure.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set tables {}
set run 0
proc commands {title rows} { lappend ::tables [list 0 $title $rows] }
proc commands-own {title rows} { lappend ::tables [list 1 $title $rows] }

proc expected_reply {reply proto} {
    set both [split [string map [list { ||| } \x01] $reply] \x01]
    set reply [lindex $both [expr {$proto == 3 && [llength $both] > 1}]]
    if {$proto == 3} {
        regsub -all {\mnil\M\*?} $reply _ reply
    }
    return $reply
}

proc run_table {c proto rows} {
    # @ is a number that no other run of a table has.
    set rows [string map [list @ [incr ::run]] $rows]
    foreach {command reply} $rows {
        if {$command eq "#"} continue
        set expected [expected_reply $reply $proto]
        set actual [$c -typed {*}$command]
        if {[string match "like *" $expected]} {
            assert_match [string range $expected 5 end] $actual "\n      to [shorten $command]"
        } else {
            assert_equal $expected $actual "\n      to [shorten $command]"
        }
    }
}

# ---- strings ---------------------------------------------------------------------------------

commands "SET and GET" {
    {FLUSHALL} +OK
    {SET k v} +OK
    {GET k} {"v"}
    {set k w} +OK
    {gEt k} {"w"}
    {GET none} nil
    {SET k {}} +OK
    {GET k} {""}
    {SET {} {empty key}} +OK
    {GET {}} {"empty key"}
    {DBSIZE} :2
}

commands "SET with NX, XX and GET" {
    {FLUSHALL} +OK
    {SET k v XX} nil
    {GET k} nil
    {SET k v NX} +OK
    {SET k w NX} nil
    {GET k} {"v"}
    {SET k w XX} +OK
    {GET k} {"w"}
    {SET k x GET} {"w"}
    {SET none x GET} nil
    {GET none} {"x"}
    {SET k y XX GET} {"x"}
    {SET k z NX GET} {"y"}
    {GET k} {"y"}
    {SET new z NX GET} nil
    {GET new} {"z"}
    {SET k v nx get} {"y"}
    {SET k v NX XX} {-ERR syntax error}
    {SET k v XX NX} {-ERR syntax error}
    {SET k v FOO} {-ERR syntax error}
    {SET k v NX FOO} {-ERR syntax error}
    {SET k} {-ERR wrong number of arguments for 'set' command}
    {SET k v EX} {-ERR syntax error}
    {GET k} {"y"}
}

commands-own "SET with IFEQ and IFNE" {
    {FLUSHALL} +OK
    {SET k new IFEQ old} nil
    {EXISTS k} :0
    {SET k old} +OK
    {SET k new IFEQ other} nil
    {GET k} {"old"}
    {SET k new IFEQ old} +OK
    {GET k} {"new"}
    {SET k newer IFEQ new GET} {"new"}
    {SET k newest IFEQ new GET} {"newer"}
    {GET k} {"newer"}
    {SET k x IFNE newer} nil
    {GET k} {"newer"}
    {SET k x IFNE y} +OK
    {GET k} {"x"}
    {#} {IFNE creates a key that is absent, IFEQ never}
    {SET absent x IFNE y} +OK
    {GET absent} {"x"}
    {SET k z IFEQ} {-ERR syntax error}
    {SET k z IFEQ a IFNE b} {-ERR syntax error}
    {SET k z NX IFEQ a} {-ERR syntax error}
    {SET k z XX IFEQ a} {-ERR syntax error}
    {SET k z IFNE b NX} {-ERR syntax error}
    {GET k} {"x"}
    {SET k z ifeq x} +OK
    {SET k "a\x00b" ifeq z get} {"z"}
    {SET k done IFEQ "a\x00b"} +OK
    {SET k x IFEQ {}} nil
}

commands "SET with a deadline" {
    {FLUSHALL} +OK
    {SET k v EX 100} +OK
    {TTL k} :100
    {SET k w KEEPTTL} +OK
    {TTL k} :100
    {SET k v PX 100000 GET} {"w"}
    {PERSIST k} :1
    {TTL k} :-1
    {SET k v EXAT 1} +OK
    {GET k} nil
    {SET k v EX 0} {-ERR invalid expire time in 'set' command}
    {SET k v EX x} {-ERR value is not an integer or out of range}
    {SET k v EX 10 PX 10} {-ERR syntax error}
    {SET k v EX} {-ERR syntax error}
    {SET k v KEEPTTL EX 10} {-ERR syntax error}
    {GET k} nil
}

commands "SETNX GETSET GETDEL" {
    {FLUSHALL} +OK
    {SETNX k v} :1
    {SETNX k w} :0
    {GET k} {"v"}
    {GETSET k x} {"v"}
    {GETSET none x} nil
    {GET none} {"x"}
    {GETDEL k} {"x"}
    {GETDEL k} nil
    {EXISTS k} :0
    {SETNX k} {-ERR wrong number of arguments for 'setnx' command}
    {GETSET k} {-ERR wrong number of arguments for 'getset' command}
    {GETDEL} {-ERR wrong number of arguments for 'getdel' command}
    {GETDEL k k} {-ERR wrong number of arguments for 'getdel' command}
}

commands "MGET MSET MSETNX" {
    {FLUSHALL} +OK
    {MSET a 1 b 2 c 3} +OK
    {MGET a none b c a} {["1" nil "2" "3" "1"]}
    {MSET a x a y} +OK
    {GET a} {"y"}
    {MSETNX d 4 e 5} :1
    {MSETNX f 6 a 7} :0
    {EXISTS f} :0
    {MSETNX g 1 g 2} :1
    {GET g} {"2"}
    {MSET a 1 b} {-ERR wrong number of arguments for 'mset' command}
    {MSET a} {-ERR wrong number of arguments for 'mset' command}
    {MSETNX a 1 b} {-ERR wrong number of arguments for 'msetnx' command}
    {MGET} {-ERR wrong number of arguments for 'mget' command}
    {DBSIZE} :6
}

commands "APPEND STRLEN GETRANGE SUBSTR SETRANGE" {
    {FLUSHALL} +OK
    {APPEND k Hello} :5
    {APPEND k { World}} :11
    {APPEND k {}} :11
    {STRLEN k} :11
    {STRLEN none} :0
    {GETRANGE k 0 4} {"Hello"}
    {GETRANGE k -5 -1} {"World"}
    {GETRANGE k 0 -1} {"Hello World"}
    {GETRANGE k 0 1000} {"Hello World"}
    {GETRANGE k -1000 4} {"Hello"}
    {GETRANGE k 5 3} {""}
    {GETRANGE k -1 -5} {""}
    {GETRANGE k 100 200} {""}
    {GETRANGE k -100 -90} {"H"}
    {GETRANGE none 0 -1} {""}
    {SUBSTR k 6 -1} {"World"}
    {GETRANGE k a 1} {-ERR value is not an integer or out of range}
    {GETRANGE k 0 9223372036854775808} {-ERR value is not an integer or out of range}
    {GETRANGE k 0} {-ERR wrong number of arguments for 'getrange' command}
    {SUBSTR k 0} {-ERR wrong number of arguments for 'substr' command}
    {SETRANGE k 6 Redis} :11
    {GET k} {"Hello Redis"}
    {SETRANGE k 11 !} :12
    {SETRANGE k 14 x} :15
    {GET k} {"Hello Redis!\x00\x00x"}
    {SETRANGE none 0 {}} :0
    {EXISTS none} :0
    {SETRANGE none 5 {}} :0
    {EXISTS none} :0
    {SETRANGE k 3 {}} :15
    {SETRANGE k 100 {}} :15
    {SETRANGE new 3 abc} :6
    {GET new} {"\x00\x00\x00abc"}
    {SETRANGE k -1 x} {-ERR offset is out of range}
    {SETRANGE k a x} {-ERR value is not an integer or out of range}
    {SETRANGE k 536870912 x} {-ERR string exceeds maximum allowed size (proto-max-bulk-len)}
    {SETRANGE k 9223372036854775807 x} {-ERR string exceeds maximum allowed size (proto-max-bulk-len)}
    {SETRANGE k 0} {-ERR wrong number of arguments for 'setrange' command}
    {APPEND k} {-ERR wrong number of arguments for 'append' command}
    {STRLEN} {-ERR wrong number of arguments for 'strlen' command}
}

commands "INCR INCRBY DECR DECRBY" {
    {FLUSHALL} +OK
    {INCR n} :1
    {INCRBY n 41} :42
    {DECR n} :41
    {DECRBY n 42} :-1
    {INCRBY n -9} :-10
    {DECRBY n -3} :-7
    {GET n} {"-7"}
    {SET n 9223372036854775806} +OK
    {INCR n} :9223372036854775807
    {INCR n} {-ERR increment or decrement would overflow}
    {INCRBY n 1} {-ERR increment or decrement would overflow}
    {GET n} {"9223372036854775807"}
    {SET n -9223372036854775808} +OK
    {DECR n} {-ERR increment or decrement would overflow}
    {DECRBY n 1} {-ERR increment or decrement would overflow}
    {DECRBY n -9223372036854775808} {-ERR decrement would overflow}
    {INCRBY n 9223372036854775807} :-1
    {INCRBY n 9223372036854775808} {-ERR value is not an integer or out of range}
    {INCRBY n x} {-ERR value is not an integer or out of range}
    {INCRBY n 1.5} {-ERR value is not an integer or out of range}
    {INCRBY n {}} {-ERR value is not an integer or out of range}
    {INCRBY n { 1}} {-ERR value is not an integer or out of range}
    {INCRBY n +1} {-ERR value is not an integer or out of range}
    {INCRBY n 01} {-ERR value is not an integer or out of range}
    {INCRBY n -0} {-ERR value is not an integer or out of range}
    {SET n abc} +OK
    {INCR n} {-ERR value is not an integer or out of range}
    {SET n { 1}} +OK
    {INCR n} {-ERR value is not an integer or out of range}
    {SET n {1 }} +OK
    {INCR n} {-ERR value is not an integer or out of range}
    {SET n {}} +OK
    {INCR n} {-ERR value is not an integer or out of range}
    {SET n 010} +OK
    {INCR n} {-ERR value is not an integer or out of range}
    {SET n 9223372036854775808} +OK
    {INCR n} {-ERR value is not an integer or out of range}
    {INCR} {-ERR wrong number of arguments for 'incr' command}
    {INCR n 1} {-ERR wrong number of arguments for 'incr' command}
    {INCRBY n} {-ERR wrong number of arguments for 'incrby' command}
    {DECRBY n} {-ERR wrong number of arguments for 'decrby' command}
}

commands "INCRBYFLOAT" {
    {FLUSHALL} +OK
    {INCRBYFLOAT f 1} {"1"}
    {INCRBYFLOAT f 0.1} {"1.1"}
    {INCRBYFLOAT f -1.1} {"0"}
    {INCRBYFLOAT f 10.50} {"10.5"}
    {INCRBYFLOAT f 5.0e3} {"5010.5"}
    {INCRBYFLOAT f 1e-3} {"5010.50099999999999989"}
    {SET f 3} +OK
    {INCRBYFLOAT f 0.000000000000001} {"3.000000000000001"}
    {SET f 1e2} +OK
    {INCRBYFLOAT f 1} {"101"}
    {SET f 17179869184} +OK
    {INCRBYFLOAT f 1.5} {"17179869185.5"}
    {INCRBYFLOAT f abc} {-ERR value is not a valid float}
    {INCRBYFLOAT f {}} {-ERR value is not a valid float}
    {INCRBYFLOAT f {1 }} {-ERR value is not a valid float}
    {INCRBYFLOAT f nan} {-ERR value is not a valid float}
    {INCRBYFLOAT f inf} {-ERR increment would produce NaN or Infinity}
    {SET f { 1}} +OK
    {INCRBYFLOAT f 1} {-ERR value is not a valid float}
    {SET f x} +OK
    {INCRBYFLOAT f 1} {-ERR value is not a valid float}
    {INCRBYFLOAT f} {-ERR wrong number of arguments for 'incrbyfloat' command}
}

# ---- keys ------------------------------------------------------------------------------------

commands "DEL UNLINK EXISTS TOUCH TYPE" {
    {FLUSHALL} +OK
    {MSET a 1 b 2 c 3 d 4} +OK
    {EXISTS a} :1
    {EXISTS a b none a} :3
    {TOUCH a none b} :2
    {TYPE a} +string
    {TYPE none} +none
    {DEL a none a} :1
    {UNLINK b c none} :2
    {EXISTS a b c d} :1
    {DEL} {-ERR wrong number of arguments for 'del' command}
    {UNLINK} {-ERR wrong number of arguments for 'unlink' command}
    {EXISTS} {-ERR wrong number of arguments for 'exists' command}
    {TOUCH} {-ERR wrong number of arguments for 'touch' command}
    {TYPE} {-ERR wrong number of arguments for 'type' command}
    {TYPE a b} {-ERR wrong number of arguments for 'type' command}
}

commands "RENAME RENAMENX" {
    {FLUSHALL} +OK
    {SET a 1} +OK
    {RENAME a b} +OK
    {EXISTS a} :0
    {GET b} {"1"}
    {SET a 2} +OK
    {RENAME a b} +OK
    {GET b} {"2"}
    {RENAME b b} +OK
    {GET b} {"2"}
    {RENAME none x} {-ERR no such key}
    {RENAME none none} {-ERR no such key}
    {SET a 3} +OK
    {RENAMENX a b} :0
    {GET a} {"3"}
    {RENAMENX a c} :1
    {GET c} {"3"}
    {RENAMENX c c} :0
    {RENAMENX none x} {-ERR no such key}
    {RENAMENX none none} {-ERR no such key}
    {DBSIZE} :2
    {RENAME a} {-ERR wrong number of arguments for 'rename' command}
    {RENAMENX a} {-ERR wrong number of arguments for 'renamenx' command}
}

commands "KEYS RANDOMKEY DBSIZE FLUSHDB FLUSHALL" {
    {FLUSHALL} +OK
    {DBSIZE} :0
    {RANDOMKEY} nil
    {KEYS *} {[]}
    {SET only v} +OK
    {RANDOMKEY} {"only"}
    {KEYS *} {["only"]}
    {KEYS o*} {["only"]}
    {KEYS ?nly} {["only"]}
    {KEYS [a-p]nly} {["only"]}
    {KEYS [^o]nly} {[]}
    {KEYS [no]nly} {["only"]}
    {KEYS o\\nly} {["only"]}
    {KEYS ONLY} {[]}
    {KEYS x} {[]}
    {SET {a*b} 1} +OK
    {KEYS a\\*b} {["a*b"]}
    {KEYS {a\\?b}} {[]}
    {KEYS {a[}} {[]}
    {KEYS a*} {["a*b"]}
    {DBSIZE} :2
    {FLUSHDB} +OK
    {DBSIZE} :0
    {SET k v} +OK
    {FLUSHDB ASYNC} +OK
    {SET k v} +OK
    {FLUSHDB SYNC} +OK
    {SET k v} +OK
    {FLUSHALL ASYNC} +OK
    {FLUSHALL sync} +OK
    {DBSIZE} :0
    {FLUSHALL now} {-ERR syntax error}
    {FLUSHDB now} {-ERR syntax error}
    {FLUSHALL ASYNC SYNC} {-ERR syntax error}
    {KEYS} {-ERR wrong number of arguments for 'keys' command}
    {RANDOMKEY k} {-ERR wrong number of arguments for 'randomkey' command}
    {DBSIZE x} {-ERR wrong number of arguments for 'dbsize' command}
}

commands "SCAN" {
    {FLUSHALL} +OK
    {SCAN 0} {["0" []]}
    {SET only v} +OK
    {SCAN 0} {["0" ["only"]]}
    {SCAN 0 MATCH o*} {["0" ["only"]]}
    {SCAN 0 MATCH x*} {["0" []]}
    {SCAN 0 COUNT 100} {["0" ["only"]]}
    {SCAN 0 TYPE string} {["0" ["only"]]}
    {SCAN 0 TYPE STRING} {["0" ["only"]]}
    {SCAN 0 TYPE hash} {["0" []]}
    {SCAN 0 match only count 10 type string} {["0" ["only"]]}
    {SCAN 0 TYPE nonsense} {["0" []]}
    {SCAN x} {-ERR invalid cursor}
    {SCAN {}} {["0" ["only"]]}
    {SCAN -1} {like \["*" \[*\]\]}
    {SCAN 99999999999999999999} {-ERR invalid cursor}
    {SCAN 0 COUNT 0} {-ERR syntax error}
    {SCAN 0 COUNT -5} {-ERR syntax error}
    {SCAN 0 COUNT x} {-ERR value is not an integer or out of range}
    {SCAN 0 MATCH} {-ERR syntax error}
    {SCAN 0 FOO bar} {-ERR syntax error}
    {SCAN} {-ERR wrong number of arguments for 'scan' command}
}

# ---- compare-and-set -------------------------------------------------------------------------

commands-own "CAS and CAD" {
    {FLUSHALL} +OK
    {CAS k old new} :-1
    {CAD k old} :-1
    {EXISTS k} :0
    {SET k old} +OK
    {CAS k other new} :0
    {GET k} {"old"}
    {CAS k old new} :1
    {GET k} {"new"}
    {CAD k old} :0
    {GET k} {"new"}
    {CAD k new} :1
    {EXISTS k} :0
    {SET k "a\r\n\x00"} +OK
    {CAS k "a\r\n\x00" "\xff"} :1
    {GET k} {"\xff"}
    {CAS k "\xff" {}} :1
    {CAS k {} x} :1
    {CAD k {}} :0
    {CAS k old} {-ERR wrong number of arguments for 'cas' command}
    {CAD k} {-ERR wrong number of arguments for 'cad' command}
    {CAD k x y} {like -ERR *}
}

commands-own "DELEX and DELIFEQ" {
    {FLUSHALL} +OK
    {DELEX k} :0
    {SET k v} +OK
    {DELEX k} :1
    {SET k v} +OK
    {DELEX k IFEQ x} :0
    {DELEX k IFEQ v} :1
    {DELEX k IFEQ v} :0
    {SET k v} +OK
    {DELEX k IFNE v} :0
    {DELEX k IFNE x} :1
    {DELEX k IFNE x} :0
    {SET k v} +OK
    {DELIFEQ k x} :0
    {GET k} {"v"}
    {DELIFEQ k v} :1
    {DELIFEQ k v} :0
    {SET k v} +OK
    {DELEX k IFEQ} {like -ERR *}
    {DELEX k FOO v} {-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE}
    {DELIFEQ k} {-ERR wrong number of arguments for 'delifeq' command}
    {GET k} {"v"}
}

commands-own "ONCE" {
    {FLUSHALL} +OK
    {#} {the same id again: the first reply, and nothing is done}
    {ONCE table-a-@ 1 INCR n} :1
    {ONCE table-a-@ 1 INCR n} :1
    {ONCE table-a-@ 1 INCR n} :1
    {GET n} {"1"}
    {ONCE table-a-@ 2 INCR n} :2
    {ONCE table-a-@ 2 INCR n} :2
    {#} {an id that is past: an error, and nothing is done}
    {ONCE table-a-@ 1 INCR n} {like -[A-Z]* *}
    {GET n} {"2"}
    {#} {another client has ids of its own}
    {ONCE table-b-@ 1 INCR n} :3
    {ONCE table-b-@ 1 GET n} :3
    {#} {an error is a reply, too}
    {SET text abc} +OK
    {ONCE table-b-@ 2 INCR text} {-ERR value is not an integer or out of range}
    {SET text 5} +OK
    {ONCE table-b-@ 2 INCR text} {-ERR value is not an integer or out of range}
    {ONCE table-b-@ 3 INCR text} :6
    {#} {replies of every shape come back whole, in the asker's protocol}
    {ONCE table-c-@ 1 SET s v} +OK
    {ONCE table-c-@ 1 SET s v} +OK
    {ONCE table-c-@ 2 SET s w GET} {"v"}
    {ONCE table-c-@ 2 SET s w GET} {"v"}
    {ONCE table-c-@ 3 GETDEL none} nil
    {ONCE table-c-@ 3 GETDEL none} nil
    {ONCE table-c-@ 4 SETRANGE s 0 x} :1
    {#} {gaps are allowed}
    {ONCE table-c-@ 400 INCR n} :4
    {ONCE table-c-@ x INCR n} {like -ERR *}
    {ONCE table-c-@ -1 INCR n} {like -ERR *}
    {ONCE table-c-@ 500} {like -ERR *}
    {ONCE table-c-@ 500 NOSUCH n} {like -ERR *}
    {ONCE table-c-@ 500 INCR} {like -ERR wrong number of arguments*}
    {ONCE table-c-@ 500 INCR n} :5
    {GET n} {"5"}
}

# ---- connection ------------------------------------------------------------------------------

commands "PING ECHO SELECT" {
    {PING} +PONG
    {PING hello} {"hello"}
    {PING {}} {""}
    {PING a b} {-ERR wrong number of arguments for 'ping' command}
    {ECHO hello} {"hello"}
    {ECHO "\x00\r\n\xff"} {"\x00\r\n\xff"}
    {ECHO} {-ERR wrong number of arguments for 'echo' command}
    {ECHO a b} {-ERR wrong number of arguments for 'echo' command}
    {SELECT 0} +OK
    {SELECT x} {-ERR value is not an integer or out of range}
    {SELECT} {-ERR wrong number of arguments for 'select' command}
    {SELECT -1} {-ERR DB index is out of range}
    {SELECT 16} {-ERR DB index is out of range}
}

commands "databases" {
    {FLUSHALL} +OK
    {SET k zero} +OK
    {SELECT 3} +OK
    {GET k} nil
    {SET k three} +OK
    {DBSIZE} :1
    {SWAPDB 0 3} +OK
    {GET k} {"zero"}
    {SWAPDB 0 16} {-ERR DB index is out of range}
    {SWAPDB x 0} {-ERR invalid first DB index}
    {SWAPDB 0 x} {-ERR invalid second DB index}
    {MOVE k 0} :0
    {MOVE k 3} {-ERR source and destination objects are the same}
    {MOVE k 16} {-ERR DB index is out of range}
    {MOVE k x} {-ERR value is not an integer or out of range}
    {MOVE k 15} :1
    {DBSIZE} :0
    {SELECT 15} +OK
    {GET k} {"zero"}
    {FLUSHDB} +OK
    {DBSIZE} :0
    {SELECT 0} +OK
    {GET k} {"three"}
    {FLUSHALL} +OK
}

commands "unknown commands and wrong arity" {
    {FOO} "-ERR unknown command 'FOO', with args beginning with: "
    {foo bar} "-ERR unknown command 'foo', with args beginning with: 'bar' "
    {foo bar {b az}} "-ERR unknown command 'foo', with args beginning with: 'bar' 'b az' "
    {FOO "a\r\nb"} "-ERR unknown command 'FOO', with args beginning with: 'a  b' "
    {{}} "-ERR unknown command '', with args beginning with: "
    {GET} {-ERR wrong number of arguments for 'get' command}
    {GET a b} {-ERR wrong number of arguments for 'get' command}
    {get} {-ERR wrong number of arguments for 'get' command}
    {TIME x} {-ERR wrong number of arguments for 'time' command}
    {CLIENT} {-ERR wrong number of arguments for 'client' command}
    {CONFIG} {-ERR wrong number of arguments for 'config' command}
    {CLIENT FOO} {-ERR unknown subcommand 'FOO'. Try CLIENT HELP.}
    {CONFIG FOO} {-ERR unknown subcommand 'FOO'. Try CONFIG HELP.}
    {COMMAND FOO} {-ERR unknown subcommand 'FOO'. Try COMMAND HELP.}
    {CLIENT ID x} {-ERR wrong number of arguments for 'client|id' command}
    {CLIENT GETNAME x} {-ERR wrong number of arguments for 'client|getname' command}
    {CLIENT SETNAME} {-ERR wrong number of arguments for 'client|setname' command}
    {CONFIG GET} {-ERR wrong number of arguments for 'config|get' command}
    {CONFIG SET a} {-ERR wrong number of arguments for 'config|set' command}
    {CONFIG RESETSTAT x} {-ERR wrong number of arguments for 'config|resetstat' command}
    {COMMAND COUNT x} {-ERR wrong number of arguments for 'command|count' command}
    {ROLE x} {-ERR wrong number of arguments for 'role' command}
    {RESET x} {-ERR wrong number of arguments for 'reset' command}
}

commands "HELLO" {
    {HELLO 4} {-NOPROTO unsupported protocol version}
    {HELLO 1} {-NOPROTO unsupported protocol version}
    {HELLO x} {-ERR Protocol version is not an integer or out of range}
    {HELLO 3 FOO} {-ERR Syntax error in HELLO option 'FOO'}
    {HELLO 3 SETNAME} {-ERR Syntax error in HELLO option 'SETNAME'}
    {HELLO 3 AUTH default} {-ERR Syntax error in HELLO option 'AUTH'}
    {HELLO 3 SETNAME {a b}} {-ERR Client names cannot contain spaces, newlines or special characters.}
    {PING} +PONG
}

commands "AUTH without a password" {
    {AUTH x} {-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?}
    {AUTH default anything} +OK
    {AUTH nobody x} {-WRONGPASS invalid username-password pair or user is disabled.}
    {AUTH} {-ERR wrong number of arguments for 'auth' command}
    {AUTH a b c} {-ERR syntax error}
}

commands "CLIENT names and flags" {
    {CLIENT GETNAME} nil
    {CLIENT SETNAME tables} +OK
    {CLIENT GETNAME} {"tables"}
    {CLIENT SETNAME {with space}} {-ERR Client names cannot contain spaces, newlines or special characters.}
    {CLIENT SETNAME "a\nb"} {-ERR Client names cannot contain spaces, newlines or special characters.}
    {CLIENT GETNAME} {"tables"}
    {CLIENT SETNAME {}} +OK
    {CLIENT GETNAME} nil
    {CLIENT NO-EVICT on} +OK
    {CLIENT NO-EVICT OFF} +OK
    {CLIENT NO-EVICT x} {-ERR syntax error}
    {CLIENT REPLY} {-ERR wrong number of arguments for 'client|reply' command}
    {CLIENT REPLY on} +OK
    {CLIENT REPLY x} {-ERR syntax error}
    {CLIENT KILL 1.2.3.4:5} {-ERR No such client}
    {CLIENT KILL ID 123456789} :0
    {CLIENT KILL ADDR 1.2.3.4:5} :0
    {CLIENT KILL ID x} {-ERR client-id should be greater than 0}
    {CLIENT KILL ID 0} {-ERR client-id should be greater than 0}
    {CLIENT KILL FOO x} {-ERR syntax error}
    {CLIENT LIST FOO} {-ERR syntax error}
    {CLIENT LIST TYPE nonsense} {-ERR Unknown client type 'nonsense'}
    {CLIENT LIST ID 0} {"" ||| =txt:}
}

commands-own "CLIENT since 7.2" {
    {CLIENT NO-TOUCH on} +OK
    {CLIENT NO-TOUCH off} +OK
    {CLIENT NO-TOUCH x} {-ERR syntax error}
    {CLIENT SETINFO LIB-NAME redis-py} +OK
    {CLIENT SETINFO lib-ver 1.2.3} +OK
    {CLIENT INFO} {like *lib-name=redis-py*lib-ver=1.2.3*}
    {CLIENT SETINFO LIB-NAME {}} +OK
    {CLIENT SETINFO LIB-NAME {a b}} {-ERR LIB-NAME cannot contain spaces, newlines or special characters.}
    {CLIENT SETINFO FOO x} {-ERR Unrecognized option 'FOO'}
    {CLIENT SETINFO LIB-NAME} {-ERR wrong number of arguments for 'client|setinfo' command}
}

commands "COMMAND" {
    {COMMAND INFO nosuch} {[nil]}
    {COMMAND GETKEYS SET k v} {["k"]}
    {COMMAND GETKEYS MSET a 1 b 2} {["a" "b"]}
    {COMMAND GETKEYS MGET a b c} {["a" "b" "c"]}
    {COMMAND GETKEYS RENAME a b} {["a" "b"]}
    {COMMAND GETKEYS SET k} {-ERR Invalid number of arguments specified for command}
    {COMMAND GETKEYS PING x} {-ERR The command has no key arguments}
    {COMMAND GETKEYS NOSUCH a} {-ERR Invalid command specified}
    {COMMAND LIST FILTERBY PATTERN mge?} {["mget"]}
    {COMMAND DOCS nosuch} {[] ||| %[]}
}

commands "CONFIG" {
    {CONFIG GET nosuch} {[] ||| %[]}
    {CONFIG SET nosuch 1} {-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'}
    {CONFIG SET timeout 100} +OK
    {CONFIG GET timeout} {["timeout" "100"] ||| %["timeout" "100"]}
    {CONFIG GET TIMEOU?} {["timeout" "100"] ||| %["timeout" "100"]}
    {CONFIG SET timeout 0} +OK
    {CONFIG SET timeout x} {like -ERR CONFIG SET failed (possibly related to argument 'timeout') - *}
    {CONFIG SET timeout -1} {like -ERR CONFIG SET failed (possibly related to argument 'timeout') - *}
    {CONFIG GET timeout} {["timeout" "0"] ||| %["timeout" "0"]}
    {CONFIG GET maxmemory-policy} {["maxmemory-policy" "noeviction"] ||| %["maxmemory-policy" "noeviction"]}
    {CONFIG GET maxmemory} {["maxmemory" "0"] ||| %["maxmemory" "0"]}
    {CONFIG GET notify-keyspace-events} {["notify-keyspace-events" ""] ||| %["notify-keyspace-events" ""]}
    {CONFIG RESETSTAT} +OK
}

commands-own "CONFIG of the databases" {
    {CONFIG SET port 1} {like -ERR*}
    {CONFIG GET databases} {["databases" "16"] ||| %["databases" "16"]}
}

# ---- running the tables ----------------------------------------------------------------------

# Each table starts on a connection of its own.
proc run_tables {connect who protos own} {
    foreach proto $protos {
        foreach table $::tables {
            lassign $table is_own title rows
            if {$is_own && !$own} continue
            test "$title ($who, RESP$proto)" {
                set c [{*}$connect]
                try {
                    if {$proto == 3} { $c HELLO 3 }
                    run_table $c $proto $rows
                } finally { $c -close }
            }
        }
    }
}

# ---- beyond tables ---------------------------------------------------------------------------

# `open` gives a new connection; `real` says that the server is Redis itself.
proc protocol_tests {open who real} {
    test "HELLO answers a map and switches the protocol ($who)" {
        set c [{*}$open]
        set two [$c HELLO]
        assert_equal {server version proto id mode role modules} [lmap {k v} $two { set k }]
        assert_equal redis [dict get $two server]
        assert_equal 2 [dict get $two proto]
        assert_match {\[*} [$c -typed HELLO 2]
        assert_match {%\["server" "redis" "version" "7.*" "proto" :3 "id" :* "mode" "*" "role" "*" "modules" \[\]\]} \
            [$c -typed HELLO 3]
        assert_equal _ [$c -typed GET {no such key}]
        assert_match {%*} [$c -typed HELLO 3 SETNAME newname]
        assert_equal newname [$c CLIENT GETNAME]
        assert_match {\[*} [$c -typed HELLO 2]
        assert_equal nil [$c -typed GET {no such key}]
        $c -close
    }

    test "RESET goes back to the beginning ($who)" {
        set c [{*}$open]
        $c HELLO 3 SETNAME me
        set id [$c CLIENT ID]
        $c CLIENT REPLY ON
        assert_equal +RESET [$c -typed RESET]
        assert_equal nil [$c -typed CLIENT GETNAME]
        assert_equal $id [$c CLIENT ID]
        $c -close
    }

    test "QUIT answers and closes; what was sent after it is not done ($who)" {
        set c [{*}$open]
        $c DEL quitted
        $c -write "QUIT\r\nSET quitted 1\r\n"
        assert_equal +OK [$c -readtyped]
        assert {[$c -closed 3000]}
        $c -close
        set c [{*}$open]
        assert_equal 0 [$c EXISTS quitted]
        $c -close
    }

    test "CLIENT REPLY OFF and SKIP ($who)" {
        set c [{*}$open]
        $c -pipeline {{CLIENT REPLY OFF} {PING off} {SET reply 1} {ECHO off} {CLIENT REPLY ON} {PING on}}
        assert_equal +OK [$c -readtyped]
        assert_equal {"on"} [$c -readtyped]
        assert_equal 1 [$c GET reply]
        $c -pipeline {{CLIENT REPLY SKIP} {SET reply 2} {PING shown} {CLIENT REPLY SKIP} {GET reply} {GET reply}}
        assert_equal {"shown"} [$c -readtyped]
        assert_equal {"2"} [$c -readtyped]
        assert {[$c -quiet 100]}
        $c -close
    }

    test "CLIENT ID, INFO, LIST and KILL ($who)" {
        set a [{*}$open]
        set b [{*}$open]
        $a CLIENT SETNAME alice
        $b CLIENT SETNAME bob
        set id [$b CLIENT ID]
        assert {$id > [$a CLIENT ID]} "ids grow"
        set info [$b CLIENT INFO]
        foreach field {id= addr= laddr= fd= name=bob age= idle= flags=N db=0 sub=0 psub=0 multi=-1
            qbuf= cmd=client|info user=default resp=2} {
            assert_match "*$field*" $info
        }
        set list [$a CLIENT LIST]
        assert_match "*name=alice*" $list
        assert_match "*name=bob*" $list
        assert_match "id=$id *name=bob*" [$a CLIENT LIST ID $id]
        assert {[llength [split [string trim $list] \n]] >= 2}
        $a HELLO 3
        assert_match "=txt:id=*" [$a -typed CLIENT LIST]
        assert_match "=txt:id=*" [$a -typed CLIENT INFO]
        $a HELLO 2
        assert_equal :1 [$a -typed CLIENT KILL ID $id]
        assert {[$b -closed 3000]} "bob's connection is closed"
        assert {![string match *name=bob* [$a CLIENT LIST]]}
        $b -close
        # By address, in the old form; then oneself: the reply still comes.
        set b [{*}$open]
        regexp { addr=(\S+) } [$b CLIENT INFO] -> address
        assert_equal +OK [$a -typed CLIENT KILL $address]
        assert {[$b -closed 3000]}
        $b -close
        assert_equal :1 [$a -typed CLIENT KILL ID [$a CLIENT ID] SKIPME no]
        assert {[$a -closed 3000]}
        $a -close
    }

    test "pipelined replies keep their order ($who)" {
        set c [{*}$open]
        $c DEL order n
        set commands {}
        set expected {}
        for {set i 0} {$i < 500} {incr i} {
            lappend commands [list INCR n] [list PING p$i] [list SET order v$i] [list GET order] \
                [list NOSUCH $i] [list ECHO e$i]
            lappend expected :[expr {$i + 1}] "\"p$i\"" +OK "\"v$i\"" \
                "-ERR unknown command 'NOSUCH', with args beginning with: '$i' " "\"e$i\""
        }
        $c -pipeline $commands
        set at 0
        foreach reply $expected {
            assert_equal $reply [$c -readtyped] " at reply $at"
            incr at
        }
        assert {[$c -quiet 100]}
        $c -close
    }

    test "commands arrive in any pieces ($who)" {
        set c [{*}$open]
        set bytes [resp::encode {SET pieces "x\r\ny"}]PING\r\n[resp::encode {GET pieces}]
        foreach size {1 2 3 7} {
            for {set at 0} {$at < [string length $bytes]} {incr at $size} {
                $c -write [string range $bytes $at [expr {$at + $size - 1}]]
                if {$size < 3} { after 1 }
            }
            assert_equal +OK [$c -readtyped]
            assert_equal +PONG [$c -readtyped]
            assert_equal "\"x\\r\\ny\"" [$c -readtyped]
        }
        $c -close
    }

    test "keys and values are bytes ($who)" {
        set c [{*}$open]
        set all {}
        for {set i 0} {$i < 256} {incr i} { append all [format %c $i] }
        foreach size {1 100 5000 70000} {
            set key "k\0\r\n[random_bytes 20]"
            set value [random_bytes $size]$all
            assert_equal +OK [$c -typed SET $key $value]
            assert {[$c GET $key] eq $value} "$size random bytes come back"
            assert_equal [string length $value] [$c STRLEN $key]
            assert_equal 1 [$c DEL $key]
        }
        $c SET $all $all
        assert {[$c GET $all] eq $all}
        assert {[lindex [$c SCAN 0 COUNT 100000 MATCH "\\x00*"] 0] == 0}
        $c DEL $all
        $c -close
    }

    test "inline commands, with Redis's quoting ($who)" {
        set c [{*}$open]
        foreach {line reply} {
            "PING\r\n" +PONG
            "PING\n" +PONG
            "ping   spaced  \r\n" {"spaced"}
            "SET inline \"a b\\n\\x41\\\"\"\r\n" +OK
            "GET inline\r\n" {"a b\nA\""}
            "SET inline 'it\\'s \\n'\r\n" +OK
            "GET inline\r\n" {"it's \\n"}
            "SET inline \"\"\r\n" +OK
            "GET inline\n" {""}
            "\r\nPING after-empty\r\n" {"after-empty"}
            "   \r\nPING after-blank\r\n" {"after-blank"}
            "*0\r\nPING after-none\r\n" {"after-none"}
            "*-1\r\nPING after-null\r\n" {"after-null"}
        } {
            $c -write $line
            assert_equal $reply [$c -readtyped] " to [resp::quote $line]"
        }
        $c -close
        foreach {line reply} {
            "GET \"unbalanced\r\n" "-ERR Protocol error: unbalanced quotes in request"
            "GET \"a\"b\r\n" "-ERR Protocol error: unbalanced quotes in request"
        } {
            set c [{*}$open]
            $c -write $line
            assert_equal $reply [$c -readtyped]
            assert {[$c -closed 3000]}
            $c -close
        }
    }

    test "what breaks the protocol is told and closes the connection ($who)" {
        foreach {bytes reply} [list \
            "*x\r\n" "-ERR Protocol error: invalid multibulk length" \
            "*2147483648\r\n" "-ERR Protocol error: invalid multibulk length" \
            "*99999999999999999999\r\n" "-ERR Protocol error: invalid multibulk length" \
            "*1\r\nPING\r\n" "-ERR Protocol error: expected '\$', got 'P'" \
            "*1\r\n\$x\r\n" "-ERR Protocol error: invalid bulk length" \
            "*1\r\n\$-1\r\n" "-ERR Protocol error: invalid bulk length" \
            "*1\r\n\$99999999999\r\n" "-ERR Protocol error: invalid bulk length" \
            "[string repeat x 70000]" "-ERR Protocol error: too big inline request" \
            "*[string repeat 1 70000]" "-ERR Protocol error: too big mbulk count string" \
            "*1\r\n\$[string repeat 1 70000]" "-ERR Protocol error: too big bulk count string" \
        ] {
            set c [{*}$open]
            $c -write $bytes
            assert_equal $reply [$c -readtyped] " to [resp::quote [string range $bytes 0 30]]"
            assert {[$c -closed 3000]} "closed after [resp::quote [string range $bytes 0 30]]"
            $c -close
        }
        # What came before is answered first.
        set c [{*}$open]
        $c -write "PING\r\n*1\r\n\$x\r\n"
        assert_equal +PONG [$c -readtyped]
        assert_equal "-ERR Protocol error: invalid bulk length" [$c -readtyped]
        $c -close
    }

    test "SCAN gives every key that stays, while others come and go ($who)" {
        set c [{*}$open]
        $c FLUSHALL
        set stay {}
        set commands {}
        for {set i 0} {$i < 3000} {incr i} {
            lappend stay stay:$i
            lappend commands [list SET stay:$i $i]
        }
        $c -pipeline $commands
        foreach command $commands { $c -read }
        foreach count {1 10 77 1000} {
            set seen {}
            set cursor 0
            set steps 0
            while {1} {
                lassign [$c SCAN $cursor COUNT $count MATCH stay:*] cursor keys
                foreach key $keys { dict set seen $key 1 }
                if {$cursor == 0} break
                incr steps
                if {$steps % 10 == 0 || $count > 10} {
                    $c MSET come:$steps 1 come:x$steps 1
                    $c DEL come:[expr {$steps - 20}]
                }
                assert {$steps < 20000} "the scan ends"
                # COUNT 1 over everything is 3000 turns: a part will do.
                if {$count == 1 && $steps > 300} break
            }
            if {$count > 1} {
                foreach key $stay { assert {[dict exists $seen $key]} "$key was seen, COUNT $count" }
                assert_equal 3000 [dict size $seen]
            }
        }
        assert_equal 3000 [llength [$c KEYS stay:*]]
        assert_equal [lsort $stay] [lsort [$c KEYS stay:*]]
        for {set i 0} {$i < 20} {incr i} { assert {[$c EXISTS [$c RANDOMKEY]] == 1} }
        $c FLUSHALL
        $c -close
    }

    test "TIME is the time ($who)" {
        set c [{*}$open]
        lassign [$c TIME] seconds micros
        assert {abs($seconds - [clock seconds]) <= 2}
        assert {$micros >= 0 && $micros < 1000000}
        assert_match {\["*" "*"\]} [$c -typed TIME]
        $c -close
    }

    test "COMMAND describes what there is ($who)" {
        set c [{*}$open]
        set count [$c COMMAND COUNT]
        assert_equal $count [llength [$c COMMAND]]
        assert_equal $count [llength [$c COMMAND INFO]]
        set names [lmap row [$c COMMAND] { lindex $row 0 }]
        foreach name {get set mget del client command config info scan incrbyfloat hello auth reset} {
            assert {$name in $names} "COMMAND lists $name"
        }
        foreach {name arity flag first last step} {
            get 2 readonly 1 1 1
            set -3 write 1 1 1
            mset -3 write 1 -1 2
            mget -2 readonly 1 -1 1
            del -2 write 1 -1 1
            rename 3 write 1 2 1
            ping -1 fast 0 0 0
            append 3 write 1 1 1
            getrange 4 readonly 1 1 1
        } {
            set row [lindex [$c COMMAND INFO $name] 0]
            assert_equal 10 [llength $row] " elements in the row of $name"
            assert_equal [list $name $arity] [lrange $row 0 1]
            assert {$flag in [lindex $row 2]} "$name has the flag $flag"
            assert_equal [list $first $last $step] [lrange $row 3 5] " keys of $name"
        }
        assert_equal 3 [llength [$c COMMAND INFO get nosuch set]]
        set list [$c COMMAND LIST]
        assert {"get" in $list && "command" in $list}
        set docs [$c COMMAND DOCS get]
        assert_equal get [lindex $docs 0]
        assert {[dict exists [lindex $docs 1] summary]}
        assert {[dict exists [lindex $docs 1] group]}
        $c HELLO 3
        assert_match {%\["get" %\[*} [$c -typed COMMAND DOCS get]
        assert_match {\[\["get" :2 ~\[*} [$c -typed COMMAND INFO get]
        $c -close
    }

    test "INFO has what clients read ($who)" {
        set c [{*}$open]
        set info [string map {\r {}} [$c INFO]]
        foreach field {redis_version:7. redis_mode: process_id: run_id: tcp_port: uptime_in_seconds:
            connected_clients: maxclients: blocked_clients: used_memory: maxmemory_policy:noeviction
            loading:0 total_connections_received: total_commands_processed: role:
            used_cpu_sys: used_cpu_user: connected_slaves: cluster_enabled: } {
            if {$field eq "cluster_enabled:" && $real} continue
            assert {[string first \n$field $info] >= 0} "INFO has $field"
        }
        foreach section {Server Clients Memory Persistence Stats Replication CPU} {
            assert {[string first "# $section\n" $info] >= 0} "INFO has the section $section"
            assert_match "# $section\n*" [string map {\r {}} [$c INFO $section]]
        }
        assert {[string first "\n# Memory\n" [string map {\r {}} [$c INFO server]]] < 0}
        assert_match "*# Server*# Clients*" [$c INFO clients server]
        assert_equal {""} [$c -typed INFO nosuchsection]
        foreach all {all everything default} { assert_match "*# Server*# CPU*" [$c INFO $all] }
        $c FLUSHALL
        wait_for_condition 100 10 { ![string match *db0:* [$c INFO keyspace]] } else {
            fail [$c INFO keyspace]
        }
        $c MSET a 1 b 2
        # On a follower this is what it has applied by now.  Deadlines are looked at once a second.
        wait_for_condition 100 10 { [string match "*db0:keys=2,expires=0*" [$c INFO keyspace]] } else {
            fail [$c INFO keyspace]
        }
        $c EXPIRE a 1000
        wait_for_condition 100 50 { [regexp {db0:keys=2,expires=1,avg_ttl=(1000000|9[5-9]\d{4})\M} [$c INFO keyspace]] } else {
            fail [$c INFO keyspace]
        }
        # Of more than a thousand keys, some are looked at.
        set words MSET
        for {set i 0} {$i < 5000} {incr i} { lappend words key:$i x }
        $c {*}$words
        for {set i 0} {$i < 5000} {incr i 2} { lappend pipeline [list PEXPIRE key:$i 10000000] }
        $c -pipeline $pipeline
        foreach _ $pipeline { $c -read }
        set estimate 0
        wait_for_condition 100 50 {
            [regexp {db0:keys=5002,expires=(\d+),} [$c INFO keyspace] -> estimate] && $estimate > 1900 && $estimate < 3100
        } else { fail [$c INFO keyspace] }
        $c HELLO 3
        assert_match "=txt:# Server*" [$c -typed INFO server]
        $c -close
    }

    test "CONFIG GET with patterns ($who)" {
        set c [{*}$open]
        foreach name {save appendonly databases timeout maxmemory maxmemory-policy replica-read-only
            notify-keyspace-events proto-max-bulk-len maxclients tcp-keepalive} {
            set pair [$c CONFIG GET $name]
            assert_equal 2 [llength $pair] " for CONFIG GET $name"
            assert_equal $name [lindex $pair 0]
        }
        set all [$c CONFIG GET *]
        assert {[dict exists $all maxclients]}
        assert {[llength $all] > 30}
        assert_equal {maxmemory maxmemory-policy} \
            [lsort [lmap {k v} [$c CONFIG GET maxmemory maxmemory-p*] { set k }]]
        $c CONFIG RESETSTAT
        $c PING
        assert_match {*total_commands_processed:[0-9]*} [$c INFO stats]
        $c -close
    }

    test "ROLE ($who)" {
        set c [{*}$open]
        if {$real} {
            assert_match {\["master" :* \[*\]\]} [$c -typed ROLE]
        } else {
            set role [$c ROLE]
            assert {[lindex $role 0] in {master slave}}
            assert_match "*role:[lindex $role 0]*" [$c INFO replication]
            if {[lindex $role 0] eq "slave"} {
                assert_match {\["slave" "127.0.0.1" :* "connected" :*\]} [$c -typed ROLE]
                assert_match "*master_host:127.0.0.1*master_port:[lindex $role 2]*" \
                    [$c INFO replication]
            }
        }
        $c -close
    }
}

# ---- Redis itself first ----------------------------------------------------------------------

source [file join $::tst::lib reference.tcl]
with_redis_server {} {
    run_tables $reference redis-server {2 3} 0
    protocol_tests $reference redis-server 1
}

if {[option --redis] eq "only"} finish

start_cluster 3 {} {
    leader_id
    run_tables [list connect [leader_id]] leader {2 3} 1
    run_tables [list connect [follower_id]] follower {2 3} 1
    protocol_tests [list connect [leader_id]] leader 0
    protocol_tests [list connect [follower_id]] follower 0
}
finish
