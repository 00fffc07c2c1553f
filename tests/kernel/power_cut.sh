# shellcheck shell=bash
# power_cut.sh - power cuts at random moments of a store's life on a real file system; sourced by
# kernel_power_cut_*.sh, which name the file system.
#
# Three processes in a row create, fill and reopen a store: the first closes it, the second is
# killed, the third recovers. Every acknowledgement is noted with its place in the log of the disk.
# Then the disk is made as after a cut at random places, in four ways (cut_image.c), mounted, and
# the store there is recovered and compared whole (witness_check.c).
#
# CUTS=N as many cuts, SECONDS_WRITING=S as many seconds of writing, SEED=N the same cuts again.
cuts=${CUTS:-${cuts:-40}}
seconds=${SECONDS_WRITING:-0.7}
seed=${SEED:-$RANDOM$RANDOM}

# Else every mount replays the journal of the whole run: seconds for XFS.
empty_journal() {
    local tries=0
    until mount -o remount,ro fs 2>mount.err; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "$(cat mount.err)"
        sleep 0.05
    done
    mount -o remount,rw fs
}

write_histories() { # [MOUNT OPTIONS]
    start_disk "$fs" "$1"
    first=$(position)
    "$bin/witness" write fs/store ledger "$seconds" log=log || fail "the first writer: $?"
    empty_journal
    "$bin/witness" write fs/store ledger 60 log=log >killed.out 2>&1 &
    local killed=$!
    sleep "$seconds"
    { kill -9 $killed && wait $killed; } 2>/dev/null || true
    empty_journal
    "$bin/witness" write fs/store ledger "$seconds" log=log || fail "the third writer: $?"
    last=$(position)
    stop_disk
    echo "$fs: $((last - first)) writes and flushes, seed $seed"
}

# run_cuts COUNT [MOUNT OPTIONS]: counts in good, broken, unmountable
run_cuts() {
    local i at kind kinds=(subset torn prefix none) status
    good=0 broken=0 unmountable=0
    for ((i = 0; i < $1; i++)); do
        at=$((first + $(random "$seed.$i" $((last - first)))))
        kind=${kinds[i % 4]}
        status=0
        check_cut "$fs" "$at" "$kind" $((seed + i)) "${2:-rw}" || status=$?
        case $status in
        0) good=$((good + 1)) ;;
        1) broken=$((broken + 1)) ;;
        2) unmountable=$((unmountable + 1)) ;;
        esac
        [ $status -eq 0 ] || echo "cut at $at, $kind: $(tail -n 1 cut.out)" >>bad_cuts
    done
}

power_cycle
