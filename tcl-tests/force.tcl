# A majority lost for good: what redis-raft-ctl force-new-cluster makes of a survivor's directory, under
# load; who joins it; and that the dead, when they come back, are refused and harm nothing.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# {status output}; `word` is what is typed.
proc ctl_typed {word args} {
    set tool [file join [file dirname [option --binary]] redis-raft-ctl]
    set status 0
    if {[catch { exec timeout 60 $tool {*}$args << $word 2>@1 } said details]} {
        set code [dict get $details -errorcode]
        set status [expr {[lindex $code 0] eq "CHILDSTATUS" ? [lindex $code 2] : $code}]
    }
    return [list $status $said]
}

proc data_dir {id} { return [node_dir $id]/data }

proc force {id args} { return [ctl_typed {} force-new-cluster --dir [data_dir $id] {*}$args] }

proc force_typed {id word} { return [ctl_typed $word force-new-cluster --dir [data_dir $id]] }

proc assert_said {expected pattern outcome} {
    lassign $outcome status said
    assert_equal $expected $status " ($said)"
    assert_match $pattern $said
    return $said
}

proc number_in {said pattern} {
    if {![regexp $pattern $said -> number]} { fail "no $pattern in: $said" }
    return $number
}

# "name: what is said" of each member, by the node itself.
proc voters {through} {
    set ids {}
    foreach {name value} [raft_info $through] {
        if {[regexp {^raft_member\d+$} $name] && [regexp {id=(\d+).*voter=1} $value -> id]} {
            lappend ids $id
        }
    }
    return [lsort -integer $ids]
}

proc wait_for_voters {ids through} {
    wait_for_condition 400 25 { ![catch { voters $through } found] && $found eq $ids } else {
        fail "the voters do not become $ids: [raft_info $through]"
    }
}

proc wait_for_log {id pattern} {
    wait_for_condition 400 25 { [regexp $pattern [read_file [node_log $id]]] } else {
        fail "node $id does not log $pattern: [tail [node_log $id] 3]"
    }
}

proc digest {id} { return [[node $id] DEBUG DIGEST] }

# What a directory says of itself, read by the tool that changes nothing without the word.
proc last_of {id} {
    lassign [force_typed $id no\n] status said
    regexp {log +up to entry (\d+) of term (\d+)} $said -> index term
    return [list $term $index]
}

proc longest {ids} {
    set best [lindex $ids 0]
    foreach id $ids {
        lassign [last_of $id] term index
        lassign [last_of $best] best_term best_index
        if {$term > $best_term || ($term == $best_term && $index > $best_index)} { set best $id }
    }
    return $best
}

# The node joins with an empty directory from now on.
proc start_fresh {id} {
    lose_disk $id
    start_node $id
    wait_until_answers $id
}

foreach options {{enable-debug-command local} {enable-debug-command local checkpoint-size 64kb}} {
    start_cluster 3 $options {
        test {Two of three are lost under load: what was acknowledged is there, and two others join} {
            wait_for_condition 400 25 { [raft_field [leader_id] raft_members_index] > 0 } else {
                fail "the lives do not get into the list"
            }
            set ::cluster [raft_field 0 raft_cluster_id]
            set load [start_load --ports [all_ports] --own 4 --list 2 --counter 1]
            after 1500
            set c [leader]
            for {set i 0} {$i < 200} {incr i} { $c SET key$i [string repeat $i 500] }
            set acked [$c INCR acknowledged]
            foreach id [node_ids] { pause_node $id }
            end_load $load
            foreach id [node_ids] { resume_node $id; kill_node $id }

            set dirs {}
            foreach id [node_ids] { lappend dirs --dir [data_dir $id] }
            set said [assert_said 0 "*The longest log is that of node *Nothing was changed*" \
                [ctl_typed {} force-new-cluster {*}$dirs]]
            set ::survivor [number_in $said {The longest log is that of node (\d+)}]
            assert_equal [last_of [longest {0 1 2}]] [last_of $::survivor]
            set ::dead [lmap id {0 1 2} { if {$id == $::survivor} continue; set id }]
            # One of the dead will come back, with all it had; the other's disk is gone.
            file rename [data_dir [lindex $::dead 0]] [node_dir [lindex $::dead 0]]/before
            file delete -force [data_dir [lindex $::dead 1]]

            set said [assert_said 0 "*is the only voter of cluster*" [force $::survivor --yes]]
            set new [number_in $said {only voter of cluster ([0-9a-f]+)}]
            assert {$new ne $::cluster}
            foreach id {0 1 2} { assert_match "*members*node $id at 127.0.0.1:[peer_port $id], a voter*" $said }
            set known [number_in $said {applied +up to entry (\d+)}]
            set last [number_in $said {log +up to entry (\d+)}]
            assert_equal [expr {$last - $known}] [number_in $said {not known +(\d+) entries}]
            if {[dict exists $options checkpoint-size]} { assert {$known > 0} }
            note "$last entries, $known known as applied"

            start_node $::survivor
            wait_until_answers $::survivor
            set c [leader]
            assert_equal $::survivor [leader_id]
            assert_equal $new [raft_field $::survivor raft_cluster_id]
            assert_equal $::survivor [voters $::survivor]
            for {set i 0} {$i < 200} {incr i} { assert_equal [string repeat $i 500] [$c GET key$i] }
            assert_equal $acked [$c GET acknowledged]
            assert_equal OK [$c SET still here]
        }

        test {Two that join with empty directories get all of it and become voters} {
            foreach id $::dead { start_fresh $id }
            wait_for_condition 400 25 { [llength [voters $::survivor]] == 3 } else {
                fail "they do not become voters: [raft_info $::survivor]"
            }
            wait_until_settled
            foreach id $::dead { assert_equal [digest $::survivor] [digest $id] }
            assert_equal [raft_field $::survivor raft_cluster_id] [raft_field [lindex $::dead 0] raft_cluster_id]
            # One may go now.
            set load [start_load --ports [all_ports] --own 2 --counter 1]
            kill_node [leader_id]
            after 700
            foreach id [node_ids] { if {![alive $id]} { start_node $id; wait_until_answers $id } }
            stop_load $load
            wait_until_settled
            foreach id $::dead { assert_equal [digest $::survivor] [digest $id] }
        }

        test {A dead one that comes back is refused, says why, and harms nothing} {
            set id [lindex $::dead 0]
            kill_node $id
            file rename [data_dir $id] [node_dir $id]/joined
            file rename [node_dir $id]/before [data_dir $id]
            set leader [leader_id]
            set term [term $leader]
            # Once with the lines it had, once asking to join.
            foreach rejoining [list [lsearch -all -inline -not $::cluster::rejoining $id] [list $id]] {
                set ::cluster::rejoining $rejoining
                write_file [node_log $id] {}
                start_node $id
                wait_until_answers $id
                wait_for_log $id "refused: -ERR node $id belongs to cluster $::cluster, this is cluster"
                after 1500
                assert_equal candidate [string map {pre- {}} [raft_field $id raft_role]]
                assert_match "*CLUSTERDOWN*" [[node $id] -typed SET a b]
                kill_node $id
            }
            foreach node [node_ids] {
                if {$node != $id} { assert_equal $term [term $node] }
            }
            assert_equal $leader [leader_id]
            wait_for_log $leader "node $id belongs to cluster $::cluster"
            file delete -force [data_dir $id]
            file rename [node_dir $id]/joined [data_dir $id]
            start_node $id
            wait_until_answers $id
            wait_until_settled
            assert_equal here [insist $id GET still]
        }
    }
}

start_cluster 3 {enable-debug-command local} {
    test {Without the word, of a node that runs, and of what is no directory, nothing is changed} {
        leader_id
        insist 0 SET a 1
        assert_said 3 "*in use by another process*" [force 0 --yes]
        assert_said 3 "*is no data directory*" [ctl_typed {} force-new-cluster --dir [suite_dir]/none --yes]
        assert {![file exists [suite_dir]/none]}
        foreach wrong {{} {--dir} {--yes --yes} {--dir a --dir b --yes} {--dir a --no}} {
            assert_equal 64 [lindex [ctl_typed {} force-new-cluster {*}$wrong] 0] " ($wrong)"
        }
        foreach id [node_ids] { kill_node $id }
        foreach word {{} y\n no\n YES\n yes yesyes\n \n} {
            assert_said 3 "*Type yes*nothing was changed*" [force_typed 0 $word]
        }
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        wait_until_settled
        assert_equal 1 [insist 0 GET a]
        wait_for_voters {0 1 2} 0
    }

    test {The log of the later term is the longer one, whatever their lengths} {
        set old [leader_id]
        set others [follower_ids]
        foreach id $others { pause_node $id }
        set c [connect $old]
        for {set i 0} {$i < 50} {incr i} { $c -send SET unanswered$i x }
        wait_for_condition 200 10 {
            [raft_field $old raft_durable_index] > [raft_field $old raft_commit_index] + 20
        } else { fail "nothing is appended: [raft_info $old]" }
        catch { $c -close }
        kill_node $old
        foreach id $others { kill_node $id } ;# before they read what was sent to them
        foreach id $others { start_node $id }
        foreach id $others { wait_until_answers $id }
        insist [lindex $others 0] SET later 1
        foreach id $others { kill_node $id }
        lassign [last_of $old] old_term old_index
        lassign [last_of [lindex $others 0]] term index
        assert {$old_term < $term && $old_index > $index}
        assert_said 0 "*The longest log is that of node [lindex $others 0], *" [ctl_typed {} \
            force-new-cluster --dir [data_dir $old] --dir [data_dir [lindex $others 0]]]
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        wait_until_settled
    }

    test {A damaged directory is refused} {
        foreach id [node_ids] { kill_node $id }
        # What was synced is cut off.
        file copy [data_dir 0] [suite_dir]/cut
        foreach file [glob [suite_dir]/cut/journal/\[012\]] { close [open $file w] }
        assert_said 3 "*damaged*" [ctl_typed {} force-new-cluster --dir [suite_dir]/cut --yes]
        # A bit of it is turned: in the first record of what is written now, or was before.
        file copy [data_dir 0] [suite_dir]/turned
        foreach file [glob [suite_dir]/turned/journal/\[012\]] {
            set bytes [read_file $file]
            set at 8240
            if {[string length $bytes] <= $at} continue
            set byte [scan [string index $bytes $at] %c]
            write_file $file [string replace $bytes $at $at [format %c [expr {$byte ^ 4}]]]
        }
        assert_said 3 "*damaged*" [ctl_typed {} force-new-cluster --dir [suite_dir]/turned --yes]
        file copy [data_dir 0] [suite_dir]/headless
        file delete [suite_dir]/headless/CURRENT
        assert_said 3 "*damaged*" [ctl_typed {} force-new-cluster --dir [suite_dir]/headless --yes]
    }

    test {The word, typed: a cluster of one, which needs it no more; another's is not compared} {
        assert_said 0 "*Type yes*is the only voter of cluster*" [force_typed 0 yes\n]
        assert_said 3 "*is the only voter already*" [force 0 --yes]
        assert_said 3 "*is of another cluster*" \
            [ctl_typed {} force-new-cluster --dir [data_dir 1] --dir [data_dir 0]]
        start_node 0
        wait_until_answers 0
        assert_equal 1 [insist 0 GET a]
        # The two others are a majority of the old cluster, which goes on beside this one, and neither
        # disturbs the other.
        foreach id {1 2} { start_node $id }
        foreach id {1 2} { wait_until_answers $id }
        insist 1 SET a 2
        assert_equal 1 [insist 0 GET a]
        assert_equal 0 [voters 0]
    }
}

start_cluster 3 {} {
    test {Who has lost a majority is told of it: by the log, and by redis-raft-ctl status} {
        leader_id
        kill_node 1
        kill_node 2
        wait_for_condition 400 25 {
            [raft_field 0 raft_leader_id] == -1 && ![string match *connected=1* \
                [raft_field 0 raft_member1][raft_field 0 raft_member2]]
        } else {
            fail "node 0 does not see that it is alone: [raft_info 0]"
        }
        wait_for_log 0 {no leader is known any more, in term \d+}
        set said [assert_said 3 "*nobody leads; 1 of 1 nodes answer*" \
            [ctl_typed {} --cluster 127.0.0.1:[client_port 0] status]]
        assert_match "*connected with 1 of 3 voters, itself included, and needs 2*" $said
    }
}
finish
