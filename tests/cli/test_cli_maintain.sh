#!/usr/bin/env bash
# stat, verify, compact, checkpoint, salvage and doctor, as text and as JSON.
. "$(dirname "$0")/lib.sh"

is_json() {
    command -v python3 >/dev/null || return 0
    python3 -c 'import json, sys
for line in open("out"): json.loads(line)' || fail "no JSON: $(cat out)"
}

records() { seq 1 5000 | awk '{printf "key%05d\tvalue %d\n", $1, $1}'; }
records | "$gyre" load s --format tsv --quiet
"$gyre" scan s >expected

exits 0 "$gyre" stat s
for word in levels amplification cache memory I/O 'kernel workers'; do
    grep -q "$word" out || fail "stat lacks $word"
done
exits 0 "$gyre" stat s --json
is_json
grep -q '"levels":\[' out || fail "stat --json lacks levels"
exits 0 "$gyre" stat s --io blocking --memory 32M
grep -Eq '^  by +sync' out || fail "--io blocking is not told: $(grep ' by ' out)"
records | "$gyre" load s2 --format tsv --stats >out 2>/dev/null
grep -Eq '^  puts +5000$' out || fail "load --stats does not count: $(grep puts out)"

exits 0 "$gyre" verify s
grep -q '^good: ' out || fail "verify: $(cat out)"
exits 0 "$gyre" verify s --json
is_json

exits 0 "$gyre" compact s
exits 0 "$gyre" compact s --from key00100 --to key00200
exits 0 "$gyre" compact s --hex --from 6b --to 6c
"$gyre" scan s | cmp - expected || fail "compact changes what is there"
exits 0 "$gyre" verify s
grep -q '5000 entries' out || fail "verify after compact: $(cat out)"

exits 0 "$gyre" checkpoint s c
"$gyre" scan c | cmp - expected || fail "the checkpoint differs"
"$gyre" put c key00001 changed
[ "$("$gyre" get s key00001)" = 'value 1' ] || fail "a checkpoint is not independent"
exits 4 "$gyre" checkpoint s c
[ "$("$gyre" get c key00001)" = changed ] || fail "a checkpoint overwrites what is there"

exits 0 "$gyre" salvage s r
grep -q '5000 keys' out || fail "salvage of a whole store: $(cat out)"
"$gyre" scan r | cmp - expected || fail "salvage of a whole store loses something"
exits 4 "$gyre" salvage s r
exits 0 "$gyre" salvage s r2 --json
is_json

# damage in a table: told with file and offset, never as data, and the rest is saved
table=$(find s -type f -size +8k -exec ls -S {} + | grep -v -e log -e wal -e MANIFEST | head -n 1)
[ -n "$table" ] || fail "no table file in $(ls s)"
printf '\xde\xad\xbe\xef' | dd of="$table" bs=1 seek=4200 conv=notrunc status=none
exits 3 "$gyre" verify s
grep -q "^damaged: $(basename "$table")" out || fail "verify does not name the file: $(cat out)"
says 'gyre salvage s'
exits 3 "$gyre" verify s --json
is_json
exits 3 "$gyre" scan s
exits 0 "$gyre" salvage s saved
grep -q 'damaged places' out || fail "salvage says nothing: $(cat out)"
saved=$("$gyre" scan saved --count)
[ "$saved" -gt 0 ] && [ "$saved" -lt 5000 ] || fail "salvage has $saved keys of 5000"
[ -z "$("$gyre" scan saved | comm -13 expected -)" ] || fail "salvage makes up records"

exits 0 "$gyre" doctor "$work"
for word in io_uring 'locked memory' '/dev/shm' 'file system' 'direct I/O' 'synced write'; do
    grep -q "^$word  *[a-z]" out || fail "doctor lacks $word"
done
exits 0 "$gyre" doctor --json
is_json
[ -z "$(find "$work" -name '*doctor*')" ] || fail "doctor leaves a file"
exits 4 "$gyre" doctor "$work/absent"
