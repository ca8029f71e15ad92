# Libraries of functions are state of the cluster: they outlive kill -9 of any node and a failover,
# and what a function that failed wrote is nowhere.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set library {#!lua name=counters
redis.register_function('add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function('fail', function(keys) redis.call('SET', keys[1], 'half') error('no') end)
redis.register_function{function_name='look', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}
}

start_cluster 3 {} {
    test {a library loaded through a follower is known to all} {
        global library
        set c [connect [follower_id]]
        assert_equal counters [$c FUNCTION LOAD $library]
        assert_equal 5 [$c FCALL add 1 n 5]
        assert_equal 7 [[leader] FCALL add 1 n 2]
        assert_equal 7 [$c FCALL_RO look 1 n]
        catch { $c FCALL fail 1 n } error
        assert_equal 7 [$c GET n]
        $c -close
    }

    test {libraries survive kill -9 of the leader, and of all} {
        global library
        set leader [leader_id]
        kill_node $leader
        assert_equal 8 [[leader] FCALL add 1 n 1]
        restart_node $leader
        for {set id 0} {$id < 3} {incr id} { kill_node $id }
        for {set id 0} {$id < 3} {incr id} { restart_node $id }
        assert_equal 10 [[leader] FCALL add 1 n 2]
        assert_equal $library [dict get [lindex [[leader] FUNCTION LIST WITHCODE] 0] library_code]
        set payload [[leader] FUNCTION DUMP]
        assert_equal OK [[leader] FUNCTION FLUSH]
        assert_equal OK [[leader] FUNCTION RESTORE $payload]
        assert_equal 11 [[leader] FCALL add 1 n 1]
    }
}
finish
