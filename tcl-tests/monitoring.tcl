# What operators and their tools see: addresses, INFO, the log file.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# slaveN lines of the leader, each a dictionary.
proc slaves {} {
    set slaves {}
    dict for {name line} [info_fields [leader_id] replication] {
        if {![regexp {^slave[0-9]+$} $name]} continue
        lappend slaves [concat {*}[lmap pair [split $line ,] { split $pair = }]]
    }
    return $slaves
}
proc slave_lag {} { return [lmap slave [slaves] { dict get $slave lag }] }

start_cluster 3 {} {
    test {INFO replication: lag is seconds since a member answered, a member that is gone is not listed} {
        wait_until_settled
        [leader] SET k v
        wait_for_condition 100 50 { [llength [slaves]] == 2 } else { fail "slaves: [slaves]" }
        foreach slave [slaves] {
            assert_equal online [dict get $slave state]
            assert_equal 127.0.0.1 [dict get $slave ip]
            assert {[dict get $slave port] in [lmap id [follower_ids] { client_port $id }]}
        }
        wait_for_condition 100 50 { [slave_lag] eq {0 0} } else { fail "lag: [slave_lag]" }
        set quiet [follower_id]
        pause_node $quiet
        wait_for_condition 100 50 { [lindex [lsort -integer [slave_lag]] end] >= 1 } else { fail "lag: [slave_lag]" }
        assert_equal 2 [llength [slaves]]
        resume_node $quiet
        wait_for_condition 100 50 { [slave_lag] eq {0 0} } else { fail "lag: [slave_lag]" }
        kill_node $quiet
        wait_for_condition 100 50 { [llength [slaves]] == 1 } else { fail "slaves: [slaves]" }
        assert_equal 1 [dict get [info_fields [leader_id] replication] connected_slaves]
        # Also of a leader that has never heard of it.
        set old [leader_id]
        [leader] SET k w
        restart_node $quiet
        wait_until_settled
        kill_node $old
        set new [leader_id]
        foreach slave [slaves] {
            assert {[dict get $slave port] != [client_port $old] && [dict get $slave port] != 0} "$slave"
        }
    }
}

start_cluster 3 {follower-mode redirect} {
    test {MOVED and INFO name an IPv6 address without brackets, as Redis does} {
        foreach id [node_ids] { kill_node $id }
        foreach id [node_ids] { start_node $id [list announce-client "\[::1\]:700$id"] }
        foreach id [node_ids] { wait_until_answers $id }
        wait_until_settled
        set leader [leader_id]
        wait_for_condition 100 50 { [[follower] -typed GET k] eq "-MOVED 0 ::1:700$leader" } else {
            fail "answers [[follower] -typed GET k]"
        }
        assert_equal ::1 [dict get [info_fields [follower_id] replication] master_host]
    }
}

test {SIGHUP opens the log file anew} {
    set dir [file join [suite_dir] hup]
    file mkdir $dir
    set pid [spawn $dir/data $dir/out [option --binary] --port [client_port 0] --dir $dir/data \
        --node 0,127.0.0.1:[peer_port 0] --logfile $dir/log]
    wait_for_condition 200 25 { [file exists $dir/log] && [string match "*applied up to*" [read_file $dir/log]] } \
        else { fail "does not start" }
    set c [resp::connect 127.0.0.1 [client_port 0]]
    assert_equal +PONG [$c -typed PING]
    $c -close
    file rename $dir/log $dir/log.1
    signal_process $pid HUP
    wait_for_condition 100 25 { [file exists $dir/log] } else { fail "no new file" }
    wait_for_condition 100 25 { [string match *SIGHUP* [read_file $dir/log]] } else { fail "nothing in it" }
    assert {[process_alive $pid]}
    end_process $pid TERM
    assert_match *stopped* [read_file $dir/log]
    assert {![string match *stopping* [read_file $dir/log.1]]}
}
finish
