# Nodes whose wall clocks are wrong: faketime's library, preloaded, shows each node the time plus what its
# file says.  To be sourced before the cluster is started; ends the suite where there is no faketime.

set library [lindex [glob -nocomplain /usr/lib/*/faketime/libfaketimeMT.so.1] 0]
if {$library eq {}} {
    test "wrong clocks" { skip "faketime is not installed" }
    finish
}

proc clock_file {id} { return [suite_dir].clock$id }
proc set_clock {id seconds} { write_file [clock_file $id] [format %+d $seconds]\n }
proc set_clocks {args} { foreach seconds $args id {0 1 2} { set_clock $id $seconds } }
file mkdir [file dirname [suite_dir]]

set ::cluster::environment {LD_PRELOAD=$::library FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1
    FAKETIME_TIMESTAMP_FILE=[clock_file $id]}

# Returns once the node has noticed: TIME is its own clock.
proc turn_clock {id seconds} {
    set_clock $id $seconds
    wait_for_condition 300 10 {
        abs([lindex [[node $id] TIME] 0] - [clock seconds] - $seconds) <= 2
    } else { fail "node $id does not show $seconds s" }
}
