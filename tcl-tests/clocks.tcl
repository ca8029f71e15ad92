# Wall clocks that are wrong: an exactly-once receipt ends after an hour of the cluster's time, not of
# any node's (lib/wrong_clocks.tcl).

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib wrong_clocks.tcl]

proc offset_of {leader id} {
    set member [raft_field $leader raft_member$id]
    return [expr {[regexp {clock_offset_ms=(-?\d+)} $member -> ms] ? $ms : {}}]
}

proc count_lines {id text} { return [regexp -all -- $text [read_file [node_log $id]]] }

set ten_years [expr {10 * 365 * 86400}]

set_clocks 0 0 0
start_cluster 3 [list election-timeout [slow 400]] {
    test {a leader whose clock is an hour ahead ends no receipt} {
        assert_equal 1 [[leader] ONCE w 1 INCR j]
        set leader [leader_id]
        turn_clock $leader 3700
        hold 300
        assert_equal 1 [[node $leader] ONCE w 1 INCR j]
        assert_equal 1 [[node $leader] GET j]
        assert_equal $leader [leader_id] " (the same leader)"
    }

    test {INFO and the log say so, once} {
        set leader [leader_id]
        hold 500
        assert {abs([offset_of $leader $leader] - 3700000) < 2500} [offset_of $leader $leader]
        foreach id [follower_ids] { assert {abs([offset_of $leader $id]) < 500} }
        assert_equal 1 [count_lines $leader "the clock of node $leader is 3\[67\]\\d+ ms ahead"]
        turn_clock $leader 0
        wait_for_condition 100 20 {
            [count_lines $leader "the clock of node $leader agrees"] == 1
        } else { fail "its return was not logged" }
    }

    test {all clocks ten years on and back: receipts stay, and time goes on} {
        assert_equal 2 [[leader] ONCE w 2 INCR j]
        foreach id [node_ids] { turn_clock $id $ten_years }
        hold 300 ;# the answers to heartbeats say so
        assert_equal 3 [[leader] ONCE later 1 INCR j]
        foreach id [node_ids] { turn_clock $id 0 }
        hold 300
        assert_equal 3 [[leader] ONCE later 1 INCR j]
        assert_equal 4 [[leader] ONCE later 2 INCR j]
    }
}

set_clocks 0 3720 7440
start_cluster 3 [list election-timeout [slow 400]] {
    test {nodes 62 minutes apart: a repetition after a failover is not executed} {
        foreach round {1 2 3} {
            set id [expr {10 * $round}]
            assert_equal $round [insist [leader_id] ONCE w $id INCR j]
            set old [leader_id]
            kill_node $old
            assert_equal $round [insist [leader_id] ONCE w $id INCR j]
            assert_equal $round [insist [leader_id] GET j]
            restart_node $old
            wait_until_settled
        }
    }
}
finish
