#!/bin/sh
# Ends what a test run has started, whatever becomes of the run itself.
#
# The run keeps the other end of our standard input and writes "add PID MARK" for each process it
# starts and "del PID" for each it has ended.  When the run goes away, by its end, an error, an
# interrupt or kill -9, the input ends, and what is left is killed: by pid, and only if the
# command line still carries our mark, since a pid may have been given to another process.
trap '' INT TERM HUP QUIT
alive=""
while read -r verb pid mark; do
    case $verb in
    add) alive="$alive $pid=$mark" ;;
    del)
        rest=""
        for entry in $alive; do
            [ "${entry%%=*}" = "$pid" ] || rest="$rest $entry"
        done
        alive=$rest
        ;;
    esac
done
for entry in $alive; do
    pid=${entry%%=*}
    if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "${entry#*=}"; then
        kill -KILL "$pid" 2>/dev/null
    fi
done
exit 0
