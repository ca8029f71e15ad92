# PUBLISH and SUBSCRIBE over three nodes: every subscriber hears every message, in one order, before
# and after kills; nothing twice.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib reference.tcl]

# A connection to node `id` that is subscribed; its subscription has been confirmed.
proc subscriber {id args} {
    set c [connect $id]
    foreach channel $args { assert_match "*subscribe*" [$c -typed SUBSCRIBE $channel] }
    return $c
}

# What has come for it, up to the message `last` on any channel: channel and message in turn.
proc heard_up_to {c last} {
    set heard {}
    while {1} {
        lassign [$c -read] what channel message
        assert_equal message $what
        if {$message eq $last} { return $heard }
        lappend heard $channel $message
    }
}

# Publishes until it is answered with a number: how often that was tried.
proc publish_last {id channel message} {
    wait_for_condition 400 10 { [string is integer -strict [set ::reply [publish $id $channel $message]]] } else {
        fail "PUBLISH through node $id: $::reply"
    }
}
proc publish {id channel message} {
    if {[catch { [node $id] PUBLISH $channel $message } reply]} { drop_client $id }
    return $reply
}

start_cluster 3 {} {
    test {a message reaches the subscribers of all nodes, and the reply counts those of one} {
        set subscribers [lmap id {0 1 2} { subscriber $id news }]
        lappend subscribers [subscriber 1 news]
        foreach id {0 1 2} count {1 2 1} { assert_equal $count [[node $id] PUBLISH news "from $id"] }
        foreach c $subscribers {
            foreach id {0 1 2} { assert_equal "message news {from $id}" [$c -read] }
            $c -close
        }
    }

    test {a subscriber gets nothing that was published before it subscribed} {
        for {set i 0} {$i < 20} {incr i} {
            [leader] PUBLISH news old
            set c [subscriber [follower_id] news]
            [leader] PUBLISH news new
            assert_equal {message news new} [$c -read]
            $c -close
        }
    }

    test {one order everywhere: publishers on all nodes at once} {
        set subscribers [lmap id {0 1 2} { subscriber $id a b last }]
        set publishers [lmap id {0 1 2} { connect $id }]
        for {set round 0} {$round < 100} {incr round} {
            foreach c $publishers id {0 1 2} {
                set batch {}
                foreach channel {a b a} { lappend batch [list PUBLISH $channel $id:[incr number]] }
                $c -pipeline $batch
            }
        }
        foreach c $publishers { for {set i 0} {$i < 300} {incr i} { assert_equal 1 [$c -read] } }
        [leader] PUBLISH last end
        set orders [lmap c $subscribers { heard_up_to $c end }]
        assert_equal 1800 [llength [lindex $orders 0]]
        foreach order $orders { assert {$order eq [lindex $orders 0]} "the order is the same" }
        foreach c [concat $subscribers $publishers] { $c -close }
    }

    test {messages stand where they were published among the writes: EXEC, ONCE} {
        set c [subscriber [follower_id] a]
        set p [connect [lindex [follower_ids] 1]]
        $p MULTI
        foreach i {1 2 3} { $p PUBLISH a $i; $p INCR n }
        assert_equal {0 1 0 2 0 3} [$p EXEC]
        set mine [connect [lindex [follower_ids] 0]]
        $mine MULTI
        $mine PUBLISH none x
        $mine EVAL {return redis.call('publish', 'none', 'y')} 0
        $mine PUBLISH a own
        assert_equal {0 0 1} [$mine EXEC]
        $mine -close
        $p ONCE me 1 PUBLISH a 4
        $p ONCE me 1 PUBLISH a 4
        $p PUBLISH a end
        assert_equal {a 1 a 2 a 3 a own a 4} [heard_up_to $c end]
        $c -close
        $p -close
    }

    test {kill -9 of the leader: acknowledged messages reach the subscribers of the others once} {
        for {set try 0} {$try < 3} {incr try} {
            wait_until_settled
            set victim [leader_id]
            set others [follower_ids]
            set subscribers [lmap id $others { subscriber $id a last }]
            set acked {}
            set tried {}
            set until [expr {[clock milliseconds] + 2500}]
            set kill_at [expr {[clock milliseconds] + 500}]
            set number 0
            while {[clock milliseconds] < $until} {
                foreach id $others {
                    incr number
                    lappend tried $number
                    if {[string is integer -strict [publish $id a $number]]} { lappend acked $number }
                }
                if {[alive $victim] && [clock milliseconds] >= $kill_at} { kill_node $victim }
            }
            publish_last [lindex $others 0] last end
            set orders [lmap c $subscribers { heard_up_to $c end }]
            foreach order $orders {
                assert {$order eq [lindex $orders 0]} "the order is the same"
                set messages [dict values [lreverse $order]]
                set messages [lmap {channel message} $order { set message }]
                assert_equal [llength $messages] [llength [lsort -unique $messages]] " messages came once"
                foreach message $acked { assert {$message in $messages} "$message was acknowledged" }
                foreach message $messages { assert {$message in $tried} "$message was published" }
            }
            foreach c $subscribers { $c -close }
            note "[llength $acked] acknowledged of [llength $tried]"
            restart_node $victim
        }
    }

    test {a node that comes back tells nobody what it missed, and then everything} {
        set id [follower_id]
        set other [lindex [follower_ids] 1]
        kill_node $id
        for {set i 0} {$i < 500} {incr i} { [node $other] PUBLISH a old:$i }
        restart_node $id
        set c [subscriber $id a]
        for {set i 0} {$i < 100} {incr i} { [node $other] PUBLISH a new:$i }
        [node $other] PUBLISH a end
        set expected {}
        for {set i 0} {$i < 100} {incr i} { lappend expected a new:$i }
        assert_equal $expected [heard_up_to $c end]
        $c -close
        wait_until_settled
    }

    test {a node that was stopped for a while: its subscribers get what they have not seen, in order} {
        set id [follower_id]
        set other [lindex [follower_ids] 1]
        set c [subscriber $id a]
        pause_node $id
        for {set i 0} {$i < 300} {incr i} { [node $other] PUBLISH a $i }
        resume_node $id
        [node $other] PUBLISH a end
        set messages [lmap {channel message} [heard_up_to $c end] { set message }]
        assert_equal 300 [llength $messages]
        assert_equal [lsort -integer $messages] $messages
        $c -close
        wait_until_settled
    }

    test {a subscriber that does not read is closed, and nobody waits for it} {
        set id [follower_id]
        [node $id] CONFIG SET client-output-buffer-limit {pubsub 2mb 0 0}
        set slow [subscriber $id a]
        set reader [subscriber $id b]
        set message [string repeat m 100000]
        for {set i 0} {$i < 300} {incr i} { [leader] PUBLISH a $message }
        [leader] PUBLISH b end
        assert_equal {} [heard_up_to $reader end]
        wait_for_condition 200 10 { [lindex [[node $id] PUBSUB NUMSUB a] 1] == 0 } else {
            fail "the slow subscriber is still there"
        }
        assert_equal 1 [dict get [info_fields $id stats] client_output_buffer_limit_disconnections]
        $slow -close
        $reader -close
        [node $id] CONFIG SET client-output-buffer-limit {pubsub 32mb 8mb 60}
    }

    test {keyspace events: the same on every node, expiry when it happens, once} {
        foreach id {0 1 2} { [node $id] CONFIG SET notify-keyspace-events KEA }
        set subscribers [lmap id {0 1 2} {
            set c [connect $id]
            $c PSUBSCRIBE __key*__:*
            set c
        }]
        set c [connect [follower_id]]
        for {set i 0} {$i < 200} {incr i} {
            set key k[expr {$i % 7}]
            $c {*}[lindex [list [list SET $key v] [list LPUSH l$key v] [list DEL $key] [list HSET h f $i] \
                [list LPOP l$key] [list SADD s $i] [list ZADD z $i m] [list XADD x * f v]] [expr {$i % 8}]]
        }
        $c SET gone v PX 100
        $c SELECT 3
        $c SET other v
        hold 500
        $c SET last v
        set orders [lmap s $subscribers {
            set events {}
            while {1} {
                set event [lassign [$s -read] what pattern]
                lappend events $event
                if {$event eq {__keyevent@3__:set last}} break
            }
            set events
        }]
        foreach order $orders {
            assert {$order eq [lindex $orders 0]} "the order is the same"
            foreach event {{__keyspace@0__:gone expired} {__keyevent@0__:expired gone} {__keyspace@3__:other set}} {
                assert_equal 1 [llength [lsearch -all -exact $order $event]] " times $event"
            }
        }
        note "[llength [lindex $orders 0]] events"
        foreach id {0 1 2} { [node $id] CONFIG SET notify-keyspace-events {} }
        foreach s $subscribers { $s -close }
        $c -close
    }

    with_redis_server {} {
        test {five connections hear what they hear from redis-server, on the leader and a follower} {
            set script [file join $::tst::root tests compare_messages.py]
            foreach id [list [leader_id] [follower_id]] {
                set status [catch { exec [python] $script --rounds 600 --seed [expr {$id + 1}] \
                    [lindex $::reference end] [client_port $id] 2>@1 } said]
                assert {$status == 0} $said
                note [lindex [split $said \n] end]
            }
        }
    }
}
finish
