# Deadlines of keys, with real processes whose wall clocks are hours apart (see clocks.tcl): keys end by
# the cluster's time, on every node, and what is gone stays gone when the leader dies.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib wrong_clocks.tcl]

# Keys that are stored on this node, read or not.
proc stored {id} {
    set fields [info_fields $id keyspace]
    if {![dict exists $fields db0]} { return 0 }
    regexp {keys=(\d+)} [dict get $fields db0] -> keys
    return $keys
}

proc wait_until_stored {keys} {
    foreach id [up_ids] {
        wait_for_condition 200 10 { [stored $id] == $keys } else {
            fail "node $id has [stored $id] keys, not $keys"
        }
    }
}

set_clocks 0 3720 7440
start_cluster 3 [list election-timeout [slow 400]] {
    test {nodes 62 minutes apart: a key ends at its time, for readers of any node} {
        foreach id [node_ids] {
            assert_equal OK [[node $id] SET k v PX 300]
            foreach other [node_ids] {
                set left [[node $other] PTTL k]
                assert {$left <= 300} $left
            }
            hold 320
            foreach other [node_ids] {
                assert_equal {} [[node $other] GET k]
                assert_equal -2 [[node $other] TTL k]
            }
        }
        wait_until_stored 0
        foreach id [node_ids] {
            assert_equal 3 [dict get [info_fields $id stats] expired_keys]
        }
    }

    test {nobody has to ask: keys of all databases end on all nodes} {
        foreach i {1 2 3 4 5 6 7 8 9 10} { [leader] SET key$i v PX [expr {20 * $i}] }
        [leader] SET stays v
        wait_until_stored 1
        assert_equal v [[follower] GET stays]
    }

    test {a failover changes nothing: what ended has ended, what is left has its time} {
        foreach round {1 2 3} {
            insist [leader_id] SET short v PX 150
            insist [leader_id] SET long v EX 1000
            hold 200
            set old [leader_id]
            assert_equal {} [[node $old] GET short]
            kill_node $old
            foreach id [up_ids] {
                assert_equal {} [insist $id GET short]
                assert_equal v [insist $id GET long]
                set left [insist $id TTL long]
                assert {$left > 900 && $left <= 1000} $left
            }
            restart_node $old
            wait_until_settled
        }
        wait_until_stored 2
    }
}

set_clocks 0 0 0
start_cluster 3 [list election-timeout [slow 400]] {
    test {a leader whose clock runs an hour ahead ends nothing early} {
        insist [leader_id] SET k v EX 600
        set leader [leader_id]
        turn_clock $leader 3700
        hold 300
        assert_equal v [[node $leader] GET k]
        set left [[node $leader] TTL k]
        assert {$left > 500 && $left <= 600} $left
        assert_equal $leader [leader_id] " (the same leader)"
        assert_equal OK [[node $leader] SET short v PX 100]
        hold 150
        assert_equal {} [[follower] GET short]
        turn_clock $leader 0
    }

    test {and one whose clock is an hour behind ends them in time} {
        set leader [leader_id]
        turn_clock $leader -3700
        hold 300
        assert_equal OK [[node $leader] SET short v PX 100]
        hold 150
        assert_equal {} [[node $leader] GET short]
        turn_clock $leader 0
    }

    test {a majority's clocks an hour on: then it is time} {
        foreach id [node_ids] { turn_clock $id 3700 }
        wait_for_condition 100 20 { [[leader] GET k] eq {} } else { fail "k is still there" }
        wait_until_stored 0
    }
}
finish
