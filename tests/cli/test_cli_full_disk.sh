#!/usr/bin/env bash
# A disk that fills up during a load: it says so, what was acknowledged is there, is read and
# verified, and when there is space the load goes through.
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
    echo "SKIP: only root can mount a small file system"
    exit 77
fi
if [ -z "${GYRE_INSIDE:-}" ]; then
    GYRE_INSIDE=1 unshare -m bash "$tests/$(basename "$0")" "$gyre"
    exit
fi

mkdir disk
mount -t tmpfs -o size=40m none disk
leave() { umount -l "$work/disk" || true; }
options=(--memory 16M --options compression=none)
seq 1 60000 | awk '{printf "key%06d\tvalue %d%900s\n", $1, $1, ""}' >rows # 55 MB

exits 4 "$gyre" load disk/s rows --format tsv --progress 1000 "${options[@]}"
grep -qE 'No space left|disk is nearly full' err || fail "nobody speaks of the disk: $(cat err)"
stored=$(awk '/^stopped after/ {print $3}' err)
[ "$stored" -gt 10000 ] && [ "$stored" -lt 60000 ] || fail "stopped after $stored records"
[ "$("$gyre" scan disk/s --count "${options[@]}")" = "$stored" ] || fail "not $stored records there"
"$gyre" scan disk/s --limit "$stored" "${options[@]}" | cmp - <(head -n "$stored" rows) ||
    fail "the records are not those of the input"
exits 0 "$gyre" verify disk/s "${options[@]}"
code=0 # opening for writing may need space for a table; then it says so
"$gyre" put disk/s key000001 changed "${options[@]}" 2>err || code=$?
if [ $code -ne 0 ]; then
    [ $code -eq 4 ] || fail "put on a full disk: exit code $code"
    grep -qE 'No space left|disk is nearly full' err || fail "put on a full disk: $(cat err)"
fi
exits 0 "$gyre" get disk/s key000002 "${options[@]}"
exits 4 sh -c '"$1" dump disk/s disk/dumped' sh "$gyre"
[ -z "$(find disk -name 'dumped*')" ] || fail "a dump to a full disk leaves a file"

mount -o remount,size=300m disk
exits 0 "$gyre" load disk/s rows --format tsv "${options[@]}"
"$gyre" scan disk/s "${options[@]}" | cmp - rows || fail "with space the load is not whole"
