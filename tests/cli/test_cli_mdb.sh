#!/usr/bin/env bash
# Dumps go to LMDB and back: mdb_load reads ours, we read mdb_dump's, byte for byte.
. "$(dirname "$0")/lib.sh"
command -v mdb_dump >/dev/null && command -v mdb_load >/dev/null || {
    echo "SKIP: lmdb-utils is not installed"
    exit 77
}

# LMDB keys have 511 bytes at most
exits 0 "$gyre" put s --hex 00ff 0001
exits 0 "$gyre" put s 'back\slash' 'a\b\41'
exits 0 "$gyre" put s empty ''
exits 0 "$gyre" put s "$(head -c 511 /dev/zero | tr '\0' k)" long
head -c 2000000 /dev/urandom | "$gyre" put s large
seq 1 20000 |
    awk '{printf "n%05d\tvalue %d of many, enough to need more than a few pages\n", $1, $1}' |
    "$gyre" load s --format tsv --quiet --durability buffered
"$gyre" scan s --hex >expected
[ "$(wc -l <expected)" -eq 20005 ] || fail "the store to begin with"

for print in '' --print; do
    # shellcheck disable=SC2086 # none or one word
    "$gyre" dump s dumped $print --quiet
    rm -rf lmdb back
    mkdir lmdb
    mdb_load -f dumped lmdb || fail "mdb_load refuses our dump ($print)"
    mdb_dump lmdb >dumped.lmdb
    exits 0 "$gyre" load back dumped.lmdb
    says 'loaded 20005 records'
    "$gyre" scan back --hex | cmp - expected || fail "through LMDB and back ($print)"
done

# records alone are the same text
"$gyre" dump s | sed '1,/^HEADER=END/d' | cmp - <(sed '1,/^HEADER=END/d' dumped.lmdb) ||
    fail "our dump and mdb_dump's differ"

# -p of mdb_dump, where nothing needs a backslash (0.9.24 does not escape them)
"$gyre" delete s 'back\slash'
rm -rf lmdb back
mkdir lmdb
"$gyre" dump s | mdb_load lmdb
# the last byte values of `large` may be backslashes: leave it out
"$gyre" delete s large
rm -rf lmdb && mkdir lmdb && "$gyre" dump s | mdb_load lmdb
mdb_dump -p lmdb | "$gyre" load back --quiet
"$gyre" scan back --hex | cmp - <("$gyre" scan s --hex) || fail "mdb_dump -p"

# -n: a database that is a file
mdb_load -n -f dumped plain.mdb || fail "mdb_load -n"
mdb_dump -n plain.mdb | "$gyre" load plain --quiet
"$gyre" scan plain --hex | cmp - expected || fail "mdb_dump -n"
