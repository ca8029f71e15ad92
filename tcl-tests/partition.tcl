# Nodes that run, but do not reach each other: in both directions, in one, or not all of them.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc eventually {id args} {
    wait_for_condition 400 10 { ![catch { [node $id] {*}$args } ::reply] } else {
        fail "$args does not succeed through node $id"
    }
    return $::reply
}

# The node that the others follow, whatever one that is cut off believes.
proc leader_among {ids} {
    wait_for_condition 400 10 { [llength [set leads [lsort -unique [lmap id $ids {
        raft_field $id raft_leader_id }]]]] == 1 && [lindex $leads 0] in $ids } else {
        fail "nodes $ids do not agree on a leader among them: [lmap id $ids { raft_info $id }]"
    }
    return [lindex $leads 0]
}

proc others_than {id} { return [lmap o [node_ids] { if {$o == $id} continue; set o }] }

proc heal {} {
    network heal
    wait_until_settled
}

start_cluster 3 {network cuttable request-timeout 1200} {
    test {etcd 20418: a deposed leader that knows of nothing serves no stale read} {
        # It is stopped while another is elected, and goes on without hearing of it, so that only
        # the confirmation by a majority stands between it and a stale answer.
        wait_until_settled
        set old [leader_id]
        [node $old] SET k old
        set c [connect $old]
        isolate $old
        pause_node $old
        set new [leader_among [others_than $old]]
        eventually $new SET k new
        $c -send GET k
        resume_node $old
        set reply [$c -readtyped]
        assert {[says_not_done $reply]} "the read was answered with $reply"
        assert_match -* [$c -typed GET k]
        network heal
        assert_equal new [eventually $old GET k]
        $c -close
        wait_until_settled
    }

    test {a leader that is cut off: its writes are not acknowledged, and vanish} {
        wait_until_settled
        set old [leader_id]
        set c [connect $old]
        isolate $old
        $c -send SET ghost 1
        set others [others_than $old]
        set new [leader_among $others]
        eventually $new SET k after
        set reply [$c -readtyped]
        assert {[says_unknown $reply]} "the write that was appended: $reply"
        # It has given up by now and knows that it does not lead.
        set reply [$c -typed SET ghost 2]
        assert {[says_not_done $reply]} "the later write was answered with $reply"
        assert_match -* [$c -typed GET k]
        assert {[raft_field $old raft_role] ne "leader"}
        heal
        foreach id [node_ids] {
            assert_equal nil [[node $id] -typed GET ghost]
            assert_equal after [[node $id] GET k]
        }
        $c -close
    }

    test {a follower that was cut off comes back without deposing the leader (PreVote)} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        foreach how {heal reset} {
            set other [follower_id]
            isolate $other
            for {set i 0} {$i < 20} {incr i} { [node $leader] SET while-away $i }
            hold 1500
            assert_equal $term [term $other] " (it does not campaign in vain)"
            network $how
            wait_until_settled
            assert_equal $term [term $leader]
            assert_equal $leader [leader_id]
            assert_equal 19 [[node $other] GET while-away]
        }
    }

    test {a leader that is heard but hears nothing steps down (CheckQuorum)} {
        wait_until_settled
        set old [leader_id]
        foreach other [others_than $old] { network cut $other $old }
        wait_for_condition 300 10 { [raft_field $old raft_role] ne "leader" } else {
            fail "it still thinks that it leads"
        }
        set new [leader_among [others_than $old]]
        assert_equal OK [eventually $new SET k deaf]
        heal
        assert_equal deaf [[node $old] GET k]
    }

    test {a leader that hears but is not heard is replaced} {
        wait_until_settled
        set old [leader_id]
        foreach other [others_than $old] { network cut $old $other }
        set new [leader_among [others_than $old]]
        assert_equal OK [eventually $new SET k mute]
        heal
        assert_equal mute [[node $old] GET k]
    }

    test {two nodes that do not reach each other, but both the third: no flapping} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        lassign [others_than $leader] a b
        # Leader and a apart.
        isolate $leader $a
        hold 2500
        assert_equal $leader [raft_field $b raft_leader_id]
        assert_equal $term [term $b] " (leader stickiness)"
        assert_equal OK [[node $leader] SET k bridged]
        assert_equal bridged [[node $b] GET k]
        network heal
        wait_until_settled
        # The two followers apart: nobody should mind.
        isolate $a $b
        hold 1500
        foreach id [node_ids] { assert_equal bridged [eventually $id GET k] }
        assert_equal $term [term $leader]
        heal
    }

    test {a node that misses committed entries is not elected, though it asks first (3.6.1)} {
        wait_until_settled
        set leader [leader_id]
        lassign [others_than $leader] behind other
        restart_node $other {election-timeout 1500}
        wait_until_settled
        assert_equal $leader [leader_id]
        isolate $behind
        for {set i 0} {$i < 20} {incr i} { [node $leader] SET missed:$i $i }
        kill_node $leader
        network reset
        assert_equal $other [leader_among [list $behind $other]]
        foreach i {0 19} { assert_equal $i [eventually $behind GET missed:$i] }
        restart_node $leader
        restart_node $other
        wait_until_settled
        foreach id [node_ids] { assert_equal 19 [[node $id] GET missed:19] }
    }

    test {nobody reaches anybody, then everybody: soon there is a leader} {
        wait_until_settled
        foreach id [node_ids] { isolate $id }
        hold 1500
        foreach id [node_ids] {
            assert {[raft_field $id raft_role] ne "leader"}
            set c [connect $id]
            set reply [$c -typed SET k nobody]
            assert {[says_not_done $reply]} "answered with $reply"
            $c -close
        }
        network heal
        set took [elapsed { eventually 0 SET k together }]
        note "$took ms"
        assert {$took < [slow 3000]}
        wait_until_settled
    }

    test {a network with 15 ms of delay: no elections, and all works} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        network delay 15
        set load [start_load --ports [all_ports] --list 4 --pipeline 2 --own 2 --counter 1]
        hold 2500
        network delay 0
        set report [stop_load $load]
        note "[dict get $report acked] writes"
        assert {[dict get $report acked] > 100}
        assert_equal 0 [dict get $report unknown]
        assert_equal $term [term $leader]
    }

    test {random cuts under load: linearizable all the time} {
        wait_until_settled
        set load [start_load --ports [all_ports] --list 9 --keys 2 --pipeline 2 --own 2 --counter 1 \
            --once 2 --delay 1]
        expr {srand(7)}
        for {set i 0} {$i < 10} {incr i} {
            set id [expr {int(rand() * 3)}]
            # Mostly the leader, wholly, one way, or from one other.
            if {$i % 3} { set id [expr {[set l [find_leader]] eq {} ? $id : $l}] }
            lassign [others_than $id] a b
            switch [expr {int(rand() * 5)}] {
                0 - 1 { isolate $id }
                2 { network cut $id $a; network cut $id $b }
                3 { network cut $a $id; network cut $b $id }
                4 { isolate $id $a }
            }
            hold [expr {300 + int(rand() * 1000)}]
            network [expr {rand() < 0.5 ? {heal} : {reset}}]
            hold [expr {200 + int(rand() * 500)}]
        }
        leader_id
        set report [stop_load $load]
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown,\
            [dict get $report not_done] not done, [dict get $report reads] reads"
        assert {[dict get $report acked] > 200}
        assert {[dict get $report unknown] > 0}
        wait_until_settled
    }
}

start_cluster 3 {network cuttable request-timeout 8000} {
    test {the way back of a forwarded write breaks: that its outcome is unknown is said at once} {
        wait_until_settled
        set leader [leader_id]
        set other [follower_id]
        set c [connect $other]
        network cut $leader $other
        $c -send SET k 1
        wait_for_condition 200 10 { [raft_field $leader raft_commit_index] >
            [raft_field $other raft_commit_index] } else { fail "the write does not commit" }
        network break $leader $other
        set began [clock milliseconds]
        set reply [$c -readtyped]
        set took [expr {[clock milliseconds] - $began}]
        assert {[says_unknown $reply]} "the write that may have been executed: $reply"
        assert {$took < 4000} "said after $took ms"
        $c -close
        heal
    }
}
finish
