# A rolling upgrade: three nodes of the build that landed before (OLD), one after the other ended and started
# with the present one, while clients write and read.  Run by tests/upgrade/run, which builds it; no suite
# of the gate.
#
# tcl-tests/meaning.tcl does the like with a present build that knows less: here all of it is the older
# one, its disk formats, its messages and its handshake as well.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

if {![info exists ::env(OLD)]} { error "run it by tests/upgrade/run" }
set new [option --binary]
set old $::env(OLD)
set older [expr {$::env(OLD_MEANING) < $::env(NEW_MEANING)}]

proc use_build {binary} { set ::tst::options(--binary) $binary }

# Commands that came with meaning 5; each is refused, with a reason and by no silence, while not all know it.
set knows_no_5 [expr {$::env(OLD_MEANING) < 5}]
set new_commands {{EVAL {return 1} 0} {BLPOP nothing 0.1} {PUBLISH channel message} {FUNCTION FLUSH}
    {RAFT.NODE ADD 127.0.0.1:1} {RAFT.TRANSFER_LEADER} {ONCE new 1 EVAL {return 1} 0}}

proc refuses_what_is_new {id} {
    if {!$::knows_no_5} return
    foreach command $::new_commands {
        set reply [[node $id] -typed {*}$command]
        if {![regexp {^-ERR (.* needs meaning \d+.*|unknown command.*|.* of a build .*)$} $reply]} {
            fail "$command through node $id: $reply"
        }
    }
}

# What meaning 6 does otherwise: large strings in pages, weights that make no number.  Through each node.
proc do_what_differs {} {
    foreach id [node_ids] {
        insist $id SET large:$id [string repeat $id 3000000]
        insist $id MSET large:a:$id [string repeat a 1100000] small:$id x
        insist $id SETRANGE large:$id 3000000 more
        insist $id ZADD one:$id 5 m
        insist $id ZADD inf:$id inf m
        insist $id ZINTERSTORE weighed:$id 2 one:$id inf:$id WEIGHTS 1 0 AGGREGATE MIN
    }
    foreach id [node_ids] { assert_equal 3000004 [insist $id STRLEN large:$id] }
}

proc wait_until_all_know {} {
    wait_for_condition 400 25 {
        ![catch { [leader] EVAL "return redis.call('SET', KEYS\[1\], 'all')" 1 known } reply] && $reply eq "OK"
    } else { fail "what is new does not become available: $reply" }
}

proc wait_until_lives_are_known {} {
    wait_for_condition 400 25 {
        ![catch { raft_info [leader_id] } info] && [dict exists $info raft_members_index] &&
        [dict get $info raft_members_index] > 0 && ![string match "*life=0000000000000000*" $info]
    } else { fail "the lives do not get into the list: [raft_info [leader_id]]" }
}

# It has a leader and is near it: then the next one may be ended.
proc wait_until_followed {id} {
    wait_for_condition 800 25 {
        ![catch { raft_info $id } info] && [dict get $info raft_leader_id] >= 0 &&
        [dict get $info raft_commit_index] - [dict get $info raft_last_applied_index] < 1000 &&
        [dict get $info raft_commit_index] > $::committed
    } else { fail "node $id does not follow: [raft_info $id]" }
}

proc order_of {how} {
    set leader [leader_id]
    return [expr {$how eq "the leader last" ? [concat [follower_ids] $leader] : [concat $leader [follower_ids]]}]
}

# The last one of the older build follows a new one: it is sent nothing that it does not know.
proc let_a_new_one_lead {last} {
    for {set i 0} {$i < 20 && [leader_id] == $last} {incr i} {
        use_build $::old
        kill_node $last
        wait_for_condition 400 25 { [set found [find_leader]] ne {} && $found != $last } else { fail "no leader" }
        start_node $last
        wait_until_answers $last
    }
    set ::committed [raft_field [leader_id] raft_commit_index]
    wait_until_followed $last
    assert {[leader_id] != $last}
    hold 1000
    refuses_what_is_new [leader_id]
    assert {[alive $last]} "the older one goes on: [tail [node_log $last] 3]"
}

proc order_but {some} { return [lmap id [node_ids] { if {$id in $some} continue; set id }] }

# What the load saw until now is judged, with the clients at rest.
proc verify {load what} {
    puts $load verify
    assert_equal "verified 0" [gets $load] " violations, $what"
}

# The digest that `id` has by itself: it is made the leader, and asked.
proc digest_of {id} {
    for {set i 0} {$i < 200 && [leader_id] != $id} {incr i} {
        catch { [leader] RAFT.TRANSFER_LEADER $id }
        hold 50
    }
    assert_equal $id [leader_id] " leads at last"
    return [insist $id DEBUG DIGEST]
}

foreach {how signal} {{the leader last} TERM {the leader first} KILL} {
    use_build $old
    set upgraded {}
    start_cluster 3 {enable-debug-command yes checkpoint-size 256kb log-keep-entries 500} {
        test "node by node, $how, ended by SIG$signal, under load: nothing is lost, and all that is promised holds" {
            leader_id
            fill_types [leader] 50
            set load [start_load --ports [all_ports] --list 3 --pipeline 1 --own 3 --counter 1 --once 2]
            hold 1000
            foreach id [order_of $how] {
                use_build $::new
                set ::committed [raft_field [leader_id] raft_commit_index]
                kill_node $id $signal
                start_node $id
                wait_until_answers $id
                wait_until_followed $id
                verify $load "node $id being new"
                do_what_differs
                lappend ::upgraded $id
                if {$::older && [llength $::upgraded] < 3} {
                    foreach each [node_ids] { refuses_what_is_new $each }
                }
                if {$::older && [llength $::upgraded] == 2} {
                    let_a_new_one_lead [lindex [order_but $::upgraded] 0]
                }
                hold 500
            }
            wait_until_all_know
            hold 1000
            set report [stop_load $load]
            note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown, [dict get $report not_done]\
                not done, longest gap [dict get $report longest_gap_ms] ms"
            assert {[dict get $report acked] > 1000} "there was load"
        }

        test "afterwards what is new works through every node" {
            do_what_differs
            foreach id [node_ids] {
                assert_equal 5 [[node $id] ZSCORE weighed:$id m]
                assert_equal 3 [[node $id] EVAL {return 1 + 2} 0]
                assert_equal 1 [[node $id] RPUSH queue$id x]
                assert_equal "queue$id x" [[node $id] BLPOP queue$id 1]
                assert_equal 0 [[node $id] PUBLISH channel message]
            }
            wait_until_lives_are_known
        }

        test "all have the same, before and after all of them are killed" {
            wait_until_settled
            set digests [lmap id [node_ids] { digest_of $id }]
            assert_equal 1 [llength [lsort -unique $digests]] " $digests"
            foreach id [node_ids] { kill_node $id }
            foreach id [node_ids] { start_node $id }
            foreach id [node_ids] { wait_until_answers $id }
            wait_until_settled
            assert_equal [lindex $digests 0] [insist [leader_id] DEBUG DIGEST]
        }

        test "the members can be changed now" {
            wait_until_settled
            assert_equal 3 [add_node]
            wait_for_condition 800 25 {
                ![catch { raft_field [leader_id] raft_member3 } member] && [string match *voter=1* $member]
            } else { fail "node 3 does not become a voter" }
            wait_until_settled
            assert_equal [digest_of 0] [digest_of 3]
        }
    }
}
finish
