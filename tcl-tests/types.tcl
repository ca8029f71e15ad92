# A million random commands over all types: a node must answer each as redis-server does, and hold the
# same behind each sequence of them.  COMMANDS=, HOURS= and SEED= say how many, or how long, and which.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib reference.tcl]

proc setting {name otherwise} { return [expr {[info exists ::env($name)] ? $::env($name) : $otherwise}] }

# One node, in memory where there is some: what is asked here is not whether it keeps what it says.
set dir [expr {[file writable /dev/shm] ? "/dev/shm/redis-raft-types-[option --port-base]" : [file join [suite_dir] data]}]
file delete -force $dir

with_redis_server {--enable-debug-command yes} {
    start_cluster 1 [list enable-debug-command yes dir $dir] {
        leader_id
        set seed [setting SEED 1]
        set amount [expr {[info exists ::env(HOURS)] ? [list --for [expr {int($::env(HOURS) * 3600)}]]
            : [list --commands [setting COMMANDS 1000000]]}]
        test "random commands over all types answered as by redis-server ([join $amount], seed $seed)" {
            set status [catch { exec [python] [file join $::tst::root tests compare_types.py] {*}$amount --seed $seed \
                [lindex $::reference end] [client_port 0] 2>@1 } said]
            assert {$status == 0} $said
            note [lindex [split $said \n] end]
        }
    }
}
file delete -force $dir
finish
