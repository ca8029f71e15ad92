# Random commands: the cluster must answer each exactly as redis-server does.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib reference.tcl]

# A small generator of our own, so that a seed gives the same commands everywhere.
proc seed {value} { set ::random $value }
proc below {limit} {
    set ::random [expr {($::random * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff}]
    return [expr {($::random >> 33) % $limit}]
}
proc pick {args} { return [lindex $args [below [llength $args]]] }

proc key {} {
    return [pick a b c d e f g h {} "k\0\r\n" key:1 key:2 [string repeat long 20]]
}
proc number {} {
    return [pick 0 1 -1 2 7 100 -100 9223372036854775807 -9223372036854775808 9223372036854775808 \
        1000000000000 {} abc 1.5 { 1} 01 -0 +5 5x 10 10 10]
}
proc value {} {
    return [pick {} v value 0 1 -5 41 9223372036854775807 -9223372036854775808 abc 3.25 1e3 { 7} "\0\xff\r\n" \
        [string repeat x [below 300]] [below 1000] [below 1000]]
}
proc offset {} { return [pick 0 1 2 -1 -2 5 10 100 -100 [below 20] -[below 20] x {} 2147483647] }
proc float {} { return [pick 1 0.5 -1.5 1e2 3.14159 x {} 100000000000 0.1 -0.1 1e-5 2.5e-3 nan inf] }
proc some {what} {
    set words {}
    for {set i [below 4]} {$i >= 0} {incr i -1} { lappend words [$what] }
    return $words
}
proc pairs {} {
    set words {}
    for {set i [below 4]} {$i >= 0} {incr i -1} { lappend words [key] [value] }
    # Sometimes one word short.
    return [expr {[below 12] ? $words : [lrange $words 0 end-1]}]
}

proc random_command {} {
    switch [below 46] {
        0 - 1 - 2 { return [list SET [key] [value]] }
        3 { return [list SET [key] [value] [pick NX XX GET nx FOO]] }
        4 { return [list SET [key] [value] [pick NX XX GET] [pick NX XX GET]] }
        5 - 6 - 7 { return [list GET [key]] }
        8 { return [list SETNX [key] [value]] }
        9 { return [list GETSET [key] [value]] }
        10 { return [list GETDEL [key]] }
        11 { return [list MGET {*}[some key]] }
        12 { return [list MSET {*}[pairs]] }
        13 { return [list MSETNX {*}[pairs]] }
        14 { return [list [pick DEL UNLINK] {*}[some key]] }
        15 { return [list [pick EXISTS TOUCH] {*}[some key]] }
        16 { return [list TYPE [key]] }
        17 - 18 { return [list APPEND [key] [value]] }
        19 { return [list STRLEN [key]] }
        20 - 21 { return [list [pick GETRANGE SUBSTR] [key] [offset] [offset]] }
        22 - 23 { return [list SETRANGE [key] [pick 0 1 5 10 20 -1 x [below 50]] [value]] }
        24 - 25 { return [list [pick INCR DECR] [key]] }
        26 - 27 - 28 { return [list [pick INCRBY DECRBY] [key] [number]] }
        29 - 30 - 31 { return [list INCRBYFLOAT [key] [float]] }
        32 { return [list RENAME [key] [key]] }
        33 { return [list RENAMENX [key] [key]] }
        34 { return [list DBSIZE] }
        35 { return [list SET [key] [below 100]] }
        36 { return [list [pick GET SET INCR APPEND MGET RENAME STRLEN] {*}[lrange [some key] 1 end]] }
        37 { return [list [pick PING ECHO] {*}[lrange [some value] 1 end]] }
        38 { return [list [pick NOSUCH get! {} "x\r\ny" [string repeat z 200]] {*}[some value]] }
        39 { return [list SELECT [pick 0 0 1 15 x {} -1 99]] }
        40 { return [list [pick COMMAND CLIENT CONFIG] [pick nosuch GETNAME COUNT0] {*}[lrange [some value] 2 end]] }
        41 {
            # (of commands with arguments: the arity of GETKEYS itself has changed)
            set words [random_command]
            if {[llength $words] < 2} { lappend words x y }
            return [list COMMAND GETKEYS {*}$words]
        }
        42 { return [expr {[below 40] ? [list EXISTS [key]] : [list [pick FLUSHALL FLUSHDB] {*}[pick {} ASYNC SYNC x]]}] }
        44 { return [list MOVE [key] [pick 0 1 15 16 x]] }
        45 { return [list SWAPDB [pick 0 1 15 x -1] [pick 0 1 15 x 16]] }
        43 { return [list KEYS [pick \[abc\] zz* a {*nothing*}]] }
    }
}

# A transaction, mostly; its replies are compared as they are, so nothing in it is in any order.
# (Between WATCH and MULTI stands one command at most: a key made and deleted there counts as
# unchanged here.)
proc random_transaction {} {
    set words {}
    if {[below 3] == 0} {
        lappend words [list WATCH {*}[some key]] {*}[ordered_command]
    }
    lappend words [list MULTI {*}[lrange [pick {} {} {} {} {} {} {} {} x] 0 0]]
    for {set i [below 6]} {$i > 0} {incr i -1} { lappend words {*}[ordered_command] }
    if {[below 10] == 0} { lappend words [list [pick MULTI UNWATCH EXEC DISCARD] ] }
    lappend words [list [pick EXEC EXEC EXEC EXEC DISCARD]]
}

proc ordered_command {} {
    set command [random_command]
    return [expr {[string equal -nocase [lindex $command 0] KEYS] ? {} : [list $command]}]
}

# One or more.
proc random_commands {} {
    switch [below 30] {
        0 - 1 { return [random_transaction] }
        2 { return [list [list [pick EXEC DISCARD UNWATCH]]] }
        default { return [list [random_command]] }
    }
}

# What Redis 7.0 (the reference that is at hand) words differently from 7.2, and lists in any order.
proc comparable {command reply} {
    if {[string equal -nocase [lindex $command 0] KEYS] && [string index $reply 0] eq "\["} {
        return [lsort [split [string trim $reply {[]}]]]
    }
    return $reply
}

proc run_differential {id proto from count} {
    set theirs [{*}$::reference]
    set ours [connect $id 30000]
    $theirs FLUSHALL
    $ours FLUSHALL
    if {$proto == 3} { $theirs HELLO 3; $ours HELLO 3 }
    seed $from
    set history {}
    for {set done 0} {$done < $count} {incr done 100} {
        set commands {}
        while {[llength $commands] < 100} { lappend commands {*}[random_commands] }
        $theirs -pipeline $commands
        $ours -pipeline $commands
        set difference {}
        foreach command $commands {
            set expected [comparable $command [$theirs -readtyped]]
            set actual [comparable $command [$ours -readtyped]]
            lappend history $command
            if {$expected ne $actual && $difference eq {}} {
                set key [lindex $command 1]
                set about [lrange [lmap c $history { if {$key ni $c} continue; set c }] end-6 end]
                # (of a transaction, all of it)
                if {[lindex $command 0] eq "EXEC"} { set about [lrange $history end-9 end] }
                set difference "redis-server: [shorten $expected]\n  the cluster: [shorten $actual]\n           to\
                    [shorten [resp::quote $command]]\n   (seed $from; the last commands on that key:\n   [join \
                    [lmap c $about { resp::quote $c }] "\n   "])"
            }
        }
        # All replies have been read: what is left over would disturb the next test.
        if {$difference ne {}} {
            $theirs -close
            $ours -close
            fail $difference
        }
    }
    # And both must hold the same in the end.
    set keys [lsort [$theirs KEYS *]]
    assert_equal $keys [lsort [$ours KEYS *]]
    foreach key $keys { assert_equal [$theirs -typed GET $key] [$ours -typed GET $key] }
    $theirs -close
    $ours -close
}

with_redis_server {} {
    start_cluster 3 {} {
        leader_id
        wait_until_settled
        set seed [expr {[info exists ::env(SEED)] ? $::env(SEED) : 1}]
        foreach who {leader_id follower_id} {
            foreach proto {2 3} {
                test "4000 random commands answered as by redis-server ([string map {_id {}} $who], RESP$proto, seed $seed)" {
                    run_differential [$who] $proto $seed 4000
                }
                incr seed
            }
        }

        # Each says at its head what it compares, and what differs on purpose.
        proc compare {script id args} {
            set status [catch { exec [python] [file join $::tst::root tests compare_$script.py] {*}$args \
                [lindex $::reference end] {*}[lmap node $id { client_port $node }] 2>@1 } said]
            assert {$status == 0} $said
            note [lindex [split $said \n] end]
        }
        foreach {what script rounds} {
            "scripts are" scripts {--rounds 300}
            "libraries of functions are" functions {}
            "what scripts find, cjson, cmsgpack, struct and bit, is" script_libraries {--rounds 500}
        } {
            foreach id [list [leader_id] [follower_id]] {
                set seeded [expr {$rounds eq {} ? {} : [list {*}$rounds --seed $seed]}]
                test "$what answered as by redis-server (node $id, seed $seed)" { compare $script $id {*}$seeded }
                incr seed
            }
        }
        test "five connections that wait, on all nodes, are answered as by redis-server (seed $seed)" {
            compare blocking [node_ids] --rounds 250 --seed $seed
        }
    }
}
finish
