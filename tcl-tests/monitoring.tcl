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

# What `INFO section` of a node says, as a dictionary; a value with commas is one, too.
proc stats_of {id section} {
    set stats [dict create]
    dict for {name line} [info_fields $id $section] {
        dict set stats $name [concat {*}[lmap pair [split $line ,] { split $pair = }]]
    }
    return $stats
}
proc stat {id section name field} {
    set stats [stats_of $id $section]
    return [expr {[dict exists $stats $name $field] ? [dict get $stats $name $field] : 0}]
}

start_cluster 3 {} {
    test {commandstats, latencystats, errorstats and the keyspace's hits count what is executed} {
        wait_until_settled
        set leader [leader_id]
        set c [connect [follower_id]]
        foreach id [node_ids] { assert_equal OK [[node $id] CONFIG RESETSTAT] }
        for {set i 0} {$i < 20} {incr i} { $c SET k$i v }
        for {set i 0} {$i < 10} {incr i} { $c GET k$i; $c GET none$i }
        $c MGET k1 k2 none
        assert_equal +OK [$c -typed SET word x]
        assert_match "-ERR value is not*" [$c -typed INCR word]
        assert_match "-ERR wrong number*" [$c -typed GET]
        assert_match "-ERR unknown*" [$c -typed NOSUCH]
        # Where the leader is: reads and writes; where the client is: refusals, and errors.
        assert_equal 20 [stat $leader commandstats cmdstat_get calls]
        assert_equal 21 [stat $leader commandstats cmdstat_set calls]
        assert_equal 0 [stat [follower_id] commandstats cmdstat_get calls]
        assert_equal 1 [stat [follower_id] commandstats cmdstat_get rejected_calls]
        wait_for_condition 100 50 { [stat [follower_id] commandstats cmdstat_set calls] == 21 } else {
            fail "a follower executes writes"
        }
        # What ONCE carries is counted beside it; a repetition executes nothing.
        $c ONCE me 1 INCR counter
        $c ONCE me 1 INCR counter
        assert_equal {2 1} [list [stat $leader commandstats cmdstat_once calls] \
                                [expr {[stat $leader commandstats cmdstat_incr calls] - 1}]]
        assert_equal 3 [stat [follower_id] errorstats errorstat_ERR count]
        set stats [info_fields $leader stats]
        assert_equal {12 11} [list [dict get $stats keyspace_hits] [dict get $stats keyspace_misses]]
        set latency [stats_of $leader latencystats]
        assert_equal {p50 p99 p99.9} [dict keys [dict get $latency latency_percentiles_usec_get]]
        assert_equal OK [[node $leader] CONFIG SET latency-tracking-info-percentiles "10 100"]
        assert_equal {p10 p100} [dict keys [dict get [stats_of $leader latencystats] latency_percentiles_usec_get]]
        assert_equal OK [[node $leader] CONFIG SET latency-tracking no]
        assert_equal {} [stats_of $leader latencystats]
        $c -close
    }

    test {INFO and CLIENT LIST: numbers that are there are true} {
        set id [leader_id]
        set c [connect $id]
        foreach {section fields} {
            server {os arch_bits gcc_version multiplexing_api process_id run_id tcp_port hz executable}
            memory {used_memory used_memory_rss used_memory_peak total_system_memory mem_fragmentation_ratio
                used_memory_dataset allocator_allocated mem_allocator maxmemory_policy}
            stats {instantaneous_input_kbps eventloop_cycles eventloop_duration_sum total_reads_processed}
            persistence {rdb_last_save_time aof_enabled loading}
            cpu {used_cpu_user used_cpu_sys_main_thread}
        } {
            set found [info_fields $id $section]
            foreach field $fields { assert {[dict exists $found $field]} "$field in $section" }
        }
        set memory [info_fields $id memory]
        assert {[dict get $memory used_memory_rss] > 1000000}
        assert {[dict get $memory used_memory] <= [dict get $memory used_memory_peak]}
        # Half a command waits in the buffer.
        $c SET k v
        set channel [socket 127.0.0.1 [client_port $id]]
        fconfigure $channel -translation binary -buffering none
        puts -nonewline $channel "*2\r\n\$3\r\nGET\r\n\$100\r\n0123456789"
        wait_for_condition 100 25 { [string match "* qbuf=29 qbuf-free=*" [$c CLIENT LIST]] } else {
            fail [$c CLIENT LIST]
        }
        close $channel
        assert_match "* argv-mem=10 *cmd=client|info *" [$c CLIENT INFO]
        assert {![string match "*tot-mem=0 *" [$c CLIENT LIST]]}
        set before [dict get [info_fields $id stats] total_net_input_bytes]
        $c SET big [string repeat x 1000000]
        assert {[dict get [info_fields $id stats] total_net_input_bytes] > $before + 1000000}
        wait_for_condition 50 50 { [dict get [info_fields $id stats] instantaneous_input_kbps] > 0 } else { fail "no rate" }
        # The followers were sent that value, and answered.
        set stats [info_fields $id stats]
        set followers [expr {[llength [node_ids]] - 1}]
        if {$followers} {
            assert {[dict get $stats total_net_repl_output_bytes] > $followers * 1000000}
            assert {[dict get $stats total_net_repl_input_bytes] > 0}
            assert {[dict get $stats total_net_repl_input_bytes] < [dict get $stats total_net_repl_output_bytes]}
        }
        wait_for_condition 50 50 { [dict get [info_fields $id stats] instantaneous_eventloop_cycles_per_sec] > 0 } else { fail "no cycles" }
        assert {[dict get [info_fields $id stats] instantaneous_eventloop_duration_usec] < 1000000}
        set denied [dict get [info_fields $id stats] acl_access_denied_auth]
        catch { $c AUTH nobody wrong }
        assert_equal [expr {$denied + 1}] [dict get [info_fields $id stats] acl_access_denied_auth]
        assert_match "name=tcp,bind=*,port=[client_port $id]" [dict get [info_fields $id server] listener0]
        # What was counted begins anew.
        set before [info_fields $id stats]
        $c CONFIG RESETSTAT
        set stats [info_fields $id stats]
        set fields {total_net_input_bytes total_net_output_bytes total_commands_processed}
        if {$followers} { lappend fields total_net_repl_input_bytes total_net_repl_output_bytes }
        foreach field $fields { assert {[dict get $stats $field] < [dict get $before $field]} $field }
        assert_equal 0 [stat $id commandstats cmdstat_set calls]
        $c -close
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

# The answers to appends among the messages of a section of a trace's line.
proc answers_in {section} {
    set messages [lmap message [split $section {;}] { string trim $message }]
    return [lmap message $messages { if {![string match {3 *} $message]} continue; set message }]
}

# In a file that all nodes share the lines are in order over all of them.
start_cluster 3 [list raft-trace [file join [suite_dir] trace]] {
    test {raft-trace: an answer stands in it before anybody hears it, if it leaves by itself too} {
        wait_until_settled
        set c [connect [leader_id]]
        for {set i 0} {$i < 300} {incr i} { $c SET k:$i v }
        $c -close
        set said [dict create]
        array set lines {B 0 X 0 P 0}
        foreach line [split [string trimright [read_file [file join [suite_dir] trace]] \n] \n] {
            incr lines([string index $line 0])
            set sections [split $line |]
            if {[string match {P *} $line]} {
                foreach answer [answers_in [lindex $sections 1]] { dict set said $answer 1 }
            } elseif {[string match {X *} $line]} {
                if {[regexp {^X \d+ 1 (3 .*\S)} [lindex $sections 0] all heard]} {
                    assert {[dict exists $said $heard]} "nobody has said $heard"
                }
                foreach answer [answers_in [lindex $sections 5]] { dict set said $answer 1 }
            }
        }
        assert_equal 3 $lines(B)
        assert {$lines(X) > 1200} "$lines(X) steps"
        assert {$lines(P) > 300} "$lines(P) answers left by themselves"
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
