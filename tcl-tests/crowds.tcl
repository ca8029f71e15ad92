# Strangers who take all places they can get: a member finds one, and so do the files of the store.
source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# `crowd.py` in the background; see there.
proc gather {ports count args} {
    set crowd [open "|[list [python] [file join $::tst::lib crowd.py] [join $ports ,] $count \
        {*}$args] 2>@ stderr" r+]
    fconfigure $crowd -buffering line
    reaper_tell add [pid $crowd] crowd.py
    assert_equal ready [gets $crowd]
    return $crowd
}

proc disperse {crowd} {
    set pid [pid $crowd]
    puts $crowd stop
    set report [read $crowd]
    close $crowd
    reaper_tell del $pid -
    return [string trim $report]
}

proc peer_ports {} { return [lmap id [node_ids] { peer_port $id }] }

# A majority is killed; with it everything depends on that nodes meet.
proc members_meet {} {
    set killed [lrange [concat [leader_id] [follower_ids]] 0 1]
    foreach id $killed { kill_node $id }
    foreach id $killed { start_node $id }
    foreach id $killed { wait_until_answers $id }
    wait_until_settled
    foreach id [node_ids] { assert_equal +OK [[node $id] -typed SET k $id] }
}

start_cluster 3 {peer-secret correct-horse} {
    test {members meet among two hundred strangers who say nothing, on each peer port} {
        wait_until_settled
        set crowd [gather [peer_ports] 200]
        members_meet
        note [disperse $crowd]
    }

    test {members meet among two hundred strangers who say a proper hello} {
        wait_until_settled
        set cluster [raft_field [leader_id] raft_cluster_id]
        set crowd [gather [peer_ports] 200 RR.HELLO 3 $cluster OTHER TARGET control \
            00112233445566778899aabbccddeeff 127.0.0.1:1]
        members_meet
        note [disperse $crowd]
    }
}
# Few descriptors: clients take all places that they are given, and nothing else goes without.
set ::cluster::environment {prlimit --nofile=360:360}
start_cluster 3 {requirepass sesame checkpoint-size 1mb rocksdb-memtable-size 1mb} {
    proc ask {connection args} { return [$connection -typed {*}$args] }

    test {four hundred clients who say nothing, under ulimit -n 360} {
        foreach id [node_ids] {
            set c($id) [connect $id]
            assert_equal +OK [ask $c($id) AUTH sesame]
        }
        wait_for_condition 200 25 { [ask $c(0) SET k v] eq "+OK" } else { fail "nobody leads" }
        foreach id [node_ids] {
            assert_match {*maxclients has been reduced to*} [read_file [node_log $id]]
            set fit [lindex [$c($id) CONFIG GET maxclients] 1]
            assert_match "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The\
                operating system is not able to handle the specified number of clients, try with $fit" \
                [ask $c($id) CONFIG SET maxclients 100000]
            assert_equal +OK [ask $c($id) CONFIG SET maxclients [expr {$fit - 1}]]
            assert_equal +OK [ask $c($id) CONFIG SET maxclients $fit]
        }
        set crowd [gather [lmap id [node_ids] { client_port $id }] 400]
        set late [resp::connect 127.0.0.1 [client_port 0]]
        assert_equal {-ERR max number of clients reached} [$late -typed PING]
        $late -close
        # Table files are written, opened and merged; a member leaves and comes back.
        for {set i 0} {$i < 60} {incr i} {
            assert_equal +OK [ask $c(0) SET key$i [string repeat $i 100000]]
        }
        kill_node 2
        start_node 2
        wait_for_condition 400 25 { [regexp -all {node [01] [^\n]*control connection is up} \
            [read_file [node_log 2]]] >= 4 } else { fail "node 2 does not meet the others" }
        for {set i 0} {$i < 60} {incr i 7} {
            assert_equal [string repeat $i 100000] [$c(0) GET key$i]
        }
        foreach id [node_ids] { assert {[alive $id]} "node $id lives" }
        note [disperse $crowd]
    }

    test {who comes when there is no descriptor at all is told so} {
        set id [lindex [node_ids] 2]
        wait_for_condition 200 25 { [set one [connect $id]; set said [ask $one AUTH sesame]; $one -close
            set said] eq "+OK" } else { fail "the crowd does not go away" }
        exec prlimit --pid [node_pid $id] --nofile=10:
        try {
            for {set i 0} {$i < 50} {incr i} {
                set one [connect $id]
                assert_equal {-ERR max number of clients reached} [$one -typed PING]
                $one -close
            }
        } finally {
            exec prlimit --pid [node_pid $id] --nofile=360:
        }
        set one [connect $id]
        assert_equal +OK [ask $one AUTH sesame]
        assert_match {*turning client connections away: Too many open files*} [read_file [node_log $id]]
    }
}
finish
