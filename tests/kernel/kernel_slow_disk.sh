#!/usr/bin/env bash
# One operation does not complete for a while: a write of the log, a sync of it, a write of a table
# or of the manifest. Reads that memory can serve go on meanwhile, nothing is acknowledged that
# would have had to wait for it, nothing deadlocks, and afterwards all goes on.
#
# MS=N milliseconds of delay.
. "$(dirname "$0")/lib.sh"
needs root fuse setpriv
ms=${MS:-1000}
isolate $((60 + ms / 100)) "$@"

mkdir below
start_server top "$bin/fault_fs" top below

# slow_case WAITS OPERATION NAME OPTIONS...: WAITS = yes: every commit is DURABLE and has to wait
slow_case() {
    local waits=$1 gaps ack read
    shift
    echo none >top/.fault
    rm -rf top/store ledger
    "$bin/witness" write top/store ledger $(((ms + 999) / 1000 + 1)) "${@:3}" >out 2>&1 &
    local writer=$!
    sleep 0.3
    echo "$1 $2 3 1 delay $ms" >top/.fault
    wait $writer || fail "$*: exit $?: $(cat out)"
    [ "$(cat top/.fault)" -eq 1 ] || fail "$*: the delay did not hit"
    gaps=$(sed -n 's/.*an ack \([0-9]*\) ms, without a read \([0-9]*\) ms/\1 \2/p' out)
    read -r ack read <<<"$gaps"
    echo "$* late by $ms ms: longest time without an ack $ack ms, without a read $read ms"
    [ "$read" -lt $((ms / 2)) ] || fail "reads waited too"
    [ "$waits" = no ] || [ "$ack" -ge $((ms * 9 / 10)) ] || fail "acknowledged without the disk"
    "$bin/witness" check top/store ledger >out 2>&1 || fail "$*: $(cat out)"
}

big=options=memtable_size=8M,wal_slot_size=8M
slow_case yes write wal- durable=1 $big
slow_case no write .sst options=memtable_size=2M,wal_slot_size=1M
slow_case no write MANIFEST options=memtable_size=2M,wal_slot_size=1M
stop_server top
