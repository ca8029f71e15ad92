# Clusters of real processes on this machine.
#
#     start_cluster 3 {request-timeout 2000} {
#         kill_node [leader_id]
#     }
#
# Node I listens on port-base + I for clients and port-base + 10 + I for peers, and lives in
# build/tcl/SUITE-PORT/nodeI, which is fresh for each cluster.  The second argument holds directives for
# every node's file; {network cuttable} among them puts net.py between the nodes (cut, heal, isolate
# below).  What is started is told to reaper.sh, so that nothing outlives the run.

namespace eval cluster {
    variable n 0          ;# nodes of the cluster that runs, 0: none
    variable founders 0   ;# of them, those that began together; the others joined
    variable options {}
    variable rejoining {} ;# of the founders, those whose disk was lost
    variable expected     ;# expected($id): up, down or paused
    variable pid
    variable client       ;# cached connections
    variable reaper {}
    variable loads {}     ;# channels of load.py
    variable network {}   ;# channel of net.py
    variable environment {} ;# what every node is started with: words for env(1)
    array set expected {}
    array set pid {}
    array set client {}
}

# ---- processes -------------------------------------------------------------------------------

proc reaper_tell {verb pid mark} {
    if {$::cluster::reaper eq {}} {
        set ::cluster::reaper [open "|sh [list [file join $::tst::lib reaper.sh]]" w]
        fconfigure $::cluster::reaper -buffering line
    }
    puts $::cluster::reaper "$verb $pid $mark"
}

# Starts a program in the background, output appended to a file; gives its pid.  `mark` is a word
# of its command line.
proc spawn {mark output args} {
    set pid [exec {*}$args </dev/null >>& $output &]
    reaper_tell add $pid $mark
    return $pid
}

# A process has ended when it is a zombie (nobody has asked for its status yet), but not while other
# threads of it are still on their way out: its ports and locks are theirs, too.
proc process_alive {pid} {
    if {[catch { open /proc/$pid/stat } file]} { return 0 }
    try { set stat [read $file] } on error {} { return 0 } finally { close $file }
    # pid (name) state
    if {[string index $stat [expr {[string last ) $stat] + 2}]] ni {Z X}} { return 1 }
    return [expr {[llength [glob -nocomplain /proc/$pid/task/*]] > 1}]
}

proc signal_process {pid signal} { exec kill -$signal $pid }

proc end_process {pid {signal KILL}} {
    catch { signal_process $pid $signal }
    wait_for_condition 500 10 { ![process_alive $pid] } else {
        catch { signal_process $pid KILL }
        fail "process $pid did not end within 5 s of SIG$signal"
    }
    reaper_tell del $pid -
}

proc process_rss_mb {pid} {
    set file [open /proc/$pid/status]
    try {
        regexp {VmRSS:\s+(\d+) kB} [read $file] -> kb
    } finally { close $file }
    return [expr {$kb / 1024}]
}

# The system's, if there is one: others on the path may be wrappers that take long to start.
proc python {} {
    return [expr {[file executable /usr/bin/python3] ? {/usr/bin/python3} : {python3}}]
}

# ---- one node --------------------------------------------------------------------------------

proc client_port {id} { return [expr {[option --port-base] + $id}] }
proc peer_port {id} { return [expr {[option --port-base] + 10 + $id}] }
proc suite_dir {} {
    return [file join $::tst::root build tcl $::tst::suite-[option --port-base]]
}
proc node_dir {id} { return [file join [suite_dir] node$id] }
proc node_log {id} { return [file join [node_dir $id] log] }
proc node_pid {id} { return $::cluster::pid($id) }
proc node_ids {} {
    set ids {}
    for {set id 0} {$id < $::cluster::n} {incr id} { lappend ids $id }
    return $ids
}
proc alive {id} {
    return [expr {[info exists ::cluster::pid($id)] && [process_alive $::cluster::pid($id)]}]
}
proc up_ids {} { return [lmap id [node_ids] { if {$::cluster::expected($id) ne "up"} continue; set id }] }

proc read_file {path} {
    if {![file exists $path]} { return {} }
    set file [open $path rb]
    try { return [read $file] } finally { close $file }
}

proc write_file {path text} {
    set file [open $path wb]
    try { puts -nonewline $file $text } finally { close $file }
}

proc node_config {id options} {
    set text "port [client_port $id]\nbind 127.0.0.1\ndir [node_dir $id]/data\n"
    if {$id < $::cluster::founders && $id ni $::cluster::rejoining} {
        append text "me $id\n"
        for {set peer 0} {$peer < $::cluster::founders} {incr peer} {
            append text "node $peer 127.0.0.1:[peer_port $peer]\n"
        }
    } else {
        append text "announce-peer 127.0.0.1:[peer_port $id]\n"
        append text "join [join [lmap o [node_ids] {
            if {$o == $id} continue
            set o 127.0.0.1:[peer_port $o]
        }] ,]\n"
    }
    foreach {name value} $options {
        # The network has the nodes' addresses then, and they listen beside it.
        if {$name eq "network"} { set name peer-bind; set value 127.0.1.1 }
        append text "$name $value\n"
    }
    # What a sanitizer makes slower makes the signs of life late.
    if {[option --slow] > 1 && ![dict exists $options election-timeout]} {
        append text "election-timeout [slow 400]\n"
    }
    return $text
}

proc start_node {id {more {}}} {
    file mkdir [node_dir $id]
    set file [file join [node_dir $id] redis-raft.conf]
    write_file $file [node_config $id [concat $::cluster::options $more]]
    foreach port [list [client_port $id] [peer_port $id]] {
        if {$::cluster::network ne {} && $port == [peer_port $id]} continue
        if {[port_taken $port]} { fail "port $port is taken by another process" }
    }
    set ::cluster::pid($id) [spawn $file [node_log $id] env {*}[subst $::cluster::environment] \
        [option --binary] $file]
    set ::cluster::expected($id) up
}

proc wait_until_answers {id} {
    wait_for_condition 400 25 { ![alive $id] || [answers $id] } else {
        fail "node $id does not answer 10 s after its start"
    }
    if {![alive $id]} { fail "node $id ended at its start: [tail [node_log $id] 3]" }
}

# Any reply to PING will do: +PONG, or that a password is missing.
proc answers {id} {
    set c [resp::connect 127.0.0.1 [client_port $id] 1000]
    try {
        return [expr {[$c -typed PING] in {+PONG {-NOAUTH Authentication required.}}}]
    } finally { $c -close }
}

proc drop_client {id} {
    if {[info exists ::cluster::client($id)]} { catch { $::cluster::client($id) -close } }
    unset -nocomplain ::cluster::client($id)
}

proc kill_node {id {signal KILL}} {
    set ::cluster::expected($id) down
    end_process $::cluster::pid($id) $signal
    drop_client $id
}

proc pause_node {id} {
    signal_process $::cluster::pid($id) STOP
    set ::cluster::expected($id) paused
}

proc resume_node {id} {
    signal_process $::cluster::pid($id) CONT
    set ::cluster::expected($id) up
}

# Starts a node again on its data; kills it first if it runs.
proc restart_node {id {more {}}} {
    if {[alive $id]} { kill_node $id }
    start_node $id $more
    wait_until_answers $id
}

# ---- clusters --------------------------------------------------------------------------------

proc start_cluster {n options body} {
    if {![catch { begin_cluster $n $options } problem details]} {
        set code [catch { uplevel 1 $body } result trouble]
        if {$code == 1} {
            test "what stands between the tests" [list return -options $trouble $result]
        }
    } else {
        test "a cluster of $n starts ($options)" [list throw ASSERT $problem]
    }
    end_cluster
}

proc begin_cluster {n options} {
    file delete -force [suite_dir]
    file mkdir [suite_dir]
    set ::cluster::n $n
    set ::cluster::founders $n
    set ::cluster::rejoining {}
    set ::cluster::options $options
    foreach id [node_ids] { set ::cluster::expected($id) down }
    if {[dict exists $options network]} start_network
    foreach id [node_ids] { start_node $id }
    foreach id [node_ids] { wait_until_answers $id }
}

# One more node, which asks the others to take it in; gives its number here, which need not be its id.
proc add_node {{more {}}} {
    set id $::cluster::n
    incr ::cluster::n
    set ::cluster::expected($id) down
    start_node $id $more
    wait_until_answers $id
    return $id
}

# The directory is gone; the node joins from now on.
proc lose_disk {id} {
    if {[alive $id]} { kill_node $id }
    file delete -force [node_dir $id]/data
    if {$id ni $::cluster::rejoining} { lappend ::cluster::rejoining $id }
}

# Every cluster ends with a test of its own: no node has died that was not killed, each one ends
# when it is told to, and no log tells of a broken invariant or a sanitizer's finding.
proc end_cluster {} {
    foreach id [node_ids] { if {$::cluster::expected($id) eq "paused"} { catch { resume_node $id } } }
    set dead [lmap id [up_ids] { if {[alive $id]} continue; set id }]
    set title "no node died or complained"
    if {[llength $::cluster::options]} { append title " ($::cluster::options)" }
    set all [option --test]
    set ::tst::options(--test) *
    test [shorten $title] {
        set slow_to_end {}
        set ids [up_ids]
        foreach id $ids { catch { signal_process [node_pid $id] TERM } }
        foreach id $ids {
            if {[catch { kill_node $id TERM }]} { lappend slow_to_end $id }
        }
        if {[llength $dead]} { fail "died on their own: nodes $dead" }
        if {[llength $slow_to_end]} { fail "did not end within 5 s of SIGTERM: $slow_to_end" }
        foreach id [node_ids] {
            foreach line [split [read_file [node_log $id]] \n] {
                if {[regexp {Sanitizer|runtime error:|check failed|[Aa]ssert|fatal|FATAL} $line]} {
                    fail "node $id: $line"
                }
            }
        }
    }
    set ::tst::options(--test) $all
    foreach id [node_ids] {
        if {[alive $id]} { catch { kill_node $id } } ;# a test that fails starts them again
        drop_client $id
    }
    end_network
    set ::cluster::n 0
    set ::cluster::founders 0
}

# After a test that failed in the middle: no load, every node runs, there is a leader.
proc recover_cluster {} {
    foreach load $::cluster::loads { end_load $load }
    if {$::cluster::network ne {}} { network reset; network delay 0 }
    foreach id [node_ids] {
        if {$::cluster::expected($id) eq "paused"} { resume_node $id }
        if {![alive $id]} {
            drop_client $id
            start_node $id
        }
    }
    foreach id [node_ids] { wait_until_answers $id }
    if {$::cluster::n} { leader_id }
}

proc stop_everything {} {
    foreach load $::cluster::loads { end_load $load }
    foreach id [node_ids] { if {[alive $id]} { catch { kill_node $id } } }
    end_network
    if {$::cluster::reaper ne {}} { catch { close $::cluster::reaper }; set ::cluster::reaper {} }
}

proc tail {path lines} {
    return [join [lrange [split [string trimright [read_file $path]] \n] end-[expr {$lines - 1}] end] \n]
}

proc cluster_logs {lines} {
    set out {}
    foreach id [node_ids] {
        append out "      -- node $id ($::cluster::expected($id)): [node_log $id]\n"
        foreach line [split [tail [node_log $id] $lines] \n] { append out "         $line\n" }
    }
    return [string trimright $out \n]
}

# ---- talking to nodes ------------------------------------------------------------------------

# A new connection; a test that opens one closes it.
proc connect {id {timeout_ms 10000}} {
    return [resp::connect 127.0.0.1 [client_port $id] [slow $timeout_ms]]
}

# The connection that is kept for a node; a broken one is replaced.
proc node {id} {
    if {[info exists ::cluster::client($id)]} {
        set c $::cluster::client($id)
        if {![eof [$c -fd]] && [catch { $c -quiet 0 } quiet] == 0 && $quiet} { return $c }
        drop_client $id
    }
    return [set ::cluster::client($id) [connect $id]]
}

# Asks until there is an answer that is no error.
proc insist {id args} {
    wait_for_condition 400 10 { ![catch { [node $id] {*}$args } ::reply] } else {
        fail "$args does not succeed through node $id"
    }
    return $::reply
}

# What a node says of itself: a dict of the fields of INFO raft.
proc raft_info {id} { return [info_fields $id raft] }

# The fields of a section.  Names that were written without a look at what was there count as new until
# they are looked up, some at each INFO, fewer on a busy machine, others by the checkpoint under way: a
# test wants the count when all are.
proc info_fields {id section} {
    set fields {}
    if {$section eq {keyspace}} {
        for {set same 0; set before {}; set i 0} {$same < 20 && $i < 2000} {incr i} {
            regsub -all {expires=[^\n]*} [[node $id] INFO keyspace] {} now
            set is_moving [string match *raft_checkpoint_in_progress:1* [[node $id] INFO raft]]
            if {$is_moving} { after 5 }
            set same [expr {$now eq $before && !$is_moving ? $same + 1 : 0}]
            set before $now
        }
    }
    foreach line [split [string map {\r {}} [[node $id] INFO $section]] \n] {
        if {[regexp {^([^#:]+):(.*)$} $line -> name value]} { dict set fields $name $value }
    }
    return $fields
}

proc raft_field {id field} { return [dict get [raft_info $id] $field] }
proc term {id} { return [raft_field $id raft_current_term] }

# The node that leads, in the highest term that any running node knows of; waits until there is one.
proc leader_id {} {
    wait_for_condition 400 25 { [set found [find_leader]] ne {} } else {
        fail "no leader within 10 s"
    }
    return $found
}

proc find_leader {} {
    set found {}
    set highest 0
    foreach id [up_ids] {
        if {[catch { raft_info $id } info]} continue
        set term [dict get $info raft_current_term]
        if {$term > $highest} { set highest $term; set found {} }
        if {$term == $highest && [dict get $info raft_role] eq "leader"} { set found $id }
    }
    return $found
}

proc leader {} { return [node [leader_id]] }

proc follower_ids {} {
    set leader [leader_id]
    return [lmap id [up_ids] { if {$id == $leader} continue; set id }]
}

proc follower_id {} { return [lindex [follower_ids] 0] }
proc follower {} { return [node [follower_id]] }

# All running nodes follow one leader and have applied the same entries.
proc settled {} {
    set leaders {}
    set applied {}
    foreach id [up_ids] {
        set info [raft_info $id]
        lappend leaders [dict get $info raft_leader_id]
        lappend applied [dict get $info raft_last_applied_index] [dict get $info raft_log_last_index]
    }
    return [expr {[llength [lsort -unique $leaders]] == 1 && [lindex $leaders 0] >= 0
        && [llength [lsort -unique $applied]] == 1}]
}

proc wait_until_settled {} {
    wait_for_condition 400 25 { [settled] } else {
        fail "the nodes do not agree after 10 s:[join [lmap id [up_ids] {
            set what "\nnode $id:"
            foreach field {role current_term leader_id commit_index last_applied_index log_last_index} {
                append what " $field [raft_field $id raft_$field]"
            }
            set what
        }] {}]"
    }
}

# ---- load ------------------------------------------------------------------------------------

# load.py in the background; see there for its options and its report.
proc start_load {args} { return [start_worker load.py --slow [option --slow] {*}$args] }

# The same of another script that says "ready", works until it is told to stop, and reports.
proc start_worker {script args} {
    set load [open "|[list [python] [file join $::tst::lib $script] {*}$args] 2>@ stderr" r+]
    fconfigure $load -buffering line
    reaper_tell add [pid $load] $script
    lappend ::cluster::loads $load
    if {[gets $load] ne "ready"} { fail "$script did not start" }
    return $load
}

proc end_load {load} {
    set pid [pid $load]
    catch { signal_process $pid KILL }
    catch { close $load }
    forget_load $load $pid
}

proc forget_load {load pid} {
    reaper_tell del $pid -
    set ::cluster::loads [lmap l $::cluster::loads { if {$l eq $load} continue; set l }]
}

# Ends the load and gives its report as a dict; a load that found something wrong fails the test.
proc stop_load {load} {
    puts $load stop
    set report {}
    set violations {}
    while {[gets $load line] >= 0} {
        regexp {^(\S+) ?(.*)$} $line -> name value
        if {$name eq "violation"} { lappend violations $value } else { dict set report $name $value }
    }
    set pid [pid $load]
    set ended [catch { close $load } problem]
    forget_load $load $pid
    if {[llength $violations]} { fail [join $violations \n] }
    if {$ended} { fail "load.py: $problem" }
    return $report
}

proc all_ports {} { return [join [lmap id [node_ids] { client_port $id }] ,] }

# ---- what refusals say -----------------------------------------------------------------------

# Keep in step with load.py.
proc says_unknown {reply} {
    return [string match "*may or may not have been executed*" $reply]
}

proc says_not_done {reply} {
    return [string match "*was not executed*" $reply]
}

# ---- the network -----------------------------------------------------------------------------

proc start_network {} {
    set ports [lmap id [node_ids] { peer_port $id }]
    set ::cluster::network [open "|[list [python] [file join $::tst::lib net.py] --listen 127.0.0.1 \
        --target 127.0.1.1 {*}$ports] 2>@ stderr" r+]
    fconfigure $::cluster::network -buffering line
    reaper_tell add [pid $::cluster::network] net.py
    if {[gets $::cluster::network] ne "ready"} { fail "net.py did not start" }
}

proc end_network {} {
    if {$::cluster::network eq {}} return
    reaper_tell del [pid $::cluster::network] -
    catch { close $::cluster::network }
    set ::cluster::network {}
}

# An order to net.py: see there.
proc network {args} {
    puts $::cluster::network $args
    if {[gets $::cluster::network] ne "ok"} { fail "net.py has ended" }
}

# Both directions between the node and each of the others.
proc isolate {id {others {}}} {
    if {$others eq {}} { set others [lmap o [node_ids] { if {$o == $id} continue; set o }] }
    foreach other $others {
        network cut $id $other
        network cut $other $id
    }
}

# Data of every type in database 0, small and large, with deadlines and receipts.
proc fill_types {c rounds} {
    for {set i 0} {$i < $rounds} {incr i} {
        set strings {}
        set fields {}
        for {set j 0} {$j < 100} {incr j} {
            lappend strings string$i.$j [string repeat x $j]
            lappend fields field$j.$i [expr {$i * $j}]
        }
        $c MSET {*}$strings
        $c HSET large-hash {*}$fields
        $c RPUSH large-list {*}$fields
        $c ZADD large-zset {*}[lreverse $fields]
        $c SADD large-set {*}$fields
        $c XADD stream * i $i
        $c SET deadline$i x EX 100000
        $c ONCE client$i 1 INCR once
    }
}
