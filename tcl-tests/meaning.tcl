# Members of two builds, of which one knows more commands than the other: what one of them lacks is
# refused with a reason and never logged, until all know it; then it works, through restarts, too.
#
# The older build is made by `make MEANING=1` (src/command/meaning.c).

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

set new [option --binary]
set old [file join [file dirname $new]-meaning-1 [file tail $new]]
if {![file executable $old]} { error "there is no $old: make MEANING=1" }

proc use_build {binary} { set ::tst::options(--binary) $binary }

proc in_database {id database args} {
    set c [connect $id]
    assert_equal +OK [$c -typed SELECT $database]
    set reply [$c -typed {*}$args]
    $c -close
    return $reply
}

proc wait_until_all_know {} {
    wait_for_condition 200 25 {
        [catch { in_database [leader_id] 3 SET probe 1 } reply] == 0 && $reply eq "+OK"
    } else { fail "databases do not become available: $reply" }
}

# What would be lost, or waited for in vain, is refused; what a node can answer itself it answers.
proc nothing_waits_and_nothing_is_lost {id} {
    foreach command {{BLPOP q 0} {BLMOVE q r LEFT LEFT 0} {BZPOPMIN z 0} {XREAD BLOCK 0 STREAMS s $}
                     {XREADGROUP GROUP g c BLOCK 0 STREAMS s >} {PUBLISH c m} {SUBSCRIBE c}
                     {ONCE x 1 BLPOP q 0} {EVAL {return redis.call('publish', 'c', 'm')} 0}} {
        set reply [in_database $id 0 {*}$command]
        if {![string match {-ERR * needs meaning [345]*} $reply] && ![string match {-ERR unknown command*} $reply]} {
            fail "$command: $reply"
        }
    }
    assert_equal :1 [in_database $id 0 WAIT 2 0]
    assert_match {\[:1 :1\]} [in_database $id 0 WAITAOF 1 2 0]
    assert_equal +OK [in_database $id 0 CLIENT PAUSE 1]
}

# A large string is in pages or not by the meaning of the entry that put it.
set large [string repeat 0123456789 20000]

use_build $old
start_cluster 3 {} {
    test {an older build knows one database} {
        assert_equal +OK [[leader] -typed SET before upgrade]
        assert_equal +OK [[leader] -typed SET large:1 $::large]
        assert_equal {-ERR DB index is out of range} [[leader] -typed SELECT 1]
        assert_match {-ERR unknown command 'SWAPDB'*} [[leader] -typed SWAPDB 0 1]
    }

    test {an older leader refuses what a newer follower sends it} {
        use_build $::new
        set id [follower_id]
        restart_node $id
        set last [raft_field [leader_id] raft_log_last_index]
        assert_match {-ERR * needs meaning 2*} [in_database $id 3 SET k v]
        assert_match {-ERR * needs meaning 2*} [in_database $id 3 GET k]
        assert_match {-ERR * needs meaning 2*} [in_database $id 3 ONCE c 1 SET k v]
        assert_match {-ERR unknown command 'SWAPDB'*} [in_database $id 0 SWAPDB 0 1]
        assert_match {-ERR unknown command 'MOVE'*} [in_database $id 0 MOVE before 1]
        assert_equal $last [raft_field [leader_id] raft_log_last_index]
        assert_equal {"upgrade"} [in_database $id 0 GET before]
        nothing_waits_and_nothing_is_lost $id
        assert_equal $last [raft_field [leader_id] raft_log_last_index]
    }

    test {a newer leader waits for the last member} {
        set last_old [leader_id]
        foreach id [follower_ids] { restart_node $id }
        kill_node $last_old
        wait_for_condition 200 25 { [find_leader] ne {} && [find_leader] != $last_old } else {
            fail "no leader"
        }
        assert_match {-ERR * needs meaning 2*} [in_database [leader_id] 3 SET k v]
        assert_match {-ERR swapdb needs meaning 2*} [in_database [follower_id] 0 SWAPDB 0 1]
        use_build $::old
        restart_node $last_old
        hold 300
        assert_match {-ERR * needs meaning 2*} [in_database [leader_id] 3 SET k v]
        assert_equal +OK [in_database [leader_id] 0 SET between upgrade]
        foreach id [list [leader_id] [lindex [follower_ids] 0]] {
            if {$id != $last_old} { nothing_waits_and_nothing_is_lost $id }
        }
        use_build $::new
        restart_node $last_old
    }

    test {when all know it, it works, on every node} {
        wait_until_all_know
        foreach id [node_ids] {
            assert_equal +OK [in_database $id 3 SET k $id]
            foreach other [node_ids] { assert_equal "\"$id\"" [in_database $other 3 GET k] }
        }
        assert_equal +OK [in_database [follower_id] 0 SWAPDB 3 4]
        assert_equal :1 [in_database [follower_id] 4 MOVE k 0]
        assert_equal {"upgrade"} [in_database [follower_id] 0 GET before]
    }

    test {what large strings are stored as follows from their entries, alike on every node} {
        assert_equal :1 [in_database [leader_id] 0 COPY large:1 large:2]
        assert_equal +OK [in_database [follower_id] 0 SET large:3 $::large]
        assert_equal :200001 [in_database [follower_id] 0 APPEND large:3 x]
        foreach name {large:1 large:2} { assert_equal "\"$::large\"" [in_database [follower_id] 0 GET $name] }
        assert_equal "\"${::large}x\"" [in_database [follower_id] 0 GET large:3]
        wait_for_condition 20 100 {
            ![catch { [leader] RAFT.CHECK } check] && [dict get $check verdict] eq "equal"
        } else { fail "they are not equal: $check" }
        assert_equal 3 [llength [dict get $check members]]
    }

    test {when all know it, who waits is served, and who listens hears} {
        set waiting {}
        foreach id [node_ids] {
            foreach command {{BLPOP q 0} {XREAD BLOCK 0 STREAMS s $} {SUBSCRIBE c}} {
                set c [connect $id 20000]
                $c -send {*}$command
                lappend waiting $c [lindex $command 0]
            }
        }
        foreach {c name} $waiting { if {$name eq "SUBSCRIBE"} { assert_equal {subscribe c 1} [$c -read] } }
        wait_for_condition 200 25 { [raft_field [leader_id] raft_requests_parked] == 6 } else { fail "not all wait" }
        set p [connect [follower_id]]
        $p RPUSH q x y z
        $p XADD s 1-1 a b
        assert_equal 1 [$p PUBLISH c m]
        assert_equal 2 [$p WAIT 2 5000]
        $p -close
        foreach {c name} $waiting {
            set reply [$c -read]
            switch $name {
                BLPOP { assert_match {q [xyz]} $reply }
                XREAD { assert_equal {{s {{1-1 {a b}}}}} $reply }
                SUBSCRIBE { assert_equal {message c m} $reply }
            }
            $c -close
        }
    }

    test {what was agreed on holds though a member is down} {
        foreach id [node_ids] { kill_node $id }
        foreach id {0 1} { start_node $id }
        foreach id {0 1} { wait_until_answers $id }
        assert_equal +OK [in_database 0 5 SET k five]
        assert_equal {"five"} [in_database 1 5 GET k]
        assert_equal {"1"} [in_database 1 4 GET probe]
        start_node 2
        wait_until_answers 2
        assert_equal {"five"} [in_database 2 5 GET k]
    }

    test {an older build ends before it applies what it does not know} {
        use_build $::old
        kill_node 2
        start_node 2
        set ::cluster::expected(2) down
        wait_for_condition 200 25 { ![alive 2] } else { fail "it goes on" }
        assert_match {*entry * needs a version of redis-raft that knows meaning 6; this one knows 1*} \
            [read_file [node_log 2]]
        assert_equal +OK [in_database 0 5 SET k still]
        file delete [node_log 2]
        use_build $::new
        start_node 2
        wait_until_answers 2
        assert_equal {"still"} [in_database 2 5 GET k]
    }
}
use_build $new

# A node alone on a directory that an earlier build left (tests/compat); gives its pid.
proc start_on {dir} {
    set port [client_port 9]
    set pid [spawn $dir $dir.log $::new --port $port --node 0,127.7.7.7:17777 --me 0 --dir $dir]
    wait_for_condition 400 25 {
        ![process_alive $pid] || ![catch { resp::connect 127.0.0.1 $port } ::alone]
    } else { fail "it does not listen" }
    if {![process_alive $pid]} { fail "it ended: [tail $dir.log 3]" }
    return $pid
}

test {a directory of an earlier format goes on where the build of then was killed} {
    set dir [file join [suite_dir] earlier]
    file mkdir $dir
    exec tar xzf [file join $::tst::lib .. .. tests compat format-1.tar.gz] -C $dir
    for {set life 0} {$life < 3} {incr life} {
        set pid [start_on $dir]
        set answers [lmap command {{GET key:999} {GET k} {GET key:1} {GET m5} {GET f} {GET s2}
                                   {ONCE a 8 INCR n} {ONCE a 7 INCR n} {ONCE b 4 INCR s}} {
            $::alone -typed {*}$command
        }]
        set keys [$::alone -typed DBSIZE]
        $::alone -close
        end_process $pid
        assert_equal {"value of 999"} [lindex $answers 0]
        assert_equal {{"5"} nil {"5"} {"226.5"} {"new words"} :-9223372036854775704} \
            [lrange $answers 1 6] " (ONCE a 8 is executed: its receipt is older than an hour)"
        assert_match {-STALEREQ*8 came later} [lindex $answers 7]
        assert_equal {-ERR value is not an integer or out of range} [lindex $answers 8]
        assert_equal :1003 $keys
    }
    assert_match {*the keys are in an earlier format*} [read_file $dir.log]
}
finish
