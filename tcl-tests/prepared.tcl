# Long writes are prepared by the leader: others write meanwhile, all members have the same, and a
# leader that dies in the midst of one leaves nothing behind.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set members 30000
set both [expr {$members + $members / 2}]

# Numbers from..to, some in a command.
proc add {from to words} {
    set c [connect [leader_id] 60000]
    for {set first $from} {$first < $to} {incr first 1000} {
        set line $words
        for {set i $first} {$i < $first + 1000} {incr i} {
            if {[lindex $words 0] eq "ZADD"} { lappend line $i }
            lappend line element:$i
        }
        $c {*}$line
    }
    $c -close
}

proc prepared {} { return [raft_field [leader_id] raft_writes_prepared] }

# By whoever led.
proc prepared_by_all {} { ::tcl::mathop::+ {*}[lmap id {0 1 2} { raft_field $id raft_writes_prepared }] }

# Sends the command and, until it is answered, small writes of another client, one after the other;
# returns how many of these were done before.
proc writes_beside {id words reply} {
    set long [connect $id 60000]
    set small [connect $id 60000]
    set done 0
    $long -send {*}$words
    while {[$long -quiet 0]} {
        $small INCR small
        incr done
    }
    assert_equal $reply [$long -read] " ($words)"
    $long -close
    $small -close
    return $done
}

# How many turns the other process gets meanwhile is the machine's affair: some tries have to do.
proc assert_writes_beside {who words reply} {
    for {set try 0} {$try < 10} {incr try} {
        set before [prepared]
        set done [writes_beside [$who] $words $reply]
        assert {[prepared] > $before} "$words was not prepared"
        if {$done >= 3} { note "$done beside it"; return }
    }
    fail "only $done small writes were done beside $words"
}

# The members compute it, the leader had done so before: RAFT.CHECK compares what they have.
proc assert_equal_everywhere {} {
    for {set i 0} {$i < 100} {incr i} {
        if {![catch { [leader] RAFT.CHECK } check] && [dict get $check verdict] in {equal different}} {
            set states [lmap member [dict get $check members] { dict get $member state }]
            if {"waiting" ni $states} {
                assert_equal equal [dict get $check verdict] " ($check)"
                return
            }
        }
        hold 100
    }
    fail "no check comes to its end: $check"
}

start_cluster 3 {request-timeout 30000} {
    wait_until_settled
    add 0 $members {SADD a}
    add [expr {$members / 2}] $both {SADD b}
    add 0 $members {ZADD z}
    add 0 [expr {8 * $members}] {RPUSH l}
    set c [connect [leader_id] 60000]
    for {set first 0} {$first < $members} {incr first 1000} {
        set line MSET
        for {set i $first} {$i < $first + 1000} {incr i} { lappend line weight:element:$i [expr {$members - $i}] }
        $c {*}$line
    }
    set dump [$c DUMP z]
    $c -close

    foreach {who words reply} [list \
        leader_id   {SUNIONSTORE to a b} $both \
        follower_id {SINTERSTORE to a b} [expr {$members / 2}] \
        leader_id   {ZUNIONSTORE zto 2 z b} $both \
        leader_id   {ZRANGESTORE zto z 0 -1} $members \
        leader_id   {SORT a BY weight:* GET # GET weight:* STORE sto} [expr {2 * $members}] \
        leader_id   {GEOSEARCHSTORE gto z FROMLONLAT 0 0 BYBOX 40000 40000 km ASC} $members \
    ] {
        test "small writes are done beside [lindex $words 0] ([string map {_id {}} $who])" {
            assert_writes_beside $who $words $reply
        }
    }

    # Each changes what the next finds: one try.
    foreach {who words reply} [list \
        leader_id   [list RESTORE rto 0 $dump] OK \
        leader_id   {ZREMRANGEBYRANK rto 10 -11} [expr {$members - 20}] \
        leader_id   {LREM l 0 element:7} 1 \
        follower_id {LTRIM l 20 29} OK \
    ] {
        test "[lindex $words 0] is prepared ([string map {_id {}} $who])" {
            set before [prepared_by_all]
            note "[writes_beside [$who] $words $reply] beside it"
            assert {[prepared_by_all] > $before} "[lindex $words 0] was not prepared"
        }
    }
    test {what was changed in place is there} {
        set c [connect [leader_id] 60000]
        assert_equal 20 [$c ZCARD rto]
        assert_equal element:[expr {$members - 1}] [$c ZRANGE rto -1 -1]
        assert_equal 10 [$c LLEN l]
        assert_equal element:21 [$c LINDEX l 0]
        assert_equal [list element:[expr {$members - 1}] 1] [$c LRANGE sto 0 1]
        $c -close
    }

    test {what is changed in between is not missed} {
        set c [connect [leader_id] 60000]
        set d [connect [leader_id] 60000]
        for {set i 0} {$i < 2} {incr i} {
            $c -send SUNIONSTORE to a b
            assert_equal 1 [$d SADD a changed:$i]
            set count [$c -read]
            # Before it or behind it.
            assert {$count in [list [expr {$both + $i}] [expr {$both + $i + 1}]]} "$count after $i"
            assert_equal [expr {$both + $i + 1}] [$c SUNIONSTORE to a b]
        }
        $c -close
        $d -close
    }

    test {all members have the same} { assert_equal_everywhere }

    test {a leader dies while it prepares: the next does it, and nothing is left of it} {
        set count [[leader] SCARD a]
        set c [connect [follower_id] 60000]
        set d [connect [follower_id] 60000]
        $c -send SORT a ALPHA STORE sorted
        set old [leader_id]
        kill_node $old
        # It was proposed or not; the client asks again where it cannot know.
        catch { $c -readtyped } first
        assert {$first eq ":$count" || [string match "-TIMEOUT*" $first]} $first
        set stored [$d LLEN sorted]
        assert {$stored in [list 0 $count]} "$stored of $count are there"
        assert_equal $count [$d SORT a ALPHA STORE sorted]
        assert_equal $count [$d LLEN sorted]
        assert_equal changed:0 [$d LINDEX sorted 0]
        $c -close
        $d -close
        start_node $old
        wait_until_answers $old
        wait_until_settled
        assert_equal_everywhere
    }
}
finish
