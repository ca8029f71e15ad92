# A disk that hangs without an error: tests/faults/hang.c, preloaded, lets no sync come back while the
# node's file nodeI.hang exists.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set library [file join $::tst::root build tcl hang.so]
file mkdir [file dirname $library]
exec cc -shared -fPIC -o $library [file join $::tst::root tests faults hang.c] -ldl

proc hang_file {id} { return [suite_dir].hang$id }
proc hang {id} { write_file [hang_file $id] {} }
proc unhang {id} { file delete [hang_file $id] }
foreach id {0 1 2} { unhang $id }

set ::cluster::environment {LD_PRELOAD=$::library HANG_FILE=[hang_file $id]}

start_cluster 3 [list election-timeout [slow 400] request-timeout [slow 5000]] {
    test {a leader whose disk hangs is followed by another, and serves through it} {
        assert_equal OK [[leader] SET before 1]
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        hang $leader
        set c [connect $leader]
        $c -send SET under-way 1
        set began [clock milliseconds]
        wait_for_condition 600 20 { [find_leader] ni [list {} $leader] } else {
            fail "node $leader still leads"
        }
        note "another leads after [expr {[clock milliseconds] - $began}] ms"
        assert {[says_unknown [$c -readtyped]]}
        $c -close
        # Any node serves, the one with the hanging disk too.
        foreach id [node_ids] {
            assert_equal OK [insist $id SET after$id 1]
            assert_equal 1 [insist $id GET after$id]
        }
        assert {[raft_field $leader raft_oldest_write_ms] > [slow 2000]}
        assert_equal 1 [regexp -all {no longer leader: the disk has finished no write} \
            [read_file [node_log $leader]]]
    }

    test {it does not campaign while it hangs, and catches up when its disk answers} {
        set hung [lindex [lmap id [node_ids] {
            if {![file exists [hang_file $id]]} continue; set id }] 0]
        set leader [leader_id]
        set term [term $leader]
        hold 3000
        assert_equal $leader [leader_id]
        assert_equal $term [term $leader]
        assert_equal follower [raft_field $hung raft_role]
        unhang $hung
        wait_until_settled
        assert_equal 0 [raft_field $hung raft_oldest_write_ms]
        assert_equal $leader [leader_id]
    }

    test {a follower whose disk hangs harms nobody} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set hung [follower_id]
        hang $hung
        foreach i {1 2 3 4 5 6} {
            assert_equal OK [[node $leader] SET f$i 1]
            hold 500
        }
        assert_equal $leader [leader_id]
        assert_equal $term [term $leader]
        unhang $hung
        wait_until_settled
    }
}
foreach id {0 1 2} { unhang $id }
finish
