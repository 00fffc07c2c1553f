#!/usr/bin/env bash
# put, get, delete and scan: values as they were put, order and bounds of scans, text, JSON and hex.
. "$(dirname "$0")/lib.sh"

exits 0 "$gyre" put s apple red
exits 0 "$gyre" put s banana yellow
exits 0 "$gyre" put s --durability buffered cherry 'dark red'
exits 0 "$gyre" put s apricot ''
exits 0 "$gyre" get s apple
[ "$(cat out; echo .)" = red. ] || fail "get adds something to the value"
exits 0 "$gyre" put s apple green
[ "$("$gyre" get s apple)" = green ] || fail "the later value does not win"
exits 0 "$gyre" get s apricot
[ ! -s out ] || fail "an empty value prints something"

# exit code 1 is "no such key" and nothing else
exits 1 "$gyre" get s pear
says 'no such key'
exits 1 "$gyre" get s pear --quiet
[ ! -s err ] || fail "--quiet says something"
exits 0 "$gyre" delete s cherry
exits 1 "$gyre" get s cherry
exits 0 "$gyre" delete s cherry

# values from standard input keep every byte
head -c 100000 /dev/urandom >value
exits 0 "$gyre" put s random <value
"$gyre" get s random | cmp - value || fail "a value from standard input has changed"
exits 0 "$gyre" delete s random

# scans
exits 0 "$gyre" scan s
prints $'apple\tgreen\napricot\t\nbanana\tyellow'
exits 0 "$gyre" scan s --reverse
prints $'banana\tyellow\napricot\t\napple\tgreen'
exits 0 "$gyre" scan s --prefix ap --keys-only
prints $'apple\napricot'
exits 0 "$gyre" scan s --from apq --to banana --keys-only
prints apricot
exits 0 "$gyre" scan s --reverse --limit 1 --keys-only
prints banana
exits 0 "$gyre" scan s --limit=0
[ ! -s out ] || fail "--limit 0 prints something"
exits 0 "$gyre" scan s --prefix ap --reverse --count
prints 2
exits 0 "$gyre" scan s --prefix zebra
[ ! -s out ] || fail "a prefix of no key prints something"
exits 0 "$gyre" scan s --json --prefix ban
prints '{"key":"banana","value":"yellow"}'
exits 0 "$gyre" get s apple --json
prints '{"key":"apple","value":"green"}'

# scans in parts: together they are the whole, whatever stops them, in both directions
for i in $(seq 1000 1400); do printf 'key%s\tvalue %s\n' "$i" "$((i * 7919 % 100000))"; done >rows
"$gyre" load parts rows --format tsv --quiet
for i in $(seq 1100 1160); do "$gyre" delete parts "key$i"; done
parts() { # [argument]...
    local token=() count=0
    : >got
    while :; do
        exits 0 "$gyre" scan parts "$@" ${token[@]+"${token[@]}"}
        cat out >>got
        count=$((count + 1))
        [ -s err ] || break
        says '--resume '
        token=(--resume "$(sed -n 's/.*--resume //p' err)")
        [ "$count" -lt 500 ] || fail "scan $* does not come to its end"
    done
    [ "$count" -gt 2 ] || fail "scan $* was not stopped"
}
for direction in '' --reverse; do
    "$gyre" scan parts $direction >whole
    for limits in '--limit 7 --token' '--max-bytes 1000' '--max-skips 10' \
        '--limit 50 --max-bytes 300'; do
        # shellcheck disable=SC2086 # words
        parts $direction $limits
        cmp got whole || fail "$limits $direction: the parts are not the whole"
    done
    # shellcheck disable=SC2086
    parts $direction --prefix key13 --limit 9 --token --keys-only
    cmp got <("$gyre" scan parts --prefix key13 --keys-only $direction) || fail "parts of a prefix"
done
exits 0 "$gyre" scan parts --max-ms 100000
cmp out <("$gyre" scan parts) || fail "a scan with time enough is not whole"
[ ! -s err ] || fail "a scan that came to its end says that it was stopped"
exits 0 "$gyre" scan parts --limit 1 --token --json
prints "{\"key\":\"key1000\",\"value\":\"value $((7919 * 1000 % 100000))\"}
{\"stopped\":\"rows\",\"token\":\"6b65793130303000\"}"
exits 0 "$gyre" scan parts --resume 6b65793130303000 --limit 1 --keys-only
prints key1001
exits 2 "$gyre" scan parts --resume key1001
says 'no token'

# binary keys and values
exits 0 "$gyre" put b --hex 00ff0a09 deadbeef5c
exits 0 "$gyre" put b --hex ff
exits 0 "$gyre" put b -- --dash -v
echo 'ca fe
ba be' >value
exits 0 "$gyre" put b --hex ff <value
exits 0 "$gyre" get b --hex 00FF0A09
prints deadbeef5c
exits 0 "$gyre" scan b --hex
prints $'00ff0a09\tdeadbeef5c\n2d2d64617368\t2d76\nff\tcafebabe'
exits 0 "$gyre" scan b --hex --from 01 --to ff --keys-only
prints 2d2d64617368
exits 0 "$gyre" scan b --json
prints '{"key":{"hex":"00ff0a09"},"value":{"hex":"deadbeef5c"}}
{"key":"--dash","value":"-v"}
{"key":{"hex":"ff"},"value":{"hex":"cafebabe"}}'
exits 0 "$gyre" get b --hex ff --json
prints '{"key":{"hex":"ff"},"value":{"hex":"cafebabe"}}'
"$gyre" scan b --limit 1 | cmp - <(printf '\\x00\xff\\n\\t\t\xde\xad\xbe\xef\\\\\n') ||
    fail "escapes of scan"
exits 0 "$gyre" put j 'a"b\' $'tab\tline\n\x01é'
exits 0 "$gyre" scan j --json
prints '{"key":"a\"b\\","value":"tab\tline\n\u0001é"}'
if command -v python3 >/dev/null; then
    # every kind of almost-UTF-8 must come out as hex, and all of it as JSON
    for bytes in c080 c3 e28 eda080 f4908080 f0808080 80 c3a9 e282ac f09f9880 7f22; do
        [ $((${#bytes} % 2)) -eq 0 ] || bytes+=0
        exits 0 "$gyre" put u --hex "$bytes" "$bytes"
    done
    "$gyre" scan u --json | python3 -c '
import json, sys
for line in sys.stdin.buffer.read().splitlines():
    key = json.loads(line)["key"]
    raw = key.encode() if isinstance(key, str) else bytes.fromhex(key["hex"])
    try:
        raw.decode()
        assert isinstance(key, str), raw
    except UnicodeDecodeError:
        assert isinstance(key, dict), raw
' || fail "JSON of bytes that are (no) UTF-8"
fi
