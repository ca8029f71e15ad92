# RAFT.CHECK: members with the same data, however they came by them, are found equal; one whose disk
# changed a bit that no checksum of the store covers is named by all, and leaves where it is told to.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib ctl.tcl]

proc damage {id key} {
    set tool [file join [file dirname [option --binary]] tests damage]
    exec timeout 60 $tool [node_dir $id]/data $key 2>@1
}

# The members of a check's reply: "id state" each.
proc states {check} {
    return [lmap member [dict get $check members] {
        list [dict get $member id] [dict get $member state]
    }]
}

# Asked until all have answered: somebody may have been away for the moment.
proc checked {id {tries 40}} {
    for {set i 0} {$i < $tries} {incr i} {
        if {![catch { [node $id] RAFT.CHECK } check] && [dict get $check verdict] in {equal different undecided}} {
            if {"waiting" ni [join [states $check]]} { return $check }
        }
        hold 100
    }
    fail "no check comes to its end: $check"
}

proc assert_equal_everywhere {id} {
    set check [checked $id]
    assert_equal equal [dict get $check verdict] " ($check)"
    foreach member [dict get $check members] {
        assert_equal [dict get $check index] [dict get $member index]
        assert_match {[0-9a-f]*} [dict get $member hash]
    }
    assert_equal 1 [llength [lsort -unique [lmap member [dict get $check members] { dict get $member hash }]]]
    return $check
}

proc log_says {id pattern} { return [regexp $pattern [read_file [node_log $id]]] }
proc wait_for_log {id pattern} {
    wait_for_condition 400 25 { [log_says $id $pattern] } else {
        fail "node $id does not log $pattern: [tail [node_log $id] 5]"
    }
}

# The row of `key` is stored, and then is another on this node, which is up again.
proc damage_and_restart {id key {more {}}} {
    kill_node $id TERM
    damage $id $key
    start_node $id $more
    wait_until_answers $id
    wait_until_settled
}

# More than the log may keep, until the member has fallen off.
proc make_fall_off {away} {
    set value [string repeat v 500000]
    for {set i 0} {$i < 200} {incr i} {
        [leader] SET outgrow:[expr {$i % 10}] $value$i
        set leader [leader_id]
        set match [dict get [split [raft_field $leader raft_member$away] ,=] match]
        if {[raft_field $leader raft_log_first_index] > $match + 1} return
    }
    fail "the log is kept: [raft_info $leader]"
}

start_cluster 3 {check-interval 0 checkpoint-size 256kb log-retention-bytes 1mb log-keep-entries 10} {
    test {nobody was checked yet; what is wrong is refused} {
        wait_until_settled
        set c [leader]
        assert_equal {} [$c RAFT.CHECK STATUS]
        assert_equal none [raft_field [leader_id] raft_check_verdict]
        assert_match "*ERR syntax error*" [$c -typed RAFT.CHECK NOW]
        assert_match "*ERR syntax error*" [$c -typed RAFT.CHECK TIMEOUT]
        assert_match "*ERR timeout is negative*" [$c -typed RAFT.CHECK TIMEOUT -1]
        assert_match "*ERR unknown command*" [$c -typed raft.compare 1]
        assert_match "*ERR unknown command*" [$c -typed raft.compared 1 0 0 0 1 1 1]
        foreach words {{raft.compare 7} {raft.compared 7 0 0 0 1 1 1}} {
            assert_match "*ERR*" [$c -typed ONCE forger [incr ::once] {*}$words]
            assert_match "*ERR*" [$c -typed EVAL "return redis.call(unpack(ARGV))" 0 {*}$words]
        }
        assert_equal {} [$c RAFT.CHECK STATUS]
    }

    test {all nodes say the same of one check, whoever is asked} {
        fill_types [leader] 10
        [leader] SET marked here
        set check [assert_equal_everywhere [follower_id]]
        foreach id [node_ids] {
            wait_for_condition 200 25 { [raft_field $id raft_check_verdict] eq "equal" } else {
                fail "node $id: [raft_info $id]"
            }
            assert_equal [dict get $check index] [raft_field $id raft_check_index]
            assert_equal [dict get $check members] [dict get [[node $id] RAFT.CHECK STATUS] members]
        }
        lassign [ctl --cluster 127.0.0.1:[client_port 0] check] status said
        assert_equal 0 $status " ($said)"
        assert_match "*node*hash*equal*equal*equal*entry *: equal*" $said
    }

    test {equal while clients write, and with what a member was sent, and after a crash} {
        set load [start_load --ports [all_ports] --list 2 --own 2 --counter 1 --once 1]
        for {set i 0} {$i < 5} {incr i} { assert_equal_everywhere [expr {$i % 3}] }
        stop_load $load
        set away [follower_id]
        kill_node $away
        write_file [node_log $away] {}
        make_fall_off $away
        start_node $away
        wait_for_log $away {has taken the place of what this node had}
        wait_until_settled
        set check [assert_equal_everywhere $away]
        kill_node [follower_id]
        foreach id [node_ids] { if {![alive $id]} { start_node $id; wait_until_answers $id } }
        wait_until_settled
        assert_equal_everywhere [leader_id]
    }

    test {a member that is away is waited for as long as was said; it answers when it is back} {
        set away [follower_id]
        pause_node $away
        set c [leader]
        set took [elapsed { set check [$c RAFT.CHECK TIMEOUT 700] }]
        assert {$took >= 700} " ($took ms)"
        assert_equal running [dict get $check verdict]
        assert {[list $away waiting] in [states $check]}
        set leaving [connect [leader_id]]
        $leaving -write "*1\r\n\$10\r\nRAFT.CHECK\r\n"
        wait_for_condition 200 25 { [dict get [info_fields [leader_id] clients] blocked_clients] > 0 } else {
            fail "it does not wait"
        }
        $leaving -close
        wait_for_condition 200 25 { [dict get [info_fields [leader_id] clients] blocked_clients] == 0 } else {
            fail "who left waits on"
        }
        resume_node $away
        wait_until_settled
        assert_equal_everywhere [leader_id]
    }

    test {a leader that dies in the midst of it} {
        set old [leader_id]
        set c [connect [follower_id]]
        $c RAFT.CHECK TIMEOUT 0
        kill_node $old
        start_node $old
        wait_until_answers $old
        $c -close
        wait_until_settled
        assert_equal_everywhere $old
    }

    test {one bit of one row on one disk: all name the node, which goes on} {
        set bad [follower_id]
        damage_and_restart $bad marked
        set check [checked [leader_id]]
        assert_equal different [dict get $check verdict]
        foreach state [states $check] {
            assert_equal [expr {[lindex $state 0] == $bad ? "differs" : "equal"}] [lindex $state 1]
        }
        foreach id [node_ids] {
            wait_for_log $id "the data of node $bad differ from those of the majority"
            wait_for_condition 200 25 { [raft_field $id raft_check_verdict] eq "different" } else {
                fail "node $id: [raft_info $id]"
            }
        }
        lassign [ctl --cluster 127.0.0.1:[client_port $bad] check] status said
        assert_equal 1 $status " ($said)"
        assert_match "*differs*: different*" $said
        assert {[alive $bad]}
    }

    test {where it is told to it stops, with a status of its own; replaced, all are equal again} {
        wait_until_settled
        set c [leader]
        $c CONFIG SET check-interval 1
        kill_node $bad TERM
        # In the foreground: what it ends with is to be seen.
        set config [node_dir $bad]/redis-raft.conf
        write_file $config [node_config $bad [concat $::cluster::options {check-difference stop}]]
        catch { exec timeout 60 [option --binary] $config >>[node_log $bad] 2>@1 } said details
        assert_equal CHILDSTATUS [lindex [dict get $details -errorcode] 0] " ($details)"
        assert_equal 65 [lindex [dict get $details -errorcode] 2]
        assert {[log_says $bad {this node stops, as check-difference says}]}
        [leader] CONFIG SET check-interval 0
        wait_for_condition 400 25 { ![catch { [leader] RAFT.NODE REPLACE $bad } said] } else { fail $said }
        lose_disk $bad
        start_node $bad {check-difference stop}
        wait_until_answers $bad
        wait_for_condition 400 25 {
            [dict get [split [raft_field [leader_id] raft_member$bad] ,=] voter]
        } else { fail "it does not become a voter" }
        wait_until_settled
        assert_equal_everywhere $bad
        assert {[alive $bad]}
    }
}

finish
