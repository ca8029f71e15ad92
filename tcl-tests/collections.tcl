# Random commands on collections: the cluster must answer each as redis-server does, and hold the same.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib reference.tcl]

with_redis_server {} {
    start_cluster 3 {} {
        leader_id
        wait_until_settled
        set seed [expr {[info exists ::env(SEED)] ? $::env(SEED) : 1}]
        foreach who {leader_id follower_id} {
            test "6000 random commands on collections answered as by redis-server ([string map {_id {}} $who], seed $seed)" {
                exec [python] [file join $::tst::root tests compare_collections.py] --rounds 3000 --seed $seed \
                    [lindex $::reference end] [client_port [$who]]
            }
            incr seed
            test "4000 random commands on bits, parts of strings and HyperLogLogs answered as by redis-server ([string map {_id {}} $who], seed $seed)" {
                exec [python] [file join $::tst::root tests compare_strings.py] --rounds 2000 --seed $seed \
                    [lindex $::reference end] [client_port [$who]]
            }
            incr seed
            test "DUMP and RESTORE there and back, old forms and damaged ones ([string map {_id {}} $who], seed $seed)" {
                exec [python] [file join $::tst::root tests compare_dump.py] --rounds 3 --seed $seed \
                    [lindex $::reference end] [client_port [$who]]
            }
        }
    }
}
finish
