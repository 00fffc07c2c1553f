#!/usr/bin/env bash
# A load that is ended by a signal has stored what it reported: SIGINT after its batch, SIGKILL at
# once.
. "$(dirname "$0")/lib.sh"

records() { seq 1 200000 | awk '{printf "key%06d\tvalue of record %d\n", $1, $1}'; }

# wait until LOG holds a line "acknowledged N records" with N >= COUNT
wait_for_count() {
    local i
    for ((i = 0; i < 600; i++)); do
        [ "$(acknowledged "$1")" -ge "$2" ] && return 0
        sleep 0.05
    done
    fail "no $2 records acknowledged in 30 s: $(tail -n 3 "$1")"
}
acknowledged() {
    [ -e "$1" ] || { echo 0; return; } # the loader has not begun
    awk '/^acknowledged [0-9]+ records$/ {n = $2} END {print n + 0}' "$1"
}

# the first COUNT records at least, and no hole: exactly the first N of the input
check_prefix() { # STORE COUNT
    local n
    n=$("$gyre" scan "$1" --count)
    [ "$n" -ge "$2" ] || fail "$1 has $n records, $2 were acknowledged"
    "$gyre" scan "$1" | cmp - <(records | sed -n "1,${n}p;${n}q") ||
        fail "$1 is not the beginning of the input"
}

for signal in INT TERM KILL; do
    rm -f log # what it held would pass for this load's
    mkfifo pipe
    "$gyre" load "s$signal" pipe --format tsv --batch 10 --progress 100 2>log &
    loader=$!
    (records >pipe 2>/dev/null || true) & # as many as the loader takes
    wait_for_count log 300
    kill -$signal $loader
    code=0
    wait $loader || code=$?
    count=$(acknowledged log)
    case $signal in
    INT) [ $code -eq 130 ] || fail "SIGINT: exit code $code" ;;
    TERM) [ $code -eq 143 ] || fail "SIGTERM: exit code $code" ;;
    KILL) [ $code -eq 137 ] || fail "SIGKILL: exit code $code" ;;
    esac
    if [ $signal != KILL ]; then
        grep -q '^stopped after [0-9]* acknowledged records' log || fail "no report: $(cat log)"
        count=$(awk '/^stopped after/ {print $3}' log)
    fi
    [ "$count" -lt 200000 ] || fail "the load was done before the signal came"
    check_prefix "s$signal" "$count"
    rm pipe
done

# a signal while the input is silent
rm -f log
mkfifo pipe
"$gyre" load quiet pipe --format tsv --progress 1 2>log &
loader=$!
exec 9>pipe
printf 'a\t1\n' >&9
wait_for_count log 1
kill -INT $loader
code=0
wait $loader || code=$?
exec 9>&-
[ $code -eq 130 ] || fail "SIGINT in silence: exit code $code"
[ "$("$gyre" get quiet a)" = 1 ] || fail "what came before the silence is lost"

# BUFFERED survives the death of the process as well
rm pipe log
mkfifo pipe
"$gyre" load buffered pipe --format tsv --batch 10 --progress 100 --durability buffered 2>log &
loader=$!
(records >pipe 2>/dev/null || true) &
wait_for_count log 300
kill -KILL $loader
wait $loader || true
check_prefix buffered "$(acknowledged log)"
