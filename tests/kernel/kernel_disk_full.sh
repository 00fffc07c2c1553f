#!/usr/bin/env bash
# A disk that fills up and is freed, again and again: an ext4 image of 64 MiB, a tmpfs of 1 MiB, an
# ext4 with hardly any inode. NO_SPACE is told, reads work, nothing that was acknowledged is lost, a
# killed store opens while the disk is still full, as often as one likes, and when space returns
# writes go on within 5 s without a reopen.
#
# ROUNDS=N rounds of filling and freeing on the first.
. "$(dirname "$0")/lib.sh"
needs root loop mkfs.ext4
rounds=${ROUNDS:-4}
isolate $((90 + 10 * rounds)) "$@"
longest=0

shows() { "$bin/witness" show ledger | cut -d' ' -f"$1"; } # 1 acks, 2 reads, 3 refused

# rises FIELD BY SECONDS WHAT [MEANWHILE]: waits until the figure has risen
rises() {
    local from started=${EPOCHREALTIME/./} now
    from=$(shows "$1")
    until [ $(($(shows "$1") - from)) -ge "$2" ]; do
        kill -0 "$writer" 2>/dev/null || fail "$4: the writer ended: $(cat out)"
        now=${EPOCHREALTIME/./}
        [ $((now - started)) -lt $(($3 * 1000000)) ] || fail "$4: not within $3 s"
        ${5:-:}
        sleep 0.02
    done
    now=${EPOCHREALTIME/./}
    took=$(((now - started) / 1000))
}

start_writer() { # OPTIONS
    "$bin/witness" write "$fs/store" ledger 100 ${1:+"options=$1"} >out 2>&1 &
    writer=$!
}

kill_writer() { { kill -9 $writer && wait $writer; } 2>/dev/null || true; }

# Again and again: compaction gives some back.
fill() {
    dd if=/dev/zero of="$fs/ballast" bs=64k oflag=append conv=notrunc 2>/dev/null || true
    dd if=/dev/zero of="$fs/ballast" bs=1k oflag=append conv=notrunc 2>/dev/null || true
}

# one_round REOPENS OPTIONS: fill until writes are refused; kill and reopen on the full disk; free
one_round() {
    rises 3 3 10 "told that the disk is full" fill
    rises 2 20 2 "reads on a full disk"
    for ((reopen = 0; reopen < $1; reopen++)); do
        kill_writer
        fill
        start_writer "$2"
        rises 2 20 5 "reopened on the full disk ($reopen)" fill
    done
    [ "$1" -eq 0 ] || rises 3 3 10 "told after a reopen that it is full" fill
    free
    rises 1 20 5 "writes go on when there is space"
    [ $took -le $longest ] || longest=$took
}

stop_and_check() { # OPTIONS
    "$bin/witness" stop ledger
    wait $writer || fail "the writer: exit $?: $(cat out)"
    "$bin/witness" check "$fs/store" ledger ${1:+"options=$1"} >out 2>&1 || fail "$(cat out)"
}

fs=full
truncate -s 64M image
mkfs.ext4 -q -F -E nodiscard image
mount_image image $fs
free() { rm -f $fs/ballast; }
start_writer ''
rises 1 500 5 "the first writes"
for ((round = 0; round < rounds; round++)); do
    one_round $((round % 4)) ''
done
stop_and_check ''
unmount $fs
echo "ext4 of 64 MiB: $rounds rounds, writes went on after $longest ms at the latest"

rm -f ledger image
longest=0
small=memtable_size=64K,table_size=64K
mount -t tmpfs -o size=1m none $fs
free() { mount -o remount,size=32m $fs; }
start_writer $small
rises 1 20 5 "the first writes in 1 MiB"
one_round 3 $small
stop_and_check $small
unmount $fs
echo "tmpfs of 1 MiB: writes went on after $longest ms"

rm -f ledger
longest=0
truncate -s 64M image
mkfs.ext4 -q -F -E nodiscard -N 32 image
mount_image image $fs
fill() { while : >"$fs/ballast.$((n = n + 1))"; do :; done 2>/dev/null; }
free() { rm -f $fs/ballast.*; }
n=0
start_writer ''
rises 1 20 5 "the first writes"
one_round 2 ''
stop_and_check ''
unmount $fs
echo "ext4 without inodes: writes went on after $longest ms"
