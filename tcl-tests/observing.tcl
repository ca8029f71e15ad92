# What took long, who does what: SLOWLOG, LATENCY.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc numbers {n} { set l {}; for {set i 0} {$i < $n} {incr i} { lappend l $i }; return $l }

# The words of the commands that are in a node's SLOWLOG, newest first.
proc slow_words {id} { return [lmap entry [[node $id] SLOWLOG GET -1] { lindex $entry 3 }] }

start_cluster 3 {} {
    test {SLOWLOG: a command is there where it was executed, with its own time and its client} {
        wait_until_settled
        set leader [leader_id]
        lassign [follower_ids] near far
        set c [connect $near]
        $c CLIENT SETNAME worker
        foreach id [node_ids] {
            [node $id] CONFIG SET slowlog-log-slower-than 0
            [node $id] SLOWLOG RESET
        }
        $c SET k v
        $c GET k
        wait_for_condition 100 20 { {SET k v} in [slow_words $far] } else { fail [slow_words $far] }
        assert {{GET k} in [slow_words $leader]}
        assert {{GET k} ni [slow_words $near]}
        assert {{SET k v} in [slow_words $leader]}
        # The entry travelled some hundred microseconds; to execute it took a few.
        foreach id [node_ids] {
            foreach entry [[node $id] SLOWLOG GET -1] {
                lassign $entry number at took words address name
                if {$words ne {SET k v}} continue
                assert {$took < [slow 50000] && abs([clock seconds] - $at) < 5}
                assert_equal {?:0 {}} [list $address $name] "of another node's client"
            }
        }
        set c2 [connect $leader]
        $c2 CLIENT SETNAME here
        $c2 SET k w
        set entry [lindex [$c2 SLOWLOG GET 1] 0]
        assert_equal {{SET k w} here} [list [lindex $entry 3] [lindex $entry 5]]
        assert_match "127.0.0.1:*" [lindex $entry 4]
        # A transaction's commands, and not EXEC, are there.
        $c2 SLOWLOG RESET
        $c2 MULTI; $c2 SET a 1; $c2 GET a; $c2 EXEC
        set words [slow_words $leader]
        assert {{SET a 1} in $words && {GET a} in $words} $words
        assert {![string match -nocase *exec* $words]} $words
        # A cluster under no load: the followers' and the leader's own limits are theirs.
        foreach id [node_ids] { [node $id] CONFIG SET slowlog-log-slower-than 10000 }
        $c -close; $c2 -close
    }

    test {SLOWLOG and LATENCY: what took long is seen, in slices too, and nothing else} {
        set c [leader]
        for {set i 0} {$i < 160} {incr i} {
            $c MSET {*}[concat {*}[lmap n [numbers 2500] { list key:$i:$n [string repeat x 20] }]]
        }
        $c CONFIG SET latency-monitor-threshold 5
        $c SLOWLOG RESET
        $c LATENCY RESET
        set began [clock microseconds]
        $c KEYS *:nosuch
        set took [expr {[clock microseconds] - $began}]
        set entry [lindex [$c SLOWLOG GET 1] 0]
        assert_equal {KEYS *:nosuch} [lindex $entry 3]
        assert {[lindex $entry 2] >= 10000 && [lindex $entry 2] <= $took} "[lindex $entry 2] of $took us"
        set latest [lindex [$c LATENCY LATEST] 0]
        assert_equal command [lindex $latest 0]
        assert_equal [expr {[lindex $entry 2] / 1000}] [lindex $latest 2]
        $c GET k
        assert_equal 1 [$c SLOWLOG LEN]
        $c CONFIG SET latency-monitor-threshold 0
    }
}

start_cluster 1 {} {
    test {MONITOR: what clients say here, in Redis's form, until it does not read} {
        set c [connect 0]
        set monitor [connect 0]
        assert_equal OK [$monitor MONITOR]
        $c SET k "a\n\"\x01"
        assert_match {[0-9]*.[0-9][0-9][0-9][0-9][0-9][0-9] \[0 127.0.0.1:[0-9]*\] "SET" "k" "a\\n\\"\\x01"} [$monitor -read]
        catch { $c AUTH nobody secret }
        assert_match {* "AUTH" "(redacted)" "(redacted)"} [$monitor -read]
        $c CONFIG SET timeout 0
        $c GET k
        assert_match {* "GET" "k"} [$monitor -read] "not what administers the server"
        $c MULTI; $c SET k b; $c EXEC
        foreach words {{"MULTI"} {"SET" "k" "b"} {"EXEC"}} { assert_match "* $words" [$monitor -read] }
        assert_match "-ERR Replica can't interact*" [$monitor -typed GET k]
        assert_match "*flags=O *" [$c CLIENT LIST]
        while {![$monitor -quiet 200]} { $monitor -read }
        # The limit of the pubsub class, not that of normal clients, which have none.
        $c CONFIG SET client-output-buffer-limit "pubsub 1mb 0 0"
        set value [string repeat x 100000]
        for {set i 0} {$i < 400} {incr i} { $c SET k $value }
        assert {[$monitor -closed 5000]}
        assert_equal 1 [llength [split [string trim [$c CLIENT LIST]] \n]]
        $monitor -close
        $c -close
    }
}

finish
