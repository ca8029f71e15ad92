# What was found in other replicated stores, as tests of this one.  The numbers are those of the
# tracker of RedisRaft (the findings of Jepsen's analysis of 2020, and later ones) and of etcd.
# Some have their place in other suites: crossed replies (26) and head-of-line blocking (PR 34) in
# proxy.tcl, logs cut and overwritten (51) in divergence.tcl, lost writes (52) in killloop.tcl,
# messages for another node (bbd44d0) in hostile.tcl.  Those about changes of membership (17, 28,
# 30, 44, 48), transactions (25) and snapshots between nodes (33, 54) wait for these features.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc start_all {} {
    foreach id [node_ids] { if {![alive $id]} { start_node $id } }
    foreach id [node_ids] { wait_until_answers $id }
}

# As far as that goes under load.
proc wait_for_one_leader {} {
    wait_for_condition 400 25 { [llength [lsort -unique [lmap id [up_ids] {
        raft_field $id raft_leader_id }]]] == 1 } else { fail "no common leader" }
}

proc fill {c count prefix} {
    set commands {}
    for {set i 0} {$i < $count} {incr i} { lappend commands [list SET $prefix:$i $prefix-value-$i] }
    $c -pipeline $commands
    foreach command $commands { $c -read }
}

start_cluster 3 {} {
    test {RedisRaft 13: a command sent to a follower is applied once, not for ever} {
        wait_until_settled
        foreach id [node_ids] { assert_equal 3 [[node $id] APPEND thirteen:$id abc] }
        wait_until_settled
        set index [raft_field [leader_id] raft_commit_index]
        hold 500
        assert_equal $index [raft_field [leader_id] raft_commit_index] " (the log grows at rest)"
        foreach id [node_ids] { assert_equal abc [[node $id] GET thirteen:$id] }
    }

    test {RedisRaft 14: a failover loses no data, followers have applied it} {
        fill [leader] 500 fourteen
        wait_until_settled
        foreach id [node_ids] { assert_match keys=503,* [dict get [info_fields $id keyspace] db0] }
        set old [leader_id]
        kill_node $old
        set new [leader_id]
        for {set i 0} {$i < 500} {incr i 7} {
            assert_equal fourteen-value-$i [insist $new GET fourteen:$i]
        }
        restart_node $old
    }

    test {RedisRaft 18: no empty values after a restart, however early one asks} {
        wait_until_settled
        fill [leader] 300 eighteen
        foreach round {1 2 3} {
            foreach id [node_ids] { kill_node $id }
            foreach id [node_ids] { start_node $id }
            set answers 0
            set deadline [expr {[clock milliseconds] + [slow 8000]}]
            while {$answers < 300 && [clock milliseconds] < $deadline} {
                foreach id [node_ids] {
                    set i [expr {$answers % 300}]
                    if {[catch { [node $id] -typed GET eighteen:$i } reply]} continue
                    if {[string index $reply 0] eq "-"} continue
                    assert_equal "\"eighteen-value-$i\"" $reply " through node $id"
                    incr answers
                }
            }
            assert {$answers >= 300}
        }
    }

    test {RedisRaft 19, etcd 20418: no stale read while leaders are stopped and go on} {
        wait_until_settled
        set load [start_load --ports [all_ports] --list 9 --keys 2 --allow-hangs --timeout 3]
        for {set i 0} {$i < 6} {incr i} {
            # Also two at a time, and for times around the election timeout.
            set victims [lrange [concat [leader_id] [follower_ids]] 0 [expr {$i % 2}]]
            foreach id $victims { pause_node $id }
            hold [lindex {350 450 700 900} [expr {$i % 4}]]
            foreach id $victims { resume_node $id }
            hold 250
        }
        set report [stop_load $load]
        note "[dict get $report reads] reads"
        assert {[dict get $report reads] > 100}
    }

    test {etcd 21378: reads under way during a change of leader are not stale} {
        wait_until_settled
        set load [start_load --ports [all_ports] --list 9 --keys 2]
        for {set i 0} {$i < 4} {incr i} {
            hold 200
            set leader [leader_id]
            kill_node $leader TERM
            hold 150
            restart_node $leader
            wait_for_one_leader
        }
        set report [stop_load $load]
        note "[dict get $report reads] reads"
        assert {[dict get $report reads] > 200}
    }

    test {RedisRaft 21: no node of a healthy cluster insists that there is no leader} {
        foreach order {{0 1 2} {2 1 0} {1 0 2}} {
            foreach id $order {
                kill_node $id
                hold 100
                start_node $id
            }
            start_all
            foreach id [node_ids] {
                set took [elapsed { assert_equal OK [insist $id SET twentyone $id] }]
                assert {$took < [slow 3000]} "node $id needed $took ms"
            }
        }
        # Alone, then with the others back.
        lassign [follower_ids] a b
        set leader [leader_id]
        foreach id [list $a $b] { kill_node $id }
        hold 1500
        start_all
        foreach id [node_ids] { insist $id SET twentyone again }
    }

    test {RedisRaft 50: connections between nodes that break at every stage} {
        wait_until_settled
        set leader [leader_id]
        set other [follower_id]
        set cluster [raft_field $leader raft_cluster_id]
        set hello [resp::encode [list RR.HELLO 3 $cluster $other $leader control \
            00112233445566778899aabbccddeeff 127.0.0.1:1]]
        set size [string length $hello]
        for {set at 0} {$at <= $size} {incr at 5} {
            set fd [socket 127.0.0.1 [peer_port $leader]]
            fconfigure $fd -translation binary
            puts -nonewline $fd [string range $hello 0 [expr {$at - 1}]]
            close $fd
        }
        # And nodes that go away at any moment of their start.
        for {set i 0} {$i < 12} {incr i} {
            kill_node $other
            start_node $other
            after [expr {$i * 15}]
        }
        wait_until_answers $other
        wait_until_settled
        assert {[alive $leader]}
    }

    test {RedisRaft 53: a follower that restarts again and again under load finds its place} {
        set other [follower_id]
        set ports [join [lmap id [node_ids] { if {$id == $other} continue; client_port $id }] ,]
        set load [start_load --ports $ports --pipeline 3 --own 2]
        for {set i 0} {$i < 10} {incr i} {
            hold 150
            restart_node $other
        }
        stop_load $load
        wait_until_settled
        assert_equal [dict get [info_fields [leader_id] keyspace] db0] \
            [dict get [info_fields $other keyspace] db0]
    }

    test {RedisRaft PR 32: proxying leaks no memory} {
        wait_until_settled
        set id [follower_id]
        set c [connect $id]
        proc many {c count} {
            set batch [lrepeat 500 {SET leak 0123456789012345678901234567890123456789}]
            for {set i 0} {$i < $count} {incr i 500} {
                $c -pipeline $batch
                foreach command $batch { $c -read }
            }
        }
        many $c 20000
        set before [process_rss_mb [node_pid $id]]
        many $c 60000
        set after [process_rss_mb [node_pid $id]]
        note "RSS $before -> $after MB in 60000 commands"
        # 60000 leaked commands and replies would be some 20 MB and more; the log's memtable may grow.
        assert {$after - $before < [slow 60]}
        $c -close
    }
}

start_cluster 3 {request-timeout 600} {
    test {RedisRaft 23: what was answered as not done is never done, however it is forced} {
        wait_until_settled
        set load [start_load --ports [all_ports] --list 6 --pipeline 2 --counter 1 --own 1 --delay 2]
        for {set i 0} {$i < 3} {incr i} {
            hold 200
            # No majority for longer than a request may wait.
            lassign [concat [follower_ids] [leader_id]] a b leader
            kill_node $a
            kill_node $b
            hold 1300
            if {$i == 1} { kill_node $leader }
            start_all
            leader_id
        }
        hold 300
        set report [stop_load $load]
        note "[dict get $report not_done] not done, [dict get $report unknown] unknown"
        assert {[dict get $report not_done] > 0} "there were refusals to judge"
    }
}

start_cluster 3 {checkpoint-size 64kb log-keep-entries 0 log-retention-bytes 8mb
    rocksdb-memtable-size 1mb} {
    # More than the log may keep.
    proc outgrow {c} {
        set value [string repeat v 500000]
        for {set i 0} {$i < 30} {incr i} { assert_equal +OK [$c -typed SET outgrow:[expr {$i % 5}] $value$i] }
    }

    test {RedisRaft 42, 43: the log is cut under load, and every restart finds log and data in step} {
        set load [start_load --ports [all_ports] --pipeline 2 --own 3 --big --delay 1]
        for {set i 0} {$i < 6} {incr i} {
            hold 200
            set c [connect [leader_id]]
            outgrow $c
            $c -close
            wait_for_condition 200 20 { [llength [lsort -unique [lmap id [node_ids] {
                expr {[raft_field $id raft_log_first_index] > 1} }]]] == 1 } else {
                fail "not cut: [lmap id [node_ids] { raft_field $id raft_log_first_index }]"
            }
            restart_node [expr {$i % 3}]
            if {$i == 3} { foreach id [node_ids] { kill_node $id }; start_all }
        }
        set report [stop_load $load]
        wait_until_settled
        foreach id [node_ids] {
            assert {[raft_field $id raft_log_first_index] > 1} "the log of node $id was cut"
            assert_match *fell_off=0* [raft_field [leader_id] raft_member$id]
            assert {[[node $id] GET outgrow:4] eq "[string repeat v 500000]29"}
        }
        note "[dict get $report acked] writes, log from [raft_field 0 raft_log_first_index]\
            to [raft_field 0 raft_log_last_index]"
    }

    test {RedisRaft 52: term and vote survive the cutting of the log} {
        wait_until_settled
        set before [lmap id [node_ids] { term $id }]
        fill [leader] 2000 fiftytwo
        outgrow [leader]
        foreach id [node_ids] { kill_node $id }
        # Each alone: nobody can tell it a term but its own disk.
        foreach id [node_ids] old $before {
            start_node $id
            wait_until_answers $id
            assert {[term $id] >= $old} "node $id remembers its term"
            kill_node $id
        }
        start_all
        assert_equal fiftytwo-value-1999 [insist [leader_id] GET fiftytwo:1999]
        assert_equal fiftytwo-value-0 [insist [follower_id] GET fiftytwo:0]
    }
}
finish
