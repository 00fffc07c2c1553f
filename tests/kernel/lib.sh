# shellcheck shell=bash
# lib.sh - what the tests with real file systems share. A test gets the folder of the programs as
# $1. It runs in a mount namespace of its own with a private /dev/shm, works in a tmpfs, and is
# stopped by a watchdog: when its last process is gone, so are its mounts and loop devices.
#
# Say first what is needed (`needs root loop fuse mkfs.ext4`), then `isolate SECONDS "$@"`.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "$here"

skip() {
    echo "SKIP: $*"
    exit 77
}

needs() {
    local what
    for what in "$@"; do
        case $what in
        root) [ "$(id -u)" -eq 0 ] || skip "only root can mount" ;;
        loop) [ -e /dev/loop-control ] || skip "no loop devices (/dev/loop-control)" ;;
        fuse)
            [ -e /dev/fuse ] || skip "no FUSE (/dev/fuse)"
            [ -x "$bin/log_disk" ] || skip "built without libfuse3 (Debian: libfuse3-dev)"
            ;;
        *) command -v "$what" >/dev/null || skip "no command $what" ;;
        esac
    done
}

bin=$(realpath "$1")
self=$(realpath "$0")

isolate() { # SECONDS ARGUMENTS...: comes back inside the namespace only
    if [ -z "${GYRE_INSIDE:-}" ]; then
        unshare -m true 2>/dev/null || skip "no mount namespaces (unshare -m)"
        export GYRE_INSIDE=1
        exec timeout -k 5 "$1" unshare -m --propagation private bash "$self" "${@:2}"
    fi
    work=$(mktemp -d "${TMPDIR:-/tmp}/gyre-kernel.XXXXXX")
    trap clean_up EXIT
    trap 'exit 143' TERM INT
    mount -t tmpfs -o mode=0700 none "$work"
    mount -t tmpfs -o mode=1777 none /dev/shm
    cd "$work"
}

clean_up() {
    local status=$? job
    trap '' TERM INT
    cd /
    for job in $(jobs -p); do
        [ "$job" = "${server:-}" ] || { kill -9 "$job" && wait "$job"; } 2>/dev/null || true
    done
    # Innermost first, and servers after what needs them.
    awk -v w="$work/" 'index($2, w) == 1 {print $2}' /proc/self/mounts | tac |
        while read -r mount; do
            (unmount "$mount") >/dev/null || umount -l "$mount" || true
        done
    [ -z "${server:-}" ] || { kill -9 "$server" && wait "$server"; } 2>/dev/null || true
    umount -l "$work" && rmdir "$work"
    exit $status
}

fail() {
    echo "FAILED (line ${BASH_LINENO[0]}): $*"
    exit 1
}

# The machine was switched off and on: staging memory is gone, the boot has another name.
power_cycle() {
    rm -f /dev/shm/gyre-*
    cat /proc/sys/kernel/random/uuid >"$work/boot_id"
    mount --bind "$work/boot_id" /proc/sys/kernel/random/boot_id
}

# start_server MOUNT PROGRAM ARGUMENTS...: a FUSE server that dies with this script; its process id
# is in $server.
start_server() {
    local mount=$1 tries=0
    mkdir -p "$mount"
    setpriv --pdeathsig KILL "${@:2}" &
    server=$!
    until mountpoint -q "$mount"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "no file system at $mount after 10 s"
        sleep 0.05
    done
}

stop_server() { # MOUNT
    unmount "$1"
    { kill -9 "$server" && wait "$server"; } 2>/dev/null || true
}

# mount_image FILE MOUNT [OPTIONS]: through a loop device that goes away with the mount
mount_image() {
    local device status=0
    device=$(losetup --direct-io="${DIRECT:-off}" -f --show "$1")
    mkdir -p "$2"
    mount -o "${3:-rw}" "$device" "$2" 2>mount.err || status=$?
    losetup -d "$device"
    return $status
}

# The kernel closes the files of a ring a moment after its process.
unmount() {
    local tries=0
    until umount "$1" 2>"$work/umount.err"; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || fail "$1 stays busy: $(cat "$work/umount.err")"
        sleep 0.05
    done
}

make_fs() { # ext4|xfs DEVICE
    case $1 in
    ext4) mkfs.ext4 -q -F -E nodiscard "$2" ;;
    xfs) mkfs.xfs -q -f -K "$2" ;;
    esac
}

size_of() { # ext4|xfs: MiB that the file system is tested with
    case $1 in ext4) echo 96 ;; xfs) echo 320 ;; esac
}

random() { # SEED MAX: a number below MAX that only depends on both
    echo $((16#$(printf '%s' "$1" | md5sum | cut -c1-12) % $2))
}

# start_disk ext4|xfs [MOUNT OPTIONS]: a file system in ./fs on a disk that logs to ./log
start_disk() {
    local device
    start_server disk "$bin/log_disk" disk log "$(size_of "$1")"
    device=$(losetup --direct-io=on -f --show disk/disk)
    make_fs "$1" "$device"
    losetup -d "$device"
    DIRECT=on mount_image disk/disk fs "${2:-rw}"
}

stop_disk() {
    unmount fs
    stop_server disk
}

position() { "$bin/cut_image" log | cut -d' ' -f1; }

# check_cut ext4|xfs POSITION KIND SEED [MOUNT OPTIONS]: 0 good, 1 a promise is broken (text in
# ./cut.out), 2 not mountable
check_cut() {
    local status=0
    "$bin/cut_image" log image "$(size_of "$1")" "$2" "$3" "$4"
    mount_image image cut "${5:-rw}" || { cat mount.err >cut.out; return 2; }
    timeout 20 "$bin/witness" check cut/store ledger "$2" >cut.out 2>&1 || status=1
    unmount cut
    rm -f image /dev/shm/gyre-*
    return $status
}
