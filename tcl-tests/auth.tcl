# requirepass, AUTH, protected-mode.

source [file join [file dirname [file normalize [info script]]] lib test.tcl]
set noauth {-NOAUTH Authentication required.}
set wrong {-WRONGPASS invalid username-password pair or user is disabled.}

proc auth_tests {open password who} {
    test "before AUTH nothing but the handshake is served ($who)" {
        set c [{*}$open]
        foreach command {{PING} {GET k} {SET k v} {INFO} {CLIENT LIST} {CONFIG GET *} {COMMAND}
            {DBSIZE} {ECHO x} {TIME}} {
            assert_equal $::noauth [$c -typed {*}$command] " to $command"
        }
        assert_match "-ERR unknown command 'NOSUCH'*" [$c -typed NOSUCH]
        assert_equal {-ERR wrong number of arguments for 'get' command} [$c -typed GET]
        # ("HELLO AUTH" in 7.0, "HELLO <proto> AUTH" in 7.2)
        assert_match {-NOAUTH HELLO must be called with the client already authenticated, otherwise\
            the HELLO*AUTH <user> <pass> option can be used to authenticate the client and select\
            the RESP protocol version at the same time} [$c -typed HELLO 3]
        assert_equal $::noauth [$c -typed PING]
        assert_equal +RESET [$c -typed RESET]
        assert_equal +OK [$c -typed QUIT]
        assert {[$c -closed 3000]}
        $c -close
    }

    test "AUTH in its forms ($who)" {
        set c [{*}$open]
        assert_equal $::wrong [$c -typed AUTH wrong]
        assert_equal $::wrong [$c -typed AUTH ""]
        assert_equal $::wrong [$c -typed AUTH default wrong]
        assert_equal $::wrong [$c -typed AUTH nobody $password]
        assert_equal $::wrong [$c -typed AUTH "${password}x"]
        assert_equal $::wrong [$c -typed AUTH [string range $password 0 end-1]]
        assert_equal $::noauth [$c -typed PING]
        assert_equal +OK [$c -typed AUTH $password]
        assert_equal +PONG [$c -typed PING]
        # Failing again does not take it away.
        assert_equal $::wrong [$c -typed AUTH wrong]
        assert_equal +PONG [$c -typed PING]
        assert_equal +RESET [$c -typed RESET]
        assert_equal $::noauth [$c -typed PING]
        assert_equal +OK [$c -typed AUTH default $password]
        assert_equal +OK [$c -typed SET k v]
        $c -close
        set c [{*}$open]
        assert_equal $::wrong [$c -typed HELLO 3 AUTH default wrong]
        assert_equal $::noauth [$c -typed PING]
        assert_match {%\["server" "redis"*"proto" :3*} [$c -typed HELLO 3 AUTH default $password SETNAME me]
        assert_equal {"v"} [$c -typed GET k]
        assert_equal {"me"} [$c -typed CLIENT GETNAME]
        $c -close
    }

    test "large commands are refused before AUTH ($who)" {
        foreach {bytes reply} {
            "*11\r\n" "-ERR Protocol error: unauthenticated multibulk length"
            "*2\r\n\$16385\r\n" "-ERR Protocol error: unauthenticated bulk length"
        } {
            set c [{*}$open]
            $c -write $bytes
            assert_equal $reply [$c -readtyped]
            assert {[$c -closed 3000]}
            $c -close
        }
    }

    test "the password can be changed; who is in stays in ($who)" {
        set c [{*}$open]
        $c AUTH $password
        assert_equal +OK [$c -typed CONFIG SET requirepass other]
        assert_equal +PONG [$c -typed PING]
        set d [{*}$open]
        assert_equal $::wrong [$d -typed AUTH $password]
        assert_equal +OK [$d -typed AUTH other]
        assert_equal {["requirepass" "other"]} [$d -typed CONFIG GET requirepass]
        $c CONFIG SET requirepass ""
        set e [{*}$open]
        assert_equal +PONG [$e -typed PING]
        $c CONFIG SET requirepass $password
        assert_equal +PONG [$e -typed PING]
        foreach x [list $c $d $e] { $x -close }
    }
}

source [file join $::tst::lib reference.tcl]
with_redis_server [list --requirepass {a long pass-word}] {
    auth_tests $reference {a long pass-word} redis-server
}

start_cluster 3 {requirepass "\"a long pass-word\""} {
    foreach id {0 1 2} { [node $id] AUTH {a long pass-word} }
    auth_tests [list connect [leader_id]] {a long pass-word} leader
    auth_tests [list connect [follower_id]] {a long pass-word} follower
    test {the password is in no log} {
        foreach id [node_ids] { assert {![string match *pass-word* [read_file [node_log $id]]]} }
    }
    test {a password may hold any byte} {
        set c [node [leader_id]]
        assert_equal +OK [$c -typed CONFIG SET requirepass "secret\0tail"]
        set stranger [connect [leader_id]]
        foreach password [list secret "secret\0" "secret\0tai" "secret\0tail2" ""] {
            assert_match -WRONGPASS* [$stranger -typed AUTH $password]
        }
        assert_equal +OK [$stranger -typed AUTH "secret\0tail"]
        assert_equal [list requirepass "secret\0tail"] [$stranger CONFIG GET requirepass]
        $stranger -close
        assert_equal +OK [$c -typed CONFIG SET requirepass {a long pass-word}]
    }
    test {a cluster with a password fails over} {
        set old [leader_id]
        kill_node $old
        foreach id [up_ids] { [node $id] AUTH {a long pass-word} }
        assert_equal +OK [[node [leader_id]] -typed SET after failover]
        restart_node $old
        [node $old] AUTH {a long pass-word}
        assert_equal failover [[node $old] GET after]
    }
}

# ---- protected mode --------------------------------------------------------------------------

# In a network namespace of its own, with an address that is not a loopback address, though it
# leads nowhere.
proc in_namespace {script} {
    return [exec unshare -rn sh -c "ip link set lo up && ip addr add 192.0.2.1/32 dev lo && $script" 2>@1]
}

test {protected-mode: strangers are refused while there is no password} {
    if {[catch { in_namespace true } problem]} { skip "no network namespaces here: $problem" }
    if {[auto_execok redis-cli] eq {}} { skip "redis-cli is not installed" }
    set dir [file join [suite_dir] protected]
    file delete -force $dir
    file mkdir $dir
    foreach {name extra from expected} {
        refused {} 192.0.2.1 {*DENIED *protected mode*}
        local {} 127.0.0.1 PONG
        password {requirepass secret} 192.0.2.1 {NOAUTH Authentication required.*}
        off {protected-mode no} 192.0.2.1 PONG
    } {
        write_file $dir/$name.conf "port 24000\nbind *\ndir $dir/$name\nnode 0 127.0.0.1:24010\n$extra\n"
        # timeout(1) and the namespace end whatever goes wrong.
        set output [in_namespace "
            timeout 20 [option --binary] $dir/$name.conf >$dir/$name.log 2>&1 & node=\$!
            for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                redis-cli -h 127.0.0.1 -p 24000 PING >/dev/null 2>&1 && break; sleep 0.1
            done
            redis-cli -h $from -p 24000 PING
            kill \$node; wait \$node; true"]
        assert_match $expected $output " ($name)\n[read_file $dir/$name.log]"
    }
}
finish
