# Scripts in a cluster: known after a failover and a restart, bounded alike on all nodes, and long ones
# cost no election.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# The terms that the nodes know: an election raises them.
proc terms {} { return [lsort -unique [lmap id [up_ids] { term $id }]] }

proc eventually {id args} {
    wait_for_condition 400 25 { ![catch { [node $id] {*}$args } ::reply] } else {
        fail "$args does not succeed through node $id: $::reply"
    }
    return $::reply
}

start_cluster 3 {} {
    test {EVALSHA knows after kill -9 of the leader, and after a restart of all, what was loaded} {
        set sha [[leader] SCRIPT LOAD {return redis.call('incr', KEYS[1])}]
        [follower] EVAL {return redis.call('incrby', KEYS[1], 10)} 1 n
        set evaled [[leader] EVAL {return redis.sha1hex("return redis.call('incrby', KEYS[1], 10)")} 0]
        assert_equal 11 [[follower] EVALSHA $sha 1 n]
        set old [leader_id]
        kill_node $old
        assert_equal 12 [eventually [leader_id] EVALSHA $sha 1 n]
        assert_equal 22 [eventually [leader_id] EVALSHA $evaled 1 n]
        restart_node $old
        wait_until_settled
        foreach id [node_ids] { kill_node $id }
        foreach id [node_ids] { restart_node $id }
        wait_until_settled
        foreach id [node_ids] { assert_equal {1 1} [eventually $id SCRIPT EXISTS $sha $evaled] }
        assert_equal 23 [eventually [follower_id] EVALSHA $sha 1 n]
    }

    test {a script that fails leaves nothing, on any node} {
        set c [follower]
        $c SET k before
        assert_match {-ERR user_script:1: boo script:*} [$c -typed EVAL \
            {redis.call('set', KEYS[1], 'after'); redis.call('lpush', 'l', 1); error('boo')} 1 k]
        assert_equal before [$c GET k]
        assert_equal 0 [$c EXISTS l]
        assert_equal {-MY own} [$c -typed EVAL \
            {redis.call('set', KEYS[1], 'after'); return redis.error_reply('MY own')} 1 k]
        assert_equal after [$c GET k]
    }

    test {an endless script ends with the same error everywhere, and costs no election} {
        set before [terms]
        set position [raft_field [leader_id] raft_log_last_index]
        set c [connect [leader_id] 120000]
        set reply [$c -typed EVAL {redis.call('set', 'endless', 1); while true do end} 0]
        note $reply
        assert {[string match {-ERR Script ended: it took more than*} $reply] || [says_unknown $reply]}
        foreach id [node_ids] {
            wait_for_condition 600 100 {
                ![catch { raft_field $id raft_last_applied_index } applied] && $applied > $position
            } else { fail "node $id does not end it" }
        }
        assert_equal $before [terms]
        assert_equal 0 [eventually [leader_id] EXISTS endless]
        $c -close
    }

    test {a long script under load: no election, and nothing is lost} {
        set before [terms]
        set load [start_load --ports [all_ports] --list 2 --counter 1]
        hold 300
        set c [connect [leader_id] 120000]
        for {set i 0} {$i < 2} {incr i} {
            $c -typed EVAL {local x = 0; for i = 1, 3e7 do x = x + i end; return redis.call('incr', 'long')} 0
        }
        hold 300
        stop_load $load
        assert_equal $before [terms]
        assert_equal 2 [eventually [leader_id] GET long]
        $c -close
    }
}

finish
