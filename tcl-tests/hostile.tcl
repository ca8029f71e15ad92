# Bad bytes and strangers, on both ports: what is wrong is closed with a logged reason, and nothing
# else notices.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc peer {mode args} {
    return [exec [python] [file join $::tst::lib peer.py] $mode {*}$args 2>@1]
}

# Of the data directory of `id`, as the members' list has it.
proc life_of {asked id} {
    regexp {life=([0-9a-f]+)} [raft_field $asked raft_member$id] -> life
    return $life
}

proc assert_no_failures {report at_least} {
    set lines [split $report \n]
    set bad [lmap line $lines { if {[string match "ok *" $line]} continue; set line }]
    if {[llength $bad]} { fail [join $bad \n] }
    assert {[llength $lines] >= $at_least} "cases were tried"
    note "[llength $lines] cases"
}

proc assert_all_well {leader term} {
    foreach id [up_ids] { assert {[alive $id]} "node $id lives" }
    wait_until_settled
    assert_equal $leader [leader_id]
    assert_equal $term [term $leader] " (the term)"
    foreach id [up_ids] {
        assert_equal +OK [[node $id] -typed SET well $id]
        assert_equal $id [[leader] GET well]
    }
}

start_cluster 3 {} {
    test {random bytes on the client port} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set before [process_rss_mb [node_pid $leader]]
        expr {srand(42)}
        for {set i 0} {$i < 300} {incr i} {
            set id [expr {$i % 3}]
            set c [connect $id]
            set bytes [random_bytes [expr {1 + int(rand() * 20000)}]]
            # Some look like a command for a while.
            switch [expr {$i % 4}] {
                0 { }
                1 { set bytes "*3\r\n\$3\r\nSET\r\n$bytes" }
                2 { set bytes "*[expr {1 + int(rand() * 5)}]\r\n\$5\r\n$bytes" }
                3 { set bytes [string range [resp::encode [list SET k $bytes]] 0 end-[expr {int(rand() * 50)}]] }
            }
            catch { $c -write $bytes }
            catch { $c -quiet 1 }
            $c -close
        }
        assert {[process_rss_mb [node_pid $leader]] - $before < 150}
        assert_all_well $leader $term
    }

    test {oversized headers allocate nothing} {
        set leader [leader_id]
        set term [term $leader]
        set before [process_rss_mb [node_pid $leader]]
        set open {}
        for {set i 0} {$i < 100} {incr i} {
            set c [connect $leader]
            # Half commands that announce as much as is allowed: a million words, 64 MB each.
            $c -write "*1048576\r\n\$67108864\r\nabc"
            lappend open $c
        }
        assert_equal +PONG [[node $leader] -typed PING]
        hold 300
        set after [process_rss_mb [node_pid $leader]]
        note "RSS $before -> $after MB for 100 such clients"
        assert {$after - $before < 300}
        foreach c $open { $c -close }
        assert_all_well $leader $term
    }

    test {an HTTP request is not executed} {
        set leader [leader_id]
        foreach request {
            "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET post 1\r\n"
            "GET post HTTP/1.1\r\nhOST: localhost\r\n\r\nSET post 2\r\n"
            "*1\r\n\$4\r\npost\r\nSET post 3\r\n"
        } {
            set c [connect $leader]
            $c -write $request
            assert {[$c -closed 3000]}
            $c -close
        }
        assert_equal nil [[node $leader] -typed GET post]
        assert_match "*Possible SECURITY ATTACK detected*" [read_file [node_log $leader]]
        assert_all_well $leader [term $leader]
    }

    test {half commands, then silence, then the rest} {
        set leader [leader_id]
        set c [connect $leader]
        $c -write "*3\r\n\$3\r\nSET\r\n\$4\r\nhalf\r\n\$10\r\n01234"
        assert {[$c -quiet 300]}
        assert_equal nil [[node $leader] -typed GET half]
        $c -write "56789\r\n"
        assert_equal +OK [$c -readtyped]
        assert_equal 0123456789 [$c GET half]
        $c -close
        # A client that goes away in the middle of a command has not asked for anything.
        set c [connect $leader]
        $c -write "*3\r\n\$3\r\nSET\r\n\$4\r\nhalf\r\n\$10\r\n01234"
        $c -close
        assert_equal 0123456789 [[node $leader] GET half]
    }

    test {a peer's handshake and messages on the client port} {
        set leader [leader_id]
        set term [term $leader]
        foreach words {
            {RR.HELLO 1 0123456789abcdef 2 0 control 00112233445566778899aabbccddeeff 127.0.0.1:1}
            {RR.PROVE 00} {VOTE x} {APPEND} {TIMEOUTNOW xxxxxxxxxxxxxxxxxxxxxxxx} {FORWARD x y}
        } {
            set c [connect $leader]
            assert_match -ERR* [$c -typed {*}$words]
            $c -close
        }
        assert_all_well $leader $term
    }

    test {clients on the peer port: nothing is executed, the connection is closed} {
        set leader [leader_id]
        set term [term $leader]
        foreach id [node_ids] {
            set c [resp::connect 127.0.0.1 [peer_port $id]]
            $c -send SET from-peer-port 1
            assert {[$c -closed [slow 5000]]}
            $c -close
            set c [resp::connect 127.0.0.1 [peer_port $id]]
            $c -write "SET from-peer-port 1\r\n"
            assert {[$c -closed [slow 5000]]}
            $c -close
        }
        assert_equal nil [[node $leader] -typed GET from-peer-port]
        assert_all_well $leader $term
        set said 0
        foreach id [node_ids] {
            if {[regexp -nocase {peer port|expected RR.HELLO|closed|refused} [read_file [node_log $id]]]} { incr said }
        }
        assert_equal 3 $said " nodes logged the reason"
    }

    test {a thousand connections that say nothing, on both ports} {
        set leader [leader_id]
        set term [term $leader]
        set open {}
        for {set i 0} {$i < 500} {incr i} {
            lappend open [socket 127.0.0.1 [client_port $leader]]
            lappend open [socket 127.0.0.1 [peer_port $leader]]
        }
        assert_all_well $leader $term
        foreach fd $open { close $fd }
        assert_all_well $leader $term
    }

    test {strangers on the peer port} {
        set leader [leader_id]
        set term [term $leader]
        set victim [follower_id]
        # A third node's place, so that what is perfect so far comes from a member that is away.
        set away [lindex [lmap id [node_ids] { if {$id in [list $leader $victim]} continue; set id }] 0]
        kill_node $away
        set ::cluster_id [raft_field $leader raft_cluster_id]
        foreach target [list $leader $victim] {
            assert_no_failures [peer wrong-hands --port [peer_port $target] --cluster $::cluster_id \
                --me $away --life [life_of $leader $away] --target $target --pid [node_pid $target] --patience [slow 15]] 47
        }
        assert_all_well $leader $term
        restart_node $away
        assert_all_well $leader $term
    }

    test {a member that lies, in well and badly formed messages} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set victim [follower_id]
        set away [lindex [lmap id [node_ids] { if {$id in [list $leader $victim]} continue; set id }] 0]
        kill_node $away
        foreach target [list $leader $victim] {
            assert_no_failures [peer wrong-words --port [peer_port $target] --cluster $::cluster_id \
                --me $away --life [life_of $leader $away] --target $target --term $term --pid [node_pid $target] \
                --patience [slow 5]] 48
            foreach id [list $leader $victim] { assert {[alive $id]} "node $id lives" }
        }
        assert_equal nil [[node $victim] -typed GET hostile]
        assert_equal +OK [[node $victim] -typed SET k v]
        restart_node $away
        wait_until_settled
    }

    test {garbage in the place of a member: the others dial, and go on without it} {
        wait_until_settled
        set away [follower_id]
        kill_node $away
        set term [term [leader_id]]
        set pipe [open "|[list [python] [file join $::tst::lib peer.py] bad-acceptor \
            --port [peer_port $away] --seconds 3] 2>@1" r]
        for {set i 0} {$i < 30} {incr i} {
            foreach id [up_ids] { assert_equal +OK [[node $id] -typed SET k $i] }
            hold 100
        }
        set report [read $pipe]
        close $pipe
        regexp {dialed (\d+)} $report -> count
        note "dialed $count times in 3 s"
        assert {$count > 4}
        # Backoff: three channels of two nodes, no faster than some tens a second.
        assert {$count < 600}
        assert_equal $term [term [leader_id]]
        restart_node $away
        wait_until_settled
    }
}

# ---- strangers that are nodes ----------------------------------------------------------------

start_cluster 3 {peer-secret correct-horse} {
    test {a node with the wrong peer-secret stays out, and disturbs nobody} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set other [follower_id]
        kill_node $other
        set saved $::cluster::options
        set ::cluster::options {request-timeout 500}
        foreach secret {wrong-horse {""}} {
            start_node $other [list peer-secret $secret]
            wait_until_answers $other
            hold 1200
            assert_equal -1 [raft_field $other raft_leader_id]
            assert_match -* [[node $other] -typed SET k stranger]
            assert_equal OK [[node $leader] SET k member]
            assert_equal $term [term $leader]
            kill_node $other
        }
        set ::cluster::options $saved
        assert {[regexp -nocase {secret|proof} [read_file [node_log $leader]]]} "the reason is logged"
        foreach id [node_ids] {
            assert {![regexp {correct-horse} [read_file [node_log $id]]]} "no secret in a log"
        }
        restart_node $other
        wait_until_settled
        assert_equal member [[node $other] GET k]
    }

    test {strangers on the peer port of a cluster with a secret} {
        wait_until_settled
        set leader [leader_id]
        set away [follower_id]
        kill_node $away
        set id [raft_field $leader raft_cluster_id]
        set target $leader
        assert_no_failures [peer wrong-hands --port [peer_port $target] --cluster $id \
            --me $away --life [life_of $leader $away] --target $target --pid [node_pid $target] --secret correct-horse \
            --patience [slow 15]] 48
        restart_node $away
        wait_until_settled
    }
}

start_cluster 3 {} {
    test {a node of another cluster at a member's address is refused, and does no harm} {
        wait_until_settled
        set leader [leader_id]
        set other [follower_id]
        [node $leader] SET k ours
        kill_node $other
        # The same name and ports, but it has grown up alone, with another node list.
        set file [file join [suite_dir] foreign.conf]
        set dir [file join [suite_dir] foreign]
        set text "me $other\nport [client_port $other]\nbind 127.0.0.1\ndir $dir\nrequest-timeout 500\n"
        foreach id [node_ids] {
            append text "node $id 127.0.0.1:[peer_port $id]\n"
        }
        append text "node 7 127.0.0.1:[expr {[peer_port 0] + 7}]\n"
        write_file $file $text
        set term [term $leader]
        set log [file join [suite_dir] foreign.log]
        set pid [spawn $file $log [option --binary] $file]
        wait_for_condition 200 25 { [answers $other] } else { fail "the foreign node does not start: [read_file $log]" }
        hold 1500
        set c [connect $other]
        assert_match -* [$c -typed SET k theirs]
        $c -close
        end_process $pid TERM
        assert_equal $term [term $leader]
        assert_equal ours [[node $leader] GET k]
        assert {[regexp -nocase {cluster} [read_file $log]] || [regexp -nocase {another cluster} \
            [read_file [node_log $leader]]]} "the reason is logged"
        restart_node $other
        wait_until_settled
    }
}
finish
