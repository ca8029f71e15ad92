# A redis-server beside the cluster, to check expectations on.

# Runs the script with a server, whose connections are opened by {*}$reference; a suite that needs
# one and finds none says so and goes on.
proc with_redis_server {arguments script} {
    if {[auto_execok redis-server] eq {}} {
        test "expectations hold on redis-server" { skip "redis-server is not installed" }
        return
    }
    set port [expr {[option --port-base] + 30}]
    set dir [file join $::tst::root build tcl redis-$port]
    file delete -force $dir
    file mkdir $dir
    set pid [spawn redis-server [file join $dir log] redis-server --port $port --bind 127.0.0.1 \
        --save {} --dir $dir --daemonize no {*}$arguments]
    wait_for_condition 200 25 { [port_taken $port] } else { fail "redis-server did not start" }
    set ::reference [list resp::connect 127.0.0.1 $port]
    try { uplevel 1 $script } finally { end_process $pid TERM }
}
