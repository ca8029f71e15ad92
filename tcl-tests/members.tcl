# Members that come and go while clients write: joined, promoted, removed, replaced; disks that are lost,
# old copies of them, nodes that were removed and come back; leaders killed in the middle.
#
#     CHANGES=20 (how many, of the last test)   SEED=number

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib ctl.tcl]

set changes [expr {[info exists ::env(CHANGES)] ? $::env(CHANGES) : 20}]
set seed [expr {[info exists ::env(SEED)] ? $::env(SEED) : [pid]}]
expr {srand($seed)}
proc below {limit} { return [expr {int(rand() * $limit)}] }

# What the leader's list says: a dict of the members by id, each a dict.
proc members {{through {}}} {
    if {$through eq {}} { set through [leader_id] }
    set found {}
    foreach {name value} [raft_info $through] {
        if {![regexp {^raft_member\d+$} $name]} continue
        set member {}
        foreach part [split $value ,] { dict set member {*}[split $part =] }
        dict set found [dict get $member id] $member
    }
    return $found
}

proc voters {{through {}}} {
    set ids {}
    dict for {id member} [members $through] { if {[dict get $member voter]} { lappend ids $id } }
    return [lsort -integer $ids]
}

proc wait_for_voters {ids {through {}}} {
    wait_for_condition 400 25 { ![catch { voters $through } found] && $found eq $ids } else {
        fail "the voters do not become $ids: [members]"
    }
}

# Says it until it is done: another change may be under way, or an election.
proc change {through args} {
    wait_for_condition 400 25 {
        ![catch { [node $through] {*}$args } ::reply] || ![regexp {^(TRYAGAIN|CLUSTERDOWN)} $::reply]
    } else { fail "$args: $::reply" }
    if {[regexp {^(ERR|TIMEOUT)} $::reply]} { fail "$args: $::reply" }
    return $::reply
}

proc log_says {id pattern} { return [regexp $pattern [read_file [node_log $id]]] }

proc wait_for_log {id pattern} {
    wait_for_condition 400 25 { [log_says $id $pattern] } else {
        fail "node $id does not log $pattern: [tail [node_log $id] 3]"
    }
}

# The leader has heard nothing of it for long, and goes on hearing nothing.
proc wait_until_inactive {id} {
    wait_for_condition 400 25 { ![dict get [members] $id active] } else { fail "$id is active" }
    after 1000
    assert_equal 0 [dict get [members] $id active]
}

proc assert_no_failure {report} {
    foreach name {unknown not_done reads_failed reconnects} {
        assert_equal 0 [dict get $report $name] " ($name: $report)"
    }
    assert {[dict get $report acked] > 100}
}

start_cluster 1 {} {
    test {A cluster grows from one to three to five and back under load, and no request fails} {
        leader_id
        set load [start_load --ports [client_port 0] --list 4 --own 2 --counter 1 --once 1]
        foreach id {1 2} { assert_equal $id [add_node] }
        wait_for_voters {0 1 2}
        after 300
        foreach id {3 4} { assert_equal $id [add_node] }
        wait_for_voters {0 1 2 3 4}
        after 300
        # The leader among them, whoever that is, and node 0 when it leads, which hands over first.
        [node 0] RAFT.TRANSFER_LEADER 4
        foreach id {4 3 2 1} {
            change 0 RAFT.NODE REMOVE $id
            wait_for_voters [lrange {0 1 2 3} 0 [expr {$id - 1}]] 0
        }
        set report [stop_load $load]
        assert_no_failure $report
        note "[dict get $report acked] writes, longest gap [dict get $report longest_gap_ms] ms"
        foreach id {1 2 3 4} { kill_node $id }
    }

    test {A removed node cannot return, however often it starts, and disturbs nobody} {
        set term [term 0]
        start_node 1
        wait_until_answers 1
        wait_for_log 1 {refused: -ERR node 1 is not a member: it was removed}
        wait_for_log 0 {node 1 is not a member: it was removed}
        after 1500
        assert_equal $term [term 0]
        assert_equal OK [[node 0] SET still here]
        kill_node 1
    }

    test {A node that was removed joins again as a new one} {
        file delete -force [node_dir 1]/data
        start_node 1
        wait_until_answers 1
        wait_for_voters {0 1} 0
        assert_equal here [[node 1] GET still]
        change 0 RAFT.NODE REMOVE 1
        wait_for_voters 0 0
        kill_node 1
    }

    test {The only voter ends without waiting for a learner, which cannot lead} {
        set id [change 0 RAFT.NODE ADD 127.0.0.1:[peer_port 1] LEARNER]
        file delete -force [node_dir 1]/data
        start_node 1
        insist 1 SET through learner
        wait_for_condition 400 25 {
            [dict get [members 0] $id active] && [dict get [members 0] $id connected]
        } else { fail [members 0] }
        kill_node 0 TERM
        assert {![log_says 0 "handing the leadership over"]}
        restart_node 0
        assert_equal learner [insist 0 GET through]
        change 0 RAFT.NODE REMOVE $id
        kill_node 1
    }
}

start_cluster 3 {} {
    test {A wiped disk under the old id is refused where all others have other ids by now} {
        wait_for_condition 400 25 { [raft_field 2 raft_members_index] > 0 } else {
            fail "the lives do not get into the list"
        }
        foreach id {0 1} {
            change 2 RAFT.NODE REMOVE $id
            lose_disk $id
            start_node $id
            wait_until_answers $id
            wait_for_voters [expr {$id == 0 ? {1 2 3} : {2 3 4}}] 2
        }
        kill_node 2
        file delete -force [node_dir 2]/data
        start_node 2
        wait_for_log 2 "refused: -ERR node 2 has another data directory"
        wait_for_condition 100 25 { ![alive 2] } else { fail "it runs on" }
        set ::cluster::expected(2) down
        file delete [node_log 2] ;# it tells why, as of a fault
    }
}

start_cluster 3 {} {
    test {A wiped disk under the old id is refused, both sides say so, and it ends} {
        leader_id
        wait_for_condition 400 25 { [raft_field 0 raft_members_index] > 0 } else {
            fail "the lives do not get into the list"
        }
        insist 0 SET a 1
        lassign [follower_ids] id other
        kill_node $id
        file delete -force [node_dir $id]/data
        start_node $id
        wait_for_log $id "refused: -ERR node $id has another data directory"
        wait_for_log $id {the other members know another data directory}
        wait_for_log [leader_id] "node $id has another data directory"
        wait_for_condition 100 25 { ![alive $id] } else { fail "it runs on" }
        set ::cluster::expected($id) down
        # Two of them do not make a cluster of their own.
        kill_node $other
        file rename [node_dir $other]/data [node_dir $other]/before
        start_node $id
        start_node $other
        wait_for_condition 100 25 { ![alive $id] && ![alive $other] } else { fail "they run on" }
        file delete -force [node_dir $other]/data
        file rename [node_dir $other]/before [node_dir $other]/data
        foreach node [list $id $other] {
            set ::cluster::expected($node) down
            file delete [node_log $node]
        }
        restart_node $other
        assert_equal 1 [insist $other GET a]
        set ::wiped $id
    }

    test {A lost disk is replaced under load, and no request fails} {
        set id $::wiped
        set through [leader_id]
        set load [start_load --ports [client_port $through] --list 3 --own 2]
        change $through RAFT.NODE REPLACE $id
        assert_equal [lsearch -all -inline -not {0 1 2} $id] [voters $through]
        lose_disk $id
        start_node $id
        wait_until_answers $id
        wait_for_voters {0 1 2} $through
        assert_no_failure [stop_load $load]
        assert_equal 1 [insist $id GET a]
        wait_until_settled
    }

    test {The node whose place it has now is refused} {
        set id [follower_id]
        set other [lindex [follower_ids] 1]
        kill_node $id
        file rename [node_dir $id]/data [node_dir $id]/before
        change [leader_id] RAFT.NODE REPLACE $id
        lose_disk $id
        start_node $id
        wait_until_answers $id
        wait_for_voters {0 1 2}
        kill_node $id
        file rename [node_dir $id]/data [node_dir $id]/now
        file rename [node_dir $id]/before [node_dir $id]/data
        start_node $id
        wait_until_answers $id
        wait_for_log [leader_id] "node $id has another data directory"
        wait_until_inactive $id
        kill_node $id
        file delete -force [node_dir $id]/data
        file rename [node_dir $id]/now [node_dir $id]/data
        start_node $id
        wait_until_answers $id
        wait_until_settled
    }

    test {An old list refuses nobody: a node that was away while another's disk was replaced} {
        assert_equal 3 [add_node]
        wait_for_voters {0 1 2 3}
        change 0 RAFT.TRANSFER_LEADER 0
        wait_for_condition 400 25 { [leader_id] == 0 } else { fail "node 0 does not lead" }
        kill_node 1
        wait_until_inactive 1
        change 0 RAFT.NODE REPLACE 2
        lose_disk 2
        start_node 2
        wait_for_voters {0 1 2 3}
        # The three that are left need each other: one has the old list.
        kill_node 0
        start_node 1
        wait_until_answers 1
        insist 1 SET after that
        assert_equal that [insist 2 GET after]
        restart_node 0
        wait_until_settled
        change 0 RAFT.NODE REMOVE 3
        kill_node 3
        wait_for_voters {0 1 2}
    }

    test {An old copy of a directory is refused} {
        set id [follower_id]
        kill_node $id TERM
        file copy [node_dir $id]/data [node_dir $id]/copy
        restart_node $id
        wait_until_settled
        restart_node $id
        wait_until_settled
        kill_node $id
        file delete -force [node_dir $id]/data
        file rename [node_dir $id]/copy [node_dir $id]/data
        start_node $id
        wait_until_answers $id
        wait_for_log $id {the other side's data directory is an old copy}
        wait_until_inactive $id
        kill_node $id
        change [leader_id] RAFT.NODE REPLACE $id
        lose_disk $id
        start_node $id
        wait_until_answers $id
        wait_for_voters {0 1 2}
        wait_until_settled
    }

    test {What would leave no majority is refused, and what makes no sense} {
        set leader [leader_id]
        lassign [follower_ids] a b
        kill_node $a
        wait_until_inactive $a
        foreach command {{REMOVE %} {DEMOTE %} {REPLACE %}} {
            catch { [node $leader] RAFT.NODE {*}[string map "% $b" $command] } reply
            assert_match {ERR 1 of the 2 voters that would be left answer*} $reply
        }
        foreach command {{REMOVE % LIFE 1} {DEMOTE % LIFE 1} {REPLACE % 127.0.0.1:1 LIFE 1 FORCE}} {
            catch { [node $leader] RAFT.NODE {*}[string map "% $b" $command] } reply
            assert_match "ERR node $b has the life *, not 0000000000000001" $reply
        }
        catch { [node $leader] RAFT.NODE REMOVE $b LIFE nine } reply
        assert_match {ERR a life is hexadecimal*} $reply
        catch { [node $leader] RAFT.NODE REMOVE 17 } reply
        assert_equal {ERR there is no node 17} $reply
        catch { [node $leader] RAFT.NODE ADD 127.0.0.1:[peer_port $b] } reply
        assert_match "ERR node $b has the address*" $reply
        catch { [node $leader] RAFT.NODE ADD nowhere } reply
        assert_equal {ERR an address is HOST:PORT} $reply
        start_node $a
        wait_until_answers $a
        wait_until_settled
    }

    test {The leadership goes where it is sent, and a leader that is demoted hands over} {
        foreach id {0 1 2} {
            assert_equal OK [change 0 RAFT.TRANSFER_LEADER $id]
            wait_for_condition 400 25 { [leader_id] == $id } else { fail "$id does not lead" }
        }
        assert_equal OK [change 0 RAFT.NODE DEMOTE 2]
        wait_for_voters {0 1}
        assert {[leader_id] != 2}
        assert_equal OK [change 0 RAFT.NODE PROMOTE 2]
        wait_for_voters {0 1 2}
    }

    test {redis-raft-ctl does the same, about the node that has the place now, and follows it} {
        wait_until_settled
        set id [follower_id]
        # Not the one that is to be replaced: until it is taken in it does not answer.
        set all [join [lmap other [lsearch -all -inline -not {0 1 2} $id] {
            set other 127.0.0.1:[client_port $other]
        }] ,]
        assert_equal {0 done} [ctl --cluster $all demote $id]
        wait_for_voters [lsearch -all -inline -not {0 1 2} $id]
        assert_match "0 *node $id is a voter*" [ctl --cluster $all promote $id]
        wait_until_settled
        lose_disk $id
        # It asks until somebody says that it may.
        start_node $id
        assert_match "0 *node $id is a voter*" [ctl --cluster $all replace $id]
        wait_for_voters {0 1 2}
        wait_until_answers $id
        wait_until_settled
    }

    test {A kept place is for the address that was named, and a learner stays one if it was so said} {
        change 0 RAFT.NODE ADD 127.0.0.1:[peer_port 3] LEARNER
        file delete -force [node_dir 3]/data
        start_node 3
        wait_until_answers 3
        set id 3
        insist $id SET through learner
        after 500
        assert_equal {0 1 2} [voters]
        assert_equal learner [[node $id] GET through]
        change 0 RAFT.NODE REMOVE 3
        kill_node $id
    }

    test {A node that comes back with another address is dialed there} {
        set id [follower_id]
        kill_node $id
        restart_node $id "announce-peer localhost:[peer_port $id]"
        wait_for_condition 400 25 { [dict get [members] $id peer] eq "localhost:[peer_port $id]" } else {
            fail "the list keeps the old address: [members]"
        }
        wait_until_settled
    }
}

start_cluster 3 {} {
    test "Changes of members while leaders are killed: $changes of them (seed $seed)" {
        leader_id
        set load [start_load --ports [all_ports] --list 4 --own 2 --counter 1 --once 1]
        set done 0
        set more {}
        while {$done < $changes} {
            # 3 is taken in and out again, now and then a leader dies in the middle.
            if {$more eq {}} {
                if {$::cluster::n == 3} { set more [add_node] } else { set more 3; start_node 3 }
                if {[below 2]} { after [below 100]; restart_node [leader_id] }
                wait_until_answers $more
                wait_for_condition 800 25 { ![catch { voters } now] && [llength $now] == 4 } else {
                    fail "it does not become a voter: [members]"
                }
            } else {
                set id [raft_field $more raft_node_id]
                set c [connect [follower_id]]
                $c -send RAFT.NODE REMOVE $id
                if {[below 2]} { after [below 30]; restart_node [leader_id] }
                catch { $c -read }
                $c -close
                wait_for_condition 800 25 {
                    ![catch { voters } now] && ($now eq {0 1 2} ||
                    [catch { [node 0] RAFT.NODE REMOVE $id }] < 0)
                } else { fail "it is not taken out: [members]" }
                kill_node $more
                file delete -force [node_dir $more]/data
                set more {}
            }
            incr done
        }
        set report [stop_load $load]
        note "[dict get $report acked] writes, [dict get $report unknown] in doubt"
        if {$more ne {}} { kill_node $more }
    }
}

finish
