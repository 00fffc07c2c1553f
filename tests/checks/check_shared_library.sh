#!/usr/bin/env bash
# What libgyre.so is from outside: its name, what it needs, what it exports, its size.
set -euo pipefail
SIZE_MAX=$((500 * 1024)) # bytes, stripped

failed=0
fail() {
    printf '%s\n' "$1"
    failed=1
}

dynamic=$(readelf -dW "$GYRE_SHARED")
grep -q 'SONAME.*\[libgyre\.so\.0\]' <<<"$dynamic" || fail "SONAME is not libgyre.so.0"
grep -qE 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || fail "lazily bound: built without -z now"
grep -q 'TEXTREL' <<<"$dynamic" && fail "text relocations"

needed=$(sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' <<<"$dynamic")
for library in $needed; do
    case $library in
    liburing.so.* | libzstd.so.* | libxxhash.so.* | libc.so.* | ld-linux*.so.*) ;;
    *) fail "needs $library" ;;
    esac
done

segments=$(readelf -lW "$GYRE_SHARED")
grep -qE '^ +TLS' <<<"$segments" && fail "has a TLS segment"
grep -qE 'GNU_STACK .* RW ' <<<"$segments" || fail "executable stack"
grep -q 'GNU_RELRO' <<<"$segments" || fail "no RELRO"

# With libraries that are read in at once every symbol must be found.
unresolved=$(ldd -r "$GYRE_SHARED" 2>&1 | grep -E 'undefined symbol|not found' || true)
[ -z "$unresolved" ] || fail "$unresolved"

foreign=$(nm -D --defined-only --format=just-symbols "$GYRE_SHARED" |
    sed 's/@.*//' | grep -vE '^gyre_|^GYRE_[0-9]+$' || true)
[ -z "$foreign" ] || fail "exports what is not gyre_*: $(tr '\n' ' ' <<<"$foreign")"

# What the headers promise is there.
exported=$(nm -D --defined-only --format=just-symbols "$GYRE_SHARED" | sed 's/@.*//')
promised=$(cat "$GYRE_SOURCE"/include/gyre/*.h | sed 's,/\*.*\*/,,' | tr '\n' ' ' |
    sed 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/,,g' | tr ';' '\n' |
    sed -nE 's/.*GYRE_API [^(]*[ *](gyre_[a-z0-9_]+) *\(.*/\1/p' | sort -u)
[ -n "$promised" ] || fail "found no GYRE_API declaration in the headers"
for name in $promised; do
    grep -qx "$name" <<<"$exported" || fail "declared but not exported: $name"
done

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$GYRE_SHARED"
size=$(stat -c %s "$stripped")
[ "$size" -lt "$SIZE_MAX" ] || fail "stripped size is $size bytes, at most $SIZE_MAX"
echo "libgyre.so: $size bytes stripped, $(grep -c . <<<"$promised") calls, needs" $needed
exit "$failed"
