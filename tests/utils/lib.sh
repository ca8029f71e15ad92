# For the tests of the scripts in utils/.  A test is a function: it passes if it returns 0.
#
#     test_case 'what it shows' FUNCTION

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0
failed=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/redis-raft-test.XXXXXX") || exit 1

test_case() {
    local name=$1 output began=$SECONDS
    shift
    # A subshell, so that a test's variables are its own.
    if output=$("$@" 2>&1); then
        echo "[ok]   $name ($((SECONDS - began)) s)"
        passed=$((passed + 1))
    else
        echo "[err]  $name"
        printf '%s\n' "$output" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

# Within a test.
fail() {
    echo "$*"
    exit 1
}

# expect_status STATUS COMMAND...: what it printed is left in $printed.
expect_status() {
    local wanted=$1 status
    shift
    printed=$("$@" 2>&1)
    status=$?
    [ $status -eq "$wanted" ] || fail "exit status $status, not $wanted, of: $*"$'\n'"$printed"
}

expect_text() {
    grep -qF -- "$1" <<<"$printed" || fail "expected: $1"$'\n'"in: $printed"
}

finish() {
    rm -rf "$scratch"
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ] && [ $passed -gt 0 ]
    exit $?
}
