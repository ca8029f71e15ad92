# RAFT.WATCH: the changes of keys, from a position on, through the death of nodes.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# The next frame that is no position.
proc next_change {c} {
    while {1} {
        set frame [$c -read]
        if {[lindex $frame 0] ne "raft.position"} { return $frame }
    }
}

start_cluster 3 {watch-history-size 256kb} {
    test {Changes are told by the node connected to, from a position on, and on another from there} {
        wait_until_settled
        lassign [follower_ids] one other
        set c [connect $one]
        set begin [$c RAFT.WATCH FROM {$} PREFIX user: KEY single VALUES]
        [leader] SET other 1
        [leader] SET user:1 a
        set writer [leader]
        foreach command {MULTI {SET user:2 b} {SET user:3 c} {DEL user:1} EXEC} { $writer {*}$command }
        [leader] SADD single x
        set seen {}
        for {set i 0} {$i < 5} {incr i} { lappend seen [lrange [next_change $c] 1 end] }
        $c -close
        set positions [lmap change $seen { lindex $change 0 }]
        assert_match {[0-9]* [0-9]*-1 [0-9]*-2 [0-9]* [0-9]*} $positions
        assert_equal {{0 set user:2 string b} {0 set user:3 string c} {0 del user:1 none {}} {0 sadd single set {}}} \
            [lmap change [lrange $seen 1 end] { lrange $change 1 end }]
        # On another node, from the middle of the transaction on; RESP3 lets a connection do more.
        set c [connect $other]
        $c HELLO 3
        assert_equal [lindex $positions 2] [$c RAFT.WATCH FROM [lindex $positions 2] PREFIX user: KEY single]
        assert_equal [list raft.change [lindex $positions 3] 0 del user:1] [next_change $c]
        assert_equal [list raft.change [lindex $positions 4] 0 sadd single] [next_change $c]
        assert_equal OK [$c RAFT.UNWATCH]
        [leader] SET user:9 x
        assert_equal x [$c GET user:9]
        assert {[$c -quiet 300]}
        $c -close
    }

    test {A quiet watcher is told where the log is} {
        set c [connect [follower_id]]
        set begin [$c RAFT.WATCH FROM {$} KEY never]
        for {set i 0} {$i < 100} {incr i} { [leader] SET k $i }
        set frame [$c -read]
        assert_equal raft.position [lindex $frame 0]
        assert {[lindex $frame 1] > $begin}
        $c -close
    }

    test {A position that is too old is told so, and who does not read is closed} {
        set id [follower_id]
        set slow [connect $id]
        $slow RAFT.WATCH FROM {$}
        set writer [leader]
        for {set i 0} {$i < 40} {incr i} {
            set commands {}
            for {set j 0} {$j < 500} {incr j} { lappend commands [list SET key:$j:[string repeat y 500] v] }
            $writer -pipeline $commands
            foreach command $commands { $writer -read }
        }
        wait_until_settled
        set c [connect $id]
        assert_match "-WATCHTOOOLD * the oldest from which one can watch is *" [$c -typed RAFT.WATCH FROM 1]
        regexp {is (\d+)} [$c -typed RAFT.WATCH FROM 1] -> oldest
        assert_equal $oldest [$c RAFT.WATCH FROM $oldest]
        assert_equal raft.change [lindex [next_change $c] 0]
        assert {[$slow -closed 10000]}
        $c -close
        $slow -close
        foreach node [node_ids] { assert {[process_rss_mb [node_pid $node]] < 600} }
    }
}

start_cluster 3 {} {
    test {Watches go on, without a gap or a double, while kill -9 takes one leader after the other} {
        wait_until_settled
        set work [start_worker watchers.py [all_ports]]
        for {set i 0} {$i < 3} {incr i} {
            after [slow 800]
            set leader [leader_id]
            kill_node $leader
            after [slow 800]
            restart_node $leader
            leader_id
        }
        after [slow 500]
        set report [stop_load $work]
        assert {[dict get $report changes] > 500} $report
        assert {[dict get $report resumed] >= 6} $report
        note "$report"
    }
}

finish
