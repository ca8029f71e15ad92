# The start of a machine: what is not there yet and may come by itself is waited for.
source [file join [file dirname [file normalize [info script]]] lib test.tcl]

# One script of sh(1) in a network and a hosts file of its own, where 10.9.9.9 is not up yet and no name
# server answers.  $hosts there is the file.
proc elsewhere {script} {
    if {[exec id -u] != 0} { skip "needs root" }
    file mkdir [suite_dir]
    set hosts [file join [suite_dir] hosts]
    write_file $hosts "127.0.0.1 localhost\n"
    write_file [file join [suite_dir] resolv] "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
    set setup "hosts=$hosts; mount --bind \$hosts /etc/hosts; mount --bind [file join [suite_dir] resolv] \
        /etc/resolv.conf; ip link set lo up; cd [suite_dir]; rr=[file normalize [option --binary]]; "
    exec timeout 60 unshare -nm sh -c "$setup$script" 2>@1
}

proc said {file pattern} {
    return "for i in \$(seq 100); do grep -qs '$pattern' $file && break; sleep 0.1; done; "
}

file delete -force [suite_dir]

test {an address and a name that are not there yet are waited for} {
    foreach {what bind ready} {
        {cannot listen on 10.9.9.9:7001: Cannot assign requested address; trying again} 10.9.9.9
        {ip address add 10.9.9.9/32 dev lo}
        {cannot resolve later.test: .*; trying again} later.test {echo 127.0.0.1 later.test >> $hosts}
    } {
        set log [elsewhere "rm -rf d log; \$rr --port 7001 --bind $bind --node 0,127.0.0.1:7101 --dir d \
            >log 2>&1 & pid=\$!; [said log {trying again}] $ready; [said log {applied up to}] \
            kill \$pid; wait \$pid; echo status \$?; cat log"]
        assert {[regexp $what $log]} $log
        assert_match "*clients on port 7001*" $log
        assert_match "status 0*" $log
        assert_equal 1 [regexp -all {trying again} $log] " line in the log"
    }
}

test {a member whose name is not known yet, and means another address later} {
    set log [elsewhere "rm -rf d*; nodes='--node 0,127.0.0.1:7101 --node 1,later.test:7102'
        \$rr --port 7001 \$nodes --me 0 --dir d0 >log0 2>&1 & zero=\$!
        [said log0 {node 1 (later.test:7102), control connection: }] sleep 1
        echo 127.0.0.5 later.test >> \$hosts
        [said log0 {node 1 (later.test:7102), control connection: Connection refused}]
        sed -e s/127.0.0.5/127.0.0.6/ \$hosts > new; cat new > \$hosts
        \$rr --port 7002 \$nodes --me 1 --peer-bind 127.0.0.6 --dir d1 >log1 2>&1 & one=\$!
        [said log0 {leader of term}] kill \$zero \$one; wait; cat log0"]
    assert_match "*later.test:7102): control connection is up*leader of term*" $log
}

test {malloc reads what it is told: it has a thread that gives memory back, and the process is named as ever} {
    set said [elsewhere "rm -rf d log; \$rr --port 7001 --node 0,127.0.0.1:7101 --dir d >log 2>&1 & pid=\$!
        [said log {applied up to}] cat /proc/\$pid/comm /proc/\$pid/task/*/comm | sort -u | grep -E 'redis-raft|jemalloc'
        kill \$pid; wait \$pid; echo status \$?; grep -c jemalloc log || true"]
    assert_equal "jemalloc_bg_thd\nredis-raft\nstatus 0\n0" $said
}

finish
