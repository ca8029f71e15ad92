# Nodes whose wall clocks are wrong: tests/faults/clock.c, preloaded, shows each node the time plus what
# its file says.  To be sourced before the cluster is started.

set library [file join $::tst::root build tcl clock.so]
file mkdir [file dirname $library]
exec cc -O2 -shared -fPIC -o $library [file join $::tst::root tests faults clock.c]

proc clock_file {id} { return [suite_dir].clock$id }
proc set_clock {id seconds} { write_file [clock_file $id] [format %+d $seconds]\n }
proc set_clocks {args} { foreach seconds $args id {0 1 2} { set_clock $id $seconds } }
file mkdir [file dirname [suite_dir]]

set ::cluster::environment {LD_PRELOAD=$::library CLOCK_FILE=[clock_file $id]}

# Returns once the node has noticed: TIME is its own clock.
proc turn_clock {id seconds} {
    set_clock $id $seconds
    wait_for_condition 300 10 {
        abs([lindex [[node $id] TIME] 0] - [clock seconds] - $seconds) <= 2
    } else { fail "node $id does not show $seconds s" }
}
