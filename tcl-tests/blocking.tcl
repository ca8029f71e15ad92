# Commands that wait, in a cluster: in their order over clients of all nodes, for no longer than they
# like, through the death of leaders, and nothing is taken for one who has left.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc followers {} { set leader [leader_id]; return [lmap id [up_ids] { if {$id == $leader} continue; set id }] }

# Until so many wait at the leader.
proc wait_until_parked {count} {
    wait_for_condition 400 10 { [raft_field [leader_id] raft_requests_parked] == $count } else {
        fail "[raft_field [leader_id] raft_requests_parked] wait, not $count"
    }
}

# A new connection that waits: the `nth` of all.
proc blocked {id nth args} {
    set c [connect $id 20000]
    lappend ::opened $c
    $c -send {*}$args
    wait_until_parked $nth
    return $c
}

# A test begins with nobody waiting, also when the one before has failed.
set opened {}
proc alone {title body} {
    test $title [string map [list BODY [list $body]] {
        foreach c $::opened { catch { $c -close } }
        set ::opened {}
        wait_until_parked 0
        apply [list {} BODY]
    }]
}

proc close_all {args} { foreach c $args { $c -close } }

start_cluster 3 {request-timeout 3000} {
    alone {what is there is given at once, through any node} {
        foreach id [node_ids] {
            [leader] RPUSH there a b c
            assert_equal {there a} [[node $id] BLPOP nowhere there 0]
            assert_equal {there c} [[node $id] BRPOP there 0]
            assert_equal b [[node $id] BLMOVE there gone LEFT RIGHT 0]
            assert_equal b [[node $id] BRPOPLPUSH gone there 0]
            assert_equal {there b} [[node $id] BLMPOP 0 2 nowhere there LEFT COUNT 5]
            [leader] ZADD points 1 a 2 b 3 c
            assert_equal {points a 1} [[node $id] BZPOPMIN nowhere points 0]
            assert_equal {points c 3} [[node $id] BZPOPMAX points 0]
            assert_equal {points {{b 2}}} [[node $id] BZMPOP 0 1 points MAX]
        }
    }

    alone {first blocked, first served, over clients of all nodes} {
        set waiting {}
        set ids {}
        for {set i 0} {$i < 9} {incr i} {
            set id [lindex [node_ids] [expr {($i * 2 + 1) % 3}]]
            lappend waiting [blocked $id [expr {$i + 1}] BLPOP queue 0]
        }
        [node [lindex [followers] 0]] RPUSH queue 0 1 2
        for {set i 3} {$i < 9} {incr i} { [node [lindex [node_ids] [expr {$i % 3}]]] RPUSH queue $i }
        for {set i 0} {$i < 9} {incr i} {
            assert_equal "queue $i" [[lindex $waiting $i] -read]
        }
        assert_equal 0 [[leader] EXISTS queue]
        close_all {*}$waiting
    }

    alone {clients of two nodes play ping-pong} {
        lassign [followers] one other
        set a [connect $one]
        set b [connect $other]
        for {set i 0} {$i < 200} {incr i} {
            $a -send BLPOP ping 0
            $b -send RPUSH ping $i
            assert_equal "ping $i" [$a -read]
            assert_equal 1 [$b -read]
            $b -send BLPOP pong 0
            $a -send RPUSH pong $i
            assert_equal "pong $i" [$b -read]
            assert_equal 1 [$a -read]
        }
        close_all $a $b
    }

    alone {what is pushed by any command wakes} {
        set id [lindex [followers] 0]
        foreach {wakes reply before} {
            {RPUSH k x} {k x} {}
            {RENAME s k} {k x} {RPUSH s x}
            {COPY s k REPLACE} {k x} {RPUSH s x}
            {SORT s ALPHA STORE k} {k x} {RPUSH s x}
            {LMOVE s k LEFT LEFT} {k x} {RPUSH s x}
            {EVAL-LIKE} {k x} {}
            {SWAPDB 0 1} {k x} {IN1}
            {SWAPDB 1 0} {k x} {IN1}
            {MOVE k 0} {k x} {IN1}
            {RESTORE} {k x} {RPUSH s x}
        } {
            [leader] DEL s k
            set other [connect [leader_id]]
            if {$before eq "IN1"} { $other SELECT 1; $other RPUSH k x } elseif {$before ne ""} { $other {*}$before }
            set c [blocked $id 1 BLPOP k 0]
            if {$wakes eq "EVAL-LIKE"} {
                $other MULTI; $other SET u 1; $other RPUSH k x; $other EXEC
            } elseif {$wakes eq "RESTORE"} {
                $other RESTORE k 0 [$other DUMP s]
            } else { $other {*}$wakes }
            assert_equal $reply [$c -read]
            wait_until_parked 0
            close_all $c $other
        }
        set c [blocked $id 1 BZPOPMIN z 0]
        [leader] GEOADD g 1 1 x
        [leader] GEOSEARCHSTORE z g FROMLONLAT 1 1 BYRADIUS 1 km
        assert_equal {z x} [lrange [$c -read] 0 1]
        $c -close
    }

    alone {of another type: who waits waits on, who comes is told} {
        set c [blocked [lindex [followers] 0] 1 BLPOP typed 0]
        [leader] SET typed x
        assert_error {WRONGTYPE*} { [node [lindex [followers] 1]] BLPOP typed 0 }
        wait_until_parked 1
        [leader] DEL typed
        set z [blocked [leader_id] 2 BZPOPMIN typed 0]
        [leader] ZADD typed 1 m
        assert_equal {typed m 1} [$z -read]
        [leader] RPUSH typed y
        assert_equal {typed y} [$c -read]
        close_all $c $z
    }

    alone {XREADGROUP waits for what its group has not seen} {
        foreach id [node_ids] {
            [leader] DEL stream
            assert_error {NOGROUP*} { [node $id] XREADGROUP GROUP g c BLOCK 0 STREAMS stream > }
            [leader] XGROUP CREATE stream g 0 MKSTREAM
            assert_equal nil* [[node $id] -typed XREADGROUP GROUP g c BLOCK 10 STREAMS stream >]
            set one [blocked $id 1 XREADGROUP GROUP g c BLOCK 0 STREAMS stream >]
            set two [blocked $id 2 XREADGROUP GROUP g d BLOCK 0 STREAMS stream >]
            [node [lindex [followers] 0]] XADD stream 1-1 a b
            assert_equal {{stream {{1-1 {a b}}}}} [$one -read]
            wait_until_parked 1
            [leader] XGROUP DESTROY stream g
            assert_match {-NOGROUP*} [$two -readtyped]
            close_all $one $two
        }
    }

    alone {XREAD waits on any node, and one XADD serves all} {
        [leader] DEL events
        [leader] XADD events 1-1 a b
        set waiting {}
        foreach id [concat [node_ids] [node_ids]] {
            lappend waiting [blocked $id [expr {[llength $waiting] + 1}] XREAD BLOCK 0 STREAMS nothing events $ $]
        }
        [leader] XDEL events 1-1
        [leader] SET nothing x
        [leader] DEL nothing
        hold 100
        wait_until_parked 6
        [node [lindex [followers] 0]] XADD events 2-1 c d
        foreach c $waiting { assert_equal {{events {{2-1 {c d}}}}} [$c -read] }
        wait_until_parked 0
        foreach id [node_ids] {
            assert_equal {{events {{2-1 {c d}}}}} [[node $id] XREAD BLOCK 0 STREAMS events 0]
            assert_equal {{events {{2-1 {c d}}}}} [[node $id] XREAD STREAMS events +]
            assert_match nil* [[node $id] -typed XREAD BLOCK 20 STREAMS events $]
            assert_error {WRONGTYPE*} { [node $id] SET string x; [node $id] XREAD BLOCK 0 STREAMS string $ }
        }
        close_all {*}$waiting
    }

    alone {what $ meant holds though the leader dies} {
        set leader [leader_id]
        [leader] DEL events
        [leader] XADD events 1-1 a b
        set waiting {}
        foreach id [followers] { lappend waiting [blocked $id [expr {[llength $waiting] + 1}] XREAD BLOCK 0 STREAMS events $] }
        set one [lindex [followers] 0]
        pause_node $leader
        # Nobody waits at a leader when these come.
        insist $one XADD events 2-* c d
        foreach c $waiting { assert_match {{events {{2-* {c d}}}*}} [$c -read] }
        resume_node $leader
        wait_until_settled
        close_all {*}$waiting
    }

    alone {UNBLOCK, KILL and the end of a connection that reads} {
        foreach id [node_ids] {
            set c [connect $id]
            set client [$c CLIENT ID]
            $c -send XREAD BLOCK 0 STREAMS held $
            wait_until_parked 1
            assert_match {*flags=b*} [[node $id] CLIENT LIST ID $client]
            assert_equal 1 [[node $id] CLIENT UNBLOCK $client]
            assert_match nil* [$c -readtyped]
            $c -send XREAD BLOCK 0 STREAMS held 0
            wait_until_parked 1
            assert_equal 1 [[node $id] CLIENT UNBLOCK $client ERROR]
            assert_equal "-UNBLOCKED client unblocked via CLIENT UNBLOCK" [$c -readtyped]
            assert_equal +PONG [$c -typed PING]
            $c -send XREAD BLOCK 0 STREAMS held $
            wait_until_parked 1
            $c -close
            wait_until_parked 0
        }
        set c [connect [lindex [followers] 0]]
        $c HELLO 3
        assert_equal _ [$c -typed XREAD BLOCK 10 STREAMS held $]
        $c MULTI
        $c XREAD BLOCK 0 STREAMS held $
        assert_match {\[_\]} [$c -typed EXEC]
        assert_error {*not allowed with BLOCK*} { $c EVAL {return redis.call('xread', 'block', '0', 'streams', 's', '$')} 0 }
        $c -close
    }

    alone {timeouts end it on every node, and nothing is taken after} {
        foreach id [node_ids] {
            set c [connect $id]
            set began [clock milliseconds]
            assert_equal nil* [$c -typed BLPOP slow 0.3]
            set took [expr {[clock milliseconds] - $began}]
            if {$took < 290 || $took > [slow 3000]} { fail "it took $took ms" }
            assert_equal nil* [$c -typed BLMOVE slow other LEFT LEFT 0.01]
            assert_equal +PONG [$c -typed PING]
            $c -close
        }
        wait_until_parked 0
        [leader] RPUSH slow x
        assert_equal 1 [[leader] LLEN slow]
        [leader] DEL slow
    }

    alone {CLIENT UNBLOCK, KILL and the end of a connection} {
        foreach id [node_ids] {
            set c [connect $id]
            set client [$c CLIENT ID]
            $c -send BLPOP held 0
            wait_until_parked 1
            assert_equal 1 [dict get [info_fields $id clients] blocked_clients]
            assert_match {*flags=b*} [[node $id] CLIENT LIST ID $client]
            assert_equal 1 [[node $id] CLIENT UNBLOCK $client]
            assert_equal nil* [$c -readtyped]
            assert_equal 0 [[node $id] CLIENT UNBLOCK $client]
            $c -send BLPOP held 0
            wait_until_parked 1
            assert_equal 1 [[node $id] CLIENT UNBLOCK $client ERROR]
            assert_equal "-UNBLOCKED client unblocked via CLIENT UNBLOCK" [$c -readtyped]
            $c -send BLPOP held 0
            wait_until_parked 1
            assert_equal 1 [[node $id] CLIENT KILL ID $client]
            wait_until_parked 0
            $c -close
            set c [blocked $id 1 BLPOP held 0]
            $c -close
            wait_until_parked 0
            # With a pipeline behind it that is not read: its end is seen all the same.
            set c [blocked $id 1 BLPOP held 0]
            $c -write [string repeat "*1\r\n\$4\r\nPING\r\n" 6000]
            $c -close
            wait_until_parked 0
            assert_equal 0 [dict get [info_fields $id clients] blocked_clients]
        }
        [leader] RPUSH held x
        assert_equal {held x} [[leader] BLPOP held 0]
    }

    alone {WAIT counts who certainly has it, and waits for more} {
        lassign [followers] one other
        foreach id [node_ids] {
            set c [connect $id]
            $c SET counted $id
            assert_equal 2 [$c WAIT 2 5000]
            assert_equal {1 2} [$c WAITAOF 1 2 5000]
            assert_equal 2 [$c WAIT 3 10]
            assert_error {*timeout is negative*} { $c WAIT 1 -1 }
            $c MULTI
            $c WAIT 2 0
            assert_equal 1 [$c EXEC]
            $c -close
        }
        pause_node $other
        set c [connect $one]
        $c SET counted x
        assert_equal 1 [$c WAIT 1 0]
        assert_equal 1 [$c WAIT 2 100]
        assert_equal {1 1} [$c WAITAOF 0 2 100]
        set client [$c CLIENT ID]
        $c -send WAIT 2 0
        wait_until_parked 1
        assert_equal 1 [[node $one] CLIENT UNBLOCK $client ERROR]
        assert_equal "-UNBLOCKED client unblocked via CLIENT UNBLOCK" [$c -readtyped]
        $c -send WAIT 2 0
        wait_until_parked 1
        resume_node $other
        assert_equal 2 [$c -read]
        # One that waits while the leader dies is counted by the next.
        pause_node $other
        $c SET counted y
        $c -send WAIT 2 0
        wait_until_parked 1
        set leader [leader_id]
        kill_node $leader
        resume_node $other
        restart_node $leader
        assert_equal 2 [$c -read]
        wait_until_settled
        $c -close
    }

    alone {CLIENT PAUSE holds the clients of its node, and no others} {
        lassign [followers] id other
        [leader] SET paused 0
        [node $id] CLIENT PAUSE 30000 WRITE
        set c [connect $id]
        $c -send INCR paused
        wait_for_condition 100 10 { [dict get [info_fields $id clients] blocked_clients] == 1 } else { fail "nobody is paused" }
        assert_equal 1 [[node $other] INCR paused]
        assert_equal 1 [[node $id] GET paused]
        assert_equal 1 [$c -quiet 50]
        assert_equal OK [[node $id] CLIENT UNPAUSE]
        assert_equal 2 [$c -read]
        set began [clock milliseconds]
        [node $id] CLIENT PAUSE 300
        assert_equal 3 [$c INCR paused]
        set took [expr {[clock milliseconds] - $began}]
        if {$took < 290 || $took > [slow 3000]} { fail "it took $took ms" }
        $c -close
    }

    alone {a pipeline behind it waits} {
        set c [connect [lindex [followers] 0]]
        $c -pipeline {{SET p 1} {BLPOP piped 0} {INCR p} {GET p}}
        assert_equal OK [$c -read]
        wait_until_parked 1
        assert_equal 1 [[leader] GET p]
        [leader] RPUSH piped x
        assert_equal {piped x} [$c -read]
        assert_equal 2 [$c -read]
        assert_equal 2 [$c -read]
        $c -close
    }

    alone {inside MULTI and ONCE it answers at once} {
        set c [connect [lindex [followers] 0]]
        foreach command {{BLPOP none 0} {BLMOVE none x LEFT LEFT 0} {BZPOPMIN none 0} {BLMPOP 0 1 none LEFT}} {
            $c MULTI
            $c {*}$command
            assert_match {\[nil*\]} [$c -typed EXEC]
        }
        assert_match nil* [$c -typed ONCE someone 1 BLPOP none 0]
        $c -close
    }

    alone {clients of a surviving node stay blocked, at their places, when the leader dies} {
        set leader [leader_id]
        lassign [followers] one other
        set waiting [list [blocked $one 1 BLPOP kept 0]]
        after 100
        lappend waiting [blocked $other 2 BLPOP kept 0]
        after 100
        lappend waiting [blocked $one 3 BLPOP kept 0]
        after 100
        lappend waiting [blocked $other 4 BLPOP kept 0]
        set lost [blocked $leader 5 BLPOP kept 0]
        kill_node $leader
        wait_until_parked 4
        for {set i 0} {$i < 4} {incr i} {
            insist $one RPUSH kept $i
            assert_equal "kept $i" [[lindex $waiting $i] -read]
        }
        restart_node $leader
        wait_until_settled
        assert_equal 0 [[leader] EXISTS kept]
        close_all {*}$waiting $lost
    }

    alone {a leader that steps down gives back what waits, its own clients' too} {
        set leader [leader_id]
        set waiting {}
        foreach id [node_ids] {
            lappend waiting [blocked $id [expr {[llength $waiting] + 1}] BLPOP given 0]
            after 100
        }
        pause_node $leader
        wait_for_condition 400 25 { [leader_id] != $leader } else { fail "no other leader" }
        wait_until_parked 2
        resume_node $leader
        wait_until_parked 3
        [leader] RPUSH given 0 1 2
        for {set i 0} {$i < 3} {incr i} { assert_equal "given $i" [[lindex $waiting $i] -read] }
        close_all {*}$waiting
    }

    alone {each element is got once while leaders die} {
        set pushed 0
        set got {}
        set waiting {}
        foreach id [node_ids] {
            for {set i 0} {$i < 3} {incr i} {
                set c [connect $id 20000]
                $c -send BLPOP jobs 0
                lappend waiting $c
            }
        }
        set all $waiting
        foreach round {1 2} {
            set leader [leader_id]
            kill_node $leader
            for {set i 0} {$i < 20} {incr i} {
                insist [lindex [up_ids] [expr {$i % 2}]] SADD pushed $pushed
                # An element that may be there twice is pushed only if it is known not to be there.
                set reply [[node [lindex [up_ids] 0]] -typed RPUSH jobs $pushed]
                if {[string match :* $reply]} { lappend sure $pushed }
                incr pushed
                foreach c $waiting {
                    if {[catch { $c -quiet 0 } quiet] || $quiet} continue
                    if {[catch { $c -read } reply]} continue
                    lappend got [lindex $reply 1]
                    $c -send BLPOP jobs 0
                }
            }
            restart_node $leader
            wait_until_settled
        }
        wait_for_condition 100 20 { [[leader] LLEN jobs] == 0 || [raft_field [leader_id] raft_requests_parked] == 0 } else { fail "jobs wait beside those who wait for them" }
        foreach c $waiting {
            while {![catch { $c -quiet 100 } quiet] && !$quiet} {
                if {[catch { $c -read } reply]} break
                lappend got [lindex $reply 1]
                $c -send BLPOP jobs 0
            }
        }
        set left [[leader] LRANGE jobs 0 -1]
        assert_equal [llength [lsort -unique [concat $got $left]]] [llength [concat $got $left]]
        foreach job $sure {
            if {$job ni $got && $job ni $left} { lappend missing $job }
        }
        # Those given to clients of a node that was killed are gone with it.
        puts "    $pushed pushed, [llength $got] got, [llength $left] left"
        close_all {*}$all
    }
}

finish
