# MULTI, WATCH, EXEC in a cluster: all or nothing, through any node, while leaders die.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# Adds one to `key` in the way of optimistic clients.  done, changed (by another), or unknown.
proc add_one {c key} {
    set seen [$c -typed WATCH $key]
    if {$seen ne "+OK"} { return failed }
    if {[catch { $c GET $key } value]} { $c -typed UNWATCH; return failed }
    if {$value eq ""} { set value 0 }
    $c -typed MULTI
    $c -typed SET $key [expr {$value + 1}]
    $c -typed SET copy:$key [expr {$value + 1}]
    set reply [$c -typed EXEC]
    if {[says_unknown $reply]} { return unknown }
    if {[string match -* $reply]} { return failed }
    return [expr {$reply eq "nil*" ? "changed" : "done"}]
}

start_cluster 3 {} {
    test {a transaction through a follower, with what it watches} {
        set c [connect [follower_id]]
        assert_equal +OK [$c -typed WATCH k]
        assert_equal +OK [$c -typed MULTI]
        assert_equal +QUEUED [$c -typed INCR k]
        assert_equal +QUEUED [$c -typed GET k]
        assert_equal {1 1} [$c EXEC]
        [leader] SET k 5
        $c WATCH k
        [leader] SET k 6
        $c MULTI
        $c INCR k
        assert_equal nil* [$c -typed EXEC]
        assert_equal 6 [$c GET k]
        $c -close
    }

    test {WATCH holds over a change of the leader, and so does what is queued} {
        set leader [leader_id]
        set c [connect [follower_id]]
        $c SET k 1
        $c WATCH k
        $c MULTI
        $c INCR k
        kill_node $leader
        wait_for_condition 400 10 { ![catch { [node [leader_id]] GET k }] } else { fail "no leader" }
        assert_equal 2 [$c EXEC]
        $c WATCH k
        [leader] INCR k
        $c MULTI
        $c INCR k
        restart_node $leader
        wait_until_settled
        assert_equal nil* [$c -typed EXEC]
        $c -close
    }

    test {ONCE id n EXEC: a transaction sent again after a failover is executed once} {
        set leader [leader_id]
        set c [connect [follower_id]]
        $c DEL n m
        foreach time {1 2 3} {
            $c MULTI
            $c INCR n
            $c INCR m
            assert_equal {1 1} [$c ONCE client 1 EXEC]
            if {$time == 2} { kill_node $leader; leader_id }
        }
        assert_equal {1 1} [$c MGET n m]
        restart_node $leader
        $c -close
        wait_until_settled
    }

    test {optimistic counters of three clients lose nothing while the leader dies} {
        foreach key {a b} { [leader] DEL $key copy:$key }
        set done 0
        set unknown 0
        set victim [leader_id]
        set clients [lmap id [node_ids] { if {$id == $victim} continue; connect $id }]
        lappend clients [connect [lindex [lsearch -all -inline -not [node_ids] $victim] 0]]
        for {set round 0} {$round < 150} {incr round} {
            if {$round == 50} { kill_node $victim }
            if {$round == 100} { restart_node $victim }
            foreach c $clients {
                switch [add_one $c a] { done { incr done } unknown { incr unknown } }
            }
        }
        wait_until_settled
        set value [[leader] GET a]
        note "$done done, $unknown unknown, the counter is $value"
        assert {$done > 200}
        assert {$value >= $done && $value <= $done + $unknown}
        assert_equal $value [[leader] GET copy:a] " of what was set beside it"
        foreach c $clients { $c -close }
    }
}
finish
