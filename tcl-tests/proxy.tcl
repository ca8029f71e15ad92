# Any node takes any command: what goes through followers, in peace and during failovers.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# Runs the script with load going; gives the report.
proc under_load {arguments script} {
    set load [start_load {*}$arguments]
    uplevel 1 $script
    return [stop_load $load]
}

proc fail_over {} {
    set leader [leader_id]
    kill_node $leader
    hold 700
    restart_node $leader
    hold 300
}

start_cluster 3 {} {
    test {each node serves reads and writes, and all see the same at once} {
        foreach writer [node_ids] {
            for {set i 0} {$i < 20} {incr i} {
                assert_equal +OK [[node $writer] -typed SET shared $writer:$i]
                foreach reader [node_ids] {
                    assert_equal $writer:$i [[node $reader] GET shared]
                }
            }
        }
    }

    test {errors of commands come through a follower unchanged} {
        set c [connect [follower_id]]
        $c SET text abc
        assert_equal {-ERR value is not an integer or out of range} [$c -typed INCR text]
        assert_equal {-ERR no such key} [$c -typed RENAME none x]
        assert_equal {-ERR syntax error} [$c -typed SET a b c]
        $c HELLO 3
        assert_equal _ [$c -typed GET none]
        assert_equal {["abc" _]} [$c -typed MGET text none]
        $c -close
    }

    test {a pipeline through a follower keeps its order, local and remote commands mixed} {
        set c [connect [follower_id]]
        $c DEL seq
        set commands {}
        for {set i 1} {$i <= 2000} {incr i} {
            lappend commands [list INCR seq] [list ECHO $i] [list GET seq] [list PING] [list NOSUCH]
        }
        $c -pipeline $commands
        for {set i 1} {$i <= 2000} {incr i} {
            assert_equal :$i [$c -readtyped]
            assert_equal "\"$i\"" [$c -readtyped]
            assert_equal "\"$i\"" [$c -readtyped]
            assert_equal +PONG [$c -readtyped]
            assert_match {-ERR unknown command*} [$c -readtyped]
        }
        $c -close
    }

    test {a read in a pipeline sees the writes before it, and not those behind it} {
        foreach id [node_ids] {
            set c [connect $id]
            set commands {}
            for {set i 0} {$i < 300} {incr i} {
                lappend commands [list SET rw:$id $i] [list GET rw:$id] [list STRLEN rw:$id]
            }
            $c -pipeline $commands
            for {set i 0} {$i < 300} {incr i} {
                assert_equal +OK [$c -readtyped]
                assert_equal "\"$i\"" [$c -readtyped]
                assert_equal :[string length $i] [$c -readtyped]
            }
            $c -close
        }
    }

    test {replies never cross between clients, in peace (Jepsen 9: crossed wires)} {
        set report [under_load [list --ports [all_ports] --echo 24 --list 4] { hold 2000 }]
        note "[dict get $report reads] replies"
        assert {[dict get $report reads] > 2000}
        assert_equal 0 [dict get $report reconnects]
    }

    test {replies never cross between clients, while leaders die (Jepsen 9: crossed wires)} {
        set report [under_load [list --ports [all_ports] --echo 24 --list 4 --pipeline 2] {
            fail_over
            fail_over
            fail_over
        }]
        note "[dict get $report reads] replies, [dict get $report reconnects] reconnects"
        assert {[dict get $report reads] > 2000}
    }

    test {replies never cross between clients, while leaders hang (Jepsen 9: crossed wires)} {
        set report [under_load [list --ports [all_ports] --echo 12 --list 4 --allow-hangs \
            --timeout 4] {
            foreach i {1 2 3} {
                hold 200
                set leader [leader_id]
                pause_node $leader
                hold 1000
                resume_node $leader
            }
            hold 300
        }]
        note "[dict get $report reads] replies"
    }

    test {clients that leave in the middle do not hand their replies to others} {
        set id [follower_id]
        set watcher [connect $id]
        $watcher SET mine mine
        for {set i 0} {$i < 60} {incr i} {
            set c [connect $id]
            set commands {}
            for {set j 0} {$j < 50} {incr j} { lappend commands [list SET left:$i v$j] [list GET left:$i] }
            $c -pipeline $commands
            $watcher -send GET mine
            $c -close
            assert_equal {"mine"} [$watcher -readtyped]
        }
        assert {[$watcher -quiet 200]}
        $watcher -close
    }

    test {ONCE, repeated through failovers, counts each request exactly once} {
        set report [under_load [list --ports [all_ports] --once 8] {
            fail_over
            fail_over
        }]
        note "[dict get $report acked] requests, [dict get $report unknown] repeated"
        assert {[dict get $report acked] > 100}
        assert {[dict get $report unknown] > 0} "some had to be repeated, else this shows nothing"
    }

    test {ONCE remembers across restarts of all nodes} {
        assert_equal 1 [[leader] ONCE keeper 1 INCR kept]
        assert_equal OK [[leader] ONCE keeper2 7 SET kept2 v]
        foreach id [node_ids] { kill_node $id }
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        foreach id [node_ids] {
            assert_equal 1 [insist $id ONCE keeper 1 INCR kept]
            assert_equal OK [insist $id ONCE keeper2 7 SET kept2 w]
        }
        assert_equal 1 [insist [leader_id] GET kept]
        assert_equal v [insist [leader_id] GET kept2]
    }

    test {INCR with unknown outcomes is done at most once each} {
        set report [under_load [list --ports [all_ports] --counter 12] {
            fail_over
            fail_over
        }]
        note "[dict get $report acked] acknowledged, [dict get $report unknown] unknown"
        assert {[dict get $report acked] > 100}
    }

    test {a forwarded command is not held up by a large one of another client (head of line)} { unless_too_slow {
        set id [follower_id]
        set big [connect $id 30000]
        set small [connect $id]
        $small SET s v
        set value [string repeat x 30000000]
        $big -send SET big $value
        set slowest 0
        for {set i 0} {$i < 50} {incr i} {
            set took [elapsed { $small GET s }]
            if {$took > $slowest} { set slowest $took }
        }
        assert_equal +OK [$big -readtyped]
        note "slowest of 50 small reads: $slowest ms"
        assert {$slowest < [slow 1500]}
        $big DEL big
        $big -close
        $small -close
    } }

    test {forwarded traffic does not delay Raft's messages: no election (RedisRaft PR 34)} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set ports [join [lmap id [follower_ids] { client_port $id }] ,]
        set report [under_load [list --ports $ports --pipeline 8 --own 6 --big --echo 4] { hold 3000 }]
        note "[dict get $report acked] writes"
        assert_equal $term [term $leader]
        assert_equal 0 [dict get $report unknown]
    }

    test {the follower counts what it forwards, and nothing is left under way} {
        set id [follower_id]
        set before [dict get [info_fields $id raft] raft_requests_forwarded]
        set c [connect $id]
        for {set i 0} {$i < 10} {incr i} { $c SET counted $i }
        $c -close
        assert {[dict get [info_fields $id raft] raft_requests_forwarded] >= $before + 10}
    }
}

start_cluster 3 {follower-mode redirect} {
    test {follower-mode redirect: -MOVED names the leader's client address} {
        set leader [leader_id]
        wait_until_settled
        foreach id [follower_ids] {
            wait_for_condition 100 50 {
                [[node $id] -typed SET k v] eq "-MOVED 0 127.0.0.1:[client_port $leader]"
            } else { fail "node $id answers [[node $id] -typed SET k v]" }
            assert_equal "-MOVED 0 127.0.0.1:[client_port $leader]" [[node $id] -typed GET k]
            assert_equal +PONG [[node $id] -typed PING]
            assert_equal nil [[node $leader] -typed GET k]
        }
        assert_equal +OK [[node $leader] -typed SET k v]
        kill_node $leader
        set new [leader_id]
        set other [follower_id]
        wait_for_condition 100 50 {
            [[node $other] -typed GET k] eq "-MOVED 0 127.0.0.1:[client_port $new]"
        } else { fail "node $other answers [[node $other] -typed GET k]" }
    }
}

start_cluster 3 {follower-mode readonly} {
    test {follower-mode readonly: READONLY to writes, reads are still linearizable} {
        set leader [leader_id]
        wait_until_settled
        set c [connect [follower_id]]
        assert_equal "-READONLY You can't write against a read only replica." [$c -typed SET k v]
        for {set i 0} {$i < 50} {incr i} {
            [node $leader] SET k $i
            assert_equal $i [$c GET k]
        }
        $c -close
    }
}
finish
