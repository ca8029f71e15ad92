# CLIENT TRACKING over three nodes: no cache keeps a value that was changed, whoever changed it, through
# whatever node, while leaders die.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# A client with a cache of its own, as a library has one: cache($c) is a dict of what it has read.
proc tracker {id args} {
    set c [connect $id]
    $c HELLO 3
    $c CLIENT TRACKING ON {*}$args
    set ::cache($c) {}
    return $c
}

proc hear {c tree} {
    lassign $tree type value
    if {$type ne ">"} { return 0 }
    lassign [resp::value [lindex $value 1]] key
    if {[lindex $value 1 0] eq "nil"} {
        set ::cache($c) {}
    } else {
        foreach key [resp::value [lindex $value 1]] { dict unset ::cache($c) $key }
    }
    return 1
}

# The next reply that is no push; those are heard.
proc reply_of {c} {
    while {[hear $c [set tree [$c -readtree]]]} {}
    return $tree
}

# From the cache, or from the node: what is answered is kept.
proc cached_get {c key} {
    if {[dict exists $::cache($c) $key]} { return [dict get $::cache($c) $key] }
    $c -send GET $key
    lassign [reply_of $c] type value
    if {$type eq "-"} { return }
    if {$type eq "nil"} { set value none }
    dict set ::cache($c) $key $value
    return $value
}

# Everything that was told by now: an answer comes behind it, and some ms for what is on its way.
proc settle {clients} {
    hold 300
    foreach c $clients {
        $c -send PING
        reply_of $c
    }
}

proc assert_no_stale_value {clients} {
    foreach c $clients {
        dict for {key value} $::cache($c) {
            set now [[leader] GET $key]
            if {$now eq ""} { set now none }
            assert_equal $now $value " of $key in a cache"
        }
    }
}

proc change_something {c number} {
    set key k[expr {$number % 13}]
    catch { $c {*}[lindex [list [list SET $key $number] [list INCR $key] [list DEL $key] \
        [list SET $key $number PX 50] [list APPEND $key x] [list MSET $key $number k1 $number] \
        [list RENAME $key k[expr {$number % 7}]]] [expr {($number * 7 + $number / 13) % 7}]] }
}

start_cluster 3 {} {
    test {a change through any node reaches the caches of all} {
        set trackers [lmap id {0 1 2} { tracker $id }]
        foreach id {0 1 2} {
            [node $id] SET k "from $id"
            foreach c $trackers { assert_equal "from $id" [cached_get $c k] }
            [node $id] SET k "later from $id"
            settle $trackers
            foreach c $trackers { assert_equal {} $::cache($c) }
        }
        foreach c $trackers { $c -close }
    }

    test {no cache is stale: readers and writers on all nodes, default and BCAST} {
        set trackers [concat [lmap id {0 1 2} { tracker $id }] [lmap id {0 1 2} { tracker $id BCAST PREFIX k }]]
        set writers [lmap id {0 1 2} { connect $id }]
        set hits 0
        for {set i 0} {$i < 1500} {incr i} {
            if {$i % 3 == 0} { change_something [lindex $writers [expr {$i % 9 / 3}]] $i }
            set c [lindex $trackers [expr {$i % 6}]]
            set key k[expr {($i * 5) % 13}]
            cached_get $c $key
            incr hits [dict exists $::cache($c) $key] ;# unless it was changed meanwhile
            cached_get $c $key
        }
        assert {$hits > 50} "the caches serve something"
        settle $trackers
        assert_no_stale_value $trackers
        [leader] FLUSHALL
        settle $trackers
        foreach c $trackers { assert_equal {} $::cache($c) " after FLUSHALL" }
        note "$hits of 3000 reads from caches"
        foreach c [concat $trackers $writers] { $c -close }
    }

    test {no cache on the surviving nodes is stale when the leader dies} {
        for {set try 0} {$try < 2} {incr try} {
            wait_until_settled
            set victim [leader_id]
            set others [follower_ids]
            set trackers [lmap id $others { tracker $id }]
            set writers [lmap id $others { connect $id }]
            for {set i 0} {$i < 600} {incr i} {
                change_something [lindex $writers [expr {$i % 2}]] $i
                cached_get [lindex $trackers [expr {$i / 2 % 2}]] k[expr {($i * 5) % 13}]
                if {$i == 300} { kill_node $victim }
            }
            settle $trackers
            assert_no_stale_value $trackers
            foreach c [concat $trackers $writers] { $c -close }
            restart_node $victim
        }
        wait_until_settled
    }
}

finish
