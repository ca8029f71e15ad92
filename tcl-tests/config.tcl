# What a node refuses at its start: bad files and options, other nodes' data.  Exit code 1, the
# place and the reason in one line, nothing created.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]

proc scratch {} {
    set dir [file join [suite_dir] scratch]
    file delete -force $dir
    file mkdir $dir
    return $dir
}

# Runs the binary to its end (bounded); gives {exit-code output}.
proc run_binary {args} {
    if {[catch { exec timeout 10 [option --binary] {*}$args 2>@1 } output details]} {
        set code [dict get $details -errorcode]
        if {[lindex $code 0] ne "CHILDSTATUS"} { return [list $code $output] }
        return [list [lindex $code 2] [string map {"\nchild process exited abnormally" {}} $output]]
    }
    return [list 0 $output]
}

proc files_below {dir} { return [lsort [glob -nocomplain -tails -directory $dir *]] }

# Each {text line}: the file, and the line that is to blame.
proc assert_file_refused {text line {pattern *}} {
    set dir [scratch]
    write_file $dir/bad.conf [string map [list DIR $dir/data] $text]
    lassign [run_binary $dir/bad.conf] code output
    assert_equal 1 $code " as exit code for:\n$text\n$output"
    assert_equal bad.conf [files_below $dir] " (something was created)"
    if {$line ne {}} { assert_match "*$dir/bad.conf:$line: ?*" $output }
    assert_match $pattern $output
    assert {[llength [split [string trim $output] \n]] == 1} "one line of explanation: $output"
}

test {bad lines in the file: FILE:LINE: what is wrong, exit 1, nothing created} {
    set good "me 0\nport 24000\nbind 127.0.0.1\ndir DIR\nnode 0 127.0.0.1:24010\n"
    set cases 0
    foreach line {
        {nonsense yes} {prot 24000} {port} {port abc} {port 0} {port 65536} {port -1} {port 24000x}
        {port 24000 24001} {election-timeout 0} {election-timeout x} {heartbeat-interval -5}
        {maxclients 0} {maxclients many} {timeout -1} {loglevel loud} {follower-mode maybe}
        {bind 127.0.0.1 # x} {bind "127.0.0.1"x} {user alice on} {aclfile /x} {tls-port 6380}
        {rename-command CONFIG ""} {replicaof 127.0.0.1 6379} {cluster-enabled yes} {include /none}
        {loadmodule /x.so} {min-replicas-to-write 2} {tls-replication yes} {maxmemory lots}
        {protected-mode perhaps} {proto-max-bulk-len lots} {client-output-buffer-limit normal}
        {client-output-buffer-limit normal x 0 0} {client-output-buffer-limit strange 0 0 0}
        {node} {node 1} {node x 127.0.0.1:1} {node 1 127.0.0.1} {node 1 127.0.0.1:0}
        {node 1 127.0.0.1:99999} {node 0 127.0.0.1:24011} {node 1 127.0.0.1:24010} {node -1 127.0.0.1:5}
        {request-timeout soon} {rocksdb-cache-size -1} {log-retention-bytes x} {requirepass "unbalanced}
        {me x} {me -1} {appendonly maybe} {save 900} {daemonize perhaps} {databases 17}
        "port 2400\x00"
    } {
        assert_file_refused "$good\n# a remark\n$line\n" 8
        incr cases
    }
    note "$cases lines"
}

test {what no single line shows is refused as well} {
    set node "node 0 127.0.0.1:24010\n"
    assert_file_refused "me 5\nport 24000\ndir DIR\n$node" 1
    assert_file_refused "port 24000\ndir DIR\n${node}node 1 127.0.0.1:24011\nnode 2 127.0.0.1:24012\nme 7\n" 6
    assert_file_refused "port 24000\ndir DIR\n${node}election-timeout 50\nheartbeat-interval 100\n" {}
}

test {a file that cannot be read} {
    set dir [scratch]
    lassign [run_binary $dir/none.conf] code output
    assert_equal 1 $code
    assert_match "*$dir/none.conf*No such file*" $output
    lassign [run_binary $dir] code output
    assert_equal 1 $code
    assert_equal {} [files_below $dir]
}

test {bad options on the command line} {
    set dir [scratch]
    foreach arguments {
        {--nonsense yes} {--port} {--port x} {-port x} {--election-timeout 0} {-me} {-node 1}
        {-node 0,127.0.0.1} {-me 3 -node 0,127.0.0.1:24010} {stray -me 0}
    } {
        lassign [run_binary --dir $dir/data {*}$arguments] code output
        assert_equal 1 $code " as exit code for $arguments: $output"
        assert_match *?* $output
        assert_equal {} [files_below $dir] " for $arguments (something was created)"
    }
    lassign [run_binary --help] code output
    assert_equal 0 $code
    assert_match *election-timeout* $output
    lassign [run_binary --version] code output
    assert_equal 0 $code
    assert_match *redis-raft* $output
}

test {vard's options, with one dash or two, mean the same as the file's} {
    foreach dash {- --} {
        set dir [scratch]
        set port [client_port 0]
        set pid [spawn $dir/data $dir/log [option --binary] ${dash}me 0 ${dash}port $port \
            ${dash}dbpath $dir/data ${dash}node 0,127.0.0.1:[peer_port 0] ${dash}debug]
        wait_for_condition 200 25 { [port_taken $port] } else { fail "does not start: [read_file $dir/log]" }
        set c [resp::connect 127.0.0.1 $port]
        wait_for_condition 100 25 { [$c -typed SET k v] eq "+OK" } else { fail "no leader" }
        assert_equal [list loglevel debug] [$c CONFIG GET loglevel]
        assert_equal [list dir $dir/data] [$c CONFIG GET dir]
        $c -close
        end_process $pid TERM
    }
}

test {options override the file} {
    set dir [scratch]
    set port [client_port 1]
    write_file $dir/f.conf "port 1\ndir $dir/data\nnode 0 127.0.0.1:[peer_port 0]\nmaxclients 7\n"
    set pid [spawn $dir/f.conf $dir/log [option --binary] $dir/f.conf --port $port --maxclients 9]
    wait_for_condition 200 25 { [port_taken $port] } else { fail "does not start: [read_file $dir/log]" }
    set c [resp::connect 127.0.0.1 $port]
    assert_equal {maxclients 9} [$c CONFIG GET maxclients]
    $c -close
    end_process $pid TERM
}

# ---- Redis's configuration ----------------------------------------------------------------------

# What Debian's redis-server and Redis 7.2's own file say, but for what says who and where one is.
set debian {
    {databases 16} {protected-mode yes} {tcp-backlog 511} {timeout 0} {tcp-keepalive 300} {daemonize yes}
    {pidfile /run/redis/redis-server.pid} {loglevel notice} {always-show-logo no} {set-proc-title yes}
    {proc-title-template "{title} {listen-addr} {server-mode}"} {stop-writes-on-bgsave-error yes}
    {rdbcompression yes} {rdbchecksum yes} {dbfilename dump.rdb} {rdb-del-sync-files no}
    {replica-serve-stale-data yes} {replica-read-only yes} {repl-diskless-sync yes}
    {repl-diskless-sync-delay 5} {repl-diskless-sync-max-replicas 0} {repl-diskless-load disabled}
    {repl-disable-tcp-nodelay no} {replica-priority 100} {acllog-max-len 128}
    {lazyfree-lazy-eviction no} {lazyfree-lazy-expire no} {lazyfree-lazy-server-del no}
    {replica-lazy-flush no} {lazyfree-lazy-user-del no} {lazyfree-lazy-user-flush no}
    {oom-score-adj no} {oom-score-adj-values 0 200 800} {disable-thp yes} {appendonly no}
    {appendfilename "appendonly.aof"} {appenddirname "appendonlydir"} {appendfsync everysec}
    {no-appendfsync-on-rewrite no} {auto-aof-rewrite-percentage 100} {auto-aof-rewrite-min-size 64mb}
    {aof-load-truncated yes} {aof-use-rdb-preamble yes} {aof-timestamp-enabled no}
    {slowlog-log-slower-than 10000} {slowlog-max-len 128} {latency-monitor-threshold 0}
    {notify-keyspace-events ""} {hash-max-listpack-entries 512} {hash-max-listpack-value 64}
    {list-max-listpack-size -2} {list-compress-depth 0} {set-max-intset-entries 512}
    {set-max-listpack-entries 128} {set-max-listpack-value 64} {zset-max-listpack-entries 128}
    {zset-max-listpack-value 64} {hll-sparse-max-bytes 3000} {stream-node-max-bytes 4096}
    {stream-node-max-entries 100} {activerehashing yes} {client-output-buffer-limit normal 0 0 0}
    {client-output-buffer-limit replica 256mb 64mb 60} {client-output-buffer-limit pubsub 32mb 8mb 60}
    {hz 10} {dynamic-hz yes} {aof-rewrite-incremental-fsync yes} {rdb-save-incremental-fsync yes}
    {jemalloc-bg-thread yes} {save 3600 1 300 100 60 10000} {maxmemory 100mb}
    {maxmemory-policy allkeys-lru} {supervised systemd} {unixsocket /run/redis.sock}
    {unixsocketperm 700} {masterauth secret} {io-threads 4} {locale-collate ""} {crash-log-enabled no}
    {repl-backlog-size 1mb} {tls-cert-file redis.crt} {latency-tracking-info-percentiles 50 99 99.9}
}

test {a redis.conf of 7.2 is a configuration; one line of the log names what has no effect} {
    set dir [scratch]
    set port [client_port 0]
    write_file $dir/included.conf [join $debian \n]
    write_file $dir/f.conf "include $dir/included.conf\nport $port\ndir $dir/data\nnode 0 127.0.0.1:[peer_port 0]\n"
    set pid [spawn $dir/f.conf $dir/log [option --binary] $dir/f.conf]
    wait_for_condition 200 25 { [port_taken $port] } else { fail "does not start: [read_file $dir/log]" }
    set c [resp::connect 127.0.0.1 $port]
    set lines [lsearch -all -inline [split [read_file $dir/log] \n] "*no effect here*"]
    assert_equal 1 [llength $lines]
    foreach name {daemonize appendonly maxmemory maxmemory-policy unixsocket masterauth save replica-read-only} {
        assert {[lsearch [lindex $lines 0] $name] >= 0} "$name in $lines"
    }
    foreach name {timeout protected-mode client-output-buffer-limit loglevel} {
        assert {[lsearch [lindex $lines 0] $name] < 0} "$name in $lines"
    }
    # Whatever is shown may be set again, but for what Redis calls immutable or protected.
    set count 0
    foreach {name value} [$c CONFIG GET *] {
        set reply [$c -typed CONFIG SET $name $value]
        if {$reply eq "+OK"} { incr count; continue }
        assert {[regexp {can't set (immutable|protected) config$} $reply]} "$name: $reply"
    }
    assert {$count > 150} "$count"
    $c -close
    end_process $pid TERM
}

test {maxclients is lowered to what descriptors allow, and CONFIG SET beyond is refused} {
    set dir [scratch]
    set port [client_port 0]
    set pid [spawn $dir/data $dir/log sh -c "ulimit -n 400; exec [option --binary] --port $port --dir $dir/data \
        --node 0,127.0.0.1:[peer_port 0]"]
    wait_for_condition 200 25 { [port_taken $port] } else { fail "does not start: [read_file $dir/log]" }
    set c [resp::connect 127.0.0.1 $port]
    set fit [dict get [$c CONFIG GET maxclients] maxclients]
    assert {$fit > 0 && $fit < 400} "maxclients $fit"
    assert_match "*maxclients has been reduced to $fit*" [read_file $dir/log]
    assert_equal "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is\
        not able to handle the specified number of clients, try with $fit" [$c -typed CONFIG SET timeout 7 maxclients 100000]
    assert_equal {maxclients 10 timeout 0} [list maxclients [expr {[$c CONFIG SET maxclients 10] eq "OK" ? \
        [dict get [$c CONFIG GET maxclients] maxclients] : 0}] timeout [dict get [$c CONFIG GET timeout] timeout]]
    assert_equal +OK [$c -typed CONFIG SET maxclients $fit]
    $c -close
    end_process $pid TERM
}

test {a data directory of another user is called that} {
    if {[exec id -u] != 0} { skip "needs root" }
    set dir [scratch]
    set port [client_port 0]
    set command [list [option --binary] --port $port --dir $dir/data --node 0,127.0.0.1:[peer_port 0]]
    set pid [spawn $dir/data $dir/log {*}$command]
    wait_for_condition 200 25 { [string match "*applied up to*" [read_file $dir/log]] } else { fail "does not start: [read_file $dir/log]" }
    end_process $pid TERM
    file attributes $dir/data -permissions 0777
    catch { exec setpriv --reuid 65534 --regid 65534 --clear-groups timeout 10 {*}$command 2>@1 } output
    assert_match "*belongs to another user*" $output
}

# ---- directories of others -------------------------------------------------------------------

# A start of node `id` with this text must fail, and leave the directory as it was.
proc assert_start_refused {text dir pattern} {
    set file [file join [suite_dir] refused.conf]
    write_file $file $text
    lassign [run_binary $file] code output
    assert_equal 1 $code " as exit code: $output"
    assert {[regexp -nocase $pattern $output]} "the reason is told: $output"
}

start_cluster 3 {} {
    test {data directories of others are refused, and are unharmed} {
        wait_until_settled
        [leader] SET mine 1
        wait_until_settled
        kill_node 1 TERM
        kill_node 2 TERM
        # Node 2 on node 1's data.
        set text [string map [list [node_dir 2]/data [node_dir 1]/data] [node_config 2 {}]]
        assert_start_refused $text [node_dir 1] {node 1|another node|belongs}
        # Another list of nodes, while none stands in the log: an address changed, a node more, a node less.
        set dir [scratch]
        set same [string map [list [node_dir 1]/data $dir/data] [node_config 1 {}]]
        write_file $dir/conf $same
        set pid [spawn $dir/conf $dir/log [option --binary] $dir/conf]
        wait_for_condition 100 50 { [regexp {member 2} [read_file $dir/log]] } else { fail "no start" }
        end_process $pid
        assert_start_refused [string map [list "node 2 127.0.0.1:[peer_port 2]" \
            "node 2 127.0.0.1:[expr {[peer_port 2] + 5}]"] $same] $dir {cluster|nodes|member}
        assert_start_refused "${same}node 3 127.0.0.1:[expr {[peer_port 0] + 3}]\n" $dir \
            {cluster|nodes|member}
        assert_start_refused [string map [list "node 2 127.0.0.1:[peer_port 2]\n" {}] $same] \
            $dir {cluster|nodes|member}
        restart_node 1
        restart_node 2
        wait_until_settled
        foreach id [node_ids] { assert_equal 1 [[node $id] GET mine] }
    }

    test {a directory in use is refused} {
        set text [string map [list "port [client_port 1]" "port [expr {[client_port 1] + 5}]"] \
            [node_config 1 {}]]
        assert_start_refused $text [node_dir 1] {lock|use|another process|Address already}
        assert {[alive 1]}
        assert_equal +PONG [[node 1] -typed PING]
    }

    test {a port in use is refused} {
        set dir [scratch]
        lassign [run_binary --port [client_port 0] --dir $dir/data] code output
        assert_equal 1 $code
        assert {[regexp -nocase {in use} $output]} "the reason is told: $output"
        assert {[alive 0]}
    }

    test {CONFIG REWRITE: the file says what was set, and is the same but for it} {
        wait_until_settled
        set file [file join [node_dir 2] redis-raft.conf]
        set before "# the operator's words\n[read_file $file]"
        write_file $file $before
        set c [connect 2]
        assert_equal +OK [$c -typed CONFIG SET request-timeout 4321 maxclients 500]
        assert_equal +OK [$c -typed CONFIG REWRITE]
        set after [read_file $file]
        foreach line [split [string trim $before] \n] {
            if {![regexp {^(request-timeout|maxclients) } $line]} {
                assert {$line in [split $after \n]} "gone: $line"
            }
        }
        assert_equal "# the operator's words" [lindex [split $after \n] 0]
        assert {"request-timeout 4321" in [split $after \n] && "maxclients 500" in [split $after \n]}
        assert_equal +OK [$c -typed CONFIG REWRITE]
        assert_equal $after [read_file $file]
        $c -close
        assert_equal {} [glob -nocomplain [file join [node_dir 2] redis-raft.conf-*]]
    }

    test {a damaged log is not started from} {
        wait_until_settled
        [leader] SET damaged 1
        kill_node 1 TERM
        # Every file of the store, each by a few bytes in the middle.
        set touched 0
        foreach path [glob -nocomplain -directory [node_dir 1]/data -types f *.log *.sst */*.log */*.sst] {
            if {[file size $path] < 200} continue
            set f [open $path r+b]
            seek $f [expr {[file size $path] / 2}]
            puts -nonewline $f "DAMAGED!"
            close $f
            incr touched
        }
        assert {$touched > 0} "there are files"
        start_node 1
        wait_for_condition 200 25 { ![alive 1] || [port_taken [client_port 1]] } else { fail "neither" }
        hold 500
        if {[alive 1]} {
            # Then what was damaged must not have mattered: all is there.
            restart_node 1
            wait_until_settled
            note "started: the damage was in what is no longer needed"
            assert_equal 1 [[node 1] GET damaged]
        } else {
            set ::cluster::expected(1) down
            reaper_tell del [node_pid 1] -
            assert {[regexp -nocase {corrupt|checksum|damaged} [read_file [node_log 1]]]} "the reason is told: [tail [node_log 1] 3]"
            note "refused"
        }
        assert_equal +OK [[leader] -typed SET still works]
    }
}
finish
