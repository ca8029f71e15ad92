# The name of a cluster: its first leader draws it, all nodes have it, it outlives them; two clusters
# that were made of the same list of members are told apart by it, and so is what a backup becomes.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib ctl.tcl]

proc name_of {id} {
    set info [raft_info $id]
    return [expr {[dict exists $info raft_cluster_name] ? [dict get $info raft_cluster_name] : {}}]
}

# One on all nodes that are up.
proc wait_for_name {} {
    wait_for_condition 400 25 {
        ![catch { lsort -unique [lmap id [up_ids] { name_of $id }] } names] &&
        [llength $names] == 1 && [lindex $names 0] ne {}
    } else { fail "no name on all nodes: $names" }
    return [lindex $names 0]
}

proc log_says {id pattern} { return [regexp $pattern [read_file [node_log $id]]] }
proc wait_for_log {id pattern} {
    wait_for_condition 400 25 { [log_says $id $pattern] } else {
        fail "node $id does not log $pattern: [tail [node_log $id] 3]"
    }
}

proc kill_all {} { foreach id [node_ids] { if {[alive $id]} { kill_node $id } } }
proc start_all {} {
    foreach id [node_ids] { start_node $id }
    foreach id [node_ids] { wait_until_answers $id }
    wait_until_settled
}

start_cluster 3 {} {
    test {a cluster is named once; its nodes and whoever joins have the name, after restarts too} {
        wait_until_settled
        set first [wait_for_name]
        set cluster [raft_field 0 raft_cluster_id]
        kill_all
        start_all
        assert_equal $first [wait_for_name]
        foreach turn {1 2 3} { [leader] SET a$turn x; restart_node [leader_id]; wait_until_settled }
        assert_equal $first [wait_for_name]
        [leader] SET whose first
    }

    # As after a wrong restore, or where two networks become one.
    test {a node of another cluster that was made of the same list is let in nowhere} {
        set away [add_node]
        wait_for_condition 400 25 {
            ![catch { raft_field [leader_id] raft_member$away } member] && [string match *voter=1* $member]
        } else { fail "node $away does not become a voter" }
        assert_equal $first [wait_for_name]
        wait_until_settled
        kill_all
        foreach id {0 1 2} { file rename [node_dir $id]/data [node_dir $id]/first }
        foreach id {0 1 2} { start_node $id }
        foreach id {0 1 2} { wait_until_answers $id }
        leader_id
        set second [wait_for_name]
        assert {$second ne $first}
        assert_equal $cluster [raft_field 0 raft_cluster_id]
        insist 0 SET whose second
        kill_node 2
        file rename [node_dir 2]/data [node_dir 2]/second
        file rename [node_dir 2]/first [node_dir 2]/data
        # The two that are left lead and follow; node 2, which runs too, knows no leader.
        leader_id
        set term [raft_field 0 raft_current_term]
        set leads [raft_field 0 raft_leader_id]
        start_node 2
        wait_until_answers 2
        wait_for_log $leads "node 2 belongs to a cluster named $first, this one is named $second"
        wait_for_log 2 "this is another cluster"
        hold 1500
        assert_equal $term [raft_field 0 raft_current_term]
        assert_equal $leads [raft_field 0 raft_leader_id]
        foreach id {0 1} {
            assert_equal second [insist $id GET whose]
            assert_equal $second [name_of $id]
        }
        assert_match "*CLUSTERDOWN*" [[connect 2] -typed GET whose]
        assert_equal $first [name_of 2]
        kill_node 2
        file delete -force [node_dir 2]/data
        file rename [node_dir 2]/second [node_dir 2]/data
        start_node 2
        wait_until_answers 2
        wait_for_condition 400 25 { [insist 2 GET whose] eq "second" && [wait_for_name] eq $second } else {
            fail "node 2 is not back"
        }
    }

    test {what a backup becomes has a name of its own} {
        lassign [ctl --cluster 127.0.0.1:[client_port 0] backup [path named]] status said
        assert_equal 0 $status " ($said)"
        kill_all
        foreach id {0 1 2} {
            file delete -force [node_dir $id]/data
            lassign [ctl restore [path named] --dir [node_dir $id]/data] status said
            assert_equal 0 $status " ($said)"
            start_node $id
        }
        foreach id {0 1 2} { wait_until_answers $id }
        leader_id
        set third [wait_for_name]
        assert {$third ne $second && [raft_field 0 raft_cluster_id] ne $cluster}
        assert_equal second [insist 0 GET whose]
        set check [insist 0 RAFT.CHECK TIMEOUT 5000]
        assert_equal equal [dict get $check verdict]
    }
}

finish
