#!/usr/bin/env bash
# A machine that forbids things: io_uring (seccomp), locked memory, /dev/shm, direct I/O. Everything
# works all the same, and stat and doctor say what is not had.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || {
    echo "SKIP: no python3 to install a seccomp filter with"
    exit 77
}

# without.py CALL... -- COMMAND...: COMMAND with these system calls answered by EPERM
cat >without.py <<'EOF2'
import ctypes, os, struct, sys

split = sys.argv.index("--")
calls, command = [int(n) for n in sys.argv[1:split]], sys.argv[split + 1:]
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
program = [(LOAD, 0, 0, 0)]  # the number of the call
for i, call in enumerate(calls):
    program.append((JUMP_EQUAL, len(calls) - i, 0, call))
program.append((RETURN, 0, 0, 0x7FFF0000))      # allow
program.append((RETURN, 0, 0, 0x00050000 | 1))  # EPERM
code = b"".join(struct.pack("HBBI", *p) for p in program)
buffer = ctypes.create_string_buffer(code)
fprog = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0          # no new privileges
if libc.prctl(22, 2, ctypes.c_char_p(fprog), 0, 0) != 0:
    sys.exit("no seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(command[0], command)
EOF2
without_ring=(python3 "$work/without.py" 425 426 427 --)

# COMMAND... runs the command under the condition; a store made there works
works() { # NAME COMMAND...
    local store=$1
    shift
    exits 0 "$@" "$gyre" put "$store" apple red
    exits 0 "$@" "$gyre" put "$store" pear green --durability buffered
    seq 1 3000 | awk '{printf "n%05d\tvalue %d\n", $1, $1}' >"$work/rows"
    exits 0 "$@" "$gyre" load "$store" "$work/rows" --format tsv --durability buffered
    exits 0 "$@" "$gyre" compact "$store"
    exits 0 "$@" "$gyre" get "$store" pear
    [ "$(cat out)" = green ] || fail "$store: get"
    exits 0 "$@" "$gyre" scan "$store" --count
    prints 3002
    exits 0 "$@" "$gyre" verify "$store"
    exits 0 "$@" "$gyre" stat "$store"
}

# io_uring
exits 0 "${without_ring[@]}" true
works ring "${without_ring[@]}"
grep -Eq '^  by +sync +\(.+\)' out || fail "stat does not say why not io_uring: $(grep ' by ' out)"
exits 4 "${without_ring[@]}" "$gyre" get ring apple --io uring
says 'io_uring'
exits 0 "${without_ring[@]}" "$gyre" doctor "$work"
grep -Eq '^io_uring +degraded +not allowed: a seccomp filter' out || fail "doctor: $(cat out)"
exits 0 "${without_ring[@]}" "$gyre" doctor "$work" --json
grep -q '"check":"io_uring","verdict":"degraded"' out || fail "doctor --json: $(cat out)"
"$gyre" get ring apple >/dev/null || fail "a store of the blocking world does not open with a ring"

# locked memory, as an ordinary user: 64 KiB, and 8 MiB, which Debian gives
cat >limited.sh <<'EOF2'
limit=$1
shift
ulimit -l "$limit" && exec "$@"
EOF2
as_user=()
place=.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null && id nobody >/dev/null 2>&1; then
    mkdir theirs
    cp "$gyre" theirs/gyre # the build may lie where nobody may look
    chown -R nobody theirs
    chmod 755 . theirs
    chmod 644 limited.sh
    gyre=$work/theirs/gyre
    place=theirs
    as_user=(setpriv --reuid nobody --clear-groups --bounding-set=-all)
fi
if [ "$(id -u)" -ne 0 ] || [ $place = theirs ]; then
    for limit in 64 8192; do
        works $place/memlock-$limit "${as_user[@]}" sh "$work/limited.sh" $limit
        exits 0 "${as_user[@]}" sh "$work/limited.sh" $limit "$gyre" doctor $place
        if [ $limit = 64 ] && grep -Eq '^io_uring +ok' out; then
            # a ring that is going away may still hold the user's share: then there is no second one
            grep -Eq '^locked memory +degraded +limit 64|^loop +degraded .*RLIMIT_MEMLOCK' out ||
                fail "doctor: $(cat out)"
        fi
    done
fi

# /dev/shm: full, then not writable; in a mount namespace of our own
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    cat >full.sh <<'EOF2'
mount -t tmpfs -o size=64k none /dev/shm && exec "$@"
EOF2
    cat >absent.sh <<'EOF2'
mount -t tmpfs -o size=64k,ro none /dev/shm && exec "$@"
EOF2
    for kind in full absent; do
        works "shm-$kind" unshare -m sh "$work/$kind.sh"
        exits 0 unshare -m sh "$work/$kind.sh" "$gyre" doctor "$work"
        grep -Eq '^/dev/shm +degraded' out || fail "doctor with $kind /dev/shm: $(cat out)"
    done
fi

# a file system without direct I/O: buffered, and it says so
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    mkdir ram
    cat >ram.sh <<'EOF2'
mount -t ramfs none ram && "$1" load ram/s rows --format tsv && "$1" compact ram/s &&
    "$1" scan ram/s --count && "$1" verify ram/s && "$1" stat ram/s && "$1" doctor ram
EOF2
    exits 0 unshare -m sh ram.sh "$gyre"
    grep -qx 3000 out || fail "not 3000 records without direct I/O: $(cat out)"
    grep -Eq '^  direct +no' out || fail "stat does not say that it is buffered: $(cat out)"
    grep -Eq '^direct I/O +degraded' out || fail "doctor: $(cat out)"
fi
