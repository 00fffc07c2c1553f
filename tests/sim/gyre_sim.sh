#!/usr/bin/env bash
# gyre_sim.sh GYRE_SIM PLUGIN_FOLDER - the command as a user meets it: exit codes, texts, and that a
# failure is found, shrunk and seen again. GYRE_TEST_SLOW=1 (sanitizers): fewer crashes and seeds.
set -euo pipefail
checker=$(realpath "${1:?usage: gyre_sim.sh GYRE_SIM PLUGIN_FOLDER}")
plugins=$(realpath "${2:?}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { echo "FAILED: $1"; exit 1; }

# expect CODE PATTERN argument...
expect() {
    local code=$1 pattern=$2 got=0
    shift 2
    "$checker" "$@" >out 2>&1 || got=$?
    [ "$got" -eq "$code" ] || { cat out; fail "gyre_sim $*: exit code $got, not $code"; }
    grep -qE "$pattern" out || { cat out; fail "gyre_sim $*: says nothing like '$pattern'"; }
}

expect 0 'usage: gyre_sim' --help
expect 2 'usage: gyre_sim' --no-such-option
expect 2 'is not a number' --seeds many
expect 2 'there is no mutant 999' --mutant 999
expect 2 'usage: gyre_sim' --seed 1 left over words
expect 2 'cannot read' --corpus /nowhere/at/all
expect 0 'no_log_directory_sync' --list-mutants
expect 0 'sessions of' --seed 5
expect 0 '3 seeds in' --seeds 3 --first 100 --jobs 2
if [ -n "${GYRE_TEST_SLOW:-}" ]; then # every event is a thousand recoveries: minutes for one seed
    hash_seeds=6
    expect 0 '0 failed' --seeds 2 --sample 40 --jobs 2 --hang 300
else
    hash_seeds=20
    expect 0 '0 failed' --seeds 2 --every-event --jobs 2
fi
expect 0 'event 1: start' --seed 5 --tell 1
expect 1 'never reached' --seeds 1 --demand-states

# One seed, one hash.
"$checker" --seeds $hash_seeds --jobs 1 --hash | tail -n 1 >one
"$checker" --seeds $hash_seeds --jobs 2 --hash | tail -n 1 >two
cmp one two || fail "the same seeds gave two hashes"

# A planted bug is found, shrunk to twenty operations at most, and seen again by what was printed.
expect 1 'failed: gyre_sim --seed' --mutant 40 --seeds 200
seed=$(sed -n 's/^failed: gyre_sim --seed \([0-9]*\) .*/\1/p' out | head -n 1)
expect 1 'see it again' --mutant 40 --seed "$seed" --shrink
left=$(sed -n 's/.* fails with \([0-9]*\) operations:.*/\1/p' out)
[ "$left" -le 20 ] || fail "shrunk to $left operations only"
read -r -a again < <(sed -n 's/^see it again: gyre_sim //p' out)
expect 1 'FAILED' --mutant 40 "${again[@]}"
expect 0 'passed' "${again[@]}"

# A user's own code.
expect 0 'crashes checked' run "$plugins/sim_bank.so" --seeds 1
expect 2 'cannot load' run "$folder/missing.so"
printf 'int nothing;\n' >empty.c
if command -v cc >/dev/null; then
    cc -shared -fPIC empty.c -o empty.so
    expect 2 'does not export gyre_sim_plugin' run "$folder/empty.so"
fi
echo "gyre_sim.sh: all as it should be"
