# A member that was away for longer than the log is kept is brought back by a snapshot from the
# leader: under load, while either side is killed, and while the leadership moves.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# More than the log may keep.
proc outgrow {c {count 30}} {
    set value [string repeat v 500000]
    for {set i 0} {$i < $count} {incr i} {
        assert_equal +OK [$c -typed SET outgrow:[expr {$i % 10}] $value$i]
    }
}

# All that a state can have: every type, deadlines, receipts, several databases, large and small.
proc fill_everything {c} {
    fill_types $c 20
    for {set i 0} {$i < 20} {incr i} { $c SET doomed$i x PX 50 }
    $c SELECT 3
    $c SET elsewhere yes
    $c SELECT 0
    $c EVAL "return 'a script'" 0
    $c FUNCTION LOAD REPLACE "#!lua name=all\nredis.register_function('f', function() return 'a function' end)"
}

# Whoever leads: a node that led before may keep more of its log for a while than the others.
proc fell_off {away} {
    set match [dict get [split [raft_field [leader_id] raft_member$away] ,=] match]
    foreach id [node_ids] {
        if {$id != $away && [raft_field $id raft_log_first_index] <= $match + 1} { return 0 }
    }
    return 1
}

# A follower that is not there, and whose log ends before all others'.
proc lose_a_follower {} {
    wait_until_settled
    set away [follower_id]
    kill_node $away
    forget_adoptions $away
    make_fall_off $away
    return $away
}

proc make_fall_off {away} {
    for {set i 0} {$i < 50} {incr i} {
        outgrow [leader] 15
        if {[fell_off $away]} return
        hold 300
    }
    fail "the log is kept: [raft_info [leader_id]]"
}

proc said {id pattern} { return [regexp -all -- $pattern [read_file [node_log $id]]] }
proc adopted {id} { return [said $id {has taken the place of what this node had}] }

# Of a node that is down.
proc forget_adoptions {id} { write_file [node_log $id] {} }

proc wait_until_back {id {tries 600}} {
    wait_for_condition $tries 50 { [alive $id] && [answers $id] && [adopted $id] > 0 && [settled] } else {
        fail "node $id is not back: [tail [node_log $id] 20]"
    }
}

# The digest that `id` has by itself: it is made the leader, and asked.
proc digest_of {id} {
    for {set i 0} {$i < 100 && [leader_id] != $id} {incr i} {
        catch { [leader] RAFT.TRANSFER_LEADER $id }
        hold 50
    }
    assert_equal $id [leader_id] " leads at last"
    return [insist $id DEBUG DIGEST]
}

proc assert_same_state {id} {
    wait_until_settled
    set digest [[leader] DEBUG DIGEST]
    assert {$digest ne [string repeat 0 40]}
    # What a checkpoint under way has not looked up yet is counted as if it were new.
    wait_for_condition 100 50 {
        [llength [lsort -unique [lmap each [node_ids] {
            lindex [split [dict get [info_fields $each keyspace] db0] ,] 0
        }]]] == 1
    } else { fail "nodes count keys differently" }
    assert_equal $digest [digest_of $id] " of what node $id has"
}

set options {checkpoint-size 64kb log-keep-entries 0 log-retention-bytes 2mb
    rocksdb-memtable-size 1mb enable-debug-command yes}

start_cluster 3 $options {
    test {a member that was away too long is brought back by itself, with all that there is} {
        fill_everything [leader]
        set away [lose_a_follower]
        set leader [leader_id]
        restart_node $away
        # It serves all the time, by asking the leader.
        assert_equal OK [insist $away SET fell off]
        wait_until_back $away
        assert_match *fell_off=0* [raft_field $leader raft_member$away]
        assert {[said $leader {snapshot to node \d+: begins}] >= 1}
        assert {[said $leader {snapshot to node \d+: delivered}] >= 1}
        wait_for_condition 100 50 { [said $leader {snapshot to node \d+: it goes on from}] >= 1 } else { fail "it does not go on" }
        assert {[said $away {snapshot from node \d+: here}] >= 1}
        assert_equal 0 [raft_field $away raft_install_in_progress]
        assert_equal off [[node $away] GET fell]
        # A request that was answered once is known to be.
        assert_equal [[node $leader] ONCE client3 1 INCR once] [[node $away] ONCE client3 1 INCR once]
        assert_same_state $away
        assert_equal $away [leader_id]
        assert_equal {a function} [[node $away] FCALL f 0]
        set sha [[node $away] SCRIPT LOAD "return 'a script'"]
        assert_equal {a script} [[node $away] EVALSHA 8dc7ca0edeca1b971ea983a307a06f1295af25e9 0]
    }

    test {it counts again: with it, the cluster goes on without another one} {
        set away [lose_a_follower]
        restart_node $away
        wait_until_back $away
        set other [lindex [lmap id [follower_ids] { if {$id == $away} continue; set id }] 0]
        kill_node $other
        assert_equal OK [insist [leader_id] SET two enough]
        restart_node $other
        wait_until_settled
        foreach id [node_ids] { restart_node $id }
        wait_until_settled
        assert_equal enough [insist $away GET two]
    }

    test {under load: it comes back, and nothing that was promised is broken} {
        set away [lose_a_follower]
        set load [start_load --ports [all_ports] --list 3 --own 3 --once 2 --counter 1]
        make_fall_off $away
        start_node $away
        wait_until_answers $away
        for {set i 0} {$i < 40 && ![adopted $away]} {incr i} { outgrow [leader] 3; hold 50 }
        set report [stop_load $load]
        wait_until_back $away
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown"
        assert {[dict get $report acked] > 100}
        assert_same_state $away
    }

    test {a member is told what becomes of its clients' requests when it starts again} {
        set away [lose_a_follower]
        start_node $away
        wait_until_answers $away
        set c [connect $away]
        set answered 0
        # Each of these is answered, or the connection ends: nothing is left open.
        while {![catch { $c -typed INCR asked } reply]} {
            assert {[string match :* $reply] || [says_not_done $reply] || [says_unknown $reply]} $reply
            incr answered [string match :* $reply]
        }
        $c -close
        wait_until_back $away
        assert {[insist $away GET asked] >= $answered}
        note "$answered answered before the end of the connection"
    }
}

start_cluster 1 $options {
    test {who joins a cluster whose log does not reach back to its beginning is sent the state} {
        leader_id
        fill_everything [node 0]
        outgrow [node 0] 40
        wait_for_condition 200 20 { [raft_field 0 raft_log_first_index] > 1 } else { fail "not cut" }
        foreach id {1 2} {
            assert_equal $id [add_node]
            wait_until_back $id
            wait_for_condition 400 25 { [string match *voter=1* [raft_field 0 raft_member$id]] } else {
                fail "node $id is no voter: [raft_info 0]"
            }
        }
        assert_same_state 2
    }
}

# A large state, sent slowly, so that there is time to do harm.
start_cluster 3 [concat $options {snapshot-bandwidth 4mb log-keep-entries 10}] {
    proc fill_much {c} {
        for {set i 0} {$i < 20} {incr i} { assert_equal +OK [$c -typed SET much:$i [random_bytes 300000]] }
        fill_everything $c
    }

    proc wait_until_chunks {id} {
        wait_for_condition 400 10 { [alive $id] && ([adopted $id] > 0 ||
            ![catch { raft_field $id raft_install_chunks } chunks] && $chunks > 3) } else {
            fail "nothing comes to node $id: [tail [node_log $id] 20]"
        }
    }

    test {both sides say how far it is} {
        fill_much [leader]
        set away [lose_a_follower]
        set leader [leader_id]
        restart_node $away
        wait_until_chunks $away
        assert_equal 1 [raft_field $away raft_install_in_progress]
        assert {[raft_field $away raft_install_bytes] > 0}
        assert {[raft_field $away raft_install_index] > 0}
        assert_match *,snapshot_index=*,snapshot_chunks=*,snapshot_bytes=* [raft_field $leader raft_member$away]
        assert_match {*snapshot*index*chunks*bytes*delivered*} [[node $leader] RAFT.STATUS]
        assert_match {*install*from*chunks*} [[node $away] RAFT.STATUS]
        wait_until_back $away
        assert_same_state $away
    }

    test {more is written while it is sent than the log may keep: one state is enough} {
        set away [lose_a_follower]
        set leader [leader_id]
        set caught_up [said $leader {has caught up}]
        restart_node $away
        wait_until_chunks $away
        outgrow [node $leader] 20
        wait_until_back $away
        assert_equal 1 [said $away {snapshot from node \d+: begins}]
        assert_equal 0 [said $away {given up}]
        wait_for_condition 100 50 { [said $leader {has caught up}] == $caught_up + 1 } else {
            fail "it has not caught up: [tail [node_log $leader] 10]"
        }
        wait_for_condition 100 50 { [raft_field $leader raft_log_bytes] < 7000000 } else { fail "its log is still kept" }
        assert_same_state $away
    }

    test {the member is killed again and again: it is only later} {
        set away [lose_a_follower]
        for {set i 0} {$i < 5} {incr i} {
            start_node $away
            wait_until_answers $away
            hold [expr {int(rand() * 1500)}]
            kill_node $away
        }
        make_fall_off $away
        forget_adoptions $away
        start_node $away
        wait_until_answers $away
        wait_until_back $away
        assert_same_state $away
    }

    test {the leader is killed again and again: another one sends it, from the beginning} {
        set away [lose_a_follower]
        start_node $away
        wait_until_answers $away
        set given_up 0
        for {set i 0} {$i < 5 && ![adopted $away]} {incr i} {
            hold [expr {int(rand() * 1000)}]
            set leader [leader_id]
            if {$leader == $away} break
            kill_node $leader
            start_node $leader
            wait_until_answers $leader
            leader_id
        }
        wait_for_condition 600 50 { [settled] } else { fail "node $away is not back: [tail [node_log $away] 20]" }
        note "[said $away {given up}] times given up, [adopted $away] times adopted"
        assert_same_state $away
    }

    test {the leadership moves: who began goes on, and nothing begins anew} {
        set away [lose_a_follower]
        set first [leader_id]
        restart_node $away
        wait_until_chunks $away
        set next [lindex [lmap id [follower_ids] { if {$id == $away} continue; set id }] 0]
        wait_for_condition 100 50 {
            [leader_id] == $next || ([catch { [leader] RAFT.TRANSFER_LEADER $next }] >= 0 && [leader_id] == $next)
        } else { fail "node $next does not lead" }
        wait_for_condition 200 25 { [said $first {snapshot to node \d+: goes on, though}] == 1 || [adopted $away] } else {
            fail "it does not go on: [tail [node_log $first] 5]"
        }
        wait_until_back $away
        assert_equal 1 [said $away {snapshot from node \d+: begins}]
        assert_equal 0 [said $away {given up}]
        assert_same_state $away
    }

    test {the connections break: it goes on where it was} {
        set away [lose_a_follower]
        set leader [leader_id]
        restart_node $away
        wait_until_chunks $away
        pause_node $away
        hold 600
        resume_node $away
        wait_until_back $away
        assert_same_state $away
    }
}
finish
