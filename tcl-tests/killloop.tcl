# Nodes killed with -9 again and again under load: nothing acknowledged is lost, nothing is done
# twice, reads are linearizable, and in the end all nodes hold the same.
#
#     KILLS=55 (how many; `make soak-cluster` sets more or HOURS=)    SEED=number (which nodes, when)

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set kills [expr {[info exists ::env(KILLS)] ? $::env(KILLS) : 55}]
set end [expr {[info exists ::env(HOURS)] ? [clock seconds] + int($::env(HOURS) * 3600) : 0}]
set seed [expr {[info exists ::env(SEED)] ? $::env(SEED) : [pid]}]
expr {srand($seed)}
proc below {limit} { return [expr {int(rand() * $limit)}] }

proc shuffled {list} {
    set out {}
    foreach item $list { set out [linsert $out [below [expr {[llength $out] + 1}]] $item] }
    return $out
}

# All keys and values of the node's own state: it is made the leader, so that it is its own state
# that answers.  The others get long election timeouts for that.
proc digest_of {id} {
    # All at once, with equal logs: a handover would leave the first with the shorter log, which cannot
    # win.
    wait_for_condition 100 100 {
        [llength [lsort -unique [lmap other [node_ids] {
            raft_field $other raft_durable_index
        }]]] == 1
    } else { fail "the logs do not become equal" }
    foreach other [node_ids] { if {[alive $other]} { kill_node $other } }
    start_node $id
    foreach other [node_ids] {
        if {$other != $id} { start_node $other {election-timeout 8000 heartbeat-interval 50} }
    }
    foreach other [node_ids] { wait_until_answers $other }
    assert_equal $id [leader_id] " (the node that is to show its state leads)"
    set c [connect $id 30000]
    set cursor 0
    set rows {}
    while {1} {
        lassign [$c SCAN $cursor COUNT 1000] cursor keys
        if {[llength $keys]} {
            foreach key $keys value [$c MGET {*}$keys] { dict set rows $key [zlib crc32 $value] }
        }
        if {$cursor == 0} break
    }
    assert_equal [$c DBSIZE] [dict size $rows]
    $c -close
    set text {}
    foreach key [lsort [dict keys $rows]] { append text "$key [dict get $rows $key]\n" }
    return "[dict size $rows] keys, crc [format %08x [zlib crc32 $text]]"
}

test {the judge finds planted faults (a lost write, one done twice, out of order, stale reads, ...)} {
    assert_equal "self-test passed" [exec [python] [file join $::tst::lib load.py] --self-test]
}

start_cluster 3 {checkpoint-size 1mb rocksdb-memtable-size 1mb log-keep-entries 1000} {
    test "$kills kills of random nodes under load (seed $seed)" {
        leader_id
        set load [start_load --ports [all_ports] --list 4 --pipeline 2 --own 2 --big --counter 1 \
            --once 1 --echo 2 --delay 1]
        set start [clock seconds]
        set counts [dict create one 0 two 0 all 0]
        set killed 0
        set verified 0
        while {$killed < $kills || [clock seconds] < $end} {
            # Mostly one, sometimes two (the majority is lost), sometimes all.
            set how [below 12]
            set victims [lrange [shuffled [node_ids]] 0 [expr {$how == 0 ? 2 : $how <= 2 ? 1 : 0}]]
            # Every other time the leader is among them.
            if {[below 2] && [set leader [find_leader]] ne {} && $leader ni $victims} {
                lset victims 0 $leader
            }
            dict incr counts [lindex {one two all} [expr {[llength $victims] - 1}]]
            foreach id $victims {
                signal_process [node_pid $id] KILL
                set ::cluster::expected($id) down
                incr killed
            }
            foreach id $victims { end_process [node_pid $id]; drop_client $id }
            after [below 700]
            foreach id $victims { start_node $id }
            # Sometimes it is killed again while it recovers.
            if {[below 6] == 0} {
                set id [lindex $victims 0]
                after [below 60]
                kill_node $id
                incr killed
                start_node $id
            }
            foreach id $victims { wait_until_answers $id }
            if {[below 2]} {
                # Half of the time everybody gets well in between.
                leader_id
                after [below 1000]
            }
            if {$killed / 15 > $verified} {
                set verified [expr {$killed / 15}]
                leader_id
                puts $load verify
                assert_equal "verified 0" [gets $load] " violations so far, after $killed kills"
            }
        }
        leader_id
        set report [stop_load $load]
        note "$killed kills in [expr {[clock seconds] - $start}] s ($counts), [dict get $report acked]\
            acknowledged, [dict get $report unknown] unknown, [dict get $report not_done] not done,\
            [dict get $report reads] reads, longest gap [dict get $report longest_gap_ms] ms"
        assert {[dict get $report acked] > 50 * $killed} "there was load"
    }

    test {afterwards all nodes agree: the same keys and values in each one's own state} {
        wait_until_settled
        assert_equal 1 [llength [lsort -unique [lmap id [node_ids] {
            dict get [info_fields $id keyspace] db0 }]]] " [lmap id [node_ids] { info_fields $id keyspace }]"
        set digests [lmap id [node_ids] { digest_of $id }]
        note [lindex $digests 0]
        assert_equal 1 [llength [lsort -unique $digests]] "\n[join $digests \n]"
    }
}
finish
