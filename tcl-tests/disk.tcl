# A disk that hangs without an error: tests/faults/hang.c, preloaded, lets no sync come back while the
# node's file nodeI.hang exists, and no read while nodeI.hang-reads does.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set library [file join $::tst::root build tcl hang.so]
file mkdir [file dirname $library]
exec cc -shared -fPIC -o $library [file join $::tst::root tests faults hang.c] -ldl

proc hang_file {id} { return [suite_dir].hang$id }
proc hang {id} { write_file [hang_file $id] {} }
proc unhang {id} { file delete [hang_file $id] }
proc reads_file {id} { return [suite_dir].hang-reads$id }
proc hang_reads {id} { write_file [reads_file $id] {} }
proc unhang_reads {id} { file delete [reads_file $id] }
foreach id {0 1 2} { unhang $id; unhang_reads $id }

set ::cluster::environment {LD_PRELOAD=$::library HANG_FILE=[hang_file $id] \
    HANG_READS_FILE=[reads_file $id]}

# Who leads, if it is not `id`, which may not answer.
proc leader_but {id} {
    foreach other [node_ids] {
        if {$other != $id && ![catch { raft_field $other raft_role } role] && $role eq {leader}} {
            return $other
        }
    }
}

proc match_of {leader id} {
    regexp {match=(\d+)} [raft_field $leader raft_member$id] -> match
    return $match
}

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
        assert {[raft_field $leader raft_oldest_write_ms] >= [slow 2000]}
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

# What a GET needs and memory does not hold is read by the loop's own thread: while that hangs, the node is
# like one that sleeps.  The bound is the others' election timeout.
start_cluster 3 [list election-timeout [slow 400] request-timeout [slow 5000] rocksdb-cache-size 8mb \
                     rocksdb-memtable-size 1mb checkpoint-size 64kb] {
    test {a leader that waits for a read of its disk is followed by another} {
        for {set i 0} {$i < 60} {incr i} {
            assert_equal OK [[leader] SET key:$i [string repeat v 200000]]
        }
        wait_until_settled
        set leader [leader_id]
        hang_reads $leader
        set asking {}
        for {set i 0} {$i < 60} {incr i} {
            set c [connect $leader]
            $c -send GET key:$i
            lappend asking $c
        }
        set began [clock milliseconds]
        wait_for_condition 600 20 { [leader_but $leader] ne {} } else { fail "nobody else leads" }
        note "another leads after [expr {[clock milliseconds] - $began}] ms"
        set other [leader_but $leader]
        assert_equal OK [insist $other SET meanwhile 1]
        assert_equal [string repeat v 200000] [insist $other GET key:1]
        unhang_reads $leader
        wait_until_settled
        foreach c $asking { $c -close }
        foreach id [node_ids] { assert_equal 1 [insist $id GET meanwhile] }
    }
}
foreach id {0 1 2} { unhang $id; unhang_reads $id }

# What a member lacks is read by a thread of its own.  While that hangs nobody else waits.
set ::cluster::environment {LD_PRELOAD=$::library HANG_FILE=[hang_file $id] \
    HANG_READS_FILE=[reads_file $id] HANG_READS_OF=log-reader}
start_cluster 3 [list election-timeout [slow 400] request-timeout [slow 5000] \
                     rocksdb-memtable-size 1mb log-retention-bytes 1gb] {
    test {a leader whose log reader hangs serves all but the member that is behind} {
        set leader [leader_id]
        set away [follower_id]
        kill_node $away
        for {set i 0} {$i < 90} {incr i} {
            assert_equal OK [[leader] SET key:[expr {$i % 5}] [string repeat v 1000000]]
        }
        set last [raft_field $leader raft_log_last_index]
        set term [term $leader]
        hang_reads $leader
        start_node $away
        hold 1500
        foreach i {1 2 3} { assert_equal OK [[node $leader] SET after$i 1] }
        assert {[match_of $leader $away] < $last}
        assert_equal $term [term $leader]
        unhang_reads $leader
        wait_for_condition 600 20 { [match_of $leader $away] >= $last } else {
            fail "it does not catch up"
        }
        assert_equal $term [term $leader]
    }
}
foreach id {0 1 2} { unhang $id; unhang_reads $id }
# Nor does anybody read the disk who asks how the cluster is: monitors do that all the time.
set ::cluster::environment {LD_PRELOAD=$::library HANG_FILE=[hang_file $id] \
    HANG_READS_FILE=[reads_file $id] HANG_READS_OF=loop}
start_cluster 3 [list election-timeout [slow 400] request-timeout [slow 5000] rocksdb-cache-size 8mb \
                     checkpoint-size 64kb] {
    test {who asks how the cluster is does not wait for the disk, whatever was written} {
        for {set i 0} {$i < 60} {incr i} {
            assert_equal OK [[leader] SET key:$i [string repeat v 20000]]
        }
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        foreach id [node_ids] { hang_reads $id }
        # Keys that are on the disk alone: nobody has looked yet whether they are new.
        for {set i 0} {$i < 20} {incr i} { assert_equal OK [[node $leader] SET key:$i new] }
        foreach id [node_ids] {
            set c [connect $id [slow 3000]]
            set began [clock milliseconds]
            foreach words {RAFT.STATUS ROLE {HELLO 2} {INFO raft} {INFO replication}
                           {INFO persistence} PING} {
                assert {[$c {*}$words] ne {}}
            }
            note "node $id: [expr {[clock milliseconds] - $began}] ms"
            $c -close
        }
        assert_equal $leader [leader_id]
        assert_equal $term [term $leader]
        foreach id [node_ids] { unhang_reads $id }
        foreach id [node_ids] { assert_equal new [insist $id GET key:3] }
        assert_equal 60 [[leader] DBSIZE]
    }
}
foreach id {0 1 2} { unhang $id; unhang_reads $id }
finish
