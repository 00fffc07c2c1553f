#!/usr/bin/env bash
# make.sh - the golden stores of this version: one that was closed, one whose process was killed.
# Run once for each released version; tests/cli/test_cli_golden.sh opens all of them for ever.
#
# Usage: tests/golden/stores/make.sh PATH-OF-gyre
set -euo pipefail
gyre=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
version=$("$gyre" --version | grep -o '[0-9.]*' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
options=(--options "memtable_size=64K,wal_slot_size=128K,table_size=64K,compression=zstd" --quiet)

rows() { # FIRST LAST WORD
    seq "$1" "$2" | awk -v w="$3" '{printf "key%05d\t%s %d %0*d\n", $1 * 7 % 3000, w, $1, $1 % 90, 1}'
}

rows 1 3000 first | "$gyre" load closed - --format tsv "${options[@]}"
"$gyre" compact closed "${options[@]}"
rows 1 900 second | "$gyre" load closed - --format tsv "${options[@]}"
for key in key00007 key00014 key02996; do "$gyre" delete closed $key "${options[@]}"; done
cp -a closed killed

# Its last commits are in a log without an end, long enough for staging memory to hold no more.
mkfifo pipe
"$gyre" load killed pipe --format tsv "${options[@]}" &
loader=$!
exec 3>pipe
rows 2000 2200 third >&3
sleep 2
kill -9 $loader
{ wait $loader; } 2>/dev/null || true
exec 3>&-

for kind in closed killed; do
    tar -C "$work" --owner=0 --group=0 --mtime=@0 --sort=name -cf - $kind |
        gzip -9n >"$here/$version-$kind.tar.gz"
    cp -a $kind copy
    printf '%s  %s\n' "$("$gyre" dump copy --format tsv --quiet | sha256sum | cut -d' ' -f1)" \
        "$version-$kind"
    rm -rf copy
done >"$here/digests"
cat "$here/digests"
