#!/usr/bin/env bash
# Faults of single operations on files of each kind, through a FUSE file system (fault_fs.c).
#
# Told faults (EIO, ENOSPC): of log and manifest, after the first one that a writer is told nothing
# is acknowledged and reads go on; of tables, the work is done again. Reopened without the fault,
# the store has D <= p <= A, compared whole.
# Silent faults (lost and misdirected writes): every answer is right or CORRUPT naming a file.
#
# ROUNDS=N: each case N times, the fault at another place each time.
. "$(dirname "$0")/lib.sh"
needs root fuse setpriv
isolate $((100 * ${ROUNDS:-1})) "$@"
rounds=${ROUNDS:-1}

mkdir below
start_server top "$bin/fault_fs" top below
told=0 unseen=0 corrupt=0 right=0 options=''

# run_case FAULT: a first process fills a store; the second, with $options, meets the fault. The
# exit code of that one is in $status.
run_case() {
    echo none >top/.fault
    rm -rf top/store ledger
    "$bin/witness" write top/store ledger 9 commits=60 >out 2>&1 || fail "$1: no store: $(cat out)"
    echo "$1" >top/.fault
    status=0
    timeout 20 "$bin/witness" write top/store ledger 0.4 "options=$options" >out 2>&1 || status=$?
    hits=$(cat top/.fault)
    echo none >top/.fault
    [ "$hits" -gt 0 ] || fail "$1: the fault did not hit: $(cat out)"
}

# OPERATION NAME NTH COUNT ACTION, moved by the round where there are many to hit
moved() { echo "$1 $2 $(($3 < 8 ? $3 : $3 + round * 3)) $4 $5"; }

# The writer is told (3), or could not open (2); then all that was acknowledged is there.
must_tell() {
    run_case "$(moved "$@")"
    case $status in
    2 | 3) told=$((told + 1)) ;;
    *) fail "$*: exit $status, not told: $(cat out)" ;;
    esac
    "$bin/witness" check top/store ledger >out 2>&1 || fail "$*, reopened: $(cat out)"
}

# The work is done again: nobody need be told.
must_go_on() {
    run_case "$(moved "$@")"
    case $status in
    0) unseen=$((unseen + 1)) ;;
    2 | 3) told=$((told + 1)) ;;
    *) fail "$*: exit $status: $(cat out)" ;;
    esac
    "$bin/witness" check top/store ledger >out 2>&1 || fail "$*, reopened: $(cat out)"
}

must_be_right_or_corrupt() {
    run_case "$(moved "$@")"
    if [ $status -eq 0 ] || [ $status -eq 3 ]; then
        status=0
        "$bin/witness" check top/store ledger >out 2>&1 || status=$?
    fi
    case $status in
    0) right=$((right + 1)) ;;
    4) corrupt=$((corrupt + 1)) ;;
    *) fail "$*: exit $status: $(cat out)" ;;
    esac
}

for ((round = 0; round < rounds; round++)); do
    n=$((6 + round % 4)) # those before make a new manifest, without which the old one will do
    must_tell write wal- 10 1 EIO
    must_tell write wal- 12 1 ENOSPC
    options=memtable_size=8M,wal_slot_size=8M # few logs are made: their syncs may fail untold
    must_tell fsync wal- 8 1 EIO
    options=''
    must_tell write MANIFEST $n 1 EIO
    must_tell write MANIFEST $n 1 ENOSPC
    must_tell fsync MANIFEST 1 1 EIO
    must_go_on rename CURRENT 1 1 EIO
    must_go_on fsyncdir store 2 1 EIO
    must_go_on fsync CURRENT 1 1 EIO
    must_go_on open MANIFEST 1 1 EIO
    must_go_on open wal- 2 1 EIO
    must_go_on open .sst 2 1 EIO
    must_go_on write .sst 2 1 EIO
    must_go_on write .sst 2 3 ENOSPC
    must_go_on fsync .sst 1 1 EIO
    must_go_on read .sst 2 1 EIO
    must_go_on fallocate .sst 1 1 ENOSPC
    must_go_on fallocate MANIFEST 1 1 ENOSPC
    must_go_on unlink .sst 1 1 EIO
    must_be_right_or_corrupt write wal- 15 1 lost
    must_be_right_or_corrupt write wal- 15 1 misdirected
    must_be_right_or_corrupt write MANIFEST $n 1 lost
    must_be_right_or_corrupt write MANIFEST $n 1 misdirected
    must_be_right_or_corrupt write .sst 2 1 lost
    must_be_right_or_corrupt write .sst 2 1 misdirected
done
stop_server top
echo "faults: $told told to the caller, $unseen mended by background work, $right silent ones" \
    "without harm, $corrupt silent ones told as CORRUPT, 0 wrong"
