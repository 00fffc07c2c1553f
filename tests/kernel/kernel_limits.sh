#!/usr/bin/env bash
# An ordinary user with hardly any resources: 64 files, 64 KiB of locked memory, a small stack, all
# of it together. What there is too little of is done without, or told in one clear line; nothing
# that was acknowledged is lost.
. "$(dirname "$0")/lib.sh"
needs root setpriv
isolate 100 "$@"
getent passwd nobody >/dev/null || skip "no user nobody"

chmod 755 "$work"
cp "$bin/witness" "$work/witness" # the build folder may be closed to others
chmod 755 witness

# limited ULIMITS COMMAND...: as nobody
limited() {
    (eval "$1" && exec setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs \
        "${@:2}")
}

# limit_case NAME ULIMITS MUST [OPTIONS]: MUST = works, or also = refuses with a clear line
limit_case() {
    local status=0 io
    for io in auto blocking; do
        rm -rf store ledger
        mkdir store
        : >ledger
        chown nobody store ledger
        status=0
        limited "$2" ./witness write store/s ledger 0.3 "io=$io" ${4:+"options=$4"} >out 2>&1 ||
            status=$?
        case $status in
        0) ;;
        2 | 3) # told: which limit, and what to do
            [ "$3" = refuses ] || fail "$1, $io: exit $status: $(cat out)"
            grep -q 'ulimit\|memory_limit' out || fail "$1, $io: not clear: $(cat out)"
            ;;
        *) fail "$1, $io: exit $status: $(cat out)" ;;
        esac
        # as the same user: what is still in staging memory belongs to it
        limited : ./witness check store/s ledger >checked 2>&1 ||
            fail "$1, $io, later: $(cat checked)"
        echo "$1, $io: $([ $status -eq 0 ] && echo works || head -n 1 out)"
    done
}

limit_case "64 files" "ulimit -n 64" refuses
limit_case "64 files, 16 for tables" "ulimit -n 64" works open_files_max=16
limit_case "12 files" "ulimit -n 12" refuses open_files_max=16
limit_case "64 KiB locked memory" "ulimit -l 64" works
limit_case "no locked memory" "ulimit -l 0" works
limit_case "128 KiB of stack" "ulimit -s 128" works
limit_case "all of it" "ulimit -n 64 -l 64 -s 128" works open_files_max=16
