#!/usr/bin/env bash
# explain: every option of the headers is there with its value and where it comes from, what is
# given is told from what is derived, and gyre-options(7) has each of them.
. "$(dirname "$0")/lib.sh"
top=$(cd "$tests/../.." && pwd)

# fields of a struct, without what is no option
fields() { # HEADER STRUCT
    sed -n "/^struct $2 {/,/^};/p" "$top/include/gyre/$1" | sed 's|/\*.*||' |
        sed -n 's/^    [a-z][a-z0-9_ ]*[ *]\([a-z0-9_]*\);.*/\1/p' |
        grep -vxE 'struct_size|flags|reserved_|log|log_arg|on_event|event_arg'
}
loop_fields=$(fields loop.h gyre_loop_options)
store_fields=$(fields options.h gyre_options)
[ "$(wc -w <<<"$loop_fields")" -ge 6 ] || fail "fields of the loop: $loop_fields"
[ "$(wc -w <<<"$store_fields")" -ge 19 ] || fail "fields of the store: $store_fields"

exits 0 "$gyre" put s key value
"$gyre" explain s --options memtable_size=1M,disk_quota=1G >text
for name in $loop_fields $store_fields create read_only exclusive; do
    grep -q "^  $name  *[^ ]" text || fail "$name is not explained"
    grep -q "^\.BR .*\b$name\b" "$top/docs/man/gyre-options.7" || fail "$name: not in the manual"
done
grep -q '^  memtable_size  *1048576  *given ' text || fail "memtable_size was given: $(cat text)"
grep -q '^  disk_quota  *1073741824  *given ' text || fail "disk_quota was given: $(cat text)"
grep -q '^  table_size  *1048576  *default  *memtable_size' text || fail "table_size follows"
grep -q '^what binds now:' text || fail "it does not say what binds"

"$gyre" explain s --json | python3 -c '
import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert all(set(line) == {"kind", "name", "value", "how", "from"} for line in lines)
assert {line["kind"] for line in lines} == {"input", "loop", "store", "derived", "binds"}
' || fail "the objects are not as they should be"

# a store that is not there
exits 4 "$gyre" explain missing
says 'missing'
