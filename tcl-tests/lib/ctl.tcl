# redis-raft-ctl, beside the binary under test.

# {status output}
proc ctl {args} {
    set tool [file join [file dirname [option --binary]] redis-raft-ctl]
    set status 0
    if {[catch { exec timeout 60 $tool {*}$args 2>@1 } said details]} {
        set code [dict get $details -errorcode]
        set status [expr {[lindex $code 0] eq "CHILDSTATUS" ? [lindex $code 2] : $code}]
    }
    return [list $status $said]
}

proc path {name} { return [file join [suite_dir] $name] }
