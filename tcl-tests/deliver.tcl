# A large state on its way to a member that fell off the log, under load, while either side is killed at
# random moments: `make deliver [MB=200] [KILLS=10]`.  That only delays it; nothing that was promised is
# broken meanwhile.  No suite of the gate: it writes a gigabyte and takes minutes.
#
#     SEED=number (who is killed, when)

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set mb [expr {[info exists ::env(MB)] ? $::env(MB) : 200}]
set kills [expr {[info exists ::env(KILLS)] ? $::env(KILLS) : 10}]
set seed [expr {[info exists ::env(SEED)] ? $::env(SEED) : [pid]}]
expr {srand($seed)}
proc below {limit} { return [expr {int(rand() * $limit)}] }

set bandwidth 32 ;# MB a second
set retention 16 ;# MB
set value_kb 100
set patience_s 10 ;# besides the time that the bytes take

# Values that do not compress, so many MB of them, from the first on.
proc fill {mb} {
    set random [open /dev/urandom rb]
    for {set i 0} {$i < $mb * 1000 / $::value_kb} {incr i} {
        insist [leader_id] SET large:$i [read $random [expr {$::value_kb * 1000}]]
    }
    close $random
}

proc member {id} { return [raft_field [leader_id] raft_member$id] }

# What it needs is no longer kept.
proc fell_off {id} {
    return [expr {[raft_field [leader_id] raft_log_first_index] >
        [dict get [split [member $id] ,=] match] + 1}]
}

proc make_fall_off {id} {
    for {set i 0} {$i < 40 && ![fell_off $id]} {incr i} { fill $::retention }
    assert {[fell_off $id]} "the log is kept: [raft_info [leader_id]]"
}

proc chunks {id} {
    if {![alive $id] || [catch { raft_info $id } info]} { return 0 }
    return [dict get $info raft_install_chunks]
}

proc adopted {id} {
    return [regexp -all -- {has taken the place of what this node had} [read_file [node_log $id]]]
}

# It has what was committed now: milliseconds until then.  The bound is what the bytes take, and some.
proc wait_until_back {id} {
    set began [clock milliseconds]
    set committed [raft_field [leader_id] raft_commit_index]
    set bound_ms [slow [expr {1000 * ($::mb / $::bandwidth + $::patience_s)}]]
    wait_for_condition [expr {$bound_ms / 25}] 25 {
        ![catch { member $id } text] && [dict get [split $text ,=] match] >= $committed
    } else { fail "node $id is not back: [tail [node_log $id] 10]" }
    return [expr {[clock milliseconds] - $began}]
}

proc digest_of {id} {
    for {set i 0} {$i < 200 && [leader_id] != $id} {incr i} {
        catch { [leader] RAFT.TRANSFER_LEADER $id }
        hold 50
    }
    assert_equal $id [leader_id] " leads at last"
    return [insist $id DEBUG DIGEST]
}

proc seconds {ms} { return [format %.1f [expr {$ms / 1000.0}]] }

start_cluster 3 [list enable-debug-command yes checkpoint-size 4mb log-keep-entries 0 \
    log-retention-bytes ${retention}mb snapshot-bandwidth ${bandwidth}mb] {
    test "$mb MB for a member that fell off, with nobody killed" {
        fill $mb
        set away [follower_id]
        kill_node $away
        make_fall_off $away
        set load [start_load --ports [all_ports] --list 2 --own 2 --counter 1 --once 1 --delay 2]
        start_node $away
        set undisturbed [wait_until_back $away]
        stop_load $load
        assert {[adopted $away] == 1}
        note "back after [seconds $undisturbed] s, of which the bytes take\
            [format %.1f [expr {double($mb) / $bandwidth}]]"
    }

    test "either side is killed $kills times at random moments (seed $seed): it is only later" {
        wait_until_settled
        kill_node $away
        make_fall_off $away
        set load [start_load --ports [all_ports] --list 2 --own 2 --counter 1 --once 1 --delay 2]
        start_node $away
        set killed [dict create member 0 leader 0]
        set again 0
        while {[dict get $killed member] + [dict get $killed leader] < $kills && $again < 2 * $kills} {
            set adoptions [adopted $away]
            wait_for_condition 1200 25 { [chunks $away] > 0 || [adopted $away] > $adoptions } else {
                fail "nothing comes: [tail [node_log $away] 10]"
            }
            hold [below [expr {1000 * $mb / $bandwidth * 3 / 4}]]
            set whom [lindex {member leader} [below 2]]
            if {[adopted $away] > $adoptions} {
                # It came before the moment did.
                incr again
                kill_node $away
                make_fall_off $away
                start_node $away
            } else {
                dict incr killed $whom
                set id [expr {$whom eq "member" ? $away : [leader_id]}]
                kill_node $id
                start_node $id
                wait_until_answers $id
            }
        }
        set at_last [wait_until_back $away]
        set report [stop_load $load]
        note "killed: $killed; $again times it had all before; back [seconds $at_last] s after the last"
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown, longest gap\
            [dict get $report longest_gap_ms] ms"
        assert {[dict get $report acked] > 1000} "there was load"
    }

    test "afterwards all have the same" {
        wait_until_settled
        set digests [lmap id [node_ids] { digest_of $id }]
        assert_equal 1 [llength [lsort -unique $digests]] " $digests"
    }
}
finish
