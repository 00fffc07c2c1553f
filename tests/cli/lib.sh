# shellcheck shell=bash
# lib.sh - what the tests of the `gyre` command share. A test gets the command's path as $1, works
# in an empty folder that goes away, and fails at the first surprise.
set -euo pipefail
export LC_ALL=C.UTF-8
# shellcheck disable=SC2034 # used by the tests
gyre=$(realpath "$1")
# shellcheck disable=SC2034
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/gyre-cli.XXXXXX")

leave() { :; } # a test may have more to undo
clean_up() {
    local status=$? job
    leave
    for job in $(jobs -p); do
        kill "$job" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
    exit $status
}
trap clean_up EXIT
cd "$work"

fail() {
    echo "FAILED (line ${BASH_LINENO[1]:-?}): $*" >&2
    exit 1
}

# exits CODE COMMAND...: runs it, output in ./out, messages in ./err
exits() {
    local code=$1 got=0
    shift
    "$@" >out 2>err || got=$?
    [ "$got" -eq "$code" ] || fail "exit code $got, not $code: $* -- $(cat err)"
}

# The last command's output is exactly / its messages hold this text.
prints() { [ "$(cat out; echo .)" = "$1"$'\n.' ] || fail "printed '$(cat out)', not '$1'"; }
says() { grep -qF -- "$1" err || fail "the messages lack '$1': $(cat err)"; }
