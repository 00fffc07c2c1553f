#!/usr/bin/env bash
# One memory number, held against the kernel: under a limit of memory_limit and a tenth, without
# swap, 2 GiB are written by 1,000 coroutines with 200 iterators and 100 snapshots open, and nothing
# is killed. All that is charged to a group of processes counts: anonymous memory, staging memory in
# /dev/shm, page cache, page tables, what the kernel holds for the ring.
. "$(dirname "$0")/lib.sh"
needs root
limit_mb=256
total_mb=2048
isolate 300 "$@"

group=gyre-memory-$$
if [ -w /sys/fs/cgroup/cgroup.subtree_control ] &&
    grep -qw memory /sys/fs/cgroup/cgroup.controllers; then # version 2
    top=/sys/fs/cgroup
    grep -qw memory "$top/cgroup.subtree_control" || echo +memory >"$top/cgroup.subtree_control" ||
        skip "the memory controller cannot be given to a group"
    most=memory.max peak=memory.peak swap=memory.swap.max
elif [ -w /sys/fs/cgroup/memory/cgroup.procs ]; then # version 1
    top=/sys/fs/cgroup/memory
    most=memory.limit_in_bytes peak=memory.max_usage_in_bytes swap=memory.swappiness
else
    skip "no control group with a limit of memory to be had"
fi
mkdir "$top/$group" 2>/dev/null || skip "no control groups can be made in $top"
folder=$(mktemp -d "$bin/kernel-memory.XXXXXX") # on a disk: a tmpfs would count
end_group() {
    rm -rf "$folder"
    rmdir "$top/$group" || true
    clean_up
}
trap end_group EXIT

echo $((limit_mb * 1024 * 1024 * 11 / 10)) >"$top/$group/$most" || skip "no limit can be set"
[ ! -e "$top/$group/$swap" ] || echo 0 >"$top/$group/$swap"

status=0
(echo "$BASHPID" >"$top/$group/cgroup.procs" &&
    exec "$bin/memory_load" "$folder/store" "$limit_mb" "$total_mb") || status=$?
if [ -e "$top/$group/$peak" ]; then
    counted=$(($(cat "$top/$group/$peak") / 1024 / 1024))
    echo "the kernel counted $counted MB of $((limit_mb * 11 / 10))"
fi
[ "$status" -ne 137 ] || fail "killed: out of memory"
[ "$status" -eq 0 ] || fail "exit $status"
