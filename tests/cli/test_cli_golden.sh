#!/usr/bin/env bash
# Stores that earlier versions wrote, closed or killed, open with the content that they had, can be
# written to, and are the same when opened again. (That a newer version is refused by name is in
# test_cli_store_errors.sh.)
. "$(dirname "$0")/lib.sh"
golden=$tests/../golden/stores

digest() { "$gyre" dump "$1" --format tsv --quiet | sha256sum | cut -d' ' -f1; }

count=0
while read -r sum name; do
    mkdir "$name"
    tar -xzf "$golden/$name.tar.gz" -C "$name" --strip-components=1
    [ "$(digest "$name")" = "$sum" ] || fail "$name: another content"
    exits 0 "$gyre" verify "$name"
    exits 0 "$gyre" put "$name" zzz new
    exits 0 "$gyre" compact "$name"
    exits 0 "$gyre" verify "$name"
    [ "$("$gyre" get "$name" zzz)" = new ] || fail "$name: the new value is not there"
    exits 0 "$gyre" delete "$name" zzz
    [ "$(digest "$name")" = "$sum" ] || fail "$name: another content after it was written to"
    count=$((count + 1))
done <"$golden/digests"
[ $count -ge 2 ] || fail "only $count stores were tried"
