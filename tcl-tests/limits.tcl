# maxclients, timeout, client-output-buffer-limit, client-query-buffer-limit: as in Redis, where
# they have been verified; and none of them touches the nodes' own connections.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib reference.tcl]

# 0 where it is not counted: before 7.2.
proc closed_for_input {admin} {
    set count 0
    regexp {client_query_buffer_limit_disconnections:(\d+)} [$admin INFO stats] -> count
    return $count
}

proc limit_tests {open who} {
    test "maxclients ($who)" {
        set admin [{*}$open]
        # Whoever is still there (the harness's own) counts as well.
        regexp {connected_clients:(\d+)} [$admin INFO clients] -> present
        $admin CONFIG SET maxclients [expr {$present + 5}]
        set clients {}
        for {set i 0} {$i < 5} {incr i} {
            lappend clients [set c [{*}$open]]
            assert_equal +PONG [$c -typed PING]
        }
        foreach i {1 2 3} {
            set c [{*}$open]
            assert_equal "-ERR max number of clients reached" [$c -readtyped]
            assert {[$c -closed 3000]}
            $c -close
        }
        regexp {rejected_connections:(\d+)} [$admin INFO stats] -> rejected
        assert {$rejected >= 3}
        assert_equal +PONG [$admin -typed PING]
        # One goes, one may come.
        [lindex $clients 0] -close
        wait_for_condition 50 20 {
            [set c [{*}$open]; set reply [$c -typed PING]; $c -close; set reply] eq "+PONG"
        } else { fail "no room after a client has left" }
        foreach c [lrange $clients 1 end] { $c -close }
        $admin CONFIG SET maxclients 10000
        $admin -close
    }

    test "timeout closes idle clients, not busy ones ($who)" {
        set admin [{*}$open]
        set idle [{*}$open]
        $idle PING
        $admin CONFIG SET timeout 1
        set start [clock milliseconds]
        set closed 0
        while {!$closed && [clock milliseconds] - $start < 6000} {
            $admin PING
            set closed [$idle -closed 200]
        }
        set took [expr {[clock milliseconds] - $start}]
        note "after $took ms"
        assert {$closed} "the idle client was closed"
        assert {$took > 700}
        assert_equal +PONG [$admin -typed PING]
        $admin CONFIG SET timeout 0
        $idle -close
        $admin -close
    }

    test "client-output-buffer-limit closes clients that do not fetch their replies ($who)" { unless_too_slow {
        set admin [{*}$open]
        $admin SET big [string repeat x 40000000]
        $admin CONFIG SET client-output-buffer-limit "normal 8mb 0 0"
        set slow [{*}$open]
        $slow CLIENT SETNAME slow-reader
        # One reply is more than the limit and what the sockets' buffers hold: of several smaller
        # ones a server may hold the rest back until the first are fetched.
        $slow -send GET big
        wait_for_condition 100 50 {
            ![string match "*name=slow-reader*" [$admin CLIENT LIST]]
        } else { fail "the slow reader is still there" }
        assert_error * { $slow -read }
        $slow -close
        $admin SET big [string repeat x 1000000]
        # One that reads gets all it asks for.
        set good [{*}$open]
        for {set i 0} {$i < 100} {incr i} { assert_equal 1000000 [string length [$good GET big]] }
        $good -close
        assert_match {\["client-output-buffer-limit" "normal 8388608 0 0*"\]} \
            [$admin -typed CONFIG GET client-output-buffer-limit]
        $admin CONFIG SET client-output-buffer-limit "normal 0 0 0"
        $admin DEL big
        $admin -close
    } }

    test "client-output-buffer-limit, soft: too much for too long ($who)" {
        set admin [{*}$open]
        $admin SET big [string repeat x 1000000]
        $admin CONFIG SET client-output-buffer-limit "normal 0 1mb 1"
        set slow [{*}$open]
        for {set i 0} {$i < 50} {incr i} { catch { $slow -send GET big } }
        hold 2500
        $admin PING
        set got 0
        catch { for {set i 0} {$i < 50} {incr i} { $slow -read; incr got } }
        note "closed after $got of 50 replies"
        assert {$got < 50}
        $slow -close
        $admin CONFIG SET client-output-buffer-limit "normal 0 0 0"
        $admin DEL big
        $admin -close
    }

    test "client-query-buffer-limit closes clients that send too much at once ($who)" {
        set admin [{*}$open]
        $admin CONFIG SET client-query-buffer-limit 1mb
        set c [{*}$open]
        set counted [closed_for_input $admin]
        catch { $c -send SET k [string repeat x 3000000] }
        assert {[$c -closed 5000]}
        $c -close
        if {$who ne "redis-server"} { assert_equal [expr {$counted + 1}] [closed_for_input $admin] }
        set c [{*}$open]
        assert_equal +OK [$c -typed SET k [string repeat x 500000]]
        $c DEL k
        $c -close
        $admin CONFIG SET client-query-buffer-limit 1gb
        assert_equal +PONG [$admin -typed PING]
        $admin -close
    }

    # What the leader says is in force, for writes of every node.
    if {$who ne "follower"} { test "proto-max-bulk-len bounds what writes make, at once ($who)" {
        set admin [{*}$open]
        set before [lindex [$admin CONFIG GET proto-max-bulk-len] 1]
        $admin CONFIG SET proto-max-bulk-len 1mb
        assert_equal :1048576 [$admin -typed SETRANGE k 1048575 x]
        assert_match "-ERR string exceeds maximum allowed size*" [$admin -typed APPEND k x]
        $admin CONFIG SET proto-max-bulk-len 2mb
        assert_equal :1048577 [$admin -typed APPEND k x]
        $admin DEL k
        $admin CONFIG SET proto-max-bulk-len $before
        $admin -close
    } }
}

with_redis_server {} { limit_tests $reference redis-server }

start_cluster 3 [list request-timeout 60000 election-timeout [slow 400]] {
    set id [follower_id]
    limit_tests [list connect [leader_id]] leader
    limit_tests [list connect $id] follower

    test {limits for clients do not touch the nodes' own connections} {
        wait_until_settled
        set leader [leader_id]
        set term [term $leader]
        foreach id [node_ids] {
            [node $id] CONFIG SET timeout 1
            [node $id] CONFIG SET client-output-buffer-limit "normal 1mb 0 0"
            [node $id] CONFIG SET client-query-buffer-limit 2mb
            [node $id] CONFIG SET maxclients 20
        }
        # Idle for longer than the timeout, then 1.5 MB through the peers' connections.
        hold 2500
        set c [connect [follower_id]]
        for {set i 0} {$i < 20} {incr i} {
            assert_equal +OK [$c -typed SET k [string repeat x 1500000]]
        }
        $c DEL k
        $c -close
        assert_equal $term [term $leader]
        assert_equal $leader [leader_id]
    }
}
finish
