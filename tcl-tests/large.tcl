# Large values, slow readers, slow peers: nobody else notices, and memory stays bounded.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc megabytes {n} { return [expr {$n * 1048576}] }

# Something that does not compress and differs in every block.
proc large_value {size} {
    set block [random_bytes 65536]
    set value {}
    set n 0
    while {[string length $value] < $size} { append value [format %-16d [incr n]] $block }
    return [string range $value 0 [expr {$size - 1}]]
}

# A busy disk may need its time for 64 MB: what is tested is what happens meanwhile.  A build with
# sanitizers (--slow) copies such values so much slower that the default timeout is not for it.
set patient [list request-timeout 60000 election-timeout [slow 400]]
start_cluster 3 $patient {
    foreach size {1 16 64} {
        test "a value of $size MB replicates without a change of leader" { unless_too_slow {
            wait_until_settled
            set leader [leader_id]
            set term [term $leader]
            set value [large_value [megabytes $size]]
            set crc [zlib crc32 $value]
            foreach {writer reader} [list $leader [follower_id] [follower_id] $leader] {
                set w [connect $writer 60000]
                set r [connect $reader 60000]
                set took [elapsed { assert_equal +OK [$w -typed SET large $value] }]
                assert_equal [string length $value] [$r STRLEN large]
                set back [$r GET large]
                assert_equal [string length $value] [string length $back]
                assert_equal $crc [zlib crc32 $back]
                assert_equal 1 [$w DEL large]
                note "[expr {$writer == $leader ? {leader} : {follower}}] $took ms"
                $w -close
                $r -close
            }
            assert_equal $leader [leader_id]
            assert_equal $term [term $leader] " (the term)"
        } }
    }

    test {large values survive kill -9 of all nodes} {
        set c [connect [follower_id] 60000]
        set value [large_value [megabytes 20]]
        $c SET kept $value
        $c APPEND kept tail
        $c SETRANGE kept 5 XXXXX
        $c -close
        foreach id [node_ids] { kill_node $id }
        foreach id [node_ids] { start_node $id }
        foreach id [node_ids] { wait_until_answers $id }
        set c [connect [leader_id] 60000]
        set back [$c GET kept]
        assert {$back eq "[string range $value 0 4]XXXXX[string range $value 10 end]tail"}
        $c DEL kept
        $c -close
    }

    test {a value larger than proto-max-bulk-len gets Redis's error, and the others go on} { unless_too_slow {
        wait_until_settled
        set limit [dict get [[leader] CONFIG GET proto-max-bulk-len] proto-max-bulk-len]
        assert_equal [megabytes 64] $limit
        foreach id [node_ids] {
            set c [connect $id]
            $c -write "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$[expr {$limit + 1}]\r\n"
            assert_equal "-ERR Protocol error: invalid bulk length" [$c -readtyped]
            assert {[$c -closed 3000]}
            $c -close
            assert_equal +PONG [[node $id] -typed PING]
        }
        set c [connect [leader_id] 60000]
        set almost [string repeat a [expr {$limit - 10}]]
        assert_equal +OK [$c -typed SET k $almost]
        assert_equal "-ERR string exceeds maximum allowed size (proto-max-bulk-len)" \
            [$c -typed APPEND k 01234567890]
        assert_equal "-ERR string exceeds maximum allowed size (proto-max-bulk-len)" \
            [$c -typed SETRANGE k [expr {$limit - 1}] xx]
        assert_equal :$limit [$c -typed APPEND k 0123456789]
        assert_equal :1 [$c -typed DEL k]
        $c -close
    } }

    test {many values of 1 MB at once, through every node} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set clients [lmap id [concat [node_ids] [node_ids]] { connect $id 60000 }]
        set values {}
        set n 0
        foreach c $clients {
            lappend values [set value [large_value [megabytes 1]]]
            for {set i 0} {$i < 4} {incr i} { $c -send SET many:$n:$i $value }
            incr n
        }
        foreach c $clients { for {set i 0} {$i < 4} {incr i} { assert_equal +OK [$c -readtyped] } }
        set n 0
        foreach value $values {
            assert {[[lindex $clients end-$n] GET many:$n:3] eq $value}
            incr n
        }
        foreach c $clients { $c -close }
        assert_equal $term [term $leader]
    }
}

# Copying 100 MB takes a busy machine 0.3 s: beyond the default bound the timeout has to grow with it.
start_cluster 3 [list request-timeout 60000 election-timeout [slow 1000]] {
    test {proto-max-bulk-len raised: a value of 100 MB} { unless_too_slow {
        wait_until_settled
        foreach id [node_ids] { [node $id] CONFIG SET proto-max-bulk-len 128mb }
        set leader [leader_id]
        set term [term $leader]
        set value [large_value [megabytes 100]]
        set c [connect $leader 60000]
        assert_equal +OK [$c -typed SET huge $value]
        set d [connect [follower_id] 60000]
        assert_equal [zlib crc32 $value] [zlib crc32 [$d GET huge]]
        $c DEL huge
        $c -close
        $d -close
        assert_equal $term [term $leader]
        foreach id [node_ids] { [node $id] CONFIG SET proto-max-bulk-len 64mb }
    } }
}

# However busy the machine is.  INFO keyspace may say too many until a checkpoint has looked names up.
proc assert_same_keys {} {
    wait_until_settled
    set c [connect [leader_id] 60000]
    set check [$c RAFT.CHECK]
    $c -close
    assert_equal equal [dict get $check verdict] " the check: $check"
}

# ---- many keys ------------------------------------------------------------------------------

start_cluster 3 $patient {
    test {commands on 300,000 keys disturb no leader, and take effect whole} { unless_too_busy {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set keys {}
        set pairs {}
        for {set i 0} {$i < 300000} {incr i} {
            lappend keys key:$i
            lappend pairs key:$i $i
        }
        set report_load [start_load --ports [all_ports] --list 2 --own 2]
        set c [connect [follower_id] 60000]
        foreach {words reply} [list \
            [list MSET {*}$pairs] +OK \
            [list MSETNX absent x {*}$pairs] :0 \
            [list EXISTS absent {*}$keys] :300000 \
            [list ONCE many 1 UNLINK {*}[lrange $keys 0 99999]] :100000 \
            [list ONCE many 1 UNLINK {*}[lrange $keys 0 99999]] :100000 \
            [list DEL {*}$keys] :200000 \
            [list MSETNX {*}$pairs] :1] {
            set took [elapsed { assert_equal $reply [$c -typed {*}$words] }]
            note "[lindex $words 0] $took ms"
        }
        set values [$c MGET {*}$keys absent]
        assert_equal 300001 [llength $values]
        assert_equal 299999 [lindex $values 299999]
        $c -close
        set report [stop_load $report_load]
        note "slowest command of others [dict get $report slowest_ms] ms"
        assert_equal $leader [leader_id]
        assert_equal $term [term $leader] " (the term)"
    } }

    test {all nodes have the same keys behind them} { assert_same_keys }

    test {a node that dies in the middle of such a command loses or does all of it} {
        wait_until_settled
        set away [follower_id]
        set keys {}
        for {set i 0} {$i < 300000} {incr i} { lappend keys key:$i }
        set c [connect [leader_id] 60000]
        $c -send DEL {*}$keys
        hold 150
        kill_node $away
        assert_equal :300000 [$c -readtyped]
        $c -close
        restart_node $away
        wait_until_settled
        set size [[leader] DBSIZE]
        foreach id [node_ids] {
            assert_equal "keys=$size" [lindex [split [dict get [info_fields $id keyspace] db0] ,] 0]
        }
    }
}

# ---- slow readers ----------------------------------------------------------------------------

start_cluster 3 {} {
    test {clients that do not read large replies disturb nobody, and memory stays bounded} { unless_too_busy {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set c [connect $leader 60000]
        $c SET big [large_value [megabytes 8]]
        set slow {}
        foreach id [concat [node_ids] [node_ids]] {
            # 100 replies of 8 MB each: 4.8 GB in all, were they all made.
            set s [connect $id]
            $s -pipeline [lrepeat 100 {GET big}]
            lappend slow $s
        }
        set report_load [start_load --ports [all_ports] --list 3 --own 2 --echo 3]
        set highest 0
        for {set i 0} {$i < 15} {incr i} {
            hold 200
            foreach id [node_ids] {
                set rss [process_rss_mb [node_pid $id]]
                if {$rss > $highest} { set highest $rss }
            }
        }
        set report [stop_load $report_load]
        note "highest RSS $highest MB, slowest command of others [dict get $report slowest_ms] ms"
        assert {$highest < 1500} "memory of a node with slow readers, MB"
        assert {[dict get $report slowest_ms] < [slow 2000]}
        assert {[dict get $report acked] > 100}
        assert_equal $term [term $leader]
        # They are served when they read at last.
        set s [lindex $slow 0]
        $s -timeout 60000
        for {set i 0} {$i < 3} {incr i} { assert_equal [megabytes 8] [string length [$s -read]] }
        foreach s $slow { $s -close }
        $c DEL big
        $c -close
    } }

    test {a client that writes and never reads is held back, not buffered without end} {
        wait_until_settled
        set id [follower_id]
        set s [connect $id]
        [node $id] SET echo [string repeat e 100000]
        fconfigure [$s -fd] -blocking 0
        # 400 MB of replies to what fits in the sockets' buffers.
        $s -pipeline [lrepeat 4000 {GET echo}]
        set before [process_rss_mb [node_pid $id]]
        hold 1500
        set after [process_rss_mb [node_pid $id]]
        note "RSS $before -> $after MB"
        assert {$after - $before < 200}
        $s -timeout 30000
        for {set i 0} {$i < 4000} {incr i} { assert_equal 100000 [string length [$s -read]] }
        $s -close
    }
}

# ---- slow peers ------------------------------------------------------------------------------

start_cluster 3 [list election-timeout [slow 400]] {
    test {a follower that hangs under load: the leader's memory stays bounded, then it catches up} { unless_too_busy {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        set hung [follower_id]
        set before [process_rss_mb [node_pid $leader]]
        pause_node $hung
        set ports [join [lmap id [up_ids] { client_port $id }] ,]
        set load [start_load --ports $ports --own 6 --big --pipeline 2]
        # Large ones, too: 300 MB of log that the hanging one has to be sent.
        set c [connect $leader 60000]
        set value [large_value [megabytes 3]]
        for {set i 0} {$i < 100} {incr i} { $c SET lag:[expr {$i % 10}] $value }
        $c -close
        hold 1000
        set while_away [process_rss_mb [node_pid $leader]]
        resume_node $hung
        set took [elapsed {
            wait_for_condition 600 50 { [raft_field $hung raft_last_applied_index]
                >= [raft_field $leader raft_commit_index] - 2000 } else {
                fail "does not catch up: [raft_info $hung]"
            }
        }]
        set report [stop_load $load]
        wait_until_settled
        note "leader's RSS $before -> $while_away MB, caught up in $took ms"
        assert {$while_away - $before < 900}
        assert_equal $term [term $leader] " (the term)"
        foreach i {0 9} { assert_equal [string length $value] [[node $hung] STRLEN lag:$i] }
    } }

    test {a follower that was killed under the same load catches up as well} {
        wait_until_settled
        set leader [leader_id]
        set away [follower_id]
        kill_node $away
        set c [connect $leader 60000]
        set value [large_value [megabytes 3]]
        for {set i 0} {$i < 60} {incr i} { $c SET lag:[expr {$i % 10}] $value }
        for {set i 0} {$i < 2000} {incr i} { $c -send SET small:$i $i }
        for {set i 0} {$i < 2000} {incr i} { $c -read }
        $c -close
        restart_node $away
        set took [elapsed { wait_until_settled }]
        note "$took ms"
        assert_same_keys
        foreach id [node_ids] { assert_match *,fell_off=0,* [raft_field $leader raft_member$id] }
    }
}
finish
