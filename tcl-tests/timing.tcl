# Election timers depend on nothing but time: whatever clients do, no term ends for it.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# The script must leave the term and the leader as they are; it may use $leader.
proc steady {title script} {
    test $title { unless_too_busy {
        wait_until_settled
        set leader [leader_id]
        set before [lmap id [node_ids] { term $id }]
        eval $script
        foreach id [node_ids] old $before { assert_equal $old [term $id] " (term of node $id)" }
        assert_equal $leader [leader_id]
    } }
}

# What a busy disk takes for 48 MB on three nodes is no matter here.
start_cluster 3 [list election-timeout [slow 400] request-timeout [slow 30000]] {
    steady {rest: no term changes in 3 s without clients} { hold 3000 }

    steady {load from many clients through every node} {
        set load [start_load --ports [all_ports] --list 6 --pipeline 8 --own 6 --counter 2 --echo 4]
        hold 3500
        set report [stop_load $load]
        note "[dict get $report acked] writes, [dict get $report reads] reads"
        assert {[dict get $report unknown] == 0 && [dict get $report not_done] == 0}
        assert {[dict get $report slowest_ms] < [slow 2000]}
    }

    steady {redis-benchmark with 200 clients and pipelines of 16} {
        if {[auto_execok redis-benchmark] eq {}} { skip "redis-benchmark is not installed" }
        foreach id [list $leader [follower_id]] {
            set output [exec timeout 60 redis-benchmark -p [client_port $id] -c 200 -P 16 -n 100000 \
                -r 100000 -d 100 -t set,get -q 2>@1]
            assert {![regexp -nocase error $output]} $output
            regexp {SET: ([0-9.]+)} [string map {\r \n} $output] -> rate
            note "[expr {$id == $leader ? {leader} : {follower}}]: SET $rate/s"
        }
    }

    steady {pipelines of 20000 commands in one write} {
        foreach id [node_ids] {
            set c [connect $id 60000]
            $c -pipeline [lrepeat 20000 {INCR big-pipeline}]
            for {set i 0} {$i < 20000} {incr i} { $c -read }
            $c -close
        }
        assert_equal 60000 [[node 0] GET big-pipeline]
    }

    steady {commands that take the leader a while: KEYS and SCAN over many keys, MSET of many} {
        set c [connect $leader 60000]
        for {set i 0} {$i < 20} {incr i} {
            set words MSET
            for {set j 0} {$j < 5000} {incr j} { lappend words many:$i:$j x }
            assert_equal OK [$c {*}$words]
        }
        for {set i 0} {$i < 5} {incr i} {
            assert {[llength [$c KEYS *]] > 99000}
            $c SCAN 0 COUNT 100000
        }
        $c FLUSHALL
        $c -close
    }

    steady {slow clients: bytes that drop in one by one, on many connections} {
        set bytes [resp::encode {SET slow value}]
        set open {}
        for {set i 0} {$i < 50} {incr i} { lappend open [connect [expr {$i % 3}]] }
        for {set at 0} {$at < [string length $bytes]} {incr at} {
            foreach c $open { $c -write [string index $bytes $at] }
            hold 20
        }
        foreach c $open {
            assert_equal +OK [$c -readtyped]
            $c -close
        }
    }

    steady {values of 8 MB from several clients at once} {
        set value [string repeat 0123456789abcdef 524288]
        set open {}
        foreach id {0 1 2 0 1 2} { lappend open [connect $id 60000] }
        foreach round {1 2} {
            foreach c $open { $c -send SET large:$c $value }
            foreach c $open { assert_equal +OK [$c -readtyped] }
        }
        foreach c $open { $c DEL large:$c; $c -close }
    }

    steady {connections that come and go, a thousand of them} {
        for {set i 0} {$i < 1000} {incr i} {
            set c [connect [expr {$i % 3}]]
            assert_equal +PONG [$c -typed PING]
            $c -close
        }
    }
}

# With the timers four times as fast, what is left to chance shows sooner.
start_cluster 3 {election-timeout 100 heartbeat-interval 15} {
    steady {load, with an election timeout of 100 ms} {
        set load [start_load --ports [all_ports] --list 3 --pipeline 3 --own 3 --big --delay 1]
        hold 3000
        set report [stop_load $load]
        note "[dict get $report acked] writes"
    }
}
finish
