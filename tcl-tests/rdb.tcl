# RDB files of Redis: a cluster that begins with one, and one that is left by one, each compared with
# a redis-server; and files that are damaged.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
source [file join $::tst::lib reference.tcl]
source [file join $::tst::lib ctl.tcl]

proc rdb {args} {
    if {[catch { exec [python] [file join $::tst::root tests compare_rdb.py] {*}$args 2>@1 } said]} { fail $said }
    return $said
}

proc import {file} {
    file delete -force [path made]
    lassign [ctl import $file --dir [path made]] status said
    assert_equal 0 $status " ($said)"
    return $said
}

# Nothing is made, and it is said why; what is said.
proc refuses {file pattern} {
    lassign [ctl import $file --dir [path none]] status said
    assert_equal 3 $status " ($said)"
    assert_match $pattern $said
    assert {[glob -nocomplain [path none]*] eq {}}
    return $said
}

# All nodes begin anew, with what was imported.
proc begin_with_made {} {
    foreach id [node_ids] { kill_node $id }
    foreach id [node_ids] {
        file delete -force [node_dir $id]/data
        file copy [path made] [node_dir $id]/data
    }
    foreach id [node_ids] { start_node $id }
    foreach id [node_ids] { wait_until_answers $id }
    wait_until_settled
    set digests [lmap id [node_ids] { [node $id] DEBUG DIGEST }]
    assert_equal 1 [llength [lsort -unique $digests]] " ($digests)"
}

proc export {args} {
    file delete [path backup]
    lassign [ctl --cluster 127.0.0.1:[client_port [leader_id]] backup [path backup]] status said
    assert_equal 0 $status " ($said)"
    file delete [path exported.rdb]
    return [ctl export [path backup] [path exported.rdb] {*}$args]
}

# The server of the reference has what the file has.
proc load {file} {
    set r [{*}$::reference]
    file copy -force $file [file join [lindex [$r CONFIG GET dir] 1] dump.rdb]
    assert_equal OK [$r DEBUG RELOAD NOSAVE]
    $r -close
}

proc dumped {} {
    set r [{*}$::reference]
    assert_equal OK [$r SAVE]
    set file [file join [lindex [$r CONFIG GET dir] 1] dump.rdb]
    $r -close
    return $file
}

proc reference_port {} { return [lindex $::reference 2] }

proc flip {file at} {
    set bytes [read_file $file]
    set byte [scan [string index $bytes $at] %c]
    write_file $file [string replace $bytes $at $at [format %c [expr {$byte ^ 4}]]]
}

set seed [expr {[clock milliseconds] % 1000000}]
start_cluster 3 {enable-debug-command local checkpoint-size 64kb} {
    with_redis_server {--enable-debug-command yes} {
        foreach compression {yes no} {
            test "a cluster has what redis-server saved (compression $compression, seed $seed)" {
                set r [{*}$::reference]
                $r CONFIG SET rdbcompression $compression
                $r -close
                rdb fill [reference_port] --seed $seed
                set said [import [dumped]]
                assert_match "*keys * in database 15*functions 2 libraries*" $said
                begin_with_made
                note [rdb compare [reference_port] [client_port [leader_id]]]
                assert_equal one [[leader] FCALL one 0]
                assert_equal OK [[leader] SET goes-on x]
            }
            incr seed
        }
        foreach version {6 7 9 10} {
            test "what was written in version $version, and what is past its time (seed $seed)" {
                rdb write [path old.rdb] --version $version --seed $seed
                assert_match "*left out * keys whose time has passed*" [import [path old.rdb]]
                begin_with_made
                load [path old.rdb]
                note [rdb compare [reference_port] [client_port [leader_id]]]
            }
            incr seed
        }
        test "redis-server has what a backup had (seed $seed)" {
            rdb fill [client_port [leader_id]] --seed $seed
            lassign [export] status said
            assert_equal 0 $status " ($said)"
            assert_equal REDIS0010 [string range [read_file [path exported.rdb]] 0 8]
            assert {[glob -nocomplain [path exported.rdb].*] eq {}}
            load [path exported.rdb]
            note [rdb compare [reference_port] [client_port [leader_id]]]
            exec redis-check-rdb [path exported.rdb]
        }
        test "there and back again" {
            import [path exported.rdb]
            begin_with_made
            note [rdb compare [reference_port] [client_port [leader_id]]]
            file copy -force [path exported.rdb] [path first.rdb]
            export
            load [path exported.rdb]
            note [rdb compare [reference_port] [client_port [leader_id]]]
        }
        test "deadlines of fields are refused, or dropped and counted" {
            set c [leader]
            $c FLUSHALL
            for {set i 0} {$i < 2500} {incr i} { $c HSET hash field$i $i }
            $c HEXPIRE hash 10000 FIELDS 3 field1 field2 field2400
            $c HSET small a 1 b 2
            $c HPEXPIRE small 10000000 FIELDS 1 b
            $c HSET gone a 1 b 2
            $c HPEXPIRE gone 1 FIELDS 1 b
            $c HSET plain a 1
            after 50
            $c INCR ticks
            lassign [export] status said
            assert_equal 3 $status
            assert_match "*fields of the hash have deadlines*--drop-field-deadlines*" $said
            assert {[glob -nocomplain [path exported.rdb]*] eq {}}
            lassign [export --drop-field-deadlines] status said
            assert_equal 0 $status " ($said)"
            assert_match "*dropped   deadlines of 4 fields in 2 hashes*" $said
            load [path exported.rdb]
            note [rdb compare [reference_port] [client_port [leader_id]]]
            assert_match "*exists already*" [lindex [ctl export [path backup] [path exported.rdb]] 1]
            assert_equal 64 [lindex [ctl export [path backup] [path x] --other] 0]
        }
        test "a damaged backup makes no file" {
            flip [path backup] 500
            lassign [ctl export [path backup] [path x.rdb] --drop-field-deadlines] status said
            assert_equal 3 $status " ($said)"
            assert {[glob -nocomplain [path x.rdb]*] eq {}}
        }
    }

    test "what a module keeps beside the keys is left out, and said" {
        rdb write [path module.rdb] --module
        assert_match "*left out: what the module test-mod1 keeps beside the keys*" [import [path module.rdb]]
    }

    test "damage and cuts are refused, with the place, and leave nothing" {
        rdb write [path small.rdb] --version 10 --seed 7
        set bytes [read_file [path small.rdb]]
        set size [string length $bytes]
        set places [list 0 3 8 9 10 50 [expr {$size / 2}] [expr {$size - 9}] [expr {$size - 8}] [expr {$size - 1}]]
        for {set i 0} {$i < 20} {incr i} { lappend places [expr {int(rand() * $size)}] }
        foreach at $places {
            write_file [path bad.rdb] $bytes
            flip [path bad.rdb] $at
            refuses [path bad.rdb] "*bad.rdb: at byte *: *"
            write_file [path bad.rdb] [string range $bytes 0 [expr {$at - 1}]]
            refuses [path bad.rdb] "*bad.rdb: at byte *: *"
        }
        write_file [path bad.rdb] ${bytes}x
        refuses [path bad.rdb] "*something follows behind the end*"
        refuses [path no-such.rdb] "*cannot open*"
    }

    # Body of a file without a checksum.
    proc file_of {body} {
        write_file [path bad.rdb] [binary format a*a*cx8 REDIS0011 $body 255]
        return [path bad.rdb]
    }

    test "what cannot be taken is refused with a word" {
        refuses [file_of "\xfe\x10\x00\x01k\x01v"] "*a database above 15*"
        refuses [file_of "\x07\x01k\x00"] "*a value of a module*"
        refuses [file_of "\x18\x01k\x01"] "*of a kind that Redis 7.2 does not have*"
        refuses [file_of "\xf6\x01x"] "*release candidate*"
        refuses [file_of "\x00\x01k\x01v\x00\x01k\x01w"] "*at byte 14: the key k in database 0: BUSYKEY*"
        refuses [file_of "\x02\x01k\x02\x01a\x01a"] "*the key k in database 0: ERR Bad data format*"
        refuses [file_of "\xf5\x05#!lua"] "*at byte 9: ERR *"
        foreach version {0005 0012 001x} {
            write_file [path bad.rdb] "REDIS$version\xff"
            refuses [path bad.rdb] "*"
        }
        assert_match "*has no checksum*" [import [file_of "\x00\x01k\x01v"]]
        assert_match "*exists already*" [lindex [ctl import [path bad.rdb] --dir [path made]] 1]
        assert_equal 64 [lindex [ctl import [path bad.rdb] -d [path made]] 0]
    }

    test "a file without keys begins a cluster, too; each import one of its own" {
        import [file_of {}]
        begin_with_made
        set cluster [raft_field 0 raft_cluster_id]
        import [path bad.rdb]
        begin_with_made
        assert {[raft_field 0 raft_cluster_id] ne $cluster}
        assert_equal 0 [[leader] DBSIZE]
        assert_equal OK [[leader] SET a x]
    }
}

proc voters {} {
    return [llength [lsearch -all -regexp [dict values [raft_info [leader_id]]] {voter=(1|yes)}]]
}

start_cluster 1 {} {
    test "a node that began with a file lets the cluster grow" {
        rdb write [path grows.rdb]
        import [path grows.rdb]
        kill_node 0
        file delete -force [node_dir 0]/data
        file rename [path made] [node_dir 0]/data
        start_node 0
        wait_until_answers 0
        set keys [[node 0] DBSIZE]
        foreach id {1 2} { assert_equal $id [add_node] }
        wait_for_condition 400 50 { [voters] == 3 } else { fail "they do not become voters" }
        kill_node 0
        foreach id {1 2} { wait_until_answers $id }
        wait_for_condition 400 50 { ![catch { leader_id }] } else { fail "nobody leads" }
        assert_equal $keys [[leader] DBSIZE]
    }
}
finish
