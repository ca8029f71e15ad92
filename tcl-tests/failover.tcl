# Leaders that die, stop, hang, or lose their followers.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc median {numbers} { return [lindex [lsort -integer $numbers] [expr {[llength $numbers] / 2}]] }

# Asks until the answer is a value; errors and broken connections are what a failover is made of.
proc eventually {id args} {
    wait_for_condition 400 10 { ![catch { [node $id] {*}$args } ::reply] } else {
        fail "$args does not succeed through node $id"
    }
    return $::reply
}

# An error reply must come, in time, and tell whether the command was done.
proc assert_refused_in_time {c limit_ms args} {
    set start [clock milliseconds]
    set reply [$c -typed {*}$args]
    set took [expr {[clock milliseconds] - $start}]
    assert_match -* $reply " to $args, which no majority can have confirmed"
    assert {[says_unknown $reply] || [says_not_done $reply]} "'$reply' tells whether it was done"
    assert {$took <= [slow $limit_ms]} "the answer took $took ms, the limit is $limit_ms ms"
    return $reply
}

start_cluster 3 {} {
    test {a write survives the loss of its leader} {
        set leader [leader_id]
        [node $leader] SET k v
        kill_node $leader
        assert_equal v [eventually [leader_id] GET k]
        restart_node $leader
        wait_until_settled
        assert_equal v [[node $leader] GET k]
    }

    test {after kill -9 of the leader under load the next write is soon accepted} {
        set times {}
        for {set try 0} {$try < 5} {incr try} {
            wait_until_settled
            set leader [leader_id]
            set load [start_load --ports [all_ports] --list 3 --own 2 --counter 1]
            hold 300
            kill_node $leader
            puts $load "mark kill"
            hold 1500
            restart_node $leader
            set report [stop_load $load]
            assert {[dict get $report first_ack_kill] ne "never"} "a write succeeded within 1.5 s"
            lappend times [dict get $report first_ack_kill]
        }
        note "[median $times] ms in the median of [lsort -integer $times]"
        assert {[median $times] <= [slow 1000]}
    }

    test {nothing acknowledged is lost when the leader dies under load} {
        set load [start_load --ports [all_ports] --list 4 --pipeline 2 --own 2 --counter 1 --once 2]
        for {set i 0} {$i < 3} {incr i} {
            hold 400
            set leader [leader_id]
            kill_node $leader
            hold 800
            restart_node $leader
        }
        set report [stop_load $load]
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown"
        assert {[dict get $report acked] > 500}
    }

    test {SIGTERM of the leader hands over: clients of followers see no error} {
        wait_until_settled
        set leader [leader_id]
        set ports [join [lmap id [follower_ids] { client_port $id }] ,]
        set load [start_load --ports $ports --list 4 --pipeline 2 --own 2 --counter 1 --stay]
        hold 500
        puts $load "mark term"
        kill_node $leader TERM
        hold 1000
        set report [stop_load $load]
        note "longest gap [dict get $report longest_gap_ms] ms"
        foreach field {unknown not_done reads_failed reconnects} {
            assert_equal 0 [dict get $report $field] " ($field)\n$report"
        }
        assert {[dict get $report longest_gap_ms] < [slow 1000]}
        restart_node $leader
    }

    test {all nodes die at once under load and come back with everything} {
        set load [start_load --ports [all_ports] --list 4 --own 2 --counter 1 --once 1]
        hold 800
        foreach id [node_ids] { set ::cluster::expected($id) down; signal_process [node_pid $id] KILL }
        foreach id [node_ids] { end_process [node_pid $id]; drop_client $id }
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        leader_id
        hold 300
        set report [stop_load $load]
        assert {[dict get $report acked] > 100}
    }

    test {all nodes stop in order and come back with everything} {
        [leader] SET before stop
        set size [[leader] DBSIZE]
        foreach id [node_ids] { kill_node $id TERM }
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        assert_equal stop [eventually 0 GET before]
        assert_equal $size [[leader] DBSIZE]
    }

    test {a leader whose followers have ended hands over to nobody} {
        wait_until_settled
        set leader [leader_id]
        set said [regexp -all {handing the leadership over} [read_file [node_log $leader]]]
        set followers [follower_ids]
        foreach id $followers { kill_node $id }
        wait_for_condition 400 10 { ![regexp {connected=1.*connected=1} [raft_info $leader]] } else {
            fail [raft_info $leader]
        }
        kill_node $leader TERM
        assert_equal $said [regexp -all {handing the leadership over} [read_file [node_log $leader]]]
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
    }

    test {terms only grow, also across kill -9 of all} {
        set before [lmap id [node_ids] { term $id }]
        foreach id [node_ids] { kill_node $id }
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        leader_id
        foreach id [node_ids] old $before { assert {[term $id] >= $old} }
    }
}

# ---- a leader that hangs ---------------------------------------------------------------------

start_cluster 3 {} {
    test {a leader that was stopped and goes on answers nothing stale} {
        wait_until_settled
        set old [leader_id]
        [node $old] SET k old
        # Sent before, so it may be answered with either; and sent while another leads, so it
        # must see what that one wrote.
        set early [connect $old]
        set late [connect $old]
        set writer [connect $old]
        pause_node $old
        $early -send GET k
        set new [leader_id]
        assert {$new != $old}
        eventually $new SET k new
        $late -send GET k
        $writer -send SET from-old x
        resume_node $old
        set reply [$late -readtyped]
        assert {$reply eq {"new"} || [says_not_done $reply] || [says_unknown $reply]} \
            "a read of the deposed leader answered $reply"
        assert {[$early -readtyped] in {{"old"} {"new"}}}
        set reply [$writer -readtyped]
        if {$reply eq "+OK"} {
            assert_equal x [eventually $new GET from-old]
        } else {
            assert {[says_not_done $reply] || [says_unknown $reply]}
        }
        foreach c [list $early $late $writer] { $c -close }
        assert_equal new [eventually $old GET k]
    }

    test {clients of a leader that hangs again and again see a linearizable store} {
        set load [start_load --ports [all_ports] --list 6 --pipeline 2 --own 2 --counter 1 \
            --once 1 --allow-hangs --timeout 4]
        for {set i 0} {$i < 4} {incr i} {
            hold 300
            set leader [leader_id]
            pause_node $leader
            hold 1200
            resume_node $leader
        }
        hold 300
        set report [stop_load $load]
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown"
        assert {[dict get $report acked] > 200}
    }

    test {a short stop of the leader, shorter than the election timeout, is no loss of it} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        for {set i 0} {$i < 5} {incr i} {
            pause_node $leader
            hold 120
            resume_node $leader
            hold 200
        }
        assert_equal $term [term $leader]
        assert_equal $leader [leader_id]
    }

    test {a follower that hangs does not disturb, and comes back without an election} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set other [follower_id]
        pause_node $other
        for {set i 0} {$i < 50} {incr i} { [node $leader] SET while-away:$i $i }
        hold 1500
        resume_node $other
        wait_until_settled
        assert_equal $term [term $leader] " (PreVote keeps a returning node from deposing it)"
        assert_equal 49 [[node $other] GET while-away:49]
    }

    test {a node that was away while others moved on catches up} {
        set other [follower_id]
        kill_node $other
        set c [connect [leader_id]]
        set commands {}
        for {set i 0} {$i < 5000} {incr i} { lappend commands [list SET away:$i $i] }
        $c -pipeline $commands
        foreach command $commands { $c -read }
        $c -close
        restart_node $other
        wait_until_settled
        assert_equal [dict get [info_fields [leader_id] keyspace] db0] \
            [dict get [info_fields $other keyspace] db0]
    }
}

# ---- no majority -----------------------------------------------------------------------------

start_cluster 3 {request-timeout 1500} {
    test {without a majority, writes and reads get an error in time} {
        wait_until_settled
        set leader [leader_id]
        lassign [follower_ids] a b
        [node $leader] SET k v
        set c [connect $leader]
        kill_node $a
        kill_node $b
        assert_refused_in_time $c 4000 SET k lost
        assert_refused_in_time $c 4000 GET k
        # By now it knows that it does not lead.
        set reply [assert_refused_in_time $c 4000 SET k lost2]
        assert {[says_not_done $reply]} "nobody leads: '$reply' should say not done"
        assert_refused_in_time $c 4000 INCR n
        # What needs no majority still works.
        assert_equal PONG [$c PING]
        assert_match *redis_version* [$c INFO server]
        $c -close
        set ::alone $leader
        set ::gone [list $a $b]
    }

    test {and the cluster recovers when the majority returns} {
        restart_node [lindex $::gone 0]
        set took [elapsed { eventually $::alone SET k back }]
        note "$took ms"
        assert_equal back [eventually [lindex $::gone 0] GET k]
        restart_node [lindex $::gone 1]
        wait_until_settled
        assert_equal back [[node [lindex $::gone 1]] GET k]
    }

    test {the same through a follower that is left alone} {
        wait_until_settled
        set leader [leader_id]
        lassign [follower_ids] left other
        set c [connect $left]
        kill_node $leader
        kill_node $other
        set reply [assert_refused_in_time $c 4000 SET k lost]
        assert_refused_in_time $c 4000 GET k
        $c -close
        restart_node $leader
        restart_node $other
        wait_until_settled
        assert_equal back [[node $left] GET k]
    }

    test {a request waits for an election instead of failing} {
        for {set i 0} {$i < 3} {incr i} {
            wait_until_settled
            set leader [leader_id]
            set c [connect [follower_id]]
            set reader [connect [follower_id]]
            kill_node $leader
            $c -send SET waited $i
            $reader -send GET k
            assert_equal {"back"} [$reader -readtyped]
            # A write that was on its way to the dead leader may be unknown; this one was sent
            # after its death.
            assert_equal +OK [$c -readtyped]
            $c -close
            $reader -close
            restart_node $leader
        }
    }
}

# An election would wait for at least one of these timeouts, which a slow machine needs for nothing else.
start_cluster 3 [list election-timeout [slow 2000]] {
    test {SIGTERM costs no election: another leads at once} {
        for {set i 0} {$i < 3} {incr i} {
            wait_until_settled
            set leader [leader_id]
            set other [lindex [follower_ids] 0]
            set c [connect $other]
            $c SET handover $i
            set took [elapsed { kill_node $leader TERM; $c SET handover after$i }]
            $c -close
            lappend all $took
            restart_node $leader
        }
        note "write after SIGTERM: $all ms"
        assert {[median $all] < [slow 1500]}
    }
}

# ---- other sizes -----------------------------------------------------------------------------

start_cluster 1 {} {
    test {a single node is a cluster} {
        assert_equal OK [[node 0] SET k v]
        assert_equal v [[node 0] GET k]
        assert_equal leader [raft_field 0 raft_role]
        kill_node 0
        restart_node 0
        assert_equal v [eventually 0 GET k]
        kill_node 0 TERM
        restart_node 0
        assert_equal v [eventually 0 GET k]
    }
}

start_cluster 5 {} {
    test {five nodes survive the loss of two} {
        set load [start_load --ports [all_ports] --list 4 --own 1 --counter 1 --once 1]
        hold 300
        for {set i 0} {$i < 2} {incr i} {
            kill_node [leader_id]
            hold 700
        }
        assert_equal 3 [llength [up_ids]]
        assert_equal OK [eventually [leader_id] SET five 3]
        foreach id [node_ids] { if {![alive $id]} { restart_node $id } }
        stop_load $load
        wait_until_settled
    }
}
finish
