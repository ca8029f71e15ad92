# Tests, assertions and waiting.  Each suite is a file that begins with
#
#     source [file join [file dirname [file normalize [info script]]] lib test.tcl]
#
# and ends with `finish`.  It runs alone (`tclsh tcl-tests/failover.tcl`) or under run.tcl, prints
# one line a test and at last `N passed, N failed`, and exits with 1 if anything failed.
#
#     test {A value comes back} {
#         [leader] SET k v
#         assert_equal v [[follower] GET k]
#     }
#
# There is one form of waiting, with a bound and a reason:
#
#     wait_for_condition 50 100 { [alive 1] } else { fail "node 1 did not start" }
#
# Every bound on time is multiplied by --slow (default 1), for sanitizer builds and busy machines.

namespace eval tst {
    variable passed 0 failed 0 skipped 0
    variable suite [file rootname [file tail $::argv0]]
    variable lib [file dirname [file normalize [info script]]]
    variable root [file dirname [file dirname $lib]]
    variable options
    array set options [list --port-base 24000 --binary build/redis-raft --test * --slow 1 \
        --redis {} --keep 0]
}

proc tst::parse_arguments {} {
    variable options
    foreach {name value} $::argv {
        if {![info exists options($name)]} {
            puts stderr "usage: $::argv0 [join [lmap o [lsort [array names options]] {
                set o "\[$o VALUE\]" }]]"
            exit 2
        }
        set options($name) $value
    }
    if {[file pathtype $options(--binary)] ne "absolute"} {
        set options(--binary) [file join $tst::root $options(--binary)]
    }
}

# Two runs must not share ports: each holds one of its fifty for as long as it lives, and moves on
# to the next fifty while that, or one that is needed, is taken.
proc tst::claim_ports {} {
    variable options
    for {set tries 0} {$tries < 20} {incr tries} {
        set base $options(--port-base)
        if {![catch { socket -server {apply {{args} {}}} -myaddr 127.0.0.1 [expr {$base + 45}] }]
            && ![port_taken $base] && ![port_taken [expr {$base + 10}]]} return
        incr options(--port-base) 50
    }
    puts stderr "no free ports from $options(--port-base) on"
    exit 2
}

proc port_taken {port} {
    if {[catch { socket 127.0.0.1 $port } fd]} { return 0 }
    close $fd
    return 1
}

proc option {name} { return $::tst::options($name) }
proc slow {number} { return [expr {int($number * [option --slow])}] }

# ---- tests -----------------------------------------------------------------------------------

proc test {title body} {
    if {![string match [option --test] $title]} return
    set ::tst::notes {}
    set start [clock milliseconds]
    set code [catch { uplevel 1 $body } result details]
    set seconds [format %.1f [expr {([clock milliseconds] - $start) / 1000.0}]]
    set note [expr {$::tst::notes eq {} ? {} : " ([join $::tst::notes {; }])"}]
    if {$code == 0 || $code == 2} {
        incr ::tst::passed
        puts "ok    $::tst::suite: $title$note \[$seconds s\]"
    } elseif {$code == 1 && [lindex [dict get $details -errorcode] 0] eq "SKIP"} {
        incr ::tst::skipped
        puts "skip  $::tst::suite: $title: $result"
    } else {
        incr ::tst::failed
        puts "FAIL  $::tst::suite: $title$note \[$seconds s\]"
        puts "      [string map {\n "\n      "} [string range $result 0 3000]]"
        if {$code == 1 && [lindex [dict get $details -errorcode] 0] ne "ASSERT"} {
            puts "      [string map {\n "\n      "} [dict get $details -errorinfo]]"
        }
        puts [cluster_logs 12]
        # So that one failure is not the reason of the next.
        if {[catch { recover_cluster } problem]} { puts "      and after that: $problem" }
    }
    flush stdout
}

# A figure worth seeing beside the test's line.
proc note {text} { lappend ::tst::notes $text }

proc fail {reason} { throw ASSERT $reason }
proc skip {reason} { throw SKIP $reason }

# Milliseconds for a copy of 64 MB into memory that was not used before.  A node makes several of one
# value, each in one go: where one takes a good part of the election timeout, an election says nothing
# about the node.
proc copy_ms {} {
    set script {import time; a = bytearray(67108864); t = time.monotonic(); b = bytes(a)}
    append script {; print(int((time.monotonic() - t) * 1000))}
    return [exec [python] -c $script]
}

# What fails on a machine that copies so slowly was not tested, and says so.
proc unless_too_slow {body} {
    if {[catch { uplevel 1 $body } error options]} {
        set ms [copy_ms]
        if {$ms > 120} { skip "the machine is too slow or busy: a copy of 64 MB takes $ms ms: $error" }
        return -options $options $error
    }
}

# Tells how late a process that only sleeps was woken at worst, in ms, between the two calls: who waits
# for a processor so long cannot keep an election timeout either.
proc begin_sleeping {} { return [open "|[list [python] [file join $::tst::lib sleeper.py]]" r+] }

proc end_sleeping {sleeper} {
    close $sleeper write
    set ms [read $sleeper]
    close $sleeper
    return [string trim $ms]
}

# What fails while others take the processors was not tested, and says so.
proc unless_too_busy {body} {
    set sleeper [begin_sleeping]
    set code [catch { uplevel 1 $body } error options]
    set ms [end_sleeping $sleeper]
    if {$code == 1 && $ms >= 40} {
        skip "the machine is too busy: a process was woken up to $ms ms late: $error"
    }
    return -options $options $error
}

proc finish {} {
    catch { stop_everything }
    puts "$::tst::suite: $::tst::passed passed, $::tst::failed failed[expr {
        $::tst::skipped ? ", $::tst::skipped skipped" : {}}]"
    exit [expr {$::tst::failed > 0}]
}

# ---- assertions ------------------------------------------------------------------------------

proc shorten {text} {
    if {[string length $text] <= 400} { return $text }
    return "[string range $text 0 397]... ([string length $text] characters)"
}

proc assert_equal {expected actual {what {}}} {
    if {$expected eq $actual} return
    fail "expected [shorten $expected]\n     got [shorten $actual]${what}"
}

proc assert_match {pattern actual {what {}}} {
    if {[string match $pattern $actual]} return
    fail "expected a match of [shorten $pattern]\n     got [shorten $actual]${what}"
}

proc assert {expression {what {}}} {
    if {[uplevel 1 [list expr $expression]]} return
    fail "not so: $expression[expr {$what eq {} ? {} : ": $what"}]"
}

# The script must fail with a message that matches; gives the message.
proc assert_error {pattern script} {
    if {![catch { uplevel 1 $script } message]} {
        fail "expected an error like [shorten $pattern]\n     got [shorten $message]"
    }
    if {![string match $pattern $message]} {
        fail "expected an error like [shorten $pattern]\n     got [shorten $message]"
    }
    return $message
}

# ---- waiting ---------------------------------------------------------------------------------

# An error in the condition counts as "not yet", and is told if the time runs out.  That says how long
# a failure takes, and no more: a machine that has little of its processors to give has 5 s in any case.
proc wait_for_condition {tries delay_ms condition else otherwise} {
    if {$else ne "else"} { error "wait_for_condition TRIES MS {CONDITION} else {SCRIPT}" }
    set problem {}
    set patience [expr {[clock milliseconds] + 5000}]
    for {set i 0} {$i < [slow $tries] || [clock milliseconds] < $patience} {incr i} {
        if {[catch { uplevel 1 [list expr $condition] } answer]} {
            set problem $answer
        } elseif {$answer} {
            return
        }
        after $delay_ms
    }
    set code [catch { uplevel 1 $otherwise } message details]
    if {$code == 1 && $problem ne {}} { throw ASSERT "$message (last error: $problem)" }
    return -options $details $message
}

# Where the test itself is about a time that passes (a process stopped for two seconds, load that
# runs for three): not for waiting until something has happened.
proc hold {ms} {
    set ::tst::held 0
    after $ms {set ::tst::held 1}
    vwait ::tst::held
}

proc elapsed {script} {
    set start [clock milliseconds]
    uplevel 1 $script
    return [expr {[clock milliseconds] - $start}]
}

proc random_bytes {count} {
    set file [open /dev/urandom rb]
    try { return [read $file $count] } finally { close $file }
}

tst::parse_arguments
tst::claim_ports
source [file join $tst::lib resp.tcl]
source [file join $tst::lib cluster.tcl]
