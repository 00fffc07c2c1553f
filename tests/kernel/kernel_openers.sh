#!/usr/bin/env bash
# One opener: while a store is open, every other try is BUSY and changes nothing, in this process
# and in others, by its path, through a symbolic link to its folder's parent, by a relative path and
# through a bind mount. And a read-only open of a store on a read-only mount, closed or killed,
# changes nothing either, the staging memory of the killed one included.
#
# WAVES=N waves of 48 tries; 21 are a thousand.
. "$(dirname "$0")/lib.sh"
needs root
isolate $((100 + 3 * ${WAVES:-4})) "$@"

mkdir real bound
ln -s real link
mount --bind real bound
"$bin/openers" hold "${WAVES:-4}" "$work/real/store" link/store bound/store \
    ./real/../link/store || fail "see above"

tree() { # FOLDER: names, bytes, modes and times
    (cd "$1" && find . -type f -exec sha256sum {} + | sort -k2 && find . -printf '%p %m %T@ %C@\n' |
        sort)
}

"$bin/witness" write closed ledger1 0.3 >out || fail "$(cat out)"
"$bin/witness" write killed ledger2 60 >out &
writer=$!
sleep 0.5
{ kill -9 $writer && wait $writer; } 2>/dev/null || true
for store in closed killed; do
    mkdir -p ro
    mount --bind "$store" ro
    mount -o remount,bind,ro ro
    touch ro/x 2>/dev/null && fail "the mount is not read-only"
    { tree ro; sha256sum /dev/shm/* || true; } >before 2>/dev/null
    keys=$("$bin/openers" read ro) || fail "$store: $keys"
    again=$("$bin/openers" read ro) || fail "$store: $again"
    { tree ro; sha256sum /dev/shm/* || true; } >after 2>/dev/null
    diff before after || fail "$store: something has changed"
    [ "$keys" -gt 50 ] && [ "$keys" = "$again" ] || fail "$store: $keys and $again keys"
    umount ro
    echo "read-only, $store: $keys keys, nothing changed"
done
"$bin/witness" check closed ledger1 >out && "$bin/witness" check killed ledger2 >out ||
    fail "$(cat out)"
