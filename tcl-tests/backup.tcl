# Backups of a running cluster: by redis-raft-ctl and by RAFT.BACKUP, under load; that each is the
# state of one moment; that damage is found; and that a cluster made of one has what the first had.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib ctl.tcl]

proc backup {id name} {
    lassign [ctl --cluster 127.0.0.1:[client_port $id] backup [path $name]] status said
    assert_equal 0 $status " ($said)"
    return $said
}

proc verify {file expected} {
    lassign [ctl verify $file] status said
    assert_equal $expected $status " ($said)"
    return $said
}

# All nodes begin anew, each with what the file has.
proc restore_all {file} {
    foreach id [node_ids] { kill_node $id }
    foreach id [node_ids] {
        file delete -force [node_dir $id]/data
        lassign [ctl restore $file --dir [node_dir $id]/data] status said
        assert_equal 0 $status " ($said)"
    }
    foreach id [node_ids] { start_node $id }
    foreach id [node_ids] { wait_until_answers $id }
    wait_until_settled
}

proc fill {} {
    set c [leader]
    fill_types $c 40
    $c SELECT 7
    $c SADD small a b c
    $c SELECT 0
    $c DEL {*}[lmap j {1 2 3 4 5} { set j string3.$j }]
}

proc digest {id} { return [[node $id] DEBUG DIGEST] }
proc flip {file at} {
    set bytes [read_file $file]
    set byte [scan [string index $bytes $at] %c]
    write_file $file [string replace $bytes $at $at [format %c [expr {$byte ^ 4}]]]
}

set dir [file join $::tst::root build tcl backups-[option --port-base]]
file delete -force $dir
file mkdir $dir
start_cluster 3 [list enable-debug-command local backup-dir $dir checkpoint-size 64kb] {
    test {a cluster made of a backup has what the first had, and goes on} {
        fill
        set before [digest [leader_id]]
        backup [follower_id] first
        assert_match "*entry *keys *in database 0*keys *1 in database 7*sound*" [verify [path first] 0]
        set cluster [raft_field 0 raft_cluster_id]
        restore_all [path first]
        foreach id [node_ids] { assert_equal $before [digest $id] }
        assert {[raft_field 0 raft_cluster_id] ne $cluster}
        set c [leader]
        assert_equal 2 [$c ONCE client1 1 INCR once] " (a receipt: the reply of then)"
        assert_equal 41 [$c ONCE client1 2 INCR once]
        assert {[$c TTL deadline3] > 90000}
    }

    test {one moment, whatever is done while it is read} {
        set c [connect [leader_id]]
        set before [digest [leader_id]]
        set id [$c RAFT.SNAPSHOT BEGIN]
        $c FLUSHALL
        $c SET other x
        set out [open [path moment] wb]
        for {set n 0} {[file size [path moment]] >= 0} {incr n} {
            set chunk {}
            while {$chunk eq {}} {
                if {[catch { set chunk [$c RAFT.SNAPSHOT CHUNK $id $n] } problem]} break
                flush $out
            }
            if {$chunk eq {}} break
            if {$n == 1} { assert_equal $chunk [$c RAFT.SNAPSHOT CHUNK $id 1] }
            puts -nonewline $out $chunk
        }
        close $out
        assert_match "*no such snapshot*" $problem
        assert_equal OK [$c RAFT.SNAPSHOT END $id]
        assert_match "*ERR no such snapshot*" [$c -typed RAFT.SNAPSHOT END $id]
        $c -close
        verify [path moment] 0
        restore_all [path moment]
        assert_equal $before [digest [leader_id]]
    }

    test {a backup under load, by both ways; what was acknowledged before is in it} {
        set load [start_load --ports [all_ports] --own 2 --counter 1]
        after 500
        set c [leader]
        $c SET marked x
        set marked [$c INCR mine]
        backup [leader_id] loaded
        assert_equal {Background backup started} [$c RAFT.BACKUP night-1]
        wait_for_condition 200 100 {[raft_field [leader_id] raft_backup_in_progress] == 0} else {
            fail "the backup does not end"
        }
        assert_equal ok [raft_field [leader_id] raft_backup_status]
        stop_load $load
        verify [path loaded] 0
        verify $dir/night-1 0
        assert {![file exists $dir/night-1.part]}
        restore_all $dir/night-1
        assert_equal x [[leader] GET marked]
        assert_equal $marked [[leader] GET mine]
    }

    test {what is no name, or taken, or not configured, is refused} {
        set c [leader]
        foreach name {../x /tmp/x .hidden {} a/b "a b"} {
            assert_match "*ERR a backup is named*" [$c -typed RAFT.BACKUP $name]
        }
        assert_match "*ERR there is a file of this name*" [$c -typed RAFT.BACKUP night-1]
        assert_match "*exists already*" [lindex [ctl --cluster 127.0.0.1:[client_port 0] backup [path first]] 1]
        assert_match "*ERR no such snapshot*" [$c -typed RAFT.SNAPSHOT CHUNK 1 0]
        assert_match "*ERR value is not an integer*" [$c -typed RAFT.SNAPSHOT CHUNK x 0]
        $c RAFT.SNAPSHOT BEGIN
        $c RAFT.SNAPSHOT BEGIN
        assert_match "*ERR too many*" [$c -typed RAFT.SNAPSHOT BEGIN]
    }

    test {damage anywhere, and a file cut short, are found; nothing is made of them} {
        set size [file size [path first]]
        foreach at [list 0 20 400 [expr {$size / 2}] [expr {$size - 1}]] {
            file copy -force [path first] [path bad]
            flip [path bad] $at
            verify [path bad] 1
            if {$at < 400} continue
            assert_equal 3 [lindex [ctl restore [path bad] --dir [path made]] 0]
            assert {[glob -nocomplain [path made]*] eq {}}
        }
        foreach cut [list 0 10 300 [expr {$size / 2}] [expr {$size - 1}]] {
            write_file [path bad] [string range [read_file [path first]] 0 [expr {$cut - 1}]]
            verify [path bad] 1
        }
        write_file [path bad] "[read_file [path first]]x"
        verify [path bad] 1
        lassign [ctl restore [path first] --dir [node_dir 0]/data] status said
        assert_equal 3 $status
        assert_match "*exists already*" $said
    }
}
file delete -force $dir
finish
