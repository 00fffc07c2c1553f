#!/usr/bin/env bash
# load and dump: each format comes back as it went; each kind of bad input is named with its line
# and loses nothing of what came before it.
. "$(dirname "$0")/lib.sh"

# keys and values that need every escape there is
exits 0 "$gyre" put s --hex 0001 ff00
exits 0 "$gyre" put s $'tab\there' $'line\nfeed\rreturn\\backslash\\x41'
exits 0 "$gyre" put s plain 'ä€😀 text'
exits 0 "$gyre" put s empty ''
exits 0 "$gyre" put s ' blanks ' '  '
head -c 300000 /dev/urandom | "$gyre" put s large
"$gyre" scan s --hex >expected

for format in mdb 'mdb --print' tsv; do
    # shellcheck disable=SC2086 # two words on purpose
    exits 0 "$gyre" dump s dumped --format $format
    says 'dumped 6 records'
    rm -rf copy
    exits 0 "$gyre" load copy dumped --format "${format%% *}"
    says 'loaded 6 records'
    "$gyre" scan copy --hex | cmp - expected || fail "$format does not come back"
    # shellcheck disable=SC2086
    "$gyre" dump s --format $format | cmp - dumped || fail "$format to standard output differs"
    rm -rf copy
    exits 0 "$gyre" load copy - --format "${format%% *}" --batch 1 --durability nowal <dumped
    "$gyre" scan copy --hex | cmp - expected || fail "$format, batches of 1, no log"
done
[ ! -e dumped.part ] || fail "dump leaves a part file"

# paragraphs
printf '\n\nPackage: one\nDepends: two\n three\n\n\n\npackage:  two \nX: y\n\n' >text
printf 'Package: one\nX: 2' >>text # the last line has no end
exits 0 "$gyre" load p text --format paragraphs --key-field Package
says 'loaded 3 records'
exits 0 "$gyre" scan p
prints $'one\tPackage: one\\nX: 2\ntwo\tpackage:  two \\nX: y'
exits 0 "$gyre" dump p --format paragraphs
prints $'Package: one\nX: 2\n\npackage:  two \nX: y\n'
"$gyre" dump p --format paragraphs |
    "$gyre" load q --format paragraphs --key-field package --quiet
"$gyre" scan q | cmp - <("$gyre" scan p) || fail "paragraphs do not come back"
exits 4 "$gyre" dump s --format paragraphs
says 'no paragraph'
printf 'Package: one\n\nName: x\n\nPackage:\n\nPackage: three\n' >text
exits 6 "$gyre" load r text --format paragraphs --key-field Package
says 'line 3: the record that begins here has no field Package'
[ "$("$gyre" scan r --count)" = 1 ] || fail "the record before the bad one is not there"
exits 0 "$gyre" load r text --format paragraphs --key-field Package --skip-bad
says 'line 5: the key has 0 bytes'
says 'loaded 2 records'
says 'skipped 2'
[ "$("$gyre" scan r --count)" = 2 ] || fail "--skip-bad"

# bad TSV: name of the fault, line, and what was loaded before
bad_tsv() { # TEXT MESSAGE RECORDS
    rm -rf t
    printf '%b' "$1" >text
    exits 6 "$gyre" load t text --format tsv
    says "$2"
    [ "$("$gyre" scan t --count)" = "$3" ] || fail "not $3 records before: $2"
}
bad_tsv 'a\t1\nb\t2\nc\n' 'line 3: no tab' 2
bad_tsv 'a\t1\n\nb\t2\n' 'line 2: no tab' 1
bad_tsv 'a\t1\t2\n' 'line 1: more than one tab' 0
bad_tsv 'a\t\\q\n' 'line 1: a backslash begins' 0
bad_tsv 'a\t\\x4\n' 'line 1: a backslash begins' 0
bad_tsv '\tvalue\n' 'line 1: the key has 0 bytes; a key has 1 to 65536' 0
{ printf 'a\t1\n'; head -c 65537 /dev/zero | tr '\0' k; printf '\tv\n'; } >text
exits 6 "$gyre" load t text --format tsv
says 'line 2: the key has 65537 bytes'
{ printf 'a\t1\nk\t'; head -c 16777217 /dev/zero | tr '\0' v; printf '\nb\t2\n'; } >text
exits 6 "$gyre" load t text --format tsv
says 'line 2: the value has 16777217 bytes'
exits 0 "$gyre" load t text --format tsv --skip-bad
[ "$("$gyre" get t b)" = 2 ] || fail "--skip-bad after a value that is too large"

# bad dumps
bad_mdb() { # TEXT MESSAGE RECORDS
    rm -rf m
    printf '%b' "$1" >text
    exits 6 "$gyre" load m text
    says "$2"
    [ "$("$gyre" scan m --count)" = "$3" ] || fail "not $3 records before: $2"
}
header='VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n'
bad_mdb "$header 61\n 62\n" 'line 6: the file ends without DATA=END' 1
bad_mdb "$header 61\n 62\n 63\n" 'line 7: the value of this key is missing' 1
bad_mdb "$header 61\n 62\n 63\nDATA=END\n" 'line 7: the value of this key is missing' 1
bad_mdb "$header 61\n 62\n 63\n 6" 'line 8: not an even number' 1
bad_mdb "$header 61\n62\nDATA=END\n" 'line 6: a line of data begins with a blank' 0
bad_mdb "$header \n 62\nDATA=END\n" 'line 5: the key has 0 bytes' 0
bad_mdb "$header 61\n 62\nDATA=END\nVERSION=3\n" 'line 8: more follows after DATA=END' 1
bad_mdb "VERSION=3\nformat=print\nHEADER=END\n a\\\\q\n b\nDATA=END\n" 'line 4: a backslash' 0
bad_mdb 'VERSION=3\nformat=bytevalue\n' 'before HEADER=END' 0
bad_mdb '' 'before HEADER=END' 0
bad_mdb 'VERSION=2\n' 'line 1: only VERSION=3' 0
bad_mdb 'VERSION=3\nformat=xml\n' 'line 2: the format is neither' 0
bad_mdb 'VERSION=3\ntype=hash\n' 'line 2: only type=btree' 0
bad_mdb 'VERSION=3\nduplicates=1\n' 'line 2: it has several values' 0
bad_mdb 'a\tb\n' 'is it the text of mdb_dump' 0
exits 6 "$gyre" load n "$work/absent"
says 'absent: cannot read it: No such file'
[ ! -e n ] || fail "a load without its file makes a store"
exits 6 "$gyre" load n "$work"
says 'cannot be read: Is a directory'

# a dump that cannot be written leaves no file
exits 4 "$gyre" dump s /nonexistent/folder/file
exits 4 sh -c '"$1" dump s >/dev/full' sh "$gyre"
says 'cannot write the output'
exits 4 sh -c '"$1" scan s >/dev/full' sh "$gyre"
exits 4 sh -c '"$1" get s large >/dev/full' sh "$gyre"
"$gyre" dump s /dev/null --quiet
