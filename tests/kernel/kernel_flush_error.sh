#!/usr/bin/env bash
# A flush of the disk fails once (EIO) below ext4, which then goes on as if nothing had happened:
# the next fsync of the same file succeeds. In even rounds only the log is written: the failure
# must be told, and nothing may be acknowledged after it. In odd rounds flushes and compactions run
# too, and the flush that fails may be one of a table, which is made again. In all rounds reads go
# on, and what was acknowledged is there after a reopen and after a power cut: D <= p <= A.
#
# ROUNDS=N as many rounds.
. "$(dirname "$0")/lib.sh"
needs root loop fuse mkfs.ext4 setpriv
isolate $((60 + 10 * ${ROUNDS:-6})) "$@"
power_cycle
rounds=${ROUNDS:-6}
told=0 log_rounds=0
for ((round = 0; round < rounds; round++)); do
    rm -f ledger
    start_disk ext4
    if [ $((round % 2)) -eq 0 ]; then
        log_rounds=$((log_rounds + 1))
        only_log=(durable=1 linger=1 options=memtable_size=8M,wal_slot_size=8M)
    else
        only_log=()
    fi
    "$bin/witness" write fs/store ledger 1 log=log "${only_log[@]}" >out 2>&1 &
    writer=$!
    sleep 0.3
    "$bin/cut_image" log fail $((RANDOM % 16 + 1))
    status=0
    wait $writer || status=$?
    read -r end _ failed_at < <("$bin/cut_image" log)
    [ "$failed_at" -gt 0 ] || fail "round $round: no flush was failed"
    case $status in
    0) [ ${#only_log[@]} -eq 0 ] || fail "round $round: nobody was told: $(cat out)" ;;
    3) told=$((told + 1)) ;;
    *) fail "round $round: exit $status: $(cat out)" ;;
    esac
    unmount fs # it may have become read-only
    DIRECT=on mount_image disk/disk fs || fail "round $round: $(cat mount.err)"
    "$bin/witness" check fs/store ledger >out 2>&1 || fail "round $round, reopened: $(cat out)"
    rm -f /dev/shm/gyre-*
    stop_disk
    for kind in none prefix subset torn; do
        check_cut ext4 "$end" $kind $round || fail "round $round, cut, $kind: $(cat cut.out)"
    done
done
echo "flush error: $rounds rounds, $told told to writers, 0 acknowledged after it, 0 lost"
[ "$told" -ge "$log_rounds" ] || fail "told in $told rounds only"
