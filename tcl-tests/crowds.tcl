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
finish
