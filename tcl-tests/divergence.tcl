# Logs that part: what a deposed leader had appended and nobody else, vanishes and is overwritten,
# and whoever asked for it has been told that the outcome is unknown.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# Leaves the leader alone with writes that only it has, then replaces it.  `how` is kill or pause.
# Gives the old leader and the connection of the ghosts.
proc make_ghosts {how count size} {
    wait_until_settled
    set old [leader_id]
    lassign [follower_ids] a b
    [node $old] SET real before
    set ghost [connect $old]
    kill_node $a
    kill_node $b
    # Appended there and nowhere else: the others are dead before it is sent.
    for {set i 0} {$i < $count} {incr i} {
        $ghost -send SET ghost:$i [string repeat g $size]
    }
    $ghost -send SET real ghost
    # (It does not take them without end, and steps down soon.)
    set before [raft_field $old raft_commit_index]
    wait_for_condition 100 10 { [raft_field $old raft_log_last_index] > $before + 10 } else {
        fail "the lone leader did not append the ghosts"
    }
    if {$how eq "kill"} { kill_node $old } else { pause_node $old }
    start_node $a
    start_node $b
    wait_until_answers $a
    wait_until_answers $b
    set new [leader_id]
    assert {$new in [list $a $b]}
    return [list $old $new $ghost]
}

proc assert_no_ghosts {count} {
    wait_until_settled
    foreach id [node_ids] {
        for {set i 0} {$i < $count} {incr i} {
            assert_equal nil [[node $id] -typed GET ghost:$i] " (ghost:$i through node $id)"
        }
        assert_equal after [[node $id] GET real]
    }
    assert_equal 1 [llength [lsort -unique [lmap id [node_ids] {
        dict get [info_fields $id keyspace] db0
    }]]] " state of the nodes' own: [lmap id [node_ids] { info_fields $id keyspace }]"
}

start_cluster 3 {} {
    test {what only a killed leader had vanishes when it comes back} {
        lassign [make_ghosts kill 20 10] old new ghost
        assert_equal OK [[node $new] SET real after]
        catch { $ghost -close }
        restart_node $old
        assert_no_ghosts 20
    }

    test {what only a hanging leader had vanishes when it goes on, and its client learns it} {
        lassign [make_ghosts pause 20 10] old new ghost
        assert_equal OK [[node $new] SET real after]
        resume_node $old
        # 21 answers, none of which may claim success; nor may those that were appended (at least
        # ten) say that nothing was done.
        for {set i 0} {$i < 21} {incr i} {
            set reply [$ghost -readtyped]
            assert {[says_unknown $reply] || ($i > 10 && [says_not_done $reply])} \
                "answer $i to a write that was appended: $reply"
        }
        $ghost -close
        assert_no_ghosts 20
    }

    test {many and large ghosts, and more real entries than ghosts} {
        lassign [make_ghosts kill 200 20000] old new ghost
        for {set i 0} {$i < 500} {incr i} { [node $new] SET other:$i $i }
        assert_equal OK [[node $new] SET real after]
        catch { $ghost -close }
        restart_node $old
        assert_no_ghosts 200
        assert_equal 499 [[node $old] GET other:499]
    }

    test {ghosts of two leaders, one after the other} {
        lassign [make_ghosts kill 12 10] first second ghost
        catch { $ghost -close }
        # The second leader is left alone, too, with ghosts of its own.
        wait_until_settled
        set leader [leader_id]
        set other [follower_id]
        set ghost [connect $leader]
        kill_node $other
        $ghost -send SET ghost:0 second
        $ghost -send SET ghost:7 second
        set before [raft_field $leader raft_commit_index]
        wait_for_condition 100 10 { [raft_field $leader raft_log_last_index] >= $before + 2 } else {
            fail "the lone leader did not append the ghosts"
        }
        kill_node $leader
        catch { $ghost -close }
        # First (with the first ghosts, of a lower term) and the other one elect among themselves.
        start_node $first
        start_node $other
        wait_until_answers $first
        wait_until_answers $other
        set new [leader_id]
        # Were the first's ghosts longer, they may now be taken over: that is allowed, their
        # outcome was unknown.  What must not be is that nodes differ.
        assert_equal OK [[node $new] SET real after]
        restart_node $leader
        wait_until_settled
        foreach key {ghost:0 ghost:1 ghost:4 ghost:7 real} {
            assert_equal 1 [llength [lsort -unique [lmap id [node_ids] { [node $id] -typed GET $key }]]]
        }
        assert_equal nil [[leader] -typed GET ghost:7]
        assert_equal 1 [llength [lsort -unique [lmap id [node_ids] {
            dict get [info_fields $id keyspace] db0
        }]]]
    }

    test {kill -9 in the middle of it all, ten times, ends with equal nodes} {
        set load [start_load --ports [all_ports] --list 4 --pipeline 4 --own 2 --big --allow-hangs \
            --timeout 4]
        for {set i 0} {$i < 5} {incr i} {
            hold 250
            # Followers first, so that the leader is left with what nobody else has.
            set leader [leader_id]
            lassign [follower_ids] a b
            kill_node $a
            kill_node $b
            hold 50
            kill_node $leader
            start_node $a
            start_node $b
            wait_until_answers $a
            wait_until_answers $b
            hold 600
            restart_node $leader
        }
        set report [stop_load $load]
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown"
        assert {[dict get $report unknown] > 0} "the test had the outcomes it is about"
        wait_until_settled
    }
}
finish
