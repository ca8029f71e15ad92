# A small RESP2/RESP3 client.
#
#     set c [resp::connect 127.0.0.1 7001]
#     $c SET k v                 ;# -> OK; an error reply becomes a Tcl error with its text
#     $c -typed GET k            ;# -> "v"   the reply with its type, see resp::show
#     $c -send GET k             ;# deferred: send now ...
#     $c -read                   ;# ... and read later, in order (-readtyped, -readtree likewise)
#     $c -write "PING\r\n"       ;# raw bytes
#
# Methods start with a dash, everything else is a command for the server.  All waiting is bounded:
# a reply that does not come within -timeout milliseconds (10 s) is an error, never a hang.
#
# Values are byte strings (every character below 256).  A parsed reply is a tree {type value}: the
# type is the byte of the protocol, or "nil" with that byte as value; the value of an aggregate is
# a list of trees, a map's is flat.

namespace eval resp {
    variable next 0
    variable conn      ;# conn($id,fd) ,buf ,pos ,timeout ,wait
    array set conn {}
}

proc resp::connect {host port {timeout_ms 10000}} {
    variable next
    variable conn
    set fd [socket $host $port]
    fconfigure $fd -translation binary -blocking 0 -buffering full -buffersize 262144
    set id c[incr next]
    set conn($id,fd) $fd
    set conn($id,buf) {}
    set conn($id,pos) 0
    set conn($id,need) 0
    set conn($id,timeout) $timeout_ms
    set name ::resp::$id
    interp alias {} $name {} ::resp::call $id
    return $name
}

proc resp::call {id args} {
    switch -- [lindex $args 0] {
        -typed { send $id [lrange $args 1 end]; return [show [take $id]] }
        -tree { send $id [lrange $args 1 end]; return [take $id] }
        -send { send $id [lrange $args 1 end]; return }
        -pipeline { pipeline $id [lindex $args 1]; return }
        -read { return [value [take $id]] }
        -readtree { return [take $id] }
        -readtyped { return [show [take $id]] }
        -write { write $id [lindex $args 1]; return }
        -quiet { return [quiet $id [lindex $args 1]] }
        -closed { return [closed $id [lindex $args 1]] }
        -fd { return [set ::resp::conn($id,fd)] }
        -timeout { set ::resp::conn($id,timeout) [lindex $args 1]; return }
        -close { close_connection $id; return }
        default { send $id $args; return [value [take $id]] }
    }
}

proc resp::close_connection {id} {
    variable conn
    catch { close $conn($id,fd) }
    array unset conn $id,*
    interp alias {} ::resp::$id {}
}

# ---- sending ---------------------------------------------------------------------------------

proc resp::encode {argv} {
    set out "*[llength $argv]\r\n"
    foreach word $argv { append out "\$[string length $word]\r\n$word\r\n" }
    return $out
}

proc resp::send {id argv} {
    variable conn
    set fd $conn($id,fd)
    puts -nonewline $fd "*[llength $argv]\r\n"
    foreach word $argv {
        puts -nonewline $fd "\$[string length $word]\r\n"
        puts -nonewline $fd $word    ;# apart: a large value is not copied
        puts -nonewline $fd "\r\n"
    }
    flush $fd
}

# All commands in one write, so that they arrive together.
proc resp::pipeline {id commands} {
    set out {}
    foreach argv $commands { append out [encode $argv] }
    write $id $out
}

proc resp::write {id bytes} {
    variable conn
    puts -nonewline $conn($id,fd) $bytes
    flush $conn($id,fd)
}

# ---- receiving -------------------------------------------------------------------------------

# Waits for more bytes: true if some came; false at the end of the time.  Throws at the end of the
# stream.
proc resp::more {id wait_ms} {
    variable conn
    set fd $conn($id,fd)
    set bytes [read $fd]
    if {[string length $bytes] == 0} {
        if {[eof $fd]} { throw {RESP CLOSED} "connection closed by the server" }
        set conn($id,wait) {}
        fileevent $fd readable [list set ::resp::conn($id,wait) readable]
        set timer [after $wait_ms [list set ::resp::conn($id,wait) timeout]]
        vwait ::resp::conn($id,wait)
        after cancel $timer
        fileevent $fd readable {}
        if {$conn($id,wait) eq "timeout"} { return 0 }
        set bytes [read $fd]
        if {[string length $bytes] == 0 && [eof $fd]} {
            throw {RESP CLOSED} "connection closed by the server"
        }
    }
    append conn($id,buf) $bytes
    return 1
}

# One reply as a tree.
proc resp::take {id} {
    variable conn
    set deadline [expr {[clock milliseconds] + $conn($id,timeout)}]
    while {1} {
        set pos $conn($id,pos)
        if {[string length $conn($id,buf)] - $pos >= $conn($id,need)} {
            set conn($id,need) 0
            if {[parse $id pos tree]} {
                # (In halves: taking each reply off the front would copy the rest each time.)
                if {2 * $pos >= [string length $conn($id,buf)]} {
                    set conn($id,buf) [string range $conn($id,buf) $pos end]
                    set pos 0
                }
                set conn($id,pos) $pos
                return $tree
            }
        }
        set left [expr {$deadline - [clock milliseconds]}]
        if {$left <= 0 || ![more $id $left]} {
            throw {RESP TIMEOUT} "no reply within $conn($id,timeout) ms"
        }
        # An array is parsed from its start again: let it come in large pieces.
        while {[more_at_once $id]} {}
    }
}

proc resp::more_at_once {id} {
    variable conn
    set bytes [read $conn($id,fd)]
    append conn($id,buf) $bytes
    return [expr {[string length $bytes] > 1000}]
}

# True if nothing arrives for so long (and nothing is left over).
proc resp::quiet {id wait_ms} {
    variable conn
    if {[string length $conn($id,buf)] > $conn($id,pos)} { return 0 }
    return [expr {![more $id $wait_ms]}]
}

# True once the server has closed the connection; throws away what it still sends.
proc resp::closed {id wait_ms} {
    set deadline [expr {[clock milliseconds] + $wait_ms}]
    while {1} {
        set left [expr {$deadline - [clock milliseconds]}]
        if {$left <= 0} { return 0 }
        if {[catch { more $id $left }]} { return 1 }
        set ::resp::conn($id,buf) {}
        set ::resp::conn($id,pos) 0
    }
}

# The text of the line at pos, and pos behind it; 0 if it is not complete.
proc resp::line {id posvar linevar} {
    upvar 1 $posvar pos $linevar text
    variable conn
    foreach size {64 4096 10000000} {
        # A short copy: searching the whole buffer would convert it.
        set chunk [string range $conn($id,buf) $pos [expr {$pos + $size}]]
        set end [string first "\r\n" $chunk]
        if {$end >= 0} {
            set text [string range $chunk 0 [expr {$end - 1}]]
            incr pos [expr {$end + 2}]
            return 1
        }
        if {[string length $chunk] <= $size} { return 0 }
    }
    return 0
}

proc resp::parse {id posvar treevar} {
    upvar 1 $posvar pos $treevar tree
    variable conn
    if {![line $id pos text]} { return 0 }
    set type [string index $text 0]
    set rest [string range $text 1 end]
    switch -- $type {
        + - - - : - , - ( { set tree [list $type $rest] }
        _ { set tree {nil _} }
        # {
            if {$rest ni {t f}} { error "bad boolean in a reply: $text" }
            set tree [list $type $rest]
        }
        $ - = - ! {
            if {![string is integer -strict $rest]} { error "bad length in a reply: $text" }
            if {$rest == -1} { set tree [list nil $type]; return 1 }
            set end [expr {$pos + $rest}]
            if {[string length $conn($id,buf)] < $end + 2} {
                set conn($id,need) [expr {$end + 2 - $conn($id,pos)}]
                return 0
            }
            if {[string range $conn($id,buf) $end [expr {$end + 1}]] ne "\r\n"} {
                error "a bulk reply does not end with CR LF"
            }
            set tree [list $type [string range $conn($id,buf) $pos [expr {$end - 1}]]]
            set pos [expr {$end + 2}]
        }
        * - ~ - > - % - | {
            if {![string is integer -strict $rest]} { error "bad count in a reply: $text" }
            if {$rest == -1} { set tree [list nil $type]; return 1 }
            set count [expr {$type in {% |} ? 2 * $rest : $rest}]
            set items {}
            for {set i 0} {$i < $count} {incr i} {
                if {![parse $id pos item]} { return 0 }
                lappend items $item
            }
            set tree [list $type $items]
        }
        default { error "not a reply: [quote [string range $text 0 60]]" }
    }
    return 1
}

# ---- values ----------------------------------------------------------------------------------

proc resp::value {tree} {
    lassign $tree type value
    if {$type in {- !}} { throw [list REDIS [lindex [split $value] 0]] $value }
    return [plain $tree]
}

proc resp::plain {tree} {
    lassign $tree type value
    switch -- $type {
        nil { return {} }
        = { return [string range $value 4 end] }
        # { return [expr {$value eq "t"}] }
        * - ~ - > - % - | { return [lmap item $value { plain $item }] }
        default { return $value }
    }
}

# A printable form that tells types apart:
#   +OK  -ERR text  :7  "bulk"  nil (a null bulk)  nil* (a null array)  _ (RESP3's null)  ,1.5  #t
#   =txt:text  [array ...]  %[key value ...]  ~[set ...]  >[push ...]
proc resp::show {tree} {
    lassign $tree type value
    switch -- $type {
        nil { return [dict get {$ nil * nil* _ _} $value] }
        $ { return [quote $value] }
        * { return "\[[join [lmap item $value { show $item }]]\]" }
        % - ~ - > - | { return "$type\[[join [lmap item $value { show $item }]]\]" }
        default { return "$type$value" }
    }
}

proc resp::quote {bytes} {
    set out {}
    foreach char [split $bytes {}] {
        switch -- $char {
            \r { append out {\r} }
            \n { append out {\n} }
            \t { append out {\t} }
            \" { append out {\"} }
            \\ { append out {\\} }
            default {
                scan $char %c code
                if {$code < 32 || $code > 126} {
                    append out [format {\x%02x} $code]
                } else {
                    append out $char
                }
            }
        }
    }
    return "\"$out\""
}
