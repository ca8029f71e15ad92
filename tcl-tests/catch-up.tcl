# How much a member that catches up costs the others: `make catch-up [COUNT=10] [MB=64]`.  Prints figures;
# no suite of the gate, because they depend on the machine.
#
# A follower is away while COUNT values of MB megabytes are written; then it is started again, and clients
# of the leader and of the other follower ask all the time.  On a busy machine they wait for the processor
# as well; so it also prints the longest turns of each node's loop in its own processor's time
# (utils/bench/turns.c).

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set count [expr {[info exists ::env(COUNT)] ? $::env(COUNT) : 10}]
set mb [expr {[info exists ::env(MB)] ? $::env(MB) : 64}]

set library [file join $::tst::root build tcl turns.so]
file mkdir [file dirname $library]
exec cc -O2 -shared -fPIC -o $library [file join $::tst::root utils bench turns.c] -ldl

proc turns_file {id} { return [suite_dir].turns$id }
proc forget_turns {} { foreach id [node_ids] { write_file [turns_file $id] {} } }

# The longest turns of a node since they were forgotten: milliseconds of its processor.
proc longest_turns {id} {
    set cpu [lmap line [split [string trim [read_file [turns_file $id]]] \n] { lindex $line 2 }]
    set cpu [lrange [lsort -integer -decreasing $cpu] 0 7]
    return [lmap us $cpu { format %.1f [expr {$us / 1000.0}] }]
}

set ::cluster::environment {LD_PRELOAD=$::library TURNS_FILE=[turns_file $id]}

# What was written is being sorted into files meanwhile, by threads of the store, as long as that takes.
proc wait_until_quiet {ids} {
    set good 0
    for {set i 0} {$i < 3000 && $good < 100} {incr i} {
        set began [clock milliseconds]
        foreach id $ids { [node $id] SET probe 1 }
        set good [expr {[clock milliseconds] - $began < 20 * [llength $ids] ? $good + 1 : 0}]
        after 10
    }
    note "quiet after $i rounds"
}

proc rounds {ids until} {
    set worst 0
    set sum 0
    set n 0
    while {![uplevel #0 [list expr $until]]} {
        foreach id $ids {
            set began [clock microseconds]
            [node $id] SET probe 1
            [node $id] GET probe
            set took [expr {[clock microseconds] - $began}]
            incr sum $took
            incr n
            if {$took > $worst} { set worst $took }
        }
        after 2
    }
    return [format "%d pairs of SET and GET, mean %.1f ms, worst %.1f ms" $n \
        [expr {$sum / 1000.0 / max(1, $n)}] [expr {$worst / 1000.0}]]
}

start_cluster 3 {request-timeout 60000 election-timeout 2000 log-retention-bytes 8gb} {
    test "a member that is $count values of $mb MB behind" {
        set value [string repeat x [expr {$mb * 1048576 - 100}]]
        [leader] SET probe 1
        set ::leader [leader_id]
        set ::away [follower_id]
        kill_node $::away
        set ids [up_ids]
        for {set i 0} {$i < $count} {incr i} {
            set c [connect $::leader 120000]
            assert_equal OK [$c SET big:[expr {$i % 3}] $value]
            $c -close
        }
        wait_until_quiet $ids
        set ::until [expr {[clock milliseconds] + 3000}]
        note "before: [rounds $ids {[clock milliseconds] >= $::until}]"
        set ::last [raft_field $::leader raft_log_last_index]
        set before [term $::leader]
        forget_turns
        set began [clock milliseconds]
        start_node $::away
        note "meanwhile: [rounds $ids {
            [regexp {match=(\d+)} [raft_field $::leader raft_member$::away] -> match]
            && $match >= $::last}]"
        note "it took [expr {([clock milliseconds] - $began) / 1000.0}] s;\
            resident: leader [process_rss_mb [node_pid $::leader]] MB,\
            member [process_rss_mb [node_pid $::away]] MB"
        foreach {who id} [list leader $::leader follower [lindex [lsearch -all -inline -not $ids $::leader] 0] \
                              "catching up" $::away] {
            note "longest turns, ms of the processor: $who [join [longest_turns $id]]"
        }
        assert_equal $before [term $::leader] " (the term)"
        foreach id $ids { assert_equal 1 [[node $id] GET probe] }
    }
}
finish
