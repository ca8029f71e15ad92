#!/usr/bin/env tclsh
# Runs the suites in this directory, one after another, each in a process of its own:
#
#     tclsh tcl-tests/run.tcl [--only SUITE[,SUITE]] [--port-base 24000] [--binary build/redis-raft]
#                             [--test GLOB] [--slow FACTOR]
#
# Prints their lines and, at the end, the failures once more with the first lines of their reasons, and
# `N passed, N failed`; exits with 1 if anything failed.  A suite that ends without its own summary (a
# crash) counts as a failure.

set here [file dirname [file normalize [info script]]]
set only {}
set port_base 24000
set pass_on {}
foreach {name value} $argv {
    switch -- $name {
        --only { set only [split $value ,] }
        --port-base { set port_base $value }
        --binary - --test - --slow { lappend pass_on $name $value }
        default {
            puts stderr "usage: run.tcl \[--only SUITE,..\] \[--port-base N\] \[--binary FILE\]\
                \[--test GLOB\] \[--slow FACTOR\]"
            exit 2
        }
    }
}

# The quick and basic ones first: what they find explains what the others find.
set suites {commands transactions scripts functions blocking messages tracking differential collections types auth limits hostile crowds start config monitoring observing watch failover disk clocks expiry divergence partition members proxy meaning prepared backup check rdb force identity install large timing
    findings killloop}
foreach name $only {
    if {$name ni $suites} { puts stderr "no suite $name; there are: $suites"; exit 2 }
}

set passed 0
set failed 0
set failures {}
set start [clock seconds]
foreach suite $suites {
    if {[llength $only] && $suite ni $only} continue
    set began [clock milliseconds]
    set pipe [open "|[list [info nameofexecutable] [file join $here $suite.tcl] \
        --port-base $port_base {*}$pass_on] 2>@1" r]
    fconfigure $pipe -translation binary
    set summary 0
    set reason 0
    while {[gets $pipe line] >= 0} {
        puts $line
        flush stdout
        # What stands behind a failure, indented, is its reason.
        if {[string match "FAIL *" $line]} {
            set reason 12
        } elseif {![string match " *" $line]} {
            set reason 0
        }
        if {$reason > 0} {
            lappend failures [string range $line 0 400]
            incr reason -1
        }
        if {[regexp "^$suite: (\\d+) passed, (\\d+) failed" $line -> p f]} {
            set summary 1
            incr passed $p
            incr failed $f
        }
    }
    catch { close $pipe }
    if {!$summary} {
        incr failed
        lappend failures "FAIL  $suite: ended before its end"
    }
    puts [format "      %s took %.0f s\n" $suite [expr {([clock milliseconds] - $began) / 1000.0}]]
}
foreach line $failures { puts $line }
puts "cluster tests: [expr {[clock seconds] - $start}] s"
puts "$passed passed, $failed failed"
exit [expr {$failed > 0}]
